/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/bitmap.h"
#include "cli/domain.h"

/* Which of the host's processors may run which threads of a domain. */

/* --cpulist as a map of the host's processors: "0-3,^1", or "r" for all of them. */
static int cpu_list(struct invocation *in, uint32_t host_cpus, uint8_t **map, uint32_t *length, struct error *err)
{
    const char *text = option_text(in, "cpulist");
    *length = (host_cpus + 7) / 8;
    *map = bitmap_parse(in->arena, text[0] == 'r' && !text[1] ? "0-" : text, host_cpus);
    return *map ? 0 : error_set(err, ERR_INVALID_ARG, "--cpulist takes processors below %u like 0-3,^1, or r for all, "
                                "not '%s'", host_cpus, text);
}

static const char *affinity(struct invocation *in, const uint8_t *maps, uint32_t length, int index, uint32_t host_cpus)
{
    uint32_t size = (host_cpus + 7) / 8;
    return (uint64_t)(index + 1) * size <= length
               ? bitmap_ranges(in->arena, maps + (size_t)index * size, size, host_cpus) : "";
}

static int pin_vcpu(struct invocation *in, const struct wire_domain *dom, unsigned flags, uint32_t vcpu,
                    uint32_t host_cpus, struct error *err)
{
    struct domain_pin_vcpu_flags_args args = {.dom = *dom, .vcpu = vcpu, .flags = flags};
    struct domain_pin_vcpu_args old = {.dom = *dom, .vcpu = vcpu};
    if (cpu_list(in, host_cpus, &args.cpumap, &args.cpumap_length, err) < 0)
        return -1;
    old.cpumap = args.cpumap;
    old.cpumap_length = args.cpumap_length;
    /* without flags the older call is for the running domain only, as virsh's */
    int result = domain_affect_given(in) ? remote_domain_pin_vcpu_flags(shell_client(in), &args, err)
                                         : remote_domain_pin_vcpu(shell_client(in), &old, err);
    return result == 0 ? 0 : command_failed(err, "cannot pin processor %u of domain '%s'", vcpu, dom->name);
}

