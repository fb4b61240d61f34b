/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "base/files.h"
#include "migrate/check.h"
#include "migrate/predict.h"

/* -- the rules: two ends that fit, and what each rule says when one thing is changed ------------------------------- */

static const char good_question[] =
    "{'host': {'hostname': 'host-a', 'uuid': 'a', 'qemu_version': 7002022, 'cpu': 'EPYC 1'},"
    " 'asked_ms': 1000000, 'back_ms': 1000040,"
    " 'options': {'offline': false, 'capabilities': [{'option': '--parallel', 'capability': 'multifd', 'both': true,"
    "             'here': true}]},"
    " 'link': {'addresses': ['192.0.2.2'], 'connected': true},"
    " 'prediction': {'dirty_bps': 10485760, 'bandwidth_bps': 1048576000, 'converges': true},"
    " 'guest': {'name': 'web', 'uuid': 'u', 'state': 'running', 'type': 'kvm', 'machine': 'pc-q35-7.2',"
    "  'emulator': '/usr/bin/qemu-system-x86_64', 'memory_kib': 1048576, 'resident_kib': 1048570,"
    "  'ram_blocks_kib': [1048576], 'vcpus': 2,"
    "  'cpu': {'mode': 'host-passthrough'}, 'pinned': ['0-3,^7'], 'blocked': [], 'hostdevs': [], 'bound': [],"
    "  'virtio': [{'device': 'net0', 'vectors': 10}],"
    "  'files': [{'role': 'firmware', 'path': '/OVMF.fd'}], 'secrets': ['s1'],"
    "  'tpms': [{'model': 'tpm-crb', 'backend': 'emulator'}], 'seclabels': [{'model': 'selinux', 'static': true}],"
    "  'graphics': [{'type': 'vnc', 'listen': '0.0.0.0', 'port': 5901}],"
    "  'interfaces': [{'mac': 'm', 'type': 'bridge', 'bridge': 'br0', 'addresses': ['10.1.2.3/16']}],"
    "  'disks': [{'target': 'vda', 'type': 'file', 'path': '/i/a', 'there': '/i/a', 'format': 'qcow2', 'cache': 'none',"
    "             'chain': [{'path': '/i/base'}]},"
    "            {'target': 'vdb', 'type': 'file', 'path': '/i/b', 'there': '/j/b', 'format': 'raw', 'copied': true,"
    "             'chain': [], 'file': {'allocated': 1000}}]}}";
static const char good_answer[] =
    "{'host': {'hostname': 'host-b', 'uuid': 'b', 'cpu': 'EPYC 1', 'last_cpu': 7, 'seclabels': ['selinux'],"
    "          'swtpm': true, 'ssh_startups': 10},"
    " 'received_ms': 1000010, 'answered_ms': 1000030, 'guest': {},"
    " 'qemu': {'version': 7002022, 'kvm': true, 'machine_known': true, 'max_vcpus': 288, 'tpm_models': ['tpm-crb'],"
    "          'migration_capabilities': ['multifd']},"
    " 'cpu': {'lacks': []}, 'clients': {'count': 3, 'max': 5000},"
    " 'memory': {'available_kib': 4194304, 'swap_free_kib': 0, 'total_kib': 8388608, 'hugepages': []},"
    " 'files': [{'path': '/OVMF.fd'}], 'secrets': ['s1'], 'graphics': [{}],"
    " 'interfaces': [{'mac': 'm', 'state': 'active', 'addresses': ['10.1.9.9/16']}],"
    " 'back': {'addresses': ['192.0.2.1']}, 'listener': {'host': 'host-b', 'port': 49152},"
    " 'disks': [{'target': 'vda', 'writable': true, 'same': true, 'qcow2': true, 'chain': [{'path': '/i/base'}]},"
    "           {'target': 'vdb', 'available': 2000}]}";

static json_t *document(const char *text)
{
    scoped_free char *quoted = xstrdup(text);
    struct error err;
    for (char *at = quoted; *at; at++)
        *at = *at == '\'' ? '"' : *at;
    json_t *json = json_read(quoted, strlen(quoted), &err);
    if (!json)
        fail_msg("%s: %s", err.message, text);
    return json;
}

