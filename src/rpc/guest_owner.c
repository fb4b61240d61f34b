/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/guest_owner.h"

#include <string.h>

#include "client_stubs.h"

int guest_owner_by_journal(struct client *client, const unsigned char id[UUID_SIZE])
{
    scoped_arena struct arena *arena = arena_new();
    struct godwit_migration_decide_args args = {0};
    struct godwit_migration_decide_ret ret = {.owner = WIRE_MIGRATION_OWNER_UNKNOWN};
    memcpy(args.id, id, UUID_SIZE);
    if (remote_godwit_migration_decide(client, &args, arena, &ret, NULL) < 0)
        return WIRE_MIGRATION_OWNER_UNKNOWN;
    bool known = ret.owner == WIRE_MIGRATION_OWNER_SOURCE || ret.owner == WIRE_MIGRATION_OWNER_DESTINATION;
    return known ? ret.owner : WIRE_MIGRATION_OWNER_UNKNOWN;
}

int guest_owner_by_state(struct client *client, const unsigned char uuid[UUID_SIZE])
{
    scoped_arena struct arena *arena = arena_new();
    struct error err = {0};
    struct domain_lookup_by_uuid_args lookup;
    struct domain_lookup_by_uuid_ret found = {0};
    memcpy(lookup.uuid, uuid, UUID_SIZE);
    if (remote_domain_lookup_by_uuid(client, &lookup, arena, &found, &err) < 0)
        return err.code == ERR_NO_DOMAIN ? WIRE_MIGRATION_OWNER_SOURCE : WIRE_MIGRATION_OWNER_UNKNOWN;
    struct domain_get_state_ret state = {0};
    struct domain_get_state_args question = {.dom = found.dom};
    if (remote_domain_get_state(client, &question, arena, &state, &err) < 0)
        return WIRE_MIGRATION_OWNER_UNKNOWN;
    if (state.state == DOMAIN_SHUTOFF)
        return WIRE_MIGRATION_OWNER_SOURCE;
    return state.state == DOMAIN_PAUSED && state.reason == DOMAIN_PAUSED_MIGRATION ? WIRE_MIGRATION_OWNER_UNKNOWN
                                                                                   : WIRE_MIGRATION_OWNER_DESTINATION;
}
