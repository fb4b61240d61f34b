/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/text.h"
#include "cli/bitmap.h"
#include "cli/domain.h"

static int run_capabilities(struct invocation *in, struct error *err)
{
    struct connect_get_capabilities_ret ret;
    if (remote_connect_get_capabilities(shell_client(in), in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the capabilities");
    output_string(in, "xml", ret.capabilities);
    return 0;
}

static int run_domcapabilities(struct invocation *in, struct error *err)
{
    struct connect_get_domain_capabilities_args args = {
        .emulatorbin = option_text(in, "emulatorbin"), .arch = option_text(in, "arch"),
        .machine = option_text(in, "machine"), .virttype = option_text(in, "virttype"),
    };
    struct connect_get_domain_capabilities_ret ret;
    if (remote_connect_get_domain_capabilities(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the domain capabilities");
    output_string(in, "xml", ret.capabilities);
    return 0;
}

static int run_sysinfo(struct invocation *in, struct error *err)
{
    struct connect_get_sysinfo_args args = {0};
    struct connect_get_sysinfo_ret ret;
    if (remote_connect_get_sysinfo(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the system information");
    output_document(in, "xml", ret.sysinfo);
    return 0;
}

static int run_maxvcpus(struct invocation *in, struct error *err)
{
    /* the domain capabilities know the machine type's limit; the older call is for daemons without them */
    struct connect_get_domain_capabilities_args domain_args = {.virttype = option_text(in, "type")};
    struct connect_get_domain_capabilities_ret domain_ret;
    struct connect_get_max_vcpus_args args = {.type = option_text(in, "type")};
    struct connect_get_max_vcpus_ret ret;
    struct error ignored = {0};
    scoped_document struct document *document = NULL;
    if (remote_connect_get_domain_capabilities(shell_client(in), &domain_args, in->arena, &domain_ret, &ignored) == 0)
        document = document_parse(domain_ret.capabilities, "the domain capabilities", &ignored);
    const char *max = document ? document_string(in->arena, document, NULL, "/domainCapabilities/vcpu/@max") : NULL;
    uint32_t from_xml;
    if (max && parse_u32(max, 10, &from_xml) == 0) {
        output_number(in, "max_vcpus", from_xml);
        return 0;
    }
    if (remote_connect_get_max_vcpus(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the largest number of virtual processors");
    output_number(in, "max_vcpus", (uint64_t)ret.max_vcpus);
    return 0;
}

static int run_nodeinfo(struct invocation *in, struct error *err)
{
    struct node_get_info_ret ret;
    if (remote_node_get_info(shell_client(in), in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read what the host is");
    struct record *record = record_new(in->arena);
    record_text(record, "cpu_model", "CPU model", arena_strndup(in->arena, (const char *)ret.model, sizeof ret.model));
    record_signed(record, "cpus", "CPU(s)", ret.cpus, NULL);
    record_signed(record, "mhz", "CPU frequency", ret.mhz, "MHz");
    record_signed(record, "sockets", "CPU socket(s)", ret.sockets, NULL);
    record_signed(record, "cores", "Core(s) per socket", ret.cores, NULL);
    record_signed(record, "threads", "Thread(s) per core", ret.threads, NULL);
    record_signed(record, "nodes", "NUMA cell(s)", ret.nodes, NULL);
    record_number(record, "memory_kib", "Memory size", ret.memory, "KiB");
    record_print(record, in, 21);
    return 0;
}

static int run_nodecpumap(struct invocation *in, struct error *err)
{
    struct node_get_cpu_map_args args = {.need_map = 1, .need_online = 1};
    struct node_get_cpu_map_ret ret;
    if (remote_node_get_cpu_map(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the map of processors");
    struct record *record = record_new(in->arena);
    const char *ranges = bitmap_ranges(in->arena, ret.cpumap, ret.cpumap_length, ret.ret);
    const char *map = option_given(in, "pretty") ? ranges
                                                 : bitmap_letters(in->arena, ret.cpumap, ret.cpumap_length, ret.ret);
    record_signed(record, "present", "CPUs present", ret.ret, NULL);
    record_number(record, "online", "CPUs online", ret.online, NULL);
    record_add(record, "online_cpus", "CPU map", map, json_string(ranges));
    record_print(record, in, 16);
    return 0;
}

static int read_cpu_stats(struct invocation *in, int cpu, struct node_get_cpu_stats_ret *ret, struct error *err)
{
    struct node_get_cpu_stats_args args = {.cpu_num = cpu};
    if (remote_node_get_cpu_stats(shell_client(in), &args, in->arena, ret, err) < 0)
        return command_failed(err, "cannot read the processors' statistics");
    args.nparams = ret->nparams;
    if (remote_node_get_cpu_stats(shell_client(in), &args, in->arena, ret, err) < 0)
        return command_failed(err, "cannot read the processors' statistics");
    return 0;
}

static uint64_t cpu_stat(const struct node_get_cpu_stats_ret *stats, const char *field, bool *present)
{
    for (uint32_t i = 0; i < stats->params_count; i++)
        if (strcmp(stats->params[i].field, field) == 0) {
            *present = true;
            return stats->params[i].value;
        }
    *present = false;
    return 0;
}

/* In libvirt's order; `usage` is computed for --percent when the daemon has none. */
static const char *const cpu_fields[] = {"user", "kernel", "idle", "iowait", "intr"};
static const char *const cpu_labels[] = {"user", "system", "idle", "iowait", "intr"};

static int print_cpu_percent(struct invocation *in, int cpu, struct record *record,
                             const struct node_get_cpu_stats_ret *before, struct error *err)
{
    struct node_get_cpu_stats_ret after;
    if (await_sleep(deadline_ms(1000), err) < 0 || read_cpu_stats(in, cpu, &after, err) < 0)
        return -1;
    uint64_t delta[COUNT(cpu_fields)], total = 0;
    bool present;
    for (size_t i = 0; i < COUNT(cpu_fields); i++) {
        delta[i] = cpu_stat(&after, cpu_fields[i], &present) - cpu_stat(before, cpu_fields[i], &present);
        total += delta[i];
    }
    double scale = total ? 100.0 / (double)total : 0, busy = total ? 100.0 - (double)delta[2] * scale : 0;
    record_add(record, "usage", "usage", arena_printf(in->arena, "%5.1f%%", busy), json_real(busy));
    for (size_t i = 0; i < COUNT(cpu_fields); i++) {
        cpu_stat(before, cpu_fields[i], &present);
        double share = (double)delta[i] * scale;
        if (present)
            record_add(record, cpu_labels[i], cpu_labels[i], arena_printf(in->arena, "%5.1f%%", share),
                       json_real(share));
    }
    return 0;
}

static int run_nodecpustats(struct invocation *in, struct error *err)
{
    int32_t cpu = -1; /* all of them */
    struct node_get_cpu_stats_ret stats;
    if (option_i32(in, "cpu", 0, &cpu, err) < 0 || read_cpu_stats(in, cpu, &stats, err) < 0)
        return -1;
    struct record *record = record_new(in->arena);
    if (option_given(in, "percent")) {
        if (print_cpu_percent(in, cpu, record, &stats, err) < 0)
            return -1;
    } else {
        for (size_t i = 0; i < COUNT(cpu_fields); i++) {
            bool present;
            uint64_t value = cpu_stat(&stats, cpu_fields[i], &present);
            if (present)
                record_add(record, cpu_labels[i], cpu_labels[i],
                           arena_printf(in->arena, "%20llu", (unsigned long long)value),
                           json_integer((json_int_t)value));
        }
    }
    record_print(record, in, 16);
    return 0;
}

static const struct command_option domcapabilities_options[] = {
    {"virttype", OPTION_STRING, 0, "type of domain: kvm, qemu"},
    {"emulatorbin", OPTION_STRING, 0, "path of the emulator"},
    {"arch", OPTION_STRING, 0, "architecture of the guest"},
    {"machine", OPTION_STRING, 0, "machine type"},
    {0},
};

static const struct command_option maxvcpus_options[] = {
    {"type", OPTION_STRING, 0, "type of domain: kvm, qemu"},
    {0},
};

static const struct command_option nodecpumap_options[] = {
    {"pretty", OPTION_BOOL, 0, "ranges instead of letters"},
    {0},
};

static const struct command_option nodecpustats_options[] = {
    {"cpu", OPTION_NUMBER, 0, "this processor only"},
    {"percent", OPTION_BOOL, 0, "shares of one second"},
    {0},
};

const struct command host_commands[] = {
    {"capabilities", "host", "what the host and the hypervisor can do, as XML", NULL, NULL, run_capabilities},
    {"domcapabilities", "host", "what a domain can have, as XML", "Without options: for the hypervisor's own choice of "
     "emulator and machine.", domcapabilities_options, run_domcapabilities},
    {"maxvcpus", "host", "largest number of virtual processors", NULL, maxvcpus_options, run_maxvcpus},
    {"nodecpumap", "host", "processors that are present and online", NULL, nodecpumap_options, run_nodecpumap},
    {"nodecpustats", "host", "time that the processors spent", "In nanoseconds since the boot, or as shares of one "
     "second.", nodecpustats_options, run_nodecpustats},
    {"nodeinfo", "host", "processors and memory of the host", NULL, NULL, run_nodeinfo},
    {"sysinfo", "host", "the host's SMBIOS data, as XML", NULL, NULL, run_sysinfo},
    {0},
};
