/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/codec.h"

#include <endian.h>
#include <string.h>

/* What an element of each base takes in memory and at least on the wire; 0 = see the field or its type. */
static const struct {
    uint8_t memory, wire;
} sizes[] = {
    [WIRE_I8] = {1, 4},  [WIRE_U8] = {1, 4},  [WIRE_U16] = {2, 4}, [WIRE_I32] = {4, 4}, [WIRE_U32] = {4, 4},
    [WIRE_I64] = {8, 8}, [WIRE_U64] = {8, 8}, [WIRE_F64] = {8, 8}, [WIRE_STRING] = {sizeof(char *), 4},
    [WIRE_BYTES] = {0},  [WIRE_OPAQUE] = {0}, [WIRE_STRUCT] = {0},
};

static size_t padded(size_t length)
{
    return (length + 3) & ~(size_t)3;
}

static size_t element_size(const struct wire_field *field)
{
    return field->base == WIRE_STRUCT ? field->type->size : sizes[field->base].memory;
}

/* The path of a fault grows from its field outwards, as the calls return. */
static int fault_at(struct error *err, const char *name)
{
    return error_wrap(err, "%s", name);
}

/* -- decoding ------------------------------------------------------------------------------------------------------ */

struct reader {
    const uint8_t *at;
    size_t left;
    struct arena *arena;
    struct error *err;
};

static int truncated(struct reader *reader, size_t wanted)
{
    return error_set(reader->err, ERR_RPC, "needs %zu bytes, but the message has only %zu more", wanted, reader->left);
}

static inline int read_u32(struct reader *reader, uint32_t *value)
{
    if (reader->left < 4)
        return truncated(reader, 4);
    uint32_t raw;
    memcpy(&raw, reader->at, 4);
    *value = be32toh(raw);
    reader->at += 4;
    reader->left -= 4;
    return 0;
}

static inline int read_u64(struct reader *reader, uint64_t *value)
{
    if (reader->left < 8)
        return truncated(reader, 8);
    uint64_t raw;
    memcpy(&raw, reader->at, 8);
    *value = be64toh(raw);
    reader->at += 8;
    reader->left -= 8;
    return 0;
}

/* `length` raw bytes and their padding; their address is valid until the message goes. */
static int read_raw(struct reader *reader, size_t length, const uint8_t **data)
{
    if (padded(length) > reader->left)
        return truncated(reader, padded(length));
    *data = reader->at;
    reader->at += padded(length);
    reader->left -= padded(length);
    return 0;
}

static int read_string(struct reader *reader, const char **value)
{
    uint32_t length;
    const uint8_t *data;
    if (read_u32(reader, &length) < 0)
        return -1;
    if (length > WIRE_STRING_MAX)
        return error_set(reader->err, ERR_RPC, "string of %u bytes; at most %u are allowed", length, WIRE_STRING_MAX);
    if (read_raw(reader, length, &data) < 0)
        return -1;
    if (memchr(data, 0, length))
        return error_set(reader->err, ERR_RPC, "string with a NUL byte in it");
    if (!utf8_valid((const char *)data, length)) /* neither XML nor JSON could hold it */
        return error_set(reader->err, ERR_RPC, "string that is not valid UTF-8");
    *value = arena_strndup(reader->arena, (const char *)data, length);
    return 0;
}

static int read_bytes(struct reader *reader, const struct wire_field *field, void *parent)
{
    uint32_t *length = (uint32_t *)((char *)parent + field->count_offset);
    uint8_t **value = (uint8_t **)((char *)parent + field->offset);
    const uint8_t *data;
    if (read_u32(reader, length) < 0)
        return -1;
    if (*length > field->max)
        return error_set(reader->err, ERR_RPC, "%u bytes; at most %u are allowed", *length, field->max);
    if (read_raw(reader, *length, &data) < 0)
        return -1;
    *value = arena_memdup(reader->arena, data, *length);
    return 0;
}

static int read_struct(struct reader *reader, const struct wire_type *type, void *value);

static int read_one(struct reader *reader, const struct wire_field *field, void *value)
{
    uint32_t narrow;
    switch (field->base) {
    case WIRE_I8:
    case WIRE_U8:
        if (read_u32(reader, &narrow) < 0)
            return -1;
        *(uint8_t *)value = (uint8_t)narrow;
        return 0;
    case WIRE_U16:
        if (read_u32(reader, &narrow) < 0)
            return -1;
        *(uint16_t *)value = (uint16_t)narrow;
        return 0;
    case WIRE_I32:
    case WIRE_U32:
        return read_u32(reader, value);
    case WIRE_I64:
    case WIRE_U64:
    case WIRE_F64:
        return read_u64(reader, value);
    case WIRE_STRING:
        return read_string(reader, value);
    default:
        return read_struct(reader, field->type, value);
    }
}

