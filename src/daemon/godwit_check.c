/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "daemon/daemon.h"

#include "migrate/migrate.h"
#include "migrate/preflight.h"

/* Our own program: what both ends say of a migration before it begins. */

static const char *reply(struct call *call, json_t *document)
{
    char *text = json_dumps(document, JSON_COMPACT);
    json_decref(document);
    return call_keep(call, text);
}

static json_t *read_document(const char *text, const char *what, struct error *err)
{
    json_t *document = json_read(text, strlen(text), err);
    if (document && json_is_object(document))
        return document;
    if (document)
        error_set(err, ERR_INVALID_ARG, "it is no object");
    json_decref(document);
    return error_null_wrap(err, "the %s of a migration check makes no sense", what);
}

/* How many clients there are is known to the server alone. */
static void put_clients(const struct call *call, json_t *answer)
{
    json_object_set_new(answer, "clients",
                        json_pack("{s:i, s:i}", "count", (int)server_client_count(call->server), "max",
                                  (int)call_daemon(call)->options->max_clients));
}

int handle_godwit_check_begin(struct call *call, const struct godwit_check_begin_args *args,
                              struct godwit_check_begin_ret *ret, struct error *err)
{
    struct migrate_options options;
    if (call_flags(call, args->check_flags, PREFLIGHT_FLAGS, err) < 0 ||
        migrate_options_read(&options, args->params, args->params_count, args->flags, call->arena, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    json_t *question = domain ? preflight_question(domain, &options, args->check_flags, err) : NULL;
    if (!question)
        return -1;
    ret->question = reply(call, question);
    return 0;
}

int handle_godwit_check_answer(struct call *call, const struct godwit_check_answer_args *args,
                               struct godwit_check_answer_ret *ret, struct error *err)
{
    scoped_json json_t *question = call_flags(call, args->check_flags, PREFLIGHT_FLAGS, err) < 0
                                       ? NULL
                                       : read_document(args->question, "question", err);
    if (!question)
        return -1;
    json_t *answer = preflight_answer(call_driver(call), question, args->check_flags);
    put_clients(call, answer);
    json_object_set_new(answer, "free_ports", json_integer(driver_free_migration_ports(call_driver(call))));
    ret->answer = reply(call, answer);
    return 0;
}

int handle_godwit_check_judge(struct call *call, const struct godwit_check_judge_args *args,
                              struct godwit_check_judge_ret *ret, struct error *err)
{
    if (call_flags(call, args->check_flags, PREFLIGHT_FLAGS, err) < 0)
        return -1;
    scoped_json json_t *question = read_document(args->question, "question", err);
    scoped_json json_t *answer = question ? read_document(args->answer, "answer", err) : NULL;
    if (!answer)
        return -1;
    ret->verdict = reply(call, preflight_judge(question, answer, args->check_flags));
    return 0;
}

int handle_godwit_check_end(struct call *call, const struct godwit_check_end_args *args, struct error *err)
{
    scoped_json json_t *question = read_document(args->question, "question", err);
    if (!question)
        return -1;
    preflight_end(question);
    return 0;
}

int handle_godwit_check_peer(struct call *call, const struct godwit_check_peer_args *args,
                             struct godwit_check_peer_ret *ret, struct error *err)
{
    struct migrate_options options;
    if (call_flags(call, args->check_flags, PREFLIGHT_FLAGS, err) < 0 ||
        migrate_options_read(&options, args->params, args->params_count, args->flags, call->arena, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    json_t *verdict = domain ? migration_check_peer(domain, &options, args->destination, args->check_flags, err) : NULL;
    if (!verdict)
        return -1;
    ret->verdict = reply(call, verdict);
    return 0;
}
