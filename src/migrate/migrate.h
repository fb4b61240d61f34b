/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "migrate/cookie.h"
#include "migrate/job_info.h"
#include "migrate/options.h"
#include "qemu/domain.h"

/* Live migration: the phases of libvirt's version 3 protocol at both ends. A client (or, peer to peer, the source's
 * daemon) calls begin on the source, prepare on the destination, perform on the source, finish on the destination and
 * confirm on the source, and carries a cookie from each to the next. At any instant at most one of the two guests runs:
 * the destination's is started by finish only, the source's is ended by confirm only. */

/* Who calls a phase. When the client's connection ends, its migration is taken back. */
struct stream;
struct migrate_caller {
    const void *client; /* compared only */
    const char *name;   /* for messages */
    struct stream **stream; /* of --tunnelled, at the destination: NULL in it once the migration has it; else NULL */
};

/* All of these wait. Results live in the arena. */

/* Returns the XML for the destination. */
char *migration_begin(struct domain *domain, const struct migrate_options *options, const struct migrate_caller *caller,
                      struct migrate_blob *cookie_out, struct arena *arena, struct error *err);
/* options->xml is what migration_begin() returned. *uri is where the source shall connect to. */
int migration_prepare(struct driver *driver, const struct migrate_options *options, const struct migrate_caller *caller,
                      const struct migrate_blob *cookie_in, struct migrate_blob *cookie_out, const char **uri,
                      struct arena *arena, struct error *err);
/* With MIGRATE_PEER2PEER all phases at once; destination is then the other daemon's connection URI. On failure the
 * guest goes on here. */
int migration_perform(struct domain *domain, const struct migrate_options *options, const char *destination,
                      const struct migrate_caller *caller, const struct migrate_blob *cookie_in,
                      struct migrate_blob *cookie_out, struct arena *arena, struct error *err);
/* Returns a reference of the domain that runs here now. With cancelled set nothing is left of it here, and the error is
 * ERR_MIGRATE_FINISH_OK. */
struct domain *migration_finish(struct driver *driver, const struct migrate_options *options, bool cancelled,
                                const struct migrate_caller *caller, const struct migrate_blob *cookie_in,
                                struct migrate_blob *cookie_out, struct arena *arena, struct error *err);
int migration_confirm(struct domain *domain, const struct migrate_options *options, bool cancelled,
                      const struct migrate_caller *caller, const struct migrate_blob *cookie_in, struct error *err);
/* -- who owns the guest (owner.c); all wait ------------------------------------------------------------------------ */

/* Destination: the owner (WIRE_MIGRATION_OWNER_*) of a migration's guest. One that was not let run here yet never will
 * be: it is removed, and the owner is the source. The way for a source that lost sight of its migration. */
int migration_decide(struct driver *driver, const unsigned char id[UUID_SIZE], int *owner, struct error *err);
/* Source: does what the owner means for a guest here whose owner was not known. ERR_OPERATION_INVALID when there is no
 * such migration, or it is still under way. */
int migration_settle(struct driver *driver, const unsigned char id[UUID_SIZE], int owner, struct error *err);
/* After driver_new(): takes up or ends what the journal holds of guests that do not run here any more. Does not wait;
 * what waits goes on in fibers of its own. */
void migration_recover(struct driver *driver);

/* peer.c: the whole way to the daemon at the other end of a connection URI. */
int migration_to_peer(struct domain *domain, const struct migrate_options *options, const char *destination,
                      const struct migrate_caller *caller, struct error *err);

/* -- while it runs (steer.c) --------------------------------------------------------------------------------------- */

/* What is going on, or what went on last (completed): type DOMAIN_JOB_NONE when there is nothing. keep leaves the last
 * one to be asked for again. Waits a moment for fresh figures. */
void migration_job_info(struct domain *domain, bool completed, bool keep, struct job_info *info);
/* What a policy has said and done about a migration away from here. */
struct migration_news {
    bool active;         /* one is under way */
    const char **lines;  /* in the arena */
    uint32_t line_count;
    int64_t left_ms, budget_ms; /* to the end as far as can be seen, and of the time budget; -1 = not known, or none */
};
/* Waits until there are more lines than were seen, or it is over; half a second at most. */
void migration_follow_news(struct domain *domain, uint32_t seen, struct migration_news *news, struct arena *arena);
/* ERR_OPERATION_INVALID when nothing can be aborted. Returns when the migration was told. */
int migration_abort(struct domain *domain, struct error *err);
/* Of a migration with --postcopy: lets the guest go on on the destination as soon as it can. */
int migration_start_postcopy(struct domain *domain, struct error *err);
/* Cuts the connection of a post-copy, which can then be resumed. */
int migration_pause_postcopy(struct domain *domain, struct error *err);
#define MIGRATE_DOWNTIME_DEFAULT_MS 300
int migration_set_downtime(struct domain *domain, uint64_t milliseconds, struct error *err);
int migration_set_bandwidth(struct domain *domain, uint64_t mib_per_second, struct error *err);
/* The same once it is in post-copy. */
int migration_set_postcopy_bandwidth(struct domain *domain, uint64_t mib_per_second, struct error *err);
/* MiB/s that say "all there is", as libvirt counts it. */
#define MIGRATE_BANDWIDTH_UNLIMITED (INT64_MAX >> 20)
/* Bytes of the cache of --compressed. */
int migration_cache_get(struct domain *domain, uint64_t *bytes, struct error *err);
int migration_cache_set(struct domain *domain, uint64_t bytes, struct error *err);

/* -- what happens to it (migration.c, recover.c) ------------------------------------------------------------------- */

/* A client's connection ended. Does not wait. */
void migration_client_gone(struct domain *domain, const void *client);
/* The guest's QEMU is gone. Does not wait. */
void migration_ended(struct domain *domain);
/* Called when a guest found again after a restart of the daemon has answered: a migration that was under way is taken
 * back or finished. Waits; the caller holds the domain's job. */
void migration_attached(struct domain *domain);
