/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/fiber.h"
#include "base/loop.h"
#include "base/text.h"
#include "qemu/capabilities.h"

#define QEMU "/usr/bin/qemu-system-x86_64"

static char folder[] = "/tmp/godwit-capabilities-XXXXXX";
static struct qemu_caps_cache *cache;
static const struct qemu_caps *waited[3];
static int done;

static void wait_for_it(void *slot)
{
    struct error err = {0};
    *(const struct qemu_caps **)slot = qemu_caps_get(cache, QEMU, deadline_ms(30000), &err);
    if (err.code)
        print_error("%s\n", err.message);
    if (++done == 3)
        loop_stop();
}

static void check(const struct qemu_caps *caps)
{
    assert_non_null(caps);
    assert_string_equal(caps->arch, "x86_64");
    assert_true(caps->version >= 7002000);
    assert_true(qemu_caps_has(caps, "blockdev-add"));
    assert_true(qemu_caps_has(caps, "blockdev-add.driver=qcow2"));
    assert_true(qemu_caps_has(caps, "migrate.uri"));
    assert_true(qemu_caps_has(caps, "STOP"));
    assert_false(qemu_caps_has(caps, "no-such-command"));
    assert_true(qemu_caps_has_type(caps, "virtio-net-pci"));
    assert_true(qemu_caps_has_type(caps, "memory-backend-ram"));
    assert_true(qemu_strings_have(&caps->migration_capabilities, "multifd"));
    assert_true(qemu_strings_have(&caps->migration_parameters, "downtime-limit"));
    const struct qemu_machine *pc = qemu_caps_machine(caps, "pc");
    assert_true(strncmp(pc->name, "pc-i440fx-", 10) == 0);
    assert_ptr_equal(pc, qemu_caps_machine(caps, NULL));
    assert_ptr_equal(pc, qemu_caps_machine(caps, pc->name));
    assert_string_equal(pc->default_ram_id, "pc.ram");
    assert_null(qemu_caps_machine(caps, "pdp-11"));
    const struct qemu_accel_caps *tcg = &caps->accel[QEMU_TCG];
    assert_true(tcg->usable && tcg->cpu_count > 50);
    assert_true(qemu_strings_have(&tcg->host_features, "sse2"));
    assert_null(qemu_caps_cpu(caps, QEMU_TCG, "qemu64")->blockers[0]);
    assert_string_equal(qemu_caps_cpu(caps, QEMU_TCG, "host")->blockers[0], "kvm");
}

static void one_probe_serves_all_who_wait(void **state)
{
    uint64_t began = now_ns();
    for (int i = 0; i < 3; i++)
        fiber_start("waiter", wait_for_it, &waited[i]);
    loop_run();
    print_message("probe: %.1f ms\n", (double)(now_ns() - began) / 1e6);
    check(waited[0]);
    assert_ptr_equal(waited[0], waited[1]);
    assert_ptr_equal(waited[0], waited[2]);
    print_message("in memory: %zu KiB\n", arena_footprint(waited[0]->arena) / 1024);
}

static void the_next_daemon_reads_it_from_disk(void **state)
{
    struct error err = {0};
    struct qemu_caps_cache *next = qemu_caps_cache_new(folder);
    uint64_t began = now_ns();
    const struct qemu_caps *caps = qemu_caps_get(next, QEMU, 0, &err); /* not in a fiber: cannot have probed */
    print_message("from disk: %.1f ms\n", (double)(now_ns() - began) / 1e6);
    check(caps);
    began = now_ns();
    assert_ptr_equal(caps, qemu_caps_get(next, QEMU, 0, &err));
    assert_true(now_ns() - began < 1000000);
    qemu_caps_cache_free(next);
}

static void a_damaged_file_is_as_good_as_none(void **state)
{
    struct error err = {0};
    scoped_free char *command =
        xprintf("cd %s && for f in *.json; do echo '{' > $f; done; test $(ls | wc -l) = 1", folder);
    assert_int_equal(system(command), 0);
    struct qemu_caps_cache *next = qemu_caps_cache_new(folder);
    assert_null(qemu_caps_get(next, QEMU, 0, &err));
    assert_null(qemu_caps_get(next, "/no/such/qemu", 0, &err));
    assert_non_null(strstr(err.message, "/no/such/qemu"));
    qemu_caps_cache_free(next);
}

static void not_a_qemu(void *argument)
{
    struct error err = {0};
    assert_null(qemu_caps_get(cache, "/bin/false", deadline_ms(30000), &err));
    assert_string_equal(err.message, "cannot learn what '/bin/false' can do: QEMU ended (exit status 1)");
    loop_stop();
}

static void what_is_no_qemu_is_refused(void **state)
{
    fiber_start("test", not_a_qemu, NULL);
    loop_run();
}

static void emulators_are_found_by_name(void **state)
{
    scoped_arena struct arena *arena = arena_new();
    struct qemu_emulator *found;
    size_t count = qemu_emulators(arena, NULL, &found);
    bool native = false;
    for (size_t i = 0; i < count; i++)
        native = native || (string_equal(found[i].arch, "x86_64") && string_equal(found[i].path, QEMU));
    assert_true(native);
    assert_int_equal(qemu_emulators(arena, "/no/such", &found), 0);
    assert_string_equal(qemu_default_emulator(arena, "x86_64"), QEMU);
    assert_null(qemu_default_emulator(arena, "pdp11"));
}

static int setup(void **state)
{
    cache = mkdtemp(folder) ? qemu_caps_cache_new(folder) : NULL;
    return cache ? 0 : -1;
}

static int teardown(void **state)
{
    scoped_free char *command = xprintf("rm -rf '%s'", folder);
    qemu_caps_cache_free(cache);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_probe_serves_all_who_wait), cmocka_unit_test(the_next_daemon_reads_it_from_disk),
        cmocka_unit_test(a_damaged_file_is_as_good_as_none), cmocka_unit_test(what_is_no_qemu_is_refused),
        cmocka_unit_test(emulators_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
