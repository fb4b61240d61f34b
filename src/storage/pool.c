/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/pool.h"

#include <string.h>

#include "base/files.h"
#include "base/log.h"

/* Pools as objects: what is common to all kinds of them. */

static void *parse_stored(void *context, const char *xml, struct error *err)
{
    return pool_parse(xml, 0, err);
}

static char *format_stored(const void *def)
{
    return pool_format(def);
}

static void *ref_def(void *def)
{
    return pool_def_ref(def);
}

static void unref_def(void *def)
{
    pool_def_free(def);
}

/* A host has few pools, so reading all of one is quick enough. */
static int peek_stored(const char *xml, size_t length, char **name, unsigned char uuid[UUID_SIZE])
{
    scoped_pool_def struct pool_def *def = pool_parse(xml, 0, NULL);
    if (!def)
        return -1;
    *name = xstrdup(def->name);
    memcpy(uuid, def->uuid, UUID_SIZE);
    return 0;
}

static void init(struct object *object)
{
    struct pool *pool = pool_of(object);
    pool->storage = object->registry->context;
    condition_init(&pool->became_ready);
}

static void changed(struct object *object, enum object_event event)
{
    if (event == OBJECT_ADDED || event == OBJECT_UPDATED)
        pool_notify(pool_of(object), STORAGE_POOL_EVENT_DEFINED);
    else if (event == OBJECT_REMOVED)
        pool_notify(pool_of(object), STORAGE_POOL_EVENT_UNDEFINED);
}

const struct object_kind pool_kind = {
    .noun = "storage pool",
    .title = "Storage pool",
    .error_missing = ERR_NO_STORAGE_POOL,
    .size = sizeof(struct pool),
    .def_parse = parse_stored,
    .def_format = format_stored,
    .def_ref = ref_def,
    .def_unref = unref_def,
    .def_peek = peek_stored,
    .init = init,
    .event = changed,
};

void pool_notify(struct pool *pool, int event)
{
    if (pool->storage->notify && !pool->object.hidden)
        pool->storage->notify(pool->storage->owner, pool, STORAGE_POOL_EVENT_ID_LIFECYCLE, event);
}

void pool_notify_refresh(struct pool *pool)
{
    if (pool->storage->notify)
        pool->storage->notify(pool->storage->owner, pool, STORAGE_POOL_EVENT_ID_REFRESH, 0);
}

void pool_job_asked_by(struct job *job, const char *client)
{
    snprintf(job->client, sizeof job->client, "%s", client ? client : "");
}

const struct pool_def *pool_def(struct pool *pool, struct error *err)
{
    return object_def(&pool->object, err);
}

const struct backend *pool_backend(struct pool *pool)
{
    const struct pool_def *def = pool_def(pool, NULL);
    return def ? backend_find(def->type, NULL) : NULL;
}

static int check_active(const struct pool *pool, struct error *err)
{
    if (object_active(&pool->object))
        return 0;
    return error_set(err, ERR_OPERATION_INVALID, "storage pool '%s' is not active", pool_name(pool));
}

int pool_require_active(struct pool *pool, struct error *err)
{
    if (check_active(pool, err) < 0)
        return -1;
    if (pool->ready)
        return 0;
    scoped_object struct object *kept = object_ref(&pool->object);
    deadline until = deadline_ms(TASK_MS);
    while (!pool->ready && object_active(&pool->object))
        if (condition_wait(&pool->became_ready, until, err) < 0)
            return error_wrap(err, "storage pool '%s' is still being read", pool_name(pool));
    return check_active(pool, err);
}

char *pool_dump(struct pool *pool, unsigned flags, struct error *err)
{
    bool stored = flags & STORAGE_XML_INACTIVE && pool->object.persistent;
    const struct pool_def *def = stored ? object_config(&pool->object, err) : pool_def(pool, err);
    if (!def || stored || !object_active(&pool->object))
        return def ? pool_format(def) : NULL;
    scoped_pool_def struct pool_def *told = pool_edit(def);
    told->capacity = pool->space.capacity;
    told->allocation = pool->space.allocation;
    told->available = pool->space.available;
    if (pool->space.owner_known) {
        struct permissions *permissions = arena_struct(told->arena, struct permissions);
        permissions->mode = arena_printf(told->arena, "0%o", pool->space.mode);
        permissions->owner = (struct optional_i32){(int32_t)pool->space.uid, true};
        permissions->group = (struct optional_i32){(int32_t)pool->space.gid, true};
        permissions->label = told->target.permissions ? told->target.permissions->label : NULL;
        told->target.permissions = permissions;
    }
    return pool_format(told);
}

