/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/stream.h"

#include <string.h>

#include "base/arena.h"
#include "rpc/codec.h"
#include "rpc/reply.h"
#include "rpc/streams.h"
#include "wire_tables.h"

#define BUFFER_HIGH 1048576 /* received and unread: the connection is not read any more */
#define BUFFER_LOW  262144

struct packet {
    struct list link;
    size_t length, taken;
    int64_t hole; /* > 0: instead of data */
    uint8_t data[];
};

struct stream {
    struct list link;         /* in streams->open */
    struct streams *streams;  /* NULL when no packet may come or go any more */
    const struct wire_procedure *procedure;
    uint32_t serial;
    struct stream **opener;   /* NULL when the call's reply is behind us */
    bool server_side, can_send, can_receive, sparse;
    bool eof_sent;            /* server: the empty packet */
    bool eof_received;        /* client */
    bool finish_received;     /* server: the client's ok; client: the server's */
    bool aborted;             /* by the client */
    bool discarding;          /* what still comes is not wanted */
    bool cancelled;
    bool failed;
    struct error failure;
    struct list packets;
    size_t buffered;
    bool holding;             /* the connection, because too much is buffered */
    struct condition changed;
};

/* -- state --------------------------------------------------------------------------------------------------------- */

static struct packet *first_packet(struct stream *stream)
{
    return list_empty(&stream->packets) ? NULL : container_of(stream->packets.next, struct packet, link);
}

static void packet_free(struct stream *stream, struct packet *packet)
{
    list_remove(&packet->link);
    stream->buffered -= sizeof *packet + packet->length;
    free(packet);
    if (stream->holding && stream->buffered < BUFFER_LOW) {
        stream->holding = false;
        connection_release(stream->streams->connection);
    }
}

static void discard(struct stream *stream)
{
    stream->discarding = true;
    while (first_packet(stream))
        packet_free(stream, first_packet(stream));
}

/* No packet of this stream comes or goes from here on. */
static void detach(struct stream *stream)
{
    if (stream->opener)
        *stream->opener = NULL;
    stream->opener = NULL;
    list_remove(&stream->link);
    if (stream->holding)
        connection_release(stream->streams->connection);
    stream->holding = false;
    stream->streams = NULL;
    condition_wake(&stream->changed);
}

static void break_off(struct stream *stream, const struct error *failure)
{
    stream->failed = true;
    stream->failure = *failure;
    if (stream->streams)
        detach(stream);
}

/* The peer has finished, failed or gone: sending is of no use. */
static bool stream_is_over(const struct stream *stream)
{
    return !stream->streams || stream->finish_received;
}

/* -- packets out --------------------------------------------------------------------------------------------------- */

static void send_packet(struct stream *stream, int type, int status, const void *data, size_t length)
{
    struct wire_msg_header header = {.prog = stream->procedure->program->number,
                                     .vers = stream->procedure->program->version,
                                     .proc = (int32_t)stream->procedure->number,
                                     .type = type,
                                     .serial = stream->serial,
                                     .status = status};
    uint8_t bytes[MESSAGE_HEADER_SIZE];
    message_header(bytes, &header, length);
    struct iovec parts[] = {{bytes, sizeof bytes}, {(void *)data, length}};
    connection_send(stream->streams->connection, parts, length ? 2 : 1, NULL, 0);
}

static void send_status(struct stream *stream, int status)
{
    send_packet(stream, WIRE_MSG_TYPE_STREAM, status, NULL, 0);
}

/* Waits until a packet may go: the call is answered and the connection not congested. stream_cancel() stops data, but
 * not the packet that ends them. */
