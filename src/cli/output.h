/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "cli/command.h"

/* What a command prints goes through here, so that it exists as a table and as JSON alike. */

enum output_format { OUTPUT_TABLE, OUTPUT_JSON };

/* 0 or -1 with the allowed words. */
int output_parse(const char *word, enum output_format *format, struct error *err);
/* What this invocation was asked for. */
bool output_is_json(const struct invocation *in);

/* Only when not --quiet: banners, headings, "Domain ... started". */
void output_note(const struct invocation *in, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A message on stderr (and in the log): "error: ...". */
void output_error(struct shell *shell, const struct error *err);
/* What the program does, when -d asks for that much: level 0 most detailed ... 4 errors only. */
void output_debug(struct shell *shell, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));
void output_warning(struct shell *shell, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints the value as indented JSON and releases it. */
void output_json(json_t *value);

/* One value: alone on a line, or a JSON object with this one member; takes the JSON value over. */
void output_value(const struct invocation *in, const char *key, const char *text, json_t *json);
void output_string(const struct invocation *in, const char *key, const char *value);
void output_number(const struct invocation *in, const char *key, uint64_t value);
/* A document with its own line ends: as it is, or in a JSON object. */
void output_document(const struct invocation *in, const char *key, const char *text);

/* How a cell's text becomes JSON: "-" and "" of a number are null. */
enum cell_kind { CELL_TEXT, CELL_NUMBER, CELL_YES_NO };

struct column {
    const char *key;   /* in JSON */
    const char *title; /* in the table; NULL = JSON only */
    enum cell_kind kind;
};

/* Rows of cells under titles, aligned by terminal columns. */
struct table;
struct table *table_new(struct arena *arena, const struct column *columns, size_t count);
/* Adds a row: as many strings as there are columns; they are copied. NULL = "-" or null. */
void table_row(struct table *table, ...);
/* The table, then nothing; or a JSON array of objects. --quiet leaves the heading out. */
void table_print(const struct table *table, const struct invocation *in);

/* Facts about one thing: "Label:   value" lines, or one JSON object. */
struct record;
struct record *record_new(struct arena *arena);
/* value NULL: "-" or null. unit (may be NULL) follows the value in the lines. */
void record_text(struct record *record, const char *key, const char *label, const char *value);
void record_number(struct record *record, const char *key, const char *label, uint64_t value, const char *unit);
void record_signed(struct record *record, const char *key, const char *label, int64_t value, const char *unit);
/* Ready text for people, a number or text for JSON. Takes the JSON value over. label NULL: JSON only. */
void record_add(struct record *record, const char *key, const char *label, const char *text, json_t *json);
/* A line in words of its own instead of label and value. key NULL: for people only. Takes the JSON value over. */
void record_line(struct record *record, const char *key, json_t *json, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Lines with values in column `width` (0: as the longest label asks). */
void record_print(const struct record *record, const struct invocation *in, size_t width);

/* Records one after another: their lines, or one JSON array that listing_end() prints. */
struct listing {
    const struct invocation *in;
    json_t *rows;
};
void listing_init(struct listing *listing, const struct invocation *in);
void listing_add(struct listing *listing, const struct record *record, size_t width);
/* A record of one line. */
void listing_word(struct listing *listing, const char *key, const char *word);
void listing_end(struct listing *listing);
void listing_finish(struct listing *listing); /* releases; harmless after the end */
#define scoped_listing scope_cleanup(listing_finish)

/* Bytes as people read them: the value, and its unit in *unit ("B", "KiB", ...). */
double human_size(uint64_t bytes, const char **unit);
