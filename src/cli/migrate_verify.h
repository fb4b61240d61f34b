/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/migrate.h"

/* After a migration that went well: asks both daemons who has the guest now, and the guest's agent, when there is one,
 * whether it answers, and says so in one line, or, with --output json, in one object. there: the destination's
 * connection, NULL to open one to uri; one that this client does not reach (a peer-to-peer migration's may be the
 * daemons' own) is said, too. Fails when not exactly one of the two has the guest. Waits. */
int migrate_verify(struct invocation *in, const struct migration *migration, struct connection *there, const char *uri,
                   struct error *err);
