/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/fiber.h"

/* A byte stream beside a call, on either side (protocol/framing.md, "Streams"). A call with `stream=` opens it:
 *  - in a server's handler: call_open_stream() (server.h). Hand the stream to a fiber of its own and return 0; it can
 *    be used from then on (sending waits until the call's reply has gone out). When the handler fails after all, the
 *    stream fails as well.
 *  - in a client: the `stream` parameter of the stub (client_stubs.h).
 * Whoever holds the stream frees it. When the peer is gone every function fails, and stream_free() remains.
 *
 * A download in a server's fiber:         A console, both ways: two fibers, one stream_send()s, one stream_receive()s;
 *     while ((n = read(...)) > 0)         the one that sees its end does
 *         if (stream_send(s, ...) < 0)        stream_finish(s, ...)      guest is gone: the client sees end of file
 *             goto out;                   or  stream_cancel(s)           to end the other fiber's wait
 *     stream_finish(s, ...);              and the last of the two frees it.
 * out: stream_free(s);
 * An upload: stream_receive() until 0, write it down durably, stream_finish() (or stream_fail()). */
struct stream;

/* Largest piece in one packet; what libvirtd sends. stream_send() cuts by itself. */
#define STREAM_PACKET_MAX 262120

/* Waits while too much is queued for the connection (flow control). ERR_OPERATION_ABORTED when the peer ended or
 * aborted the stream. */
int stream_send(struct stream *stream, const void *data, size_t length, deadline deadline, struct error *err);
/* `length` zero bytes that take no room; plain zero bytes when the call did not allow holes. Waits. */
int stream_send_hole(struct stream *stream, int64_t length, deadline deadline, struct error *err);

/* Waits for data. Returns how many bytes came; 0 at the end: a client's finish, a server's end of file, or a
 * stream_cancel(). With hole not NULL a hole returns 0 and its length in *hole (0 at the end); with NULL it reads as
 * zero bytes. */
ssize_t stream_receive(struct stream *stream, void *buffer, size_t size, int64_t *hole, deadline deadline,
                       struct error *err);

/* Ends it well. Server: says end of file if it may send, waits for the client's finish, confirms it. Client: says
 * finish and waits for the confirmation; then everything it sent is where it should be. Data that still comes is
 * dropped. An abort by the client meanwhile counts as an end, not as an error, on the server. Waits. */
int stream_finish(struct stream *stream, deadline deadline, struct error *err);

/* Server: the stream fails with this error; the client gets it from its next operation. No answer is awaited. */
void stream_fail(struct stream *stream, const struct error *error);
/* Client: gives up, and waits for the server's confirmation. */
int stream_abort(struct stream *stream, deadline deadline, struct error *err);

/* Wakes everyone who waits in stream_send() and stream_receive() of this stream, now and later: they see an end
 * (receive: 0; send: ERR_OPERATION_ABORTED). stream_finish(), _fail() and _abort() still work. */
void stream_cancel(struct stream *stream);

/* A stream that was not finished is failed (server) or aborted without waiting (client). NULL is fine. */
void stream_free(struct stream *stream);
