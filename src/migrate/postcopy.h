/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "migrate/internal.h"

/* Post-copy: the guest runs on the destination while part of its memory is still on the source. From the moment that
 * QEMU says so (domain->postcopy) neither end can go on alone: nothing is taken back or discarded any more. When the
 * connection breaks, both ends wait (PHASE_BROKEN) for a migration with --postcopy-resume. */

/* -- the source ---------------------------------------------------------------------------------------------------- */

/* perform ends when the guest's CPUs have left: notes it and tells the clients. */
void postcopy_begun(struct migration *migration);
/* The migration waits for --postcopy-resume; its fiber lets go of it. Both ends. */
void postcopy_broken(struct migration *migration);
/* Nobody will confirm: waits until the destination has all (then the guest here is ended, and 0 is returned) or until
 * it is broken, which it is taken for at the deadline. */
int postcopy_settle(struct migration *migration, deadline until);
/* Waits until QEMU has sent the last page, but not for long: only the destination's word counts. */
void postcopy_sent(struct domain *domain);
/* begin and perform of --postcopy-resume. */
struct migration *postcopy_take(struct domain *domain, const struct migrate_options *options,
                                const struct migrate_caller *caller, struct error *err);
char *postcopy_begin(struct migration *migration, struct migrate_blob *cookie_out, struct arena *arena,
                     struct error *err);
/* The daemon was restarted. Does not wait. */
void postcopy_recover(struct domain *domain);

/* -- the destination ----------------------------------------------------------------------------------------------- */

/* Waits until all memory is here. -1 when it broke: then the migration is not the caller's any more. */
int postcopy_receive(struct migration *migration, struct error *err);
/* prepare of --postcopy-resume. */
int postcopy_prepare(struct driver *driver, const struct migrate_options *options, const struct migrate_caller *caller,
                     struct migrate_blob *cookie_out, const char **uri, struct arena *arena, struct error *err);
