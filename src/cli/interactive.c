/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/fiber.h"
#include "base/files.h"
#include "base/text.h"
#include "cli/complete.h"
#include "cli/parse.h"
#include "cli/shell.h"
#include "cli/terminal.h"
#include "version.h"

#define HISTORY_SIZE_DEFAULT 500

/* The line editor of a person at a terminal. It reads through await_fd(), so that pings are answered at the prompt. */
struct editor {
    struct shell *shell;
    EditLine *edit;
    History *history;
    char *history_path; /* NULL = kept nowhere */
    int input;
};

static char *editor_prompt(EditLine *edit)
{
    struct editor *editor;
    el_get(edit, EL_CLIENTDATA, &editor);
    return editor->shell->readonly ? "godwit > " : "godwit # ";
}

static int editor_read(EditLine *edit, wchar_t *out)
{
    struct editor *editor;
    el_get(edit, EL_CLIENTDATA, &editor);
    mbstate_t state = {0};
    for (;;) {
        char byte;
        if (await_fd(editor->input, POLLIN, DEADLINE_NONE, NULL) < 0)
            return -1;
        ssize_t got = read(editor->input, &byte, 1);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got <= 0)
            return (int)got;
        size_t used = mbrtowc(out, &byte, 1, &state);
        if (used == (size_t)-1)
            memset(&state, 0, sizeof state); /* no character of this locale: dropped */
        else if (used != (size_t)-2)
            return 1;
    }
}

/* Candidates as they come. */
struct candidates {
    struct completion completion;
    const char **words;
    size_t count, capacity;
};

static void gather(struct completion *completion, const char *candidate)
{
    struct candidates *candidates = container_of(completion, struct candidates, completion);
    if (!string_starts(candidate, completion->prefix))
        return;
    *arena_grow(completion->arena, candidates->words, candidates->count, candidates->capacity, 16) =
        arena_strdup(completion->arena, candidate);
    candidates->count++;
}

static int compare_words(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* How long a beginning all of them share; sorted, the first and the last tell. */
static size_t common_length(const struct candidates *candidates)
{
    const char *first = candidates->words[0], *last = candidates->words[candidates->count - 1];
    size_t same = 0;
    while (first[same] && first[same] == last[same])
        same++;
    return same;
}

/* What is typed for the rest of a word, so that the parser reads it back: in an open quote as it is. */
static char *typed_rest(struct arena *arena, const char *rest, size_t length, char quote, bool whole)
{
    scoped_text struct text out = {0};
    for (size_t i = 0; i < length; i++) {
        const char *special = quote == '\'' ? "" : quote ? "\\\"" : " \t\\'\"#;";
        if (strchr(special, rest[i]) && *special)
            text_append_char(&out, '\\');
        text_append_char(&out, rest[i]);
    }
    if (whole && quote)
        text_append_char(&out, quote);
    if (whole)
        text_append_char(&out, ' ');
    return arena_strdup(arena, text_string(&out));
}

static void show_candidates(const struct candidates *candidates)
{
    putchar('\n');
    for (size_t i = 0; i < candidates->count; i++)
        printf("%s%s", i ? "  " : "", candidates->words[i]);
    putchar('\n');
}

static unsigned char editor_complete(EditLine *edit, int key)
{
    struct editor *editor;
    el_get(edit, EL_CLIENTDATA, &editor);
    scoped_arena struct arena *arena = arena_new();
    const LineInfo *line = el_line(edit);
    char **words, *empty = "", quote;
    bool open;
    size_t count = parse_partial(arena, arena_strndup(arena, line->buffer, line->cursor - line->buffer), &words, &open,
                                 &quote);
    if (!open)
        words[count++] = empty;
    struct candidates candidates = {.completion = {.shell = editor->shell, .arena = arena, .offer = gather}};
    complete_words(&candidates.completion, count, words);
    if (!candidates.count)
        return CC_ERROR;
    qsort(candidates.words, candidates.count, sizeof *candidates.words, compare_words);
    size_t typed = strlen(candidates.completion.prefix), more = common_length(&candidates) - typed;
    bool whole = candidates.count == 1;
    if (!more && !whole) {
        show_candidates(&candidates);
        return CC_REDISPLAY;
    }
    el_insertstr(edit, typed_rest(arena, candidates.words[0] + typed, more, quote, whole));
    return CC_REFRESH;
}

static char *history_path(void)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    scoped_free char *folder = cache && *cache == '/' ? xprintf("%s/godwit", cache)
                                                      : home ? xprintf("%s/.cache/godwit", home) : NULL;
    struct error ignored = {0};
    if (!folder || directory_make(folder, 0700, &ignored) < 0)
        return NULL;
    return xprintf("%s/history", folder);
}

