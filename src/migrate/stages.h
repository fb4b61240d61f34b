/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/json.h"
#include "migrate/policy.h"

/* A policy at work: where a migration is in its stages, and what it has told of that. */

struct domain;
struct migration;
struct migrate_cookie;

#define STEERING_LINES_MAX 64

struct steering {
    const struct policy *policy;
    struct policy_contract contract;
    uint32_t armed;      /* features (MIGRATE_*) that were turned on for stages to come, at their weakest */
    json_t *before;      /* parameters of QEMU that were changed for that; NULL = none */
    size_t stage;
    uint32_t skipped;    /* a bit for each stage that could not be had, or that QEMU refused */
    uint32_t stalls, throttle;
    uint32_t pass;       /* the last one that was looked at */
    uint64_t left, low;  /* bytes when it began, and the least of all passes but the first; 0 = not known */
    uint64_t rate;       /* bytes a second in the last pass; 0 = not known */
    uint64_t sent, sent_ns; /* at the beginning of the last pass */
    uint64_t began_ns;
    const char *lines[STEERING_LINES_MAX]; /* what changed and why */
    uint32_t line_count;
};

/* Before QEMU is told anything: the policy, the contract, and what both ends have turned on for it (remote: what the
 * destination said in prepare). Waits. */
int stages_begin(struct migration *migration, const struct migrate_cookie *remote, struct error *err);
/* The same at the destination, whose QEMU is tried out. Waits. */
void stages_arm(struct migration *migration, const struct migrate_cookie *remote);
/* Disks are being copied: gives the migration up when a time budget that the user gave is over. */
void stages_copying(struct migration *migration);
/* `migrate` was given: the time runs. */
void stages_started(struct migration *migration);
/* Looks whether the stage is over, and does what the next is there for. To be called at every pass and every second or
 * so. True when it waited. */
bool stages_tend(struct migration *migration);
/* Gives a QEMU that stays the parameters back that it had. Waits. */
void stages_undo(struct migration *migration);
void stages_finish(struct steering *steering);
/* Milliseconds until its end as far as can be seen; -1 = it does not end by itself. */
int64_t stages_left_ms(const struct migration *migration);
/* Until the time budget is used up; -1 = there is none. */
int64_t stages_budget_ms(const struct migration *migration);

/* The pause that a migration of the domain may make, and the one it begins with, where nobody asks for another. */
uint32_t migration_downtime_most(const struct domain *domain);
uint32_t migration_downtime_first(const struct domain *domain);
