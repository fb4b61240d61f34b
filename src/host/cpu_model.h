/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/cpu_features.h"

/* What this host's processor says about itself. Read once: it does not change while the machine runs, but for the
 * microcode. Only x86 has features and a signature; elsewhere only what the kernel tells. Nothing here waits. */
struct cpu_identity {
    const char *vendor; /* the word of the CPU XML: Intel, AMD, Hygon, ...; NULL = none of the known ones */
    unsigned family, model, stepping;
    uint64_t microcode;          /* 0 = unknown */
    unsigned physical_bits;      /* width of a physical address; 0 = unknown */
    uint64_t tsc_hz;             /* 0 = unknown or not constant */
    bool tsc_scaling;            /* guests may have another frequency */
    struct cpu_features features;
};

/* The instruction, and what KVM says of the MSRs and the counter; without KVM these two are unknown. */
extern const struct cpu_source cpu_source_host;

/* root as in host/sysfs.h, for what /proc/cpuinfo tells. */
void cpu_identity_read(struct cpu_identity *identity, const struct cpu_source *source, const char *root);

/* "GenuineIntel" -> "Intel"; NULL for an unknown one. */
const char *cpu_vendor_name(const char *id);
