/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/process.h"

/* The programs of the host that the backends run. */

#define TOOL_MS         60000
#define TOOL_OUTPUT_MAX (4 << 20)

/* Runs the program with the words that follow, up to NULL, and collects its output (NULL: not wanted). Waits, at most
 * TOOL_MS. */
int tool_run(struct text *output, struct error *err, const char *program, ...) __attribute__((sentinel));
/* The same of a vector that was put together. */
int tool_run_argv(struct text *output, const struct argv *argv, struct error *err);
/* Whether the host has the program. Does not wait. */
bool tool_there(const char *program);
/* ERR_OPERATION_UNSUPPORTED with the package's name when it has not. For what only some pools of a kind need. */
int tool_require(const char *program, const char *package, struct error *err);
