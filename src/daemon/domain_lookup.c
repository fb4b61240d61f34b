/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include <string.h>

/* Finding and listing domains: nothing here waits for anybody. */

struct domain *call_domain(const struct call *call, const struct wire_domain *handle, struct error *err)
{
    struct domain *domain = driver_find(call_driver(call), handle->uuid, NULL);
    if (domain)
        return domain_of(object_ref(&domain->object));
    char uuid[UUID_STRING_SIZE];
    uuid_format(handle->uuid, uuid);
    return error_null(err, ERR_NO_DOMAIN, "Domain not found: no domain with matching uuid '%s' (%s)", uuid,
                      handle->name);
}

struct domain *call_active_domain(const struct call *call, const struct wire_domain *handle, struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, handle, err);
    return domain && domain_require_active(domain, err) == 0 ? steal(domain) : NULL;
}

const struct domain_def *call_def(const struct call *call, const struct wire_domain *handle, unsigned flags,
                                  unsigned more, struct domain **domain, struct error *err)
{
    if (call_flags(call, flags, AFFECT | more, err) < 0 || !(*domain = call_domain(call, handle, err)))
        return NULL;
    if ((flags & AFFECT) == AFFECT)
        return error_null(err, ERR_INVALID_ARG, "--live and --config exclude each other when values are asked for");
    if (flags & DOMAIN_AFFECT_LIVE && domain_require_active(*domain, err) < 0)
        return NULL;
    return flags & DOMAIN_AFFECT_CONFIG ? object_config(&(*domain)->object, err) : domain_def(*domain, err);
}

struct wire_domain wire_domain_of(const struct call *call, const struct domain *domain)
{
    struct wire_domain handle = {.name = arena_strdup(call->arena, domain_name(domain)), .id = domain->object.id};
    memcpy(handle.uuid, domain->object.uuid, UUID_SIZE);
    return handle;
}

static int found(struct call *call, struct object *object, struct wire_domain *handle)
{
    if (!object)
        return -1;
    *handle = wire_domain_of(call, domain_of(object));
    return 0;
}

int handle_domain_lookup_by_name(struct call *call, const struct domain_lookup_by_name_args *args,
                                 struct domain_lookup_by_name_ret *ret, struct error *err)
{
    return found(call, registry_find_name(&call_driver(call)->domains, args->name, err), &ret->dom);
}

int handle_domain_lookup_by_uuid(struct call *call, const struct domain_lookup_by_uuid_args *args,
                                 struct domain_lookup_by_uuid_ret *ret, struct error *err)
{
    return found(call, registry_find_uuid(&call_driver(call)->domains, args->uuid, err), &ret->dom);
}

int handle_domain_lookup_by_id(struct call *call, const struct domain_lookup_by_id_args *args,
                               struct domain_lookup_by_id_ret *ret, struct error *err)
{
    return found(call, registry_find_id(&call_driver(call)->domains, args->id, err), &ret->dom);
}

/* -- lists with filters -------------------------------------------------------------------------------------------- */

static bool is_active(const struct domain *domain)
{
    return domain_active(domain);
}
static bool is_persistent(const struct domain *domain)
{
    return domain->object.persistent;
}
static bool is_autostart(const struct domain *domain)
{
    return domain->object.autostart;
}
static bool is_running(const struct domain *domain)
{
    return domain->state == DOMAIN_RUNNING;
}
static bool is_paused(const struct domain *domain)
{
    return domain->state == DOMAIN_PAUSED;
}
static bool is_shutoff(const struct domain *domain)
{
    return domain->state == DOMAIN_SHUTOFF;
}
static bool is_otherwise(const struct domain *domain)
{
    return !is_running(domain) && !is_paused(domain) && !is_shutoff(domain);
}
static bool never(const struct domain *domain)
{
    return false;
}
static bool always(const struct domain *domain)
{
    return true;
}

