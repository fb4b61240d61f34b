/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/cpu_set.h"
#include "model/field.h"
#include "model/platform.h"
#include "model/xml.h"

static const struct field hugepage_fields[] = {
    FIELD_MEMORY(hugepage, size, "@size"),
    FIELD_CPUSET(hugepage, nodeset, "@nodeset"),
};
static ELEMENT(hugepage, hugepage);

static const struct field memory_backing_fields[] = {
    FIELD_LIST(memory_backing, pages, "hugepages/page", hugepage),
    FIELD_FLAG(memory_backing, hugepages, "hugepages"),
    FIELD_FLAG(memory_backing, nosharepages, "nosharepages"),
    FIELD_FLAG(memory_backing, locked, "locked"),
    FIELD_ENUM(memory_backing, source, "source/@type", memory_source),
    FIELD_ENUM(memory_backing, access, "access/@mode", memory_access),
    FIELD_ENUM(memory_backing, allocation, "allocation/@mode", memory_allocation),
    FIELD_U32(memory_backing, allocation_threads, "allocation/@threads"),
    FIELD_FLAG(memory_backing, discard, "discard"),
};
ELEMENT(memory_backing, memory_backing);

static const struct field vcpu_fields[] = {
    FIELD_U32(vcpu, id, "@id", .flags = ALWAYS),
    FIELD_ENUM(vcpu, enabled, "@enabled", yesno, .flags = REQUIRED),
    FIELD_ENUM(vcpu, hotpluggable, "@hotpluggable", yesno),
    FIELD_U32(vcpu, order, "@order"),
};
ELEMENT(vcpu, vcpu);

static const struct field iothread_fields[] = {
    FIELD_U32(iothread, id, "@id", .flags = REQUIRED),
    FIELD_OPT_U32(iothread, thread_pool_min, "@thread_pool_min"),
    FIELD_OPT_U32(iothread, thread_pool_max, "@thread_pool_max"),
};
ELEMENT(iothread, iothread);

static const struct field vcpu_pin_fields[] = {
    FIELD_U32(vcpu_pin, vcpu, "@vcpu", .flags = ALWAYS),
    FIELD_CPUSET(vcpu_pin, cpuset, "@cpuset", .flags = REQUIRED),
};
static ELEMENT(vcpu_pin, vcpu_pin);

static const struct field iothread_pin_fields[] = {
    FIELD_U32(vcpu_pin, vcpu, "@iothread", .flags = ALWAYS),
    FIELD_CPUSET(vcpu_pin, cpuset, "@cpuset", .flags = REQUIRED),
};
static ELEMENT(iothread_pin, vcpu_pin);

#define SCHEDULER(name, attribute)                                                                   \
    static const struct field name##_fields[] = {                                                    \
        FIELD_CPUSET(scheduler_part, ids, attribute),                                                   \
        FIELD_ENUM(scheduler_part, scheduler, "@scheduler", scheduler, .flags = REQUIRED),           \
        FIELD_OPT_I32(scheduler_part, priority, "@priority"),                                        \
    };                                                                                               \
    static ELEMENT(name, scheduler_part)
SCHEDULER(emulator_scheduler, "@emulator");
SCHEDULER(vcpu_scheduler, "@vcpus");
SCHEDULER(iothread_scheduler, "@iothreads");

static const struct field cputune_fields[] = {
    FIELD_OPT_U64(cputune, shares, "shares"),
    FIELD_OPT_U64(cputune, period, "period"),
    FIELD_OPT_U64(cputune, quota, "quota"),
    FIELD_OPT_U64(cputune, global_period, "global_period"),
    FIELD_OPT_U64(cputune, global_quota, "global_quota"),
    FIELD_OPT_U64(cputune, emulator_period, "emulator_period"),
    FIELD_OPT_U64(cputune, emulator_quota, "emulator_quota"),
    FIELD_OPT_U64(cputune, iothread_period, "iothread_period"),
    FIELD_OPT_U64(cputune, iothread_quota, "iothread_quota"),
    FIELD_LIST(cputune, vcpupins, "vcpupin", vcpu_pin),
    FIELD_CPUSET(cputune, emulatorpin, "emulatorpin/@cpuset"),
    FIELD_LIST_AS(cputune, iothreadpins, "iothreadpin", vcpu_pin, iothread_pin),
    FIELD_PART_AS(cputune, emulatorsched, "emulatorsched", scheduler_part, emulator_scheduler),
    FIELD_LIST_AS(cputune, vcpuscheds, "vcpusched", scheduler_part, vcpu_scheduler),
    FIELD_LIST_AS(cputune, iothreadscheds, "iothreadsched", scheduler_part, iothread_scheduler),
    FIELD_KEPT("cachetune"),
    FIELD_KEPT("memorytune"),
};

