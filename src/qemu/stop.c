/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/domain.h"

#include <signal.h>

#include "base/files.h"
#include "base/log.h"
#include "qemu/agent.h"
#include "qemu/cgroup.h"
#include "qemu/console.h"
#include "qemu/hooks.h"
#include "qemu/lease.h"
#include "qemu/stats.h"
#include "qemu/status.h"

/* How a guest ends: asked to, made to, or by itself. */

enum {
    TERM_MS = 10000, /* for QEMU to flush and go */
    KILL_MS = 15000, /* for the kernel to take it down; longer means a disk in the D state */
};

/* What the lifecycle event says for each reason. */
static int stopped_detail(int shutoff_reason)
{
    switch (shutoff_reason) {
    case DOMAIN_SHUTOFF_SHUTDOWN:
        return DOMAIN_EVENT_STOPPED_SHUTDOWN;
    case DOMAIN_SHUTOFF_DESTROYED:
        return DOMAIN_EVENT_STOPPED_DESTROYED;
    case DOMAIN_SHUTOFF_MIGRATED:
        return DOMAIN_EVENT_STOPPED_MIGRATED;
    case DOMAIN_SHUTOFF_SAVED:
        return DOMAIN_EVENT_STOPPED_SAVED;
    case DOMAIN_SHUTOFF_FROM_SNAPSHOT:
        return DOMAIN_EVENT_STOPPED_FROM_SNAPSHOT;
    case DOMAIN_SHUTOFF_CRASHED:
    case DOMAIN_SHUTOFF_FAILED:
    default:
        return DOMAIN_EVENT_STOPPED_FAILED;
    }
}

static void remove_cgroup(void *owner)
{
    scoped_free char *group = owner;
    cgroup_remove(group);
}

static int remove_file(void *directory, const char *name, struct error *err)
{
    scoped_free char *path = xprintf("%s/%s", (const char *)directory, name);
    unlink(path);
    return 0;
}

void driver_remove_sockets(const struct driver *driver, const unsigned char uuid[UUID_SIZE])
{
    char string[UUID_STRING_SIZE];
    uuid_format(uuid, string);
    scoped_free char *directory = xprintf("%s/%s", driver->lib_dir, string);
    if (directory_list(directory, remove_file, directory, NULL) == 0)
        rmdir(directory);
}

void domain_exited(void *owner)
{
    struct domain *domain = owner;
    scoped_domain struct domain *kept = domain_of(object_ref(&domain->object));
    scoped_arena struct arena *arena = arena_new();
    int reason = domain->shutoff_reason;
    if (reason < 0) {
        /* SHUTDOWN was seen, or nothing was: then it crashed */
        reason = domain->state == DOMAIN_SHUTDOWN ? DOMAIN_SHUTOFF_SHUTDOWN : DOMAIN_SHUTOFF_CRASHED;
        if (reason == DOMAIN_SHUTOFF_CRASHED)
            log_warning("domain '%s': QEMU (pid %d) ended by itself (%s); its log is %s", domain_name(domain),
                        (int)process_pid(domain->process),
                        process_status_text(arena, process_status(domain->process)), domain_log_path(domain, arena));
    }
    if (domain->starting) {
        domain->starting->exited = true;
        domain->starting->exit_status = process_status(domain->process);
    }
    qmp_free(steal(domain->qmp));
    process_free(steal(domain->process));
    stats_free(steal(domain->stats));
    agent_free(steal(domain->agent));
    consoles_close(domain);
    status_remove(domain);
    unlink(domain->monitor_path);
    free(steal(domain->monitor_path));
    driver_remove_sockets(domain->driver, domain->object.uuid);
    if (domain_active(domain))
        lease_release(domain, domain->object.live);
    if (domain->cgroup)
        fiber_start("cgroup", remove_cgroup, steal(domain->cgroup));
    domain->shutoff_reason = domain->pause_reason = domain->resume_reason = -1;
    domain->stopping = domain->reset_on_shutdown = domain->incoming = domain->at_rest = false;
    if (domain->outgoing != OUTGOING_UNSETTLED)
        domain->outgoing = OUTGOING_NONE;
    domain->migration_status[0] = '\0';
    domain->autodestroy = 0;
    if (!domain_active(domain))
        return; /* never became a guest: domain_launch() reports it */
    hooks_ended(domain->driver, domain->object.live, reason);
    object_deactivate(&domain->object);
    domain_set_state(domain, DOMAIN_SHUTOFF, reason, DOMAIN_EVENT_STOPPED, stopped_detail(reason));
    if (domain->migration && domain->driver->ended)
        domain->driver->ended(domain);
    else
        object_forget_if_unused(&domain->object);
}

