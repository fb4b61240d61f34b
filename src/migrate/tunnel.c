/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/tunnel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

#define CHANNEL "tunnel" /* QEMU's name of the descriptor */

enum { PIECE = 65536, FINISH_MS = 30000 };

/* A fiber owns it and ends with either side: QEMU's half is closed by QEMU's end or the migration's, the stream fails
 * with the connection. */
struct tunnel {
    struct stream *stream;
    int fd;
    bool sends;
};

/* Bytes read; 0 at QEMU's end of it. */
static ssize_t read_some(int fd, char *buffer)
{
    while (await_fd(fd, POLLIN, DEADLINE_NONE, NULL) >= 0) {
        ssize_t length = read(fd, buffer, PIECE);
        if (length >= 0 || (errno != EAGAIN && errno != EINTR))
            return length > 0 ? length : 0;
    }
    return 0;
}

static int write_all(int fd, const char *data, size_t length, struct error *err)
{
    while (length) {
        if (await_fd(fd, POLLOUT, DEADLINE_NONE, err) < 0)
            return -1;
        ssize_t written = send(fd, data, length, MSG_NOSIGNAL);
        if (written < 0 && errno != EAGAIN && errno != EINTR)
            return error_system(err, errno, "QEMU does not take the migration");
        data += written > 0 ? written : 0;
        length -= written > 0 ? (size_t)written : 0;
    }
    return 0;
}

static int carry(struct tunnel *tunnel, char *buffer, struct error *err)
{
    ssize_t length;
    if (tunnel->sends) {
        while ((length = read_some(tunnel->fd, buffer)) > 0)
            if (stream_send(tunnel->stream, buffer, (size_t)length, DEADLINE_NONE, err) < 0)
                return -1;
    } else {
        while ((length = stream_receive(tunnel->stream, buffer, PIECE, NULL, DEADLINE_NONE, err)) > 0)
            if (write_all(tunnel->fd, buffer, (size_t)length, err) < 0)
                return -1;
        if (length < 0)
            return -1;
        shutdown(tunnel->fd, SHUT_WR);
    }
    return stream_finish(tunnel->stream, deadline_ms(FINISH_MS), err);
}

static void run(void *owner)
{
    struct tunnel *tunnel = owner;
    struct error err = {0};
    scoped_free char *buffer = xcalloc(1, PIECE);
    if (carry(tunnel, buffer, &err) < 0) {
        log_debug("a tunnelled migration ends: %s", err.message); /* its own end says why, to whom it concerns */
        if (!tunnel->sends)
            stream_fail(tunnel->stream, &err);
    }
    close(tunnel->fd);
    stream_free(tunnel->stream);
    free(tunnel);
}

static int open_tunnel(struct migration *migration, bool sends, struct error *err)
{
    struct domain *domain = migration->domain;
    struct stream *stream = steal(migration->stream);
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        stream_free(stream);
        return error_system(err, errno, "cannot make a tunnel for the migration of domain '%s'", domain_name(domain));
    }
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    scoped_json json_t *done = qmp_command_fd(domain->qmp, "getfd", json_pack("{s:s}", "fdname", CHANNEL), pair[1],
                                              monitor_deadline(), err);
    close(pair[1]);
    if (!done) {
        close(pair[0]);
        stream_free(stream);
        return -1;
    }
    struct tunnel *tunnel = xcalloc(1, sizeof *tunnel);
    *tunnel = (struct tunnel){stream, pair[0], sends};
    fiber_start("tunnel", run, tunnel);
    return 0;
}

const char *tunnel_send(struct migration *migration, struct error *err)
{
    return open_tunnel(migration, true, err) < 0 ? NULL : "fd:" CHANNEL;
}

int tunnel_receive(struct migration *migration, struct error *err)
{
    if (open_tunnel(migration, false, err) < 0)
        return -1;
    return qmp_execute(migration->domain->qmp, "migrate-incoming", json_pack("{s:s}", "uri", "fd:" CHANNEL),
                       monitor_deadline(), err);
}
