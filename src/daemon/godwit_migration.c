/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include <string.h>

#include "migrate/journal.h"
#include "migrate/migrate.h"

/* The journal of migrations, for `godwit migrate --status` and `--recover`, and for sources that lost sight of one. */

static struct wire_migration_record record_of(const struct call *call, const struct journal_entry *entry)
{
    const struct domain *domain = driver_find(call_driver(call), entry->uuid, NULL);
    struct wire_migration_record record = {
        .dom = {.name = entry->name, .id = domain ? domain->object.id : -1},
        .role = entry->role,
        .owner = entry->owner,
        .phase = journal_phase(entry),
        .since_ms = entry->since_ms,
        .peer = entry->peer,
        .peer_uri = entry->peer_uri,
    };
    memcpy(record.id, entry->id, UUID_SIZE);
    memcpy(record.dom.uuid, entry->uuid, UUID_SIZE);
    return record;
}

int handle_godwit_migration_list(struct call *call, const struct godwit_migration_list_args *args,
                                 struct godwit_migration_list_ret *ret, struct error *err)
{
    struct journal_entry *entries;
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    uint32_t count = journal_list(call_driver(call), &entries, call->arena);
    ret->records = arena_new_array(call->arena, count + 1, struct wire_migration_record);
    for (uint32_t i = 0; i < count; i++)
        if (!journal_is_settled(&entries[i]))
            ret->records[ret->records_count++] = record_of(call, &entries[i]);
    return 0;
}

int handle_godwit_migration_decide(struct call *call, const struct godwit_migration_decide_args *args,
                                   struct godwit_migration_decide_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    return migration_decide(call_driver(call), args->id, &ret->owner, err);
}

int handle_godwit_migration_settle(struct call *call, const struct godwit_migration_settle_args *args,
                                   struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    return migration_settle(call_driver(call), args->id, args->owner, err);
}
