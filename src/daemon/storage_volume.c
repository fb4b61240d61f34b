/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include "rpc/stream.h"

/* Storage volumes. */

static struct pool *pool_named(const struct call *call, const char *name, struct error *err)
{
    return pool_of(registry_find_name(&call_daemon(call)->storage->pools, name, err));
}

/* An active pool whose volumes are known, as a reference. */
static struct pool *active_pool(const struct call *call, const struct wire_storage_pool *handle, struct error *err)
{
    scoped_pool struct pool *pool = call_pool(call, handle, err);
    return pool && pool_require_active(pool, err) == 0 ? steal(pool) : NULL;
}

struct volume *call_volume(const struct call *call, const struct wire_storage_vol *handle, struct error *err)
{
    struct pool *found = pool_named(call, handle->pool, err);
    scoped_pool struct pool *pool = found ? pool_of(object_ref(&found->object)) : NULL;
    if (!pool || pool_require_active(pool, err) < 0)
        return NULL;
    struct volume *volume = volume_find(pool, handle->name, err);
    return volume ? volume_ref(volume) : NULL;
}

struct wire_storage_vol wire_volume_of(const struct call *call, const struct volume *volume)
{
    return (struct wire_storage_vol){.pool = arena_strdup(call->arena, pool_name(volume->pool)),
                                     .name = arena_strdup(call->arena, volume->name),
                                     .key = arena_strdup(call->arena, volume->key)};
}

/* -- finding ------------------------------------------------------------------------------------------------------- */

int handle_storage_vol_lookup_by_name(struct call *call, const struct storage_vol_lookup_by_name_args *args,
                                      struct storage_vol_lookup_by_name_ret *ret, struct error *err)
{
    scoped_pool struct pool *pool = active_pool(call, &args->pool, err);
    struct volume *volume = pool ? volume_find(pool, args->name, err) : NULL;
    if (!volume)
        return -1;
    ret->vol = wire_volume_of(call, volume);
    return 0;
}

/* In all active pools. Reading one may wait, so each is looked up anew by its name. */
static int look_up(struct call *call, const char *what, struct volume *(*find)(struct pool *pool, const char *),
                   struct wire_storage_vol *handle, const char *kind, struct error *err)
{
    struct registry *pools = &call_daemon(call)->storage->pools;
    size_t count = 0;
    for (struct object *object = registry_first(pools); object; object = registry_next(object))
        count += object_active(object);
    const char **names = arena_new_array(call->arena, count, const char *);
    count = 0;
    for (struct object *object = registry_first(pools); object; object = registry_next(object))
        if (object_active(object))
            names[count++] = arena_strdup(call->arena, object->name);
    for (size_t i = 0; i < count; i++) {
        struct pool *pool = pool_named(call, names[i], NULL);
        struct volume *volume = pool && pool_require_active(pool, NULL) == 0 ? find(pool, what) : NULL;
        if (volume) {
            *handle = wire_volume_of(call, volume);
            return 0;
        }
    }
    return error_set(err, ERR_NO_STORAGE_VOL, "Storage volume not found: no storage vol with matching %s '%s'", kind,
                     what);
}

int handle_storage_vol_lookup_by_key(struct call *call, const struct storage_vol_lookup_by_key_args *args,
                                     struct storage_vol_lookup_by_key_ret *ret, struct error *err)
{
    return look_up(call, args->key, volume_find_key, &ret->vol, "key", err);
}

int handle_storage_vol_lookup_by_path(struct call *call, const struct storage_vol_lookup_by_path_args *args,
                                      struct storage_vol_lookup_by_path_ret *ret, struct error *err)
{
    /* "/images//a" is "/images/a" */
    char *path = arena_strdup(call->arena, args->path), *to = path;
    for (const char *from = args->path; *from; from++)
        if (*from != '/' || from[1] != '/')
            *to++ = *from;
    *to = '\0';
    return look_up(call, path, volume_find_path, &ret->vol, "path", err);
}

int handle_storage_pool_num_of_volumes(struct call *call, const struct storage_pool_num_of_volumes_args *args,
                                       struct storage_pool_num_of_volumes_ret *ret, struct error *err)
{
    scoped_pool struct pool *pool = active_pool(call, &args->pool, err);
    if (!pool)
        return -1;
    for (struct volume *volume = volume_first(pool); volume; volume = volume_next(volume))
        ret->num++;
    return 0;
}

