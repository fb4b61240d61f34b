/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "qemu/driver.h"
#include "wire_types.h"

/* The journal of migrations. Each end keeps one small file for each migration, which says who owns the guest: who alone
 * may let it run. It is on the disk before the other end is told what it says, so that after any crash, of daemons or
 * hosts, the two journals have one owner:
 *
 *     source         destination      the owner
 *     performing     -, arriving      source
 *     handed over    arriving         whoever asks the destination first makes the source the owner
 *     handed over    taken            destination
 *     handed over    -                source: it arrived never, or was let go of again
 *
 * The source's entry goes when the source's guest has ended or runs again; the destination's is kept for a while when
 * it took the guest, so that it can say so, and goes when it did not. */

struct journal_entry {
    unsigned char id[UUID_SIZE];
    bool shared; /* the other end is a Godwit and knows the migration by the same id; a libvirtd does not */
    unsigned char uuid[UUID_SIZE];
    const char *name; /* of the guest here */
    int role;         /* WIRE_MIGRATION_ROLE_* */
    int owner;        /* WIRE_MIGRATION_OWNER_*, as this end knows it */
    bool paused;      /* it stood still when it left, and shall arrive so */
    bool undefine;    /* the definition here goes too: with the guest that left, or that did not arrive */
    int64_t since_ms; /* since 1970 */
    const char *peer;     /* host name of the other end; "" = not known */
    const char *peer_uri; /* where its daemon is reached; NULL = not known */
    const char **images;  /* destination: files made for the guest's disks; they go with a guest that does not arrive */
    uint32_t image_count;
};

/* All of these wait for the disk, and fail with ERR_SYSTEM_ERROR or, a file that cannot be understood,
 * ERR_INTERNAL_ERROR. Strings live in the arena. */
int journal_write(const struct driver *driver, const struct journal_entry *entry, struct error *err);
int journal_remove(const struct driver *driver, const unsigned char id[UUID_SIZE], struct error *err);
/* True when there is such an entry. With *err set it could not be read. */
bool journal_read(const struct driver *driver, const unsigned char id[UUID_SIZE], struct journal_entry *entry,
                  struct arena *arena, struct error *err);
/* All that can be read; those that cannot are logged. Returns their number. Does not wait. */
uint32_t journal_list(const struct driver *driver, struct journal_entry **entries, struct arena *arena);
/* The newest entry of a guest in that role; false when there is none. Does not wait. */
bool journal_find(const struct driver *driver, const unsigned char uuid[UUID_SIZE], int role,
                  struct journal_entry *entry, struct arena *arena);
/* Owner and role in the table above in a word: "performing", "handed over", "arriving", "taken". */
const char *journal_phase(const struct journal_entry *entry);
/* Nothing is to be done about it any more. */
bool journal_is_settled(const struct journal_entry *entry);
/* Settled so long ago that no source will ask any more: it can go. */
bool journal_is_old(const struct journal_entry *entry);
/* Removes those, in a fiber of its own and once an hour at most: for whoever makes entries, since a daemon may run for
 * years. */
void journal_purge(struct driver *driver);
