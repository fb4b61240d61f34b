/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/peer.h"

#include "client_stubs.h"
#include "migrate/offline.h"
#include "migrate/owner.h"
#include "migrate/postcopy.h"
#include "migrate/preflight.h"

/* Peer to peer: this daemon is the destination's client and drives all phases itself. The caller's connection may end
 * meanwhile; the migration goes on. */

enum {
    CONNECT_MS = 30000,
    CALL_MS = 300000,   /* preparing a guest of preallocated memory takes long */
    POSTCOPY_MS = 7 * 24 * 3600 * 1000, /* memory may come for long; keepalive tells of a dead peer */
    CANCEL_MS = 10000,  /* telling the destination that it is over, as a courtesy: it would find out itself */
    KEEPALIVE_S = 5, KEEPALIVE_COUNT = 5,
    ASK_OWNER_MS = 60000,
};

/* connect-supports-feature numbers (framing.md). */
enum { FEATURE_V3 = 6, FEATURE_KEEPALIVE = 10, FEATURE_PARAMS = 13 };

static void peer_lost(void *owner, const struct error *reason)
{
    struct peer *peer = owner;
    struct migration *migration = peer->migration;
    if (!migration || migration->abort.code)
        return;
    error_set(&migration->abort, ERR_OPERATION_FAILED, "the destination's daemon is gone (%s)", reason->message);
    condition_wake(&migration->domain->changed);
}

void peer_close(struct peer *peer)
{
    peer->migration = NULL;
    if (peer->client && !client_is_closed(peer->client)) {
        client_set_timeout(peer->client, 1000);
        remote_connect_close(peer->client, NULL);
    }
    client_free(steal(peer->client));
    transport_finish(&peer->transport);
}

static bool peer_can(struct peer *peer, int feature)
{
    scoped_arena struct arena *arena = arena_new();
    struct connect_supports_feature_ret ret = {0};
    return remote_connect_supports_feature(peer->client, &(struct connect_supports_feature_args){.feature = feature},
                                           arena, &ret, NULL) == 0 &&
           ret.supported;
}

int peer_open(struct peer *peer, const char *destination, struct error *err)
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

/* The guest goes through the connection itself. */
static int prepare_tunnel(struct peer *peer, const struct domain_migrate_prepare3_params_args *common,
                          struct migrate_blob *cookie, struct stream **stream, struct arena *arena, struct error *err)
{
    struct domain_migrate_prepare_tunnel3_params_args args = {.params_count = common->params_count,
                                                              .params = common->params,
                                                              .cookie_in_length = common->cookie_in_length,
                                                              .cookie_in = common->cookie_in,
                                                              .flags = common->flags};
    struct domain_migrate_prepare_tunnel3_params_ret ret = {0};
    if (remote_domain_migrate_prepare_tunnel3_params(peer->client, &args, arena, &ret, stream, err) < 0)
        return error_wrap(err, "the destination could not prepare");
    *cookie = (struct migrate_blob){ret.cookie_out, ret.cookie_out_length};
    return 0;
}

/* -- the destination's phases -------------------------------------------------------------------------------------- */

/* A libvirtd refuses parameters that it does not know. */
static bool peer_knows_policies(struct peer *peer)
{
    scoped_arena struct arena *arena = arena_new();
    struct godwit_migration_policies_ret ret = {0};
    return remote_godwit_migration_policies(peer->client, &(struct godwit_migration_policies_args){0}, arena, &ret,
                                            NULL) == 0;
}

