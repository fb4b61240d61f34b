/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/values.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "base/cpu_set.h"
#include "model/xml.h"

#define MEMBER(type, field, part) ((type *)((char *)(part) + (field)->offset))
#define CONST_MEMBER(type, field, part) ((const type *)((const char *)(part) + (field)->offset))

static const struct {
    const char *name;
    uint64_t bytes;
} units[] = {
    {"b", 1},
    {"bytes", 1},
    {"byte", 1},
    {"KB", 1000},
    {"k", 1ull << 10},
    {"KiB", 1ull << 10},
    {"MB", 1000000},
    {"M", 1ull << 20},
    {"MiB", 1ull << 20},
    {"GB", 1000000000},
    {"G", 1ull << 30},
    {"GiB", 1ull << 30},
    {"TB", 1000000000000},
    {"T", 1ull << 40},
    {"TiB", 1ull << 40},
    {"PB", 1000000000000000},
    {"P", 1ull << 50},
    {"PiB", 1ull << 50},
    {"EB", 1000000000000000000},
    {"E", 1ull << 60},
    {"EiB", 1ull << 60},
};

int size_parse(uint64_t number, const char *unit, uint64_t default_unit, uint64_t *bytes)
{
    uint64_t factor = unit ? 0 : default_unit;
    for (size_t i = 0; unit && i < COUNT(units); i++)
        if (strcasecmp(unit, units[i].name) == 0)
            factor = units[i].bytes;
    return factor == 0 || __builtin_mul_overflow(number, factor, bytes) ? -1 : 0;
}

static int mac_parse(const char *string, struct mac *mac)
{
    struct mac read = {.set = true};
    for (int i = 0; i < MAC_SIZE; i++) {
        unsigned byte = 0;
        int digits = 0;
        for (; digits < 2 && isxdigit((unsigned char)*string); digits++, string++)
            byte = byte * 16 + (unsigned)(*string <= '9' ? *string - '0' : (*string | 0x20) - 'a' + 10);
        if (digits == 0 || *string != (i < MAC_SIZE - 1 ? ':' : '\0'))
            return -1;
        read.byte[i] = (unsigned char)byte;
        string++;
    }
    *mac = read;
    return 0;
}

static void put_mac(struct text *out, const struct mac *mac)
{
    for (int i = 0; i < MAC_SIZE; i++)
        text_printf(out, "%s%02x", i ? ":" : "", mac->byte[i]);
}

char *mac_text(struct arena *arena, const struct mac *mac)
{
    scoped_text struct text text = {0};
    put_mac(&text, mac);
    return arena_strdup(arena, text_string(&text));
}

static const char *enum_parse(struct arena *arena, const struct field *field, void *part, const char *value)
{
    unsigned found = words_value(field->words, value);
    if (found) {
        *MEMBER(uint8_t, field, part) = (uint8_t)found;
        return NULL;
    }
    scoped_text struct text message = {0};
    text_printf(&message, "'%.100s' is not one of: ", value);
    for (unsigned i = 1; i < field->words->count; i++)
        text_printf(&message, "%s%s", i > 1 ? ", " : "", field->words->word[i]);
    return arena_strdup(arena, text_string(&message));
}

static uint64_t number_max(const struct field *field)
{
    if (field->max)
        return field->max;
    switch ((enum field_kind)field->kind) {
    case FIELD_KIND_U8:
        return UINT8_MAX;
    case FIELD_KIND_U16:
        return UINT16_MAX;
    case FIELD_KIND_U32:
    case FIELD_KIND_OPT_U32:
        return UINT32_MAX;
    case FIELD_KIND_I32:
    case FIELD_KIND_OPT_I32:
        return INT32_MAX;
    default:
        return UINT64_MAX;
    }
}

