/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "object/job.h"

#include <stdio.h>

#define WAIT_MS 30000 /* as long as libvirt's clients are used to */

/* Which jobs may run inside which. */
#define BIT(kind) (1u << (kind))
static const unsigned admitted[JOB_KINDS] = {
    [JOB_START] = BIT(JOB_DESTROY),
    [JOB_MODIFY] = BIT(JOB_DESTROY),
    [JOB_ASK] = BIT(JOB_DESTROY),
    [JOB_SUSPEND] = BIT(JOB_DESTROY),
    [JOB_MIGRATE_OUT] = BIT(JOB_DESTROY) | BIT(JOB_SUSPEND) | BIT(JOB_ASK),
    [JOB_MIGRATE_IN] = BIT(JOB_DESTROY),
};
/* Jobs that take minutes: what they do not admit is not made to wait for them. */
static const unsigned migrations = BIT(JOB_MIGRATE_OUT) | BIT(JOB_MIGRATE_IN);

static struct job **free_slot(struct object *object, enum job_kind kind)
{
    if (!object->job)
        return &object->job;
    if (!object->inner_job && admitted[object->job->kind] & BIT(kind))
        return &object->inner_job;
    return NULL;
}

static bool is_shut_out(const struct object *object, enum job_kind kind)
{
    return object->job && migrations & BIT(object->job->kind) && !(admitted[object->job->kind] & BIT(kind));
}

static int refuse(const struct job *job, const struct object *object, struct error *err)
{
    const struct job *holder = object->inner_job ? object->inner_job : object->job;
    if (is_shut_out(object, job->kind))
        return error_set(err, ERR_OPERATION_INVALID,
                         "cannot %s %s '%s': it is being migrated (since %.1f s%s%s); wait for that to end, or abort "
                         "it (domjobabort)", job->operation, object->kind->noun, object->name,
                         (double)(now_ns() - object->job->since_ns) / 1e9, *object->job->client ? ", asked by " : "",
                         object->job->client);
    if (!holder || err->code != ERR_OPERATION_TIMEOUT)
        return error_wrap(err, "cannot %s %s '%s'", job->operation, object->kind->noun, object->name);
    return error_set(err, ERR_OPERATION_TIMEOUT,
                     "cannot %s %s '%s': it is busy with %s since %.1f s%s%s; wait for that to end or abort it "
                     "(domjobabort)", job->operation, object->kind->noun, object->name, holder->operation,
                     (double)(now_ns() - holder->since_ns) / 1e9, *holder->client ? ", asked by " : "", holder->client);
}

int job_begin(struct job *job, struct object *object, enum job_kind kind, const char *operation, struct error *err)
{
    job->kind = kind;
    job->operation = operation;
    deadline until = deadline_ms(WAIT_MS);
    scoped_object struct object *kept = object_ref(object);
    struct job **slot;
    while (!(slot = free_slot(object, kind))) {
        struct error reason = {0};
        if (is_shut_out(object, kind) || condition_wait(&object->job_changed, until, &reason) < 0) {
            refuse(job, object, &reason);
            return error_set(err, reason.code, "%s", reason.message);
        }
    }
    if (object->removed)
        return error_set(err, object->kind->error_missing, "%s not found: '%s' is gone meanwhile", object->kind->title,
                         object->name);
    job->inner = slot == &object->inner_job;
    job->object = object_ref(object);
    job->since_ns = now_ns();
    job->shielded_before = fiber_shield(true);
    *slot = job;
    return 0;
}

struct object *job_claim(struct job *job, struct registry *registry, const char *name,
                         const unsigned char uuid[UUID_SIZE], enum job_kind kind, const char *operation,
                         struct error *err)
{
    for (;;) {
        struct error problem = {0};
        scoped_object struct object *object = object_claim(registry, name, uuid, err);
        if (!object)
            return NULL;
        if (job_begin(job, object, kind, operation, &problem) < 0) {
            if (problem.code != registry->kind->error_missing)
                return error_null(err, problem.code, "%s", problem.message);
        } else if (string_equal(object->name, name)) {
            return steal(object);
        } else {
            job_end(job); /* renamed: claiming the name again says so, or finds it free */
        }
    }
}

void job_end(struct job *job)
{
    struct object *object = steal(job->object);
    if (!object)
        return;
    *(job->inner ? &object->inner_job : &object->job) = NULL;
    /* an inner job that outlived its outer one becomes the only one */
    if (!object->job && object->inner_job) {
        object->job = steal(object->inner_job);
        object->job->inner = false;
    }
    condition_wake(&object->job_changed);
    if (fiber_self())
        fiber_shield(job->shielded_before);
    object_unref(object);
}
