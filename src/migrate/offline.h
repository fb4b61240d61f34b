/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "migrate/internal.h"

/* --offline: the definition of a guest that does not run, and its firmware's variables. The phases are those of a live
 * migration without perform. */

struct migration *offline_new(struct domain *domain, const struct migrate_options *options,
                              const struct migrate_caller *caller, struct error *err);
char *offline_begin(struct migration *migration, struct migrate_blob *cookie_out, struct arena *arena,
                    struct error *err);
/* Destination: keeps the definition until finish. */
int offline_prepare(struct migration *migration, const struct domain_def *def, const struct migrate_cookie *remote);
/* Destination: stores it; on return it is on disk. Waits. */
int offline_arrive(struct migration *migration, struct error *err);
/* Source: the destination has it. Ends the migration. Waits. */
int offline_complete(struct migration *migration, uint32_t flags, struct error *err);
