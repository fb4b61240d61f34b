/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/attach.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "qemu/agent.h"
#include "qemu/spawn.h"
#include "qemu/status.h"

/* A QEMU that does not answer within this is taken as its status file says; what it tells later still counts. */
#define HANDSHAKE_MS 5000
#define BURY_MS      60000 /* for a QEMU that is just starting to read its monitor */

static int expected_state(const char *status, int *reason)
{
    static const struct {
        const char *status;
        int state, reason;
    } states[] = {
        {"running", DOMAIN_RUNNING, DOMAIN_RUNNING_UNKNOWN},
        {"paused", DOMAIN_PAUSED, DOMAIN_PAUSED_UNKNOWN},
        {"prelaunch", DOMAIN_PAUSED, DOMAIN_PAUSED_UNKNOWN},
        {"inmigrate", DOMAIN_PAUSED, DOMAIN_PAUSED_MIGRATION},
        {"finish-migrate", DOMAIN_PAUSED, DOMAIN_PAUSED_MIGRATION},
        {"postmigrate", DOMAIN_PAUSED, DOMAIN_PAUSED_MIGRATION},
        {"io-error", DOMAIN_PAUSED, DOMAIN_PAUSED_IOERROR},
        {"watchdog", DOMAIN_PAUSED, DOMAIN_PAUSED_WATCHDOG},
        {"suspended", DOMAIN_PMSUSPENDED, DOMAIN_PMSUSPENDED_UNKNOWN},
        {"shutdown", DOMAIN_SHUTDOWN, DOMAIN_SHUTDOWN_USER},
        {"guest-panicked", DOMAIN_CRASHED, DOMAIN_CRASHED_PANICKED},
        {"internal-error", DOMAIN_PAUSED, DOMAIN_PAUSED_UNKNOWN},
    };
    for (size_t i = 0; i < COUNT(states); i++)
        if (string_equal(states[i].status, status)) {
            *reason = states[i].reason;
            return states[i].state;
        }
    *reason = DOMAIN_PAUSED_UNKNOWN;
    return DOMAIN_PAUSED;
}

/* Asks the guest what became of it while nobody listened. */
static int reconcile(struct domain *domain, struct error *err)
{
    if (qmp_handshake(domain->qmp, deadline_ms(HANDSHAKE_MS), err) < 0)
        return -1;
    struct qmp_request requests[] = {
        {.command = "query-status"}, {.command = "query-balloon"}, {.command = "query-chardev"}};
    int rc = qmp_collect(qmp_submit(domain->qmp, requests, COUNT(requests)), deadline_ms(HANDSHAKE_MS), err);
    if (rc == 0 && domain_active(domain)) {
        const char *status = json_string_value(json_object_get(requests[0].reply, "status"));
        int reason, state = expected_state(status, &reason);
        if (state != domain->state)
            domain_set_state(domain, state, reason, -1, -1);
        const json_t *actual = json_object_get(requests[1].reply, "actual"); /* no balloon: an error, and no change */
        if (actual)
            domain->balloon_kib = (uint64_t)json_integer_value(actual) / 1024;
        agent_learn_ports(domain, requests[2].reply);
    }
    qmp_requests_finish(requests, COUNT(requests));
    return rc;
}

static void settle(void *owner)
{
    scoped_domain struct domain *domain = owner;
    struct error err = {0};
    scoped_job struct job job = {0};
    if (job_begin(&job, &domain->object, JOB_MODIFY, "find again", &err) < 0 || !domain_active(domain))
        return;
    if (domain->stopping) {
        if (domain_stop(domain, domain->shutoff_reason, false, &err) < 0)
            log_error("%s", err.message);
        return;
    }
    int before = domain->state;
    if (reconcile(domain, &err) < 0) {
        if (domain->process) /* else it has just ended, and domain_exited() said so */
            log_warning("domain '%s' runs (pid %d) but does not answer: %s", domain_name(domain),
                        (int)process_pid(domain->process), err.message);
        return;
    }
    if (domain->driver->attached)
        domain->driver->attached(domain);
    /* it powered off meanwhile, and the daemon's death swallowed the event */
    if (domain_active(domain) && domain->state == DOMAIN_SHUTDOWN && before != DOMAIN_SHUTDOWN)
        domain_after_shutdown(domain);
}

static void ignore_event(void *owner, const char *name, json_t *data, int64_t seconds, uint32_t micros)
{
}

static void ignore_end(void *owner, const struct error *reason)
{
}

static const struct qmp_callbacks deaf = {ignore_event, ignore_end};

/* A monitor that says at once that it is closed. */
static struct qmp *qmp_of_nobody(const char *name)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        abort();
    close(ends[1]);
    return qmp_new(ends[0], name, &deaf, NULL);
}

/* A guest that nobody was told of. */
struct unborn {
    struct domain *domain; /* a reference */
    struct process *process;
    char *status_path, *monitor_path;
};

/* The daemon died between the birth of a QEMU and the answer to who had asked for it: it is ended. The domain is not
 * active meanwhile, and its job keeps others from starting it. */
static void take_back(void *owner)
{
    struct unborn *unborn = owner;
    scoped_domain struct domain *domain = unborn->domain;
    struct error err = {0};
    scoped_job struct job job = {0};
    if (job_begin(&job, &domain->object, JOB_START, "find again", &err) < 0)
        log_error("%s", err.message);
    process_kill(unborn->process, SIGKILL);
    if (process_wait(unborn->process, deadline_ms(BURY_MS), &err) < 0) {
        log_error("domain '%s': a QEMU whose start was never acknowledged does not end: %s", domain_name(domain),
                  err.message);
    } else {
        unlink(unborn->status_path);
        unlink(unborn->monitor_path);
    }
    domain->reason = DOMAIN_SHUTOFF_FAILED;
    object_forget_if_unused(&domain->object);
    process_free(unborn->process);
    free(unborn->status_path);
    free(unborn->monitor_path);
    free(unborn);
}

