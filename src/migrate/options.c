/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/options.h"

#include <stddef.h>
#include <string.h>

#include "base/text.h"
#include "migrate/policy.h"
#include "model/domain.h"
#include "rpc/godwit_names.h"

/* One row a flag and one row a parameter; reading, refusing and passing on follow from them. */

static const struct {
    uint32_t bit;
    const char *option; /* as virsh spells it */
} flag_rows[] = {
    {MIGRATE_LIVE, "--live"},
    {MIGRATE_PEER2PEER, "--p2p"},
    {MIGRATE_TUNNELLED, "--tunnelled"},
    {MIGRATE_PERSIST_DEST, "--persistent"},
    {MIGRATE_UNDEFINE_SOURCE, "--undefinesource"},
    {MIGRATE_PAUSED, "--suspend"},
    {MIGRATE_NON_SHARED_DISK, "--copy-storage-all"},
    {MIGRATE_NON_SHARED_INC, "--copy-storage-inc"},
    {MIGRATE_CHANGE_PROTECTION, "--change-protection"},
    {MIGRATE_UNSAFE, "--unsafe"},
    {MIGRATE_OFFLINE, "--offline"},
    {MIGRATE_COMPRESSED, "--compressed"},
    {MIGRATE_ABORT_ON_ERROR, "--abort-on-error"},
    {MIGRATE_AUTO_CONVERGE, "--auto-converge"},
    {MIGRATE_RDMA_PIN_ALL, "--rdma-pin-all"},
    {MIGRATE_POSTCOPY, "--postcopy"},
    {MIGRATE_TLS, "--tls"},
    {MIGRATE_PARALLEL, "--parallel"},
    {MIGRATE_NON_SHARED_SYNCHRONOUS_WRITES, "--copy-storage-synchronous-writes"},
    {MIGRATE_POSTCOPY_RESUME, "--postcopy-resume"},
    {MIGRATE_ZEROCOPY, "--zerocopy"},
};

/* Later libvirts' names for what its 9.0 cannot say. */
#define PARAM_ZLIB_LEVEL "compression.zlib.level"
#define PARAM_ZSTD_LEVEL "compression.zstd.level"

static const struct {
    const char *name;
    enum migrate_method bit;
    bool parallel; /* what multifd does; else what multifd cannot do */
} methods[] = {
    {"xbzrle", MIGRATE_METHOD_XBZRLE, false},
    {"mt", MIGRATE_METHOD_MT, false},
    {"zlib", MIGRATE_METHOD_ZLIB, true},
    {"zstd", MIGRATE_METHOD_ZSTD, true},
};

enum row_kind { ROW_STRING, ROW_DISKS, ROW_U32, ROW_U64, ROW_LEVEL, ROW_METHOD };