/* -- definitions --------------------------------------------------------------------------------------------------- */

/* Two pools that own the same storage would each believe that they alone change it. */
static int check_conflict(struct storage *storage, const struct pool_def *def, const struct backend *backend,
                          struct error *err)
{
    for (struct object *object = registry_first(&storage->pools); object; object = registry_next(object)) {
        const struct pool_def *other = object_def(object, NULL);
        if (!other || memcmp(object->uuid, def->uuid, UUID_SIZE) == 0)
            continue;
        const struct backend *theirs = backend_find(other->type, NULL);
        if (backend->files && theirs && theirs->files && string_equal(def->target.path, other->target.path))
            return error_set(err, ERR_OPERATION_FAILED,
                             "Storage source conflict with pool: '%s': its target is '%s', too", object->name,
                             other->target.path);
        if (other->type == def->type && backend->same && backend->same(def, other))
            return error_set(err, ERR_OPERATION_FAILED,
                             "Storage source conflict with pool: '%s': it has the same source", object->name);
    }
    return 0;
}

static void warn_of_unknown(const struct pool_def *def)
{
    scoped_text struct text paths = {0};
    pool_unknown(def, &paths);
    if (paths.length)
        log_warning("storage pool '%s': kept, but without effect: %s", def->name, text_string(&paths));
}

/* Parses and checks what a client sent. */
static struct pool_def *def_read(struct storage *storage, const char *xml, bool validate, struct error *err)
{
    scoped_pool_def struct pool_def *def = pool_parse(xml, validate ? POOL_PARSE_VALIDATE : 0, err);
    const struct backend *backend = def ? backend_find(def->type, err) : NULL;
    if (!backend)
        return NULL;
    if (backend->check(def, err) < 0)
        return error_null_wrap(err, "storage pool '%s'", def->name);
    warn_of_unknown(def);
    return check_conflict(storage, def, backend, err) < 0 ? NULL : steal(def);
}

struct pool *pool_define(struct storage *storage, const char *xml, unsigned flags, const char *client,
                         struct error *err)
{
    scoped_pool_def struct pool_def *def = def_read(storage, xml, flags & STORAGE_POOL_DEFINE_VALIDATE, err);
    struct object *object = def ? object_claim(&storage->pools, def->name, def->uuid, err) : NULL;
    if (!object)
        return NULL;
    scoped_pool struct pool *pool = pool_of(object);
    scoped_job struct job job = {0};
    pool_job_asked_by(&job, client);
    if (job_begin(&job, object, JOB_DEFINE, "define", err) < 0)
        return NULL;
    if (object_store_def(object, steal(def), err) < 0) {
        object_forget_if_unused(object);
        return NULL;
    }
    return steal(pool);
}

struct pool *pool_create(struct storage *storage, const char *xml, unsigned flags, const char *client,
                         struct error *err)
{
    scoped_pool_def struct pool_def *def = def_read(storage, xml, false, err);
    scoped_pool struct pool *pool = def ? pool_of(object_claim(&storage->pools, def->name, def->uuid, err)) : NULL;
    if (!pool || pool_run(pool, def, flags, client, err) < 0)
        return NULL;
    return steal(pool);
}

static int check_inactive(const struct pool *pool, struct error *err)
{
    if (!object_active(&pool->object))
        return 0;
    return error_set(err, ERR_OPERATION_INVALID, "storage pool '%s' is still active; destroy it first",
                     pool_name(pool));
}

int pool_undefine(struct pool *pool, const char *client, struct error *err)
{
    scoped_job struct job job = {0};
    pool_job_asked_by(&job, client);
    if (job_begin(&job, &pool->object, JOB_DEFINE, "undefine", err) < 0 || check_inactive(pool, err) < 0)
        return -1;
    return object_undefine(&pool->object, err);
}

int pool_set_autostart(struct pool *pool, bool autostart, const char *client, struct error *err)
{
    scoped_job struct job job = {0};
    pool_job_asked_by(&job, client);
    if (job_begin(&job, &pool->object, JOB_DEFINE, "change autostart of", err) < 0)
        return -1;
    return object_set_autostart(&pool->object, autostart, err);
}
