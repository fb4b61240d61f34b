/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/evacuate.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"

enum {
    AT_ONCE = 4,           /* moves to one host, when --parallel says nothing: enough to hide what each spends on
                              starting and switching; more would only cut the same link into thinner slices */
    FIXED_MS = 200,        /* what a move costs beside its memory, when nothing is predicted ... */
    MIB_PER_S = 500,       /* ... and how fast that goes then */
};

uint64_t passenger_cost(const struct passenger *one)
{
    if (one->offer && one->offer->total_ms)
        return one->offer->total_ms;
    return FIXED_MS + (one->active ? (one->memory_kib >> 10) * 1000 / MIB_PER_S : 0);
}

/* -- who goes where ------------------------------------------------------------------------------------------------ */

/* The longest prediction of any place; places differ less than guests do. */
static uint64_t longest_ms(const struct passenger *one, size_t count)
{
    uint64_t most = 0;
    for (size_t i = 0; i < count && one->offers; i++)
        most = one->offers[i].total_ms > most ? one->offers[i].total_ms : most;
    return most;
}

/* When to begin: 0 = with the others; 1 = after them, since its memory changes faster than it is sent, and it needs
 * time, and the link for itself; 2 = last, since it does not run and has nothing to send. */
static int turn_of(const struct passenger *one, size_t count)
{
    bool converges = false;
    for (size_t i = 0; i < count && one->offers; i++)
        converges |= one->offers[i].converges || !one->offers[i].total_ms;
    return !one->active ? 2 : !converges;
}

/* Longest first, then biggest. Two reasons ask for the same order: a guest that takes long must not begin when the
 * others are done (longest first is never worse than 4/3 of the best possible), and what is big must choose its host
 * while there is room (small ones fit into the gaps). */
static int compare_passengers(const void *a, const void *b, void *owner)
{
    const struct passenger *left = a, *right = b;
    size_t count;
    evacuation_places(owner, &count);
    int turn = turn_of(left, count), other = turn_of(right, count);
    if (turn != other)
        return turn - other;
    uint64_t first = longest_ms(left, count), second = longest_ms(right, count);
    if (first != second)
        return first > second ? -1 : 1;
    if (left->memory_kib != right->memory_kib)
        return left->memory_kib > right->memory_kib ? -1 : 1;
    return strcmp(left->dom.name, right->dom.name);
}

static uint64_t needed_kib(const struct passenger *one)
{
    return one->active ? one->memory_kib : 0;
}

/* A libvirtd that was not asked has not told its room. */
static bool has_room(const struct place *place, const struct passenger *one)
{
    return !place->answered || place->room_kib >= needed_kib(one);
}

/* Fewer warnings, as for a single migration; then whoever has least to receive so far, so that all are done at the same
 * time; then more room. */
static bool is_better(const struct place *place, const struct offer *offer, const struct place *than,
                      const struct offer *other)
{
    if (offer->warnings != other->warnings)
        return offer->warnings < other->warnings;
    if (place->load_ms != than->load_ms)
        return place->load_ms < than->load_ms;
    return place->room_kib > than->room_kib;
}

static double gib(uint64_t kib)
{
    return (double)kib / 1048576;
}

static const char *why(const struct evacuation *evacuation, const struct place *place, const struct offer *offer,
                       unsigned able, unsigned asked)
{
    scoped_text struct text words = {0};
    if (able < asked)
        text_printf(&words, able == 1 ? "the only one of %u that can take it, " : "one of %u that can take it, ",
                    able == 1 ? asked : able);
    text_printf(&words, offer->warnings == 1 ? "1 warning" : offer->warnings ? "%u warnings" : "no warnings",
                offer->warnings);
    if (place->load_ms)
        text_printf(&words, ", %.1f s to receive before it", (double)place->load_ms / 1000);
    if (place->answered)
        text_printf(&words, ", room for %.1f GiB", gib(place->room_kib));
    if (offer->total_ms && !offer->converges)
        text_append(&words, ", changes memory faster than it can be sent");
    return arena_strdup(evacuation->in->arena, words.data);
}

