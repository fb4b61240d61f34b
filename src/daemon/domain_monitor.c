/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include <errno.h>
#include <sys/socket.h>

#include "qemu/block.h"
#include "qemu/input.h"
#include "rpc/stream.h"

/* Keys, pictures, memory, and the monitor itself. */

int handle_domain_send_key(struct call *call, const struct domain_send_key_args *args, struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_active_domain(call, &args->dom, err);
    return domain ? input_send_keys(domain, args->codeset, args->holdtime, args->keycodes, args->keycodes_count,
                                    call_client(call), err)
                  : -1;
}

int handle_domain_inject_nmi(struct call *call, const struct domain_inject_nmi_args *args, struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_active_domain(call, &args->dom, err);
    return domain ? input_nmi(domain, call_client(call), err) : -1;
}

/* -- pictures ------------------------------------------------------------------------------------------------------ */

struct download {
    int fd;
    struct stream *stream;
};

static void download(void *owner)
{
    struct download *job = owner;
    struct error err = {0};
    char piece[65536];
    ssize_t got;
    off_t at = 0;
    while ((got = pread(job->fd, piece, sizeof piece, at)) > 0) {
        if (stream_send(job->stream, piece, (size_t)got, DEADLINE_NONE, &err) < 0)
            break;
        at += got;
    }
    if (!err.code)
        stream_finish(job->stream, deadline_ms(30000), NULL);
    stream_free(job->stream);
    close(job->fd);
    free(job);
}

int handle_domain_screenshot(struct call *call, const struct domain_screenshot_args *args,
                             struct domain_screenshot_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_active_domain(call, &args->dom, err);
    if (!domain)
        return -1;
    scoped_fd int fd = screen_shot(domain, args->screen, &ret->mime, call_client(call), err);
    struct stream *stream = fd < 0 ? NULL : call_open_stream(call, err);
    if (!stream)
        return -1;
    struct download *job = xcalloc(1, sizeof *job);
    *job = (struct download){steal_fd(&fd), stream};
    fiber_start("screenshot", download, job);
    return 0;
}

/* -- memory and disks ---------------------------------------------------------------------------------------------- */

#define PEEK_MAX 4194304 /* what the wire carries */

static int check_size(uint32_t size, struct error *err)
{
    return size <= PEEK_MAX ? 0
                            : error_set(err, ERR_INVALID_ARG, "%u bytes are too many: at most %d can be had at once",
                                        size, PEEK_MAX);
}

int handle_domain_memory_peek(struct call *call, const struct domain_memory_peek_args *args,
                              struct domain_memory_peek_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, MEMORY_VIRTUAL | MEMORY_PHYSICAL, err) < 0 || check_size(args->size, err) < 0)
        return -1;
    if (args->flags != MEMORY_VIRTUAL && args->flags != MEMORY_PHYSICAL)
        return error_set(err, ERR_INVALID_ARG, "memory is peeked at by virtual (1) or by physical (2) address, not by "
                         "%u", args->flags);
    scoped_domain struct domain *domain = call_active_domain(call, &args->dom, err);
    ret->buffer = arena_alloc(call->arena, args->size + 1);
    ret->buffer_length = args->size;
    return domain ? memory_peek(domain, args->offset, args->flags == MEMORY_VIRTUAL, ret->buffer, args->size,
                                call_client(call), err)
                  : -1;
}

int handle_domain_block_peek(struct call *call, const struct domain_block_peek_args *args,
                             struct domain_block_peek_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0 || check_size(args->size, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    ret->buffer = arena_alloc(call->arena, args->size + 1);
    ret->buffer_length = args->size;
    return domain ? block_peek(domain, args->path, args->offset, ret->buffer, args->size, err) : -1;
}

int handle_domain_block_resize(struct call *call, const struct domain_block_resize_args *args, struct error *err)
{
    if (call_flags(call, args->flags, DOMAIN_BLOCK_RESIZE_BYTES, err) < 0)
        return -1;
    uint64_t unit = args->flags & DOMAIN_BLOCK_RESIZE_BYTES ? 1 : 1024;
    if (args->size > UINT64_MAX / unit)
        return error_set(err, ERR_INVALID_ARG, "a size of %llu KiB cannot be", (unsigned long long)args->size);
    scoped_domain struct domain *domain = call_active_domain(call, &args->dom, err);
    return domain ? block_resize(domain, args->disk, args->size * unit, call_client(call), err) : -1;
}

/* -- graphics ------------------------------------------------------------------------------------------------------ */

int handle_domain_open_graphics(struct call *call, const struct domain_open_graphics_args *args, struct error *err)
{
    if (call_flags(call, args->flags, DOMAIN_OPEN_GRAPHICS_SKIPAUTH, err) < 0)
        return -1;
    if (call->fd_count != 1)
        return error_set(err, ERR_INVALID_ARG, "one socket has to come with the call, not %zu", call->fd_count);
    scoped_domain struct domain *domain = call_active_domain(call, &args->dom, err);
    return domain ? graphics_attach(domain, args->idx, call->fds[0], args->flags & DOMAIN_OPEN_GRAPHICS_SKIPAUTH,
                                    call_client(call), err)
                  : -1;
}

int handle_domain_open_graphics_fd(struct call *call, const struct domain_open_graphics_fd_args *args,
                                   struct error *err)
{
    if (call_flags(call, args->flags, DOMAIN_OPEN_GRAPHICS_SKIPAUTH, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_active_domain(call, &args->dom, err);
    int ends[2] = {-1, -1};
    if (!domain)
        return -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return error_system(err, errno, "cannot make a pair of sockets");
    scoped_fd int theirs = ends[1], ours = ends[0];
    if (graphics_attach(domain, args->idx, theirs, args->flags & DOMAIN_OPEN_GRAPHICS_SKIPAUTH, call_client(call),
                        err) < 0)
        return -1;
    return call_send_fd(call, steal_fd(&ours), err);
}

/* -- the monitor --------------------------------------------------------------------------------------------------- */

int handle_qemu_domain_monitor_command(struct call *call, const struct qemu_domain_monitor_command_args *args,
                                       struct qemu_domain_monitor_command_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, DOMAIN_QEMU_MONITOR_COMMAND_HMP, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_active_domain(call, &args->dom, err);
    scoped_job struct job job = {0};
    if (!domain ||
        domain_begin_active_job(domain, &job, JOB_ASK, "monitor command", call_client(call), err) < 0)
        return -1;
    char *reply = args->flags & DOMAIN_QEMU_MONITOR_COMMAND_HMP
                      ? qmp_human(domain->qmp, args->cmd, monitor_deadline(), err)
                      : qmp_raw(domain->qmp, args->cmd, monitor_deadline(), err);
    if (!reply)
        return error_wrap(err, "monitor command to domain '%s'", domain_name(domain));
    ret->result = call_keep(call, reply);
    return 0;
}
