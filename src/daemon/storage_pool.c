/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include <string.h>

/* Storage pools: definitions, life, what they hold. */

enum {
    BUILD_FLAGS = STORAGE_POOL_CREATE_WITH_BUILD | STORAGE_POOL_CREATE_WITH_BUILD_OVERWRITE |
                  STORAGE_POOL_CREATE_WITH_BUILD_NO_OVERWRITE
};

struct pool *call_pool(const struct call *call, const struct wire_storage_pool *handle, struct error *err)
{
    struct object *object = registry_find_uuid(&call_daemon(call)->storage->pools, handle->uuid, NULL);
    if (object)
        return pool_of(object_ref(object));
    char uuid[UUID_STRING_SIZE];
    uuid_format(handle->uuid, uuid);
    return error_null(err, ERR_NO_STORAGE_POOL, "Storage pool not found: no storage pool with matching uuid '%s' (%s)",
                      uuid, handle->name);
}

struct wire_storage_pool wire_pool_of(const struct call *call, const struct pool *pool)
{
    struct wire_storage_pool handle = {.name = arena_strdup(call->arena, pool_name(pool))};
    memcpy(handle.uuid, pool->object.uuid, UUID_SIZE);
    return handle;
}

int handle_storage_pool_define_xml(struct call *call, const struct storage_pool_define_xml_args *args,
                                   struct storage_pool_define_xml_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, STORAGE_POOL_DEFINE_VALIDATE, err) < 0)
        return -1;
    scoped_pool struct pool *pool =
        pool_define(call_daemon(call)->storage, args->xml, args->flags, call_client(call), err);
    if (!pool)
        return -1;
    ret->pool = wire_pool_of(call, pool);
    return 0;
}

int handle_storage_pool_create_xml(struct call *call, const struct storage_pool_create_xml_args *args,
                                   struct storage_pool_create_xml_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, BUILD_FLAGS, err) < 0)
        return -1;
    scoped_pool struct pool *pool =
        pool_create(call_daemon(call)->storage, args->xml, args->flags, call_client(call), err);
    if (!pool)
        return -1;
    ret->pool = wire_pool_of(call, pool);
    return 0;
}

int handle_storage_pool_create(struct call *call, const struct storage_pool_create_args *args, struct error *err)
{
    if (call_flags(call, args->flags, BUILD_FLAGS, err) < 0)
        return -1;
    scoped_pool struct pool *pool = call_pool(call, &args->pool, err);
    return pool ? pool_start(pool, args->flags, call_client(call), err) : -1;
}

int handle_storage_pool_build(struct call *call, const struct storage_pool_build_args *args, struct error *err)
{
    if (call_flags(call, args->flags, STORAGE_POOL_BUILD_OVERWRITE | STORAGE_POOL_BUILD_NO_OVERWRITE, err) < 0)
        return -1;
    scoped_pool struct pool *pool = call_pool(call, &args->pool, err);
    return pool ? pool_build(pool, args->flags, call_client(call), err) : -1;
}

int handle_storage_pool_destroy(struct call *call, const struct storage_pool_destroy_args *args, struct error *err)
{
    scoped_pool struct pool *pool = call_pool(call, &args->pool, err);
    return pool ? pool_stop(pool, call_client(call), err) : -1;
}

int handle_storage_pool_delete(struct call *call, const struct storage_pool_delete_args *args, struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    scoped_pool struct pool *pool = call_pool(call, &args->pool, err);
    return pool ? pool_delete(pool, args->flags, call_client(call), err) : -1;
}

int handle_storage_pool_undefine(struct call *call, const struct storage_pool_undefine_args *args, struct error *err)
{
    scoped_pool struct pool *pool = call_pool(call, &args->pool, err);
    return pool ? pool_undefine(pool, call_client(call), err) : -1;
}

int handle_storage_pool_refresh(struct call *call, const struct storage_pool_refresh_args *args, struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    scoped_pool struct pool *pool = call_pool(call, &args->pool, err);
    return pool ? pool_refresh(pool, call_client(call), err) : -1;
}

int handle_storage_pool_get_autostart(struct call *call, const struct storage_pool_get_autostart_args *args,
                                      struct storage_pool_get_autostart_ret *ret, struct error *err)
{
    scoped_pool struct pool *pool = call_pool(call, &args->pool, err);
    if (!pool)
        return -1;
    ret->autostart = pool->object.autostart;
    return 0;
}

