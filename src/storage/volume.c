/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/volume.h"

#include <inttypes.h>
#include <string.h>

#include "model/xml.h"
#include "storage/luks.h"
#include "storage/pool.h"

struct volume *volume_ref(struct volume *volume)
{
    volume->references++;
    return volume;
}

void volume_unref(struct volume *volume)
{
    if (--volume->references)
        return;
    volume_facts_finish(&volume->facts);
    object_unref(&volume->pool->object);
    free(volume->name);
    free(volume->path);
    free(volume->key);
    free(volume);
}

struct volume *volume_add(struct pool *pool, const char *name, const char *path, const char *key)
{
    struct volume *volume = xcalloc(1, sizeof *volume);
    volume->references = 1;
    volume->pool = pool_of(object_ref(&pool->object));
    volume->name = xstrdup(name);
    volume->path = xstrdup(path);
    volume->key = xstrdup(key);
    volume->hidden = true;
    pool->unsorted = true;
    HASH_ADD_KEYPTR(by_name, pool->by_name, volume->name, strlen(volume->name), volume);
    HASH_ADD_KEYPTR(by_path, pool->by_path, volume->path, strlen(volume->path), volume);
    return volume;
}

void volume_remove(struct volume *volume)
{
    if (volume->removed)
        return;
    volume->removed = true;
    HASH_DELETE(by_name, volume->pool->by_name, volume);
    HASH_DELETE(by_path, volume->pool->by_path, volume);
    volume_unref(volume);
}

static struct volume *visible(struct volume *volume)
{
    while (volume && volume->hidden)
        volume = volume->by_name.next;
    return volume;
}

static int name_order(const struct volume *a, const struct volume *b)
{
    return strcmp(a->name, b->name);
}

struct volume *volume_first(struct pool *pool)
{
    if (pool->unsorted)
        HASH_SRT(by_name, pool->by_name, name_order);
    pool->unsorted = false;
    return visible(pool->by_name);
}

struct volume *volume_next(const struct volume *volume)
{
    return visible(volume->by_name.next);
}

struct volume *volume_find(const struct pool *pool, const char *name, struct error *err)
{
    struct volume *volume;
    HASH_FIND(by_name, pool->by_name, name, strlen(name), volume);
    if (volume && !volume->hidden)
        return volume;
    return error_null(err, ERR_NO_STORAGE_VOL, "Storage volume not found: no storage vol with matching name '%s' in "
                      "pool '%s'", name, pool_name(pool));
}

struct volume *volume_find_path(struct pool *pool, const char *path)
{
    struct volume *volume;
    HASH_FIND(by_path, pool->by_path, path, strlen(path), volume);
    return volume && !volume->hidden ? volume : NULL;
}

struct volume *volume_find_key(struct pool *pool, const char *key)
{
    struct volume *volume = volume_find_path(pool, key); /* of most kinds the key is the path */
    if (volume && strcmp(volume->key, key) == 0)
        return volume;
    for (volume = volume_first(pool); volume; volume = volume_next(volume))
        if (strcmp(volume->key, key) == 0)
            return volume;
    return NULL;
}

/* -- who works with it --------------------------------------------------------------------------------------------- */

int volume_begin(struct volume_use *use, struct volume *volume, bool change, const char *operation, struct error *err)
{
    if (volume->removed)
        return error_set(err, ERR_NO_STORAGE_VOL, "Storage volume not found: '%s' is gone from pool '%s' meanwhile",
                         volume->name, pool_name(volume->pool));
    if (volume->changing || (change && volume->users))
        return error_set(err, ERR_OPERATION_INVALID,
                         "cannot %s volume '%s' in pool '%s': it is busy with another operation (%s); wait for that "
                         "to end", operation, volume->name, pool_name(volume->pool), volume->operation);
    volume->operation = operation;
    volume->changing = change;
    volume->users += !change;
    volume->pool->works++;
    *use = (struct volume_use){volume_ref(volume), change};
    return 0;
}

