/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/arena.h"

/* Sets of processors or NUMA nodes as text: "0-3,^2,7". */
#define CPUSET_BITS 16384

/* The same set in its shortest spelling ("0-1,3,7"), or NULL when the text is no set. */
char *cpuset_normalize(struct arena *arena, const char *text);

/* Writes the members of a normalized set in order; returns how many there are, also if that is more than max. */
unsigned cpuset_members(const char *text, unsigned *member, unsigned max);
