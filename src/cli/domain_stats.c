/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/text.h"
#include "cli/domain.h"
#include "cli/values.h"

struct stats_flag {
    const char *option;
    unsigned flag;
};

static const struct stats_flag stats_groups[] = {
    {"state", DOMAIN_STATS_STATE},         {"cpu-total", DOMAIN_STATS_CPU_TOTAL}, {"balloon", DOMAIN_STATS_BALLOON},
    {"vcpu", DOMAIN_STATS_VCPU},           {"interface", DOMAIN_STATS_INTERFACE}, {"block", DOMAIN_STATS_BLOCK},
    {"perf", DOMAIN_STATS_PERF},           {"iothread", DOMAIN_STATS_IOTHREAD},   {"memory", DOMAIN_STATS_MEMORY},
    {"dirtyrate", DOMAIN_STATS_DIRTYRATE}, {"vm", DOMAIN_STATS_VM},               {0},
};

static const struct stats_flag stats_filters[] = {
    {"list-active", CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE},
    {"list-inactive", CONNECT_GET_ALL_DOMAINS_STATS_INACTIVE},
    {"list-persistent", CONNECT_GET_ALL_DOMAINS_STATS_PERSISTENT},
    {"list-transient", CONNECT_GET_ALL_DOMAINS_STATS_TRANSIENT},
    {"list-running", CONNECT_GET_ALL_DOMAINS_STATS_RUNNING},
    {"list-paused", CONNECT_GET_ALL_DOMAINS_STATS_PAUSED},
    {"list-shutoff", CONNECT_GET_ALL_DOMAINS_STATS_SHUTOFF},
    {"list-other", CONNECT_GET_ALL_DOMAINS_STATS_OTHER},
    {0},
};

static const struct stats_flag stats_modes[] = {
    {"enforce", CONNECT_GET_ALL_DOMAINS_STATS_ENFORCE_STATS},
    {"backing", CONNECT_GET_ALL_DOMAINS_STATS_BACKING},
    {"nowait", CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT},
    {0},
};

static unsigned stats_flags(const struct invocation *in, const struct stats_flag *rows)
{
    unsigned flags = 0;
    for (; rows->option; rows++)
        flags |= option_given(in, rows->option) ? rows->flag : 0;
    return flags;
}

static int stats_domains(struct invocation *in, struct connect_get_all_domain_stats_args *args, struct error *err)
{
    args->doms = arena_new_array(in->arena, in->rest_count, struct wire_domain);
    for (size_t i = 0; i < in->rest_count; i++)
        if (domain_find_word(in, in->rest[i], DOMAIN_BY_ANY, &args->doms[args->doms_count++], err) < 0)
            return -1;
    return 0;
}

