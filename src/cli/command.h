/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/list.h"

struct shell;
struct invocation;

/* A command is a row: what the parser, help, the man page, completion and the dispatcher know about it. */

enum option_type {
    OPTION_BOOL,   /* --name */
    OPTION_STRING, /* --name TEXT */
    OPTION_NUMBER, /* --name N */
    OPTION_REST,   /* all words that are left; may be given several times */
    OPTION_ALIAS,  /* another name for the option that `help` names */
};

enum option_flag {
    OPTION_REQUIRED = 1,
    OPTION_NAMED = 2,    /* never taken from a word without --name */
    OPTION_EMPTY_OK = 4, /* "" is a value */
    OPTION_ALONE = 8,    /* with it nothing else is required */
    OPTION_REPEATED = 16, /* may be given several times; the value is all of them, a line each */
};

/* Names that could stand where `prefix` does; calls offer() for each. Waits when it asks the daemon; its errors only
 * mean that there is nothing to offer. */
struct completion {
    struct shell *shell;
    struct arena *arena;
    const char *prefix;
    void (*offer)(struct completion *completion, const char *candidate);
};

struct command_option {
    const char *name;
    enum option_type type;
    unsigned flags;
    const char *help;
    void (*complete)(struct completion *completion);
};

enum command_flag {
    COMMAND_NO_CONNECTION = 1, /* works without a daemon */
    COMMAND_HIDDEN = 2,        /* not in help */
    COMMAND_ONE_DASH = 4,      /* -name is --name, as virt-v2v has it */
};

#define COMMAND_OPTIONS_MAX 96

struct command {
    const char *name;
    const char *group;
    const char *help;        /* one line, without a full stop */
    const char *description; /* sentences */
    const struct command_option *options; /* ends with name NULL; NULL = none */
    int (*run)(struct invocation *in, struct error *err);
    unsigned flags;
};

struct command_group {
    const char *name;
    const char *title;
};

extern const struct command_group command_groups[]; /* ends with name NULL */
/* Every command, grouped, by name within a group; ends with NULL. Made at the first call. */
const struct command *const *command_list(void);
const struct command *command_find(const char *name);
const struct command_group *command_group_find(const char *name);
/* The option of that name, aliases resolved; --output, which every command has, too. NULL when there is none. */
const struct command_option *command_option_find(const struct command *command, const char *name);

/* A command with its values, ready to run. */
struct invocation {
    struct list link;
    struct shell *shell;
    struct arena *arena; /* of the whole line */
    const struct command *command;
    const char *values[COMMAND_OPTIONS_MAX]; /* by row of command->options; a given OPTION_BOOL has "" */
    const char **rest;
    size_t rest_count;
    const char *output; /* --output; NULL = as the program was told */
};

/* Given or not. The name must be one of the command's own rows: anything else ends the program (a slip in a table). */
bool option_given(const struct invocation *in, const char *name);
/* The value, or NULL. */
const char *option_text(const struct invocation *in, const char *name);
/* The words of OPTION_REST from one on, joined by blanks. */
char *invocation_rest(const struct invocation *in, size_t from);
/* Return 1 and the value, 0 when it was not given (value untouched), -1 when it is no number or outside the range. */
int option_i64(const struct invocation *in, const char *name, int64_t min, int64_t max, int64_t *value,
               struct error *err);
int option_u64(const struct invocation *in, const char *name, uint64_t max, uint64_t *value, struct error *err);
int option_i32(const struct invocation *in, const char *name, int32_t min, int32_t *value, struct error *err);
/* A size with a unit (b, k, KiB, KB, M, ...): 1024-based letters and ...iB, 1000-based ...B. Without a unit it counts
 * in `scale` bytes. The value is in bytes. */
int option_size(const struct invocation *in, const char *name, uint64_t scale, uint64_t *bytes, struct error *err);
/* ERR_INVALID_ARG when two of the named options (ends with NULL) were given together. */
int option_exclusive(const struct invocation *in, struct error *err, ...) __attribute__((sentinel));

/* error_wrap(), unless the message begins with these very words already: Godwit's daemon words its errors completely,
 * libvirtd leaves the object out. Returns -1. */
int command_failed(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define command_failed_null(...) (command_failed(__VA_ARGS__), NULL)

/* The tables, one in each file of commands; each ends with name NULL. */
extern const struct command agent_commands[], pin_commands[], tune_commands[], builtin_commands[], help_commands[],
    complete_commands[], connection_commands[], host_commands[], host_cpu_commands[], host_memory_commands[],
    list_commands[], lifecycle_commands[], define_commands[], xml_commands[], text_commands[], info_commands[],
    device_commands[], stats_commands[], resource_commands[], display_commands[], console_commands[], event_commands[],
    monitor_commands[], job_commands[], migrate_commands[], evacuate_commands[], relay_commands[],
    native_commands[], convert_commands[],
    pool_commands[], pool_define_commands[], pool_event_commands[], pool_list_commands[], volume_commands[],
    volume_change_commands[], volume_stream_commands[], secret_commands[], image_commands[];
