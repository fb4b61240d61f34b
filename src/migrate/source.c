/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/copy.h"
#include "migrate/offline.h"
#include "migrate/postcopy.h"

#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "migrate/evacuation.h"
#include "migrate/owner.h"
#include "migrate/preflight.h"
#include "migrate/screen.h"
#include "migrate/tls.h"
#include "migrate/tunnel.h"
#include "migrate/verify.h"
#include "qemu/lease.h"
#include "qemu/status.h"
#include "wire_types.h"

/* The source's phases: begin, perform, confirm. */

enum {
    RESUME_MS = 500, /* QEMU lets a guest run again by itself when its migration fails; this long we wait for it */
    ASK_MS = 5000,
    END_MS = 5000,
    CONFIRM_MS = 20000, /* for a destination to say whether it has the guest */
};

static void set_outgoing(struct domain *domain, enum outgoing outgoing)
{
    domain->outgoing = outgoing;
    if (domain_active(domain))
        status_save(domain);
}

/* -- begin --------------------------------------------------------------------------------------------------------- */

/* Sockets of channels that lie in this host's own directory, where the destination's may not be; it makes its own. */
static void drop_own_sockets(const struct domain *domain, struct domain_def *def)
{
    scoped_arena struct arena *arena = arena_new();
    const char *directory = domain_lib_path(domain, arena);
    for (uint32_t i = 0; i < def->channels.count; i++) {
        struct chardev_source *source = &def->channels.item[i]->source;
        const char *rest = source->path ? string_after(source->path, directory) : NULL;
        if (source->type == CHARDEV_TYPE_UNIX && rest && *rest == '/')
            source->path = NULL;
    }
}

static char *live_xml(const struct domain *domain, unsigned format)
{
    scoped_domain_def struct domain_def *def = domain_edit(domain->object.live);
    drop_own_sockets(domain, def);
    return domain_format(def, format);
}

/* The user's XML for the destination must show the guest what it sees now. The name is --dname's business. */
static char *checked_xml(struct domain *domain, const char *xml, unsigned format, struct error *err)
{
    scoped_domain_def struct domain_def *def = driver_parse(domain->driver, xml, DOMAIN_PARSE_INACTIVE, err);
    scoped_domain_def struct domain_def *named = def ? domain_edit(def) : NULL;
    if (!named || domain_require_active(domain, err) < 0)
        return NULL;
    const struct domain_def *live = domain->object.live; /* not before: parsing may wait for an emulator to be asked */
    named->name = live->name;
    drop_own_sockets(domain, named);
    if (domain_abi_check(live, named, err) < 0)
        return error_null_wrap(err, "the given definition does not fit the running domain '%s'", live->name);
    return domain_format(named, format);
}

/* What --persistent stores over there. */
static int choose_persistent(struct migration *migration, struct error *err)
{
    enum { FORMAT = DOMAIN_XML_INACTIVE | DOMAIN_XML_SECURE | DOMAIN_XML_MIGRATABLE };
    struct domain *domain = migration->domain;
    const struct migrate_options *options = &migration->options;
    scoped_free char *xml = NULL;
    if (!(options->flags & MIGRATE_PERSIST_DEST))
        return 0;
    if (options->persistent_xml) {
        xml = checked_xml(domain, options->persistent_xml, FORMAT, err);
        if (!xml)
            return error_wrap(err, "--persistent-xml");
    } else if (domain->object.persistent) {
        const struct domain_def *config = object_config(&domain->object, err);
        if (!config)
            return -1;
        xml = domain_format(config, FORMAT);
    }
    migration->persistent_xml = arena_strdup(migration->arena, xml);
    return 0;
}

void source_drop(struct migration *migration)
{
    if (migration->domain->postcopy)
        postcopy_broken(migration);
    else
        migration_end(migration);
}

