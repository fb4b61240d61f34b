/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/migrate_check.h"

#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "rpc/describe.h"

/* The daemons find out and judge; here their documents are carried between them, compared and printed. */

struct candidate {
    const char *uri;
    struct connection *connection; /* NULL with --p2p */
    json_t *verdict;               /* of the source's daemon; NULL = error says why there is none */
    struct error error;
    unsigned fails, warnings, unknown;
};

struct candidates {
    struct candidate item[DESTINATIONS_MAX];
    size_t count;
    bool unchecked; /* the source knows nothing of checks */
};

static void candidates_finish(struct candidates *all)
{
    for (size_t i = 0; i < all->count; i++) {
        connection_close(all->item[i].connection);
        json_decref(all->item[i].verdict);
    }
}
#define scoped_candidates scope_cleanup(candidates_finish)

/* -- which destinations -------------------------------------------------------------------------------------------- */

static bool is_connection_uri(const char *word)
{
    return word && (string_starts(word, "qemu:") || string_starts(word, "qemu+"));
}

int destinations_read(struct invocation *in, struct destinations *list, struct error *err)
{
    *list = (struct destinations){.uris = {option_text(in, "desturi")}, .count = 1};
    for (const struct command_option *option = in->command->options; option->name; option++) {
        const char **value = &in->values[option - in->command->options];
        if (option->flags & OPTION_REQUIRED || !is_connection_uri(*value))
            continue;
        if (list->count == DESTINATIONS_MAX)
            return error_set(err, ERR_INVALID_ARG, "at most %d destinations can be named", DESTINATIONS_MAX);
        list->uris[list->count++] = *value;
        *value = NULL;
    }
    return 0;
}

/* -- asking -------------------------------------------------------------------------------------------------------- */

static const json_t *member(const json_t *document, const char *first, const char *second)
{
    const json_t *found = json_object_get(document, first);
    return second ? json_object_get(found, second) : found;
}

static const char *text_of(const json_t *document, const char *first, const char *second)
{
    return json_string_value(member(document, first, second));
}

bool check_is_unknown(const struct error *err)
{
    return err->code == ERR_NO_SUPPORT || err->code == ERR_RPC;
}

const char *check_answer(struct client *client, const char *question, unsigned flags, struct arena *arena,
                         struct error *err)
{
    const struct godwit_check_answer_args args = {question, flags};
    struct godwit_check_answer_ret ret;
    if (remote_godwit_check_answer(client, &args, arena, &ret, err) == 0)
        return ret.answer;
    if (!check_is_unknown(err))
        return NULL;
    scoped_json json_t *document = json_read(question, strlen(question), err);
    if (!document)
        return NULL;
    scoped_json json_t *description = describe_host(client, document);
    scoped_free char *text = json_dumps(description, JSON_COMPACT);
    return arena_strdup(arena, text);
}

static const char *verdict_direct(struct invocation *in, struct migration *migration, struct candidate *one,
                                  const char *question, unsigned flags)
{
    one->connection = connection_open(one->uri, false, in->shell->keepalive, &one->error);
    struct client *client = one->connection ? one->connection->client : NULL;
    const char *answer = client ? check_answer(client, question, flags, in->arena, &one->error) : NULL;
    const struct godwit_check_judge_args args = {question, answer, flags};
    struct godwit_check_judge_ret ret;
    if (!answer || remote_godwit_check_judge(migration->source->client, &args, in->arena, &ret, &one->error) < 0) {
        if (!one->connection)
            command_failed(&one->error, "cannot connect to the destination '%s'", one->uri);
        return NULL;
    }
    return ret.verdict;
}

static const char *verdict_peer(struct invocation *in, struct migration *migration, struct candidate *one,
                                unsigned flags)
{
    const struct godwit_check_peer_args args = {migration->dom, one->uri, migration->params.count,
                                                migration->params.items, migration->flags, flags};
    struct godwit_check_peer_ret ret;
    if (remote_godwit_check_peer(migration->source->client, &args, in->arena, &ret, &one->error) < 0)
        return NULL;
    return ret.verdict;
}

static void count_findings(struct candidate *one)
{
    const json_t *findings = member(one->verdict, "findings", NULL);
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const char *result = text_of(json_array_get(findings, i), "result", NULL);
        one->fails += string_equal(result, "fail");
        one->warnings += string_equal(result, "warn");
        one->unknown += string_equal(result, "unknown");
    }
}

static void ask_each(struct invocation *in, struct migration *migration, struct candidates *all, const char *question,
                     unsigned flags)
{
    for (size_t i = 0; i < all->count; i++) {
        struct candidate *one = &all->item[i];
        const char *text = question ? verdict_direct(in, migration, one, question, flags)
                                    : verdict_peer(in, migration, one, flags);
        one->verdict = text ? json_read(text, strlen(text), &one->error) : NULL;
        count_findings(one);
    }
}

