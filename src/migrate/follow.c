/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/copy.h"

#include <string.h>

/* Watching the source's QEMU from `migrate` to the end. What happens is told by events, at once; it is asked only for
 * figures, and only when somebody wants them, or to see that it still moves. */

enum {
    LOOK_MS = 1000,    /* how often to see whether it moves */
    STALL_S = 60,      /* a destination that takes nothing for so long hangs */
    CANCEL_MS = 30000, /* for QEMU to give up; it waits for its threads */
    ASK_MS = 2000,
    FRESH_NS = 50000000, /* figures younger than this are good enough for another asker */
};

void migration_ask(struct migration *migration, uint64_t timeout_ms)
{
    struct domain *domain = migration->domain;
    uint64_t now = now_ns();
    if (!domain_active(domain) || now - migration->asked_ns < FRESH_NS)
        return;
    migration->asked_ns = now; /* also when it fails: a QEMU that hangs is not asked by everyone */
    struct qmp_request requests[] = {{.command = "query-migrate"}, {.command = "query-jobs"}};
    size_t count = migration->mirror_count ? 2 : 1;
    qmp_collect(qmp_submit(domain->qmp, requests, count), deadline_ms(timeout_ms), NULL);
    if (domain->migration == migration) { /* else it is over meanwhile */
        if (requests[0].reply)
            job_info_update(&migration->info, requests[0].reply);
        mirrors_figures(migration, requests[1].reply);
    }
    qmp_requests_finish(requests, count);
    if (domain->migration != migration)
        return;
    migration->info.elapsed_ms = clock_ms() - migration->started_ms;
}

int migration_aborted(const struct migration *migration, struct error *err)
{
    bool asked = migration->abort.code == ERR_OPERATION_ABORTED;
    return error_set(err, migration->abort.code, "operation %s: the migration of domain '%s' was %s: %s",
                     asked ? "aborted" : "failed", domain_name(migration->domain), asked ? "cancelled" : "given up",
                     migration->abort.message);
}

/* What was asked for, or what QEMU says. */
static int explain(struct migration *migration, struct error *err)
{
    struct domain *domain = migration->domain;
    const char *name = domain_name(domain);
    if (migration->abort.code)
        return migration_aborted(migration, err);
    if (!domain_active(domain) || qmp_is_closed(domain->qmp))
        return error_set(err, ERR_OPERATION_ABORTED, "operation aborted: domain '%s' ended during its migration", name);
    scoped_json json_t *reply = qmp_command(domain->qmp, "query-migrate", NULL, deadline_ms(ASK_MS), NULL);
    const char *words = json_string_value(json_object_get(reply, "error-desc"));
    /* clients take the destination's words for those of an operation that failed; here only the source knows */
    bool tls = words && strcasestr(words, "certificate");
    return error_set(err, tls ? ERR_GNUTLS_ERROR : ERR_OPERATION_FAILED,
                     "operation failed: the migration of domain '%s' broke: %s", name,
                     words ? words : "QEMU gave no reason; see the destination's log of this domain");
}

struct watch_state {
    bool cancelled;           /* migrate_cancel was sent */
    bool switched;            /* what has to be done while the guest stands still was done */
    deadline cancel_until;
    uint64_t look_at_ns, moved_ns, processed;
};

static void note_stop(struct migration *migration)
{
    if (migration->domain->state == DOMAIN_RUNNING)
        migration->stopped_ms = 0;
    else if (!migration->stopped_ms)
        migration->stopped_ms = clock_ms();
}

static void look(struct migration *migration, struct watch_state *state)
{
    uint64_t now = now_ns();
    if (now < state->look_at_ns)
        return;
    state->look_at_ns = now + LOOK_MS * UINT64_C(1000000);
    migration_ask(migration, ASK_MS);
    if (migration->info.memory_processed != state->processed) {
        state->processed = migration->info.memory_processed;
        state->moved_ns = now_ns();
    }
    if (now_ns() - state->moved_ns > STALL_S * UINT64_C(1000000000) && !migration->abort.code)
        error_set(&migration->abort, ERR_OPERATION_TIMEOUT, "the destination has taken nothing for %d s", STALL_S);
}

static void check_guest(struct migration *migration)
{
    const struct domain *domain = migration->domain;
    if (migration->options.flags & MIGRATE_ABORT_ON_ERROR && domain->state == DOMAIN_PAUSED &&
        domain->reason == DOMAIN_PAUSED_IOERROR && !migration->abort.code)
        error_set(&migration->abort, ERR_OPERATION_FAILED,
                  "the guest stopped because of a disk error, and --abort-on-error was given");
}

/* A mirror that broke, or the moment for them to end. What fails becomes the reason to give the migration up. True when
 * it waited. */
static bool tend_mirrors(struct migration *migration, struct watch_state *state)
{
    struct domain *domain = migration->domain;
    struct error err = {0};
    int rc;
    if (!state->switched && strcmp(domain->migration_status, "pre-switchover") == 0) {
        state->switched = true;
        rc = mirrors_detach(migration, &err);
        if (rc == 0)
            rc = qmp_execute(domain->qmp, "migrate-continue", json_pack("{s:s}", "state", "pre-switchover"),
                             monitor_deadline(), &err);
    } else if (mirrors_changed(migration)) {
        rc = mirrors_check(migration, &err);
    } else {
        return false;
    }
    if (rc < 0 && !migration->abort.code)
        migration->abort = err;
    return true;
}

static int cancel(struct migration *migration, struct watch_state *state, struct error *err)
{
    state->cancelled = true;
    state->cancel_until = deadline_ms(CANCEL_MS);
    return qmp_execute(migration->domain->qmp, "migrate_cancel", NULL, monitor_deadline(), err);
}

/* 1 when all is over there, -1 when it will not be, 0 while nobody knows. */
static int outcome(struct migration *migration, struct error *err)
{
    const struct domain *domain = migration->domain;
    const char *status = domain->migration_status;
    if (domain_active(domain) && !qmp_is_closed(domain->qmp)) {
        if (strcmp(status, "completed") == 0 || strcmp(status, "postcopy-active") == 0)
            return 1;
        if (strcmp(status, "failed") != 0 && strcmp(status, "cancelled") != 0 &&
            strcmp(status, "postcopy-paused") != 0)
            return 0;
    }
    return explain(migration, err);
}

int migration_follow(struct migration *migration, struct error *err)
{
    struct domain *domain = migration->domain;
    uint64_t now = now_ns();
    struct watch_state state = {.look_at_ns = now + LOOK_MS * UINT64_C(1000000), .moved_ns = now};
    int done;
    stages_started(migration);
    /* whatever waits begins the loop anew, so that no event is slept over */
    while (note_stop(migration), !(done = outcome(migration, err))) {
        check_guest(migration);
        if (migration->abort.code && !state.cancelled) {
            if (cancel(migration, &state, err) < 0)
                return -1;
            continue;
        }
        if (state.cancelled && now_ns() > state.cancel_until)
            return error_set(err, ERR_OPERATION_TIMEOUT,
                             "QEMU of domain '%s' did not give its migration up within %d s", domain_name(domain),
                             CANCEL_MS / 1000);
        if (!state.cancelled && tend_mirrors(migration, &state))
            continue;
        if (!state.cancelled && stages_tend(migration))
            continue;
        condition_wait(&domain->changed, state.look_at_ns, NULL);
        look(migration, &state);
    }
    return done < 0 ? -1 : 0;
}
