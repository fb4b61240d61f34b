/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/policy.h"

#include <string.h>

#include "base/text.h"
#include "migrate/migrate.h"

/* A pause of 20 ms to begin with: QEMU stops the guest as soon as what is left fits into the pause it may make, even
 * when one more pass would take no longer and leave a tenth of it. */
enum { FIRST_MS = 20 };

/* Post-copy is left to those who ask for it: while it lasts, the guest lives by both hosts and the network between. */
const struct policy policies[] = {
    {.name = POLICY_OFF,
     .text = "nothing but a pause that grows up to its limit; may never end, as with virsh",
     .first_pause_ms = FIRST_MS,
     .max_pause_ms = MIGRATE_DOWNTIME_DEFAULT_MS,
     .stages = {{STAGE_PLAIN, 0, 0, 0}}},
    {.name = "auto",
     .text = "slows the guest down when it must, and stops it for 10 s at most",
     .first_pause_ms = FIRST_MS,
     .max_pause_ms = MIGRATE_DOWNTIME_DEFAULT_MS,
     .budget_s = 300,
     .budget_per_gib_s = 60,
     .stages = {{STAGE_PLAIN, 2, 40, 0},
                {STAGE_COMPRESSION, 2, 50, 0},
                {STAGE_AUTO_CONVERGE, 8, 85, 80},
                {STAGE_PAUSE, 0, 100, 10000},
                {STAGE_GIVE_UP, 0, 0, 0}}},
    {.name = "gentle",
     .text = "never slows the guest down, nor stops it for longer than --max-pause; rather gives up",
     .first_pause_ms = FIRST_MS,
     .max_pause_ms = MIGRATE_DOWNTIME_DEFAULT_MS,
     .budget_s = 300,
     .budget_per_gib_s = 60,
     .stages = {{STAGE_PLAIN, 3, 60, 0}, {STAGE_COMPRESSION, 0, 100, 0}, {STAGE_GIVE_UP, 0, 0, 0}}},
    {.name = "fast",
     .text = "several connections, little patience, stops the guest for 30 s at most",
     .first_pause_ms = FIRST_MS,
     .max_pause_ms = 1000,
     .budget_s = 120,
     .budget_per_gib_s = 20,
     .multifd = true,
     .stages = {{STAGE_PLAIN, 1, 40, 0},
                {STAGE_AUTO_CONVERGE, 8, 70, 95},
                {STAGE_PAUSE, 0, 100, 30000},
                {STAGE_GIVE_UP, 0, 0, 0}}},
    {.name = "post-copy",
     .text = "neither slows the guest down nor stops it for long, but splits it between the hosts for a while",
     .first_pause_ms = FIRST_MS,
     .max_pause_ms = MIGRATE_DOWNTIME_DEFAULT_MS,
     .budget_s = 300,
     .budget_per_gib_s = 60,
     .stages = {{STAGE_PLAIN, 2, 50, 0}, {STAGE_POST_COPY, 0, 100, 0}, {STAGE_GIVE_UP, 0, 0, 0}}},
    {.name = "guaranteed",
     .text = "ends on the destination, whatever it takes: post-copy, or else a pause of any length",
     .first_pause_ms = FIRST_MS,
     .max_pause_ms = MIGRATE_DOWNTIME_DEFAULT_MS,
     .budget_s = 300,
     .budget_per_gib_s = 60,
     .stages = {{STAGE_PLAIN, 2, 30, 0},
                {STAGE_COMPRESSION, 2, 40, 0},
                {STAGE_AUTO_CONVERGE, 8, 60, 80},
                {STAGE_POST_COPY, 0, 80, 0},
                {STAGE_PAUSE, 0, 100, 0},
                {STAGE_GIVE_UP, 0, 0, 0}}},
    {0},
};

