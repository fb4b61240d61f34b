/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/domain.h"

#include <signal.h>
#include <string.h>

#include "base/files.h"
#include "base/json.h"
#include "qemu/agent.h"
#include "qemu/cgroup.h"
#include "qemu/command.h"
#include "qemu/hooks.h"
#include "qemu/lease.h"
#include "qemu/spawn.h"
#include "qemu/status.h"

/* From a definition to a running guest. */

enum {
    PROBE_MS = 30000,     /* asking a QEMU binary what it can, once per binary */
    HANDSHAKE_MS = 60000, /* to its first word: large memory that is preallocated takes its time */
    EXIT_MS = 2000,       /* from the monitor's end to the process's */
    PORT_TRIES = 5,       /* for a display whose port others take while QEMU starts */
};

/* What only the running QEMU knows: the ptys that it opened, the memory that the guest has. */
static int learn_runtime(struct domain *domain, struct qmp *qmp, struct domain_def *live, struct error *err)
{
    struct qmp_request requests[] = {{.command = "query-chardev"}, {.command = "query-balloon"}};
    int rc = qmp_collect(qmp_submit(qmp, requests, COUNT(requests)), monitor_deadline(), err);
    if (rc == 0)
        rc = qmp_request_error(&requests[0], err);
    if (rc == 0) {
        domain_learn_chardevs(live, requests[0].reply);
        const json_t *actual = json_object_get(requests[1].reply, "actual");
        domain->balloon_kib = actual ? (uint64_t)json_integer_value(actual) / 1024 : live->memory;
    }
    qmp_requests_finish(requests, COUNT(requests));
    return rc;
}

void domain_learn_chardevs(struct domain_def *live, const json_t *reply)
{
    const struct {
        struct chardev **item;
        uint32_t count;
    } lists[] = {
        {live->serials.item, live->serials.count},
        {live->parallels.item, live->parallels.count},
        {live->consoles.item, live->consoles.count},
        {live->channels.item, live->channels.count},
    };
    for (size_t list = 0; list < COUNT(lists); list++) {
        for (uint32_t i = 0; i < lists[list].count; i++) {
            struct chardev *chardev = lists[list].item[i];
            scoped_free char *id = chardev->info.alias ? xprintf("char%s", chardev->info.alias) : NULL;
            size_t n;
            json_t *entry;
            json_array_foreach (reply, n, entry) {
                const char *pty = string_after(json_string_value(json_object_get(entry, "filename")) ?: "", "pty:");
                if (!string_equal(id, json_string_value(json_object_get(entry, "label"))))
                    continue;
                if (chardev->target_type == CHARDEV_TARGET_VIRTIO && lists[list].item == live->channels.item)
                    chardev->target_state = json_is_true(json_object_get(entry, "frontend-open"))
                                                ? CHANNEL_STATE_CONNECTED
                                                : CHANNEL_STATE_DISCONNECTED;
                if (!pty)
                    continue;
                chardev->source.path = arena_strdup(live->arena, pty);
                if (lists[list].item == live->consoles.item)
                    chardev->tty = chardev->source.path;
            }
        }
    }
    /* the first console is the first serial port under another name */
    if (live->consoles.count && live->serials.count && !live->consoles.item[0]->tty &&
        live->serials.item[0]->source.type == CHARDEV_TYPE_PTY) {
        live->consoles.item[0]->source.path = live->consoles.item[0]->tty = live->serials.item[0]->source.path;
    }
}

static void place(void *owner)
{
    scoped_domain struct domain *domain = owner;
    if (domain->cgroup && domain->process)
        cgroup_place(domain->cgroup, process_pid(domain->process));
}

/* From here the domain owns the process. */
static void adopt(struct domain *domain, struct qemu_spawned *spawned, struct domain_def *live, bool incoming)
{
    scoped_arena struct arena *arena = arena_new();
    domain->process = steal(spawned->process);
    domain->qmp = steal(spawned->qmp);
    domain->state = DOMAIN_PAUSED;
    domain->reason = incoming ? DOMAIN_PAUSED_MIGRATION : DOMAIN_PAUSED_STARTING_UP;
    domain->incoming = incoming;
    domain->outgoing = OUTGOING_NONE;
    domain->config_changed = false;
    domain->log_start = spawned->log_start;
    domain->cgroup =
        xstrdup(cgroup_name(arena, domain->driver->cgroup_family, live->id.value, domain_name(domain)));
    object_activate(&domain->object, live, live->id.value);
    process_on_exit(domain->process, domain_exited, domain);
    agent_awaited(domain);
    fiber_start("cgroup", place, object_ref(&domain->object));
}

