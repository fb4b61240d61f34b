/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/domain.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "qemu/agent.h"
#include "qemu/stats.h"
#include "wire_types.h"

/* What QEMU tells by itself: one row and one small function for each event. They run on the loop's stack; what has to
 * wait gets a fiber. */

static const char *text_of(const json_t *data, const char *key)
{
    const char *string = json_string_value(json_object_get(data, key));
    return string ? string : "";
}

/* Devices are named by their id (DEVICE_TRAY_MOVED), by "device" (DEVICE_DELETED), or by a QOM path that ends in it. */
static const char *alias_of(const json_t *data)
{
    const char *alias = text_of(data, json_object_get(data, "id") ? "id" : "device");
    const char *slash = strrchr(alias, '/');
    return slash ? slash + 1 : alias;
}

static int take_reason(int *reason, int otherwise)
{
    int taken = *reason < 0 ? otherwise : *reason;
    *reason = -1;
    return taken;
}

/* -- the guest's CPUs ---------------------------------------------------------------------------------------------- */

static int suspended_detail(int reason)
{
    switch (reason) {
    case DOMAIN_PAUSED_MIGRATION:
        return DOMAIN_EVENT_SUSPENDED_MIGRATED;
    case DOMAIN_PAUSED_IOERROR:
        return DOMAIN_EVENT_SUSPENDED_IOERROR;
    case DOMAIN_PAUSED_WATCHDOG:
        return DOMAIN_EVENT_SUSPENDED_WATCHDOG;
    case DOMAIN_PAUSED_FROM_SNAPSHOT:
        return DOMAIN_EVENT_SUSPENDED_FROM_SNAPSHOT;
    case DOMAIN_PAUSED_POSTCOPY:
        return DOMAIN_EVENT_SUSPENDED_POSTCOPY;
    default:
        return DOMAIN_EVENT_SUSPENDED_PAUSED;
    }
}

static void on_stop(struct domain *domain, json_t *data)
{
    if (domain->state != DOMAIN_RUNNING)
        return;
    int reason = take_reason(&domain->pause_reason, domain->outgoing ? DOMAIN_PAUSED_MIGRATION : DOMAIN_PAUSED_UNKNOWN);
    domain_set_state(domain, DOMAIN_PAUSED, reason, DOMAIN_EVENT_SUSPENDED, suspended_detail(reason));
}

static void on_resume(struct domain *domain, json_t *data)
{
    if (domain->state == DOMAIN_RUNNING || domain->state == DOMAIN_SHUTDOWN)
        return;
    int reason = take_reason(&domain->resume_reason,
                             domain->outgoing ? DOMAIN_RUNNING_MIGRATION_CANCELED : DOMAIN_RUNNING_UNPAUSED);
    bool migrated = reason == DOMAIN_RUNNING_MIGRATED || reason == DOMAIN_RUNNING_MIGRATION_CANCELED;
    int detail = migrated                             ? DOMAIN_EVENT_RESUMED_MIGRATED
                 : reason == DOMAIN_RUNNING_POSTCOPY ? DOMAIN_EVENT_RESUMED_POSTCOPY
                                                      : DOMAIN_EVENT_RESUMED_UNPAUSED;
    /* of a boot, too: clients know RESUMED and then STARTED, which is domain_start()'s to send */
    domain_set_state(domain, DOMAIN_RUNNING, reason, DOMAIN_EVENT_RESUMED, detail);
}

/* Resets a guest that stands still after its end and lets it run. */
static void restart_guest(void *owner)
{
    scoped_domain struct domain *domain = owner;
    struct error err = {0};
    scoped_job struct job job = {0};
    if (job_begin(&job, &domain->object, JOB_ASK, "restart", &err) < 0)
        log_error("%s", err.message);
    if (!job.object || !domain_active(domain))
        return;
    if (domain_require_own(domain, "restart", &err) < 0) {
        log_warning("%s", err.message); /* it has powered off: whoever has it now restarts it */
        return;
    }
    domain->resume_reason = DOMAIN_RUNNING_BOOTED;
    domain->state = DOMAIN_PAUSED; /* so that RESUME counts */
    struct qmp_request requests[] = {{.command = "system_reset"}, {.command = "cont"}};
    if (qmp_batch(domain->qmp, requests, COUNT(requests), monitor_deadline(), &err) < 0) {
        log_error("domain '%s' could not be restarted after its end: %s", domain_name(domain), err.message);
        if (domain_active(domain) && domain->state == DOMAIN_PAUSED)
            domain_set_state(domain, DOMAIN_SHUTDOWN, DOMAIN_SHUTDOWN_USER, -1, -1);
    }
    qmp_requests_finish(requests, COUNT(requests));
}

