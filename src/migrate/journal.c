/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/journal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "migrate/internal.h"

enum {
    VERSION = 1,
    LENGTH_MAX = 1024 * 1024,
};

/* A source that has not asked for so long will not. */
#define KEEP_MS (INT64_C(14) * 24 * 3600 * 1000)
#define PURGE_EVERY_NS (UINT64_C(3600) * 1000000000)

static const char *const roles[] = {"source", "destination"};
static const char *const owners[] = {"source", "destination", "unknown"};

static int word_index(const char *const words[], size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (string_equal(words[i], word))
            return (int)i;
    return -1;
}

static const char *entry_path(const struct driver *driver, const unsigned char id[UUID_SIZE], struct arena *arena)
{
    char string[UUID_STRING_SIZE];
    uuid_format(id, string);
    return arena_printf(arena, "%s/%s.json", driver->migrations_dir, string);
}

const char *journal_phase(const struct journal_entry *entry)
{
    if (entry->role == WIRE_MIGRATION_ROLE_DESTINATION)
        return entry->owner == WIRE_MIGRATION_OWNER_DESTINATION ? "taken" : "arriving";
    return entry->owner == WIRE_MIGRATION_OWNER_SOURCE ? "performing" : "handed over";
}

bool journal_is_settled(const struct journal_entry *entry)
{
    return entry->role == WIRE_MIGRATION_ROLE_DESTINATION && entry->owner == WIRE_MIGRATION_OWNER_DESTINATION;
}

/* -- writing ------------------------------------------------------------------------------------------------------- */

/* A path that is no UTF-8 has been refused, since XML has none. */
static json_t *images_json(const struct journal_entry *entry)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < entry->image_count; i++)
        json_array_append_new(list, json_string(entry->images[i]));
    return list;
}

int journal_write(const struct driver *driver, const struct journal_entry *entry, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    char uuid[UUID_STRING_SIZE];
    uuid_format(entry->uuid, uuid);
    scoped_json json_t *json = json_pack(
        "{s:i, s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:I, s:s, s:s*}", "version", VERSION, "uuid", uuid, "name",
        entry->name, "role", roles[entry->role], "owner", owners[entry->owner], "shared", entry->shared, "paused",
        entry->paused, "undefine", entry->undefine, "since-ms", (json_int_t)entry->since_ms, "peer",
        entry->peer ? entry->peer : "", "peer-uri", entry->peer_uri);
    if (json && entry->image_count)
        json_object_set_new(json, "images", images_json(entry));
    scoped_free char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
    if (!text)
        return error_set(err, ERR_INTERNAL_ERROR,
                         "the migration of domain '%s' cannot be noted in the journal: a name is not valid UTF-8",
                         entry->name);
    if (file_write_durable(entry_path(driver, entry->id, arena), text, strlen(text), 0600, err) < 0)
        return error_wrap(err, "the migration of domain '%s' cannot be noted in the journal", entry->name);
    return 0;
}

int journal_remove(const struct driver *driver, const unsigned char id[UUID_SIZE], struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    return file_remove_durable(entry_path(driver, id, arena), err);
}

/* -- reading ------------------------------------------------------------------------------------------------------- */

static void read_images(struct journal_entry *entry, const json_t *list, struct arena *arena)
{
    size_t i;
    json_t *path;
    entry->images = arena_new_array(arena, json_array_size(list), const char *);
    json_array_foreach (list, i, path)
        if (json_is_string(path))
            entry->images[entry->image_count++] = arena_strdup(arena, json_string_value(path));
}

static int read_entry(struct journal_entry *entry, const json_t *json, struct arena *arena)
{
    int version, shared, paused, undefine;
    json_int_t since;
    const char *uuid, *name, *role, *owner, *peer, *peer_uri = NULL;
    if (json_unpack((json_t *)json, "{s:i, s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:I, s:s, s?s}", "version", &version,
                    "uuid", &uuid, "name", &name, "role", &role, "owner", &owner, "shared", &shared, "paused", &paused,
                    "undefine", &undefine, "since-ms", &since, "peer", &peer, "peer-uri", &peer_uri) < 0 ||
        version != VERSION || uuid_parse(uuid, entry->uuid) < 0)
        return -1;
    entry->role = word_index(roles, COUNT(roles), role);
    entry->owner = word_index(owners, COUNT(owners), owner);
    entry->shared = shared;
    entry->paused = paused;
    entry->undefine = undefine;
    entry->since_ms = since;
    entry->name = arena_strdup(arena, name);
    entry->peer = arena_strdup(arena, peer);
    entry->peer_uri = arena_strdup(arena, peer_uri);
    read_images(entry, json_object_get(json, "images"), arena);
    return entry->role < 0 || entry->owner < 0 ? -1 : 0;
}

