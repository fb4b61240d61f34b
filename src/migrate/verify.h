/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "migrate/internal.h"

/* The destination proves that it has the guest, before its journal says so and before the guest runs there. What it has
 * to compare with the source tells in perform's cookie. Until then the source can take its guest back, so whatever is
 * found missing costs the user nothing but the attempt. A guest in post-copy cannot be taken back and is not
 * verified. */

/* -- source; both wait --------------------------------------------------------------------------------------------- */

/* Before the transfer, so that the guest does not stand still for it: notes the devices that QEMU has, and, with
 * --verify, which pieces of memory will be compared. */
int verify_note(struct migration *migration, struct error *err);
/* After the transfer: what was noted goes into the cookie, and the sums of the memory. */
int verify_tell(struct migration *migration, struct migrate_cookie *cookie, struct error *err);

/* -- destination --------------------------------------------------------------------------------------------------- */

/* QEMU has loaded the guest: looks at its run state, devices, disks and memory. ERR_OPERATION_FAILED says what was
 * found amiss. Waits. */
int verify_arrival(struct migration *migration, const struct migrate_cookie *remote, struct error *err);

/* -- verify_disks.c ------------------------------------------------------------------------------------------------ */

/* Whether the images of the disks that the guest writes to can be written here, and nobody else holds them: by the
 * locks that QEMU takes (bytes 101, "I write", and 201, "nobody else may write", of the image; block/file-posix.c). A
 * destination's QEMU takes them only when the guest is let run (late-block-activate), so that they are free is what
 * can be known before. Locks that our QEMU has already are its own. Waits. Returns the number of disks looked at,
 * -1. */
int verify_disks(struct migration *migration, struct error *err);

/* -- verify_memory.c ----------------------------------------------------------------------------------------------- */

/* 64 pieces of 64 KiB, one at a random place in each 64th of the guest's RAM above 1 MiB (below it, firmware and
 * devices write when a guest is loaded). To write and read 4 MiB takes some 0.1 s at each end; more and smaller pieces
 * take longer, since QEMU reads its commands a byte a turn. */
#define VERIFY_PIECES 64
#define VERIFY_PIECE_BYTES 65536

/* Chooses the pieces. Waits. */
int verify_choose_memory(struct migration *migration, struct error *err);
/* Sums up pieces of a guest that stands still. Waits. */
int verify_sum_memory(struct domain *domain, struct cookie_memory *memory, struct error *err);
