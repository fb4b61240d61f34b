/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Server and client of src/rpc on one loop, over a socket pair, with a handful of handlers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/fiber.h"
#include "base/loop.h"
#include "client_stubs.h"
#include "handlers.h"
#include "rpc/client.h"
#include "rpc/connection.h"
#include "rpc/server.h"
#include "wire_tables.h"

#define WAIT deadline_ms(10000)

static struct server *server;
static struct client *client;
static int client_fd;
static struct server_client *last_client;
static unsigned sleeping, most_sleeping, cancelled, released, events_seen;
static struct condition awake;
static char last_event[64];
static uint64_t stream_bytes;
static bool client_lost;
static struct stream *console;

/* -- handlers ------------------------------------------------------------------------------------------------------ */

int handle_connect_get_hostname(struct call *call, struct connect_get_hostname_ret *ret, struct error *err)
{
    ret->hostname = arena_strdup(call->arena, "test-host");
    return 0;
}

int handle_domain_lookup_by_name(struct call *call, const struct domain_lookup_by_name_args *args,
                                 struct domain_lookup_by_name_ret *ret, struct error *err)
{
    if (strcmp(args->name, "guest") != 0)
        return error_set(err, ERR_NO_DOMAIN, "no domain with the name '%s'", args->name);
    ret->dom = (struct wire_domain){.name = args->name, .id = 7};
    return 0;
}

/* Sleeps until it is woken or cancelled. */
int handle_domain_suspend(struct call *call, const struct domain_suspend_args *args, struct error *err)
{
    if (++sleeping > most_sleeping)
        most_sleeping = sleeping;
    int rc = condition_wait(&awake, WAIT, err);
    sleeping--;
    if (rc < 0)
        cancelled++;
    return rc;
}

int handle_connect_get_type(struct call *call, struct connect_get_type_ret *ret, struct error *err)
{
    ret->type = NULL; /* a handler's mistake */
    return 0;
}

int handle_connect_close(struct call *call, struct error *err)
{
    server_client_close(call->client);
    return 0;
}

static void download(void *argument)
{
    struct stream *stream = argument;
    struct error err;
    static char block[300000];
    memset(block, 'x', sizeof block);
    for (int i = 0; i < 40; i++)
        assert_int_equal(stream_send(stream, block, sizeof block, WAIT, &err), 0);
    stream_send_hole(stream, 1000, WAIT, &err);
    assert_int_equal(stream_finish(stream, WAIT, &err), 0);
    stream_free(stream);
}

int handle_storage_vol_download(struct call *call, const struct storage_vol_download_args *args, struct error *err)
{
    struct stream *stream = call_open_stream(call, err);
    if (!stream)
        return -1;
    fiber_start("download", download, stream);
    return 0;
}

static void upload(void *argument)
{
    struct stream *stream = argument;
    struct error err = {0};
    char block[65536];
    ssize_t got;
    int64_t hole;
    while ((got = stream_receive(stream, block, sizeof block, &hole, WAIT, &err)) > 0 || hole)
        stream_bytes += (uint64_t)got + (uint64_t)hole;
    if (got == 0 && stream_bytes == 13)
        stream_fail(stream, &(struct error){ERR_OPERATION_FAILED, "no unlucky numbers"});
    else if (got == 0)
        assert_int_equal(stream_finish(stream, WAIT, &err), 0);
    stream_free(stream);
}

int handle_storage_vol_upload(struct call *call, const struct storage_vol_upload_args *args, struct error *err)
{
    stream_bytes = 0;
    struct stream *stream = call_open_stream(call, err);
    if (!stream)
        return -1;
    fiber_start("upload", upload, stream);
    return 0;
}

static void echo(void *argument)
{
    console = argument;
    char block[1000];
    ssize_t got;
    while ((got = stream_receive(console, block, sizeof block, NULL, DEADLINE_NONE, NULL)) > 0)
        stream_send(console, block, (size_t)got, WAIT, NULL);
    if (got == 0)
        stream_finish(console, WAIT, NULL);
    stream_free(steal(console));
}

