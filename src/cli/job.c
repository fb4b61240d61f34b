/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "cli/domain.h"
#include "cli/values.h"
#include "rpc/params.h"

enum job_unit { UNIT_NONE, UNIT_MS, UNIT_BYTES, UNIT_RATE, UNIT_PAGES_RATE, UNIT_PLAIN_BYTES, UNIT_PERCENT };

/* What a running or finished job tells, in virsh's order. */
static const struct {
    const char *field, *label;
    enum job_unit unit;
    bool even_zero;
} job_fields[] = {
    {DOMAIN_JOB_TIME_ELAPSED, "Time elapsed", UNIT_MS, true},
    {DOMAIN_JOB_TIME_ELAPSED_NET, "Time elapsed w/o network", UNIT_MS, false},
    {DOMAIN_JOB_TIME_REMAINING, "Time remaining", UNIT_MS, false},
    {DOMAIN_JOB_DATA_PROCESSED, "Data processed", UNIT_BYTES, true},
    {DOMAIN_JOB_DATA_REMAINING, "Data remaining", UNIT_BYTES, true},
    {DOMAIN_JOB_DATA_TOTAL, "Data total", UNIT_BYTES, true},
    {DOMAIN_JOB_MEMORY_PROCESSED, "Memory processed", UNIT_BYTES, true},
    {DOMAIN_JOB_MEMORY_REMAINING, "Memory remaining", UNIT_BYTES, true},
    {DOMAIN_JOB_MEMORY_TOTAL, "Memory total", UNIT_BYTES, true},
    {DOMAIN_JOB_MEMORY_BPS, "Memory bandwidth", UNIT_RATE, false},
    {DOMAIN_JOB_MEMORY_DIRTY_RATE, "Dirty rate", UNIT_PAGES_RATE, true},
    {DOMAIN_JOB_MEMORY_PAGE_SIZE, "Page size", UNIT_PLAIN_BYTES, true},
    {DOMAIN_JOB_MEMORY_ITERATION, "Iteration", UNIT_NONE, true},
    {DOMAIN_JOB_MEMORY_POSTCOPY_REQS, "Postcopy requests", UNIT_NONE, true},
    {DOMAIN_JOB_DISK_PROCESSED, "File processed", UNIT_BYTES, false},
    {DOMAIN_JOB_DISK_REMAINING, "File remaining", UNIT_BYTES, false},
    {DOMAIN_JOB_DISK_TOTAL, "File total", UNIT_BYTES, false},
    {DOMAIN_JOB_DISK_BPS, "File bandwidth", UNIT_RATE, false},
    {DOMAIN_JOB_MEMORY_CONSTANT, "Constant pages", UNIT_NONE, true},
    {DOMAIN_JOB_MEMORY_NORMAL, "Normal pages", UNIT_NONE, true},
    {DOMAIN_JOB_MEMORY_NORMAL_BYTES, "Normal data", UNIT_BYTES, true},
    {DOMAIN_JOB_DOWNTIME, "Expected downtime", UNIT_MS, true},
    {DOMAIN_JOB_DOWNTIME_NET, "Downtime w/o network", UNIT_MS, false},
    {DOMAIN_JOB_SETUP_TIME, "Setup time", UNIT_MS, true},
    {DOMAIN_JOB_COMPRESSION_CACHE, "Compression cache", UNIT_BYTES, true},
    {DOMAIN_JOB_COMPRESSION_BYTES, "Compressed data", UNIT_BYTES, true},
    {DOMAIN_JOB_COMPRESSION_PAGES, "Compressed pages", UNIT_NONE, true},
    {DOMAIN_JOB_COMPRESSION_CACHE_MISSES, "Compression cache misses", UNIT_NONE, true},
    {DOMAIN_JOB_COMPRESSION_OVERFLOW, "Compression overflows", UNIT_NONE, true},
    {DOMAIN_JOB_AUTO_CONVERGE_THROTTLE, "Auto converge throttle", UNIT_PERCENT, true},
    {DOMAIN_JOB_DISK_TEMP_USED, "Temporary disk space use", UNIT_BYTES, true},
    {DOMAIN_JOB_DISK_TEMP_TOTAL, "Temporary disk space total", UNIT_BYTES, true},
};

