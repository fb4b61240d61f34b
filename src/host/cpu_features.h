/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The x86 CPU features that have a public name, as sets. The names are those of the domain and CPU XML; QEMU spells
 * some of them differently (cpu_feature_from_qemu()). One table maps each name to its bit of a CPUID register or MSR.
 */

#define CPU_FEATURE_WORDS 23
#define CPU_FEATURE_COUNT (CPU_FEATURE_WORDS * 32)

struct cpu_features {
    uint32_t words[CPU_FEATURE_WORDS];
};

/* The name of feature number 0..CPU_FEATURE_COUNT-1; NULL for a bit without one. */
const char *cpu_feature_name(unsigned feature);
/* The number of a public name, or of QEMU's canonical name (as in a static CPU model expansion); -1 when unknown. */
int cpu_feature_find(const char *name);
int cpu_feature_from_qemu(const char *qemu_name);
/* False for what ties a guest to this very host (invtsc). */
bool cpu_feature_is_migratable(unsigned feature);

/* Where the facts about a CPU come from; each returns false when there is no such leaf, MSR or counter. Tests put
 * their own here. */
struct cpu_source {
    bool (*cpuid)(uint32_t leaf, uint32_t subleaf, uint32_t registers[4]); /* EAX, EBX, ECX, EDX */
    bool (*msr)(uint32_t index, uint64_t *value);
    bool (*tsc)(uint64_t *hz, bool *scaling); /* scaling: guests may have another frequency */
};
void cpu_features_read(struct cpu_features *features, const struct cpu_source *source);

static inline bool cpu_features_has(const struct cpu_features *set, unsigned feature)
{
    return set->words[feature / 32] >> (feature % 32) & 1;
}
static inline void cpu_features_add(struct cpu_features *set, unsigned feature)
{
    set->words[feature / 32] |= UINT32_C(1) << (feature % 32);
}
static inline void cpu_features_remove(struct cpu_features *set, unsigned feature)
{
    set->words[feature / 32] &= ~(UINT32_C(1) << (feature % 32));
}
/* a without b, and a and b. */
struct cpu_features cpu_features_minus(const struct cpu_features *a, const struct cpu_features *b);
struct cpu_features cpu_features_common(const struct cpu_features *a, const struct cpu_features *b);
unsigned cpu_features_count(const struct cpu_features *set);
