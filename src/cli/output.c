/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/output.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "cli/shell.h"

int output_parse(const char *word, enum output_format *format, struct error *err)
{
    if (strcmp(word, "table") != 0 && strcmp(word, "json") != 0)
        return error_set(err, ERR_INVALID_ARG, "--output takes 'table' or 'json', not '%s'", word);
    *format = strcmp(word, "json") == 0 ? OUTPUT_JSON : OUTPUT_TABLE;
    return 0;
}

bool output_is_json(const struct invocation *in)
{
    enum output_format format = in->shell->format;
    if (in->output)
        output_parse(in->output, &format, NULL); /* the parser has refused other words */
    return format == OUTPUT_JSON;
}

void output_note(const struct invocation *in, const char *format, ...)
{
    if (in->shell->quiet || output_is_json(in))
        return;
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
}

static void log_line(struct shell *shell, const char *level, const char *message)
{
    if (!shell->log)
        return;
    char stamp[32];
    time_t now = time(NULL);
    struct tm tm;
    strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S%z", localtime_r(&now, &tm));
    fprintf(shell->log, "%s %s: %s\n", stamp, level, message);
    fflush(shell->log);
}

void output_error(struct shell *shell, const struct error *err)
{
    fflush(stdout);
    fprintf(stderr, "error: %s\n", err->message);
    log_line(shell, "error", err->message);
}

static void say(struct shell *shell, const char *level, const char *format, va_list args)
{
    scoped_text struct text message = {0};
    text_vprintf(&message, format, args);
    fflush(stdout);
    fprintf(stderr, "%s: %s\n", level, text_string(&message));
    log_line(shell, level, text_string(&message));
}

void output_warning(struct shell *shell, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(shell, "warning", format, args);
    va_end(args);
}

void output_debug(struct shell *shell, int level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (level >= shell->debug)
        say(shell, "debug", format, args);
    va_end(args);
}

void output_json(json_t *value)
{
    json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    putchar('\n');
    json_decref(value);
}

/* What is no UTF-8 cannot stand in JSON. */
static json_t *text_json(const char *text)
{
    json_t *json = text ? json_string(text) : NULL;
    return json ? json : json_null();
}

static void print_member(const char *key, json_t *json)
{
    json_t *object = json_object();
    json_object_set_new(object, key, json);
    output_json(object);
}

void output_value(const struct invocation *in, const char *key, const char *text, json_t *json)
{
    if (output_is_json(in)) {
        print_member(key, json);
        return;
    }
    puts(text);
    json_decref(json);
}

void output_string(const struct invocation *in, const char *key, const char *value)
{
    output_value(in, key, value, text_json(value));
}

void output_number(const struct invocation *in, const char *key, uint64_t value)
{
    output_value(in, key, arena_printf(in->arena, "%llu", (unsigned long long)value), json_integer((json_int_t)value));
}

void output_document(const struct invocation *in, const char *key, const char *text)
{
    if (output_is_json(in))
        print_member(key, text_json(text));
    else
        fputs(text, stdout);
}

struct table {
    struct arena *arena;
    const struct column *columns;
    size_t column_count, row_count, row_capacity;
    const char **cells; /* row_count * column_count */
};

struct table *table_new(struct arena *arena, const struct column *columns, size_t count)
{
    struct table *table = arena_struct(arena, struct table);
    *table = (struct table){.arena = arena, .columns = columns, .column_count = count};
    return table;
}

void table_row(struct table *table, ...)
{
    if (table->row_count == table->row_capacity) {
        size_t capacity = table->row_capacity ? table->row_capacity * 2 : 16;
        const char **grown = arena_new_array(table->arena, capacity * table->column_count, const char *);
        if (table->row_count)
            memcpy(grown, table->cells, table->row_count * table->column_count * sizeof *grown);
        table->cells = grown;
        table->row_capacity = capacity;
    }
    va_list args;
    va_start(args, table);
    for (size_t i = 0; i < table->column_count; i++)
        table->cells[table->row_count * table->column_count + i] =
            arena_strdup(table->arena, va_arg(args, const char *));
    va_end(args);
    table->row_count++;
}

static json_t *cell_json(const char *cell, enum cell_kind kind)
{
    if (!cell)
        return json_null();
    int64_t number;
    double real;
    switch (kind) {
    case CELL_NUMBER:
        if (parse_i64(cell, 10, &number) == 0)
            return json_integer(number);
        return parse_double(cell, &real) == 0 ? json_real(real) : json_null();
    case CELL_YES_NO: return json_boolean(strcmp(cell, "yes") == 0);
    default: return json_string(cell);
    }
}

static json_t *table_json(const struct table *table)
{
    json_t *rows = json_array();
    for (size_t row = 0; row < table->row_count; row++) {
        json_t *object = json_object();
        for (size_t i = 0; i < table->column_count; i++)
            json_object_set_new(object, table->columns[i].key,
                                cell_json(table->cells[row * table->column_count + i], table->columns[i].kind));
        json_array_append_new(rows, object);
    }
    return rows;
}

static void line_print(const struct table *table, const char *const *cells, const size_t *widths)
{
    scoped_text struct text line = {0};
    size_t padding = 1;
    for (size_t i = 0; i < table->column_count; i++) {
        if (!table->columns[i].title)
            continue;
        const char *cell = cells ? cells[i] ? cells[i] : "-" : table->columns[i].title;
        text_printf(&line, "%*s%s", (int)padding, "", cell);
        padding = widths[i] - utf8_width(cell) + 3;
    }
    puts(text_string(&line));
}