static json_t *changed(const char *base, const char *change)
{
    json_t *json = document(base);
    scoped_json json_t *update = document(change ? change : "{}");
    assert_int_equal(json_object_update_recursive(json, update), 0);
    return json;
}

#define DISK "'disks': [{'target': 'vda', 'type': 'file', 'path': '/i/a', 'there': '/i/a', 'format': 'qcow2', " \
             "'chain': [{'path': '/i/base'}], "
#define THERE "{'disks': [{'target': 'vda', "

static const struct {
    const char *id, *question, *answer, *result, *words; /* words: somewhere in the finding */
} breaks[] = {
    {"state", "{'guest': {'state': 'shut off'}}", NULL, "fail", "--offline"},
    {"state", "{'guest': {'state': 'crashed'}}", NULL, "fail", "crashed"},
    {"same-host", NULL, "{'host': {'uuid': 'a'}}", "fail", "same host UUID"},
    {"name-free", NULL, "{'guest': {'name_holder': 'other-uuid'}}", "fail", "other-uuid"},
    {"name-free", NULL, "{'guest': {'state': 'running'}}", "fail", "must not run twice"},
    {"blockers", "{'guest': {'blocked': ['State blocked by device nvme']}}", NULL, "fail", "nvme"},
    {"host-devices", "{'guest': {'hostdevs': ['pci 0000:03:00.0']}}", NULL, "fail", "pci 0000:03:00.0"},
    {"host-bound", "{'guest': {'bound': ['TPM of the host']}}", NULL, "fail", "TPM of the host"},
    {"vectors", "{'guest': {'virtio': [{'device': 'net3', 'vectors': 34}]}}", NULL, "warn", "net3"},
    {"tcg-dirty", "{'guest': {'type': 'qemu'}}", NULL, "warn", "1048568 KiB"},
    {"emulator", NULL, "{'qemu': {'error': 'no such file'}}", "fail", "no such file"},
    {"machine", NULL, "{'qemu': {'machine_known': false}}", "fail", "pc-q35-7.2"},
    {"qemu-older", NULL, "{'qemu': {'version': 6002000}}", "warn", "QEMU 6.2.0"},
    {"qemu-newer", NULL, "{'qemu': {'version': 9000000}}", "note", "QEMU 9.0.0"},
    {"capabilities", NULL, "{'qemu': {'migration_capabilities': []}}", "fail", "multifd"},
    {"capabilities", "{'options': {'capabilities': [{'option': '--x', 'capability': 'c', 'here': false}]}}", NULL,
     "fail", "no 'c'"},
    {"name-free", NULL, "{'guest': {'other_name': 'wob'}}", "fail", "wob"},
    {"networks", "{'options': {'offline': true}}", "{'interfaces': [{'mac': 'm', 'state': 'not there'}]}", "warn",
     "br0"},
    {"same-host", "{'options': {'offline': true}}", "{'host': {'uuid': 'a'}}", "fail", "same host UUID"},
    {"virt-type", NULL, "{'qemu': {'kvm': false}}", "fail", "KVM"},
    {"cpu", NULL, "{'cpu': {'lacks': ['avx2', 'bmi2'], 'fits': 'Nehalem'}}", "fail", "avx2, bmi2"},
    {"cpu", NULL, "{'cpu': {'lacks': ['avx2'], 'fits': 'Nehalem'}}", "fail", "Nehalem"},
    {"cpu-passthrough", NULL, "{'host': {'cpu': 'EPYC 2'}}", "warn", "EPYC 2"},
    {"vcpus", "{'guest': {'vcpus': 300}}", NULL, "fail", "at most 288"},
    {"pinning", "{'guest': {'pinned': ['1', '4-12,^7']}}", NULL, "fail", "CPU 12"},
    {"memory", NULL, "{'memory': {'available_kib': 1000000}}", "fail", "976 MiB"},
    {"memory-room", NULL, "{'memory': {'available_kib': 1100000}}", "warn", "swapping"},
    {"hugepages", "{'guest': {'hugepages': true, 'hugepage_kib': 2048}}", NULL, "fail", "no pages of that size"},
    {"hugepages", "{'guest': {'hugepages': true, 'hugepage_kib': 2048}}",
     "{'memory': {'hugepages': [{'size_kib': 2048, 'free': 511}]}}", "fail", "511 pages"},
    {"disk-present", NULL, THERE "'error': 'no such file'}]}", "fail", "--copy-storage-all"},
    {"disk-present", NULL, THERE "'writable': false}]}", "fail", "cannot be written"},
    {"disk-present", "{'guest': {" DISK "'removable': true, 'readonly': true}]}}", THERE "'error': 'gone'}]}", "fail",
     "eject"},
    {"disk-same", NULL, THERE "'writable': true, 'same': false, 'how': 'another file'}]}", "fail", "another file"},
    {"disk-room", NULL, "{'disks': [{'target': 'vdb', 'available': 10}]}", "fail", "make room"},
    {"disk-room", NULL, "{'disks': [{'target': 'vdb', 'directory_error': 'no such directory'}]}", "fail",
     "no such directory"},
    {"disk-chain", NULL, THERE "'chain': [{'path': '/i/base', 'error': 'no such file'}]}]}", "fail", "/i/base"},
    {"disk-network", "{'guest': {'disks': [{'target': 'vda', 'servers': [{'host': 'nas', 'port': '3260'}]}]}}",
     THERE "'unreachable': 'no route'}]}", "fail", "nas port 3260"},
    {"disk-format", NULL, THERE "'qcow2': false}]}", "fail", "no qcow2"},
    {"disk-cache", "{'guest': {" DISK "'cache': 'writeback'}]}}", NULL, "warn", "writeback"},
    {"disk-flush", "{'guest': {" DISK "'cache': 'unsafe'}]}}", NULL, "fail", "unsafe"},
    {"files", NULL, "{'files': [{'path': '/OVMF.fd', 'error': 'no such file'}]}", "fail", "/OVMF.fd"},
    {"secrets", NULL, "{'secrets': ['s2']}", "fail", "s1"},
    {"tpm", NULL, "{'host': {'swtpm': false}}", "fail", "swtpm"},
    {"tpm", NULL, "{'qemu': {'tpm_models': []}}", "fail", "tpm-crb"},
    {"networks", NULL, "{'interfaces': [{'mac': 'm', 'state': 'not there'}]}", "fail", "bridge 'br0'"},
    {"networks", NULL, "{'interfaces': [{'mac': 'm', 'state': 'down'}]}", "fail", "start it"},
    {"segment", NULL, "{'interfaces': [{'mac': 'm', 'state': 'active', 'addresses': ['10.2.0.1/16']}]}", "warn",
     "10.2.0.1/16"},
    {"graphics", NULL, "{'graphics': [{'error': 'the port is taken'}]}", "fail", "0.0.0.0 port 5901"},
    {"seclabel", NULL, "{'host': {'seclabels': ['apparmor']}}", "fail", "apparmor"},
    {"resolve-there", "{'link': {'unresolved': 'Name or service not known'}}", NULL, "fail", "not known"},
    {"resolve-back", NULL, "{'back': {'error': 'Name or service not known'}}", "warn", "/etc/hosts"},
    {"resolve-back", NULL, "{'back': {'addresses': ['127.0.1.1']}}", "warn", "destination itself"},
    {"port", "{'link': {'connected': false, 'error': 'No route to host'}}", NULL, "fail", "firewalls"},
    {"port", NULL, "{'listener': {'error': 'all are taken'}}", "fail", "all are taken"},
    {"clock", "{'asked_ms': 990000, 'back_ms': 990040}", NULL, "warn", "10000 ms ahead"},
    {"clients", NULL, "{'clients': {'count': 4999}}", "warn", "4999 of 5000"},
    {"ssh-startups", NULL, "{'host': {'ssh_startups': 3}}", "note", "MaxStartups 3"},
    {"converges", "{'prediction': {'converges': false}}", NULL, "warn", "--postcopy"},
};

