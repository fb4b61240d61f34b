/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "cli/command.h"

/* The names of the code sets, in the order of the protocol's numbers; ends with NULL. */
extern const char *const keycode_sets[];

/* A key: a number (0x.. too), or in the set "linux" a name of linux/input-event-codes.h. 0 or -1. */
int keycode_parse(int set, const char *word, uint32_t *code, struct error *err);
/* Offers the names of the set "linux". */
void complete_keycodes(struct completion *completion);
