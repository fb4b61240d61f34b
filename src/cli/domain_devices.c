/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "cli/domain.h"
#include "rpc/params.h"

typedef int (*row_function)(struct invocation *in, struct document *document, xmlNode *node, void *owner,
                            struct error *err);

/* Calls row() for each node of the expression. */
static int each_node(struct invocation *in, struct document *document, const char *expression, row_function row,
                     void *owner, struct error *err)
{
    xmlXPathObject *found = document_query(document, expression);
    int result = 0;
    for (int i = 0; result == 0 && found && found->nodesetval && i < found->nodesetval->nodeNr; i++)
        result = row(in, document, found->nodesetval->nodeTab[i], owner, err);
    xmlXPathFreeObject(found);
    return result;
}

/* Where a disk's data is, whatever its type. */
static const char *disk_source(struct arena *arena, struct document *document, xmlNode *disk)
{
    const char *type = document_string(arena, document, disk, "@type") ?: "";
    if (strcmp(type, "network") == 0) {
        const char *name = document_string(arena, document, disk, "source/@name");
        return name ?: document_string(arena, document, disk, "source/host/@name");
    }
    if (strcmp(type, "volume") == 0) {
        const char *pool = document_string(arena, document, disk, "source/@pool");
        return pool ? arena_printf(arena, "%s/%s", pool, document_string(arena, document, disk, "source/@volume") ?: "")
                    : NULL;
    }
    return document_string(arena, document, disk, "source/@file|source/@dev|source/@dir|source/@path|source/@name");
}

static int disk_row(struct invocation *in, struct document *document, xmlNode *disk, void *owner, struct error *err)
{
    table_row(owner, document_string(in->arena, document, disk, "@type"),
              document_string(in->arena, document, disk, "@device"),
              document_string(in->arena, document, disk, "target/@dev"), disk_source(in->arena, document, disk));
    return 0;
}

/* A table of what the expression finds in the domain's XML. */
static int print_devices(struct invocation *in, const char *expression, row_function row, const struct column *columns,
                         size_t column_count, struct error *err)
{
    struct wire_domain dom;
    scoped_document struct document *document =
        domain_get_document(in, &dom, option_given(in, "inactive") ? DOMAIN_XML_INACTIVE : 0, err);
    if (!document)
        return -1;
    struct table *table = table_new(in->arena, columns, column_count);
    if (each_node(in, document, expression, row, table, err) < 0)
        return -1;
    table_print(table, in);
    return 0;
}

static int run_domblklist(struct invocation *in, struct error *err)
{
    bool details = option_given(in, "details");
    const struct column columns[] = {{"type", details ? "Type" : NULL}, {"device", details ? "Device" : NULL},
                                     {"target", "Target"}, {"source", "Source"}};
    return print_devices(in, "/domain/devices/disk", disk_row, columns, COUNT(columns), err);
}

static int interface_row(struct invocation *in, struct document *document, xmlNode *node, void *owner,
                         struct error *err)
{
    table_row(owner, document_string(in->arena, document, node, "target/@dev"),
              document_string(in->arena, document, node, "@type"),
              document_string(in->arena, document, node, "source/@network|source/@bridge|source/@dev|source/@name"),
              document_string(in->arena, document, node, "model/@type"),
              document_string(in->arena, document, node, "mac/@address"));
    return 0;
}

static int run_domiflist(struct invocation *in, struct error *err)
{
    static const struct column columns[] = {{"interface", "Interface"}, {"type", "Type"}, {"source", "Source"},
                                            {"model", "Model"}, {"mac", "MAC"}};
    return print_devices(in, "/domain/devices/interface", interface_row, columns, COUNT(columns), err);
}

static char *size_text(struct invocation *in, uint64_t bytes)
{
    const char *unit;
    if (!option_given(in, "human"))
        return arena_printf(in->arena, "%" PRIu64, bytes);
    double value = human_size(bytes, &unit);
    return arena_printf(in->arena, "%-.3f %s", value, unit);
}

struct blkinfo_list {
    const struct wire_domain *dom;
    struct table *table;
};

static int blkinfo_row(struct invocation *in, struct document *document, xmlNode *disk, void *owner,
                       struct error *err)
{
    struct blkinfo_list *list = owner;
    const char *target = document_string(in->arena, document, disk, "target/@dev");
    struct domain_get_block_info_args args = {.dom = *list->dom, .path = target};
    struct domain_get_block_info_ret ret;
    struct error local = {0};
    if (!target)
        return 0;
    if (!disk_source(in->arena, document, disk) ||
        remote_domain_get_block_info(shell_client(in), &args, in->arena, &ret, &local) < 0)
        table_row(list->table, target, NULL, NULL, NULL); /* an empty drive, or a source that cannot be asked now */
    else
        table_row(list->table, target, size_text(in, ret.capacity), size_text(in, ret.allocation),
                  size_text(in, ret.physical));
    return 0;
}

