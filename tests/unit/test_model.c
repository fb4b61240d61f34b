/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/domain.h"
#include "model/metadata.h"
#include "model/values.h"

/* A domain around some devices and top-level elements. */
#define DOMAIN(elements, devices)                                                                       \
    "<domain type='qemu'><name>demo</name><uuid>11111111-2222-4333-8444-555555555555</uuid>"            \
    "<memory unit='MiB'>64</memory><os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type></os>" elements \
    "<devices>" devices "</devices></domain>"
#define DISK(bus, target) \
    "<disk type='file' device='disk'><source file='/a'/><target dev='" target "' bus='" bus "'/></disk>"

static struct domain_def *parse(const char *xml)
{
    struct error err = {0};
    struct domain_def *def = domain_parse(xml, -1, DOMAIN_PARSE_INACTIVE, NULL, &err);
    if (!def)
        fail_msg("%s", err.message);
    return def;
}

/* One mistake each: the message must contain the words. */
static const struct {
    const char *xml, *words;
    int code;
} mistakes[] = {
    {"", "not well-formed", ERR_XML_DETAIL},
    {"<domain type='qemu'><name>a</name>", "not well-formed: line 1", ERR_XML_DETAIL},
    {"<network/>", "<network>, expecting <domain>", ERR_XML_ERROR},
    {"<!DOCTYPE domain [<!ENTITY a 'b'>]><domain type='qemu'><name>&a;</name></domain>", "DOCTYPE", ERR_XML_ERROR},
    {"<domain><name>a</name></domain>", "/domain/@type: is missing", ERR_XML_ERROR},
    {"<domain type='vmware'><name>a</name></domain>", "/domain/@type: 'vmware' is not one of: qemu, kvm",
     ERR_XML_ERROR},
    {"<domain type='qemu'><memory>1</memory></domain>", "/domain/name: is missing", ERR_NO_NAME},
    {"<domain type='qemu'><name>a/b</name></domain>", "'a/b'", ERR_XML_ERROR},
    {"<domain type='qemu'><name>a</name><uuid>12</uuid></domain>", "/domain/uuid: '12' is not a UUID", ERR_XML_ERROR},
    {"<domain type='qemu'><name>a</name><memory>lots</memory></domain>", "/domain/memory: 'lots' is not a number",
     ERR_XML_ERROR},
    {"<domain type='qemu'><name>a</name><memory unit='furlong'>1</memory></domain>", "units are b, KB", ERR_XML_ERROR},
    {"<domain type='qemu'><name>a</name><memory unit='EiB'>99</memory></domain>", "99 EiB is more than",
     ERR_XML_ERROR},
    {"<domain type='qemu'><name>a</name><memory>99999999999999999999999</memory></domain>",
     "/domain/memory: 99999999999999999999999 is more than the limit", ERR_XML_ERROR},
    {DOMAIN("<vcpu>0</vcpu>", ""), "/domain/vcpu: 0 is less than the least, 1", ERR_XML_ERROR},
    {DOMAIN("<vcpu current='0'>2</vcpu>", ""), "/domain/vcpu/@current: 0 is less than the least, 1", ERR_XML_ERROR},
    {DOMAIN("<vcpu>99999999999999999999999</vcpu>", ""), "is more than the limit of 4294967295", ERR_XML_ERROR},
    {"<domain type='qemu'><name>a</name></domain>", "/domain/os/type is missing", ERR_XML_ERROR},
    {"<domain type='qemu'><name>a</name><os><type>hvm</type></os></domain>", "has no memory", ERR_XML_ERROR},
    {DOMAIN("<vcpu current='3'>2</vcpu>", ""), "wants 3 of at most 2", ERR_CONFIG_UNSUPPORTED},
    {DOMAIN("<title>a<b/></title>", ""), "/domain/title/b: may not stand among text", ERR_XML_ERROR},
    {DOMAIN("<title>a\nb</title>", ""), "line break", ERR_XML_ERROR},
    {DOMAIN("<cputune><vcpupin vcpu='0' cpuset='1-'/></cputune>", ""),
     "/domain/cputune/vcpupin/@cpuset: '1-' is not a set of numbers", ERR_XML_ERROR},
    {"<domain type='qemu'><name>a</name><memory>65536</memory><os firmware='efi'><type>hvm</type></os></domain>",
     "needs ACPI", ERR_CONFIG_UNSUPPORTED},
    {DOMAIN("", "<serial type='pty'/><serial type='pty'/><serial type='pty'/><serial type='pty'/><serial type='pty'/>"),
     "has 5 ISA serial ports", ERR_CONFIG_UNSUPPORTED},
    {DOMAIN("<vcpu>1</vcpu><vcpu>2</vcpu>", ""), "/domain/vcpu[2]: may stand there only once", ERR_XML_ERROR},
    {DOMAIN("<vcpu>-1</vcpu>", ""), "/domain/vcpu: '-1' is not a number of 0 or more", ERR_XML_ERROR},
    {DOMAIN("", "<disk><driver cache='foo'/><target dev='vda'/></disk>"),
     "/domain/devices/disk/driver/@cache: 'foo' is not one of: default, none, writethrough", ERR_XML_ERROR},
    {DOMAIN("", DISK("virtio", "vda") "<disk/>"), "/domain/devices/disk[2]/target/@dev: is missing", ERR_NO_TARGET},
    {DOMAIN("", DISK("virtio", "vda") DISK("virtio", "vda")), "target 'vda' duplicated", ERR_XML_ERROR},
    {DOMAIN("", DISK("ide", "system")), "unknown disk name 'system'", ERR_XML_ERROR},
    {DOMAIN("", DISK("virtio", "v/../da")), "unknown disk name 'v/../da' in <target dev=...>", ERR_XML_ERROR},
    {DOMAIN("", DISK("virtio", "vda1")), "disk 'vda1' of domain 'demo': <target dev=...> names a partition",
     ERR_CONFIG_UNSUPPORTED},
    {DOMAIN("", "<interface type='user'/><interface type='user'><model type='warp,x=1'/></interface>"),
     "interface 2 of domain 'demo': <model type='warp,x=1'> is no model name", ERR_INVALID_ARG},
    {DOMAIN("", "<disk><target dev='vda'/></disk>"), "has no source", ERR_NO_SOURCE},
    {DOMAIN("", "<disk type='network'><source name='x'/><target dev='vda'/></disk>"), "@protocol: is missing",
     ERR_XML_ERROR},
    {DOMAIN("", "<interface type='bridge'/>"), "/domain/devices/interface/source/@bridge: is missing", ERR_XML_ERROR},
    {DOMAIN("", "<interface type='user'><mac address='52:54:00'/></interface>"), "'52:54:00' is not a MAC",
     ERR_XML_ERROR},
    {DOMAIN("", "<interface type='user'><mac address='01:00:00:00:00:01'/></interface>"), "multicast", ERR_XML_ERROR},
    {DOMAIN("", "<serial type='tcp'/>"), "needs a port", ERR_XML_ERROR},
    {DOMAIN("", "<graphics type='vnc' port='70000'/>"), "70000 is not a port", ERR_XML_ERROR},
    {DOMAIN("", "<controller type='pci' index='0' model='pcie-root'/>"), "needs a pci-root", ERR_XML_ERROR},
    {DOMAIN("", "<controller type='scsi' index='1'/><controller type='scsi' index='1'/>"), "two scsi controllers",
     ERR_XML_ERROR},
    {DOMAIN("", "<rng model='virtio'><backend model='random'/><address type='pci' slot='0x20'/></rng>"),
     "/@slot: 32 is more than the limit of 31", ERR_XML_ERROR},
    {DOMAIN("", "<memballoon model='virtio'><address type='pci' slot='5'/></memballoon>"
                "<watchdog model='i6300esb'><address type='pci' slot='5'/></watchdog>"),
     "PCI address 0000:00:05.0 of domain 'demo' is used by", ERR_XML_ERROR},
    {DOMAIN("", DISK("sata", "sda") "<disk><source file='/b'/><target dev='sdb' bus='sata'/>"
                "<address type='drive' unit='0'/></disk>"), "sata drive address 0:0:0:0", ERR_CONFIG_UNSUPPORTED},
    {DOMAIN("", "<memballoon model='virtio'><address type='pci' bus='9' slot='0'/></memballoon>"),
     "slot 0x00 on PCI bus 9", ERR_XML_ERROR},
    {DOMAIN("<cpu><topology sockets='2' cores='2' threads='2'/></cpu>", ""), "does not make its maximum of 1",
     ERR_CONFIG_UNSUPPORTED},
    {DOMAIN("", "<disk><source file='/a'/><target dev='vda'/><boot order='1'/></disk>"
                "<interface type='user'><boot order='1'/></interface>"), "boot order 1", ERR_CONFIG_UNSUPPORTED},
};

