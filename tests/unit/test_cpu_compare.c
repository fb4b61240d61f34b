/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "qemu/arch.h"
#include "qemu/cpu_compare.h"

/* A world of four models, so that the arithmetic can be followed by eye. */
static struct cpu_model items[] = {
    {.name = "plain", .usable = true},
    {.name = "Old", .vendor = "Intel", .usable = true},
    {.name = "New", .vendor = "Intel", .usable = true},
    {.name = "Other", .vendor = "AMD", .usable = true},
};
static const struct cpu_models models = {.items = items, .count = COUNT(items)};

static struct cpu_features features_of(const char *const *names)
{
    struct cpu_features features = {0};
    for (; *names; names++)
        cpu_features_add(&features, cpu_feature_find(*names));
    return features;
}
#define FEATURES(...) features_of((const char *const[]){__VA_ARGS__, NULL})

static int make_models(void **state)
{
    items[0].features = FEATURES("fpu", "sse2");
    items[1].features = FEATURES("fpu", "sse2", "pni", "ssse3");
    items[2].features = FEATURES("fpu", "sse2", "pni", "ssse3", "aes", "avx", "avx2");
    items[3].features = FEATURES("fpu", "sse2", "pni", "sse4a");
    return 0;
}

static int compare(const struct cpu_description *host, const char *xml, struct text *reason)
{
    scoped_arena struct arena *arena = arena_new();
    struct cpu_description wanted;
    struct error err = {0};
    assert_int_equal(cpu_description_parse(arena, &wanted, xml, &models, &err), 0);
    text_clear(reason);
    return cpu_compare(host, &wanted, reason);
}

static void a_host_is_compared_by_its_features(void **state)
{
    scoped_text struct text reason = {0};
    const struct cpu_description host = {
        .arch = "x86_64", .vendor = "Intel", .features = FEATURES("fpu", "sse2", "pni", "ssse3", "hypervisor")};
    assert_int_equal(compare(&host, "<cpu><model>Old</model></cpu>", &reason), CPU_COMPARE_IDENTICAL);
    assert_int_equal(compare(&host, "<cpu><model>plain</model></cpu>", &reason), CPU_COMPARE_SUPERSET);
    assert_int_equal(compare(&host, "<cpu match='strict'><model>plain</model></cpu>", &reason),
                     CPU_COMPARE_INCOMPATIBLE);
    assert_non_null(strstr(text_string(&reason), "strict"));
    assert_int_equal(compare(&host, "<cpu><model>New</model></cpu>", &reason), CPU_COMPARE_INCOMPATIBLE);
    assert_string_equal(text_string(&reason), "the host lacks aes, avx, avx2");
    assert_int_equal(compare(&host, "<cpu><arch>aarch64</arch><model>plain</model></cpu>", &reason),
                     CPU_COMPARE_INCOMPATIBLE);
    assert_int_equal(compare(&host, "<cpu><model>plain</model><vendor>AMD</vendor></cpu>", &reason),
                     CPU_COMPARE_INCOMPATIBLE);
    assert_int_equal(compare(&host, "<cpu><model>New</model><feature policy='disable' name='avx'/>"
                                    "<feature policy='disable' name='avx2'/>"
                                    "<feature policy='optional' name='rtm'/>"
                                    "<feature policy='disable' name='aes'/></cpu>", &reason), CPU_COMPARE_IDENTICAL);
    assert_int_equal(compare(&host, "<cpu><model>plain</model><feature policy='forbid' name='ssse3'/></cpu>", &reason),
                     CPU_COMPARE_INCOMPATIBLE);
    assert_int_equal(compare(&host, "<cpu><model>Old</model><feature name='rtm'/></cpu>", &reason),
                     CPU_COMPARE_INCOMPATIBLE);
}

