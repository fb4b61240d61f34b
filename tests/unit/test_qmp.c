/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/fiber.h"
#include "base/loop.h"
#include "base/text.h"
#include "qemu/qmp.h"

#define GREETING_WITH(capabilities)                                                                           \
    "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, \"package\": \"Debian\"}," \
    " \"capabilities\": [" capabilities "]}}\r\n{\"return\": {}, \"id\":1}\r\n"
#define GREETING GREETING_WITH("")

/* The other end of the socket: the test plays QEMU. */
static struct {
    int peer;
    struct qmp *qmp;
    int events, closed;
    char last_event[32], reason[ERROR_MESSAGE_MAX];
    bool free_in_event;
} story;

static void on_event(void *owner, const char *name, json_t *data, int64_t seconds, uint32_t micros)
{
    story.events++;
    snprintf(story.last_event, sizeof story.last_event, "%s", name);
    assert_int_equal(seconds, 12);
    assert_int_equal(micros, 34);
    if (story.free_in_event)
        qmp_free(steal(story.qmp));
}

static void on_closed(void *owner, const struct error *reason)
{
    story.closed++;
    snprintf(story.reason, sizeof story.reason, "%s", reason->message);
}

static const struct qmp_callbacks callbacks = {on_event, on_closed};

static void say(const char *text)
{
    assert_int_equal(send(story.peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What QMP sent so far, without waiting; the descriptor that came along or -1. */
static const char *heard_with(int *fd)
{
    static char data[65536];
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {data, sizeof data - 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(story.peer, &message, MSG_DONTWAIT);
    data[got < 0 ? 0 : got] = '\0';
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *fd = -1;
    if (got >= 0 && header)
        memcpy(fd, CMSG_DATA(header), sizeof *fd);
    return data;
}

static const char *heard(void)
{
    int fd;
    return heard_with(&fd);
}

static void pause_ms(unsigned milliseconds)
{
    struct error err;
    await_sleep(deadline_ms(milliseconds), &err);
}

static void begin(void)
{
    int fds[2];
    memset(&story, 0, sizeof story);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    story.peer = fds[1];
    story.qmp = qmp_new(fds[0], "vm", &callbacks, NULL);
}

static void greet(void)
{
    struct error err;
    begin();
    say(GREETING);
    assert_int_equal(qmp_handshake(story.qmp, deadline_ms(1000), &err), 0);
    assert_string_equal(heard(), "{\"execute\":\"qmp_capabilities\",\"id\":1}\n");
}

static void end(void)
{
    qmp_free(steal(story.qmp));
    close(story.peer);
    pause_ms(1); /* lets the loop close what was given to it */
}

/* It says something and goes, and what it was told lies unread: the socket has data, an error and an end at once. */
static void qemu_that_ends_with_commands_unread(void *argument)
{
    struct error err;
    begin();
    struct qmp_request request = {"query-status"};
    struct qmp_batch *batch = qmp_submit(story.qmp, &request, 1);
    say(GREETING);
    close(steal_fd(&story.peer));
    assert_int_equal(qmp_collect(batch, deadline_ms(10000), &err), -1);
    assert_int_equal(story.closed, 1);
    end();
    loop_stop();
}

static void greeting_tells_the_version(void *argument)
{
    const char *package;
    greet();
    assert_int_equal(qmp_version(story.qmp, &package), 7002022);
    assert_string_equal(package, "Debian");
    assert_int_equal(qmp_unanswered_since(story.qmp), 0);
    end();
    loop_stop();
}

/* What it offers is asked for before what was submitted meanwhile, and used by those who need it. */
static void out_of_band_where_it_is_offered(void *argument)
{
    static const char *const offers[] = {GREETING, GREETING_WITH("\"oob\""), GREETING_WITH("\"x\", 7, \"oob\"")};
    for (size_t i = 0; i < COUNT(offers); i++) {
        struct error err;
        begin();
        struct qmp_request request = {"query-status"};
        struct qmp_batch *batch = qmp_submit(story.qmp, &request, 1);
        assert_string_equal(heard(), "");
        say(offers[i]);
        say("{\"return\": {}, \"id\": 2}\r\n{\"return\": {}, \"id\": 3}\r\n");
        assert_int_equal(qmp_collect(batch, deadline_ms(1000), &err), 0);
        qmp_requests_finish(&request, 1);
        scoped_free char *expected = xprintf("{\"execute\":\"qmp_capabilities\",%s\"id\":1}\n"
                                             "{\"execute\":\"query-status\",\"id\":2}\n",
                                             i ? "\"arguments\":{\"enable\":[\"oob\"]}," : "");
        assert_string_equal(heard(), expected);
        end();
    }
    loop_stop();
}

static void out_of_band_commands(void *argument)
{
    struct error err;
    begin();
    say(GREETING_WITH("\"oob\""));
    assert_int_equal(qmp_handshake(story.qmp, deadline_ms(1000), &err), 0);
    heard();
    struct qmp_request waits = {"query-block"};
    struct qmp_batch *batch = qmp_submit(story.qmp, &waits, 1);
    say("{\"return\": {}, \"id\": 3}\r\n"); /* before the one that was asked first */
    assert_int_equal(qmp_execute_oob(story.qmp, "migrate-pause", NULL, deadline_ms(1000), &err), 0);
    assert_string_equal(heard(), "{\"execute\":\"query-block\",\"id\":2}\n{\"exec-oob\":\"migrate-pause\",\"id\":3}\n");
    say("{\"return\": {}, \"id\": 2}\r\n");
    assert_int_equal(qmp_collect(batch, deadline_ms(1000), &err), 0);
    qmp_requests_finish(&waits, 1);
    end();
    loop_stop();
}

static void a_batch_goes_out_in_one_piece(void *argument)
{
    struct error err;
    greet();
    struct qmp_request requests[] = {{"query-status"}, {"stop"}, {"device_del", json_pack("{s:s}", "id", "net0")}};
    struct qmp_batch *batch = qmp_submit(story.qmp, requests, 3);
    assert_string_equal(heard(), "{\"execute\":\"query-status\",\"id\":2}\n{\"execute\":\"stop\",\"id\":3}\n"
                                 "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"net0\"},\"id\":4}\n");
    assert_true(qmp_unanswered_since(story.qmp) != 0);
    say("{\"return\": {\"status\": \"running\"}, \"id\": 2}\r\n{\"timestamp\": {\"seconds\": 12, \"microse");
    pause_ms(5);
    say("conds\": 34}, \"event\": \"STOP\"}\r\n{\"return\": {}, \"id\": 3}\r\n");
    say("{\"id\": 4, \"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"Device 'net0' not found\"}}\r\n");
    assert_int_equal(qmp_collect(batch, deadline_ms(1000), &err), 0);
    assert_int_equal(story.events, 1);
    assert_string_equal(story.last_event, "STOP");
    assert_string_equal(json_string_value(json_object_get(requests[0].reply, "status")), "running");
    assert_non_null(requests[1].reply);
    assert_int_equal(qmp_request_error(&requests[2], &err), -1);
    assert_int_equal(err.code, ERR_DEVICE_MISSING);
    assert_string_equal(err.message, "QEMU refused 'device_del': Device 'net0' not found");
    qmp_requests_finish(requests, 3);
    end();
    loop_stop();
}

static void big_numbers_keep_their_bits(void *argument)
{
    struct error err;
    greet();
    say("{\"return\": {\"a\\\"18446744073709551552\": 18446744073709551552, \"b\": 7, \"c\": -9223372036854775808,"
        " \"d\": 9223372036854775808}, \"id\": 2}\r\n");
    json_t *reply = qmp_command(story.qmp, "query-x", NULL, deadline_ms(1000), &err);
    assert_true((uint64_t)json_integer_value(json_object_get(reply, "a\"18446744073709551552")) ==
                18446744073709551552u);
    assert_int_equal(json_integer_value(json_object_get(reply, "b")), 7);
    assert_true(json_integer_value(json_object_get(reply, "c")) == INT64_MIN);
    assert_true((uint64_t)json_integer_value(json_object_get(reply, "d")) == 1ull << 63);
    json_decref(reply);
    end();
    loop_stop();
}

static void a_late_reply_is_dropped(void *argument)
{
    struct error err = {0};
    greet();
    assert_null(qmp_command(story.qmp, "query-block", NULL, deadline_ms(10), &err));
    assert_int_equal(err.code, ERR_OPERATION_TIMEOUT);
    assert_true(qmp_unanswered_since(story.qmp) != 0);
    say("{\"return\": [1], \"id\": 2}\r\n{\"return\": [2], \"id\": 3}\r\n");
    json_t *reply = qmp_command(story.qmp, "query-chardev", NULL, deadline_ms(1000), &err);
    assert_int_equal(json_integer_value(json_array_get(reply, 0)), 2);
    json_decref(reply);
    assert_int_equal(qmp_unanswered_since(story.qmp), 0);
    assert_int_equal(story.closed, 0);
    end();
    loop_stop();
}

static void a_raw_command_keeps_its_id(void *argument)
{
    struct error err;
    greet();
    say("{\"return\": {}, \"id\": 2}\r\n");
    scoped_free char *reply = qmp_raw(story.qmp, "{\"execute\":\"cont\", \"id\":\"mine\"}", deadline_ms(1000), &err);
    assert_string_equal(reply, "{\"return\":{},\"id\":\"mine\"}");
    assert_string_equal(heard(), "{\"execute\":\"cont\",\"id\":2}\n");
    say("{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"no\"}, \"id\": 3}\r\n");
    scoped_free char *refusal = qmp_raw(story.qmp, "{\"execute\":\"x\"}", deadline_ms(1000), &err);
    assert_string_equal(refusal, "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"no\"}}");
    assert_null(qmp_raw(story.qmp, "{\"execute\":", deadline_ms(1000), &err));
    assert_int_equal(err.code, ERR_INVALID_ARG);
    assert_null(qmp_raw(story.qmp, "[]", deadline_ms(1000), &err));
    end();
    loop_stop();
}

static void a_descriptor_travels_with_its_command(void *argument)
{
    struct error err;
    int fd;
    greet();
    say("{\"return\": {}, \"id\": 2}\r\n");
    json_t *reply = qmp_command_fd(story.qmp, "getfd", json_pack("{s:s}", "fdname", "m"), 2, deadline_ms(1000), &err);
    assert_non_null(reply);
    json_decref(reply);
    assert_non_null(strstr(heard_with(&fd), "getfd"));
    assert_true(fd >= 0);
    close(fd);
    end();
    loop_stop();
}

/* What ends a connection: the reason must name it, waiters fail at once, later commands too. */
static const struct {
    const char *said, *reason;
} lies[] = {
    {NULL, "closed its monitor"},
    {"hello\r\n", "no JSON"},
    {"{\"return\": {}, \"id\": 77}\r\n", "a command that it was not sent"},
    {"[]\r\n", "no reply, event or greeting"},
    {"{\"return\": {}, \"id\": \"x\"}\r\n", "a command that it was not sent"},
    {"{\"return\": \"\xff\", \"id\": 2}\r\n", "no JSON"},
};

static void lies_end_the_connection(void *argument)
{
    for (size_t i = 0; i < COUNT(lies); i++) {
        struct error err = {0};
        greet();
        struct qmp_request request = {"query-status"};
        struct qmp_batch *batch = qmp_submit(story.qmp, &request, 1);
        if (lies[i].said)
            say(lies[i].said);
        else
            shutdown(story.peer, SHUT_RDWR);
        assert_int_equal(qmp_collect(batch, deadline_ms(1000), &err), -1);
        assert_non_null(strstr(err.message, lies[i].reason));
        assert_int_equal(story.closed, 1);
        assert_non_null(strstr(story.reason, lies[i].reason));
        assert_true(qmp_is_closed(story.qmp));
        assert_null(qmp_command(story.qmp, "stop", NULL, deadline_ms(1000), &err));
        end();
    }
    loop_stop();
}

static void an_event_may_free_the_client(void *argument)
{
    greet();
    story.free_in_event = true;
    for (int i = 0; i < 3; i++)
        say("{\"event\": \"SHUTDOWN\", \"timestamp\": {\"seconds\": 12, \"microseconds\": 34}}\r\n");
    pause_ms(10);
    assert_null(story.qmp);
    assert_int_equal(story.events, 1);
    assert_int_equal(story.closed, 0);
    end();
    loop_stop();
}

static void a_hung_guest_collects_no_commands_for_ever(void *argument)
{
    struct error err = {0};
    greet();
    for (int i = 0; i < 600 && err.code != ERR_OPERATION_ABORTED; i++) {
        struct qmp_request request = {"query-status"};
        assert_int_equal(qmp_collect(qmp_submit(story.qmp, &request, 1), now_ns(), &err), -1);
        assert_int_equal(err.code, ERR_OPERATION_TIMEOUT);
    }
    assert_non_null(strstr(err.message, "has not answered 512 commands"));
    end();
    loop_stop();
}

static void a_message_without_end_is_cut_off(void *argument)
{
    static char blob[1 << 20];
    greet();
    memset(blob, 'x', sizeof blob);
    for (int i = 0; i < 20000 && !story.closed; i++) {
        if (send(story.peer, blob, sizeof blob, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
            pause_ms(1);
    }
    assert_non_null(strstr(story.reason, "longer than"));
    end();
    loop_stop();
}

static void run(void (*fiber)(void *))
{
    fiber_start("test", fiber, NULL);
    loop_run();
}

#define STORY(name)                        \
    static void test_##name(void **state)  \
    {                                      \
        run(name);                         \
    }
STORY(greeting_tells_the_version)
STORY(qemu_that_ends_with_commands_unread)
STORY(out_of_band_where_it_is_offered)
STORY(out_of_band_commands)
STORY(a_batch_goes_out_in_one_piece)
STORY(big_numbers_keep_their_bits)
STORY(a_late_reply_is_dropped)
STORY(a_raw_command_keeps_its_id)
STORY(a_descriptor_travels_with_its_command)
STORY(lies_end_the_connection)
STORY(an_event_may_free_the_client)
STORY(a_hung_guest_collects_no_commands_for_ever)
STORY(a_message_without_end_is_cut_off)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greeting_tells_the_version),
        cmocka_unit_test(test_qemu_that_ends_with_commands_unread),
        cmocka_unit_test(test_out_of_band_where_it_is_offered),
        cmocka_unit_test(test_out_of_band_commands),
        cmocka_unit_test(test_a_batch_goes_out_in_one_piece),
        cmocka_unit_test(test_big_numbers_keep_their_bits),
        cmocka_unit_test(test_a_late_reply_is_dropped),
        cmocka_unit_test(test_a_raw_command_keeps_its_id),
        cmocka_unit_test(test_a_descriptor_travels_with_its_command),
        cmocka_unit_test(test_lies_end_the_connection),
        cmocka_unit_test(test_an_event_may_free_the_client),
        cmocka_unit_test(test_a_hung_guest_collects_no_commands_for_ever),
        cmocka_unit_test(test_a_message_without_end_is_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
