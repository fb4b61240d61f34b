/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/internal.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "rpc/transport.h"

/* The connection that a guest's memory takes. */

enum {
    CONNECT_MS = 15000,
    /* A network that is cut without a word is noticed after 30 s: by what was sent and not acknowledged, or, when
     * nothing is on its way, by questions of the kernel's. Its own default is a quarter of an hour. */
    SILENCE_MS = 30000, PROBE_AFTER_S = 10, PROBE_EVERY_S = 5, PROBES = 4,
};

#define CHANNEL "migration" /* QEMU's name of the descriptor */

/* Where QEMU shall send it: tcp:HOST:PORT as libvirt writes it, or tcp://HOST:PORT. */
static const struct uri *target_read(const char *uri, struct arena *arena, struct error *err)
{
    const char *rest = uri ? string_after(uri, "tcp:") : NULL;
    if (!rest)
        return error_null(err, ERR_INVALID_ARG, "migration URI '%s' must be tcp:HOST:PORT", uri ? uri : "");
    const char *full = string_starts(rest, "//") ? uri : arena_printf(arena, "tcp://%s", rest);
    const struct uri *parsed = uri_parse(arena, full, err);
    if (!parsed)
        return NULL;
    if (!parsed->host || !*parsed->host || !parsed->port)
        return error_null(err, ERR_INVALID_ARG, "migration URI '%s' must be tcp:HOST:PORT", uri);
    return parsed;
}

static void notice_silence(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_USER_TIMEOUT, SILENCE_MS}, {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, PROBE_AFTER_S},  {IPPROTO_TCP, TCP_KEEPINTVL, PROBE_EVERY_S},
        {IPPROTO_TCP, TCP_KEEPCNT, PROBES},
    };
    for (size_t i = 0; i < COUNT(options); i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
}

/* We connect, not QEMU: QEMU leaves Nagle's algorithm on, and when the last piece of the guest then waits for the
 * acknowledgement that the other kernel delays, the guest stands still for 40 ms longer (seen with 7.2 in every third
 * move). It makes the further connections of a parallel migration itself, and for those it must know the address. */
const char *migration_connect(struct migration *migration, const char *uri, struct arena *arena, struct error *err)
{
    struct domain *domain = migration->domain;
    const struct uri *target = target_read(uri, arena, err);
    if (!target)
        return NULL;
    if (migration->options.flags & MIGRATE_PARALLEL)
        return arena_printf(arena, strchr(target->host, ':') ? "tcp:[%s]:%u" : "tcp:%s:%u", target->host, target->port);
    scoped_fd int fd = transport_tcp(target->host, target->port, deadline_ms(CONNECT_MS), err);
    if (fd < 0)
        return error_null_wrap(err, "the destination of domain '%s' cannot be reached", domain_name(domain));
    notice_silence(fd);
    if (domain_require_active(domain, err) < 0)
        return NULL;
    scoped_json json_t *done = qmp_command_fd(domain->qmp, "getfd", json_pack("{s:s}", "fdname", CHANNEL), fd,
                                              monitor_deadline(), err);
    return done ? "fd:" CHANNEL : NULL;
}
