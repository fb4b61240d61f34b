/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/parse.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"
#include "cli/output.h"

enum token_kind { TOKEN_WORD, TOKEN_SEPARATOR, TOKEN_END, TOKEN_BAD };

/* Words come from a line or from the program's arguments. */
struct lexer {
    struct arena *arena;
    const char *line; /* NULL: words */
    int count;
    char *const *words;
    bool lenient, open; /* for completion: what is unfinished ends at the end of the line */
    char quote;         /* left open by the last word */
};

static enum token_kind lex_word(struct lexer *lexer, char **word, struct error *err)
{
    scoped_text struct text out = {0};
    char quote = 0;
    const char *p = lexer->line;
    for (; *p && (quote || !strchr(" \t\n;", *p)); p++) {
        if (*p == '\\' && quote != '\'') {
            if (!p[1] && lexer->lenient)
                break;
            if (!*++p)
                return error_set(err, ERR_INVALID_ARG, "nothing follows the \\ at the end of the line"), TOKEN_BAD;
            if (*p != '\n')
                text_append_char(&out, *p);
        } else if (quote ? *p == quote : *p == '\'' || *p == '"') {
            quote = quote ? 0 : *p;
        } else {
            text_append_char(&out, *p);
        }
    }
    if (quote && !lexer->lenient)
        return error_set(err, ERR_INVALID_ARG, "the quote %c is not closed in: %s", quote, lexer->line), TOKEN_BAD;
    lexer->open = !*p;
    lexer->quote = quote;
    lexer->line = p;
    *word = arena_strdup(lexer->arena, text_string(&out));
    return TOKEN_WORD;
}

static enum token_kind lex(struct lexer *lexer, char **word, struct error *err)
{
    if (!lexer->line) {
        if (!lexer->count)
            return TOKEN_END;
        lexer->count--;
        *word = *lexer->words++;
        return TOKEN_WORD;
    }
    lexer->open = false;
    for (;;) {
        lexer->line += strspn(lexer->line, " \t");
        if (string_starts(lexer->line, "\\\n"))
            lexer->line += 2;
        else if (*lexer->line == '#')
            lexer->line += strcspn(lexer->line, "\n");
        else
            break;
    }
    if (!*lexer->line)
        return TOKEN_END;
    if (*lexer->line == ';' || *lexer->line == '\n') {
        lexer->line++;
        return TOKEN_SEPARATOR;
    }
    return lex_word(lexer, word, err);
}

const char *option_type_name(const struct command_option *option)
{
    return option->type == OPTION_NUMBER ? "number" : "string";
}

char *option_syntax(struct arena *arena, const struct command_option *option)
{
    if (option->type == OPTION_BOOL)
        return arena_printf(arena, "--%s", option->name);
    return arena_printf(arena, "--%s <%s>", option->name, option_type_name(option));
}

static void append_rest(struct invocation *in, const char *word)
{
    size_t count = in->rest_count;
    if ((count & (count - 1)) == 0) { /* room doubles at powers of two */
        const char **grown = arena_new_array(in->arena, count ? count * 2 : 1, const char *);
        if (count)
            memcpy(grown, in->rest, count * sizeof *grown);
        in->rest = grown;
    }
    in->rest[in->rest_count++] = word;
}

/* Where the option's value goes; --output, which no table lists, has a place of its own. */
static const char **option_slot(struct invocation *in, const struct command_option *option)
{
    for (const struct command_option *row = in->command->options; row && row->name; row++)
        if (row == option)
            return &in->values[row - in->command->options];
    return &in->output;
}

static int set_value(struct invocation *in, const struct command_option *option, const char *value, struct error *err)
{
    const char **slot = option_slot(in, option);
    if (option->type != OPTION_BOOL && !*value && !(option->flags & OPTION_EMPTY_OK) && option->type != OPTION_REST)
        return error_set(err, ERR_INVALID_ARG, "the value of --%s is empty", option->name);
    enum output_format format;
    if (slot == &in->output && output_parse(value, &format, err) < 0)
        return -1;
    if (option->type == OPTION_REST)
        append_rest(in, value);
    if (!*slot)
        *slot = value;
    else if (option->flags & OPTION_REPEATED)
        *slot = arena_printf(in->arena, "%s\n%s", *slot, value);
    return 0;
}

/* --name, -- alone, and where a command has it -name; a lone - is a word (standard input). */
static bool is_option(const struct invocation *in, const char *word)
{
    return string_starts(word, "--") ||
           (in->command->flags & COMMAND_ONE_DASH && *word == '-' && isalpha((unsigned char)word[1]));
}

/* --name, --name=value or --name value. */
static int parse_option(struct lexer *lexer, struct invocation *in, const char *word, struct error *err)
{
    const char *name = word + (word[1] == '-' ? 2 : 1), *equal = strchr(name, '=');
    if (equal)
        name = arena_strndup(in->arena, name, equal - name);
    const struct command_option *option = command_option_find(in->command, name);
    if (!option)
        return error_set(err, ERR_INVALID_ARG, "command '%s' has no option --%s; 'help %s' lists its options",
                         in->command->name, name, in->command->name);
    if (option->type != OPTION_REST && !(option->flags & OPTION_REPEATED) && *option_slot(in, option))
        return error_set(err, ERR_INVALID_ARG, "option --%s is given twice", option->name);
    if (option->type == OPTION_BOOL)
        return equal ? error_set(err, ERR_INVALID_ARG, "option --%s takes no value, but has '=%s'", name, equal + 1)
                     : set_value(in, option, "", err);
    char *value = equal ? (char *)equal + 1 : NULL;
    if (!value) {
        struct lexer before = *lexer;
        enum token_kind kind = lex(lexer, &value, err);
        if (kind == TOKEN_BAD)
            return -1;
        if (kind != TOKEN_WORD) {
            *lexer = before;
            return error_set(err, ERR_INVALID_ARG, "option --%s needs a value: %s", name,
                             option_syntax(in->arena, option));
        }
    }
    return set_value(in, option, value, err);
}

