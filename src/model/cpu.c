/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/field.h"
#include "model/platform.h"

static const struct field cpu_feature_fields[] = {
    FIELD_ENUM(cpu_feature, policy, "@policy", cpu_policy, .flags = HAS_DEFAULT | GUEST_ABI,
               DEFAULT(CPU_POLICY_REQUIRE)),
    FIELD_STR(cpu_feature, name, "@name", .flags = REQUIRED | GUEST_ABI),
};
static ELEMENT(cpu_feature, cpu_feature);

static const struct field numa_distance_fields[] = {
    FIELD_U32(numa_distance, id, "@id", .flags = ALWAYS | GUEST_ABI),
    FIELD_U32(numa_distance, value, "@value", .flags = GUEST_ABI),
};
static ELEMENT(numa_distance, numa_distance);

static const struct field numa_cell_fields[] = {
    FIELD_OPT_U32(numa_cell, id, "@id", .flags = GUEST_ABI),
    FIELD_CPUSET(numa_cell, cpus, "@cpus", .flags = GUEST_ABI),
    FIELD_MEMORY(numa_cell, memory, "@memory", .flags = REQUIRED | GUEST_ABI),
    FIELD_ENUM(numa_cell, access, "@memAccess", memory_access),
    FIELD_ENUM(numa_cell, discard, "@discard", yesno),
    FIELD_LIST(numa_cell, distances, "distances/sibling", numa_distance, .flags = GUEST_ABI),
    FIELD_KEPT("cache"),
};
static ELEMENT(numa_cell, numa_cell);

static const struct field cpu_fields[] = {
    FIELD_ENUM(cpu, mode, "@mode", cpu_mode, .flags = GUEST_ABI),
    FIELD_ENUM(cpu, match, "@match", cpu_match, .flags = GUEST_ABI),
    FIELD_ENUM(cpu, check, "@check", cpu_check),
    FIELD_ENUM(cpu, migratable, "@migratable", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(cpu, fallback, "model/@fallback", cpu_fallback),
    FIELD_STR(cpu, vendor_id, "model/@vendor_id", .flags = GUEST_ABI),
    FIELD_STR(cpu, model, "model", .flags = GUEST_ABI | NOT_EMPTY),
    FIELD_STR(cpu, vendor, "vendor", .flags = GUEST_ABI),
    FIELD_U32(cpu, sockets, "topology/@sockets", .flags = GUEST_ABI),
    FIELD_U32(cpu, dies, "topology/@dies", .flags = GUEST_ABI),
    FIELD_U32(cpu, cores, "topology/@cores", .flags = GUEST_ABI),
    FIELD_U32(cpu, threads, "topology/@threads", .flags = GUEST_ABI),
    FIELD_OPT_U32(cpu, cache_level, "cache/@level", .flags = GUEST_ABI),
    FIELD_ENUM(cpu, cache_mode, "cache/@mode", cpu_cache_mode, .flags = GUEST_ABI),
    FIELD_ENUM(cpu, maxphysaddr_mode, "maxphysaddr/@mode", maxphysaddr_mode, .flags = GUEST_ABI),
    FIELD_U32(cpu, maxphysaddr_bits, "maxphysaddr/@bits", .flags = GUEST_ABI),
    FIELD_LIST(cpu, features, "feature", cpu_feature, .flags = GUEST_ABI),
    FIELD_LIST(cpu, cells, "numa/cell", numa_cell, .flags = GUEST_ABI),
    FIELD_KEPT("numa/interconnects"),
};
ELEMENT(cpu, cpu);
