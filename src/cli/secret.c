/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <termios.h>

#include "base/base64.h"
#include "base/files.h"
#include "cli/domain.h"
#include "cli/object_event.h"

/* Secrets: what volumes are unlocked with and storage servers ask for. */

#define VALUE_MAX 65536 /* the protocol's limit */

static const char *const usage_words[] = {"Unused", "volume", "ceph", "iscsi", "tls", "vtpm"};

static const char *usage_word(int type)
{
    return type >= 0 && (size_t)type < COUNT(usage_words) ? usage_words[type] : "unknown";
}

static int secret_get(struct invocation *in, struct wire_secret *secret, struct error *err)
{
    const char *word = option_text(in, "secret");
    struct secret_lookup_by_uuid_args args;
    struct secret_lookup_by_uuid_ret ret;
    if (uuid_parse(word, args.uuid) < 0)
        return error_set(err, ERR_INVALID_ARG, "'%s' is no UUID of a secret; 'secret-list' shows those that are", word);
    if (remote_secret_lookup_by_uuid(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot look up the secret '%s'", word);
    *secret = ret.secret;
    return 0;
}

static const char *uuid_of(struct arena *arena, const struct wire_secret *secret)
{
    char uuid[UUID_STRING_SIZE];
    uuid_format(secret->uuid, uuid);
    return arena_strdup(arena, uuid);
}

static int all_secrets(struct shell *shell, struct arena *arena, unsigned flags,
                       struct connect_list_all_secrets_ret *ret, struct error *err)
{
    struct connect_list_all_secrets_args args = {.need_results = 1, .flags = flags};
    return remote_connect_list_all_secrets(shell->connection->client, &args, arena, ret, err);
}

static void complete_secrets(struct completion *completion)
{
    struct connect_list_all_secrets_ret ret;
    struct error ignored = {0};
    if (shell_connect(completion->shell, &ignored) < 0 ||
        all_secrets(completion->shell, completion->arena, 0, &ret, &ignored) < 0)
        return;
    for (uint32_t i = 0; i < ret.secrets_count; i++)
        completion->offer(completion, uuid_of(completion->arena, &ret.secrets[i]));
}

/* -- definitions --------------------------------------------------------------------------------------------------- */

static int run_secret_define(struct invocation *in, struct error *err)
{
    const char *file = option_text(in, "file"), *xml = xml_file_read(in, file, err);
    struct secret_define_xml_args args = {.xml = xml,
                                          .flags = option_given(in, "validate") ? SECRET_DEFINE_VALIDATE : 0};
    struct secret_define_xml_ret ret;
    if (!xml)
        return -1;
    if (remote_secret_define_xml(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot define a secret from '%s'", file);
    output_note(in, "Secret %s created\n", uuid_of(in->arena, &ret.secret));
    return 0;
}

static int run_secret_dumpxml(struct invocation *in, struct error *err)
{
    struct secret_get_xml_desc_args args = {0};
    struct secret_get_xml_desc_ret ret;
    if (secret_get(in, &args.secret, err) < 0)
        return -1;
    if (remote_secret_get_xml_desc(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the XML of secret '%s'", option_text(in, "secret"));
    return xml_print(in, ret.xml, err);
}

static int run_secret_undefine(struct invocation *in, struct error *err)
{
    struct secret_undefine_args args = {0};
    if (secret_get(in, &args.secret, err) < 0)
        return -1;
    if (remote_secret_undefine(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot remove the secret '%s'", option_text(in, "secret"));
    output_note(in, "Secret %s deleted\n", uuid_of(in->arena, &args.secret));
    return 0;
}

static int by_uuid(const void *a, const void *b)
{
    return memcmp(((const struct wire_secret *)a)->uuid, ((const struct wire_secret *)b)->uuid, UUID_SIZE);
}

static int run_secret_list(struct invocation *in, struct error *err)
{
    static const struct column columns[] = {{"uuid", "UUID"}, {NULL, "Usage"}, {"usage_type", NULL}, {"usage", NULL}};
    struct connect_list_all_secrets_ret ret;
    unsigned flags = (option_given(in, "ephemeral") ? CONNECT_LIST_SECRETS_EPHEMERAL : 0) |
                     (option_given(in, "no-ephemeral") ? CONNECT_LIST_SECRETS_NO_EPHEMERAL : 0) |
                     (option_given(in, "private") ? CONNECT_LIST_SECRETS_PRIVATE : 0) |
                     (option_given(in, "no-private") ? CONNECT_LIST_SECRETS_NO_PRIVATE : 0);
    if (all_secrets(in->shell, in->arena, flags, &ret, err) < 0)
        return command_failed(err, "cannot list the secrets");
    if (ret.secrets_count)
        qsort(ret.secrets, ret.secrets_count, sizeof *ret.secrets, by_uuid);
    struct table *table = table_new(in->arena, columns, COUNT(columns));
    for (uint32_t i = 0; i < ret.secrets_count; i++) {
        const struct wire_secret *secret = &ret.secrets[i];
        const char *word = usage_word(secret->usage_type);
        table_row(table, uuid_of(in->arena, secret),
                  secret->usage_type ? arena_printf(in->arena, "%s %s", word, secret->usage_id) : word,
                  secret->usage_type ? word : NULL, secret->usage_type ? secret->usage_id : NULL);
    }
    table_print(table, in);
    return 0;
}

/* -- values -------------------------------------------------------------------------------------------------------- */

/* A line typed without being shown. */
static char *ask_value(struct invocation *in, size_t *length, struct error *err)
{
    struct termios before, silent;
    bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;
    scoped_free char *line = NULL;
    size_t room = 0;
    if (terminal) {
        silent = before;
        silent.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
        fputs("Enter new value for secret:", stderr);
    }
    ssize_t got = getline(&line, &room, stdin);
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputs("\n", stderr);
    }
    if (got < 0)
        return error_null(err, ERR_OPERATION_FAILED, "no value was entered");
    *length = (size_t)got - (got && line[got - 1] == '\n');
    char *value = arena_memdup(in->arena, line, *length + 1);
    explicit_bzero(line, room);
    return value;
}

static char *decoded(struct invocation *in, const char *text, size_t text_length, size_t *length, struct error *err)
{
    char *value = base64_decode(in->arena, text, text_length, length);
    return value ?: error_null(err, ERR_INVALID_ARG, "the value is not base64; --plain takes it as it is");
}

static char *value_given(struct invocation *in, size_t *length, struct error *err)
{
    const char *file = option_text(in, "file"), *base64 = option_text(in, "base64");
    bool plain = option_given(in, "plain");
    if (option_exclusive(in, err, "file", "base64", "interactive", NULL) < 0 ||
        option_exclusive(in, err, "plain", "base64", NULL) < 0)
        return NULL;
    if (option_given(in, "interactive"))
        return ask_value(in, length, err);
    if (base64) {
        output_warning(in->shell, "a value on the command line is seen by everybody on this host; --file or "
                                  "--interactive keep it secret");
        return decoded(in, base64, strlen(base64), length, err);
    }
    if (!file)
        return error_null(err, ERR_INVALID_ARG, "which value? --file NAME, --interactive or --base64 VALUE says it");
    char *value = file_read(in->arena, file, plain ? VALUE_MAX : 2 * VALUE_MAX, length, err);
    return !value || plain ? value : decoded(in, value, *length, length, err);
}

static int run_secret_set_value(struct invocation *in, struct error *err)
{
    struct secret_set_value_args args = {0};
    size_t length;
    if (secret_get(in, &args.secret, err) < 0)
        return -1;
    char *value = value_given(in, &length, err);
    if (!value)
        return -1;
    if (!length) /* also for servers that would take it, and lose the one they have */
        return error_set(err, ERR_INVALID_ARG, "the value is empty; secret-undefine removes a secret");
    if (length > VALUE_MAX)
        return error_set(err, ERR_INVALID_ARG, "the value has %zu bytes; a secret holds %d", length, VALUE_MAX);
    args.value = (uint8_t *)value;
    args.value_length = (uint32_t)length;
    int rc = remote_secret_set_value(shell_client(in), &args, err);
    explicit_bzero(value, length);
    if (rc < 0)
        return command_failed(err, "cannot set the value of secret '%s'", option_text(in, "secret"));
    output_note(in, "Secret value set\n");
    return 0;
}

static int run_secret_get_value(struct invocation *in, struct error *err)
{
    struct secret_get_value_args args = {0};
    struct secret_get_value_ret ret;
    if (secret_get(in, &args.secret, err) < 0)
        return -1;
    if (remote_secret_get_value(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the value of secret '%s'", option_text(in, "secret"));
    if (option_given(in, "plain") && !output_is_json(in))
        fwrite(ret.value, 1, ret.value_length, stdout); /* no line end, which would be another value */
    else
        output_string(in, "value", base64_encode(in->arena, ret.value, ret.value_length));
    explicit_bzero(ret.value, ret.value_length);
    return 0;
}

/* -- events -------------------------------------------------------------------------------------------------------- */

static void *event_find(struct invocation *in, struct error *err)
{
    struct wire_secret *secret = arena_struct(in->arena, struct wire_secret);
    return secret_get(in, secret, err) < 0 ? NULL : secret;
}

static int event_begin(struct invocation *in, int kind, void *secret, int32_t *callback_id, struct error *err)
{
    struct connect_secret_event_register_any_args args = {.event_id = kind, .secret = secret};
    struct connect_secret_event_register_any_ret ret;
    if (remote_connect_secret_event_register_any(shell_client(in), &args, in->arena, &ret, err) < 0)
        return -1;
    *callback_id = ret.callback_id;
    return 0;
}

static void event_end(struct invocation *in, int32_t callback_id)
{
    struct connect_secret_event_deregister_any_args args = {.callback_id = callback_id};
    remote_connect_secret_event_deregister_any(shell_client(in), &args, NULL);
}

static const char *event_name(struct arena *arena, int kind, const void *event, int *what)
{
    const struct secret_event_lifecycle_event *life = event;
    const struct secret_event_value_changed_event *changed = event;
    if (kind == SECRET_EVENT_ID_VALUE_CHANGED)
        return uuid_of(arena, &changed->secret);
    *what = life->event;
    return uuid_of(arena, &life->secret);
}

static int run_secret_event(struct invocation *in, struct error *err)
{
    static const char *const kinds[] = {"lifecycle", "value-changed", NULL}; /* by SECRET_EVENT_ID_* */
    static const char *const procedures[] = {"secret-event-lifecycle", "secret-event-value-changed", NULL};
    static const char *const lifecycle[] = {"Defined", "Undefined", NULL};
    static const struct object_events events = {"secret",   kinds,       procedures, lifecycle,
                                                event_find, event_begin, event_end,  event_name};
    return object_events_run(in, &events, err);
}

#define SECRET_HELP   "secret by its UUID"
#define SECRET_OPTION {"secret", OPTION_STRING, OPTION_REQUIRED, SECRET_HELP, complete_secrets}

static const struct command_option secret_options[] = {SECRET_OPTION, {0}};

static const struct command_option define_options[] = {
    {"file", OPTION_STRING, OPTION_REQUIRED, "file with the secret's XML"},
    {"validate", OPTION_BOOL, 0, "refuse elements that are not known"},
    {0},
};

static const struct command_option dumpxml_options[] = {
    SECRET_OPTION,
    {"xpath", OPTION_STRING, OPTION_NAMED, "print only what this XPath expression finds"},
    {"wrap", OPTION_BOOL, 0, "put what --xpath finds into one element"},
    {0},
};

static const struct command_option list_options[] = {
    {"ephemeral", OPTION_BOOL, 0, "those that are never on disk"},
    {"no-ephemeral", OPTION_BOOL, 0, "those that are"},
    {"private", OPTION_BOOL, 0, "those whose value is told to nobody"},
    {"no-private", OPTION_BOOL, 0, "those whose value is told to clients"},
    {0},
};

static const struct command_option set_options[] = {
    SECRET_OPTION,
    {"base64", OPTION_STRING, 0, "the value in base64; everybody on this host sees it"},
    {"file", OPTION_STRING, OPTION_NAMED, "file with the value in base64"},
    {"plain", OPTION_BOOL, 0, "the file holds the value as it is"},
    {"interactive", OPTION_BOOL, 0, "type the value"},
    {0},
};

static const struct command_option get_options[] = {
    SECRET_OPTION,
    {"plain", OPTION_BOOL, 0, "the value as it is, without base64"},
    {0},
};

static const struct command_option event_options[] = {
    {"secret", OPTION_STRING, 0, "events of this secret only, by its UUID", complete_secrets},
    OBJECT_EVENT_OPTIONS("lifecycle or value-changed"),
    {0},
};

const struct command secret_commands[] = {
    {"secret-define", "secret", "define a secret, or change what is known of one", "Its value is set by "
     "secret-set-value.", define_options, run_secret_define},
    {"secret-dumpxml", "secret", "print the XML of a secret", "Never its value.", dumpxml_options, run_secret_dumpxml},
    {"secret-event", "secret", "wait for events of secrets", "Prints what happens. Succeeds when at least one event "
     "came.", event_options, run_secret_event},
    {"secret-get-value", "secret", "print the value of a secret", "Private ones are told to nobody.", get_options,
     run_secret_get_value},
    {"secret-list", "secret", "list secrets", NULL, list_options, run_secret_list},
    {"secret-set-value", "secret", "set the value of a secret", NULL, set_options, run_secret_set_value},
    {"secret-undefine", "secret", "remove a secret and its value", NULL, secret_options, run_secret_undefine},
    {0},
};
