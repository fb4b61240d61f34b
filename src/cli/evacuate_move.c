/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/evacuate.h"

#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/migrate_policy.h"
#include "cli/terminal.h"

enum {
    FRESH_MS = 10000,  /* a plan that is older is checked once more before a guest moves */
    LOOK_MS = 500,     /* how often progress is looked at */
};

struct run {
    struct evacuation *evacuation;
    struct condition changed;
    struct interrupt *interrupt;
    uint64_t started_ns;
    bool live;       /* a person looks on: a line that changes */
    bool shown;      /* such a line stands there */
};

struct move {
    struct run *run;
    struct passenger *one;
};

/* -- connections for moves ----------------------------------------------------------------------------------------- */

static struct connection *borrow(struct evacuation *evacuation, struct place *place, struct error *err)
{
    while (place->idle_count) {
        struct connection *connection = place->idle[--place->idle_count];
        if (!connection->closed)
            return connection;
        connection_close(connection);
    }
    struct connection *connection =
        connection_open(place->uri, false, evacuation->in->shell->keepalive, err);
    if (!connection)
        command_failed(err, "cannot connect to '%s'", place->uri);
    return connection;
}

static void give_back(struct place *place, struct connection *connection)
{
    if (!connection)
        return;
    place->idle = xrealloc(place->idle, (place->idle_count + 1) * sizeof *place->idle);
    place->idle[place->idle_count++] = connection;
}

static void close_idle(struct place *place)
{
    while (place->idle_count)
        connection_close(place->idle[--place->idle_count]);
    free(steal(place->idle));
}

/* -- one guest ----------------------------------------------------------------------------------------------------- */

/* The record follows what happened. Where that is not known (a lost daemon), it stays as it was before the move, and
 * the next run finds out. */
static int note(struct run *run, struct passenger *one, bool moved, bool unsettled, struct error *err)
{
    struct evacuation *evacuation = run->evacuation;
    if (evacuation->restore)
        return moved ? evacuation_note_outcome(evacuation, one->dom.uuid, WIRE_EVACUATION_OUTCOME_HERE, err) : 0;
    if (moved && one->autostart && one->persistent)
        evacuation_copy_autostart(evacuation, one->to, &one->dom);
    if (unsettled)
        return 0;
    return evacuation_note_outcome(evacuation, one->dom.uuid,
                                   moved ? WIRE_EVACUATION_OUTCOME_LEFT : WIRE_EVACUATION_OUTCOME_HERE, err);
}

/* Gives the state that it ends in; with an error unless that is MOVED. */
static enum passenger_state move_one(struct run *run, struct passenger *one, struct connection *from,
                                     struct connection *to, struct error *err)
{
    struct evacuation *evacuation = run->evacuation;
    scoped_arena struct arena *arena = arena_new();
    struct migration migration = {.source = from, .destination = to, .dom = one->dom, .arena = arena,
                                  .flags = passenger_flags(evacuation, one)};
    struct error later = {0};
    params_init(&migration.params, arena);
    if (evacuation->bandwidth_mib && one->active)
        params_add_u64(&migration.params, MIGRATE_PARAM_BANDWIDTH, evacuation->bandwidth_mib);
    if (one->active && migrate_policy_steer(evacuation->in, &migration, err) < 0)
        return PASSENGER_FAILED;
    migrate_policy_meet(&migration);
    bool old = now_ns() - evacuation->planned_ns > (uint64_t)FRESH_MS * 1000000;
    if ((old && evacuation_ask_again(evacuation, one, err) < 0) ||
        (!evacuation->restore && evacuation_note_leaving(evacuation, one, err) < 0))
        return PASSENGER_FAILED;
    bool stopped = interrupt_came(run->interrupt);
    if (stopped)
        error_set(err, ERR_OPERATION_ABORTED, "it was interrupted before it began");
    if (!stopped && migration_run(&migration, err) < 0 && migration.arrived) {
        output_warning(evacuation->in->shell, "domain '%s' has moved to '%s', but not without trouble: %s",
                       one->dom.name, one->to->uri, err->message);
        *err = (struct error){0};
    }
    bool moved = migration.arrived;
    if (note(run, one, moved, migration.unsettled, &later) < 0 && moved)
        output_warning(evacuation->in->shell, "domain '%s' has moved to '%s', but the record of that could not be "
                       "written; the next run sees to it: %s", one->dom.name, one->to->uri, later.message);
    return moved ? PASSENGER_MOVED : migration.unsettled ? PASSENGER_UNKNOWN : PASSENGER_FAILED;
}

static void move_fiber(void *owner)
{
    struct move move = *(struct move *)owner;
    free(owner);
    struct passenger *one = move.one;
    struct evacuation *evacuation = move.run->evacuation;
    struct connection *from = borrow(evacuation, one->from, &one->error);
    struct connection *to = from ? borrow(evacuation, one->to, &one->error) : NULL;
    enum passenger_state end = to ? move_one(move.run, one, from, to, &one->error) : PASSENGER_FAILED;
    give_back(one->from, from);
    give_back(one->to, to);
    one->took_ms = (now_ns() - one->started_ns) / 1000000;
    one->state = end;
    one->to->moving--;
    condition_wake(&move.run->changed);
}

