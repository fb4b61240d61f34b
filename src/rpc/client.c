/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/client.h"

#include <string.h>

#include "base/list.h"
#include "rpc/codec.h"
#include "rpc/connection.h"
#include "rpc/reply.h"
#include "rpc/streams.h"
#include "wire_tables.h"

#define MAX_QUEUE (64 * 1024 * 1024) /* what we may have to say to a server that does not listen */

struct client {
    struct connection *connection; /* NULL once it is closed */
    struct streams streams;
    struct client_events events;
    void *owner;
    struct list pending; /* struct pending_call */
    uint32_t next_serial;
    uint64_t timeout_ms;
    struct error lost; /* why it is closed */
};

/* A call that awaits its reply; lives on its fiber's stack. */
struct pending_call {
    struct list link;
    struct condition answered;
    bool done;
    int result;
    uint32_t serial;
    const struct wire_procedure *procedure;
    struct arena *arena;
    void *ret;
    struct client_fds *fds;
    struct stream *opener; /* the stream, until the reply comes */
    struct error *err;
};

/* -- what comes in ------------------------------------------------------------------------------------------------- */

static void answer(struct pending_call *pending, int result)
{
    list_remove(&pending->link);
    pending->done = true;
    pending->result = result;
    condition_wake(&pending->answered);
}

static int read_reply(struct pending_call *pending, struct message *message)
{
    const struct wire_type *type = pending->procedure->ret;
    if (message->header.status != WIRE_MSG_STATUS_OK)
        return reply_error_decode(message->body, message->length, pending->err);
    if (type && wire_decode(type, message->body, message->length, pending->arena, pending->ret, pending->err) < 0)
        return -1;
    for (size_t i = 0; pending->fds && i < message->fd_count; i++) {
        pending->fds->received[pending->fds->received_count++] = message->fds[i];
        message->fds[i] = -1;
    }
    if (pending->opener)
        stream_opened(pending->opener, NULL);
    return 0;
}

static void reply_arrived(struct client *client, struct message *message)
{
    for (struct list *link = client->pending.next; link != &client->pending; link = link->next) {
        struct pending_call *pending = container_of(link, struct pending_call, link);
        if (pending->serial == message->header.serial &&
            pending->procedure->number == (uint32_t)message->header.proc &&
            pending->procedure->program->number == message->header.prog) {
            answer(pending, read_reply(pending, message));
            return;
        }
    }
}

static void event_arrived(struct client *client, const struct message *message)
{
    static const struct wire_program *const programs[] = {&program_remote, &program_qemu, &program_admin,
                                                          &program_godwit};
    for (size_t i = 0; i < COUNT(programs); i++) {
        if (programs[i]->number != message->header.prog)
            continue;
        const struct wire_procedure *procedure = wire_procedure_find(programs[i], (uint32_t)message->header.proc);
        if (!procedure || !(procedure->flags & WIRE_EVENT) || !client->events.event)
            return;
        scoped_arena struct arena *arena = arena_new();
        void *event = procedure->args ? arena_alloc(arena, procedure->args->size) : NULL;
        if (event && wire_decode(procedure->args, message->body, message->length, arena, event, NULL) < 0)
            return; /* an event of a newer server: nobody can have registered for it */
        client->events.event(client->owner, procedure, event, arena);
        return;
    }
}

static void message_arrived(void *owner, struct message *message)
{
    struct client *client = owner;
    switch (message->header.type) {
    case WIRE_MSG_TYPE_REPLY:
    case WIRE_MSG_TYPE_REPLY_WITH_FDS:
        reply_arrived(client, message);
        break;
    case WIRE_MSG_TYPE_MESSAGE:
        event_arrived(client, message);
        break;
    case WIRE_MSG_TYPE_STREAM:
    case WIRE_MSG_TYPE_STREAM_HOLE:
        streams_message(&client->streams, message);
        break;
    default: /* servers do not call clients */
        break;
    }
}

static void drained(void *owner)
{
    struct client *client = owner;
    streams_drained(&client->streams);
}

/* Everyone who waits learns that nothing will come. */
static void give_up(struct client *client)
{
    while (!list_empty(&client->pending)) {
        struct pending_call *pending = container_of(client->pending.next, struct pending_call, link);
        error_set(pending->err, client->lost.code, "%s", client->lost.message);
        answer(pending, -1);
    }
    streams_lost(&client->streams, &client->lost);
    connection_free(steal(client->connection));
}