int domain_wait_exit(struct domain *domain, deadline until, struct error *err)
{
    while (domain->process)
        if (condition_wait(&domain->changed, until, err) < 0)
            return domain->process ? -1 : 0; /* it may have gone in the very turn of the deadline */
    return 0;
}

int domain_end(struct domain *domain, int shutoff_reason, bool graceful, struct error *err)
{
    domain->stopping = true;
    domain->shutoff_reason = shutoff_reason;
    if (domain_active(domain) && !graceful)
        status_save(domain); /* a daemon that finds the guest again finishes this */
    process_kill(domain->process, SIGTERM);
    if (domain_wait_exit(domain, deadline_ms(TERM_MS), NULL) == 0)
        return 0;
    if (graceful) {
        domain->stopping = false; /* the reason stays: it has been asked, and may end yet */
        return error_set(err, ERR_SYSTEM_ERROR,
                         "QEMU of domain '%s' (pid %d) did not end within %d s of being asked; without --graceful it "
                         "is killed",
                         domain_name(domain), (int)process_pid(domain->process), TERM_MS / 1000);
    }
    process_kill(domain->process, SIGKILL);
    if (domain_wait_exit(domain, deadline_ms(KILL_MS), NULL) == 0)
        return 0;
    return error_set(err, ERR_SYSTEM_ERROR,
                     "QEMU of domain '%s' (pid %d) survived SIGKILL for %d s: the kernel holds it, most likely over a "
                     "disk that does not answer",
                     domain_name(domain), (int)process_pid(domain->process), KILL_MS / 1000);
}

int domain_stop(struct domain *domain, int shutoff_reason, bool graceful, struct error *err)
{
    int rc = domain_end(domain, shutoff_reason, graceful, err);
    if (rc == 0)
        hooks_settle(domain->driver, domain_name(domain), NULL);
    return rc;
}

/* Its QEMU has nothing to flush yet. The start's own fiber takes everything back. */
static int end_start(struct domain *domain, struct error *err)
{
    domain->starting->destroyed = true;
    struct process *process = domain->starting->process ? domain->starting->process : domain->process;
    if (!process)
        return 0; /* the start will not make one any more */
    if (domain->process)
        domain->shutoff_reason = DOMAIN_SHUTOFF_DESTROYED;
    process_kill(process, SIGKILL);
    deadline until = deadline_ms(KILL_MS);
    while (domain->starting)
        if (condition_wait(&domain->changed, until, err) < 0 && domain->starting)
            return error_wrap(err, "the start of domain '%s' does not end", domain_name(domain));
    return 0;
}

int domain_destroy(struct domain *domain, unsigned flags, const char *client, struct error *err)
{
    scoped_job struct job job = {0};
    if (domain_begin_job(domain, &job, JOB_DESTROY, "destroy", client, err) < 0)
        return -1;
    if (domain->starting)
        return end_start(domain, err);
    if (domain_require_active(domain, err) < 0)
        return -1;
    return domain_stop(domain, DOMAIN_SHUTOFF_DESTROYED, flags & DOMAIN_DESTROY_GRACEFUL, err);
}
