/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "cli/shell.h"
#include "cli/terminal.h"
#include "client_stubs.h"
#include "rpc/image_verbs.h"

/* Disk images, worked on by the host that has them: `godwit image VERB`. */

enum { PROGRESS_MS = 500, OPERANDS_MAX = 2 };

/* What waits beside the call: it shows how far the work is. */
struct watching {
    struct invocation *in;
    struct godwit_image_run_args *args;
    struct condition changed;
    bool over, ended;
};

static void show_progress(void *owner)
{
    struct watching *watching = owner;
    struct godwit_image_progress_args args;
    struct godwit_image_progress_ret ret;
    bool shown = false;
    memcpy(args.id, watching->args->id, UUID_SIZE);
    while (!watching->over) {
        condition_wait(&watching->changed, deadline_ms(PROGRESS_MS), NULL);
        if (watching->over ||
            remote_godwit_image_progress(shell_client(watching->in), &args, watching->in->arena, &ret, NULL) < 0)
            continue;
        fprintf(stderr, "\rImage: [%3.0f %%]", ret.percent);
        shown = true;
    }
    if (shown)
        fputs("\rImage: [100 %]\n", stderr);
    watching->ended = true;
    condition_wake(&watching->changed);
}

static int call(struct invocation *in, struct godwit_image_run_args *args, struct godwit_image_run_ret *ret,
                struct error *err)
{
    struct watching watching = {.in = in, .args = args};
    bool shows = option_given(in, "verbose") && !(args->flags & IMAGE_RUN_PLAN);
    condition_init(&watching.changed);
    if (shows)
        fiber_start("progress", show_progress, &watching);
    int rc = remote_godwit_image_run(shell_client(in), args, in->arena, ret, err);
    watching.over = true;
    condition_wake(&watching.changed);
    while (shows && !watching.ended)
        condition_wait(&watching.changed, DEADLINE_NONE, NULL);
    if (rc == 0)
        return 0;
    return err->code == ERR_NO_SUPPORT && strstr(err->message, "program")
               ? error_set(err, ERR_NO_SUPPORT, "'%s' is no Godwit, and cannot work on images",
                           in->shell->connection->uri)
               : -1;
}

/* The rows of the operands, then the verb's own, then those of the command. */
static void take_values(struct invocation *in, const char **operands, struct godwit_image_run_args *args)
{
    const struct command_option *row = in->command->options;
    args->options = arena_new_array(in->arena, COMMAND_OPTIONS_MAX, struct wire_image_option);
    args->operands = operands;
    for (size_t i = 0; strcmp(row[i].name, "dry-run") != 0; i++) {
        if (in->values[i] && row[i].flags & OPTION_NAMED)
            args->options[args->options_count++] =
                (struct wire_image_option){.name = row[i].name, .value = in->values[i]};
        else if (in->values[i])
            operands[args->operands_count++] = in->values[i];
    }
}

/* Says what changes an image that is there, and asks whoever sits at a terminal. */
static int confirm(struct invocation *in, struct godwit_image_run_args *args, bool *go, struct error *err)
{
    struct godwit_image_run_ret ret;
    args->flags |= IMAGE_RUN_PLAN;
    if (call(in, args, &ret, err) < 0)
        return -1;
    args->flags &= ~(unsigned)IMAGE_RUN_PLAN;
    *go = !option_given(in, "dry-run");
    if (!*go && output_is_json(in)) {
        output_json(json_pack("{s:s, s:b}", "plan", ret.plan, "changes", ret.changes));
        return 0;
    }
    if (!*ret.plan || (!ret.changes && *go))
        return 0;
    fprintf(*go ? stderr : stdout, "This %s.\n", ret.plan);
    if (*go && !option_given(in, "yes") && isatty(STDIN_FILENO))
        *go = terminal_ask("Go on?", "yn") == 'y';
    return 0;
}

static void print_result(struct invocation *in, const struct godwit_image_run_ret *ret)
{
    bool compare = string_equal(in->command->name, "image-compare");
    if (!output_is_json(in)) {
        fputs(ret->output, stdout);
        if (!*ret->output && *ret->plan && !compare)
            output_note(in, "Done: %s\n", ret->plan);
        return;
    }
    json_t *value = json_loads(ret->output, JSON_DECODE_ANY, NULL);
    if (!value && compare)
        value = json_pack("{s:b, s:s}", "identical", ret->status == 0, "detail", ret->output);
    output_json(value ? value : json_pack("{s:s}", "done", ret->plan));
}

static int run_image(struct invocation *in, struct error *err)
{
    struct godwit_image_run_args args = {.verb = strchr(in->command->name, '-') + 1,
                                  .flags = output_is_json(in) ? IMAGE_RUN_JSON : 0};
    struct godwit_image_run_ret ret;
    bool go = true;
    const char *operands[OPERANDS_MAX];
    uuid_random(args.id);
    take_values(in, operands, &args);
    if (confirm(in, &args, &go, err) < 0 || (go && call(in, &args, &ret, err) < 0))
        return -1;
    if (!go)
        return 0;
    print_result(in, &ret);
    return ret.status == 0 ? 0 : -1; /* damage, leaks, or a difference: as qemu-img tells it */
}

#define IMAGE_HELP "absolute path on the host, or POOL/VOLUME"
#define FIRST_image {"image", OPTION_STRING, OPTION_REQUIRED, IMAGE_HELP},
#define FIRST_new   {"new", OPTION_STRING, OPTION_REQUIRED, "the new one: " IMAGE_HELP},
#define SECOND_image {"with", OPTION_STRING, OPTION_REQUIRED, "the other one: " IMAGE_HELP},
#define SECOND_new   {"new", OPTION_STRING, OPTION_REQUIRED, "the new one: " IMAGE_HELP},
#define SECOND_size  {"size", OPTION_STRING, 0, "bytes, or a number with K, M, G or T; of resize also +SIZE and -SIZE"},
#define SECOND_none
#define ROW_FLAG(name, help) {name, OPTION_BOOL, OPTION_NAMED, help},
#define ROW_TEXT(name, help) {name, OPTION_STRING, OPTION_NAMED | OPTION_EMPTY_OK, help},
#define OPTION_ROW(name, kind, word, help) ROW_##kind(name, help)

#define VERB_OPTIONS(verb, WORD, first, second, traits, help)                                         \
    static const struct command_option WORD##_options[] = {                                           \
        FIRST_##first SECOND_##second IMAGE_##WORD##_OPTIONS(OPTION_ROW)                              \
        {"dry-run", OPTION_BOOL, OPTION_NAMED, "say what would be done, and do nothing"},             \
        {"yes", OPTION_BOOL, OPTION_NAMED, "do not ask before an image is changed"},                  \
        {"verbose", OPTION_BOOL, OPTION_NAMED, "show how far it is"},                                 \
        {0},                                                                                          \
    };
IMAGE_VERBS(VERB_OPTIONS)

#define DESCRIPTION \
    "Works on the host of the connection, and ends with the connection. Also written as two words: "
#define VERB_COMMAND(verb, WORD, first, second, traits, help) \
    {"image-" verb, "image", help, DESCRIPTION "image " verb ".", WORD##_options, run_image},

const struct command image_commands[] = {IMAGE_VERBS(VERB_COMMAND){0}};
