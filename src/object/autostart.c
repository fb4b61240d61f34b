/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/files.h"
#include "base/log.h"
#include "object/object.h"

enum { AT_ONCE = 4, BOOT_ID_MAX = 64 };

/* Shared by a few fibers, each of which takes the next name until none is left: one that hangs holds up few others. */
struct autostart {
    struct registry *registry;
    int (*start)(struct object *object, struct error *err);
    char **names; /* starting waits, so the list of objects may change meanwhile */
    size_t count, next;
    unsigned fibers;
    struct condition ended;
};

static void start_one(struct autostart *all, const char *name)
{
    struct error err = {0};
    struct object *found = registry_find_name(all->registry, name, NULL);
    if (!found || object_active(found))
        return;
    scoped_object struct object *object = object_ref(found);
    if (all->start(object, &err) < 0)
        log_error("autostart of %s '%s' failed: %s", all->registry->kind->noun, name, err.message);
}

static void start_some(void *owner)
{
    struct autostart *all = owner;
    while (all->next < all->count)
        start_one(all, all->names[all->next++]);
    all->fibers--;
    condition_wake(&all->ended);
}

static void collect(struct autostart *all, struct arena *arena)
{
    for (struct object *object = registry_first(all->registry); object; object = registry_next(object))
        all->count += object->autostart;
    all->names = arena_new_array(arena, all->count, char *);
    size_t count = 0;
    for (struct object *object = registry_first(all->registry); object; object = registry_next(object))
        if (object->autostart)
            all->names[count++] = arena_strdup(arena, object->name);
}

void registry_autostart(struct registry *registry, const char *mark,
                        int (*start)(struct object *object, struct error *err))
{
    scoped_arena struct arena *arena = arena_new();
    const char *boot = file_read(arena, "/proc/sys/kernel/random/boot_id", BOOT_ID_MAX, NULL, NULL) ?: "";
    if (string_equal(file_read(arena, mark, BOOT_ID_MAX, NULL, NULL), boot))
        return;
    struct autostart all = {.registry = registry, .start = start, .fibers = AT_ONCE};
    condition_init(&all.ended);
    collect(&all, arena);
    for (int i = 0; i < AT_ONCE; i++)
        fiber_start("autostart", start_some, &all);
    while (all.fibers)
        condition_wait(&all.ended, DEADLINE_NONE, NULL);
    /* after the work: a daemon that dies meanwhile leaves the rest to the next */
    struct error err = {0};
    if (file_write(mark, boot, strlen(boot), 0600, &err) < 0)
        log_warning("every %s may be autostarted again: %s", registry->kind->noun, err.message);
}
