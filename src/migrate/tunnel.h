/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "migrate/internal.h"
#include "rpc/stream.h"

/* --tunnelled: the guest's memory goes through the daemons' own connection. Each end hands its QEMU one half of a
 * socket pair and carries what goes through the other. Both take migration->stream over, also on failure, and wait. */

/* Source: what `migrate` takes as its URI. */
const char *tunnel_send(struct migration *migration, struct error *err);
/* Destination: makes QEMU wait for the guest. */
int tunnel_receive(struct migration *migration, struct error *err);
