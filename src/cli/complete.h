/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/command.h"

/* Offers what the last word could become; the words before it are a command and what was already given. Waits: it may
 * ask the daemon. */
void complete_words(struct completion *completion, size_t count, char *const *words);