char *source_begin(struct migration *migration, struct migrate_blob *cookie_out, struct arena *arena, struct error *err)
{
    enum { FORMAT = DOMAIN_XML_SECURE | DOMAIN_XML_MIGRATABLE };
    struct domain *domain = migration->domain;
    if (migration->options.flags & MIGRATE_OFFLINE)
        return offline_begin(migration, cookie_out, arena, err);
    if (migration->options.flags & MIGRATE_POSTCOPY_RESUME)
        return postcopy_begin(migration, cookie_out, arena, err);
    const struct qemu_caps *caps = migration_caps(domain, err);
    if (!caps || domain_require_active(domain, err) < 0 ||
        preflight_gate_source(domain, &migration->options, err) < 0 || choose_persistent(migration, err) < 0 ||
        domain_require_active(domain, err) < 0)
        return NULL;
    migration->origin_name = arena_strdup(migration->arena, domain_name(domain));
    scoped_free char *xml = migration->options.xml ? checked_xml(domain, migration->options.xml, FORMAT, err)
                                                   : live_xml(domain, FORMAT);
    if (!xml)
        return error_null_wrap(err, "--xml");
    struct migrate_cookie cookie = migration_cookie(migration, caps, arena);
    if (migration->options.flags & MIGRATE_COPY_STORAGE && mirrors_describe(migration, &cookie, arena, err) < 0)
        return NULL;
    *cookie_out = migrate_cookie_write(&cookie, arena);
    return arena_strdup(arena, xml);
}

static int refuse_state(struct domain *domain, struct error *err)
{
    const char *name = domain_name(domain);
    if (domain_require_active(domain, err) < 0 || domain_require_own(domain, "migrate", err) < 0)
        return -1;
    if (domain->incoming)
        return error_set(err, ERR_OPERATION_INVALID, "domain '%s' is just being migrated to this host", name);
    if (domain->state == DOMAIN_SHUTDOWN || domain->state == DOMAIN_CRASHED)
        return error_set(err, ERR_OPERATION_INVALID, "domain '%s' is about to end: nothing is left to migrate", name);
    return 0;
}

struct migration *source_new(struct domain *domain, const struct migrate_options *options,
                             const struct migrate_caller *caller, struct error *err)
{
    if (options->flags & MIGRATE_OFFLINE)
        return offline_new(domain, options, caller, err);
    if (options->flags & MIGRATE_POSTCOPY_RESUME)
        return domain_require_active(domain, err) < 0 ? NULL : postcopy_take(domain, options, caller, err);
    if (refuse_state(domain, err) < 0)
        return NULL;
    if (domain->migration)
        return error_null(err, ERR_OPERATION_INVALID, "domain '%s' is already being migrated", domain_name(domain));
    struct migration *migration = migration_new(domain, JOB_MIGRATE_OUT, options, caller, err);
    if (!migration || refuse_state(domain, err) == 0)
        return migration;
    migration_end(migration);
    return NULL;
}

char *migration_begin(struct domain *domain, const struct migrate_options *options, const struct migrate_caller *caller,
                      struct migrate_blob *cookie_out, struct arena *arena, struct error *err)
{
    struct migration *migration = source_new(domain, options, caller, err);
    if (!migration)
        return NULL;
    char *xml = source_begin(migration, cookie_out, arena, err);
    /* clients that do not ask for protection never confirm a migration that went no further than this */
    if (xml && options->flags & MIGRATE_CHANGE_PROTECTION)
        migration_wait_next(migration, PHASE_BEGUN);
    else
        source_drop(migration);
    return xml;
}

/* -- perform ------------------------------------------------------------------------------------------------------- */

/* Without --live the guest stands still from the beginning. */
static int suspend(struct domain *domain, struct error *err)
{
    if (domain->state != DOMAIN_RUNNING)
        return 0;
    domain->pause_reason = DOMAIN_PAUSED_MIGRATION;
    return qmp_execute(domain->qmp, "stop", NULL, monitor_deadline(), err);
}

static int check_remote(const struct migration *migration, const struct migrate_cookie *remote, struct error *err)
{
    if (!remote->name)
        return 0;
    if (memcmp(remote->uuid, migration->domain->object.uuid, UUID_SIZE) != 0)
        return error_set(err, ERR_INTERNAL_ERROR, "the destination's cookie is about domain '%s', not '%s'",
                         remote->name, domain_name(migration->domain));
    return 0;
}

