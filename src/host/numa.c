/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/numa.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

#define CPU_DIR    "/sys/devices/system/cpu"
#define NODE_DIR   "/sys/devices/system/node"
#define CACHES_MAX 8 /* index directories of one CPU; x86 has four, the largest machines known five */
#define LIST_MAX   4096

static unsigned read_or(unsigned otherwise, const char *root, unsigned cpu, const char *file)
{
    unsigned value = otherwise;
    sysfs_read_unsigned(&value, root, CPU_DIR "/cpu%u/topology/%s", cpu, file);
    return value;
}

static void cpu_read(struct arena *arena, const char *root, unsigned id, struct host_cpu *cpu)
{
    char siblings[LIST_MAX];
    cpu->id = id;
    cpu->socket = read_or(0, root, id, "physical_package_id");
    cpu->die = read_or(0, root, id, "die_id");
    cpu->core = read_or(id, root, id, "core_id");
    if (sysfs_read(siblings, sizeof(siblings), root, CPU_DIR "/cpu%u/topology/thread_siblings_list", id) <= 0)
        snprintf(siblings, sizeof(siblings), "%u", id);
    cpu->siblings = arena_strdup(arena, siblings);
}

static void distances_read(struct arena *arena, const char *root, struct host_cell *cell, const struct cpu_set *cells)
{
    char line[LIST_MAX], *rest = line;
    if (sysfs_read(line, sizeof(line), root, NODE_DIR "/node%u/distance", cell->id) <= 0)
        return;
    /* One number for each online cell, in their order. */
    cell->distances = arena_new_array(arena, cpu_set_count(cells), struct host_distance);
    for (unsigned id = 0; id < cpu_set_end(cells); id++) {
        if (!cpu_set_has(cells, id))
            continue;
        char *word = strsep(&rest, " ");
        uint32_t value;
        if (!word || parse_u32(word, 10, &value) < 0)
            break;
        cell->distances[cell->distance_count++] = (struct host_distance){id, value};
    }
}

static void cell_read(struct arena *arena, const char *root, struct host_cell *cell, const struct cpu_set *cpus)
{
    cell->cpus = arena_new_array(arena, cpu_set_count(cpus), struct host_cpu);
    for (unsigned id = 0; id < cpu_set_end(cpus); id++)
        if (cpu_set_has(cpus, id))
            cpu_read(arena, root, id, &cell->cpus[cell->cpu_count++]);
}

static void cells_read(struct arena *arena, const char *root, struct host_topology *topology)
{
    struct cpu_set cells, cpus;
    topology->numa = sysfs_read_cpu_set(&cells, root, NODE_DIR "/online") == 0 && cpu_set_count(&cells) > 0;
    if (!topology->numa) {
        topology->cell_count = 1;
        topology->cells = arena_struct(arena, struct host_cell);
        cell_read(arena, root, topology->cells, &topology->online);
        return;
    }
    topology->cells = arena_new_array(arena, cpu_set_count(&cells), struct host_cell);
    for (unsigned id = 0; id < cpu_set_end(&cells); id++) {
        if (!cpu_set_has(&cells, id))
            continue;
        struct host_cell *cell = &topology->cells[topology->cell_count++];
        cell->id = id;
        sysfs_read_cpu_set(&cpus, root, NODE_DIR "/node%u/cpulist", id);
        for (size_t i = 0; i < COUNT(cpus.words); i++)
            cpus.words[i] &= topology->online.words[i];
        cell_read(arena, root, cell, &cpus);
        distances_read(arena, root, cell, &cells);
    }
}

