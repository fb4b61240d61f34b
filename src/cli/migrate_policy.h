/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/migrate.h"

/* How a migration is steered (src/migrate/policy.h): the source's daemon does it; here it is asked for and told of. */

#define MIGRATE_POLICY_OPTIONS                                                                                         \
    {"policy", OPTION_STRING, OPTION_NAMED, "how a migration that does not end by itself is made to end (see "        \
     "--policies); auto unless --timeout, --postcopy or --auto-converge say that you steer yourself"},                \
    {"max-pause", OPTION_NUMBER, OPTION_NAMED, "milliseconds that the policy may stop the guest for"},                 \
    {"time-budget", OPTION_NUMBER, OPTION_NAMED, "seconds in which it must be over, one way or the other"},            \
    {"no-disruption", OPTION_BOOL, 0, "the policy may neither slow the guest down, nor pause it for longer, nor use "  \
     "post-copy"}

/* --policies: prints what the source's daemon knows. */
int migrate_policies(struct invocation *in, struct error *err);
/* Adds the parameters to the migration. A source that knows of no policies is an error only when one is asked for. */
int migrate_policy_add(struct invocation *in, struct migration *migration, struct error *err);
/* The same for a command that knows no way to steer by hand: any live migration of its is steered. */
int migrate_policy_steer(struct invocation *in, struct migration *migration, struct error *err);
/* Looks whether the destination knows them too. */
void migrate_policy_meet(struct migration *migration);

/* What is said about a migration, as it is said. */
struct migrate_news {
    struct invocation *in;
    struct migration *migration;
    const bool *over;
    struct condition *changed; /* of that; woken at the end */
    bool finished;
    int64_t left_ms, budget_ms; /* -1 = not known, or none */
    void (*line)(void *owner, const char *text);
    void *owner;
};
/* A fiber's body: asks until *over. */
void migrate_news_fiber(void *news);
/* ", about 12 s left", ", at most 100 s left" or "". */
const char *migrate_news_left(const struct migrate_news *news, char *buffer, size_t size);