/* The same migration, by another connection. */
static int transfer_rest(struct migration *migration, const char *uri, struct arena *arena, struct error *err)
{
    struct domain *domain = migration->domain;
    const char *target = migration_connect(migration, uri, arena, err);
    if (!target)
        return -1;
    domain->migration_status[0] = '\0';
    uint64_t mib = migration->options.postcopy_mib ? migration->options.postcopy_mib : domain->migrate_postcopy_mib;
    struct qmp_request requests[] = {
        {.command = "migrate-set-parameters",
         .arguments = json_pack("{s:I}", "max-postcopy-bandwidth", (json_int_t)(mib << 20))},
        {.command = "migrate", .arguments = json_pack("{s:s, s:b}", "uri", target, "resume", 1)},
    };
    int rc = qmp_batch(domain->qmp, requests, COUNT(requests), monitor_deadline(), err);
    qmp_requests_finish(requests, COUNT(requests));
    if (rc < 0)
        return -1;
    return migration_follow(migration, err);
}

static int transfer(struct migration *migration, const char *uri, const struct migrate_cookie *remote,
                    struct arena *arena, struct error *err)
{
    struct domain *domain = migration->domain;
    bool tunnelled = migration->options.flags & MIGRATE_TUNNELLED;
    if (check_remote(migration, remote, err) < 0 || screen_relocate(migration, uri, remote, err) < 0 ||
        tls_load(migration, true, uri, err) < 0 || verify_note(migration, err) < 0 ||
        stages_begin(migration, remote, err) < 0 ||
        migration_configure(migration, true, remote, err) < 0)
        return -1;
    set_outgoing(domain, OUTGOING_PERFORMING);
    domain->migration_status[0] = '\0';
    domain->migration_pass = 0;
    domain->postcopy = false;
    if (!(migration->options.flags & MIGRATE_LIVE) && suspend(domain, err) < 0)
        return -1;
    if (migration->options.flags & MIGRATE_COPY_STORAGE && mirrors_start(migration, uri, remote, err) < 0)
        return -1;
    const char *target = tunnelled ? tunnel_send(migration, err) : migration_connect(migration, uri, arena, err);
    if (!target ||
        qmp_execute(domain->qmp, "migrate", json_pack("{s:s}", "uri", target), monitor_deadline(), err) < 0)
        return -1;
    if (migration->postcopy_asked &&
        qmp_execute(domain->qmp, "migrate-start-postcopy", NULL, monitor_deadline(), err) < 0)
        return -1;
    return migration_follow(migration, err);
}

static int performed_cookie(struct migration *migration, struct migrate_blob *blob, struct arena *arena,
                            struct error *err)
{
    migration->asked_ns = 0;
    migration_ask(migration, ASK_MS);
    struct migrate_cookie cookie = migration_cookie(migration, NULL, arena);
    cookie.persistent_xml = migration->persistent_xml;
    cookie.has_statistics = true;
    cookie.info = migration->info;
    cookie.info.type = DOMAIN_JOB_COMPLETED;
    cookie.started_ms = migration->started_ms;
    cookie.stopped_ms = migration->stopped_ms;
    if (!migration->domain->postcopy && domain_active(migration->domain) && verify_tell(migration, &cookie, err) < 0)
        return -1;
    cookie.sent_ms = clock_ms();
    *blob = migrate_cookie_write(&cookie, arena);
    return 0;
}

/* From here the journal says that the guest may be let run there. */
static int hand_over(struct migration *migration, struct error *err)
{
    struct domain *domain = migration->domain;
    migration->entry.owner = WIRE_MIGRATION_OWNER_UNKNOWN;
    if (journal_write(domain->driver, &migration->entry, err) < 0 || domain_require_active(domain, err) < 0)
        return -1;
    set_outgoing(domain, OUTGOING_PERFORMED);
    return 0;
}