static void number_store(const struct field *field, void *part, uint64_t number)
{
    switch ((enum field_kind)field->kind) {
    case FIELD_KIND_U8:
        *MEMBER(uint8_t, field, part) = (uint8_t)number;
        break;
    case FIELD_KIND_U16:
        *MEMBER(uint16_t, field, part) = (uint16_t)number;
        break;
    case FIELD_KIND_U32:
        *MEMBER(uint32_t, field, part) = (uint32_t)number;
        break;
    case FIELD_KIND_I32:
        *MEMBER(int32_t, field, part) = (int32_t)number;
        break;
    case FIELD_KIND_OPT_U32:
        *MEMBER(struct optional_u32, field, part) = (struct optional_u32){(uint32_t)number, true};
        break;
    case FIELD_KIND_OPT_I32:
        *MEMBER(struct optional_i32, field, part) = (struct optional_i32){(int32_t)number, true};
        break;
    case FIELD_KIND_OPT_U64:
        *MEMBER(struct optional_u64, field, part) = (struct optional_u64){number, true};
        break;
    default:
        *MEMBER(uint64_t, field, part) = number;
    }
}

/* Numbers may stand among blanks, as XPath's number() reads them. */
static const char *number_parse(struct arena *arena, const struct field *field, void *part, const char *value,
                                const char *unit)
{
    char digits[32];
    size_t blanks = strspn(value, " \t\r\n"), length = strcspn(value + blanks, " \t\r\n");
    bool is_signed = field->kind == FIELD_KIND_I32 || field->kind == FIELD_KIND_OPT_I32 ||
                     field->kind == FIELD_KIND_OPT_U64;
    uint64_t max = number_max(field), number = 0;
    bool good = length < sizeof(digits) && value[blanks + length + strspn(value + blanks + length, " \t\r\n")] == '\0';

    if (good) {
        memcpy(digits, value + blanks, length);
        digits[length] = '\0';
        int64_t negative = 0;
        if (is_signed && digits[0] == '-' && parse_i64(digits, 10, &negative) == 0 &&
            (negative >= INT32_MIN || field->kind == FIELD_KIND_OPT_U64)) {
            number_store(field, part, (uint64_t)negative);
            return NULL;
        }
        good = parse_u64(digits, field->flags & HEX ? 0 : 10, &number) == 0;
    }
    if (!good && value[blanks] && !value[blanks + strspn(value + blanks, "0123456789")])
        return arena_printf(arena, "%.100s is more than the limit of %" PRIu64, value + blanks, max);
    if (!good)
        return arena_printf(arena, "'%.100s' is not a number%s", value, is_signed ? "" : " of 0 or more");

    bool sized = field->kind == FIELD_KIND_MEMORY || field->kind == FIELD_KIND_BYTES ||
                 field->kind == FIELD_KIND_MEBIBYTES;
    uint64_t default_unit = field->kind == FIELD_KIND_MEMORY ? 1024 : 1;
    uint64_t unit_size;
    if (sized && size_parse(1, unit, default_unit, &unit_size) < 0)
        return arena_printf(arena, "'%.100s %.100s' is no size; units are b, KB, KiB, MB, MiB, GB, GiB, TB, "
                            "TiB, PB, PiB, EB, EiB",
                            value, unit ? unit : "");
    if (sized && __builtin_mul_overflow(number, unit_size, &number))
        return arena_printf(arena, "%.100s %.100s is more than the limit of %" PRIu64 " bytes", value, unit ? unit : "",
                            UINT64_MAX);
    if (field->kind == FIELD_KIND_MEMORY)
        number = number / 1024 + (number % 1024 != 0);
    if (field->kind == FIELD_KIND_MEBIBYTES)
        number = (number >> 20) + (number % (1u << 20) != 0);
    if (number < field->min)
        return arena_printf(arena, "%" PRIu64 " is less than the least, %u", number, field->min);
    if (number > max)
        return arena_printf(arena, "%" PRIu64 " is more than the limit of %" PRIu64, number, max);
    number_store(field, part, number);
    return NULL;
}

