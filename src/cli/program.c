/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/help.h"
#include "version.h"

static int apply_connect(struct shell *shell, const char *value, struct error *err)
{
    free(shell->uri);
    shell->uri = xstrdup(value);
    shell->uri_named = true;
    return 0;
}

static int apply_debug(struct shell *shell, const char *value, struct error *err)
{
    uint32_t level;
    if (parse_u32(value, 10, &level) < 0 || level > 4)
        return error_set(err, ERR_INVALID_ARG, "-d takes a level from 0 (everything) to 4 (errors), not '%s'", value);
    shell->debug = (int)level;
    return 0;
}

static int apply_escape(struct shell *shell, const char *value, struct error *err)
{
    if (strlen(value) == 2 && value[0] == '^' && value[1] >= '?' && value[1] <= 'z')
        shell->escape = value[1] & 0x1f;
    else if (strlen(value) == 1)
        shell->escape = value[0];
    else
        return error_set(err, ERR_INVALID_ARG, "-e takes one character, or ^ and a letter like ^], not '%s'", value);
    return 0;
}

static int apply_help(struct shell *shell, const char *value, struct error *err)
{
    program_usage();
    shell->quitting = true;
    return 0;
}

static int apply_interval(struct shell *shell, const char *value, struct error *err)
{
    if (parse_u32(value, 10, &shell->keepalive.interval_s) < 0)
        return error_set(err, ERR_INVALID_ARG, "-k takes a number of seconds (0 = never), not '%s'", value);
    return 0;
}

static int apply_count(struct shell *shell, const char *value, struct error *err)
{
    if (parse_u32(value, 10, &shell->keepalive.count) < 0)
        return error_set(err, ERR_INVALID_ARG, "-K takes a number of pings, not '%s'", value);
    return 0;
}

static int apply_log(struct shell *shell, const char *value, struct error *err)
{
    if (shell->log)
        fclose(steal(shell->log));
    shell->log = fopen(value, "ae");
    return shell->log ? 0 : error_system(err, errno, "cannot open the log file '%s'", value);
}

static int apply_output(struct shell *shell, const char *value, struct error *err)
{
    return output_parse(value, &shell->format, err);
}

static int apply_quiet(struct shell *shell, const char *value, struct error *err)
{
    shell->quiet = true;
    return 0;
}

static int apply_readonly(struct shell *shell, const char *value, struct error *err)
{
    shell->readonly = true;
    return 0;
}

static int apply_timing(struct shell *shell, const char *value, struct error *err)
{
    shell->timing = true;
    return 0;
}

static int apply_version(struct shell *shell, const char *value, struct error *err)
{
    if (value && strcmp(value, "short") != 0 && strcmp(value, "long") != 0)
        return error_set(err, ERR_INVALID_ARG, "--version takes 'short' or 'long', not '%s'", value);
    if (value && strcmp(value, "long") == 0)
        printf("godwit %s\nCommand line of Godwit, for every daemon that speaks libvirt's wire protocol.\n"
               "Transports: unix tcp ssh\n", GODWIT_VERSION);
    else
        puts(GODWIT_VERSION);
    shell->quitting = true;
    return 0;
}

static int apply_long_version(struct shell *shell, const char *value, struct error *err)
{
    return apply_version(shell, "long", err);
}

const struct program_option program_options[] = {
    {'c', "connect", "URI", "daemon to talk to", apply_connect},
    {'d', "debug", "NUM", "how much to say about itself, 0 most to 4 least", apply_debug},
    {'e', "escape", "CHAR", "what ends a console, like ^] (the default)", apply_escape},
    {'h', "help", NULL, "this text", apply_help},
    {'k', "keepalive-interval", "NUM", "seconds of silence before a ping, 0 = never ping", apply_interval},
    {'K', "keepalive-count", "NUM", "unanswered pings after which the connection counts as lost", apply_count},
    {'l', "log", "FILE", "append errors and warnings to this file", apply_log},
    {0, "output", "FORMAT", "how listings are printed: table or json", apply_output},
    {'q', "quiet", NULL, "no headings and no remarks", apply_quiet},
    {'r', "readonly", NULL, "connect read-only", apply_readonly},
    {'t', "timing", NULL, "say how long each command took", apply_timing},
    {'v', NULL, NULL, "version, short", apply_version},
    {'V', NULL, NULL, "version, long", apply_long_version},
    {0, "version", "[=TYPE]", "version, short or long", apply_version},
    {0},
};

