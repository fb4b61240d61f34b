/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/command.h"

/* virsh's grammar. A line: words separated by blanks, '...' and "..." (where \ still counts) and \ quote, # begins a
 * comment, ; separates commands. Arguments of the program are words already, and a ; in them is text.
 * A command: NAME then, in any order, --option, --option VALUE, --option=VALUE, and words, which go to the options that
 * still want a value in the order of the table. After -- everything is a word. */

/* Appends an invocation for each command to the list; an empty line makes none. Nothing runs when any of them is wrong.
 * --help after a command becomes `help COMMAND`. */
int parse_line(struct shell *shell, struct arena *arena, const char *line, struct list *invocations, struct error *err);
int parse_words(struct shell *shell, struct arena *arena, int count, char *const *words, struct list *invocations,
                struct error *err);

/* Cuts a line that is not finished yet into words, for completion: those of its last command. An open quote ends at the
 * end. *open says whether the last word may still grow (no blank after it), *quote which quote is open in it, or 0.
 * Returns the number of words; there is room for one more. */
size_t parse_partial(struct arena *arena, const char *line, char ***words, bool *open, char *quote);

/* "<domain>", "--name <string>": how messages and help write an option. */
char *option_syntax(struct arena *arena, const struct command_option *option);
const char *option_type_name(const struct command_option *option);
