/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/internal.h"

#include <string.h>
#include <time.h>

#include "base/log.h"
#include "qemu/log.h"
#include "qemu/status.h"
#include "rpc/stream.h"

/* The struct of a migration, its waits between phases, and what happens to it from outside. */

/* A client that is there but does not go on loses its migration after one to two of these. Preparing a large guest with
 * preallocated memory takes minutes, and that is a wait of the source's. */
#define GUARD_MS 180000

uint64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool is_gap(enum migration_phase phase)
{
    return phase == PHASE_BEGUN || phase == PHASE_PERFORMED || phase == PHASE_PREPARED;
}

struct migration *migration_new(struct domain *domain, enum job_kind kind, const struct migrate_options *options,
                                const struct migrate_caller *caller, struct error *err)
{
    bool out = kind == JOB_MIGRATE_OUT;
    struct migration *migration = xcalloc(1, sizeof *migration);
    job_asked_by(&migration->job, caller->name);
    if (job_begin(&migration->job, &domain->object, kind, out ? "migrate" : "receive", err) < 0) {
        free(migration);
        return NULL;
    }
    migration->domain = domain_of(object_ref(&domain->object));
    migration->arena = arena_new();
    migration->options = migrate_options_copy(options, migration->arena);
    migration->client = caller->client;
    migration->stream = caller->stream ? steal(*caller->stream) : NULL;
    migration->phase = out ? PHASE_PERFORMING : PHASE_PREPARING;
    migration->started_ms = clock_ms();
    domain->postcopy = false;
    migration->entry = (struct journal_entry){
        .name = arena_strdup(migration->arena, domain_name(domain)),
        .role = out ? WIRE_MIGRATION_ROLE_SOURCE : WIRE_MIGRATION_ROLE_DESTINATION,
        .owner = WIRE_MIGRATION_OWNER_SOURCE,
        .undefine = out ? options->flags & MIGRATE_UNDEFINE_SOURCE
                        : options->flags & MIGRATE_PERSIST_DEST && !domain->object.persistent,
        .paused = options->flags & MIGRATE_PAUSED,
        .since_ms = (int64_t)migration->started_ms,
        .peer = "",
    };
    uuid_random(migration->entry.id);
    memcpy(migration->entry.uuid, domain->object.uuid, UUID_SIZE);
    migration->info.type = DOMAIN_JOB_UNBOUNDED;
    migration->info.operation = out ? DOMAIN_JOB_OPERATION_MIGRATION_OUT : DOMAIN_JOB_OPERATION_MIGRATION_IN;
    domain->migration = migration;
    return migration;
}

void migration_end(struct migration *migration)
{
    struct domain *domain = migration->domain;
    timer_free(migration->guard);
    domain_def_free(migration->offline_def);
    stream_free(migration->stream);
    stages_finish(&migration->steering);
    if (migration->port)
        driver_release_migration_port(domain->driver, migration->port);
    if (migration->nbd_port)
        driver_release_migration_port(domain->driver, migration->nbd_port);
    if (domain->migration == migration)
        domain->migration = NULL;
    condition_wake(&domain->changed);
    job_end(&migration->job);
    object_forget_if_unused(&domain->object);
    object_unref(&domain->object);
    arena_free(migration->arena);
    free(migration);
}

/* -- gaps ---------------------------------------------------------------------------------------------------------- */

struct give_up {
    struct domain *domain; /* a reference */
    const struct migration *migration;
    const char *why;
};

void migration_give_up(struct domain *domain, const char *why)
{
    struct migration *migration = domain->migration;
    migration->job.shielded_before = fiber_shield(true);
    log_warning("the migration of domain '%s' is given up: %s", domain_name(domain), why);
    timer_free(steal(migration->guard));
    switch (migration->phase) {
    case PHASE_PREPARED:
        migration->phase = PHASE_FINISHING;
        destination_discard(migration);
        break;
    case PHASE_PERFORMED:
        migration->phase = PHASE_CONFIRMING;
        source_leave(migration, why);
        break;
    default:
        source_drop(migration);
    }
}

