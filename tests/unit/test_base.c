/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/cpu_set.h"
#include "base/fiber.h"
#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/process.h"
#include "base/text.h"

/* Runs a story in a fiber until it ends. */
static void in_fiber(void (*story)(void *))
{
    struct fiber *fiber = fiber_start("test", story, NULL);
    if (fiber)
        loop_run();
}

static void words_are_quoted_for_a_shell(void **state)
{
    static const struct {
        const char *word, *quoted;
    } words[] = {{"a-b/c.d", "a-b/c.d"}, {"", "''"}, {"a b", "'a b'"}, {"it's", "'it'\\''s'"}, {"$(x)", "'$(x)'"}};
    for (size_t i = 0; i < COUNT(words); i++) {
        scoped_text struct text line = {0};
        text_append_quoted(&line, words[i].word);
        assert_string_equal(text_string(&line), words[i].quoted);
    }
}

static void words_are_written_as_xml(void **state)
{
    scoped_text struct text line = {0};
    text_append_xml(&line, "<a b=\"c\" d='e'> & \u00e9\n");
    assert_string_equal(text_string(&line), "&lt;a b=&quot;c&quot; d=&apos;e&apos;&gt; &amp; \u00e9\n");
}

static void numbers_are_read_strictly(void **state)
{
    uint64_t u = 7;
    int64_t i = 7;
    assert_int_equal(parse_u64("18446744073709551615", 10, &u), 0);
    assert_true(u == UINT64_MAX);
    static const char *const bad[] = {"", " 1", "+1", "-1", "1 ", "18446744073709551616", "x"};
    for (size_t n = 0; n < COUNT(bad); n++)
        assert_int_equal(parse_u64(bad[n], 10, &u), -1);
    assert_int_equal(parse_i64("-9223372036854775808", 10, &i), 0);
    assert_int_equal(parse_i64("--1", 10, &i), -1);
    assert_int_equal(parse_u64("0x10", 0, &u), 0);
    assert_int_equal(u, 16);
}

static void sets_are_written_in_their_shortest_form(void **state)
{
    static const char *const cases[][2] = {
        {"", ""}, {" ", ""}, {"0", "0"}, {"0,1,2", "0-2"}, {"0-3,^2", "0-1,3"}, {" 4 , 2 - 3 ", "2-4"},
        {"1-3,^1,1", "1-3"}, {"8,1-2,2", "1-2,8"}, {"1,^1", ""}, {"16383", "16383"}, {"0-16383", "0-16383"},
    };
    struct cpu_set set;
    scoped_arena struct arena *arena = arena_new();
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(cpu_set_parse(&set, cases[i][0]), 0);
        assert_string_equal(cpu_set_format(arena, &set), cases[i][1]);
    }
    static const char *const wrong[] = {"a", "1-", "-1", "3-1", "1 2", "1,,2", "1,", "^", "16384", "99999999999",
                                        "0-99999999999999999999", "1-2-3", "1--2", "^1-2"};
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_int_equal(cpu_set_parse(&set, wrong[i]), -1);
    assert_int_equal(cpu_set_parse(&set, "0-3,8"), 0);
    assert_int_equal(cpu_set_count(&set), 5);
    assert_int_equal(cpu_set_end(&set), 9);
    assert_true(cpu_set_has(&set, 8) && !cpu_set_has(&set, 4) && !cpu_set_has(&set, CPU_SET_BITS));
}

static void uuids_go_round(void **state)
{
    unsigned char uuid[UUID_SIZE];
    char string[UUID_STRING_SIZE];
    assert_int_equal(uuid_parse("C7A5FDBD-EDAF-9455-926A-D65C16DB1809", uuid), 0);
    uuid_format(uuid, string);
    assert_string_equal(string, "c7a5fdbd-edaf-9455-926a-d65c16db1809");
    assert_int_equal(uuid_parse("c7a5fdbdedaf9455926ad65c16db1809", uuid), 0);
    assert_int_equal(uuid_parse("c7a5fdbd-edaf-9455-926a-d65c16db180", uuid), -1);
    assert_int_equal(uuid_parse("c7a5fdbd-edaf-9455-926a-d65c16db18091", uuid), -1);
}

