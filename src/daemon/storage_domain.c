/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include <string.h>

#include "base/log.h"

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

/* The disks of running domains, with the layers below them that the definitions know. */
static void each_disk(void *owner,
                      void (*found)(void *context, const char *domain, const char *target, const char *path),
                      void *context)
{
    struct daemon *daemon = owner;
    for (struct object *object = registry_first(&daemon->driver->domains); object; object = registry_next(object)) {
        const struct domain_def *live = object->live;
        for (uint32_t i = 0; live && i < live->disks.count; i++) {
            const struct disk *disk = live->disks.item[i];
            for (const struct disk_source *source = &disk->source; source; source = source->backing) {
                const char *path = source->file ? source->file : source->dev;
                if (path)
                    found(context, object->name, disk->target, path);
            }
        }
    }
}

/* -- disks of type volume ------------------------------------------------------------------------------------------ */

static int find_volume(struct daemon *daemon, struct domain_def *live, struct disk *disk, struct error *err)
{
    struct disk_source *source = &disk->source;
    struct object *object = registry_find_name(&daemon->storage->pools, source->pool ? source->pool : "", err);
    scoped_pool struct pool *pool = object ? pool_of(object_ref(object)) : NULL;
    if (pool && !object_active(&pool->object))
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "storage pool '%s' containing volume '%s' is not active; start "
                         "it first", source->pool, source->volume);
    if (!pool || pool_require_active(pool, err) < 0)
        return -1;
    const struct volume *volume = volume_find(pool, source->volume ? source->volume : "", err);
    if (!volume)
        return -1;
    source->file = source->dev = NULL;
    if (volume->facts.type == STORAGE_VOL_FILE)
        source->file = arena_strdup(live->arena, volume->path);
    else if (volume->facts.type == STORAGE_VOL_BLOCK)
        source->dev = arena_strdup(live->arena, volume->path);
    else
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "volume '%s' of pool '%s' is neither a file nor a block device",
                         source->volume, source->pool);
    return 0;
}

static int find_volumes(void *owner, struct domain_def *live, struct error *err)
{
    for (uint32_t i = 0; i < live->disks.count; i++) {
        struct disk *disk = live->disks.item[i];
        if (disk->source.type == SOURCE_TYPE_VOLUME && disk->source.volume && find_volume(owner, live, disk, err) < 0)
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
