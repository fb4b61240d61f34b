/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "wire_types.h"

/* Typed parameters: lists of (name, typed value), libvirt's way of passing optional things. Nothing here waits. */

/* A list that grows. Hand items and count to a reply; both live in the arena. Names and strings are not copied: they
 * must live as long (literals, or arena_printf() for indexed names like "block.0.name"). */
struct params {
    struct arena *arena;
    struct wire_typed_param *items;
    uint32_t count, capacity;
};
void params_init(struct params *params, struct arena *arena);
void params_add_i32(struct params *params, const char *name, int32_t value);
void params_add_u32(struct params *params, const char *name, uint32_t value);
void params_add_i64(struct params *params, const char *name, int64_t value);
void params_add_u64(struct params *params, const char *name, uint64_t value);
void params_add_f64(struct params *params, const char *name, double value);
void params_add_bool(struct params *params, const char *name, bool value);
void params_add_string(struct params *params, const char *name, const char *value); /* NULL adds nothing */

/* The result of a two-step getter (`nparams` asked for; 0 = only the count is wanted): fills the reply's list and
 * count. More than was asked for is cut to what was asked for, with whole items only. */
#define params_reply(list, wanted, ret)                                                               \
    do {                                                                                              \
        (ret)->nparams = (int32_t)(list)->count;                                                      \
        (ret)->params = (list)->items;                                                                \
        (ret)->params_count = (wanted) <= 0 ? 0 : (list)->count;                                      \
        if ((wanted) > 0 && (ret)->params_count > (uint32_t)(wanted))                                 \
            (ret)->params_count = (uint32_t)(wanted);                                                 \
    } while (0)

/* What a call accepts: one row for each name; the table ends with name NULL. */
struct param_rule {
    const char *name;
    int32_t type;  /* TYPED_PARAM_* */
    bool repeated; /* may stand more than once */
};
/* Unknown names (ERR_INVALID_ARG, naming what is known), wrong types, repeats. Run it before the getters. */
int params_check(const struct wire_typed_param *items, uint32_t count, const struct param_rule *rules,
                 struct error *err);

/* The first of that name, or NULL. */
const struct wire_typed_param *params_find(const struct wire_typed_param *items, uint32_t count, const char *name);
/* The items at index (0, 1, ...) of those with that name; NULL when there are fewer. For repeated names. */
const struct wire_typed_param *params_nth(const struct wire_typed_param *items, uint32_t count, const char *name,
                                          uint32_t index);

/* Return 1 and the value; 0 when the name is absent (*value untouched); -1 with ERR_INVALID_ARG when its type or its
 * range does not fit. Every integer type converts to every other one that can hold the value. */
int params_get_i32(const struct wire_typed_param *items, uint32_t count, const char *name, int32_t *value,
                   struct error *err);
int params_get_u32(const struct wire_typed_param *items, uint32_t count, const char *name, uint32_t *value,
                   struct error *err);
int params_get_i64(const struct wire_typed_param *items, uint32_t count, const char *name, int64_t *value,
                   struct error *err);
int params_get_u64(const struct wire_typed_param *items, uint32_t count, const char *name, uint64_t *value,
                   struct error *err);
int params_get_string(const struct wire_typed_param *items, uint32_t count, const char *name, const char **value,
                      struct error *err);
