/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <unistd.h>

#include "base/files.h"
#include "base/log.h"
#include "object/object.h"

static bool first_since_boot(const struct registry *registry, const char *mark)
{
    if (access(mark, F_OK) == 0)
        return false;
    struct error err = {0};
    if (file_write(mark, "", 0, 0600, &err) < 0)
        log_warning("every %s may be autostarted again: %s", registry->kind->noun, err.message);
    return true;
}

void registry_autostart(struct registry *registry, const char *mark,
                        int (*start)(struct object *object, struct error *err))
{
    if (!first_since_boot(registry, mark))
        return;
    /* starting waits, so the list may change under us: names first */
    scoped_arena struct arena *arena = arena_new();
    size_t count = 0;
    for (struct object *object = registry_first(registry); object; object = registry_next(object))
        count += object->autostart;
    char **names = arena_new_array(arena, count, char *);
    count = 0;
    for (struct object *object = registry_first(registry); object; object = registry_next(object))
        if (object->autostart)
            names[count++] = arena_strdup(arena, object->name);
    for (size_t i = 0; i < count; i++) {
        struct error err = {0};
        struct object *found = registry_find_name(registry, names[i], NULL);
        if (!found || object_active(found))
            continue;
        scoped_object struct object *object = object_ref(found);
        if (start(object, &err) < 0)
            log_error("autostart of %s '%s' failed: %s", registry->kind->noun, names[i], err.message);
    }
}
