/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/migrate_policy.h"

#include <string.h>

#include "cli/output.h"

#define POLICY_DEFAULT "auto"

enum { AGAIN_MS = 200 };

static int ask(struct connection *daemon, struct godwit_migration_policies_ret *ret, struct arena *arena,
               struct error *err)
{
    return remote_godwit_migration_policies(daemon->client, &(struct godwit_migration_policies_args){0}, arena, ret,
                                            err);
}

static int refuse_source(struct invocation *in, struct error *err)
{
    return error_set(err, ERR_NO_SUPPORT, "the source '%s' knows of no policies: only a godwitd of this version does. "
                     "Without --policy, --timeout, --postcopy and --auto-converge steer by hand",
                     in->shell->connection->uri);
}

/* -- asking for one ------------------------------------------------------------------------------------------------ */

static const char *limits_of(struct arena *arena, const struct wire_migration_policy *policy)
{
    if (!policy->budget_s && !policy->budget_per_gib_s)
        return "";
    return arena_printf(arena, "%u s + %u s/GiB", policy->budget_s, policy->budget_per_gib_s);
}

int migrate_policies(struct invocation *in, struct error *err)
{
    static const struct column columns[] = {{"name", "Name"},           {"max_pause", "Pause"},
                                            {"time_budget", "Time"},    {"stages", "Stages"},
                                            {"text", "What it is for"}};
    struct godwit_migration_policies_ret ret;
    if (ask(in->shell->connection, &ret, in->arena, err) < 0)
        return refuse_source(in, err);
    struct table *table = table_new(in->arena, columns, COUNT(columns));
    for (uint32_t i = 0; i < ret.policies_count; i++) {
        const struct wire_migration_policy *policy = &ret.policies[i];
        table_row(table, policy->name, arena_printf(in->arena, "%u ms", policy->max_pause_ms),
                  limits_of(in->arena, policy), policy->stages, policy->text);
    }
    table_print(table, in);
    return 0;
}

/* By hand, or in a way in which there is nothing to steer. */
static bool is_without(const struct invocation *in)
{
    static const char *const others[] = {"timeout", "postcopy", "auto-converge", "offline", "direct"};
    for (size_t i = 0; i < COUNT(others); i++)
        if (option_given(in, others[i]))
            return true;
    return !option_given(in, "live");
}

static int add_contract(struct invocation *in, struct params *params, struct error *err)
{
    static const struct {
        const char *option, *param;
        uint64_t max;
    } numbers[] = {{"max-pause", GODWIT_PARAM_MAX_PAUSE, PAUSE_ANY_MS},
                   {"time-budget", GODWIT_PARAM_TIME_BUDGET, UINT32_MAX}};
    for (size_t i = 0; i < COUNT(numbers); i++) {
        uint64_t value = 0;
        int given = option_u64(in, numbers[i].option, numbers[i].max, &value, err);
        if (given < 0)
            return -1;
        if (given && !value)
            return error_set(err, ERR_INVALID_ARG, "--%s takes a number from 1", numbers[i].option);
        if (given)
            params_add_u64(params, numbers[i].param, value);
    }
    if (option_given(in, "no-disruption"))
        params_add_i32(params, GODWIT_PARAM_DISRUPTION, 0);
    return 0;
}

static bool is_asked(const struct invocation *in)
{
    return option_given(in, "policy") || option_given(in, "max-pause") || option_given(in, "time-budget") ||
           option_given(in, "no-disruption");
}

int migrate_policy_add(struct invocation *in, struct migration *migration, struct error *err)
{
    bool asked = is_asked(in);
    if (asked && (!option_given(in, "live") || option_given(in, "offline") || option_given(in, "postcopy-resume")))
        return error_set(err, ERR_INVALID_ARG, "--policy, --max-pause, --time-budget and --no-disruption make sense "
                         "only with --live: nothing else can take longer than it must");
    return !asked && is_without(in) ? 0 : migrate_policy_steer(in, migration, err);
}

int migrate_policy_steer(struct invocation *in, struct migration *migration, struct error *err)
{
    const char *name = option_text(in, "policy");
    struct godwit_migration_policies_ret ignored;
    if (ask(migration->source, &ignored, migration->arena, err) < 0) {
        if (is_asked(in))
            return refuse_source(in, err);
        *err = (struct error){0};
        return 0;
    }
    migration->steered = true;
    params_add_string(&migration->params, GODWIT_PARAM_POLICY, name ? name : POLICY_DEFAULT);
    return add_contract(in, &migration->params, err);
}

void migrate_policy_meet(struct migration *migration)
{
    struct godwit_migration_policies_ret ignored;
    migration->steered_there = migration->destination &&
                               ask(migration->destination, &ignored, migration->arena, NULL) == 0;
}

/* -- hearing of it ------------------------------------------------------------------------------------------------- */

void migrate_news_fiber(void *argument)
{
    struct migrate_news *news = argument;
    struct godwit_migration_follow_args args = {.dom = news->migration->dom};
    news->left_ms = news->budget_ms = -1;
    do {
        scoped_arena struct arena *arena = arena_new();
        struct godwit_migration_follow_ret ret = {0};
        int rc = remote_godwit_migration_follow(news->migration->source->client, &args, arena, &ret, NULL);
        for (uint32_t i = 0; rc == 0 && i < ret.lines_count; i++)
            news->line(news->owner, ret.lines[i]);
        args.seen += ret.lines_count;
        news->left_ms = rc == 0 && ret.active ? ret.left_ms : -1;
        news->budget_ms = rc == 0 && ret.active ? ret.budget_ms : -1;
        if (!ret.active && !*news->over)
            await_sleep(deadline_ms(AGAIN_MS), NULL);
    } while (!*news->over);
    news->finished = true;
    condition_wake(news->changed);
}

const char *migrate_news_left(const struct migrate_news *news, char *buffer, size_t size)
{
    *buffer = '\0';
    bool known = news->left_ms >= 0 && (news->budget_ms < 0 || news->left_ms <= news->budget_ms);
    if (known)
        snprintf(buffer, size, ", about %lld s left", (long long)(news->left_ms + 999) / 1000);
    else if (news->budget_ms >= 0)
        snprintf(buffer, size, ", at most %lld s left", (long long)(news->budget_ms + 999) / 1000);
    return buffer;
}
