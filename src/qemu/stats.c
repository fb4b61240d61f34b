/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/stats.h"

#include <inttypes.h>

#include "qemu/block.h"
#include "qemu/stats_proc.h"
#include "wire_types.h"

/* The groups of the bulk statistics: one row and one function each; the names are those of protocol/fields.tsv. */

struct gathering {
    struct domain *domain;
    const struct domain_def *def;
    const struct stats *stats; /* NULL while inactive or never learned */
    const struct net_table *net;
    bool backing;
    struct params *params;
};

#define NAME(format, ...) arena_printf(gathering->params->arena, format, __VA_ARGS__)

static void add_state(struct gathering *gathering)
{
    params_add_i32(gathering->params, "state.state", gathering->domain->state);
    params_add_i32(gathering->params, "state.reason", gathering->domain->reason);
}

static void add_cpu(struct gathering *gathering)
{
    if (!domain_active(gathering->domain))
        return;
    struct domain_cpu_time time = domain_cpu_time(gathering->domain);
    params_add_u64(gathering->params, "cpu.time", time.total);
    params_add_u64(gathering->params, "cpu.user", time.user);
    params_add_u64(gathering->params, "cpu.system", time.system);
    params_add_u32(gathering->params, "cpu.cache.monitor.count", 0);
}

/* What the balloon driver tells, in the order in which clients know it. */
static const struct {
    enum balloon_stat stat;
    const char *name;
    int tag;
} balloon_rows[] = {
    {BALLOON_SWAP_IN, "balloon.swap_in", DOMAIN_MEMORY_STAT_SWAP_IN},
    {BALLOON_SWAP_OUT, "balloon.swap_out", DOMAIN_MEMORY_STAT_SWAP_OUT},
    {BALLOON_MAJOR_FAULT, "balloon.major_fault", DOMAIN_MEMORY_STAT_MAJOR_FAULT},
    {BALLOON_MINOR_FAULT, "balloon.minor_fault", DOMAIN_MEMORY_STAT_MINOR_FAULT},
    {BALLOON_UNUSED, "balloon.unused", DOMAIN_MEMORY_STAT_UNUSED},
    {BALLOON_AVAILABLE, "balloon.available", DOMAIN_MEMORY_STAT_AVAILABLE},
    {BALLOON_USABLE, "balloon.usable", DOMAIN_MEMORY_STAT_USABLE},
    {BALLOON_DISK_CACHES, "balloon.disk_caches", DOMAIN_MEMORY_STAT_DISK_CACHES},
    {BALLOON_HUGETLB_PGALLOC, "balloon.hugetlb_pgalloc", DOMAIN_MEMORY_STAT_HUGETLB_PGALLOC},
    {BALLOON_HUGETLB_PGFAIL, "balloon.hugetlb_pgfail", DOMAIN_MEMORY_STAT_HUGETLB_PGFAIL},
};

static bool has_balloon(const struct domain_def *def)
{
    return def->memballoon && def->memballoon->model != MEMBALLOON_MODEL_NONE;
}

static void add_balloon(struct gathering *gathering)
{
    struct params *params = gathering->params;
    bool active = domain_active(gathering->domain);
    params_add_u64(params, "balloon.current",
                   active ? gathering->domain->balloon_kib : gathering->def->current_memory);
    params_add_u64(params, "balloon.maximum", gathering->def->memory);
    if (!active)
        return;
    const struct stats *stats = gathering->stats;
    for (size_t i = 0; stats && i < COUNT(balloon_rows); i++)
        if (stats->balloon[balloon_rows[i].stat] != STAT_UNKNOWN)
            params_add_u64(params, balloon_rows[i].name, stats->balloon[balloon_rows[i].stat]);
    if (has_balloon(gathering->def))
        params_add_u64(params, "balloon.last-update", stats ? stats->balloon_updated : 0);
    params_add_u64(params, "balloon.rss", domain_resident_kib(gathering->domain));
}