/* A definition that was edited on disk may name its machine type by an alias, which is another one elsewhere. */
static void name_machine(struct domain_def *live, const struct qemu_caps *caps)
{
    const struct qemu_machine *machine = qemu_caps_machine(caps, live->os.machine);
    if (machine)
        live->os.machine = arena_strdup(live->arena, machine->name);
}

static int refuse_living(void *owner, const char *name, struct error *err)
{
    const struct domain *domain = owner;
    char uuid[UUID_STRING_SIZE];
    uuid_format(domain->object.uuid, uuid);
    if (!string_starts(name, uuid) || !string_ends(name, ".monitor"))
        return 0;
    scoped_free char *path = xprintf("%s/%s", domain->driver->run_dir, name);
    scoped_fd int fd = unix_connect(path, NULL);
    if (fd < 0)
        return 0;
    return error_set(err, ERR_OPERATION_INVALID,
                     "a QEMU of an earlier daemon still runs this guest (its monitor is '%s'); end that QEMU first",
                     path);
}

/* A QEMU that an earlier daemon started and that could not be found again still has its monitor open. A second one
 * would write to the same disks. */
static int refuse_second(struct domain *domain, struct error *err)
{
    return directory_list(domain->driver->run_dir, refuse_living, domain, err);
}

static void starting_begin(struct domain *domain, struct starting *starting)
{
    *starting = (struct starting){0};
    domain->starting = starting;
}

/* Returns rc, but a start that was destroyed has failed for that reason and no other. */
static int starting_end(struct domain *domain, int rc, struct error *err)
{
    bool destroyed = steal(domain->starting)->destroyed;
    condition_wake(&domain->changed);
    return destroyed ? error_set(err, ERR_OPERATION_ABORTED, "it was destroyed while it started") : rc;
}

/* Runs QEMU until it is ready for its guest. */
static int run(struct domain *domain, const struct qemu_spawn_options *spawn, struct domain_def *live,
               const char *incoming, struct error *err)
{
    scoped_qemu_spawned struct qemu_spawned spawned = {0};
    if (domain->starting->destroyed || qemu_spawn(spawn, &domain_qmp_callbacks, domain, &spawned, err) < 0)
        return -1;
    domain->starting->process = spawned.process;
    int rc = qemu_handshake(&spawned, spawn, deadline_ms(HANDSHAKE_MS), err);
    if (rc == 0 && (qemu_setup(spawned.qmp, live, incoming, monitor_deadline(), err) < 0 ||
                    learn_runtime(domain, spawned.qmp, live, err) < 0))
        rc = qemu_spawned_explain(&spawned, spawn, err);
    if (rc < 0 || domain->starting->destroyed) {
        process_kill(spawned.process, SIGKILL);
        /* so that a start that follows finds the disks free */
        process_wait(spawned.process, deadline_ms(EXIT_MS), NULL);
        domain->starting->process = NULL;
        return -1;
    }
    adopt(domain, &spawned, domain_def_ref(live), incoming);
    if (status_write(domain, err) == 0)
        return 0;
    /* the next daemon would not find it: better none */
    domain->shutoff_reason = DOMAIN_SHUTOFF_FAILED;
    process_kill(domain->process, SIGKILL);
    domain_wait_exit(domain, deadline_ms(EXIT_MS), NULL);
    return -1;
}

static int find_volumes(struct driver *driver, struct domain_def *live, struct error *err)
{
    return driver->find_volumes ? driver->find_volumes(driver->notify_owner, live, err) : 0;
}