static void editor_init(struct editor *editor, struct shell *shell, int input)
{
    *editor = (struct editor){.shell = shell, .input = input, .history_path = history_path()};
    editor->edit = el_init("godwit", stdin, stdout, stderr);
    editor->history = history_init();
    HistEvent event;
    uint32_t size;
    const char *wanted = getenv("VIRSH_HISTSIZE");
    if (!wanted || parse_u32(wanted, 10, &size) < 0 || size > 1000000)
        size = HISTORY_SIZE_DEFAULT;
    history(editor->history, &event, H_SETSIZE, (int)size);
    history(editor->history, &event, H_SETUNIQUE, 1);
    if (editor->history_path)
        history(editor->history, &event, H_LOAD, editor->history_path);
    el_set(editor->edit, EL_CLIENTDATA, editor);
    el_set(editor->edit, EL_PROMPT, editor_prompt);
    el_set(editor->edit, EL_EDITOR, "emacs");
    el_set(editor->edit, EL_SIGNAL, 1);
    el_set(editor->edit, EL_HIST, history, editor->history);
    el_set(editor->edit, EL_GETCFN, editor_read);
    el_wset(editor->edit, EL_ADDFN, L"godwit-complete", L"complete the word", editor_complete); /* el_set would leak */
    el_set(editor->edit, EL_BIND, "^I", "godwit-complete", NULL);
    el_source(editor->edit, NULL);
}

static void editor_finish(struct editor *editor)
{
    HistEvent event;
    if (editor->history_path)
        history(editor->history, &event, H_SAVE, editor->history_path);
    history_end(editor->history);
    el_end(editor->edit);
    free(editor->history_path);
}

static int interact_terminal(struct shell *shell, int input)
{
    struct editor editor;
    editor_init(&editor, shell, input);
    if (!shell->quiet)
        printf("godwit %s: 'help' explains the commands, 'quit' leaves.\n\n", GODWIT_VERSION);
    int length;
    const char *line;
    while (!shell->quitting && (line = el_gets(editor.edit, &length)) && length > 0) {
        HistEvent event;
        scoped_free char *copy = xstrdup(line);
        if (copy[strspn(copy, " \t\n")])
            history(editor.history, &event, H_ENTER, copy);
        shell_run_line(shell, copy);
    }
    if (!shell->quitting)
        putchar('\n');
    editor_finish(&editor);
    return 0;
}

/* Lines from a file or a pipe: no prompt and no greeting among the output. */
static int interact_stream(struct shell *shell)
{
    scoped_free char *line = NULL;
    size_t size = 0;
    while (!shell->quitting && getline(&line, &size, stdin) > 0)
        shell_run_line(shell, line);
    return 0;
}

int shell_interact(struct shell *shell)
{
    struct error err = {0};
    shell->interactive = true;
    if (shell->uri_named && shell_connect(shell, &err) < 0) { /* the default one can wait until it is needed */
        output_error(shell, &err);
        return -1;
    }
    scoped_fd int input = isatty(STDIN_FILENO) ? terminal_open_input() : -1;
    return input >= 0 ? interact_terminal(shell, input) : interact_stream(shell);
}
