/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/fiber.h"
#include "rpc/codec.h"
#include "rpc/reply.h"
#include "rpc/server_internal.h"

/* From a message to its reply. A call that may start does so at once, in a fiber; the others wait in a short list, and
 * when that is full, in the socket. Keepalive and streams are served meanwhile. */

#define WAITING_MAX       32
#define WAITING_BYTES_MAX 1048576
#define STREAMS_MAX       64 /* of one client; each has a fiber or two */

struct running_call {
    struct call call; /* what the handler sees */
    struct list link; /* in client->running */
    struct fiber *fiber;
    const struct wire_handler *handler;
    void *args, *ret;
    struct stream *stream; /* opened by the handler, and the reply has not gone out */
    int out_fds[MESSAGE_FDS_MAX];
    size_t out_fd_count;
    bool close_after; /* the reply is the last thing the client gets */
};

struct waiting_call {
    struct list link;
    struct message message; /* body points behind the struct */
    int fds[MESSAGE_FDS_MAX];
    uint8_t body[];
};

static struct running_call *running_call(struct call *call)
{
    return container_of(call, struct running_call, call);
}

/* -- replies ------------------------------------------------------------------------------------------------------- */

static void send_error(struct server_client *client, const struct wire_msg_header *call, const struct error *error)
{
    if (client->closed)
        return;
    struct text *out = &client->server->scratch;
    struct wire_msg_header header = *call;
    header.type = WIRE_MSG_TYPE_REPLY;
    header.status = WIRE_MSG_STATUS_ERROR;
    size_t start = message_begin(out, &header);
    reply_error_encode(error, out);
    message_end(out, start, NULL); /* an error is never too large */
    connection_send_text(client->connection, out);
    server_scratch_trim(client->server);
}

static struct wire_msg_header call_header(const struct call *call)
{
    return (struct wire_msg_header){.prog = call->procedure->program->number,
                                    .vers = call->procedure->program->version,
                                    .proc = (int32_t)call->procedure->number,
                                    .serial = call->serial};
}

static int encode_reply(const struct running_call *running, struct text *out, struct error *err)
{
    const struct wire_procedure *procedure = running->call.procedure;
    struct wire_msg_header header = call_header(&running->call);
    header.type = running->out_fd_count ? WIRE_MSG_TYPE_REPLY_WITH_FDS : WIRE_MSG_TYPE_REPLY;
    size_t start = message_begin(out, &header);
    if (running->out_fd_count) {
        const uint8_t count[4] = {0, 0, 0, (uint8_t)running->out_fd_count};
        text_append_bytes(out, count, sizeof count);
    }
    if (procedure->ret && wire_encode(procedure->ret, running->ret, out, err) < 0) {
        out->length = start;
        return -1;
    }
    return message_end(out, start, err);
}

/* Returns -1 with err when the results cannot be sent. */
static int send_results(struct running_call *running, struct error *err)
{
    struct server_client *client = running->call.client;
    struct text *out = &client->server->scratch;
    if (client->closed)
        return 0;
    if (encode_reply(running, out, err) < 0)
        return -1;
    connection_send(client->connection, &(struct iovec){out->data, out->length}, 1, running->out_fds,
                    running->out_fd_count);
    server_scratch_trim(client->server);
    return 0;
}

/* -- permission ---------------------------------------------------------------------------------------------------- */

static int check_permission(struct call *call, const void *args, struct error *err)
{
    const struct wire_procedure *procedure = call->procedure;
    const struct server_options *options = &call->server->options;
    if (call->client->readonly && procedure->flags & WIRE_WRITES && wire_condition_holds(&procedure->writes_when, args))
        return error_set(err, ERR_OPERATION_DENIED, "operation denied: %s is not allowed on a read-only connection",
                         procedure->name);
    if (options->admit && options->admit(call, args, err) < 0)
        return -1;
    if (!options->access)
        return 0;
    for (const struct wire_access *rule = procedure->access; rule && rule->object; rule++)
        if (wire_condition_holds(&rule->when, args) && options->access(call, rule, args, err) < 0)
            return -1;
    return 0;
}

/* -- running ------------------------------------------------------------------------------------------------------- */

/* A call that said ok without a stream left its client waiting for one. */
static int check_stream(const struct running_call *running, struct error *err)
{
    const struct wire_procedure *procedure = running->call.procedure;
    if (!(procedure->flags & (WIRE_STREAM_READ | WIRE_STREAM_WRITE)) || running->stream)
        return 0;
    return error_set(err, ERR_OPERATION_FAILED, "the stream of %s ended before it began", procedure->name);
}

