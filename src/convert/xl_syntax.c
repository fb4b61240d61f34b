/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convert/xl_syntax.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"

struct reader {
    struct arena *arena;
    const char *at, *end;
    unsigned line;
    size_t values;
    struct error *err;
};

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

#define APPENDED_MAX 4096 /* bytes of a string that += put together */
#define SETTINGS_MAX 1024

static char peek(const struct reader *reader)
{
    return reader->at < reader->end ? *reader->at : '\0';
}

static int refuse(struct reader *reader, const char *what)
{
    int shown = 0;
    while (reader->at + shown < reader->end && shown < 24 && (unsigned char)reader->at[shown] > ' ' &&
           (unsigned char)reader->at[shown] < 0x7f)
        shown++;
    return error_set(reader->err, ERR_CONF_SYNTAX, "line %u: %s%s%.*s%s; only NAME = literal can be read here",
                     reader->line, what, shown ? ", but there stands '" : "", shown, reader->at, shown ? "'" : "");
}

/* Blanks, comments and continued lines; newlines too when they mean nothing (in a list). */
static void skip(struct reader *reader, bool newlines)
{
    for (; reader->at < reader->end; reader->at++) {
        if (*reader->at == '#') {
            const char *line_end = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));
            reader->at = line_end ? line_end : reader->end;
            if (!line_end)
                return;
        } else if (*reader->at == '\\' && reader->at + 1 < reader->end && reader->at[1] == '\n') {
            reader->at++;
            reader->line++;
            continue;
        }
        if (*reader->at == '\n' && !newlines)
            return;
        if (*reader->at == '\n')
            reader->line++;
        else if (!strchr(" \t\r", *reader->at))
            return;
    }
}

static unsigned digit(char c)
{
    return isdigit((unsigned char)c) ? (unsigned)(c - '0') : (unsigned)(tolower((unsigned char)c) - 'a' + 10);
}

/* Behind a backslash, as both Python and xl understand it; an unknown one stands for itself. */
static void read_escape(struct reader *reader, struct text *out)
{
    static const char letters[] = "ntrabfv", meanings[] = "\n\t\r\a\b\f\v";
    char c = *reader->at++;
    const char *letter = strchr(letters, c);
    if (c == '\n') {
        reader->line++;
    } else if (letter && c) {
        text_append_char(out, meanings[letter - letters]);
    } else if (c == 'x' && reader->end - reader->at >= 2 && isxdigit((unsigned char)reader->at[0]) &&
               isxdigit((unsigned char)reader->at[1])) {
        text_append_char(out, (char)(digit(reader->at[0]) * 16 + digit(reader->at[1])));
        reader->at += 2;
    } else if (strchr("\\'\"", c) && c) {
        text_append_char(out, c);
    } else {
        text_append_char(out, '\\');
        text_append_char(out, c);
    }
}

static bool text_is_plain(const struct text *text)
{
    for (size_t i = 0; i < text->length; i++)
        if (((unsigned char)text->data[i] < ' ' && text->data[i] != '\t') || text->data[i] == 0x7f)
            return false;
    return utf8_valid(text_string(text), text->length);
}

static int read_quoted(struct reader *reader, struct text *out)
{
    char quote = *reader->at++;
    unsigned begin = reader->line;
    for (;;) {
        if (reader->at >= reader->end || *reader->at == '\n')
            return error_set(reader->err, ERR_CONF_SYNTAX, "line %u: the string that begins here has no closing %c",
                             begin, quote);
        char c = *reader->at++;
        if (c == quote)
            return 0;
        if (c == '\\' && reader->at < reader->end)
            read_escape(reader, out);
        else
            text_append_char(out, c);
    }
}

static int read_strings(struct reader *reader, struct xl_value *value, bool in_list)
{
    scoped_text struct text out = {0};
    while (peek(reader) == '\'' || peek(reader) == '"') {
        if (read_quoted(reader, &out) < 0)
            return -1;
        skip(reader, in_list);
    }
    if (!text_is_plain(&out))
        return error_set(reader->err, ERR_CONF_SYNTAX,
                         "line %u: the string has control characters or is not UTF-8; write it without them",
                         value->line);
    value->text = arena_strdup(reader->arena, text_string(&out));
    return 0;
}