static const char *const job_types[] = {"None", "Bounded", "Unbounded", "Completed", "Failed", "Cancelled"};
static const char *const job_operations[] = {
    "Unknown", "Start", "Save", "Restore", "Incoming migration", "Outgoing migration", "Snapshot", "Snapshot revert",
    "Dump", "Backup", "Snapshot delete",
};

static char *job_value(struct arena *arena, uint64_t value, enum job_unit unit)
{
    static const char *const words[] = {[UNIT_MS] = "ms", [UNIT_PAGES_RATE] = "pages/s", [UNIT_PLAIN_BYTES] = "bytes",
                                        [UNIT_PERCENT] = "%"};
    if (unit == UNIT_BYTES || unit == UNIT_RATE) {
        const char *size;
        double number = human_size(value, &size);
        return arena_printf(arena, "%-.3f %s%s", number, size, unit == UNIT_RATE ? "/s" : "");
    }
    return unit == UNIT_NONE ? arena_printf(arena, "%" PRIu64, value)
                             : arena_printf(arena, "%-12" PRIu64 " %s", value, words[unit]);
}

static void add_fields(struct invocation *in, struct record *record, const struct domain_get_job_stats_ret *stats)
{
    bool ended = stats->type >= DOMAIN_JOB_COMPLETED;
    for (size_t i = 0; i < COUNT(job_fields); i++) {
        uint64_t value;
        if (params_get_u64(stats->params, stats->params_count, job_fields[i].field, &value, NULL) <= 0 ||
            (!value && !job_fields[i].even_zero))
            continue;
        const char *label = job_fields[i].label;
        if (ended && strcmp(job_fields[i].field, DOMAIN_JOB_DOWNTIME) == 0)
            label = "Total downtime";
        record_add(record, job_fields[i].field, label, job_value(in->arena, value, job_fields[i].unit),
                   json_integer((json_int_t)value));
    }
    const char *message;
    if (params_get_string(stats->params, stats->params_count, DOMAIN_JOB_ERRMSG, &message, NULL) > 0)
        record_text(record, "error", "Error message", message);
}

/* From a daemon without typed job statistics. */
static int old_job_info(struct invocation *in, const struct wire_domain *dom, struct domain_get_job_stats_ret *stats,
                        struct error *err)
{
    struct domain_get_job_info_args args = {.dom = *dom};
    struct domain_get_job_info_ret info;
    struct params params;
    if (remote_domain_get_job_info(shell_client(in), &args, in->arena, &info, err) < 0)
        return -1;
    params_init(&params, in->arena);
    params_add_u64(&params, DOMAIN_JOB_TIME_ELAPSED, info.time_elapsed);
    params_add_u64(&params, DOMAIN_JOB_TIME_REMAINING, info.time_remaining);
    params_add_u64(&params, DOMAIN_JOB_DATA_TOTAL, info.data_total);
    params_add_u64(&params, DOMAIN_JOB_DATA_PROCESSED, info.data_processed);
    params_add_u64(&params, DOMAIN_JOB_DATA_REMAINING, info.data_remaining);
    params_add_u64(&params, DOMAIN_JOB_MEMORY_TOTAL, info.mem_total);
    params_add_u64(&params, DOMAIN_JOB_MEMORY_PROCESSED, info.mem_processed);
    params_add_u64(&params, DOMAIN_JOB_MEMORY_REMAINING, info.mem_remaining);
    *stats = (struct domain_get_job_stats_ret){.type = info.type, .params = params.items, .params_count = params.count};
    return 0;
}

