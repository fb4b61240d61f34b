/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/files.h"
#include "base/loop.h"
#include "qemu/cgroup.h"
#include "qemu/spawn.h"

#define QEMU "/usr/bin/qemu-system-x86_64"

static char folder[] = "/tmp/godwit-spawn-XXXXXX";
static int closed;

static void on_event(void *owner, const char *name, json_t *data, int64_t seconds, uint32_t micros)
{
}

static void on_closed(void *owner, const struct error *reason)
{
    closed++;
}

static const struct qmp_callbacks callbacks = {on_event, on_closed};

/* A machine without anything, in a place whose sockets do not fit into sun_path. */
static struct qemu_spawn_options prepare(struct arena *arena, const char *extra)
{
    struct argv *argv = argv_new(arena);
    for (const char *const *word = (const char *const[]){QEMU, "-S", "-nodefaults", "-no-user-config", "-display",
                                                         "none", "-machine", "none", "-msg", "timestamp=on", NULL};
         *word; word++)
        argv_add(argv, *word);
    if (extra) {
        argv_add(argv, "-device");
        argv_add(argv, extra);
    }
    char *deep = arena_printf(arena, "%s/%0100d", folder, 7);
    assert_int_equal(directory_make(deep, 0700, NULL), 0);
    return (struct qemu_spawn_options){.name = "vm",
                                       .argv = argv,
                                       .monitor_path = arena_printf(arena, "%s/monitor.sock", deep),
                                       .log_path = arena_printf(arena, "%s/vm.log", folder)};
}

static void starts_and_is_found_again(void *argument)
{
    scoped_arena struct arena *arena = arena_new();
    struct qemu_spawn_options options = prepare(arena, NULL);
    scoped_qemu_spawned struct qemu_spawned vm = {0};
    struct error err = {0};
    uint64_t began = now_ns();
    assert_int_equal(qemu_spawn(&options, &callbacks, NULL, &vm, &err), 0);
    if (qemu_handshake(&vm, &options, deadline_ms(20000), &err) < 0)
        fail_msg("%s", err.message);
    print_message("spawn to first reply: %.1f ms\n", (double)(now_ns() - began) / 1e6);
    assert_true(qmp_version(vm.qmp, NULL) >= 7002000);

    /* The daemon dies: the connection goes, the socket stays. */
    qmp_free(steal(vm.qmp));
    scoped_qmp struct qmp *again = qemu_attach("vm", options.monitor_path, &callbacks, NULL, &err);
    assert_non_null(again);
    assert_int_equal(qmp_handshake(again, deadline_ms(20000), &err), 0);
    assert_int_equal(qmp_execute(again, "quit", NULL, deadline_ms(20000), &err), 0);
    assert_int_equal(process_wait(vm.process, deadline_ms(20000), &err), 0);
    assert_int_equal(process_status(vm.process), 0);
    loop_stop();
}

static void a_failed_start_says_why(void *argument)
{
    scoped_arena struct arena *arena = arena_new();
    struct qemu_spawn_options options = prepare(arena, "no-such-thing");
    scoped_qemu_spawned struct qemu_spawned vm = {0};
    struct error err = {0};
    assert_int_equal(qemu_spawn(&options, &callbacks, NULL, &vm, &err), 0);
    assert_int_equal(qemu_handshake(&vm, &options, deadline_ms(20000), &err), -1);
    assert_string_equal(err.message, "QEMU ended (exit status 1): qemu-system-x86_64: -device no-such-thing: "
                                     "'no-such-thing' is not a valid device model name");
    struct stat stat_now;
    assert_int_equal(stat(options.log_path, &stat_now), 0);
    assert_int_equal(stat_now.st_mode & 0777, 0600);
    loop_stop();
}

static void groups_come_and_go(void *argument)
{
    scoped_arena struct arena *arena = arena_new();
    struct argv *argv = argv_new(arena);
    argv_add(argv, "sleep");
    argv_add(argv, "100");
    const struct process_options options = {.stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
    scoped_process struct process *sleeper = process_spawn(argv, &options, NULL);
    /* two daemons of one host name share nothing; a daemon finds its own again */
    char *family = cgroup_family(arena, "../odd host", folder);
    assert_string_not_equal(family, cgroup_family(arena, "../odd host", "/tmp"));
    assert_string_equal(cgroup_family(arena, "h", "/tmp"), cgroup_family(arena, "h", "/usr/../tmp/"));
    assert_true(string_starts(family, "godwit/_._odd_host-"));
    char *group = cgroup_name(arena, family, 3, "a/b c");
    assert_string_equal(string_after(group, family), "/3-a_b_c");
    cgroup_place(group, process_pid(sleeper));
    char *path = cgroup_path(arena, group, "cpu");
    if (path)
        assert_non_null(strstr(
            file_read(arena, arena_printf(arena, "/proc/%d/cgroup", process_pid(sleeper)), 65536, NULL, NULL), group));
    cgroup_sweep(family); /* not this one: somebody lives in it */
    assert_true(!path || cgroup_path(arena, group, "cpu"));
    process_kill(sleeper, SIGKILL);
    process_wait(sleeper, deadline_ms(5000), NULL);
    cgroup_remove(group);
    assert_null(cgroup_path(arena, group, "cpu"));
    if (path && directory_make(path, 0755, NULL) == 0)
        cgroup_sweep(family);
    assert_null(cgroup_path(arena, group, "cpu"));
    cgroup_remove(family);
    loop_stop();
}

static void a_big_log_is_rotated(void **state)
{
    scoped_arena struct arena *arena = arena_new();
    char *path = arena_printf(arena, "%s/big.log", folder), *older = arena_printf(arena, "%s.0", path);
    for (int keep_open = 0; keep_open < 2; keep_open++) {
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(ftruncate(fd, 3 << 20), 0);
        qemu_log_rotate(path, keep_open);
        struct stat stat_now;
        assert_int_equal(fstat(fd, &stat_now), 0);
        assert_int_equal(stat_now.st_size, keep_open ? 0 : 3 << 20);
        assert_int_equal(stat(older, &stat_now), 0);
        assert_int_equal(stat_now.st_size, 3 << 20);
        close(fd);
    }
    assert_int_equal(access(arena_printf(arena, "%s.1", path), F_OK), 0);
}

static void run(void (*fiber)(void *))
{
    if (fiber_start("test", fiber, NULL))
        loop_run();
}

static void test_starts_and_is_found_again(void **state)
{
    run(starts_and_is_found_again);
}

static void test_a_failed_start_says_why(void **state)
{
    run(a_failed_start_says_why);
}

static void test_groups_come_and_go(void **state)
{
    run(groups_come_and_go);
}

static int setup(void **state)
{
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    scoped_free char *command = xprintf("rm -rf '%s'", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts_and_is_found_again),
        cmocka_unit_test(test_a_failed_start_says_why),
        cmocka_unit_test(test_groups_come_and_go),
        cmocka_unit_test(a_big_log_is_rotated),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
