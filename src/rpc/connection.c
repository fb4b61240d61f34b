/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/connection.h"

#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/loop.h"
#include "rpc/outbox.h"
#include "wire_tables.h"

#define READ_SIZE     65536  /* on the stack */
#define SMALL_READ    4096   /* least room for a message that came in part */
#define QUEUED_FDS    128    /* received and not yet asked for by a message: more is abuse */
#define HIGH_WATER    1048576
#define LOW_WATER     262144 /* congested from the high mark down to here */
#define FLUSH_TIME_MS 5000   /* connection_finish() */

struct connection {
    struct connection_events events;
    void *owner;
    int fd;
    struct watch *watch;

    uint8_t *input; /* the begin of a message whose rest has not come, or messages that arrived while held */
    size_t input_length, input_capacity;
    int *fds;
    size_t fd_count;
    unsigned holds;
    struct timer *resume; /* input is complete messages, and the hold has ended */

    struct outbox outbox;
    size_t max_queue, max_message;
    bool congested;

    struct timer *keepalive;
    uint32_t keepalive_count, unanswered;
    bool heard; /* since the timer fired last */

    struct timer *flush_limit;
    bool finishing;  /* close when the queue is empty */
    bool failed;     /* with reason; closed() comes, or came */
    bool told;       /* closed() was called */
    unsigned busy;   /* our functions that are on the stack around a callback */
    bool free_asked; /* connection_free() was called meanwhile */
    struct error *reason;
};

/* -- state --------------------------------------------------------------------------------------------------------- */

static void update_watch(struct connection *connection)
{
    bool deaf = connection->holds || connection->finishing;
    int events = deaf && !connection->failed ? UV_DISCONNECT : UV_READABLE;
    if (connection->outbox.bytes && !connection->failed)
        events |= UV_WRITABLE;
    if (connection->told)
        events = 0;
    watch_set(connection->watch, events);
}

/* The connection is no longer usable. The owner learns it from the loop: the shut-down socket becomes readable. */
static void fail(struct connection *connection, const struct error *reason)
{
    if (connection->failed)
        return;
    connection->failed = true;
    connection->reason = xcalloc(1, sizeof *connection->reason);
    *connection->reason = *reason;
    shutdown(connection->fd, SHUT_RDWR);
    update_watch(connection);
}

static void fail_system(struct connection *connection, int errnum, const char *what)
{
    struct error reason;
    if (errnum == EPIPE || errnum == ECONNRESET) /* went without reading everything */
        error_set(&reason, ERR_OPERATION_ABORTED, "the peer has closed the connection");
    else
        error_system(&reason, errnum, "%s the peer", what);
    fail(connection, &reason);
}

/* ERR_OPERATION_ABORTED for an end that is no fault, ERR_RPC for one. */
__attribute__((format(printf, 3, 4)))
static void fail_with(struct connection *connection, int code, const char *format, ...)
{
    struct error reason;
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    error_set(&reason, code, "%s", text);
    fail(connection, &reason);
}

static void destroy(struct connection *connection)
{
    watch_free(connection->watch);
    timer_free(connection->resume);
    timer_free(connection->keepalive);
    timer_free(connection->flush_limit);
    close(connection->fd);
    outbox_finish(&connection->outbox);
    for (size_t i = 0; i < connection->fd_count; i++)
        close(connection->fds[i]);
    free(connection->fds);
    free(connection->input);
    free(connection->reason);
    free(connection);
}

/* Brackets around code that calls the owner: connection_free() in between is delayed. */
static void enter(struct connection *connection)
{
    connection->busy++;
}

static void leave(struct connection *connection)
{
    if (--connection->busy == 0 && connection->free_asked)
        destroy(connection);
}

static void tell(struct connection *connection)
{
    if (connection->told)
        return;
    connection->told = true;
    update_watch(connection);
    if (!connection->free_asked)
        connection->events.closed(connection->owner, connection->reason);
}

/* -- output -------------------------------------------------------------------------------------------------------- */

void connection_send(struct connection *connection, const struct iovec *parts, int count, const int *fds,
                     size_t fd_count)
{
    if (connection->failed || connection->finishing)
        return;
    /* checked before the message, so that one large reply to a patient peer always fits */
    if (connection->outbox.bytes > connection->max_queue) {
        fail_with(connection, ERR_RPC, "the peer has left %zu bytes unread (at most %zu)", connection->outbox.bytes,
                  connection->max_queue);
        return;
    }
    int errnum = outbox_send(&connection->outbox, parts, count, fds, fd_count);
    if (errnum)
        fail_system(connection, errnum, "cannot send to");
    if (connection->outbox.bytes > HIGH_WATER)
        connection->congested = true;
    if (connection->outbox.bytes)
        update_watch(connection);
}

