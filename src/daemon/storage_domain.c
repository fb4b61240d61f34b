/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include <string.h>

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

void storage_wire(struct daemon *daemon)
{
    daemon->storage->owner = daemon;
    daemon->storage->notify = notify;
    daemon->storage->each_disk = each_disk;
}
