/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/complete.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

static bool takes_word(const struct command_option *option)
{
    return option->type != OPTION_BOOL && option->type != OPTION_ALIAS;
}

/* Marks what the words before the last one give. Returns the option whose value the last word is, or NULL. */
static const struct command_option *walk_words(const struct command *command, size_t count, char *const *words,
                                               bool *given, bool *only_words)
{
    const struct command_option *wanting = NULL;
    for (size_t i = 1; i + 1 < count; i++) {
        if (wanting) {
            wanting = NULL;
            continue;
        }
        if (!*only_words && string_starts(words[i], "--")) {
            const struct command_option *option = command_option_find(command, words[i] + 2);
            *only_words = !words[i][2];
            wanting = option && takes_word(option) ? option : NULL;
            for (size_t row = 0; option && command->options && command->options[row].name; row++)
                given[row] |= &command->options[row] == option;
            continue;
        }
        for (size_t row = 0; command->options && command->options[row].name; row++) {
            const struct command_option *option = &command->options[row];
            if (!takes_word(option) || (option->flags & OPTION_NAMED) || given[row])
                continue;
            given[row] = option->type != OPTION_REST && !(option->flags & OPTION_REPEATED);
            break;
        }
    }
    return wanting;
}

static void offer_options(struct completion *completion, const struct command *command, const bool *given)
{
    for (size_t row = 0; command->options && command->options[row].name; row++)
        if (command->options[row].type != OPTION_ALIAS && !given[row])
            completion->offer(completion, arena_printf(completion->arena, "--%s", command->options[row].name));
    completion->offer(completion, "--output");
}

static void offer_formats(struct completion *completion)
{
    completion->offer(completion, "table");
    completion->offer(completion, "json");
}

void complete_words(struct completion *completion, size_t count, char *const *words)
{
    completion->prefix = count ? words[count - 1] : "";
    if (count <= 1) {
        for (const struct command *const *command = command_list(); *command; command++)
            if (!((*command)->flags & COMMAND_HIDDEN))
                completion->offer(completion, (*command)->name);
        return;
    }
    const struct command *command = command_find(words[0]);
    if (!command)
        return;
    bool given[COMMAND_OPTIONS_MAX] = {0}, only_words = false;
    const struct command_option *wanting = walk_words(command, count, words, given, &only_words);
    if (wanting) {
        if (wanting->complete)
            wanting->complete(completion);
        else if (strcmp(wanting->name, "output") == 0)
            offer_formats(completion);
        return;
    }
    if (*completion->prefix != '-' || only_words) {
        for (size_t row = 0; command->options && command->options[row].name; row++) {
            const struct command_option *option = &command->options[row];
            if (!takes_word(option) || (option->flags & OPTION_NAMED) || given[row])
                continue;
            if (option->complete)
                option->complete(completion);
            if ((option->flags & OPTION_REQUIRED) || option->complete)
                return;
        }
    }
    if (!only_words)
        offer_options(completion, command, given);
}

static void print_candidate(struct completion *completion, const char *candidate)
{
    if (string_starts(candidate, completion->prefix))
        puts(candidate);
}

static int run_complete(struct invocation *in, struct error *err)
{
    struct completion completion = {.shell = in->shell, .arena = in->arena, .offer = print_candidate};
    complete_words(&completion, in->rest_count, (char *const *)in->rest);
    return 0;
}

static const struct command_option complete_options[] = {
    {"words", OPTION_REST, OPTION_EMPTY_OK, "the words so far; the last one is to be completed"},
    {0},
};

const struct command complete_commands[] = {
    {"complete", "virsh", "what a word could become, for the completion of a shell", NULL, complete_options,
     run_complete, COMMAND_NO_CONNECTION | COMMAND_HIDDEN},
    {0},
};
