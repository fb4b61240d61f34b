/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/files.h"
#include "base/log.h"
#include "storage/pool.h"

/* The life of a pool: built, started, read, stopped, and found again by the next daemon. */

#define STATUS_MAX (4 * 1024 * 1024)

static char *status_path(const struct pool *pool)
{
    char uuid[UUID_STRING_SIZE];
    uuid_format(pool->object.uuid, uuid);
    return xprintf("%s/%s.xml", pool->storage->run_dir, uuid);
}

int pool_save_status(struct pool *pool, const struct pool_def *live, struct error *err)
{
    scoped_free char *path = status_path(pool), *xml = pool_format(live);
    return file_write(path, xml, strlen(xml), 0600, err);
}

static void status_remove(struct pool *pool)
{
    scoped_free char *path = status_path(pool);
    unlink(path);
}

/* -- what is in it ------------------------------------------------------------------------------------------------- */

static void take_facts(struct pool *pool, struct listed *item)
{
    struct volume *volume;
    HASH_FIND(by_name, pool->by_name, item->name, strlen(item->name), volume);
    if (!volume)
        volume = volume_add(pool, item->name, item->path, item->key);
    else if (volume->hidden)
        return; /* it is being made under this name, and will find that it is taken */
    volume->hidden = false;
    volume->seen = true;
    if (item->same)
        return;
    volume_facts_finish(&volume->facts);
    volume->facts = item->facts;
    item->facts.image = NULL;
}

static void apply(struct pool *pool, struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++)
        take_facts(pool, &listing->items[i]);
    struct volume *volume, *next;
    HASH_ITER(by_name, pool->by_name, volume, next) {
        bool gone = !volume->seen && !volume->hidden;
        volume->seen = false;
        if (gone)
            volume_remove(volume);
    }
    pool->space = listing->space;
}

static int read_volumes(struct pool *pool, const struct pool_def *def, struct error *err)
{
    scoped_listing struct listing listing = {.arena = arena_new()};
    if (backend_find(def->type, NULL)->list(pool, def, &listing, err) < 0)
        return -1;
    apply(pool, &listing);
    return 0;
}

static void forget_volumes(struct pool *pool)
{
    struct volume *volume, *next;
    HASH_ITER(by_name, pool->by_name, volume, next)
        volume_remove(volume);
    pool->space = (struct pool_space){0};
    pool->ready = false;
}

int pool_refresh(struct pool *pool, const char *client, struct error *err)
{
    scoped_job struct job job = {0};
    pool_job_asked_by(&job, client);
    if (pool_require_active(pool, err) < 0 || job_begin(&job, &pool->object, JOB_MODIFY, "refresh", err) < 0 ||
        pool_require_active(pool, err) < 0)
        return -1;
    if (read_volumes(pool, pool->object.live, err) < 0)
        return error_wrap(err, "cannot refresh storage pool '%s'", pool_name(pool));
    pool_notify_refresh(pool);
    return 0;
}

/* -- starting and stopping ----------------------------------------------------------------------------------------- */

static int check_inactive(const struct pool *pool, struct error *err)
{
    if (!object_active(&pool->object))
        return 0;
    return error_set(err, ERR_OPERATION_INVALID, "storage pool '%s' is already active", pool_name(pool));
}

/* The flags of create and start say the same as those of build, in other bits. */
static int build_flags(unsigned flags, unsigned *build, struct error *err)
{
    const unsigned both =
        STORAGE_POOL_CREATE_WITH_BUILD_OVERWRITE | STORAGE_POOL_CREATE_WITH_BUILD_NO_OVERWRITE;
    if ((flags & both) == both)
        return error_set(err, ERR_INVALID_ARG, "--overwrite and --no-overwrite exclude each other");
    *build = flags & STORAGE_POOL_CREATE_WITH_BUILD_OVERWRITE      ? STORAGE_POOL_BUILD_OVERWRITE
             : flags & STORAGE_POOL_CREATE_WITH_BUILD_NO_OVERWRITE ? STORAGE_POOL_BUILD_NO_OVERWRITE
                                                                   : 0;
    return flags & (both | STORAGE_POOL_CREATE_WITH_BUILD) ? 1 : 0;
}

