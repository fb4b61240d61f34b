/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/list.h"
#include "base/loop.h"
#include "rpc/connection.h"
#include "rpc/server.h"
#include "rpc/streams.h"

/* What the files of the server share. */

/* server.c: sockets and the list of clients */
struct server {
    struct server_options options;
    struct list listeners, clients;
    uint32_t client_count;
    uint64_t last_id;
    uint16_t tcp_port;
    struct timer *accept_retry; /* we are out of descriptors */
    uint64_t next_refusal_ns;   /* from when on refusing a client is logged again */
    struct text scratch;        /* messages are built here: nothing waits between building and sending one */
};
void server_client_arrived(struct server *server); /* counts; pauses accepting at the limit */
void server_client_left(struct server *server);
void server_scratch_trim(struct server *server);   /* one huge reply must not stay with us */

/* server_client.c: a connection and what hangs on it */
struct server_client {
    struct list link;
    struct server *server;
    struct connection *connection; /* NULL once it is closed */
    struct streams streams;
    struct server_peer peer;
    bool readonly, authenticated, closed;
    struct list running; /* struct running_call */
    uint32_t running_count;
    struct list waiting; /* struct waiting_call: arrived, but too many run or too much is unread */
    uint32_t waiting_count;
    size_t waiting_bytes;
    bool holding;  /* the connection, because too many wait */
    bool starting; /* call_start_waiting() is on the stack */
    void *data;
    void (*release)(void *data);
};
struct server_client *server_client_new(struct server *server, int fd, bool readonly, const struct server_peer *peer);
/* Frees a client that is closed and has no call any more. */
void server_client_settle(struct server_client *client);

/* call.c: from a message to its reply */
void call_arrived(struct server_client *client, struct message *message);
void call_start_waiting(struct server_client *client);
void call_cancel_all(struct server_client *client);
/* When the running fiber is a call of this client: the connection is finished after its reply. Else false. */
bool call_close_after(struct server_client *client);
