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

/* The pages of one size in one cell, or (CELL_ALL) of the whole machine. The first pool is the system's normal page
 * size, whose total leaves out what the huge pages took. Sorted by size. */
struct page_pool {
    unsigned size_kib;
    uint64_t total, free;
};
struct page_pools {
    struct page_pool *pools;
    unsigned count;
};
void page_pools_read(struct arena *arena, struct page_pools *pools, const struct host_topology *topology,
                     const char *root, int cell);
/* The pool of that size; ERR_OPERATION_FAILED naming the sizes that are there. */
const struct page_pool *page_pool_find(const struct page_pools *pools, unsigned size_kib, int cell,
                                       struct error *err);

/* Changing a pool of huge pages takes three steps, because the kernel may spend seconds on making room. */
struct huge_pages_change {
    char path[256]; /* the pool's file */
    uint64_t wanted;
    int errnum; /* of the write; 0 = done */
};
/* Sets the pool of a cell, or the machine's (CELL_ALL), to `count` huge pages, or adds them. Looks only. */
int huge_pages_prepare(struct huge_pages_change *change, const struct host_topology *topology, const char *root,
                       int cell, unsigned size_kib, uint64_t count, bool add, struct error *err);
/* Writes. Blocks, and uses nothing but the struct: for a worker thread. */
void huge_pages_apply(void *change);
/* 0 when the kernel found all the pages, else ERR_OPERATION_FAILED; those that it did find stay. */
int huge_pages_check(const struct huge_pages_change *change, struct error *err);
