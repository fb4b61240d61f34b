/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include <string.h>

#include "base/log.h"
#include "storage/iscsi.h"

/* What domains and storage ask of each other. Their folders do not know each other: here they are brought together. */

static void notify(void *owner, struct pool *pool, int event_id, int event)
{
    struct wire_storage_pool handle = {.name = pool->object.name};
    memcpy(handle.uuid, pool->object.uuid, UUID_SIZE);
    struct storage_pool_event_lifecycle_event lifecycle = {.pool = handle, .event = event};
    struct storage_pool_event_refresh_event refresh = {.pool = handle};
    const void *body = event_id == STORAGE_POOL_EVENT_ID_LIFECYCLE ? (void *)&lifecycle : &refresh;
    events_tell(owner, EVENT_CLASS_STORAGE_POOL, pool->object.uuid, event_id, body);
}

/* "iqn.2026-01.org:disks/1", as command_network_disk.c reads it */
static const char *unit_path(struct arena *arena, const struct disk_source *source)
{
    uint32_t unit = 0;
    if (source->protocol != NETWORK_PROTOCOL_ISCSI || !source->name)
        return NULL;
    size_t length = strcspn(source->name, "/");
    if (source->name[length])
        parse_u32(source->name + length + 1, 10, &unit);
    return iscsi_unit_path(arena, arena_strndup(arena, source->name, length), unit);
}

static const char *image_path(struct arena *arena, const struct disk_source *source)
{
    return source->file ?: source->dev ?: source->type == SOURCE_TYPE_NETWORK ? unit_path(arena, source) : NULL;
}

/* The disks of running domains, with the layers below them that the definitions know. */
static void each_disk(void *owner,
                      void (*found)(void *context, const char *domain, const char *target, const char *path),
                      void *context)
{
    struct daemon *daemon = owner;
    scoped_arena struct arena *arena = arena_new();
    for (struct object *object = registry_first(&daemon->driver->domains); object; object = registry_next(object)) {
        const struct domain_def *live = object->live;
        for (uint32_t i = 0; live && i < live->disks.count; i++) {
            const struct disk *disk = live->disks.item[i];
            for (const struct disk_source *source = &disk->source; source; source = source->backing) {
                const char *path = image_path(arena, source);
                if (path)
                    found(context, object->name, disk->target, path);
            }
        }
    }
}

/* -- disks of type volume ------------------------------------------------------------------------------------------ */

/* A reference of the pool, which is active, with all its volumes known. */
static struct pool *find_pool(struct daemon *daemon, const struct disk_source *source, struct error *err)
{
    struct object *object = registry_find_name(&daemon->storage->pools, source->pool ? source->pool : "", err);
    scoped_pool struct pool *pool = object ? pool_of(object_ref(object)) : NULL;
    if (pool && !object_active(&pool->object))
        return error_null(err, ERR_CONFIG_UNSUPPORTED, "storage pool '%s' containing volume '%s' is not active; start "
                          "it first", source->pool, source->volume);
    return pool && pool_require_active(pool, err) == 0 ? steal(pool) : NULL;
}

static int find_volume(struct daemon *daemon, struct disk *disk, struct arena *arena, struct error *err)
{
    struct disk_source *source = &disk->source;
    scoped_pool struct pool *pool = find_pool(daemon, source, err);
    const struct volume *volume = pool ? volume_find(pool, source->volume ? source->volume : "", err) : NULL;
    if (!volume)
        return -1;
    source->file = source->dev = NULL;
    if (volume->facts.type == STORAGE_VOL_FILE)
        source->file = arena_strdup(arena, volume->path);
    else if (volume->facts.type == STORAGE_VOL_BLOCK)
        source->dev = arena_strdup(arena, volume->path);
    else
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "volume '%s' of pool '%s' is neither a file nor a block device",
                         source->volume, source->pool);
    return 0;
}