static int attach(struct driver *driver, const struct status *status, const char *path, struct error *err)
{
    scoped_domain_def struct domain_def *live = driver_parse(driver, status->xml, DOMAIN_PARSE_BARE, err);
    if (live && !live->vcpus_current)
        live->vcpus_current = live->vcpus_max;
    struct object *object = live ? object_claim(&driver->domains, live->name, live->uuid, err) : NULL;
    if (!object)
        return -1;
    scoped_domain struct domain *domain = domain_of(object);
    scoped_arena struct arena *arena = arena_new();
    const char *monitor = status->monitor ? status->monitor : "";
    scoped_process struct process *process = process_adopt(status->pid, status->start_time, err);
    if (!process) {
        log_warning("domain '%s' ended while no daemon ran: %s", live->name, err->message);
        domain->reason = DOMAIN_SHUTOFF_CRASHED;
        object_forget_if_unused(object);
        unlink(path);
        unlink(monitor);
        return 0;
    }
    if (status->state == DOMAIN_PAUSED && status->reason == DOMAIN_PAUSED_STARTING_UP) {
        struct unborn *unborn = xcalloc(1, sizeof *unborn);
        *unborn = (struct unborn){steal(domain), steal(process), xstrdup(path), xstrdup(monitor)};
        fiber_start("take back", take_back, unborn);
        return 0;
    }
    domain->process = steal(process);
    domain->qmp = qemu_attach(live->name, monitor, &domain_qmp_callbacks, domain, err);
    if (!domain->qmp) {
        log_error("domain '%s' runs (pid %d) but its monitor cannot be had: %s", live->name, (int)status->pid,
                  err->message);
        domain->qmp = qmp_of_nobody(live->name);
    }
    domain->state = status->state;
    domain->reason = status->reason;
    domain->balloon_kib = status->balloon_kib;
    domain->monitor_path = xstrdup(monitor);
    domain->cgroup = status->cgroup ? xstrdup(status->cgroup) : NULL;
    domain->incoming = status->incoming;
    domain->outgoing = status->outgoing;
    domain->reset_on_shutdown = status->reset_on_shutdown;
    domain->stopping = status->shutoff_reason >= 0;
    domain->shutoff_reason = status->shutoff_reason;
    object_activate(object, steal(live), status->id);
    process_on_exit(domain->process, domain_exited, domain);
    fiber_start("settle", settle, object_ref(object));
    return 0;
}

/* A monitor socket that no status file names: the daemon died while that QEMU was starting. Nobody was told of it. */
struct burial {
    struct domain *domain; /* a reference; NULL = a transient one that never was */
    char *path;
};

static void bury(void *owner)
{
    scoped_free struct burial *burial = owner;
    scoped_domain struct domain *domain = burial->domain;
    scoped_free char *path = burial->path;
    struct error err = {0};
    scoped_job struct job job = {0};
    if (domain && job_begin(&job, &domain->object, JOB_START, "find again", &err) < 0)
        log_error("%s", err.message);
    scoped_qmp struct qmp *qmp = qemu_attach("half-started guest", path, &deaf, NULL, &err);
    if (qmp && qmp_execute(qmp, "quit", NULL, deadline_ms(BURY_MS), &err) < 0 && err.code == ERR_OPERATION_TIMEOUT)
        log_error("a QEMU whose start was never acknowledged does not end; its monitor is '%s'", path);
    else
        unlink(path);
}

static int found(void *owner, const char *name, struct error *err)
{
    struct driver *driver = owner;
    scoped_arena struct arena *arena = arena_new();
    const char *path = arena_printf(arena, "%s/%s", driver->run_dir, name);
    if (string_ends(name, ".new")) /* half of a status file */
        unlink(path);
    if (!string_ends(name, ".json"))
        return 0;
    struct status status;
    struct error problem = {0};
    if (status_load(&status, path, arena, &problem) < 0 || attach(driver, &status, path, &problem) < 0)
        log_error("a guest is not found again: %s", problem.message);
    return 0; /* one that cannot be found must not hide the others */
}

/* UUID.START.monitor. */
static int found_monitor(void *owner, const char *name, struct error *err)
{
    struct driver *driver = owner;
    char string[UUID_STRING_SIZE];
    unsigned char uuid[UUID_SIZE];
    snprintf(string, sizeof string, "%s", name);
    if (!string_ends(name, ".monitor") || uuid_parse(string, uuid) < 0)
        return 0;
    scoped_free char *path = xprintf("%s/%s", driver->run_dir, name);
    struct domain *domain = driver_find(driver, uuid, NULL);
    if (domain && string_equal(domain->monitor_path, path))
        return 0;
    struct burial *burial = xcalloc(1, sizeof *burial);
    *burial = (struct burial){domain ? domain_of(object_ref(&domain->object)) : NULL, steal(path)};
    fiber_start("bury", bury, burial);
    return 0;
}

int driver_attach_guests(struct driver *driver, struct error *err)
{
    if (directory_list(driver->run_dir, found, driver, err) < 0)
        return -1;
    return directory_list(driver->run_dir, found_monitor, driver, err);
}