int handle_storage_pool_list_volumes(struct call *call, const struct storage_pool_list_volumes_args *args,
                                     struct storage_pool_list_volumes_ret *ret, struct error *err)
{
    scoped_pool struct pool *pool = active_pool(call, &args->pool, err);
    if (!pool)
        return -1;
    if (args->maxnames < 0)
        return error_set(err, ERR_INVALID_ARG, "a list of %d names cannot be", args->maxnames);
    ret->names = arena_new_array(call->arena, HASH_CNT(by_name, pool->by_name), __typeof__(*ret->names));
    for (struct volume *volume = volume_first(pool); volume && ret->names_count < (uint32_t)args->maxnames;
         volume = volume_next(volume))
        ret->names[ret->names_count++] = arena_strdup(call->arena, volume->name);
    return 0;
}

int handle_storage_pool_list_all_volumes(struct call *call, const struct storage_pool_list_all_volumes_args *args,
                                         struct storage_pool_list_all_volumes_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    scoped_pool struct pool *pool = active_pool(call, &args->pool, err);
    if (!pool)
        return -1;
    for (struct volume *volume = volume_first(pool); volume; volume = volume_next(volume))
        ret->ret++;
    if (!args->need_results)
        return 0;
    ret->vols = arena_new_array(call->arena, ret->ret, struct wire_storage_vol);
    for (struct volume *volume = volume_first(pool); volume; volume = volume_next(volume))
        ret->vols[ret->vols_count++] = wire_volume_of(call, volume);
    return 0;
}

/* -- telling ------------------------------------------------------------------------------------------------------- */

int handle_storage_vol_get_path(struct call *call, const struct storage_vol_get_path_args *args,
                                struct storage_vol_get_path_ret *ret, struct error *err)
{
    scoped_volume struct volume *volume = call_volume(call, &args->vol, err);
    if (!volume)
        return -1;
    ret->name = arena_strdup(call->arena, volume->path);
    return 0;
}

int handle_storage_vol_get_info(struct call *call, const struct storage_vol_get_info_args *args,
                                struct storage_vol_get_info_ret *ret, struct error *err)
{
    scoped_volume struct volume *volume = call_volume(call, &args->vol, err);
    if (!volume)
        return -1;
    ret->type = (int8_t)volume->facts.type;
    ret->capacity = volume->facts.capacity;
    ret->allocation = volume->facts.allocation;
    return 0;
}

int handle_storage_vol_get_info_flags(struct call *call, const struct storage_vol_get_info_flags_args *args,
                                      struct storage_vol_get_info_flags_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, STORAGE_VOL_GET_PHYSICAL, err) < 0)
        return -1;
    scoped_volume struct volume *volume = call_volume(call, &args->vol, err);
    if (!volume)
        return -1;
    bool physical = args->flags & STORAGE_VOL_GET_PHYSICAL;
    ret->type = (int8_t)volume->facts.type;
    ret->capacity = volume->facts.capacity;
    ret->allocation = physical ? volume->facts.physical : volume->facts.allocation;
    return 0;
}

int handle_storage_vol_get_xml_desc(struct call *call, const struct storage_vol_get_xml_desc_args *args,
                                    struct storage_vol_get_xml_desc_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    scoped_volume struct volume *volume = call_volume(call, &args->vol, err);
    if (!volume)
        return -1;
    scoped_free char *xml = volume_dump(volume);
    ret->xml = arena_strdup(call->arena, xml);
    return 0;
}

/* -- changing ------------------------------------------------------------------------------------------------------ */

enum { CREATE_FLAGS = STORAGE_VOL_CREATE_PREALLOC_METADATA | STORAGE_VOL_CREATE_VALIDATE };

int handle_storage_vol_create_xml(struct call *call, const struct storage_vol_create_xml_args *args,
                                  struct storage_vol_create_xml_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, CREATE_FLAGS, err) < 0)
        return -1;
    scoped_pool struct pool *pool = active_pool(call, &args->pool, err);
    scoped_volume struct volume *volume =
        pool ? volume_create(pool, args->xml, NULL, args->flags, call_client(call), err) : NULL;
    if (!volume)
        return -1;
    ret->vol = wire_volume_of(call, volume);
    return 0;
}