/* Why nobody takes it: each place's own words. */
static void refuse(struct evacuation *evacuation, struct passenger *one)
{
    scoped_text struct text words = {0};
    size_t count;
    const struct place *places = evacuation_places(evacuation, &count);
    for (size_t i = 0; i < count; i++) {
        if (!places[i].named)
            continue;
        const char *between = words.length ? "; " : "";
        if (one->offers[i].refusal)
            text_printf(&words, "%s'%s': %s", between, places[i].uri, one->offers[i].refusal);
        else
            text_printf(&words, "%s'%s': it needs %.1f GiB, and the others leave room for %.1f", between,
                        places[i].uri, gib(needed_kib(one)), gib(places[i].room_kib));
    }
    error_set(&one->error, ERR_OPERATION_FAILED, "%s", text_string(&words));
}

static void choose(struct evacuation *evacuation, struct passenger *one)
{
    size_t count, best = 0;
    unsigned able = 0, asked = 0;
    struct place *places = evacuation_places(evacuation, &count);
    for (size_t i = 0; i < count; i++) {
        asked += places[i].named;
        if (!places[i].named || one->offers[i].refusal || !has_room(&places[i], one))
            continue;
        if (!able++ || is_better(&places[i], &one->offers[i], &places[best], &one->offers[best]))
            best = i;
    }
    if (!able) {
        refuse(evacuation, one);
        return;
    }
    one->to = &places[best];
    one->offer = &one->offers[best];
    one->why = why(evacuation, one->to, one->offer, able, asked);
    one->to->planned++;
    one->to->load_ms += passenger_cost(one);
    one->to->room_kib -= one->to->answered ? needed_kib(one) : 0;
}

void evacuation_plan(struct evacuation *evacuation)
{
    if (!evacuation->count)
        return;
    qsort_r(evacuation->passengers, evacuation->count, sizeof *evacuation->passengers, compare_passengers, evacuation);
    for (size_t i = 0; i < evacuation->count; i++)
        if (passenger_waits(&evacuation->passengers[i]))
            choose(evacuation, &evacuation->passengers[i]);
    evacuation->planned_ns = now_ns();
}

/* -- how many at once ---------------------------------------------------------------------------------------------- */

static unsigned slots_of(const struct evacuation *evacuation, const struct place *place)
{
    unsigned wanted = evacuation->parallel ? evacuation->parallel : AT_ONCE;
    return place->slots < wanted ? place->slots : wanted;
}

/* Moves that go on together share the link, and each must be sent at least twice as fast as its guest changes memory,
 * or none of them converges: a busy guest goes with fewer beside it, in the end alone. */
static bool link_carries(const struct passenger *one, uint64_t bandwidth_bps, unsigned sharing)
{
    return !bandwidth_bps || one->dirty_bps * 2 <= bandwidth_bps / sharing;
}

bool evacuation_admits(const struct evacuation *evacuation, const struct passenger *one)
{
    unsigned moving = 0;
    for (size_t i = 0; i < evacuation->count; i++)
        moving += evacuation->passengers[i].state == PASSENGER_MOVING;
    if (!moving)
        return true;
    if ((evacuation->parallel && moving >= evacuation->parallel) || one->to->moving >= slots_of(evacuation, one->to))
        return false;
    for (size_t i = 0; i < evacuation->count; i++) {
        const struct passenger *other = &evacuation->passengers[i];
        if (other->state == PASSENGER_MOVING && !link_carries(other, other->to->bandwidth_bps, moving + 1))
            return false;
    }
    return link_carries(one, one->to->bandwidth_bps, moving + 1);
}

/* -- showing it ---------------------------------------------------------------------------------------------------- */

/* All hosts receive at the same time, each several guests. */
static uint64_t total_ms(const struct evacuation *evacuation)
{
    size_t count;
    uint64_t most = 0;
    const struct place *places = evacuation_places((struct evacuation *)evacuation, &count);
    for (size_t i = 0; i < count; i++) {
        unsigned lanes = slots_of(evacuation, &places[i]);
        lanes = places[i].planned < lanes ? places[i].planned : lanes;
        uint64_t time = lanes ? places[i].load_ms / lanes : 0;
        most = time > most ? time : most;
    }
    for (size_t i = 0; i < evacuation->count; i++)
        if (evacuation->passengers[i].to && passenger_cost(&evacuation->passengers[i]) > most)
            most = passenger_cost(&evacuation->passengers[i]);
    return most;
}

