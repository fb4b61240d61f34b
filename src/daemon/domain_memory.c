/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include "qemu/balloon.h"

/* How much memory a guest has, and the limits of its definition. */

static int set_memory(struct call *call, const struct wire_domain *handle, uint64_t kib, unsigned flags,
                      struct error *err)
{
    if (call_flags(call, flags, AFFECT | DOMAIN_MEM_MAXIMUM, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, handle, err);
    return domain ? balloon_set(domain, kib, flags, call_client(call), err) : -1;
}

int handle_domain_set_memory(struct call *call, const struct domain_set_memory_args *args, struct error *err)
{
    return set_memory(call, &args->dom, args->memory, DOMAIN_MEM_LIVE, err);
}

int handle_domain_set_memory_flags(struct call *call, const struct domain_set_memory_flags_args *args,
                                   struct error *err)
{
    return set_memory(call, &args->dom, args->memory, args->flags, err);
}

int handle_domain_set_max_memory(struct call *call, const struct domain_set_max_memory_args *args, struct error *err)
{
    return set_memory(call, &args->dom, args->memory, DOMAIN_MEM_MAXIMUM, err);
}

int handle_domain_set_memory_stats_period(struct call *call, const struct domain_set_memory_stats_period_args *args,
                                          struct error *err)
{
    if (call_flags(call, args->flags, AFFECT, err) < 0)
        return -1;
    if (args->period < 0)
        return error_set(err, ERR_INVALID_ARG, "a period of %d s cannot be: it is 0 (off) or more", args->period);
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    return domain ? balloon_set_period(domain, (unsigned)args->period, args->flags, call_client(call), err) : -1;
}

/* -- limits of the definition -------------------------------------------------------------------------------------- */

static uint64_t limit(uint64_t kib)
{
    return kib ? kib : DOMAIN_MEMORY_PARAM_UNLIMITED;
}

int handle_domain_get_memory_parameters(struct call *call, const struct domain_get_memory_parameters_args *args,
                                        struct domain_get_memory_parameters_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = NULL;
    const struct domain_def *def = call_def(call, &args->dom, args->flags, TYPED_PARAM_STRING_OKAY, &domain, err);
    if (!def)
        return -1;
    static const struct memtune none = {0};
    const struct memtune *tune = def->memtune ? def->memtune : &none;
    struct params params;
    params_init(&params, call->arena);
    params_add_u64(&params, "hard_limit", limit(tune->hard_limit));
    params_add_u64(&params, "soft_limit", limit(tune->soft_limit));
    params_add_u64(&params, "swap_hard_limit", limit(tune->swap_hard_limit));
    params_reply(&params, args->nparams, ret);
    return 0;
}

int handle_domain_get_numa_parameters(struct call *call, const struct domain_get_numa_parameters_args *args,
                                      struct domain_get_numa_parameters_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = NULL;
    const struct domain_def *def = call_def(call, &args->dom, args->flags, TYPED_PARAM_STRING_OKAY, &domain, err);
    if (!def)
        return -1;
    const struct numatune *tune = def->numatune;
    struct params params;
    params_init(&params, call->arena);
    /* the words' order is libvirt's */
    params_add_i32(&params, "numa_mode", tune && tune->mode ? (int)tune->mode - 1 : 0);
    params_add_string(&params, "numa_nodeset", tune && tune->nodeset ? arena_strdup(call->arena, tune->nodeset) : "");
    params_reply(&params, args->nparams, ret);
    return 0;
}

/* "/dev/sda,100,/dev/sdb,200" of the devices that have the value. */
static const char *per_device(struct call *call, const struct blkiotune *tune, size_t offset)
{
    scoped_text struct text list = {0};
    for (uint32_t i = 0; tune && i < tune->devices.count; i++) {
        const struct blkio_device *device = tune->devices.item[i];
        const struct optional_u64 *value = (const struct optional_u64 *)((const char *)device + offset);
        if (value->set)
            text_printf(&list, "%s%s,%llu", list.length ? "," : "", device->path, (unsigned long long)value->value);
    }
    return arena_strdup(call->arena, text_string(&list));
}

int handle_domain_get_blkio_parameters(struct call *call, const struct domain_get_blkio_parameters_args *args,
                                       struct domain_get_blkio_parameters_ret *ret, struct error *err)
{
    static const struct {
        const char *name;
        size_t offset;
    } rows[] = {
        {"device_weight", offsetof(struct blkio_device, weight)},
        {"device_read_iops_sec", offsetof(struct blkio_device, read_iops_sec)},
        {"device_write_iops_sec", offsetof(struct blkio_device, write_iops_sec)},
        {"device_read_bytes_sec", offsetof(struct blkio_device, read_bytes_sec)},
        {"device_write_bytes_sec", offsetof(struct blkio_device, write_bytes_sec)},
    };
    scoped_domain struct domain *domain = NULL;
    const struct domain_def *def = call_def(call, &args->dom, args->flags, TYPED_PARAM_STRING_OKAY, &domain, err);
    if (!def)
        return -1;
    struct params params;
    params_init(&params, call->arena);
    params_add_u32(&params, "weight", def->blkiotune ? def->blkiotune->weight : 0);
    for (size_t i = 0; i < COUNT(rows); i++)
        params_add_string(&params, rows[i].name, per_device(call, def->blkiotune, rows[i].offset));
    params_reply(&params, args->nparams, ret);
    return 0;
}

/* -- CPU time of the definition ------------------------------------------------------------------------------------ */

/* Shares, periods in microseconds, and quotas (signed, -1 = none), with what the kernel takes where nothing is set. */
static const struct {
    const char *name;
    size_t offset;
    int64_t otherwise;
} scheduler_rows[] = {
    {"cpu_shares", offsetof(struct cputune, shares), 1024},
    {"vcpu_period", offsetof(struct cputune, period), 100000},
    {"vcpu_quota", offsetof(struct cputune, quota), -1},
    {"emulator_period", offsetof(struct cputune, emulator_period), 100000},
    {"emulator_quota", offsetof(struct cputune, emulator_quota), -1},
    {"global_period", offsetof(struct cputune, global_period), 100000},
    {"global_quota", offsetof(struct cputune, global_quota), -1},
    {"iothread_period", offsetof(struct cputune, iothread_period), 100000},
    {"iothread_quota", offsetof(struct cputune, iothread_quota), -1},
};

int handle_domain_get_scheduler_type(struct call *call, const struct domain_get_scheduler_type_args *args,
                                     struct domain_get_scheduler_type_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    if (!domain)
        return -1;
    ret->type = "posix";
    ret->nparams = COUNT(scheduler_rows);
    return 0;
}

static int scheduler(struct call *call, const struct wire_domain *handle, int32_t nparams, unsigned flags,
                     struct params *params, struct error *err)
{
    scoped_domain struct domain *domain = NULL;
    const struct domain_def *def = call_def(call, handle, flags, TYPED_PARAM_STRING_OKAY, &domain, err);
    if (!def)
        return -1;
    static const struct cputune none = {0};
    const void *tune = def->cputune ? def->cputune : &none;
    params_init(params, call->arena);
    for (size_t i = 0; i < COUNT(scheduler_rows); i++) {
        const struct optional_u64 *value = (const void *)((const char *)tune + scheduler_rows[i].offset);
        int64_t number = value->set ? (int64_t)value->value : scheduler_rows[i].otherwise;
        if (scheduler_rows[i].otherwise < 0)
            params_add_i64(params, scheduler_rows[i].name, number);
        else
            params_add_u64(params, scheduler_rows[i].name, (uint64_t)number);
    }
    if (nparams >= 0 && params->count > (uint32_t)nparams)
        params->count = (uint32_t)nparams;
    return 0;
}

int handle_domain_get_scheduler_parameters(struct call *call, const struct domain_get_scheduler_parameters_args *args,
                                           struct domain_get_scheduler_parameters_ret *ret, struct error *err)
{
    struct params params;
    if (scheduler(call, &args->dom, args->nparams, 0, &params, err) < 0)
        return -1;
    ret->params = params.items;
    ret->params_count = params.count;
    return 0;
}

int handle_domain_get_scheduler_parameters_flags(struct call *call,
                                                 const struct domain_get_scheduler_parameters_flags_args *args,
                                                 struct domain_get_scheduler_parameters_flags_ret *ret,
                                                 struct error *err)
{
    struct params params;
    if (scheduler(call, &args->dom, args->nparams, args->flags, &params, err) < 0)
        return -1;
    ret->params = params.items;
    ret->params_count = params.count;
    return 0;
}