void connection_send_text(struct connection *connection, const struct text *message)
{
    connection_send(connection, &(struct iovec){message->data, message->length}, 1, NULL, 0);
}

static void writable(struct connection *connection)
{
    int errnum = outbox_flush(&connection->outbox);
    if (errnum) {
        fail_system(connection, errnum, "cannot send to");
        return;
    }
    if (connection->finishing && !connection->outbox.bytes) {
        fail_with(connection, ERR_OPERATION_ABORTED, "closed");
        return;
    }
    if (connection->congested && connection->outbox.bytes < LOW_WATER) {
        connection->congested = false;
        connection->events.drained(connection->owner);
    }
}

bool connection_is_congested(const struct connection *connection)
{
    return connection->congested;
}

/* -- messages ------------------------------------------------------------------------------------------------------ */

static uint32_t get_u32(const uint8_t *at)
{
    uint32_t raw;
    memcpy(&raw, at, 4);
    return be32toh(raw);
}

void message_header(uint8_t to[MESSAGE_HEADER_SIZE], const struct wire_msg_header *header, size_t body_length)
{
    const uint32_t words[] = {(uint32_t)(MESSAGE_HEADER_SIZE + body_length), header->prog, header->vers,
                              (uint32_t)header->proc, (uint32_t)header->type, header->serial,
                              (uint32_t)header->status};
    for (size_t i = 0; i < COUNT(words); i++) {
        uint32_t raw = htobe32(words[i]);
        memcpy(to + 4 * i, &raw, 4);
    }
}

size_t message_begin(struct text *out, const struct wire_msg_header *header)
{
    size_t start = out->length;
    message_header((uint8_t *)text_reserve(out, MESSAGE_HEADER_SIZE), header, 0);
    out->length += MESSAGE_HEADER_SIZE;
    return start;
}

int message_end(struct text *out, size_t start, struct error *err)
{
    size_t length = out->length - start;
    if (length > MESSAGE_MAX) {
        out->length = start;
        return error_set(err, ERR_RPC, "message of %zu bytes is too large; at most %d can be sent", length,
                         MESSAGE_MAX);
    }
    uint32_t raw = htobe32((uint32_t)length);
    memcpy(out->data + start, &raw, 4);
    return 0;
}

static void send_keepalive(struct connection *connection, int procedure)
{
    struct wire_msg_header header = {.prog = program_keepalive.number, .vers = program_keepalive.version,
                                     .proc = procedure, .type = WIRE_MSG_TYPE_MESSAGE};
    uint8_t bytes[MESSAGE_HEADER_SIZE];
    message_header(bytes, &header, 0);
    connection_send(connection, &(struct iovec){bytes, sizeof bytes}, 1, NULL, 0);
}

static void drop_fds(struct connection *connection, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (connection->fds[i] >= 0)
            close(connection->fds[i]);
    connection->fd_count -= count;
    memmove(connection->fds, connection->fds + count, connection->fd_count * sizeof *connection->fds);
    if (!connection->fd_count) {
        free(connection->fds);
        connection->fds = NULL;
    }
}

static void deliver(struct connection *connection, const uint8_t *data, size_t length, size_t fd_count)
{
    struct message message = {
        .header = {.prog = get_u32(data + 4), .vers = get_u32(data + 8), .proc = (int32_t)get_u32(data + 12),
                   .type = (int32_t)get_u32(data + 16), .serial = get_u32(data + 20),
                   .status = (int32_t)get_u32(data + 24)},
        .body = data + MESSAGE_HEADER_SIZE,
        .length = length - MESSAGE_HEADER_SIZE,
    };
    const struct wire_msg_header *header = &message.header;
    if (header->type < WIRE_MSG_TYPE_CALL || header->type > WIRE_MSG_TYPE_STREAM_HOLE ||
        header->status < WIRE_MSG_STATUS_OK || header->status > WIRE_MSG_STATUS_CONTINUE) {
        fail_with(connection, ERR_RPC, "message of unknown type %d or status %d", header->type, header->status);
        return;
    }
    connection->heard = true;
    connection->unanswered = 0;
    if (header->prog == program_keepalive.number) {
        if (header->proc == PROC_KEEPALIVE_PING)
            send_keepalive(connection, PROC_KEEPALIVE_PONG);
        return;
    }
    if (header->type == WIRE_MSG_TYPE_CALL_WITH_FDS || header->type == WIRE_MSG_TYPE_REPLY_WITH_FDS) {
        message.body += 4;
        message.length -= 4;
        message.fds = connection->fds;
        message.fd_count = fd_count;
    }
    connection->events.message(connection->owner, &message);
    if (fd_count)
        drop_fds(connection, fd_count);
}

