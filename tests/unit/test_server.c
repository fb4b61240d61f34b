/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a client and a server of src/rpc say to each other. */
#include "server_fixture.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"
#include "handlers.h"
#include "wire_tables.h"

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
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_readonly),
        cmocka_unit_test(test_many_calls),
        cmocka_unit_test(test_client_goes),
        cmocka_unit_test(test_server_goes),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_permission),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_listening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
