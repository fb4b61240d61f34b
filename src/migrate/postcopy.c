/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/postcopy.h"

#include <string.h>

#include "base/log.h"
#include "migrate/place.h"
#include "qemu/status.h"

enum { SENT_MS = 5000, ASK_MS = 5000, BREAK_MS = 30000 };

static bool status_is(const struct domain *domain, const char *status)
{
    return strcmp(domain->migration_status, status) == 0;
}

static bool is_sending(const struct domain *domain)
{
    return domain_active(domain) && !qmp_is_closed(domain->qmp) &&
           (!*domain->migration_status || status_is(domain, "postcopy-active") ||
            status_is(domain, "postcopy-recover") || status_is(domain, "device"));
}

/* -- while it runs ------------------------------------------------------------------------------------------------- */

int migration_start_postcopy(struct domain *domain, struct error *err)
{
    struct migration *migration = domain->migration;
    if (!migration || migration->phase != PHASE_PERFORMING || !domain->outgoing)
        return error_set(err, ERR_OPERATION_INVALID, "domain '%s' is not being migrated away", domain_name(domain));
    if (!(migration->options.flags & MIGRATE_POSTCOPY))
        return error_set(err, ERR_OPERATION_INVALID,
                         "the migration of domain '%s' cannot switch to post-copy: it was started without --postcopy",
                         domain_name(domain));
    migration->postcopy_asked = true; /* while disks are copied QEMU knows of no migration yet */
    if (!*domain->migration_status)
        return 0;
    return qmp_execute(domain->qmp, "migrate-start-postcopy", NULL, monitor_deadline(), err);
}

int migration_pause_postcopy(struct domain *domain, struct error *err)
{
    if (!domain->migration || !domain->postcopy || !status_is(domain, "postcopy-active") || domain->incoming)
        return error_set(err, ERR_OPERATION_INVALID, "domain '%s' has no post-copy migration under way",
                         domain_name(domain));
    return qmp_execute_oob(domain->qmp, "migrate-pause", NULL, monitor_deadline(), err);
}

/* -- the source ---------------------------------------------------------------------------------------------------- */

void postcopy_begun(struct migration *migration)
{
    struct domain *domain = migration->domain;
    struct error err = {0};
    migration->entry.owner = WIRE_MIGRATION_OWNER_DESTINATION;
    if (journal_write(domain->driver, &migration->entry, &err) < 0)
        log_error("%s", err.message); /* too late to fail: the guest is on the other host */
    if (!domain_active(domain))
        return;
    domain->outgoing = OUTGOING_POSTCOPY;
    domain_set_state(domain, DOMAIN_PAUSED, DOMAIN_PAUSED_POSTCOPY, DOMAIN_EVENT_SUSPENDED,
                     DOMAIN_EVENT_SUSPENDED_POSTCOPY);
}

static bool is_source(const struct migration *migration)
{
    return migration->info.operation == DOMAIN_JOB_OPERATION_MIGRATION_OUT;
}

void postcopy_broken(struct migration *migration)
{
    struct domain *domain = migration->domain;
    bool here = is_source(migration);
    if (!domain_active(domain)) {
        struct error err = {0};
        if (here && journal_remove(domain->driver, migration->entry.id, &err) < 0) /* nothing is left to be settled */
            log_error("%s", err.message);
        migration_end(migration);
        return;
    }
    log_warning("domain '%s': the post-copy migration %s broke; resume it (migrate --postcopy --postcopy-resume)",
                domain_name(domain), here ? "away from this host" : "to this host");
    if (here || domain->state == DOMAIN_PAUSED)
        domain_set_state(domain, DOMAIN_PAUSED, DOMAIN_PAUSED_POSTCOPY_FAILED, DOMAIN_EVENT_SUSPENDED,
                         DOMAIN_EVENT_SUSPENDED_POSTCOPY_FAILED);
    else
        domain_set_state(domain, domain->state, DOMAIN_RUNNING_POSTCOPY_FAILED, DOMAIN_EVENT_RESUMED,
                         DOMAIN_EVENT_RESUMED_POSTCOPY_FAILED);
    if (migration->port)
        driver_release_migration_port(domain->driver, migration->port);
    migration->port = 0;
    migration->abort = (struct error){0};
    migration->phase = PHASE_BROKEN;
    migration->client = NULL;
    condition_wake(&domain->changed);
    fiber_shield(migration->job.shielded_before);
}

