/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/params.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"

static const char *const type_names[] = {
    [TYPED_PARAM_INT] = "int",       [TYPED_PARAM_UINT] = "unsigned int",        [TYPED_PARAM_LLONG] = "long long",
    [TYPED_PARAM_ULLONG] = "unsigned long long", [TYPED_PARAM_DOUBLE] = "double", [TYPED_PARAM_BOOLEAN] = "boolean",
    [TYPED_PARAM_STRING] = "string",
};

static const char *type_name(int32_t type)
{
    return type > 0 && (size_t)type < COUNT(type_names) ? type_names[type] : "unknown";
}

void params_init(struct params *params, struct arena *arena)
{
    *params = (struct params){.arena = arena};
}

static struct wire_typed_param_value *add(struct params *params, const char *name, int32_t type)
{
    struct wire_typed_param *item = arena_grow(params->arena, params->items, params->count, params->capacity, 16);
    params->count++;
    item->field = name;
    item->value.type = type;
    return &item->value;
}

void params_add_i32(struct params *params, const char *name, int32_t value)
{
    add(params, name, TYPED_PARAM_INT)->i = value;
}

void params_add_u32(struct params *params, const char *name, uint32_t value)
{
    add(params, name, TYPED_PARAM_UINT)->ui = value;
}

void params_add_i64(struct params *params, const char *name, int64_t value)
{
    add(params, name, TYPED_PARAM_LLONG)->l = value;
}

void params_add_u64(struct params *params, const char *name, uint64_t value)
{
    add(params, name, TYPED_PARAM_ULLONG)->ul = value;
}

void params_add_f64(struct params *params, const char *name, double value)
{
    add(params, name, TYPED_PARAM_DOUBLE)->d = value;
}

void params_add_bool(struct params *params, const char *name, bool value)
{
    add(params, name, TYPED_PARAM_BOOLEAN)->b = value;
}

void params_add_string(struct params *params, const char *name, const char *value)
{
    if (value)
        add(params, name, TYPED_PARAM_STRING)->s = value;
}

const struct wire_typed_param *params_nth(const struct wire_typed_param *items, uint32_t count, const char *name,
                                          uint32_t index)
{
    for (uint32_t i = 0; i < count; i++)
        if (string_equal(items[i].field, name) && index-- == 0)
            return &items[i];
    return NULL;
}

const struct wire_typed_param *params_find(const struct wire_typed_param *items, uint32_t count, const char *name)
{
    return params_nth(items, count, name, 0);
}

static int unknown_param(const char *name, const struct param_rule *rules, struct error *err)
{
    scoped_text struct text known = {0};
    for (const struct param_rule *rule = rules; rule->name; rule++)
        text_printf(&known, "%s%s", known.length ? ", " : "", rule->name);
    return error_set(err, ERR_INVALID_ARG, "parameter '%.80s' is not known here; known are: %s", name,
                     known.length ? text_string(&known) : "none");
}

int params_check(const struct wire_typed_param *items, uint32_t count, const struct param_rule *rules,
                 struct error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct param_rule *rule = rules;
        while (rule->name && !string_equal(rule->name, items[i].field))
            rule++;
        if (!rule->name)
            return unknown_param(items[i].field, rules, err);
        if (items[i].value.type != rule->type)
            return error_set(err, ERR_INVALID_ARG, "parameter '%s' has type %s; it must be %s", rule->name,
                             type_name(items[i].value.type), type_name(rule->type));
        if (!rule->repeated && params_find(items, i, rule->name))
            return error_set(err, ERR_INVALID_ARG, "parameter '%s' was given twice", rule->name);
    }
    return 0;
}

static int wrong_type(const struct wire_typed_param *item, int32_t wanted, struct error *err)
{
    return error_set(err, ERR_INVALID_ARG, "parameter '%s' has type %s; it must be %s", item->field,
                     type_name(item->value.type), type_name(wanted));
}

/* An integer parameter of any type as sign and magnitude, so that one comparison serves every target. */
static int integer(const struct wire_typed_param *item, int32_t wanted, bool *negative, uint64_t *magnitude,
                   struct error *err)
{
    int64_t value;
    switch (item->value.type) {
    case TYPED_PARAM_UINT:
        *negative = false;
        *magnitude = item->value.ui;
        return 0;
    case TYPED_PARAM_ULLONG:
        *negative = false;
        *magnitude = item->value.ul;
        return 0;
    case TYPED_PARAM_INT:
        value = item->value.i;
        break;
    case TYPED_PARAM_LLONG:
        value = item->value.l;
        break;
    default:
        return wrong_type(item, wanted, err);
    }
    *negative = value < 0;
    *magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    return 0;
}

/* Returns 1 with the number, which is least or more (least <= 0) and most or less. */
static int get_integer(const struct wire_typed_param *items, uint32_t count, const char *name, int32_t type,
                       int64_t least, uint64_t most, uint64_t *value, struct error *err)
{
    const struct wire_typed_param *item = params_find(items, count, name);
    bool negative;
    uint64_t magnitude;
    if (!item)
        return 0;
    if (integer(item, type, &negative, &magnitude, err) < 0)
        return -1;
    if (negative ? magnitude > 0 - (uint64_t)least : magnitude > most)
        return error_set(err, ERR_INVALID_ARG,
                         "parameter '%s' is %s%" PRIu64 "; it must be from %" PRId64 " to %" PRIu64, name,
                         negative ? "-" : "", magnitude, least, most);
    *value = negative ? 0 - magnitude : magnitude;
    return 1;
}

int params_get_i32(const struct wire_typed_param *items, uint32_t count, const char *name, int32_t *value,
                   struct error *err)
{
    uint64_t wide;
    int rc = get_integer(items, count, name, TYPED_PARAM_INT, INT32_MIN, INT32_MAX, &wide, err);
    if (rc > 0)
        *value = (int32_t)wide;
    return rc;
}

int params_get_u32(const struct wire_typed_param *items, uint32_t count, const char *name, uint32_t *value,
                   struct error *err)
{
    uint64_t wide;
    int rc = get_integer(items, count, name, TYPED_PARAM_UINT, 0, UINT32_MAX, &wide, err);
    if (rc > 0)
        *value = (uint32_t)wide;
    return rc;
}

int params_get_i64(const struct wire_typed_param *items, uint32_t count, const char *name, int64_t *value,
                   struct error *err)
{
    uint64_t wide;
    int rc = get_integer(items, count, name, TYPED_PARAM_LLONG, INT64_MIN, INT64_MAX, &wide, err);
    if (rc > 0)
        *value = (int64_t)wide;
    return rc;
}

int params_get_u64(const struct wire_typed_param *items, uint32_t count, const char *name, uint64_t *value,
                   struct error *err)
{
    return get_integer(items, count, name, TYPED_PARAM_ULLONG, 0, UINT64_MAX, value, err);
}

/* The parameter when it has exactly this type; *rc says what the getter returns. */
static const struct wire_typed_param *get_exact(const struct wire_typed_param *items, uint32_t count, const char *name,
                                                int32_t type, int *rc, struct error *err)
{
    const struct wire_typed_param *item = params_find(items, count, name);
    *rc = item ? 1 : 0;
    if (!item || item->value.type == type)
        return item;
    *rc = wrong_type(item, type, err);
    return NULL;
}

int params_get_string(const struct wire_typed_param *items, uint32_t count, const char *name, const char **value,
                      struct error *err)
{
    int rc;
    const struct wire_typed_param *item = get_exact(items, count, name, TYPED_PARAM_STRING, &rc, err);
    if (item)
        *value = item->value.s;
    return rc;
}