static int launch_once(struct domain *domain, struct domain_def *live, const struct qemu_command_options *options,
                       bool again, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_qemu_command struct qemu_command command = {0};
    if (qemu_command_prepare(live, options, err) < 0 || qemu_nvram_create(live, false, err) < 0 ||
        qemu_command_build(&command, live, options, err) < 0 || refuse_second(domain, err) < 0 ||
        (!again && hook_call(domain->driver, live, HOOK_START, err) < 0))
        return -1;
    free(domain->monitor_path);
    domain->monitor_path = domain_new_monitor_path(domain);
    const struct qemu_spawn_options spawn = {
        .name = domain_name(domain),
        .argv = command.argv,
        .environment = command.environment,
        .pass_fds = command.fds,
        .pass_fd_count = command.fd_count,
        .monitor_path = domain->monitor_path,
        .log_path = domain_log_path(domain, arena),
    };
    int rc = run(domain, &spawn, live, options->incoming, err);
    if (rc < 0)
        unlink(spawn.monitor_path);
    return rc;
}

/* Between our look at a port and QEMU's bind another program can take it; the next look finds another. */
static bool lost_its_port(const struct domain_def *live, const struct error *err)
{
    bool ours = false;
    for (uint32_t i = 0; i < live->graphics.count; i++)
        ours = ours || live->graphics.item[i]->autoport == YESNO_YES;
    /* QEMU's words for VNC, libspice's for SPICE */
    return ours && (strstr(err->message, "Address already in use") || strstr(err->message, "binding socket to"));
}

static int launch(struct domain *domain, struct domain_def *live, const char *incoming, struct error *err)
{
    struct driver *driver = domain->driver;
    scoped_arena struct arena *arena = arena_new();
    const struct qemu_command_options options = {
        .caps = qemu_caps_get(driver->caps, live->emulator, deadline_ms(PROBE_MS), err),
        .ports = &driver->graphics_ports,
        .channel_dir = domain_lib_path(domain, arena),
        .nvram_dir = driver->nvram_dir,
        .secrets = driver->secrets,
        .incoming = incoming,
    };
    if (!options.caps || find_volumes(driver, live, err) < 0)
        return -1;
    name_machine(live, options.caps);
    if (status_check(driver, live, err) < 0 || domain_check_files(domain, live, incoming, err) < 0 ||
        domain_check_pages(live, err) < 0 || domain_name_processor(driver, live, err) < 0 ||
        directory_make(options.channel_dir, 0700, err) < 0 || lease_take(domain, live, incoming, err) < 0)
        return -1;
    int rc = launch_once(domain, live, &options, false, err);
    for (int left = PORT_TRIES - 1; rc < 0 && left > 0 && !domain->starting->destroyed && lost_its_port(live, err);
         left--)
        rc = launch_once(domain, live, &options, true, err);
    if (rc < 0)
        lease_release(domain, live);
    return rc;
}

/* What the scripts made for a guest that does not come is theirs to take away again. */
static int launch_with_hooks(struct domain *domain, struct domain_def *live, const char *incoming, struct error *err)
{
    struct driver *driver = domain->driver;
    struct starting starting;
    starting_begin(domain, &starting);
    int rc = hook_call(driver, live, HOOK_PREPARE, err);
    if (rc == 0)
        rc = launch(domain, live, incoming, err);
    if (starting_end(domain, rc, err) < 0) {
        if (domain->process)
            domain_stop(domain, DOMAIN_SHUTOFF_FAILED, false, NULL);
        else if (!starting.exited) /* else domain_exited() did it */
            hooks_ended(driver, live, DOMAIN_SHUTOFF_FAILED);
        return -1;
    }
    if (hook_call(driver, live, HOOK_STARTED, err) < 0) {
        if (domain->process)
            domain_stop(domain, DOMAIN_SHUTOFF_FAILED, false, NULL);
        return -1;
    }
    return domain_require_active(domain, err);
}

int domain_launch(struct domain *domain, struct domain_def *def, const char *incoming, int id, struct error *err)
{
    scoped_domain_def struct domain_def *live = def;
    if (id < 0)
        id = domain->object.registry->last_id + 1;
    if (id > domain->object.registry->last_id)
        domain->object.registry->last_id = id; /* taken before the waits */
    live->id.value = id;
    live->id.set = true;
    if (hooks_settle(domain->driver, domain_name(domain), err) == 0 &&
        launch_with_hooks(domain, live, incoming, err) == 0)
        return 0;
    domain->reason = DOMAIN_SHUTOFF_FAILED;
    if (!domain_active(domain))
        driver_remove_sockets(domain->driver, domain->object.uuid);
    return error_wrap(err, "cannot start domain '%s'", domain_name(domain));
}