static void end_guest(void *owner)
{
    scoped_domain struct domain *domain = owner;
    struct error err = {0};
    int reason = domain->state == DOMAIN_CRASHED ? DOMAIN_SHUTOFF_CRASHED : DOMAIN_SHUTOFF_SHUTDOWN;
    scoped_job struct job job = {0};
    if (job_begin(&job, &domain->object, JOB_DESTROY, "end", &err) < 0)
        log_error("%s; it is ended all the same: it has powered off", err.message);
    if (domain->process && domain_stop(domain, reason, false, &err) < 0)
        log_error("%s", err.message);
}

static void act(struct domain *domain, enum lifecycle action)
{
    switch (action) {
    case LIFECYCLE_RESTART:
    case LIFECYCLE_RENAME_RESTART:
        fiber_start("restart", restart_guest, object_ref(&domain->object));
        break;
    case LIFECYCLE_PRESERVE:
        break;
    default:
        fiber_start("end", end_guest, object_ref(&domain->object));
    }
}

void domain_after_shutdown(struct domain *domain)
{
    const struct domain_def *def = domain->object.live;
    bool reset = domain->reset_on_shutdown;
    domain->reset_on_shutdown = false;
    act(domain, reset ? LIFECYCLE_RESTART : def->on_poweroff);
}

static void on_shutdown(struct domain *domain, json_t *data)
{
    if (domain->stopping || domain->state == DOMAIN_SHUTDOWN)
        return;
    bool guest = json_is_true(json_object_get(data, "guest"));
    domain_set_state(domain, DOMAIN_SHUTDOWN, DOMAIN_SHUTDOWN_USER, DOMAIN_EVENT_SHUTDOWN,
                     guest ? DOMAIN_EVENT_SHUTDOWN_GUEST : DOMAIN_EVENT_SHUTDOWN_HOST);
    if (string_equal(text_of(data, "reason"), "host-signal")) {
        domain->shutoff_reason = DOMAIN_SHUTOFF_SHUTDOWN; /* somebody else's SIGTERM: QEMU goes by itself */
        return;
    }
    domain_after_shutdown(domain);
}

static void on_reset(struct domain *domain, json_t *data)
{
    if (!json_is_true(json_object_get(data, "guest")) && domain->state == DOMAIN_PAUSED)
        return; /* part of restart_guest() */
    domain_notify(domain, DOMAIN_EVENT_ID_REBOOT, &(struct domain_event_callback_reboot_event){0});
}

static void on_panic(struct domain *domain, json_t *data)
{
    const struct domain_def *def = domain->object.live;
    domain_set_state(domain, DOMAIN_CRASHED, DOMAIN_CRASHED_PANICKED, DOMAIN_EVENT_CRASHED,
                     DOMAIN_EVENT_CRASHED_PANICKED);
    act(domain, def->on_crash);
}

static void on_sleep(struct domain *domain, json_t *data)
{
    domain_set_state(domain, DOMAIN_PMSUSPENDED, DOMAIN_PMSUSPENDED_UNKNOWN, DOMAIN_EVENT_PMSUSPENDED,
                     DOMAIN_EVENT_PMSUSPENDED_MEMORY);
    domain_notify(domain, DOMAIN_EVENT_ID_PMSUSPEND, &(struct domain_event_callback_pmsuspend_event){0});
}

static void on_sleep_disk(struct domain *domain, json_t *data)
{
    domain_set_state(domain, DOMAIN_PMSUSPENDED, DOMAIN_PMSUSPENDED_UNKNOWN, DOMAIN_EVENT_PMSUSPENDED,
                     DOMAIN_EVENT_PMSUSPENDED_DISK);
    domain_notify(domain, DOMAIN_EVENT_ID_PMSUSPEND_DISK, &(struct domain_event_callback_pmsuspend_disk_event){0});
}

static void on_wakeup(struct domain *domain, json_t *data)
{
    if (domain->state == DOMAIN_PMSUSPENDED)
        domain_set_state(domain, DOMAIN_RUNNING, DOMAIN_RUNNING_WAKEUP, DOMAIN_EVENT_STARTED,
                         DOMAIN_EVENT_STARTED_WAKEUP);
    domain_notify(domain, DOMAIN_EVENT_ID_PMWAKEUP, &(struct domain_event_callback_pmwakeup_event){0});
}