static void utf8_is_checked(void **state)
{
    assert_true(utf8_valid("h\xc3\xa4user \xe4\xbb\xae\xe6\x83\xb3", 14));
    assert_false(utf8_valid("\xc0\xaf", 2));         /* overlong */
    assert_false(utf8_valid("\xed\xa0\x80", 3));     /* surrogate */
    assert_false(utf8_valid("\xf4\x90\x80\x80", 4)); /* above U+10FFFF */
    assert_false(utf8_valid("\xe4\xbb", 2));         /* cut */
    assert_false(utf8_valid("a\0b", 3));
    assert_int_equal(nul_line("a\nb\n\0\n\0", 7), 3);
    assert_int_equal(nul_line("\0", 1), 1);
    assert_int_equal(nul_line("a\nb", 3), 0);
    assert_int_equal(nul_line(NULL, 0), 0);
}

static int order[8], steps;

static void first(void *condition)
{
    order[steps++] = 1;
    assert_int_equal(condition_wait(condition, deadline_ms(5000), NULL), 0);
    order[steps++] = 3;
    loop_stop();
}

static void a_fiber_runs_until_it_waits(void **state)
{
    struct condition condition;
    condition_init(&condition);
    steps = 0;
    fiber_start("first", first, &condition);
    order[steps++] = 2;
    condition_wake(&condition);
    assert_int_equal(steps, 2); /* waking does not run anybody */
    loop_run();
    assert_int_equal(steps, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(order[i], i + 1);
}

static void cancelled_fiber(void *result)
{
    struct error *err = result;
    await_sleep(DEADLINE_NONE, err);
    bool before = fiber_shield(true);
    assert_int_equal(await_sleep(deadline_ms(1), NULL), 0); /* cleaning up may wait */
    fiber_shield(before);
    assert_int_equal(await_sleep(deadline_ms(1), NULL), -1);
    loop_stop();
}

static void cancelling_ends_every_wait(void **state)
{
    struct error err = {0};
    fiber_cancel(fiber_start("cancelled", cancelled_fiber, &err));
    loop_run();
    assert_int_equal(err.code, ERR_OPERATION_ABORTED);
}

static void waits_time_out_story(void *unused)
{
    int ends[2];
    struct error err = {0};
    assert_int_equal(pipe(ends), 0);
    uint64_t begin = now_ns();
    assert_int_equal(await_fd(ends[0], POLLIN, deadline_ms(30), &err), -1);
    assert_int_equal(err.code, ERR_OPERATION_TIMEOUT);
    assert_true(now_ns() - begin >= 30000000);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(await_fd(ends[0], POLLIN, deadline_ms(1000), &err), POLLIN);
    close(ends[0]);
    close(ends[1]);
    loop_stop();
}

static void waits_time_out(void **state)
{
    in_fiber(waits_time_out_story);
}

static void read_when_possible(void *owner)
{
    char byte;
    assert_int_equal(await_fd(*(int *)owner, POLLIN, deadline_ms(1000), NULL), POLLIN);
    assert_int_equal(read(*(int *)owner, &byte, 1), 1);
    loop_stop();
}

/* A console's two fibers: one waits to read, the other to write, on the same descriptor. */
static void two_fibers_one_descriptor_story(void *unused)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    fiber_start("reader", read_when_possible, &ends[0]);
    assert_int_equal(await_fd(ends[0], POLLOUT, deadline_ms(1000), NULL), POLLOUT);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(await_sleep(deadline_ms(50), NULL), 0);
    close(ends[0]);
    close(ends[1]);
}

static void two_fibers_one_descriptor(void **state)
{
    in_fiber(two_fibers_one_descriptor_story);
}

static void run_argv(struct error *err, struct text *out, size_t max, uint64_t ms, const char *const *words)
{
    scoped_arena struct arena *arena = arena_new();
    struct argv *argv = argv_new(arena);
    for (; *words; words++)
        argv_add(argv, *words);
    process_run(argv, out, max, deadline_ms(ms), err);
}