static void start_move(struct run *run, struct passenger *one)
{
    struct move *move = xcalloc(1, sizeof *move);
    *move = (struct move){run, one};
    one->state = PASSENGER_MOVING;
    one->started_ns = now_ns();
    one->to->moving++;
    fiber_start("move", move_fiber, move);
}

/* -- progress ------------------------------------------------------------------------------------------------------ */

struct tally {
    unsigned all, moved, failed, moving;
    double cost, done; /* milliseconds of predicted work */
};

static struct tally count_all(const struct evacuation *evacuation)
{
    struct tally tally = {0};
    for (size_t i = 0; i < evacuation->count; i++) {
        const struct passenger *one = &evacuation->passengers[i];
        double cost = one->to ? (double)passenger_cost(one) : 0;
        tally.all += one->state != PASSENGER_STAYS;
        tally.moved += one->state == PASSENGER_MOVED;
        tally.failed += one->state == PASSENGER_FAILED || one->state == PASSENGER_UNKNOWN ||
                        (one->state == PASSENGER_WAITING && !one->to);
        tally.moving += one->state == PASSENGER_MOVING;
        tally.cost += cost;
        tally.done += one->state == PASSENGER_MOVING ? cost * one->part : one->state == PASSENGER_WAITING ? 0 : cost;
    }
    return tally;
}

/* By how fast it went so far. */
static double seconds_left(const struct run *run, const struct tally *tally)
{
    double elapsed = (double)(now_ns() - run->started_ns) / 1e9;
    return tally->done > 0 ? elapsed * (tally->cost - tally->done) / tally->done : -1;
}

static void clear_line(struct run *run)
{
    if (run->shown)
        fputs("\r\033[K", stderr);
    run->shown = false;
}

static void look(struct run *run)
{
    struct evacuation *evacuation = run->evacuation;
    for (size_t i = 0; i < evacuation->count; i++) {
        struct passenger *one = &evacuation->passengers[i];
        scoped_arena struct arena *arena = arena_new();
        struct domain_get_job_info_args args = {.dom = one->dom};
        struct domain_get_job_info_ret info = {0};
        if (one->state == PASSENGER_MOVING && one->from->control && !one->from->control->closed &&
            remote_domain_get_job_info(one->from->control->client, &args, arena, &info, NULL) == 0 &&
            info.data_total)
            one->part = 1 - (double)info.data_remaining / (double)info.data_total;
    }
    struct tally tally = count_all(evacuation);
    double left = seconds_left(run, &tally);
    clear_line(run);
    fprintf(stderr, "[%u of %u moved, %u under way", tally.moved, tally.all, tally.moving);
    if (tally.failed)
        fprintf(stderr, ", %u stay", tally.failed);
    fprintf(stderr, left >= 0 ? ", about %.0f s left]" : "]", left);
    fflush(stderr);
    run->shown = true;
}

static void tell_end(struct run *run, const struct passenger *one)
{
    struct tally tally = count_all(run->evacuation);
    double left = seconds_left(run, &tally);
    clear_line(run);
    if (output_is_json(run->evacuation->in))
        return;
    if (one->state == PASSENGER_MOVED)
        printf("%s: moved to '%s' in %.1f s", one->dom.name, one->to->uri, (double)one->took_ms / 1000);
    else if (one->state == PASSENGER_UNKNOWN)
        printf("%s: failed after %.1f s, whether it is on '%s' or '%s' is not known: %s", one->dom.name,
               (double)one->took_ms / 1000, one->from->uri, one->to->uri, one->error.message);
    else
        printf("%s: failed after %.1f s, stays on '%s': %s", one->dom.name, (double)one->took_ms / 1000,
               one->from->uri, one->error.message);
    printf(" (%u of %u", tally.moved, tally.all);
    if (left >= 0 && tally.cost > tally.done)
        printf(", about %.0f s left", left);
    puts(")");
    fflush(stdout);
}

/* -- all of them --------------------------------------------------------------------------------------------------- */

static struct passenger *next_to_move(struct evacuation *evacuation)
{
    for (size_t i = 0; i < evacuation->count; i++) {
        struct passenger *one = &evacuation->passengers[i];
        if (one->state == PASSENGER_WAITING && one->to && evacuation_admits(evacuation, one))
            return one;
    }
    return NULL;
}

static unsigned moving_count(const struct evacuation *evacuation)
{
    return count_all(evacuation).moving;
}

/* Ctrl-C: whoever is under way stays after all. Told at every look, since one that only prepares cannot be told yet. */
static void abort_moves(struct run *run)
{
    struct evacuation *evacuation = run->evacuation;
    for (size_t i = 0; i < evacuation->count; i++) {
        struct passenger *one = &evacuation->passengers[i];
        struct domain_abort_job_args args = {.dom = one->dom};
        if (one->state == PASSENGER_MOVING)
            remote_domain_abort_job(one->from->control->client, &args, NULL);
    }
}