static void call_finish(struct running_call *running)
{
    struct server_client *client = running->call.client;
    for (size_t i = 0; i < running->call.fd_count; i++)
        if (running->call.fds[i] >= 0)
            close(running->call.fds[i]);
    for (size_t i = 0; i < running->out_fd_count; i++)
        close(running->out_fds[i]);
    list_remove(&running->link);
    client->running_count--;
    arena_free(running->call.arena); /* the call itself lives there */
    if (client->closed)
        server_client_settle(client);
    else
        call_start_waiting(client);
}

static void call_run(void *argument)
{
    struct running_call *running = argument;
    struct call *call = &running->call;
    struct error err;
    err.code = 0; /* not the whole kilobyte for every call */
    running->fiber = fiber_self();
    int rc = check_permission(call, running->args, &err);
    if (rc == 0)
        rc = running->handler->invoke(call, running->args, running->ret, &err);
    if (rc == 0)
        rc = check_stream(running, &err);
    if (rc == 0)
        rc = send_results(running, &err);
    if (rc < 0) {
        if (!err.code)
            error_set(&err, ERR_INTERNAL_ERROR, "%s failed without saying why", call->procedure->name);
        struct wire_msg_header header = call_header(call);
        send_error(call->client, &header, &err);
    }
    if (running->stream)
        stream_opened(running->stream, rc < 0 ? &err : NULL);
    if (running->close_after && call->client->connection)
        connection_finish(call->client->connection);
    call_finish(running);
}

/* Finds who answers. Returns NULL with err when nobody does. */
static const struct wire_procedure *find_procedure(const struct server *server, const struct wire_msg_header *header,
                                                   const struct wire_handler **handler, struct error *err)
{
    const struct server_program *program = server->options.programs;
    while (program->wire && program->wire->number != header->prog)
        program++;
    if (!program->wire)
        return error_null(err, ERR_RPC, "unknown program 0x%x", header->prog);
    if (program->wire->version != header->vers)
        return error_null(err, ERR_RPC, "unknown version %u of program %s (0x%x); this is version %u", header->vers,
                          program->wire->name, header->prog, program->wire->version);
    const struct wire_procedure *procedure = wire_procedure_find(program->wire, (uint32_t)header->proc);
    if (!procedure || procedure->flags & WIRE_EVENT)
        return error_null(err, ERR_RPC, "unknown procedure: %d", header->proc);
    *handler = &program->handlers[procedure->number];
    if (!(*handler)->present)
        return error_null(err, ERR_RPC, "unknown procedure: %d (%s is not supported)", header->proc, procedure->name);
    return procedure;
}

static int call_prepare(struct server_client *client, const struct message *message, struct running_call *running,
                        struct error *err)
{
    struct call *call = &running->call;
    call->procedure = find_procedure(client->server, &message->header, &running->handler, err);
    if (!call->procedure)
        return -1;
    if (!client->authenticated && !(call->procedure->flags & WIRE_NOAUTH))
        return error_set(err, ERR_RPC, "authentication required");
    if (message->header.status != WIRE_MSG_STATUS_OK)
        return error_set(err, ERR_RPC, "a call of %s with status %d", call->procedure->name, message->header.status);
    if (call->procedure->args) {
        running->args = arena_alloc(call->arena, call->procedure->args->size);
        if (wire_decode(call->procedure->args, message->body, message->length, call->arena, running->args, err) < 0)
            return -1;
    }
    if (call->procedure->ret)
        running->ret = arena_alloc(call->arena, call->procedure->ret->size);
    if (message->fd_count) {
        call->fd_count = message->fd_count;
        call->fds = arena_memdup(call->arena, message->fds, message->fd_count * sizeof(int));
        for (size_t i = 0; i < message->fd_count; i++)
            message->fds[i] = -1;
    }
    return 0;
}

static void call_start(struct server_client *client, const struct message *message)
{
    struct arena *arena = arena_new();
    struct running_call *running = arena_struct(arena, struct running_call);
    struct error err;
    running->call = (struct call){.server = client->server, .client = client, .arena = arena,
                                  .serial = message->header.serial};
    if (call_prepare(client, message, running, &err) < 0) {
        send_error(client, &message->header, &err);
        arena_free(arena);
        return;
    }
    list_append(&client->running, &running->link);
    client->running_count++;
    fiber_start(running->call.procedure->name, call_run, running);
}

