/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/internal.h"

#include <string.h>

#include "base/log.h"
#include "client_stubs.h"
#include "migrate/postcopy.h"
#include "migrate/preflight.h"
#include "rpc/client.h"
#include "rpc/transport.h"

/* Peer to peer: this daemon is the destination's client and drives all phases itself. The caller's connection may end
 * meanwhile; the migration goes on. */

enum {
    CONNECT_MS = 30000,
    CALL_MS = 300000,   /* preparing a guest of preallocated memory takes long */
    POSTCOPY_MS = 7 * 24 * 3600 * 1000, /* memory may come for long; keepalive tells of a dead peer */
    CANCEL_MS = 10000,  /* telling the destination that it is over, as a courtesy: it would find out itself */
    KEEPALIVE_S = 5, KEEPALIVE_COUNT = 5,
    ASK_OWNER_MS = 60000, ASK_AGAIN_MS = 500,
};

/* connect-supports-feature numbers (framing.md). */
enum { FEATURE_V3 = 6, FEATURE_KEEPALIVE = 10, FEATURE_PARAMS = 13 };

struct peer {
    struct transport transport;
    struct client *client;
    struct migration *migration; /* to be told when the connection ends */
};

static void peer_lost(void *owner, const struct error *reason)
{
    struct peer *peer = owner;
    struct migration *migration = peer->migration;
    if (!migration || migration->abort.code)
        return;
    error_set(&migration->abort, ERR_OPERATION_FAILED, "the destination's daemon is gone (%s)", reason->message);
    condition_wake(&migration->domain->changed);
}

static void peer_close(struct peer *peer)
{
    peer->migration = NULL;
    if (peer->client && !client_is_closed(peer->client)) {
        client_set_timeout(peer->client, 1000);
        remote_connect_close(peer->client, NULL);
    }
    client_free(steal(peer->client));
    transport_finish(&peer->transport);
}
#define scoped_peer scope_cleanup(peer_close)

static bool peer_can(struct peer *peer, int feature)
{
    scoped_arena struct arena *arena = arena_new();
    struct connect_supports_feature_ret ret = {0};
    return remote_connect_supports_feature(peer->client, &(struct connect_supports_feature_args){.feature = feature},
                                           arena, &ret, NULL) == 0 &&
           ret.supported;
}

static int peer_open(struct peer *peer, const char *destination, struct error *err)
{
    static const struct client_events events = {.closed = peer_lost};
    scoped_arena struct arena *arena = arena_new();
    struct uri *uri = uri_parse(arena, destination, err);
    if (!uri || transport_open(&peer->transport, uri, false, deadline_ms(CONNECT_MS), err) < 0)
        return -1;
    peer->client = client_new(steal_fd(&peer->transport.fd), &events, peer);
    client_set_timeout(peer->client, CONNECT_MS);
    struct auth_list_ret offered = {0};
    if (remote_auth_list(peer->client, arena, &offered, err) < 0)
        return transport_explain(&peer->transport, err);
    if (offered.types_count && offered.types[0] != WIRE_AUTH_TYPE_NONE)
        return error_set(err, ERR_AUTH_FAILED,
                         "the destination wants authentication, which a daemon cannot give: connect by ssh, or migrate "
                         "without --p2p");
    if (peer_can(peer, FEATURE_KEEPALIVE))
        client_set_keepalive(peer->client, KEEPALIVE_S, KEEPALIVE_COUNT);
    return remote_connect_open(peer->client, &(struct connect_open_args){.name = uri_wire_name(arena, uri)}, err);
}

/* -- the destination's phases -------------------------------------------------------------------------------------- */

