/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/object_event.h"
#include "cli/pool.h"

/* Events of storage pools. */

static const char *const kinds[] = {"lifecycle", "refresh", NULL}; /* by STORAGE_POOL_EVENT_ID_* */
static const char *const procedures[] = {"storage-pool-event-lifecycle", "storage-pool-event-refresh", NULL};
static const char *const lifecycle[] = {"Defined", "Undefined", "Started", "Stopped", "Created", "Deleted", NULL};

static void *find(struct invocation *in, struct error *err)
{
    struct wire_storage_pool *pool = arena_struct(in->arena, struct wire_storage_pool);
    return pool_get(in, pool, err) < 0 ? NULL : pool;
}

static int begin(struct invocation *in, int kind, void *pool, int32_t *callback_id, struct error *err)
{
    struct connect_storage_pool_event_register_any_args args = {.event_id = kind, .pool = pool};
    struct connect_storage_pool_event_register_any_ret ret;
    if (remote_connect_storage_pool_event_register_any(shell_client(in), &args, in->arena, &ret, err) < 0)
        return -1;
    *callback_id = ret.callback_id;
    return 0;
}

static void end(struct invocation *in, int32_t callback_id)
{
    struct connect_storage_pool_event_deregister_any_args args = {.callback_id = callback_id};
    remote_connect_storage_pool_event_deregister_any(shell_client(in), &args, NULL);
}

static const char *name_of(struct arena *arena, int kind, const void *event, int *what)
{
    const struct storage_pool_event_lifecycle_event *life = event;
    const struct storage_pool_event_refresh_event *refresh = event;
    if (kind == STORAGE_POOL_EVENT_ID_REFRESH)
        return refresh->pool.name;
    *what = life->event;
    return life->pool.name;
}

static int run_pool_event(struct invocation *in, struct error *err)
{
    static const struct object_events events = {"storage pool", kinds, procedures, lifecycle, find, begin, end,
                                                name_of};
    return object_events_run(in, &events, err);
}

static const struct command_option event_options[] = {
    {"pool", OPTION_STRING, 0, "events of this pool only, by name or UUID", complete_pools},
    OBJECT_EVENT_OPTIONS("lifecycle or refresh"),
    {0},
};

const struct command pool_event_commands[] = {
    {"pool-event", "pool", "wait for events of storage pools", "Prints what happens. Succeeds when at least one event "
     "came.", event_options, run_pool_event},
    {0},
};