/* Bounds are what QEMU takes: a percentage below 100, 255 channels, bandwidth and cache in 63 bits of bytes. */
static const struct row {
    const char *name;
    const char *option;
    int32_t type;
    enum row_kind kind;
    size_t offset;
    uint64_t max;
    uint32_t needs; /* the flag without which it makes no sense */
} rows[] = {
#define FIELD(member) offsetof(struct migrate_options, member)
    {MIGRATE_PARAM_URI, "--migrateuri", TYPED_PARAM_STRING, ROW_STRING, FIELD(uri), 0, 0},
    {MIGRATE_PARAM_DEST_NAME, "--dname", TYPED_PARAM_STRING, ROW_STRING, FIELD(dname), 0, 0},
    {MIGRATE_PARAM_DEST_XML, "--xml", TYPED_PARAM_STRING, ROW_STRING, FIELD(xml), 0, 0},
    {MIGRATE_PARAM_PERSIST_XML, "--persistent-xml", TYPED_PARAM_STRING, ROW_STRING, FIELD(persistent_xml), 0, 0},
    {MIGRATE_PARAM_LISTEN_ADDRESS, "--listen-address", TYPED_PARAM_STRING, ROW_STRING, FIELD(listen_address), 0, 0},
    {MIGRATE_PARAM_BANDWIDTH, "--bandwidth", TYPED_PARAM_ULLONG, ROW_U64, FIELD(bandwidth_mib), INT64_MAX >> 20, 0},
    {MIGRATE_PARAM_COMPRESSION, "--comp-methods", TYPED_PARAM_STRING, ROW_METHOD, 0, 0, MIGRATE_COMPRESSED},
    {MIGRATE_PARAM_COMPRESSION_XBZRLE_CACHE, "--comp-xbzrle-cache", TYPED_PARAM_ULLONG, ROW_U64, FIELD(xbzrle_cache),
     INT64_MAX, MIGRATE_COMPRESSED},
    {MIGRATE_PARAM_AUTO_CONVERGE_INITIAL, "--auto-converge-initial", TYPED_PARAM_INT, ROW_U32, FIELD(throttle_initial),
     99, MIGRATE_AUTO_CONVERGE},
    {MIGRATE_PARAM_AUTO_CONVERGE_INCREMENT, "--auto-converge-increment", TYPED_PARAM_INT, ROW_U32,
     FIELD(throttle_increment), 99, MIGRATE_AUTO_CONVERGE},
    {MIGRATE_PARAM_PARALLEL_CONNECTIONS, "--parallel-connections", TYPED_PARAM_INT, ROW_U32, FIELD(connections), 255,
     MIGRATE_PARALLEL},
    {MIGRATE_PARAM_MIGRATE_DISKS, "--migrate-disks", TYPED_PARAM_STRING, ROW_DISKS, 0, 0, MIGRATE_COPY_STORAGE},
    {MIGRATE_PARAM_DISKS_PORT, "--disks-port", TYPED_PARAM_INT, ROW_U32, FIELD(disks_port), UINT16_MAX,
     MIGRATE_COPY_STORAGE},
    {MIGRATE_PARAM_DISKS_URI, "--disks-uri", TYPED_PARAM_STRING, ROW_STRING, FIELD(disks_uri), 0, MIGRATE_COPY_STORAGE},
    {MIGRATE_PARAM_GRAPHICS_URI, "--graphicsuri", TYPED_PARAM_STRING, ROW_STRING, FIELD(graphics_uri), 0, 0},
    {MIGRATE_PARAM_COMPRESSION_MT_LEVEL, "--comp-mt-level", TYPED_PARAM_INT, ROW_LEVEL, FIELD(mt_level), 9,
     MIGRATE_COMPRESSED},
    {MIGRATE_PARAM_COMPRESSION_MT_THREADS, "--comp-mt-threads", TYPED_PARAM_INT, ROW_U32, FIELD(mt_threads), 255,
     MIGRATE_COMPRESSED},
    {MIGRATE_PARAM_COMPRESSION_MT_DTHREADS, "--comp-mt-dthreads", TYPED_PARAM_INT, ROW_U32, FIELD(mt_dthreads), 255,
     MIGRATE_COMPRESSED},
    {PARAM_ZLIB_LEVEL, "--comp-zlib-level", TYPED_PARAM_INT, ROW_LEVEL, FIELD(zlib_level), 9, MIGRATE_COMPRESSED},
    {PARAM_ZSTD_LEVEL, "--comp-zstd-level", TYPED_PARAM_INT, ROW_LEVEL, FIELD(zstd_level), 20, MIGRATE_COMPRESSED},
    {MIGRATE_PARAM_BANDWIDTH_POSTCOPY, "--postcopy-bandwidth", TYPED_PARAM_ULLONG, ROW_U64, FIELD(postcopy_mib),
     INT64_MAX >> 20, MIGRATE_POSTCOPY},
    {MIGRATE_PARAM_TLS_DESTINATION, "--tls-destination", TYPED_PARAM_STRING, ROW_STRING, FIELD(tls_name), 0,
     MIGRATE_TLS},
    {GODWIT_PARAM_POLICY, "--policy", TYPED_PARAM_STRING, ROW_STRING, FIELD(policy), 0, 0},
    {GODWIT_PARAM_MAX_PAUSE, "--max-pause", TYPED_PARAM_ULLONG, ROW_U32, FIELD(max_pause_ms), PAUSE_ANY_MS, 0},
    {GODWIT_PARAM_TIME_BUDGET, "--time-budget", TYPED_PARAM_ULLONG, ROW_U64, FIELD(time_budget_s),
     UINT32_MAX, 0},
    {GODWIT_PARAM_DISRUPTION, "--no-disruption", TYPED_PARAM_INT, ROW_LEVEL, FIELD(disruption), 1, 0},
    {GODWIT_PARAM_VERIFY, "--verify", TYPED_PARAM_ULLONG, ROW_U32, FIELD(verify), 1, 0},
#undef FIELD
};

static int check_flags(uint64_t flags, struct error *err)
{
    uint64_t known = 0;
    for (size_t i = 0; i < COUNT(flag_rows); i++)
        known |= flag_rows[i].bit;
    if (flags & ~known)
        return error_set(err, ERR_INVALID_ARG, "unknown migration flags 0x%llx (known here: 0x%llx)",
                         (unsigned long long)(flags & ~known), (unsigned long long)known);
    return 0;
}

