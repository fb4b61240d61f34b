/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/pool.h"
#include "object/job.h"
#include "storage/backend.h"
#include "storage/storage.h"
#include "storage/task.h"
#include "storage/volume.h"

/* A storage pool. The functions below wait unless they say otherwise. */
struct pool {
    struct object object; /* first: pool_of() */
    struct storage *storage;
    bool ready;                     /* its volumes have been read since it became active */
    struct condition became_ready;
    struct pool_space space;
    struct volume *by_name, *by_path; /* by_name in the order of names, unless: */
    bool unsorted;                    /* volume_first() sorts */
    unsigned works;                 /* volumes that are being made, read or changed */
};

extern const struct object_kind pool_kind;

static inline struct pool *pool_of(struct object *object)
{
    return object ? container_of(object, struct pool, object) : NULL;
}
static inline const char *pool_name(const struct pool *pool)
{
    return pool->object.name;
}
static inline void pool_unref(struct pool *pool)
{
    object_unref(&pool->object);
}
DEFINE_SCOPED(pool_scope, struct pool *, pool_unref)
#define scoped_pool scope_cleanup(pool_scope)

/* The definition in use; of an active pool it cannot fail. Not a reference. Does not wait. */
const struct pool_def *pool_def(struct pool *pool, struct error *err);
const struct backend *pool_backend(struct pool *pool);
/* The pool is active and its volumes are known; waits for those of a pool that a restart of the daemon found. */
int pool_require_active(struct pool *pool, struct error *err);

/* Return references. client says in messages who asked. */
struct pool *pool_define(struct storage *storage, const char *xml, unsigned flags, const char *client,
                         struct error *err);
struct pool *pool_create(struct storage *storage, const char *xml, unsigned flags, const char *client,
                         struct error *err);
/* Runs it with this definition, which is not stored. flags: STORAGE_POOL_CREATE_*. */
int pool_run(struct pool *pool, const struct pool_def *def, unsigned flags, const char *client, struct error *err);
int pool_start(struct pool *pool, unsigned flags, const char *client, struct error *err);
int pool_build(struct pool *pool, unsigned flags, const char *client, struct error *err);
int pool_stop(struct pool *pool, const char *client, struct error *err);
int pool_delete(struct pool *pool, unsigned flags, const char *client, struct error *err);
int pool_undefine(struct pool *pool, const char *client, struct error *err);
int pool_set_autostart(struct pool *pool, bool autostart, const char *client, struct error *err);
int pool_refresh(struct pool *pool, const char *client, struct error *err);
/* The definition in use, so that the next daemon knows what runs here. It dies with the host's next boot. Does not
 * wait. */
int pool_save_status(struct pool *pool, const struct pool_def *live, struct error *err);
/* flags: STORAGE_XML_INACTIVE. To be freed. Does not wait. */
char *pool_dump(struct pool *pool, unsigned flags, struct error *err);

/* A client's word on who asked, for job_begin(). */
void pool_job_asked_by(struct job *job, const char *client);
/* Tells the clients. Do not wait. */
void pool_notify(struct pool *pool, int event);
void pool_notify_refresh(struct pool *pool);

/* Finds the pool of that target again that an earlier daemon ran. Does not wait. */
void pools_attach(struct storage *storage);
