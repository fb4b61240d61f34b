/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/fiber.h"
#include "base/loop.h"
#include "cli/program.h"

/* godwit: options, then either one line, or the words of one command, or the interactive shell; all in one fiber. */
struct program {
    int argc;
    char **argv;
    int status;
};

/* Called as virt-v2v it is one command with that program's options, none of which is godwit's own. */
static bool is_virt_v2v(const struct program *program)
{
    return program->argc > 0 && strcmp(basename(program->argv[0]), "virt-v2v") == 0;
}

static int convert_run(struct program *program, struct shell *shell)
{
    char **words = xcalloc((size_t)program->argc, sizeof *words);
    memcpy(words, program->argv, (size_t)program->argc * sizeof *words);
    words[0] = "convert";
    int result = shell_run_words(shell, program->argc, words);
    free(words);
    return result;
}

static int program_run(struct program *program, struct shell *shell)
{
    if (is_virt_v2v(program))
        return convert_run(program, shell);
    struct error err = {0};
    int first;
    if (program_parse(shell, program->argc, program->argv, &first, &err) < 0) {
        output_error(shell, &err);
        return -1;
    }
    if (shell->quitting)
        return 0;
    int left = program->argc - first;
    if (left == 0)
        return shell_interact(shell);
    if (left == 1 && !*program->argv[first]) { /* a script's empty variable, most likely */
        error_set(&err, ERR_INVALID_ARG, "the command is empty; 'help' lists the commands");
        output_error(shell, &err);
        return -1;
    }
    return left == 1 ? shell_run_line(shell, program->argv[first])
                     : shell_run_words(shell, left, program->argv + first);
}

static void program_fiber(void *argument)
{
    struct program *program = argument;
    struct shell shell;
    shell_init(&shell);
    program->status = program_run(program, &shell) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
    shell_finish(&shell);
    loop_stop();
}

int main(int argc, char **argv)
{
    setlocale(LC_ALL, "");
    signal(SIGPIPE, SIG_IGN);
    struct program program = {.argc = argc, .argv = argv};
    fiber_start("godwit", program_fiber, &program);
    loop_run();
    if (fflush(stdout) != 0)
        program.status = EXIT_FAILURE;
    return program.status;
}
