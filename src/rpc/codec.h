/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "rpc/wire.h"

/* Values to bytes and back, driven by the tables (protocol/README.md has the rules: XDR). Nothing here waits. */

/* Longest string on the wire, both ways. */
#define WIRE_STRING_MAX 4194304

/* Fills *value (type->size bytes) from the bytes; what it points to lives in the arena. Bytes after a complete value
 * are ignored, as libvirtd does. A count above its maximum, or one that the remaining bytes cannot hold, is refused
 * before anything is allocated for it. ERR_RPC with the path of the field that did not fit. */
int wire_decode(const struct wire_type *type, const void *data, size_t length, struct arena *arena, void *value,
                struct error *err);

/* Appends the value to out. A value that no peer would accept (a missing required string, too many elements, an
 * unknown tag) is ERR_INTERNAL_ERROR with the field's path, and out is as it was. */
int wire_encode(const struct wire_type *type, const void *value, struct text *out, struct error *err);

/* Whether the condition holds for a call's decoded arguments. */
bool wire_condition_holds(const struct wire_condition *condition, const void *args);
