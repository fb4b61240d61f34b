/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "base/files.h"
#include "migrate/migrate.h"
#include "migrate/policy.h"

/* Whoever adds a row gets it wrong here, not in a migration. */
static void every_policy_with_a_budget_ends(void **state)
{
    for (const struct policy *policy = policies; policy->name; policy++) {
        assert_int_equal(policy->stages[0].kind, STAGE_PLAIN);
        assert_true(policy->first_pause_ms <= policy->max_pause_ms);
        if (policy == policies) /* off */
            continue;
        assert_true(policy->budget_s > 0);
        size_t last = 1;
        while (policy->stages[last].kind != STAGE_GIVE_UP) {
            const struct policy_stage *stage = &policy->stages[last], *before = stage - 1;
            assert_true(++last < POLICY_STAGES_MAX);
            assert_int_not_equal(stage->kind, STAGE_PLAIN);
            assert_true(stage->share > before->share && stage->share <= 100);
            assert_true(stage->kind != STAGE_AUTO_CONVERGE || (stage->bound > 0 && stage->bound < 100));
        }
        assert_int_equal(policy->stages[last - 1].share, 100);
    }
}

static void the_document_tells_the_truth(void **state)
{
    scoped_arena struct arena *arena = arena_new();
    struct error err = {0};
    const char *document = file_read(arena, DOCS "/migration.md", 1 << 20, NULL, &err);
    assert_non_null(document);
    for (const struct policy *policy = policies; policy->name; policy++) {
        const char *time = policy->budget_s ? arena_printf(arena, "%u s + %u s/GiB", policy->budget_s,
                                                           policy->budget_per_gib_s) : "for ever";
        const char *row = arena_printf(arena, "| `%s` | %s | %u ms | %s |\n", policy->name,
                                       policy_stages(policy, arena), policy->max_pause_ms, time);
        assert_non_null(strstr(document, row));
    }
}

static void policies_are_found_by_name(void **state)
{
    scoped_arena struct arena *arena = arena_new();
    struct error err = {0};
    assert_ptr_equal(policy_find(NULL, &err), policies);
    assert_ptr_equal(policy_find(POLICY_OFF, &err), policies);
    const struct policy *gentle = policy_find("gentle", &err);
    assert_string_equal(policy_stages(gentle, arena), "plain, compression, give up");
    assert_null(policy_find("Gentle", &err));
    assert_int_equal(err.code, ERR_INVALID_ARG);
    assert_non_null(strstr(err.message, "off, auto, gentle"));
}

static void the_user_s_word_goes_first(void **state)
{
    const struct policy policy = {.max_pause_ms = 300, .budget_s = 100, .budget_per_gib_s = 10};
    struct migrate_options options = {0};
    struct policy_contract contract = policy_contract(&policy, &options, 4u << 20, 0);
    assert_int_equal(contract.max_pause_ms, 300);
    assert_int_equal(contract.budget_ms, 140000);
    assert_true(contract.disruption);
    contract = policy_contract(&policy, &options, 0, 77); /* migrate-setmaxdowntime */
    assert_int_equal(contract.max_pause_ms, 77);
    options = (struct migrate_options){.max_pause_ms = 5, .time_budget_s = 9, .disruption = MIGRATE_DISRUPTION_NO};
    contract = policy_contract(&policy, &options, 4u << 20, 77);
    assert_int_equal(contract.max_pause_ms, 5);
    assert_int_equal(contract.budget_ms, 9000);
    assert_false(contract.disruption);
}

static void only_what_goes_together_is_wished_for(void **state)
{
    const uint32_t compressed = MIGRATE_COMPRESSED, slower = MIGRATE_AUTO_CONVERGE, postcopy = MIGRATE_POSTCOPY;
    const struct {
        const char *policy;
        uint32_t flags, disruption, wishes;
    } cases[] = {
        {"off", 0, 0, 0},
        {"gentle", 0, 0, compressed},
        {"auto", 0, 0, compressed | slower},
        {"auto", 0, MIGRATE_DISRUPTION_NO, compressed},
        {"auto", MIGRATE_COMPRESSED, 0, slower},
        {"guaranteed", 0, 0, compressed | slower | postcopy},
        {"guaranteed", MIGRATE_TUNNELLED, 0, compressed | slower},
        {"guaranteed", MIGRATE_PARALLEL, 0, slower},
        {"fast", 0, 0, MIGRATE_PARALLEL | slower},
        {"fast", MIGRATE_POSTCOPY, 0, slower},
        {"fast", MIGRATE_TUNNELLED, 0, slower},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct migrate_options options = {.flags = cases[i].flags, .disruption = cases[i].disruption};
        assert_int_equal(policy_wishes(policy_find(cases[i].policy, NULL), &options), cases[i].wishes);
    }
}

static void a_stage_ends_by_passes_or_by_time(void **state)
{
    const struct policy_stage both = {STAGE_PLAIN, 2, 40, 0}, time_only = {STAGE_PAUSE, 0, 100, 0};
    assert_false(stage_is_over(&both, 1, 3999, 10000));
    assert_true(stage_is_over(&both, 2, 0, 10000));
    assert_true(stage_is_over(&both, 0, 4000, 10000));
    assert_false(stage_is_over(&time_only, 99, 9999, 10000));
    assert_true(stage_is_over(&time_only, 0, 10000, 10000));
    assert_false(stage_is_over(&time_only, 0, UINT64_MAX, 0)); /* no budget */
    assert_true(pass_has_shrunk(0, 100));
    assert_true(pass_has_shrunk(100, 75));
    assert_false(pass_has_shrunk(100, 76));
}

static void pauses_are_what_sending_takes(void **state)
{
    assert_int_equal(pause_for(0, 1000), 1);
    assert_int_equal(pause_for(1000, 1000), 1251);
    assert_int_equal(pause_for(1000, 0), 0);
    assert_int_equal(pause_for(UINT64_MAX, 1), PAUSE_ANY_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_policy_with_a_budget_ends),
        cmocka_unit_test(the_document_tells_the_truth),
        cmocka_unit_test(policies_are_found_by_name),
        cmocka_unit_test(the_user_s_word_goes_first),
        cmocka_unit_test(only_what_goes_together_is_wished_for),
        cmocka_unit_test(a_stage_ends_by_passes_or_by_time),
        cmocka_unit_test(pauses_are_what_sending_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
