/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "qemu/command_parts.h"

#define GRANULE_KIB 8 /* QEMU rounds RAM up to this; a backend of another size is refused */

static uint64_t granules(uint64_t kib)
{
    return (kib + GRANULE_KIB - 1) / GRANULE_KIB * GRANULE_KIB;
}

static json_t *cpuset_numbers(const char *cpuset)
{
    struct cpu_set set = {0};
    json_t *numbers = json_array();
    if (cpuset)
        cpu_set_parse(&set, cpuset); /* the model has checked it */
    for (unsigned i = 0; i < cpu_set_end(&set); i++)
        if (cpu_set_has(&set, i))
            json_array_append_new(numbers, json_integer((json_int_t)i));
    return numbers;
}

/* Where the host takes the memory from: the cell's own rule or the domain's. */
static void put_policy(const struct build *build, json_t *backend, const struct optional_u32 *cell)
{
    static const char *const policies[] = {
        [NUMATUNE_MODE_STRICT] = "bind",
        [NUMATUNE_MODE_PREFERRED] = "preferred",
        [NUMATUNE_MODE_INTERLEAVE] = "interleave",
    };
    const struct numatune *tune = build->def->numatune;
    if (!tune)
        return;
    enum numatune_mode mode = tune->mode;
    const char *nodes = tune->nodeset;
    for (uint32_t i = 0; cell && i < tune->memnodes.count; i++) {
        if (tune->memnodes.item[i]->cellid == cell->value) {
            mode = tune->memnodes.item[i]->mode;
            nodes = tune->memnodes.item[i]->nodeset;
        }
    }
    if (!nodes || mode == NUMATUNE_MODE_RESTRICTIVE)
        return;
    json_object_set_new(backend, "host-nodes", cpuset_numbers(nodes));
    put_string(backend, "policy", mode < COUNT(policies) && policies[mode] ? policies[mode] : "bind");
}

uint64_t qemu_hugepage_kib(const struct memory_backing *backing, const struct optional_u32 *cell)
{
    if (!backing || !backing->hugepages)
        return 0;
    for (uint32_t i = 0; i < backing->pages.count; i++) {
        const struct hugepage *page = backing->pages.item[i];
        json_t *nodes = page->nodeset ? cpuset_numbers(page->nodeset) : NULL;
        bool fits = !nodes;
        for (size_t j = 0; cell && j < json_array_size(nodes); j++)
            fits = fits || json_integer_value(json_array_get(nodes, j)) == cell->value;
        json_decref(nodes);
        if (fits)
            return page->size;
    }
    return backing->pages.count ? 0 : 2048;
}

static json_t *backend_new(const struct build *build, const char *id, uint64_t kib, const struct optional_u32 *cell,
                           enum memory_access access)
{
    const struct memory_backing *backing = build->def->memory_backing;
    uint64_t page = qemu_hugepage_kib(backing, cell);
    /* huge pages and files are had by memfd, which needs no mount and leaves nothing behind; the guest sees no
     * difference */
    bool memfd = page || (backing && backing->source && backing->source != MEMORY_SOURCE_ANONYMOUS);
    json_t *backend = json_object();
    put_string(backend, "qom-type", memfd ? "memory-backend-memfd" : "memory-backend-ram");
    put_string(backend, "id", id);
    if (page) {
        put_bool(backend, "hugetlb", true);
        put_number(backend, "hugetlbsize", page * 1024);
        put_bool(backend, "prealloc", true);
    }
    if (!access && backing)
        access = backing->access;
    if (access)
        put_bool(backend, "share", access == MEMORY_ACCESS_SHARED);
    if (backing && backing->allocation == MEMORY_ALLOCATION_IMMEDIATE) {
        put_bool(backend, "prealloc", true);
        put_number(backend, "prealloc-threads", backing->allocation_threads);
    }
    put_number(backend, "size", kib * 1024);
    put_policy(build, backend, cell);
    return backend;
}

