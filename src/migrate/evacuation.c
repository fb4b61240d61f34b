/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/evacuation.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "migrate/internal.h"
#include "rpc/uri.h"

enum { VERSION = 1, LENGTH_MAX = 64 * 1024, ENTRIES_MAX = 4096 };

static const char *entry_path(const struct driver *driver, const unsigned char uuid[UUID_SIZE], struct arena *arena)
{
    char string[UUID_STRING_SIZE];
    uuid_format(uuid, string);
    return arena_printf(arena, "%s/%s.json", driver->evacuations_dir, string);
}

/* -- reading and writing ------------------------------------------------------------------------------------------- */

static int entry_write(const struct driver *driver, const struct evacuation_entry *entry, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_json json_t *json = json_pack(
        "{s:i, s:s, s:s, s:b, s:b, s:b, s:b, s:b, s:I}", "version", VERSION, "name", entry->name, "destination",
        entry->destination, "away", entry->away, "kept", entry->kept, "persistent", entry->persistent, "autostart",
        entry->autostart, "active", entry->active, "since-ms", (json_int_t)entry->since_ms);
    scoped_free char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
    if (!text)
        return error_set(err, ERR_INVALID_ARG,
                         "where domain '%s' goes cannot be recorded: a name or the URI is not valid UTF-8",
                         entry->name);
    if (file_write_durable(entry_path(driver, entry->uuid, arena), text, strlen(text), 0600, err) < 0)
        return error_wrap(err, "where domain '%s' goes cannot be recorded", entry->name);
    return 0;
}

static int entry_parse(struct evacuation_entry *entry, const json_t *json, struct arena *arena)
{
    int version, away, kept, persistent, autostart, active;
    json_int_t since;
    const char *name, *destination;
    if (json_unpack((json_t *)json, "{s:i, s:s, s:s, s:b, s:b, s:b, s:b, s:b, s:I}", "version", &version, "name",
                    &name, "destination", &destination, "away", &away, "kept", &kept, "persistent", &persistent,
                    "autostart", &autostart, "active", &active, "since-ms", &since) < 0 ||
        version != VERSION)
        return -1;
    entry->name = arena_strdup(arena, name);
    entry->destination = arena_strdup(arena, destination);
    entry->away = away;
    entry->kept = kept;
    entry->persistent = persistent;
    entry->autostart = autostart;
    entry->active = active;
    entry->since_ms = since;
    return 0;
}

/* 1 when there is one, 0 when there is none, -1 when it cannot be read. */
static int entry_read(const struct driver *driver, const unsigned char uuid[UUID_SIZE], struct evacuation_entry *entry,
                      struct arena *arena, struct error *err)
{
    const char *path = entry_path(driver, uuid, arena);
    size_t length;
    *entry = (struct evacuation_entry){0};
    memcpy(entry->uuid, uuid, UUID_SIZE);
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    const char *text = file_read(arena, path, LENGTH_MAX, &length, err);
    scoped_json json_t *json = text ? json_read(text, length, err) : NULL;
    if (json && entry_parse(entry, json, arena) == 0)
        return 1;
    if (json)
        error_set(err, ERR_INTERNAL_ERROR, "it is none of version %d; remove it if it brings no guest home",
                  VERSION);
    return error_wrap(err, "the record of an evacuated guest in '%s'", path);
}

static int entry_require(const struct driver *driver, const unsigned char uuid[UUID_SIZE],
                         struct evacuation_entry *entry, struct arena *arena, struct error *err)
{
    int found = entry_read(driver, uuid, entry, arena, err);
    char string[UUID_STRING_SIZE];
    if (found)
        return found;
    uuid_format(uuid, string);
    return error_set(err, ERR_OPERATION_INVALID, "no guest with UUID %s is recorded as evacuated from here", string);
}

struct listing {
    const struct driver *driver;
    struct evacuation_entry *entries;
    uint32_t count, passed_over;
    struct arena *arena;
};

