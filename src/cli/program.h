/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/shell.h"

/* An option of the program itself; the parser, --help and the man page read the same rows. */
struct program_option {
    char letter;          /* 0 = none */
    const char *name;     /* NULL = none */
    const char *argument; /* NULL = takes none; "[=X]" = may take one */
    const char *help;
    int (*apply)(struct shell *shell, const char *value, struct error *err);
};

extern const struct program_option program_options[]; /* ends with help NULL */

/* Applies the options before the first word that is none; *first is that word's index. `-h`, `-v` and their like print
 * and set shell->quitting. 0 or -1. */
int program_parse(struct shell *shell, int argc, char **argv, int *first, struct error *err);
/* What --help prints. */
void program_usage(void);
