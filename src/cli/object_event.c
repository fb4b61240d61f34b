/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/object_event.h"

#include <string.h>

#include "cli/event.h"
#include "wire_tables.h"

struct object_watch {
    struct invocation *in;
    const struct object_events *events;
    struct condition changed;
    bool done, once;
    unsigned count;
};

static size_t length_of(const char *const *words)
{
    size_t length = 0;
    while (words[length])
        length++;
    return length;
}

static int find_word(const char *const *words, const char *word)
{
    for (int i = 0; words[i]; i++)
        if (string_equal(words[i], word))
            return i;
    return -1;
}

static void print_event(void *owner, const struct wire_procedure *procedure, const void *event)
{
    struct object_watch *watch = owner;
    const struct object_events *events = watch->events;
    int kind = find_word(events->procedures, procedure->name), number = -1;
    if (watch->done || kind < 0)
        return;
    scoped_arena struct arena *arena = arena_new();
    const char *name = events->name(arena, kind, event, &number), *stamp = event_timestamp(arena);
    const char *what = kind != 0                                                       ? NULL
                       : number >= 0 && (size_t)number < length_of(events->lifecycle) ? events->lifecycle[number]
                                                                                       : "unknown";
    if (output_is_json(watch->in)) {
        json_t *object = json_pack("{s:s, s:s, s:s*, s:s}", "event", events->kinds[kind],
                                   strrchr(events->noun, ' ') ? strrchr(events->noun, ' ') + 1 : events->noun, name,
                                   "detail", what, "time", stamp);
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(object);
    } else {
        bool stamped = option_given(watch->in, "timestamp");
        printf("%s%sevent '%s' for %s %s%s%s\n", stamped ? stamp : "", stamped ? ": " : "", events->kinds[kind],
               events->noun, name, what ? ": " : "", what ? what : "");
    }
    fflush(stdout);
    watch->count++;
    if (watch->once) {
        watch->done = true;
        condition_wake(&watch->changed);
    }
}

static int watch_events(struct invocation *in, const struct object_events *events, int kind, void *object,
                        uint64_t timeout_s, struct error *err)
{
    int32_t callback_id;
    struct object_watch watch = {.in = in, .events = events, .once = !option_given(in, "loop")};
    struct listener listener = {.event = print_event, .owner = &watch};
    condition_init(&watch.changed);
    connection_listen(in->shell->connection, &listener); /* before asking: an event may follow the answer at once */
    int rc = events->begin(in, kind, object, &callback_id, err);
    if (rc < 0) {
        connection_unlisten(&listener);
        return command_failed(err, "cannot ask for the event '%s'", events->kinds[kind]);
    }
    rc = event_wait(in, &watch.changed, &watch.done, timeout_s, err);
    connection_unlisten(&listener);
    if (!in->shell->connection->closed)
        events->end(in, callback_id);
    output_note(in, "events received: %u\n", watch.count);
    return rc == 0 && watch.count ? 0 : -1;
}

static int list_kinds(struct invocation *in, const struct object_events *events)
{
    scoped_listing struct listing listing;
    listing_init(&listing, in);
    for (size_t i = 0; events->kinds[i]; i++)
        listing_word(&listing, "name", events->kinds[i]);
    listing_end(&listing);
    return 0;
}

int object_events_run(struct invocation *in, const struct object_events *events, struct error *err)
{
    uint64_t timeout_s = 0;
    const char *name = option_text(in, "event");
    int kind = find_word(events->kinds, name);
    if (option_u64(in, "timeout", UINT32_MAX, &timeout_s, err) < 0)
        return -1;
    if (option_given(in, "list"))
        return list_kinds(in, events);
    if (kind < 0)
        return name ? error_set(err, ERR_INVALID_ARG, "there is no %s event '%s'; %s --list shows those that are",
                                events->noun, name, in->command->name)
                    : error_set(err, ERR_INVALID_ARG, "%s needs --list or --event NAME", in->command->name);
    if (option_given(in, "timeout") && !timeout_s)
        return error_set(err, ERR_INVALID_ARG, "--timeout takes a number of seconds from 1");
    void *object = NULL;
    if (in->values[0] && !(object = events->find(in, err)))
        return -1;
    return watch_events(in, events, kind, object, timeout_s, err);
}
