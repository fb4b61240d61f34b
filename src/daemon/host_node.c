/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include <stdlib.h>
#include <string.h>

#include "host/ksm.h"
#include "host/memory.h"
#include "qemu/qemu_host.h"

/* Calls about the machine: processors and memory. All but one answer from /proc and /sys and cannot wait. */

#define ALLOCATE_WITHIN_MS 120000 /* per pool: the kernel may have to move a lot of memory */

static struct host *call_facts(const struct call *call)
{
    return qemu_host_facts(call_host(call));
}

/* -- processors ------------------------------------------------------------------------------------------------ */

int handle_node_get_info(struct call *call, struct node_get_info_ret *ret, struct error *err)
{
    struct node_info info;
    struct host *host = call_facts(call);
    node_info_read(&info, host_topology(host), host_root(host));
    memcpy(ret->model, info.model, sizeof(ret->model));
    ret->memory = info.memory_kib;
    ret->cpus = info.cpus;
    ret->mhz = info.mhz;
    ret->nodes = info.nodes;
    ret->sockets = info.sockets;
    ret->cores = info.cores;
    ret->threads = info.threads;
    return 0;
}

int handle_node_get_cpu_map(struct call *call, const struct node_get_cpu_map_args *args,
                            struct node_get_cpu_map_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    const struct host_topology *topology = host_topology(call_facts(call));
    unsigned present = cpu_set_end(&topology->present);
    ret->ret = present;
    if (args->need_online)
        ret->online = cpu_set_count(&topology->online);
    if (!args->need_map)
        return 0;
    ret->cpumap_length = (present + 7) / 8;
    ret->cpumap = arena_alloc(call->arena, ret->cpumap_length);
    for (unsigned cpu = 0; cpu < present; cpu++)
        if (cpu_set_has(&topology->online, cpu))
            ret->cpumap[cpu / 8] |= 1 << cpu % 8;
    return 0;
}

int handle_node_get_cpu_stats(struct call *call, const struct node_get_cpu_stats_args *args,
                              struct node_get_cpu_stats_ret *ret, struct error *err)
{
    struct cpu_times times;
    if (call_flags(call, args->flags, 0, err) < 0 ||
        cpu_times_read(&times, host_root(call_facts(call)), args->cpu_num, err) < 0)
        return -1;
    const struct wire_node_cpu_stat stats[] = {
        {"kernel", times.kernel_ns}, {"user", times.user_ns}, {"idle", times.idle_ns}, {"iowait", times.iowait_ns}};
    struct {
        struct wire_node_cpu_stat *items;
        uint32_t count;
    } all = {arena_memdup(call->arena, stats, sizeof(stats)), COUNT(stats)};
    params_reply(&all, args->nparams, ret);
    return 0;
}

/* -- memory ---------------------------------------------------------------------------------------------------- */

int handle_node_get_memory_stats(struct call *call, const struct node_get_memory_stats_args *args,
                                 struct node_get_memory_stats_ret *ret, struct error *err)
{
    struct memory_stats memory;
    struct host *host = call_facts(call);
    if (call_flags(call, args->flags, 0, err) < 0 ||
        memory_stats_read(&memory, host_topology(host), host_root(host), args->cell_num, err) < 0)
        return -1;
    const struct wire_node_memory_stat stats[] = {{"total", memory.total_kib},
                                                  {"free", memory.free_kib},
                                                  {"buffers", memory.buffers_kib},
                                                  {"cached", memory.cached_kib}};
    struct {
        struct wire_node_memory_stat *items;
        uint32_t count;
    } all = {arena_memdup(call->arena, stats, sizeof(stats)), memory.has_cache ? COUNT(stats) : 2};
    params_reply(&all, args->nparams, ret);
    return 0;
}

int handle_node_get_free_memory(struct call *call, struct node_get_free_memory_ret *ret, struct error *err)
{
    struct host *host = call_facts(call);
    ret->free_mem = memory_free_kib(host_topology(host), host_root(host)) * 1024;
    return 0;
}

/* The cells first..*last, of which the highest may be less than asked for. Cells that do not exist in between have
 * nothing. */
static int cell_range(const struct host_topology *topology, int first, uint32_t count, int lowest, int *last,
                      struct error *err)
{
    int highest = topology->cells[topology->cell_count - 1].id;
    if (first < lowest || first > highest)
        return error_set(err, ERR_INVALID_ARG, "start cell %d out of range (0-%d)", first, highest);
    *last = count > (uint32_t)(highest - first) ? highest : first + (int)count - 1;
    return 0;
}

int handle_node_get_cells_free_memory(struct call *call, const struct node_get_cells_free_memory_args *args,
                                      struct node_get_cells_free_memory_ret *ret, struct error *err)
{
    struct host *host = call_facts(call);
    const struct host_topology *topology = host_topology(host);
    int last;
    if (args->maxcells <= 0)
        return error_set(err, ERR_INVALID_ARG, "maxcells is %d: at least one cell must be asked for", args->maxcells);
    if (cell_range(topology, args->start_cell, args->maxcells, 0, &last, err) < 0)
        return -1;
    ret->cells = arena_new_array(call->arena, last - args->start_cell + 1, uint64_t);
    for (int cell = args->start_cell; cell <= last; cell++) {
        struct memory_stats memory;
        memory_stats_read(&memory, topology, host_root(host), cell, NULL);
        ret->cells[ret->cells_count++] = memory.free_kib * 1024;
    }
    return 0;
}

