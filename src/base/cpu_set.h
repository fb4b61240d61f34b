/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

/* A set of small numbers: processors, NUMA nodes. The wire carries maps of at most 2048 bytes, hence the size. A zeroed
 * struct is the empty set. */
#define CPU_SET_BITS 16384
struct cpu_set {
    uint64_t words[CPU_SET_BITS / 64];
};

static inline bool cpu_set_has(const struct cpu_set *set, unsigned bit)
{
    return bit < CPU_SET_BITS && (set->words[bit / 64] >> (bit % 64) & 1);
}
static inline void cpu_set_add(struct cpu_set *set, unsigned bit)
{
    if (bit < CPU_SET_BITS)
        set->words[bit / 64] |= UINT64_C(1) << (bit % 64);
}
static inline void cpu_set_remove(struct cpu_set *set, unsigned bit)
{
    if (bit < CPU_SET_BITS)
        set->words[bit / 64] &= ~(UINT64_C(1) << (bit % 64));
}
unsigned cpu_set_count(const struct cpu_set *set);
/* One more than the highest member; 0 when empty. */
unsigned cpu_set_end(const struct cpu_set *set);

/* As users and the kernel write it: "0-3,^2,8", with blanks between the parts; "" is the empty set. Returns 0, or -1
 * when the text is none or names a number past the size (the set then holds what came before). */
int cpu_set_parse(struct cpu_set *set, const char *text);
/* The shortest spelling: "0-1,3,8"; in the arena. */
char *cpu_set_format(struct arena *arena, const struct cpu_set *set);