const char *value_parse(struct arena *arena, const struct field *field, void *part, const char *value, const char *unit)
{
    switch ((enum field_kind)field->kind) {
    case FIELD_KIND_STRING:
        if (*value != '\0' || !(field->flags & NOT_EMPTY))
            *MEMBER(const char *, field, part) = arena_strdup(arena, value);
        return NULL;
    case FIELD_KIND_CPUSET: {
        struct cpu_set set;
        if (cpu_set_parse(&set, value) < 0 || cpu_set_count(&set) == 0)
            return arena_printf(arena, "'%.100s' is not a set of numbers like 0-3,^2,8", value);
        *MEMBER(const char *, field, part) = cpu_set_format(arena, &set);
        return NULL;
    }
    case FIELD_KIND_ENUM:
        return enum_parse(arena, field, part, value);
    case FIELD_KIND_FLAG:
        *MEMBER(bool, field, part) = true;
        return NULL;
    case FIELD_KIND_UUID:
        if (uuid_parse(value, MEMBER(unsigned char, field, part)) < 0)
            return arena_printf(arena, "'%.100s' is not a UUID (32 hexadecimal digits, with dashes or without)", value);
        MEMBER(bool, field, part)[UUID_SIZE] = true;
        return NULL;
    case FIELD_KIND_MAC:
        if (mac_parse(value, MEMBER(struct mac, field, part)) < 0)
            return arena_printf(arena, "'%.100s' is not a MAC address (six bytes like 52:54:00:12:34:56)", value);
        return NULL;
    default:
        return number_parse(arena, field, part, value, unit);
    }
}

static uint64_t number_load(const struct field *field, const void *part)
{
    switch ((enum field_kind)field->kind) {
    case FIELD_KIND_U8:
        return *CONST_MEMBER(uint8_t, field, part);
    case FIELD_KIND_U16:
        return *CONST_MEMBER(uint16_t, field, part);
    case FIELD_KIND_U32:
        return *CONST_MEMBER(uint32_t, field, part);
    case FIELD_KIND_I32:
        return (uint64_t)(int64_t)*CONST_MEMBER(int32_t, field, part);
    case FIELD_KIND_OPT_U32:
        return CONST_MEMBER(struct optional_u32, field, part)->value;
    case FIELD_KIND_OPT_I32:
        return (uint64_t)(int64_t)CONST_MEMBER(struct optional_i32, field, part)->value;
    case FIELD_KIND_OPT_U64:
        return CONST_MEMBER(struct optional_u64, field, part)->value;
    default:
        return *CONST_MEMBER(uint64_t, field, part);
    }
}

/* How many bits of a PRETTY size its largest whole unit takes off. */
static unsigned pretty_shift(const struct field *field, uint64_t kib)
{
    unsigned shift = 0;
    if (field->flags & PRETTY)
        while (shift < 40 && kib && kib >> shift << shift == kib && (kib >> shift) % 1024 == 0)
            shift += 10;
    return shift;
}

bool value_present(const struct field *field, const void *part)
{
    switch ((enum field_kind)field->kind) {
    case FIELD_KIND_STRING:
    case FIELD_KIND_CPUSET:
    case FIELD_KIND_VERBATIM:
        return *CONST_MEMBER(char *, field, part) != NULL;
    case FIELD_KIND_ENUM:
        return *CONST_MEMBER(uint8_t, field, part) != 0;
    case FIELD_KIND_FLAG:
        return *CONST_MEMBER(bool, field, part);
    case FIELD_KIND_UUID:
        return CONST_MEMBER(bool, field, part)[UUID_SIZE];
    case FIELD_KIND_MAC:
        return CONST_MEMBER(struct mac, field, part)->set;
    case FIELD_KIND_OPT_U32:
        return CONST_MEMBER(struct optional_u32, field, part)->set;
    case FIELD_KIND_OPT_I32:
        return CONST_MEMBER(struct optional_i32, field, part)->set;
    case FIELD_KIND_OPT_U64:
        return CONST_MEMBER(struct optional_u64, field, part)->set;
    default:
        return field->flags & ALWAYS || number_load(field, part) != 0;
    }
}

