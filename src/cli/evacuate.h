/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/migrate_check.h"

/* `godwit evacuate`: every guest of a host to others, and `--restore`: the same guests home again. Both are a list of
 * passengers, each with where it is, where it goes and why, which evacuate_plan.c makes and evacuate_move.c works off.
 *
 * This program drives every move itself, as `godwit migrate` does without --p2p: it is connected to both ends anyway,
 * to ask and to watch, so the way home needs no daemon that can reach this one, no host has to trust another's, and
 * sshd sees a few connections instead of one for each guest. Who ends this program ends the moves that are under way,
 * and no others: their guests go on where they were, the daemons' journals see to that, and the record at the source
 * (src/migrate/evacuation.h) says where to go on. */

enum { PLACES_MAX = DESTINATIONS_MAX + 1 };

/* A host that takes part. */
struct place {
    const char *uri;
    bool named;                 /* by --to, or home: guests may go there; the others only have some */
    struct connection *control; /* for questions; moves have their own, since a daemon works on few calls of one client
                                   at a time. NULL: error says why */
    struct error error;
    struct connection **idle;   /* connections that no move uses just now */
    size_t idle_count;
    /* what it told when it was asked as a destination: */
    bool answered;
    const char *hostname;
    uint64_t room_kib;      /* memory that can still be given away */
    uint64_t bandwidth_bps; /* of the way there; 0 = not known */
    unsigned slots;         /* guests that it can take at once */
    /* while it is planned and done: */
    uint64_t load_ms;       /* predicted times of the guests that go there */
    unsigned planned, moving;
};

/* What one place makes of a guest. */
struct offer {
    const char *refusal; /* NULL: it can take it */
    unsigned warnings;
    uint64_t total_ms;   /* predicted; 0 = not known */
    bool converges;      /* as predicted */
};

enum passenger_state {
    PASSENGER_WAITING,
    PASSENGER_MOVING,
    PASSENGER_MOVED,
    PASSENGER_FAILED,
    PASSENGER_UNKNOWN, /* it failed, and where the guest is now could not be found out */
    PASSENGER_STAYS,
};

struct passenger {
    struct wire_domain dom;
    struct place *from, *to; /* to NULL: it cannot go, error says why */
    const struct wire_evacuation_record *record; /* --restore: of the guest */
    bool active, paused, persistent, autostart; /* where it is now */
    uint64_t memory_kib, dirty_bps;
    struct offer *offers;    /* of each place that guests may go to, see evacuation_places() */
    const struct offer *offer; /* of the one it goes to */
    const char *why;         /* this destination, or none */
    struct error error;
    enum passenger_state state;
    double part;             /* of the move that is done, 0 to 1 */
    uint64_t started_ns, took_ms;
};

struct evacuation {
    struct invocation *in;
    bool restore, keep;
    unsigned flags;         /* MIGRATE_* of every move */
    uint64_t bandwidth_mib; /* of each; 0 = all there is */
    unsigned parallel;      /* at most so many at once; 0 = as many as planned */
    struct place home;      /* the daemon that this program is connected to */
    struct place *others;   /* PLACES_MAX of them */
    size_t other_count;
    struct passenger *passengers;
    size_t count;
    uint64_t planned_ns;
};

/* -- evacuate_record.c: who is to be moved, by the record at home; all wait ---------------------------------------- */

/* What an earlier run that was cut off left open: waits until the daemons have agreed on who has which guest, and
 * brings the record up to date. */
int evacuation_settle(struct evacuation *evacuation, struct error *err);
/* Fills the passengers: what runs at home, with `offline` also what does not. */
int evacuation_board(struct evacuation *evacuation, bool offline, struct error *err);
/* The same for the way home: looks for every guest on record where it went, and then in the other places. */
int evacuation_board_home(struct evacuation *evacuation, struct error *err);
/* The record before a move, and after it. */
int evacuation_note_leaving(struct evacuation *evacuation, const struct passenger *one, struct error *err);
int evacuation_note_outcome(struct evacuation *evacuation, const unsigned char uuid[UUID_SIZE], int outcome,
                            struct error *err);
/* A guest that starts by itself here does so where it now lives, too; what fails is a warning. Waits. */
void evacuation_copy_autostart(const struct evacuation *evacuation, const struct place *place,
                               const struct wire_domain *dom);
/* The place of that URI, connected if it can be; NULL when there are too many. Waits. */
struct place *evacuation_place(struct evacuation *evacuation, const char *uri);

/* -- evacuate_check.c ---------------------------------------------------------------------------------------------- */

/* Where guests may go: home, or all others, of which those that are not `named` are passed over. */
struct place *evacuation_places(struct evacuation *evacuation, size_t *count);
/* What this guest's move is asked for with: MIGRATE_*. */
unsigned passenger_flags(const struct evacuation *evacuation, const struct passenger *one);
/* It can still be thought of: it is not here already, gone, or refused. */
static inline bool passenger_waits(const struct passenger *one)
{
    return one->state == PASSENGER_WAITING && !one->error.code;
}
/* Measures the guests and the ways, and fills every passenger's offers and every place's room. Waits. */
void evacuation_ask(struct evacuation *evacuation);
/* Asks once more about one of them, whose plan is old: -1 when it can go there no longer. Waits. */
int evacuation_ask_again(struct evacuation *evacuation, struct passenger *one, struct error *err);

/* -- evacuate_plan.c ----------------------------------------------------------------------------------------------- */

/* Decides, by the offers, who goes where and in which order: passengers are sorted by it. */
void evacuation_plan(struct evacuation *evacuation);
/* What a guest's move costs, in milliseconds, to weigh moves against each other: as predicted, else by its memory. */
uint64_t passenger_cost(const struct passenger *one);
/* Whether one more move can begin while those that are marked as moving go on. */
bool evacuation_admits(const struct evacuation *evacuation, const struct passenger *one);
void evacuation_print_plan(const struct evacuation *evacuation);

/* -- evacuate_move.c ----------------------------------------------------------------------------------------------- */

/* Moves the passengers that can go, and tells of each as it arrives. -1 when one did not. Waits. */
int evacuation_run(struct evacuation *evacuation, struct error *err);
