/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/error.h"
#include "cli/connection.h"
#include "cli/output.h"

/* One run of the program: what its options said, and the connection while there is one. */
struct shell {
    struct connection *connection; /* NULL = not connected */
    char *uri;                     /* what the next connection is made to */
    bool uri_named;                /* by -c: then it must work at once */
    bool readonly, quiet, timing, interactive;
    bool quitting;                 /* `quit` was typed */
    enum output_format format;
    char escape;                   /* ends a console */
    struct keepalive keepalive;
    int debug;                     /* 0 most ... 4 none, as virsh counts */
    FILE *log;
};

void shell_init(struct shell *shell);
/* Waits: closes the connection. */
void shell_finish(struct shell *shell);

/* Waits. Makes sure that there is a connection. */
int shell_connect(struct shell *shell, struct error *err);
/* The connection of the invocation; commands run only with one unless COMMAND_NO_CONNECTION. */
struct client *shell_client(const struct invocation *in);

/* Waits. Runs the commands of one line, or of the program's arguments, in turn; errors have been printed. Returns the
 * result of the last command: 0 or -1. */
int shell_run_line(struct shell *shell, const char *line);
int shell_run_words(struct shell *shell, int count, char *const *words);
/* Waits. Reads commands from stdin until `quit` or its end. */
int shell_interact(struct shell *shell);
