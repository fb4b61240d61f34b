/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/copy.h"
#include "migrate/postcopy.h"

#include <string.h>

#include "base/log.h"
#include "qemu/status.h"

/* A daemon that was killed finds its guests again; this decides what becomes of a migration that was under way. The
 * status file says how far it was, QEMU says what happened since. */

enum { SETTLE_MS = 30000, STEP_MS = 20 };

static int run_state(struct domain *domain, char state[32], struct error *err)
{
    scoped_json json_t *reply = qmp_command(domain->qmp, "query-status", NULL, monitor_deadline(), err);
    snprintf(state, 32, "%s", json_string_value(json_object_get(reply, "status")) ?: "");
    return reply ? 0 : -1;
}

/* Finish lets the guest run only after it has noted that it is no longer incoming, so a guest that runs was let run by
 * a migration that ended well but for our death; one that does not was never acknowledged. */
static void recover_incoming(struct domain *domain)
{
    struct error err = {0};
    char state[32];
    if (run_state(domain, state, &err) == 0 && strcmp(state, "running") == 0) {
        log_warning("domain '%s' was arriving when the daemon ended, and runs: it stays here", domain_name(domain));
        domain->incoming = false;
        status_save(domain);
        images_forget(domain);
        return;
    }
    log_warning("domain '%s' was arriving when the daemon ended: it is removed here and goes on on its source",
                domain_name(domain));
    if (domain->process && domain_stop(domain, DOMAIN_SHUTOFF_FAILED, false, &err) < 0)
        log_error("%s", err.message);
    images_remove(domain);
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
    struct error err = {0};
    char state[32];
    log_warning("the migration of domain '%s' was under way when the daemon ended: it goes on here",
                domain_name(domain));
    if (cancel(domain, &err) == 0 && run_state(domain, state, &err) == 0 && domain_active(domain)) {
        domain->resume_reason = DOMAIN_RUNNING_MIGRATION_CANCELED;
        bool paused = domain->state == DOMAIN_PAUSED && domain->reason != DOMAIN_PAUSED_USER &&
                      strcmp(state, "running") != 0;
        int rc = paused ? qmp_execute(domain->qmp, "cont", NULL, monitor_deadline(), &err) : 0;
        domain->resume_reason = -1;
        if (rc == 0) {
            mirrors_remove(domain);
            migration_unconfigure(domain, migration_optional_caps);
            domain->outgoing = OUTGOING_NONE;
            if (domain_active(domain))
                status_save(domain);
            return;
        }
    }
    log_error("domain '%s' could not be taken back from its migration: %s", domain_name(domain), err.message);
}

/* The destination may have been let run since; whoever asked for the migration knows. */
static void recover_performed(struct domain *domain)
{
    if (domain->state == DOMAIN_PAUSED)
        log_error("domain '%s' was migrated away, but whether it runs on the destination is not known, since the "
                  "daemon ended before it was told. It stays paused here. Look there: if it runs there, destroy it "
                  "here; if it does not, resume it here. Never let both run",
                  domain_name(domain));
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
    else if (domain->outgoing == OUTGOING_PERFORMED)
        recover_performed(domain);
}
