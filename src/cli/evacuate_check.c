/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/evacuate.h"

#include <string.h>

#include "base/json.h"
#include "base/text.h"

/* What the daemons say of each guest and each place, by the same rules as `migrate --check`. What can be measured once
 * is not measured for each guest: memory is sampled in all of them during the same second, the way to a host is
 * measured with the first guest, and both are put into the questions about all. */

enum {
    SAMPLE_S = 1,
    SAMPLE_MS = 1150, /* QEMU's answer is there a little later */
    ASKING = 4,       /* questions at once: a daemon works on five calls of one client */
};

struct place *evacuation_places(struct evacuation *evacuation, size_t *count)
{
    *count = evacuation->restore ? 1 : evacuation->other_count;
    return evacuation->restore ? &evacuation->home : evacuation->others;
}

unsigned passenger_flags(const struct evacuation *evacuation, const struct passenger *one)
{
    bool persist = one->persistent || (one->record && one->record->persistent);
    unsigned flags = evacuation->flags | (one->active ? MIGRATE_LIVE : MIGRATE_OFFLINE);
    if (persist)
        flags |= MIGRATE_PERSIST_DEST;
    if (one->persistent && !evacuation->keep)
        flags |= MIGRATE_UNDEFINE_SOURCE;
    return flags;
}

/* -- for each passenger, several at once --------------------------------------------------------------------------- */

struct crew {
    struct evacuation *evacuation;
    void (*work)(struct evacuation *evacuation, struct passenger *one);
    size_t next;
    unsigned running;
    struct condition done;
};

static void crew_member(void *owner)
{
    struct crew *crew = owner;
    while (crew->next < crew->evacuation->count) {
        struct passenger *one = &crew->evacuation->passengers[crew->next++];
        if (passenger_waits(one))
            crew->work(crew->evacuation, one);
    }
    crew->running--;
    condition_wake(&crew->done);
}

static void for_each(struct evacuation *evacuation, void (*work)(struct evacuation *evacuation, struct passenger *one))
{
    struct crew crew = {.evacuation = evacuation, .work = work, .running = ASKING};
    condition_init(&crew.done);
    for (int i = 0; i < ASKING; i++)
        fiber_start("asking", crew_member, &crew);
    while (crew.running)
        condition_wait(&crew.done, DEADLINE_NONE, NULL);
}

/* -- how fast memory changes --------------------------------------------------------------------------------------- */

static void start_sampling(struct evacuation *evacuation, struct passenger *one)
{
    const struct domain_start_dirty_rate_calc_args args = {.dom = one->dom, .seconds = SAMPLE_S};
    if (one->active && !one->paused)
        remote_domain_start_dirty_rate_calc(one->from->control->client, &args, NULL);
}

static void read_sample(struct evacuation *evacuation, struct passenger *one)
{
    const struct connect_get_all_domain_stats_args args = {.doms_count = 1, .doms = &one->dom,
                                                           .stats = DOMAIN_STATS_DIRTYRATE};
    struct connect_get_all_domain_stats_ret ret;
    int64_t mib = 0;
    if (!one->active || one->paused ||
        remote_connect_get_all_domain_stats(one->from->control->client, &args, evacuation->in->arena, &ret, NULL) < 0 ||
        !ret.ret_stats_count)
        return;
    params_get_i64(ret.ret_stats[0].params, ret.ret_stats[0].params_count, "dirtyrate.megabytes_per_second", &mib,
                   NULL);
    one->dirty_bps = mib > 0 ? (uint64_t)mib << 20 : 0;
}

/* -- the conversation ---------------------------------------------------------------------------------------------- */

static json_int_t number_of(const json_t *document, const char *first, const char *second)
{
    return json_integer_value(json_object_get(json_object_get(document, first), second));
}

/* The question as it goes to one place. */
static const char *question_for(const struct evacuation *evacuation, const json_t *question, const struct place *place,
                                struct arena *arena)
{
    scoped_json json_t *document = json_copy((json_t *)question);
    uint64_t most = evacuation->bandwidth_mib << 20;
    uint64_t rate = most && most < place->bandwidth_bps ? most : place->bandwidth_bps;
    if (rate)
        json_object_set_new(document, "bandwidth_bps", json_integer((json_int_t)rate));
    scoped_free char *text = json_dumps(document, JSON_COMPACT);
    return arena_strdup(arena, text);
}