static int check_policy(const struct migrate_options *options, struct error *err)
{
    const struct policy *policy = policy_find(options->policy, err);
    if (!policy)
        return -1;
    if (policy == policies && (options->max_pause_ms || options->time_budget_s || options->disruption))
        return error_set(err, ERR_INVALID_ARG,
                         "--max-pause, --time-budget and --no-disruption are about a --policy; none was given");
    return 0;
}

int migrate_options_check(const struct migrate_options *options, uint64_t flags, struct error *err)
{
    if (check_flags(flags, err) < 0 || check_policy(options, err) < 0)
        return -1;
    if ((flags & MIGRATE_COPY_STORAGE) == MIGRATE_COPY_STORAGE)
        return error_set(err, ERR_INVALID_ARG, "--copy-storage-all and --copy-storage-inc exclude each other");
    if (flags & MIGRATE_NON_SHARED_SYNCHRONOUS_WRITES && !(flags & MIGRATE_COPY_STORAGE))
        return error_set(err, ERR_INVALID_ARG,
                         "--copy-storage-synchronous-writes needs --copy-storage-all or --copy-storage-inc");
    if (flags & MIGRATE_POSTCOPY_RESUME && !(flags & MIGRATE_POSTCOPY))
        return error_set(err, ERR_INVALID_ARG, "--postcopy-resume needs --postcopy");
    if (flags & MIGRATE_POSTCOPY && flags & (MIGRATE_PARALLEL | MIGRATE_TUNNELLED))
        return error_set(err, ERR_ARGUMENT_UNSUPPORTED,
                         "--postcopy does not go together with --parallel or --tunnelled");
    if (flags & MIGRATE_TUNNELLED && (!(flags & MIGRATE_PEER2PEER) || flags & (MIGRATE_PARALLEL | MIGRATE_TLS)))
        return error_set(err, ERR_ARGUMENT_UNSUPPORTED,
                         "--tunnelled needs --p2p, and does not go together with --parallel or --tls (the daemons' "
                         "connection may be encrypted: use qemu+ssh)");
    if (flags & MIGRATE_ZEROCOPY && (!(flags & MIGRATE_PARALLEL) || flags & (MIGRATE_TLS | MIGRATE_COMPRESSED)))
        return error_set(err, ERR_INVALID_ARG,
                         "--zerocopy needs --parallel, and does not go together with --tls or --compressed");
    if (options->verify && flags & (MIGRATE_POSTCOPY | MIGRATE_OFFLINE))
        return error_set(err, ERR_ARGUMENT_UNSUPPORTED,
                         "--verify compares memory while the guest stands still at both ends; it does not go together "
                         "with --postcopy or --offline");
    if (flags & MIGRATE_RDMA_PIN_ALL)
        return error_set(err, ERR_ARGUMENT_UNSUPPORTED,
                         "--rdma-pin-all: guests are migrated over TCP here, not over RDMA; leave it out");
    if (options->bandwidth_mib > INT64_MAX >> 20)
        return error_set(err, ERR_INVALID_ARG, "migration bandwidth %llu MiB/s is too large (at most %lld)",
                         (unsigned long long)options->bandwidth_mib, (long long)(INT64_MAX >> 20));
    if (options->dname && domain_name_check(options->dname, err) < 0)
        return error_set(err, ERR_INVALID_ARG, "--dname: %s", err->message);
    return 0;
}

static int add_method(struct migrate_options *options, const char *name, struct error *err)
{
    bool parallel = options->flags & MIGRATE_PARALLEL;
    for (size_t i = 0; i < COUNT(methods); i++) {
        if (!string_equal(methods[i].name, name))
            continue;
        if (methods[i].parallel != parallel)
            return error_set(err, ERR_ARGUMENT_UNSUPPORTED, "--comp-methods %s is possible only %s --parallel", name,
                             parallel ? "without" : "with");
        options->methods |= methods[i].bit;
        return 0;
    }
    return error_set(err, ERR_INVALID_ARG,
                     "--comp-methods '%s' is not known; use xbzrle or mt, and with --parallel zlib or zstd", name);
}

/* The first of them. */
static const char *flag_option(uint32_t flags)
{
    for (size_t i = 0; i < COUNT(flag_rows); i++)
        if (flags & flag_rows[i].bit)
            return flag_rows[i].option;
    return "";
}