static int remote_prepare(struct peer *peer, const struct migrate_options *options, uint32_t flags, const char *xml,
                          struct migrate_blob *cookie, const char **uri, struct arena *arena, struct error *err)
{
    struct migrate_options there = *options;
    struct params params;
    there.xml = xml;
    there.persistent_xml = NULL; /* travels in a cookie */
    params_init(&params, arena);
    migrate_options_write(&there, &params);
    struct domain_migrate_prepare3_params_args args = {.params_count = params.count,
                                                       .params = params.items,
                                                       .cookie_in_length = cookie->length,
                                                       .cookie_in = cookie->data,
                                                       .flags = flags};
    struct domain_migrate_prepare3_params_ret ret = {0};
    if (remote_domain_migrate_prepare3_params(peer->client, &args, arena, &ret, err) < 0)
        return error_wrap(err, "the destination could not prepare");
    *cookie = (struct migrate_blob){ret.cookie_out, ret.cookie_out_length};
    *uri = ret.uri_out ? ret.uri_out : options->uri;
    return *uri ? 0 : error_set(err, ERR_INTERNAL_ERROR, "the destination did not say where to migrate to");
}

static int remote_finish(struct peer *peer, const char *name, uint32_t flags, bool cancelled,
                         struct migrate_blob *cookie, struct arena *arena, struct error *err)
{
    struct params params;
    params_init(&params, arena);
    params_add_string(&params, MIGRATE_PARAM_DEST_NAME, name);
    struct domain_migrate_finish3_params_args args = {.params_count = params.count,
                                                      .params = params.items,
                                                      .cookie_in_length = cookie->length,
                                                      .cookie_in = cookie->data,
                                                      .flags = flags,
                                                      .cancelled = cancelled};
    struct domain_migrate_finish3_params_ret ret = {0};
    if (remote_domain_migrate_finish3_params(peer->client, &args, arena, &ret, err) < 0)
        return -1;
    *cookie = (struct migrate_blob){ret.cookie_out, ret.cookie_out_length};
    return 0;
}

/* -- who has it ---------------------------------------------------------------------------------------------------- */

enum owner { OWNER_THERE, OWNER_HERE, OWNER_UNKNOWN };

/* What the other end says about the guest: it runs there, it is not there, or it is still arriving. */
static enum owner owner_by_state(struct peer *peer, const unsigned char uuid[UUID_SIZE])
{
    scoped_arena struct arena *arena = arena_new();
    struct error err = {0};
    struct domain_lookup_by_uuid_args lookup;
    struct domain_lookup_by_uuid_ret found = {0};
    memcpy(lookup.uuid, uuid, UUID_SIZE);
    if (remote_domain_lookup_by_uuid(peer->client, &lookup, arena, &found, &err) < 0)
        return err.code == ERR_NO_DOMAIN ? OWNER_HERE : OWNER_UNKNOWN;
    struct domain_get_state_ret state = {0};
    struct domain_get_state_args question = {.dom = found.dom};
    if (remote_domain_get_state(peer->client, &question, arena, &state, &err) < 0)
        return OWNER_UNKNOWN;
    if (state.state == DOMAIN_SHUTOFF)
        return OWNER_HERE;
    return state.state == DOMAIN_PAUSED && state.reason == DOMAIN_PAUSED_MIGRATION ? OWNER_UNKNOWN : OWNER_THERE;
}

/* The connection broke while the destination was about to let the guest run: it is asked anew until it answers. */
static enum owner ask_owner(const char *destination, const unsigned char uuid[UUID_SIZE])
{
    enum owner owner = OWNER_UNKNOWN;
    for (deadline until = deadline_ms(ASK_OWNER_MS); owner == OWNER_UNKNOWN && now_ns() < until;) {
        scoped_peer struct peer peer = {.transport = TRANSPORT_NONE};
        struct error err = {0};
        if (peer_open(&peer, destination, &err) == 0)
            owner = owner_by_state(&peer, uuid);
        if (owner == OWNER_UNKNOWN)
            await_sleep(deadline_ms(ASK_AGAIN_MS), NULL);
    }
    return owner;
}

/* -- all of it ----------------------------------------------------------------------------------------------------- */

