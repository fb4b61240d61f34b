/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qemu/domain.h"

/* Finds the guests of an earlier daemon again: each is active, with the state it was last known in, when this returns;
 * asking QEMU what happened meanwhile is done by a fiber a guest, so that one that hangs costs the others nothing. A
 * guest that ended meanwhile is inactive. A QEMU whose start was never acknowledged is ended. Does not wait. */
int driver_attach_guests(struct driver *driver, struct error *err);