/* A number, or one of Python's three words. */
static int read_word(struct reader *reader, struct xl_value *value)
{
    static const struct {
        const char *word, *text;
    } words[] = {{"True", "1"}, {"False", "0"}, {"None", ""}};
    const char *begin = reader->at;
    if (peek(reader) == '-')
        reader->at++;
    while (reader->at < reader->end && strchr(NAME_CHARACTERS ".", *reader->at) && *reader->at)
        reader->at++;
    char *word = arena_strndup(reader->arena, begin, (size_t)(reader->at - begin));
    int64_t number;
    double fraction;
    for (size_t i = 0; i < COUNT(words); i++)
        if (string_equal(word, words[i].word)) {
            value->text = words[i].text;
            return 0;
        }
    if (parse_i64(word, 10, &number) < 0 && parse_i64(word, 0, &number) < 0 &&
        (strspn(word, "-0123456789.") != strlen(word) || parse_double(word, &fraction) < 0)) {
        reader->at = begin;
        return refuse(reader, "a value is expected (a string, a number or a list)");
    }
    value->text = word;
    return 0;
}

static int read_value(struct reader *reader, struct xl_value **value, unsigned depth);

static void item_add(struct arena *arena, struct xl_value *list, struct xl_value *item)
{
    *arena_grow(arena, list->item, list->count, list->capacity, 4) = item;
    list->count++;
}

static int read_list(struct reader *reader, struct xl_value *list, unsigned depth)
{
    char close = *reader->at++ == '[' ? ']' : ')';
    list->kind = XL_LIST;
    if (depth == XL_DEPTH_MAX)
        return refuse(reader, "lists are nested too deeply here");
    for (skip(reader, true); peek(reader) != close; skip(reader, true)) {
        struct xl_value *item;
        if (read_value(reader, &item, depth + 1) < 0)
            return -1;
        item_add(reader->arena, list, item);
        skip(reader, true);
        if (peek(reader) == ',')
            reader->at++;
        else if (peek(reader) != close)
            return refuse(reader, close == ']' ? "a list goes on with ',' or ends with ']'"
                                               : "a list goes on with ',' or ends with ')'");
    }
    reader->at++;
    return 0;
}

static int read_value(struct reader *reader, struct xl_value **value, unsigned depth)
{
    if (++reader->values > XL_VALUES_MAX)
        return error_set(reader->err, ERR_CONF_SYNTAX, "line %u: there are more than %d values in the file",
                         reader->line, XL_VALUES_MAX);
    *value = arena_struct(reader->arena, struct xl_value);
    (*value)->line = reader->line;
    char c = peek(reader);
    if (c == '[' || c == '(')
        return read_list(reader, *value, depth);
    return c == '\'' || c == '"' ? read_strings(reader, *value, depth > 0) : read_word(reader, *value);
}

static struct xl_setting *setting_slot(struct xl_file *file, const char *name)
{
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->setting[i].name, name) == 0)
            return &file->setting[i];
    struct xl_setting *setting = arena_grow(file->arena, file->setting, file->count, file->capacity, 32);
    file->count++;
    *setting = (struct xl_setting){.name = name};
    return setting;
}

static int setting_append(struct reader *reader, struct xl_setting *setting, const struct xl_value *value)
{
    struct xl_value *old = setting->value;
    if (!old || old->kind != value->kind)
        return error_set(reader->err, ERR_CONF_SYNTAX, "line %u: '%s' has nothing of that kind before, to which += "
                         "could add", value->line, setting->name);
    if (old->kind == XL_ATOM && strlen(old->text) + strlen(value->text) > APPENDED_MAX)
        return error_set(reader->err, ERR_CONF_SYNTAX, "line %u: what += makes of '%s' is longer than %d bytes",
                         value->line, setting->name, APPENDED_MAX);
    if (old->kind == XL_ATOM)
        old->text = arena_printf(reader->arena, "%s%s", old->text, value->text);
    for (size_t i = 0; i < value->count; i++)
        item_add(reader->arena, old, value->item[i]);
    return 0;
}