static json_t *place_json(const struct evacuation *evacuation, const struct place *place)
{
    json_t *object = json_pack("{s:s, s:s*, s:i, s:I, s:s*}", "uri", place->uri, "hostname", place->hostname, "guests",
                               (int)place->planned, "load_ms", (json_int_t)place->load_ms, "error",
                               place->control ? NULL : place->error.message);
    if (place->answered) {
        json_object_set_new(object, "room_left_kib", json_integer((json_int_t)place->room_kib));
        json_object_set_new(object, "at_once", json_integer(slots_of(evacuation, place)));
    }
    if (place->bandwidth_bps)
        json_object_set_new(object, "bandwidth_bps", json_integer((json_int_t)place->bandwidth_bps));
    return object;
}

static json_t *passenger_json(const struct passenger *one)
{
    char uuid[UUID_STRING_SIZE];
    uuid_format(one->dom.uuid, uuid);
    json_t *object = json_pack("{s:s, s:s, s:b, s:I, s:I, s:s*, s:s*}", "name", one->dom.name, "uuid", uuid, "active",
                               one->active, "memory_kib", (json_int_t)one->memory_kib, "dirty_bps",
                               (json_int_t)one->dirty_bps, "from", one->from ? one->from->uri : NULL, "to",
                               one->to ? one->to->uri : NULL);
    if (one->offer && one->offer->total_ms) {
        json_object_set_new(object, "predicted_ms", json_integer((json_int_t)one->offer->total_ms));
        json_object_set_new(object, "converges", json_boolean(one->offer->converges));
    }
    json_object_set_new(object, "possible", json_boolean(one->to != NULL));
    json_object_set_new(object, "why", json_string(one->error.code ? one->error.message : one->why));
    return object;
}

static void print_json(const struct evacuation *evacuation)
{
    size_t count;
    const struct place *places = evacuation_places((struct evacuation *)evacuation, &count);
    json_t *guests = json_array(), *destinations = json_array();
    for (size_t i = 0; i < evacuation->count; i++)
        json_array_append_new(guests, passenger_json(&evacuation->passengers[i]));
    for (size_t i = 0; i < count; i++)
        if (places[i].named)
            json_array_append_new(destinations, place_json(evacuation, &places[i]));
    output_json(json_pack("{s:o, s:o, s:I}", "guests", guests, "destinations", destinations, "total_ms",
                          (json_int_t)total_ms(evacuation)));
}

static void add_row(struct table *table, const struct passenger *one, struct arena *arena)
{
    const char *time = !one->to                 ? NULL
                       : one->offer->total_ms   ? arena_printf(arena, "%.1f s", (double)one->offer->total_ms / 1000)
                                                : "not known";
    const char *dirty =
        one->active ? arena_printf(arena, "%llu MiB/s", (unsigned long long)one->dirty_bps >> 20) : NULL;
    table_row(table, one->dom.name, arena_printf(arena, "%llu MiB", (unsigned long long)one->memory_kib >> 10),
              !one->active ? "off" : one->paused ? "paused" : "running", dirty, one->to ? one->to->uri : NULL, time,
              one->error.code ? one->error.message : one->why);
}

static void print_destination(const struct evacuation *evacuation, const struct place *place)
{
    if (!place->control) {
        printf("'%s' gets none: %s\n", place->uri, place->error.message);
        return;
    }
    printf("'%s' gets %u guests", place->uri, place->planned);
    if (place->answered)
        printf(", up to %u at once; %.1f GiB of memory are left there", slots_of(evacuation, place),
               gib(place->room_kib));
    if (place->bandwidth_bps)
        printf(", the link carries %llu MiB/s", (unsigned long long)place->bandwidth_bps >> 20);
    putchar('\n');
}

void evacuation_print_plan(const struct evacuation *evacuation)
{
    static const struct column columns[] = {{"name", "Guest"}, {"memory", "Memory"}, {"state", "State"},
                                            {"dirty", "Dirties"}, {"to", "Destination"}, {"time", "Time"},
                                            {"why", "Why"}};
    size_t count;
    const struct place *places = evacuation_places((struct evacuation *)evacuation, &count);
    if (output_is_json(evacuation->in)) {
        print_json(evacuation);
        return;
    }
    struct table *table = table_new(evacuation->in->arena, columns, COUNT(columns));
    for (size_t i = 0; i < evacuation->count; i++)
        add_row(table, &evacuation->passengers[i], evacuation->in->arena);
    table_print(table, evacuation->in);
    for (size_t i = 0; i < count; i++)
        if (places[i].named)
            print_destination(evacuation, &places[i]);
    printf("All of it takes about %.1f s\n", (double)total_ms(evacuation) / 1000);
}
