/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "model/interface.h"

/* Which network or bridge of the target host takes the place of one of the source host: rows from options (-b, -n,
 * --mac) and from virt-v2v.conf. Everything lies in the map's arena. */

enum network_kind { NETWORK_KIND_BRIDGE, NETWORK_KIND_NETWORK };

struct network_row {
    struct mac mac;         /* set: for this one interface only */
    bool any;               /* whatever kind and name the source has */
    enum network_kind from; /* else: these */
    const char *from_name;
    enum network_kind to;
    const char *to_name;
};

struct network_map {
    struct arena *arena;
    struct network_row *row;
    size_t count, capacity;
};

/* "OUT", for all interfaces, or "IN:OUT", for those that were on bridge or network IN. kind is OUT's: of -b bridge, of
 * -n network. ERR_INVALID_ARG. */
int network_map_add(struct network_map *map, enum network_kind kind, const char *text, struct error *err);
/* "MAC:network:OUT" or "MAC:bridge:OUT". */
int network_map_add_mac(struct network_map *map, const char *text, struct error *err);
/* The <network type='bridge|network' name='IN'><network type='bridge|network' name='OUT'/></network> elements of
 * virt-v2v.conf. ERR_XML_ERROR, ERR_XML_DETAIL. */
int network_map_read(struct network_map *map, const char *xml, size_t length, struct error *err);

/* The row for an interface: one for its MAC first, then one for its source,
    then one for any; NULL when there is none. */
const struct network_row *network_map_find(const struct network_map *map, const struct interface *interface);