static int ask_all(struct invocation *in, struct migration *migration, const struct destinations *list, unsigned flags,
                   struct candidates *all, struct error *err)
{
    const struct godwit_check_begin_args args = {migration->dom, migration->params.count, migration->params.items,
                                                 migration->flags, flags};
    struct godwit_check_begin_ret begun;
    struct client *source = migration->source->client;
    for (size_t i = 0; i < list->count; i++)
        all->item[all->count++].uri = list->uris[i];
    if (option_given(in, "p2p")) {
        ask_each(in, migration, all, NULL, flags);
        all->unchecked = !all->item[0].verdict && check_is_unknown(&all->item[0].error);
        return 0;
    }
    if (remote_godwit_check_begin(source, &args, in->arena, &begun, err) < 0) {
        all->unchecked = check_is_unknown(err);
        return all->unchecked ? 0 : -1;
    }
    ask_each(in, migration, all, begun.question, flags);
    const struct godwit_check_end_args end = {begun.question};
    remote_godwit_check_end(source, &end, NULL); /* what it left goes by itself */
    return 0;
}

/* -- which one suits best ------------------------------------------------------------------------------------------ */

static bool can_take(const struct candidate *one)
{
    return one->verdict && !text_of(one->verdict, "refusal", NULL);
}

static json_int_t number_of(const struct candidate *one, const char *first, const char *second)
{
    return json_integer_value(member(one->verdict, first, second));
}

/* Fewer warnings first, then the shorter migration (of a tenth or more), then more room. */
static bool is_better(const struct candidate *one, const struct candidate *than)
{
    json_int_t time = number_of(one, "prediction", "total_ms"), other = number_of(than, "prediction", "total_ms");
    if (can_take(one) != can_take(than))
        return can_take(one);
    if (one->warnings != than->warnings)
        return one->warnings < than->warnings;
    if (time && other && (time * 10 < other * 9 || other * 10 < time * 9))
        return time < other;
    return number_of(one, "memory", "available_kib") > number_of(than, "memory", "available_kib");
}

static const struct candidate *best_of(const struct candidates *all)
{
    const struct candidate *best = &all->item[0];
    for (size_t i = 1; i < all->count; i++)
        best = is_better(&all->item[i], best) ? &all->item[i] : best;
    return can_take(best) ? best : NULL;
}

/* "no warnings, about 2.1 s, 3.2 GiB free". */
static const char *reason_of(struct invocation *in, const struct candidate *one)
{
    scoped_text struct text words = {0};
    if (!one->verdict)
        return one->error.message;
    json_int_t total = number_of(one, "prediction", "total_ms"), kib = number_of(one, "memory", "available_kib");
    if (one->fails)
        text_printf(&words, "%u failed, ", one->fails);
    text_printf(&words, one->warnings == 1 ? "1 warning" : one->warnings ? "%u warnings" : "no warnings",
                one->warnings);
    if (one->unknown)
        text_printf(&words, ", %u not known", one->unknown);
    if (total)
        text_printf(&words, ", about %.1f s", (double)total / 1000);
    if (kib)
        text_printf(&words, ", %.1f GiB of memory free", (double)kib / 1048576);
    return arena_strdup(in->arena, text_string(&words));
}

/* -- printing ------------------------------------------------------------------------------------------------------ */

static const char *subject_of(struct invocation *in, const json_t *finding, const char *what)
{
    const char *subject = text_of(finding, "subject", NULL), *name = text_of(finding, what, NULL);
    return subject ? arena_printf(in->arena, "%s (%s)", name ?: "", subject) : name;
}

static void print_findings(struct invocation *in, const struct candidate *one)
{
    static const struct column columns[] = {
        {"result", "Result"}, {"check", "Check"}, {"source", "Source"}, {"destination", "Destination"}};
    const json_t *findings = member(one->verdict, "findings", NULL);
    struct table *table = table_new(in->arena, columns, COUNT(columns));
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const json_t *finding = json_array_get(findings, i);
        table_row(table, text_of(finding, "result", NULL), subject_of(in, finding, "title"),
                  text_of(finding, "source", NULL), text_of(finding, "destination", NULL));
    }
    table_print(table, in);
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const json_t *finding = json_array_get(findings, i);
        const char *remedy = text_of(finding, "remedy", NULL);
        if (remedy)
            printf("%s %s: %s\n", text_of(finding, "result", NULL), subject_of(in, finding, "id"), remedy);
    }
}

static void print_prediction(const struct candidate *one)
{
    if (!member(one->verdict, "prediction", NULL))
        return;
    double dirty = (double)number_of(one, "prediction", "dirty_bps") / 1048576;
    double link = (double)number_of(one, "prediction", "bandwidth_bps") / 1048576;
    printf("The guest dirties %.0f MiB/s, the link carries %.0f MiB/s: ", dirty, link);
    if (json_is_true(member(one->verdict, "prediction", "converges")))
        printf("about %.1f s, a pause of %lld ms\n", (double)number_of(one, "prediction", "total_ms") / 1000,
               (long long)number_of(one, "prediction", "pause_ms"));
    else
        puts("plain pre-copy does not converge");
}