void table_print(const struct table *table, const struct invocation *in)
{
    if (output_is_json(in)) {
        output_json(table_json(table));
        return;
    }
    scoped_arena struct arena *arena = arena_new();
    size_t *widths = arena_new_array(arena, table->column_count, size_t), total = 0;
    bool quiet = in->shell->quiet;
    for (size_t i = 0; i < table->column_count; i++) {
        if (!table->columns[i].title)
            continue;
        widths[i] = quiet ? 0 : utf8_width(table->columns[i].title);
        for (size_t row = 0; row < table->row_count; row++) {
            const char *cell = table->cells[row * table->column_count + i];
            size_t width = utf8_width(cell ? cell : "-");
            widths[i] = width > widths[i] ? width : widths[i];
        }
        total += widths[i] + 3;
    }
    if (!quiet) {
        line_print(table, NULL, widths);
        for (size_t i = 0; i < total; i++)
            putchar('-');
        putchar('\n');
    }
    for (size_t row = 0; row < table->row_count; row++)
        line_print(table, table->cells + row * table->column_count, widths);
}

struct fact {
    struct fact *next;
    const char *key, *label, *text; /* text without a label is a line of its own */
    json_t *json;
};

struct record {
    struct arena *arena;
    struct fact *first, **last;
};

struct record *record_new(struct arena *arena)
{
    struct record *record = arena_struct(arena, struct record);
    *record = (struct record){.arena = arena};
    record->last = &record->first;
    return record;
}

static void add_fact(struct record *record, const char *key, const char *label, const char *text, json_t *json)
{
    struct fact *fact = arena_struct(record->arena, struct fact);
    *fact = (struct fact){.key = key, .label = label, .text = text, .json = json};
    *record->last = fact;
    record->last = &fact->next;
}

void record_add(struct record *record, const char *key, const char *label, const char *text, json_t *json)
{
    add_fact(record, key, label, label ? arena_strdup(record->arena, text) : NULL, json);
}

void record_line(struct record *record, const char *key, json_t *json, const char *format, ...)
{
    scoped_text struct text line = {0};
    va_list args;
    va_start(args, format);
    text_vprintf(&line, format, args);
    va_end(args);
    add_fact(record, key, NULL, arena_strdup(record->arena, text_string(&line)), json);
}

void record_text(struct record *record, const char *key, const char *label, const char *value)
{
    record_add(record, key, label, value ? value : "-", text_json(value));
}

void record_number(struct record *record, const char *key, const char *label, uint64_t value, const char *unit)
{
    record_add(record, key, label, arena_printf(record->arena, "%llu%s%s", (unsigned long long)value, unit ? " " : "",
               unit ? unit : ""), json_integer((json_int_t)value));
}

void record_signed(struct record *record, const char *key, const char *label, int64_t value, const char *unit)
{
    record_add(record, key, label, arena_printf(record->arena, "%lld%s%s", (long long)value, unit ? " " : "",
               unit ? unit : ""), json_integer(value));
}

static json_t *record_json(const struct record *record)
{
    json_t *object = json_object();
    for (struct fact *fact = record->first; fact; fact = fact->next)
        if (fact->key)
            json_object_set_new(object, fact->key, steal(fact->json));
    return object;
}

static void record_lines(const struct record *record, size_t width)
{
    for (struct fact *fact = record->first; fact && !width; fact = fact->next)
        for (struct fact *each = record->first; each; each = each->next)
            width = each->label && utf8_width(each->label) + 2 > width ? utf8_width(each->label) + 2 : width;
    for (struct fact *fact = record->first; fact; fact = fact->next) {
        size_t used = fact->label ? utf8_width(fact->label) + 1 : 0;
        if (fact->label)
            printf("%s:%*s%s\n", fact->label, (int)(used < width ? width - used : 1), "", fact->text);
        else if (fact->text)
            puts(fact->text);
        json_decref(steal(fact->json));
    }
}

void record_print(const struct record *record, const struct invocation *in, size_t width)
{
    if (output_is_json(in))
        output_json(record_json(record));
    else
        record_lines(record, width);
}

void listing_init(struct listing *listing, const struct invocation *in)
{
    *listing = (struct listing){.in = in, .rows = json_array()};
}

void listing_add(struct listing *listing, const struct record *record, size_t width)
{
    if (output_is_json(listing->in))
        json_array_append_new(listing->rows, record_json(record));
    else
        record_lines(record, width);
}

void listing_word(struct listing *listing, const char *key, const char *word)
{
    struct record *record = record_new(listing->in->arena);
    record_line(record, key, text_json(word), "%s", word);
    listing_add(listing, record, 0);
}

void listing_end(struct listing *listing)
{
    if (output_is_json(listing->in))
        output_json(steal(listing->rows));
}

void listing_finish(struct listing *listing)
{
    json_decref(listing->rows);
}

double human_size(uint64_t bytes, const char **unit)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t step = 0;
    for (; value >= 1024 && step + 1 < COUNT(units); step++)
        value /= 1024;
    *unit = units[step];
    return value;
}
