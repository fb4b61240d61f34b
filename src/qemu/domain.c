/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/domain.h"

#include <inttypes.h>
#include <string.h>

#include "base/files.h"
#include "qemu/agent.h"
#include "qemu/stats.h"
#include "qemu/status.h"
#include "wire_types.h"

#define NAME_SIZE 1024 /* longer names cannot be log files anyway; the model refuses them */

/* Looking at a definition must not wait for what its emulator says of machine types: define wrote the canonical name,
 * and where somebody wrote another one, the start finds it out. */
static void *parse_stored(void *context, const char *xml, struct error *err)
{
    const struct driver *driver = context;
    struct domain_defaults defaults = driver->defaults;
    defaults.machine = NULL;
    return domain_parse(xml, -1, DOMAIN_PARSE_INACTIVE, &defaults, err);
}

static char *format_stored(const void *def)
{
    return domain_format(def, DOMAIN_XML_INACTIVE | DOMAIN_XML_SECURE);
}

static void *ref_def(void *def)
{
    return domain_def_ref(def);
}

static void unref_def(void *def)
{
    domain_def_free(def);
}

static int peek_stored(const char *xml, size_t length, char **name, unsigned char uuid[UUID_SIZE])
{
    char buffer[NAME_SIZE];
    if (domain_peek(xml, length, buffer, sizeof buffer, uuid) == 0) {
        *name = xstrdup(buffer);
        return 0;
    }
    /* an administrator's editor has been at it: the slow way */
    scoped_domain_def struct domain_def *def = domain_parse(xml, (long)length, DOMAIN_PARSE_BARE, NULL, NULL);
    if (!def || !def->name || !def->uuid_set)
        return -1;
    memcpy(uuid, def->uuid, UUID_SIZE);
    *name = xstrdup(def->name);
    return 0;
}

static void *renamed_def(const void *def, const char *name, struct error *err)
{
    struct domain_def *renamed = domain_edit(def);
    renamed->name = arena_strdup(renamed->arena, name);
    return renamed;
}

static void init(struct object *object)
{
    struct domain *domain = domain_of(object);
    domain->driver = object->registry->context;
    domain->state = DOMAIN_SHUTOFF;
    domain->reason = DOMAIN_SHUTOFF_UNKNOWN;
    domain->pause_reason = domain->resume_reason = domain->shutoff_reason = -1;
    condition_init(&domain->changed);
}

static void finish(struct object *object)
{
    struct domain *domain = domain_of(object);
    qmp_free(domain->qmp);
    process_free(domain->process);
    stats_free(domain->stats);
    agent_free(domain->agent);
    free(domain->cgroup);
    free(domain->monitor_path);
    free(domain->last_job);
}

static void changed(struct object *object, enum object_event event)
{
    static const struct {
        int event, detail;
    } lifecycle[] = {
        [OBJECT_ADDED] = {DOMAIN_EVENT_DEFINED, DOMAIN_EVENT_DEFINED_ADDED},
        [OBJECT_UPDATED] = {DOMAIN_EVENT_DEFINED, DOMAIN_EVENT_DEFINED_UPDATED},
        [OBJECT_REMOVED] = {DOMAIN_EVENT_UNDEFINED, DOMAIN_EVENT_UNDEFINED_REMOVED},
        [OBJECT_RENAMING] = {DOMAIN_EVENT_UNDEFINED, DOMAIN_EVENT_UNDEFINED_RENAMED},
        [OBJECT_RENAMED] = {DOMAIN_EVENT_DEFINED, DOMAIN_EVENT_DEFINED_RENAMED},
    };
    domain_of(object)->config_changed = true;
    domain_notify_lifecycle(domain_of(object), lifecycle[event].event, lifecycle[event].detail);
}

const struct object_kind domain_kind = {
    .noun = "domain",
    .title = "Domain",
    .error_missing = ERR_NO_DOMAIN,
    .size = sizeof(struct domain),
    .def_parse = parse_stored,
    .def_format = format_stored,
    .def_ref = ref_def,
    .def_unref = unref_def,
    .def_peek = peek_stored,
    .def_renamed = renamed_def,
    .init = init,
    .finish = finish,
    .event = changed,
};

struct domain_def *domain_def(struct domain *domain, struct error *err)
{
    return object_def(&domain->object, err);
}

struct domain *driver_find(struct driver *driver, const unsigned char uuid[UUID_SIZE], struct error *err)
{
    struct object *object = registry_find_uuid(&driver->domains, uuid, err);
    return object ? domain_of(object) : NULL;
}

int domain_require_active(const struct domain *domain, struct error *err)
{
    if (domain_active(domain))
        return 0;
    return error_set(err, ERR_OPERATION_INVALID, "domain '%s' is not running", domain_name(domain));
}

/* From QEMU's word that it has sent all, or is about to, the guest is not to be touched here. */
static bool is_leaving(const struct domain *domain)
{
    static const char *const last[] = {"pre-switchover", "device", "completed"};
    if (domain->state == DOMAIN_PAUSED && domain->reason == DOMAIN_PAUSED_MIGRATION)
        return true;
    for (size_t i = 0; i < COUNT(last); i++)
        if (string_equal(domain->migration_status, last[i]))
            return true;
    return false;
}

