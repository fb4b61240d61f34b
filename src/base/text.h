/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

/* A growing byte buffer, always NUL-terminated. A zeroed struct is empty and needs no init. */
struct text {
    char *data; /* NULL while empty */
    size_t length;
    size_t capacity;
};

void text_finish(struct text *text);
static inline void text_scope(struct text *text)
{
    text_finish(text);
}
#define scoped_text scope_cleanup(text_scope)

void text_append(struct text *text, const char *string);
void text_append_bytes(struct text *text, const void *data, size_t length);
void text_append_char(struct text *text, char c);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_vprintf(struct text *text, const char *format, va_list args);
void text_clear(struct text *text);
/* One word for a POSIX shell: in single quotes, where it has to be. */
void text_append_quoted(struct text *text, const char *word);
/* How XML writes a character that may not stand for itself: "&lt;" and so on for <, >, &, ' and "; NULL for others. */
const char *xml_entity(char c);
/* The word with those replaced; what XML cannot hold at all, most control characters, is left to the caller. */
void text_append_xml(struct text *text, const char *word);
/* Makes room for `extra` more bytes and returns where they go; the caller then adds to length. */
char *text_reserve(struct text *text, size_t extra);
/* The content, never NULL; the text still owns it. */
const char *text_string(const struct text *text);
/* Hands the content over (to free()), never NULL; the text is empty again. */
char *text_steal(struct text *text);

static inline bool string_equal(const char *a, const char *b) /* NULL equals NULL only */
{
    return a == b || (a && b && __builtin_strcmp(a, b) == 0);
}
bool string_starts(const char *string, const char *prefix);
bool string_ends(const char *string, const char *suffix);
/* After the prefix, or NULL. */
const char *string_after(const char *string, const char *prefix);

/* Whole-string numbers: no blanks, no sign for unsigned, no rest, no overflow. base 10, or 0 for 0x and 0 prefixes.
 * Return 0, or -1 with the target untouched. */
int parse_u64(const char *string, int base, uint64_t *value);
int parse_i64(const char *string, int base, int64_t *value);
int parse_u32(const char *string, int base, uint32_t *value);
int parse_i32(const char *string, int base, int32_t *value);
int parse_double(const char *string, double *value);

/* UUIDs: with or without dashes when read, lower case with dashes when written. */
#define UUID_SIZE        16
#define UUID_STRING_SIZE 37
int uuid_parse(const char *string, unsigned char uuid[UUID_SIZE]);
void uuid_format(const unsigned char uuid[UUID_SIZE], char string[UUID_STRING_SIZE]);
void uuid_random(unsigned char uuid[UUID_SIZE]); /* version 4, from getrandom() */

/* True when all bytes are valid UTF-8 without NUL. */
bool utf8_valid(const char *string, size_t length);
/* The line, from 1, of the first NUL: text that has one would be read to there only. 0 = it has none. */
size_t nul_line(const char *string, size_t length);
/* Terminal columns of a UTF-8 string: wide characters 2, combining 0 (wcwidth in a UTF-8 locale). */
size_t utf8_width(const char *string);