static int note_destination(struct migration *migration, const struct migrate_cookie *remote, struct error *err)
{
    struct journal_entry *entry = &migration->entry;
    entry->peer = arena_strdup(migration->arena, remote->hostname ? remote->hostname : "");
    entry->paused = !migration->was_running;
    entry->shared = remote->has_id;
    if (remote->has_id) /* of the begin that it was prepared for, which may have been another migration here */
        memcpy(entry->id, remote->id, UUID_SIZE);
    if (!entry->peer_uri)
        entry->peer_uri = arena_strdup(migration->arena, remote->connection_uri);
    return journal_write(migration->domain->driver, entry, err);
}

int source_perform(struct migration *migration, const char *uri, const struct migrate_blob *cookie_in,
                   struct migrate_blob *cookie_out, struct arena *arena, struct error *err)
{
    struct domain *domain = migration->domain;
    struct migrate_cookie remote;
    bool resume = migration->options.flags & MIGRATE_POSTCOPY_RESUME;
    if (!resume)
        migration->was_running = domain->state == DOMAIN_RUNNING;
    if (migrate_cookie_read(&remote, cookie_in, arena, err) < 0 ||
        (!resume && note_destination(migration, &remote, err) < 0) ||
        (resume ? transfer_rest(migration, uri, arena, err) : transfer(migration, uri, &remote, arena, err)) < 0 ||
        performed_cookie(migration, cookie_out, arena, err) < 0)
        return -1;
    if (domain->postcopy && domain_active(domain)) {
        postcopy_begun(migration);
        return 0;
    }
    /* all is over there, but nobody was told: what was asked meanwhile still holds */
    if (migration->abort.code)
        return migration_aborted(migration, err);
    if (!domain_active(domain))
        return error_set(err, ERR_OPERATION_FAILED, "operation failed: domain '%s' ended during its migration",
                         domain_name(domain));
    return hand_over(migration, err);
}

int migration_perform(struct domain *domain, const struct migrate_options *options, const char *destination,
                      const struct migrate_caller *caller, const struct migrate_blob *cookie_in,
                      struct migrate_blob *cookie_out, struct arena *arena, struct error *err)
{
    if (options->flags & MIGRATE_PEER2PEER)
        return migration_to_peer(domain, options, destination, caller, err);
    struct migration *migration;
    if (domain->migration && domain->migration->phase != PHASE_BROKEN) {
        migration = migration_take(domain, PHASE_BEGUN, PHASE_PERFORMING, caller, err);
    } else {
        struct migrate_blob ignored;
        migration = source_new(domain, options, caller, err);
        if (migration && !source_begin(migration, &ignored, arena, err)) {
            source_drop(migration);
            return -1;
        }
    }
    if (!migration)
        return -1;
    if (source_perform(migration, options->uri, cookie_in, cookie_out, arena, err) < 0) {
        source_take_back(migration);
        return -1;
    }
    migration_wait_next(migration, PHASE_PERFORMED);
    return 0;
}

/* -- the end ------------------------------------------------------------------------------------------------------- */

static void keep_info(struct migration *migration, int type, const struct migrate_cookie *remote)
{
    struct domain *domain = migration->domain;
    struct job_info *info = &migration->info;
    if (remote && remote->has_statistics) { /* the destination knows when the guest ran again */
        info->elapsed_ms = remote->info.elapsed_ms;
        info->downtime_ms = remote->info.downtime_ms;
        info->has_downtime |= remote->info.has_downtime;
        info->has_verified = remote->info.has_verified;
        info->verified_devices = remote->info.verified_devices;
        info->verified_disks = remote->info.verified_disks;
        info->verified_memory = remote->info.verified_memory;
    }
    info->type = type;
    info->remaining_ms = 0;
    free(domain->last_job);
    domain->last_job = xcalloc(1, sizeof *domain->last_job);
    *domain->last_job = *info;
    if (type != DOMAIN_JOB_COMPLETED)
        return;
    scoped_arena struct arena *arena = arena_new();
    struct params params;
    params_init(&params, arena);
    job_info_params(info, &params);
    domain_notify(domain, DOMAIN_EVENT_ID_JOB_COMPLETED,
                  &(struct domain_event_callback_job_completed_event){.params_count = params.count,
                                                                      .params = params.items});
}

