/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/text.h"
#include "cli/domain.h"
#include "cli/event.h"

/* A QMP command: an object as it is; else the first word is its name and the rest its arguments, with or without the
 * braces around them. */
static const char *qmp_command(struct invocation *in, struct error *err)
{
    const char *first = in->rest[0] + strspn(in->rest[0], " \t\n");
    if (*first == '{')
        return invocation_rest(in, 0);
    json_t *command = json_pack("{s:s}", "execute", in->rest[0]);
    if (in->rest_count > 1) {
        const char *text = invocation_rest(in, 1);
        json_error_t fault;
        if (*text != '{')
            text = arena_printf(in->arena, "{%s}", text);
        json_t *arguments = json_loads(text, 0, &fault);
        if (!arguments) {
            json_decref(command);
            return error_null(err, ERR_INVALID_ARG, "the arguments of '%s' are no JSON object (%s): %s", in->rest[0],
                              fault.text, text);
        }
        json_object_set_new(command, "arguments", arguments);
    }
    scoped_free char *text = json_dumps(command, JSON_COMPACT);
    json_decref(command);
    return arena_strdup(in->arena, text);
}

/* --pretty and --return-value need the answer to be JSON, as QEMU's always is. */
static int print_answer(struct invocation *in, const char *answer, struct error *err)
{
    bool hmp = option_given(in, "hmp");
    if (hmp || !(option_given(in, "pretty") || option_given(in, "return-value") || output_is_json(in))) {
        output_string(in, "answer", answer);
        return 0;
    }
    json_error_t fault;
    json_t *json = json_loads(answer, JSON_DECODE_ANY, &fault);
    if (!json)
        return error_set(err, ERR_INTERNAL_ERROR, "the answer is no JSON: %s: %.200s", fault.text, answer);
    json_t *shown = option_given(in, "return-value") ? json_object_get(json, "return") : json;
    if (shown) {
        json_dumpf(shown, stdout, (option_given(in, "pretty") ? JSON_INDENT(2) : JSON_COMPACT) | JSON_ENCODE_ANY);
        putchar('\n');
    } else {
        error_set(err, ERR_INTERNAL_ERROR, "the answer has no 'return': %.500s", answer);
    }
    json_decref(json);
    return shown ? 0 : -1;
}

