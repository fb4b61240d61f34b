/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/status.h"

#include <string.h>

#include "base/files.h"
#include "base/json.h"
#include "base/log.h"

#define STATUS_MAX     (8 * 1024 * 1024)
#define STATUS_VERSION 1

char *status_path(const struct domain *domain, struct arena *arena)
{
    char uuid[UUID_STRING_SIZE];
    uuid_format(domain->object.uuid, uuid);
    return arena_printf(arena, "%s/%s.json", domain->driver->run_dir, uuid);
}

static char *status_xml(const struct domain_def *live)
{
    return domain_format(live, DOMAIN_FORMAT_STATUS | DOMAIN_XML_SECURE | DOMAIN_XML_MIGRATABLE);
}

struct domain_def *status_parse(struct driver *driver, const char *xml, struct error *err)
{
    return driver_parse(driver, xml, DOMAIN_PARSE_BARE, err);
}

int status_check(struct driver *driver, const struct domain_def *live, struct error *err)
{
    scoped_free char *xml = status_xml(live);
    scoped_domain_def struct domain_def *def = status_parse(driver, xml, err);
    return def ? 0 : error_wrap(err, "the definition in use of domain '%s' could not be read back", live->name);
}

int status_write(struct domain *domain, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_free char *xml = status_xml(domain->object.live);
    scoped_json json_t *status = json_pack(
        "{s:i, s:i, s:I, s:i, s:i, s:i, s:I, s:s*, s:s, s:b, s:b, s:b, s:i, s:i, s:s}", "version", STATUS_VERSION,
        "pid", (int)process_pid(domain->process), "start-time", (json_int_t)process_started(domain->process), "id",
        domain->object.id, "state", domain->state, "reason", domain->reason, "balloon-kib",
        (json_int_t)domain->balloon_kib, "cgroup", domain->cgroup, "monitor", domain->monitor_path, "incoming",
        domain->incoming, "lockless", domain->lockless, "reset-on-shutdown", domain->reset_on_shutdown, "outgoing",
        domain->outgoing, "shutoff-reason", domain->stopping ? domain->shutoff_reason : -1, "xml", xml);
    scoped_free char *text = status ? json_dumps(status, JSON_INDENT(1)) : NULL;
    if (!text)
        return error_set(err, ERR_INTERNAL_ERROR, "the definition in use of domain '%s' is not valid UTF-8",
                         domain_name(domain));
    return file_write(status_path(domain, arena), text, strlen(text), 0600, err);
}

void status_save(struct domain *domain)
{
    struct error err = {0};
    if (status_write(domain, &err) < 0)
        log_error("domain '%s': a restart of the daemon will not find its guest as it is: %s", domain_name(domain),
                  err.message);
}

void status_remove(struct domain *domain)
{
    scoped_arena struct arena *arena = arena_new();
    unlink(status_path(domain, arena));
}

int status_load(struct status *status, const char *path, struct arena *arena, struct error *err)
{
    size_t length;
    char *text = file_read(arena, path, STATUS_MAX, &length, err);
    if (!text)
        return -1;
    json_error_t where;
    scoped_json json_t *json = json_read(text, length, err);
    if (!json)
        return error_wrap(err, "'%s'", path);
    int version, pid, incoming, reset;
    json_int_t start_time, balloon;
    const char *xml;
    status->shutoff_reason = -1;
    if (json_unpack_ex(json, &where, 0, "{s:i, s:i, s:I, s:i, s:i, s:i, s:I, s:b, s:b, s:i, s?i, s:s}", "version",
                       &version, "pid", &pid, "start-time", &start_time, "id", &status->id, "state", &status->state,
                       "reason", &status->reason, "balloon-kib", &balloon, "incoming",
                       &incoming, "reset-on-shutdown", &reset, "outgoing", &status->outgoing, "shutoff-reason",
                       &status->shutoff_reason, "xml", &xml) < 0)
        return error_set(err, ERR_INTERNAL_ERROR, "'%s': %s", path, where.text);
    if (version != STATUS_VERSION || status->id < 0 || pid <= 0)
        return error_set(err, ERR_INTERNAL_ERROR, "'%s' is of version %d, understood is %d", path, version,
                         STATUS_VERSION);
    status->pid = pid;
    status->start_time = (uint64_t)start_time;
    status->balloon_kib = (uint64_t)balloon;
    status->incoming = incoming;
    status->reset_on_shutdown = reset;
    status->lockless = !json_is_false(json_object_get(json, "lockless"));
    status->monitor = arena_strdup(arena, json_string_value(json_object_get(json, "monitor")) ?: "");
    status->cgroup = arena_strdup(arena, json_string_value(json_object_get(json, "cgroup")));
    status->xml = arena_strdup(arena, xml);
    return 0;
}