static int settle(struct migration *migration, struct peer *peer, const char *destination, struct error *err)
{
    struct migrate_blob nothing = {0};
    if (migration->domain->postcopy) { /* QEMU goes on without us, and knows */
        if (postcopy_settle(migration, DEADLINE_NONE) == 0)
            return 0;
        return error_wrap(err, "the post-copy migration did not end");
    }
    enum owner owner = client_is_closed(peer->client) || err->code == ERR_OPERATION_TIMEOUT
                           ? ask_owner(destination, migration->domain->object.uuid)
                           : OWNER_HERE;
    switch (owner) {
    case OWNER_THERE:
        return source_complete(migration, migration->options.flags, &nothing, err);
    case OWNER_HERE:
        error_wrap(err, "the destination could not take domain '%s'", domain_name(migration->domain));
        source_take_back(migration);
        return -1;
    default:
        source_leave(migration, err->message);
        return error_wrap(err, "the guest stays paused here, since whether it runs on the destination is not known");
    }
}

static int travel(struct migration *migration, struct peer *peer, const char *destination, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct migrate_options options = migrate_options_copy(&migration->options, arena);
    struct domain *domain = migration->domain;
    const char *name = options.dname ? options.dname : arena_strdup(arena, domain_name(domain)), *target;
    struct migrate_blob cookie = {0};
    char *xml = source_begin(migration, &cookie, arena, err);
    if (domain->state == DOMAIN_PAUSED)
        options.flags |= MIGRATE_PAUSED; /* it arrives as it left */
    uint32_t flags = options.flags & ~(uint32_t)(MIGRATE_ABORT_ON_ERROR | MIGRATE_AUTO_CONVERGE);
    options.flags = flags;
    if (!xml || remote_prepare(peer, &options, flags, xml, &cookie, &target, arena, err) < 0) {
        source_drop(migration);
        return -1;
    }
    peer->migration = migration;
    if (source_perform(migration, target, &cookie, &cookie, arena, err) < 0) {
        peer->migration = NULL;
        source_take_back(migration);
        struct migrate_blob nothing = {0};
        client_set_timeout(peer->client, CANCEL_MS);
        struct error there = {0};
        remote_finish(peer, name, flags, true, &nothing, arena, &there);
        if (err->code == ERR_OPERATION_FAILED && there.code == ERR_OPERATION_FAILED)
            return error_set(err, there.code, "operation failed: %s", there.message);
        return -1;
    }
    peer->migration = NULL;
    if (domain->postcopy)
        client_set_timeout(peer->client, POSTCOPY_MS);
    if (remote_finish(peer, name, flags, false, &cookie, arena, err) < 0)
        return settle(migration, peer, destination, err);
    return source_complete(migration, options.flags, &cookie, err);
}

int migration_to_peer(struct domain *domain, const struct migrate_options *options, const char *destination,
                      const struct migrate_caller *caller, struct error *err)
{
    if (!destination)
        return error_set(err, ERR_INVALID_ARG, "a peer-to-peer migration needs the destination's URI");
    scoped_peer struct peer peer = {.transport = TRANSPORT_NONE};
    if (peer_open(&peer, destination, err) < 0)
        return error_wrap(err, "cannot connect to the destination '%s'", destination);
    if (!peer_can(&peer, FEATURE_V3) || !peer_can(&peer, FEATURE_PARAMS))
        return error_set(err, ERR_OPERATION_UNSUPPORTED,
                         "the daemon at '%s' does not know migration with parameters (libvirt before 1.1.0)",
                         destination);
    client_set_timeout(peer.client, CALL_MS);
    if (!(options->flags & MIGRATE_POSTCOPY_RESUME) &&
        preflight_gate_peer(peer.client, domain, options, err) < 0)
        return -1;
    const struct migrate_caller nobody = {.name = caller->name};
    struct migration *migration = source_new(domain, options, &nobody, err);
    return migration ? travel(migration, &peer, destination, err) : -1;
}

json_t *migration_check_peer(struct domain *domain, const struct migrate_options *options, const char *destination,
                             unsigned flags, struct error *err)
{
    scoped_peer struct peer peer = {.transport = TRANSPORT_NONE};
    if (peer_open(&peer, destination, err) < 0)
        return error_null_wrap(err, "cannot connect to the destination '%s'", destination);
    return preflight_with(peer.client, domain, options, flags, err);
}
