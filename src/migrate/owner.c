/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/owner.h"

#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "migrate/evacuation.h"
#include "migrate/peer.h"
#include "qemu/status.h"
#include "rpc/guest_owner.h"

enum {
    ASK_MS = 70000,        /* a destination that is just finishing answers when it is done */
    ASK_AGAIN_MS = 500,
    PURSUE_FIRST_MS = 1000, PURSUE_MOST_MS = 60000, /* between two tries, doubled from the one to the other */
    END_SETTLE_MS = 60000, /* destination: for a phase under way to end */
    LOOK_AGAIN_MS = 50,
};

/* -- source: asking ------------------------------------------------------------------------------------------------ */

static int ask_once(const char *uri, const struct journal_entry *entry)
{
    scoped_peer struct peer peer = {.transport = TRANSPORT_NONE};
    struct error err = {0};
    if (peer_open(&peer, uri, &err) < 0)
        return WIRE_MIGRATION_OWNER_UNKNOWN;
    client_set_timeout(peer.client, ASK_MS);
    return entry->shared ? guest_owner_by_journal(peer.client, entry->id)
                         : guest_owner_by_state(peer.client, entry->uuid);
}

int owner_ask(const char *uri, const struct journal_entry *entry, deadline until)
{
    int owner = ask_once(uri, entry);
    while (owner == WIRE_MIGRATION_OWNER_UNKNOWN && now_ns() < until) {
        await_sleep(deadline_ms(ASK_AGAIN_MS), NULL);
        owner = ask_once(uri, entry);
    }
    return owner;
}

/* -- source: acting ------------------------------------------------------------------------------------------------ */

static int give_up_guest(struct domain *domain, const struct journal_entry *entry, struct error *err)
{
    if (domain->process) {
        process_kill(domain->process, SIGKILL); /* all it had is over there; see source_complete() */
        if (domain_stop(domain, DOMAIN_SHUTOFF_MIGRATED, false, err) < 0)
            return -1;
    }
    evacuation_departed(domain);
    return entry->undefine && domain->object.persistent ? object_undefine(&domain->object, err) : 0;
}

/* Source: does what the owner means for the guest here, and ends the entry. Hold the domain's job. Waits. */
static int settle(struct domain *domain, const struct journal_entry *entry, int owner, struct error *err)
{
    bool here = owner == WIRE_MIGRATION_OWNER_SOURCE;
    if (!here && give_up_guest(domain, entry, err) < 0)
        return -1;
    if (here && domain_active(domain)) {
        if (source_run_again(domain, !entry->paused, false, err) < 0)
            return error_wrap(err, "domain '%s' could not be taken back from its migration", domain_name(domain));
        migration_unconfigure(domain, migration_optional_caps);
    }
    domain->outgoing = OUTGOING_NONE;
    if (domain_active(domain))
        status_save(domain);
    return journal_remove(domain->driver, entry->id, err);
}

struct pursuit {
    struct domain *domain; /* a reference */
    struct arena *arena;   /* of the entry */
    struct journal_entry entry;
};

static int conclude(struct pursuit *pursuit, int owner, struct error *err)
{
    struct domain *domain = pursuit->domain;
    scoped_arena struct arena *arena = arena_new();
    struct journal_entry now;
    scoped_job struct job job = {0};
    if (job_begin(&job, &domain->object, JOB_DESTROY, "settle the migration", err) < 0)
        return -1;
    if (domain->outgoing != OUTGOING_UNSETTLED ||
        !journal_read(domain->driver, pursuit->entry.id, &now, arena, err))
        return 0; /* somebody has settled it while we asked */
    int rc = settle(domain, &now, owner, err);
    object_forget_if_unused(&domain->object);
    return rc;
}

static void pursue(void *owner)
{
    struct pursuit *pursuit = owner;
    const struct journal_entry *entry = &pursuit->entry;
    struct error err = {0};
    uint64_t pause = PURSUE_FIRST_MS;
    int found = WIRE_MIGRATION_OWNER_UNKNOWN;
    while (pursuit->domain->outgoing == OUTGOING_UNSETTLED &&
           (found = ask_once(entry->peer_uri, entry)) == WIRE_MIGRATION_OWNER_UNKNOWN &&
           await_sleep(deadline_ms(pause), NULL) == 0)
        pause = pause * 2 < PURSUE_MOST_MS ? pause * 2 : PURSUE_MOST_MS;
    if (found != WIRE_MIGRATION_OWNER_UNKNOWN && conclude(pursuit, found, &err) < 0)
        log_error("%s", err.message);
    else if (found != WIRE_MIGRATION_OWNER_UNKNOWN)
        log_warning("the migration of domain '%s' is settled: the guest is %s", entry->name,
                    found == WIRE_MIGRATION_OWNER_SOURCE ? "here" : "on the destination");
    object_unref(&pursuit->domain->object);
    arena_free(pursuit->arena);
    free(pursuit);
}