int handle_node_get_free_pages(struct call *call, const struct node_get_free_pages_args *args,
                               struct node_get_free_pages_ret *ret, struct error *err)
{
    enum { COUNTS_MAX = 1024 }; /* of the protocol */
    struct host *host = call_facts(call);
    const struct host_topology *topology = host_topology(host);
    int last;
    if (call_flags(call, args->flags, 0, err) < 0 ||
        cell_range(topology, args->start_cell, args->cell_count, CELL_ALL, &last, err) < 0)
        return -1;
    uint64_t counts = (uint64_t)(last - args->start_cell + 1) * args->pages_count;
    if (counts == 0 || counts > COUNTS_MAX)
        return error_set(err, ERR_INVALID_ARG, "%llu counts were asked for: cells times page sizes must be 1 to %d",
                         (unsigned long long)counts, COUNTS_MAX);
    ret->counts = arena_new_array(call->arena, counts, uint64_t);
    for (int cell = args->start_cell; cell <= last; cell++) {
        struct page_pools pools;
        page_pools_read(call->arena, &pools, topology, host_root(host), cell);
        for (uint32_t i = 0; i < args->pages_count; i++) {
            const struct page_pool *pool = page_pool_find(&pools, args->pages[i], cell, err);
            if (!pool)
                return -1;
            ret->counts[ret->counts_count++] = pool->free;
        }
    }
    return 0;
}

static int pool_change(struct call *call, int cell, unsigned size_kib, uint64_t count, bool add, struct error *err)
{
    struct host *host = call_facts(call);
    struct huge_pages_change *change = xcalloc(1, sizeof(*change));
    int result = huge_pages_prepare(change, host_topology(host), host_root(host), cell, size_kib, count, add, err);
    if (result == 0 && await_work(huge_pages_apply, free, change, deadline_ms(ALLOCATE_WITHIN_MS), err) < 0)
        return -1; /* the worker still has it */
    if (result == 0)
        result = huge_pages_check(change, err);
    free(change);
    return result;
}

/* Waits. */
int handle_node_alloc_pages(struct call *call, const struct node_alloc_pages_args *args,
                            struct node_alloc_pages_ret *ret, struct error *err)
{
    int last;
    if (call_flags(call, args->flags, NODE_ALLOC_PAGES_SET, err) < 0 ||
        cell_range(host_topology(call_facts(call)), args->start_cell, args->cell_count, CELL_ALL, &last, err) < 0)
        return -1;
    if (args->page_sizes_count != args->page_counts_count)
        return error_set(err, ERR_INVALID_ARG, "%u page sizes but %u counts", args->page_sizes_count,
                         args->page_counts_count);
    for (int cell = args->start_cell; cell <= last; cell++)
        for (uint32_t i = 0; i < args->page_sizes_count; i++) {
            if (pool_change(call, cell, args->page_sizes[i], args->page_counts[i],
                            !(args->flags & NODE_ALLOC_PAGES_SET), err) < 0)
                return -1;
            ret->ret++;
        }
    return 0;
}

/* -- merging of equal pages ------------------------------------------------------------------------------------ */

int handle_node_get_memory_parameters(struct call *call, const struct node_get_memory_parameters_args *args,
                                      struct node_get_memory_parameters_ret *ret, struct error *err)
{
    struct params params;
    if (call_flags(call, args->flags, TYPED_PARAM_STRING_OKAY, err) < 0)
        return -1;
    params_init(&params, call->arena);
    for (unsigned i = 0; i < ksm_parameter_count; i++) {
        const struct ksm_parameter *parameter = &ksm_parameters[i];
        uint64_t value;
        if (!ksm_read(parameter, host_root(call_facts(call)), &value))
            continue;
        if (parameter->wide)
            params_add_u64(&params, parameter->name, value);
        else
            params_add_u32(&params, parameter->name, value);
    }
    params_reply(&params, args->nparams, ret);
    return 0;
}

int handle_node_set_memory_parameters(struct call *call, const struct node_set_memory_parameters_args *args,
                                      struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    /* All are looked at before the first one is written. */
    for (int write = 0; write < 2; write++)
        for (uint32_t i = 0; i < args->params_count; i++) {
            const char *name = args->params[i].field;
            const struct ksm_parameter *parameter = ksm_parameter_find(name);
            uint32_t value;
            if (!parameter || !parameter->writable)
                return error_set(err, ERR_INVALID_ARG, "memory parameter '%s' cannot be set: shm_pages_to_scan, "
                                 "shm_sleep_millisecs and shm_merge_across_nodes can", name);
            if (params_get_u32(&args->params[i], 1, name, &value, err) < 0 ||
                (write && ksm_write(parameter, host_root(call_facts(call)), value, err) < 0))
                return -1;
        }
    return 0;
}