static void wrong_descriptions_are_named(void **state)
{
    static const struct {
        const char *xml;
        int code;
    } cases[] = {
        {"", ERR_XML_DETAIL},
        {"<cpu><model>Old</model>", ERR_XML_DETAIL},
        {"<cpu/>", ERR_INVALID_ARG},
        {"<cpu><model>Foo</model></cpu>", ERR_CONFIG_UNSUPPORTED},
        {"<cpu><model>Old</model><feature name='foo'/></cpu>", ERR_CONFIG_UNSUPPORTED},
        {"<cpu><model>Old</model><feature/></cpu>", ERR_XML_ERROR},
        {"<cpu><model>Old</model><feature name='aes' policy='maybe'/></cpu>", ERR_XML_ERROR},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        scoped_arena struct arena *arena = arena_new();
        struct cpu_description wanted;
        struct error err = {0};
        assert_int_equal(cpu_description_parse(arena, &wanted, cases[i].xml, &models, &err), -1);
        assert_int_equal(err.code, cases[i].code);
    }
}

static void a_description_has_bounds(void **state)
{
    scoped_text struct text xml = {0};
    scoped_arena struct arena *arena = arena_new();
    struct cpu_description wanted;
    struct error err = {0};
    text_append(&xml, "<cpu><model>Old</model>");
    for (int i = 0; i < 5000; i++)
        text_append(&xml, "<feature name='aes'/>");
    text_append(&xml, "</cpu>");
    assert_int_equal(cpu_description_parse(arena, &wanted, text_string(&xml), &models, &err), -1);
    assert_int_equal(err.code, ERR_XML_ERROR);
}

static void the_nearest_model_is_chosen(void **state)
{
    struct cpu_choice choice;
    struct cpu_features all = FEATURES("fpu", "sse2", "pni", "ssse3", "aes", "avx2", "rtm");
    assert_true(cpu_choose(&models, "Intel", &all, false, &choice));
    assert_string_equal(choice.model->name, "New");
    assert_int_equal(cpu_features_count(&choice.disable), 1);
    assert_true(cpu_choose(&models, "Intel", &all, true, &choice));
    assert_string_equal(choice.model->name, "Old");
    assert_int_equal(cpu_features_count(&choice.require), 3);
    assert_true(cpu_choose(&models, "AMD", &all, true, &choice));
    assert_string_equal(choice.model->name, "plain");
    struct cpu_features none = {0};
    assert_false(cpu_choose(&models, "Intel", &none, true, &choice));
}

static void a_baseline_is_what_all_have(void **state)
{
    scoped_text struct text xml = {0};
    struct error err = {0};
    const char *const cpus[] = {"<cpu><model>New</model><vendor>Intel</vendor><feature name='invtsc'/></cpu>",
                                "<cpu><model>Old</model><vendor>Intel</vendor><feature name='aes'/>"
                                "<feature name='invtsc'/></cpu>"};
    assert_int_equal(cpu_baseline(&xml, &models, NULL, cpus, 2, CONNECT_BASELINE_CPU_MIGRATABLE, &err), 0);
    assert_string_equal(text_string(&xml), "<cpu mode='custom' match='exact'>\n"
                                           "  <model fallback='forbid'>Old</model>\n"
                                           "  <vendor>Intel</vendor>\n"
                                           "  <feature policy='require' name='aes'/>\n"
                                           "</cpu>\n");
    text_clear(&xml);
    struct cpu_features limit = FEATURES("fpu", "sse2", "pni");
    assert_int_equal(cpu_baseline(&xml, &models, &limit, cpus, 1, CONNECT_BASELINE_CPU_EXPAND_FEATURES, &err), 0);
    assert_string_equal(text_string(&xml), "<cpu mode='custom' match='exact'>\n"
                                           "  <model fallback='forbid'>plain</model>\n"
                                           "  <vendor>Intel</vendor>\n"
                                           "  <feature policy='require' name='fpu'/>\n"
                                           "  <feature policy='require' name='sse2'/>\n"
                                           "  <feature policy='require' name='pni'/>\n"
                                           "</cpu>\n");
    const char *const strangers[] = {cpus[0], "<cpu><model>Other</model><vendor>AMD</vendor></cpu>"};
    assert_int_equal(cpu_baseline(&xml, &models, NULL, strangers, 2, 0, &err), -1);
    assert_int_equal(err.code, ERR_OPERATION_FAILED);
    assert_int_equal(cpu_baseline(&xml, &models, NULL, cpus, 0, 0, &err), -1);
    assert_int_equal(err.code, ERR_INVALID_ARG);
}

