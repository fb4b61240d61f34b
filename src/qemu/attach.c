/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/attach.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "qemu/agent.h"
#include "qemu/hooks.h"
#include "qemu/spawn.h"
#include "qemu/status.h"

enum {
    ANSWER_MS = 5000, /* a QEMU that does not answer within this is taken as its status file says, for now */
    LATE_MS = 1000,   /* how often is looked whether it has answered since */
    BURY_MS = 60000,  /* for a QEMU that is just starting to read its monitor */
};

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
    struct qmp_request requests[] = {
        {.command = "query-status"}, {.command = "query-balloon"}, {.command = "query-chardev"}};
    int rc = qmp_collect(qmp_submit(domain->qmp, requests, COUNT(requests)), deadline_ms(ANSWER_MS), err);
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

/* A script that fails ends the guest, as libvirt documents it; one that only hangs does not, and neither of them a
 * guest that is on its way from or to another host, which is not this host's alone. True when it was ended. */
static bool refused_by_script(struct domain *domain)
{
    struct error err = {0};
    scoped_domain_def struct domain_def *live = domain_def_ref(domain->object.live);
    if (!live || hook_call(domain->driver, live, HOOK_RECONNECT, &err) == 0)
        return false;
    log_error("domain '%s' was found again, but %s", domain_name(domain), err.message);
    if (err.code != ERR_HOOK_SCRIPT_FAILED || domain->incoming || domain->outgoing || !domain->process)
        return false;
    if (domain_stop(domain, DOMAIN_SHUTOFF_DAEMON, false, &err) < 0)
        log_error("%s", err.message);
    return true;
}

/* One try, by whoever holds the domain's job. -1 when the guest is there and has not answered. */
static int settle_in_job(struct domain *domain, struct error *err)
{
    if (!domain_active(domain))
        return 0;
    if (domain->stopping) {
        if (domain_stop(domain, domain->shutoff_reason, false, err) < 0)
            log_error("%s", err->message);
        return 0;
    }
    int before = domain->state;
    if (reconcile(domain, err) < 0)
        return domain->process ? -1 : 0; /* when it has just ended, domain_exited() said so */
    if (refused_by_script(domain))
        return 0;
    if (domain->driver->attached)
        domain->driver->attached(domain);
    /* it powered off meanwhile, and the daemon's death swallowed the event */
    if (domain_active(domain) && domain->state == DOMAIN_SHUTDOWN && before != DOMAIN_SHUTDOWN)
        domain_after_shutdown(domain);
    return 0;
}

static int settle_now(struct domain *domain, struct error *err)
{
    scoped_job struct job job = {0};
    if (job_begin(&job, &domain->object, JOB_MODIFY, "find again", err) < 0)
        return domain->process ? -1 : 0;
    return settle_in_job(domain, err);
}

static void settle(void *owner)
{
    scoped_domain struct domain *domain = owner;
    struct error err = {0};
    if (settle_now(domain, &err) == 0)
        return;
    log_warning("domain '%s' runs (pid %d) but does not answer: %s", domain_name(domain),
                (int)process_pid(domain->process), err.message);
    /* Asked again when it has answered what it was asked: a guest that hangs for long collects no questions. */
    do {
        if (await_sleep(deadline_ms(LATE_MS), &err) < 0 || qmp_is_closed(domain->qmp))
            return;
    } while (qmp_unanswered_since(domain->qmp) || settle_now(domain, &err) < 0);
}

/* A monitor that says at once that it is closed. */
static struct qmp *qmp_of_nobody(const char *name)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return NULL;
    close(ends[1]);
    return qmp_new(ends[0], name, NULL, NULL);
}

/* -- guests that a status file names ------------------------------------------------------------------------------- */

struct guest {
    struct domain *domain;   /* a reference */
    struct domain_def *live;
    struct process *process;
    struct arena *arena;     /* of the strings */
    struct status status;
    const char *path;        /* of its status file */
};

static void guest_free(struct guest *guest)
{
    if (guest->domain)
        object_unref(&guest->domain->object);
    domain_def_free(guest->live);
    process_free(guest->process);
    arena_free(guest->arena);
    free(guest);
}
DEFINE_SCOPED(guest_scope, struct guest *, guest_free)
#define scoped_guest scope_cleanup(guest_scope)

