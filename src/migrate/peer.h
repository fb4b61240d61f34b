/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "migrate/internal.h"
#include "rpc/client.h"
#include "rpc/transport.h"

/* This daemon as the client of another one. */
struct peer {
    struct transport transport;
    struct client *client;
    struct migration *migration; /* to be told when the connection ends; NULL = nobody */
};

/* Connects to the daemon at a connection URI and opens it. Waits, at most 30 s for each of the two. On failure too it
 * is to be closed. */
int peer_open(struct peer *peer, const char *destination, struct error *err);
/* Waits, a second at most. */
void peer_close(struct peer *peer);
#define scoped_peer scope_cleanup(peer_close)
