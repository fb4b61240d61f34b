/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include "migrate/migrate.h"

/* What is asked and set while a migration runs. */

int handle_domain_get_job_info(struct call *call, const struct domain_get_job_info_args *args,
                               struct domain_get_job_info_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = call_active_domain(call, &args->dom, err);
    struct job_info info;
    if (!domain)
        return -1;
    migration_job_info(domain, false, false, &info);
    ret->type = info.type;
    ret->time_elapsed = info.elapsed_ms;
    ret->time_remaining = info.remaining_ms;
    ret->data_total = info.memory_total + info.disk_total;
    ret->data_processed = info.memory_processed + info.disk_processed;
    ret->data_remaining = info.memory_remaining + info.disk_remaining;
    ret->mem_total = info.memory_total;
    ret->mem_processed = info.memory_processed;
    ret->mem_remaining = info.memory_remaining;
    ret->file_total = info.disk_total;
    ret->file_processed = info.disk_processed;
    ret->file_remaining = info.disk_remaining;
    return 0;
}

int handle_domain_get_job_stats(struct call *call, const struct domain_get_job_stats_args *args,
                                struct domain_get_job_stats_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, DOMAIN_JOB_STATS_COMPLETED | DOMAIN_JOB_STATS_KEEP_COMPLETED, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    struct job_info info;
    struct params params;
    /* what a job that has ended did is known of a domain that has ended, too */
    if (!domain ||
        (!(args->flags & DOMAIN_JOB_STATS_COMPLETED) && domain_require_active(domain, err) < 0))
        return -1;
    migration_job_info(domain, args->flags & DOMAIN_JOB_STATS_COMPLETED, args->flags & DOMAIN_JOB_STATS_KEEP_COMPLETED,
                       &info);
    params_init(&params, call->arena);
    if (info.type != DOMAIN_JOB_NONE)
        job_info_params(&info, &params);
    ret->type = info.type;
    ret->params = params.items;
    ret->params_count = params.count;
    return 0;
}

static int abort_job(struct call *call, const struct wire_domain *handle, struct error *err)
{
    scoped_domain struct domain *domain = call_active_domain(call, handle, err);
    return domain ? migration_abort(domain, err) : -1;
}

int handle_domain_abort_job(struct call *call, const struct domain_abort_job_args *args, struct error *err)
{
    return abort_job(call, &args->dom, err);
}

int handle_domain_abort_job_flags(struct call *call, const struct domain_abort_job_flags_args *args, struct error *err)
{
    if (call_flags(call, args->flags, DOMAIN_ABORT_JOB_POSTCOPY, err) < 0)
        return -1;
    if (!(args->flags & DOMAIN_ABORT_JOB_POSTCOPY))
        return abort_job(call, &args->dom, err);
    scoped_domain struct domain *domain = call_active_domain(call, &args->dom, err);
    return domain ? migration_pause_postcopy(domain, err) : -1;
}

int handle_domain_migrate_start_post_copy(struct call *call, const struct domain_migrate_start_post_copy_args *args,
                                          struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_active_domain(call, &args->dom, err);
    return domain ? migration_start_postcopy(domain, err) : -1;
}

int handle_domain_migrate_set_max_downtime(struct call *call, const struct domain_migrate_set_max_downtime_args *args,
                                           struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_active_domain(call, &args->dom, err);
    return domain ? migration_set_downtime(domain, args->downtime, err) : -1;
}

int handle_domain_migrate_get_max_downtime(struct call *call, const struct domain_migrate_get_max_downtime_args *args,
                                           struct domain_migrate_get_max_downtime_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_active_domain(call, &args->dom, err);
    if (!domain)
        return -1;
    ret->downtime = domain->migrate_downtime_ms ? domain->migrate_downtime_ms : MIGRATE_DOWNTIME_DEFAULT_MS;
    return 0;
}

int handle_domain_migrate_set_max_speed(struct call *call, const struct domain_migrate_set_max_speed_args *args,
                                        struct error *err)
{
    if (call_flags(call, args->flags, DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    if (!domain)
        return -1;
    return args->flags & DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY
               ? migration_set_postcopy_bandwidth(domain, args->bandwidth, err)
               : migration_set_bandwidth(domain, args->bandwidth, err);
}

int handle_domain_migrate_get_max_speed(struct call *call, const struct domain_migrate_get_max_speed_args *args,
                                        struct domain_migrate_get_max_speed_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    if (!domain)
        return -1;
    bool postcopy = args->flags & DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY;
    uint64_t mib = postcopy ? domain->migrate_postcopy_mib : domain->migrate_bandwidth_mib;
    ret->bandwidth = mib ? mib : MIGRATE_BANDWIDTH_UNLIMITED;
    return 0;
}

int handle_domain_migrate_get_compression_cache(struct call *call,
                                                const struct domain_migrate_get_compression_cache_args *args,
                                                struct domain_migrate_get_compression_cache_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_active_domain(call, &args->dom, err);
    return domain ? migration_cache_get(domain, &ret->cache_size, err) : -1;
}

int handle_domain_migrate_set_compression_cache(struct call *call,
                                                const struct domain_migrate_set_compression_cache_args *args,
                                                struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_active_domain(call, &args->dom, err);
    return domain ? migration_cache_set(domain, args->cache_size, err) : -1;
}
