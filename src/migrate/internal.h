/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/json.h"
#include "base/loop.h"
#include "migrate/cookie.h"
#include "migrate/journal.h"
#include "migrate/migrate.h"
#include "migrate/stages.h"
#include "qemu/capabilities.h"

/* Shared by the files of this folder only.
 *
 *        source                                                destination
 *
 *   begin ─► BEGUN ─► perform ─► PERFORMED ─► confirm    prepare ─► PREPARED ─► finish
 *                     (PERFORMING)                       (PREPARING)            (FINISHING)
 *
 * In the phases in capitals without brackets nobody works on the migration: it waits for its client's next call,
 * watched by a guard. In the bracketed ones a fiber works on it; others only leave a wish in `abort` and wake
 * domain->changed.
 * Who owns the guest: journal.h. */
enum migration_phase {
    PHASE_BEGUN,
    PHASE_PERFORMING,
    PHASE_PERFORMED,
    PHASE_CONFIRMING,
    PHASE_PREPARING,
    PHASE_PREPARED,
    PHASE_FINISHING,
    PHASE_BROKEN, /* either end, in post-copy: waits to be resumed, for as long as it takes */
};

struct migration {
    struct domain *domain; /* a reference */
    struct job job;
    enum migration_phase phase;
    struct arena *arena;
    struct migrate_options options;
    struct journal_entry entry; /* what the journal says, or will say */
    bool returns; /* destination: where the guest was after it left here was never settled */
    const char *origin_name; /* the guest's name on the source, as cookies have it */
    const char *persistent_xml; /* source: what the destination shall store */
    const void *client;      /* whose end takes the migration back; NULL = nobody's */
    struct timer *guard;
    bool idle;               /* the guard saw it wait in this phase before */
    struct error abort;      /* code set: it shall end, and why */
    bool was_running;        /* source: the guest ran when the migration began */
    uint16_t port;           /* destination: taken from the driver's range; 0 = none */
    const char *failure;     /* destination: what QEMU said when it ended before its time */
    const char **extra_caps; /* source: capabilities to be turned off again when it fails; NULL-terminated */
    bool postcopy_asked;     /* source: to be begun as soon as QEMU can */
    uint64_t ran_ms;         /* destination: when the guest was let run, since 1970 */
    const char *tls_creds;   /* id of the object that QEMU's connections are encrypted with; NULL = none */
    const char *tls_name;    /* source: whom the destination's certificate must be of */
    struct domain_def *offline_def; /* destination of --offline: what it will store */
    const char *nvram;       /* the same: variables of its firmware; NULL = none */
    size_t nvram_length;
    struct stream *stream;   /* of --tunnelled, until QEMU has its end; NULL = none */
    bool screen_told;        /* source: SPICE sends its clients to the destination */
    uint16_t nbd_port;       /* destination: of the disks' server, taken from the driver's range; 0 = none */
    uint16_t nbd_told;       /* destination: the port that the source is told; 0 = none */
    uint32_t mirror_count;   /* source: disks that are copied */
    bool mirrors_gone;       /* source: their copies are whole and let go of */
    uint64_t mirrors_seen;   /* source: domain->job_changes when they were last looked at */
    struct cookie_device *devices; /* source: what QEMU has, for the destination to find again; see verify.h */
    uint32_t device_count;
    struct cookie_memory memory;   /* source: the pieces that --verify compares; none = not asked for */
    struct job_info info;
    uint64_t started_ms, stopped_ms; /* since 1970; stopped 0 = the guest runs */
    uint64_t asked_ns;       /* when info was last brought up to date */
    uint32_t limit_ms;       /* source: the pause that QEMU may make now */
    struct steering steering;
};

/* -- migration.c: the struct and its end --------------------------------------------------------------------------- */

/* A migration of the domain, whose job it then holds (JOB_MIGRATE_OUT or _IN); domain->migration points at it. The
 * fiber is shielded until migration_wait_next() or migration_end(). Waits. */
struct migration *migration_new(struct domain *domain, enum job_kind kind, const struct migrate_options *options,
                                const struct migrate_caller *caller, struct error *err);
/* The phase's work is done: from here the client's next call is awaited. The fiber may be cancelled again. */
void migration_wait_next(struct migration *migration, enum migration_phase phase);
/* The domain's migration, if it waits in that phase; then `working` is its phase and the caller its owner. The fiber is
 * shielded until migration_wait_next() or migration_end(). NULL with err. */
struct migration *migration_take(struct domain *domain, enum migration_phase waiting, enum migration_phase working,
                                 const struct migrate_caller *caller, struct error *err);
