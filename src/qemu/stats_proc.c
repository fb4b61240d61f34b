/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/stats_proc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "base/text.h"

enum {
    STAT_MAX = 4096,
    SCHED_MAX = 65536,
    NET_DEV_MAX = 16 * 1024 * 1024,
};

static char *thread_file(struct arena *arena, pid_t process, pid_t thread, const char *name, size_t max)
{
    return file_read(arena, arena_printf(arena, "/proc/%d/task/%d/%s", (int)process, (int)thread, name), max, NULL,
                     NULL);
}

/* "se.statistics.wait_sum : 12.345678" in milliseconds; kernels since 5.16 leave out the prefix. */
static uint64_t wait_sum(const char *sched)
{
    const char *line = sched ? strstr(sched, "wait_sum") : NULL;
    const char *colon = line ? strchr(line, ':') : NULL;
    double ms;
    return colon && sscanf(colon + 1, "%lf", &ms) == 1 && ms > 0 ? (uint64_t)(ms * 1e6) : 0;
}

void thread_stats_read(struct thread_stats *stats, pid_t process, pid_t thread)
{
    *stats = (struct thread_stats){.cpu = -1};
    scoped_arena struct arena *arena = arena_new();
    const char *stat = thread_file(arena, process, thread, "stat", STAT_MAX);
    const char *fields = stat ? strrchr(stat, ')') : NULL; /* the name in parentheses may hold anything */
    unsigned long user, system;
    int cpu;
    /* state is field 3, utime 14, stime 15, processor 39 */
    if (fields && sscanf(fields,
                         ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %*u %*u %*d "
                         "%*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*d %d",
                         &user, &system, &cpu) == 3) {
        stats->time_ns = (user + system) * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
        stats->cpu = cpu;
    }
    const char *schedstat = thread_file(arena, process, thread, "schedstat", STAT_MAX);
    if (schedstat)
        sscanf(schedstat, "%*u %" SCNu64, &stats->delay_ns);
    stats->wait_ns = wait_sum(thread_file(arena, process, thread, "sched", SCHED_MAX));
}

void net_table_parse(struct net_table *table, struct arena *arena, const char *text)
{
    *table = (struct net_table){0};
    unsigned lines = 0;
    for (const char *c = text; *c; c++)
        lines += *c == '\n';
    table->items = arena_new_array(arena, lines + 1, struct net_counters);
    for (const char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        struct net_counters *item = &table->items[table->count];
        /* name: then eight numbers received (bytes packets errs drop fifo frame compressed multicast), eight sent */
        if (sscanf(line,
                   " %15[^: ]: %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %*u %*u %*u %*u %" SCNu64 " %" SCNu64
                   " %" SCNu64 " %" SCNu64,
                   item->name, &item->rx_bytes, &item->rx_packets, &item->rx_errors, &item->rx_dropped, &item->tx_bytes,
                   &item->tx_packets, &item->tx_errors, &item->tx_dropped) == 9)
            table->count++;
    }
}

void net_table_read(struct net_table *table, struct arena *arena)
{
    char *text = file_read(arena, "/proc/net/dev", NET_DEV_MAX, NULL, NULL);
    net_table_parse(table, arena, text ? text : "");
}

const struct net_counters *net_table_find(const struct net_table *table, const char *name)
{
    for (unsigned i = 0; name && i < table->count; i++)
        if (strcmp(table->items[i].name, name) == 0)
            return &table->items[i];
    return NULL;
}
