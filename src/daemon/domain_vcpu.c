/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include "qemu/agent.h"
#include "qemu/stats_proc.h"
#include "qemu/vcpu.h"

/* Virtual CPUs and I/O threads: how many there are, what they have used, where they may run. CPU maps on the wire are
 * bytes, the lowest CPU in the lowest bit; cpumaps holds them one after the other, maplen bytes each. */

enum { MAPS_MAX = 8388608, MAP_MAX = CPU_SET_BITS / 8 };

static void put_map(uint8_t *map, size_t length, const struct cpu_set *set)
{
    for (size_t cpu = 0; cpu < length * 8; cpu++)
        if (cpu_set_has(set, (unsigned)cpu))
            map[cpu / 8] |= (uint8_t)(1u << (cpu % 8));
}

static void get_map(struct cpu_set *set, const uint8_t *map, size_t length)
{
    *set = (struct cpu_set){0};
    unsigned end = host_cpu_count();
    for (size_t cpu = 0; cpu < length * 8 && cpu < end; cpu++)
        if (map[cpu / 8] >> (cpu % 8) & 1)
            cpu_set_add(set, (unsigned)cpu);
}

/* Room for `count` maps; fails when the client asks for more than the wire carries. */
static uint8_t *new_maps(struct call *call, int32_t count, int32_t maplen, struct error *err)
{
    if (count < 0 || maplen < 0 || maplen > MAP_MAX || (int64_t)count * maplen > MAPS_MAX)
        return error_null(err, ERR_INVALID_ARG, "%d CPU maps of %d bytes cannot be: a map has at most %d bytes, all %d",
                          count, maplen, MAP_MAX, MAPS_MAX);
    return arena_alloc(call->arena, (size_t)count * (size_t)maplen + 1);
}

int handle_domain_get_vcpus(struct call *call, const struct domain_get_vcpus_args *args,
                            struct domain_get_vcpus_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    uint8_t *maps = domain ? new_maps(call, args->maxinfo, args->maplen, err) : NULL;
    const struct stats *stats = maps ? stats_of(domain, ASK_VCPUS, err) : NULL;
    if (!stats)
        return -1;
    ret->info = arena_new_array(call->arena, stats->vcpu_count + 1, struct wire_vcpu_info);
    for (unsigned i = 0; i < stats->vcpu_count && ret->info_count < (uint32_t)args->maxinfo; i++) {
        if (!stats->vcpu_threads[i])
            continue;
        struct thread_stats times;
        thread_stats_read(&times, process_pid(domain->process), stats->vcpu_threads[i]);
        struct cpu_set set;
        thread_allowed(&set, stats->vcpu_threads[i]);
        put_map(maps + (size_t)ret->info_count * (size_t)args->maplen, (size_t)args->maplen, &set);
        ret->info[ret->info_count++] = (struct wire_vcpu_info){
            .number = i, .state = VCPU_RUNNING, .cpu_time = times.time_ns, .cpu = times.cpu};
    }
    ret->cpumaps = maps;
    ret->cpumaps_length = ret->info_count * (uint32_t)args->maplen;
    return 0;
}

/* The guest's own count of the CPUs that are online in it. */
static int guest_vcpus(struct domain *domain, unsigned flags, int32_t *number, struct error *err)
{
    json_t *list = agent_command(domain, "guest-get-vcpus", NULL, err);
    if (!list)
        return -1;
    size_t i;
    json_t *vcpu;
    *number = 0;
    json_array_foreach (list, i, vcpu)
        *number += flags & DOMAIN_VCPU_MAXIMUM || json_is_true(json_object_get(vcpu, "online"));
    json_decref(list);
    return 0;
}

int handle_domain_get_vcpus_flags(struct call *call, const struct domain_get_vcpus_flags_args *args,
                                  struct domain_get_vcpus_flags_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = NULL;
    const struct domain_def *def =
        call_def(call, &args->dom, args->flags, DOMAIN_VCPU_MAXIMUM | DOMAIN_VCPU_GUEST, &domain, err);
    if (!def)
        return -1;
    if (args->flags & DOMAIN_VCPU_GUEST)
        return guest_vcpus(domain, args->flags, &ret->num, err);
    ret->num = (int32_t)(args->flags & DOMAIN_VCPU_MAXIMUM ? def->vcpus_max : def->vcpus_current);
    return 0;
}

/* Of a running domain what it was started with; a stored one could have as many as its type allows. */
int handle_domain_get_max_vcpus(struct call *call, const struct domain_get_max_vcpus_args *args,
                                struct domain_get_max_vcpus_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    const struct domain_def *def = domain ? domain_def(domain, err) : NULL;
    if (!def)
        return -1;
    ret->num = (int32_t)def->vcpus_max;
    return 0;
}

int handle_domain_set_vcpus(struct call *call, const struct domain_set_vcpus_args *args, struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    return domain ? vcpu_set_count(domain, args->nvcpus, DOMAIN_VCPU_LIVE, call_client(call), err) : -1;
}