static int run_domjobinfo(struct invocation *in, struct error *err)
{
    struct domain_get_job_stats_args args = {0};
    struct domain_get_job_stats_ret stats;
    if (option_given(in, "keep-completed"))
        args.flags |= DOMAIN_JOB_STATS_COMPLETED | DOMAIN_JOB_STATS_KEEP_COMPLETED;
    if (option_given(in, "completed"))
        args.flags |= DOMAIN_JOB_STATS_COMPLETED;
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    int result = remote_domain_get_job_stats(shell_client(in), &args, in->arena, &stats, err);
    if (result < 0 && err->code == ERR_NO_SUPPORT && !args.flags)
        result = old_job_info(in, &args.dom, &stats, err);
    if (result < 0)
        return command_failed(err, "cannot read the job of domain '%s'", args.dom.name);
    const char *type = stats.type >= 0 && (size_t)stats.type < COUNT(job_types) ? job_types[stats.type] : "Unknown";
    if (option_given(in, "rawstats") && !output_is_json(in)) {
        printf("Job type: %d\n\n", stats.type);
        for (uint32_t i = 0; i < stats.params_count; i++)
            printf("%s: %s\n", stats.params[i].field, value_text(in->arena, &stats.params[i]));
        return 0;
    }
    struct record *record = record_new(in->arena);
    record_text(record, "type", "Job type", type);
    int32_t operation = 0;
    bool shown = stats.type == DOMAIN_JOB_BOUNDED || stats.type == DOMAIN_JOB_UNBOUNDED ||
                 stats.type == DOMAIN_JOB_COMPLETED || (stats.type != DOMAIN_JOB_NONE && option_given(in, "anystats"));
    if (shown && params_get_i32(stats.params, stats.params_count, DOMAIN_JOB_OPERATION, &operation, NULL) > 0)
        record_text(record, "operation", "Operation",
                    operation >= 0 && (size_t)operation < COUNT(job_operations) ? job_operations[operation]
                        : "Unknown");
    if (shown)
        add_fields(in, record, &stats);
    record_print(record, in, 18);
    return 0;
}

static int run_domjobabort(struct invocation *in, struct error *err)
{
    struct wire_domain dom;
    if (domain_get(in, &dom, err) < 0)
        return -1;
    int result;
    if (option_given(in, "postcopy")) {
        struct domain_abort_job_flags_args args = {.dom = dom, .flags = DOMAIN_ABORT_JOB_POSTCOPY};
        result = remote_domain_abort_job_flags(shell_client(in), &args, err);
    } else {
        struct domain_abort_job_args args = {.dom = dom};
        result = remote_domain_abort_job(shell_client(in), &args, err);
    }
    return result < 0 ? command_failed(err, "cannot abort the job of domain '%s'", dom.name) : 0;
}