static int place_volume(void *owner, struct disk *disk, struct arena *arena, struct error *err)
{
    struct disk_source *source = &disk->source;
    if (find_volume(owner, disk, arena, err) == 0)
        return 0;
    scoped_pool struct pool *pool = find_pool(owner, source, err);
    const char *name = source->volume ? source->volume : "";
    if (!pool || volume_find(pool, name, NULL))
        return -1;
    const struct pool_def *def = pool_def(pool, err);
    if (!pool_backend(pool)->files || !def->target.path || !*name || *name == '.' || strchr(name, '/'))
        return error_set(err, ERR_OPERATION_UNSUPPORTED,
                         "pool '%s' has no volume '%s', and it can only be made there by hand: make it first",
                         source->pool, name);
    source->file = arena_printf(arena, "%s/%s", def->target.path, name);
    source->dev = NULL;
    return 0;
}

static void image_changed(void *owner, const char *path)
{
    const struct daemon *daemon = owner;
    size_t length = strlen(path);
    while (length && path[length - 1] != '/')
        length--;
    for (struct object *object = registry_first(&daemon->storage->pools); object; object = registry_next(object)) {
        scoped_pool struct pool *pool = pool_of(object_ref(object));
        const struct pool_def *def = object_active(object) ? pool_def(pool, NULL) : NULL;
        const char *target = def && pool_backend(pool)->files ? def->target.path : NULL;
        struct error err = {0};
        if (!target || strlen(target) + 1 != length || strncmp(target, path, length - 1) != 0)
            continue;
        if (pool_refresh(pool, "a migration", &err) < 0)
            log_warning("pool '%s' does not show what happened to '%s' until it is refreshed: %s", pool_name(pool),
                        path, err.message);
        return; /* no other has this directory, and the list may have changed while we waited */
    }
}

static int find_volumes(void *owner, struct domain_def *live, struct error *err)
{
    for (uint32_t i = 0; i < live->disks.count; i++) {
        struct disk *disk = live->disks.item[i];
        if (disk->source.type == SOURCE_TYPE_VOLUME && disk->source.volume &&
            find_volume(owner, disk, live->arena, err) < 0)
            return error_wrap(err, "disk '%s'", disk->target);
    }
    return 0;
}

/* A definition that comes from a status file names the volumes only. */
static void find_volumes_again(void *owner)
{
    scoped_domain struct domain *domain = owner;
    struct error err = {0};
    scoped_job struct job job = {0};
    if (job_begin(&job, &domain->object, JOB_MODIFY, "find the volumes of", &err) < 0 || !domain_active(domain))
        return;
    /* the first time may wait for a pool, and the definition change meanwhile; the second time finds all at once */
    for (int turn = 0; turn < 2 && domain_active(domain); turn++) {
        scoped_domain_def struct domain_def *live = domain_edit(domain->object.live);
        if (find_volumes(domain->driver->notify_owner, live, &err) < 0) {
            log_warning("domain '%s' runs, but %s", domain_name(domain), err.message);
            return;
        }
        if (turn == 1)
            object_set_live(&domain->object, steal(live));
    }
}

static bool has_volumes(const struct domain_def *def)
{
    for (uint32_t i = 0; i < def->disks.count; i++)
        if (def->disks.item[i]->source.type == SOURCE_TYPE_VOLUME)
            return true;
    return false;
}

void storage_wire(struct daemon *daemon)
{
    daemon->driver->find_volumes = find_volumes;
    daemon->driver->place_volume = place_volume;
    daemon->driver->image_changed = image_changed;
    struct registry *domains = &daemon->driver->domains;
    for (struct object *object = registry_first(domains), *next; object; object = next) {
        next = registry_next(object);
        if (object->live && has_volumes(object->live))
            fiber_start("find volumes", find_volumes_again, object_ref(object));
    }
    daemon->storage->owner = daemon;
    daemon->storage->notify = notify;
    daemon->storage->each_disk = each_disk;
}
