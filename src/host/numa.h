/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "host/sysfs.h"

/* The shape of this machine: NUMA cells and the online CPUs in them, from /sys/devices/system/{node,cpu}. It changes
 * only when somebody plugs CPUs, so it is read once and kept; what changes all the time is in memory.h and cpu.h. */

struct host_cpu {
    unsigned id, socket, die, core;
    const char *siblings; /* the threads of its core, kernel's list form */
};

struct host_distance {
    unsigned cell, value; /* 10 = local (ACPI SLIT) */
};

struct host_cell {
    unsigned id;
    struct host_cpu *cpus;
    unsigned cpu_count;
    struct host_distance *distances;
    unsigned distance_count;
};

/* A cache as large as its level has them (the last level only: what guests share). */
struct host_cache {
    unsigned id, level;
    const char *type; /* both, code, data */
    uint64_t size_kib;
    const char *cpus; /* list form */
};

struct host_topology {
    bool numa; /* false: the kernel knows no cells, and cell 0 is the whole machine */
    struct host_cell *cells;
    unsigned cell_count;
    struct host_cache *caches;
    unsigned cache_count;
    struct cpu_set online, present;
    const char *online_list;
    /* The most that is found in one cell, socket, die and core. */
    unsigned sockets, dies, cores, threads;
};

/* Never fails: what the kernel does not tell counts as one cell, one socket, a core per CPU. Lives in the arena. */
struct host_topology *topology_read(struct arena *arena, const char *root);
/* False when CPUs have come or gone since. */
bool topology_is_current(const struct host_topology *topology, const char *root);
