/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/files.h"
#include "base/log.h"
#include "rpc/codec.h"
#include "rpc/server_internal.h"

/* The read-only socket is for everybody, so what its clients may pile up in the daemon is little: enough to name all
 * domains of a large host in one call, and to be behind with some ten thousand events. */
#define READONLY_MESSAGE (2 * 1024 * 1024)
#define READONLY_QUEUE   (4 * 1024 * 1024)

/* -- the connection's callbacks ------------------------------------------------------------------------------------ */

static void client_message(void *owner, struct message *message)
{
    struct server_client *client = owner;
    switch (message->header.type) {
    case WIRE_MSG_TYPE_CALL:
    case WIRE_MSG_TYPE_CALL_WITH_FDS:
        call_arrived(client, message);
        break;
    case WIRE_MSG_TYPE_STREAM:
    case WIRE_MSG_TYPE_STREAM_HOLE:
        streams_message(&client->streams, message);
        break;
    default: /* replies and events come from servers */
        server_client_close(client);
    }
}

static void client_drained(void *owner)
{
    struct server_client *client = owner;
    streams_drained(&client->streams);
    call_start_waiting(client);
}

static void client_closed(void *owner, const struct error *reason)
{
    struct server_client *client = owner;
    struct error lost;
    if (reason->code != ERR_OPERATION_ABORTED) {
        scoped_arena struct arena *arena = arena_new();
        log_warning("dropped client %s: %s", server_client_describe(client, arena), reason->message);
    }
    error_set(&lost, ERR_OPERATION_ABORTED, "the client is gone: %s", reason->message);
    client->closed = true;
    streams_lost(&client->streams, &lost);
    call_cancel_all(client);
    connection_free(steal(client->connection));
    if (client->server->options.client_closed)
        client->server->options.client_closed(client);
    server_client_settle(client);
}

/* -- life ---------------------------------------------------------------------------------------------------------- */

struct server_client *server_client_new(struct server *server, int fd, bool readonly, const struct server_peer *peer)
{
    static const struct connection_events events = {client_message, client_drained, client_closed};
    struct server_client *client = xcalloc(1, sizeof *client);
    client->server = server;
    client->peer = *peer;
    client->readonly = readonly;
    client->authenticated = true;
    list_init(&client->running);
    list_init(&client->waiting);
    size_t max_queue = server->options.max_queue;
    if (readonly && max_queue > READONLY_QUEUE)
        max_queue = READONLY_QUEUE;
    client->connection = connection_new(fd, &events, client, max_queue, readonly ? READONLY_MESSAGE : 0);
    streams_init(&client->streams, client->connection, true);
    list_append(&server->clients, &client->link);
    server_client_arrived(server);
    if (server->options.client_opened)
        server->options.client_opened(client);
    return client;
}

void server_client_settle(struct server_client *client)
{
    if (!client->closed || client->running_count)
        return;
    struct server *server = client->server;
    if (client->release)
        client->release(client->data);
    list_remove(&client->link);
    free(client);
    server_client_left(server);
}

void server_client_close(struct server_client *client)
{
    if (client->connection && !call_close_after(client))
        connection_finish(client->connection);
}

/* -- what is known about it ---------------------------------------------------------------------------------------- */

const struct server_peer *server_client_peer(const struct server_client *client)
{
    return &client->peer;
}

struct server *server_client_server(const struct server_client *client)
{
    return client->server;
}

char *server_client_describe(const struct server_client *client, struct arena *arena)
{
    if (!client->peer.is_unix)
        return arena_strdup(arena, client->peer.address);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/comm", (int)client->peer.pid);
    char *name = file_read(arena, path, 64, NULL, NULL);
    if (!name)
        return arena_printf(arena, "pid %d", (int)client->peer.pid);
    name[strcspn(name, "\n")] = '\0';
    return arena_printf(arena, "pid %d (%s)", (int)client->peer.pid, name);
}

void server_client_set_data(struct server_client *client, void *data, void (*release)(void *data))
{
    client->data = data;
    client->release = release;
}

void *server_client_data(const struct server_client *client)
{
    return client->data;
}

void server_client_set_readonly(struct server_client *client)
{
    client->readonly = true;
}

bool server_client_is_closed(const struct server_client *client)
{
    return client->closed;
}

void server_client_set_authenticated(struct server_client *client, bool authenticated)
{
    client->authenticated = authenticated;
}

void server_client_start_keepalive(struct server_client *client)
{
    const struct server_options *options = &client->server->options;
    if (client->connection && options->keepalive_interval_s)
        connection_keepalive(client->connection, options->keepalive_interval_s * UINT64_C(1000),
                             options->keepalive_count);
}

uint32_t server_client_calls(const struct server_client *client)
{
    return client->running_count + client->waiting_count;
}

/* -- events -------------------------------------------------------------------------------------------------------- */

static int encode_event(const struct wire_procedure *procedure, const void *event, struct text *out, struct error *err)
{
    struct wire_msg_header header = {.prog = procedure->program->number, .vers = procedure->program->version,
                                     .proc = (int32_t)procedure->number, .type = WIRE_MSG_TYPE_MESSAGE};
    size_t start = message_begin(out, &header);
    if (procedure->args && wire_encode(procedure->args, event, out, err) < 0) {
        out->length = start;
        return -1;
    }
    return message_end(out, start, err);
}

int server_client_send_event(struct server_client *client, const struct wire_procedure *procedure, const void *event,
                             struct error *err)
{
    struct server *server = client->server;
    if (client->closed)
        return 0;
    if (encode_event(procedure, event, &server->scratch, err) < 0)
        return -1;
    connection_send_text(client->connection, &server->scratch);
    server_scratch_trim(server);
    return 0;
}

struct server_event {
    struct text message;
    bool has_callback_id; /* the body's first four bytes */
};

struct server_event *server_event_new(const struct wire_procedure *procedure, const void *event, struct error *err)
{
    struct server_event *encoded = xcalloc(1, sizeof *encoded);
    encoded->has_callback_id = procedure->args && string_equal(procedure->args->fields[0].name, "callback_id");
    if (encode_event(procedure, event, &encoded->message, err) == 0)
        return encoded;
    server_event_free(encoded);
    return NULL;
}

void server_event_send(struct server_event *event, struct server_client *client, int32_t callback_id)
{
    if (client->closed)
        return;
    if (event->has_callback_id) {
        uint8_t *at = (uint8_t *)event->message.data + MESSAGE_HEADER_SIZE;
        for (int i = 0; i < 4; i++)
            at[i] = (uint8_t)((uint32_t)callback_id >> (24 - 8 * i));
    }
    connection_send_text(client->connection, &event->message);
}

void server_event_free(struct server_event *event)
{
    if (!event)
        return;
    text_finish(&event->message);
    free(event);
}
