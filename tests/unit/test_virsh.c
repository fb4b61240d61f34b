/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stock virsh and python3-libvirt as clients of a server with a handful of handlers: the wire is libvirt's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "base/fiber.h"
#include "base/loop.h"
#include "base/process.h"
#include "handlers.h"
#include "rpc/server.h"
#include "rpc/stream.h"
#include "wire_tables.h"

static char directory[64], socket_path[128];
static bool keepalive_asked;

int handle_auth_list(struct call *call, struct auth_list_ret *ret, struct error *err)
{
    ret->types = arena_new_array(call->arena, 1, int32_t);
    ret->types_count = 1;
    return 0;
}

int handle_connect_open(struct call *call, const struct connect_open_args *args, struct error *err)
{
    if (args->flags & CONNECT_RO)
        server_client_set_readonly(call->client);
    return 0;
}

int handle_connect_close(struct call *call, struct error *err)
{
    server_client_close(call->client);
    return 0;
}

int handle_connect_supports_feature(struct call *call, const struct connect_supports_feature_args *args,
                                    struct connect_supports_feature_ret *ret, struct error *err)
{
    ret->supported = args->feature >= 8 && args->feature <= 14;
    if (args->feature == 10) {
        keepalive_asked = true;
        server_client_start_keepalive(call->client);
    }
    return 0;
}

int handle_connect_get_hostname(struct call *call, struct connect_get_hostname_ret *ret, struct error *err)
{
    ret->hostname = "tiny";
    return 0;
}

int handle_connect_list_all_domains(struct call *call, const struct connect_list_all_domains_args *args,
                                    struct connect_list_all_domains_ret *ret, struct error *err)
{
    ret->domains = arena_new_array(call->arena, 1, struct wire_domain);
    ret->domains[0] = (struct wire_domain){.name = "guest", .uuid = {1}, .id = 3};
    ret->domains_count = ret->ret = 1;
    return 0;
}

int handle_domain_get_state(struct call *call, const struct domain_get_state_args *args,
                            struct domain_get_state_ret *ret, struct error *err)
{
    ret->state = DOMAIN_RUNNING;
    return 0;
}

int handle_domain_lookup_by_name(struct call *call, const struct domain_lookup_by_name_args *args,
                                 struct domain_lookup_by_name_ret *ret, struct error *err)
{
    if (strcmp(args->name, "guest") != 0)
        return error_set(err, ERR_NO_DOMAIN, "no domain has the name '%s'", args->name);
    ret->dom = (struct wire_domain){.name = "guest", .uuid = {1}, .id = 3};
    return 0;
}

int handle_domain_suspend(struct call *call, const struct domain_suspend_args *args, struct error *err)
{
    return 0;
}

/* The event comes a moment after its registration was answered. */
static void reboot(void *argument)
{
    struct server_client *client = argument;
    struct domain_event_callback_reboot_event event = {.callback_id = 5,
                                                       .dom = {.name = "guest", .uuid = {1}, .id = 3}};
    await_sleep(deadline_ms(50), NULL);
    server_client_send_event(client, &program_remote.procedures[PROC_DOMAIN_EVENT_CALLBACK_REBOOT], &event, NULL);
}

int handle_connect_domain_event_callback_register_any(
    struct call *call, const struct connect_domain_event_callback_register_any_args *args,
    struct connect_domain_event_callback_register_any_ret *ret, struct error *err)
{
    ret->callback_id = 5;
    if (args->event_id == 1)
        fiber_start("reboot", reboot, call->client);
    return 0;
}

int handle_connect_domain_event_callback_deregister_any(
    struct call *call, const struct connect_domain_event_callback_deregister_any_args *args, struct error *err)
{
    return 0;
}

/* A pipe with a word in it. */
int handle_domain_open_graphics_fd(struct call *call, const struct domain_open_graphics_fd_args *args,
                                   struct error *err)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "frame", 5), 5);
    close(ends[1]);
    return call_send_fd(call, ends[0], err);
}

/* Answers with what it reads from the descriptor. */
int handle_domain_create_with_files(struct call *call, const struct domain_create_with_files_args *args,
                                    struct domain_create_with_files_ret *ret, struct error *err)
{
    char *name = arena_alloc(call->arena, 100);
    if (call->fd_count != 2 || read(call->fds[1], name, 99) <= 0)
        return error_set(err, ERR_INVALID_ARG, "%zu descriptors came", call->fd_count);
    ret->dom = (struct wire_domain){.name = name, .uuid = {1}, .id = 4};
    return 0;
}

static void screenshot(void *argument)
{
    struct stream *stream = argument;
    struct error err;
    static char picture[700000];
    memset(picture, 'p', sizeof picture);
    assert_int_equal(stream_send(stream, picture, sizeof picture, deadline_ms(5000), &err), 0);
    assert_int_equal(stream_finish(stream, deadline_ms(5000), &err), 0);
    stream_free(stream);
}