static const struct {
    const char *name;
    uint32_t needs; /* the feature that must be on before the migration begins */
    bool disrupts;
} kinds[] = {
    [STAGE_PLAIN] = {"plain", 0, false},
    [STAGE_COMPRESSION] = {"compression", MIGRATE_COMPRESSED, false},
    [STAGE_AUTO_CONVERGE] = {"auto-converge", MIGRATE_AUTO_CONVERGE, true},
    [STAGE_POST_COPY] = {"post-copy", MIGRATE_POSTCOPY, true},
    [STAGE_PAUSE] = {"pause", 0, true},
    [STAGE_GIVE_UP] = {"give up", 0, false},
};

const char *stage_name(enum stage_kind kind)
{
    return kinds[kind].name;
}

bool stage_disrupts(enum stage_kind kind)
{
    return kinds[kind].disrupts;
}

static size_t stage_count(const struct policy *policy)
{
    size_t count = 1; /* PLAIN is zero, and always the first */
    while (count < POLICY_STAGES_MAX && policy->stages[count].kind != STAGE_PLAIN)
        count++;
    return count;
}

const struct policy *policy_find(const char *name, struct error *err)
{
    scoped_text struct text known = {0};
    for (const struct policy *policy = policies; policy->name; policy++) {
        if (strcmp(policy->name, name ? name : POLICY_OFF) == 0)
            return policy;
        text_printf(&known, "%s%s", known.length ? ", " : "", policy->name);
    }
    return error_null(err, ERR_INVALID_ARG, "--policy '%s' is not known; there are %s", name, text_string(&known));
}

const char *policy_stages(const struct policy *policy, struct arena *arena)
{
    scoped_text struct text out = {0};
    text_append(&out, policy->multifd ? "parallel connections, " : "");
    for (size_t i = 0; i < stage_count(policy); i++)
        text_printf(&out, "%s%s", i ? ", " : "", stage_name(policy->stages[i].kind));
    return arena_strdup(arena, text_string(&out));
}

struct policy_contract policy_contract(const struct policy *policy, const struct migrate_options *options,
                                       uint64_t memory_kib, uint32_t pause_ms)
{
    uint64_t usual_s = policy->budget_s + policy->budget_per_gib_s * (memory_kib >> 20);
    return (struct policy_contract){
        .max_pause_ms = options->max_pause_ms ? options->max_pause_ms : pause_ms ? pause_ms : policy->max_pause_ms,
        .budget_ms = (options->time_budget_s ? options->time_budget_s : usual_s) * 1000,
        .disruption = options->disruption != MIGRATE_DISRUPTION_NO,
    };
}

uint32_t policy_wishes(const struct policy *policy, const struct migrate_options *options)
{
    uint32_t flags = options->flags, wishes = 0;
    bool disruption = options->disruption != MIGRATE_DISRUPTION_NO;
    for (size_t i = 0; i < stage_count(policy); i++)
        if (disruption || !kinds[policy->stages[i].kind].disrupts)
            wishes |= kinds[policy->stages[i].kind].needs;
    if (policy->multifd && !(flags & (MIGRATE_TUNNELLED | MIGRATE_POSTCOPY | MIGRATE_COMPRESSED)))
        wishes |= MIGRATE_PARALLEL;
    if ((wishes | flags) & MIGRATE_PARALLEL)
        wishes &= ~(uint32_t)(MIGRATE_COMPRESSED | MIGRATE_POSTCOPY);
    if (flags & MIGRATE_TUNNELLED)
        wishes &= ~(uint32_t)MIGRATE_POSTCOPY;
    return wishes & ~flags;
}

bool stage_is_over(const struct policy_stage *stage, uint32_t stalls, uint64_t elapsed_ms, uint64_t budget_ms)
{
    if (stage->stalls && stalls >= stage->stalls)
        return true;
    return budget_ms && stage->share && elapsed_ms >= budget_ms / 100 * stage->share;
}

bool pass_has_shrunk(uint64_t before, uint64_t left)
{
    return !before || left <= before - before / 4;
}

uint32_t pause_for(uint64_t bytes, uint64_t bytes_per_second)
{
    if (!bytes_per_second)
        return 0;
    double ms = (double)bytes * 1250.0 / (double)bytes_per_second + 1;
    return ms < PAUSE_ANY_MS ? (uint32_t)ms : PAUSE_ANY_MS;
}
