/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/migrate.h"

/* --offline with --copy-storage-*: only a QEMU can copy disks of every kind, with progress, limits, encryption and a
 * way back. So the guest is started with its CPUs stopped, migrated so, and ended over there: it never runs a single
 * instruction, and nobody else can start it meanwhile, nor resume it, when the source is a godwitd. A libvirtd lets
 * whoever can resume a guest resume this one, though: what it has done then is not thrown away, and it runs on over
 * there. */

struct offline_copy {
    struct invocation *in;
    struct migration *migration;
    struct listener listener;
    int32_t callback;
    bool resumed; /* somebody let it run */
};

/* Starts it and makes the migration one of a running guest. The guest ends with this client's connection. in and
 * migration are the caller's. Waits. */
int offline_copy_begin(struct offline_copy *copy, struct error *err);
/* Ends the guest where it is now: on the destination when it has arrived, else here. Waits. */
int offline_copy_end(struct offline_copy *copy, struct error *err);
