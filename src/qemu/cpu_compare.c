/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/cpu_compare.h"

#include <string.h>

#include "model/xml.h"

/* -- reading ------------------------------------------------------------------------------------------------------ */

static const char *attribute(struct arena *arena, xmlNode *node, const char *name)
{
    xmlChar *value = xmlGetNoNsProp(node, BAD_CAST name);
    const char *copy = arena_strdup(arena, (const char *)value);
    xmlFree(value);
    return copy;
}

static const char *content(struct arena *arena, xmlNode *node)
{
    xmlChar *value = xmlNodeGetContent(node);
    char *copy = arena_strdup(arena, value ? (const char *)value : "");
    xmlFree(value);
    copy += strspn(copy, " \t\n");
    for (size_t length = strlen(copy); length > 0 && strchr(" \t\n", copy[length - 1]);)
        copy[--length] = '\0';
    return copy;
}

static int feature_apply(struct arena *arena, struct cpu_description *description, xmlNode *node, struct error *err)
{
    const char *name = attribute(arena, node, "name"), *policy = attribute(arena, node, "policy");
    if (!name)
        return error_set(err, ERR_XML_ERROR, "cpu/feature: attribute 'name' is missing");
    int feature = cpu_feature_find(name);
    if (feature < 0)
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "cpu/feature/@name: unknown CPU feature '%s'", name);
    if (!policy || string_equal(policy, "require") || string_equal(policy, "force")) {
        cpu_features_add(&description->features, feature);
    } else if (string_equal(policy, "disable")) {
        cpu_features_remove(&description->features, feature);
    } else if (string_equal(policy, "forbid")) {
        cpu_features_remove(&description->features, feature);
        cpu_features_add(&description->forbidden, feature);
    } else if (!string_equal(policy, "optional")) {
        return error_set(err, ERR_XML_ERROR, "cpu/feature/@policy: '%s' is not one of force, require, optional, "
                         "disable, forbid", policy);
    }
    return 0;
}

static xmlNode *child(xmlNode *parent, const char *name)
{
    for (xmlNode *node = parent->children; node; node = node->next)
        if (node->type == XML_ELEMENT_NODE && string_equal((const char *)node->name, name))
            return node;
    return NULL;
}

static int cpu_element_read(struct arena *arena, struct cpu_description *description, xmlNode *cpu,
                            const struct cpu_models *models, struct error *err)
{
    xmlNode *model_node = child(cpu, "model"), *vendor = child(cpu, "vendor"), *arch = child(cpu, "arch");
    const char *match = attribute(arena, cpu, "match");
    if (!model_node)
        return error_set(err, ERR_INVALID_ARG, "cpu/model: the CPU has no model, so there is nothing to compare");
    const char *name = content(arena, model_node);
    const struct cpu_model *model = cpu_models_find(models, name);
    if (!model)
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "cpu/model: unknown CPU model '%s'", name);
    *description = (struct cpu_description){
        .arch = arch ? content(arena, arch) : NULL,
        .vendor = vendor ? content(arena, vendor) : NULL,
        .rule = string_equal(match, "strict") ? CPU_RULE_STRICT : CPU_RULE_MINIMUM,
        .features = model->features,
    };
    unsigned features = 0;
    for (xmlNode *node = cpu->children; node; node = node->next) {
        if (node->type != XML_ELEMENT_NODE || !string_equal((const char *)node->name, "feature"))
            continue;
        if (++features > CPU_FEATURE_COUNT)
            return error_set(err, ERR_XML_ERROR, "cpu/feature: more than %d features", CPU_FEATURE_COUNT);
        if (feature_apply(arena, description, node, err) < 0)
            return -1;
    }
    return 0;
}

int cpu_description_parse(struct arena *arena, struct cpu_description *description, const char *xml,
                          const struct cpu_models *models, struct error *err)
{
    xmlDoc *document = xml_read(xml, strlen(xml), "cpu", err);
    if (!document)
        return -1;
    int result = cpu_element_read(arena, description, xmlDocGetRootElement(document), models, err);
    xmlFreeDoc(document);
    return result;
}

/* -- comparing ---------------------------------------------------------------------------------------------------- */

/* "aes, avx" for a set; at most the message's length matters, so all are named. */
static void append_names(struct text *text, const struct cpu_features *features)
{
    const char *separator = "";
    for (unsigned feature = 0; feature < CPU_FEATURE_COUNT; feature++)
        if (cpu_features_has(features, feature)) {
            text_printf(text, "%s%s", separator, cpu_feature_name(feature));
            separator = ", ";
        }
}

/* Bits that say what surrounds a processor (its topology, the system that runs on it), not what it can. */
static void drop_circumstances(struct cpu_features *features)
{
    static const char *const names[] = {"hypervisor", "ht", "osxsave", "ospke"};
    for (size_t i = 0; i < COUNT(names); i++)
        cpu_features_remove(features, cpu_feature_find(names[i]));
}