static int run_setmaxdowntime(struct invocation *in, struct error *err)
{
    struct domain_migrate_set_max_downtime_args args = {0};
    if (option_u64(in, "downtime", INT64_MAX, &args.downtime, err) < 0)
        return -1;
    if (args.downtime == 0)
        return error_set(err, ERR_INVALID_ARG, "the downtime is a number of milliseconds from 1");
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_migrate_set_max_downtime(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot set the migration downtime of domain '%s'", args.dom.name);
    return 0;
}

static int run_getmaxdowntime(struct invocation *in, struct error *err)
{
    struct domain_migrate_get_max_downtime_args args = {0};
    struct domain_migrate_get_max_downtime_ret ret;
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_migrate_get_max_downtime(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the migration downtime of domain '%s'", args.dom.name);
    output_number(in, "downtime_ms", ret.downtime);
    return 0;
}

static int run_setspeed(struct invocation *in, struct error *err)
{
    struct domain_migrate_set_max_speed_args args = {
        .flags = option_given(in, "postcopy") ? DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY : 0,
    };
    if (option_u64(in, "bandwidth", INT64_MAX, &args.bandwidth, err) < 0 || domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_migrate_set_max_speed(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot set the migration bandwidth of domain '%s'", args.dom.name);
    return 0;
}

static int run_getspeed(struct invocation *in, struct error *err)
{
    struct domain_migrate_get_max_speed_args args = {
        .flags = option_given(in, "postcopy") ? DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY : 0,
    };
    struct domain_migrate_get_max_speed_ret ret;
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_migrate_get_max_speed(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the migration bandwidth of domain '%s'", args.dom.name);
    output_number(in, "bandwidth_mib_s", ret.bandwidth);
    return 0;
}

static int run_postcopy(struct invocation *in, struct error *err)
{
    struct domain_migrate_start_post_copy_args args = {0};
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_migrate_start_post_copy(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot switch the migration of domain '%s' to post-copy", args.dom.name);
    return 0;
}

static int run_compcache(struct invocation *in, struct error *err)
{
    struct domain_migrate_set_compression_cache_args set = {0};
    struct domain_migrate_get_compression_cache_args get = {0};
    struct domain_migrate_get_compression_cache_ret ret;
    int given = option_size(in, "size", 1, &set.cache_size, err);
    if (given < 0 || domain_get(in, &set.dom, err) < 0)
        return -1;
    if (given && remote_domain_migrate_set_compression_cache(shell_client(in), &set, err) < 0)
        return command_failed(err, "cannot set the compression cache of domain '%s'", set.dom.name);
    get.dom = set.dom;
    if (remote_domain_migrate_get_compression_cache(shell_client(in), &get, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the compression cache of domain '%s'", get.dom.name);
    const char *unit;
    double size = human_size(ret.cache_size, &unit);
    output_value(in, "compression_cache", arena_printf(in->arena, "Compression cache: %.3f %s", size, unit),
                 json_integer((json_int_t)ret.cache_size));
    return 0;
}

static const struct command_option jobinfo_options[] = {
    DOMAIN_OPTION,
    {"completed", OPTION_BOOL, 0, "of the job that ended last"},
    {"keep-completed", OPTION_BOOL, 0, "the same, without forgetting it"},
    {"anystats", OPTION_BOOL, 0, "of failed jobs too"},
    {"rawstats", OPTION_BOOL, 0, "as the daemon says it"},
    {0},
};

static const struct command_option jobabort_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"postcopy", OPTION_BOOL, 0, "interrupt a post-copy migration"},
    {0},
};

static const struct command_option active_options[] = {DOMAIN_ACTIVE_OPTION, {0}};

static const struct command_option downtime_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"downtime", OPTION_NUMBER, OPTION_REQUIRED, "milliseconds for which the guest may stand still"},
    {0},
};

static const struct command_option setspeed_options[] = {
    DOMAIN_OPTION,
    {"bandwidth", OPTION_NUMBER, OPTION_REQUIRED, "MiB/s"},
    {"postcopy", OPTION_BOOL, 0, "of the post-copy phase"},
    {0},
};

static const struct command_option getspeed_options[] = {
    DOMAIN_OPTION,
    {"postcopy", OPTION_BOOL, 0, "of the post-copy phase"},
    {0},
};

static const struct command_option compcache_options[] = {
    DOMAIN_OPTION,
    {"size", OPTION_NUMBER, OPTION_NAMED, "new size in bytes or with a unit"},
    {0},
};

const struct command job_commands[] = {
    {"domjobabort", "domain", "abort the job that runs on a domain", NULL, jobabort_options, run_domjobabort},
    {"domjobinfo", "domain", "how far the job of a domain is", NULL, jobinfo_options, run_domjobinfo},
    {"migrate-compcache", "domain", "size of the compression cache of a migration", "Without --size shows it.",
     compcache_options, run_compcache},
    {"migrate-getmaxdowntime", "domain", "show for how long a migration may stop the guest", NULL, active_options,
     run_getmaxdowntime},
    {"migrate-getspeed", "domain", "show the bandwidth that a migration may use", NULL, getspeed_options, run_getspeed},
    {"migrate-postcopy", "domain", "switch a running migration to post-copy", "The migration must have been started "
     "with --postcopy.", active_options, run_postcopy},
    {"migrate-setmaxdowntime", "domain", "set for how long a migration may stop the guest", NULL, downtime_options,
     run_setmaxdowntime},
    {"migrate-setspeed", "domain", "set the bandwidth that a migration may use", NULL, setspeed_options, run_setspeed},
    {0},
};