static int let_run(struct domain *domain, struct error *err)
{
    struct starting starting;
    off_t log_start = domain->log_start;
    starting_begin(domain, &starting);
    domain->resume_reason = DOMAIN_RUNNING_BOOTED;
    domain->shutoff_reason = DOMAIN_SHUTOFF_FAILED; /* should QEMU end now */
    int rc = qmp_execute(domain->qmp, "cont", NULL, monitor_deadline(), err);
    if (rc < 0 && qmp_is_closed(domain->qmp))
        domain_wait_exit(domain, deadline_ms(EXIT_MS), NULL);
    if (rc < 0 && starting.exited) {
        scoped_arena struct arena *arena = arena_new();
        qemu_exit_error(domain_log_path(domain, arena), log_start, starting.exit_status, err);
    }
    if (domain->process && !starting.destroyed)
        domain->shutoff_reason = -1;
    return starting_end(domain, rc, err);
}

/* Lets the CPUs run, unless they shall not. */
static int begin(struct domain *domain, unsigned flags, struct error *err)
{
    bool paused = flags & DOMAIN_START_PAUSED;
    if (paused)
        domain_set_state(domain, DOMAIN_PAUSED, DOMAIN_PAUSED_USER, -1, -1);
    if ((paused ? status_write(domain, err) : let_run(domain, err)) < 0) {
        error_wrap(err, "cannot start domain '%s'", domain_name(domain));
        if (domain->process)
            domain_stop(domain, domain->shutoff_reason < 0 ? DOMAIN_SHUTOFF_FAILED : domain->shutoff_reason, false,
                        NULL);
        return -1;
    }
    domain_notify_lifecycle(domain, DOMAIN_EVENT_STARTED, DOMAIN_EVENT_STARTED_BOOTED);
    if (paused)
        domain_notify_lifecycle(domain, DOMAIN_EVENT_SUSPENDED, DOMAIN_EVENT_SUSPENDED_PAUSED);
    return 0;
}

static int check_inactive(const struct domain *domain, struct error *err)
{
    if (!domain_active(domain))
        return domain_require_own(domain, "start", err);
    return error_set(err, ERR_OPERATION_INVALID, "domain '%s' is already active (id %d)", domain_name(domain),
                     domain->object.id);
}

int domain_start(struct domain *domain, unsigned flags, uint64_t owner, const char *client, struct error *err)
{
    scoped_job struct job job = {0};
    if (check_inactive(domain, err) < 0 || domain_begin_job(domain, &job, JOB_START, "start", client, err) < 0 ||
        check_inactive(domain, err) < 0)
        return -1;
    const struct domain_def *config = object_config(&domain->object, err);
    if (!config || domain_launch(domain, domain_edit(config), NULL, -1, err) < 0)
        return -1;
    domain->autodestroy = flags & DOMAIN_START_AUTODESTROY ? owner : 0;
    domain->at_rest = flags & DOMAIN_START_AT_REST;
    return begin(domain, flags, err);
}

struct domain *domain_create(struct driver *driver, const char *xml, unsigned flags, uint64_t owner, const char *client,
                             struct error *err)
{
    unsigned parse = DOMAIN_PARSE_INACTIVE | (flags & DOMAIN_START_VALIDATE ? DOMAIN_PARSE_VALIDATE : 0);
    scoped_domain_def struct domain_def *def = driver_parse(driver, xml, parse, err);
    if (!def || domain_check_machine(driver, def, err) < 0)
        return NULL;
    domain_warn_of_unknown(def);
    scoped_job struct job job = {0};
    job_asked_by(&job, client);
    struct object *object = job_claim(&job, &driver->domains, def->name, def->uuid, JOB_START, "create", err);
    if (!object)
        return NULL;
    scoped_domain struct domain *domain = domain_of(object);
    if (check_inactive(domain, err) < 0)
        return NULL;
    if (domain_launch(domain, domain_edit(def), NULL, -1, err) < 0) {
        object_forget_if_unused(object);
        return NULL;
    }
    domain->autodestroy = flags & DOMAIN_START_AUTODESTROY ? owner : 0;
    return begin(domain, flags, err) < 0 ? NULL : steal(domain);
}
