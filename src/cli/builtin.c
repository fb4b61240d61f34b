/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/shell.h"

static int run_cd(struct invocation *in, struct error *err)
{
    if (!in->shell->interactive)
        return error_set(err, ERR_OPERATION_INVALID, "cd makes sense in the interactive shell only");
    const char *folder = option_text(in, "dir");
    if (!folder)
        folder = getenv("HOME");
    if (!folder) {
        struct passwd *user = getpwuid(getuid());
        folder = user ? user->pw_dir : "/";
    }
    if (chdir(folder) < 0)
        return error_system(err, errno, "cannot change to the directory '%s'", folder);
    return 0;
}

static int run_pwd(struct invocation *in, struct error *err)
{
    char path[PATH_MAX];
    if (!getcwd(path, sizeof path))
        return error_system(err, errno, "cannot tell the current directory");
    output_string(in, "directory", path);
    return 0;
}

/* "a,b,,c" is "a" and "b,c". */
static void append_split(struct text *out, const char *word)
{
    for (; *word; word++) {
        if (*word == ',' && word[1] == ',')
            text_append_char(out, *word++);
        else
            text_append_char(out, *word == ',' ? '\n' : *word);
    }
    text_append(out, "\n");
}

static int run_echo(struct invocation *in, struct error *err)
{
    scoped_text struct text out = {0};
    if (option_exclusive(in, err, "shell", "xml", "split", NULL) < 0)
        return -1;
    for (size_t i = 0; i < in->rest_count; i++) {
        scoped_text struct text word = {0};
        if (option_given(in, "xml"))
            text_append_xml(&word, in->rest[i]);
        else
            text_append(&word, in->rest[i]);
        if (i && !option_given(in, "split"))
            text_append(&out, " ");
        if (option_given(in, "split"))
            append_split(&out, text_string(&word));
        else if (option_given(in, "shell"))
            text_append_quoted(&out, text_string(&word));
        else
            text_append(&out, text_string(&word));
    }
    if (option_given(in, "err"))
        fputs(text_string(&out), stderr);
    else
        output_document(in, "text", text_string(&out));
    return 0;
}

static int run_quit(struct invocation *in, struct error *err)
{
    in->shell->quitting = true;
    return 0;
}

static const struct command_option cd_options[] = {
    {"dir", OPTION_STRING, 0, "where to; without it the home directory"},
    {0},
};

static const struct command_option echo_options[] = {
    {"shell", OPTION_BOOL, 0, "quote each word for a shell"},
    {"xml", OPTION_BOOL, 0, "escape each word for XML"},
    {"split", OPTION_BOOL, 0, "one line for each part between commas; ,, is a comma"},
    {"err", OPTION_BOOL, 0, "print on stderr"},
    {"str", OPTION_ALIAS, 0, "string"},
    {"string", OPTION_REST, OPTION_EMPTY_OK, "words to print"},
    {0},
};

const struct command builtin_commands[] = {
    {"cd", "virsh", "change the current directory", NULL, cd_options, run_cd, COMMAND_NO_CONNECTION},
    {"echo", "virsh", "print words", "Prints its words, quoted for a shell or XML when asked: a way to see how a line "
     "is understood.", echo_options, run_echo, COMMAND_NO_CONNECTION},
    {"exit", "virsh", "leave the interactive shell", NULL, NULL, run_quit, COMMAND_NO_CONNECTION},
    {"pwd", "virsh", "print the current directory", NULL, NULL, run_pwd, COMMAND_NO_CONNECTION},
    {"quit", "virsh", "leave the interactive shell", NULL, NULL, run_quit, COMMAND_NO_CONNECTION},
    {0},
};