int handle_domain_open_console(struct call *call, const struct domain_open_console_args *args, struct error *err)
{
    struct stream *stream = call_open_stream(call, err);
    if (!stream)
        return -1;
    if (args->dev_name) {
        stream_free(stream);
        return error_set(err, ERR_INVALID_ARG, "no device '%s'", args->dev_name);
    }
    fiber_start("echo", echo, stream);
    return 0;
}

/* Gives back what it got, with the number of descriptors as the result. */
int handle_qemu_domain_monitor_command_with_files(struct call *call,
                                                  const struct qemu_domain_monitor_command_with_files_args *args,
                                                  struct qemu_domain_monitor_command_with_files_ret *ret,
                                                  struct error *err)
{
    ret->result = arena_printf(call->arena, "%zu", call->fd_count);
    for (size_t i = 0; i < call->fd_count; i++)
        if (call_send_fd(call, steal_fd(&call->fds[i]), err) < 0)
            return -1;
    return 0;
}

/* -- set-up -------------------------------------------------------------------------------------------------------- */

static void opened(struct server_client *which)
{
    last_client = which;
    server_client_set_data(which, &released, NULL);
}

static void count_release(void *data)
{
    (*(unsigned *)data)++;
}

static void event_came(void *owner, const struct wire_procedure *procedure, const void *event, struct arena *arena)
{
    const struct domain_event_callback_reboot_event *reboot = event;
    events_seen++;
    snprintf(last_event, sizeof last_event, "%s %d %s", procedure->name, reboot->callback_id, reboot->dom.name);
}

static void lost(void *owner, const struct error *reason)
{
    client_lost = true;
}

static const struct server_program programs[] = {
    {&program_remote, remote_handlers}, {&program_qemu, qemu_handlers}, {0}};

static void start_server(const struct server_options *options)
{
    condition_init(&awake);
    sleeping = most_sleeping = cancelled = released = events_seen = 0;
    client_lost = false;
    server = server_new(options);
}

static void connect_client(bool readonly)
{
    static const struct client_events events = {event_came, lost};
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    server_client_set_data(server_adopt(server, pair[0], readonly), &released, count_release);
    client_fd = pair[1];
    client = client_new(client_fd, &events, NULL);
}

static void nap(uint64_t milliseconds)
{
    assert_int_equal(await_sleep(deadline_ms(milliseconds), NULL), 0);
}

struct scenario {
    void (*run)(void);
    bool readonly, raw;
};

static void stop(void)
{
    server_stop_listening(server);
    for (int i = 0; i < 200 && server_client_count(server); i++)
        nap(5);
    assert_int_equal(server_client_count(server), 0);
    server_free(server);
    loop_stop();
}

static void scenario_fiber(void *argument)
{
    const struct scenario *scenario = argument;
    start_server(&(struct server_options){.programs = programs, .client_opened = opened, .keepalive_interval_s = 5,
                                          .keepalive_count = 5});
    connect_client(scenario->readonly);
    scenario->run();
    client_free(steal(client));
    stop();
}

static void run(struct scenario scenario)
{
    fiber_start("test", scenario_fiber, &scenario);
    loop_run();
    assert_int_equal(released, 1);
}

/* -- calls --------------------------------------------------------------------------------------------------------- */