static void mistakes_are_named(void **state)
{
    for (size_t i = 0; i < COUNT(mistakes); i++) {
        struct error err = {0};
        struct domain_def *def = domain_parse(mistakes[i].xml, -1, DOMAIN_PARSE_INACTIVE, NULL, &err);
        if (def || !strstr(err.message, mistakes[i].words) || err.code != mistakes[i].code)
            fail_msg("%s\n  gives: %d %s\n  not: %d %s", mistakes[i].xml, err.code, def ? "(no error)" : err.message,
                     mistakes[i].code, mistakes[i].words);
    }
}

static void deep_and_large_documents_are_refused(void **state)
{
    scoped_text struct text deep = {0}, large = {0};
    text_append(&deep, "<domain type='qemu'>");
    for (int i = 0; i < 1000; i++)
        text_append(&deep, "<a>");
    struct error err = {0};
    assert_null(domain_parse(text_string(&deep), -1, 0, NULL, &err));
    assert_non_null(strstr(err.message, "deeper than"));

    memset(text_reserve(&large, 5u << 20), ' ', 5u << 20);
    large.length = 5u << 20;
    assert_null(domain_parse(large.data, (long)large.length, 0, NULL, &err));
    assert_non_null(strstr(err.message, "the limit is"));
}

/* What makes work grow faster than the document; parse() of each must end soon. */
static const struct {
    unsigned times;
    const char *before, *repeat, *after, *words;
} bombs[] = {
    {100000, "<domain type='qemu'><name>a</name>", "<x/>", "</domain>", "more than 65536 elements"},
    {5000, "<domain type='qemu'", " a%u=''", "/>", "more than 1024 attributes"},
    {5000, "<domain type='qemu'><name>a</name><devices>", "<disk><target dev='vda'/></disk>", "</devices></domain>",
     "the limit is 4096"},
    {100000, "<domain type='qemu'><name>a</name><memory>1</memory><os><type>hvm</type></os><features>", "<acpi/>",
     "</features></domain>", "more than 65536 elements"},
    {200000, "<domain type='qemu'><name>a</name><memory>1</memory><os><type>hvm</type></os><cputune>"
     "<vcpupin vcpu='0' cpuset='", "0-16383,", "1'/></cputune></domain>", NULL},
};