static void tell_ended(struct run *run, bool *told)
{
    for (size_t i = 0; i < run->evacuation->count; i++) {
        const struct passenger *one = &run->evacuation->passengers[i];
        if (told[i] || one->state == PASSENGER_WAITING || one->state == PASSENGER_MOVING ||
            one->state == PASSENGER_STAYS)
            continue;
        told[i] = true;
        tell_end(run, one);
    }
}

static bool may_go_on(const struct run *run)
{
    return !interrupt_came(run->interrupt) && !run->evacuation->home.control->closed;
}

static void move_all(struct run *run)
{
    struct evacuation *evacuation = run->evacuation;
    bool *told = arena_new_array(evacuation->in->arena, evacuation->count + 1, bool);
    for (;;) {
        struct passenger *next;
        while (may_go_on(run) && (next = next_to_move(evacuation)))
            start_move(run, next);
        tell_ended(run, told);
        if (!moving_count(evacuation) && (!may_go_on(run) || !next_to_move(evacuation)))
            break;
        condition_wait(&run->changed, deadline_ms(LOOK_MS), NULL);
        if (interrupt_came(run->interrupt))
            abort_moves(run);
        if (run->live && moving_count(evacuation))
            look(run);
    }
    clear_line(run);
}

/* -- the end ------------------------------------------------------------------------------------------------------- */

static const char *const result_words[] = {
    [PASSENGER_WAITING] = "left",
    [PASSENGER_MOVED] = "moved",
    [PASSENGER_FAILED] = "failed",
    [PASSENGER_UNKNOWN] = "unknown",
    [PASSENGER_STAYS] = "none",
};

static void print_json(const struct run *run)
{
    const struct evacuation *evacuation = run->evacuation;
    json_t *guests = json_array();
    for (size_t i = 0; i < evacuation->count; i++) {
        const struct passenger *one = &evacuation->passengers[i];
        char uuid[UUID_STRING_SIZE];
        uuid_format(one->dom.uuid, uuid);
        const char *result = one->state == PASSENGER_WAITING && !one->to ? "impossible" : result_words[one->state];
        json_array_append_new(
            guests, json_pack("{s:s, s:s, s:s, s:s*, s:s*, s:I, s:s*}", "name", one->dom.name, "uuid", uuid, "result",
                              result, "from", one->from ? one->from->uri : NULL, "to", one->to ? one->to->uri : NULL,
                              "took_ms", (json_int_t)one->took_ms, "error",
                              one->error.code ? one->error.message : one->state == PASSENGER_STAYS ? one->why : NULL));
    }
    struct tally tally = count_all(evacuation);
    output_json(json_pack("{s:o, s:i, s:i, s:I}", "guests", guests, "moved", (int)tally.moved, "not_moved",
                          (int)(tally.all - tally.moved), "took_ms",
                          (json_int_t)((now_ns() - run->started_ns) / 1000000)));
}

static int judge(const struct run *run, struct error *err)
{
    const struct evacuation *evacuation = run->evacuation;
    struct tally tally = count_all(evacuation);
    if (tally.moved == tally.all)
        return 0;
    scoped_text struct text names = {0};
    for (size_t i = 0; i < evacuation->count; i++) {
        const struct passenger *one = &evacuation->passengers[i];
        if (one->state == PASSENGER_FAILED || one->state == PASSENGER_UNKNOWN ||
            (one->state == PASSENGER_WAITING && !one->to))
            text_printf(&names, "; '%s': %s", one->dom.name, one->error.message);
    }
    const char *cause = interrupt_came(run->interrupt)       ? "interrupted: "
                        : evacuation->home.control->closed ? "the connection to the daemon ended: "
                                                           : "";
    const char *again = tally.all > tally.moved + tally.failed || *cause
                            ? "; the same command goes on with those that are left" : "";
    return error_set(err, ERR_OPERATION_FAILED, "%s%u of %u guests were not moved%s%s", cause, tally.all - tally.moved,
                     tally.all, again, text_string(&names));
}

int evacuation_run(struct evacuation *evacuation, struct error *err)
{
    struct run run = {.evacuation = evacuation, .started_ns = now_ns()};
    condition_init(&run.changed);
    scoped_interrupt struct interrupt *interrupt = interrupt_new(&run.changed);
    run.interrupt = interrupt;
    run.live = isatty(STDERR_FILENO) && !output_is_json(evacuation->in) && !evacuation->in->shell->quiet;
    move_all(&run);
    close_idle(&evacuation->home);
    for (size_t i = 0; i < evacuation->other_count; i++)
        close_idle(&evacuation->others[i]);
    if (output_is_json(evacuation->in)) {
        print_json(&run);
    } else {
        struct tally tally = count_all(evacuation);
        output_note(evacuation->in, "%u of %u guests moved in %.1f s\n", tally.moved, tally.all,
                    (double)(now_ns() - run.started_ns) / 1e9);
    }
    return judge(&run, err);
}
