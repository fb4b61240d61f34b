/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/cpu_features.h"
#include "qemu/capabilities.h"

/* The CPU models of one QEMU binary under one accelerator, each with its features, as QEMU itself expands them. Asked
 * only when somebody compares or describes processors (80 ms for the 55 models of x86), then kept on disk and in
 * memory. */

struct cpu_model {
    const char *name;
    const char *vendor; /* the CPU XML's word; NULL = suits every vendor */
    bool usable;        /* QEMU can give it to a guest here */
    bool deprecated;
    struct cpu_features features; /* without "hypervisor", which every guest has; empty outside x86 */
};

struct cpu_models {
    struct cpu_model *items; /* the names without version, in QEMU's order */
    size_t count;
    /* The best that QEMU can give a guest here and move to an equal host: what mode host-model begins with. name is
     * NULL, "hypervisor" is in. */
    struct cpu_model best;
};

struct cpu_models_cache;
/* Keeps its files in DIRECTORY (made when first needed). */
struct cpu_models_cache *cpu_models_cache_new(const char *directory);
void cpu_models_cache_free(struct cpu_models_cache *cache);

/* Waits, when QEMU has to be asked. The answer stays valid as long as the cache. ERR_CONFIG_UNSUPPORTED when the
 * accelerator is not usable here. */
const struct cpu_models *cpu_models_get(struct cpu_models_cache *cache, const struct qemu_caps *caps,
                                        enum qemu_accel accel, deadline until, struct error *err);
/* NULL when there is no such model. */
const struct cpu_model *cpu_models_find(const struct cpu_models *models, const char *name);

/* True for the names that users write: not "host", "max", "base", and not a version of another name ("EPYC-v2"). */
bool cpu_model_is_public(const struct qemu_cpu_model *model);
