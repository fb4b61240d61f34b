/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "qemu/domain.h"

/* Which guests `godwit evacuate` took away from this host, and where to: one durable file a guest, in
 * var/lib/godwit/evacuations. It is kept here and not where the command ran, because it is a fact about this host:
 * whoever brings the guests home may sit at another desk, weeks later, after this host was rebooted; and the guest's
 * definition is gone from here, so nothing else remembers it. The file is there before the guest leaves, so that a
 * crash at any moment leaves a record too many, which can be seen to be one, and never one too few. */

struct evacuation_entry {
    unsigned char uuid[UUID_SIZE];
    const char *name;
    const char *destination; /* connection URI, as whoever moved it reached it */
    bool away;       /* it has arrived there; else it was about to leave */
    bool kept;       /* its definition stays here too */
    bool persistent; /* what it was here ... */
    bool autostart;  /* ... and shall be again */
    bool active;
    int64_t since_ms; /* since 1970 */
};

/* All wait for the disk. */

/* The domain is about to leave: on disk on return. A record that is there is replaced, but for the autostart mark that
 * it remembers. */
int evacuation_leave(struct domain *domain, const char *destination, bool kept, struct error *err);
/* The guest has left by a migration, whoever asked for that: hold its job. When it is recorded as about to leave with
 * its definition kept here, this is not started by itself any more. It is done before the journal forgets the migration
 * and not left to evacuation_left(), which never comes when the client is lost: the guest would run twice after the
 * reboot that it was evacuated for. What fails is logged. */
void evacuation_departed(struct domain *domain);
/* What became of it: it is away (a definition that was kept here is not started by itself any more, since the guest
 * would run twice after a reboot), or it is here (with the mark that it had; the record goes), or it is not to be
 * brought home (the record goes). ERR_OPERATION_INVALID when there is no record. client: who asks. */
int evacuation_left(struct driver *driver, const unsigned char uuid[UUID_SIZE], const char *client, struct error *err);
int evacuation_here(struct driver *driver, const unsigned char uuid[UUID_SIZE], const char *client, struct error *err);
int evacuation_forget(struct driver *driver, const unsigned char uuid[UUID_SIZE], struct error *err);
/* All that can be read, by UUID; others are logged. Returns their number. Does not wait. */
uint32_t evacuation_list(const struct driver *driver, struct evacuation_entry **entries, struct arena *arena);
