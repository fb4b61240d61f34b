/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/text.h"
#include "model/platform.h"
#include "qemu/cpu_models.h"

/* What <cpu> elements mean as feature sets, and how such sets relate: for comparing processors, for the common
 * denominator of several, and for describing one by a model's name and what differs. Nothing here waits. */

enum cpu_match_rule { CPU_RULE_MINIMUM, CPU_RULE_STRICT }; /* exact asks no more of a host than minimum */

struct cpu_description {
    const char *arch;   /* NULL = not said */
    const char *vendor; /* NULL = any */
    enum cpu_match_rule rule;
    struct cpu_features features;  /* the model's, with what is required and without what is disabled */
    struct cpu_features forbidden; /* a host that has them will not do */
};
/* Reads a <cpu> element: a host's as in capabilities, or a guest's as in a domain. ERR_XML_ERROR for bad XML,
 * ERR_INVALID_ARG without a model, ERR_CONFIG_UNSUPPORTED for names that are not known. Strings live in the arena. */
int cpu_description_parse(struct arena *arena, struct cpu_description *description, const char *xml,
                          const struct cpu_models *models, struct error *err);

/* How a host (arch, vendor, features) suits the description: CPU_COMPARE_INCOMPATIBLE, _IDENTICAL or _SUPERSET. reason
 * gets the words for the first (what is missing or too much). */
int cpu_compare(const struct cpu_description *host, const struct cpu_description *wanted, struct text *reason);

/* A processor as a model's name and what differs from it. */
struct cpu_choice {
    const struct cpu_model *model;
    struct cpu_features require, disable;
};
/* The model with the fewest differences among those of the vendor (NULL = of any). subset: only models of which the
 * set has all features (a host cannot disable any). False when no model suits. */
bool cpu_choose(const struct cpu_models *models, const char *vendor, const struct cpu_features *features, bool subset,
                struct cpu_choice *choice);
/* Appends <model>, <vendor> and <feature policy='...' name='...'/> lines, each indented by `indent` blanks. */
void cpu_choice_format(struct text *xml, const struct cpu_choice *choice, const char *vendor, unsigned indent);

/* For a guest that starts: mode='host-model' (still without a model) becomes the model nearest to the best processor,
 * with what differs. Names are the models' and literals, so they must live as long as the definition.
 * ERR_CONFIG_UNSUPPORTED when no model comes near. */
bool cpu_is_host_model(const struct cpu *cpu);
int cpu_fill_host_model(struct arena *arena, struct cpu *cpu, const struct cpu_models *models, struct error *err);

/* Appends the <cpu> that all the described processors (and `limit`, when not NULL) can run. flags are
 * CONNECT_BASELINE_CPU_*. ERR_OPERATION_FAILED when they have nothing in common. */
int cpu_baseline(struct text *xml, const struct cpu_models *models, const struct cpu_features *limit,
                 const char *const *descriptions, size_t count, unsigned flags, struct error *err);