int domain_require_own(const struct domain *domain, const char *operation, struct error *err)
{
    const char *name = domain_name(domain);
    switch (domain->outgoing) {
    case OUTGOING_UNSETTLED:
        return error_set(err, ERR_OPERATION_INVALID,
                         "cannot %s domain '%s': it was migrated away, and whether it runs on the other host is not "
                         "known; see 'godwit migrate --status', and settle it with 'godwit migrate --recover %s'",
                         operation, name, name);
    case OUTGOING_POSTCOPY:
        return error_set(err, ERR_OPERATION_INVALID,
                         "cannot %s domain '%s': it is on the other host, and part of its memory is still here",
                         operation, name);
    case OUTGOING_PERFORMED:
        return error_set(err, ERR_OPERATION_INVALID,
                         "cannot %s domain '%s': it was migrated away, and the other host is about to run it",
                         operation, name);
    case OUTGOING_PERFORMING:
        if (is_leaving(domain))
            return error_set(err, ERR_OPERATION_INVALID,
                             "cannot %s domain '%s': it is paused for its migration away, which has not ended; wait, "
                             "or abort it (domjobabort)", operation, name);
        break;
    case OUTGOING_NONE:
        break;
    }
    return 0;
}

char *domain_dump(struct domain *domain, unsigned flags, struct error *err)
{
    bool stored = flags & (DOMAIN_XML_INACTIVE | DOMAIN_XML_MIGRATABLE) && domain->object.persistent;
    const struct domain_def *def = stored && !(flags & DOMAIN_XML_MIGRATABLE) ? object_config(&domain->object, err)
                                                                              : domain_def(domain, err);
    if (!def)
        return NULL;
    bool ballooned = def == domain->object.live && def->current_memory != domain->balloon_kib;
    if (!ballooned && !(flags & DOMAIN_XML_UPDATE_CPU))
        return domain_format(def, flags);
    scoped_domain_def struct domain_def *shown = domain_edit(def);
    if (ballooned)
        shown->current_memory = domain->balloon_kib;
    if (flags & DOMAIN_XML_UPDATE_CPU && domain_update_processor(domain->driver, shown, err) < 0)
        return error_null_wrap(err, "cannot tell the processor of domain '%s'", domain_name(domain));
    return domain_format(shown, flags);
}

void domain_notify(struct domain *domain, int event_id, void *body)
{
    struct driver *driver = domain->driver;
    if (driver->notify && !domain->object.hidden)
        driver->notify(driver->notify_owner, domain, event_id, body);
}

void domain_notify_lifecycle(struct domain *domain, int event, int detail)
{
    struct domain_event_callback_lifecycle_event body = {.event = event, .detail = detail};
    domain_notify(domain, DOMAIN_EVENT_ID_LIFECYCLE, &body);
}

void domain_set_state(struct domain *domain, int state, int reason, int event, int detail)
{
    domain->state = state;
    domain->reason = reason;
    if (domain_active(domain))
        status_save(domain);
    condition_wake(&domain->changed);
    if (event >= 0)
        domain_notify_lifecycle(domain, event, detail);
}

void job_asked_by(struct job *job, const char *client)
{
    snprintf(job->client, sizeof job->client, "%s", client ? client : "");
}

int domain_begin_job(struct domain *domain, struct job *job, enum job_kind kind, const char *operation,
                     const char *client, struct error *err)
{
    job_asked_by(job, client);
    return job_begin(job, &domain->object, kind, operation, err);
}

int domain_begin_active_job(struct domain *domain, struct job *job, enum job_kind kind, const char *operation,
                            const char *client, struct error *err)
{
    if (domain_require_active(domain, err) < 0 || domain_begin_job(domain, job, kind, operation, client, err) < 0)
        return -1;
    return domain_require_active(domain, err);
}

deadline monitor_deadline(void)
{
    return deadline_ms(30000);
}

static char *guest_file(const struct domain *domain, struct arena *arena, const char *directory, const char *suffix)
{
    char uuid[UUID_STRING_SIZE];
    uuid_format(domain->object.uuid, uuid);
    return arena_printf(arena, "%s/%s%s", directory, uuid, suffix);
}

char *domain_new_monitor_path(const struct domain *domain)
{
    char uuid[UUID_STRING_SIZE];
    uuid_format(domain->object.uuid, uuid);
    return xprintf("%s/%s.%" PRIx64 ".monitor", domain->driver->run_dir, uuid, now_ns());
}

char *domain_lib_path(const struct domain *domain, struct arena *arena)
{
    return guest_file(domain, arena, domain->driver->lib_dir, "");
}

char *domain_log_path(const struct domain *domain, struct arena *arena)
{
    return arena_printf(arena, "%s/%s.log", domain->driver->log_dir, domain_name(domain));
}

struct domain_cpu_time domain_cpu_time(const struct domain *domain)
{
    struct domain_cpu_time time = {0};
    if (!domain->process)
        return time;
    scoped_arena struct arena *arena = arena_new();
    char *stat = file_read(arena, arena_printf(arena, "/proc/%d/stat", (int)process_pid(domain->process)), 4096, NULL,
                           NULL);
    char *fields = stat ? strrchr(stat, ')') : NULL; /* proc(5): state is field 3, utime 14, stime 15, in ticks */
    unsigned long user = 0, system = 0;
    if (!fields || sscanf(fields, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        return time;
    uint64_t tick_ns = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
    time.user = user * tick_ns;
    time.system = system * tick_ns;
    time.total = time.user + time.system;
    return time;
}

uint64_t domain_resident_kib(const struct domain *domain)
{
    if (!domain->process)
        return 0;
    scoped_arena struct arena *arena = arena_new();
    char *statm = file_read(arena, arena_printf(arena, "/proc/%d/statm", (int)process_pid(domain->process)), 4096, NULL,
                            NULL);
    unsigned long pages = 0;
    return statm && sscanf(statm, "%*u %lu", &pages) == 1 ? pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024 : 0;
}
