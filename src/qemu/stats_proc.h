/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"

/* Readers of /proc for statistics; nothing here waits. What cannot be read is 0. */

/* Counters of one thread. */
struct thread_stats {
    uint64_t time_ns;  /* on a CPU, by the clock ticks of proc(5) */
    uint64_t delay_ns; /* runnable, but not running */
    uint64_t wait_ns;  /* the scheduler's own sum; 0 where the kernel does not keep it */
    int cpu;           /* that it ran on last; -1 unknown */
};
void thread_stats_read(struct thread_stats *stats, pid_t process, pid_t thread);

/* Counters of the host's network interfaces, as the host sees them: one reading for all. */
struct net_counters {
    char name[16];
    uint64_t rx_bytes, rx_packets, rx_errors, rx_dropped;
    uint64_t tx_bytes, tx_packets, tx_errors, tx_dropped;
};
struct net_table {
    struct net_counters *items;
    unsigned count;
};
void net_table_read(struct net_table *table, struct arena *arena);
/* From the text of /proc/net/dev, for tests. */
void net_table_parse(struct net_table *table, struct arena *arena, const char *text);
const struct net_counters *net_table_find(const struct net_table *table, const char *name);
