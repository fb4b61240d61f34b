/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/copy.h"
#include "migrate/owner.h"
#include "migrate/postcopy.h"

#include <string.h>

#include "base/log.h"
#include "qemu/status.h"

/* A daemon that was killed finds its guests again; this decides what becomes of a migration that was under way, by its
 * journal and by what QEMU says happened since. */

enum { SETTLE_MS = 30000, STEP_MS = 20, AGAIN_MS = 5000 };

static void remove_entry(struct driver *driver, const struct journal_entry *entry)
{
    struct error err = {0};
    if (entry->role == WIRE_MIGRATION_ROLE_DESTINATION && !journal_is_settled(entry))
        images_remove(driver, entry);
    if (journal_remove(driver, entry->id, &err) < 0)
        log_error("%s", err.message);
}

/* Nothing is left of a guest that did not arrive. */
static void remove_arrival(struct domain *domain, const struct journal_entry *entry)
{
    struct error err = {0};
    if (domain->process && domain_end(domain, DOMAIN_SHUTOFF_FAILED, false, &err) < 0) {
        log_error("%s", err.message);
        return; /* the entry stays: the source is not told that it may run it */
    }
    if (entry && entry->undefine && domain->object.persistent && object_undefine(&domain->object, &err) < 0)
        log_error("%s", err.message);
    if (entry)
        remove_entry(domain->driver, entry);
}

static int let_run(struct domain *domain, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct journal_entry entry;
    bool noted = journal_find(domain->driver, domain->object.uuid, WIRE_MIGRATION_ROLE_DESTINATION, &entry, arena);
    if (destination_let_run(domain, noted && entry.paused, err) < 0)
        return -1;
    if (domain_active(domain))
        status_save(domain);
    return 0;
}

/* There is no way back to its source, so what keeps it from running is waited for. */
static void let_run_later(void *owner)
{
    scoped_domain struct domain *domain = owner;
    struct error err = {0};
    while (await_sleep(deadline_ms(AGAIN_MS), &err) == 0 && domain_active(domain) && domain->incoming) {
        scoped_job struct job job = {0};
        if (job_begin(&job, &domain->object, JOB_MODIFY, "let run what has arrived", &err) < 0 ||
            !domain_active(domain) || !domain->incoming)
            continue;
        if (let_run(domain, &err) == 0)
            log_warning("domain '%s', which has arrived, is let run at last", domain_name(domain));
    }
}

/* The journal was written before the guest was let run, and finish is acknowledged after it: one that is noted as taken
 * is this host's, whether it runs already or not, and any other was never let run. */
static void recover_incoming(struct domain *domain)
{
    scoped_arena struct arena *arena = arena_new();
    struct error err = {0};
    struct journal_entry entry;
    bool noted = journal_find(domain->driver, domain->object.uuid, WIRE_MIGRATION_ROLE_DESTINATION, &entry, arena);
    if (!noted || !journal_is_settled(&entry)) {
        log_warning("domain '%s' was arriving when the daemon ended: it is removed here and goes on on its source",
                    domain_name(domain));
        remove_arrival(domain, noted ? &entry : NULL);
        return;
    }
    log_warning("domain '%s' had arrived when the daemon ended: it stays here", domain_name(domain));
    if (let_run(domain, &err) == 0)
        return;
    log_error("domain '%s' has arrived, but cannot be let run; it is tried again: %s", domain_name(domain),
              err.message);
    fiber_start("let run", let_run_later, object_ref(&domain->object));
}

static bool transfer_is_over(struct domain *domain, struct error *err)
{
    scoped_json json_t *reply = qmp_command(domain->qmp, "query-migrate", NULL, monitor_deadline(), err);
    static const char *const over[] = {"", "none", "completed", "failed", "cancelled"};
    const char *status = json_string_value(json_object_get(reply, "status")) ?: "";
    for (size_t i = 0; reply && i < COUNT(over); i++)
        if (strcmp(status, over[i]) == 0)
            return true;
    return false;
}

static int cancel(struct domain *domain, struct error *err)
{
    if (transfer_is_over(domain, err))
        return 0;
    if (qmp_execute(domain->qmp, "migrate_cancel", NULL, monitor_deadline(), err) < 0)
        return -1;
    /* events may have passed before we listened, so this one time it is asked for */
    for (deadline until = deadline_ms(SETTLE_MS); now_ns() < until;) {
        if (transfer_is_over(domain, err))
            return 0;
        if (await_sleep(deadline_ms(STEP_MS), err) < 0)
            return -1;
    }
    return error_set(err, ERR_OPERATION_TIMEOUT, "QEMU did not give the migration up within %d s", SETTLE_MS / 1000);
}

/* Nobody was told that the destination might run it, so it goes on here. */
static void recover_performing(struct domain *domain)
{
    scoped_arena struct arena *arena = arena_new();
    struct error err = {0};
    struct journal_entry entry;
    bool noted = journal_find(domain->driver, domain->object.uuid, WIRE_MIGRATION_ROLE_SOURCE, &entry, arena);
    log_warning("the migration of domain '%s' was under way when the daemon ended: it goes on here",
                domain_name(domain));
    if (cancel(domain, &err) < 0 || source_run_again(domain, !noted || !entry.paused, false, &err) < 0) {
        log_error("domain '%s' could not be taken back from its migration: %s", domain_name(domain), err.message);
        return;
    }
    mirrors_remove(domain);
    migration_unconfigure(domain, migration_optional_caps);
    domain->outgoing = OUTGOING_NONE;
    if (domain_active(domain))
        status_save(domain);
    if (noted)
        remove_entry(domain->driver, &entry);
    condition_wake(&domain->changed);
}

