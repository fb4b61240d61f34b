/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define _XOPEN_SOURCE 700
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/random.h>
#include <wchar.h>

#include "base/arena.h"

void text_finish(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}

char *text_reserve(struct text *text, size_t extra)
{
    size_t wanted = text->length + extra + 1;
    if (wanted > text->capacity) {
        size_t capacity = text->capacity ? text->capacity * 2 : 64;
        text->capacity = capacity > wanted ? capacity : wanted;
        text->data = xrealloc(text->data, text->capacity);
        text->data[text->length] = '\0';
    }
    return text->data + text->length;
}

void text_append_bytes(struct text *text, const void *data, size_t length)
{
    if (!length)
        return;
    memcpy(text_reserve(text, length), data, length);
    text->length += length;
    text->data[text->length] = '\0';
}

void text_append(struct text *text, const char *string)
{
    text_append_bytes(text, string, strlen(string));
}

void text_append_char(struct text *text, char c)
{
    text_append_bytes(text, &c, 1);
}

void text_vprintf(struct text *text, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length <= 0)
        return;
    vsnprintf(text_reserve(text, (size_t)length), (size_t)length + 1, format, args);
    text->length += (size_t)length;
}

void text_printf(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_vprintf(text, format, args);
    va_end(args);
}

void text_append_quoted(struct text *text, const char *word)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+=:,./-";
    if (*word && !word[strspn(word, plain)]) {
        text_append(text, word);
        return;
    }
    text_append_char(text, '\'');
    for (; *word; word++) /* within single quotes nothing but a single quote is special */
        if (*word == '\'')
            text_append(text, "'\\''");
        else
            text_append_char(text, *word);
    text_append_char(text, '\'');
}

const char *xml_entity(char c)
{
    switch (c) {
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '&': return "&amp;";
    case '\'': return "&apos;";
    case '"': return "&quot;";
    default: return NULL;
    }
}

void text_append_xml(struct text *text, const char *word)
{
    for (; *word; word++) {
        const char *entity = xml_entity(*word);
        if (entity)
            text_append(text, entity);
        else
            text_append_char(text, *word);
    }
}

void text_clear(struct text *text)
{
    text->length = 0;
    if (text->data)
        text->data[0] = '\0';
}

const char *text_string(const struct text *text)
{
    return text->data ? text->data : "";
}

char *text_steal(struct text *text)
{
    char *data = text->data ? text->data : xstrdup("");
    *text = (struct text){0};
    return data;
}

bool string_starts(const char *string, const char *prefix)
{
    return strncmp(string, prefix, strlen(prefix)) == 0;
}

bool string_ends(const char *string, const char *suffix)
{
    size_t length = strlen(string), tail = strlen(suffix);
    return length >= tail && strcmp(string + length - tail, suffix) == 0;
}

const char *string_after(const char *string, const char *prefix)
{
    return string_starts(string, prefix) ? string + strlen(prefix) : NULL;
}

int parse_u64(const char *string, int base, uint64_t *value)
{
    if (!isxdigit((unsigned char)string[0])) /* strtoull would take blanks and signs */
        return -1;
    char *end;
    errno = 0;
    unsigned long long number = strtoull(string, &end, base);
    if (errno || *end)
        return -1;
    *value = number;
    return 0;
}

int parse_i64(const char *string, int base, int64_t *value)
{
    if (!isxdigit((unsigned char)string[string[0] == '-']))
        return -1;
    char *end;
    errno = 0;
    long long number = strtoll(string, &end, base);
    if (errno || *end)
        return -1;
    *value = number;
    return 0;
}

int parse_u32(const char *string, int base, uint32_t *value)
{
    uint64_t number;
    if (parse_u64(string, base, &number) < 0 || number > UINT32_MAX)
        return -1;
    *value = (uint32_t)number;
    return 0;
}

int parse_i32(const char *string, int base, int32_t *value)
{
    int64_t number;
    if (parse_i64(string, base, &number) < 0 || number > INT32_MAX || number < INT32_MIN)
        return -1;
    *value = (int32_t)number;
    return 0;
}

int parse_double(const char *string, double *value)
{
    if (!isdigit((unsigned char)string[string[0] == '-']))
        return -1;
    char *end;
    errno = 0;
    double number = strtod(string, &end);
    if (errno || *end || !isfinite(number))
        return -1;
    *value = number;
    return 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int uuid_parse(const char *string, unsigned char uuid[UUID_SIZE])
{
    unsigned char parsed[UUID_SIZE];
    for (size_t i = 0; i < UUID_SIZE; i++) {
        if (*string == '-' && i)
            string++;
        int high = hex_digit(string[0]), low = high < 0 ? -1 : hex_digit(string[1]);
        if (low < 0)
            return -1;
        parsed[i] = (unsigned char)(high << 4 | low);
        string += 2;
    }
    if (*string)
        return -1;
    memcpy(uuid, parsed, UUID_SIZE);
    return 0;
}

void uuid_format(const unsigned char uuid[UUID_SIZE], char string[UUID_STRING_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < UUID_SIZE; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *string++ = '-';
        *string++ = digits[uuid[i] >> 4];
        *string++ = digits[uuid[i] & 15];
    }
    *string = '\0';
}

void uuid_random(unsigned char uuid[UUID_SIZE])
{
    if (getrandom(uuid, UUID_SIZE, 0) != UUID_SIZE)
        abort(); /* 16 bytes never come short once the pool is ready (getrandom(2)) */
    uuid[6] = (unsigned char)(0x40 | (uuid[6] & 0x0f));
    uuid[8] = (unsigned char)(0x80 | (uuid[8] & 0x3f));
}

/* Length of the well-formed sequence at p, or 0. Rejects overlong forms, surrogates and what is above U+10FFFF. */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
    if (p[0] && p[0] < 0x80)
        return 1;
    size_t length = p[0] < 0xc2 || p[0] > 0xf4 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (!length || left < length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return length;
}

bool utf8_valid(const char *string, size_t length)
{
    for (size_t i = 0, step; i < length; i += step) {
        step = utf8_sequence((const unsigned char *)string + i, length - i);
        if (!step)
            return false;
    }
    return true;
}

size_t nul_line(const char *string, size_t length)
{
    const char *nul = length ? memchr(string, '\0', length) : NULL;
    size_t line = nul != NULL;
    for (const char *at = string; nul && (at = memchr(at, '\n', (size_t)(nul - at))); at++)
        line++;
    return line;
}

size_t utf8_width(const char *string)
{
    size_t width = 0;
    mbstate_t state = {0};
    for (size_t left = strlen(string); left;) {
        wchar_t wide;
        size_t step = mbrtowc(&wide, string, left, &state);
        if (step == 0 || step > left) { /* not decodable here: one column a byte */
            state = (mbstate_t){0};
            step = 1;
            width++;
        } else {
            int columns = wcwidth(wide);
            width += columns > 0 ? (size_t)columns : 0;
        }
        string += step;
        left -= step;
    }
    return width;
}