/* -- devices ------------------------------------------------------------------------------------------------------- */

/* The disk that has a block node: "libvirt-3-format" is of source index 3. */
static const struct disk *disk_of_node(const struct domain *domain, const char *node)
{
    const struct domain_def *def = domain->object.live;
    unsigned index;
    if (sscanf(node, "libvirt-%u-", &index) != 1)
        return NULL;
    for (uint32_t i = 0; i < def->disks.count; i++)
        for (const struct disk_source *layer = &def->disks.item[i]->source; layer; layer = layer->backing)
            if (layer->index == index)
                return def->disks.item[i];
    return NULL;
}

static int word_index(const char *const *words, size_t count, const char *word, int otherwise)
{
    for (size_t i = 0; i < count; i++)
        if (words[i] && strcmp(words[i], word) == 0)
            return (int)i;
    return otherwise;
}

static void on_io_error(struct domain *domain, json_t *data)
{
    static const char *const actions[] = {
        [DOMAIN_EVENT_IO_ERROR_NONE] = "ignore",
        [DOMAIN_EVENT_IO_ERROR_PAUSE] = "stop",
        [DOMAIN_EVENT_IO_ERROR_REPORT] = "report",
    };
    const struct disk *disk = disk_of_node(domain, text_of(data, "node-name"));
    const char *alias = disk && disk->info.alias ? disk->info.alias : text_of(data, "device");
    const char *path = disk && disk->source.file ? disk->source.file : disk && disk->source.dev ? disk->source.dev : "";
    int action = word_index(actions, COUNT(actions), text_of(data, "action"), DOMAIN_EVENT_IO_ERROR_NONE);
    const char *reason = json_is_true(json_object_get(data, "nospace")) ? "enospc" : "";
    if (action == DOMAIN_EVENT_IO_ERROR_PAUSE)
        domain->pause_reason = DOMAIN_PAUSED_IOERROR; /* STOP comes next */
    domain_notify(domain, DOMAIN_EVENT_ID_IO_ERROR,
                  &(struct domain_event_callback_io_error_event){
                      .src_path = (char *)path, .dev_alias = (char *)alias, .action = action});
    domain_notify(domain, DOMAIN_EVENT_ID_IO_ERROR_REASON,
                  &(struct domain_event_callback_io_error_reason_event){.src_path = (char *)path,
                                                                        .dev_alias = (char *)alias,
                                                                        .action = action,
                                                                        .reason = (char *)reason});
}

static void on_watchdog(struct domain *domain, json_t *data)
{
    static const char *const actions[] = {
        [DOMAIN_EVENT_WATCHDOG_NONE] = "none",         [DOMAIN_EVENT_WATCHDOG_PAUSE] = "pause",
        [DOMAIN_EVENT_WATCHDOG_RESET] = "reset",       [DOMAIN_EVENT_WATCHDOG_POWEROFF] = "poweroff",
        [DOMAIN_EVENT_WATCHDOG_SHUTDOWN] = "shutdown", [DOMAIN_EVENT_WATCHDOG_DEBUG] = "debug",
        [DOMAIN_EVENT_WATCHDOG_INJECTNMI] = "inject-nmi",
    };
    int action = word_index(actions, COUNT(actions), text_of(data, "action"), DOMAIN_EVENT_WATCHDOG_NONE);
    if (action == DOMAIN_EVENT_WATCHDOG_PAUSE)
        domain->pause_reason = DOMAIN_PAUSED_WATCHDOG;
    domain_notify(domain, DOMAIN_EVENT_ID_WATCHDOG, &(struct domain_event_callback_watchdog_event){.action = action});
}

static void on_rtc_change(struct domain *domain, json_t *data)
{
    domain_notify(domain, DOMAIN_EVENT_ID_RTC_CHANGE,
                  &(struct domain_event_callback_rtc_change_event){
                      .offset = json_integer_value(json_object_get(data, "offset"))});
}

static void on_balloon(struct domain *domain, json_t *data)
{
    domain->balloon_kib = (uint64_t)json_integer_value(json_object_get(data, "actual")) / 1024;
    domain_notify(domain, DOMAIN_EVENT_ID_BALLOON_CHANGE,
                  &(struct domain_event_callback_balloon_change_event){.actual = domain->balloon_kib});
}