static void print_one(struct invocation *in, const struct candidate *one)
{
    const char *host = text_of(one->verdict, "host", "hostname");
    output_note(in, host ? "Destination %s (%s)\n" : "Destination %s\n", one->uri, host);
    if (!one->verdict) {
        printf("error: %s\n\n", one->error.message);
        return;
    }
    print_findings(in, one);
    print_prediction(one);
    putchar('\n');
}

static json_t *candidate_json(struct invocation *in, const struct candidate *one)
{
    json_t *object = one->verdict ? json_deep_copy(one->verdict) : json_object();
    json_object_set_new(object, "uri", json_string(one->uri));
    json_object_set_new(object, "possible", json_boolean(can_take(one)));
    json_object_set_new(object, "reason", json_string(reason_of(in, one)));
    if (!one->verdict)
        json_object_set_new(object, "error", json_string(one->error.message));
    return object;
}

static void print_json(struct invocation *in, const struct migration *migration, const struct candidates *all,
                       const struct candidate *best)
{
    json_t *list = json_array();
    for (size_t i = 0; i < all->count; i++)
        json_array_append_new(list, candidate_json(in, &all->item[i]));
    output_json(json_pack("{s:s, s:o, s:o}", "domain", migration->dom.name, "destinations", list, "best",
                          best ? json_string(best->uri) : json_null()));
}

static void print_ranks(struct invocation *in, const struct candidates *all, const struct candidate *best)
{
    for (size_t i = 0; i < all->count && all->count > 1; i++)
        printf("%s %s: %s\n", &all->item[i] == best ? "best:" : can_take(&all->item[i]) ? "possible:" : "not possible:",
               all->item[i].uri, reason_of(in, &all->item[i]));
}

int migrate_check(struct invocation *in, struct migration *migration, const struct destinations *list,
                  struct error *err)
{
    scoped_candidates struct candidates all = {0};
    if (ask_all(in, migration, list, PREFLIGHT_MEASURE, &all, err) < 0)
        return command_failed(err, "cannot check domain '%s'", migration->dom.name);
    if (all.unchecked)
        return error_set(err, ERR_NO_SUPPORT, "the source '%s' is no godwitd: only godwitd can check a migration",
                         in->shell->connection->uri);
    const struct candidate *best = best_of(&all);
    if (output_is_json(in)) {
        print_json(in, migration, &all, best);
        return best ? 0 : -1;
    }
    for (size_t i = 0; i < all.count; i++)
        print_one(in, &all.item[i]);
    print_ranks(in, &all, best);
    printf(best ? "Domain '%s' can be migrated to %s\n" : "Domain '%s' cannot be migrated\n", migration->dom.name,
           best ? best->uri : "");
    return best ? 0 : -1;
}

/* -- before a migration -------------------------------------------------------------------------------------------- */

static int refuse(const struct candidates *all, struct error *err)
{
    const struct candidate *one = &all->item[0];
    if (all->count > 1)
        return error_set(err, ERR_OPERATION_FAILED,
                         "none of the %zu destinations can take it; 'migrate --check' says why", all->count);
    if (!one->verdict) {
        *err = one->error;
        return -1;
    }
    return error_set(err, ERR_OPERATION_FAILED, "the destination cannot take it: %s",
                     text_of(one->verdict, "refusal", NULL));
}

int migrate_choose(struct invocation *in, struct migration *migration, const struct destinations *list,
                   const char **uri, struct connection **connection, struct error *err)
{
    scoped_candidates struct candidates all = {0};
    *uri = list->uris[0];
    bool peer = option_given(in, "p2p");
    if (peer && list->count == 1)
        return 0; /* the source's daemon checks before it begins */
    bool resume = migration->flags & MIGRATE_POSTCOPY_RESUME; /* the guest is on both hosts already */
    if (!resume &&
        ask_all(in, migration, list, list->count > 1 ? PREFLIGHT_MEASURE : PREFLIGHT_QUICK, &all, err) < 0)
        return -1;
    if (all.unchecked || resume) {
        *connection = peer ? NULL : connection_open(*uri, false, in->shell->keepalive, err);
        return peer || *connection ? 0 : command_failed(err, "cannot connect to the destination '%s'", *uri);
    }
    const struct candidate *best = best_of(&all);
    if (!best)
        return refuse(&all, err);
    *uri = best->uri;
    *connection = steal(all.item[best - all.item].connection);
    if (all.count > 1)
        output_note(in, "Destination %s: %s\n", best->uri, reason_of(in, best));
    return 0;
}
