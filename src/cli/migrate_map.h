/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/migrate.h"

/* Names that differ between two hosts: --map-network, --map-bridge and --map-pool, each OLD:NEW and as often as
 * needed. */
#define MAP_OPTION OPTION_STRING, OPTION_NAMED | OPTION_REPEATED
#define MIGRATE_MAP_OPTIONS                                                                                       \
    {"map-network", MAP_OPTION, "OLD:NEW: the network OLD is called NEW on the destination"},                     \
    {"map-bridge", MAP_OPTION, "OLD:NEW: the same for a bridge, or the interface of the host that a guest uses"}, \
    {"map-pool", MAP_OPTION, "OLD:NEW: the same for a storage pool"}

/* Puts the new names into the XML for the destination and into the one that it shall store, as --xml and
 * --persistent-xml: those that were given, or else those that the source's daemon has. So everything after it sees
 * them, checks too, and it works between any daemons. ERR_INVALID_ARG for a name that the guest does not use. Waits. */
int migrate_map(struct invocation *in, struct migration *migration, struct error *err);