int handle_storage_vol_create_xml_from(struct call *call, const struct storage_vol_create_xml_from_args *args,
                                       struct storage_vol_create_xml_from_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, CREATE_FLAGS | STORAGE_VOL_CREATE_REFLINK, err) < 0)
        return -1;
    scoped_pool struct pool *pool = active_pool(call, &args->pool, err);
    scoped_volume struct volume *source = pool ? call_volume(call, &args->clonevol, err) : NULL;
    scoped_volume struct volume *volume =
        source ? volume_create(pool, args->xml, source, args->flags, call_client(call), err) : NULL;
    if (!volume)
        return -1;
    ret->vol = wire_volume_of(call, volume);
    return 0;
}

int handle_storage_vol_delete(struct call *call, const struct storage_vol_delete_args *args, struct error *err)
{
    if (call_flags(call, args->flags, STORAGE_VOL_DELETE_ZEROED, err) < 0)
        return -1;
    scoped_volume struct volume *volume = call_volume(call, &args->vol, err);
    return volume ? volume_delete(volume, args->flags, call_client(call), err) : -1;
}

int handle_storage_vol_resize(struct call *call, const struct storage_vol_resize_args *args, struct error *err)
{
    const unsigned known = STORAGE_VOL_RESIZE_ALLOCATE | STORAGE_VOL_RESIZE_DELTA | STORAGE_VOL_RESIZE_SHRINK;
    if (call_flags(call, args->flags, known, err) < 0)
        return -1;
    scoped_volume struct volume *volume = call_volume(call, &args->vol, err);
    return volume ? volume_resize(volume, args->capacity, args->flags, err) : -1;
}

static int wipe(struct call *call, const struct wire_storage_vol *handle, unsigned algorithm, unsigned flags,
                struct error *err)
{
    if (call_flags(call, flags, 0, err) < 0)
        return -1;
    scoped_volume struct volume *volume = call_volume(call, handle, err);
    return volume ? volume_wipe(volume, algorithm, err) : -1;
}

int handle_storage_vol_wipe(struct call *call, const struct storage_vol_wipe_args *args, struct error *err)
{
    return wipe(call, &args->vol, STORAGE_VOL_WIPE_ALG_ZERO, args->flags, err);
}

int handle_storage_vol_wipe_pattern(struct call *call, const struct storage_vol_wipe_pattern_args *args,
                                    struct error *err)
{
    return wipe(call, &args->vol, args->algorithm, args->flags, err);
}

/* -- as streams ---------------------------------------------------------------------------------------------------- */

int handle_storage_vol_upload(struct call *call, const struct storage_vol_upload_args *args, struct error *err)
{
    scoped_volume_use struct volume_use use = {0};
    if (call_flags(call, args->flags, STORAGE_VOL_UPLOAD_SPARSE_STREAM, err) < 0)
        return -1;
    scoped_volume struct volume *volume = call_volume(call, &args->vol, err);
    if (!volume || volume_check_range(volume, args->offset, args->length, true, err) < 0 ||
        volume_begin(&use, volume, true, "upload to", err) < 0 || volume_check_unused(volume, "upload to", err) < 0)
        return -1;
    struct stream *stream = call_open_stream(call, err);
    if (!stream)
        return -1;
    volume_upload(&use, stream, args->offset, args->length);
    return 0;
}

int handle_storage_vol_download(struct call *call, const struct storage_vol_download_args *args, struct error *err)
{
    scoped_volume_use struct volume_use use = {0};
    if (call_flags(call, args->flags, STORAGE_VOL_DOWNLOAD_SPARSE_STREAM, err) < 0)
        return -1;
    scoped_volume struct volume *volume = call_volume(call, &args->vol, err);
    if (!volume || volume_check_range(volume, args->offset, args->length, false, err) < 0 ||
        volume_begin(&use, volume, false, "download", err) < 0)
        return -1;
    struct stream *stream = call_open_stream(call, err);
    if (!stream)
        return -1;
    volume_download(&use, stream, args->offset, args->length, args->flags & STORAGE_VOL_DOWNLOAD_SPARSE_STREAM);
    return 0;
}