/* What the source says of the guest; NULL with err, whose code is that of an unknown program for a libvirtd. */
static json_t *ask_source(struct evacuation *evacuation, struct passenger *one, struct arena *arena, struct error *err)
{
    const struct godwit_check_begin_args args = {.dom = one->dom, .flags = passenger_flags(evacuation, one),
                                                 .check_flags = PREFLIGHT_QUICK};
    struct godwit_check_begin_ret begun;
    if (remote_godwit_check_begin(one->from->control->client, &args, arena, &begun, err) < 0)
        return NULL;
    json_t *question = json_read(begun.question, strlen(begun.question), err);
    json_t *guest = json_object_get(question, "guest");
    one->memory_kib = (uint64_t)json_integer_value(json_object_get(guest, "memory_kib"));
    if (one->active)
        json_object_set_new(guest, "dirty_bps", json_integer((json_int_t)one->dirty_bps));
    return question;
}

static void end_questions(const struct passenger *one, const json_t *question)
{
    scoped_free char *text = json_dumps(question, JSON_COMPACT);
    remote_godwit_check_end(one->from->control->client, &(struct godwit_check_end_args){text}, NULL);
}

/* The verdict about that place, which also tells what it has (the first time). */
static json_t *ask_place(const struct evacuation *evacuation, struct passenger *one, struct place *place,
                         const json_t *question, unsigned flags, struct arena *arena, json_t **answer,
                         struct error *err)
{
    const char *text = question_for(evacuation, question, place, arena);
    const char *said = place->control ? check_answer(place->control->client, text, flags, arena, err) : NULL;
    if (!place->control)
        *err = place->error;
    const struct godwit_check_judge_args args = {text, said, flags};
    struct godwit_check_judge_ret judged;
    if (!said || !(*answer = json_read(said, strlen(said), err)) ||
        remote_godwit_check_judge(one->from->control->client, &args, arena, &judged, err) < 0)
        return NULL;
    return json_read(judged.verdict, strlen(judged.verdict), err);
}

static void bound(unsigned *slots, json_int_t most)
{
    if (most < 0)
        most = 0;
    if ((json_int_t)*slots > most)
        *slots = (unsigned)most;
}

/* Memory, of which a twentieth stays free as rule `memory-room` wants it, and what bounds moves at once: ports of the
 * migration range, of which copied disks take one more, clients, and what sshd lets in. */
static void note_place(const struct evacuation *evacuation, struct place *place, const json_t *answer)
{
    if (place->answered || !answer)
        return;
    place->answered = true;
    place->slots = UINT16_MAX;
    place->hostname = arena_strdup(evacuation->in->arena,
                                   json_string_value(json_object_get(json_object_get(answer, "host"), "hostname")));
    json_int_t available = number_of(answer, "memory", "available_kib");
    if (!available)
        available = json_integer_value(json_object_get(answer, "free_memory")) / 1024;
    available -= number_of(answer, "memory", "total_kib") / 20;
    place->room_kib = available > 0 ? (uint64_t)available : 0;
    const json_t *ports = json_object_get(answer, "free_ports");
    if (ports)
        bound(&place->slots, json_integer_value(ports) /
                                 (evacuation->flags & (MIGRATE_NON_SHARED_DISK | MIGRATE_NON_SHARED_INC) ? 2 : 1));
    json_int_t most = number_of(answer, "clients", "max");
    if (most)
        bound(&place->slots, most - number_of(answer, "clients", "count"));
    json_int_t startups = number_of(answer, "host", "ssh_startups");
    if (startups && strstr(place->uri, "+ssh:"))
        bound(&place->slots, startups);
    if (!place->slots)
        place->slots = 1; /* that it has no room for any is for the rules to say */
}

/* -- the link ------------------------------------------------------------------------------------------------------ */

static void measure_place(struct evacuation *evacuation, struct passenger *one, struct place *place,
                          const json_t *question)
{
    scoped_arena struct arena *arena = arena_new();
    struct error ignored = {0};
    scoped_json json_t *answer = NULL;
    scoped_json json_t *verdict =
        ask_place(evacuation, one, place, question, PREFLIGHT_MEASURE | PREFLIGHT_QUICK, arena, &answer, &ignored);
    json_int_t rate = number_of(verdict, "link", "bandwidth_bps");
    place->bandwidth_bps = rate > 0 ? (uint64_t)rate : 0;
}