/* True when it runs. */
static bool wait_running(struct domain *domain, deadline until)
{
    while (domain_active(domain) && domain->state != DOMAIN_RUNNING)
        if (condition_wait(&domain->changed, until, NULL) < 0)
            break;
    return domain->state == DOMAIN_RUNNING;
}

static bool is_over(const char *status)
{
    return !*status || strcmp(status, "completed") == 0 || strcmp(status, "failed") == 0 ||
           strcmp(status, "cancelled") == 0;
}

/* Leaves QEMU without a migration under way. */
static int stop_transfer(struct domain *domain, struct error *err)
{
    if (is_over(domain->migration_status))
        return 0;
    if (qmp_execute(domain->qmp, "migrate_cancel", NULL, monitor_deadline(), err) < 0)
        return -1;
    deadline until = monitor_deadline();
    while (domain_active(domain) && !is_over(domain->migration_status))
        if (condition_wait(&domain->changed, until, err) < 0)
            return -1;
    return 0;
}

int source_run_again(struct domain *domain, bool was_running, bool by_itself, struct error *err)
{
    bool ours = domain->reason == DOMAIN_PAUSED_MIGRATION || domain->reason == DOMAIN_PAUSED_USER ||
                domain->reason == DOMAIN_PAUSED_UNKNOWN;
    if (!was_running || !domain_active(domain) || domain->state != DOMAIN_PAUSED || !ours)
        return 0;
    if (by_itself && domain->reason == DOMAIN_PAUSED_MIGRATION && wait_running(domain, deadline_ms(RESUME_MS)))
        return 0;
    struct error problem = {0};
    if (domain->outgoing >= OUTGOING_PERFORMED && lease_take_over(domain, &problem) < 0)
        log_warning("domain '%s' goes on here: %s", domain_name(domain), problem.message);
    domain->resume_reason = DOMAIN_RUNNING_MIGRATION_CANCELED;
    int rc = qmp_execute(domain->qmp, "cont", NULL, monitor_deadline(), err);
    domain->resume_reason = -1;
    return rc;
}

/* QEMU lets the guest run by itself when its migration fails, but not when it completed. */
static int run_again(struct migration *migration, struct error *err)
{
    const struct domain *domain = migration->domain;
    bool by_itself = migration->options.flags & MIGRATE_LIVE && *domain->migration_status &&
                     strcmp(domain->migration_status, "completed") != 0;
    return source_run_again(migration->domain, migration->was_running, by_itself, err);
}

/* An entry that stays does no harm: the next start of the daemon finds nothing to do for it. */
static void forget_entry(struct migration *migration)
{
    struct error err = {0};
    if (journal_remove(migration->domain->driver, migration->entry.id, &err) < 0)
        log_warning("the migration of domain '%s' is over, but its journal entry stays: %s",
                    domain_name(migration->domain), err.message);
}

void source_take_back(struct migration *migration)
{
    struct domain *domain = migration->domain;
    struct error err = {0};
    if (domain->postcopy) {
        postcopy_settle(migration, deadline_ms(END_MS));
        return;
    }
    /* a monitor that closes is followed by the process's end, unless QEMU has lost its mind */
    deadline until = deadline_ms(END_MS);
    while (domain_active(domain) && qmp_is_closed(domain->qmp) && condition_wait(&domain->changed, until, NULL) == 0)
        ;
    if (domain_active(domain) && domain->outgoing &&
        (stop_transfer(domain, &err) < 0 || run_again(migration, &err) < 0))
        log_error("domain '%s' stays paused after its failed migration: %s; see whether it runs elsewhere, then resume "
                  "it",
                  domain_name(domain), err.message);
    if (migration->mirror_count)
        mirrors_remove(domain);
    if (migration->tls_creds)
        tls_unload(domain);
    if (domain->outgoing) {
        bool asked = migration->abort.code == ERR_OPERATION_ABORTED;
        keep_info(migration, asked ? DOMAIN_JOB_CANCELLED : DOMAIN_JOB_FAILED, NULL);
        migration_unconfigure(domain, migration->extra_caps);
        stages_undo(migration);
        set_outgoing(domain, OUTGOING_NONE);
    }
    forget_entry(migration);
    migration_end(migration);
}

