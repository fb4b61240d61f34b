/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "base/arena.h"
#include "wire_types.h"

/* Typed parameters as people and as programs read them. */
char *value_text(struct arena *arena, const struct wire_typed_param *param);
json_t *value_json(const struct wire_typed_param *param);
/* All of a list as one object. */
json_t *values_json(const struct wire_typed_param *params, uint32_t count);