static void helpers_story(void *unused)
{
    scoped_text struct text out = {0};
    struct error err = {0};
    run_argv(&err, &out, 100, 5000, (const char *const[]){"echo", "a b;$c", NULL});
    assert_int_equal(err.code, 0);
    assert_string_equal(text_string(&out), "a b;$c\n");
    run_argv(&err, &out, 100, 5000, (const char *const[]){"sh", "-c", "echo one >&2; echo two >&2; exit 3", NULL});
    assert_string_equal(err.message, "'sh' failed (exit status 3): two");
    run_argv(&err, &out, 100, 5000, (const char *const[]){"/no/such/tool", NULL});
    assert_string_equal(err.message, "cannot run '/no/such/tool': No such file or directory");
    run_argv(&err, &out, 1000, 5000, (const char *const[]){"sh", "-c", "yes", NULL});
    assert_non_null(strstr(err.message, "more than the 1000 bytes"));
    run_argv(&err, &out, 1000, 20, (const char *const[]){"sleep", "50", NULL});
    assert_int_equal(err.code, ERR_OPERATION_TIMEOUT);
    loop_stop();
}

static void helpers_are_bounded(void **state)
{
    in_fiber(helpers_story);
}

static void adoption_story(void *unused)
{
    scoped_arena struct arena *arena = arena_new();
    struct argv *argv = argv_new(arena);
    argv_add(argv, "sleep");
    argv_add(argv, "50");
    const struct process_options options = {.stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .detach = true};
    struct error err = {0};
    scoped_process struct process *child = process_spawn(argv, &options, &err);
    assert_non_null(child);
    uint64_t start = process_started(child);
    assert_true(start > 0);
    assert_null(process_adopt(process_pid(child), start + 1, &err));
    scoped_process struct process *adopted = process_adopt(process_pid(child), start, &err);
    assert_non_null(adopted);
    process_kill(adopted, SIGTERM);
    assert_int_equal(process_wait(adopted, deadline_ms(5000), &err), 0);
    assert_int_equal(process_wait(child, deadline_ms(5000), &err), 0);
    assert_string_equal(process_status_text(arena, process_status(child)), "killed by signal 15 (Terminated)");
    /* one that has ended is told from one that cannot be watched */
    assert_null(process_adopt(process_pid(child), start, &err));
    assert_int_equal(err.code, ERR_NO_SUPPORT);
    struct rlimit before, none;
    getrlimit(RLIMIT_NOFILE, &before);
    none = (struct rlimit){0, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    assert_null(process_adopt(getpid(), 1, &err));
    assert_int_equal(err.code, ERR_SYSTEM_ERROR);
    setrlimit(RLIMIT_NOFILE, &before);
    loop_stop();
}

static void a_process_is_found_again(void **state)
{
    in_fiber(adoption_story);
}

static void messages_are_utf8(void **state)
{
    struct error err = {0};
    error_set(&err, ERR_INTERNAL_ERROR, "said '%s'", "\xff" "\xe2\x82\xac" "\xe2\x82");
    assert_string_equal(err.message, "said '?" "\xe2\x82\xac" "?" "?'");
    char many[2 * ERROR_MESSAGE_MAX + 1] = "";
    for (size_t i = 0; i + 1 < sizeof many; i += 2)
        memcpy(many + i, "\xc3\xa9", 2);
    error_set(&err, ERR_INTERNAL_ERROR, "%s", many); /* the cut is in the middle of a character */
    assert_int_equal(strlen(err.message), ERROR_MESSAGE_MAX - 1);
    assert_true(utf8_valid(err.message, strlen(err.message)));
}

static void an_array_grows_with_what_it_has(void **state)
{
    scoped_arena struct arena *arena = arena_new();
    struct {
        unsigned number, zero;
    } *items = NULL;
    uint32_t capacity = 0;
    for (unsigned count = 0; count < 100; count++) {
        arena_grow(arena, items, count, capacity, 3)->number = count;
        assert_in_range(capacity, count + 1, 2 * count + 3);
    }
    for (unsigned i = 0; i < 100; i++)
        assert_true(items[i].number == i && items[i].zero == 0);
}

/* `levels` of brackets, or of objects, around `inside`. */
static char *nested(struct arena *arena, bool objects, int levels, const char *inside)
{
    scoped_text struct text text = {0};
    for (int i = 0; i < levels; i++)
        text_append(&text, objects ? "{\"a\\\"]\":" : "[");
    text_append(&text, inside);
    for (int i = 0; i < levels; i++)
        text_append(&text, objects ? "}" : "]");
    return arena_strdup(arena, text.data);
}

/* In a fiber, because its small stack is the reason for the limit: what is taken must be written and freed there. */
static void json_story(void *unused)
{
    scoped_arena struct arena *arena = arena_new();
    for (int objects = 0; objects < 2; objects++) {
        struct error err = {0};
        char *most = nested(arena, objects, JSON_DEPTH_MAX, objects ? "1" : "\"[[{\\\"[\"");
        json_t *json = json_read(most, strlen(most), &err);
        assert_non_null(json);
        scoped_free char *again = json_dumps(json, JSON_COMPACT);
        assert_string_equal(again, most);
        json_decref(json);
        for (int levels = JSON_DEPTH_MAX + 1; levels <= 2000; levels += 2000 - JSON_DEPTH_MAX - 1) {
            char *deep = nested(arena, objects, levels, "1");
            assert_null(json_read(deep, strlen(deep), &err));
            assert_int_equal(err.code, ERR_INTERNAL_ERROR);
            assert_string_equal(err.message, "it nests more than 256 levels deep");
        }
    }
    static const char *const bad[] = {"", "]]]]", "{", "[1", "\"a", "[\"\\",
                                      "{\"a\":1,\"a\":2}", "[\"\xff\"]", "1", "{} {}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error err = {0};
        assert_null(json_read(bad[i], strlen(bad[i]), &err));
        assert_non_null(strstr(err.message, "at byte"));
    }
    loop_stop();
}

static void json_is_bounded(void **state)
{
    in_fiber(json_story);
}

static void files_story(void *unused)
{
    scoped_arena struct arena *arena = arena_new();
    char directory[] = "/tmp/godwit-test-XXXXXX";
    assert_non_null(mkdtemp(directory));
    char *path = arena_printf(arena, "%s/a/b/file", directory);
    struct error err = {0};
    assert_int_equal(file_write_durable(path, "x", 1, 0600, &err), -1); /* no directory */
    assert_int_equal(directory_make(arena_printf(arena, "%s/a/b", directory), 0700, &err), 0);
    assert_int_equal(file_write_durable(path, "one", 3, 0600, &err), 0);
    assert_int_equal(file_write_durable(path, "two!", 4, 0600, &err), 0);
    size_t length;
    assert_string_equal(file_read(arena, path, 100, &length, &err), "two!");
    assert_int_equal(length, 4);
    assert_null(file_read(arena, path, 3, NULL, &err));
    char *second = arena_printf(arena, "%s/a/b/second", directory);
    assert_int_equal(file_link_durable(path, second, &err), 0);
    assert_int_equal(file_link_durable(path, second, &err), 0); /* it has that name already */
    assert_int_equal(file_remove_durable(path, &err), 0);
    assert_int_equal(file_remove_durable(path, &err), 0);
    assert_string_equal(file_read(arena, second, 100, NULL, &err), "two!");
    assert_int_equal(file_write_durable(path, "x", 1, 0600, &err), 0);
    assert_int_equal(file_link_durable(path, second, &err), -1); /* another file has it */
    scoped_text struct text ignored = {0};
    run_argv(&err, &ignored, 100, 5000, (const char *const[]){"rm", "-r", directory, NULL});
    loop_stop();
}

static void files_are_replaced(void **state)
{
    in_fiber(files_story);
}

/* Reads what comes until the line that tells how many are missing. Returns how many did come. */
static unsigned read_log(int fd, unsigned *missing)
{
    char line[256];
    unsigned lines = 0;
    size_t length = 0;
    while (await_fd(fd, POLLIN, deadline_ms(10000), NULL) > 0)
        while (read(fd, line + length, 1) == 1) {
            if (line[length] != '\n') {
                length += length < sizeof line - 1;
                continue;
            }
            line[length] = '\0';
            length = 0;
            const char *text = strchr(line, '#');
            uint32_t number;
            if (sscanf(line, "%*s %*s warning: %u lines are missing", missing) == 1)
                return lines;
            assert_non_null(text);
            assert_int_equal(parse_u32(text + 1, 10, &number), 0);
            assert_int_equal(number, lines); /* in order, and none is torn */
            lines++;
        }
    return lines;
}

static void log_into(int writing, int reading)
{
    enum { LINES = 5000 };
    int kept = dup(STDERR_FILENO);
    fcntl(reading, F_SETFL, O_NONBLOCK);
    dup2(writing, STDERR_FILENO);
    alarm(60);
    for (unsigned i = 0; i < LINES; i++)
        log_warning("a line that nobody reads for the time being #%u", i);
    alarm(0);
    unsigned missing = 0, came = read_log(reading, &missing);
    dup2(kept, STDERR_FILENO);
    close(kept);
    assert_in_range(came, 500, LINES);
    assert_int_equal(came + missing, LINES);
    close(reading);
    close(writing);
}

static void log_story(void *unused)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    log_into(ends[1], ends[0]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0); /* as journald has it */
    log_into(ends[1], ends[0]);
    loop_stop();
}