void source_leave(struct migration *migration, const char *why)
{
    if (migration->domain->postcopy) {
        postcopy_settle(migration, DEADLINE_NONE);
        return;
    }
    owner_pursue(migration->domain, &migration->entry, why);
    migration_end(migration);
}

int source_complete(struct migration *migration, uint32_t flags, const struct migrate_blob *cookie_in,
                    struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct domain *domain = migration->domain;
    struct migrate_cookie remote;
    struct error problem = {0};
    bool told = migrate_cookie_read(&remote, cookie_in, arena, &problem) == 0;
    if (domain->postcopy)
        postcopy_sent(domain);
    screen_wait(migration);
    keep_info(migration, DOMAIN_JOB_COMPLETED, told ? &remote : NULL);
    /* its disks were flushed and let go of at the switch: there is nothing that an orderly end would save */
    if (domain->process)
        process_kill(domain->process, SIGKILL);
    int rc = domain->process ? domain_stop(domain, DOMAIN_SHUTOFF_MIGRATED, false, err) : 0;
    evacuation_departed(domain);
    if (rc == 0 && flags & MIGRATE_UNDEFINE_SOURCE && domain->object.persistent)
        rc = object_undefine(&domain->object, err);
    if (rc == 0)
        forget_entry(migration);
    migration_end(migration);
    return rc;
}

/* The client believes that the destination has not got the guest. One whose connection broke at the wrong moment may
 * be mistaken, so the destination itself is asked, when we can reach it. */
static int take_back_handed_over(struct migration *migration, struct error *err)
{
    struct migrate_blob nothing = {0};
    const struct journal_entry *entry = &migration->entry;
    const char *name = domain_name(migration->domain);
    int owner = entry->shared && entry->peer_uri ? owner_ask(entry->peer_uri, entry, deadline_ms(CONFIRM_MS))
                                                 : WIRE_MIGRATION_OWNER_SOURCE;
    switch (owner) {
    case WIRE_MIGRATION_OWNER_DESTINATION:
        log_warning("the client of domain '%s' says that its migration failed, but the destination has the guest: it "
                    "is ended here", name);
        return source_complete(migration, migration->options.flags, &nothing, err);
    case WIRE_MIGRATION_OWNER_SOURCE:
        source_take_back(migration);
        return 0;
    default:
        error_set(err, ERR_OPERATION_FAILED,
                  "domain '%s' stays paused: the destination '%s' does not answer whether it has the guest. It is "
                  "asked until it does; 'godwit migrate --recover %s' settles it by hand", name, entry->peer, name);
        source_leave(migration, "the client gave it up, and the destination does not answer");
        return -1;
    }
}

int migration_confirm(struct domain *domain, const struct migrate_options *options, bool cancelled,
                      const struct migrate_caller *caller, const struct migrate_blob *cookie_in, struct error *err)
{
    bool begun = domain->migration && domain->migration->phase == PHASE_BEGUN;
    bool offline = begun && domain->migration->options.flags & MIGRATE_OFFLINE;
    enum migration_phase waiting = begun && (cancelled || offline) ? PHASE_BEGUN : PHASE_PERFORMED;
    struct migration *migration = migration_take(domain, waiting, PHASE_CONFIRMING, caller, err);
    if (!migration)
        return -1;
    if (offline && !cancelled)
        return offline_complete(migration, options->flags, err);
    if (!cancelled)
        return source_complete(migration, options->flags, cookie_in, err);
    if (!begun && !domain->postcopy) /* in post-copy QEMU knows how it ended */
        return take_back_handed_over(migration, err);
    source_take_back(migration);
    return 0;
}
