/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/preflight.h"

#include "migrate/check.h"
#include "migrate/internal.h"
#include "migrate/link.h"
#include "migrate/predict.h"

/* The verdict, on the source. */

static json_t *predict(const json_t *question, int64_t bandwidth)
{
    int64_t memory, resident, dirty, first, most;
    if (!fact_number(question, "guest.memory_kib", &memory) || !fact_number(question, "guest.dirty_bps", &dirty) ||
        bandwidth <= 0)
        return NULL;
    fact_number(question, "guest.pause_first_ms", &first);
    fact_number(question, "guest.pause_most_ms", &most);
    if (fact_number(question, "guest.resident_kib", &resident) && resident < memory)
        memory = resident;
    const struct prediction_wish wish = {(uint64_t)memory << 10, (uint64_t)dirty, (uint64_t)bandwidth, (uint32_t)first,
                                         (uint32_t)most};
    struct prediction made = prediction_make(&wish);
    return json_pack("{s:b, s:I, s:I, s:I, s:I, s:i, s:I}", "converges", made.converges, "total_ms",
                     (json_int_t)made.total_ms, "pause_ms", (json_int_t)made.pause_ms, "dirty_bps", dirty,
                     "bandwidth_bps", bandwidth, "passes", (int)made.passes, "memory", (json_int_t)wish.memory);
}

static void try_link(json_t *question, const json_t *answer, unsigned flags)
{
    const char *host = fact_text(answer, "listener.host"), *token = fact_text(answer, "listener.token");
    int64_t port, bandwidth;
    if (!host || !token || !fact_number(answer, "listener.port", &port) || port < 1 || port > 65535)
        return;
    json_t *link = link_test(host, (uint16_t)port, token, flags & PREFLIGHT_MEASURE);
    json_object_set_new(question, "link", link);
    if (!fact_number(link, "bandwidth_bps", &bandwidth)) /* of many guests, one measures it for all */
        fact_number(question, "bandwidth_bps", &bandwidth);
    json_t *prediction = predict(question, bandwidth);
    if (prediction)
        json_object_set_new(question, "prediction", prediction);
}

json_t *preflight_judge(json_t *question, const json_t *given, unsigned flags)
{
    bool described = string_equal(fact_text(given, "kind"), "description");
    scoped_json json_t *translated = described ? preflight_answer_of(question, given) : NULL;
    const json_t *answer = described ? translated : given;
    json_object_set_new(question, "back_ms", json_integer((json_int_t)clock_ms()));
    try_link(question, answer, flags);
    json_t *verdict = json_pack("{s:o}", "findings", check_run(question, answer));
    struct error refusal;
    if (check_refuse(fact(verdict, "findings"), fact_flag(question, "options.unsafe") == 1,
                     fact_text(question, "guest.name") ?: "", &refusal) < 0)
        facts_put(verdict, "refusal", refusal.message);
    json_object_set(verdict, "prediction", json_object_get(question, "prediction"));
    json_object_set(verdict, "link", json_object_get(question, "link"));
    json_object_set(verdict, "host", json_object_get(answer, "host"));
    json_object_set(verdict, "memory", json_object_get(answer, "memory"));
    return verdict;
}
