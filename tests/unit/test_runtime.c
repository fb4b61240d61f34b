/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/loop.h"
#include "qemu/agent_info.h"
#include "qemu/input.h"
#include "qemu/stats_proc.h"
#include "qemu/vcpu.h"

/* -- readers and tables -------------------------------------------------------------------------------------------- */

static void test_net_table(void **state)
{
    scoped_arena struct arena *arena = arena_new();
    struct net_table table;
    net_table_parse(&table, arena,
                    "Inter-|   Receive                |  Transmit\n"
                    " face |bytes    packets errs drop fifo frame compressed multicast|bytes ...\n"
                    "    lo: 10 1 2 3 0 0 0 0 20 4 5 6 0 0 0 0\n"
                    "vnet12:18446744073709551615 7 0 0 0 0 0 0 9 8 0 0 0 0 0 0\n"
                    "broken: 1 2\n");
    assert_int_equal(table.count, 2);
    const struct net_counters *lo = net_table_find(&table, "lo");
    assert_non_null(lo);
    assert_int_equal(lo->rx_bytes, 10);
    assert_int_equal(lo->rx_dropped, 3);
    assert_int_equal(lo->tx_bytes, 20);
    assert_int_equal(lo->tx_dropped, 6);
    assert_true(net_table_find(&table, "vnet12")->rx_bytes == UINT64_MAX);
    assert_null(net_table_find(&table, "vnet1"));
    assert_null(net_table_find(&table, NULL));
    net_table_parse(&table, arena, "");
    assert_int_equal(table.count, 0);
}

static void test_thread_stats(void **state)
{
    struct thread_stats stats;
    thread_stats_read(&stats, getpid(), getpid());
    assert_true(stats.cpu >= 0);
    thread_stats_read(&stats, getpid(), 1 << 30);
    assert_int_equal(stats.cpu, -1);
    assert_int_equal(stats.time_ns, 0);
}

static void test_host_cpus(void **state)
{
    assert_true(host_cpu_count() > 0);
}

static void test_keys(void **state)
{
    static const struct {
        unsigned codeset;
        uint32_t code;
        unsigned number;
    } rows[] = {
        {KEYCODE_SET_LINUX, 1, 0x01},     /* KEY_ESC */
        {KEYCODE_SET_LINUX, 100, 0xb8},   /* KEY_RIGHTALT */
        {KEYCODE_SET_LINUX, 88, 0x58},    /* KEY_F12 */
        {KEYCODE_SET_LINUX, 111, 0xd3},   /* KEY_DELETE */
        {KEYCODE_SET_LINUX, 999, 0},
        {KEYCODE_SET_USB, 0x04, 30},      /* a */
        {KEYCODE_SET_USB, 0x4c, 0xd3},    /* Delete Forward */
        {KEYCODE_SET_USB, 0x52, 0xc8},    /* Up Arrow */
        {KEYCODE_SET_USB, 0x62, 82},      /* Keypad 0 */
        {KEYCODE_SET_USB, 0xe6, 0xb8},    /* Right Alt */
        {KEYCODE_SET_USB, 0x73, 0x6f},    /* F24 */
        {KEYCODE_SET_ATSET1, 0xe038, 0xb8},
        {KEYCODE_SET_ATSET1, 0x1e, 0x1e},
        {KEYCODE_SET_QNUM, 0xd3, 0xd3},
        {KEYCODE_SET_WIN32, 65, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(key_number(rows[i].codeset, rows[i].code), rows[i].number);
    assert_false(key_codeset_known(KEYCODE_SET_WIN32));
}

/* -- an agent that lies -------------------------------------------------------------------------------------------- */

static struct {
    int ours, theirs;
    bool agent_ended;
    const char *before;  /* said before the answer to the sync */
    bool silent, wrong_id, flood;
    const char *answer;  /* to the command */
    unsigned wait_ms;
    bool sent;
    json_t *reply;
    struct error err;
} story;

static void say(const void *data, size_t length)
{
    const char *at = data;
    while (length) {
        ssize_t put = send(story.theirs, at, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put > 0) {
            at += put;
            length -= (size_t)put;
        } else if (errno != EAGAIN || await_fd(story.theirs, POLLOUT, deadline_ms(5000), NULL) < 0) {
            return;
        }
    }
}

static bool hear(char *line, size_t size)
{
    size_t length = 0;
    while (length + 1 < size && await_fd(story.theirs, POLLIN, deadline_ms(5000), NULL) >= 0 &&
           recv(story.theirs, line + length, 1, 0) == 1)
        if (line[length++] == '\n')
            break;
    line[length] = 0;
    return length > 0;
}

static void converse(void)
{
    char line[512];
    static char junk[65536];
    memset(junk, 'x', sizeof junk);
    if (!hear(line, sizeof line) || story.silent)
        return;
    const char *id = strstr(line, "\"id\":");
    if (story.before)
        say(story.before, strlen(story.before));
    for (int i = 0; story.flood && i < 200; i++)
        say(junk, sizeof junk);
    scoped_free char *sync =
        xprintf("\xff{\"return\": %lld}\n", story.wrong_id ? 7LL : strtoll(id + strlen("\"id\":"), NULL, 10));
    say(sync, strlen(sync));
    if (hear(line, sizeof line) && story.answer)
        say(story.answer, strlen(story.answer));
}

static void play_agent(void *argument)
{
    converse();
    story.agent_ended = true;
}

static void play_daemon(void *argument)
{
    story.reply = agent_exchange(story.ours, "{\"execute\":\"guest-ping\"}\n", &story.sent, story.wait_ms, &story.err);
    shutdown(story.ours, SHUT_RDWR);
    while (!story.agent_ended)
        await_sleep(deadline_ms(1), NULL);
    loop_stop();
}

static void play(unsigned wait_ms)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    story.ours = ends[0];
    story.theirs = ends[1];
    story.wait_ms = wait_ms;
    fiber_start("agent", play_agent, NULL);
    fiber_start("daemon", play_daemon, NULL);
    loop_run();
    close(ends[0]);
    close(ends[1]);
}

static void again(void)
{
    json_decref(story.reply);
    memset(&story, 0, sizeof story);
}

static void test_agent_answers(void **state)
{
    again();
    story.before = "{\"return\": \"late answer of another command\"}\n";
    story.answer = "{\"return\": {\"a\": 1}}\n";
    play(2000);
    assert_non_null(story.reply);
    assert_true(story.sent);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(story.reply, "return"), "a")), 1);
}