static int await_turn(struct stream *stream, bool last, deadline until, struct error *err)
{
    while (true) {
        if (stream->failed)
            return error_set(err, stream->failure.code, "%s", stream->failure.message);
        if ((stream->cancelled && !last) || stream->eof_sent || stream_is_over(stream))
            return error_set(err, ERR_OPERATION_ABORTED, "the stream of %s has ended", stream->procedure->name);
        if (!stream->opener && !connection_is_congested(stream->streams->connection))
            return 0;
        if (condition_wait(&stream->changed, until, err) < 0)
            return error_wrap(err, "cannot send on the stream of %s", stream->procedure->name);
    }
}

int stream_send(struct stream *stream, const void *data, size_t length, deadline until, struct error *err)
{
    const uint8_t *at = data;
    while (length) {
        size_t piece = length < STREAM_PACKET_MAX ? length : STREAM_PACKET_MAX;
        if (await_turn(stream, false, until, err) < 0)
            return -1;
        send_packet(stream, WIRE_MSG_TYPE_STREAM, WIRE_MSG_STATUS_CONTINUE, at, piece);
        at += piece;
        length -= piece;
    }
    return 0;
}

int stream_send_hole(struct stream *stream, int64_t length, deadline until, struct error *err)
{
    static const uint8_t zero[65536];
    while (!stream->sparse && length > 0) {
        int64_t piece = length < (int64_t)sizeof zero ? length : (int64_t)sizeof zero;
        if (stream_send(stream, zero, (size_t)piece, until, err) < 0)
            return -1;
        length -= piece;
    }
    if (length <= 0)
        return 0;
    if (await_turn(stream, false, until, err) < 0)
        return -1;
    scoped_text struct text body = {0};
    wire_encode(&wire_stream_hole_type, &(struct wire_stream_hole){.length = length}, &body, NULL);
    send_packet(stream, WIRE_MSG_TYPE_STREAM_HOLE, WIRE_MSG_STATUS_CONTINUE, body.data, body.length);
    return 0;
}

/* -- packets in ---------------------------------------------------------------------------------------------------- */

static void keep_packet(struct stream *stream, const void *data, size_t length, int64_t hole)
{
    if (!stream->can_receive || stream->discarding || stream->finish_received || stream->eof_received)
        return;
    struct packet *packet = xrealloc(NULL, sizeof *packet + length);
    packet->length = length;
    packet->taken = 0;
    packet->hole = hole;
    if (length)
        memcpy(packet->data, data, length);
    list_append(&stream->packets, &packet->link);
    stream->buffered += sizeof *packet + length;
    if (stream->buffered <= BUFFER_HIGH)
        return;
    if (stream->server_side && stream->can_send) {
        /* A conversation, not an upload: a guest that does not read its console may never do so, and the client's other
         * calls must not wait for that. */
        struct error err;
        error_set(&err, ERR_OPERATION_FAILED, "%s: %zu bytes wait to be read on the other side, no more are kept",
                  stream->procedure->name, stream->buffered);
        discard(stream);
        stream_fail(stream, &err);
    } else if (!stream->holding) {
        stream->holding = true;
        connection_hold(stream->streams->connection);
    }
}

static void receive_hole(struct stream *stream, const struct message *message)
{
    struct wire_stream_hole hole;
    struct error err;
    if (!stream->sparse)
        error_set(&err, ERR_RPC, "the stream of %s got a hole, which its call did not allow", stream->procedure->name);
    else if (wire_decode(&wire_stream_hole_type, message->body, message->length, NULL, &hole, &err) == 0) {
        if (hole.length > 0)
            keep_packet(stream, NULL, 0, hole.length);
        if (hole.length >= 0)
            return;
        error_set(&err, ERR_RPC, "the stream of %s got a hole of %lld bytes", stream->procedure->name,
                  (long long)hole.length);
    }
    if (stream->server_side)
        stream_fail(stream, &err);
    else {
        send_status(stream, WIRE_MSG_STATUS_ERROR);
        break_off(stream, &err);
    }
}

