/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/check.h"

#include <string.h>

static const char *const result_names[] = {"pass", "unknown", "note", "warn", "fail"};
static const char *const category_names[] = {"error", "warning", "information"};

/* -- running ------------------------------------------------------------------------------------------------------- */

static void report(struct check *check, enum check_result result, const char *subject, const char *source,
                   const char *destination, const char *remedy)
{
    const struct check_rule *rule = check->rule;
    json_t *finding = json_pack("{s:s, s:s, s:s, s:b}", "id", rule->id, "title", rule->title, "result",
                                result_names[result], "unsafe", (rule->flags & CHECK_UNSAFE) != 0);
    facts_put(finding, "subject", subject);
    facts_put(finding, "source", source);
    facts_put(finding, "destination", destination);
    facts_put(finding, "remedy", remedy);
    json_array_append_new(check->findings, finding);
}

void check_good(struct check *check, const char *subject, const char *source, const char *destination)
{
    report(check, CHECK_PASS, subject, source, destination, NULL);
}

void check_bad(struct check *check, const char *subject, const char *source, const char *destination,
               const char *remedy)
{
    static const enum check_result results[] = {CHECK_FAIL, CHECK_WARN, CHECK_NOTE};
    enum check_result result = results[check->rule->category];
    if (result == CHECK_FAIL && check->rule->flags & CHECK_LIVE && fact_flag(check->question, "options.offline") == 1)
        result = CHECK_WARN;
    report(check, result, subject, source, destination, remedy);
}

void check_unknown(struct check *check, const char *subject, const char *source, const char *destination)
{
    report(check, CHECK_UNKNOWN, subject, source, destination ?: "not known", NULL);
}

json_t *check_run(const json_t *question, const json_t *answer)
{
    scoped_arena struct arena *arena = arena_new();
    struct check check = {.question = question, .answer = answer, .arena = arena, .findings = json_array()};
    for (check.rule = check_rules; check.rule->id; check.rule++)
        check.rule->run(&check);
    return check.findings;
}

/* -- the verdict --------------------------------------------------------------------------------------------------- */

static enum check_result result_of(const json_t *finding, bool unsafe)
{
    const char *word = fact_text(finding, "result") ?: "";
    enum check_result result = CHECK_PASS;
    for (size_t i = 0; i < COUNT(result_names); i++)
        if (strcmp(result_names[i], word) == 0)
            result = (enum check_result)i;
    return result == CHECK_FAIL && unsafe && fact_flag(finding, "unsafe") == 1 ? CHECK_WARN : result;
}

enum check_result check_worst(const json_t *findings, bool unsafe)
{
    enum check_result worst = CHECK_PASS;
    for (size_t i = 0; i < json_array_size(findings); i++) {
        enum check_result result = result_of(json_array_get(findings, i), unsafe);
        worst = result > worst ? result : worst;
    }
    return worst;
}

static const struct check_rule *rule_of(const json_t *finding)
{
    const struct check_rule *rule = check_rules;
    while (rule->id && !string_equal(rule->id, fact_text(finding, "id")))
        rule++;
    return rule->id ? rule : NULL;
}

/* "disk vda: here /a.img, there no such file; copy it". */
static void append_finding(struct text *out, const json_t *finding)
{
    const char *subject = fact_text(finding, "subject"), *here = fact_text(finding, "source");
    const char *there = fact_text(finding, "destination"), *remedy = fact_text(finding, "remedy");
    text_printf(out, "[%s] %s", fact_text(finding, "id") ?: "", fact_text(finding, "title") ?: "");
    if (subject)
        text_printf(out, ": %s", subject);
    if (here)
        text_printf(out, "%s source: %s", subject ? "," : ":", here);
    if (there)
        text_printf(out, "%s destination: %s", subject || here ? "," : ":", there);
    if (remedy)
        text_printf(out, "; %s", remedy);
}

int check_refuse(const json_t *findings, bool unsafe, const char *name, struct error *err)
{
    scoped_text struct text words = {0};
    int code = 0;
    unsigned count = 0;
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const json_t *finding = json_array_get(findings, i);
        const struct check_rule *rule = rule_of(finding);
        if (!rule || result_of(finding, unsafe) != CHECK_FAIL)
            continue;
        text_append(&words, count++ ? " | " : "");
        append_finding(&words, finding);
        if (!code || (code == ERR_MIGRATE_UNSAFE && !(rule->flags & CHECK_UNSAFE)))
            code = rule->code;
    }
    if (!count)
        return 0;
    return error_set(err, code, "domain '%s' cannot be migrated: %s", name, text_string(&words));
}

void check_document(struct text *out)
{
    text_append(out, "| rule | when broken | what is required | |\n|---|---|---|---|\n");
    for (const struct check_rule *rule = check_rules; rule->id; rule++)
        text_printf(out, "| `%s` | %s%s | %s | %s |\n", rule->id, category_names[rule->category],
                    rule->flags & CHECK_UNSAFE ? ", passes with --unsafe" : "", rule->title, rule->why);
}
