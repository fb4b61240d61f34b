/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "migrate/options.h"
#include "rpc/godwit_names.h"

/* How a migration that does not end by itself is made to end: a policy is a row of a table, a list of stages with what
 * leads from each to the next. What happens in a stage is stages.c. */

enum stage_kind {
    STAGE_PLAIN,         /* pass after pass over memory */
    STAGE_COMPRESSION,   /* pages that are sent again are sent as differences (xbzrle) */
    STAGE_AUTO_CONVERGE, /* the guest is slowed down */
    STAGE_POST_COPY,     /* the guest goes on there, and its memory follows */
    STAGE_PAUSE,         /* the guest may stand still for longer than the contract says */
    STAGE_GIVE_UP,       /* the guest stays, and the user is told why */
};

struct policy_stage {
    enum stage_kind kind;
    uint32_t stalls; /* so many passes that have not shrunk what is left, though the pause is at its longest, end it;
                      * 0 = none do */
    uint32_t share;  /* it ends in any case when so many percent of the time budget are over */
    uint32_t bound;  /* AUTO_CONVERGE: percent of the guest's time that are taken at most. PAUSE: milliseconds; 0 = as
                      * long as it takes */
};

#define POLICY_STAGES_MAX 6

struct policy {
    const char *name, *text;
    uint32_t first_pause_ms; /* that QEMU may make to begin with */
    /* the contract, where the user says nothing */
    uint32_t max_pause_ms;
    uint32_t budget_s, budget_per_gib_s; /* both 0 = for ever */
    bool multifd; /* several connections, when both ends can; they exclude compression and post-copy */
    struct policy_stage stages[POLICY_STAGES_MAX]; /* of those with a time budget the last is GIVE_UP */
};

/* What the user accepts. */
struct policy_contract {
    uint32_t max_pause_ms;
    uint64_t budget_ms; /* 0 = for ever */
    bool disruption;    /* the guest may be slowed down, paused for longer, or run there before its memory is there */
};

/* The table; a row with name NULL ends it. The first row is for who asks for none. */
extern const struct policy policies[];
#define POLICY_OFF "off"

/* NULL = off. ERR_INVALID_ARG names those that there are. */
const struct policy *policy_find(const char *name, struct error *err);
/* "plain, compression, give up". */
const char *policy_stages(const struct policy *policy, struct arena *arena);
const char *stage_name(enum stage_kind kind);

/* pause_ms: what is set for the domain; 0 = nothing. */
struct policy_contract policy_contract(const struct policy *policy, const struct migrate_options *options,
                                       uint64_t memory_kib, uint32_t pause_ms);
/* The features (MIGRATE_*) that both ends turn on if they can, so that a stage may use them; less what was asked for
 * anyway or does not go together with it. */
uint32_t policy_wishes(const struct policy *policy, const struct migrate_options *options);
/* True when a stage does what a contract without disruption forbids. */
bool stage_disrupts(enum stage_kind kind);
/* True when a stage is over. */
bool stage_is_over(const struct policy_stage *stage, uint32_t stalls, uint64_t elapsed_ms, uint64_t budget_ms);
/* A pass has shrunk what is left when it took a quarter of it; before 0 = not known, which counts as shrunk. */
bool pass_has_shrunk(uint64_t before, uint64_t left);
/* The pause in which so many bytes are sent, with a quarter for what cannot be foreseen; 0 = the rate is not known. */
uint32_t pause_for(uint64_t bytes, uint64_t bytes_per_second);