static int read_elements(struct reader *reader, const struct wire_field *field, void *first, uint32_t count)
{
    size_t size = element_size(field);
    for (uint32_t i = 0; i < count; i++)
        if (read_one(reader, field, (char *)first + i * size) < 0) {
            char name[32];
            snprintf(name, sizeof name, "[%u]", i);
            return fault_at(reader->err, name);
        }
    return 0;
}

static int read_optional(struct reader *reader, const struct wire_field *field, void *value)
{
    uint32_t present;
    if (read_u32(reader, &present) < 0)
        return -1;
    if (present > 1)
        return error_set(reader->err, ERR_RPC, "presence flag is %u; it must be 0 or 1", present);
    if (!present) {
        *(void **)value = NULL;
        return 0;
    }
    if (field->base == WIRE_STRING)
        return read_string(reader, value);
    *(void **)value = arena_alloc(reader->arena, element_size(field));
    return read_one(reader, field, *(void **)value);
}

static int read_counted(struct reader *reader, const struct wire_field *field, void *parent)
{
    uint32_t *count = (uint32_t *)((char *)parent + field->count_offset);
    void **value = (void **)((char *)parent + field->offset);
    size_t least = field->base == WIRE_STRUCT ? field->type->minimum : sizes[field->base].wire;
    if (read_u32(reader, count) < 0)
        return -1;
    if (*count > field->max)
        return error_set(reader->err, ERR_RPC, "%u elements; at most %u are allowed", *count, field->max);
    if (*count > reader->left / least)
        return truncated(reader, *count * least);
    *value = *count ? arena_array(reader->arena, *count, element_size(field)) : NULL;
    return read_elements(reader, field, *value, *count);
}

static int read_field(struct reader *reader, const struct wire_field *field, void *parent)
{
    void *value = (char *)parent + field->offset;
    const uint8_t *data;
    switch (field->shape) {
    case WIRE_OPTIONAL:
        return read_optional(reader, field, value);
    case WIRE_COUNTED:
        return read_counted(reader, field, parent);
    case WIRE_FIXED:
        return read_elements(reader, field, value, field->max);
    default:
        break;
    }
    if (field->base == WIRE_BYTES)
        return read_bytes(reader, field, parent);
    if (field->base != WIRE_OPAQUE)
        return read_one(reader, field, value);
    if (read_raw(reader, field->max, &data) < 0)
        return -1;
    memcpy(value, data, field->max);
    return 0;
}

/* The arm of a union that its tag chooses, or NULL. */
static const struct wire_field *union_arm(const struct wire_type *type, const void *value)
{
    int32_t tag = *(const int32_t *)((const char *)value + type->fields[0].offset);
    for (unsigned i = 1; i < type->field_count; i++)
        if ((int32_t)type->fields[i].max == tag)
            return &type->fields[i];
    return NULL;
}

static int unknown_tag(struct error *err, int code, const struct wire_type *type, const void *value)
{
    int32_t tag = *(const int32_t *)((const char *)value + type->fields[0].offset);
    return error_set(err, code, "unknown %s %d", type->name, tag);
}

static int read_struct(struct reader *reader, const struct wire_type *type, void *value)
{
    if (type->is_union) {
        if (read_field(reader, &type->fields[0], value) < 0)
            return fault_at(reader->err, type->fields[0].name);
        const struct wire_field *arm = union_arm(type, value);
        return arm ? read_one(reader, arm, (char *)value + arm->offset)
                   : unknown_tag(reader->err, ERR_RPC, type, value);
    }
    for (unsigned i = 0; i < type->field_count; i++)
        if (read_field(reader, &type->fields[i], value) < 0)
            return fault_at(reader->err, type->fields[i].name);
    return 0;
}

int wire_decode(const struct wire_type *type, const void *data, size_t length, struct arena *arena, void *value,
                struct error *err)
{
    struct reader reader = {.at = data, .left = length, .arena = arena, .err = err};
    if (read_struct(&reader, type, value) < 0)
        return error_wrap(err, "cannot decode %s", type->name);
    return 0;
}

/* -- encoding ------------------------------------------------------------------------------------------------------ */

struct writer {
    struct text *out;
    struct error *err;
};

static inline void write_u32(struct writer *writer, uint32_t value)
{
    value = htobe32(value);
    memcpy(text_reserve(writer->out, 4), &value, 4);
    writer->out->length += 4;
}

static inline void write_u64(struct writer *writer, uint64_t value)
{
    value = htobe64(value);
    memcpy(text_reserve(writer->out, 8), &value, 8);
    writer->out->length += 8;
}

static void write_raw(struct writer *writer, const void *data, size_t length)
{
    static const uint8_t zero[4];
    char *to = text_reserve(writer->out, padded(length));
    if (length)
        memcpy(to, data, length);
    memcpy(to + length, zero, padded(length) - length);
    writer->out->length += padded(length);
}

static int write_string(struct writer *writer, const char *string)
{
    if (!string)
        return error_set(writer->err, ERR_INTERNAL_ERROR, "a required string is missing");
    size_t length = strlen(string);
    if (length > WIRE_STRING_MAX)
        return error_set(writer->err, ERR_INTERNAL_ERROR, "string of %zu bytes; at most %u can be sent", length,
                         WIRE_STRING_MAX);
    write_u32(writer, (uint32_t)length);
    write_raw(writer, string, length);
    return 0;
}

