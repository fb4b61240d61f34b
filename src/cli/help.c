/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/help.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"
#include "cli/output.h"
#include "cli/parse.h"
#include "cli/program.h"
#include "version.h"

static void print_group(const struct command_group *group)
{
    printf(" %s (help keyword '%s'):\n", group->title, group->name);
    for (const struct command *const *command = command_list(); *command; command++)
        if (strcmp((*command)->group, group->name) == 0 && !((*command)->flags & COMMAND_HIDDEN))
            printf("    %-30s %s\n", (*command)->name, (*command)->help);
    putchar('\n');
}

void help_print_groups(void)
{
    for (const struct command_group *group = command_groups; group->name; group++)
        print_group(group);
}

/* The rows a person sees: aliases are left out. */
static const struct command_option *next_option(const struct command *command, const struct command_option *option)
{
    option = option ? option + 1 : command->options;
    while (option && option->name && option->type == OPTION_ALIAS)
        option++;
    return option && option->name ? option : NULL;
}

/* NAME <required> [--optional <string>] ... */
static void append_synopsis(struct text *out, const struct command *command)
{
    scoped_arena struct arena *arena = arena_new();
    bool words_before = false;
    text_append(out, command->name);
    for (const struct command_option *option = NULL; (option = next_option(command, option));) {
        bool required = option->flags & OPTION_REQUIRED;
        const char *name = option->name;
        if (option->type == OPTION_REST && words_before)
            text_printf(out, required ? " {[--%s] <string>}..." : " [[--%s] <string>]...", name);
        else if (option->type == OPTION_REST)
            text_printf(out, required ? " <%s>..." : " [<%s>]...", name);
        else if (required)
            text_printf(out, " <%s>", name);
        else
            text_printf(out, " [%s]", option_syntax(arena, option));
        words_before |= option->type != OPTION_BOOL;
    }
}

static char *option_heading(struct arena *arena, const struct command_option *option)
{
    bool bare = option->type != OPTION_BOOL && ((option->flags & OPTION_REQUIRED) || option->type == OPTION_REST);
    return bare ? arena_printf(arena, "[--%s] <%s>", option->name, option_type_name(option))
                : option_syntax(arena, option);
}

static void print_command(const struct command *command)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_text struct text synopsis = {0};
    append_synopsis(&synopsis, command);
    printf("  NAME\n    %s - %s\n\n  SYNOPSIS\n    %s\n", command->name, command->help, text_string(&synopsis));
    if (command->description)
        printf("\n  DESCRIPTION\n    %s\n", command->description);
    const struct command_option *option = next_option(command, NULL);
    if (option)
        printf("\n  OPTIONS\n");
    for (; option; option = next_option(command, option))
        printf("    %-30s %s\n", option_heading(arena, option), option->help);
}

static const char *type_word(const struct command_option *option)
{
    return option->type == OPTION_BOOL ? "flag" : option->type == OPTION_REST ? "strings" : option_type_name(option);
}

/* All that a program needs to make a form, or a completion, of a command. */
static json_t *command_json(const struct command *command)
{
    json_t *options = json_array();
    for (const struct command_option *option = NULL; (option = next_option(command, option));)
        json_array_append_new(options, json_pack("{s:s, s:s, s:b, s:s}", "name", option->name, "type",
                                                 type_word(option), "required", option->flags & OPTION_REQUIRED, "help",
                                                 option->help));
    return json_pack("{s:s, s:s, s:s, s:s*, s:o}", "name", command->name, "group", command->group, "help",
                     command->help, "description", command->description, "options", options);
}

static json_t *commands_json(const struct command_group *group)
{
    json_t *rows = json_array();
    for (const struct command *const *command = command_list(); *command; command++)
        if (!((*command)->flags & COMMAND_HIDDEN) && (!group || strcmp((*command)->group, group->name) == 0))
            json_array_append_new(rows, command_json(*command));
    return rows;
}

/* Text for roff: a leading dot or quote would be a request, a dash would become a hyphen. */
static void man_text(const char *string)
{
    if (*string == '.' || *string == '\'')
        printf("\\&");
    for (; *string; string++) {
        if (*string == '\\')
            printf("\\e");
        else if (*string == '-')
            printf("\\-");
        else if (*string == '\n')
            putchar(' ');
        else
            putchar(*string);
    }
    putchar('\n');
}

static void man_command(const struct command *command)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_text struct text synopsis = {0};
    append_synopsis(&synopsis, command);
    printf(".SS ");
    man_text(command->name);
    printf(".nh\n.B ");
    man_text(text_string(&synopsis));
    printf(".hy\n.PP\n");
    man_text(command->description ? command->description : command->help);
    for (const struct command_option *option = NULL; (option = next_option(command, option));) {
        printf(".TP\n.B ");
        man_text(option_heading(arena, option));
        man_text(option->help);
    }
}

