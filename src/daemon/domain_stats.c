/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include <strings.h>

#include "base/files.h"
#include "qemu/block.h"
#include "qemu/cgroup.h"
#include "qemu/stats.h"
#include "qemu/stats_proc.h"

/* Statistics: of all domains at once, and of the parts of one. */

enum {
    LIST_FLAGS = CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE | CONNECT_GET_ALL_DOMAINS_STATS_INACTIVE |
                 CONNECT_GET_ALL_DOMAINS_STATS_PERSISTENT | CONNECT_GET_ALL_DOMAINS_STATS_TRANSIENT |
                 CONNECT_GET_ALL_DOMAINS_STATS_RUNNING | CONNECT_GET_ALL_DOMAINS_STATS_PAUSED |
                 CONNECT_GET_ALL_DOMAINS_STATS_SHUTOFF | CONNECT_GET_ALL_DOMAINS_STATS_OTHER,
};
#define STATS_FLAGS                                                                      \
    (LIST_FLAGS | CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT | CONNECT_GET_ALL_DOMAINS_STATS_BACKING | \
     CONNECT_GET_ALL_DOMAINS_STATS_ENFORCE_STATS)

struct seen {
    struct domain *domain;
    UT_hash_handle hh;
};

/* Adds the domain unless it is there already: naming one a thousand times must not ask its QEMU a thousand times. */
static void choose_once(struct domain **list, size_t *count, struct seen **seen, struct arena *arena,
                        struct domain *domain)
{
    struct seen *known;
    HASH_FIND_PTR(*seen, &domain, known);
    if (known)
        return;
    struct seen *first = arena_struct(arena, struct seen);
    first->domain = domain;
    HASH_ADD_PTR(*seen, domain, first);
    list[(*count)++] = domain_of(object_ref(&domain->object));
}

/* References to the domains that were named, or to all; those that are gone meanwhile are left out. */
static size_t choose(struct call *call, const struct connect_get_all_domain_stats_args *args, struct domain ***chosen)
{
    struct registry *registry = &call_driver(call)->domains;
    unsigned filter = args->flags & LIST_FLAGS;
    size_t count = args->doms_count, found = 0;
    if (!args->doms_count)
        for (struct object *object = registry_first(registry); object; object = registry_next(object))
            count++;
    struct domain **list = *chosen = arena_new_array(call->arena, count + 1, struct domain *);
    struct seen *seen = NULL;
    for (uint32_t i = 0; i < args->doms_count; i++) {
        struct domain *domain = driver_find(call_driver(call), args->doms[i].uuid, NULL);
        if (domain && domain_passes(domain, filter))
            choose_once(list, &found, &seen, call->arena, domain);
    }
    HASH_CLEAR(hh, seen);
    if (!args->doms_count)
        for (struct object *object = registry_first(registry); object; object = registry_next(object))
            if (domain_passes(domain_of(object), filter))
                list[found++] = domain_of(object_ref(object));
    return found;
}

int handle_connect_get_all_domain_stats(struct call *call, const struct connect_get_all_domain_stats_args *args,
                                        struct connect_get_all_domain_stats_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, STATS_FLAGS, err) < 0)
        return -1;
    unsigned unknown = args->stats & ~domain_stats_groups();
    if (unknown && args->flags & CONNECT_GET_ALL_DOMAINS_STATS_ENFORCE_STATS)
        return error_set(err, ERR_ARGUMENT_UNSUPPORTED,
                         "the statistics groups in the bits 0x%x are not known here; known are 0x%x", unknown,
                         domain_stats_groups());
    struct domain **domains;
    size_t count = choose(call, args, &domains);
    struct params *params = arena_new_array(call->arena, count + 1, struct params);
    domain_stats(domains, count, args->stats, args->flags, call->arena, params);
    ret->ret_stats = arena_new_array(call->arena, count + 1, struct wire_domain_stats_record);
    for (size_t i = 0; i < count; i++) {
        if (params[i].count || !domains[i]->object.removed)
            ret->ret_stats[ret->ret_stats_count++] = (struct wire_domain_stats_record){
                .dom = wire_domain_of(call, domains[i]), .params_count = params[i].count, .params = params[i].items};
        object_unref(&domains[i]->object);
    }
    return 0;
}

/* -- disks --------------------------------------------------------------------------------------------------------- */

