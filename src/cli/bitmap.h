/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/* Maps of processors as the protocol carries them: bit n is processor n, lowest bit of the first byte first. */

/* "0-3,5"; "" when none is set. */
char *bitmap_ranges(struct arena *arena, const uint8_t *map, size_t length, size_t bits);
/* The map of (bits + 7) / 8 bytes that "0-3,^1,5" or "2-" (to the last) means; NULL when the text is wrong or names a
 * processor beyond. */
uint8_t *bitmap_parse(struct arena *arena, const char *text, size_t bits);
/* "yyyy-y" */
char *bitmap_letters(struct arena *arena, const uint8_t *map, size_t length, size_t bits);