/* How many descriptors follow the message, or -1. Its first 32 bytes must be there. */
static int following_fds(struct connection *connection, const uint8_t *data, size_t length)
{
    uint32_t type = get_u32(data + 16);
    if (type != WIRE_MSG_TYPE_CALL_WITH_FDS && type != WIRE_MSG_TYPE_REPLY_WITH_FDS)
        return 0;
    uint32_t count = length < MESSAGE_HEADER_SIZE + 4 ? UINT32_MAX : get_u32(data + MESSAGE_HEADER_SIZE);
    if (count <= MESSAGE_FDS_MAX)
        return (int)count;
    fail_with(connection, ERR_RPC, "message with an impossible number of descriptors");
    return -1;
}

/* Delivers the complete messages in data and returns how many bytes they were. */
static size_t parse(struct connection *connection, const uint8_t *data, size_t available)
{
    size_t at = 0;
    while (available - at >= 4 && !connection->holds && !connection->failed && !connection->free_asked &&
           !connection->finishing) {
        size_t length = get_u32(data + at);
        if (length < MESSAGE_HEADER_SIZE || length > connection->max_message) {
            fail_with(connection, ERR_RPC, "message of %zu bytes; it must have from %d to %zu", length,
                      MESSAGE_HEADER_SIZE, connection->max_message);
            break;
        }
        if (available - at < length)
            break;
        int fds = following_fds(connection, data + at, length);
        if (fds < 0 || available - at < length + (size_t)fds)
            break;
        if (connection->fd_count < (size_t)fds) {
            fail_with(connection, ERR_RPC, "message says that %d descriptors follow; %zu came", fds,
                      connection->fd_count);
            break;
        }
        deliver(connection, data + at, length, (size_t)fds);
        at += length + (size_t)fds;
    }
    return at;
}

/* -- input --------------------------------------------------------------------------------------------------------- */

/* Room for what is needed to complete the first message, but never more than twice what the peer has really sent. */
static void make_room(struct connection *connection)
{
    size_t wanted = connection->input_length < 4 ? SMALL_READ : get_u32(connection->input) + (size_t)MESSAGE_FDS_MAX;
    size_t earned = connection->input_length * 2 > SMALL_READ ? connection->input_length * 2 : SMALL_READ;
    size_t capacity = wanted < earned && wanted > connection->input_length ? wanted : earned;
    if (capacity <= connection->input_capacity)
        return;
    connection->input = xrealloc(connection->input, capacity);
    connection->input_capacity = capacity;
}

static void keep_fds(struct connection *connection, struct msghdr *header)
{
    for (struct cmsghdr *item = CMSG_FIRSTHDR(header); item; item = CMSG_NXTHDR(header, item)) {
        if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        connection->fds = xrealloc(connection->fds, (connection->fd_count + count) * sizeof(int));
        memcpy(connection->fds + connection->fd_count, CMSG_DATA(item), count * sizeof(int));
        connection->fd_count += count;
    }
    if (header->msg_flags & MSG_CTRUNC || connection->fd_count > QUEUED_FDS)
        fail_with(connection, ERR_RPC, "the peer sent more descriptors than messages ask for");
}

/* One recvmsg(): the kernel ends it behind a byte that carries descriptors. Returns the bytes, 0 when there is nothing
 * to do (also after a failure). */
static size_t receive(struct connection *connection, uint8_t *to, size_t size)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(MESSAGE_FDS_MAX * sizeof(int))];
    } control;
    struct iovec part = {to, size};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
                            .msg_controllen = sizeof control.space};
    ssize_t got = recvmsg(connection->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0) {
        if (errno != EAGAIN && errno != EINTR)
            fail_system(connection, errno, "cannot receive from");
        return 0;
    }
    if (header.msg_controllen)
        keep_fds(connection, &header);
    if (got == 0)
        fail_with(connection, ERR_OPERATION_ABORTED, "the peer has closed the connection");
    return connection->failed ? 0 : (size_t)got;
}