/* Counters of one disk, or the sum of all when path is "". */
static int sum_disks(struct domain *domain, const char *path, struct layer_stats *sum, struct error *err)
{
    const struct stats *stats = stats_of(domain, ASK_BLOCK, err);
    const struct domain_def *live = stats ? domain->object.live : NULL;
    const struct disk *wanted = live && *path ? disk_find(live, path, err) : NULL;
    if (!stats || (*path && !wanted))
        return -1;
    *sum = (struct layer_stats){0};
    for (uint32_t i = 0; i < live->disks.count; i++) {
        const struct disk *disk = live->disks.item[i];
        const struct disk_stats *counted = stats_disk(stats, disk->info.alias);
        if ((wanted && disk != wanted) || !counted || !counted->layer_count)
            continue;
        const struct layer_stats *layer = &counted->layers[0];
        sum->read_requests += layer->read_requests;
        sum->read_bytes += layer->read_bytes;
        sum->read_ns += layer->read_ns;
        sum->write_requests += layer->write_requests;
        sum->write_bytes += layer->write_bytes;
        sum->write_ns += layer->write_ns;
        sum->flush_requests += layer->flush_requests;
        sum->flush_ns += layer->flush_ns;
    }
    return 0;
}

int handle_domain_block_stats(struct call *call, const struct domain_block_stats_args *args,
                              struct domain_block_stats_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    struct layer_stats sum;
    if (!domain || sum_disks(domain, args->path, &sum, err) < 0)
        return -1;
    *ret = (struct domain_block_stats_ret){
        .rd_req = (int64_t)sum.read_requests,
        .rd_bytes = (int64_t)sum.read_bytes,
        .wr_req = (int64_t)sum.write_requests,
        .wr_bytes = (int64_t)sum.write_bytes,
        .errs = -1, /* QEMU counts none that clients could compare */
    };
    return 0;
}

int handle_domain_block_stats_flags(struct call *call, const struct domain_block_stats_flags_args *args,
                                    struct domain_block_stats_flags_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, TYPED_PARAM_STRING_OKAY, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    struct layer_stats sum;
    if (!domain || sum_disks(domain, args->path, &sum, err) < 0)
        return -1;
    struct params params;
    params_init(&params, call->arena);
    params_add_i64(&params, "wr_bytes", (int64_t)sum.write_bytes);
    params_add_i64(&params, "wr_operations", (int64_t)sum.write_requests);
    params_add_i64(&params, "rd_bytes", (int64_t)sum.read_bytes);
    params_add_i64(&params, "rd_operations", (int64_t)sum.read_requests);
    params_add_i64(&params, "flush_operations", (int64_t)sum.flush_requests);
    params_add_i64(&params, "wr_total_times", (int64_t)sum.write_ns);
    params_add_i64(&params, "rd_total_times", (int64_t)sum.read_ns);
    params_add_i64(&params, "flush_total_times", (int64_t)sum.flush_ns);
    params_reply(&params, args->nparams, ret);
    return 0;
}

int handle_domain_get_block_info(struct call *call, const struct domain_get_block_info_args *args,
                                 struct domain_get_block_info_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    struct block_sizes sizes;
    if (!domain || block_sizes(domain, args->path, &sizes, err) < 0)
        return -1;
    *ret = (struct domain_get_block_info_ret){sizes.allocation, sizes.capacity, sizes.physical};
    return 0;
}

int handle_domain_get_disk_errors(struct call *call, const struct domain_get_disk_errors_args *args,
                                  struct domain_get_disk_errors_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    const struct stats *stats = domain ? stats_of(domain, ASK_BLOCK | ASK_DISK_STATUS, err) : NULL;
    if (!stats)
        return -1;
    const struct domain_def *live = domain->object.live;
    ret->nerrors = args->maxerrors ? 0 : (int32_t)live->disks.count; /* the first step: how many there may be */
    ret->errors = arena_new_array(call->arena, live->disks.count + 1, struct wire_domain_disk_error);
    for (uint32_t i = 0; i < live->disks.count && ret->errors_count < args->maxerrors; i++) {
        const struct disk_stats *disk = stats_disk(stats, live->disks.item[i]->info.alias);
        if (!disk || !(disk->failed || disk->no_space))
            continue;
        ret->errors[ret->errors_count++] = (struct wire_domain_disk_error){
            .disk = arena_strdup(call->arena, live->disks.item[i]->target),
            .error = disk->no_space ? DOMAIN_DISK_ERROR_NO_SPACE : DOMAIN_DISK_ERROR_UNSPEC};
        ret->nerrors++;
    }
    return 0;
}

/* -- interfaces, memory, CPUs -------------------------------------------------------------------------------------- */

/* By the host's name of its tap or by its MAC address. */
static const struct interface *find_interface(const struct domain *domain, const char *device, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    const struct domain_def *live = domain->object.live;
    for (uint32_t i = 0; i < live->interfaces.count; i++) {
        const struct interface *interface = live->interfaces.item[i];
        if (string_equal(interface->target, device) || strcasecmp(mac_text(arena, &interface->mac), device) == 0)
            return interface;
    }
    return error_null(err, ERR_INVALID_ARG, "invalid path: domain '%s' has no interface '%s'", domain_name(domain),
                      device);
}

