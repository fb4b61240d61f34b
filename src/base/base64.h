/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "base/arena.h"

/* Standard base64, in the arena. */
char *base64_encode(struct arena *arena, const void *data, size_t length);
/* The bytes, with a NUL behind them; blanks and line ends between the characters are fine. NULL when the text, all
 * text_length bytes of it, is no base64. */
void *base64_decode(struct arena *arena, const char *text, size_t text_length, size_t *length);