void postcopy_sent(struct domain *domain)
{
    deadline until = deadline_ms(SENT_MS);
    while (is_sending(domain) && condition_wait(&domain->changed, until, NULL) == 0)
        ;
}

int postcopy_settle(struct migration *migration, deadline until)
{
    struct domain *domain = migration->domain;
    struct migrate_blob nothing = {0};
    struct error err = {0};
    migration->phase = PHASE_CONFIRMING;
    while (is_sending(domain) && condition_wait(&domain->changed, until, NULL) == 0)
        ;
    if (!status_is(domain, "completed")) {
        postcopy_broken(migration);
        return -1;
    }
    if (source_complete(migration, migration->options.flags, &nothing, &err) < 0)
        log_error("%s", err.message);
    return 0;
}

/* What QEMU says, when its events went to a daemon that is no more. */
static int ask_status(struct domain *domain, struct error *err)
{
    scoped_json json_t *reply = qmp_command(domain->qmp, "query-migrate", NULL, deadline_ms(ASK_MS), err);
    const char *status = json_string_value(json_object_get(reply, "status"));
    if (reply)
        snprintf(domain->migration_status, sizeof domain->migration_status, "%s", status ? status : "");
    return reply ? 0 : -1;
}

static void watch_again(void *owner)
{
    scoped_domain struct domain *domain = owner;
    struct error err = {0};
    const struct migrate_options options = {.flags = MIGRATE_LIVE | MIGRATE_POSTCOPY};
    const struct migrate_caller nobody = {.name = "recovery"};
    struct migration *migration = migration_new(domain, JOB_MIGRATE_OUT, &options, &nobody, &err);
    domain->postcopy = true;
    if (migration && domain_active(domain) && ask_status(domain, &err) == 0) {
        migration->origin_name = arena_strdup(migration->arena, domain_name(domain));
        postcopy_settle(migration, DEADLINE_NONE);
        return;
    }
    if (migration)
        migration_end(migration);
    log_error("domain '%s' was migrated away by post-copy, and its daemon ended meanwhile: %s. Look at the "
              "destination: when all of it is there, destroy it here",
              domain_name(domain), err.message);
}

/* The memory goes on by itself, and the guest is the destination's. */
void postcopy_recover(struct domain *domain)
{
    fiber_start("post-copy", watch_again, object_ref(&domain->object));
}

/* -- resuming ------------------------------------------------------------------------------------------------------ */

static struct migration *take_broken(struct domain *domain, enum migration_phase working,
                                     const struct migrate_options *options, const struct migrate_caller *caller,
                                     struct error *err)
{
    struct migration *migration = domain->migration;
    if (migration && migration->phase == PHASE_BROKEN)
        migration = migration_take(domain, PHASE_BROKEN, working, caller, err);
    else
        return error_null(err, ERR_OPERATION_INVALID,
                          "--postcopy-resume: the migration of domain '%s' has not broken in its post-copy phase",
                          domain_name(domain));
    if (migration)
        migration->options = migrate_options_copy(options, migration->arena);
    return migration;
}

struct migration *postcopy_take(struct domain *domain, const struct migrate_options *options,
                                const struct migrate_caller *caller, struct error *err)
{
    struct migration *migration = domain->migration;
    if (migration && !is_source(migration))
        return error_null(err, ERR_OPERATION_INVALID,
                          "--postcopy-resume: domain '%s' is on the destination; ask the source for it",
                          domain_name(domain));
    return take_broken(domain, PHASE_PERFORMING, options, caller, err);
}

char *postcopy_begin(struct migration *migration, struct migrate_blob *cookie_out, struct arena *arena,
                     struct error *err)
{
    struct domain *domain = migration->domain;
    if (domain_require_active(domain, err) < 0)
        return NULL;
    scoped_free char *xml = domain_format(domain->object.live, DOMAIN_XML_SECURE | DOMAIN_XML_MIGRATABLE);
    struct migrate_cookie cookie = migration_cookie(migration, NULL, arena);
    *cookie_out = migrate_cookie_write(&cookie, arena);
    return arena_strdup(arena, xml);
}