void program_usage(void)
{
    printf("\ngodwit [OPTION]... ['COMMAND; COMMAND...']\ngodwit [OPTION]... COMMAND [WORD]...\n\n"
           "Without a command it is an interactive shell. Options:\n");
    for (const struct program_option *option = program_options; option->help; option++) {
        scoped_text struct text left = {0};
        if (option->letter)
            text_printf(&left, "-%c%s", option->letter, option->name ? " | " : "");
        else
            text_append(&left, "     ");
        if (option->name)
            text_printf(&left, "--%s", option->name);
        if (option->argument)
            text_printf(&left, "%s%s", *option->argument == '[' ? "" : "=", option->argument);
        printf("    %-32s %s\n", text_string(&left), option->help);
    }
    printf("\nCommands:\n\n");
    help_print_groups();
}

static const struct program_option *find_long(const char *name, size_t length)
{
    for (const struct program_option *option = program_options; option->help; option++)
        if (option->name && strlen(option->name) == length && strncmp(option->name, name, length) == 0)
            return option;
    return NULL;
}

static const struct program_option *find_letter(char letter)
{
    for (const struct program_option *option = program_options; option->help; option++)
        if (option->letter == letter)
            return option;
    return NULL;
}

static int missing_value(const char *word, struct error *err)
{
    return error_set(err, ERR_INVALID_ARG, "option '%s' needs a value; see --help", word);
}

static int parse_long(struct shell *shell, int argc, char **argv, int *index, struct error *err)
{
    const char *name = argv[*index] + 2, *equal = strchr(name, '=');
    const struct program_option *option = find_long(name, equal ? (size_t)(equal - name) : strlen(name));
    if (!option)
        return error_set(err, ERR_INVALID_ARG, "option '%s' is not known; see --help", argv[*index]);
    bool optional = option->argument && *option->argument == '[';
    if (!option->argument && equal)
        return error_set(err, ERR_INVALID_ARG, "option '--%s' takes no value", option->name);
    const char *value = equal ? equal + 1 : NULL;
    if (option->argument && !optional && !value) {
        if (*index + 1 >= argc)
            return missing_value(argv[*index], err);
        value = argv[++*index];
    }
    return option->apply(shell, value, err);
}

/* -qr, -c URI, -cURI */
static int parse_letters(struct shell *shell, int argc, char **argv, int *index, struct error *err)
{
    const char *word = argv[*index];
    for (const char *letter = word + 1; *letter && !shell->quitting; letter++) {
        const struct program_option *option = find_letter(*letter);
        if (!option)
            return error_set(err, ERR_INVALID_ARG, "option '-%c' is not known; see --help", *letter);
        if (!option->argument) {
            if (option->apply(shell, NULL, err) < 0)
                return -1;
            continue;
        }
        if (letter[1])
            return option->apply(shell, letter + 1, err);
        if (*index + 1 >= argc)
            return missing_value(word, err);
        return option->apply(shell, argv[++*index], err);
    }
    return 0;
}

int program_parse(struct shell *shell, int argc, char **argv, int *first, struct error *err)
{
    int index = 1;
    for (; index < argc && argv[index][0] == '-' && argv[index][1] && !shell->quitting; index++) {
        if (strcmp(argv[index], "--") == 0) {
            index++;
            break;
        }
        int result = argv[index][1] == '-' ? parse_long(shell, argc, argv, &index, err)
                                           : parse_letters(shell, argc, argv, &index, err);
        if (result < 0)
            return -1;
    }
    *first = index;
    return 0;
}
