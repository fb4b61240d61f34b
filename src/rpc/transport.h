/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/fiber.h"
#include "base/process.h"
#include "base/text.h"
#include "rpc/uri.h"

/* The way from a URI to a connected socket. */
struct transport {
    int fd;                  /* connected and non-blocking, both directions; -1 = none. The owner may steal_fd() it */
    struct process *process; /* the ssh that carries it, else NULL; ends with the transport */
    int stderr_fd;           /* what ssh says, non-blocking; -1 = none */
    struct text words;       /* what was read of it so far, at most 4 KiB */
};

/* Runs in a fiber and waits, at most until the limit. Fills *transport (which need not be filled before):
 *  - unix: socket=PATH, else where the daemon of mode=auto|legacy|direct listens (-ro when readonly);
 *  - tcp: every address of the host in turn until one answers; default port 16509;
 *  - ssh: the real ssh (command=), honouring user, port, keyfile, no_tty, no_verify; on the other side virt-ssh-helper
 *    or, when it is not there or socket= or netcat= is given, nc -U, or without nc `godwit relay`
 *    (proxy=auto|native|netcat).
 * ssh answers only when the first call is made: put transport_explain() around that one.
 * 0, or -1 with ERR_SYSTEM_ERROR, ERR_INVALID_ARG (URI) or ERR_OPERATION_TIMEOUT; then there is nothing to finish. */
int transport_open(struct transport *transport, const struct uri *uri, bool readonly, deadline limit,
                   struct error *err);

/* Waits. A connected, non-blocking socket without Nagle's delay, to the first address of the host that answers; the
 * caller owns it. -1 with ERR_SYSTEM_ERROR (no such host, nobody listens) or ERR_OPERATION_TIMEOUT. */
int transport_tcp(const char *host, uint16_t port, deadline limit, struct error *err);

/* Waits (a moment, for the child's last words). Adds what ssh said on stderr to an error of the first call. Returns
 * -1. */
int transport_explain(struct transport *transport, struct error *err);

/* Closes what is left of it and ends ssh. Accepts what transport_open() never filled if it was zeroed with fd -1. */
void transport_finish(struct transport *transport);
#define TRANSPORT_NONE {.fd = -1, .stderr_fd = -1}
#define scoped_transport scope_cleanup(transport_finish)

/* The argument vector for ssh, for tests and messages. */
struct argv *transport_ssh_argv(struct arena *arena, const struct uri *uri, bool readonly, struct error *err);