static json_t *judge(const char *question, const char *answer)
{
    scoped_json json_t *left = changed(good_question, question), *right = changed(good_answer, answer);
    return check_run(left, right);
}

static void what_fits_passes(void **state)
{
    scoped_json json_t *findings = judge(NULL, NULL);
    struct error err = {0};
    assert_int_equal(check_worst(findings, false), CHECK_PASS);
    assert_int_equal(check_refuse(findings, false, "web", &err), 0);
    assert_true(json_array_size(findings) >= 30);
}

static void each_rule_finds_its_fault(void **state)
{
    for (size_t i = 0; i < COUNT(breaks); i++) {
        scoped_json json_t *findings = judge(breaks[i].question, breaks[i].answer);
        bool found = false;
        for (size_t j = 0; j < json_array_size(findings); j++) {
            const json_t *finding = json_array_get(findings, j);
            if (strcmp(fact_text(finding, "id"), breaks[i].id) ||
                strcmp(fact_text(finding, "result"), breaks[i].result))
                continue;
            scoped_free char *text = json_dumps(finding, 0);
            found |= strstr(text, breaks[i].words) != NULL;
        }
        if (!found) {
            scoped_free char *all = json_dumps(findings, 0);
            fail_msg("case %zu: '%s' was not said by %s: %s", i, breaks[i].words, breaks[i].id, all);
        }
    }
}