static int found(void *owner, const char *name, struct error *err)
{
    struct listing *listing = owner;
    char string[UUID_STRING_SIZE];
    unsigned char uuid[UUID_SIZE];
    struct error problem = {0};
    snprintf(string, sizeof string, "%s", name);
    if (!string_ends(name, ".json") || uuid_parse(string, uuid) < 0)
        return 0;
    if (listing->count == ENTRIES_MAX) {
        listing->passed_over++;
        return 0;
    }
    if (entry_read(listing->driver, uuid, &listing->entries[listing->count], listing->arena, &problem) > 0)
        listing->count++;
    else if (problem.code)
        log_error("%s", problem.message);
    return 0;
}

uint32_t evacuation_list(const struct driver *driver, struct evacuation_entry **entries, struct arena *arena)
{
    struct error err = {0};
    struct listing listing = {
        .driver = driver, .entries = arena_new_array(arena, ENTRIES_MAX, struct evacuation_entry), .arena = arena};
    if (directory_list(driver->evacuations_dir, found, &listing, &err) < 0)
        log_error("%s", err.message);
    if (listing.passed_over)
        log_error("%u guests more than the %d that can be told are on record in '%s': bring some home first",
                  listing.passed_over, ENTRIES_MAX, driver->evacuations_dir);
    *entries = listing.entries;
    return listing.count;
}

/* -- what happens to a guest --------------------------------------------------------------------------------------- */

int evacuation_leave(struct domain *domain, const char *destination, bool kept, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct evacuation_entry before;
    if (strlen(destination) > URI_LENGTH_MAX)
        return error_set(err, ERR_INVALID_ARG, "the destination of domain '%s' is longer than %d bytes",
                         domain_name(domain), URI_LENGTH_MAX);
    if (entry_read(domain->driver, domain->object.uuid, &before, arena, err) < 0)
        return -1;
    struct evacuation_entry entry = {
        .name = arena_strdup(arena, domain_name(domain)),
        .destination = destination,
        .kept = kept && domain->object.persistent,
        .persistent = domain->object.persistent,
        /* brought home by hand, it has no mark yet, but the record of last time knows of one */
        .autostart = domain->object.autostart || before.autostart,
        .active = domain_active(domain),
        .since_ms = (int64_t)clock_ms(),
    };
    memcpy(entry.uuid, domain->object.uuid, UUID_SIZE);
    return entry_write(domain->driver, &entry, err);
}

void evacuation_departed(struct domain *domain)
{
    scoped_arena struct arena *arena = arena_new();
    struct evacuation_entry entry;
    struct error err = {0};
    if (!domain->object.persistent || !domain->object.autostart)
        return;
    int noted = entry_read(domain->driver, domain->object.uuid, &entry, arena, &err);
    if (noted > 0 && entry.kept && !entry.away)
        noted = object_set_autostart(&domain->object, false, &err);
    if (noted < 0)
        log_error("domain '%s' has left, but may be started here by itself: %s", domain_name(domain), err.message);
}

/* Sets the mark of a definition that is here. */
static int set_autostart(struct driver *driver, const struct evacuation_entry *entry, bool autostart,
                         const char *client, struct error *err)
{
    struct domain *domain = driver_find(driver, entry->uuid, NULL);
    if (!domain || !domain->object.persistent || domain->object.autostart == autostart)
        return 0;
    scoped_domain struct domain *held = domain_of(object_ref(&domain->object));
    return domain_set_autostart(held, autostart, client, err);
}

int evacuation_left(struct driver *driver, const unsigned char uuid[UUID_SIZE], const char *client, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct evacuation_entry entry;
    if (entry_require(driver, uuid, &entry, arena, err) < 0 || set_autostart(driver, &entry, false, client, err) < 0)
        return -1;
    entry.away = true;
    return entry_write(driver, &entry, err);
}

int evacuation_here(struct driver *driver, const unsigned char uuid[UUID_SIZE], const char *client, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct evacuation_entry entry;
    if (entry_require(driver, uuid, &entry, arena, err) < 0 ||
        (entry.autostart && set_autostart(driver, &entry, true, client, err) < 0))
        return -1;
    return file_remove_durable(entry_path(driver, uuid, arena), err);
}

int evacuation_forget(struct driver *driver, const unsigned char uuid[UUID_SIZE], struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct evacuation_entry entry;
    if (entry_require(driver, uuid, &entry, arena, err) < 0)
        return -1;
    return file_remove_durable(entry_path(driver, uuid, arena), err);
}