static void a_log_that_nobody_reads_stops_nobody(void **state)
{
    in_fiber(log_story);
}

static void test_base64(void **state)
{
    scoped_arena struct arena *arena = arena_new();
    static const char *const refused[] = {"Zg", "Zg=", "Z===", "=", "Zg==Zg==", "Z-m8", "Zm8=x"};
    size_t length;
    assert_string_equal(base64_encode(arena, "", 0), "");
    assert_string_equal(base64_encode(arena, "f", 1), "Zg==");
    assert_string_equal(base64_encode(arena, "fo", 2), "Zm8=");
    assert_string_equal(base64_encode(arena, "foob\xff", 5), "Zm9vYv8=");
    assert_string_equal(base64_decode(arena, "", 0, &length), "");
    assert_string_equal(base64_decode(arena, "Zm8=\n", 5, &length), "fo");
    assert_int_equal(length, 2);
    assert_memory_equal(base64_decode(arena, "Zm9v\nYv8=", 9, &length), "foob\xff", 5);
    assert_int_equal(length, 5);
    for (size_t i = 0; i < COUNT(refused); i++)
        assert_null(base64_decode(arena, refused[i], strlen(refused[i]), &length));
    assert_null(base64_decode(arena, "cGFz\0rubbish!!", 14, &length));
    assert_null(base64_decode(arena, "\0\0\0", 4, &length));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_array_grows_with_what_it_has),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(words_are_quoted_for_a_shell), cmocka_unit_test(words_are_written_as_xml),
        cmocka_unit_test(numbers_are_read_strictly), cmocka_unit_test(uuids_go_round),
        cmocka_unit_test(sets_are_written_in_their_shortest_form),
        cmocka_unit_test(utf8_is_checked),           cmocka_unit_test(a_fiber_runs_until_it_waits),
        cmocka_unit_test(cancelling_ends_every_wait), cmocka_unit_test(waits_time_out),
        cmocka_unit_test(two_fibers_one_descriptor),
        cmocka_unit_test(helpers_are_bounded),       cmocka_unit_test(a_process_is_found_again),
        cmocka_unit_test(files_are_replaced),        cmocka_unit_test(messages_are_utf8),
        cmocka_unit_test(json_is_bounded),           cmocka_unit_test(a_log_that_nobody_reads_stops_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