/* -- waiting ------------------------------------------------------------------------------------------------------- */

static bool may_start(const struct server_client *client)
{
    return client->running_count < client->server->options.max_client_requests &&
           !connection_is_congested(client->connection);
}

static void call_keep(struct server_client *client, struct message *message)
{
    struct waiting_call *waiting = xrealloc(NULL, sizeof *waiting + message->length);
    waiting->message = *message;
    waiting->message.body = waiting->body;
    waiting->message.fds = waiting->fds;
    if (message->length)
        memcpy(waiting->body, message->body, message->length);
    for (size_t i = 0; i < message->fd_count; i++) {
        waiting->fds[i] = message->fds[i];
        message->fds[i] = -1;
    }
    list_append(&client->waiting, &waiting->link);
    client->waiting_count++;
    client->waiting_bytes += message->length;
    if (!client->holding && (client->waiting_count >= WAITING_MAX || client->waiting_bytes >= WAITING_BYTES_MAX)) {
        client->holding = true;
        connection_hold(client->connection);
    }
}

static struct waiting_call *call_take(struct server_client *client)
{
    struct waiting_call *waiting = container_of(client->waiting.next, struct waiting_call, link);
    list_remove(&waiting->link);
    client->waiting_count--;
    client->waiting_bytes -= waiting->message.length;
    return waiting;
}

static void waiting_free(struct waiting_call *waiting)
{
    for (size_t i = 0; i < waiting->message.fd_count; i++)
        if (waiting->fds[i] >= 0)
            close(waiting->fds[i]);
    free(waiting);
}

void call_arrived(struct server_client *client, struct message *message)
{
    if (list_empty(&client->waiting) && may_start(client))
        call_start(client, message);
    else
        call_keep(client, message);
}

/* A call that ends at once comes back here through call_finish(): the outer round goes on with the next one. */
void call_start_waiting(struct server_client *client)
{
    if (client->starting)
        return;
    client->starting = true;
    while (!list_empty(&client->waiting) && may_start(client)) {
        struct waiting_call *waiting = call_take(client);
        call_start(client, &waiting->message);
        waiting_free(waiting);
    }
    client->starting = false;
    if (client->holding && client->waiting_count < WAITING_MAX / 2 && client->waiting_bytes < WAITING_BYTES_MAX / 2) {
        client->holding = false;
        connection_release(client->connection);
    }
}

void call_cancel_all(struct server_client *client)
{
    while (!list_empty(&client->waiting))
        waiting_free(call_take(client));
    for (struct list *link = client->running.next; link != &client->running; link = link->next)
        fiber_cancel(container_of(link, struct running_call, link)->fiber);
}

bool call_close_after(struct server_client *client)
{
    struct fiber *self = fiber_self();
    for (struct list *link = client->running.next; self && link != &client->running; link = link->next) {
        struct running_call *running = container_of(link, struct running_call, link);
        if (running->fiber == self)
            return running->close_after = true;
    }
    return false;
}

/* -- for handlers -------------------------------------------------------------------------------------------------- */

struct stream *call_open_stream(struct call *call, struct error *err)
{
    struct running_call *running = running_call(call);
    if (call->client->closed)
        return error_null(err, ERR_OPERATION_ABORTED, "the client is gone");
    if (running->stream || !(call->procedure->flags & (WIRE_STREAM_READ | WIRE_STREAM_WRITE)))
        return error_null(err, ERR_INTERNAL_ERROR, "%s has no stream to open", call->procedure->name);
    unsigned open = 0;
    for (struct list *link = call->client->streams.open.next; link != &call->client->streams.open; link = link->next)
        open++;
    if (open >= STREAMS_MAX)
        return error_null(err, ERR_OPERATION_FAILED,
                          "this client has %u streams open already: finish or abort one before %s", open,
                          call->procedure->name);
    return stream_new(&call->client->streams, call->procedure, call->serial, running->args, &running->stream);
}

int call_send_fd(struct call *call, int fd, struct error *err)
{
    struct running_call *running = running_call(call);
    if (call->client->peer.is_unix && running->out_fd_count < MESSAGE_FDS_MAX) {
        running->out_fds[running->out_fd_count++] = fd;
        return 0;
    }
    close(fd);
    if (!call->client->peer.is_unix)
        return error_set(err, ERR_NO_SUPPORT, "descriptors cannot be passed to a client that is not on this host");
    return error_set(err, ERR_INTERNAL_ERROR, "more than %d descriptors in one reply", MESSAGE_FDS_MAX);
}
