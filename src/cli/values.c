/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/values.h"

#include "constants.h"

char *value_text(struct arena *arena, const struct wire_typed_param *param)
{
    const struct wire_typed_param_value *value = &param->value;
    switch (value->type) {
    case TYPED_PARAM_INT: return arena_printf(arena, "%d", value->i);
    case TYPED_PARAM_UINT: return arena_printf(arena, "%u", value->ui);
    case TYPED_PARAM_LLONG: return arena_printf(arena, "%lld", (long long)value->l);
    case TYPED_PARAM_ULLONG: return arena_printf(arena, "%llu", (unsigned long long)value->ul);
    case TYPED_PARAM_DOUBLE: return arena_printf(arena, "%f", value->d);
    case TYPED_PARAM_BOOLEAN: return arena_strdup(arena, value->b ? "yes" : "no");
    case TYPED_PARAM_STRING: return arena_strdup(arena, value->s ? value->s : "");
    default: return arena_printf(arena, "(type %d)", value->type);
    }
}

json_t *value_json(const struct wire_typed_param *param)
{
    const struct wire_typed_param_value *value = &param->value;
    switch (value->type) {
    case TYPED_PARAM_INT: return json_integer(value->i);
    case TYPED_PARAM_UINT: return json_integer(value->ui);
    case TYPED_PARAM_LLONG: return json_integer(value->l);
    case TYPED_PARAM_ULLONG: return json_integer((json_int_t)value->ul);
    case TYPED_PARAM_DOUBLE: return json_real(value->d);
    case TYPED_PARAM_BOOLEAN: return json_boolean(value->b);
    case TYPED_PARAM_STRING: return json_string(value->s ? value->s : "");
    default: return json_null();
    }
}

json_t *values_json(const struct wire_typed_param *params, uint32_t count)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < count; i++)
        json_object_set_new(object, params[i].field, value_json(&params[i]));
    return object;
}

void values_record(const struct invocation *in, struct record *record, const struct wire_typed_param *params,
                   uint32_t count, int width)
{
    for (uint32_t i = 0; i < count; i++)
        record_line(record, params[i].field, value_json(&params[i]), "%-*s: %s", width, params[i].field,
                    value_text(in->arena, &params[i]));
}

void values_print(const struct invocation *in, const struct wire_typed_param *params, uint32_t count, int width)
{
    struct record *record = record_new(in->arena);
    values_record(in, record, params, count, width);
    record_print(record, in, 0);
}
