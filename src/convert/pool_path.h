/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/arena.h"
#include "base/error.h"

/* The directory in which a storage pool keeps its volumes, by the pool's XML, in the arena. NULL with
 * ERR_OPERATION_INVALID when this host has no such directory: a pool of another kind. */
const char *pool_directory(struct arena *arena, const char *xml, struct error *err);