static void adopt(struct guest *guest)
{
    struct domain *domain = guest->domain;
    const struct status *status = &guest->status;
    struct error err = {0};
    domain->process = steal(guest->process);
    domain->qmp = qemu_attach(domain_name(domain), status->monitor, &domain_qmp_callbacks, domain, &err);
    if (!domain->qmp) {
        log_error("domain '%s' runs (pid %d) but its monitor cannot be had: %s", domain_name(domain), (int)status->pid,
                  err.message);
        domain->qmp = qmp_of_nobody(domain_name(domain));
    }
    domain->state = status->state;
    domain->reason = status->reason;
    domain->balloon_kib = status->balloon_kib;
    domain->cgroup = status->cgroup ? xstrdup(status->cgroup) : NULL;
    domain->incoming = status->incoming;
    domain->lockless = status->lockless;
    domain->outgoing = status->outgoing;
    domain->reset_on_shutdown = status->reset_on_shutdown;
    domain->stopping = status->shutoff_reason >= 0;
    domain->shutoff_reason = status->shutoff_reason;
    object_activate(&domain->object, steal(guest->live), status->id);
    process_on_exit(domain->process, domain_exited, domain);
}

static void forget(const struct guest *guest, int reason)
{
    unlink(guest->path);
    unlink(guest->status.monitor);
    driver_remove_sockets(guest->domain->driver, guest->domain->object.uuid);
    free(steal(guest->domain->monitor_path));
    guest->domain->reason = reason;
    hooks_ended(guest->domain->driver, guest->live, reason);
    object_forget_if_unused(&guest->domain->object);
}

/* Whether the QEMU has never let its guest run. One that does not answer is taken for one that has. */
static bool is_unborn(const struct guest *guest)
{
    scoped_qmp struct qmp *qmp = qemu_attach(domain_name(guest->domain), guest->status.monitor, NULL, NULL, NULL);
    scoped_json json_t *reply = qmp_command(qmp, "query-status", NULL, deadline_ms(ANSWER_MS), NULL);
    return string_equal(json_string_value(json_object_get(reply, "status")), "prelaunch");
}

/* The daemon died between the birth of a QEMU and the answer to who had asked for it: a guest that has not run is
 * ended. The domain is not active meanwhile, and its job keeps others from starting it. */
static void take_back(void *owner)
{
    scoped_guest struct guest *guest = owner;
    struct domain *domain = guest->domain;
    struct error err = {0};
    scoped_job struct job job = {0};
    if (job_begin(&job, &domain->object, JOB_START, "find again", &err) < 0)
        log_error("%s", err.message);
    if (!is_unborn(guest) && !process_has_exited(guest->process)) {
        adopt(guest);
        /* in the same job: the next one must not find the state that its status file tells */
        if (settle_in_job(domain, &err) < 0)
            fiber_start("settle", settle, object_ref(&domain->object));
        return;
    }
    process_kill(guest->process, SIGKILL);
    if (process_wait(guest->process, deadline_ms(BURY_MS), &err) == 0)
        forget(guest, DOMAIN_SHUTOFF_FAILED);
    else
        log_error("domain '%s': a QEMU whose start was never acknowledged does not end: %s", domain_name(domain),
                  err.message);
}

static int attach(struct driver *driver, struct guest *guest, struct error *err)
{
    struct status *status = &guest->status;
    if (status_load(status, guest->path, guest->arena, err) < 0)
        return -1;
    guest->live = status_parse(driver, status->xml, err);
    struct object *object =
        guest->live ? object_claim(&driver->domains, guest->live->name, guest->live->uuid, err) : NULL;
    if (!object)
        return -1;
    if (!guest->live->vcpus_current)
        guest->live->vcpus_current = guest->live->vcpus_max;
    guest->domain = domain_of(object);
    guest->domain->monitor_path = xstrdup(status->monitor);
    guest->process = process_adopt(status->pid, status->start_time, err);
    if (guest->process)
        return 0;
    bool ended = err->code == ERR_NO_SUPPORT;
    if (!ended) /* it may be there: whoever starts it is refused for its monitor's sake */
        return error_wrap(err, "domain '%s'", domain_name(guest->domain));
    log_warning("domain '%s' ended while no daemon ran: %s", domain_name(guest->domain), err->message);
    forget(guest, DOMAIN_SHUTOFF_CRASHED);
    return 0;
}

