/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"
#include "base/text.h"
#include "wire_types.h"

/* One socket that carries messages, either role (protocol/framing.md). It knows frames, descriptors, queues and
 * keepalive; what a message means is its owner's business. An idle connection holds no buffers. */
struct connection;

#define MESSAGE_HEADER_SIZE 28 /* the length word and struct msg-header */
#define MESSAGE_MAX         (33554432 + 4)
#define MESSAGE_FDS_MAX     32

struct message {
    struct wire_msg_header header;
    const uint8_t *body; /* valid during the callback */
    size_t length;
    int *fds; /* closed after the callback, but for those that were taken and set to -1 */
    size_t fd_count;
};

/* They run on the loop's stack, so they must not wait; connection_free() may be called inside them. */
struct connection_events {
    void (*message)(void *owner, struct message *message);
    /* Little is queued again after much was: time for the next piece of a stream. */
    void (*drained)(void *owner);
    /* Once, when the peer closed (ERR_OPERATION_ABORTED), broke the rules, fell silent or did not read;
     * connection_free() remains to be done. */
    void (*closed)(void *owner, const struct error *reason);
};

/* Takes the connected stream socket over. max_queue: unread output above this many bytes drops the peer. max_message:
 * so does a longer message; 0 = MESSAGE_MAX. */
struct connection *connection_new(int fd, const struct connection_events *events, void *owner, size_t max_queue,
                                  size_t max_message);
void connection_free(struct connection *connection); /* at once, without flushing; NULL is fine */

/* Builds a message in `out` (which is appended to): begin, then the body, then end, which sets the length. end fails
 * with ERR_RPC, and takes the message out again, when it is too large to send. */
size_t message_begin(struct text *out, const struct wire_msg_header *header); /* returns where it starts, for end */
int message_end(struct text *out, size_t start, struct error *err);
/* The same without a body that follows in the text: just the header, for a body of that length. */
void message_header(uint8_t to[MESSAGE_HEADER_SIZE], const struct wire_msg_header *header, size_t body_length);

/* Sends complete messages: at once what the socket takes, the rest from a queue. The descriptors follow after the last
 * byte and stay the caller's. Never waits. Nothing is sent on a connection that has failed. */
void connection_send(struct connection *connection, const struct iovec *parts, int count, const int *fds,
                     size_t fd_count);
void connection_send_text(struct connection *connection, const struct text *message);

/* Whether so much is queued that more should wait for drained(). */
bool connection_is_congested(const struct connection *connection);

/* Stops and resumes reading; counts, so that several reasons may hold at once. A peer that goes is still noticed. */
void connection_hold(struct connection *connection);
void connection_release(struct connection *connection);

/* Asks the peer for a sign of life after each interval of silence and drops it after `count` questions without one.
 * interval_ms 0 stops it. Questions of the peer are always answered. */
void connection_keepalive(struct connection *connection, uint64_t interval_ms, uint32_t count);

/* Sends what is queued, within a few seconds, then closes: closed() is called from the loop. */
void connection_finish(struct connection *connection);
