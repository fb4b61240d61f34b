/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <sys/stat.h>

#include "qemu/stats.h"

#define MEASURE_MS 50

/* The worker's own; nothing of a domain is touched by its thread. */
struct measure {
    struct driver *driver;
    size_t count;
    struct {
        char *path;
        uint64_t bytes; /* used on the host; 0 = not found */
    } items[];
};

static void look(void *argument)
{
    struct measure *measure = argument;
    for (size_t i = 0; i < measure->count; i++) {
        struct stat status;
        if (stat(measure->items[i].path, &status) == 0)
            measure->items[i].bytes = (uint64_t)status.st_blocks * 512;
    }
}

static void measure_free(void *argument)
{
    struct measure *measure = argument;
    measure->driver->measuring = false;
    for (size_t i = 0; i < measure->count; i++)
        free(measure->items[i].path);
    free(measure);
}

/* Calls visit() for the top layer of each disk that lies in a file and is known from QEMU. */
static void each_file(struct domain **domains, size_t count,
                      void (*visit)(struct measure *measure, const char *path, struct layer_stats *layer),
                      struct measure *measure)
{
    for (size_t i = 0; i < count; i++) {
        if (!domain_active(domains[i]) || !domains[i]->stats)
            continue;
        const struct domain_def *live = domains[i]->object.live;
        for (uint32_t d = 0; d < live->disks.count; d++) {
            const struct disk_stats *disk = stats_disk(domains[i]->stats, live->disks.item[d]->info.alias);
            const char *path = live->disks.item[d]->source.file;
            if (path && disk && disk->layer_count && disk->layers[0].sized)
                visit(measure, path, &disk->layers[0]);
        }
    }
}

static void count_one(struct measure *measure, const char *path, struct layer_stats *layer)
{
    measure->count++;
}

static void name_one(struct measure *measure, const char *path, struct layer_stats *layer)
{
    measure->items[measure->count++].path = xstrdup(path);
}

/* The order is the same as before, but what went away while we waited is missing now. */
static void take_one(struct measure *measure, const char *path, struct layer_stats *layer)
{
    size_t *next = &measure->count;
    while (measure->items[*next].path && strcmp(measure->items[*next].path, path) != 0)
        (*next)++;
    if (!measure->items[*next].path)
        return;
    if (measure->items[*next].bytes)
        layer->actual = measure->items[*next].bytes;
    (*next)++;
}

void stats_measure(struct domain **domains, size_t count)
{
    struct measure counter = {0};
    each_file(domains, count, count_one, &counter);
    struct driver *driver = count ? domains[0]->driver : NULL;
    if (!counter.count || driver->measuring)
        return;
    struct measure *measure = xcalloc(1, sizeof *measure + (counter.count + 1) * sizeof measure->items[0]);
    measure->driver = driver;
    each_file(domains, count, name_one, measure);
    driver->measuring = true;
    if (await_slow_work(look, measure_free, measure, deadline_ms(MEASURE_MS), NULL) < 0)
        return;
    size_t all = measure->count;
    measure->count = 0;
    each_file(domains, count, take_one, measure);
    measure->count = all;
    measure_free(measure);
}