static int blkinfo_all(struct invocation *in, const struct wire_domain *dom, struct error *err)
{
    enum cell_kind kind = option_given(in, "human") ? CELL_TEXT : CELL_NUMBER;
    const struct column columns[] = {{"target", "Target"}, {"capacity", "Capacity", kind},
                                     {"allocation", "Allocation", kind}, {"physical", "Physical", kind}};
    scoped_document struct document *document = domain_document(in, dom, 0, err);
    if (!document)
        return -1;
    struct blkinfo_list list = {.dom = dom, .table = table_new(in->arena, columns, COUNT(columns))};
    if (each_node(in, document, "/domain/devices/disk", blkinfo_row, &list, err) < 0)
        return -1;
    table_print(list.table, in);
    return 0;
}

static int run_domblkinfo(struct invocation *in, struct error *err)
{
    struct domain_get_block_info_args args = {.path = option_text(in, "device")};
    struct domain_get_block_info_ret ret;
    if (option_exclusive(in, err, "all", "device", NULL) < 0)
        return -1;
    if (!args.path && !option_given(in, "all"))
        return error_set(err, ERR_INVALID_ARG, "domblkinfo needs a device (see domblklist) or --all");
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    if (option_given(in, "all"))
        return blkinfo_all(in, &args.dom, err);
    if (remote_domain_get_block_info(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the size of '%s' of domain '%s'", args.path, args.dom.name);
    struct record *record = record_new(in->arena);
    record_add(record, "capacity", "Capacity", size_text(in, ret.capacity), json_integer((json_int_t)ret.capacity));
    record_add(record, "allocation", "Allocation", size_text(in, ret.allocation),
               json_integer((json_int_t)ret.allocation));
    record_add(record, "physical", "Physical", size_text(in, ret.physical), json_integer((json_int_t)ret.physical));
    record_print(record, in, 16);
    return 0;
}

/* The daemon's names, virsh's short ones, and what they mean. */
static const struct {
    const char *field, *name, *meaning;
} block_fields[] = {
    {DOMAIN_BLOCK_STATS_READ_REQ, "rd_req", "number of read operations"},
    {DOMAIN_BLOCK_STATS_READ_BYTES, "rd_bytes", "number of bytes read"},
    {DOMAIN_BLOCK_STATS_WRITE_REQ, "wr_req", "number of write operations"},
    {DOMAIN_BLOCK_STATS_WRITE_BYTES, "wr_bytes", "number of bytes written"},
    {DOMAIN_BLOCK_STATS_ERRS, "errs", "error count"},
    {DOMAIN_BLOCK_STATS_FLUSH_REQ, "flush_operations", "number of flush operations"},
    {DOMAIN_BLOCK_STATS_READ_TOTAL_TIMES, "rd_total_times", "total duration of reads (ns)"},
    {DOMAIN_BLOCK_STATS_WRITE_TOTAL_TIMES, "wr_total_times", "total duration of writes (ns)"},
    {DOMAIN_BLOCK_STATS_FLUSH_TOTAL_TIMES, "flush_total_times", "total duration of flushes (ns)"},
};

static int run_domblkstat(struct invocation *in, struct error *err)
{
    /* "" is every disk together; the first call asks how many values there are */
    struct domain_block_stats_flags_args args = {.path = option_text(in, "device") ?: "",
                                                 .flags = TYPED_PARAM_STRING_OKAY};
    struct domain_block_stats_flags_ret ret;
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    int result = remote_domain_block_stats_flags(shell_client(in), &args, in->arena, &ret, err);
    args.nparams = result == 0 ? ret.nparams : 0;
    if (result < 0 || remote_domain_block_stats_flags(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the statistics of the disk '%s' of domain '%s'", args.path,
                              args.dom.name);
    struct record *record = record_new(in->arena);
    if (option_given(in, "human"))
        record_line(record, NULL, NULL, "Device: %s", args.path);
    for (size_t i = 0; i < COUNT(block_fields); i++) {
        uint64_t value;
        if (params_get_u64(ret.params, ret.params_count, block_fields[i].field, &value, NULL) <= 0)
            continue;
        const char *meaning = arena_printf(in->arena, "%s:", block_fields[i].meaning);
        const char *line = option_given(in, "human") ? arena_printf(in->arena, " %-31s %" PRIu64, meaning, value)
                                                     : arena_printf(in->arena, "%s %s %" PRIu64, args.path,
                                                                    block_fields[i].name, value);
        record_line(record, block_fields[i].name, json_integer((json_int_t)value), "%s", line);
    }
    record_print(record, in, 0);
    return 0;
}

static char *lower_case(struct arena *arena, const char *word)
{
    char *lower = arena_strdup(arena, word);
    for (char *c = lower; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return lower;
}

static bool is_mac(const char *word)
{
    return strlen(word) == 17 && strspn(word, "0123456789abcdefABCDEF:") == 17;
}

/* A device by its name on the host as it is; by MAC through the XML. */
static const char *interface_name(struct invocation *in, const struct wire_domain *dom, const char *word,
                                  struct error *err)
{
    if (!is_mac(word))
        return word;
    scoped_document struct document *document = domain_document(in, dom, 0, err);
    if (!document)
        return NULL;
    const char *name = document_string(in->arena, document, NULL,
                                       arena_printf(in->arena,
                                                    "/domain/devices/interface[mac/@address='%s']/target/@dev",
                                                    lower_case(in->arena, word)));
    if (!name)
        error_set(err, ERR_INVALID_ARG, "domain '%s' has no interface with the MAC address %s that has a device on the "
                  "host; see domiflist", dom->name, word);
    return name;
}

static int run_domifstat(struct invocation *in, struct error *err)
{
    struct domain_interface_stats_args args = {0};
    struct domain_interface_stats_ret ret;
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    args.device = interface_name(in, &args.dom, option_text(in, "interface"), err);
    if (!args.device)
        return -1;
    if (remote_domain_interface_stats(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the statistics of the interface '%s' of domain '%s'", args.device,
                          args.dom.name);
    const struct {
        const char *name;
        int64_t value;
    } rows[] = {
        {"rx_bytes", ret.rx_bytes}, {"rx_packets", ret.rx_packets}, {"rx_errs", ret.rx_errs}, {"rx_drop", ret.rx_drop},
        {"tx_bytes", ret.tx_bytes}, {"tx_packets", ret.tx_packets}, {"tx_errs", ret.tx_errs}, {"tx_drop", ret.tx_drop},
    };
    struct record *record = record_new(in->arena);
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].value >= 0) /* -1: the daemon does not know */
            record_line(record, rows[i].name, json_integer(rows[i].value), "%s %s %" PRId64, args.device, rows[i].name,
                        rows[i].value);
    record_print(record, in, 0);
    return 0;
}

static int run_domblkerror(struct invocation *in, struct error *err)
{
    static const char *const words[] = {[DOMAIN_DISK_ERROR_NONE] = "no error",
                                        [DOMAIN_DISK_ERROR_UNSPEC] = "unspecified error",
                                        [DOMAIN_DISK_ERROR_NO_SPACE] = "no space"};
    struct domain_get_disk_errors_args args = {0};
    struct domain_get_disk_errors_ret ret;
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    int result = remote_domain_get_disk_errors(shell_client(in), &args, in->arena, &ret, err);
    args.maxerrors = result == 0 ? (uint32_t)ret.nerrors : 0;
    if (args.maxerrors)
        result = remote_domain_get_disk_errors(shell_client(in), &args, in->arena, &ret, err);
    if (result < 0)
        return command_failed(err, "cannot read the disk errors of domain '%s'", args.dom.name);
    scoped_listing struct listing listing;
    listing_init(&listing, in);
    for (uint32_t i = 0; i < ret.errors_count; i++) {
        int error = ret.errors[i].error;
        const char *word = error >= 0 && error < (int)COUNT(words) ? words[error] : "unknown error";
        struct record *record = record_new(in->arena);
        record_line(record, "disk", json_string(ret.errors[i].disk), "%s: %s", ret.errors[i].disk, word);
        record_text(record, "error", NULL, word);
        listing_add(&listing, record, 0);
    }
    if (!ret.errors_count && !output_is_json(in))
        puts("No errors found");
    listing_end(&listing);
    return 0;
}

static int run_domif_getlink(struct invocation *in, struct error *err)
{
    struct wire_domain dom;
    const char *word = option_text(in, "interface");
    bool mac = is_mac(word);
    if (strpbrk(word, "'\""))
        return error_set(err, ERR_INVALID_ARG, "'%s' is no interface", word);
    scoped_document struct document *document =
        domain_get_document(in, &dom, option_given(in, "config") ? DOMAIN_XML_INACTIVE : 0, err);
    if (!document)
        return -1;
    const char *path = arena_printf(in->arena, mac ? "/domain/devices/interface[mac/@address='%s']"
                                                   : "/domain/devices/interface[target/@dev='%s']",
                                    mac ? lower_case(in->arena, word) : word);
    if (!document_string(in->arena, document, NULL, path))
        return error_set(err, ERR_INVALID_ARG, "domain '%s' has no interface '%s'; see domiflist", dom.name, word);
    const char *state = document_string(in->arena, document, NULL, arena_printf(in->arena, "%s/link/@state", path));
    struct record *record = record_new(in->arena);
    record_text(record, "interface", NULL, word);
    record_line(record, "state", json_string(state ? state : "up"), "%s %s", word, state ? state : "up");
    record_print(record, in, 0);
    return 0;
}

static int run_blockresize(struct invocation *in, struct error *err)
{
    struct domain_block_resize_args args = {.disk = option_text(in, "path"), .flags = DOMAIN_BLOCK_RESIZE_BYTES};
    if (option_size(in, "size", 1024, &args.size, err) < 0 || domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_block_resize(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot resize '%s' of domain '%s'", args.disk, args.dom.name);
    output_note(in, "Block device '%s' is resized", args.disk);
    return 0;
}

static int run_domblkthreshold(struct invocation *in, struct error *err)
{
    struct domain_set_block_threshold_args args = {.dev = option_text(in, "dev")};
    if (option_size(in, "threshold", 1, &args.threshold, err) < 0 || domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_set_block_threshold(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot watch how full '%s' of domain '%s' is", args.dev, args.dom.name);
    return 0;
}

static const struct command_option domblkerror_options[] = {DOMAIN_ACTIVE_OPTION, {0}};

static const struct command_option getlink_options[] = {
    DOMAIN_OPTION,
    {"interface", OPTION_STRING, OPTION_REQUIRED, "device on the host, or MAC address"},
    {"config", OPTION_BOOL, 0, "of the definition"},
    {0},
};

static const struct command_option blockresize_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"path", OPTION_STRING, OPTION_REQUIRED, "target or source of the disk"},
    {"size", OPTION_NUMBER, OPTION_REQUIRED, "new size, in KiB or with a unit"},
    {0},
};

static const struct command_option threshold_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"dev", OPTION_STRING, OPTION_REQUIRED, "target of the disk"},
    {"threshold", OPTION_NUMBER, OPTION_REQUIRED, "bytes written, or with a unit, at which an event comes"},
    {0},
};

static const struct command_option domblklist_options[] = {
    DOMAIN_OPTION,
    {"inactive", OPTION_BOOL, 0, "those of the definition"},
    {"details", OPTION_BOOL, 0, "show type and device too"},
    {0},
};

static const struct command_option domiflist_options[] = {
    DOMAIN_OPTION,
    {"inactive", OPTION_BOOL, 0, "those of the definition"},
    {0},
};

static const struct command_option domblkinfo_options[] = {
    DOMAIN_OPTION,
    {"device", OPTION_STRING, 0, "target or source of the disk"},
    {"human", OPTION_BOOL, 0, "sizes with units"},
    {"all", OPTION_BOOL, 0, "every disk"},
    {0},
};

static const struct command_option domblkstat_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"device", OPTION_STRING, 0, "target or source of the disk; without it all disks together"},
    {"human", OPTION_BOOL, 0, "say what the numbers mean"},
    {0},
};

static const struct command_option domifstat_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"interface", OPTION_STRING, OPTION_REQUIRED, "device on the host, or MAC address"},
    {0},
};

const struct command device_commands[] = {
    {"blockresize", "domain", "change the size of a running domain's disk", NULL, blockresize_options, run_blockresize},
    {"domblkerror", "monitor", "errors of a domain's disks", NULL, domblkerror_options, run_domblkerror},
    {"domblkinfo", "monitor", "sizes of a domain's disks", NULL, domblkinfo_options, run_domblkinfo},
    {"domblklist", "monitor", "disks of a domain", NULL, domblklist_options, run_domblklist},
    {"domblkstat", "monitor", "statistics of a domain's disks", NULL, domblkstat_options, run_domblkstat},
    {"domblkthreshold", "domain", "ask for an event when a disk is written this far", NULL, threshold_options,
     run_domblkthreshold},
    {"domif-getlink", "monitor", "whether the link of a network interface is up", NULL, getlink_options,
     run_domif_getlink},
    {"domiflist", "monitor", "network interfaces of a domain", NULL, domiflist_options, run_domiflist},
    {"domifstat", "monitor", "statistics of a network interface", NULL, domifstat_options, run_domifstat},
    {0},
};
