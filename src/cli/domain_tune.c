/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/text.h"
#include "cli/domain.h"
#include "cli/values.h"
#include "rpc/params.h"

/* Commands over one list of typed parameters each: without values they show it, with some they set those. */

enum field_kind {
    FIELD_U32,
    FIELD_U64,
    FIELD_BYTES, /* a size; plain numbers are bytes */
    FIELD_KIB,   /* a size; plain numbers are KiB, -1 is no limit */
    FIELD_STRING,
    FIELD_MODE,  /* of memory on NUMA nodes */
    FIELD_RATES, /* average,peak,burst,floor: four parameters that begin with `param` */
};

struct tune_field {
    const char *option, *param;
    enum field_kind kind;
};

struct tune {
    const char *command, *what;
    const struct tune_field *fields; /* ends with option NULL */
    int (*get)(struct invocation *in, const struct wire_domain *dom, unsigned flags, struct params *found,
               struct error *err);
    int (*set)(struct invocation *in, const struct wire_domain *dom, unsigned flags, const struct params *wanted,
               struct error *err);
};

static const char *const memory_modes[] = {"strict", "preferred", "interleave", "restrictive", NULL}; /* by number */

/* Reads a list in two steps: how many there are, then all of them. */
#define TUNE_GET(call, ...)                                                                                         \
    static int get_##call(struct invocation *in, const struct wire_domain *dom, unsigned flags, struct params *found, \
                          struct error *err)                                                                        \
    {                                                                                                               \
        struct domain_get_##call##_args args = {.dom = *dom, .flags = flags, ##__VA_ARGS__};                        \
        struct domain_get_##call##_ret ret;                                                                         \
        if (remote_domain_get_##call(shell_client(in), &args, in->arena, &ret, err) < 0)                            \
            return -1;                                                                                              \
        args.nparams = ret.nparams;                                                                                 \
        if (args.nparams && remote_domain_get_##call(shell_client(in), &args, in->arena, &ret, err) < 0)            \
            return -1;                                                                                              \
        *found = (struct params){.items = ret.params, .count = ret.params_count};                                   \
        return 0;                                                                                                   \
    }
#define TUNE_SET(call, ...)                                                                                         \
    static int set_##call(struct invocation *in, const struct wire_domain *dom, unsigned flags,                     \
                          const struct params *wanted, struct error *err)                                           \
    {                                                                                                               \
        struct domain_set_##call##_args args = {.dom = *dom, .flags = flags, .params = wanted->items,               \
                                                .params_count = wanted->count, ##__VA_ARGS__};                      \
        return remote_domain_set_##call(shell_client(in), &args, err);                                              \
    }

TUNE_GET(memory_parameters)
TUNE_SET(memory_parameters)
TUNE_GET(blkio_parameters)
TUNE_SET(blkio_parameters)
TUNE_GET(numa_parameters)
TUNE_SET(numa_parameters)
TUNE_GET(interface_parameters, .device = option_text(in, "interface"))
TUNE_SET(interface_parameters, .device = option_text(in, "interface"))
TUNE_GET(block_io_tune, .disk = option_text(in, "device"))
TUNE_SET(block_io_tune, .disk = option_text(in, "device"))
TUNE_SET(perf_events)

static int get_perf_events(struct invocation *in, const struct wire_domain *dom, unsigned flags, struct params *found,
                           struct error *err)
{
    struct domain_get_perf_events_args args = {.dom = *dom, .flags = flags};
    struct domain_get_perf_events_ret ret;
    if (remote_domain_get_perf_events(shell_client(in), &args, in->arena, &ret, err) < 0)
        return -1;
    *found = (struct params){.items = ret.params, .count = ret.params_count};
    return 0;
}

static const struct tune_field memory_fields[] = {
    {"hard-limit", DOMAIN_MEMORY_HARD_LIMIT, FIELD_KIB},
    {"soft-limit", DOMAIN_MEMORY_SOFT_LIMIT, FIELD_KIB},
    {"swap-hard-limit", DOMAIN_MEMORY_SWAP_HARD_LIMIT, FIELD_KIB},
    {"min-guarantee", DOMAIN_MEMORY_MIN_GUARANTEE, FIELD_KIB},
    {0},
};

static const struct tune_field blkio_fields[] = {
    {"weight", DOMAIN_BLKIO_WEIGHT, FIELD_U32},
    {"device-weights", DOMAIN_BLKIO_DEVICE_WEIGHT, FIELD_STRING},
    {"device-read-iops-sec", DOMAIN_BLKIO_DEVICE_READ_IOPS, FIELD_STRING},
    {"device-write-iops-sec", DOMAIN_BLKIO_DEVICE_WRITE_IOPS, FIELD_STRING},
    {"device-read-bytes-sec", DOMAIN_BLKIO_DEVICE_READ_BPS, FIELD_STRING},
    {"device-write-bytes-sec", DOMAIN_BLKIO_DEVICE_WRITE_BPS, FIELD_STRING},
    {0},
};

static const struct tune_field numa_fields[] = {
    {"mode", DOMAIN_NUMA_MODE, FIELD_MODE},
    {"nodeset", DOMAIN_NUMA_NODESET, FIELD_STRING},
    {0},
};

static const struct tune_field interface_fields[] = {
    {"inbound", "inbound", FIELD_RATES},
    {"outbound", "outbound", FIELD_RATES},
    {0},
};

static const struct tune_field iotune_fields[] = {
    {"total-bytes-sec", DOMAIN_BLOCK_IOTUNE_TOTAL_BYTES_SEC, FIELD_BYTES},
    {"read-bytes-sec", DOMAIN_BLOCK_IOTUNE_READ_BYTES_SEC, FIELD_BYTES},
    {"write-bytes-sec", DOMAIN_BLOCK_IOTUNE_WRITE_BYTES_SEC, FIELD_BYTES},
    {"total-iops-sec", DOMAIN_BLOCK_IOTUNE_TOTAL_IOPS_SEC, FIELD_U64},
    {"read-iops-sec", DOMAIN_BLOCK_IOTUNE_READ_IOPS_SEC, FIELD_U64},
    {"write-iops-sec", DOMAIN_BLOCK_IOTUNE_WRITE_IOPS_SEC, FIELD_U64},
    {"total-bytes-sec-max", DOMAIN_BLOCK_IOTUNE_TOTAL_BYTES_SEC_MAX, FIELD_BYTES},
    {"read-bytes-sec-max", DOMAIN_BLOCK_IOTUNE_READ_BYTES_SEC_MAX, FIELD_BYTES},
    {"write-bytes-sec-max", DOMAIN_BLOCK_IOTUNE_WRITE_BYTES_SEC_MAX, FIELD_BYTES},
    {"total-iops-sec-max", DOMAIN_BLOCK_IOTUNE_TOTAL_IOPS_SEC_MAX, FIELD_U64},
    {"read-iops-sec-max", DOMAIN_BLOCK_IOTUNE_READ_IOPS_SEC_MAX, FIELD_U64},
    {"write-iops-sec-max", DOMAIN_BLOCK_IOTUNE_WRITE_IOPS_SEC_MAX, FIELD_U64},
    {"size-iops-sec", DOMAIN_BLOCK_IOTUNE_SIZE_IOPS_SEC, FIELD_U64},
    {"group-name", DOMAIN_BLOCK_IOTUNE_GROUP_NAME, FIELD_STRING},
    {"total-bytes-sec-max-length", DOMAIN_BLOCK_IOTUNE_TOTAL_BYTES_SEC_MAX_LENGTH, FIELD_U64},
    {"read-bytes-sec-max-length", DOMAIN_BLOCK_IOTUNE_READ_BYTES_SEC_MAX_LENGTH, FIELD_U64},
    {"write-bytes-sec-max-length", DOMAIN_BLOCK_IOTUNE_WRITE_BYTES_SEC_MAX_LENGTH, FIELD_U64},
    {"total-iops-sec-max-length", DOMAIN_BLOCK_IOTUNE_TOTAL_IOPS_SEC_MAX_LENGTH, FIELD_U64},
    {"read-iops-sec-max-length", DOMAIN_BLOCK_IOTUNE_READ_IOPS_SEC_MAX_LENGTH, FIELD_U64},
    {"write-iops-sec-max-length", DOMAIN_BLOCK_IOTUNE_WRITE_IOPS_SEC_MAX_LENGTH, FIELD_U64},
    {0},
};

static const struct tune_field no_fields[] = {{0}};

static const struct tune tunes[] = {
    {"memtune", "memory limits", memory_fields, get_memory_parameters, set_memory_parameters},
    {"blkiotune", "weights and limits of block I/O", blkio_fields, get_blkio_parameters, set_blkio_parameters},
    {"numatune", "placement on NUMA nodes", numa_fields, get_numa_parameters, set_numa_parameters},
    {"domiftune", "rates of the interface", interface_fields, get_interface_parameters, set_interface_parameters},
    {"blkdeviotune", "I/O limits of the disk", iotune_fields, get_block_io_tune, set_block_io_tune},
    {"perf", "performance events", no_fields, get_perf_events, set_perf_events},
};

static const struct tune *tune_of(const struct invocation *in)
{
    for (size_t i = 0; i < COUNT(tunes); i++)
        if (strcmp(tunes[i].command, in->command->name) == 0)
            return &tunes[i];
    abort(); /* a slip in the table of commands */
}

static int add_mode(struct invocation *in, const struct tune_field *field, struct params *wanted, struct error *err)
{
    const char *text = option_text(in, field->option);
    int32_t number;
    if (parse_i32(text, 10, &number) < 0 && (number = word_index("mode", text, memory_modes, err)) < 0)
        return -1;
    if (number < 0 || number > DOMAIN_NUMATUNE_MEM_RESTRICTIVE)
        return error_set(err, ERR_INVALID_ARG, "--mode takes a word or a number from 0 to 3, not '%s'", text);
    params_add_i32(wanted, field->param, number);
    return 0;
}

static int add_rates(struct invocation *in, const struct tune_field *field, struct params *wanted, struct error *err)
{
    static const char *const parts[] = {"average", "peak", "burst", "floor"};
    char *rest = arena_strdup(in->arena, option_text(in, field->option));
    size_t count = strcmp(field->option, "outbound") == 0 ? 3 : 4; /* a floor is for what comes in */
    bool good = true;
    for (size_t i = 0; i < count && rest; i++) {
        uint32_t value = 0;
        const char *word = strsep(&rest, ",");
        good &= (*word || i) && (!*word || parse_u32(word, 10, &value) == 0);
        if (*word)
            params_add_u32(wanted, arena_printf(in->arena, "%s.%s", field->param, parts[i]), value);
    }
    if (good && !rest)
        return 0;
    return error_set(err, ERR_INVALID_ARG, "--%s takes average,peak,burst%s in KiB, not '%s'", field->option,
                     count == 4 ? ",floor" : "", option_text(in, field->option));
}

static int add_field(struct invocation *in, const struct tune_field *field, struct params *wanted, struct error *err)
{
    const char *text = option_text(in, field->option);
    uint64_t value = 0;
    switch (field->kind) {
    case FIELD_STRING: params_add_string(wanted, field->param, text); return 0;
    case FIELD_MODE: return add_mode(in, field, wanted, err);
    case FIELD_RATES: return add_rates(in, field, wanted, err);
    case FIELD_U32:
        if (option_u64(in, field->option, UINT32_MAX, &value, err) < 0)
            return -1;
        params_add_u32(wanted, field->param, (uint32_t)value);
        return 0;
    case FIELD_KIB:
        if (strcmp(text, "-1") == 0)
            value = DOMAIN_MEMORY_PARAM_UNLIMITED;
        else if (option_size(in, field->option, 1024, &value, err) < 0)
            return -1;
        else
            value /= 1024;
        break;
    case FIELD_BYTES:
        if (option_size(in, field->option, 1, &value, err) < 0)
            return -1;
        break;
    case FIELD_U64:
        if (option_u64(in, field->option, UINT64_MAX, &value, err) < 0)
            return -1;
        break;
    }
    params_add_u64(wanted, field->param, value);
    return 0;
}

/* --enable and --disable a,b,... */
static void add_events(struct invocation *in, const char *option, bool on, struct params *wanted)
{
    char *rest = arena_strdup(in->arena, option_text(in, option));
    for (char *word; rest && (word = strsep(&rest, ","));)
        params_add_bool(wanted, word, on);
}

/* How people read a value; NULL = as it is. */
static const char *value_words(const struct tune *tune, const struct wire_typed_param *param)
{
    if (param->value.type == TYPED_PARAM_BOOLEAN)
        return param->value.b ? "enabled" : "disabled";
    if (tune->fields == memory_fields && param->value.type == TYPED_PARAM_ULLONG &&
        param->value.ul >= DOMAIN_MEMORY_PARAM_UNLIMITED)
        return "unlimited";
    bool mode = tune->fields == numa_fields && strcmp(param->field, DOMAIN_NUMA_MODE) == 0;
    return mode && param->value.i >= 0 && param->value.i <= DOMAIN_NUMATUNE_MEM_RESTRICTIVE
               ? memory_modes[param->value.i] : NULL;
}

static void print_params(const struct invocation *in, const struct tune *tune, const struct params *found)
{
    struct record *record = record_new(in->arena);
    for (uint32_t i = 0; i < found->count; i++) {
        const struct wire_typed_param *param = &found->items[i];
        const char *words = value_words(tune, param);
        bool plain = !words || param->value.type == TYPED_PARAM_BOOLEAN;
        record_line(record, param->field, plain ? value_json(param) : json_string(words), "%-15s: %s", param->field,
                    words ? words : value_text(in->arena, param));
    }
    record_print(record, in, 0);
}

static int run_tune(struct invocation *in, struct error *err)
{
    const struct tune *tune = tune_of(in);
    struct wire_domain dom;
    struct params params;
    unsigned flags;
    params_init(&params, in->arena);
    if (domain_affect(in, &flags, err) < 0)
        return -1;
    for (const struct tune_field *field = tune->fields; field->option; field++)
        if (option_given(in, field->option) && add_field(in, field, &params, err) < 0)
            return -1;
    if (tune->fields == no_fields) {
        add_events(in, "enable", true, &params);
        add_events(in, "disable", false, &params);
    }
    if (domain_get(in, &dom, err) < 0)
        return -1;
    if (params.count)
        return tune->set(in, &dom, flags, &params, err) == 0
                   ? 0 : command_failed(err, "cannot change the %s of domain '%s'", tune->what, dom.name);
    if (tune->get(in, &dom, flags, &params, err) < 0)
        return command_failed(err, "cannot read the %s of domain '%s'", tune->what, dom.name);
    print_params(in, tune, &params);
    return 0;
}

static int get_schedule(struct invocation *in, const struct wire_domain *dom, unsigned flags, const char **type,
                        struct params *found, struct error *err)
{
    struct domain_get_scheduler_type_args type_args = {.dom = *dom};
    struct domain_get_scheduler_type_ret type_ret;
    struct domain_get_scheduler_parameters_flags_args args = {.dom = *dom, .flags = flags};
    struct domain_get_scheduler_parameters_flags_ret ret;
    if (remote_domain_get_scheduler_type(shell_client(in), &type_args, in->arena, &type_ret, err) < 0)
        return -1;
    args.nparams = type_ret.nparams;
    if (remote_domain_get_scheduler_parameters_flags(shell_client(in), &args, in->arena, &ret, err) < 0)
        return -1;
    *type = type_ret.type;
    *found = (struct params){.items = ret.params, .count = ret.params_count};
    return 0;
}

/* NAME=VALUE becomes a parameter of the type that the daemon's own has. */
static int add_assignment(struct invocation *in, const char *word, const struct params *known, struct params *wanted,
                          struct error *err)
{
    const char *equal = strchr(word, '=');
    if (!equal)
        return error_set(err, ERR_INVALID_ARG, "--set takes NAME=VALUE, not '%s'", word);
    const char *name = arena_strndup(in->arena, word, equal - word);
    const struct wire_typed_param *now = params_find(known->items, known->count, name);
    uint64_t large = 0;
    int64_t number = 0;
    if (!now)
        return error_set(err, ERR_INVALID_ARG, "there is no scheduler parameter '%s'; schedinfo without --set shows "
                         "them", name);
    bool is_unsigned = now->value.type == TYPED_PARAM_ULLONG;
    if (is_unsigned ? parse_u64(equal + 1, 0, &large) < 0 : parse_i64(equal + 1, 0, &number) < 0)
        return error_set(err, ERR_INVALID_ARG, "the scheduler parameter '%s' takes a number, not '%s'", name,
                         equal + 1);
    if (is_unsigned)
        params_add_u64(wanted, name, large);
    else
        params_add_i64(wanted, name, number);
    return 0;
}

static int run_schedinfo(struct invocation *in, struct error *err)
{
    struct domain_set_scheduler_parameters_flags_args set = {0};
    struct params known, wanted;
    const char *type;
    params_init(&wanted, in->arena);
    if (domain_affect(in, &set.flags, err) < 0 || domain_get(in, &set.dom, err) < 0)
        return -1;
    if (get_schedule(in, &set.dom, set.flags, &type, &known, err) < 0)
        return command_failed(err, "cannot read how domain '%s' is scheduled", set.dom.name);
    for (size_t i = 0; i < in->rest_count; i++)
        if (add_assignment(in, in->rest[i], &known, &wanted, err) < 0)
            return -1;
    set.params = wanted.items;
    set.params_count = wanted.count;
    if (wanted.count && (remote_domain_set_scheduler_parameters_flags(shell_client(in), &set, err) < 0 ||
                         get_schedule(in, &set.dom, set.flags, &type, &known, err) < 0))
        return command_failed(err, "cannot change how domain '%s' is scheduled", set.dom.name);
    struct record *record = record_new(in->arena);
    record_line(record, "scheduler", json_string(type), "%-15s: %s", "Scheduler", type);
    values_record(in, record, known.items, known.count, 15);
    record_print(record, in, 0);
    return 0;
}

static int run_domlaunchsecinfo(struct invocation *in, struct error *err)
{
    struct domain_get_launch_security_info_args args = {0};
    struct domain_get_launch_security_info_ret ret;
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_get_launch_security_info(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the launch security of domain '%s'", args.dom.name);
    values_print(in, ret.params, ret.params_count, 15);
    return 0;
}

static const struct command_option memtune_options[] = {
    DOMAIN_OPTION,
    {"hard-limit", OPTION_NUMBER, 0, "most memory of its QEMU, in KiB or with a unit; -1 = no limit"},
    {"soft-limit", OPTION_NUMBER, 0, "most while the host is short of memory"},
    {"swap-hard-limit", OPTION_NUMBER, 0, "most memory and swap together"},
    {"min-guarantee", OPTION_NUMBER, 0, "least memory"},
    DOMAIN_AFFECT_OPTIONS,
    {0},
};

static const struct command_option blkiotune_options[] = {
    DOMAIN_OPTION,
    {"weight", OPTION_NUMBER, 0, "weight of its I/O"},
    {"device-weights", OPTION_STRING, 0, "weights for each device: /dev/sda,WEIGHT,..."},
    {"device-read-iops-sec", OPTION_STRING, 0, "reads per second for each device: /dev/sda,N,..."},
    {"device-write-iops-sec", OPTION_STRING, 0, "writes per second for each device"},
    {"device-read-bytes-sec", OPTION_STRING, 0, "bytes read per second for each device"},
    {"device-write-bytes-sec", OPTION_STRING, 0, "bytes written per second for each device"},
    DOMAIN_AFFECT_OPTIONS,
    {0},
};

static const struct command_option numatune_options[] = {
    DOMAIN_OPTION,
    {"mode", OPTION_STRING, 0, "strict, preferred, interleave or restrictive"},
    {"nodeset", OPTION_STRING, 0, "nodes, like 0-1"},
    DOMAIN_AFFECT_OPTIONS,
    {0},
};

static const struct command_option domiftune_options[] = {
    DOMAIN_OPTION,
    {"interface", OPTION_STRING, OPTION_REQUIRED, "device on the host, or MAC address"},
    {"inbound", OPTION_STRING, 0, "what comes in: average,peak,burst,floor in KiB"},
    {"outbound", OPTION_STRING, 0, "what goes out: average,peak,burst in KiB"},
    DOMAIN_AFFECT_OPTIONS,
    {0},
};

#define PER_SECOND(which, what)                                                                     \
    {"total-" which, OPTION_NUMBER, 0, what ", reads and writes together"},              \
    {"read-" which, OPTION_NUMBER, 0, what ", reads"},                                   \
    {"write-" which, OPTION_NUMBER, 0, what ", writes"}

static const struct command_option blkdeviotune_options[] = {
    DOMAIN_OPTION,
    {"device", OPTION_STRING, OPTION_REQUIRED, "target or source of the disk"},
    PER_SECOND("bytes-sec", "bytes per second"),
    PER_SECOND("iops-sec", "operations per second"),
    PER_SECOND("bytes-sec-max", "bytes per second in a burst"),
    PER_SECOND("iops-sec-max", "operations per second in a burst"),
    {"size-iops-sec", OPTION_NUMBER, 0, "bytes that count as one operation"},
    {"group-name", OPTION_STRING, 0, "disks of the same group share their limits"},
    PER_SECOND("bytes-sec-max-length", "seconds of a burst of bytes"),
    PER_SECOND("iops-sec-max-length", "seconds of a burst of operations"),
    DOMAIN_AFFECT_OPTIONS,
    {0},
};

static const struct command_option domain_options[] = {DOMAIN_OPTION, {0}};

static const struct command_option schedinfo_options[] = {
    DOMAIN_OPTION,
    {"current", OPTION_BOOL, 0, "for the state that it is in"},
    {"config", OPTION_BOOL, 0, "for the next boot"},
    {"live", OPTION_BOOL, 0, "for the running domain"},
    {"set", OPTION_REST, 0, "parameters to change, each as NAME=VALUE"},
    {0},
};

static const struct command_option perf_options[] = {
    DOMAIN_OPTION,
    {"enable", OPTION_STRING, 0, "events to count, with commas between them"},
    {"disable", OPTION_STRING, 0, "events not to count any more"},
    DOMAIN_AFFECT_OPTIONS,
    {0},
};

const struct command tune_commands[] = {
    {"blkdeviotune", "domain", "show or set the I/O limits of a disk", NULL, blkdeviotune_options, run_tune},
    {"blkiotune", "domain", "show or set weights and limits of a domain's block I/O", NULL, blkiotune_options,
     run_tune},
    {"domlaunchsecinfo", "domain", "how the start of a domain is secured", NULL, domain_options, run_domlaunchsecinfo},
    {"schedinfo", "domain", "show or set how a domain is scheduled", NULL, schedinfo_options, run_schedinfo},
    {"domiftune", "domain", "show or set the rates of a network interface", NULL, domiftune_options, run_tune},
    {"memtune", "domain", "show or set the memory limits of a domain", NULL, memtune_options, run_tune},
    {"numatune", "domain", "show or set where a domain's memory lies", NULL, numatune_options, run_tune},
    {"perf", "domain", "show or set which performance events are counted", NULL, perf_options, run_tune},
    {0},
};