static int run_domstats(struct invocation *in, struct error *err)
{
    struct connect_get_all_domain_stats_args args = {.stats = stats_flags(in, stats_groups),
                                                     .flags = stats_flags(in, stats_modes)};
    struct connect_get_all_domain_stats_ret ret;
    if (!in->rest_count) /* named domains need no filter */
        args.flags |= stats_flags(in, stats_filters);
    if (in->rest_count && stats_domains(in, &args, err) < 0)
        return -1;
    if (remote_connect_get_all_domain_stats(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the statistics");
    scoped_listing struct listing listing;
    listing_init(&listing, in);
    for (uint32_t i = 0; i < ret.ret_stats_count; i++) {
        const struct wire_domain_stats_record *stats = &ret.ret_stats[i];
        struct record *record = record_new(in->arena);
        char uuid[UUID_STRING_SIZE];
        uuid_format(stats->dom.uuid, uuid);
        record_line(record, "domain", json_string(stats->dom.name), "%sDomain: '%s'", i ? "\n" : "", stats->dom.name);
        record_text(record, "uuid", NULL, uuid);
        record_add(record, "stats", NULL, NULL, values_json(stats->params, stats->params_count));
        for (uint32_t k = 0; k < stats->params_count; k++)
            record_line(record, NULL, NULL, "  %s=%s", stats->params[k].field,
                        value_text(in->arena, &stats->params[k]));
        listing_add(&listing, record, 0);
    }
    listing_end(&listing);
    return 0;
}

static int set_period(struct invocation *in, const struct wire_domain *dom, int32_t period, struct error *err)
{
    struct domain_set_memory_stats_period_args args = {.dom = *dom, .period = period};
    if (domain_affect(in, &args.flags, err) < 0)
        return -1;
    if (remote_domain_set_memory_stats_period(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot set how often the balloon of domain '%s' is asked", dom->name);
    return 0;
}

static int run_dommemstat(struct invocation *in, struct error *err)
{
    static const char *const names[] = { /* by tag */
        [DOMAIN_MEMORY_STAT_SWAP_IN] = "swap_in", [DOMAIN_MEMORY_STAT_SWAP_OUT] = "swap_out",
        [DOMAIN_MEMORY_STAT_MAJOR_FAULT] = "major_fault", [DOMAIN_MEMORY_STAT_MINOR_FAULT] = "minor_fault",
        [DOMAIN_MEMORY_STAT_UNUSED] = "unused", [DOMAIN_MEMORY_STAT_AVAILABLE] = "available",
        [DOMAIN_MEMORY_STAT_ACTUAL_BALLOON] = "actual", [DOMAIN_MEMORY_STAT_RSS] = "rss",
        [DOMAIN_MEMORY_STAT_USABLE] = "usable", [DOMAIN_MEMORY_STAT_LAST_UPDATE] = "last_update",
        [DOMAIN_MEMORY_STAT_DISK_CACHES] = "disk_caches", [DOMAIN_MEMORY_STAT_HUGETLB_PGALLOC] = "hugetlb_pgalloc",
        [DOMAIN_MEMORY_STAT_HUGETLB_PGFAIL] = "hugetlb_pgfail",
    };
    struct domain_memory_stats_args args = {.max_stats = COUNT(names)};
    struct domain_memory_stats_ret ret;
    int32_t period;
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    int given = option_i32(in, "period", 0, &period, err);
    if (given)
        return given < 0 ? -1 : set_period(in, &args.dom, period, err);
    if (remote_domain_memory_stats(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the memory statistics of domain '%s'", args.dom.name);
    struct record *record = record_new(in->arena);
    for (uint32_t i = 0; i < ret.stats_count; i++) {
        int tag = ret.stats[i].tag;
        if (tag < 0 || (size_t)tag >= COUNT(names) || !names[tag])
            continue;
        record_line(record, names[tag], json_integer((json_int_t)ret.stats[i].val), "%s %llu", names[tag],
                    (unsigned long long)ret.stats[i].val);
    }
    record_print(record, in, 0);
    return 0;
}

/* The values of one processor, or of all together, as lines under a heading. */
static void add_cpu_stats(struct invocation *in, struct listing *listing, int cpu,
                          const struct wire_typed_param *params, uint32_t count)
{
    struct record *record = record_new(in->arena);
    record_line(record, "cpu", cpu < 0 ? json_null() : json_integer(cpu), "%s",
                cpu < 0 ? "Total:" : arena_printf(in->arena, "CPU%d:", cpu));
    for (uint32_t i = 0; i < count; i++) {
        uint64_t ns = params[i].value.type == TYPED_PARAM_ULLONG ? params[i].value.ul : 0;
        record_line(record, arena_printf(in->arena, "%s_ns", params[i].field), value_json(&params[i]),
                    "\t%-12s %9llu.%09llu seconds", params[i].field, (unsigned long long)(ns / 1000000000),
                    (unsigned long long)(ns % 1000000000));
    }
    listing_add(listing, record, 0);
}

static int read_cpu_stats(struct invocation *in, struct domain_get_cpu_stats_args *args, int first, uint32_t count,
                          struct domain_get_cpu_stats_ret *ret, struct error *err)
{
    args->start_cpu = first;
    args->ncpus = count;
    args->nparams = 0; /* asks how many there are */
    int result = remote_domain_get_cpu_stats(shell_client(in), args, in->arena, ret, err);
    args->nparams = result == 0 ? (uint32_t)ret->nparams : 0;
    if (count && args->nparams)
        result = remote_domain_get_cpu_stats(shell_client(in), args, in->arena, ret, err);
    return result == 0 ? 0 : command_failed(err, "cannot read the processor time of domain '%s'", args->dom.name);
}

static int run_cpu_stats(struct invocation *in, struct error *err)
{
    struct domain_get_cpu_stats_args args = {0};
    struct domain_get_cpu_stats_ret ret;
    int32_t first = 0, wanted = INT32_MAX;
    bool chosen = option_given(in, "start") || option_given(in, "count");
    if (option_i32(in, "start", 0, &first, err) < 0 || option_i32(in, "count", 0, &wanted, err) < 0 ||
        domain_get(in, &args.dom, err) < 0 || read_cpu_stats(in, &args, 0, 0, &ret, err) < 0)
        return -1;
    int cpus = ret.nparams; /* without a number of processors the answer is how many there are */
    if (first >= cpus)
        return error_set(err, ERR_INVALID_ARG, "--start takes a processor from 0 to %d, not %d", cpus - 1, first);
    scoped_listing struct listing listing;
    listing_init(&listing, in);
    bool each = chosen || !option_given(in, "total");
    for (int cpu = first; each && cpu < cpus && cpu - first < wanted; cpu++) {
        if (read_cpu_stats(in, &args, cpu, 1, &ret, err) < 0)
            return -1;
        add_cpu_stats(in, &listing, cpu, ret.params, ret.params_count);
    }
    if (option_given(in, "total") || !chosen) {
        if (read_cpu_stats(in, &args, -1, 1, &ret, err) < 0)
            return -1;
        add_cpu_stats(in, &listing, -1, ret.params, ret.params_count);
    }
    listing_end(&listing);
    return 0;
}

static int run_dirtyrate_calc(struct invocation *in, struct error *err)
{
    static const char *const modes[] = {"page-sampling", "dirty-bitmap", "dirty-ring", NULL}; /* 0, 1, 2 as flags */
    struct domain_start_dirty_rate_calc_args args = {.seconds = 1};
    const char *word = option_text(in, "mode");
    int mode = word ? word_index("mode", word, modes, err) : 0;
    if (mode < 0 || option_i32(in, "seconds", 1, &args.seconds, err) < 0 || domain_get(in, &args.dom, err) < 0)
        return -1;
    args.flags = (unsigned)mode;
    if (remote_domain_start_dirty_rate_calc(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot measure how fast domain '%s' dirties its memory", args.dom.name);
    output_note(in, "Start to calculate domain's memory dirty rate successfully.\n");
    return 0;
}

static const struct command_option dirtyrate_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"seconds", OPTION_NUMBER, 0, "how long to measure, 1 to 60"},
    {"mode", OPTION_STRING, OPTION_NAMED, "how: page-sampling, dirty-bitmap or dirty-ring"},
    {0},
};

static const struct command_option cpu_stats_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"total", OPTION_BOOL, 0, "all processors together"},
    {"start", OPTION_NUMBER, 0, "from this processor on"},
    {"count", OPTION_NUMBER, 0, "at most so many"},
    {0},
};

static const struct command_option domstats_options[] = {
    {"state", OPTION_BOOL, 0, "state and its reason"},
    {"cpu-total", OPTION_BOOL, 0, "time on the host's processors"},
    {"balloon", OPTION_BOOL, 0, "memory balloon"},
    {"vcpu", OPTION_BOOL, 0, "virtual processors"},
    {"interface", OPTION_BOOL, 0, "network interfaces"},
    {"block", OPTION_BOOL, 0, "disks"},
    {"perf", OPTION_BOOL, 0, "performance events"},
    {"iothread", OPTION_BOOL, 0, "I/O threads"},
    {"memory", OPTION_BOOL, 0, "memory bandwidth"},
    {"dirtyrate", OPTION_BOOL, 0, "rate at which memory gets dirty"},
    {"vm", OPTION_BOOL, 0, "what only this hypervisor knows"},
    {"list-active", OPTION_BOOL, 0, "running domains"},
    {"list-inactive", OPTION_BOOL, 0, "domains that do not run"},
    {"list-persistent", OPTION_BOOL, 0, "defined domains"},
    {"list-transient", OPTION_BOOL, 0, "domains without a definition"},
    {"list-running", OPTION_BOOL, 0, "domains whose processors run"},
    {"list-paused", OPTION_BOOL, 0, "paused domains"},
    {"list-shutoff", OPTION_BOOL, 0, "domains that are shut off"},
    {"list-other", OPTION_BOOL, 0, "domains in other states"},
    {"raw", OPTION_BOOL, 0, "print values as they came (they always are)"},
    {"enforce", OPTION_BOOL, 0, "fail when the daemon does not know a group"},
    {"backing", OPTION_BOOL, 0, "disks: their backing chains too"},
    {"nowait", OPTION_BOOL, 0, "only what can be told without waiting for a guest"},
    {"domain", OPTION_REST, 0, "domains; without any: all", complete_domains},
    {0},
};

static const struct command_option dommemstat_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"period", OPTION_NUMBER, OPTION_NAMED, "ask the guest every so many seconds, 0 = never"},
    DOMAIN_AFFECT_OPTIONS,
    {0},
};

const struct command stats_commands[] = {
    {"cpu-stats", "domain", "time that the host's processors spent for a domain", NULL, cpu_stats_options,
     run_cpu_stats},
    {"domdirtyrate-calc", "domain", "measure how fast a domain dirties its memory", "The result is in 'domstats "
     "--dirtyrate'.", dirtyrate_options, run_dirtyrate_calc},
    {"dommemstat", "monitor", "memory statistics of a domain", NULL, dommemstat_options, run_dommemstat},
    {"domstats", "monitor", "statistics of many domains at once", "Without group options: every group the daemon "
     "knows.",
     domstats_options, run_domstats},
    {0},
};
