/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/domain.h"

/* Who has a guest whose migration was cut off, and what the daemons' journals say of it (src/migrate/journal.h). */

/* Waits, at most for the timeout. Asks the destination's daemon, on a connection of its own. source, when it is a
 * Godwit, tells the migration's id, and then a Godwit's answer is final: a guest that it has not let run it never
 * will. Returns WIRE_MIGRATION_OWNER_*. */
int migration_ask_owner(struct connection *source, const char *destination, const struct wire_domain *dom,
                        uint64_t timeout_ms);

/* migrate --status and --recover. */
int migrate_status(struct invocation *in, struct error *err);
int migrate_recover(struct invocation *in, struct error *err);