static void build_size(struct build *build, uint64_t kib)
{
    const struct domain_def *def = build->def;
    if (def->max_memory)
        addf(build, "-m", "size=%lluk,slots=%u,maxmem=%lluk", (unsigned long long)kib, def->memory_slots,
             (unsigned long long)granules(def->max_memory));
    else if (kib % 1024)
        addf(build, "-m", "size=%lluk", (unsigned long long)kib);
    else
        addf(build, "-m", "%llu", (unsigned long long)kib / 1024);
}

static uint32_t cell_id(const struct cpu *cpu, uint32_t i)
{
    return cpu->cells.item[i]->id.set ? cpu->cells.item[i]->id.value : i;
}

static void build_cell(struct build *build, uint32_t i)
{
    const struct cpu *cpu = build->def->cpu;
    const struct numa_cell *cell = cpu->cells.item[i];
    const struct optional_u32 id = {cell_id(cpu, i), true};
    scoped_text struct text node = {0};
    text_printf(&node, "node,nodeid=%u", id.value);
    json_t *cpus = cpuset_numbers(cell->cpus);
    for (size_t first = 0, last; first < json_array_size(cpus); first = last + 1) {
        json_int_t from = json_integer_value(json_array_get(cpus, first));
        for (last = first; last + 1 < json_array_size(cpus) &&
                           json_integer_value(json_array_get(cpus, last + 1)) == from + (json_int_t)(last + 1 - first);)
            last++;
        text_printf(&node, last > first ? ",cpus=%lld-%lld" : ",cpus=%lld", (long long)from,
                    (long long)from + (long long)(last - first));
    }
    json_decref(cpus);
    text_printf(&node, ",memdev=ram-node%u", id.value);
    add_json(build, "-object", backend_new(build, arena_printf(build->arena, "ram-node%u", id.value),
                                           granules(cell->memory), &id, cell->access));
    add(build, "-numa", text_string(&node));
}

static void build_distances(struct build *build)
{
    const struct cpu *cpu = build->def->cpu;
    for (uint32_t i = 0; i < cpu->cells.count; i++)
        for (uint32_t j = 0; j < cpu->cells.item[i]->distances.count; j++) {
            const struct numa_distance *distance = cpu->cells.item[i]->distances.item[j];
            addf(build, "-numa", "dist,src=%u,dst=%u,val=%u", cell_id(cpu, i), distance->id, distance->value);
        }
}

int build_memory(struct build *build, struct error *err)
{
    const struct domain_def *def = build->def;
    const struct cpu *cpu = def->cpu;
    const struct qemu_machine *machine = build->caps ? qemu_caps_machine(build->caps, def->os.machine) : NULL;
    uint64_t plugged = 0, cells = 0;
    for (uint32_t i = 0; i < def->memory_devices.count; i++)
        plugged += def->memory_devices.item[i]->size;
    if (plugged >= def->memory)
        return error_set(err, ERR_CONFIG_UNSUPPORTED,
                         "<memory> is %llu KiB, but the <memory> devices alone have %llu KiB",
                         (unsigned long long)def->memory, (unsigned long long)plugged);
    for (uint32_t i = 0; cpu && i < cpu->cells.count; i++)
        cells += granules(cpu->cells.item[i]->memory);
    uint64_t kib = cells ? cells : granules(def->memory - plugged);
    build_size(build, kib);
    for (uint32_t i = 0; cells && i < cpu->cells.count; i++)
        build_cell(build, i);
    if (cells)
        build_distances(build);
    else if (!machine || machine->default_ram_id)
        add_json(build, "-object", backend_new(build, machine ? machine->default_ram_id : "pc.ram", kib, NULL, 0));
    add(build, "-overcommit", def->memory_backing && def->memory_backing->locked ? "mem-lock=on" : "mem-lock=off");
    return 0;
}