static void closed(void *owner, const struct error *reason)
{
    struct client *client = owner;
    error_set(&client->lost, ERR_SYSTEM_ERROR, "the connection to the server is lost: %s", reason->message);
    give_up(client);
    if (client->events.closed)
        client->events.closed(client->owner, &client->lost);
}

/* -- life ---------------------------------------------------------------------------------------------------------- */

struct client *client_new(int fd, const struct client_events *events, void *owner)
{
    static const struct connection_events callbacks = {message_arrived, drained, closed};
    struct client *client = xcalloc(1, sizeof *client);
    if (events)
        client->events = *events;
    client->owner = owner;
    list_init(&client->pending);
    client->connection = connection_new(fd, &callbacks, client, MAX_QUEUE, 0);
    streams_init(&client->streams, client->connection, false);
    return client;
}

void client_free(struct client *client)
{
    if (!client)
        return;
    error_set(&client->lost, ERR_OPERATION_ABORTED, "the connection to the server was closed by us");
    give_up(client);
    free(client);
}

void client_set_timeout(struct client *client, uint64_t milliseconds)
{
    client->timeout_ms = milliseconds;
}

void client_set_keepalive(struct client *client, uint32_t interval_s, uint32_t count)
{
    if (client->connection)
        connection_keepalive(client->connection, interval_s * UINT64_C(1000), count);
}

bool client_is_closed(const struct client *client)
{
    return !client->connection;
}

/* -- calls --------------------------------------------------------------------------------------------------------- */

static int send_call(struct client *client, const struct pending_call *pending, const void *args, struct error *err)
{
    const struct wire_procedure *procedure = pending->procedure;
    const struct client_fds *fds = pending->fds;
    size_t fd_count = fds ? fds->send_count : 0;
    struct wire_msg_header header = {.prog = procedure->program->number, .vers = procedure->program->version,
                                     .proc = (int32_t)procedure->number, .serial = pending->serial,
                                     .type = fd_count ? WIRE_MSG_TYPE_CALL_WITH_FDS : WIRE_MSG_TYPE_CALL};
    scoped_text struct text out = {0};
    size_t start = message_begin(&out, &header);
    if (fd_count > MESSAGE_FDS_MAX)
        return error_set(err, ERR_INVALID_ARG, "%zu descriptors for %s; at most %d can be passed", fd_count,
                         procedure->name, MESSAGE_FDS_MAX);
    if (fd_count)
        text_append_bytes(&out, (const uint8_t[]){0, 0, 0, (uint8_t)fd_count}, 4);
    if (procedure->args && wire_encode(procedure->args, args, &out, err) < 0)
        return -1;
    if (message_end(&out, start, err) < 0)
        return -1;
    connection_send(client->connection, &(struct iovec){out.data, out.length}, 1, fd_count ? fds->send : NULL,
                    fd_count);
    return 0;
}

static int await_reply(struct client *client, struct pending_call *pending, struct error *err)
{
    /* the client may be freed while we wait: then the call is answered, and only pending is ours to touch */
    deadline until = client->timeout_ms ? deadline_ms(client->timeout_ms) : DEADLINE_NONE;
    while (!pending->done)
        if (condition_wait(&pending->answered, until, err) < 0 && !pending->done) {
            list_remove(&pending->link);
            return error_wrap(err, "no reply to %s", pending->procedure->name);
        }
    return pending->result;
}

int client_call(struct client *client, const struct wire_procedure *procedure, const void *args, struct arena *arena,
                void *ret, struct client_extras *extras, struct error *err)
{
    if (!client->connection)
        return error_set(err, client->lost.code, "%s", client->lost.message);
    struct error reason;
    struct pending_call pending = {.serial = client->next_serial++, .procedure = procedure, .arena = arena, .ret = ret,
                                   .fds = extras ? extras->fds : NULL, .err = &reason};
    struct stream *stream = NULL;
    condition_init(&pending.answered);
    list_append(&client->pending, &pending.link);
    if (pending.fds)
        pending.fds->received_count = 0;
    if (extras && extras->stream)
        stream = stream_new(&client->streams, procedure, pending.serial, args, &pending.opener);
    int rc = send_call(client, &pending, args, &reason);
    if (rc < 0)
        list_remove(&pending.link);
    else
        rc = await_reply(client, &pending, &reason);
    if (rc < 0) {
        stream_free(stream);
        return error_set(err, reason.code, "%s", reason.message);
    }
    if (stream)
        *extras->stream = stream;
    return 0;
}