/* Each processor has its own scheduler in the end: "0-1" becomes two elements. */
static int schedulers_split(struct parse *parse, void *list)
{
    struct {
        struct scheduler_part **item;
        uint32_t count, capacity;
    } *all = list, one = {0};
    for (uint32_t i = 0; i < all->count; i++) {
        struct cpu_set members = {0};
        if (all->item[i]->ids)
            cpu_set_parse(&members, all->item[i]->ids);
        if (one.count + cpu_set_count(&members) > XML_LIST_MAX)
            return xml_error(parse, NULL, "schedulers are given for more than %d processors", XML_LIST_MAX);
        for (unsigned member = 0; member < cpu_set_end(&members); member++) {
            if (!cpu_set_has(&members, member))
                continue;
            struct scheduler_part *part = arena_memdup(parse->arena, all->item[i], sizeof(*part));
            part->ids = arena_printf(parse->arena, "%u", member);
            list_add(parse->arena, &one, part);
        }
    }
    all->item = one.item;
    all->count = one.count;
    all->capacity = one.capacity;
    return 0;
}

static int cputune_parsed(void *part, struct parse *parse)
{
    struct cputune *cputune = part;
    if (schedulers_split(parse, &cputune->vcpuscheds) < 0)
        return -1;
    return schedulers_split(parse, &cputune->iothreadscheds);
}
ELEMENT(cputune, cputune, .parsed = cputune_parsed);

static const struct field memnode_fields[] = {
    FIELD_U32(memnode, cellid, "@cellid", .flags = ALWAYS),
    FIELD_ENUM(memnode, mode, "@mode", numatune_mode, .flags = HAS_DEFAULT, DEFAULT(NUMATUNE_MODE_STRICT)),
    FIELD_CPUSET(memnode, nodeset, "@nodeset", .flags = REQUIRED),
};
static ELEMENT(memnode, memnode);

static const struct field numatune_fields[] = {
    FIELD_ENUM(numatune, mode, "memory/@mode", numatune_mode),
    FIELD_CPUSET(numatune, nodeset, "memory/@nodeset"),
    FIELD_ENUM(numatune, placement, "memory/@placement", vcpu_placement),
    FIELD_LIST(numatune, memnodes, "memnode", memnode),
};

/* A node set means static placement, which is then not written. */
static int numatune_parsed(void *part, struct parse *parse)
{
    struct numatune *numatune = part;
    (void)parse;
    numatune->memory_set = numatune->mode || numatune->nodeset || numatune->placement;
    if (numatune->memory_set && !numatune->mode)
        numatune->mode = NUMATUNE_MODE_STRICT;
    if (numatune->nodeset && numatune->placement == VCPU_PLACEMENT_STATIC)
        numatune->placement = VCPU_PLACEMENT_ABSENT;
    return 0;
}
ELEMENT(numatune, numatune, .parsed = numatune_parsed);

static const struct field memtune_fields[] = {
    FIELD_MEMORY(memtune, hard_limit, "hard_limit"),
    FIELD_MEMORY(memtune, soft_limit, "soft_limit"),
    FIELD_MEMORY(memtune, min_guarantee, "min_guarantee"),
    FIELD_MEMORY(memtune, swap_hard_limit, "swap_hard_limit"),
};
ELEMENT(memtune, memtune);

static const struct field blkio_device_fields[] = {
    FIELD_STR(blkio_device, path, "path", .flags = REQUIRED),
    FIELD_OPT_U64(blkio_device, weight, "weight"),
    FIELD_OPT_U64(blkio_device, read_iops_sec, "read_iops_sec"),
    FIELD_OPT_U64(blkio_device, write_iops_sec, "write_iops_sec"),
    FIELD_OPT_U64(blkio_device, read_bytes_sec, "read_bytes_sec"),
    FIELD_OPT_U64(blkio_device, write_bytes_sec, "write_bytes_sec"),
};
static ELEMENT(blkio_device, blkio_device);

static const struct field blkiotune_fields[] = {
    FIELD_U32(blkiotune, weight, "weight"),
    FIELD_LIST(blkiotune, devices, "device", blkio_device),
};
ELEMENT(blkiotune, blkiotune);
