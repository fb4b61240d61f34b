/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "migrate/journal.h"
#include "migrate/migrate.h"

/* Who owns a guest whose migration was cut off: journal.h has the rule, this asks and acts. */

/* Asks the destination's daemon at a connection URI, again and again until it answers or the deadline passes. A Godwit
 * that has not let the guest run yet never will after it was asked. Waits. Returns WIRE_MIGRATION_OWNER_*. */
int owner_ask(const char *uri, const struct journal_entry *entry, deadline until);

/* Source: from here the domain is OUTGOING_UNSETTLED, and when the destination's daemon can be reached it is asked
 * until it answers; what it says is then done. why is for the log. */
void owner_pursue(struct domain *domain, const struct journal_entry *entry, const char *why);
