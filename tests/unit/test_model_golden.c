/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/files.h"
#include "model/address.h"
#include "model/domain.h"

/* tests/golden/define/NAME.out.xml is what Debian's libvirtd 9.0 gives back for NAME.in.xml; tests/golden/live/NAME.xml
 * what it says about the same guest while it runs; tests/golden/migratable/NAME.xml what it would send to another
 * host. */

static const char *emulator(void *owner, enum virt_type type, const char *arch)
{
    return "/usr/bin/qemu-system-x86_64";
}

static const char *machine(void *owner, const char *path, enum virt_type type, const char *name)
{
    return !name || strcmp(name, "pc") == 0 ? "pc-i440fx-7.2" : strcmp(name, "q35") == 0 ? "pc-q35-7.2" : name;
}

static const struct domain_defaults defaults = {
    .arch = "x86_64", .emulator = emulator, .machine = machine, .nvram_directory = "/var/lib/libvirt/qemu/nvram",
};

/* Files of tests/golden/FOLDER that end with suffix, without it. */
static unsigned each(const char *folder, const char *suffix, void (*check)(struct arena *arena, const char *name))
{
    scoped_arena struct arena *names = arena_new();
    DIR *directory = opendir(arena_printf(names, GOLDEN "/%s", folder));
    assert_non_null(directory);
    unsigned count = 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (!string_ends(entry->d_name, suffix))
            continue;
        scoped_arena struct arena *arena = arena_new();
        check(arena, arena_strndup(arena, entry->d_name, strlen(entry->d_name) - strlen(suffix)));
        count++;
    }
    closedir(directory);
    return count;
}

static char *read_golden(struct arena *arena, const char *folder, const char *name, const char *suffix)
{
    struct error err = {0};
    char *text = file_read(arena, arena_printf(arena, GOLDEN "/%s/%s%s", folder, name, suffix), 1 << 20, NULL, &err);
    if (!text)
        fail_msg("%s", err.message);
    size_t length = strlen(text);
    while (length > 1 && text[length - 1] == '\n' && text[length - 2] == '\n') /* virsh adds an empty line */
        text[--length] = '\0';
    return text;
}

static struct domain_def *parse(const char *name, const char *xml, unsigned flags)
{
    struct error err = {0};
    struct domain_def *def = domain_parse(xml, -1, flags, &defaults, &err);
    if (!def)
        fail_msg("%s: %s", name, err.message);
    return def;
}

static void same(const char *name, const char *what, const char *ours, const char *expected)
{
    if (strcmp(ours, expected) == 0)
        return;
    size_t at = 0;
    unsigned line = 1;
    for (; ours[at] == expected[at]; at++)
        line += ours[at] == '\n';
    while (at > 0 && ours[at - 1] != '\n')
        at--;
    fail_msg("%s, %s, line %u:\n  ours: %.*s\n  peer: %.*s", name, what, line, (int)strcspn(ours + at, "\n"), ours + at,
             (int)strcspn(expected + at, "\n"), expected + at);
}

static void define_agrees(struct arena *arena, const char *name)
{
    const char *expected = read_golden(arena, "define", name, ".out.xml");
    scoped_domain_def struct domain_def *def =
        parse(name, read_golden(arena, "define", name, ".in.xml"), DOMAIN_PARSE_INACTIVE);
    scoped_free char *xml = domain_format(def, DOMAIN_XML_INACTIVE);
    same(name, "defined", xml, expected);

    scoped_domain_def struct domain_def *again = parse(name, xml, DOMAIN_PARSE_INACTIVE);
    scoped_free char *second = domain_format(again, DOMAIN_XML_INACTIVE); /* controllers are now sorted */
    scoped_domain_def struct domain_def *third = parse(name, second, DOMAIN_PARSE_INACTIVE);
    scoped_free char *last = domain_format(third, DOMAIN_XML_INACTIVE);
    same(name, "defined again", last, second);

    scoped_domain_def struct domain_def *copy = domain_edit(def);
    scoped_free char *copied = domain_format(copy, DOMAIN_XML_INACTIVE);
    same(name, "copied", copied, expected);

    struct error err = {0};
    if (domain_abi_check(again, third, &err) < 0)
        fail_msg("%s differs from itself: %s", name, err.message);
    char found[256];
    unsigned char uuid[UUID_SIZE];
    assert_int_equal(domain_peek(xml, strlen(xml), found, sizeof(found), uuid), 0);
    assert_string_equal(found, def->name);
    assert_memory_equal(uuid, def->uuid, UUID_SIZE);
}

static void definitions_agree_with_peer(void **state)
{
    assert_true(each("define", ".out.xml", define_agrees) > 100);
}

static int alias_append(const struct device_ref *ref, void *owner)
{
    text_printf(owner, "%s %s\n", ref->kind, ref->info->alias ? ref->info->alias : "-");
    return 0;
}

static void live_agrees(struct arena *arena, const char *name)
{
    const char *expected = read_golden(arena, "live", name, ".xml");
    scoped_domain_def struct domain_def *live = parse(name, expected, DOMAIN_PARSE_BARE);
    assert_true(live->id.set);
    scoped_free char *xml = domain_format(live, 0);
    same(name, "live", xml, expected);

    /* the aliases that we would give to the same guest */
    scoped_domain_def struct domain_def *def =
        parse(name, read_golden(arena, "define", name, ".in.xml"), DOMAIN_PARSE_INACTIVE);
    domain_assign_aliases(def);
    scoped_text struct text ours = {0}, peers = {0};
    devices_visit(def, alias_append, &ours);
    devices_visit(live, alias_append, &peers);
    same(name, "aliases", text_string(&ours), text_string(&peers));
}

static void live_documents_agree_with_peer(void **state)
{
    assert_true(each("live", ".xml", live_agrees) > 0);
}

static void migratable_agrees(struct arena *arena, const char *name)
{
    scoped_domain_def struct domain_def *def =
        parse(name, read_golden(arena, "define", name, ".in.xml"), DOMAIN_PARSE_INACTIVE);
    scoped_free char *xml = domain_format(def, DOMAIN_XML_INACTIVE | DOMAIN_XML_MIGRATABLE);
    same(name, "migratable", xml, read_golden(arena, "migratable", name, ".xml"));

    struct error err = {0};
    scoped_domain_def struct domain_def *arrived = parse(name, xml, DOMAIN_PARSE_INACTIVE);
    if (domain_abi_check(def, arrived, &err) < 0)
        fail_msg("%s: %s", name, err.message);
}

static void migratable_documents_agree_with_peer(void **state)
{
    assert_true(each("migratable", ".xml", migratable_agrees) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(definitions_agree_with_peer),
        cmocka_unit_test(live_documents_agree_with_peer),
        cmocka_unit_test(migratable_documents_agree_with_peer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