int handle_domain_screenshot(struct call *call, const struct domain_screenshot_args *args,
                             struct domain_screenshot_ret *ret, struct error *err)
{
    struct stream *stream = call_open_stream(call, err);
    if (!stream)
        return -1;
    ret->mime = "image/x-portable-pixmap";
    fiber_start("screenshot", screenshot, stream);
    return 0;
}

/* -- virsh --------------------------------------------------------------------------------------------------------- */

static int virsh(const char *suffix, const char *command, struct text *output, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct argv *argv = argv_new(arena);
    argv_add(argv, "virsh");
    argv_add(argv, "-c");
    argv_addf(argv, "qemu+unix:///system?socket=%s%s", socket_path, suffix);
    char *words = arena_strdup(arena, command), *word;
    while ((word = strsep(&words, " ")))
        argv_add(argv, word);
    text_clear(output);
    return process_run(argv, output, 1 << 20, deadline_ms(20000), err);
}

static const char python_script[] =
    "import libvirt, os, sys\n"
    "libvirt.virEventRegisterDefaultImpl()\n"
    "conn = libvirt.open(sys.argv[1])\n"
    "dom = conn.lookupByName('guest')\n"
    "fd = dom.openGraphicsFD(0, 0)\n"
    "assert os.read(fd, 10) == b'frame'\n"
    "ends = os.pipe()\n"
    "os.write(ends[1], b'renamed')\n"
    "dom.createWithFiles([0, ends[0]], 0)\n"
    "seen = []\n"
    "conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, lambda c, d, o: seen.append(d.name()), 0)\n"
    "for _ in range(100):\n"
    "    if seen: break\n"
    "    libvirt.virEventRunDefaultImpl()\n"
    "assert seen == ['guest'], seen\n"
    "print(conn.getHostname(), dom.ID())\n";

static void python(void)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_text struct text output = {0};
    struct error err;
    struct argv *argv = argv_new(arena);
    argv_add(argv, "/usr/bin/python3");
    argv_add(argv, "-c");
    argv_add(argv, python_script);
    argv_addf(argv, "qemu+unix:///system?socket=%s", socket_path);
    if (process_run(argv, &output, 1 << 20, deadline_ms(20000), &err) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(text_string(&output), "tiny 4\n");
}

static void conversation(void *argument)
{
    static const struct server_program programs[] = {{&program_remote, remote_handlers}, {0}};
    struct error err = {0};
    scoped_text struct text output = {0};
    struct server *server = server_new(&(struct server_options){.programs = programs, .keepalive_interval_s = 5,
                                                                .keepalive_count = 5});
    char readonly_path[140];
    snprintf(readonly_path, sizeof readonly_path, "%s-ro", socket_path);
    assert_int_equal(server_listen_unix(server, socket_path, 0600, false, &err), 0);
    assert_int_equal(server_listen_unix(server, readonly_path, 0666, true, &err), 0);

    if (virsh("", "hostname", &output, &err) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(text_string(&output), "tiny\n\n");
    assert_true(keepalive_asked);
    assert_int_equal(virsh("", "uri", &output, &err), 0);
    assert_non_null(strstr(text_string(&output), socket_path)); /* it knows that without us */
    assert_int_equal(virsh("", "list", &output, &err), 0);
    assert_non_null(strstr(text_string(&output), " 3    guest   running"));
    assert_int_equal(virsh("", "suspend guest", &output, &err), 0);
    assert_int_equal(virsh("", "dominfo none", &output, &err), -1);
    assert_non_null(strstr(err.message, "failed to get domain 'none'"));
    assert_int_equal(virsh("-ro", "hostname", &output, &err), 0);
    assert_int_equal(virsh("-ro", "suspend guest", &output, &err), -1);
    assert_non_null(strstr(err.message, "domain-suspend is not allowed on a read-only connection"));
    /* nobody wrote a handler for this one */
    assert_int_equal(virsh("", "domid guest", &output, &err), 0);
    assert_int_equal(virsh("", "vcpuinfo guest", &output, &err), -1);
    assert_non_null(strstr(err.message, "unknown procedure"));

    char command[200];
    snprintf(command, sizeof command, "screenshot guest %s/picture", directory);
    if (virsh("", command, &output, &err) < 0)
        fail_msg("%s", err.message);
    snprintf(command, sizeof command, "%s/picture", directory);
    assert_int_equal(access(command, R_OK), 0);
    unlink(command);
    python();
    server_free(server);
    loop_stop();
}

static void test_virsh(void **state)
{
    if (access("/usr/bin/virsh", X_OK) < 0)
        skip();
    strcpy(directory, "/tmp/test-virsh-XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(socket_path, sizeof socket_path, "%s/sock", directory);
    fiber_start("test", conversation, NULL);
    loop_run();
    rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_virsh)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
