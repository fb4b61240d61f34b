/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qemu/block.h"
#include "rpc/params.h"

/* Limits of a disk's throughput, as clients name them. */

/* Appends all limits of a disk, 0 for those that are not set. */
void iotune_params(const struct disk *disk, struct params *params);
/* Names not given keep their value. flags: DOMAIN_AFFECT_*. Takes jobs; waits. */
int iotune_set(struct domain *domain, const char *path, const struct wire_typed_param *items, uint32_t count,
               unsigned flags, const char *client, struct error *err);
