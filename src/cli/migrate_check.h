/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/migrate.h"

#define DESTINATIONS_MAX 32

/* Where a domain may go, in the order they were named. */
struct destinations {
    const char *uris[DESTINATIONS_MAX];
    size_t count;
};

/* desturi, and every further word that is a connection URI: virsh's grammar gives those to --migrateuri and the options
 * behind it, where such a URI makes no sense. They are taken out there. */
int destinations_read(struct invocation *in, struct destinations *list, struct error *err);

/* The answer of a destination to the question that check-begin gave, in the arena; of a libvirtd, what its protocol
 * tells. Waits. */
const char *check_answer(struct client *client, const char *question, unsigned flags, struct arena *arena,
                         struct error *err);
/* How a daemon says that it does not know our program: in words only. */
bool check_is_unknown(const struct error *err);
/* --check: asks both ends of each destination what speaks for and against it, and prints all of it. 0 when the domain
 * can be moved to one of them, else -1 (with err empty when the table says why). Waits. */
int migrate_check(struct invocation *in, struct migration *migration, const struct destinations *list,
                  struct error *err);
/* The same, silently, before a migration: the destination that suits best, and the connection to it (NULL with --p2p),
 * which is then the caller's. Of several, says which and why. With a source that knows nothing of checks it is the
 * first. Waits. */
int migrate_choose(struct invocation *in, struct migration *migration, const struct destinations *list,
                   const char **uri, struct connection **connection, struct error *err);