void volume_end(struct volume_use *use)
{
    struct volume *volume = steal(use->volume);
    if (!volume)
        return;
    volume->pool->works--;
    if (use->change)
        volume->changing = false;
    else
        volume->users--;
    volume_unref(volume);
}

/* -- as XML -------------------------------------------------------------------------------------------------------- */

static const char *time_text(struct arena *arena, const struct timespec *time)
{
    return arena_printf(arena, "%" PRIi64 ".%09ld", (int64_t)time->tv_sec, time->tv_nsec);
}

static void tell_permissions(struct arena *arena, const struct volume_facts *facts, struct volume_target *target)
{
    target->permissions = arena_struct(arena, struct permissions);
    target->permissions->mode = arena_printf(arena, "0%o", facts->mode);
    target->permissions->owner = (struct optional_i32){(int32_t)facts->uid, true};
    target->permissions->group = (struct optional_i32){(int32_t)facts->gid, true};
    target->timestamps = arena_struct(arena, struct volume_timestamps);
    target->timestamps->atime = time_text(arena, &facts->atime);
    target->timestamps->mtime = time_text(arena, &facts->mtime);
    target->timestamps->ctime = time_text(arena, &facts->ctime);
    if (facts->btime.tv_sec)
        target->timestamps->btime = time_text(arena, &facts->btime);
}

const char *volume_encryption(struct arena *arena, const struct volume *volume)
{
    if (!volume_encrypted(volume))
        return NULL;
    const char *uuid = *volume->secret ? volume->secret : NULL;
    const struct secret *secret = uuid ? NULL : luks_find(volume->pool->storage->secrets, NULL, volume->path, NULL);
    if (secret)
        uuid = secret->object.name;
    if (!uuid)
        return "<encryption format='luks'/>";
    return arena_printf(arena, "<encryption format='luks'>\n      <secret type='passphrase' uuid='%s'/>\n"
                        "    </encryption>", uuid);
}

static void tell_image(struct arena *arena, const struct volume *volume, struct volume_def *def)
{
    const struct image *image = volume->facts.image;
    if (string_equal(image->compat, "1.1"))
        def->target.compat = image->compat;
    def->target.cluster_size = image->cluster_size;
    def->target.lazy_refcounts = image->lazy_refcounts;
    def->target.extended_l2 = image->extended_l2;
    def->target.encryption = volume_encryption(arena, volume);
    if (!image->has_backing)
        return;
    scoped_free char *path = image_backing_path(volume->path, image);
    def->backing = arena_struct(arena, struct volume_target);
    def->backing->path = arena_strdup(arena, path ? path : image->backing);
    def->backing->format = *image->backing_format ? image->backing_format : "raw";
}

char *volume_dump(const struct volume *volume)
{
    /* in the order of STORAGE_VOL_* */
    static const enum volume_type types[] = {VOLUME_TYPE_FILE,    VOLUME_TYPE_BLOCK,  VOLUME_TYPE_DIR,
                                             VOLUME_TYPE_NETWORK, VOLUME_TYPE_NETDIR, VOLUME_TYPE_PLOOP};
    scoped_arena struct arena *arena = arena_new();
    const struct volume_facts *facts = &volume->facts;
    struct volume_def def = {
        .type = types[facts->type],
        .name = volume->name,
        .key = volume->key,
        .capacity = facts->capacity,
        .allocation = facts->allocation,
        .physical = facts->physical,
        .target = {.path = volume->path, .format = facts->format},
    };
    tell_permissions(arena, facts, &def.target);
    if (facts->image)
        tell_image(arena, volume, &def);
    struct volume_extent extent = {.start = facts->start, .end = facts->end};
    if (facts->end) {
        const struct pool_def *pool = pool_def(volume->pool, NULL);
        def.source_device = pool && pool->source.devices.count ? pool->source.devices.item[0]->path : NULL;
        list_add(arena, &def.extents, &extent);
    }
    return volume_format(&def);
}
