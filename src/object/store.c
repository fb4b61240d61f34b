/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "object/store.h"

#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "base/log.h"

#define DEFINITION_MAX (4 * 1024 * 1024) /* what fits the protocol's longest string */
#define PATH_SIZE      4200

enum { DEFINITION_MODE = 0600 }; /* may hold passwords of graphics */

void store_init(struct store *store, const char *directory)
{
    store->directory = xstrdup(directory);
}

void store_finish(struct store *store)
{
    free(store->directory);
    store->directory = NULL;
}

static const char *definition_path(const struct store *store, const unsigned char uuid[UUID_SIZE], const char *suffix,
                                   char path[PATH_SIZE])
{
    char string[UUID_STRING_SIZE];
    uuid_format(uuid, string);
    snprintf(path, PATH_SIZE, "%s/%s%s", store->directory, string, suffix);
    return path;
}

struct loading {
    const struct store *store;
    int (*found)(void *owner, const char *xml, size_t length, const unsigned char uuid[UUID_SIZE], bool autostart,
                 struct error *err);
    void *owner;
};

static int load_one(void *owner, const char *name, struct error *err)
{
    const struct loading *loading = owner;
    unsigned char uuid[UUID_SIZE];
    char stem[UUID_STRING_SIZE], path[PATH_SIZE];
    snprintf(stem, sizeof stem, "%s", name);
    if (uuid_parse(stem, uuid) < 0)
        return 0; /* something of the administrator's */
    if (string_ends(name, ".new")) { /* half of what a daemon that was killed wrote */
        scoped_free char *half = xprintf("%s/%s", loading->store->directory, name);
        unlink(half);
    }
    if (strlen(name) != UUID_STRING_SIZE - 1 + strlen(".xml") || !string_ends(name, ".xml"))
        return 0; /* an autostart mark */
    scoped_arena struct arena *arena = arena_new();
    struct error problem = {0};
    size_t length;
    char *xml = file_read(arena, definition_path(loading->store, uuid, ".xml", path), DEFINITION_MAX, &length,
                          &problem);
    bool autostart = access(definition_path(loading->store, uuid, ".autostart", path), F_OK) == 0;
    if (!xml || loading->found(loading->owner, xml, length, uuid, autostart, &problem) < 0)
        log_error("%s/%s is left out: %s", loading->store->directory, name, problem.message);
    return 0; /* one bad file must not keep the others from being found */
}

int store_load(const struct store *store,
               int (*found)(void *owner, const char *xml, size_t length, const unsigned char uuid[UUID_SIZE],
                            bool autostart, struct error *err),
               void *owner, struct error *err)
{
    struct loading loading = {store, found, owner};
    return directory_list(store->directory, load_one, &loading, err);
}

char *store_read(const struct store *store, struct arena *arena, const unsigned char uuid[UUID_SIZE],
                 struct error *err)
{
    char path[PATH_SIZE];
    return file_read(arena, definition_path(store, uuid, ".xml", path), DEFINITION_MAX, NULL, err);
}

int store_write(const struct store *store, const unsigned char uuid[UUID_SIZE], const char *xml, struct error *err)
{
    char path[PATH_SIZE];
    size_t length = strlen(xml);
    if (length > DEFINITION_MAX)
        return error_set(err, ERR_XML_ERROR, "the definition has %zu bytes; at most %d can be stored", length,
                         DEFINITION_MAX);
    return file_write_durable(definition_path(store, uuid, ".xml", path), xml, strlen(xml), DEFINITION_MODE, err);
}

int store_remove(const struct store *store, const unsigned char uuid[UUID_SIZE], struct error *err)
{
    char path[PATH_SIZE];
    /* the mark first: a definition without a mark is harmless, a mark without a definition would be litter */
    if (store_set_autostart(store, uuid, false, err) < 0)
        return -1;
    return file_remove_durable(definition_path(store, uuid, ".xml", path), err);
}

int store_set_autostart(const struct store *store, const unsigned char uuid[UUID_SIZE], bool autostart,
                        struct error *err)
{
    char path[PATH_SIZE];
    definition_path(store, uuid, ".autostart", path);
    if (autostart)
        return file_write_durable(path, "", 0, DEFINITION_MODE, err);
    return access(path, F_OK) == 0 ? file_remove_durable(path, err) : 0;
}