static void hostile_documents_end_soon(void **state)
{
    for (size_t i = 0; i < COUNT(bombs); i++) {
        scoped_text struct text xml = {0};
        text_append(&xml, bombs[i].before);
        for (unsigned count = 0; count < bombs[i].times; count++)
            strstr(bombs[i].repeat, "%u") ? text_printf(&xml, " a%u=''", count) : text_append(&xml, bombs[i].repeat);
        text_append(&xml, bombs[i].after);
        struct error err = {0};
        scoped_domain_def struct domain_def *def = domain_parse(xml.data, (long)xml.length, 0, NULL, &err);
        if (bombs[i].words ? !strstr(err.message, bombs[i].words) : !def)
            fail_msg("%s...: %s", bombs[i].repeat, err.message);
    }
    scoped_text struct text many = {0}, unknown = {0};
    text_append(&unknown, "<domain type='qemu'><name>a</name><features>");
    for (unsigned i = 0; i < 60000; i++)
        text_append(&unknown, i < 58000 ? "<acpi/>" : "<x/>");
    text_append(&unknown, "</features></domain>");
    struct error err = {0};
    assert_null(domain_parse(unknown.data, -1, 0, NULL, &err));
    assert_non_null(strstr(err.message, "more than 1000 parts that are not known"));

    text_append(&many, "<domain type='qemu'><name>a</name><memory>65536</memory><os><type>hvm</type></os><devices>");
    for (unsigned i = 0; i < 2000; i++)
        text_append(&many, "<channel type='null'><target type='virtio'/></channel>");
    text_append(&many, "</devices></domain>");
    scoped_domain_def struct domain_def *def = domain_parse(many.data, -1, 0, NULL, &err);
    if (!def)
        fail_msg("%s", err.message);
}

