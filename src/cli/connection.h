/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/fiber.h"
#include "base/list.h"
#include "rpc/client.h"
#include "rpc/transport.h"

/* A daemon that was opened: the socket, the client on it, and what was found out when opening. */

/* Who wants the events of a connection; called from the loop, must not wait. */
struct listener {
    struct list link;
    void (*event)(void *owner, const struct wire_procedure *procedure, const void *event);
    void *owner;
};

struct keepalive {
    uint32_t interval_s; /* 0 = off */
    uint32_t count;
};

struct connection {
    struct transport transport;
    struct client *client;
    char *uri; /* as asked for */
    bool readonly;
    bool opened;           /* connect-open was answered well */
    bool closed;           /* by the other side; reason says why */
    struct error reason;
    struct list listeners;
    struct condition changed; /* woken when it closes */
    bool has_close_callback;
};

/* Waits, at most 30 s for the connection itself; the opening calls take as long as the keepalive allows. keepalive
 * is asked for only when the daemon knows it. NULL and err on failure. */
struct connection *connection_open(const char *uri, bool readonly, struct keepalive keepalive, struct error *err);
/* Waits: says goodbye, then frees. NULL is fine. */
void connection_close(struct connection *connection);
DEFINE_SCOPED(connection_scope, struct connection *, connection_close)
#define scoped_connection scope_cleanup(connection_scope)

/* Waits. connect-supports-feature; an error counts as no. */
bool connection_supports(struct connection *connection, int feature);

void connection_listen(struct connection *connection, struct listener *listener);
/* Harmless for one that was never added but whose link was list_init()ed. */
void connection_unlisten(struct listener *listener);
