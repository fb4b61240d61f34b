/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/memory.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

#define NODE_DIR   "/sys/devices/system/node"
#define SIZES_MAX  16 /* huge page sizes of one machine; arm64 with 4 KiB pages has four */

DEFINE_SCOPED(dir_scope, DIR *, closedir)

/* The number of KiB behind "Name:" in a meminfo text; 0 when it is not there. */
static uint64_t meminfo_field(const char *text, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = strstr(text, name); at; at = strstr(at + 1, name))
        if (at[length] == ':' && (at == text || at[-1] == '\n' || at[-1] == ' '))
            return strtoull(at + length + 1, NULL, 10);
    return 0;
}

static int meminfo_read(char *text, size_t size, const struct host_topology *topology, const char *root, int cell)
{
    if (cell != CELL_ALL && topology->numa)
        return sysfs_read(text, size, root, NODE_DIR "/node%d/meminfo", cell) > 0 ? 0 : -1;
    return sysfs_read(text, size, root, "/proc/meminfo") > 0 ? 0 : -1;
}

static uint64_t memory_sum_kib(const struct host_topology *topology, const char *root, const char *field)
{
    char text[4096];
    uint64_t sum = 0;
    for (unsigned i = 0; i < topology->cell_count; i++)
        if (meminfo_read(text, sizeof(text), topology, root, topology->cells[i].id) == 0)
            sum += meminfo_field(text, field);
    return sum;
}

uint64_t memory_total_kib(const struct host_topology *topology, const char *root)
{
    return memory_sum_kib(topology, root, "MemTotal");
}

uint64_t memory_free_kib(const struct host_topology *topology, const char *root)
{
    return memory_sum_kib(topology, root, "MemFree");
}

static const struct host_cell *cell_find(const struct host_topology *topology, unsigned id)
{
    for (unsigned i = 0; i < topology->cell_count; i++)
        if (topology->cells[i].id == id)
            return &topology->cells[i];
    return NULL;
}

int memory_stats_read(struct memory_stats *stats, const struct host_topology *topology, const char *root, int cell,
                      struct error *err)
{
    char text[4096];
    memset(stats, 0, sizeof(*stats));
    if (cell != CELL_ALL && (cell < 0 || !cell_find(topology, cell)))
        return error_set(err, ERR_INVALID_ARG, "there is no NUMA cell %d on this host (it has %u, the last is %u)",
                         cell, topology->cell_count, topology->cells[topology->cell_count - 1].id);
    if (meminfo_read(text, sizeof(text), topology, root, cell) < 0)
        return error_system(err, errno, "cannot read the memory statistics of the kernel");
    stats->total_kib = meminfo_field(text, "MemTotal");
    stats->free_kib = meminfo_field(text, "MemFree");
    stats->has_cache = cell == CELL_ALL;
    if (stats->has_cache) {
        stats->buffers_kib = meminfo_field(text, "Buffers");
        stats->cached_kib = meminfo_field(text, "Cached");
    }
    return 0;
}

static int pool_order(const void *left, const void *right)
{
    const struct page_pool *a = left, *b = right;
    return a->size_kib < b->size_kib ? -1 : a->size_kib > b->size_kib;
}

/* The folder with a cell's huge page pools; without NUMA, the machine's. */
static void hugepages_dir(struct text *path, const struct host_topology *topology, int cell)
{
    if (topology->numa && cell != CELL_ALL)
        text_printf(path, NODE_DIR "/node%d/hugepages", cell);
    else
        text_append(path, "/sys/kernel/mm/hugepages");
}

static void huge_pools_read(struct page_pools *pools, const char *root, const char *folder)
{
    scoped_text struct text path = {0};
    text_printf(&path, "%s%s", root, folder);
    scope_cleanup(dir_scope) DIR *dir = opendir(text_string(&path));
    for (struct dirent *entry; dir && pools->count < SIZES_MAX && (entry = readdir(dir));) {
        struct page_pool *pool = &pools->pools[pools->count];
        if (sscanf(entry->d_name, "hugepages-%ukB", &pool->size_kib) != 1)
            continue;
        pool->total = pool->free = 0;
        sysfs_read_u64(&pool->total, root, "%s/%s/nr_hugepages", folder, entry->d_name);
        sysfs_read_u64(&pool->free, root, "%s/%s/free_hugepages", folder, entry->d_name);
        pools->count++;
    }
}

