/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/copy.h"

/* What users ask about a migration, and set while it runs or for the next one. */

/* Progress is worth waiting for a little; a guest that hangs is answered for from memory. */
#define ASK_MS 300
#define NEWS_MS 500

void migration_job_info(struct domain *domain, bool completed, bool keep, struct job_info *info)
{
    *info = (struct job_info){.type = DOMAIN_JOB_NONE};
    if (completed) {
        if (domain->last_job)
            *info = *domain->last_job;
        if (!keep)
            free(steal(domain->last_job));
        return;
    }
    struct migration *migration = domain->migration;
    if (migration && domain->outgoing && (migration->phase == PHASE_PERFORMING || domain->postcopy))
        migration_ask(migration, ASK_MS);
    migration = domain->migration; /* it may have ended while we waited */
    if (!migration)
        return;
    *info = migration->info;
    info->elapsed_ms = clock_ms() - migration->started_ms;
}

static bool is_leaving(const struct migration *migration)
{
    return migration && migration->info.operation == DOMAIN_JOB_OPERATION_MIGRATION_OUT;
}

void migration_follow_news(struct domain *domain, uint32_t seen, struct migration_news *news, struct arena *arena)
{
    deadline until = deadline_ms(NEWS_MS);
    *news = (struct migration_news){.left_ms = -1, .budget_ms = -1};
    while (is_leaving(domain->migration) && domain->migration->steering.line_count <= seen)
        if (condition_wait(&domain->changed, until, NULL) < 0)
            break;
    const struct migration *migration = domain->migration;
    if (!is_leaving(migration))
        return;
    const struct steering *steering = &migration->steering;
    news->active = true;
    news->lines = arena_new_array(arena, STEERING_LINES_MAX, const char *);
    for (uint32_t i = seen; i < steering->line_count; i++)
        news->lines[news->line_count++] = arena_strdup(arena, steering->lines[i]);
    if (steering->policy) {
        news->left_ms = stages_left_ms(migration);
        news->budget_ms = stages_budget_ms(migration);
    }
}

int migration_abort(struct domain *domain, struct error *err)
{
    struct migration *migration = domain->migration;
    if (!migration)
        return error_set(err, ERR_OPERATION_INVALID, "no job is active on domain '%s'", domain_name(domain));
    if (domain->postcopy)
        return error_set(err, ERR_OPERATION_INVALID,
                         "the migration of domain '%s' is in its post-copy phase and cannot be taken back; --postcopy "
                         "pauses it",
                         domain_name(domain));
    switch (domain->outgoing == OUTGOING_PERFORMED ? PHASE_PERFORMED : migration->phase) {
    case PHASE_BEGUN:
    case PHASE_PERFORMING:
        if (!migration->abort.code)
            error_set(&migration->abort, ERR_OPERATION_ABORTED, "a client asked for it");
        condition_wake(&domain->changed);
        return 0;
    case PHASE_PERFORMED:
    case PHASE_CONFIRMING:
        return error_set(err, ERR_OPERATION_INVALID,
                         "the migration of domain '%s' can no longer be aborted: the destination has all of it",
                         domain_name(domain));
    default:
        return error_set(err, ERR_OPERATION_INVALID,
                         "cannot abort an incoming migration of domain '%s': destroy the domain here instead, or abort "
                         "on the source",
                         domain_name(domain));
    }
}

/* Tells QEMU, when a migration runs that it matters to. */
static int set_parameter(struct domain *domain, const char *name, uint64_t value, struct error *err)
{
    if (!domain->outgoing)
        return 0;
    return qmp_execute(domain->qmp, "migrate-set-parameters", json_pack("{s:I}", name, (json_int_t)value),
                       monitor_deadline(), err);
}

int migration_set_downtime(struct domain *domain, uint64_t milliseconds, struct error *err)
{
    if (domain_require_active(domain, err) < 0)
        return -1;
    if (milliseconds == 0 || milliseconds > PAUSE_ANY_MS)
        return error_set(err, ERR_INVALID_ARG, "a maximum downtime of %llu ms is not possible (1 to %d)",
                         (unsigned long long)milliseconds, PAUSE_ANY_MS);
    domain->migrate_downtime_ms = (uint32_t)milliseconds;
    if (domain->migration) { /* who sets it now wants it now */
        domain->migration->limit_ms = (uint32_t)milliseconds;
        domain->migration->steering.contract.max_pause_ms = (uint32_t)milliseconds;
    }
    return set_parameter(domain, "downtime-limit", milliseconds, err);
}

int migration_set_bandwidth(struct domain *domain, uint64_t mib_per_second, struct error *err)
{
    if (mib_per_second > MIGRATE_BANDWIDTH_UNLIMITED)
        return error_set(err, ERR_INVALID_ARG, "a bandwidth of %llu MiB/s is not possible (at most %lld)",
                         (unsigned long long)mib_per_second, (long long)MIGRATE_BANDWIDTH_UNLIMITED);
    domain->migrate_bandwidth_mib = mib_per_second == MIGRATE_BANDWIDTH_UNLIMITED ? 0 : mib_per_second;
    uint64_t mib = mib_per_second ? mib_per_second : MIGRATE_BANDWIDTH_UNLIMITED;
    if (domain->migration && domain->migration->mirror_count &&
        mirrors_limit(domain->migration, domain->migrate_bandwidth_mib << 20, err) < 0)
        return -1;
    return set_parameter(domain, "max-bandwidth", mib << 20, err);
}

int migration_set_postcopy_bandwidth(struct domain *domain, uint64_t mib_per_second, struct error *err)
{
    if (mib_per_second > MIGRATE_BANDWIDTH_UNLIMITED)
        return error_set(err, ERR_INVALID_ARG, "a bandwidth of %llu MiB/s is not possible (at most %lld)",
                         (unsigned long long)mib_per_second, (long long)MIGRATE_BANDWIDTH_UNLIMITED);
    domain->migrate_postcopy_mib = mib_per_second == MIGRATE_BANDWIDTH_UNLIMITED ? 0 : mib_per_second;
    return set_parameter(domain, "max-postcopy-bandwidth", domain->migrate_postcopy_mib << 20, err);
}

int migration_cache_get(struct domain *domain, uint64_t *bytes, struct error *err)
{
    if (domain_require_active(domain, err) < 0)
        return -1;
    scoped_json json_t *reply = qmp_command(domain->qmp, "query-migrate-parameters", NULL, monitor_deadline(), err);
    const json_t *size = json_object_get(reply, "xbzrle-cache-size");
    if (!reply)
        return -1;
    if (!size)
        return error_set(err, ERR_OPERATION_UNSUPPORTED, "QEMU of domain '%s' has no compression cache",
                         domain_name(domain));
    *bytes = (uint64_t)json_integer_value(size);
    return 0;
}

int migration_cache_set(struct domain *domain, uint64_t bytes, struct error *err)
{
    const struct qemu_caps *caps = migration_caps(domain, err);
    if (!caps)
        return -1;
    if (!qemu_strings_have(&caps->migration_parameters, "xbzrle-cache-size"))
        return error_set(err, ERR_OPERATION_UNSUPPORTED, "QEMU of domain '%s' has no compression cache",
                         domain_name(domain));
    if (bytes > INT64_MAX)
        return error_set(err, ERR_INVALID_ARG, "a compression cache of %llu bytes is not possible",
                         (unsigned long long)bytes);
    return qmp_execute(domain->qmp, "migrate-set-parameters",
                       json_pack("{s:I}", "xbzrle-cache-size", (json_int_t)bytes), monitor_deadline(), err);
}
