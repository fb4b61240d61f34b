/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/terminal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/files.h"
#include "base/loop.h"
#include "base/process.h"

#define EDIT_SIZE_MAX (16 << 20)

int terminal_open_input(void)
{
    struct stat kind;
    if (fstat(STDIN_FILENO, &kind) < 0 || !(isatty(STDIN_FILENO) || S_ISFIFO(kind.st_mode)))
        return -1;
    return open("/proc/self/fd/0", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
}

int raw_terminal_begin(struct raw_terminal *raw, struct error *err)
{
    if (tcgetattr(STDIN_FILENO, &raw->before) < 0)
        return error_system(err, errno, "standard input is no terminal");
    struct termios now = raw->before;
    cfmakeraw(&now);
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &now) < 0)
        return error_system(err, errno, "cannot set the terminal to raw mode");
    raw->active = true;
    return 0;
}

void raw_terminal_end(struct raw_terminal *raw)
{
    if (raw->active)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &raw->before);
    raw->active = false;
}

struct interrupt {
    uv_signal_t signals[2];
    struct condition *wake;
    bool came;
    unsigned open_handles;
};

static void interrupt_signal(uv_signal_t *handle, int number)
{
    struct interrupt *interrupt = handle->data;
    if (interrupt->came) { /* asked twice: the polite way takes too long */
        signal(number, SIG_DFL);
        raise(number);
    }
    interrupt->came = true;
    if (interrupt->wake)
        condition_wake(interrupt->wake);
}

struct interrupt *interrupt_new(struct condition *wake)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    struct interrupt *interrupt = xcalloc(1, sizeof *interrupt);
    interrupt->wake = wake;
    for (size_t i = 0; i < COUNT(numbers); i++) {
        uv_signal_init(loop_get(), &interrupt->signals[i]);
        interrupt->signals[i].data = interrupt;
        uv_signal_start(&interrupt->signals[i], interrupt_signal, numbers[i]);
        interrupt->open_handles++;
    }
    return interrupt;
}

static void interrupt_closed(uv_handle_t *handle)
{
    struct interrupt *interrupt = handle->data;
    if (--interrupt->open_handles == 0)
        free(interrupt);
}

void interrupt_free(struct interrupt *interrupt)
{
    for (size_t i = 0; interrupt && i < COUNT(interrupt->signals); i++)
        uv_close((uv_handle_t *)&interrupt->signals[i], interrupt_closed);
}

bool interrupt_came(const struct interrupt *interrupt)
{
    return interrupt->came;
}

/* The editor's words: split at blanks, so that EDITOR='code --wait' works. */
static struct argv *editor_argv(struct arena *arena, const char *path)
{
    const char *editor = getenv("VISUAL");
    if (!editor || !*editor)
        editor = getenv("EDITOR");
    struct argv *argv = argv_new(arena);
    char *words = arena_strdup(arena, editor && *editor ? editor : "vi"), *rest = words;
    for (char *word; (word = strsep(&rest, " \t"));)
        if (*word)
            argv_add(argv, word);
    argv_add(argv, path);
    return argv;
}

static int editor_run(struct arena *arena, const char *path, struct error *err)
{
    struct argv *argv = editor_argv(arena, path);
    struct process_options options = {.stdin_fd = STDIN_FILENO, .stdout_fd = STDOUT_FILENO, .stderr_fd = STDERR_FILENO};
    fflush(stdout);
    scoped_process struct process *process = process_spawn(argv, &options, err);
    if (!process)
        return error_wrap(err, "cannot start the editor (set $EDITOR to another one)");
    if (process_wait(process, DEADLINE_NONE, err) < 0)
        return -1;
    int status = process_status(process);
    if (status != 0)
        return error_set(err, ERR_INTERNAL_ERROR, "the editor '%s' ended with %s; nothing is changed", argv->items[0],
                         process_status_text(arena, status));
    return 0;
}

char *terminal_edit(struct arena *arena, const char *text, const char *suffix, bool *unchanged, struct error *err)
{
    const char *folder = getenv("TMPDIR");
    char *path = arena_printf(arena, "%s/godwit-XXXXXX%s", folder && *folder ? folder : "/tmp", suffix);
    scoped_fd int fd = mkostemps(path, (int)strlen(suffix), O_CLOEXEC); /* mode 0600: it may hold secrets */
    if (fd < 0)
        return error_null_system(err, errno, "cannot make a temporary file '%s'", path);
    char *after = NULL;
    size_t length = strlen(text);
    if (write(fd, text, length) != (ssize_t)length)
        error_system(err, errno, "cannot write '%s'", path);
    else if (editor_run(arena, path, err) == 0)
        after = file_read(arena, path, EDIT_SIZE_MAX, NULL, err);
    unlink(path);
    *unchanged = after && strcmp(after, text) == 0;
    return after;
}

char terminal_ask(const char *question, const char *choices)
{
    for (;;) {
        printf("%s [%s] ", question, choices);
        fflush(stdout);
        int answer = getchar(), rest = answer;
        while (rest != EOF && rest != '\n')
            rest = getchar();
        if (answer == EOF)
            return 0;
        if (answer != '\n' && strchr(choices, tolower(answer)))
            return (char)tolower(answer);
    }
}