bool journal_read(const struct driver *driver, const unsigned char id[UUID_SIZE], struct journal_entry *entry,
                  struct arena *arena, struct error *err)
{
    const char *path = entry_path(driver, id, arena);
    size_t length;
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return false;
    const char *text = file_read(arena, path, LENGTH_MAX, &length, err);
    scoped_json json_t *json = text ? json_read(text, length, err) : NULL;
    *entry = (struct journal_entry){0};
    memcpy(entry->id, id, UUID_SIZE);
    if (json && read_entry(entry, json, arena) == 0)
        return true;
    if (json)
        error_set(err, ERR_INTERNAL_ERROR, "it is no entry of version %d", VERSION);
    error_wrap(err, "the journal's file '%s'", path);
    return false;
}

struct listing {
    const struct driver *driver;
    struct journal_entry *entries;
    uint32_t count, capacity;
    struct arena *arena;
};

static int found(void *owner, const char *name, struct error *err)
{
    struct listing *listing = owner;
    char string[UUID_STRING_SIZE];
    unsigned char id[UUID_SIZE];
    struct error problem = {0};
    snprintf(string, sizeof string, "%s", name);
    if (!string_ends(name, ".json") || uuid_parse(string, id) < 0)
        return 0;
    /* no limit: an entry that is overlooked may be the one that keeps a guest from running twice */
    struct journal_entry *entry =
        arena_grow(listing->arena, listing->entries, listing->count, listing->capacity, 64);
    if (journal_read(listing->driver, id, entry, listing->arena, &problem))
        listing->count++;
    else if (problem.code)
        log_error("%s", problem.message);
    return 0;
}

uint32_t journal_list(const struct driver *driver, struct journal_entry **entries, struct arena *arena)
{
    struct error err = {0};
    struct listing listing = {.driver = driver, .arena = arena};
    if (directory_list(driver->migrations_dir, found, &listing, &err) < 0)
        log_error("%s", err.message);
    *entries = listing.entries;
    return listing.count;
}

bool journal_find(const struct driver *driver, const unsigned char uuid[UUID_SIZE], int role,
                  struct journal_entry *entry, struct arena *arena)
{
    struct journal_entry *entries;
    uint32_t count = journal_list(driver, &entries, arena);
    const struct journal_entry *newest = NULL;
    for (uint32_t i = 0; i < count; i++)
        if (entries[i].role == role && memcmp(entries[i].uuid, uuid, UUID_SIZE) == 0 &&
            (!newest || entries[i].since_ms > newest->since_ms))
            newest = &entries[i];
    if (newest)
        *entry = *newest;
    return newest;
}

/* -- the end of an entry ------------------------------------------------------------------------------------------- */

bool journal_is_old(const struct journal_entry *entry)
{
    return journal_is_settled(entry) && entry->since_ms + KEEP_MS < (int64_t)clock_ms();
}

static void purge(void *owner)
{
    const struct driver *driver = owner;
    scoped_arena struct arena *arena = arena_new();
    struct journal_entry *entries;
    struct error err = {0};
    uint32_t count = journal_list(driver, &entries, arena);
    for (uint32_t i = 0; i < count && !err.code; i++)
        if (journal_is_old(&entries[i]) && journal_remove(driver, entries[i].id, &err) < 0)
            log_error("%s", err.message);
}

void journal_purge(struct driver *driver)
{
    if (driver->journal_purged_ns && now_ns() - driver->journal_purged_ns < PURGE_EVERY_NS)
        return;
    driver->journal_purged_ns = now_ns();
    fiber_start("purge", purge, driver);
}
