/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/arena.h"
#include "base/error.h"

/* Lists of options as qemu-img takes them ("cluster_size=64k,data_file=/a,,b": a comma in a value stands twice). */

/* The value of an option in the arena; NULL = not in the list (which may be NULL), "" = there, but without a value.
 * Fails when the list says it twice: which one counts is QEMU's to decide. */
int image_list_find(struct arena *arena, const char *list, const char *name, const char **value, struct error *err);