static int found(void *owner, const char *name, struct error *err)
{
    struct driver *driver = owner;
    scoped_guest struct guest *guest = xcalloc(1, sizeof *guest);
    guest->arena = arena_new();
    guest->path = arena_printf(guest->arena, "%s/%s", driver->run_dir, name);
    if (string_ends(name, ".new")) /* half of a status file */
        unlink(guest->path);
    if (!string_ends(name, ".json"))
        return 0;
    struct error problem = {0};
    if (attach(driver, guest, &problem) < 0)
        log_error("a guest is not found again, and cannot be started: %s", problem.message);
    else if (guest->process && guest->status.state == DOMAIN_PAUSED &&
             guest->status.reason == DOMAIN_PAUSED_STARTING_UP)
        fiber_start("take back", take_back, steal(guest));
    else if (guest->process) {
        adopt(guest);
        fiber_start("settle", settle, object_ref(&guest->domain->object));
    }
    return 0; /* one that cannot be found must not hide the others */
}

/* -- guests that none names ---------------------------------------------------------------------------------------- */

/* A monitor socket that no status file names: the daemon died while that QEMU was starting. Nobody was told of it. */
struct burial {
    struct domain *domain; /* a reference; NULL = a transient one that never was */
    char *path;
    struct driver *driver;
    unsigned char uuid[UUID_SIZE];
};

/* Ends a QEMU that has not let its guest run. */
static int end_unborn(const char *path, struct error *err)
{
    scoped_qmp struct qmp *qmp = qemu_attach("half-started guest", path, NULL, NULL, err);
    if (!qmp)
        return errno == ECONNREFUSED || errno == ENOENT ? 0 : -1; /* nobody is there any more */
    scoped_json json_t *reply = qmp_command(qmp, "query-status", NULL, deadline_ms(BURY_MS), err);
    if (!reply)
        return qmp_is_closed(qmp) ? 0 : -1;
    const char *status = json_string_value(json_object_get(reply, "status")) ?: "";
    if (!string_equal(status, "prelaunch") && !string_equal(status, "inmigrate"))
        return error_set(err, ERR_OPERATION_INVALID, "its guest is '%s'", status);
    return qmp_execute(qmp, "quit", NULL, deadline_ms(BURY_MS), err) < 0 && !qmp_is_closed(qmp) ? -1 : 0;
}

static void bury(void *owner)
{
    scoped_free struct burial *burial = owner;
    scoped_domain struct domain *domain = burial->domain;
    scoped_free char *path = burial->path;
    struct error err = {0};
    scoped_job struct job job = {0};
    if (domain && job_begin(&job, &domain->object, JOB_START, "find again", &err) < 0)
        log_error("%s", err.message);
    if (end_unborn(path, &err) == 0) {
        unlink(path);
        if (!domain || !domain_active(domain))
            driver_remove_sockets(burial->driver, burial->uuid);
    } else {
        log_error("a QEMU that nobody knows is left alone; its monitor is '%s': %s", path, err.message);
    }
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
    scoped_free char *status = xprintf("%s/%s.json", driver->run_dir, string);
    struct domain *domain = driver_find(driver, uuid, NULL);
    const char *known = domain ? domain->monitor_path : NULL;
    /* a status file that could not be used may be that of this very QEMU */
    if (known ? string_equal(known, path) : access(status, F_OK) == 0)
        return 0;
    struct burial *burial = xcalloc(1, sizeof *burial);
    *burial = (struct burial){domain ? domain_of(object_ref(&domain->object)) : NULL, steal(path), driver};
    memcpy(burial->uuid, uuid, UUID_SIZE);
    fiber_start("bury", bury, burial);
    return 0;
}

int driver_attach_guests(struct driver *driver, struct error *err)
{
    if (directory_list(driver->run_dir, found, driver, err) < 0)
        return -1;
    return directory_list(driver->run_dir, found_monitor, driver, err);
}
