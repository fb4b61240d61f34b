/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

/* The grammar of Xen's configuration files: xl's (xl.cfg(5)) and, of xm's, which are Python, what is a literal
 * assignment: NAME = 'string' | "string" | number | True | False | None | [ value, ... ] | ( value, ... ), with +=, ;
 * between assignments, # comments, and strings beside each other, which are one. Anything else is an error that names
 * its line: nothing is evaluated. */

#define XL_SIZE_MAX   (1u << 20)
#define XL_VALUES_MAX 16384 /* in one file */
#define XL_DEPTH_MAX  4     /* of lists in lists */

enum xl_kind { XL_ATOM, XL_LIST };

struct xl_value {
    enum xl_kind kind;
    const char *text;       /* of an atom: UTF-8 without control characters but tab; a number as it is written */
    struct xl_value **item; /* of a list */
    size_t count, capacity;
    unsigned line;
};

struct xl_setting {
    const char *name;
    struct xl_value *value;
    unsigned line;
};

struct xl_file {
    struct arena *arena;
    struct xl_setting *setting; /* each name once: the last assignment counts */
    size_t count, capacity;
};

/* Everything lies in the arena. NULL with ERR_CONF_SYNTAX, "line N: ..." */
struct xl_file *xl_parse(struct arena *arena, const char *text, size_t length, struct error *err);
/* NULL when the file does not have it. */
const struct xl_setting *xl_find(const struct xl_file *file, const char *name);

/* The values of settings. A missing one leaves the target untouched and is no error; one of another kind is
 * ERR_CONF_SYNTAX with its line. Numbers are decimal or 0x..., quoted or not. */
int xl_text(const struct xl_file *file, const char *name, const char **value, struct error *err);
int xl_number(const struct xl_file *file, const char *name, uint64_t max, uint64_t *value, struct error *err);
int xl_flag(const struct xl_file *file, const char *name, bool *value, struct error *err);
/* A list of texts; an atom counts as a list of one. The item of index, NULL behind the last one or when the setting is
 * missing. */
const struct xl_value *xl_item(const struct xl_file *file, const char *name, size_t index);

/* ERR_CONF_SYNTAX, "line N: setting 'NAME': MESSAGE". Returns -1. */
int xl_wrong(struct error *err, const struct xl_value *value, const char *name, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