/* The destination may have let it run: it is asked. Active or not, it is not let run here before. */
static void recover_performed(struct domain *domain)
{
    scoped_arena struct arena *arena = arena_new();
    struct journal_entry entry;
    if (journal_find(domain->driver, domain->object.uuid, WIRE_MIGRATION_ROLE_SOURCE, &entry, arena)) {
        owner_pursue(domain, &entry, "the daemon ended before it was told");
        return;
    }
    log_warning("the migration of domain '%s' was settled when the daemon ended", domain_name(domain));
    domain->outgoing = OUTGOING_NONE;
    status_save(domain);
}

void migration_attached(struct domain *domain)
{
    if (domain->incoming)
        recover_incoming(domain);
    else if (domain->outgoing == OUTGOING_PERFORMING)
        recover_performing(domain);
    else if (domain->outgoing == OUTGOING_POSTCOPY)
        postcopy_recover(domain);
    else if (domain->outgoing != OUTGOING_NONE)
        recover_performed(domain);
}

/* -- what runs here no more ---------------------------------------------------------------------------------------- */

/* Its guest has ended here, with the host or by itself. */
static void recover_entry(struct driver *driver, const struct journal_entry *entry)
{
    struct domain *found = driver_find(driver, entry->uuid, NULL);
    scoped_domain struct domain *domain = found ? domain_of(object_ref(&found->object)) : NULL;
    if (entry->role == WIRE_MIGRATION_ROLE_DESTINATION && !journal_is_settled(entry) && domain)
        remove_arrival(domain, entry);
    else if (!journal_is_settled(entry) || journal_is_old(entry))
        remove_entry(driver, entry);
}

static bool is_handed_over(const struct journal_entry *entry)
{
    return entry->role == WIRE_MIGRATION_ROLE_SOURCE && entry->owner == WIRE_MIGRATION_OWNER_UNKNOWN;
}

/* A guest whose QEMU is still there when the daemon starts, but may end before it is found again: then nobody else
 * looks after its entry. */
struct survivor {
    struct domain *domain; /* a reference */
    unsigned char id[UUID_SIZE];
};

static void outlive(void *owner)
{
    scoped_free struct survivor *survivor = owner;
    scoped_domain struct domain *domain = survivor->domain;
    scoped_arena struct arena *arena = arena_new();
    struct error err = {0};
    struct journal_entry entry;
    while (domain_active(domain) && (domain->incoming || domain->outgoing == OUTGOING_PERFORMING))
        if (condition_wait(&domain->changed, DEADLINE_NONE, &err) < 0)
            return;
    scoped_job struct job job = {0};
    /* a transient one is gone from the registry, and another one may have its UUID there */
    bool known = job_begin(&job, &domain->object, JOB_DESTROY, "remove what did not arrive", NULL) == 0;
    if (domain_active(domain) || !journal_read(domain->driver, survivor->id, &entry, arena, &err) ||
        journal_is_settled(&entry) || is_handed_over(&entry))
        return;
    if (known && entry.role == WIRE_MIGRATION_ROLE_DESTINATION)
        remove_arrival(domain, &entry);
    else
        remove_entry(domain->driver, &entry);
    object_forget_if_unused(&domain->object);
}

static void watch_survivor(struct domain *domain, const struct journal_entry *entry)
{
    struct survivor *survivor = xcalloc(1, sizeof *survivor);
    survivor->domain = domain_of(object_ref(&domain->object));
    memcpy(survivor->id, entry->id, UUID_SIZE);
    fiber_start("survivor", outlive, survivor);
}

static void recover_all(void *owner)
{
    struct driver *driver = owner;
    scoped_arena struct arena *arena = arena_new();
    struct journal_entry *entries;
    uint32_t count = journal_list(driver, &entries, arena);
    /* before anything that waits: a client's `start` must find it out */
    for (uint32_t i = 0; i < count; i++) {
        struct domain *domain = driver_find(driver, entries[i].uuid, NULL);
        if (domain && !domain_active(domain) && is_handed_over(&entries[i]))
            owner_pursue(domain, &entries[i], "this host or its daemon ended before it was told");
        else if (domain && domain_active(domain) && is_handed_over(&entries[i]) && !domain->incoming)
            domain->outgoing = OUTGOING_UNSETTLED; /* migration_attached() goes on */
    }
    for (uint32_t i = 0; i < count; i++) {
        struct domain *domain = driver_find(driver, entries[i].uuid, NULL);
        bool active = domain && domain_active(domain), pursued = domain && is_handed_over(&entries[i]);
        if (!pursued && (!active || journal_is_settled(&entries[i])))
            recover_entry(driver, &entries[i]);
        else if (!pursued)
            watch_survivor(domain, &entries[i]);
    }
}

void migration_recover(struct driver *driver)
{
    fiber_start("recover", recover_all, driver);
}
