/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fiber.h"
#include "rpc/stream.h"
#include "rpc/wire.h"

/* The asking side of the wire protocol, on the process's loop: many fibers may have calls under way on one connection.
 * transport.h makes the descriptor from a URI. The typed functions are in the generated client_stubs.h:
 *
 *     struct client *client = client_new(fd, NULL, NULL);
 *     struct connect_get_hostname_ret ret;
 *     if (remote_connect_get_hostname(client, arena, &ret, err) < 0) ...
 *
 * The caller does the opening itself: auth-list, connect-open, ... (framing.md, "What stock clients send first"). */
struct client;

struct client_events {
    /* An event of any program; it lives in the arena, which is freed after the return. */
    void (*event)(void *owner, const struct wire_procedure *procedure, const void *event, struct arena *arena);
    /* Once, when the connection ends without client_free(): by the server, a failure, or no answer to pings. */
    void (*closed)(void *owner, const struct error *reason);
};

/* Takes the connected socket over. events may be NULL. Callbacks run on the loop's stack: no waiting. Between loop
 * turns client_free() may be called inside them. */
struct client *client_new(int fd, const struct client_events *events, void *owner);
/* Closes. Calls under way fail; streams stay to be freed by their owners. NULL is fine. */
void client_free(struct client *client);

/* Fails calls that take longer from now on (ERR_OPERATION_TIMEOUT; the reply is dropped when it comes). 0 = wait as
 * long as the connection lives, which is how it starts. */
void client_set_timeout(struct client *client, uint64_t milliseconds);
/* Pings the server after so many seconds of silence, gives up after count unanswered ones. interval_s 0 = off. The
 * server must have answered feature 10 with yes. */
void client_set_keepalive(struct client *client, uint32_t interval_s, uint32_t count);
bool client_is_closed(const struct client *client);

struct client_fds {
    const int *send; /* go with the call, stay the caller's */
    size_t send_count;
    int received[32]; /* came with the reply; now the caller's */
    size_t received_count;
};

struct client_extras {
    struct client_fds *fds; /* NULL = none; descriptors that come nevertheless are closed */
    struct stream **stream; /* of a `stream=` call; set when the call succeeds */
};

/* Waits for the reply. args and ret as the procedure's types say, NULL where it has none; ret's content lives in arena.
 * The server's error has its code and message (the unknown-procedure error becomes ERR_NO_SUPPORT). When the connection
 * is lost: ERR_SYSTEM_ERROR. */
int client_call(struct client *client, const struct wire_procedure *procedure, const void *args, struct arena *arena,
                void *ret, struct client_extras *extras, struct error *err);