/* Lets go of the domain, its job and its port. */
void migration_end(struct migration *migration);
/* Takes back a migration that is between two phases and whose client will not go on. Waits; then it is over. */
void migration_give_up(struct domain *domain, const char *why);
/* Milliseconds since 1970, for cookies. */
uint64_t clock_ms(void);

/* -- negotiate.c --------------------------------------------------------------------------------------------------- */

/* Tells QEMU what both ends can do and what is asked for. remote as the other end's cookie has it. Notes in
 * migration->extra_caps what has to be turned off when it fails. Waits. */
int migration_configure(struct migration *migration, bool source, const struct migrate_cookie *remote,
                        struct error *err);
/* Those of the features (MIGRATE_*) that both ends can turn on; at the source, that the destination has turned on. */
uint32_t migration_features(const struct migration *migration, const struct qemu_caps *caps,
                            const struct migrate_cookie *remote, uint32_t features);
/* The names of QEMU's capabilities for features, with commas between them. */
const char *migration_feature_names(const struct migration *migration, uint32_t features, struct arena *arena);
/* What the flags ask of QEMU: [{"option", "capability", "both": whether the destination's needs it too}]. */
json_t *migration_wishes(uint32_t flags);
/* Turns off what a failed or interrupted migration left on. Waits. */
void migration_unconfigure(struct domain *domain, const char **capabilities);
/* Capabilities that are off unless a migration asks for them; NULL-terminated. */
extern const char *migration_optional_caps[];
/* The cookie that this end writes, without statistics. */
struct migrate_cookie migration_cookie(const struct migration *migration, const struct qemu_caps *caps,
                                       struct arena *arena);
/* What QEMU of the running domain can do; waits when it was not asked yet. */
const struct qemu_caps *migration_caps(const struct domain *domain, struct error *err);

/* -- channel.c ----------------------------------------------------------------------------------------------------- */

/* Connects to the destination's QEMU at tcp:HOST:PORT. Returns what `migrate` takes as its URI. Waits. ERR_INVALID_ARG
 * for another URI, ERR_SYSTEM_ERROR when nobody listens there. */
const char *migration_connect(struct migration *migration, const char *uri, struct arena *arena, struct error *err);

/* -- follow.c ------------------------------------------------------------------------------------------------------ */

/* After `migrate`: waits until all is on the other side (0) or it failed (-1, with QEMU's reason). Waits. */
int migration_follow(struct migration *migration, struct error *err);
/* Fills err from migration->abort, which is set, and returns -1. */
int migration_aborted(const struct migration *migration, struct error *err);
/* Asks QEMU for the figures, unless they are fresh. Waits, at most for timeout_ms; a failure leaves the old ones. */
void migration_ask(struct migration *migration, uint64_t timeout_ms);

/* -- source.c ------------------------------------------------------------------------------------------------------ */

/* The parts that peer.c drives too. */
/* Begins a migration of a domain that can be migrated now: migration_new() with checks. */
struct migration *source_new(struct domain *domain, const struct migrate_options *options,
                             const struct migrate_caller *caller, struct error *err);
char *source_begin(struct migration *migration, struct migrate_blob *cookie, struct arena *arena, struct error *err);
int source_perform(struct migration *migration, const char *uri, const struct migrate_blob *cookie_in,
                   struct migrate_blob *cookie_out, struct arena *arena, struct error *err);
/* Nothing was done yet. */
void source_drop(struct migration *migration);
/* The destination has it: ends the guest here. */
int source_complete(struct migration *migration, uint32_t flags, const struct migrate_blob *cookie_in,
                    struct error *err);
/* The destination has not: the guest goes on here. Waits; then the migration is over. */
void source_take_back(struct migration *migration);
/* Nobody knows: the guest stays paused, and the destination is asked until it answers. The migration is over. */
void source_leave(struct migration *migration, const char *why);
/* Lets a guest that was paused for its migration go on, unless it did not run when that began; by_itself: QEMU may be
 * about to do it. A user's own pause during the migration cannot be told from the one of --timeout, and ends too.
 * Waits. */
int source_run_again(struct domain *domain, bool was_running, bool by_itself, struct error *err);

/* -- destination.c ------------------------------------------------------------------------------------------------- */

/* Ends the guest that waits here, unless it is in post-copy, and the migration. Waits. */
void destination_discard(struct migration *migration);
/* Lets an arrived guest run, or, paused, leaves it to the user. Waits. */
int destination_let_run(struct domain *domain, bool paused, struct error *err);