static void add_disk(struct migrate_options *options, const char *target, struct arena *arena)
{
    const char **longer = arena_new_array(arena, options->disk_count + 1, const char *);
    for (uint32_t i = 0; i < options->disk_count; i++)
        longer[i] = options->disks[i];
    longer[options->disk_count++] = arena_strdup(arena, target);
    options->disks = longer;
}

static int read_row(struct migrate_options *options, const struct row *row, const struct wire_typed_param *item,
                    struct arena *arena, struct error *err)
{
    char *field = (char *)options + row->offset;
    uint64_t number = 0;
    if (row->needs && !(options->flags & row->needs))
        return error_set(err, ERR_INVALID_ARG, "%s needs the flag of its feature (%s)", row->option,
                         flag_option(row->needs));
    switch (row->kind) {
    case ROW_METHOD:
        return add_method(options, item->value.s, err);
    case ROW_STRING:
        *(const char **)field = arena_strdup(arena, item->value.s);
        return 0;
    case ROW_DISKS:
        add_disk(options, item->value.s, arena);
        return 0;
    case ROW_U32:
    case ROW_U64:
    case ROW_LEVEL:
        if (params_get_u64(item, 1, row->name, &number, err) < 0)
            return -1;
        if (number > row->max)
            return error_set(err, ERR_INVALID_ARG, "%s is %llu; at most %llu is possible", row->option,
                             (unsigned long long)number, (unsigned long long)row->max);
        if (row->kind != ROW_U64)
            *(uint32_t *)field = (uint32_t)number + (row->kind == ROW_LEVEL);
        else
            *(uint64_t *)field = number;
        return 0;
    }
    return 0;
}

int migrate_options_read(struct migrate_options *options, const struct wire_typed_param *items, uint32_t count,
                         uint64_t flags, struct arena *arena, struct error *err)
{
    struct param_rule rules[COUNT(rows) + 1] = {0};
    for (size_t i = 0; i < COUNT(rows); i++)
        rules[i] = (struct param_rule){rows[i].name, rows[i].type,
                                       rows[i].kind == ROW_METHOD || rows[i].kind == ROW_DISKS};
    *options = (struct migrate_options){.flags = (uint32_t)flags};
    if (params_check(items, count, rules, err) < 0)
        return -1;
    for (uint32_t i = 0; i < count; i++)
        for (size_t row = 0; row < COUNT(rows); row++)
            if (strcmp(rows[row].name, items[i].field) == 0 &&
                read_row(options, &rows[row], &items[i], arena, err) < 0)
                return -1;
    return migrate_options_check(options, flags, err);
}

struct migrate_options migrate_options_copy(const struct migrate_options *options, struct arena *arena)
{
    struct migrate_options copy = *options;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].kind == ROW_STRING) {
            const char **field = (const char **)((char *)&copy + rows[i].offset);
            *field = arena_strdup(arena, *field);
        }
    copy.disk_count = 0;
    for (uint32_t i = 0; i < options->disk_count; i++)
        add_disk(&copy, options->disks[i], arena);
    return copy;
}

void migrate_options_forget_policy(struct migrate_options *options)
{
    options->policy = NULL;
    options->time_budget_s = 0;
    options->max_pause_ms = options->disruption = 0;
}

static void write_number(struct params *params, const struct row *row, uint64_t number)
{
    if (number && row->type == TYPED_PARAM_INT)
        params_add_i32(params, row->name, (int32_t)number);
    else if (number)
        params_add_u64(params, row->name, number);
}

void migrate_options_write(const struct migrate_options *options, struct params *params)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *field = (const char *)options + rows[i].offset;
        switch (rows[i].kind) {
        case ROW_STRING:
            params_add_string(params, rows[i].name, *(const char *const *)field);
            break;
        case ROW_DISKS:
            for (uint32_t disk = 0; disk < options->disk_count; disk++)
                params_add_string(params, rows[i].name, options->disks[disk]);
            break;
        case ROW_U32:
            write_number(params, &rows[i], *(const uint32_t *)field);
            break;
        case ROW_U64:
            write_number(params, &rows[i], *(const uint64_t *)field);
            break;
        case ROW_LEVEL:
            if (*(const uint32_t *)field)
                params_add_i32(params, rows[i].name, (int32_t)*(const uint32_t *)field - 1);
            break;
        case ROW_METHOD:
            for (size_t method = 0; method < COUNT(methods); method++)
                if (options->methods & methods[method].bit)
                    params_add_string(params, rows[i].name, methods[method].name);
            break;
        }
    }
}