static void on_tray(struct domain *domain, json_t *data)
{
    bool open = json_is_true(json_object_get(data, "tray-open"));
    domain_notify(domain, DOMAIN_EVENT_ID_TRAY_CHANGE,
                  &(struct domain_event_callback_tray_change_event){
                      .dev_alias = (char *)alias_of(data),
                      .reason = open ? DOMAIN_EVENT_TRAY_CHANGE_OPEN : DOMAIN_EVENT_TRAY_CHANGE_CLOSE});
}

static void on_device_deleted(struct domain *domain, json_t *data)
{
    if (json_object_get(data, "device"))
        domain_notify(domain, DOMAIN_EVENT_ID_DEVICE_REMOVED,
                      &(struct domain_event_callback_device_removed_event){.dev_alias = (char *)alias_of(data)});
}

static void on_block_threshold(struct domain *domain, json_t *data)
{
    stats_forget_sizes(domain); /* the threshold is gone */
    const struct disk *disk = disk_of_node(domain, text_of(data, "node-name"));
    domain_notify(domain, DOMAIN_EVENT_ID_BLOCK_THRESHOLD,
                  &(struct domain_event_block_threshold_event){
                      .dev = (char *)(disk ? disk->target : text_of(data, "node-name")),
                      .threshold = (uint64_t)json_integer_value(json_object_get(data, "write-threshold")),
                      .excess = (uint64_t)json_integer_value(json_object_get(data, "amount-exceeded"))});
}

static void on_memory_failure(struct domain *domain, json_t *data)
{
    static const char *const recipients[] = {"hypervisor", "guest"};
    static const char *const actions[] = {"ignore", "inject", "fatal", "reset"};
    const json_t *flags = json_object_get(data, "flags");
    domain_notify(domain, DOMAIN_EVENT_ID_MEMORY_FAILURE,
                  &(struct domain_event_memory_failure_event){
                      .recipient = word_index(recipients, COUNT(recipients), text_of(data, "recipient"), 0),
                      .action = word_index(actions, COUNT(actions), text_of(data, "action"), 0),
                      .flags = (json_is_true(json_object_get(flags, "action-required")) ? 1u : 0) |
                               (json_is_true(json_object_get(flags, "recursive")) ? 2u : 0)});
}

static void on_memory_size(struct domain *domain, json_t *data)
{
    domain_notify(domain, DOMAIN_EVENT_ID_MEMORY_DEVICE_SIZE_CHANGE,
                  &(struct domain_event_memory_device_size_change_event){
                      .alias = (char *)alias_of(data),
                      .size = (uint64_t)json_integer_value(json_object_get(data, "size")) / 1024});
}

/* A program in the guest opened or closed a port: the guest agent's, or another channel's. */
static void on_port(struct domain *domain, json_t *data)
{
    agent_port_changed(domain, text_of(data, "id"), json_is_true(json_object_get(data, "open")));
}

/* -- graphics ------------------------------------------------------------------------------------------------------ */

static struct wire_domain_event_graphics_address graphics_address(const json_t *end)
{
    static const char *const families[] = {"ipv4", "ipv6", "unix"};
    return (struct wire_domain_event_graphics_address){
        .family = word_index(families, COUNT(families), text_of(end, "family"), 0),
        .node = (char *)text_of(end, "host"),
        .service = (char *)text_of(end, json_object_get(end, "service") ? "service" : "port"),
    };
}

static void graphics(struct domain *domain, json_t *data, int phase)
{
    const json_t *server = json_object_get(data, "server"), *client = json_object_get(data, "client");
    struct wire_domain_event_graphics_identity identities[2];
    uint32_t count = 0;
    if (json_object_get(client, "x509_dname"))
        identities[count++] = (struct wire_domain_event_graphics_identity){
            .type = (char *)"x509dname", .name = (char *)text_of(client, "x509_dname")};
    if (json_object_get(client, "sasl_username"))
        identities[count++] = (struct wire_domain_event_graphics_identity){
            .type = (char *)"saslUsername", .name = (char *)text_of(client, "sasl_username")};
    domain_notify(domain, DOMAIN_EVENT_ID_GRAPHICS,
                  &(struct domain_event_callback_graphics_event){.phase = phase,
                                                                 .local = graphics_address(server),
                                                                 .remote = graphics_address(client),
                                                                 .auth_scheme = (char *)text_of(server, "auth"),
                                                                 .subject_count = count,
                                                                 .subject = identities});
}

static void on_graphics_connected(struct domain *domain, json_t *data)
{
    graphics(domain, data, DOMAIN_EVENT_GRAPHICS_CONNECT);
}