static int run_monitor_command(struct invocation *in, struct error *err)
{
    struct qemu_domain_monitor_command_args args = {0};
    struct qemu_domain_monitor_command_ret ret;
    if (option_given(in, "hmp")) {
        args.flags |= DOMAIN_QEMU_MONITOR_COMMAND_HMP;
        if (option_given(in, "pretty") || option_given(in, "return-value"))
            return error_set(err, ERR_INVALID_ARG, "--hmp answers with text: --pretty and --return-value make no "
                             "sense");
    }
    args.cmd = option_given(in, "hmp") ? invocation_rest(in, 0) : qmp_command(in, err);
    if (!args.cmd || domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_qemu_domain_monitor_command(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "QEMU of domain '%s' did not do '%s'", args.dom.name, args.cmd);
    return print_answer(in, ret.result, err);
}

struct monitor_watch {
    struct invocation *in;
    struct condition changed;
    bool done;
    unsigned count;
};

static void print_details(struct invocation *in, const char *details)
{
    json_t *json = details && option_given(in, "pretty") ? json_loads(details, JSON_DECODE_ANY, NULL) : NULL;
    if (json)
        json_dumpf(json, stdout, JSON_INDENT(2));
    else
        fputs(details ? details : "<null>", stdout);
    json_decref(json);
}

static void print_monitor_event(void *owner, const struct wire_procedure *procedure, const void *data)
{
    struct monitor_watch *watch = owner;
    const struct qemu_domain_monitor_event_event *event = data;
    if (procedure->program != &program_qemu || procedure->number != PROC_QEMU_DOMAIN_MONITOR_EVENT || watch->done)
        return;
    scoped_arena struct arena *arena = arena_new();
    if (output_is_json(watch->in)) {
        json_t *details = event->details ? json_loads(event->details, JSON_DECODE_ANY, NULL) : NULL;
        json_t *object = json_pack("{s:s, s:s, s:I, s:I, s:o}", "event", event->event, "domain", event->dom.name,
                                   "seconds", (json_int_t)event->seconds, "microseconds", (json_int_t)event->micros,
                                   "details", details ? details : json_null());
        json_dumpf(object, stdout, JSON_COMPACT);
        json_decref(object);
    } else {
        if (option_given(watch->in, "timestamp"))
            printf("%s: ", event_timestamp(arena));
        printf("event %s at %lld.%06u for domain '%s': ", event->event, (long long)event->seconds, event->micros,
               event->dom.name);
        print_details(watch->in, event->details);
    }
    putchar('\n');
    fflush(stdout);
    watch->count++;
    if (!option_given(watch->in, "loop")) {
        watch->done = true;
        condition_wake(&watch->changed);
    }
}

static int run_monitor_event(struct invocation *in, struct error *err)
{
    struct wire_domain dom;
    struct qemu_connect_domain_monitor_event_register_args args = {.event = option_text(in, "event")};
    struct qemu_connect_domain_monitor_event_register_ret ret;
    uint64_t timeout_s = 0;
    if (option_u64(in, "timeout", UINT32_MAX, &timeout_s, err) < 0)
        return -1;
    if (option_given(in, "timeout") && !timeout_s)
        return error_set(err, ERR_INVALID_ARG, "--timeout takes a number of seconds from 1");
    if (option_given(in, "domain")) {
        if (domain_get(in, &dom, err) < 0)
            return -1;
        args.dom = &dom;
    }
    args.flags = (option_given(in, "regex") ? CONNECT_DOMAIN_QEMU_MONITOR_EVENT_REGISTER_REGEX : 0) |
                 (option_given(in, "no-case") ? CONNECT_DOMAIN_QEMU_MONITOR_EVENT_REGISTER_NOCASE : 0);
    struct monitor_watch watch = {.in = in};
    struct listener listener = {.event = print_monitor_event, .owner = &watch};
    condition_init(&watch.changed);
    connection_listen(in->shell->connection, &listener);
    int result = remote_qemu_connect_domain_monitor_event_register(shell_client(in), &args, in->arena, &ret, err);
    if (result < 0) {
        command_failed(err, "cannot ask for QEMU's events");
    } else {
        result = event_wait(in, &watch.changed, &watch.done, timeout_s, err);
        struct qemu_connect_domain_monitor_event_deregister_args end = {.callback_id = ret.callback_id};
        struct error ignored = {0};
        if (!in->shell->connection->closed)
            remote_qemu_connect_domain_monitor_event_deregister(shell_client(in), &end, &ignored);
        output_note(in, "events received: %u\n", watch.count);
    }
    connection_unlisten(&listener);
    return result == 0 && watch.count ? 0 : -1;
}

static const struct command_option monitor_command_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"hmp", OPTION_BOOL, 0, "the command is for the human monitor"},
    {"pretty", OPTION_BOOL, 0, "print the answer with indentation"},
    {"return-value", OPTION_BOOL, 0, "print only what 'return' holds"},
    {"cmd", OPTION_REST, OPTION_REQUIRED, "the command; several words are joined by blanks"},
    {0},
};

static const struct command_option monitor_event_options[] = {
    {"domain", OPTION_STRING, 0, "events of this domain only, by name, id or UUID", complete_active},
    {"event", OPTION_STRING, 0, "events of this name only"},
    {"pretty", OPTION_BOOL, 0, "print the details with indentation"},
    {"loop", OPTION_BOOL, 0, "go on after the first one, until the time is over or Ctrl-C"},
    {"timeout", OPTION_NUMBER, 0, "seconds to wait"},
    {"regex", OPTION_BOOL, 0, "the name is a regular expression"},
    {"no-case", OPTION_BOOL, 0, "the name's case does not matter"},
    {"timestamp", OPTION_BOOL, 0, "print the time before each event"},
    {0},
};

const struct command monitor_commands[] = {
    {"qemu-monitor-command", "domain", "give a command to the QEMU of a domain", "What it changes behind the daemon's "
     "back is your responsibility.", monitor_command_options, run_monitor_command},
    {"qemu-monitor-event", "domain", "wait for events of QEMU itself", NULL, monitor_event_options, run_monitor_event},
    {0},
};