const char *value_unit(const struct field *field, const void *part)
{
    static const char *const larger[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
    if (field->kind != FIELD_KIND_MEMORY)
        return field->kind == FIELD_KIND_BYTES ? "bytes" : field->kind == FIELD_KIND_MEBIBYTES ? "M" : NULL;
    return larger[pretty_shift(field, number_load(field, part)) / 10];
}

static void number_format(struct text *out, const struct field *field, const void *part)
{
    static const char hex[] = "0123456789abcdef";
    uint64_t number = number_load(field, part);
    number >>= pretty_shift(field, number);
    char digits[24], *digit = digits + sizeof(digits);
    bool negative = (field->kind == FIELD_KIND_I32 || field->kind == FIELD_KIND_OPT_I32 ||
                     field->kind == FIELD_KIND_OPT_U64) && (int64_t)number < 0;
    if (negative)
        number = -number;
    if (field->flags & HEX) {
        do {
            *--digit = hex[number % 16];
            number /= 16;
        } while (number || digits + sizeof(digits) - digit < field->width);
        text_append_bytes(out, "0x", 2);
    } else {
        do {
            *--digit = hex[number % 10];
            number /= 10;
        } while (number);
        if (negative)
            *--digit = '-';
    }
    text_append_bytes(out, digit, (size_t)(digits + sizeof(digits) - digit));
}

void value_format(struct text *out, const struct field *field, const void *part)
{
    switch ((enum field_kind)field->kind) {
    case FIELD_KIND_STRING:
    case FIELD_KIND_CPUSET:
        xml_escape(out, *CONST_MEMBER(char *, field, part));
        break;
    case FIELD_KIND_ENUM:
        text_append(out, words_name(field->words, *CONST_MEMBER(uint8_t, field, part)));
        break;
    case FIELD_KIND_UUID: {
        char string[UUID_STRING_SIZE];
        uuid_format(CONST_MEMBER(unsigned char, field, part), string);
        text_append_bytes(out, string, UUID_STRING_SIZE - 1);
        break;
    }
    case FIELD_KIND_MAC:
        put_mac(out, CONST_MEMBER(struct mac, field, part));
        break;
    case FIELD_KIND_FLAG:
        break;
    default:
        number_format(out, field, part);
    }
}

bool value_equal(const struct field *field, const void *a, const void *b)
{
    if (value_present(field, a) != value_present(field, b))
        return false;
    switch ((enum field_kind)field->kind) {
    case FIELD_KIND_STRING:
    case FIELD_KIND_CPUSET:
    case FIELD_KIND_VERBATIM:
        return string_equal(*CONST_MEMBER(char *, field, a), *CONST_MEMBER(char *, field, b));
    case FIELD_KIND_ENUM:
    case FIELD_KIND_FLAG:
        return *CONST_MEMBER(uint8_t, field, a) == *CONST_MEMBER(uint8_t, field, b);
    case FIELD_KIND_UUID:
        return memcmp(CONST_MEMBER(char, field, a), CONST_MEMBER(char, field, b), UUID_SIZE) == 0;
    case FIELD_KIND_MAC:
        return memcmp(CONST_MEMBER(char, field, a), CONST_MEMBER(char, field, b), MAC_SIZE) == 0;
    default:
        return number_load(field, a) == number_load(field, b);
    }
}

void value_default(const struct field *field, void *part)
{
    if (field->kind == FIELD_KIND_ENUM)
        *MEMBER(uint8_t, field, part) = (uint8_t)field->fallback;
    else
        number_store(field, part, field->fallback);
}
