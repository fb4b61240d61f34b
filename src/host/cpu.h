/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "host/numa.h"

/* Facts and counters of this machine's CPUs; `root` as in sysfs.h. Nothing here waits. */

/* What virNodeGetInfo tells. CPUs that are offline count in the shape but not in `cpus`; when the shape does not
 * multiply to the number of CPUs (uneven cells), it is flattened to one cell, one socket, a core per CPU. */
struct node_info {
    char model[32]; /* the kernel's name of the architecture, e.g. x86_64 */
    uint64_t memory_kib;
    unsigned cpus, mhz, nodes, sockets, cores, threads;
    unsigned dies; /* of a socket; cores counts the cores of all of them */
};
void node_info_read(struct node_info *info, const struct host_topology *topology, const char *root);

/* Nanoseconds since boot, from /proc/stat: user holds nice too, kernel holds interrupts. */
struct cpu_times {
    uint64_t kernel_ns, user_ns, idle_ns, iowait_ns, interrupt_ns;
};
#define CPU_ALL (-1)
/* cpu: a number or CPU_ALL. ERR_INVALID_ARG when there is no such CPU. */
int cpu_times_read(struct cpu_times *times, const char *root, int cpu, struct error *err);