#define UNKNOWN                                                                                              \
    DOMAIN("<future a='1'>text &amp; more</future>",                                                         \
           "<disk type='file' shiny='yes'><driver name='qemu' type='raw' turbo='max'><deep x='&quot;'/></driver>" \
           "<novelty/><source file='/a'/><target dev='vda' bus='virtio'/></disk>")

static void unknown_parts_are_kept_in_their_place(void **state)
{
    scoped_domain_def struct domain_def *def = parse(UNKNOWN);
    scoped_text struct text paths = {0};
    domain_unknown(def, &paths);
    assert_string_equal(text_string(&paths), "/domain/future\n/domain/devices/disk/@shiny\n"
                        "/domain/devices/disk/driver/@turbo\n/domain/devices/disk/driver/deep\n"
                        "/domain/devices/disk/novelty\n");

    scoped_domain_def struct domain_def *copy = domain_edit(def);
    scoped_free char *xml = domain_format(copy, DOMAIN_XML_INACTIVE);
    assert_non_null(strstr(xml, "  </os>\n  <future a='1'>text &amp; more</future>\n"));
    assert_non_null(strstr(xml, "    <disk type='file' device='disk' shiny='yes'>\n"
                                "      <driver name='qemu' type='raw' turbo='max'>\n"
                                "        <deep x='&quot;'/>\n"
                                "      </driver>\n"
                                "      <novelty/>\n"
                                "      <source file='/a'/>\n"));

    struct error err = {0};
    assert_null(domain_parse(UNKNOWN, -1, DOMAIN_PARSE_INACTIVE | DOMAIN_PARSE_VALIDATE, NULL, &err));
    assert_int_equal(err.code, ERR_XML_INVALID_SCHEMA);
    assert_non_null(strstr(err.message, "/domain/future"));
}

/* libvirt's schema knows them; the model only carries them along. */
static void known_but_unmodelled_parts_pass_validation(void **state)
{
    static const char xml[] =
        DOMAIN("<keywrap><cipher name='aes' state='off'/></keywrap><cputune><cachetune vcpus='0'/></cputune>",
               "<filesystem><driver type='virtiofs'/><binary xattr='on'><cache mode='always'/></binary>"
               "<source dir='/a'/><target dir='b'/></filesystem>");
    struct error err = {0};
    scoped_domain_def struct domain_def *def =
        domain_parse(xml, -1, DOMAIN_PARSE_INACTIVE | DOMAIN_PARSE_VALIDATE, NULL, &err);
    if (!def)
        fail_msg("%s", err.message);
    scoped_text struct text paths = {0};
    domain_unknown(def, &paths);
    assert_string_equal(text_string(&paths), "");
    scoped_free char *out = domain_format(def, DOMAIN_XML_INACTIVE);
    assert_non_null(strstr(out, "  <cputune>\n    <cachetune vcpus='0'/>\n  </cputune>\n"));
    assert_non_null(strstr(out, "      <binary xattr='on'>\n        <cache mode='always'/>\n      </binary>\n"));
    assert_non_null(strstr(out, "  </devices>\n  <keywrap>\n    <cipher name='aes' state='off'/>\n  </keywrap>\n"));
}