static void on_graphics_initialized(struct domain *domain, json_t *data)
{
    graphics(domain, data, DOMAIN_EVENT_GRAPHICS_INITIALIZE);
}

static void on_graphics_disconnected(struct domain *domain, json_t *data)
{
    graphics(domain, data, DOMAIN_EVENT_GRAPHICS_DISCONNECT);
}

/* Whoever waits for block jobs and exports asks QEMU how they are. */
static void on_job_change(struct domain *domain, json_t *data)
{
    domain->job_changes++;
    condition_wake(&domain->changed);
}

/* Whoever follows a migration waits for domain->changed. */
static void on_migration(struct domain *domain, json_t *data)
{
    snprintf(domain->migration_status, sizeof domain->migration_status, "%s", text_of(data, "status"));
    domain->postcopy |= string_equal(domain->migration_status, "postcopy-active");
    condition_wake(&domain->changed);
}

static void on_migration_pass(struct domain *domain, json_t *data)
{
    domain->migration_pass = (uint32_t)json_integer_value(json_object_get(data, "pass"));
    condition_wake(&domain->changed);
    domain_notify(domain, DOMAIN_EVENT_ID_MIGRATION_ITERATION,
                  &(struct domain_event_callback_migration_iteration_event){
                      .iteration = (int32_t)json_integer_value(json_object_get(data, "pass"))});
}

/* -- the table ----------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*handle)(struct domain *domain, json_t *data);
} events[] = {
    {"BALLOON_CHANGE", on_balloon},
    {"BLOCK_EXPORT_DELETED", on_job_change},
    {"BLOCK_IO_ERROR", on_io_error},
    {"BLOCK_WRITE_THRESHOLD", on_block_threshold},
    {"DEVICE_DELETED", on_device_deleted},
    {"DEVICE_TRAY_MOVED", on_tray},
    {"GUEST_PANICKED", on_panic},
    {"JOB_STATUS_CHANGE", on_job_change},
    {"MEMORY_DEVICE_SIZE_CHANGE", on_memory_size},
    {"MEMORY_FAILURE", on_memory_failure},
    {"MIGRATION", on_migration},
    {"MIGRATION_PASS", on_migration_pass},
    {"RESET", on_reset},
    {"RESUME", on_resume},
    {"RTC_CHANGE", on_rtc_change},
    {"SHUTDOWN", on_shutdown},
    {"SPICE_CONNECTED", on_graphics_connected},
    {"SPICE_DISCONNECTED", on_graphics_disconnected},
    {"SPICE_INITIALIZED", on_graphics_initialized},
    {"STOP", on_stop},
    {"SUSPEND", on_sleep},
    {"SUSPEND_DISK", on_sleep_disk},
    {"VNC_CONNECTED", on_graphics_connected},
    {"VNC_DISCONNECTED", on_graphics_disconnected},
    {"VNC_INITIALIZED", on_graphics_initialized},
    {"VSERPORT_CHANGE", on_port},
    {"WAKEUP", on_wakeup},
    {"WATCHDOG", on_watchdog},
};

static void monitor_event(void *owner, const char *name, json_t *data, int64_t seconds, uint32_t micros)
{
    struct domain *domain = owner;
    if (!domain_active(domain) || !domain->object.live)
        return; /* still starting: domain_launch() asks for the state itself */
    scoped_domain struct domain *kept = domain_of(object_ref(&domain->object));
    if (domain->driver->monitor_event)
        domain->driver->monitor_event(domain->driver->notify_owner, domain, name, data, seconds, micros);
    for (size_t i = 0; i < COUNT(events); i++)
        if (strcmp(events[i].name, name) == 0)
            events[i].handle(domain, data);
}

/* A monitor that broke while QEMU lives on: nothing can be asked any more; the guest is left running. */
static void monitor_closed(void *owner, const struct error *reason)
{
    struct domain *domain = owner;
    condition_wake(&domain->changed);
    if (!domain->process || process_has_exited(domain->process) || domain->stopping)
        return; /* the process watch tells the rest */
    log_warning("domain '%s': the monitor is lost: %s", domain_name(domain), reason->message);
    domain_notify(domain, DOMAIN_EVENT_ID_CONTROL_ERROR, &(struct domain_event_callback_control_error_event){0});
}

const struct qmp_callbacks domain_qmp_callbacks = {.event = monitor_event, .closed = monitor_closed};