static int show_vcpus(struct invocation *in, const struct wire_domain *dom, unsigned flags, int only,
                      uint32_t host_cpus, struct error *err)
{
    static const struct column columns[] = {{"vcpu", "VCPU", CELL_NUMBER}, {"affinity", "CPU Affinity"}};
    struct domain_get_info_args info_args = {.dom = *dom};
    struct domain_get_info_ret info;
    if (remote_domain_get_info(shell_client(in), &info_args, in->arena, &info, err) < 0)
        return command_failed(err, "cannot read what domain '%s' is", dom->name);
    struct domain_get_vcpu_pin_info_args args = {.dom = *dom, .ncpumaps = info.nr_virt_cpu,
                                                 .maplen = (int32_t)(host_cpus + 7) / 8, .flags = flags};
    struct domain_get_vcpu_pin_info_ret ret;
    if (remote_domain_get_vcpu_pin_info(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read which processors domain '%s' may use", dom->name);
    if (only >= ret.num)
        return error_set(err, ERR_INVALID_ARG, "domain '%s' has %d virtual processors, so there is no number %d",
                         dom->name, ret.num, only);
    struct table *table = table_new(in->arena, columns, COUNT(columns));
    for (int i = 0; i < ret.num; i++)
        if (only < 0 || only == i)
            table_row(table, arena_printf(in->arena, "%d", i),
                      affinity(in, ret.cpumaps, ret.cpumaps_length, i, host_cpus));
    table_print(table, in);
    return 0;
}

static int run_vcpupin(struct invocation *in, struct error *err)
{
    struct wire_domain dom;
    unsigned flags;
    int32_t vcpu = -1;
    uint32_t host_cpus;
    int given = option_i32(in, "vcpu", 0, &vcpu, err);
    if (given < 0 || domain_affect(in, &flags, err) < 0)
        return -1;
    if (!given && option_given(in, "cpulist"))
        return error_set(err, ERR_INVALID_ARG, "vcpupin needs --vcpu to pin one");
    if (domain_get(in, &dom, err) < 0 || host_cpu_count(in, &host_cpus, err) < 0)
        return -1;
    return option_given(in, "cpulist") ? pin_vcpu(in, &dom, flags, (uint32_t)vcpu, host_cpus, err)
                                       : show_vcpus(in, &dom, flags, vcpu, host_cpus, err);
}

static int run_emulatorpin(struct invocation *in, struct error *err)
{
    struct domain_pin_emulator_args set = {0};
    struct domain_get_emulator_pin_info_args get = {0};
    struct domain_get_emulator_pin_info_ret ret;
    uint32_t host_cpus;
    if (domain_affect(in, &set.flags, err) < 0 || domain_get(in, &set.dom, err) < 0 ||
        host_cpu_count(in, &host_cpus, err) < 0)
        return -1;
    if (option_given(in, "cpulist")) {
        if (cpu_list(in, host_cpus, &set.cpumap, &set.cpumap_length, err) < 0)
            return -1;
        return remote_domain_pin_emulator(shell_client(in), &set, err) == 0
                   ? 0 : command_failed(err, "cannot pin the emulator of domain '%s'", set.dom.name);
    }
    get = (struct domain_get_emulator_pin_info_args){.dom = set.dom, .maplen = (int32_t)(host_cpus + 7) / 8,
                                                     .flags = set.flags};
    if (remote_domain_get_emulator_pin_info(shell_client(in), &get, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read which processors the emulator of domain '%s' may use", get.dom.name);
    const char *ranges = affinity(in, ret.cpumaps, ret.cpumaps_length, 0, host_cpus);
    output_note(in, "emulator: CPU Affinity\n----------------------------------\n       *: ");
    output_string(in, "affinity", ranges);
    return 0;
}

static int run_iothreadinfo(struct invocation *in, struct error *err)
{
    static const struct column columns[] = {{"iothread", "IOThread ID", CELL_NUMBER}, {"affinity", "CPU Affinity"}};
    struct domain_get_iothread_info_args args = {0};
    struct domain_get_iothread_info_ret ret;
    uint32_t host_cpus;
    if (domain_affect(in, &args.flags, err) < 0 || domain_get(in, &args.dom, err) < 0 ||
        host_cpu_count(in, &host_cpus, err) < 0)
        return -1;
    if (remote_domain_get_iothread_info(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the I/O threads of domain '%s'", args.dom.name);
    if (!ret.info_count && !output_is_json(in)) {
        output_note(in, "No IOThreads found for the domain");
        return 0;
    }
    struct table *table = table_new(in->arena, columns, COUNT(columns));
    for (uint32_t i = 0; i < ret.info_count; i++)
        table_row(table, arena_printf(in->arena, "%u", ret.info[i].iothread_id),
                  bitmap_ranges(in->arena, ret.info[i].cpumap, ret.info[i].cpumap_length, host_cpus));
    table_print(table, in);
    return 0;
}

static int run_iothreadpin(struct invocation *in, struct error *err)
{
    struct domain_pin_iothread_args args = {0};
    uint32_t host_cpus;
    uint64_t thread = 0;
    if (domain_affect(in, &args.flags, err) < 0 || option_u64(in, "iothread", UINT32_MAX, &thread, err) < 0 ||
        domain_get(in, &args.dom, err) < 0 || host_cpu_count(in, &host_cpus, err) < 0 ||
        cpu_list(in, host_cpus, &args.cpumap, &args.cpumap_length, err) < 0)
        return -1;
    args.iothreads_id = (uint32_t)thread;
    if (remote_domain_pin_iothread(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot pin I/O thread %u of domain '%s'", args.iothreads_id, args.dom.name);
    return 0;
}

static const struct command_option vcpupin_options[] = {
    DOMAIN_OPTION,
    {"vcpu", OPTION_NUMBER, 0, "number of the virtual processor"},
    {"cpulist", OPTION_STRING, 0, "processors of the host, like 0-3,^1, or r for all; without it shows them"},
    DOMAIN_AFFECT_OPTIONS,
    {0},
};

static const struct command_option emulatorpin_options[] = {
    DOMAIN_OPTION,
    {"cpulist", OPTION_STRING, 0, "processors of the host, like 0-3,^1, or r for all; without it shows them"},
    DOMAIN_AFFECT_OPTIONS,
    {0},
};

static const struct command_option iothreadinfo_options[] = {DOMAIN_OPTION, DOMAIN_AFFECT_OPTIONS, {0}};

static const struct command_option iothreadpin_options[] = {
    DOMAIN_OPTION,
    {"iothread", OPTION_NUMBER, OPTION_REQUIRED, "number of the I/O thread"},
    {"cpulist", OPTION_STRING, OPTION_REQUIRED, "processors of the host, like 0-3,^1, or r for all"},
    DOMAIN_AFFECT_OPTIONS,
    {0},
};

const struct command pin_commands[] = {
    {"emulatorpin", "domain", "show or set which processors run a domain's emulator", NULL, emulatorpin_options,
     run_emulatorpin},
    {"iothreadinfo", "domain", "I/O threads of a domain", NULL, iothreadinfo_options, run_iothreadinfo},
    {"iothreadpin", "domain", "set which processors run an I/O thread", NULL, iothreadpin_options, run_iothreadpin},
    {"vcpupin", "domain", "show or set which processors run a virtual processor", NULL, vcpupin_options, run_vcpupin},
    {0},
};