static int parse_positional(struct invocation *in, const char *word, struct error *err)
{
    for (const struct command_option *option = in->command->options; option && option->name; option++) {
        bool takes = option->type != OPTION_BOOL && option->type != OPTION_ALIAS && !(option->flags & OPTION_NAMED);
        if (takes && (option->type == OPTION_REST || !in->values[option - in->command->options]))
            return set_value(in, option, word, err);
    }
    return error_set(err, ERR_INVALID_ARG, "command '%s' has no use for '%s'; 'help %s' shows what it takes",
                     in->command->name, word, in->command->name);
}

static int check_required(struct invocation *in, struct error *err)
{
    for (const struct command_option *option = in->command->options; option && option->name; option++)
        if (option->flags & OPTION_ALONE && in->values[option - in->command->options])
            return 0;
    for (const struct command_option *option = in->command->options; option && option->name; option++)
        if ((option->flags & OPTION_REQUIRED) && !in->values[option - in->command->options])
            return error_set(err, ERR_INVALID_ARG, "command '%s' requires <%s>: %s", in->command->name, option->name,
                             option->help);
    return 0;
}

static struct invocation *invocation_new(struct shell *shell, struct arena *arena, const char *name, struct error *err)
{
    const struct command *command = command_find(name);
    if (!command)
        return error_null(err, ERR_INVALID_ARG, "there is no command '%s'; 'help' lists the commands", name);
    struct invocation *in = arena_struct(arena, struct invocation);
    *in = (struct invocation){.shell = shell, .arena = arena, .command = command};
    return in;
}

/* The words of one command up to its separator. */
static int parse_command(struct lexer *lexer, struct invocation *in, bool *more, struct error *err)
{
    bool only_words = false;
    for (;;) {
        char *word;
        enum token_kind kind = lex(lexer, &word, err);
        if (kind == TOKEN_BAD)
            return -1;
        if (kind != TOKEN_WORD) {
            *more = kind == TOKEN_SEPARATOR;
            return check_required(in, err);
        }
        bool dashes = !only_words && is_option(in, word);
        int result = 0;
        if (dashes && strcmp(word, "--") == 0)
            only_words = true;
        else if (dashes && strcmp(word, "--help") == 0 && !command_option_find(in->command, "help")) {
            const char *name = in->command->name;
            while ((kind = lex(lexer, &word, err)) == TOKEN_WORD)
                continue;
            *more = kind == TOKEN_SEPARATOR;
            in->command = command_find("help");
            memset(in->values, 0, sizeof in->values);
            return kind == TOKEN_BAD ? -1 : parse_positional(in, name, err);
        } else if (dashes && (word[1] != '-' || isalnum((unsigned char)word[2])))
            result = parse_option(lexer, in, word, err);
        else
            result = parse_positional(in, word, err);
        if (result < 0)
            return -1;
    }
}

/* "image check" is "image-check". */
static void join_words(struct lexer *lexer, char **word)
{
    struct lexer ahead = *lexer;
    char *next;
    if (command_find(*word) || lex(&ahead, &next, NULL) != TOKEN_WORD)
        return;
    char *joined = arena_printf(lexer->arena, "%s-%s", *word, next);
    if (!command_find(joined))
        return;
    *lexer = ahead;
    *word = joined;
}

static int parse_all(struct shell *shell, struct lexer *lexer, struct list *invocations, struct error *err)
{
    for (;;) {
        char *word;
        enum token_kind kind = lex(lexer, &word, err);
        if (kind == TOKEN_SEPARATOR)
            continue;
        if (kind != TOKEN_WORD)
            return kind == TOKEN_END ? 0 : -1;
        join_words(lexer, &word);
        struct invocation *in = invocation_new(shell, lexer->arena, word, err);
        bool more;
        if (!in || parse_command(lexer, in, &more, err) < 0)
            return -1;
        list_append(invocations, &in->link);
        if (!more)
            return 0;
    }
}

int parse_line(struct shell *shell, struct arena *arena, const char *line, struct list *invocations, struct error *err)
{
    struct lexer lexer = {.arena = arena, .line = line};
    return parse_all(shell, &lexer, invocations, err);
}

int parse_words(struct shell *shell, struct arena *arena, int count, char *const *words, struct list *invocations,
                struct error *err)
{
    struct lexer lexer = {.arena = arena, .count = count, .words = words};
    return parse_all(shell, &lexer, invocations, err);
}

size_t parse_partial(struct arena *arena, const char *line, char ***words, bool *open, char *quote)
{
    struct lexer lexer = {.arena = arena, .line = line, .lenient = true};
    char **found = arena_new_array(arena, strlen(line) + 2, char *);
    size_t count = 0;
    *open = false;
    for (enum token_kind kind; (kind = lex(&lexer, &found[count], NULL)) != TOKEN_END;) {
        count = kind == TOKEN_WORD ? count + 1 : 0;
        *open = kind == TOKEN_WORD && lexer.open;
    }
    *quote = *open ? lexer.quote : 0;
    *words = found;
    return count;
}