static int cpu_order(const void *left, const void *right)
{
    const struct host_cpu *a = left, *b = right;
    if (a->socket != b->socket)
        return a->socket < b->socket ? -1 : 1;
    if (a->die != b->die)
        return a->die < b->die ? -1 : 1;
    if (a->core != b->core)
        return a->core < b->core ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

static void maximum(unsigned *most, unsigned value)
{
    if (value > *most)
        *most = value;
}

/* Counts sockets, dies, cores and threads of one cell by walking its CPUs sorted by them. */
static void cell_count_levels(const struct host_cell *cell, struct host_topology *topology)
{
    if (!cell->cpu_count)
        return;
    scoped_free struct host_cpu *cpus = xcalloc(cell->cpu_count, sizeof(*cpus));
    memcpy(cpus, cell->cpus, cell->cpu_count * sizeof(*cpus));
    qsort(cpus, cell->cpu_count, sizeof(*cpus), cpu_order);
    unsigned sockets = 0, dies = 0, cores = 0, threads = 0;
    for (unsigned i = 0; i < cell->cpu_count; i++) {
        bool socket = i == 0 || cpus[i].socket != cpus[i - 1].socket;
        bool die = socket || cpus[i].die != cpus[i - 1].die;
        bool core = die || cpus[i].core != cpus[i - 1].core;
        sockets += socket;
        dies = socket ? 1 : dies + die;
        cores = die ? 1 : cores + core;
        threads = core ? 1 : threads + 1;
        maximum(&topology->sockets, sockets);
        maximum(&topology->dies, dies);
        maximum(&topology->cores, cores);
        maximum(&topology->threads, threads);
    }
}

/* "Unified" -> both: the words of the XML. */
static const char *cache_type(const char *kernel)
{
    return string_equal(kernel, "Data") ? "data" : string_equal(kernel, "Instruction") ? "code" : "both";
}

static int cache_read(struct arena *arena, const char *root, unsigned cpu, unsigned index, struct host_cache *cache)
{
    char type[16], size[32], cpus[LIST_MAX];
#define CACHE_FILE CPU_DIR "/cpu%u/cache/index%u/"
    if (sysfs_read_unsigned(&cache->level, root, CACHE_FILE "level", cpu, index) < 0 ||
        sysfs_read_unsigned(&cache->id, root, CACHE_FILE "id", cpu, index) < 0 ||
        sysfs_read(type, sizeof(type), root, CACHE_FILE "type", cpu, index) < 0 ||
        sysfs_read(size, sizeof(size), root, CACHE_FILE "size", cpu, index) < 0 ||
        sysfs_read(cpus, sizeof(cpus), root, CACHE_FILE "shared_cpu_list", cpu, index) < 0)
        return -1;
#undef CACHE_FILE
    if (string_ends(size, "K"))
        size[strlen(size) - 1] = '\0';
    if (parse_u64(size, 10, &cache->size_kib) < 0)
        return -1;
    cache->type = cache_type(type);
    cache->cpus = arena_strdup(arena, cpus);
    return 0;
}

static int cache_order(const void *left, const void *right)
{
    const struct host_cache *a = left, *b = right;
    return a->id < b->id ? -1 : a->id > b->id;
}

/* The banks of level 3, each found at the first CPU of its list, so that a CPU costs one small read. */
static void caches_read(struct arena *arena, const char *root, struct host_topology *topology)
{
    struct cpu_set seen = {0};
    topology->caches = arena_new_array(arena, cpu_set_count(&topology->online), struct host_cache);
    for (unsigned cpu = 0; cpu < cpu_set_end(&topology->online); cpu++) {
        if (!cpu_set_has(&topology->online, cpu) || cpu_set_has(&seen, cpu))
            continue;
        for (unsigned index = 0; index < CACHES_MAX; index++) {
            struct host_cache cache = {0};
            unsigned level;
            if (sysfs_read_unsigned(&level, root, CPU_DIR "/cpu%u/cache/index%u/level", cpu, index) < 0)
                break;
            if (level != 3 || cache_read(arena, root, cpu, index, &cache) < 0)
                continue;
            topology->caches[topology->cache_count++] = cache;
            struct cpu_set sharers;
            if (cpu_set_parse(&sharers, cache.cpus) == 0)
                for (size_t i = 0; i < COUNT(seen.words); i++)
                    seen.words[i] |= sharers.words[i];
            break;
        }
    }
    if (topology->cache_count)
        qsort(topology->caches, topology->cache_count, sizeof(*topology->caches), cache_order);
}

struct host_topology *topology_read(struct arena *arena, const char *root)
{
    struct host_topology *topology = arena_struct(arena, struct host_topology);
    char online[LIST_MAX];
    sysfs_read(online, sizeof(online), root, CPU_DIR "/online");
    topology->online_list = arena_strdup(arena, online);
    if (cpu_set_parse(&topology->online, online) < 0 || cpu_set_count(&topology->online) == 0) {
        long count = sysconf(_SC_NPROCESSORS_ONLN);
        for (long cpu = 0; cpu < count || cpu < 1; cpu++)
            cpu_set_add(&topology->online, cpu);
    }
    if (sysfs_read_cpu_set(&topology->present, root, CPU_DIR "/present") < 0)
        topology->present = topology->online;
    topology->sockets = topology->dies = topology->cores = topology->threads = 1;
    cells_read(arena, root, topology);
    for (unsigned i = 0; i < topology->cell_count; i++)
        cell_count_levels(&topology->cells[i], topology);
    caches_read(arena, root, topology);
    return topology;
}

bool topology_is_current(const struct host_topology *topology, const char *root)
{
    char online[LIST_MAX];
    sysfs_read(online, sizeof(online), root, CPU_DIR "/online");
    return string_equal(online, topology->online_list);
}
