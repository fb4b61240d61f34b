/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include <string.h>

/* Finding and listing storage pools. */

#define each_pool(object, call) \
    (struct object *object = registry_first(&call_daemon(call)->storage->pools); object; object = registry_next(object))

static int found(struct call *call, struct object *object, struct wire_storage_pool *handle)
{
    if (!object)
        return -1;
    *handle = wire_pool_of(call, pool_of(object));
    return 0;
}

int handle_storage_pool_lookup_by_name(struct call *call, const struct storage_pool_lookup_by_name_args *args,
                                       struct storage_pool_lookup_by_name_ret *ret, struct error *err)
{
    return found(call, registry_find_name(&call_daemon(call)->storage->pools, args->name, err), &ret->pool);
}

int handle_storage_pool_lookup_by_uuid(struct call *call, const struct storage_pool_lookup_by_uuid_args *args,
                                       struct storage_pool_lookup_by_uuid_ret *ret, struct error *err)
{
    return found(call, registry_find_uuid(&call_daemon(call)->storage->pools, args->uuid, err), &ret->pool);
}

int handle_storage_pool_lookup_by_volume(struct call *call, const struct storage_pool_lookup_by_volume_args *args,
                                         struct storage_pool_lookup_by_volume_ret *ret, struct error *err)
{
    return found(call, registry_find_name(&call_daemon(call)->storage->pools, args->vol.pool, err), &ret->pool);
}

/* "/images//" and "/images" are one directory. */
static bool same_path(const char *a, const char *b)
{
    for (; *a || *b; a++, b++) {
        while (*a == '/' && (a[1] == '/' || a[1] == '\0'))
            a++;
        while (*b == '/' && (b[1] == '/' || b[1] == '\0'))
            b++;
        if (*a != *b)
            return false;
        if (!*a)
            return true;
    }
    return true;
}

int handle_storage_pool_lookup_by_target_path(struct call *call,
                                              const struct storage_pool_lookup_by_target_path_args *args,
                                              struct storage_pool_lookup_by_target_path_ret *ret, struct error *err)
{
    for each_pool (object, call) {
        const struct pool_def *def = object_active(object) ? object_def(object, NULL) : NULL;
        if (def && def->target.path && same_path(def->target.path, args->path))
            return found(call, object, &ret->pool);
    }
    return error_set(err, ERR_NO_STORAGE_POOL, "Storage pool not found: no storage pool with matching target path '%s'",
                     args->path);
}

/* -- lists with filters -------------------------------------------------------------------------------------------- */

enum filter_group { GROUP_ACTIVE, GROUP_PERSISTENT, GROUP_AUTOSTART, GROUP_TYPE, GROUPS };

static const struct {
    unsigned flag;
    enum filter_group group;
    bool wanted;
} filters[] = {
    {CONNECT_LIST_STORAGE_POOLS_ACTIVE, GROUP_ACTIVE, true},
    {CONNECT_LIST_STORAGE_POOLS_INACTIVE, GROUP_ACTIVE, false},
    {CONNECT_LIST_STORAGE_POOLS_PERSISTENT, GROUP_PERSISTENT, true},
    {CONNECT_LIST_STORAGE_POOLS_TRANSIENT, GROUP_PERSISTENT, false},
    {CONNECT_LIST_STORAGE_POOLS_AUTOSTART, GROUP_AUTOSTART, true},
    {CONNECT_LIST_STORAGE_POOLS_NO_AUTOSTART, GROUP_AUTOSTART, false},
};

/* One flag for each kind, beside those above. */
static unsigned type_flags(void)
{
    unsigned flags = 0;
    for (unsigned type = 1; type < pool_type_words.count; type++)
        flags |= backend_list_flag((enum pool_type)type);
    return flags;
}

/* Flags of one group are alternatives; a pool must pass each group of which any flag is given. */
static bool passes(struct object *object, unsigned flags)
{
    const bool value[GROUPS] = {[GROUP_ACTIVE] = object_active(object),
                                [GROUP_PERSISTENT] = object->persistent,
                                [GROUP_AUTOSTART] = object->autostart};
    bool asked[GROUPS] = {0}, passed[GROUPS] = {0};
    for (size_t i = 0; i < COUNT(filters); i++) {
        if (!(flags & filters[i].flag))
            continue;
        asked[filters[i].group] = true;
        passed[filters[i].group] |= value[filters[i].group] == filters[i].wanted;
    }
    if (flags & type_flags()) {
        const struct pool_def *def = object_def(object, NULL);
        asked[GROUP_TYPE] = true;
        passed[GROUP_TYPE] = def && flags & backend_list_flag(def->type);
    }
    for (size_t group = 0; group < GROUPS; group++)
        if (asked[group] && !passed[group])
            return false;
    return true;
}

int handle_connect_list_all_storage_pools(struct call *call, const struct connect_list_all_storage_pools_args *args,
                                          struct connect_list_all_storage_pools_ret *ret, struct error *err)
{
    unsigned known = type_flags();
    for (size_t i = 0; i < COUNT(filters); i++)
        known |= filters[i].flag;
    if (call_flags(call, args->flags, known, err) < 0)
        return -1;
    for each_pool (object, call)
        ret->ret += passes(object, args->flags);
    if (!args->need_results)
        return 0;
    ret->pools = arena_new_array(call->arena, ret->ret, struct wire_storage_pool);
    for each_pool (object, call)
        if (passes(object, args->flags))
            ret->pools[ret->pools_count++] = wire_pool_of(call, pool_of(object));
    return 0;
}

static int32_t count(struct call *call, bool active)
{
    int32_t number = 0;
    for each_pool (object, call)
        number += object_active(object) == active;
    return number;
}

static int names(struct call *call, bool active, int32_t most, char ***names, uint32_t *names_count, struct error *err)
{
    if (most < 0)
        return error_set(err, ERR_INVALID_ARG, "a list of %d names cannot be", most);
    *names = arena_new_array(call->arena, (size_t)count(call, active), char *);
    for each_pool (object, call)
        if (object_active(object) == active && *names_count < (uint32_t)most)
            (*names)[(*names_count)++] = arena_strdup(call->arena, object->name);
    return 0;
}

int handle_connect_num_of_storage_pools(struct call *call, struct connect_num_of_storage_pools_ret *ret,
                                        struct error *err)
{
    ret->num = count(call, true);
    return 0;
}

int handle_connect_num_of_defined_storage_pools(struct call *call,
                                                struct connect_num_of_defined_storage_pools_ret *ret,
                                                struct error *err)
{
    ret->num = count(call, false);
    return 0;
}

int handle_connect_list_storage_pools(struct call *call, const struct connect_list_storage_pools_args *args,
                                      struct connect_list_storage_pools_ret *ret, struct error *err)
{
    return names(call, true, args->maxnames, (char ***)&ret->names, &ret->names_count, err);
}

int handle_connect_list_defined_storage_pools(struct call *call,
                                              const struct connect_list_defined_storage_pools_args *args,
                                              struct connect_list_defined_storage_pools_ret *ret, struct error *err)
{
    return names(call, false, args->maxnames, (char ***)&ret->names, &ret->names_count, err);
}
