/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include <string.h>

#include "migrate/evacuation.h"
#include "rpc/godwit_names.h"

/* The record of guests that `godwit evacuate` took away from here, for `--restore`. */

int handle_godwit_evacuation_list(struct call *call, const struct godwit_evacuation_list_args *args,
                                  struct godwit_evacuation_list_ret *ret, struct error *err)
{
    struct evacuation_entry *entries;
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    ret->records_count = evacuation_list(call_driver(call), &entries, call->arena);
    ret->records = arena_new_array(call->arena, ret->records_count + 1, struct wire_evacuation_record);
    for (uint32_t i = 0; i < ret->records_count; i++) {
        const struct evacuation_entry *entry = &entries[i];
        const struct domain *domain = driver_find(call_driver(call), entry->uuid, NULL);
        struct wire_evacuation_record *record = &ret->records[i];
        *record = (struct wire_evacuation_record){
            .dom = {.name = domain ? arena_strdup(call->arena, domain_name(domain)) : entry->name,
                    .id = domain ? domain->object.id : -1},
            .destination = entry->destination, .away = entry->away, .kept = entry->kept,
            .persistent = entry->persistent, .autostart = entry->autostart, .active = entry->active,
            .defined = domain && domain->object.persistent, .since_ms = entry->since_ms,
        };
        memcpy(record->dom.uuid, entry->uuid, UUID_SIZE);
    }
    return 0;
}

int handle_godwit_evacuation_leave(struct call *call, const struct godwit_evacuation_leave_args *args,
                                   struct error *err)
{
    if (call_flags(call, args->flags, EVACUATION_KEEP_DEFINITION, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    return domain ? evacuation_leave(domain, args->destination, args->flags & EVACUATION_KEEP_DEFINITION, err) : -1;
}

int handle_godwit_evacuation_settle(struct call *call, const struct godwit_evacuation_settle_args *args,
                                    struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    switch (args->outcome) {
    case WIRE_EVACUATION_OUTCOME_LEFT:
        return evacuation_left(call_driver(call), args->uuid, call_client(call), err);
    case WIRE_EVACUATION_OUTCOME_HERE:
        return evacuation_here(call_driver(call), args->uuid, call_client(call), err);
    case WIRE_EVACUATION_OUTCOME_FORGOTTEN:
        return evacuation_forget(call_driver(call), args->uuid, err);
    }
    return error_set(err, ERR_INVALID_ARG, "an evacuation has no outcome %d", args->outcome);
}