static void add_vcpu(struct gathering *gathering)
{
    const struct domain_def *def = gathering->def;
    struct params *params = gathering->params;
    params_add_u32(params, "vcpu.current", def->vcpus_current);
    params_add_u32(params, "vcpu.maximum", def->vcpus_max);
    if (!domain_active(gathering->domain))
        return;
    const struct stats *stats = gathering->stats;
    unsigned count = stats && stats->vcpu_threads ? stats->vcpu_count : def->vcpus_current;
    for (unsigned i = 0; i < count; i++) {
        pid_t thread = stats && stats->vcpu_threads ? stats->vcpu_threads[i] : 0;
        if (stats && stats->vcpu_threads && !thread)
            continue;
        params_add_i32(params, NAME("vcpu.%u.state", i), VCPU_RUNNING);
        if (!thread)
            continue;
        struct thread_stats times;
        thread_stats_read(&times, process_pid(gathering->domain->process), thread);
        params_add_u64(params, NAME("vcpu.%u.time", i), times.time_ns);
        params_add_u64(params, NAME("vcpu.%u.wait", i), times.wait_ns);
        params_add_u64(params, NAME("vcpu.%u.delay", i), times.delay_ns);
    }
}

/* The guest receives what the host's end of a tap sends; a macvtap is the guest's end itself. */
static void add_interface(struct gathering *gathering)
{
    const struct domain_def *def = gathering->def;
    struct params *params = gathering->params;
    if (!domain_active(gathering->domain))
        return;
    params_add_u32(params, "net.count", def->interfaces.count);
    for (uint32_t i = 0; i < def->interfaces.count; i++) {
        const struct interface *interface = def->interfaces.item[i];
        if (!interface->target)
            continue;
        params_add_string(params, NAME("net.%u.name", i), interface->target);
        const struct net_counters *host = net_table_find(gathering->net, interface->target);
        if (!host)
            continue;
        bool direct = interface->type == INTERFACE_TYPE_DIRECT;
        params_add_u64(params, NAME("net.%u.rx.bytes", i), direct ? host->rx_bytes : host->tx_bytes);
        params_add_u64(params, NAME("net.%u.rx.pkts", i), direct ? host->rx_packets : host->tx_packets);
        params_add_u64(params, NAME("net.%u.rx.errs", i), direct ? host->rx_errors : host->tx_errors);
        params_add_u64(params, NAME("net.%u.rx.drop", i), direct ? host->rx_dropped : host->tx_dropped);
        params_add_u64(params, NAME("net.%u.tx.bytes", i), direct ? host->tx_bytes : host->rx_bytes);
        params_add_u64(params, NAME("net.%u.tx.pkts", i), direct ? host->tx_packets : host->rx_packets);
        params_add_u64(params, NAME("net.%u.tx.errs", i), direct ? host->tx_errors : host->rx_errors);
        params_add_u64(params, NAME("net.%u.tx.drop", i), direct ? host->tx_dropped : host->rx_dropped);
    }
}

static void add_counters(struct gathering *gathering, uint32_t n, const struct layer_stats *layer)
{
    struct params *params = gathering->params;
    params_add_u64(params, NAME("block.%u.rd.reqs", n), layer->read_requests);
    params_add_u64(params, NAME("block.%u.rd.bytes", n), layer->read_bytes);
    params_add_u64(params, NAME("block.%u.rd.times", n), layer->read_ns);
    params_add_u64(params, NAME("block.%u.wr.reqs", n), layer->write_requests);
    params_add_u64(params, NAME("block.%u.wr.bytes", n), layer->write_bytes);
    params_add_u64(params, NAME("block.%u.wr.times", n), layer->write_ns);
    params_add_u64(params, NAME("block.%u.fl.reqs", n), layer->flush_requests);
    params_add_u64(params, NAME("block.%u.fl.times", n), layer->flush_ns);
}

static void add_sizes(struct gathering *gathering, uint32_t n, const struct layer_stats *layer)
{
    struct params *params = gathering->params;
    params_add_u64(params, NAME("block.%u.allocation", n), layer->highest_offset);
    params_add_u64(params, NAME("block.%u.capacity", n), layer->capacity);
    params_add_u64(params, NAME("block.%u.physical", n), layer->actual ? layer->actual : layer->capacity);
    if (layer->threshold)
        params_add_u64(params, NAME("block.%u.threshold", n), layer->threshold);
}