/* One way at a time: they share the cable. */
static void measure_links(struct evacuation *evacuation)
{
    scoped_arena struct arena *arena = arena_new();
    size_t count;
    struct place *places = evacuation_places(evacuation, &count);
    struct passenger *one = evacuation->passengers, *end = one + evacuation->count;
    while (one < end && !(passenger_waits(one) && one->active))
        one++;
    scoped_json json_t *question = one < end ? ask_source(evacuation, one, arena, NULL) : NULL;
    if (!question)
        return;
    for (size_t i = 0; i < count; i++)
        if (places[i].named)
            measure_place(evacuation, one, &places[i], question);
    end_questions(one, question);
}

/* -- everything ---------------------------------------------------------------------------------------------------- */

static void fill_offer(struct offer *offer, const json_t *verdict, const struct error *err, struct arena *arena)
{
    const json_t *findings = json_object_get(verdict, "findings");
    *offer = (struct offer){0};
    offer->refusal = verdict ? arena_strdup(arena, json_string_value(json_object_get(verdict, "refusal")))
                             : arena_strdup(arena, err->message);
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const json_t *result = json_object_get(json_array_get(findings, i), "result");
        offer->warnings += string_equal(json_string_value(result), "warn");
    }
    offer->total_ms = (uint64_t)number_of(verdict, "prediction", "total_ms");
    offer->converges = json_is_true(json_object_get(json_object_get(verdict, "prediction"), "converges"));
}

/* A libvirtd at the source knows nothing of checks: what forbids the move shows when it is tried. */
static void offer_unchecked(struct evacuation *evacuation, struct passenger *one)
{
    size_t count;
    struct place *places = evacuation_places(evacuation, &count);
    struct domain_get_info_ret info = {0};
    const struct domain_get_info_args args = {one->dom};
    remote_domain_get_info(one->from->control->client, &args, evacuation->in->arena, &info, NULL);
    one->memory_kib = info.max_mem;
    for (size_t i = 0; i < count; i++) {
        one->offers[i] = (struct offer){.refusal = places[i].control ? NULL : places[i].error.message};
        if (!places[i].answered)
            places[i].slots = 1;
    }
}

static void ask_about(struct evacuation *evacuation, struct passenger *one)
{
    scoped_arena struct arena *arena = arena_new();
    size_t count;
    struct place *places = evacuation_places(evacuation, &count);
    struct error err = {0};
    one->offers = arena_new_array(evacuation->in->arena, count, struct offer);
    scoped_json json_t *question = ask_source(evacuation, one, arena, &err);
    if (!question && check_is_unknown(&err)) {
        offer_unchecked(evacuation, one);
        return;
    }
    if (!question) {
        one->error = err;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        scoped_json json_t *answer = NULL;
        if (!places[i].named)
            continue;
        scoped_json json_t *verdict =
            ask_place(evacuation, one, &places[i], question, PREFLIGHT_QUICK, arena, &answer, &err);
        note_place(evacuation, &places[i], answer);
        fill_offer(&one->offers[i], verdict, &err, evacuation->in->arena);
    }
    end_questions(one, question);
}

void evacuation_ask(struct evacuation *evacuation)
{
    deadline sampled = deadline_ms(SAMPLE_MS);
    bool any = false;
    for (size_t i = 0; i < evacuation->count; i++)
        any |= passenger_waits(&evacuation->passengers[i]) && evacuation->passengers[i].active &&
               !evacuation->passengers[i].paused;
    for_each(evacuation, start_sampling);
    measure_links(evacuation);
    if (any)
        await_sleep(sampled, NULL);
    for_each(evacuation, read_sample);
    for_each(evacuation, ask_about);
}

int evacuation_ask_again(struct evacuation *evacuation, struct passenger *one, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_json json_t *answer = NULL, *question = ask_source(evacuation, one, arena, err);
    if (!question)
        return check_is_unknown(err) ? 0 : -1;
    scoped_json json_t *verdict =
        ask_place(evacuation, one, one->to, question, PREFLIGHT_QUICK, arena, &answer, err);
    const char *refusal = json_string_value(json_object_get(verdict, "refusal"));
    end_questions(one, question);
    if (refusal)
        return error_set(err, ERR_OPERATION_FAILED, "%s", refusal);
    return verdict ? 0 : -1;
}