static int write_struct(struct writer *writer, const struct wire_type *type, const void *value);

static int write_one(struct writer *writer, const struct wire_field *field, const void *value)
{
    switch (field->base) {
    case WIRE_I8:
        write_u32(writer, (uint32_t) * (const int8_t *)value);
        return 0;
    case WIRE_U8:
        write_u32(writer, *(const uint8_t *)value);
        return 0;
    case WIRE_U16:
        write_u32(writer, *(const uint16_t *)value);
        return 0;
    case WIRE_I32:
    case WIRE_U32:
        write_u32(writer, *(const uint32_t *)value);
        return 0;
    case WIRE_I64:
    case WIRE_U64:
    case WIRE_F64:
        write_u64(writer, *(const uint64_t *)value);
        return 0;
    case WIRE_STRING:
        return write_string(writer, *(const char *const *)value);
    default:
        return write_struct(writer, field->type, value);
    }
}

static int write_elements(struct writer *writer, const struct wire_field *field, const void *first, uint32_t count)
{
    size_t size = element_size(field);
    for (uint32_t i = 0; i < count; i++)
        if (write_one(writer, field, (const char *)first + i * size) < 0) {
            char name[32];
            snprintf(name, sizeof name, "[%u]", i);
            return fault_at(writer->err, name);
        }
    return 0;
}

/* The count of a list or of bytes, or -1 when it cannot be sent. */
static int64_t write_count(struct writer *writer, const struct wire_field *field, const void *parent)
{
    uint32_t count = *(const uint32_t *)((const char *)parent + field->count_offset);
    const void *first = *(void *const *)((const char *)parent + field->offset);
    if (count > field->max)
        return error_set(writer->err, ERR_INTERNAL_ERROR, "%u elements; at most %u can be sent", count, field->max);
    if (count && !first)
        return error_set(writer->err, ERR_INTERNAL_ERROR, "%u elements, but none are there", count);
    write_u32(writer, count);
    return count;
}

static int write_field(struct writer *writer, const struct wire_field *field, const void *parent)
{
    const void *value = (const char *)parent + field->offset;
    int64_t count;
    switch (field->shape) {
    case WIRE_OPTIONAL: {
        const void *target = *(void *const *)value;
        write_u32(writer, target ? 1 : 0);
        if (!target)
            return 0;
        return field->base == WIRE_STRING ? write_string(writer, target) : write_one(writer, field, target);
    }
    case WIRE_COUNTED:
        count = write_count(writer, field, parent);
        return count < 0 ? -1 : write_elements(writer, field, *(void *const *)value, (uint32_t)count);
    case WIRE_FIXED:
        return write_elements(writer, field, value, field->max);
    default:
        break;
    }
    if (field->base == WIRE_OPAQUE) {
        write_raw(writer, value, field->max);
        return 0;
    }
    if (field->base != WIRE_BYTES)
        return write_one(writer, field, value);
    count = write_count(writer, field, parent);
    if (count > 0)
        write_raw(writer, *(void *const *)value, (size_t)count);
    return count < 0 ? -1 : 0;
}

static int write_struct(struct writer *writer, const struct wire_type *type, const void *value)
{
    if (type->is_union) {
        const struct wire_field *arm = union_arm(type, value);
        if (!arm)
            return unknown_tag(writer->err, ERR_INTERNAL_ERROR, type, value);
        write_field(writer, &type->fields[0], value);
        return write_one(writer, arm, (const char *)value + arm->offset);
    }
    for (unsigned i = 0; i < type->field_count; i++)
        if (write_field(writer, &type->fields[i], value) < 0)
            return fault_at(writer->err, type->fields[i].name);
    return 0;
}

int wire_encode(const struct wire_type *type, const void *value, struct text *out, struct error *err)
{
    size_t before = out->length;
    struct writer writer = {.out = out, .err = err};
    if (write_struct(&writer, type, value) == 0)
        return 0;
    out->length = before;
    return error_wrap(err, "cannot encode %s", type->name);
}

/* -- conditions ---------------------------------------------------------------------------------------------------- */

bool wire_condition_holds(const struct wire_condition *condition, const void *args)
{
    const char *at = (const char *)args + condition->offset;
    uint64_t actual = 0;
    if (condition->operator != WIRE_ALWAYS)
        actual = condition->wide ? *(const uint64_t *)(const void *)at : *(const uint32_t *)(const void *)at;
    switch (condition->operator) {
    case WIRE_ALL_BITS:
        return (actual & condition->value) == condition->value;
    case WIRE_ANY_BIT:
        return (actual & condition->value) != 0;
    case WIRE_NO_BIT:
        return (actual & condition->value) == 0;
    case WIRE_EQUAL:
        return actual == condition->value;
    default:
        return true;
    }
}
