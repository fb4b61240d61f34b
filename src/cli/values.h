/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "cli/output.h"
#include "wire_types.h"

/* Typed parameters as people and as programs read them. */
char *value_text(struct arena *arena, const struct wire_typed_param *param);
json_t *value_json(const struct wire_typed_param *param);
/* All of a list as one object. */
json_t *values_json(const struct wire_typed_param *params, uint32_t count);
/* All of a list as "name   : value" lines of a record, with names of `width` columns. */
void values_record(const struct invocation *in, struct record *record, const struct wire_typed_param *params,
                   uint32_t count, int width);
/* The same as a record of its own, printed. */
void values_print(const struct invocation *in, const struct wire_typed_param *params, uint32_t count, int width);
