/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "client_stubs.h"
#include "migrate/check.h"
#include "migrate/preflight.h"
#include "rpc/describe.h"

/* The whole conversation, led by the source's daemon over its own connection to the destination's. */

/* A libvirtd does not know the program, and its error says so in words only. */
static bool is_unknown(const struct error *err)
{
    return err->code == ERR_NO_SUPPORT || err->code == ERR_RPC;
}

static json_t *ask(struct client *client, const json_t *question, unsigned flags, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_free char *text = json_dumps(question, JSON_COMPACT);
    const struct godwit_check_answer_args args = {text, flags};
    struct godwit_check_answer_ret ret;
    if (remote_godwit_check_answer(client, &args, arena, &ret, err) < 0)
        return is_unknown(err) ? describe_host(client, question) : NULL;
    return json_read(ret.answer, strlen(ret.answer), err);
}

json_t *preflight_with(struct client *client, struct domain *domain, const struct migrate_options *options,
                       unsigned flags, struct error *err)
{
    scoped_json json_t *question = preflight_question(domain, options, flags, err);
    if (!question)
        return NULL;
    scoped_json json_t *answer = ask(client, question, flags, err);
    json_t *verdict = answer ? preflight_judge(question, answer, flags) : NULL;
    preflight_end(question);
    return verdict;
}

int preflight_gate_peer(struct client *client, struct domain *domain, const struct migrate_options *options,
                        struct error *err)
{
    if (options->flags & MIGRATE_POSTCOPY_RESUME)
        return 0; /* the guest is on both hosts already */
    scoped_json json_t *verdict = preflight_with(client, domain, options, PREFLIGHT_QUICK, err);
    return verdict ? check_refuse(fact(verdict, "findings"), options->flags & MIGRATE_UNSAFE, domain_name(domain), err)
                   : -1;
}