static void host_model_becomes_a_named_model(void **state)
{
    scoped_arena struct arena *arena = arena_new();
    struct error err = {0};
    struct cpu_models with_host = models;
    with_host.best = (struct cpu_model){.vendor = "Intel", .features = FEATURES("fpu", "pni", "ssse3", "aes", "rtm")};
    struct cpu_feature users = {.name = "rtm", .policy = CPU_POLICY_DISABLE};
    struct cpu_feature *features[1] = {&users};
    struct cpu cpu = {.mode = CPU_MODE_HOST_MODEL, .features = {.item = features, .count = 1, .capacity = 1}};
    assert_true(cpu_is_host_model(&cpu));
    assert_int_equal(cpu_fill_host_model(arena, &cpu, &with_host, &err), 0);
    assert_false(cpu_is_host_model(&cpu));
    assert_int_equal(cpu.mode, CPU_MODE_CUSTOM);
    assert_string_equal(cpu.model, "Old");
    assert_string_equal(cpu.vendor, "Intel");
    assert_int_equal(cpu.features.count, 3);
    assert_string_equal(cpu.features.item[0]->name, "rtm");
    assert_int_equal(cpu.features.item[0]->policy, CPU_POLICY_DISABLE);
    assert_string_equal(cpu.features.item[1]->name, "aes");
    assert_int_equal(cpu.features.item[1]->policy, CPU_POLICY_REQUIRE);
    assert_string_equal(cpu.features.item[2]->name, "sse2");
    assert_int_equal(cpu.features.item[2]->policy, CPU_POLICY_DISABLE);

    struct cpu again = {.mode = CPU_MODE_HOST_MODEL};
    assert_int_equal(cpu_fill_host_model(arena, &again, &models, &err), -1);
    assert_int_equal(err.code, ERR_CONFIG_UNSUPPORTED);
}

static void versions_of_models_are_not_public(void **state)
{
    static const struct {
        const char *name;
        bool public;
    } cases[] = {{"EPYC", true},   {"EPYC-v2", false},      {"EPYC-v10", false}, {"Haswell-noTSX", true},
                 {"host", false}, {"Opteron_G3-v", true}, {"max", false},      {"cortex-a72", true}};
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(cpu_model_is_public(&(struct qemu_cpu_model){.name = cases[i].name}), cases[i].public);
}

static void architectures_have_sizes(void **state)
{
    assert_int_equal(arch_word_size("x86_64"), 64);
    assert_int_equal(arch_word_size("i686"), 32);
    assert_int_equal(arch_word_size("foo"), 0);
    assert_string_equal(arch_from_qemu("i386"), "i686");
    assert_string_equal(arch_from_qemu("x86_64"), "x86_64");
    assert_true(arch_word_size(arch_of_host()) != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_is_compared_by_its_features), cmocka_unit_test(wrong_descriptions_are_named),
        cmocka_unit_test(a_description_has_bounds),
        cmocka_unit_test(the_nearest_model_is_chosen),        cmocka_unit_test(a_baseline_is_what_all_have),
        cmocka_unit_test(host_model_becomes_a_named_model),
        cmocka_unit_test(versions_of_models_are_not_public),  cmocka_unit_test(architectures_have_sizes),
    };
    return cmocka_run_group_tests(tests, make_models, NULL);
}
