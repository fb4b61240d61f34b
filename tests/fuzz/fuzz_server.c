/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as what a client says to a server with a few handlers: framing, dispatch, streams and descriptors. The
 * first byte: bits 0-4 the size of the pieces that arrive at once (0 = everything), bit 5 a read-only connection, bit 6
 * not yet authenticated, bit 7 a descriptor with the last byte. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fiber.h"
#include "base/loop.h"
#include "handlers.h"
#include "rpc/server.h"
#include "rpc/stream.h"
#include "wire_tables.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int handle_auth_list(struct call *call, struct auth_list_ret *ret, struct error *err)
{
    ret->types = arena_new_array(call->arena, 1, int32_t);
    ret->types_count = 1;
    return 0;
}

int handle_connect_supports_feature(struct call *call, const struct connect_supports_feature_args *args,
                                    struct connect_supports_feature_ret *ret, struct error *err)
{
    server_client_start_keepalive(call->client);
    ret->supported = args->feature;
    return 0;
}

int handle_connect_close(struct call *call, struct error *err)
{
    server_client_close(call->client);
    return 0;
}

int handle_connect_baseline_cpu(struct call *call, const struct connect_baseline_cpu_args *args,
                                struct connect_baseline_cpu_ret *ret, struct error *err)
{
    ret->cpu = args->xml_cpus_count ? args->xml_cpus[args->xml_cpus_count - 1] : NULL;
    return 0;
}

/* Waits until its client goes. */
int handle_domain_suspend(struct call *call, const struct domain_suspend_args *args, struct error *err)
{
    return await_sleep(DEADLINE_NONE, err);
}

static void echo(void *argument)
{
    struct stream *stream = argument;
    struct error err;
    char block[64];
    ssize_t got;
    int64_t hole;
    while ((got = stream_receive(stream, block, sizeof block, &hole, DEADLINE_NONE, &err)) > 0 || hole)
        if (stream_send(stream, block, (size_t)got, DEADLINE_NONE, &err) < 0)
            break;
    if (got == 0)
        stream_finish(stream, DEADLINE_NONE, &err);
    stream_free(stream);
}

static int open_echo(struct call *call, struct error *err)
{
    struct stream *stream = call_open_stream(call, err);
    if (!stream)
        return -1;
    fiber_start("echo", echo, stream);
    return 0;
}

int handle_domain_open_console(struct call *call, const struct domain_open_console_args *args, struct error *err)
{
    return open_echo(call, err);
}

int handle_storage_vol_upload(struct call *call, const struct storage_vol_upload_args *args, struct error *err)
{
    return open_echo(call, err);
}

int handle_qemu_domain_monitor_command_with_files(struct call *call,
                                                  const struct qemu_domain_monitor_command_with_files_args *args,
                                                  struct qemu_domain_monitor_command_with_files_ret *ret,
                                                  struct error *err)
{
    for (size_t i = 0; i < call->fd_count; i++)
        if (call_send_fd(call, steal_fd(&call->fds[i]), err) < 0)
            return -1;
    ret->result = args->cmd;
    return 0;
}

static void turn(int times)
{
    while (times-- > 0)
        uv_run(loop_get(), UV_RUN_NOWAIT);
}

/* The descriptor is our stderr: a socket that travels in itself would never end. */
static void send_with_descriptor(int fd, const void *byte)
{
    const int passed = STDERR_FILENO;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {(void *)byte, 1};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
                            .msg_controllen = sizeof control.space};
    struct cmsghdr *item = CMSG_FIRSTHDR(&header);
    *item = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(item), &passed, sizeof passed);
    sendmsg(fd, &header, MSG_NOSIGNAL);
}

/* Writes the input in pieces and reads away what comes back. */
static void talk(int fd, const uint8_t *data, size_t size, size_t piece, bool descriptor)
{
    char answer[65536];
    size_t plain = descriptor ? size - 1 : size;
    for (size_t at = 0; at < plain;) {
        ssize_t sent = send(fd, data + at, plain - at < piece ? plain - at : piece, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return;
        at += sent > 0 ? (size_t)sent : 0;
        turn(1);
        if (recv(fd, answer, sizeof answer, 0) == 0)
            return;
    }
    if (descriptor)
        send_with_descriptor(fd, data + plain);
    turn(4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct server_program programs[] = {
        {&program_remote, remote_handlers}, {&program_qemu, qemu_handlers}, {0}};
    int pair[2];
    if (size < 2 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        return 0;
    struct server *server = server_new(&(struct server_options){.programs = programs, .keepalive_interval_s = 5,
                                                                .keepalive_count = 5});
    struct server_client *client = server_adopt(server, pair[0], data[0] & 32);
    server_client_set_authenticated(client, !(data[0] & 64));
    size_t piece = data[0] & 31;
    talk(pair[1], data + 1, size - 1, piece ? piece : size, data[0] & 128);
    close(pair[1]);
    for (int i = 0; server_client_count(server); i++) {
        turn(1);
        if (i > 10000)
            abort(); /* a client that does not end */
    }
    server_free(server);
    turn(2); /* closes handles */
    return 0;
}
