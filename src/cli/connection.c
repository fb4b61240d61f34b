/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/connection.h"

#include <stdlib.h>

#include "client_stubs.h"

#define CONNECT_TIMEOUT_MS 30000
#define GOODBYE_TIMEOUT_MS 2000

/* connect-supports-feature numbers; internal to libvirt's protocol, so not among its public constants (framing.md). */
enum { FEATURE_KEEPALIVE = 10, FEATURE_CLOSE_CALLBACK = 15 };

static void connection_event(void *owner, const struct wire_procedure *procedure, const void *event,
                             struct arena *arena)
{
    struct connection *connection = owner;
    for (struct list *link = connection->listeners.next, *next = link->next; link != &connection->listeners;
         link = next, next = link->next) {
        struct listener *listener = container_of(link, struct listener, link);
        listener->event(listener->owner, procedure, event);
    }
}

static void connection_closed(void *owner, const struct error *reason)
{
    struct connection *connection = owner;
    connection->closed = true;
    connection->reason = *reason;
    condition_wake(&connection->changed);
}

bool connection_supports(struct connection *connection, int feature)
{
    scoped_arena struct arena *arena = arena_new();
    struct connect_supports_feature_args args = {.feature = feature};
    struct connect_supports_feature_ret ret = {0};
    struct error ignored = {0};
    return remote_connect_supports_feature(connection->client, &args, arena, &ret, &ignored) == 0 && ret.supported;
}

/* The daemon offers ways to prove who we are, best first; "none" and polkit's need nothing from us. */
static int authenticate(struct connection *connection, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct auth_list_ret offered = {0};
    if (remote_auth_list(connection->client, arena, &offered, err) < 0) {
        if (err->code != ERR_NO_SUPPORT) {
            transport_explain(&connection->transport, err);
            return -1;
        }
        return 0; /* before authentication existed */
    }
    bool none = offered.types_count == 0, polkit = false;
    for (uint32_t i = 0; i < offered.types_count; i++) {
        none |= offered.types[i] == WIRE_AUTH_TYPE_NONE;
        polkit |= offered.types[i] == WIRE_AUTH_TYPE_POLKIT;
    }
    if (none)
        return 0;
    if (!polkit)
        return error_set(err, ERR_AUTH_FAILED, "the daemon wants SASL authentication, which this client cannot do; "
                         "connect through its unix socket or ssh");
    struct auth_polkit_ret done = {0};
    if (remote_auth_polkit(connection->client, arena, &done, err) < 0)
        return error_wrap(err, "polkit did not allow the connection");
    return 0;
}

static int open_session(struct connection *connection, const struct uri *uri, struct keepalive keepalive,
                        struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    /* a daemon that accepts but never answers; ssh may wait for a person to type a password */
    client_set_timeout(connection->client, connection->transport.process ? 0 : CONNECT_TIMEOUT_MS);
    if (authenticate(connection, err) < 0)
        return -1;
    if (keepalive.interval_s && connection_supports(connection, FEATURE_KEEPALIVE))
        client_set_keepalive(connection->client, keepalive.interval_s, keepalive.count);
    struct connect_open_args args = {.name = uri_wire_name(arena, uri),
                                     .flags = connection->readonly ? CONNECT_RO : 0};
    if (remote_connect_open(connection->client, &args, err) < 0)
        return -1;
    connection->opened = true;
    if (connection_supports(connection, FEATURE_CLOSE_CALLBACK))
        connection->has_close_callback = remote_connect_register_close_callback(connection->client, err) == 0;
    client_set_timeout(connection->client, 0);
    return 0;
}

struct connection *connection_open(const char *text, bool readonly, struct keepalive keepalive, struct error *err)
{
    static const struct client_events events = {.event = connection_event, .closed = connection_closed};
    scoped_arena struct arena *arena = arena_new();
    struct uri *uri = uri_parse(arena, text, err);
    if (!uri)
        return NULL;
    scoped_connection struct connection *connection = xcalloc(1, sizeof *connection);
    connection->transport = (struct transport)TRANSPORT_NONE;
    connection->readonly = readonly;
    list_init(&connection->listeners);
    condition_init(&connection->changed);
    if (transport_open(&connection->transport, uri, readonly, deadline_ms(CONNECT_TIMEOUT_MS), err) < 0)
        return NULL;
    connection->uri = xstrdup(text);
    connection->client = client_new(steal_fd(&connection->transport.fd), &events, connection);
    if (open_session(connection, uri, keepalive, err) < 0)
        return NULL;
    return steal(connection);
}

void connection_close(struct connection *connection)
{
    if (!connection)
        return;
    if (connection->opened && !connection->closed) {
        struct error ignored = {0};
        client_set_timeout(connection->client, GOODBYE_TIMEOUT_MS);
        if (connection->has_close_callback)
            remote_connect_unregister_close_callback(connection->client, &ignored);
        remote_connect_close(connection->client, &ignored);
    }
    client_free(connection->client);
    transport_finish(&connection->transport);
    free(connection->uri);
    free(connection);
}

void connection_listen(struct connection *connection, struct listener *listener)
{
    list_append(&connection->listeners, &listener->link);
}

void connection_unlisten(struct listener *listener)
{
    list_remove(&listener->link);
}