static void test_agent_refuses(void **state)
{
    again();
    story.answer = "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}}\n";
    play(2000);
    assert_non_null(json_object_get(story.reply, "error"));
}

static void test_agent_nests_deeply(void **state)
{
    char answer[4096];
    memset(answer, '[', 2000);
    memset(answer + 2000, ']', 2000);
    strcpy(answer + 4000, "\n");
    again();
    story.answer = answer;
    play(2000);
    assert_null(story.reply);
    assert_non_null(strstr(story.err.message, "256 levels"));
}

static void test_agent_silent(void **state)
{
    again();
    story.silent = true;
    uint64_t start = now_ns();
    play(200);
    assert_null(story.reply);
    assert_false(story.sent); /* so the command does not wait in the channel */
    assert_int_equal(story.err.code, ERR_AGENT_UNRESPONSIVE);
    assert_true(now_ns() - start < UINT64_C(2000000000));
}

static void test_agent_lies_about_the_sync(void **state)
{
    again();
    story.wrong_id = true;
    play(200);
    assert_null(story.reply);
    assert_false(story.sent);
    assert_int_equal(story.err.code, ERR_AGENT_UNRESPONSIVE);
}

static void test_agent_never_answers(void **state)
{
    again();
    play(200);
    assert_null(story.reply);
    assert_true(story.sent);
    assert_int_equal(story.err.code, ERR_AGENT_UNRESPONSIVE);
}

static void test_agent_floods(void **state)
{
    again();
    story.flood = true;
    play(20000);
    assert_null(story.reply);
    assert_int_equal(story.err.code, ERR_AGENT_UNRESPONSIVE);
    assert_non_null(strstr(story.err.message, "floods"));
}

static void test_agent_answers_rubbish(void **state)
{
    static const char *const answers[] = {
        "\n", "[1]\n", "{\n", "{\"x\": 1}\n", "\xff\xfe\n", "{\"return\": 1, \"return\": 2}\n"};
    for (size_t i = 0; i < COUNT(answers); i++) {
        again();
        story.answer = answers[i];
        play(2000);
        assert_null(story.reply);
        assert_int_equal(story.err.code, ERR_INTERNAL_ERROR);
    }
    again();
    char *nested = malloc(100001);
    memset(nested, '[', 100000);
    nested[99999] = '\n';
    nested[100000] = 0;
    story.answer = nested;
    play(2000);
    assert_null(story.reply);
    free(nested);
    again();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_net_table),
        cmocka_unit_test(test_thread_stats),
        cmocka_unit_test(test_host_cpus),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_agent_answers),
        cmocka_unit_test(test_agent_refuses),
        cmocka_unit_test(test_agent_nests_deeply),
        cmocka_unit_test(test_agent_silent),
        cmocka_unit_test(test_agent_lies_about_the_sync),
        cmocka_unit_test(test_agent_never_answers),
        cmocka_unit_test(test_agent_floods),
        cmocka_unit_test(test_agent_answers_rubbish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
