/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "storage/backend.h"

/* What the backends share whose volumes are block devices. */

/* What stat says of the node, and the size. Blocks no longer than a look at /dev takes. */
void block_facts(const char *node, uint64_t size, struct volume_facts *facts);
/* Waits until udev has made the nodes and links of the devices that the kernel has told it of; at most some seconds. */
void block_settle(void);
/* Whether the kernel has what `path` of /sys shows, after loading the module if need be; ERR_OPERATION_UNSUPPORTED
 * names the module. Waits. */
int block_require_module(const char *path, const char *module, struct error *err);

/* A look at a directory of /sys, on a worker thread. */
struct block_scan {
    const char *directory; /* a literal */
    /* Fills in the volume that the entry is; false when it is none. Strings live in the arena. */
    bool (*take)(struct arena *arena, const struct block_scan *scan, const char *entry, struct listed *item);
    unsigned host;         /* for take() */
    const char *target;
};
/* Waits. All of the room there is allocated: nobody makes volumes there. */
int block_list(const struct block_scan *scan, struct listing *listing, struct error *err);
/* The value of an attribute in /sys, DIRECTORY/ENTRY/NAME, without the line's end; NULL when there is none. */
char *block_value(struct arena *arena, const struct block_scan *scan, const char *entry, const char *name);