/* How many layers of a disk are told of. Those below the first may be in the definition, or only QEMU found them. */
static unsigned layers_of(const struct gathering *gathering, const struct disk *disk, const struct disk_stats *stats)
{
    unsigned count = 1;
    if (!gathering->backing)
        return count;
    for (const struct disk_source *source = disk->source.backing; source && source->type; source = source->backing)
        count++;
    return stats && stats->layer_count > count ? stats->layer_count : count;
}

/* The items of one disk from number n on; returns the next number. */
static uint32_t add_disk(struct gathering *gathering, uint32_t n, const struct disk *disk)
{
    const struct disk_stats *stats = gathering->stats ? stats_disk(gathering->stats, disk->info.alias) : NULL;
    const struct disk_source *source = &disk->source;
    unsigned count = layers_of(gathering, disk, stats);
    for (unsigned depth = 0; depth < count; depth++, n++) {
        const struct layer_stats *layer = stats && depth < stats->layer_count ? &stats->layers[depth] : NULL;
        const char *path = source && source->type ? disk_source_path(source) : layer ? layer->file : NULL;
        params_add_string(gathering->params, NAME("block.%u.name", n), disk->target);
        params_add_string(gathering->params, NAME("block.%u.path", n), arena_strdup(gathering->params->arena, path));
        if (path && source && source->index)
            params_add_u32(gathering->params, NAME("block.%u.backingIndex", n), source->index);
        if (layer && depth == 0)
            add_counters(gathering, n, layer);
        if (layer && layer->sized)
            add_sizes(gathering, n, layer);
        source = source ? source->backing : NULL;
    }
    return n;
}

static void add_block(struct gathering *gathering)
{
    const struct domain_def *def = gathering->def;
    uint32_t count = 0;
    for (uint32_t i = 0; i < def->disks.count; i++) {
        const struct disk *disk = def->disks.item[i];
        count += layers_of(gathering, disk, gathering->stats ? stats_disk(gathering->stats, disk->info.alias) : NULL);
    }
    params_add_u32(gathering->params, "block.count", count);
    uint32_t n = 0;
    for (uint32_t i = 0; i < def->disks.count; i++)
        n = add_disk(gathering, n, def->disks.item[i]);
}

static void add_iothread(struct gathering *gathering)
{
    const struct stats *stats = gathering->stats;
    if (!stats || !stats->iothread_count)
        return;
    params_add_u32(gathering->params, "iothread.count", stats->iothread_count);
    for (unsigned i = 0; i < stats->iothread_count; i++) {
        const struct iothread_stats *iothread = &stats->iothreads[i];
        uint32_t id;
        const char *digits = string_after(iothread->id, "iothread");
        if (!digits || parse_u32(digits, 10, &id) < 0)
            continue;
        params_add_u64(gathering->params, NAME("iothread.%u.poll-max-ns", id), iothread->poll_max_ns);
        params_add_u32(gathering->params, NAME("iothread.%u.poll-grow", id), iothread->poll_grow);
        params_add_u32(gathering->params, NAME("iothread.%u.poll-shrink", id), iothread->poll_shrink);
    }
}

static void add_dirty_rate(struct gathering *gathering)
{
    if (!domain_active(gathering->domain) || !gathering->stats)
        return;
    const __typeof__(gathering->stats->dirty_rate) *rate = &gathering->stats->dirty_rate;
    struct params *params = gathering->params;
    params_add_i32(params, "dirtyrate.calc_status", rate->status);
    params_add_i64(params, "dirtyrate.calc_start_time", rate->start);
    params_add_i32(params, "dirtyrate.calc_period", (int32_t)rate->period);
    params_add_string(params, "dirtyrate.calc_mode", rate->mode);
    if (rate->status == DOMAIN_DIRTYRATE_MEASURED)
        params_add_i64(params, "dirtyrate.megabytes_per_second", rate->mib_per_s);
}