static void every_rule_has_a_case(void **state)
{
    for (const struct check_rule *rule = check_rules; rule->id; rule++) {
        bool tested = false;
        for (size_t i = 0; i < COUNT(breaks); i++)
            tested |= strcmp(breaks[i].id, rule->id) == 0;
        if (!tested)
            fail_msg("no case breaks rule %s", rule->id);
    }
}

static void nothing_known_forbids_nothing(void **state)
{
    scoped_json json_t *question = document(good_question), *answer = document("{}");
    scoped_json json_t *half = check_run(question, answer), *none = check_run(NULL, NULL);
    scoped_json json_t *begin = check_run(question, NULL);
    assert_int_equal(check_worst(half, false), CHECK_UNKNOWN);
    assert_int_equal(json_array_size(none), 0);
    assert_true(check_worst(begin, false) <= CHECK_UNKNOWN);
}

static void nonsense_is_not_known(void **state)
{
    static const char *const texts[] = {
        "{'guest': 7, 'disks': 'x', 'host': []}",
        "{'guest': {'disks': [7, null, {'type': 'file'}], 'interfaces': [[]], 'memory_kib': 'much', 'cpu': [1]}}",
        "{'qemu': true, 'memory': {'available_kib': -1}, 'listener': {'host': 4, 'port': 'x'}, 'back': 1}",
        "{'guest': {'pinned': ['99999999999999999999', '^', 4], 'virtio': [1], 'graphics': [{'listen': 1}]}}",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        scoped_json json_t *odd = document(texts[i]), *question = document(good_question);
        scoped_json json_t *one = check_run(odd, odd), *two = check_run(question, odd);
        assert_non_null(one);
        assert_non_null(two);
    }
}

static void all_reasons_are_told_at_once(void **state)
{
    struct error err = {0};
    scoped_json json_t *findings = judge("{'guest': {'hostdevs': ['usb 1:2']}}",
                                         THERE "'writable': true, 'same': false}], 'qemu': {'machine_known': false}}");
    assert_int_equal(check_refuse(findings, false, "web", &err), -1);
    assert_non_null(strstr(err.message, "domain 'web' cannot be migrated: [host-devices]"));
    assert_non_null(strstr(err.message, "[machine]"));
    assert_non_null(strstr(err.message, "[disk-same]"));
    assert_int_equal(err.code, ERR_OPERATION_INVALID);
}

static void memory_that_the_guest_never_touched_is_not_needed(void **state)
{
    static const char *const little = "{'memory': {'available_kib': 600000}}";
    scoped_json json_t *lean = judge("{'guest': {'resident_kib': 500000}}", little);
    scoped_json json_t *locked = judge("{'guest': {'resident_kib': 500000, 'memory_at_once': true}}", little);
    assert_int_equal(check_worst(lean, false), CHECK_WARN);
    assert_int_equal(check_worst(locked, false), CHECK_FAIL);
}