static void calls(void)
{
    scoped_arena struct arena *arena = arena_new();
    struct error err;
    struct connect_get_hostname_ret name;
    assert_int_equal(remote_connect_get_hostname(client, arena, &name, &err), 0);
    assert_string_equal(name.hostname, "test-host");

    struct domain_lookup_by_name_ret found;
    assert_int_equal(remote_domain_lookup_by_name(client, &(struct domain_lookup_by_name_args){"guest"}, arena, &found,
                                                  &err), 0);
    assert_int_equal(found.dom.id, 7);
    assert_int_equal(remote_domain_lookup_by_name(client, &(struct domain_lookup_by_name_args){"none"}, arena, &found,
                                                  &err), -1);
    assert_int_equal(err.code, ERR_NO_DOMAIN);
    assert_string_equal(err.message, "no domain with the name 'none'");

    /* no handler: an error that clients take as "not supported" */
    struct connect_get_uri_ret uri;
    assert_int_equal(remote_connect_get_uri(client, arena, &uri, &err), -1);
    assert_int_equal(err.code, ERR_NO_SUPPORT);
    assert_string_equal(err.message, "unknown procedure: 110 (connect-get-uri is not supported)");

    /* what a handler left out costs only that call */
    struct connect_get_type_ret type;
    assert_int_equal(remote_connect_get_type(client, arena, &type, &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL_ERROR);
    assert_non_null(strstr(err.message, "connect-get-type results: type: a required string is missing"));

    struct admin_connect_get_lib_version_ret version;
    assert_int_equal(remote_admin_connect_get_lib_version(client, arena, &version, &err), -1);
    assert_int_equal(err.code, ERR_RPC);
    assert_string_equal(err.message, "unknown program 0x6900690");
}

static void test_calls(void **state)
{
    run((struct scenario){calls});
}

static void readonly_calls(void)
{
    scoped_arena struct arena *arena = arena_new();
    struct error err;
    struct connect_get_hostname_ret name;
    assert_int_equal(remote_connect_get_hostname(client, arena, &name, &err), 0);
    assert_int_equal(remote_domain_suspend(client, &(struct domain_suspend_args){{"guest"}}, &err), -1);
    assert_int_equal(err.code, ERR_OPERATION_DENIED);
    assert_string_equal(err.message, "operation denied: domain-suspend is not allowed on a read-only connection");
}

static void test_readonly(void **state)
{
    run((struct scenario){readonly_calls, .readonly = true});
}

static unsigned suspended_ok, suspended_failed;

static void suspender(void *argument)
{
    struct error err;
    if (remote_domain_suspend(client, &(struct domain_suspend_args){{"guest"}}, &err) == 0)
        suspended_ok++;
    else
        suspended_failed++;
}

static void many_calls(void)
{
    suspended_ok = 0;
    for (int i = 0; i < 100; i++)
        fiber_start("suspender", suspender, NULL);
    nap(50);
    assert_int_equal(sleeping, 5); /* the others wait, some in the server and the rest in the socket */
    assert_in_range(server_client_calls(last_client), 37, 100);
    for (int i = 0; i < 100 && suspended_ok < 100; i++) {
        condition_wake(&awake);
        nap(2);
    }
    assert_int_equal(suspended_ok, 100);
    assert_int_equal(most_sleeping, 5);
}

static void test_many_calls(void **state)
{
    run((struct scenario){many_calls});
}

static void client_goes(void)
{
    suspended_failed = 0;
    for (int i = 0; i < 10; i++)
        fiber_start("suspender", suspender, NULL);
    nap(20);
    assert_int_equal(sleeping, 5);
    client_free(steal(client));
    nap(20);
    assert_int_equal(suspended_failed, 10);
    assert_int_equal(cancelled, 5);
    assert_int_equal(sleeping, 0);
}

static void test_client_goes(void **state)
{
    run((struct scenario){client_goes});
}

static void server_goes(void)
{
    scoped_arena struct arena *arena = arena_new();
    struct error err;
    suspended_failed = 0;
    fiber_start("suspender", suspender, NULL);
    nap(20);
    server_client_close(last_client);
    nap(20);
    assert_true(client_lost);
    assert_true(client_is_closed(client));
    assert_int_equal(suspended_failed, 1);
    struct connect_get_hostname_ret name;
    assert_int_equal(remote_connect_get_hostname(client, arena, &name, &err), -1);
    assert_int_equal(err.code, ERR_SYSTEM_ERROR);
}

static void test_server_goes(void **state)
{
    run((struct scenario){server_goes});
}

static void closes(void)
{
    struct error err;
    assert_int_equal(remote_connect_close(client, &err), 0); /* the reply comes before the end */
    nap(10);
    assert_true(client_lost);
}

static void test_close(void **state)
{
    run((struct scenario){closes});
}

static void times_out(void)
{
    scoped_arena struct arena *arena = arena_new();
    struct error err;
    client_set_timeout(client, 30);
    assert_int_equal(remote_domain_suspend(client, &(struct domain_suspend_args){{"guest"}}, &err), -1);
    assert_int_equal(err.code, ERR_OPERATION_TIMEOUT);
    assert_string_equal(err.message, "no reply to domain-suspend: timed out");
    condition_wake(&awake);
    nap(10); /* the late reply belongs to nobody */
    struct connect_get_hostname_ret name;
    assert_int_equal(remote_connect_get_hostname(client, arena, &name, &err), 0);
}

static void test_timeout(void **state)
{
    run((struct scenario){times_out});
}

/* -- permission ---------------------------------------------------------------------------------------------------- */

static char rules_seen[200];

static int admit(struct call *call, const void *args, struct error *err)
{
    if (call->procedure->number == PROC_CONNECT_GET_HOSTNAME)
        return error_set(err, ERR_INTERNAL_ERROR, "not opened yet");
    return 0;
}

static int access_rule(struct call *call, const struct wire_access *rule, const void *args, struct error *err)
{
    snprintf(rules_seen + strlen(rules_seen), sizeof rules_seen - strlen(rules_seen), "%s:%s ", rule->object,
             rule->permission);
    return strcmp(rule->permission, "save") == 0 ? error_set(err, ERR_ACCESS_DENIED, "no save") : 0;
}

int handle_domain_set_vcpus_flags(struct call *call, const struct domain_set_vcpus_flags_args *args, struct error *err)
{
    return 0;
}

static void permission_fiber(void *argument)
{
    scoped_arena struct arena *arena = arena_new();
    struct error err;
    start_server(&(struct server_options){.programs = programs, .client_opened = opened, .admit = admit,
                                          .access = access_rule});
    connect_client(false);
    struct connect_get_hostname_ret name;
    assert_int_equal(remote_connect_get_hostname(client, arena, &name, &err), -1);
    assert_string_equal(err.message, "not opened yet");

    /* which rules apply depends on the flags */
    struct domain_set_vcpus_flags_args args = {.dom = {.name = "guest"}, .nvcpus = 1, .flags = 1};
    assert_int_equal(remote_domain_set_vcpus_flags(client, &args, &err), 0);
    assert_string_equal(rules_seen, "domain:write ");
    args.flags = 2;
    assert_int_equal(remote_domain_set_vcpus_flags(client, &args, &err), -1);
    assert_int_equal(err.code, ERR_ACCESS_DENIED);

    server_client_set_authenticated(last_client, false);
    assert_int_equal(remote_domain_set_vcpus_flags(client, &args, &err), -1);
    assert_int_equal(err.code, ERR_RPC);
    assert_string_equal(err.message, "authentication required");
    struct auth_list_ret types;
    assert_int_equal(remote_auth_list(client, arena, &types, &err), -1); /* let through, but nobody wrote it */
    assert_int_equal(err.code, ERR_NO_SUPPORT);
    client_free(steal(client));
    stop();
}

static void test_permission(void **state)
{
    fiber_start("test", permission_fiber, NULL);
    loop_run();
}

/* -- events and descriptors ---------------------------------------------------------------------------------------- */

static void events(void)
{
    const struct wire_procedure *reboot = wire_procedure_find(&program_remote, PROC_DOMAIN_EVENT_CALLBACK_REBOOT);
    struct domain_event_callback_reboot_event event = {.callback_id = 3, .dom = {.name = "guest"}};
    assert_int_equal(server_client_send_event(last_client, reboot, &event, NULL), 0);
    nap(10);
    assert_string_equal(last_event, "domain-event-callback-reboot 3 guest");
    struct server_event *shared = server_event_new(reboot, &event, NULL);
    server_event_send(shared, last_client, 0x01020304);
    server_event_free(shared);
    nap(10);
    assert_string_equal(last_event, "domain-event-callback-reboot 16909060 guest");
    assert_int_equal(events_seen, 2);
}

static void test_events(void **state)
{
    run((struct scenario){events});
}

static void descriptors(void)
{
    scoped_arena struct arena *arena = arena_new();
    struct error err;
    struct qemu_domain_monitor_command_with_files_args args = {.dom = {.name = "guest"}, .cmd = "x"};
    struct qemu_domain_monitor_command_with_files_ret ret;
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    int send[32];
    for (int i = 0; i < 32; i++)
        send[i] = pipes[1];
    for (size_t count = 0; count <= 32; count += 16) {
        struct client_fds fds = {.send = send, .send_count = count};
        assert_int_equal(remote_qemu_domain_monitor_command_with_files(client, &args, arena, &ret, &fds, &err), 0);
        assert_string_equal(ret.result, count == 0 ? "0" : count == 16 ? "16" : "32");
        assert_int_equal(fds.received_count, count);
        for (size_t i = 0; i < count; i++) {
            char byte = 0;
            assert_int_equal(write(fds.received[i], "y", 1), 1);
            assert_int_equal(read(pipes[0], &byte, 1), 1);
            close(fds.received[i]);
        }
    }
    close(pipes[0]);
    close(pipes[1]);
}

static void test_descriptors(void **state)
{
    run((struct scenario){descriptors});
}

/* -- streams ------------------------------------------------------------------------------------------------------- */

static void downloads(void)
{
    struct error err;
    struct stream *stream;
    static char block[100000];
    for (uint32_t sparse = 0; sparse < 2; sparse++) {
        struct storage_vol_download_args args = {.vol = {"pool", "vol", "key"}, .flags = sparse};
        assert_int_equal(remote_storage_vol_download(client, &args, &stream, &err), 0);
        nap(30); /* it is far ahead of us, but not without bounds */
        uint64_t data = 0, holes = 0;
        ssize_t got;
        int64_t hole;
        while ((got = stream_receive(stream, block, sizeof block, &hole, WAIT, &err)) > 0 || hole) {
            data += (uint64_t)got;
            holes += (uint64_t)hole;
        }
        assert_int_equal(got, 0);
        assert_int_equal(data, 40 * 300000 + (sparse ? 0 : 1000));
        assert_int_equal(holes, sparse ? 1000 : 0);
        assert_int_equal(stream_finish(stream, WAIT, &err), 0);
        stream_free(stream);
    }
}

static void test_download(void **state)
{
    run((struct scenario){downloads});
}

static void uploads(void)
{
    struct error err;
    struct stream *stream;
    static char block[5000000];
    struct storage_vol_upload_args args = {.vol = {"pool", "vol", "key"}, .flags = 1};
    assert_int_equal(remote_storage_vol_upload(client, &args, &stream, &err), 0);
    assert_int_equal(stream_send(stream, block, sizeof block, WAIT, &err), 0);
    assert_int_equal(stream_send_hole(stream, 1 << 20, WAIT, &err), 0);
    assert_int_equal(stream_finish(stream, WAIT, &err), 0);
    assert_int_equal(stream_bytes, sizeof block + (1 << 20));
    stream_free(stream);

    /* the server refuses at the end */
    assert_int_equal(remote_storage_vol_upload(client, &args, &stream, &err), 0);
    assert_int_equal(stream_send(stream, block, 13, WAIT, &err), 0);
    assert_int_equal(stream_finish(stream, WAIT, &err), -1);
    assert_string_equal(err.message, "no unlucky numbers");
    stream_free(stream);

    /* given up in the middle */
    assert_int_equal(remote_storage_vol_upload(client, &args, &stream, &err), 0);
    assert_int_equal(stream_send(stream, block, 100, WAIT, &err), 0);
    assert_int_equal(stream_abort(stream, WAIT, &err), 0);
    stream_free(stream);
    assert_int_equal(remote_storage_vol_upload(client, &args, &stream, &err), 0);
    stream_free(stream);
    nap(10);
}

static void test_upload(void **state)
{
    run((struct scenario){uploads});
}

static void consoles(void)
{
    struct error err;
    struct stream *stream;
    char block[100];
    struct domain_open_console_args args = {.dom = {.name = "guest"}};
    assert_int_equal(remote_domain_open_console(client, &args, &stream, &err), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(stream_send(stream, "hello", 5, WAIT, &err), 0);
        assert_int_equal(stream_receive(stream, block, sizeof block, NULL, WAIT, &err), 5);
    }
    assert_int_equal(stream_finish(stream, WAIT, &err), 0);
    stream_free(stream);
    assert_null(console);

    /* the guest ends it */
    assert_int_equal(remote_domain_open_console(client, &args, &stream, &err), 0);
    assert_non_null(console);
    stream_cancel(console);
    assert_int_equal(stream_receive(stream, block, sizeof block, NULL, WAIT, &err), 0);
    assert_int_equal(stream_finish(stream, WAIT, &err), 0);
    stream_free(stream);
    assert_null(console);

    args.dev_name = "serial9";
    assert_int_equal(remote_domain_open_console(client, &args, &stream, &err), -1);
    assert_string_equal(err.message, "no device 'serial9'");

    /* the connection ends while one is open */
    args.dev_name = NULL;
    assert_int_equal(remote_domain_open_console(client, &args, &stream, &err), 0);
    server_client_close(last_client);
    assert_int_equal(stream_receive(stream, block, sizeof block, NULL, WAIT, &err), -1);
    assert_int_equal(err.code, ERR_SYSTEM_ERROR);
    stream_free(stream);
}

static void test_console(void **state)
{
    run((struct scenario){consoles});
}

/* -- raw bytes ----------------------------------------------------------------------------------------------------- */

static int raw;

static void raw_fiber(void *argument)
{
    void (*body)(void) = *(void (**)(void))argument;
    int pair[2];
    start_server(&(struct server_options){.programs = programs, .client_opened = opened, .max_queue = 300000,
                                          .keepalive_interval_s = 1, .keepalive_count = 1});
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    server_client_set_data(server_adopt(server, pair[0], false), &released, count_release);
    raw = pair[1];
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

/* -- sockets ------------------------------------------------------------------------------------------------------- */

static void listening(void *argument)
{
    struct error err;
    scoped_arena struct arena *arena = arena_new();
    start_server(&(struct server_options){.programs = programs, .client_opened = opened, .max_clients = 1});
    assert_int_equal(server_listen_tcp(server, "127.0.0.1:0", &err), 0);
    assert_int_equal(server_listen_tcp(server, "127.0.0.1", &err), -1);
    assert_string_equal(err.message, "cannot listen on '127.0.0.1': it must be ADDRESS:PORT or [ADDRESS]:PORT");
    assert_int_equal(server_listen_unix(server, "/dev/null", 0600, false, &err), -1);

    struct client *clients[2];
    for (int i = 0; i < 2; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(server_tcp_port(server)),
                                      .sin_addr = {htonl(INADDR_LOOPBACK)}};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
        clients[i] = client_new(fd, NULL, NULL);
    }
    struct connect_get_hostname_ret name;
    assert_int_equal(remote_connect_get_hostname(clients[0], arena, &name, &err), 0);
    /* no room for the second one until the first has gone */
    client_set_timeout(clients[1], 50);
    assert_int_equal(remote_connect_get_hostname(clients[1], arena, &name, &err), -1);
    assert_int_equal(err.code, ERR_OPERATION_TIMEOUT);
    assert_string_equal(server_client_describe(last_client, arena), server_client_peer(last_client)->address);
    client_free(clients[0]);
    assert_int_equal(remote_connect_get_hostname(clients[1], arena, &name, &err), 0);
    client_free(clients[1]);
    stop();
}

static void test_listening(void **state)
{
    fiber_start("test", listening, NULL);
    loop_run();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),          cmocka_unit_test(test_readonly),
        cmocka_unit_test(test_many_calls),     cmocka_unit_test(test_client_goes),
        cmocka_unit_test(test_server_goes),    cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_permission),
        cmocka_unit_test(test_events),         cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_download),       cmocka_unit_test(test_upload),
        cmocka_unit_test(test_console),        cmocka_unit_test(test_too_short),
        cmocka_unit_test(test_too_long),       cmocka_unit_test(test_unknown_type),
        cmocka_unit_test(test_not_a_call),     cmocka_unit_test(test_missing_descriptors),
        cmocka_unit_test(test_too_many_descriptors), cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_undecodable_body), cmocka_unit_test(test_never_reads),
        cmocka_unit_test(test_silent),         cmocka_unit_test(test_busy_but_alive),
        cmocka_unit_test(test_listening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
