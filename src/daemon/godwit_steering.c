/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"
#include "migrate/policy.h"
#include "migrate/migrate.h"

/* What `godwit migrate` shows of how a migration is steered. */

int handle_godwit_migration_policies(struct call *call, const struct godwit_migration_policies_args *args,
                                     struct godwit_migration_policies_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    const struct policy *policy = policies;
    while (policy->name)
        policy++;
    ret->policies = arena_new_array(call->arena, (size_t)(policy - policies), struct wire_migration_policy);
    for (policy = policies; policy->name; policy++)
        ret->policies[ret->policies_count++] = (struct wire_migration_policy){
            .name = policy->name,
            .text = policy->text,
            .stages = policy_stages(policy, call->arena),
            .max_pause_ms = policy->max_pause_ms,
            .budget_s = policy->budget_s,
            .budget_per_gib_s = policy->budget_per_gib_s,
        };
    return 0;
}

int handle_godwit_migration_follow(struct call *call, const struct godwit_migration_follow_args *args,
                                   struct godwit_migration_follow_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    struct migration_news news;
    if (!domain)
        return -1;
    migration_follow_news(domain, args->seen, &news, call->arena);
    ret->lines = news.lines;
    ret->lines_count = news.line_count;
    ret->left_ms = news.left_ms;
    ret->budget_ms = news.budget_ms;
    ret->active = news.active;
    return 0;
}