/* Flags of one group are alternatives; a domain must pass each group of which any flag is given. */
#define GROUPS 7
static const struct {
    unsigned flag, group;
    bool (*test)(const struct domain *domain);
    bool wanted;
} filters[] = {
    {CONNECT_LIST_DOMAINS_ACTIVE, 0, is_active, true},
    {CONNECT_LIST_DOMAINS_INACTIVE, 0, is_active, false},
    {CONNECT_LIST_DOMAINS_PERSISTENT, 1, is_persistent, true},
    {CONNECT_LIST_DOMAINS_TRANSIENT, 1, is_persistent, false},
    {CONNECT_LIST_DOMAINS_RUNNING, 2, is_running, true},
    {CONNECT_LIST_DOMAINS_PAUSED, 2, is_paused, true},
    {CONNECT_LIST_DOMAINS_SHUTOFF, 2, is_shutoff, true},
    {CONNECT_LIST_DOMAINS_OTHER, 2, is_otherwise, true},
    {CONNECT_LIST_DOMAINS_MANAGEDSAVE, 3, never, true},
    {CONNECT_LIST_DOMAINS_NO_MANAGEDSAVE, 3, always, true},
    {CONNECT_LIST_DOMAINS_AUTOSTART, 4, is_autostart, true},
    {CONNECT_LIST_DOMAINS_NO_AUTOSTART, 4, is_autostart, false},
    {CONNECT_LIST_DOMAINS_HAS_SNAPSHOT, 5, never, true},
    {CONNECT_LIST_DOMAINS_NO_SNAPSHOT, 5, always, true},
    {CONNECT_LIST_DOMAINS_HAS_CHECKPOINT, 6, never, true},
    {CONNECT_LIST_DOMAINS_NO_CHECKPOINT, 6, always, true},
};

bool domain_passes(const struct domain *domain, unsigned flags)
{
    bool asked[GROUPS] = {0}, passed[GROUPS] = {0};
    for (size_t i = 0; i < COUNT(filters); i++) {
        if (!(flags & filters[i].flag))
            continue;
        asked[filters[i].group] = true;
        passed[filters[i].group] |= filters[i].test(domain) == filters[i].wanted;
    }
    for (size_t group = 0; group < GROUPS; group++)
        if (asked[group] && !passed[group])
            return false;
    return true;
}

#define each_domain(object, call) \
    (struct object *object = registry_first(&call_driver(call)->domains); object; object = registry_next(object))

int handle_connect_list_all_domains(struct call *call, const struct connect_list_all_domains_args *args,
                                    struct connect_list_all_domains_ret *ret, struct error *err)
{
    unsigned known = 0;
    for (size_t i = 0; i < COUNT(filters); i++)
        known |= filters[i].flag;
    if (call_flags(call, args->flags, known, err) < 0)
        return -1;
    for each_domain (object, call)
        ret->ret += domain_passes(domain_of(object), args->flags);
    if (!args->need_results)
        return 0;
    ret->domains = arena_new_array(call->arena, ret->ret, struct wire_domain);
    for each_domain (object, call) {
        if (!domain_passes(domain_of(object), args->flags))
            continue;
        struct wire_domain *handle = &ret->domains[ret->domains_count++];
        handle->name = object->name; /* encoded before anything else can run */
        handle->id = object->id;
        memcpy(handle->uuid, object->uuid, UUID_SIZE);
    }
    return 0;
}

static int32_t count(struct call *call, bool active)
{
    int32_t number = 0;
    for each_domain (object, call)
        number += object_active(object) == active;
    return number;
}

int handle_connect_num_of_domains(struct call *call, struct connect_num_of_domains_ret *ret, struct error *err)
{
    ret->num = count(call, true);
    return 0;
}

int handle_connect_num_of_defined_domains(struct call *call, struct connect_num_of_defined_domains_ret *ret,
                                          struct error *err)
{
    ret->num = count(call, false);
    return 0;
}

int handle_connect_list_domains(struct call *call, const struct connect_list_domains_args *args,
                                struct connect_list_domains_ret *ret, struct error *err)
{
    if (args->maxids < 0)
        return error_set(err, ERR_INVALID_ARG, "a list of %d ids cannot be", args->maxids);
    ret->ids = arena_new_array(call->arena, (size_t)count(call, true), int32_t);
    for each_domain (object, call)
        if (object_active(object) && ret->ids_count < (uint32_t)args->maxids)
            ret->ids[ret->ids_count++] = object->id;
    return 0;
}

int handle_connect_list_defined_domains(struct call *call, const struct connect_list_defined_domains_args *args,
                                        struct connect_list_defined_domains_ret *ret, struct error *err)
{
    if (args->maxnames < 0)
        return error_set(err, ERR_INVALID_ARG, "a list of %d names cannot be", args->maxnames);
    ret->names = arena_new_array(call->arena, (size_t)count(call, false), __typeof__(*ret->names));
    for each_domain (object, call)
        if (!object_active(object) && ret->names_count < (uint32_t)args->maxnames)
            ret->names[ret->names_count++] = object->name;
    return 0;
}