static void man_options(void)
{
    for (const struct program_option *option = program_options; option->help; option++) {
        scoped_text struct text left = {0};
        const char *separator = option->argument && *option->argument != '[' ? "=" : "";
        if (option->letter)
            text_printf(&left, "-%c%s", option->letter, option->name ? ", " : "");
        if (option->name)
            text_printf(&left, "--%s", option->name);
        if (option->argument)
            text_printf(&left, "%s%s", separator, option->argument);
        printf(".TP\n.B ");
        man_text(text_string(&left));
        man_text(option->help);
    }
}

/* Data for the man page: headings and what stands under them, before and after the commands. */
static const char *const man_before[][2] = {
    {"NAME", "godwit - command line of the Godwit virtualization daemon"},
    {"SYNOPSIS", "godwit [OPTION]... ['COMMAND; COMMAND...'] | godwit [OPTION]... COMMAND [WORD]..."},
    {"DESCRIPTION", "godwit manages virtual machines through any daemon that speaks libvirt's wire protocol. Its "
     "grammar is that of virsh. With one argument it runs the commands in it, separated by semicolons; with several "
     "they are the words of one command; with none it is an interactive shell. A command's words go to its options in "
     "the order in which its synopsis names them, or to the option that is named before them. A domain is given by "
     "name, id or UUID. Every command takes --output json: what it would print as lines or as a table it then prints "
     "as JSON, and remarks like 'Domain started' not at all."},
};

static const char *const man_after[][2] = {
    {"CONNECTION URIS", "DRIVER[+TRANSPORT]://[USER@][HOST][:PORT]/PATH[?NAME=VALUE&...], for example qemu:///system, "
     "qemu+ssh://root@host/system, qemu+tcp://host/system, qemu+unix:///system?socket=/path. Parameters: socket (path "
     "of the unix socket), mode (auto, legacy, direct), name (what the daemon is told instead), and for ssh "
     "command, keyfile, netcat, no_tty, no_verify, proxy (auto, native, netcat)."},
    {"ENVIRONMENT", "GODWIT_DEFAULT_URI, VIRSH_DEFAULT_CONNECT_URI, LIBVIRT_DEFAULT_URI: the connection when -c is not "
     "given, the first that is set; else qemu:///system. VISUAL, EDITOR: the editor of edit, desc and metadata. "
     "VIRSH_HISTSIZE: lines of history."},
    {"FILES", "$XDG_CACHE_HOME/godwit/history or ~/.cache/godwit/history: what was typed in the interactive shell."},
    {"EXIT STATUS", "0 when the last command did what it was asked, 1 otherwise."},
    {"SEE ALSO", "godwitd(8)"},
};

static void man_print(void)
{
    printf(".TH GODWIT 1 \"\" \"godwit %s\" \"User commands\"\n", GODWIT_VERSION);
    for (size_t i = 0; i < COUNT(man_before); i++) {
        printf(".SH %s\n", man_before[i][0]);
        man_text(man_before[i][1]);
    }
    printf(".SH OPTIONS\n");
    man_options();
    for (const struct command_group *group = command_groups; group->name; group++) {
        printf(".SH COMMANDS: ");
        for (const char *c = group->title; *c; c++)
            putchar(toupper((unsigned char)*c));
        putchar('\n');
        for (const struct command *const *command = command_list(); *command; command++)
            if (strcmp((*command)->group, group->name) == 0 && !((*command)->flags & COMMAND_HIDDEN))
                man_command(*command);
    }
    for (size_t i = 0; i < COUNT(man_after); i++) {
        printf(".SH %s\n", man_after[i][0]);
        man_text(man_after[i][1]);
    }
}

static int run_help(struct invocation *in, struct error *err)
{
    const char *word = option_text(in, "command");
    if (option_given(in, "man")) {
        man_print();
        return 0;
    }
    const struct command *command = word ? command_find(word) : NULL;
    const struct command_group *group = word ? command_group_find(word) : NULL;
    if (word && !command && !group)
        return error_set(err, ERR_INVALID_ARG, "'%s' is neither a command nor a group of commands; 'help' lists both",
                         word);
    if (output_is_json(in)) {
        output_json(command ? command_json(command) : commands_json(group));
    } else if (command) {
        print_command(command);
    } else if (group) {
        print_group(group);
    } else {
        printf("Commands by group; every one takes --output json:\n\n");
        help_print_groups();
    }
    return 0;
}

static void complete_help(struct completion *completion)
{
    for (const struct command *const *command = command_list(); *command; command++)
        if (!((*command)->flags & COMMAND_HIDDEN))
            completion->offer(completion, (*command)->name);
    for (const struct command_group *group = command_groups; group->name; group++)
        completion->offer(completion, group->name);
}

static const struct command_option help_options[] = {
    {"command", OPTION_STRING, 0, "command or group to explain", complete_help},
    {"man", OPTION_BOOL, 0, "print the whole manual page as roff"},
    {0},
};

const struct command help_commands[] = {
    {"help", "virsh", "explain commands", "Without a word lists all commands by group; with one explains that command "
     "or lists that group.", help_options, run_help, COMMAND_NO_CONNECTION},
    {0},
};
