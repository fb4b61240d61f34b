/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/domain.h"

#include "qemu/arch.h"
#include "qemu/cpu_compare.h"

/* What the <cpu> of a definition means on this host. */

enum { PROBE_MS = 30000 }; /* asking a QEMU binary what it can, once per binary */

static const struct cpu_models *models_for(struct driver *driver, const struct domain_def *def, struct error *err)
{
    const struct qemu_caps *caps = qemu_caps_get(driver->caps, def->emulator, deadline_ms(PROBE_MS), err);
    enum qemu_accel accel = def->type == VIRT_TYPE_KVM ? QEMU_KVM : QEMU_TCG;
    return caps ? cpu_models_get(driver->cpu_models, caps, accel, deadline_ms(PROBE_MS), err) : NULL;
}

int domain_name_processor(struct driver *driver, struct domain_def *def, struct error *err)
{
    if (!arch_is_x86(def->os.arch) || !cpu_is_host_model(def->cpu))
        return 0;
    const struct cpu_models *models = models_for(driver, def, err);
    return models ? cpu_fill_host_model(def->arena, def->cpu, models, err) : -1;
}

/* Optional features are there or not, and "at least this model" is this host's processor. */
static int update(struct domain_def *def, const struct cpu_models *models, struct error *err)
{
    struct cpu *cpu = def->cpu;
    for (uint32_t i = 0; i < cpu->features.count; i++) {
        struct cpu_feature *feature = cpu->features.item[i];
        int number = cpu_feature_find(feature->name);
        if (feature->policy == CPU_POLICY_OPTIONAL)
            feature->policy = number >= 0 && cpu_features_has(&models->best.features, (unsigned)number)
                                  ? CPU_POLICY_REQUIRE
                                  : CPU_POLICY_DISABLE;
    }
    bool host = cpu_is_host_model(cpu), least = cpu->mode == CPU_MODE_CUSTOM && cpu->match == CPU_MATCH_MINIMUM;
    if (!host && !least)
        return 0;
    const char *vendor = cpu->vendor;
    if (cpu_fill_host_model(def->arena, cpu, models, err) < 0)
        return -1;
    cpu->fallback = CPU_FALLBACK_ALLOW; /* a start may choose another */
    if (least)
        cpu->vendor = vendor;
    return 0;
}

int domain_update_processor(struct driver *driver, struct domain_def *def, struct error *err)
{
    bool fixed = def->id.set || !def->cpu; /* a running guest has what it has */
    if (fixed || !arch_is_x86(def->os.arch))
        return 0;
    const struct cpu_models *models = models_for(driver, def, err);
    return models ? update(def, models, err) : -1;
}