static int recover_at(struct migration *migration, const char *listen, uint16_t port, struct error *err)
{
    scoped_free char *uri = xprintf("tcp:%s:%u", listen, port);
    return qmp_execute_oob(migration->domain->qmp, "migrate-recover", json_pack("{s:s}", "uri", uri),
                           monitor_deadline(), err);
}

/* The source says that the connection is broken, and this end may not have noticed: nothing tells it of a network that
 * was cut, as long as the guest asks for no page. */
static int break_here(struct domain *domain, struct error *err)
{
    struct migration *migration = domain->migration;
    if (!migration || migration->phase != PHASE_FINISHING || !domain->postcopy)
        return 0;
    if (status_is(domain, "postcopy-active") &&
        qmp_execute_oob(domain->qmp, "migrate-pause", NULL, monitor_deadline(), err) < 0)
        return -1;
    for (deadline until = deadline_ms(BREAK_MS); domain->migration && domain->migration->phase != PHASE_BROKEN;)
        if (condition_wait(&domain->changed, until, err) < 0)
            return error_wrap(err, "QEMU of domain '%s' does not let go of its broken connection", domain_name(domain));
    return 0;
}

int postcopy_prepare(struct driver *driver, const struct migrate_options *options, const struct migrate_caller *caller,
                     struct migrate_blob *cookie_out, const char **uri, struct arena *arena, struct error *err)
{
    struct place place;
    if (!options->xml)
        return error_set(err, ERR_INVALID_ARG, "the migration comes without the domain's XML");
    scoped_domain_def struct domain_def *def = driver_parse(driver, options->xml, DOMAIN_PARSE_INACTIVE, err);
    if (!def || place_find(&place, driver, options, arena, err) < 0)
        return -1;
    struct object *object = registry_find_uuid(&driver->domains, def->uuid, err);
    if (!object)
        return -1;
    scoped_domain struct domain *domain = domain_of(object_ref(object));
    struct migration *migration =
        break_here(domain, err) < 0 ? NULL : take_broken(domain, PHASE_PREPARING, options, caller, err);
    if (!migration)
        return -1;
    domain->migration_status[0] = '\0';
    int rc;
    if (place.port) {
        rc = recover_at(migration, place.listen, place.port, err);
    } else {
        migration->port = place.port = place_take_port(migration, place.listen, recover_at, err);
        rc = place.port ? 0 : -1;
    }
    if (rc < 0) {
        postcopy_broken(migration);
        return -1;
    }
    *uri = place.told ? NULL : place_uri(&place, arena);
    struct migrate_cookie cookie = migration_cookie(migration, NULL, arena);
    *cookie_out = migrate_cookie_write(&cookie, arena);
    migration_wait_next(migration, PHASE_PREPARED);
    return 0;
}

/* -- the destination ----------------------------------------------------------------------------------------------- */

int postcopy_receive(struct migration *migration, struct error *err)
{
    struct domain *domain = migration->domain;
    while (is_sending(domain))
        condition_wait(&domain->changed, DEADLINE_NONE, NULL);
    if (domain_active(domain) && status_is(domain, "completed")) {
        if (domain->state == DOMAIN_RUNNING)
            domain_set_state(domain, DOMAIN_RUNNING, DOMAIN_RUNNING_MIGRATED, DOMAIN_EVENT_RESUMED,
                             DOMAIN_EVENT_RESUMED_MIGRATED);
        domain->postcopy = false;
        return 0;
    }
    error_set(err, ERR_OPERATION_FAILED,
              domain_active(domain)
                  ? "operation failed: the post-copy migration of domain '%s' broke; part of its memory is still on "
                    "the source. Resume it with migrate --postcopy --postcopy-resume"
                  : "operation failed: domain '%s' ended on the destination during its post-copy migration",
              domain_name(domain));
    postcopy_broken(migration);
    return -1;
}