static void receive_error(struct stream *stream, const struct message *message)
{
    struct error failure = {0};
    if (stream->server_side) {
        send_status(stream, WIRE_MSG_STATUS_OK);
        stream->aborted = true;
        discard(stream);
        error_set(&failure, ERR_OPERATION_ABORTED, "the client has aborted the stream of %s", stream->procedure->name);
    } else {
        reply_error_decode(message->body, message->length, &failure);
    }
    break_off(stream, &failure);
}

static void receive_packet(struct stream *stream, const struct message *message)
{
    if (message->header.type == WIRE_MSG_TYPE_STREAM_HOLE)
        receive_hole(stream, message);
    else if (message->header.status == WIRE_MSG_STATUS_ERROR)
        receive_error(stream, message);
    else if (message->header.status == WIRE_MSG_STATUS_OK) {
        stream->finish_received = true;
        if (!stream->server_side)
            detach(stream);
    } else if (message->length)
        keep_packet(stream, message->body, message->length, 0);
    else if (!stream->server_side)
        stream->eof_received = true;
    condition_wake(&stream->changed);
}

void streams_message(struct streams *streams, const struct message *message)
{
    const struct wire_msg_header *header = &message->header;
    for (struct list *link = streams->open.next; link != &streams->open; link = link->next) {
        struct stream *stream = container_of(link, struct stream, link);
        if (stream->serial == header->serial && stream->procedure->number == (uint32_t)header->proc &&
            stream->procedure->program->number == header->prog) {
            receive_packet(stream, message);
            return;
        }
    }
}

/* Takes from the first packet. Returns the bytes, or 0 with *hole. */
static ssize_t take(struct stream *stream, void *buffer, size_t size, int64_t *hole)
{
    struct packet *packet = first_packet(stream);
    if (packet->hole) {
        size_t zeros = packet->hole < (int64_t)size ? (size_t)packet->hole : size;
        if (hole) {
            *hole = packet->hole;
            zeros = 0;
        } else {
            memset(buffer, 0, zeros);
            packet->hole -= (int64_t)zeros;
        }
        if (hole || !packet->hole)
            packet_free(stream, packet);
        return (ssize_t)zeros;
    }
    size_t rest = packet->length - packet->taken;
    size_t length = rest < size ? rest : size;
    memcpy(buffer, packet->data + packet->taken, length);
    packet->taken += length;
    if (packet->taken == packet->length)
        packet_free(stream, packet);
    return (ssize_t)length;
}

ssize_t stream_receive(struct stream *stream, void *buffer, size_t size, int64_t *hole, deadline until,
                       struct error *err)
{
    if (hole)
        *hole = 0;
    while (true) {
        if (stream->cancelled)
            return 0;
        if (first_packet(stream))
            return take(stream, buffer, size, hole);
        if (stream->failed)
            return error_set(err, stream->failure.code, "%s", stream->failure.message);
        if (stream->finish_received || stream->eof_received || !stream->streams)
            return 0;
        if (condition_wait(&stream->changed, until, err) < 0)
            return error_wrap(err, "cannot receive from the stream of %s", stream->procedure->name);
    }
}

/* -- the end ------------------------------------------------------------------------------------------------------- */

/* Waits until the peer has finished, or the stream is gone. */
static int await_end(struct stream *stream, deadline until, struct error *err)
{
    while (stream->streams && !stream->finish_received)
        if (condition_wait(&stream->changed, until, err) < 0)
            return error_wrap(err, "no end of the stream of %s", stream->procedure->name);
    return 0;
}

static int finish_server(struct stream *stream, deadline until, struct error *err)
{
    stream_cancel(stream);
    struct error why;
    if (stream->can_send && !stream->eof_sent && !stream_is_over(stream)) {
        if (await_turn(stream, true, until, &why) == 0) {
            send_status(stream, WIRE_MSG_STATUS_CONTINUE);
            stream->eof_sent = true;
        } else if (!stream_is_over(stream))
            return error_set(err, why.code, "%s", why.message);
    }
    if (await_end(stream, until, err) < 0)
        return -1;
    if (!stream->streams)
        return stream->aborted ? 0 : error_set(err, stream->failure.code, "%s", stream->failure.message);
    send_status(stream, WIRE_MSG_STATUS_OK);
    detach(stream);
    return 0;
}

