/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/event.h"

#include <string.h>

#include "base/text.h"
#include "cli/domain.h"
#include "cli/terminal.h"

struct event_watch {
    struct invocation *in;
    struct condition changed;
    bool done, once;
    unsigned count;
};

static void print_event(void *owner, const struct wire_procedure *procedure, const void *event)
{
    struct event_watch *watch = owner;
    const struct event_kind *kind = event_kind_of(procedure);
    if (!kind || watch->done)
        return;
    scoped_arena struct arena *arena = arena_new();
    const char *stamp = event_timestamp(arena);
    if (output_is_json(watch->in)) {
        json_t *object = event_json(kind, event);
        json_object_set_new(object, "time", json_string(stamp));
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(object);
    } else {
        printf("%s%s%s\n", option_given(watch->in, "timestamp") ? stamp : "",
               option_given(watch->in, "timestamp") ? ": " : "", event_text(arena, kind, event));
    }
    fflush(stdout);
    watch->count++;
    if (watch->once) {
        watch->done = true;
        condition_wake(&watch->changed);
    }
}

int event_wait(struct invocation *in, struct condition *changed, const bool *done, uint64_t timeout_s,
               struct error *err)
{
    struct connection *connection = in->shell->connection;
    scoped_interrupt struct interrupt *interrupt = interrupt_new(changed);
    deadline limit = timeout_s ? deadline_ms(timeout_s * 1000) : DEADLINE_NONE;
    while (!*done && !interrupt_came(interrupt)) {
        struct error local = {0};
        if (connection->closed)
            return error_set(err, connection->reason.code, "the connection ended while waiting for events: %s",
                             connection->reason.message);
        /* the end of the connection wakes another condition: looked at every half second */
        deadline turn = deadline_ms(500);
        if (condition_wait(changed, turn < limit ? turn : limit, &local) < 0 && local.code != ERR_OPERATION_TIMEOUT) {
            *err = local;
            return -1;
        }
        if (now_ns() >= limit) {
            output_note(in, "event loop timed out\n");
            return 0;
        }
    }
    if (!*done)
        output_note(in, "event loop interrupted\n");
    return 0;
}

static int list_kinds(struct invocation *in)
{
    scoped_listing struct listing listing;
    listing_init(&listing, in);
    for (const struct event_kind *kind = event_kinds; kind->name; kind++)
        listing_word(&listing, "name", kind->name);
    listing_end(&listing);
    return 0;
}

static const struct event_kind *find_kind(const char *name, struct error *err)
{
    for (const struct event_kind *kind = event_kinds; kind->name; kind++)
        if (strcmp(kind->name, name) == 0)
            return kind;
    return error_null(err, ERR_INVALID_ARG, "there is no event '%s'; 'event --list' lists them", name);
}

/* Asks for one kind; an unknown one (an older daemon) is no error when all were asked for. */
static int register_kind(struct invocation *in, const struct event_kind *kind, struct wire_domain *dom, int32_t *id,
                         struct error *err)
{
    struct connect_domain_event_callback_register_any_args args = {.event_id = kind->id, .dom = dom};
    struct connect_domain_event_callback_register_any_ret ret;
    if (remote_connect_domain_event_callback_register_any(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot ask for the event '%s'", kind->name);
    *id = ret.callback_id;
    return 0;
}

static void deregister(struct invocation *in, const int32_t *ids, size_t count)
{
    struct error ignored = {0};
    for (size_t i = 0; i < count && !in->shell->connection->closed; i++) {
        struct connect_domain_event_callback_deregister_any_args args = {.callback_id = ids[i]};
        remote_connect_domain_event_callback_deregister_any(shell_client(in), &args, &ignored);
    }
}

static int watch_events(struct invocation *in, const struct event_kind *only, struct wire_domain *dom,
                        uint64_t timeout_s, struct error *err)
{
    struct event_watch watch = {.in = in, .once = !option_given(in, "loop")};
    struct listener listener = {.event = print_event, .owner = &watch};
    int32_t ids[64];
    size_t count = 0;
    int result = 0;
    condition_init(&watch.changed);
    connection_listen(in->shell->connection, &listener); /* before asking: an event may follow the answer at once */
    for (const struct event_kind *kind = event_kinds; kind->name && result == 0; kind++) {
        struct error local = {0};
        if (only && kind != only)
            continue;
        if (register_kind(in, kind, dom, &ids[count], &local) == 0)
            count++;
        else if (only || local.code != ERR_INVALID_ARG) {
            *err = local;
            result = -1;
        }
    }
    if (result == 0)
        result = event_wait(in, &watch.changed, &watch.done, timeout_s, err);
    connection_unlisten(&listener);
    deregister(in, ids, count);
    output_note(in, "events received: %u\n", watch.count);
    return result == 0 && watch.count ? 0 : -1;
}

static int run_event(struct invocation *in, struct error *err)
{
    const char *name = option_text(in, "event");
    const struct event_kind *only = NULL;
    struct wire_domain dom, *filter = NULL;
    uint64_t timeout_s = 0;
    if (option_exclusive(in, err, "list", "all", NULL) < 0 || option_exclusive(in, err, "all", "event", NULL) < 0 ||
        option_u64(in, "timeout", UINT32_MAX, &timeout_s, err) < 0)
        return -1;
    if (option_given(in, "timeout") && !timeout_s)
        return error_set(err, ERR_INVALID_ARG, "--timeout takes a number of seconds from 1");
    if (option_given(in, "list"))
        return list_kinds(in);
    if (!name && !option_given(in, "all"))
        return error_set(err, ERR_INVALID_ARG, "event needs one of --list, --all and --event NAME");
    if (name && !(only = find_kind(name, err)))
        return -1;
    if (option_given(in, "domain")) {
        if (domain_get(in, &dom, err) < 0)
            return -1;
        filter = &dom;
    }
    return watch_events(in, only, filter, timeout_s, err);
}

static void complete_events(struct completion *completion)
{
    for (const struct event_kind *kind = event_kinds; kind->name; kind++)
        completion->offer(completion, kind->name);
}

static const struct command_option event_options[] = {
    {"domain", OPTION_STRING, 0, "events of this domain only, by name, id or UUID", complete_domains},
    {"event", OPTION_STRING, 0, "kind of event to wait for", complete_events},
    {"all", OPTION_BOOL, 0, "every kind of event"},
    {"loop", OPTION_BOOL, 0, "go on after the first one, until the time is over or Ctrl-C"},
    {"timeout", OPTION_NUMBER, 0, "seconds to wait"},
    {"list", OPTION_BOOL, 0, "list the kinds of events"},
    {"timestamp", OPTION_BOOL, 0, "print the time before each event"},
    {0},
};

const struct command event_commands[] = {
    {"event", "events", "wait for events of domains", "Prints what happens. Succeeds when at least one event came.",
     event_options, run_event},
    {0},
};