/* No events are counted, no bandwidth is monitored, and KVM's own counters are not read: empty groups. */
static void add_nothing(struct gathering *gathering)
{
}

static const struct group {
    unsigned flag;
    const char *name;
    unsigned ask;
    void (*add)(struct gathering *gathering);
} groups_table[] = {
    {DOMAIN_STATS_STATE, "state", 0, add_state},
    {DOMAIN_STATS_CPU_TOTAL, "cpu-total", 0, add_cpu},
    {DOMAIN_STATS_BALLOON, "balloon", ASK_BALLOON, add_balloon},
    {DOMAIN_STATS_VCPU, "vcpu", ASK_VCPUS, add_vcpu},
    {DOMAIN_STATS_INTERFACE, "interface", 0, add_interface},
    {DOMAIN_STATS_BLOCK, "block", ASK_BLOCK, add_block},
    {DOMAIN_STATS_PERF, "perf", 0, add_nothing},
    {DOMAIN_STATS_IOTHREAD, "iothread", ASK_IOTHREADS, add_iothread},
    {DOMAIN_STATS_MEMORY, "memory", 0, add_nothing},
    {DOMAIN_STATS_DIRTYRATE, "dirtyrate", ASK_DIRTY_RATE, add_dirty_rate},
    {DOMAIN_STATS_VM, "vm", 0, add_nothing},
};

unsigned domain_stats_groups(void)
{
    unsigned all = 0;
    for (size_t i = 0; i < COUNT(groups_table); i++)
        all |= groups_table[i].flag;
    return all;
}

void domain_stats(struct domain **domains, size_t count, unsigned groups, unsigned flags, struct arena *arena,
                  struct params *params)
{
    unsigned ask = flags & CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT ? 0 : ASK_BUSY;
    for (size_t g = 0; g < COUNT(groups_table); g++)
        if (!groups || groups & groups_table[g].flag)
            ask |= groups_table[g].ask;
    stats_refresh(domains, count, ask, arena);
    if (ask & ASK_BLOCK)
        stats_measure(domains, count);
    struct net_table net = {0};
    if (!groups || groups & DOMAIN_STATS_INTERFACE)
        net_table_read(&net, arena);
    for (size_t i = 0; i < count; i++) {
        params_init(&params[i], arena);
        struct gathering gathering = {
            .domain = domains[i],
            .def = domain_def(domains[i], NULL),
            .stats = domain_active(domains[i]) ? domains[i]->stats : NULL,
            .net = &net,
            .backing = flags & CONNECT_GET_ALL_DOMAINS_STATS_BACKING,
            .params = &params[i],
        };
        for (size_t g = 0; gathering.def && g < COUNT(groups_table); g++)
            if (!groups || groups & groups_table[g].flag)
                groups_table[g].add(&gathering);
    }
}

unsigned domain_memory_stats(const struct domain *domain, const struct stats *stats,
                             struct wire_domain_memory_stat *list, unsigned max)
{
    unsigned count = 0;
    const struct domain_def *live = domain->object.live;
    struct wire_domain_memory_stat all[COUNT(balloon_rows) + 3];
    all[count++] = (struct wire_domain_memory_stat){DOMAIN_MEMORY_STAT_ACTUAL_BALLOON, domain->balloon_kib};
    for (size_t i = 0; stats && i < COUNT(balloon_rows); i++)
        if (stats->balloon[balloon_rows[i].stat] != STAT_UNKNOWN)
            all[count++] = (struct wire_domain_memory_stat){balloon_rows[i].tag, stats->balloon[balloon_rows[i].stat]};
    if (has_balloon(live))
        all[count++] = (struct wire_domain_memory_stat){DOMAIN_MEMORY_STAT_LAST_UPDATE,
                                                        stats ? stats->balloon_updated : 0};
    all[count++] = (struct wire_domain_memory_stat){DOMAIN_MEMORY_STAT_RSS, domain_resident_kib(domain)};
    if (count > max)
        count = max;
    for (unsigned i = 0; i < count; i++)
        list[i] = all[i];
    return count;
}