static void unsafe_lets_pass_what_it_may(void **state)
{
    struct error err = {0};
    scoped_json json_t *disk = judge(NULL, THERE "'writable': true, 'same': false}]}");
    scoped_json json_t *device = judge("{'guest': {'hostdevs': ['usb 1:2']}}", NULL);
    assert_int_equal(check_refuse(disk, false, "web", &err), -1);
    assert_int_equal(err.code, ERR_MIGRATE_UNSAFE);
    assert_int_equal(check_refuse(disk, true, "web", &err), 0);
    assert_int_equal(check_worst(disk, true), CHECK_WARN);
    assert_int_equal(check_refuse(device, true, "web", &err), -1);
}

/* -- facts --------------------------------------------------------------------------------------------------------- */

static json_t *guest_of(const char *xml, const char *there_xml, uint32_t flags)
{
    struct error err = {0};
    scoped_domain_def struct domain_def *here = domain_parse(xml, -1, DOMAIN_PARSE_INACTIVE, NULL, &err);
    if (!here)
        fail_msg("%s", err.message);
    scoped_domain_def struct domain_def *there =
        there_xml ? domain_parse(there_xml, -1, DOMAIN_PARSE_INACTIVE, NULL, &err) : domain_def_ref(here);
    assert_non_null(there);
    const struct migrate_options options = {.flags = flags};
    return facts_of_guest(here, there, &options);
}

#define GUEST(inside, devices)                                                                                    \
    "<domain type='qemu'><name>web</name><uuid>4dea22b3-1d52-d8f3-2516-782e98ab3fa0</uuid>"                       \
    "<memory unit='KiB'>262144</memory><vcpu>2</vcpu><os><type arch='x86_64' machine='pc'>hvm</type></os>" inside \
    "<devices>" devices "</devices></domain>"
#define FILE_DISK(path) \
    "<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='writeback'/><source file='" path "'/>" \
    "<backingStore type='file'><format type='raw'/><source file='/i/base'/><backingStore/></backingStore>"          \
    "<target dev='vda' bus='virtio'/></disk>"

static void a_guest_is_described(void **state)
{
    scoped_json json_t *guest = guest_of(
        GUEST("<cpu mode='custom' match='exact'><model>Nehalem</model><feature policy='require' name='aes'/></cpu>"
              "<cputune><vcpupin vcpu='0' cpuset='3'/></cputune>",
              FILE_DISK("/i/a") "<interface type='bridge'><source bridge='br0'/><mac address='52:54:00:00:00:01'/>"
              "<model type='virtio'/><driver queues='16'/></interface>"
              "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/><product "
              "id='0xbeef'/></source></hostdev>"),
        GUEST("<cputune><vcpupin vcpu='0' cpuset='3'/></cputune>", FILE_DISK("/j/a")), 0);
    const json_t *disk = json_array_get(fact(guest, "disks"), 0);
    int64_t number;
    assert_string_equal(fact_text(disk, "path"), "/i/a");
    assert_string_equal(fact_text(disk, "there"), "/j/a");
    assert_string_equal(fact_text(disk, "cache"), "writeback");
    assert_string_equal(fact_text(json_array_get(fact(disk, "chain"), 0), "path"), "/i/base");
    assert_int_equal(fact_flag(disk, "copied"), -1);
    assert_true(fact_number(guest, "memory_kib", &number) && number == 262144);
    assert_string_equal(fact_item(fact(guest, "pinned"), 0), "3");
    assert_non_null(strstr(fact_text(guest, "cpu.xml"), "name='aes'"));
    assert_true(strncmp(fact_text(guest, "cpu.xml"), "<cpu ", 5) == 0);
    const json_t *vectors = fact_find(fact(guest, "virtio"), "device", "net0");
    assert_true(fact_number(vectors, "vectors", &number) && number == 34);
    assert_int_equal(json_array_size(fact(guest, "hostdevs")), 0); /* the destination's definition has none */
}

