/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/cpu_compare.h"

#include "model/xml.h"

/* mode='host-model' becomes a named model with its differences, so that every host the guest moves to builds the same
 * processor. */

static bool is_named(const struct cpu *cpu, const char *feature)
{
    for (uint32_t i = 0; i < cpu->features.count; i++)
        if (string_equal(cpu->features.item[i]->name, feature))
            return true;
    return false;
}

/* What the user wrote of a feature stands. */
static void add_features(struct arena *arena, struct cpu *cpu, const struct cpu_features *features,
                         enum cpu_policy policy)
{
    for (unsigned number = 0; number < CPU_FEATURE_COUNT; number++) {
        if (!cpu_features_has(features, number) || is_named(cpu, cpu_feature_name(number)))
            continue;
        struct cpu_feature *feature = arena_struct(arena, struct cpu_feature);
        feature->name = cpu_feature_name(number);
        feature->policy = policy;
        list_add(arena, &cpu->features, feature);
    }
}

bool cpu_is_host_model(const struct cpu *cpu)
{
    return cpu && cpu->mode == CPU_MODE_HOST_MODEL && !cpu->model;
}

int cpu_fill_host_model(struct arena *arena, struct cpu *cpu, const struct cpu_models *models, struct error *err)
{
    struct cpu_choice choice;
    if (!cpu_features_count(&models->best.features) ||
        !cpu_choose(models, models->best.vendor, &models->best.features, false, &choice))
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "<cpu mode='host-model'>: no CPU model comes near this host's "
                         "processor: name a model of 'virsh cpu-models', or use mode='maximum'");
    cpu->mode = CPU_MODE_CUSTOM;
    cpu->match = CPU_MATCH_EXACT;
    cpu->fallback = CPU_FALLBACK_FORBID;
    cpu->model = choice.model->name;
    if (!cpu->vendor)
        cpu->vendor = models->best.vendor;
    add_features(arena, cpu, &choice.require, CPU_POLICY_REQUIRE);
    add_features(arena, cpu, &choice.disable, CPU_POLICY_DISABLE);
    return 0;
}