static void foreign_namespaces_are_kept(void **state)
{
    scoped_domain_def struct domain_def *def = parse(
        "<domain type='qemu' xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0' xmlns:v='urn:vendor'><name>n</name>"
        "<memory>65536</memory><os><type>hvm</type></os><metadata><v:note>hi</v:note></metadata>"
        "<q:commandline><q:arg value='-S'/><q:env name='A' value='b'/></q:commandline><v:tag/></domain>");
    assert_int_equal(def->qemu_commandline->args.count, 1);
    assert_string_equal(def->qemu_commandline->args.item[0]->value, "-S");
    assert_string_equal(def->qemu_commandline->envs.item[0]->name, "A");
    scoped_free char *xml = domain_format(def, DOMAIN_XML_INACTIVE);
    assert_non_null(strstr(xml, "<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"));
    assert_non_null(strstr(xml,
                           "  <qemu:commandline>\n    <qemu:arg value='-S'/>\n    <qemu:env name='A' value='b'/>\n"));
    assert_non_null(strstr(xml, "<v:note>hi</v:note>"));
    assert_non_null(strstr(xml, "<v:tag xmlns:v=\"urn:vendor\"/>"));
}

static void secrets_and_live_state_are_shown_when_asked_for(void **state)
{
    scoped_domain_def struct domain_def *def =
        parse(DOMAIN("", "<interface type='user'/><serial type='pty'/><channel type='unix'><target type='virtio' "
                         "name='agent'/></channel><graphics type='vnc' passwd='s3cret'/>"));
    scoped_domain_def struct domain_def *live = domain_edit(def);
    live->id = (struct optional_i32){7, true};
    domain_assign_aliases(live);
    live->serials.item[0]->source.path = "/dev/pts/5";
    live->graphics.item[0]->port = 5901;
    live->channels.item[0]->source.path = "/run/domain-7-demo/agent";
    live->channels.item[0]->source.mode = CHARDEV_MODE_BIND;
    live->interfaces.item[0]->target = "vnet3";
    domain_mirror_consoles(live);

    scoped_free char *plain = domain_format(live, 0), *secure = domain_format(live, DOMAIN_XML_SECURE);
    scoped_free char *inactive = domain_format(live, DOMAIN_XML_INACTIVE);
    scoped_free char *status = domain_format(live, DOMAIN_FORMAT_STATUS);
    assert_non_null(strstr(plain, "<domain type='qemu' id='7'>"));
    assert_non_null(strstr(plain, "<console type='pty' tty='/dev/pts/5'>\n      <source path='/dev/pts/5'/>"));
    assert_non_null(strstr(plain, "<graphics type='vnc' port='5901' autoport='yes'>"));
    assert_non_null(strstr(plain, "<source mode='bind' path='/run/domain-7-demo/agent'/>"));
    assert_non_null(strstr(plain, "<target dev='vnet3'/>"));
    assert_null(strstr(plain, "s3cret"));
    assert_non_null(strstr(secure, "passwd='s3cret'"));
    assert_null(strstr(inactive, "alias"));
    assert_null(strstr(inactive, "/dev/pts"));
    assert_null(strstr(inactive, "/run/domain-7-demo"));
    assert_null(strstr(inactive, "vnet3"));
    assert_non_null(strstr(inactive, "<graphics type='vnc' port='-1' autoport='yes'>"));

    struct error err = {0};
    scoped_domain_def struct domain_def *back = domain_parse(status, -1, DOMAIN_PARSE_BARE, NULL, &err);
    assert_non_null(back);
    scoped_free char *again = domain_format(back, DOMAIN_FORMAT_STATUS);
    assert_string_equal(again, status);
}

static void an_edit_leaves_the_original(void **state)
{
    scoped_domain_def struct domain_def *def = parse(DOMAIN("<title>old</title>", DISK("virtio", "vda")));
    scoped_domain_def struct domain_def *edit = domain_edit(def);
    edit->title = arena_strdup(edit->arena, "new");
    edit->disks.item[0]->readonly = true;
    assert_string_equal(def->title, "old");
    assert_false(def->disks.item[0]->readonly);
    struct domain_def *same = domain_def_ref(edit);
    assert_ptr_equal(same, edit);
    domain_def_free(same);
    domain_def_free(NULL);
}

