/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/text.h"
#include "cli/domain.h"
#include "cli/values.h"
#include "rpc/params.h"

#define CELLS_MAX 1024 /* the protocol's */

/* Numbers of the NUMA cells, and of one cell its page sizes in KiB, out of the capabilities. */
static int read_topology(struct invocation *in, struct document **document, struct error *err)
{
    struct connect_get_capabilities_ret ret;
    if (remote_connect_get_capabilities(shell_client(in), in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the capabilities");
    *document = document_parse(ret.capabilities, "the capabilities", err);
    return *document ? 0 : -1;
}

static int run_nodememstats(struct invocation *in, struct error *err)
{
    struct node_get_memory_stats_args args = {.cell_num = -1};
    struct node_get_memory_stats_ret ret;
    if (option_i32(in, "cell", 0, &args.cell_num, err) < 0)
        return -1;
    if (remote_node_get_memory_stats(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the memory statistics");
    args.nparams = ret.nparams;
    if (remote_node_get_memory_stats(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the memory statistics");
    struct record *record = record_new(in->arena);
    for (uint32_t i = 0; i < ret.params_count; i++)
        record_add(record, arena_printf(in->arena, "%s_kib", ret.params[i].field),
                   arena_printf(in->arena, "%-7s", ret.params[i].field),
                   arena_printf(in->arena, "%20llu KiB", (unsigned long long)ret.params[i].value),
                   json_integer((json_int_t)ret.params[i].value));
    record_print(record, in, 9);
    return 0;
}

static int cell_free(struct invocation *in, int32_t cell, uint64_t *bytes, struct error *err)
{
    struct node_get_cells_free_memory_args args = {.start_cell = cell, .maxcells = 1};
    struct node_get_cells_free_memory_ret ret;
    if (remote_node_get_cells_free_memory(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the free memory of cell %d", cell);
    if (ret.cells_count != 1)
        return error_set(err, ERR_INVALID_ARG, "there is no NUMA cell %d", cell);
    *bytes = ret.cells[0];
    return 0;
}

static char *kib_text(struct invocation *in, uint64_t bytes)
{
    return arena_printf(in->arena, "%10llu KiB", (unsigned long long)(bytes >> 10));
}

static int freecell_all(struct invocation *in, struct error *err)
{
    scoped_document struct document *document = NULL;
    if (read_topology(in, &document, err) < 0)
        return -1;
    size_t count;
    char **cells = document_strings(in->arena, document, "/capabilities/host/topology/cells/cell/@id", &count);
    scoped_listing struct listing listing;
    listing_init(&listing, in);
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        int32_t cell = 0;
        uint64_t bytes;
        if (parse_i32(cells[i], 10, &cell) < 0)
            return error_set(err, ERR_XML_ERROR, "the capabilities have a NUMA cell '%s'", cells[i]);
        if (cell_free(in, cell, &bytes, err) < 0)
            return -1;
        total += bytes;
        struct record *record = record_new(in->arena);
        record_line(record, NULL, NULL, "%5d: %s", cell, kib_text(in, bytes));
        record_signed(record, "cell", NULL, cell, NULL);
        record_number(record, "free_kib", NULL, bytes >> 10, NULL);
        listing_add(&listing, record, 0);
    }
    listing_end(&listing);
    if (!output_is_json(in))
        printf("--------------------\nTotal: %s\n", kib_text(in, total));
    return 0;
}

static int run_freecell(struct invocation *in, struct error *err)
{
    int32_t cell = -1;
    uint64_t bytes;
    if (option_exclusive(in, err, "all", "cellno", NULL) < 0)
        return -1;
    if (option_given(in, "all"))
        return freecell_all(in, err);
    int given = option_i32(in, "cellno", 0, &cell, err);
    if (given < 0)
        return -1;
    if (given) {
        if (cell_free(in, cell, &bytes, err) < 0)
            return -1;
    } else {
        struct node_get_free_memory_ret ret;
        if (remote_node_get_free_memory(shell_client(in), in->arena, &ret, err) < 0)
            return command_failed(err, "cannot read the free memory");
        bytes = ret.free_mem;
    }
    struct record *record = record_new(in->arena);
    record_number(record, "free_kib", given ? arena_printf(in->arena, "%d", cell) : "Total", bytes >> 10, "KiB");
    record_print(record, in, 1);
    return 0;
}

static int list_free_pages(struct invocation *in, struct listing *listing, int32_t cell, uint32_t *sizes,
                           uint32_t count, struct error *err)
{
    struct node_get_free_pages_args args = {.pages_count = count, .pages = sizes, .start_cell = cell, .cell_count = 1};
    struct node_get_free_pages_ret ret;
    if (remote_node_get_free_pages(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the free pages of cell %d", cell);
    for (uint32_t i = 0; i < ret.counts_count && i < count; i++) {
        struct record *record = record_new(in->arena);
        if (option_given(in, "all") && i == 0)
            record_line(record, NULL, NULL, "Node %d:", cell);
        record_signed(record, "cell", NULL, cell, NULL);
        record_number(record, "page_kib", NULL, sizes[i], NULL);
        record_line(record, "free", json_integer((json_int_t)ret.counts[i]), "%uKiB: %llu", sizes[i],
                    (unsigned long long)ret.counts[i]);
        if (option_given(in, "all") && i + 1 == ret.counts_count)
            record_line(record, NULL, NULL, "%s", "");
        listing_add(listing, record, 0);
    }
    return 0;
}

/* only: a size of pages in KiB; 0 = every one that the cell has */
static int freepages_all(struct invocation *in, struct listing *listing, uint32_t only, struct error *err)
{
    scoped_document struct document *document = NULL;
    if (read_topology(in, &document, err) < 0)
        return -1;
    size_t cell_count, size_count;
    char **cells = document_strings(in->arena, document, "/capabilities/host/topology/cells/cell/@id", &cell_count);
    for (size_t i = 0; i < cell_count; i++) {
        char **words = document_strings(in->arena, document,
                                        arena_printf(in->arena,
                                                     "/capabilities/host/topology/cells/cell[@id='%s']/pages/"
                                                     "@size", cells[i]), &size_count);
        uint32_t *sizes = arena_new_array(in->arena, size_count + 1, uint32_t), count = 0;
        int32_t cell;
        for (size_t k = 0; k < size_count && k < CELLS_MAX; k++)
            if (parse_u32(words[k], 10, &sizes[count]) == 0 && (!only || sizes[count] == only))
                count++;
        if (parse_i32(cells[i], 10, &cell) == 0 && count && list_free_pages(in, listing, cell, sizes, count, err) < 0)
            return -1;
    }
    return 0;
}

static int run_freepages(struct invocation *in, struct error *err)
{
    int32_t cell = 0;
    uint64_t bytes = 0;
    bool all = option_given(in, "all");
    if (option_exclusive(in, err, "all", "cellno", NULL) < 0)
        return -1;
    if (!all && (!option_given(in, "cellno") || !option_given(in, "pagesize")))
        return error_set(err, ERR_INVALID_ARG, "freepages needs --all, or both --cellno and --pagesize");
    if (option_i32(in, "cellno", 0, &cell, err) < 0 || option_size(in, "pagesize", 1024, &bytes, err) < 0)
        return -1;
    uint32_t size = (uint32_t)(bytes >> 10);
    scoped_listing struct listing listing;
    listing_init(&listing, in);
    int result = all ? freepages_all(in, &listing, size, err) : list_free_pages(in, &listing, cell, &size, 1, err);
    if (result == 0)
        listing_end(&listing);
    return result;
}

static int run_node_memory_tune(struct invocation *in, struct error *err)
{
    static const struct {
        const char *option, *param;
    } rows[] = {
        {"shm-pages-to-scan", NODE_MEMORY_SHARED_PAGES_TO_SCAN},
        {"shm-sleep-millisecs", NODE_MEMORY_SHARED_SLEEP_MILLISECS},
        {"shm-merge-across-nodes", NODE_MEMORY_SHARED_MERGE_ACROSS_NODES},
    };
    struct params params;
    params_init(&params, in->arena);
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t value;
        int given = option_u64(in, rows[i].option, UINT32_MAX, &value, err);
        if (given < 0)
            return -1;
        if (given)
            params_add_u32(&params, rows[i].param, (uint32_t)value);
    }
    if (params.count) {
        struct node_set_memory_parameters_args args = {.params_count = params.count, .params = params.items};
        if (remote_node_set_memory_parameters(shell_client(in), &args, err) < 0)
            return command_failed(err, "cannot change the host's memory parameters");
        return 0;
    }
    struct node_get_memory_parameters_args args = {0};
    struct node_get_memory_parameters_ret ret;
    if (remote_node_get_memory_parameters(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the host's memory parameters");
    args.nparams = ret.nparams;
    if (remote_node_get_memory_parameters(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the host's memory parameters");
    struct record *record = record_new(in->arena);
    record_line(record, NULL, NULL, "Shared memory:");
    for (uint32_t i = 0; i < ret.params_count; i++)
        record_line(record, ret.params[i].field, value_json(&ret.params[i]), "\t%-15s %s", ret.params[i].field,
                    value_text(in->arena, &ret.params[i]));
    record_print(record, in, 0);
    return 0;
}

static int run_allocpages(struct invocation *in, struct error *err)
{
    uint32_t size;
    uint64_t bytes = 0, count = 0;
    unsigned flags = option_given(in, "add") ? NODE_ALLOC_PAGES_ADD : NODE_ALLOC_PAGES_SET;
    struct node_alloc_pages_args args = {.page_sizes = &size, .page_sizes_count = 1, .page_counts = &count,
                                         .page_counts_count = 1, .start_cell = -1, .cell_count = 1, .flags = flags};
    struct node_alloc_pages_ret ret;
    if (option_exclusive(in, err, "all", "cellno", NULL) < 0 || option_size(in, "pagesize", 1024, &bytes, err) < 0 ||
        option_u64(in, "pagecount", UINT64_MAX, &count, err) < 0 ||
        option_i32(in, "cellno", 0, &args.start_cell, err) < 0)
        return -1;
    size = (uint32_t)(bytes >> 10);
    if (option_given(in, "all")) {
        scoped_document struct document *document = NULL;
        size_t cells;
        if (read_topology(in, &document, err) < 0)
            return -1;
        document_strings(in->arena, document, "/capabilities/host/topology/cells/cell/@id", &cells);
        args.start_cell = 0;
        args.cell_count = (uint32_t)cells;
    }
    if (remote_node_alloc_pages(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot change the pool of pages of %u KiB", size);
    return 0;
}

static const struct command_option allocpages_options[] = {
    {"pagesize", OPTION_NUMBER, OPTION_REQUIRED, "size of the pages, in KiB or with a unit"},
    {"pagecount", OPTION_NUMBER, OPTION_REQUIRED, "how many pages"},
    {"cellno", OPTION_NUMBER, 0, "number of the NUMA cell"},
    {"add", OPTION_BOOL, 0, "that many more, instead of that many"},
    {"all", OPTION_BOOL, 0, "on every cell"},
    {0},
};

static const struct command_option nodememstats_options[] = {
    {"cell", OPTION_NUMBER, 0, "this NUMA cell only"},
    {0},
};

static const struct command_option freecell_options[] = {
    {"cellno", OPTION_NUMBER, 0, "number of the NUMA cell"},
    {"all", OPTION_BOOL, 0, "every cell, and the sum"},
    {0},
};

static const struct command_option freepages_options[] = {
    {"cellno", OPTION_NUMBER, 0, "number of the NUMA cell"},
    {"pagesize", OPTION_NUMBER, 0, "size of the pages, in KiB or with a unit"},
    {"all", OPTION_BOOL, 0, "every cell and size"},
    {0},
};

static const struct command_option tune_options[] = {
    {"shm-pages-to-scan", OPTION_NUMBER, 0, "pages to look at before each pause of page sharing"},
    {"shm-sleep-millisecs", OPTION_NUMBER, 0, "length of that pause in ms"},
    {"shm-merge-across-nodes", OPTION_NUMBER, 0, "1: share pages across NUMA nodes, 0: within a node only"},
    {0},
};

const struct command host_memory_commands[] = {
    {"allocpages", "host", "change how many huge pages the host has", NULL, allocpages_options, run_allocpages},
    {"freecell", "host", "free memory, by NUMA cell", NULL, freecell_options, run_freecell},
    {"freepages", "host", "free pages, by NUMA cell and size", NULL, freepages_options, run_freepages},
    {"node-memory-tune", "host", "parameters of page sharing (KSM)", "Without options shows them.", tune_options,
     run_node_memory_tune},
    {"nodememstats", "host", "memory of the host", NULL, nodememstats_options, run_nodememstats},
    {0},
};