void page_pools_read(struct arena *arena, struct page_pools *pools, const struct host_topology *topology,
                     const char *root, int cell)
{
    scoped_text struct text folder = {0};
    struct memory_stats memory;
    pools->pools = arena_new_array(arena, SIZES_MAX, struct page_pool);
    pools->count = 1;
    hugepages_dir(&folder, topology, cell);
    huge_pools_read(pools, root, text_string(&folder));

    uint64_t huge_kib = 0;
    for (unsigned i = 1; i < pools->count; i++)
        huge_kib += pools->pools[i].total * pools->pools[i].size_kib;
    memory_stats_read(&memory, topology, root, cell, NULL);
    unsigned size_kib = sysconf(_SC_PAGESIZE) / 1024;
    uint64_t normal_kib = memory.total_kib > huge_kib ? memory.total_kib - huge_kib : 0;
    pools->pools[0] = (struct page_pool){size_kib, normal_kib / size_kib, memory.free_kib / size_kib};
    qsort(pools->pools, pools->count, sizeof(*pools->pools), pool_order);
}

const struct page_pool *page_pool_find(const struct page_pools *pools, unsigned size_kib, int cell,
                                       struct error *err)
{
    scoped_text struct text sizes = {0};
    for (unsigned i = 0; i < pools->count; i++) {
        if (pools->pools[i].size_kib == size_kib)
            return &pools->pools[i];
        text_printf(&sizes, "%s%u", i ? ", " : "", pools->pools[i].size_kib);
    }
    if (cell == CELL_ALL)
        return error_null(err, ERR_OPERATION_FAILED, "page size %u KiB is not available (sizes in KiB: %s)", size_kib,
                          text_string(&sizes));
    return error_null(err, ERR_OPERATION_FAILED, "page size %u KiB is not available on node %d (sizes in KiB: %s)",
                      size_kib, cell, text_string(&sizes));
}

int huge_pages_prepare(struct huge_pages_change *change, const struct host_topology *topology, const char *root,
                       int cell, unsigned size_kib, uint64_t count, bool add, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_text struct text folder = {0};
    struct page_pools pools;
    page_pools_read(arena, &pools, topology, root, cell);
    const struct page_pool *pool = page_pool_find(&pools, size_kib, cell, err);
    if (!pool)
        return -1;
    if (size_kib == sysconf(_SC_PAGESIZE) / 1024)
        return error_set(err, ERR_OPERATION_INVALID, "pages of %u KiB are the normal ones: only huge pages have a pool",
                         size_kib);
    *change = (struct huge_pages_change){.wanted = count};
    if (add && __builtin_add_overflow(pool->total, count, &change->wanted))
        return error_set(err, ERR_INVALID_ARG, "%llu more pages are too many", (unsigned long long)count);
    hugepages_dir(&folder, topology, cell);
    int length = snprintf(change->path, sizeof(change->path), "%s%s/hugepages-%ukB/nr_hugepages", root,
                          text_string(&folder), size_kib);
    return length < (int)sizeof(change->path) ? 0 : error_system(err, ENAMETOOLONG, "huge pages of node %d", cell);
}

void huge_pages_apply(void *change)
{
    struct huge_pages_change *own = change;
    own->errnum = sysfs_write_u64(own->wanted, "", "%s", own->path) < 0 ? errno : 0;
}

int huge_pages_check(const struct huge_pages_change *change, struct error *err)
{
    uint64_t got = 0;
    if (change->errnum)
        return error_system(err, change->errnum, "cannot write %llu to %s", (unsigned long long)change->wanted,
                            change->path);
    if (sysfs_read_u64(&got, "", "%s", change->path) < 0 || got == change->wanted)
        return 0;
    return error_set(err, ERR_OPERATION_FAILED, "%llu pages instead of %llu are in %s now: free memory and try again",
                     (unsigned long long)got, (unsigned long long)change->wanted, change->path);
}