void owner_pursue(struct domain *domain, const struct journal_entry *entry, const char *why)
{
    domain->outgoing = OUTGOING_UNSETTLED;
    if (domain_active(domain))
        status_save(domain);
    log_warning("domain '%s' was migrated to %s, but whether it runs there is not known (%s). It is not let run here "
                "before that is settled: %s'godwit migrate --recover %s' does it by hand", entry->name,
                *entry->peer ? entry->peer : "another host", why,
                entry->peer_uri ? "the destination is asked until it answers, and " : "", entry->name);
    if (!entry->peer_uri)
        return;
    struct pursuit *pursuit = xcalloc(1, sizeof *pursuit);
    *pursuit = (struct pursuit){domain_of(object_ref(&domain->object)), arena_new(), *entry};
    pursuit->entry.name = arena_strdup(pursuit->arena, entry->name);
    pursuit->entry.peer = arena_strdup(pursuit->arena, entry->peer);
    pursuit->entry.peer_uri = arena_strdup(pursuit->arena, entry->peer_uri);
    fiber_start("pursue", pursue, pursuit);
}

/* -- for clients --------------------------------------------------------------------------------------------------- */

int migration_settle(struct driver *driver, const unsigned char id[UUID_SIZE], int owner, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct journal_entry entry;
    struct error problem = {0};
    if (owner != WIRE_MIGRATION_OWNER_SOURCE && owner != WIRE_MIGRATION_OWNER_DESTINATION)
        return error_set(err, ERR_INVALID_ARG, "a migration is settled for the source or the destination, not for %d",
                         owner);
    if (!journal_read(driver, id, &entry, arena, &problem))
        return error_set(err, problem.code ? problem.code : ERR_OPERATION_INVALID, "%s",
                         problem.code ? problem.message : "this host's journal has no such migration: it is settled");
    if (entry.role != WIRE_MIGRATION_ROLE_SOURCE)
        return error_set(err, ERR_OPERATION_INVALID, "the migration of domain '%s' is settled on its source ('%s')",
                         entry.name, entry.peer);
    struct domain *found = driver_find(driver, entry.uuid, NULL);
    if (!found)
        return journal_remove(driver, id, err);
    scoped_domain struct domain *domain = domain_of(object_ref(&found->object));
    if (domain->migration)
        return error_set(err, ERR_OPERATION_INVALID,
                         "the migration of domain '%s' is under way: wait for its end, or abort it (domjobabort)",
                         entry.name);
    scoped_job struct job job = {0};
    if (job_begin(&job, &domain->object, JOB_DESTROY, "settle the migration", err) < 0)
        return -1;
    int rc = settle(domain, &entry, owner, err);
    object_forget_if_unused(&domain->object);
    return rc;
}

/* -- destination --------------------------------------------------------------------------------------------------- */

/* The phase under way ends, and with it the question. */
static int wait_phase(struct domain *domain, const unsigned char id[UUID_SIZE], deadline until, struct error *err)
{
    while (domain->migration && memcmp(domain->migration->entry.id, id, UUID_SIZE) == 0 && !domain->postcopy) {
        if (domain->migration->phase == PHASE_PREPARED)
            migration_give_up(domain, "its source takes it back");
        else if (condition_wait(&domain->changed, until, err) < 0)
            return -1;
    }
    return 0;
}

/* Not before the phase is over: until then what the journal says may still be taken back. */
static int read_decided(struct driver *driver, const unsigned char id[UUID_SIZE], struct journal_entry *entry,
                        bool *found, struct arena *arena, struct error *err)
{
    struct error problem = {0};
    *found = journal_read(driver, id, entry, arena, &problem);
    struct domain *known = *found ? driver_find(driver, entry->uuid, NULL) : NULL;
    if (known) {
        scoped_domain struct domain *domain = domain_of(object_ref(&known->object));
        if (wait_phase(domain, id, deadline_ms(END_SETTLE_MS), err) < 0)
            return -1;
        *found = journal_read(driver, id, entry, arena, &problem);
    }
    if (problem.code)
        return error_set(err, problem.code, "%s", problem.message);
    if (*found && entry->role != WIRE_MIGRATION_ROLE_DESTINATION)
        return error_set(err, ERR_OPERATION_INVALID,
                         "this host is the source of the migration of domain '%s'; the destination decides",
                         entry->name);
    return 0;
}

int migration_decide(struct driver *driver, const unsigned char id[UUID_SIZE], int *owner, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct journal_entry entry;
    bool found;
    deadline until = deadline_ms(END_SETTLE_MS);
    while (read_decided(driver, id, &entry, &found, arena, err) == 0) {
        *owner = found ? entry.owner : WIRE_MIGRATION_OWNER_SOURCE;
        if (!found || entry.owner == WIRE_MIGRATION_OWNER_DESTINATION)
            return 0;
        /* it is being removed, after a restart */
        if (now_ns() > until)
            return error_set(err, ERR_OPERATION_TIMEOUT, "domain '%s' is still arriving", entry.name);
        if (await_sleep(deadline_ms(LOOK_AGAIN_MS), err) < 0)
            return -1;
    }
    return -1;
}