int stream_finish(struct stream *stream, deadline until, struct error *err)
{
    discard(stream);
    if (stream->server_side)
        return finish_server(stream, until, err);
    if (stream->streams)
        send_status(stream, WIRE_MSG_STATUS_OK);
    if (await_end(stream, until, err) < 0)
        return -1;
    return stream->failed ? error_set(err, stream->failure.code, "%s", stream->failure.message) : 0;
}

void stream_fail(struct stream *stream, const struct error *error)
{
    if (!stream->streams)
        return;
    if (!stream->opener) { /* else the call's reply carries the error */
        scoped_text struct text body = {0};
        reply_error_encode(error, &body);
        send_packet(stream, WIRE_MSG_TYPE_STREAM, WIRE_MSG_STATUS_ERROR, body.data, body.length);
    }
    break_off(stream, error);
}

int stream_abort(struct stream *stream, deadline until, struct error *err)
{
    discard(stream);
    if (stream->streams)
        send_status(stream, WIRE_MSG_STATUS_ERROR);
    return await_end(stream, until, err);
}

void stream_cancel(struct stream *stream)
{
    stream->cancelled = true;
    condition_wake(&stream->changed);
}

/* -- life ---------------------------------------------------------------------------------------------------------- */

void streams_init(struct streams *streams, struct connection *connection, bool server_side)
{
    streams->connection = connection;
    streams->server_side = server_side;
    list_init(&streams->open);
}

static bool allows_holes(const struct wire_procedure *procedure, const void *args)
{
    if (!procedure->sparse || !args)
        return false;
    uint32_t flags = *(const uint32_t *)(const void *)((const char *)args + procedure->flags_offset);
    return (flags & procedure->sparse) == procedure->sparse;
}

struct stream *stream_new(struct streams *streams, const struct wire_procedure *procedure, uint32_t serial,
                          const void *args, struct stream **opener)
{
    struct stream *stream = xcalloc(1, sizeof *stream);
    bool server = streams->server_side;
    stream->streams = streams;
    stream->procedure = procedure;
    stream->serial = serial;
    stream->opener = opener;
    stream->server_side = server;
    stream->can_send = procedure->flags & (server ? WIRE_STREAM_READ : WIRE_STREAM_WRITE);
    stream->can_receive = procedure->flags & (server ? WIRE_STREAM_WRITE : WIRE_STREAM_READ);
    stream->sparse = allows_holes(procedure, args);
    list_init(&stream->packets);
    condition_init(&stream->changed);
    list_append(&streams->open, &stream->link);
    *opener = stream;
    return stream;
}

void stream_opened(struct stream *stream, const struct error *failure)
{
    if (stream->opener)
        *stream->opener = NULL;
    stream->opener = NULL;
    if (failure)
        break_off(stream, failure);
    condition_wake(&stream->changed);
}

void stream_free(struct stream *stream)
{
    if (!stream)
        return;
    if (stream->streams && stream->server_side) {
        struct error unfinished;
        error_set(&unfinished, ERR_OPERATION_FAILED, "the stream of %s was ended by the server",
                  stream->procedure->name);
        stream_fail(stream, &unfinished);
    } else if (stream->streams) {
        if (!stream->opener)
            send_status(stream, WIRE_MSG_STATUS_ERROR);
        detach(stream);
    }
    discard(stream);
    free(stream);
}

void streams_drained(struct streams *streams)
{
    for (struct list *link = streams->open.next; link != &streams->open; link = link->next)
        condition_wake(&container_of(link, struct stream, link)->changed);
}

void streams_lost(struct streams *streams, const struct error *reason)
{
    while (!list_empty(&streams->open))
        break_off(container_of(streams->open.next, struct stream, link), reason);
}