/* Keeps what parse() left, in its own memory. */
static void keep_rest(struct connection *connection, const uint8_t *rest, size_t length)
{
    if (!length) {
        free(connection->input);
        connection->input = NULL;
        connection->input_length = connection->input_capacity = 0;
        if (connection->fd_count)
            fail_with(connection, ERR_RPC, "the peer sent descriptors that no message asks for");
        return;
    }
    if (connection->input_capacity < length) { /* only when rest is not in input */
        connection->input = xrealloc(connection->input, length);
        connection->input_capacity = length;
    }
    if (rest != connection->input)
        memmove(connection->input, rest, length);
    connection->input_length = length;
}

static void parse_input(struct connection *connection)
{
    size_t used = parse(connection, connection->input, connection->input_length);
    if (used)
        keep_rest(connection, connection->input + used, connection->input_length - used);
}

static void readable(struct connection *connection)
{
    if (connection->input_length) {
        make_room(connection);
        connection->input_length += receive(connection, connection->input + connection->input_length,
                                            connection->input_capacity - connection->input_length);
        if (!connection->failed)
            parse_input(connection);
        return;
    }
    uint8_t buffer[READ_SIZE];
    size_t got = receive(connection, buffer, sizeof buffer);
    if (got) {
        size_t used = parse(connection, buffer, got);
        keep_rest(connection, buffer + used, got - used);
    }
}

static void ready(void *owner, int events)
{
    struct connection *connection = owner;
    enter(connection);
    if (events & UV_WRITABLE && !connection->failed)
        writable(connection);
    if (events & UV_DISCONNECT && !(events & UV_READABLE))
        fail_with(connection, ERR_OPERATION_ABORTED, "the peer has closed the connection");
    if (events & UV_READABLE && !connection->failed && !connection->free_asked && !connection->finishing &&
        !connection->holds)
        readable(connection);
    if (!connection->told)
        update_watch(connection);
    if (connection->failed)
        tell(connection);
    leave(connection);
}

void connection_hold(struct connection *connection)
{
    if (connection->holds++ == 0)
        update_watch(connection);
}

static void resumed(void *owner)
{
    struct connection *connection = owner;
    timer_free(steal(connection->resume));
    enter(connection);
    if (!connection->holds && !connection->failed)
        parse_input(connection);
    leave(connection);
}

void connection_release(struct connection *connection)
{
    if (--connection->holds > 0)
        return;
    update_watch(connection);
    /* messages that are here already raise no event; they are not parsed here because a fiber may be calling */
    if (connection->input_length && !connection->resume)
        connection->resume = timer_new(0, 0, resumed, connection);
}

/* -- life ---------------------------------------------------------------------------------------------------------- */

struct connection *connection_new(int fd, const struct connection_events *events, void *owner, size_t max_queue,
                                  size_t max_message)
{
    struct connection *connection = xcalloc(1, sizeof *connection);
    connection->events = *events;
    connection->owner = owner;
    connection->fd = fd;
    connection->max_queue = max_queue;
    connection->max_message = max_message ? max_message : MESSAGE_MAX;
    outbox_init(&connection->outbox, fd);
    connection->watch = watch_new(fd, UV_READABLE, ready, connection);
    return connection;
}

void connection_free(struct connection *connection)
{
    if (!connection)
        return;
    if (connection->busy)
        connection->free_asked = true;
    else
        destroy(connection);
}

static void keepalive_fired(void *owner)
{
    struct connection *connection = owner;
    if (connection->heard || connection->holds) { /* a peer that is not read cannot be heard */
        connection->heard = false;
        connection->unanswered = 0;
        return;
    }
    if (connection->unanswered >= connection->keepalive_count) {
        fail_with(connection, ERR_RPC, "the peer has not answered %u keepalive questions", connection->unanswered);
        return;
    }
    connection->unanswered++;
    send_keepalive(connection, PROC_KEEPALIVE_PING);
}

void connection_keepalive(struct connection *connection, uint64_t interval_ms, uint32_t count)
{
    timer_free(steal(connection->keepalive));
    connection->keepalive_count = count;
    connection->unanswered = 0;
    if (interval_ms)
        connection->keepalive = timer_new(interval_ms, interval_ms, keepalive_fired, connection);
}

static void flush_limit_reached(void *owner)
{
    fail_with(owner, ERR_RPC, "closed; the peer did not read the last messages");
}

void connection_finish(struct connection *connection)
{
    if (connection->failed || connection->finishing)
        return;
    connection->finishing = true;
    update_watch(connection);
    if (!connection->outbox.bytes)
        fail_with(connection, ERR_OPERATION_ABORTED, "closed");
    else
        connection->flush_limit = timer_new(FLUSH_TIME_MS, 0, flush_limit_reached, connection);
}
