/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <termios.h>

#include "base/fiber.h"
#include "cli/command.h"

/* Another descriptor for what stdin is, to wait on: waiting makes a descriptor non-blocking, and stdin's file is shared
 * with stdout and with whoever started us. -1 when it is neither a terminal nor a pipe. */
int terminal_open_input(void);

/* Raw mode: every key comes at once and unchanged. */
struct raw_terminal {
    struct termios before;
    bool active;
};
int raw_terminal_begin(struct raw_terminal *raw, struct error *err);
void raw_terminal_end(struct raw_terminal *raw); /* harmless when it never began */

/* Catches SIGINT and SIGTERM while it lives, so that a command can end what it does in good order. A second SIGINT
 * within a second of the first ends the program as usual. */
struct interrupt;
struct interrupt *interrupt_new(struct condition *wake); /* wake: woken at the signal; NULL = nobody */
void interrupt_free(struct interrupt *interrupt);
bool interrupt_came(const struct interrupt *interrupt);
DEFINE_SCOPED(interrupt_scope, struct interrupt *, interrupt_free)
#define scoped_interrupt scope_cleanup(interrupt_scope)

/* Lets the person change a text in $VISUAL, $EDITOR or vi. The suffix of the temporary file tells the editor what it is
 * (".xml"). Waits. NULL on failure; *unchanged says that nothing was changed. */
char *terminal_edit(struct arena *arena, const char *text, const char *suffix, bool *unchanged, struct error *err);
/* Asks a question that one of the letters in `choices` answers; the letter, or 0 at the end of the input. */
char terminal_ask(const char *question, const char *choices);
