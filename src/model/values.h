/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/arena.h"
#include "base/text.h"
#include "model/field.h"

/* The leaves of the model: single values as text. */

/* Reads value into the field's member. Returns NULL, or what is wrong with it, to be put behind "path: ". unit is the
 * unit= beside a MEMORY or BYTES value (NULL: none). */
const char *value_parse(struct arena *arena, const struct field *field, void *part, const char *value,
                        const char *unit);

/* Whether the member holds something. Not for parts and lists. */
bool value_present(const struct field *field, const void *part);

/* Appends the member as text, escaped. */
void value_format(struct text *out, const struct field *field, const void *part);

/* The unit= that stands beside the member, NULL when there is none. */
const char *value_unit(const struct field *field, const void *part);

bool value_equal(const struct field *field, const void *a, const void *b);

/* Sets the member to the field's fallback. */
void value_default(const struct field *field, void *part);

/* number of units ("KiB", "MB", "G", ...; NULL: the default) in bytes; -1 when the unit is unknown or it overflows. */
int size_parse(uint64_t number, const char *unit, uint64_t default_unit, uint64_t *bytes);
