/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A server of src/rpc against bytes that no client of ours would send, or would not read. */
#include "server_fixture.h"

#include <string.h>
#include <unistd.h>

#include "base/loop.h"
#include "handlers.h"
#include "wire_tables.h"

static int raw;

static void raw_fiber(void *argument)
{
    void (*body)(void) = *(void (**)(void))argument;
    start_server(&(struct server_options){.programs = programs, .client_opened = opened, .max_queue = 300000,
                                          .keepalive_interval_s = 1, .keepalive_count = 1});
    raw = adopt_client(false);
    body();
    close(raw);
    stop();
}

static void run_raw(void (*body)(void))
{
    fiber_start("test", raw_fiber, &body);
    loop_run();
    assert_int_equal(released, 1);
}

static size_t raw_call(uint8_t *to, uint32_t prog, int32_t proc, int32_t type, size_t body)
{
    struct wire_msg_header header = {.prog = prog, .vers = 1, .proc = proc, .type = type, .serial = 1};
    message_header(to, &header, body);
    return MESSAGE_HEADER_SIZE;
}

static void expect_close(const void *data, size_t length)
{
    uint8_t byte[64];
    assert_int_equal(write(raw, data, length), length);
    nap(20);
    assert_int_equal(read(raw, byte, sizeof byte), 0);
    assert_int_equal(server_client_count(server), 0);
}

static void too_short(void)
{
    expect_close("\0\0\0\033", 4);
}

static void too_long(void)
{
    expect_close("\002\0\0\005", 4);
}

static void unknown_type(void)
{
    uint8_t bytes[MESSAGE_HEADER_SIZE];
    expect_close(bytes, raw_call(bytes, program_remote.number, PROC_CONNECT_GET_HOSTNAME, 9, 0));
}

static void not_a_call(void)
{
    uint8_t bytes[MESSAGE_HEADER_SIZE];
    expect_close(bytes, raw_call(bytes, program_remote.number, PROC_CONNECT_GET_HOSTNAME, WIRE_MSG_TYPE_REPLY, 0));
}

static void missing_descriptors(void)
{
    uint8_t bytes[MESSAGE_HEADER_SIZE + 5] = {0};
    raw_call(bytes, program_remote.number, PROC_CONNECT_GET_HOSTNAME, WIRE_MSG_TYPE_CALL_WITH_FDS, 4);
    bytes[MESSAGE_HEADER_SIZE + 3] = 1;
    expect_close(bytes, sizeof bytes);
}

static void too_many_descriptors(void)
{
    uint8_t bytes[MESSAGE_HEADER_SIZE + 4] = {0};
    raw_call(bytes, program_remote.number, PROC_CONNECT_GET_HOSTNAME, WIRE_MSG_TYPE_CALL_WITH_FDS, 4);
    bytes[MESSAGE_HEADER_SIZE + 3] = 33;
    expect_close(bytes, sizeof bytes);
}

static void byte_by_byte(void)
{
    uint8_t bytes[2 * MESSAGE_HEADER_SIZE], reply[200];
    size_t length = raw_call(bytes, program_remote.number, PROC_CONNECT_GET_HOSTNAME, WIRE_MSG_TYPE_CALL, 0);
    length += raw_call(bytes + length, program_keepalive.number, PROC_KEEPALIVE_PING, WIRE_MSG_TYPE_MESSAGE, 0);
    for (size_t i = 0; i < length; i++) {
        assert_int_equal(write(raw, bytes + i, 1), 1);
        nap(1);
    }
    /* the reply with "test-host", and the pong */
    assert_int_equal(read(raw, reply, sizeof reply), MESSAGE_HEADER_SIZE + 4 + 12 + MESSAGE_HEADER_SIZE);
    assert_int_equal(reply[MESSAGE_HEADER_SIZE + 4 + 12 + 15], PROC_KEEPALIVE_PONG);
}

static void undecodable_body(void)
{
    uint8_t bytes[MESSAGE_HEADER_SIZE], reply[500];
    size_t length = raw_call(bytes, program_remote.number, PROC_DOMAIN_LOOKUP_BY_NAME, WIRE_MSG_TYPE_CALL, 0);
    assert_int_equal(write(raw, bytes, length), length);
    nap(10);
    assert_in_range(read(raw, reply, sizeof reply), 100, 500);
    assert_int_equal(reply[27], WIRE_MSG_STATUS_ERROR);
    assert_int_equal(reply[31], ERR_RPC);
    assert_int_equal(server_client_count(server), 1);
}

static void never_reads(void)
{
    const struct wire_procedure *event = wire_procedure_find(&program_remote, PROC_DOMAIN_EVENT_CALLBACK_REBOOT);
    struct domain_event_callback_reboot_event reboot = {.dom = {.name = "guest"}};
    unsigned sent = 0;
    while (server_client_count(server) && sent < 100000) {
        for (int i = 0; i < 100 && !server_client_is_closed(last_client); i++, sent++)
            server_client_send_event(last_client, event, &reboot, NULL);
        nap(1);
    }
    assert_in_range(sent, 1000, 20000);
}

static void silent(void)
{
    uint8_t ping[100];
    server_client_start_keepalive(last_client);
    nap(1100);
    assert_int_equal(read(raw, ping, sizeof ping), MESSAGE_HEADER_SIZE);
    assert_int_equal(ping[15], PROC_KEEPALIVE_PING);
    nap(1100);
    assert_int_equal(server_client_count(server), 0);
}

/* Five calls hang, more wait: a ping is answered all the same. */
static void busy_but_alive(void)
{
    uint8_t bytes[200] = {0}, reply[100];
    size_t body = 4 + 8 + 16 + 4;
    for (int i = 0; i < 10; i++) {
        raw_call(bytes, program_remote.number, PROC_DOMAIN_SUSPEND, WIRE_MSG_TYPE_CALL, body);
        bytes[MESSAGE_HEADER_SIZE + 3] = 5;
        memcpy(bytes + MESSAGE_HEADER_SIZE + 4, "guest", 5);
        assert_int_equal(write(raw, bytes, MESSAGE_HEADER_SIZE + body), MESSAGE_HEADER_SIZE + body);
    }
    size_t length = raw_call(bytes, program_keepalive.number, PROC_KEEPALIVE_PING, WIRE_MSG_TYPE_MESSAGE, 0);
    assert_int_equal(write(raw, bytes, length), length);
    nap(10);
    assert_int_equal(sleeping, 5);
    assert_int_equal(read(raw, reply, sizeof reply), MESSAGE_HEADER_SIZE);
    assert_int_equal(reply[15], PROC_KEEPALIVE_PONG);
}

#define RAW_TEST(body)                 \
    static void test_##body(void **state) \
    {                                  \
        run_raw(body);                 \
    }
RAW_TEST(too_short)
RAW_TEST(too_long)
RAW_TEST(unknown_type)
RAW_TEST(not_a_call)
RAW_TEST(missing_descriptors)
RAW_TEST(too_many_descriptors)
RAW_TEST(byte_by_byte)
RAW_TEST(undecodable_body)
RAW_TEST(never_reads)
RAW_TEST(silent)
RAW_TEST(busy_but_alive)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_too_short),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_unknown_type),
        cmocka_unit_test(test_not_a_call),
        cmocka_unit_test(test_missing_descriptors),
        cmocka_unit_test(test_too_many_descriptors),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_undecodable_body),
        cmocka_unit_test(test_never_reads),
        cmocka_unit_test(test_silent),
        cmocka_unit_test(test_busy_but_alive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
