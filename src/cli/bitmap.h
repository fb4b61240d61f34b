/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/* Maps of processors as the protocol carries them: bit n is processor n, lowest bit of the first byte first. */

/* "0-3,5"; "" when none is set. */
char *bitmap_ranges(struct arena *arena, const uint8_t *map, size_t length, size_t bits);
/* "yyyy-y" */
char *bitmap_letters(struct arena *arena, const uint8_t *map, size_t length, size_t bits);
