/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/list.h"
#include "rpc/connection.h"
#include "rpc/stream.h"
#include "rpc/wire.h"

/* The streams of one connection, for its owner (server_client.c, client.c). Loop's stack or fibers; nothing waits. */
struct streams {
    struct connection *connection;
    struct list open;
    bool server_side;
};

void streams_init(struct streams *streams, struct connection *connection, bool server_side);

/* The stream of one call. *opener points at it until it is opened, freed or has failed. args may be NULL: no holes. */
struct stream *stream_new(struct streams *streams, const struct wire_procedure *procedure, uint32_t serial,
                          const void *args, struct stream **opener);
/* The call's reply went out or came in. failure not NULL: the call failed, and the stream with it. */
void stream_opened(struct stream *stream, const struct error *failure);

/* A message of type stream or stream-hole. One that belongs to no open stream is late, and dropped. */
void streams_message(struct streams *streams, const struct message *message);
/* The connection is no longer congested. */
void streams_drained(struct streams *streams);
/* The connection is gone: all fail with this reason. */
void streams_lost(struct streams *streams, const struct error *reason);