/* Makes it run and reads it; what was begun is taken back when the rest fails. */
static int launch(struct pool *pool, const struct pool_def *def, unsigned flags, struct error *err)
{
    unsigned build;
    const struct backend *backend = backend_usable(def->type, err);
    int wanted = backend ? build_flags(flags, &build, err) : -1;
    if (wanted < 0)
        return -1;
    if (wanted && backend->build) {
        if (backend->build(pool, def, build, err) < 0)
            return -1;
        pool_notify(pool, STORAGE_POOL_EVENT_CREATED);
    }
    /* the status first: a daemon that dies now leaves nothing mounted that the next one does not know of */
    scoped_pool_def struct pool_def *live = pool_edit(def);
    if (pool_save_status(pool, live, err) < 0)
        return -1;
    if (backend->start && backend->start(pool, live, err) < 0) {
        status_remove(pool);
        return -1;
    }
    if (read_volumes(pool, live, err) < 0) {
        if (backend->stop)
            backend->stop(pool, live, NULL);
        forget_volumes(pool);
        status_remove(pool);
        return -1;
    }
    object_activate(&pool->object, steal(live), -1);
    pool->ready = true;
    condition_wake(&pool->became_ready);
    pool_notify(pool, STORAGE_POOL_EVENT_STARTED);
    return 0;
}

int pool_start(struct pool *pool, unsigned flags, const char *client, struct error *err)
{
    scoped_job struct job job = {0};
    pool_job_asked_by(&job, client);
    if (check_inactive(pool, err) < 0 || job_begin(&job, &pool->object, JOB_START, "start", err) < 0 ||
        check_inactive(pool, err) < 0)
        return -1;
    const struct pool_def *config = object_config(&pool->object, err);
    if (!config || launch(pool, config, flags, err) < 0)
        return error_wrap(err, "cannot start storage pool '%s'", pool_name(pool));
    return 0;
}

int pool_run(struct pool *pool, const struct pool_def *def, unsigned flags, const char *client, struct error *err)
{
    scoped_job struct job job = {0};
    pool_job_asked_by(&job, client);
    if (job_begin(&job, &pool->object, JOB_START, "create", err) < 0)
        return -1;
    if (check_inactive(pool, err) < 0)
        return -1;
    if (launch(pool, def, flags, err) < 0) {
        object_forget_if_unused(&pool->object);
        return error_wrap(err, "cannot create storage pool '%s'", def->name);
    }
    return 0;
}

int pool_stop(struct pool *pool, const char *client, struct error *err)
{
    scoped_job struct job job = {0};
    pool_job_asked_by(&job, client);
    if (pool_require_active(pool, err) < 0 || job_begin(&job, &pool->object, JOB_MODIFY, "destroy", err) < 0 ||
        pool_require_active(pool, err) < 0)
        return -1;
    if (pool->works)
        return error_set(err, ERR_OPERATION_INVALID,
                         "cannot destroy storage pool '%s': %u of its volumes are being made, copied or changed; wait "
                         "for that to end", pool_name(pool), pool->works);
    const struct backend *backend = pool_backend(pool);
    if (backend->stop && backend->stop(pool, pool->object.live, err) < 0)
        return error_wrap(err, "cannot destroy storage pool '%s'", pool_name(pool));
    status_remove(pool);
    forget_volumes(pool);
    object_deactivate(&pool->object);
    pool_notify(pool, STORAGE_POOL_EVENT_STOPPED);
    object_forget_if_unused(&pool->object);
    return 0;
}

/* -- building and deleting ----------------------------------------------------------------------------------------- */

/* Both are for a pool at rest. */
static const struct backend *at_rest(struct pool *pool, const struct pool_def **def, struct error *err)
{
    if (object_active(&pool->object))
        return error_null(err, ERR_OPERATION_INVALID, "storage pool '%s' is still active; destroy it first",
                          pool_name(pool));
    *def = object_config(&pool->object, err);
    return *def ? backend_usable((*def)->type, err) : NULL;
}