static int remote_prepare(struct peer *peer, const struct migrate_options *options, uint32_t flags, const char *xml,
                          struct migrate_blob *cookie, const char **uri, struct stream **stream, struct arena *arena,
                          struct error *err)
{
    struct migrate_options there = *options;
    struct params params;
    there.xml = xml;
    there.persistent_xml = NULL; /* travels in a cookie */
    bool ours = (!options->policy && !options->verify) || peer_knows_policies(peer);
    if (!ours && options->verify)
        return error_set(err, ERR_NO_SUPPORT, "--verify compares at both ends, and the destination is no godwitd: "
                         "leave it out");
    if (!ours)
        migrate_options_forget_policy(&there);
    params_init(&params, arena);
    migrate_options_write(&there, &params);
    struct domain_migrate_prepare3_params_args args = {.params_count = params.count,
                                                       .params = params.items,
                                                       .cookie_in_length = cookie->length,
                                                       .cookie_in = cookie->data,
                                                       .flags = flags};
    *uri = NULL;
    if (flags & MIGRATE_TUNNELLED)
        return prepare_tunnel(peer, &args, cookie, stream, arena, err);
    struct domain_migrate_prepare3_params_ret ret = {0};
    if (remote_domain_migrate_prepare3_params(peer->client, &args, arena, &ret, err) < 0)
        return error_wrap(err, "the destination could not prepare");
    *cookie = (struct migrate_blob){ret.cookie_out, ret.cookie_out_length};
    *uri = ret.uri_out ? ret.uri_out : options->uri;
    if (*uri || flags & MIGRATE_OFFLINE)
        return 0;
    return error_set(err, ERR_INTERNAL_ERROR, "the destination did not say where to migrate to");
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

/* -- all of it ----------------------------------------------------------------------------------------------------- */

/* Finish failed, or its answer was lost or not understood: only the destination knows. */
static int after_failure(struct migration *migration, const char *destination, struct error *err)
{
    struct migrate_blob nothing = {0};
    if (migration->domain->postcopy) { /* QEMU goes on without us, and knows */
        if (postcopy_settle(migration, DEADLINE_NONE) == 0)
            return 0;
        return error_wrap(err, "the post-copy migration did not end");
    }
    switch (owner_ask(destination, &migration->entry, deadline_ms(ASK_OWNER_MS))) {
    case WIRE_MIGRATION_OWNER_DESTINATION:
        return source_complete(migration, migration->options.flags, &nothing, err);
    case WIRE_MIGRATION_OWNER_SOURCE:
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
    if (!xml ||
        remote_prepare(peer, &options, flags, xml, &cookie, &target, &migration->stream, arena, err) < 0) {
        source_drop(migration);
        return -1;
    }
    peer->migration = migration;
    bool offline = flags & MIGRATE_OFFLINE;
    if (!offline && source_perform(migration, target, &cookie, &cookie, arena, err) < 0) {
        peer->migration = NULL;
        source_take_back(migration);
        struct migrate_blob nothing = {0};
        client_set_timeout(peer->client, CANCEL_MS);
        struct error there = {0};
        bool silent = remote_finish(peer, name, flags, true, &nothing, arena, &there) < 0 &&
                      (client_is_closed(peer->client) || there.code == ERR_OPERATION_TIMEOUT);
        if (silent && domain_active(domain) && !domain->postcopy)
            return error_wrap(err, "the destination '%s' does not answer any more, and the guest goes on on this host",
                              destination);
        if (err->code == ERR_OPERATION_FAILED && there.code == ERR_OPERATION_FAILED)
            return error_set(err, there.code, "operation failed: %s", there.message);
        return -1;
    }
    peer->migration = NULL;
    if (offline) {
        struct migrate_blob nothing = {0};
        if (remote_finish(peer, name, flags, false, &nothing, arena, err) == 0)
            return offline_complete(migration, options.flags, err);
        migration_end(migration);
        return -1;
    }
    if (domain->postcopy)
        client_set_timeout(peer->client, POSTCOPY_MS);
    if (remote_finish(peer, name, flags, false, &cookie, arena, err) < 0)
        return after_failure(migration, destination, err);
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
    if (!(options->flags & (MIGRATE_POSTCOPY_RESUME | MIGRATE_OFFLINE)) &&
        preflight_gate_peer(peer.client, domain, options, err) < 0)
        return -1;
    const struct migrate_caller nobody = {.name = caller->name};
    struct migration *migration = source_new(domain, options, &nobody, err);
    if (!migration)
        return -1;
    migration->entry.peer_uri = arena_strdup(migration->arena, destination);
    return travel(migration, &peer, destination, err);
}

json_t *migration_check_peer(struct domain *domain, const struct migrate_options *options, const char *destination,
                             unsigned flags, struct error *err)
{
    scoped_peer struct peer peer = {.transport = TRANSPORT_NONE};
    if (peer_open(&peer, destination, err) < 0)
        return error_null_wrap(err, "cannot connect to the destination '%s'", destination);
    return preflight_with(peer.client, domain, options, flags, err);
}
