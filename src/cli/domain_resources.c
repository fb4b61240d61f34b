/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/text.h"
#include "cli/bitmap.h"
#include "cli/domain.h"

/* The wire carries KiB; a rest is rounded up so that nobody gets less than asked for. */
static int size_kib(struct invocation *in, uint64_t *kib, struct error *err)
{
    uint64_t bytes;
    if (option_size(in, "size", 1024, &bytes, err) < 0)
        return -1;
    *kib = bytes / 1024 + (bytes % 1024 != 0);
    return 0;
}

static int run_setmem(struct invocation *in, struct error *err)
{
    struct domain_set_memory_flags_args args;
    if (domain_affect(in, &args.flags, err) < 0 || size_kib(in, &args.memory, err) < 0 ||
        domain_get(in, &args.dom, err) < 0)
        return -1;
    struct domain_set_memory_args old = {.dom = args.dom, .memory = args.memory};
    int result = domain_affect_given(in) ? remote_domain_set_memory_flags(shell_client(in), &args, err)
                                  : remote_domain_set_memory(shell_client(in), &old, err);
    if (result < 0)
        return command_failed(err, "cannot change the memory of domain '%s'", args.dom.name);
    return 0;
}

static int run_setmaxmem(struct invocation *in, struct error *err)
{
    struct domain_set_memory_flags_args args;
    if (domain_affect(in, &args.flags, err) < 0 || size_kib(in, &args.memory, err) < 0 ||
        domain_get(in, &args.dom, err) < 0)
        return -1;
    args.flags |= DOMAIN_MEM_MAXIMUM;
    struct domain_set_max_memory_args old = {.dom = args.dom, .memory = args.memory};
    int result = domain_affect_given(in) ? remote_domain_set_memory_flags(shell_client(in), &args, err)
                                  : remote_domain_set_max_memory(shell_client(in), &old, err);
    if (result < 0)
        return command_failed(err, "cannot change the largest memory of domain '%s'", args.dom.name);
    return 0;
}

static int run_setvcpus(struct invocation *in, struct error *err)
{
    struct domain_set_vcpus_flags_args args;
    uint64_t count = 0;
    if (option_exclusive(in, err, "guest", "config", NULL) < 0 ||
        option_exclusive(in, err, "guest", "maximum", NULL) < 0 || domain_affect(in, &args.flags, err) < 0 ||
        option_u64(in, "count", UINT32_MAX, &count, err) < 0)
        return -1;
    if (!count)
        return error_set(err, ERR_INVALID_ARG, "a domain needs at least one virtual processor");
    if (option_given(in, "maximum") && !option_given(in, "config"))
        return error_set(err, ERR_INVALID_ARG, "the maximum can be changed for the next boot only: add --config");
    args.nvcpus = (uint32_t)count;
    args.flags |= (option_given(in, "maximum") ? DOMAIN_VCPU_MAXIMUM : 0) |
                  (option_given(in, "guest") ? DOMAIN_VCPU_GUEST : 0) |
                  (option_given(in, "hotpluggable") ? DOMAIN_VCPU_HOTPLUGGABLE : 0);
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    struct domain_set_vcpus_args old = {.dom = args.dom, .nvcpus = args.nvcpus};
    int result = domain_affect_given(in) || args.flags ? remote_domain_set_vcpus_flags(shell_client(in), &args, err)
                                                : remote_domain_set_vcpus(shell_client(in), &old, err);
    if (result < 0)
        return command_failed(err, "cannot change the number of virtual processors of domain '%s'", args.dom.name);
    return 0;
}

