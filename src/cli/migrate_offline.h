/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/migrate.h"

/* --offline with --copy-storage-*: only a QEMU can copy disks of every kind, with progress, limits, encryption and a
 * way back. So the guest is started with its CPUs stopped, migrated so, and ended over there: it never runs a single
 * instruction, and nobody else can start it meanwhile. */

/* Starts it and makes the migration one of a running guest. The guest ends with this client's connection. Waits. */
int offline_copy_begin(struct invocation *in, struct migration *migration, struct error *err);
/* Ends the guest where it is now: on the destination when it has arrived, else here. Waits. */
int offline_copy_end(struct invocation *in, struct migration *migration, bool arrived, struct error *err);