int pool_build(struct pool *pool, unsigned flags, const char *client, struct error *err)
{
    const unsigned both = STORAGE_POOL_BUILD_OVERWRITE | STORAGE_POOL_BUILD_NO_OVERWRITE;
    scoped_job struct job job = {0};
    const struct pool_def *def;
    pool_job_asked_by(&job, client);
    if ((flags & both) == both)
        return error_set(err, ERR_INVALID_ARG, "--overwrite and --no-overwrite exclude each other");
    if (job_begin(&job, &pool->object, JOB_MODIFY, "build", err) < 0)
        return -1;
    const struct backend *backend = at_rest(pool, &def, err);
    if (!backend || (backend->build && backend->build(pool, def, flags, err) < 0))
        return error_wrap(err, "cannot build storage pool '%s'", pool_name(pool));
    pool_notify(pool, STORAGE_POOL_EVENT_CREATED);
    return 0;
}

int pool_delete(struct pool *pool, unsigned flags, const char *client, struct error *err)
{
    scoped_job struct job job = {0};
    const struct pool_def *def;
    pool_job_asked_by(&job, client);
    if (job_begin(&job, &pool->object, JOB_MODIFY, "delete", err) < 0)
        return -1;
    const struct backend *backend = at_rest(pool, &def, err);
    if (backend && !backend->erase)
        return error_set(err, ERR_NO_SUPPORT, "storage pools of type '%s' cannot be deleted here; undefine '%s' "
                         "instead", pool_type_name(def->type), pool_name(pool));
    if (!backend || backend->erase(pool, def, err) < 0)
        return error_wrap(err, "cannot delete storage pool '%s'", pool_name(pool));
    pool_notify(pool, STORAGE_POOL_EVENT_DELETED);
    return 0;
}

/* -- after a restart of the daemon --------------------------------------------------------------------------------- */

static void read_again(void *owner)
{
    scoped_pool struct pool *pool = owner;
    struct error err = {0};
    scoped_job struct job job = {0};
    if (job_begin(&job, &pool->object, JOB_MODIFY, "find again", &err) < 0 || !object_active(&pool->object))
        return;
    const struct backend *backend = pool_backend(pool);
    bool runs = !backend->running || backend->running(pool->object.live);
    if (runs && read_volumes(pool, pool->object.live, &err) == 0) {
        pool->ready = true;
    } else if (runs && backend->running) {
        /* what it holds on to would be forgotten, and never be given back */
        log_warning("storage pool '%s' runs, but cannot be read: %s", pool_name(pool), err.message);
        pool->ready = true;
    } else {
        log_warning("storage pool '%s' no longer runs: %s", pool_name(pool),
                    err.code ? err.message : "its target is gone");
        status_remove(pool);
        object_deactivate(&pool->object);
        object_forget_if_unused(&pool->object);
    }
    condition_wake(&pool->became_ready);
}

static int attach(struct storage *storage, const char *path, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    char *xml = file_read(arena, path, STATUS_MAX, NULL, err);
    scoped_pool_def struct pool_def *live = xml ? pool_parse(xml, 0, err) : NULL;
    if (!live || !backend_find(live->type, err))
        return -1;
    scoped_object struct object *object = object_claim(&storage->pools, live->name, live->uuid, err);
    if (!object)
        return -1;
    object_activate(object, steal(live), -1);
    fiber_start("find pool", read_again, object_ref(object));
    return 0;
}

static int attach_found(void *owner, const char *name, struct error *err)
{
    struct storage *storage = owner;
    struct error problem = {0};
    scoped_free char *path = xprintf("%s/%s", storage->run_dir, name);
    if (string_ends(name, ".xml") && attach(storage, path, &problem) < 0)
        log_error("the storage pool of '%s' is not found again: %s", path, problem.message);
    return 0; /* one that cannot be found must not hide the others */
}

void pools_attach(struct storage *storage)
{
    struct error err = {0};
    if (directory_list(storage->run_dir, attach_found, storage, &err) < 0)
        log_error("running storage pools are not found again: %s", err.message);
}
