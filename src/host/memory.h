/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "host/numa.h"

/* Memory of this machine and of its NUMA cells, read afresh by every call; `root` as in sysfs.h. Nothing here waits. */

/* The sum over the cells where the kernel knows cells, as virNodeGetInfo counts; else MemTotal. */
uint64_t memory_total_kib(const struct host_topology *topology, const char *root);
uint64_t memory_free_kib(const struct host_topology *topology, const char *root);

struct memory_stats {
    uint64_t total_kib, free_kib;
    bool has_cache; /* the kernel tells the next two only for the whole machine */
    uint64_t buffers_kib, cached_kib;
};
#define CELL_ALL (-1)
/* ERR_INVALID_ARG when there is no such cell. */
int memory_stats_read(struct memory_stats *stats, const struct host_topology *topology, const char *root, int cell,
                      struct error *err);

/* The pages of one size in one cell. The first pool is the system's normal page size, whose total leaves out what the
 * huge pages took. Sorted by size. */
struct page_pool {
    unsigned size_kib;
    uint64_t total, free;
};
struct page_pools {
    struct page_pool *pools;
    unsigned count;
};
void page_pools_read(struct arena *arena, struct page_pools *pools, const struct host_topology *topology,
                     const char *root, unsigned cell);
/* The pool of that size; ERR_OPERATION_FAILED naming the sizes that are there. */
const struct page_pool *page_pool_find(const struct page_pools *pools, unsigned size_kib, unsigned cell,
                                       struct error *err);

/* Sets the pool of a cell to `count` huge pages (or adds them). Returns 0 when the kernel found them all, else
 * ERR_OPERATION_FAILED; the pages that it did find stay. */
int huge_pages_allocate(const struct host_topology *topology, const char *root, unsigned cell, unsigned size_kib,
                        uint64_t count, bool add, struct error *err);
