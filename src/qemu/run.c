/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/domain.h"

#include "qemu/agent.h"

/* What is asked of a running guest and its CPUs: pause, go on, power button, reset. The changes of state are made by
 * events.c when QEMU tells of them; here is only who asked and why. */

static int begin(struct job *job, struct domain *domain, enum job_kind kind, const char *operation, const char *client,
                 struct error *err)
{
    if (domain->incoming) /* not after a wait: whoever has the job will not be done before */
        return error_set(err, ERR_OPERATION_INVALID,
                         "cannot %s domain '%s': its migration to this host has not ended", operation,
                         domain_name(domain));
    return domain_begin_active_job(domain, job, kind, operation, client, err);
}

static int require_free(const struct domain *domain, const char *operation, struct error *err)
{
    if (domain->at_rest)
        return error_set(err, ERR_OPERATION_INVALID,
                         "cannot %s domain '%s': it is off, and only its disks are being moved (--offline); wait for "
                         "the end, or abort the move (domjobabort)", operation, domain_name(domain));
    return domain_require_own(domain, operation, err);
}

int domain_suspend(struct domain *domain, const char *client, struct error *err)
{
    scoped_job struct job job = {0};
    if (begin(&job, domain, JOB_SUSPEND, "suspend", client, err) < 0)
        return -1;
    if (domain->state == DOMAIN_PAUSED)
        return 0;
    domain->pause_reason = DOMAIN_PAUSED_USER;
    int rc = qmp_execute(domain->qmp, "stop", NULL, monitor_deadline(), err);
    domain->pause_reason = -1;
    return rc < 0 ? error_wrap(err, "cannot suspend domain '%s'", domain_name(domain)) : 0;
}

int domain_resume(struct domain *domain, const char *client, struct error *err)
{
    scoped_job struct job job = {0};
    if (begin(&job, domain, JOB_SUSPEND, "resume", client, err) < 0)
        return -1;
    if (require_free(domain, "resume", err) < 0)
        return -1;
    if (domain->state == DOMAIN_RUNNING)
        return error_set(err, ERR_OPERATION_INVALID, "domain '%s' is already running", domain_name(domain));
    if (domain->state == DOMAIN_PMSUSPENDED)
        return error_set(err, ERR_OPERATION_INVALID,
                         "domain '%s' sleeps by its own wish: wake it up (dompmwakeup), do not resume it",
                         domain_name(domain));
    domain->resume_reason = DOMAIN_RUNNING_UNPAUSED;
    int rc = qmp_execute(domain->qmp, "cont", NULL, monitor_deadline(), err);
    domain->resume_reason = -1;
    return rc < 0 ? error_wrap(err, "cannot resume domain '%s'", domain_name(domain)) : 0;
}

static int press(struct domain *domain, const char *command, const char *operation, const char *client,
                 struct error *err)
{
    scoped_job struct job job = {0};
    if (begin(&job, domain, JOB_ASK, operation, client, err) < 0 ||
        qmp_execute(domain->qmp, command, NULL, monitor_deadline(), err) < 0)
        return error_wrap(err, "cannot %s domain '%s'", operation, domain_name(domain));
    return 0;
}

/* Asks the agent in the guest. 1 when it does it, 0 when the power button is to be tried, -1 when only the agent would
 * do and it cannot. Nobody named means both, the agent first. */
static int ask_agent(struct domain *domain, const char *mode, bool agent, bool button, const char *operation,
                     const char *client, struct error *err)
{
    bool forced = agent && !button;
    if (!forced && (button != agent || !agent_is_connected(domain) || domain->state != DOMAIN_RUNNING))
        return 0;
    scoped_job struct job job = {0};
    if (begin(&job, domain, JOB_ASK, operation, client, err) < 0)
        return -1;
    if (agent_execute_silent(domain, "guest-shutdown", json_pack("{s:s}", "mode", mode), err) == 0)
        return 1;
    return forced ? error_wrap(err, "cannot %s domain '%s'", operation, domain_name(domain)) : 0;
}

int domain_shutdown(struct domain *domain, unsigned flags, const char *client, struct error *err)
{
    domain->reset_on_shutdown = false;
    int rc = ask_agent(domain, "powerdown", flags & DOMAIN_SHUTDOWN_GUEST_AGENT, flags & DOMAIN_SHUTDOWN_ACPI_POWER_BTN,
                       "shut down", client, err);
    return rc != 0 ? (rc > 0 ? 0 : -1) : press(domain, "system_powerdown", "shut down", client, err);
}

/* The agent, or the power button; after the latter the guest that has powered off is reset instead of ended. */
int domain_reboot(struct domain *domain, unsigned flags, const char *client, struct error *err)
{
    int rc = ask_agent(domain, "reboot", flags & DOMAIN_REBOOT_GUEST_AGENT, flags & DOMAIN_REBOOT_ACPI_POWER_BTN,
                       "reboot", client, err);
    if (rc != 0)
        return rc > 0 ? 0 : -1;
    domain->reset_on_shutdown = true;
    if (press(domain, "system_powerdown", "reboot", client, err) == 0)
        return 0;
    domain->reset_on_shutdown = false;
    return -1;
}

int domain_reset(struct domain *domain, const char *client, struct error *err)
{
    if (require_free(domain, "reset", err) < 0)
        return -1;
    return press(domain, "system_reset", "reset", client, err);
}