static void give_up(void *owner)
{
    struct give_up request = *(struct give_up *)owner;
    free(owner);
    scoped_domain struct domain *domain = request.domain;
    struct migration *migration = domain->migration;
    if (migration && migration == request.migration && (is_gap(migration->phase) || migration->phase == PHASE_BROKEN))
        migration_give_up(domain, request.why);
}

static void start_give_up(struct migration *migration, const char *why)
{
    struct give_up *request = xcalloc(1, sizeof *request);
    *request = (struct give_up){domain_of(object_ref(&migration->domain->object)), migration, why};
    fiber_start("give up", give_up, request);
}

static void guard_fired(void *owner)
{
    struct migration *migration = owner;
    const char *status = migration->domain->migration_status;
    bool active = strcmp(status, "active") == 0 || strcmp(status, "device") == 0;
    bool flows = (migration->phase == PHASE_PREPARED && active) || strcmp(status, "postcopy-active") == 0;
    if (!flows && migration->idle)
        start_give_up(migration, "its client does not go on");
    else
        migration->idle = !flows;
}

void migration_wait_next(struct migration *migration, enum migration_phase phase)
{
    migration->phase = phase;
    migration->idle = false;
    migration->guard = timer_new(GUARD_MS, GUARD_MS, guard_fired, migration);
    fiber_shield(migration->job.shielded_before);
    if (migration->abort.code)
        start_give_up(migration, "its client is gone");
}

struct migration *migration_take(struct domain *domain, enum migration_phase waiting, enum migration_phase working,
                                 const struct migrate_caller *caller, struct error *err)
{
    struct migration *migration = domain->migration;
    if (!migration || migration->phase != waiting)
        return error_null(err, ERR_OPERATION_INVALID, "domain '%s' has no migration that waits for this (%s)",
                          domain_name(domain), migration ? "another phase of it runs" : "none is under way");
    timer_free(steal(migration->guard));
    migration->phase = working;
    migration->client = caller->client;
    migration->job.shielded_before = fiber_shield(true);
    return migration;
}

/* -- from outside -------------------------------------------------------------------------------------------------- */

void migration_client_gone(struct domain *domain, const void *client)
{
    struct migration *migration = domain->migration;
    if (!migration || migration->client != client || migration->phase == PHASE_BROKEN)
        return;
    migration->client = NULL;
    if (is_gap(migration->phase)) {
        start_give_up(migration, "its client is gone");
        return;
    }
    if (migration->phase == PHASE_CONFIRMING)
        return; /* decided already */
    error_set(&migration->abort, ERR_OPERATION_ABORTED, "its client is gone");
    condition_wake(&domain->changed);
}

/* An incoming one stays, unseen, until its client asks what became of it. */
static void keep_failure(struct migration *migration)
{
    struct domain *domain = migration->domain;
    scoped_arena struct arena *arena = arena_new();
    const char *words = qemu_log_tail(arena, domain_log_path(domain, arena), domain->log_start);
    migration->failure = arena_strdup(migration->arena, *words ? words : "it ended without a word");
    log_error("domain '%s' did not arrive: QEMU ended before the migration did: %s", domain_name(domain),
              migration->failure);
    domain->object.hidden = !domain->object.persistent;
    driver_release_migration_port(domain->driver, migration->port);
    migration->port = 0;
}

void migration_ended(struct domain *domain)
{
    struct migration *migration = domain->migration;
    if (migration->phase == PHASE_PREPARED)
        keep_failure(migration);
    else if (migration->phase == PHASE_BROKEN)
        start_give_up(migration, "QEMU has ended");
    else if (migration->phase == PHASE_BEGUN)
        migration_end(migration);
    /* else its fiber sees it; or all of it is on the destination, which may have taken it: its client says */
}
