/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include <string.h>

#include "base/log.h"
#include "migrate/migrate.h"

/* Clients as the daemon knows them, and the calls about the connection itself. */

enum { AUTODESTROY_AGAIN_MS = 10000 };

struct client *client_of(struct server_client *client)
{
    return server_client_data(client);
}

static void client_release(void *data)
{
    events_forget(data);
    free(data);
}

void client_opened(struct server_client *client)
{
    struct client *state = xcalloc(1, sizeof *state);
    list_init(&state->registrations);
    server_client_set_data(client, state, client_release);
}

static void autodestroy(void *owner)
{
    scoped_domain struct domain *domain = owner;
    struct error err = {0};
    while (domain_active(domain) && domain_destroy(domain, 0, "autodestroy", &err) < 0) {
        log_error("domain '%s' shall end with its client: %s", domain_name(domain), err.message);
        if (await_sleep(deadline_ms(AUTODESTROY_AGAIN_MS), &err) < 0)
            return;
    }
}

void client_closed(struct server_client *client)
{
    struct daemon *daemon = server_owner(server_client_server(client));
    events_forget(client_of(client));
    struct object *next;
    uint64_t id = server_client_peer(client)->id;
    for (struct object *object = registry_first_of_all(&daemon->driver->domains); object; object = next) {
        next = registry_next_of_all(object);
        scoped_domain struct domain *domain = domain_of(object_ref(object)); /* it may go with its migration */
        migration_client_gone(domain, client);
        if (domain->autodestroy == id) {
            domain->autodestroy = 0;
            fiber_start("autodestroy", autodestroy, object_ref(object));
        }
    }
}

int call_admit(struct call *call, const void *args, struct error *err)
{
    static const char *const before_open[] = {"connect-open", "connect-supports-feature", "connect-close"};
    if (client_of(call->client)->opened || call->procedure->flags & WIRE_NOAUTH)
        return 0;
    for (size_t i = 0; i < COUNT(before_open); i++)
        if (strcmp(call->procedure->name, before_open[i]) == 0)
            return 0;
    return error_set(err, ERR_INTERNAL_ERROR, "connection not open: %s needs connect-open first",
                     call->procedure->name);
}

const char *call_client(const struct call *call)
{
    char *text = server_client_describe(call->client, call->arena);
    return text;
}

int call_flags(const struct call *call, unsigned flags, unsigned known, struct error *err)
{
    if (!(flags & ~known))
        return 0;
    return error_set(err, ERR_INVALID_ARG, "%s: unsupported flags 0x%x (known here: 0x%x)", call->procedure->name,
                     flags & ~known, known);
}

const char *call_keep(const struct call *call, char *string)
{
    scoped_free char *owned = string;
    return arena_strdup(call->arena, owned);
}

int handle_auth_list(struct call *call, struct auth_list_ret *ret, struct error *err)
{
    ret->types_count = 1;
    ret->types = arena_new_array(call->arena, 1, __typeof__(*ret->types));
    ret->types[0] = 0; /* none */
    return 0;
}

/* Names that mean this driver: what is left of the client's URI without transport and host. */
static int check_uri(const char *name, struct error *err)
{
    if (!name)
        return error_set(err, ERR_NO_CONNECT, "a connection needs a URI, e.g. qemu:///system");
    if (!*name || string_equal(name, "qemu:///system") || string_starts(name, "qemu:///system?"))
        return 0;
    if (string_starts(name, "qemu:///session"))
        return error_set(err, ERR_NO_CONNECT, "'%s': this daemon serves the whole host; use qemu:///system", name);
    return error_set(err, ERR_NO_CONNECT, "'%s' is not served here; this is qemu:///system", name);
}

int handle_connect_open(struct call *call, const struct connect_open_args *args, struct error *err)
{
    struct client *client = client_of(call->client);
    if (client->opened) {
        server_client_close(call->client);
        return error_set(err, ERR_INTERNAL_ERROR, "connection already open");
    }
    if (check_uri(args->name, err) < 0)
        return -1;
    if (args->flags & CONNECT_RO)
        server_client_set_readonly(call->client);
    client->opened = true;
    return 0;
}

int handle_connect_close(struct call *call, struct error *err)
{
    server_client_close(call->client);
    return 0;
}

int handle_connect_get_uri(struct call *call, struct connect_get_uri_ret *ret, struct error *err)
{
    ret->uri = "qemu:///system";
    return 0;
}

/* Feature numbers of libvirt's private VIR_DRV_FEATURE enum; see protocol/framing.md, "Features". */
int handle_connect_supports_feature(struct call *call, const struct connect_supports_feature_args *args,
                                    struct connect_supports_feature_ret *ret, struct error *err)
{
    enum { KEEPALIVE = 10, EVENT_CALLBACK = 14 };
    static const bool supported[] = {
        [3] = true,  /* migration v2: clients ask it before v3 */
        [4] = true,  /* peer-to-peer migration */
        [6] = true,  /* migration v3 */
        [7] = true,  /* migration that no other job disturbs from begin to confirm */
        [8] = true,  /* descriptors over unix sockets */
        [9] = true,  /* typed parameters of strings */
        [KEEPALIVE] = true,
        [11] = true, /* DOMAIN_XML_MIGRATABLE */
        [12] = true, /* migration of a definition alone (--offline) */
        [13] = true, /* migration with typed parameters */
        [EVENT_CALLBACK] = true,
        [15] = true, /* close callbacks */
    };
    ret->supported = args->feature >= 0 && (size_t)args->feature < COUNT(supported) && supported[args->feature];
    if (args->feature == KEEPALIVE)
        server_client_start_keepalive(call->client);
    if (args->feature == EVENT_CALLBACK)
        client_of(call->client)->knows_callbacks = true;
    return 0;
}

/* The daemon never closes a healthy connection by itself, so there is nothing to remember. */
int handle_connect_register_close_callback(struct call *call, struct error *err)
{
    return 0;
}

int handle_connect_unregister_close_callback(struct call *call, struct error *err)
{
    return 0;
}

int handle_connect_is_secure(struct call *call, struct connect_is_secure_ret *ret, struct error *err)
{
    ret->secure = server_client_peer(call->client)->is_unix;
    return 0;
}