static void the_first_abi_difference_is_named(void **state)
{
    scoped_domain_def struct domain_def *def = parse(DOMAIN("", DISK("virtio", "vda") "<interface type='user'/>"));
    scoped_domain_def struct domain_def *other = domain_edit(def);
    struct error err = {0};
    other->title = "harmless";
    other->disks.item[0]->source.file = "/elsewhere";
    assert_int_equal(domain_abi_check(def, other, &err), 0);
    other->disks.item[0]->serial = "X1";
    assert_int_equal(domain_abi_check(def, other, &err), -1);
    assert_int_equal(err.code, ERR_CONFIG_UNSUPPORTED);
    assert_non_null(strstr(err.message, "domain/devices/disk[1]/serial is nothing in the source and 'X1'"));
    other->disks.item[0]->serial = NULL;
    other->interfaces.count = 0;
    assert_int_equal(domain_abi_check(def, other, &err), -1);
    assert_non_null(strstr(err.message, "domain/devices/interface is there 1 times"));
}

static void names_of_foreign_documents_are_not_peeked(void **state)
{
    char name[8];
    unsigned char uuid[UUID_SIZE];
    static const char *const documents[] = {
        "", "<domain type='qemu'>", "<domain type='qemu'><name>a</name>",
        "<domain type='qemu'>\n  <name>a name too long</name>\n  <uuid>11111111-2222-4333-8444-555555555555</uuid>",
        "<domain type='qemu'>\n  <name>a</name>\n  <uuid>nonsense</uuid>",
    };
    for (size_t i = 0; i < COUNT(documents); i++)
        assert_int_equal(domain_peek(documents[i], strlen(documents[i]), name, sizeof(name), uuid), -1);
    const char *good = "<!-- x -->\n<domain type='qemu'>\n  <name>a&amp;b</name>\n"
                       "  <uuid>11111111-2222-4333-8444-555555555555</uuid>\n";
    assert_int_equal(domain_peek(good, strlen(good), name, sizeof(name), uuid), 0);
    assert_string_equal(name, "a&b");
}

static void metadata_elements_are_replaced(void **state)
{
    scoped_domain_def struct domain_def *def = parse(DOMAIN("", ""));
    struct error err = {0};
    assert_null(domain_metadata_get(def, "urn:x"));
    assert_int_equal(domain_metadata_set(def, "urn:x", "x", "<note><deep/></note>", &err), 0);
    scoped_free char *note = domain_metadata_get(def, "urn:x");
    assert_string_equal(note, "<note>\n  <deep/>\n</note>");
    scoped_free char *xml = domain_format(def, DOMAIN_XML_INACTIVE);
    assert_non_null(strstr(xml,
                           "  <metadata>\n    <x:note xmlns:x=\"urn:x\">\n      <x:deep/>\n    </x:note>\n"
                            "  </metadata>\n"));
    assert_int_equal(domain_metadata_set(def, "urn:x", "x", "<broken", &err), -1);
    assert_int_equal(domain_metadata_set(def, "urn:x", NULL, NULL, &err), 0);
    assert_null(def->metadata);
}

static void sizes_have_units(void **state)
{
    static const struct {
        const char *unit;
        uint64_t bytes;
    } cases[] = {{NULL, 2048}, {"b", 2}, {"KB", 2000}, {"k", 2048}, {"KiB", 2048}, {"mb", 2000000}, {"M", 2 << 20},
                 {"G", 2ull << 30}, {"TiB", 2ull << 40}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t bytes = 0;
        assert_int_equal(size_parse(2, cases[i].unit, 1024, &bytes), 0);
        assert_int_equal(bytes, cases[i].bytes);
    }
    uint64_t bytes;
    assert_int_equal(size_parse(UINT64_MAX, "K", 1, &bytes), -1);
    assert_int_equal(size_parse(1, "", 1, &bytes), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(deep_and_large_documents_are_refused),
        cmocka_unit_test(hostile_documents_end_soon),
        cmocka_unit_test(unknown_parts_are_kept_in_their_place),
        cmocka_unit_test(known_but_unmodelled_parts_pass_validation),
        cmocka_unit_test(foreign_namespaces_are_kept),
        cmocka_unit_test(secrets_and_live_state_are_shown_when_asked_for),
        cmocka_unit_test(an_edit_leaves_the_original),
        cmocka_unit_test(the_first_abi_difference_is_named),
        cmocka_unit_test(names_of_foreign_documents_are_not_peeked),
        cmocka_unit_test(metadata_elements_are_replaced),
        cmocka_unit_test(sizes_have_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