static int read_assignment(struct reader *reader, struct xl_file *file)
{
    const char *begin = reader->at;
    unsigned line = reader->line;
    size_t length = 0;
    while (begin + length < reader->end && begin[length] && strchr(NAME_CHARACTERS, begin[length]))
        length++;
    if (!length || isdigit((unsigned char)*begin))
        return refuse(reader, "the name of a setting is expected");
    reader->at += length;
    skip(reader, false);
    bool append = reader->end - reader->at >= 2 && reader->at[0] == '+' && reader->at[1] == '=';
    reader->at += append;
    if (peek(reader) != '=') {
        reader->at = begin;
        return refuse(reader, "'=' is expected after the first word");
    }
    reader->at++;
    skip(reader, false);
    struct xl_value *value;
    if (read_value(reader, &value, 0) < 0)
        return -1;
    if (file->count == SETTINGS_MAX)
        return error_set(reader->err, ERR_CONF_SYNTAX, "line %u: there are more than %d settings in the file", line,
                         SETTINGS_MAX);
    struct xl_setting *setting = setting_slot(file, arena_strndup(reader->arena, begin, length));
    setting->line = line;
    if (append && setting_append(reader, setting, value) < 0)
        return -1;
    if (!append)
        setting->value = value;
    skip(reader, false);
    if (reader->at < reader->end && *reader->at != '\n' && *reader->at != ';')
        return refuse(reader, "the end of the line is expected after the value");
    return 0;
}

struct xl_file *xl_parse(struct arena *arena, const char *text, size_t length, struct error *err)
{
    if (length > XL_SIZE_MAX)
        return error_null(err, ERR_CONF_SYNTAX, "the configuration has %zu bytes; at most %u are read", length,
                          XL_SIZE_MAX);
    size_t nul = nul_line(text, length);
    if (nul)
        return error_null(err, ERR_CONF_SYNTAX, "line %zu: there is a NUL byte; a configuration is text, write it "
                          "without", nul);
    struct reader reader = {.arena = arena, .at = text, .end = text + length, .line = 1, .err = err};
    struct xl_file *file = arena_struct(arena, struct xl_file);
    file->arena = arena;
    for (skip(&reader, true); reader.at < reader.end; skip(&reader, true)) {
        if (*reader.at == ';')
            reader.at++;
        else if (read_assignment(&reader, file) < 0)
            return NULL;
    }
    return file;
}

const struct xl_setting *xl_find(const struct xl_file *file, const char *name)
{
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->setting[i].name, name) == 0)
            return &file->setting[i];
    return NULL;
}

int xl_wrong(struct error *err, const struct xl_value *value, const char *name, const char *format, ...)
{
    scoped_text struct text message = {0};
    va_list args;
    va_start(args, format);
    text_vprintf(&message, format, args);
    va_end(args);
    return error_set(err, ERR_CONF_SYNTAX, "line %u: setting '%s': %s", value->line, name, text_string(&message));
}

int xl_text(const struct xl_file *file, const char *name, const char **value, struct error *err)
{
    const struct xl_setting *setting = xl_find(file, name);
    if (!setting)
        return 0;
    if (setting->value->kind != XL_ATOM)
        return xl_wrong(err, setting->value, name, "a list stands where a string belongs");
    if (*setting->value->text)
        *value = setting->value->text;
    return 0;
}

int xl_number(const struct xl_file *file, const char *name, uint64_t max, uint64_t *value, struct error *err)
{
    const char *text = NULL;
    uint64_t number;
    if (xl_text(file, name, &text, err) < 0)
        return -1;
    if (!text)
        return 0;
    if ((parse_u64(text, 10, &number) < 0 && parse_u64(text, 0, &number) < 0) || number > max)
        return xl_wrong(err, xl_find(file, name)->value, name, "'%.40s' is no number from 0 to %llu", text,
                        (unsigned long long)max);
    *value = number;
    return 0;
}

int xl_flag(const struct xl_file *file, const char *name, bool *value, struct error *err)
{
    uint64_t number = *value;
    if (xl_number(file, name, UINT32_MAX, &number, err) < 0)
        return -1;
    *value = number != 0;
    return 0;
}

const struct xl_value *xl_item(const struct xl_file *file, const char *name, size_t index)
{
    const struct xl_setting *setting = xl_find(file, name);
    if (!setting)
        return NULL;
    if (setting->value->kind == XL_ATOM)
        return index == 0 && *setting->value->text ? setting->value : NULL;
    return index < setting->value->count ? setting->value->item[index] : NULL;
}