static void copied_disks_are_those_that_a_guest_writes(void **state)
{
    scoped_json json_t *guest = guest_of(
        GUEST("", FILE_DISK("/i/a") "<disk type='file' device='cdrom'><source file='/i/x.iso'/><target dev='sda' "
                                    "bus='ide'/>"
              "</disk><disk type='file' device='disk'><source file='/i/s'/><target dev='vdb' bus='virtio'/><shareable/>"
              "</disk>"), NULL, MIGRATE_NON_SHARED_DISK);
    const json_t *disks = fact(guest, "disks");
    assert_int_equal(fact_flag(fact_find(disks, "target", "vda"), "copied"), 1);
    assert_int_equal(fact_flag(fact_find(disks, "target", "sda"), "copied"), -1);
    assert_int_equal(fact_flag(fact_find(disks, "target", "vdb"), "copied"), -1);
}

static void paths_of_facts(void **state)
{
    scoped_json json_t *json = document("{'a': {'b': {'c': 'x'}}, 'n': null, 'l': ['p', 3]}");
    assert_string_equal(fact_text(json, "a.b.c"), "x");
    assert_null(fact(json, "a.b.c.d"));
    assert_null(fact(json, "n"));
    assert_null(fact(NULL, "a"));
    assert_string_equal(fact_item(fact(json, "l"), 1), "");
    assert_string_equal(fact_item(fact(json, "l"), 9), "");
    assert_true(fact_list_has(fact(json, "l"), "p"));
    assert_false(fact_list_has(fact(json, "l"), "q"));
}

/* -- predictions --------------------------------------------------------------------------------------------------- */

#define MIB 1048576ull

static void an_idle_guest_takes_one_pass(void **state)
{
    struct prediction idle = prediction_make(&(struct prediction_wish){256 * MIB, 0, 1024 * MIB, 20, 300});
    assert_true(idle.converges);
    assert_int_equal(idle.passes, 1);
    assert_in_range(idle.total_ms, 250, 600);
    assert_in_range(idle.pause_ms, 0, 30);
}

static void a_busy_guest_takes_more(void **state)
{
    struct prediction busy = prediction_make(&(struct prediction_wish){4096 * MIB, 500 * MIB, 1000 * MIB, 20, 300});
    assert_true(busy.converges);
    assert_true(busy.passes > 3);
    assert_in_range(busy.total_ms, 8000, 9500); /* 4096 / (1000 - 500) seconds */
    assert_in_range(busy.pause_ms, 1, 40);
}

static void what_dirties_faster_than_the_link_never_ends(void **state)
{
    struct prediction never = prediction_make(&(struct prediction_wish){4096 * MIB, 1200 * MIB, 1000 * MIB, 20, 300});
    assert_false(never.converges);
    struct prediction unknown = prediction_make(&(struct prediction_wish){4096 * MIB, 0, 0, 20, 300});
    assert_false(unknown.converges);
}

/* -- documentation ------------------------------------------------------------------------------------------------- */

static void every_rule_is_documented(void **state)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_text struct text rules = {0};
    struct error err;
    char *page = file_read(arena, DOCS "/migration.md", 1 << 20, NULL, &err);
    check_document(&rules);
    if (!page || !strstr(page, text_string(&rules)))
        fail_msg("docs/migration.md does not have the table that `test_check --document` prints");
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--document") == 0) {
        scoped_text struct text rules = {0};
        check_document(&rules);
        fputs(text_string(&rules), stdout);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_passes),
        cmocka_unit_test(each_rule_finds_its_fault),
        cmocka_unit_test(every_rule_has_a_case),
        cmocka_unit_test(nothing_known_forbids_nothing),
        cmocka_unit_test(nonsense_is_not_known),
        cmocka_unit_test(all_reasons_are_told_at_once),
        cmocka_unit_test(memory_that_the_guest_never_touched_is_not_needed),
        cmocka_unit_test(unsafe_lets_pass_what_it_may),
        cmocka_unit_test(a_guest_is_described),
        cmocka_unit_test(copied_disks_are_those_that_a_guest_writes),
        cmocka_unit_test(paths_of_facts),
        cmocka_unit_test(an_idle_guest_takes_one_pass),
        cmocka_unit_test(a_busy_guest_takes_more),
        cmocka_unit_test(what_dirties_faster_than_the_link_never_ends),
        cmocka_unit_test(every_rule_is_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