int handle_domain_interface_stats(struct call *call, const struct domain_interface_stats_args *args,
                                  struct domain_interface_stats_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = call_active_domain(call, &args->dom, err);
    const struct interface *interface = domain ? find_interface(domain, args->device, err) : NULL;
    if (!interface)
        return -1;
    struct net_table table;
    net_table_read(&table, call->arena);
    const struct net_counters *host = net_table_find(&table, interface->target);
    if (!host)
        return error_set(err, ERR_OPERATION_UNSUPPORTED,
                         "interface '%s' of domain '%s' has no device on this host that counts", args->device,
                         domain_name(domain));
    struct domain_interface_stats_ret seen = {
        (int64_t)host->rx_bytes, (int64_t)host->rx_packets, (int64_t)host->rx_errors, (int64_t)host->rx_dropped,
        (int64_t)host->tx_bytes, (int64_t)host->tx_packets, (int64_t)host->tx_errors, (int64_t)host->tx_dropped};
    if (interface->type == INTERFACE_TYPE_DIRECT)
        *ret = seen;
    else /* what the host's end of the tap sends, the guest receives */
        *ret = (struct domain_interface_stats_ret){seen.tx_bytes, seen.tx_packets, seen.tx_errs, seen.tx_drop,
                                                   seen.rx_bytes, seen.rx_packets, seen.rx_errs, seen.rx_drop};
    return 0;
}

int handle_domain_memory_stats(struct call *call, const struct domain_memory_stats_args *args,
                               struct domain_memory_stats_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    const struct stats *stats = domain ? stats_of(domain, ASK_BALLOON, err) : NULL;
    if (!stats)
        return -1;
    ret->stats = arena_new_array(call->arena, DOMAIN_MEMORY_STAT_HUGETLB_PGFAIL + 2, struct wire_domain_memory_stat);
    unsigned max = args->max_stats < DOMAIN_MEMORY_STAT_HUGETLB_PGFAIL + 2 ? args->max_stats
                                                                           : DOMAIN_MEMORY_STAT_HUGETLB_PGFAIL + 2;
    ret->stats_count = domain_memory_stats(domain, stats, ret->stats, max);
    return 0;
}

/* The time on each host CPU, which only the v1 hierarchy of control groups counts. */
static int time_per_cpu(struct call *call, struct domain *domain, const struct domain_get_cpu_stats_args *args,
                        struct domain_get_cpu_stats_ret *ret, struct error *err)
{
    const char *group = domain->cgroup ? cgroup_path(call->arena, domain->cgroup, "cpuacct") : NULL;
    const char *usage = group ? file_read(call->arena, arena_printf(call->arena, "%s/cpuacct.usage_percpu", group),
                                          1 << 20, NULL, NULL)
                              : NULL;
    if (!usage)
        return error_set(err, ERR_OPERATION_UNSUPPORTED,
                         "the CPU time of domain '%s' on each host CPU is not counted here: ask for the total "
                         "(--total)", domain_name(domain));
    struct params params;
    params_init(&params, call->arena);
    int64_t cpus = 0;
    for (char *end; ; usage = end, cpus++) {
        uint64_t time = strtoull(usage, &end, 10);
        if (end == usage)
            break;
        if (cpus >= args->start_cpu && cpus - args->start_cpu < args->ncpus)
            params_add_u64(&params, "cpu_time", time);
    }
    if (args->start_cpu >= cpus)
        return error_set(err, ERR_INVALID_ARG, "there is no host CPU %d: the last is %d", args->start_cpu,
                         (int)cpus - 1);
    ret->nparams = args->ncpus == 0 ? (int32_t)cpus : 1; /* how many CPUs, how many values of each */
    if (args->nparams && args->ncpus) {
        ret->params = params.items;
        ret->params_count = params.count;
    }
    return 0;
}

int handle_domain_get_cpu_stats(struct call *call, const struct domain_get_cpu_stats_args *args,
                                struct domain_get_cpu_stats_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, TYPED_PARAM_STRING_OKAY, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_active_domain(call, &args->dom, err);
    if (!domain)
        return -1;
    if (args->start_cpu != -1)
        return time_per_cpu(call, domain, args, ret, err);
    struct domain_cpu_time time = domain_cpu_time(domain);
    struct params params;
    params_init(&params, call->arena);
    params_add_u64(&params, "cpu_time", time.total);
    params_add_u64(&params, "user_time", time.user);
    params_add_u64(&params, "system_time", time.system);
    params_reply(&params, (int32_t)args->nparams, ret);
    if (args->nparams)
        ret->nparams = (int32_t)ret->params_count;
    return 0;
}