static int read_count(struct invocation *in, const struct wire_domain *dom, unsigned flags, int *count,
                      struct error *err)
{
    struct domain_get_vcpus_flags_args args = {.dom = *dom, .flags = flags};
    struct domain_get_vcpus_flags_ret ret;
    if (remote_domain_get_vcpus_flags(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the number of virtual processors of domain '%s'", dom->name);
    *count = ret.num;
    return 0;
}

/* Without options: all four numbers, those that there are. */
static int print_all_counts(struct invocation *in, const struct wire_domain *dom)
{
    static const struct {
        const char *key, *which, *where;
        unsigned flags;
    } rows[] = {
        {"maximum_config", "maximum", "config", DOMAIN_AFFECT_CONFIG | DOMAIN_VCPU_MAXIMUM},
        {"maximum_live", "maximum", "live", DOMAIN_AFFECT_LIVE | DOMAIN_VCPU_MAXIMUM},
        {"current_config", "current", "config", DOMAIN_AFFECT_CONFIG},
        {"current_live", "current", "live", DOMAIN_AFFECT_LIVE},
    };
    struct record *record = record_new(in->arena);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error ignored = {0};
        int count = 0;
        if (read_count(in, dom, rows[i].flags, &count, &ignored) < 0)
            continue; /* not running has no live one, transient no config */
        record_line(record, rows[i].key, json_integer(count), "%-12s %-12s %3d", rows[i].which, rows[i].where, count);
    }
    record_print(record, in, 0);
    return 0;
}

static int run_vcpucount(struct invocation *in, struct error *err)
{
    struct wire_domain dom;
    unsigned flags;
    if (option_exclusive(in, err, "maximum", "active", NULL) < 0 ||
        option_exclusive(in, err, "guest", "config", NULL) < 0 || domain_affect(in, &flags, err) < 0 ||
        domain_get(in, &dom, err) < 0)
        return -1;
    if (!option_given(in, "maximum") && !option_given(in, "active") && !option_given(in, "guest") && !flags &&
        !option_given(in, "current"))
        return print_all_counts(in, &dom);
    flags |= (option_given(in, "maximum") ? DOMAIN_VCPU_MAXIMUM : 0) |
             (option_given(in, "guest") ? DOMAIN_VCPU_GUEST : 0);
    int count = 0;
    if (read_count(in, &dom, flags, &count, err) < 0)
        return -1;
    output_number(in, "vcpus", (uint64_t)count);
    return 0;
}

struct vcpu_list {
    struct wire_vcpu_info *info; /* NULL: does not run */
    const uint8_t *maps;
    int count, map_length, host_cpus;
};

static int read_vcpus(struct invocation *in, const struct wire_domain *dom, struct vcpu_list *list, struct error *err)
{
    struct domain_get_info_args info_args = {.dom = *dom};
    struct domain_get_info_ret info;
    uint32_t host_cpus;
    if (remote_domain_get_info(shell_client(in), &info_args, in->arena, &info, err) < 0 ||
        host_cpu_count(in, &host_cpus, err) < 0)
        return -1;
    list->host_cpus = (int)host_cpus;
    list->map_length = (list->host_cpus + 7) / 8;
    struct domain_get_vcpus_args args = {.dom = *dom, .maxinfo = info.nr_virt_cpu, .maplen = list->map_length};
    struct domain_get_vcpus_ret ret;
    if (remote_domain_get_vcpus(shell_client(in), &args, in->arena, &ret, err) == 0) {
        list->info = ret.info;
        list->count = (int)ret.info_count;
        list->maps = ret.cpumaps;
        return (uint64_t)list->count * list->map_length <= ret.cpumaps_length
                   ? 0 : error_set(err, ERR_RPC, "the daemon sent fewer maps than virtual processors");
    }
    if (info.state != DOMAIN_SHUTOFF)
        return -1;
    struct domain_get_vcpu_pin_info_args pin_args = {.dom = *dom, .ncpumaps = info.nr_virt_cpu,
                                                     .maplen = list->map_length, .flags = DOMAIN_AFFECT_CONFIG};
    struct domain_get_vcpu_pin_info_ret pin;
    if (remote_domain_get_vcpu_pin_info(shell_client(in), &pin_args, in->arena, &pin, err) < 0)
        return -1;
    list->count = pin.num;
    list->maps = pin.cpumaps;
    return pin.num >= 0 && (uint64_t)pin.num * list->map_length <= pin.cpumaps_length
               ? 0 : error_set(err, ERR_RPC, "the daemon sent fewer maps than virtual processors");
}

static int run_vcpuinfo(struct invocation *in, struct error *err)
{
    static const char *const states[] = {[VCPU_OFFLINE] = "offline", [VCPU_RUNNING] = "running",
                                         [VCPU_BLOCKED] = "blocked"};
    struct wire_domain dom;
    struct vcpu_list list = {0};
    if (domain_get(in, &dom, err) < 0)
        return -1;
    if (read_vcpus(in, &dom, &list, err) < 0)
        return command_failed(err, "cannot read the virtual processors of domain '%s'", dom.name);
    scoped_listing struct listing listing;
    listing_init(&listing, in);
    for (int i = 0; i < list.count; i++) {
        const struct wire_vcpu_info *info = list.info ? &list.info[i] : NULL;
        const uint8_t *map = list.maps + (size_t)i * list.map_length;
        const char *ranges = bitmap_ranges(in->arena, map, list.map_length, list.host_cpus);
        const char *affinity = option_given(in, "pretty")
                                   ? arena_printf(in->arena, "%s (out of %d)", ranges, list.host_cpus)
                                   : bitmap_letters(in->arena, map, list.map_length, list.host_cpus);
        bool placed = info && info->cpu >= 0;
        struct record *record = record_new(in->arena);
        record_signed(record, "vcpu", "VCPU", info ? info->number : (unsigned)i, NULL);
        record_add(record, "cpu", "CPU", placed ? arena_printf(in->arena, "%d", info->cpu) : "N/A",
                   placed ? json_integer(info->cpu) : json_null());
        record_text(record, "state", "State", !info ? "N/A" : info->state >= 0 && info->state < (int)COUNT(states)
                    ? states[info->state] : "no state");
        if (!info)
            record_line(record, "cpu_time_ns", json_null(), "CPU time        N/A"); /* virsh has no colon here */
        else
            record_add(record, "cpu_time_ns", info->cpu_time ? "CPU time" : NULL,
                       arena_printf(in->arena, "%.1fs", (double)info->cpu_time / 1e9),
                       json_integer((json_int_t)info->cpu_time));
        record_add(record, "affinity", "CPU Affinity", affinity, json_string(ranges));
        if (i + 1 < list.count)
            record_line(record, NULL, NULL, "%s", "");
        listing_add(&listing, record, 16);
    }
    listing_end(&listing);
    return 0;
}

static const struct command_option memory_options[] = {
    DOMAIN_OPTION,
    {"kilobytes", OPTION_ALIAS, 0, "size"},
    {"size", OPTION_NUMBER, OPTION_REQUIRED, "memory, in KiB or with a unit like 512M"},
    DOMAIN_AFFECT_OPTIONS,
    {0},
};

static const struct command_option setvcpus_options[] = {
    DOMAIN_OPTION,
    {"count", OPTION_NUMBER, OPTION_REQUIRED, "number of virtual processors"},
    {"maximum", OPTION_BOOL, 0, "the largest number, for the next boot"},
    DOMAIN_AFFECT_OPTIONS,
    {"guest", OPTION_BOOL, 0, "let the guest's agent switch them"},
    {"hotpluggable", OPTION_BOOL, 0, "processors that are added can be removed again"},
    {0},
};

static const struct command_option vcpucount_options[] = {
    DOMAIN_OPTION,
    {"maximum", OPTION_BOOL, 0, "the largest number"},
    {"active", OPTION_BOOL, 0, "the present number"},
    {"live", OPTION_BOOL, 0, "of the running domain"},
    {"config", OPTION_BOOL, 0, "of the next boot"},
    {"current", OPTION_BOOL, 0, "of the state that it is in"},
    {"guest", OPTION_BOOL, 0, "as the guest's agent counts them"},
    {0},
};

static const struct command_option vcpuinfo_options[] = {
    DOMAIN_OPTION,
    {"pretty", OPTION_BOOL, 0, "ranges of processors instead of letters"},
    {0},
};

const struct command resource_commands[] = {
    {"setmaxmem", "domain", "change the largest memory of a domain", NULL, memory_options, run_setmaxmem},
    {"setmem", "domain", "change the memory of a domain", "Of a running domain: through its balloon.", memory_options,
     run_setmem},
    {"setvcpus", "domain", "change the number of virtual processors", NULL, setvcpus_options, run_setvcpus},
    {"vcpucount", "domain", "numbers of virtual processors", NULL, vcpucount_options, run_vcpucount},
    {"vcpuinfo", "domain", "virtual processors of a domain, one by one", NULL, vcpuinfo_options, run_vcpuinfo},
    {0},
};
