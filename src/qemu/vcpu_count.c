/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/json.h"
#include "qemu/vcpu.h"

/* How many vCPUs a domain has: in its definition, and plugged into its running machine. */

struct count_change {
    unsigned count;
    bool maximum;
};

static int change_count(struct domain_def *def, void *context, struct error *err)
{
    const struct count_change *change = context;
    if (change->maximum && def->cpu && def->cpu->cells.count)
        return error_set(err, ERR_INVALID_ARG,
                         "the maximum of vCPUs of domain '%s' is divided among its NUMA cells: change those",
                         def->name);
    if (!change->maximum && change->count > def->vcpus_max)
        return error_set(err, ERR_INVALID_ARG,
                         "requested vcpus is greater than max allowable vcpus for domain '%s': %u > %u", def->name,
                         change->count, def->vcpus_max);
    if (change->maximum) {
        def->vcpus_max = change->count;
        if (def->cpu)
            /* they no longer multiply to it */
            def->cpu->sockets = def->cpu->dies = def->cpu->cores = def->cpu->threads = 0;
    }
    if (!change->maximum || def->vcpus_current > change->count)
        def->vcpus_current = change->count;
    def->vcpus.count = 0; /* the list of single ones no longer fits */
    return 0;
}

/* The machine's free places for CPUs, filled from the first on. Runs under a job. */
static int plug(struct domain *domain, unsigned from, unsigned to, struct error *err)
{
    scoped_json json_t *places = qmp_command(domain->qmp, "query-hotpluggable-cpus", NULL, monitor_deadline(), err);
    if (!places)
        return -1;
    size_t i = json_array_size(places);
    while (from < to && i-- > 0) { /* QEMU lists the last place first */
        const json_t *place = json_array_get(places, i);
        const char *type = json_string_value(json_object_get(place, "type"));
        if (!type || json_object_get(place, "qom-path") ||
            json_integer_value(json_object_get(place, "vcpus-count")) != 1)
            continue;
        scoped_free char *id = xprintf("vcpu%u", from);
        json_t *device = json_pack("{s:s, s:s}", "driver", type, "id", id);
        json_object_update(device, json_object_get(place, "props"));
        if (qmp_execute(domain->qmp, "device_add", device, monitor_deadline(), err) < 0)
            return -1;
        from++;
    }
    return from == to ? 0
                      : error_set(err, ERR_OPERATION_UNSUPPORTED, "its machine has no place for %u more vCPUs",
                                  to - from);
}

static int apply_count(struct domain *domain, void *context, struct error *err)
{
    unsigned count = ((const struct count_change *)context)->count;
    const struct domain_def *live = domain->object.live;
    unsigned current = live->vcpus_current;
    if (count < current)
        return error_set(err, ERR_OPERATION_UNSUPPORTED,
                         "vCPUs cannot be taken from the running domain '%s' (it has %u): --config takes them at the "
                         "next start",
                         domain_name(domain), current);
    if (count > current && plug(domain, current, count, err) < 0)
        return error_wrap(err, "cannot give domain '%s' %u vCPUs", domain_name(domain), count);
    if (domain->stats) { /* the threads have changed */
        free(domain->stats->vcpu_threads);
        domain->stats->vcpu_threads = NULL;
        domain->stats->vcpu_count = 0;
    }
    return 0;
}

int vcpu_set_count(struct domain *domain, unsigned count, unsigned flags, const char *client, struct error *err)
{
    struct count_change change = {.count = count, .maximum = flags & DOMAIN_VCPU_MAXIMUM};
    unsigned affect = domain_affected(domain, flags);
    if (count == 0 || count > UINT16_MAX)
        return error_set(err, ERR_INVALID_ARG, "%u vCPUs cannot be: allowed are 1 to %d", count, UINT16_MAX);
    if (affect & DOMAIN_VCPU_LIVE && domain_require_active(domain, err) < 0)
        return -1;
    if (affect & DOMAIN_VCPU_LIVE && change.maximum)
        return error_set(err, ERR_INVALID_ARG, "the maximum of vCPUs of the running domain '%s' is fixed: use --config",
                         domain_name(domain));
    if (affect & DOMAIN_VCPU_CONFIG && !object_config(&domain->object, err))
        return -1;
    return domain_change_both(domain, affect, change_count, apply_count, &change, client, err);
}