int handle_domain_set_vcpus_flags(struct call *call, const struct domain_set_vcpus_flags_args *args, struct error *err)
{
    if (call_flags(call, args->flags, AFFECT | DOMAIN_VCPU_MAXIMUM, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    return domain ? vcpu_set_count(domain, args->nvcpus, args->flags, call_client(call), err) : -1;
}

/* -- pinning ------------------------------------------------------------------------------------------------------- */

int handle_domain_get_vcpu_pin_info(struct call *call, const struct domain_get_vcpu_pin_info_args *args,
                                    struct domain_get_vcpu_pin_info_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = NULL;
    const struct domain_def *def = call_def(call, &args->dom, args->flags, 0, &domain, err);
    uint8_t *maps = def ? new_maps(call, args->ncpumaps, args->maplen, err) : NULL;
    if (!maps)
        return -1;
    uint32_t count = def->vcpus_max < (uint32_t)args->ncpumaps ? def->vcpus_max : (uint32_t)args->ncpumaps;
    for (uint32_t i = 0; i < count; i++) {
        struct cpu_set set;
        vcpu_allowed(&set, def, (int)i);
        put_map(maps + (size_t)i * (size_t)args->maplen, (size_t)args->maplen, &set);
    }
    ret->num = (int32_t)count;
    ret->cpumaps = maps;
    ret->cpumaps_length = count * (uint32_t)args->maplen;
    return 0;
}

int handle_domain_get_emulator_pin_info(struct call *call, const struct domain_get_emulator_pin_info_args *args,
                                        struct domain_get_emulator_pin_info_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = NULL;
    const struct domain_def *def = call_def(call, &args->dom, args->flags, 0, &domain, err);
    uint8_t *maps = def ? new_maps(call, 1, args->maplen, err) : NULL;
    if (!maps)
        return -1;
    struct cpu_set set;
    vcpu_allowed(&set, def, VCPU_EMULATOR);
    put_map(maps, (size_t)args->maplen, &set);
    ret->ret = 1;
    ret->cpumaps = maps;
    ret->cpumaps_length = (uint32_t)args->maplen;
    return 0;
}

static int pin(struct call *call, const struct wire_domain *handle, int64_t vcpu, const uint8_t *map, uint32_t length,
               unsigned flags, struct error *err)
{
    if (call_flags(call, flags, AFFECT, err) < 0)
        return -1;
    if (vcpu > UINT16_MAX)
        return error_set(err, ERR_INVALID_ARG, "there is no vCPU %lld", (long long)vcpu);
    scoped_domain struct domain *domain = call_domain(call, handle, err);
    struct cpu_set set;
    get_map(&set, map, length);
    return domain ? vcpu_pin(domain, (int)vcpu, &set, flags, call_client(call), err) : -1;
}

int handle_domain_pin_vcpu(struct call *call, const struct domain_pin_vcpu_args *args, struct error *err)
{
    return pin(call, &args->dom, args->vcpu, args->cpumap, args->cpumap_length, DOMAIN_AFFECT_LIVE, err);
}

int handle_domain_pin_vcpu_flags(struct call *call, const struct domain_pin_vcpu_flags_args *args, struct error *err)
{
    return pin(call, &args->dom, args->vcpu, args->cpumap, args->cpumap_length, args->flags, err);
}

int handle_domain_pin_emulator(struct call *call, const struct domain_pin_emulator_args *args, struct error *err)
{
    return pin(call, &args->dom, VCPU_EMULATOR, args->cpumap, args->cpumap_length, args->flags, err);
}

/* -- I/O threads --------------------------------------------------------------------------------------------------- */

int handle_domain_pin_iothread(struct call *call, const struct domain_pin_iothread_args *args, struct error *err)
{
    if (call_flags(call, args->flags, AFFECT, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    struct cpu_set set;
    get_map(&set, args->cpumap, args->cpumap_length);
    return domain ? iothread_pin(domain, args->iothreads_id, &set, args->flags, call_client(call), err) : -1;
}

int handle_domain_get_iothread_info(struct call *call, const struct domain_get_iothread_info_args *args,
                                    struct domain_get_iothread_info_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = NULL;
    const struct domain_def *def = call_def(call, &args->dom, args->flags, 0, &domain, err);
    if (!def)
        return -1;
    uint32_t count = def->iothread_ids.count > def->iothreads ? def->iothread_ids.count : def->iothreads;
    uint32_t length = (host_cpu_count() + 7) / 8;
    if (count > 16384)
        count = 16384;
    ret->info = arena_new_array(call->arena, count + 1, struct wire_domain_iothread_info);
    for (uint32_t i = 0; i < count; i++) {
        struct wire_domain_iothread_info *info = &ret->info[i];
        struct cpu_set set;
        info->iothread_id = i < def->iothread_ids.count ? def->iothread_ids.item[i]->id : i + 1;
        info->cpumap = arena_alloc(call->arena, length + 1);
        info->cpumap_length = length;
        iothread_allowed(&set, def, info->iothread_id);
        put_map(info->cpumap, length, &set);
    }
    ret->info_count = ret->ret = count;
    return 0;
}