int cpu_compare(const struct cpu_description *host, const struct cpu_description *wanted, struct text *reason)
{
    struct cpu_features have = host->features, want = wanted->features;
    drop_circumstances(&have);
    drop_circumstances(&want);
    struct cpu_features missing = cpu_features_minus(&want, &have);
    struct cpu_features extra = cpu_features_minus(&have, &want);
    struct cpu_features refused = cpu_features_common(&have, &wanted->forbidden);
    if (wanted->arch && host->arch && !string_equal(wanted->arch, host->arch))
        text_printf(reason, "the CPU's architecture is %s, the host's is %s", wanted->arch, host->arch);
    else if (wanted->vendor && !string_equal(wanted->vendor, host->vendor))
        text_printf(reason, "the CPU's vendor is %s, the host's is %s", wanted->vendor,
                    host->vendor ? host->vendor : "not known");
    else if (cpu_features_count(&missing)) {
        text_append(reason, "the host lacks ");
        append_names(reason, &missing);
    } else if (cpu_features_count(&refused)) {
        text_append(reason, "the host has what is forbidden: ");
        append_names(reason, &refused);
    } else if (wanted->rule == CPU_RULE_STRICT && cpu_features_count(&extra)) {
        text_append(reason, "the match is strict and the host has also ");
        append_names(reason, &extra);
    } else {
        return cpu_features_count(&extra) ? CPU_COMPARE_SUPERSET : CPU_COMPARE_IDENTICAL;
    }
    return CPU_COMPARE_INCOMPATIBLE;
}

/* -- describing --------------------------------------------------------------------------------------------------- */

bool cpu_choose(const struct cpu_models *models, const char *vendor, const struct cpu_features *features, bool subset,
                struct cpu_choice *choice)
{
    unsigned best = 0;
    choice->model = NULL;
    for (size_t i = 0; i < models->count; i++) {
        const struct cpu_model *model = &models->items[i];
        if (vendor && model->vendor && !string_equal(model->vendor, vendor))
            continue;
        struct cpu_features require = cpu_features_minus(features, &model->features);
        struct cpu_features disable = cpu_features_minus(&model->features, features);
        unsigned lacking = cpu_features_count(&disable);
        if (subset && lacking)
            continue;
        /* Among equals, the one of which less is taken away. */
        unsigned score = (cpu_features_count(&require) + lacking) * CPU_FEATURE_COUNT + lacking;
        if (!choice->model || score < best) {
            *choice = (struct cpu_choice){model, require, disable};
            best = score;
        }
    }
    return choice->model;
}

static void append_features(struct text *xml, const struct cpu_features *features, const char *policy, unsigned indent)
{
    for (unsigned feature = 0; feature < CPU_FEATURE_COUNT; feature++)
        if (cpu_features_has(features, feature))
            text_printf(xml, "%*s<feature policy='%s' name='%s'/>\n", (int)indent, "", policy,
                        cpu_feature_name(feature));
}

void cpu_choice_format(struct text *xml, const struct cpu_choice *choice, const char *vendor, unsigned indent)
{
    text_printf(xml, "%*s<model fallback='forbid'>", (int)indent, "");
    xml_escape(xml, choice->model->name);
    text_append(xml, "</model>\n");
    if (vendor) {
        text_printf(xml, "%*s<vendor>", (int)indent, "");
        xml_escape(xml, vendor);
        text_append(xml, "</vendor>\n");
    }
    append_features(xml, &choice->require, "require", indent);
    append_features(xml, &choice->disable, "disable", indent);
}

/* What all of them have, whose vendor is theirs (NULL when one does not say). */
static int common_of(struct arena *arena, const struct cpu_models *models, const char *const *descriptions,
                     size_t count, struct cpu_description *common, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct cpu_description one;
        if (cpu_description_parse(arena, &one, descriptions[i], models, err) < 0)
            return error_wrap(err, "CPU %zu", i + 1);
        if (i == 0) {
            *common = one;
            continue;
        }
        if (common->arch && one.arch && !string_equal(common->arch, one.arch))
            return error_set(err, ERR_OPERATION_FAILED, "CPU %zu has architecture %s, those before have %s", i + 1,
                             one.arch, common->arch);
        if (common->vendor && one.vendor && !string_equal(common->vendor, one.vendor))
            return error_set(err, ERR_OPERATION_FAILED, "CPU vendors do not match: CPU %zu is %s, those before are %s",
                             i + 1, one.vendor, common->vendor);
        if (!one.vendor)
            common->vendor = NULL;
        common->features = cpu_features_common(&common->features, &one.features);
    }
    return 0;
}

static void drop_unmigratable(struct cpu_features *features)
{
    for (unsigned feature = 0; feature < CPU_FEATURE_COUNT; feature++)
        if (cpu_features_has(features, feature) && !cpu_feature_is_migratable(feature))
            cpu_features_remove(features, feature);
}

int cpu_baseline(struct text *xml, const struct cpu_models *models, const struct cpu_features *limit,
                 const char *const *descriptions, size_t count, unsigned flags, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct cpu_description common = {0};
    struct cpu_choice choice;
    if (count == 0)
        return error_set(err, ERR_INVALID_ARG, "no CPU was given to find a baseline of");
    if (common_of(arena, models, descriptions, count, &common, err) < 0)
        return -1;
    if (limit)
        common.features = cpu_features_common(&common.features, limit);
    if (flags & CONNECT_BASELINE_CPU_MIGRATABLE)
        drop_unmigratable(&common.features);
    if (!cpu_features_count(&common.features) ||
        !cpu_choose(models, common.vendor, &common.features, false, &choice))
        return error_set(err, ERR_OPERATION_FAILED, "the CPUs are incompatible: they have nothing in common");
    if (flags & CONNECT_BASELINE_CPU_EXPAND_FEATURES)
        choice.require = common.features;
    text_append(xml, "<cpu mode='custom' match='exact'>\n");
    cpu_choice_format(xml, &choice, common.vendor, 2);
    text_append(xml, "</cpu>\n");
    return 0;
}
