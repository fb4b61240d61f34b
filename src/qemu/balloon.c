/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/balloon.h"

#define KIB_MAX (UINT64_C(1) << 52) /* what still fits into QMP's integers as bytes */

struct change {
    uint64_t kib;
    bool maximum;
    unsigned period;
};

static bool has_cells(const struct domain_def *def)
{
    return def->cpu && def->cpu->cells.count;
}

static int change_memory(struct domain_def *def, void *context, struct error *err)
{
    const struct change *change = context;
    if (!change->maximum && change->kib > def->memory)
        return error_set(err, ERR_INVALID_ARG,
                         "cannot set memory of domain '%s' to %llu KiB: cannot set memory higher than max memory (%llu "
                         "KiB)", def->name, (unsigned long long)change->kib, (unsigned long long)def->memory);
    if (!change->maximum) {
        def->current_memory = change->kib;
        return 0;
    }
    if (has_cells(def))
        return error_set(err, ERR_OPERATION_FAILED,
                         "initial memory size of domain '%s' is the sum of its NUMA cells: change those", def->name);
    def->memory = change->kib;
    if (def->current_memory > change->kib)
        def->current_memory = change->kib;
    return 0;
}

static int require_balloon(const struct domain *domain, struct error *err)
{
    if (domain_require_active(domain, err) < 0)
        return -1;
    const struct domain_def *live = domain->object.live;
    if (live->memballoon && live->memballoon->model != MEMBALLOON_MODEL_NONE)
        return 0;
    return error_set(err, ERR_OPERATION_INVALID,
                     "Unable to change memory of active domain without the balloon device and guest OS balloon driver: "
                     "domain '%s' has no <memballoon>",
                     domain_name(domain));
}

static int set_live(struct domain *domain, uint64_t kib, const char *client, struct error *err)
{
    scoped_job struct job job = {0};
    if (require_balloon(domain, err) < 0 ||
        domain_begin_active_job(domain, &job, JOB_MODIFY, "change memory of", client, err) < 0)
        return -1;
    const struct domain_def *live = domain->object.live;
    if (kib > live->memory)
        return error_set(err, ERR_INVALID_ARG,
                         "cannot set memory of domain '%s' to %llu KiB: cannot set memory higher than max memory (%llu "
                         "KiB)", domain_name(domain), (unsigned long long)kib, (unsigned long long)live->memory);
    json_t *arguments = json_pack("{s:I}", "value", (json_int_t)kib * 1024);
    if (qmp_execute(domain->qmp, "balloon", arguments, monitor_deadline(), err) < 0)
        return error_wrap(err, "cannot change the memory of domain '%s'", domain_name(domain));
    return 0;
}

int balloon_set(struct domain *domain, uint64_t kib, unsigned flags, const char *client, struct error *err)
{
    struct change change = {.kib = kib, .maximum = flags & DOMAIN_MEM_MAXIMUM};
    unsigned affect = domain_affected(domain, flags);
    if (kib == 0 || kib > KIB_MAX)
        return error_set(err, ERR_INVALID_ARG, "%llu KiB of memory cannot be: allowed are 1 to %llu",
                         (unsigned long long)kib, (unsigned long long)KIB_MAX);
    if (affect & DOMAIN_AFFECT_LIVE && domain_require_active(domain, err) < 0)
        return -1;
    if (affect & DOMAIN_AFFECT_CONFIG && !object_config(&domain->object, err))
        return -1;
    if (affect & DOMAIN_AFFECT_LIVE && change.maximum)
        return error_set(err, ERR_OPERATION_INVALID,
                         "cannot resize the maximum memory on an active domain: '%s' runs; --config changes it for the "
                         "next start",
                         domain_name(domain));
    if (affect & DOMAIN_AFFECT_LIVE && set_live(domain, kib, client, err) < 0)
        return -1;
    if (affect & DOMAIN_AFFECT_CONFIG)
        return domain_edit_defs(domain, DOMAIN_AFFECT_CONFIG, change_memory, &change, client, err);
    return 0;
}

static int change_period(struct domain_def *def, void *context, struct error *err)
{
    const struct change *change = context;
    if (!def->memballoon || def->memballoon->model == MEMBALLOON_MODEL_NONE)
        return error_set(err, ERR_OPERATION_INVALID,
                         "cannot set the period of memory statistics: domain '%s' has no <memballoon>", def->name);
    def->memballoon->stats_period = change->period;
    return 0;
}

static int apply_period(struct domain *domain, void *context, struct error *err)
{
    const struct change *change = context;
    const struct domain_def *live = domain->object.live;
    json_t *arguments = json_pack("{s:s+, s:s, s:i}", "path", "/machine/peripheral/",
                                  live->memballoon->info.alias ? live->memballoon->info.alias : "", "property",
                                  "guest-stats-polling-interval", "value", (int)change->period);
    if (qmp_execute(domain->qmp, "qom-set", arguments, monitor_deadline(), err) < 0)
        return error_wrap(err, "cannot set the period of memory statistics of domain '%s'", domain_name(domain));
    return 0;
}

int balloon_set_period(struct domain *domain, unsigned seconds, unsigned flags, const char *client, struct error *err)
{
    struct change change = {.period = seconds};
    return domain_change_both(domain, flags, change_period, apply_period, &change, client, err);
}
