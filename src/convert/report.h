/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "base/arena.h"

/* What a conversion did and what it leaves to a person. Collected while it goes, printed by whoever asked for it.
 * Everything lies in the report's arena; passwords never stand in it. */

struct remark {
    const char *rule;    /* id of the rule that speaks, "disk/target" */
    const char *subject; /* "disk xvda"; "" = the domain as a whole */
    const char *from;    /* a change: what stood there, NULL = nothing */
    const char *to;      /* a change: what stands there now, NULL = nothing */
    const char *text;    /* of a change: why; else: what is left to do, or could not be decided */
};

struct remarks {
    struct remark *item;
    size_t count, capacity;
};

struct report {
    struct arena *arena;
    struct remarks changes; /* made, in order */
    struct remarks left;    /* for a person */
};

/* Copies the strings. why is a literal (a rule's). */
void report_change(struct report *report, const char *rule, const char *subject, const char *from, const char *to,
                   const char *why);
void report_left(struct report *report, const char *rule, const char *subject, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* "disk xvda: target xvda -> vda", in the arena. */
const char *remark_line(struct arena *arena, const struct remark *remark);
