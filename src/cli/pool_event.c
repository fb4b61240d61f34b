/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "cli/event.h"
#include "cli/pool.h"
#include "wire_tables.h"

/* Events of storage pools. */

static const char *const kinds[] = {"lifecycle", "refresh"}; /* by STORAGE_POOL_EVENT_ID_* */
static const char *const procedures[] = {"storage-pool-event-lifecycle", "storage-pool-event-refresh"};
static const char *const lifecycle_words[] = {"Defined", "Undefined", "Started", "Stopped", "Created", "Deleted"};

struct pool_watch {
    struct invocation *in;
    struct condition changed;
    bool done, once;
    unsigned count;
};

static void print_event(void *owner, const struct wire_procedure *procedure, const void *event)
{
    struct pool_watch *watch = owner;
    bool lifecycle = strcmp(procedure->name, procedures[STORAGE_POOL_EVENT_ID_LIFECYCLE]) == 0;
    if (watch->done || (!lifecycle && strcmp(procedure->name, procedures[STORAGE_POOL_EVENT_ID_REFRESH]) != 0))
        return;
    const struct storage_pool_event_lifecycle_event *life = event;
    const struct storage_pool_event_refresh_event *refresh = event;
    const char *pool = lifecycle ? life->pool.name : refresh->pool.name;
    const char *what = !lifecycle                                               ? NULL
                       : life->event >= 0 && (size_t)life->event < COUNT(lifecycle_words) ? lifecycle_words[life->event]
                                                                                : "unknown";
    scoped_arena struct arena *arena = arena_new();
    const char *stamp = event_timestamp(arena);
    if (output_is_json(watch->in)) {
        json_t *object = json_pack("{s:s, s:s, s:s*, s:s}", "event", kinds[!lifecycle], "pool", pool, "detail", what,
                                   "time", stamp);
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(object);
    } else {
        bool stamped = option_given(watch->in, "timestamp");
        printf("%s%sevent '%s' for storage pool %s%s%s\n", stamped ? stamp : "", stamped ? ": " : "",
               kinds[!lifecycle], pool, what ? ": " : "", what ? what : "");
    }
    fflush(stdout);
    watch->count++;
    if (watch->once) {
        watch->done = true;
        condition_wake(&watch->changed);
    }
}

static int watch_pool(struct invocation *in, int kind, struct wire_storage_pool *pool, uint64_t timeout_s,
                      struct error *err)
{
    struct connect_storage_pool_event_register_any_args args = {.event_id = kind, .pool = pool};
    struct connect_storage_pool_event_register_any_ret ret;
    struct pool_watch watch = {.in = in, .once = !option_given(in, "loop")};
    struct listener listener = {.event = print_event, .owner = &watch};
    condition_init(&watch.changed);
    connection_listen(in->shell->connection, &listener); /* before asking: an event may follow the answer at once */
    int rc = remote_connect_storage_pool_event_register_any(shell_client(in), &args, in->arena, &ret, err);
    if (rc < 0) {
        connection_unlisten(&listener);
        return command_failed(err, "cannot ask for the event '%s'", kinds[kind]);
    }
    rc = event_wait(in, &watch.changed, &watch.done, timeout_s, err);
    connection_unlisten(&listener);
    if (!in->shell->connection->closed) {
        struct connect_storage_pool_event_deregister_any_args end = {.callback_id = ret.callback_id};
        remote_connect_storage_pool_event_deregister_any(shell_client(in), &end, NULL);
    }
    output_note(in, "events received: %u\n", watch.count);
    return rc == 0 && watch.count ? 0 : -1;
}

static int list_kinds(struct invocation *in)
{
    scoped_listing struct listing listing;
    listing_init(&listing, in);
    for (size_t i = 0; i < COUNT(kinds); i++)
        listing_word(&listing, "name", kinds[i]);
    listing_end(&listing);
    return 0;
}

static int run_pool_event(struct invocation *in, struct error *err)
{
    struct wire_storage_pool pool;
    uint64_t timeout_s = 0;
    const char *name = option_text(in, "event");
    int kind = string_equal(name, "lifecycle") ? 0 : string_equal(name, "refresh") ? 1 : -1;
    if (option_u64(in, "timeout", UINT32_MAX, &timeout_s, err) < 0)
        return -1;
    if (option_given(in, "list"))
        return list_kinds(in);
    if (kind < 0)
        return name ? error_set(err, ERR_INVALID_ARG, "there is no storage pool event '%s'; there are lifecycle and "
                                "refresh", name)
                    : error_set(err, ERR_INVALID_ARG, "pool-event needs --list or --event NAME");
    if (option_given(in, "timeout") && !timeout_s)
        return error_set(err, ERR_INVALID_ARG, "--timeout takes a number of seconds from 1");
    if (option_given(in, "pool") && pool_get(in, &pool, err) < 0)
        return -1;
    return watch_pool(in, kind, option_given(in, "pool") ? &pool : NULL, timeout_s, err);
}

static const struct command_option event_options[] = {
    {"pool", OPTION_STRING, 0, "events of this pool only, by name or UUID", complete_pools},
    {"event", OPTION_STRING, 0, "kind of event to wait for: lifecycle or refresh"},
    {"loop", OPTION_BOOL, 0, "go on after the first one, until the time is over or Ctrl-C"},
    {"timeout", OPTION_NUMBER, 0, "seconds to wait"},
    {"list", OPTION_BOOL, 0, "list the kinds of events"},
    {"timestamp", OPTION_BOOL, 0, "print the time before each event"},
    {0},
};

const struct command pool_event_commands[] = {
    {"pool-event", "pool", "wait for events of storage pools", "Prints what happens. Succeeds when at least one event "
     "came.", event_options, run_pool_event},
    {0},
};