int handle_storage_pool_set_autostart(struct call *call, const struct storage_pool_set_autostart_args *args,
                                      struct error *err)
{
    scoped_pool struct pool *pool = call_pool(call, &args->pool, err);
    return pool ? pool_set_autostart(pool, args->autostart, call_client(call), err) : -1;
}

int handle_storage_pool_is_active(struct call *call, const struct storage_pool_is_active_args *args,
                                  struct storage_pool_is_active_ret *ret, struct error *err)
{
    scoped_pool struct pool *pool = call_pool(call, &args->pool, err);
    if (!pool)
        return -1;
    ret->active = object_active(&pool->object);
    return 0;
}

int handle_storage_pool_is_persistent(struct call *call, const struct storage_pool_is_persistent_args *args,
                                      struct storage_pool_is_persistent_ret *ret, struct error *err)
{
    scoped_pool struct pool *pool = call_pool(call, &args->pool, err);
    if (!pool)
        return -1;
    ret->persistent = pool->object.persistent;
    return 0;
}

int handle_storage_pool_get_xml_desc(struct call *call, const struct storage_pool_get_xml_desc_args *args,
                                     struct storage_pool_get_xml_desc_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, STORAGE_XML_INACTIVE, err) < 0)
        return -1;
    scoped_pool struct pool *pool = call_pool(call, &args->pool, err);
    const char *xml = pool ? call_keep(call, pool_dump(pool, args->flags, err)) : NULL;
    if (!xml)
        return -1;
    ret->xml = arena_strdup(call->arena, xml);
    return 0;
}

int handle_storage_pool_get_info(struct call *call, const struct storage_pool_get_info_args *args,
                                 struct storage_pool_get_info_ret *ret, struct error *err)
{
    scoped_pool struct pool *pool = call_pool(call, &args->pool, err);
    if (!pool || (object_active(&pool->object) && pool_require_active(pool, err) < 0))
        return -1;
    ret->state = object_active(&pool->object) ? STORAGE_POOL_RUNNING : STORAGE_POOL_INACTIVE;
    ret->capacity = pool->space.capacity;
    ret->allocation = pool->space.allocation;
    ret->available = pool->space.available;
    return 0;
}

int handle_connect_get_storage_pool_capabilities(struct call *call,
                                                 const struct connect_get_storage_pool_capabilities_args *args,
                                                 struct connect_get_storage_pool_capabilities_ret *ret,
                                                 struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    scoped_free char *xml = backend_capabilities();
    ret->capabilities = arena_strdup(call->arena, xml);
    return 0;
}

int handle_connect_find_storage_pool_sources(struct call *call,
                                             const struct connect_find_storage_pool_sources_args *args,
                                             struct connect_find_storage_pool_sources_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    enum pool_type type = (enum pool_type)words_value(&pool_type_words, args->type);
    if (!type)
        return error_set(err, ERR_INVALID_ARG, "unknown storage pool type '%s'", args->type);
    const struct backend *backend = backend_usable(type, err);
    if (!backend)
        return -1;
    if (!backend->find)
        return error_set(err, ERR_NO_SUPPORT, "pool type '%s' does not support source discovery", args->type);
    struct pool_source *spec = args->src_spec ? pool_source_parse(call->arena, args->src_spec, err) : NULL;
    scoped_text struct text sources = {0};
    if (args->src_spec && !spec)
        return -1;
    text_append(&sources, "<sources>\n");
    if (backend->find(spec, &sources, err) < 0)
        return -1;
    text_append(&sources, "</sources>\n");
    ret->xml = arena_strdup(call->arena, text_string(&sources));
    return 0;
}

/* -- events -------------------------------------------------------------------------------------------------------- */

int handle_connect_storage_pool_event_register_any(struct call *call,
                                                   const struct connect_storage_pool_event_register_any_args *args,
                                                   struct connect_storage_pool_event_register_any_ret *ret,
                                                   struct error *err)
{
    scoped_pool struct pool *pool = args->pool ? call_pool(call, args->pool, err) : NULL;
    if (args->pool && !pool)
        return -1;
    return events_register(call, EVENT_CLASS_STORAGE_POOL, args->event_id, pool ? pool->object.uuid : NULL,
                           &ret->callback_id, err);
}

int handle_connect_storage_pool_event_deregister_any(struct call *call,
                                                     const struct connect_storage_pool_event_deregister_any_args *args,
                                                     struct error *err)
{
    return events_deregister(call, EVENT_CLASS_STORAGE_POOL, args->callback_id, err);
}
