/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/copy.h"
#include "migrate/offline.h"
#include "migrate/owner.h"
#include "migrate/place.h"
#include "migrate/postcopy.h"
#include "migrate/preflight.h"
#include "migrate/screen.h"
#include "migrate/tls.h"
#include "migrate/tunnel.h"
#include "migrate/verify.h"

#include <string.h>

#include "base/log.h"
#include "qemu/hooks.h"
#include "qemu/lease.h"
#include "qemu/log.h"
#include "qemu/status.h"

/* The destination's phases: prepare and finish. */

enum {
    LOADED_MS = 60000, /* from the source's last byte until QEMU has loaded it */
};

/* -- prepare: the guest -------------------------------------------------------------------------------------------- */

static int check_origin(const struct driver *driver, const struct migrate_cookie *remote, const struct domain_def *def,
                        struct error *err)
{
    if (!remote->name)
        return 0;
    if (memcmp(remote->host_uuid, driver->options.host_uuid, UUID_SIZE) == 0)
        return error_set(err, ERR_OPERATION_INVALID,
                         "domain '%s' cannot be migrated to the host it runs on (host '%s', same host UUID as ours)",
                         remote->name, remote->hostname);
    if (memcmp(remote->uuid, def->uuid, UUID_SIZE) != 0)
        return error_set(err, ERR_INTERNAL_ERROR, "the migration's cookie is about domain '%s', its XML about '%s'",
                         remote->name, def->name);
    return 0;
}

static struct domain_def *incoming_def(struct driver *driver, const struct migrate_options *options, struct error *err)
{
    if (!options->xml)
        return error_null(err, ERR_INVALID_ARG, "the migration comes without the domain's XML (%s)",
                          MIGRATE_PARAM_DEST_XML);
    scoped_domain_def struct domain_def *def = driver_parse(driver, options->xml, DOMAIN_PARSE_INACTIVE, err);
    struct domain_def *named = def ? domain_edit(def) : NULL;
    if (named && options->dname)
        named->name = arena_strdup(named->arena, options->dname);
    return named;
}

/* The definition as the administrator's scripts of this host want it. */
static struct domain_def *hooked_def(struct driver *driver, struct domain_def *def, struct error *err)
{
    scoped_domain_def struct domain_def *made = hook_filter(driver, def, HOOK_MIGRATE, err);
    if (!made || (string_equal(made->name, def->name) && memcmp(made->uuid, def->uuid, UUID_SIZE) == 0))
        return steal(made);
    return error_null(err, ERR_OPERATION_FAILED, "the hook scripts made another domain ('%s') of domain '%s'",
                      made->name, def->name);
}

static int check_free(const struct domain *domain, struct error *err)
{
    if (!domain_active(domain))
        return 0;
    return error_set(err, ERR_OPERATION_INVALID, "domain '%s' already runs on this host (id %d)", domain_name(domain),
                     domain->object.id);
}

/* The source writes its disks here until nbd_stop(). */
static int take_disks(struct migration *migration, const struct migrate_cookie *remote, const struct place *place,
                      struct error *err)
{
    return migration->options.flags & MIGRATE_COPY_STORAGE ? nbd_start(migration, place->listen, remote, err) : 0;
}

static int listen_for_guest(struct migration *migration, struct place *place, struct error *err)
{
    return migration->options.flags & MIGRATE_TUNNELLED ? tunnel_receive(migration, err)
                                                        : place_listen(migration, place, err);
}

static int launch(struct migration *migration, const struct domain_def *def, const struct migrate_cookie *remote,
                  struct error *err)
{
    scoped_domain_def struct domain_def *live = domain_edit(def);
    if (migration->options.flags & MIGRATE_COPY_STORAGE && images_make(migration, live, remote, err) < 0)
        return -1;
    return domain_launch(migration->domain, steal(live), "defer", -1, err);
}

static int receive(struct migration *migration, const struct domain_def *def, const struct migrate_cookie *remote,
                   struct place *place, struct error *err)
{
    struct domain *domain = migration->domain;
    domain->migration_status[0] = '\0';
    domain->postcopy = false;
    journal_purge(domain->driver);
    if (check_free(domain, err) < 0 || journal_write(domain->driver, &migration->entry, err) < 0 ||
        launch(migration, def, remote, err) < 0)
        return -1;
    domain->shutoff_reason = DOMAIN_SHUTOFF_FAILED; /* should QEMU end before it has its guest */
    stages_arm(migration, remote);
    if (tls_load(migration, false, NULL, err) < 0 || migration_configure(migration, false, remote, err) < 0 ||
        take_disks(migration, remote, place, err) < 0 ||
        listen_for_guest(migration, place, err) < 0)
        return -1;
    if (migration->abort.code)
        return error_set(err, migration->abort.code, "the migration was cancelled: %s", migration->abort.message);
    return domain_require_active(domain, err);
}

/* It did not come back: whether it runs where it went is as unknown as before. */
static void still_unsettled(struct domain *domain)
{
    scoped_arena struct arena *arena = arena_new();
    struct journal_entry entry;
    if (journal_find(domain->driver, domain->object.uuid, WIRE_MIGRATION_ROLE_SOURCE, &entry, arena))
        owner_pursue(domain, &entry, "a migration back did not arrive");
}

void destination_discard(struct migration *migration)
{
    struct domain *domain = migration->domain;
    struct error err = {0};
    if (domain->postcopy) {
        postcopy_broken(migration);
        return;
    }
    /* not for its scripts: the source's guest stands still until it hears that it is the source's */
    int rc = domain->process ? domain_end(domain, DOMAIN_SHUTOFF_FAILED, false, &err) : 0;
    if (rc == 0 && migration->entry.owner == WIRE_MIGRATION_OWNER_DESTINATION) {
        /* before its images go: whoever reads it after a crash must not take the guest for one that is here */
        migration->entry.owner = WIRE_MIGRATION_OWNER_SOURCE;
        rc = journal_write(domain->driver, &migration->entry, &err);
    }
    if (rc == 0) {
        images_remove(domain->driver, &migration->entry);
        rc = journal_remove(domain->driver, migration->entry.id, &err);
    }
    if (rc < 0)
        log_error("%s", err.message);
    if (migration->returns)
        still_unsettled(domain);
    migration_end(migration);
}

static void note_source(struct migration *migration, const struct migrate_cookie *remote)
{
    struct journal_entry *entry = &migration->entry;
    entry->peer = arena_strdup(migration->arena, remote->hostname ? remote->hostname : "");
    entry->peer_uri = arena_strdup(migration->arena, remote->connection_uri);
    entry->shared = remote->has_id;
    if (remote->has_id)
        memcpy(entry->id, remote->id, UUID_SIZE);
    /* what counts is the newest, and the clock may have been set back since the last time it came */
    struct journal_entry last;
    if (journal_find(migration->domain->driver, entry->uuid, WIRE_MIGRATION_ROLE_DESTINATION, &last,
                     migration->arena) &&
        last.since_ms >= entry->since_ms)
        entry->since_ms = last.since_ms + 1;
}

/* Claims the domain and begins its migration. */
static struct migration *receive_begin(struct driver *driver, const struct domain_def *def,
                                       const struct migrate_options *options, const struct migrate_caller *caller,
                                       struct error *err)
{
    struct object *object = object_claim(&driver->domains, def->name, def->uuid, err);
    if (!object)
        return NULL;
    scoped_domain struct domain *domain = domain_of(object);
    struct migration *migration = NULL;
    if (check_free(domain, err) == 0 && preflight_gate_destination(driver, def, options, err) == 0)
        migration = migration_new(domain, JOB_MIGRATE_IN, options, caller, err);
    if (!migration && !object->job) /* else it is for the job's holder to forget */
        object_forget_if_unused(object);
    if (!migration || string_equal(object->name, def->name))
        return migration;
    error_set(err, ERR_OPERATION_FAILED, "domain '%s' was renamed to '%s' meanwhile", def->name, object->name);
    migration_end(migration);
    return NULL;
}

int migration_prepare(struct driver *driver, const struct migrate_options *options, const struct migrate_caller *caller,
                      const struct migrate_blob *cookie_in, struct migrate_blob *cookie_out, const char **uri,
                      struct arena *arena, struct error *err)
{
    struct migrate_cookie remote;
    struct place place;
    bool offline = options->flags & MIGRATE_OFFLINE;
    if (options->flags & MIGRATE_POSTCOPY_RESUME)
        return postcopy_prepare(driver, options, caller, cookie_out, uri, arena, err);
    scoped_domain_def struct domain_def *given = incoming_def(driver, options, err);
    if (!given || migrate_cookie_read(&remote, cookie_in, arena, err) < 0 ||
        check_origin(driver, &remote, given, err) < 0 || place_find(&place, driver, options, arena, err) < 0)
        return -1;
    scoped_domain_def struct domain_def *def = hooked_def(driver, given, err);
    if (!def)
        return -1;
    struct migration *migration = receive_begin(driver, def, options, caller, err);
    if (!migration)
        return -1;
    scoped_domain struct domain *domain = domain_of(object_ref(&migration->domain->object));
    migration->origin_name = arena_strdup(migration->arena, remote.name ? remote.name : def->name);
    note_source(migration, &remote);
    migration->returns = domain->outgoing == OUTGOING_UNSETTLED;
    bool ours = !domain_active(domain); /* somebody may have started it while we waited for the job */
    if (offline ? offline_prepare(migration, def, &remote) : receive(migration, def, &remote, &place, err)) {
        if (ours)
            destination_discard(migration);
        else
            migration_end(migration);
        return -1;
    }
    *uri = place.told || offline || !place.port ? NULL : place_uri(&place, arena);
    struct migrate_cookie cookie = migration_cookie(migration, offline ? NULL : migration_caps(domain, err), arena);
    screen_describe(domain, &cookie);
    cookie.has_nbd = migration->options.flags & MIGRATE_COPY_STORAGE;
    cookie.nbd_port = migration->nbd_told;
    cookie.armed = migration_feature_names(migration, migration->steering.armed, arena);
    *cookie_out = migrate_cookie_write(&cookie, arena);
    if (!offline)
        domain_notify_lifecycle(domain, DOMAIN_EVENT_STARTED, DOMAIN_EVENT_STARTED_MIGRATED);
    migration_wait_next(migration, PHASE_PREPARED);
    return 0;
}

/* -- finish -------------------------------------------------------------------------------------------------------- */

static int wait_loaded(struct migration *migration, struct error *err)
{
    struct domain *domain = migration->domain;
    const char *name = domain_name(domain);
    deadline until = deadline_ms(LOADED_MS);
    while (domain_active(domain) && !domain->postcopy && strcmp(domain->migration_status, "completed") != 0) {
        if (strcmp(domain->migration_status, "failed") == 0)
            break;
        if (condition_wait(&domain->changed, until, err) < 0)
            return error_wrap(err, "QEMU of domain '%s' has not loaded the guest within %d s", name, LOADED_MS / 1000);
    }
    if (domain_active(domain) && (domain->postcopy || strcmp(domain->migration_status, "completed") == 0))
        return 0;
    scoped_arena struct arena *arena = arena_new();
    return error_set(err, ERR_OPERATION_FAILED, "QEMU of domain '%s' could not load the guest: %s", name,
                     qemu_log_tail(arena, domain_log_path(domain, arena), domain->log_start));
}

static struct domain_def *stored_def(struct domain *domain, const char *xml, struct error *err)
{
    scoped_free char *own = xml ? NULL : domain_format(domain->object.live, DOMAIN_XML_INACTIVE | DOMAIN_XML_SECURE |
                                                                                DOMAIN_XML_MIGRATABLE);
    scoped_domain_def struct domain_def *def =
        driver_parse(domain->driver, xml ? xml : own, DOMAIN_PARSE_INACTIVE, err);
    if (!def)
        return NULL;
    if (memcmp(def->uuid, domain->object.uuid, UUID_SIZE) != 0)
        return error_null(err, ERR_OPERATION_INVALID, "the definition to be stored is of another UUID than domain '%s'",
                          domain_name(domain));
    struct domain_def *named = domain_edit(def);
    named->name = arena_strdup(named->arena, domain_name(domain));
    return named;
}

/* Before the guest runs: a definition that cannot be stored must not be lost with the source's. */
static int persist(struct migration *migration, const struct migrate_cookie *remote, struct error *err)
{
    struct domain *domain = migration->domain;
    if (!(migration->options.flags & MIGRATE_PERSIST_DEST))
        return 0;
    struct domain_def *def = stored_def(domain, remote->persistent_xml, err);
    if (!def || object_store_def(&domain->object, def, err) < 0)
        return -1;
    domain->config_changed = true;
    return domain_require_active(domain, err);
}

/* The point of no return: from here the guest is this host's. The journal is on the disk first, so that a daemon that
 * is killed in between lets it run when it is started again (recover.c), and the source is told. */
static int let_run(struct migration *migration, struct error *err)
{
    struct domain *domain = migration->domain;
    migration->entry.owner = WIRE_MIGRATION_OWNER_DESTINATION;
    migration->entry.paused = migration->options.flags & MIGRATE_PAUSED; /* finish may have brought it */
    if (journal_write(domain->driver, &migration->entry, err) < 0 || domain_require_active(domain, err) < 0)
        return -1;
    /* who hung up believes that it failed, and may have told the source so; post-copy has no way back */
    if (migration->abort.code && !domain->postcopy)
        return error_set(err, migration->abort.code, "the migration was given up: %s", migration->abort.message);
    return destination_let_run(domain, migration->options.flags & MIGRATE_PAUSED, err);
}

/* As QEMU's own would be: five frames a NIC, after 0, 50, 150, 250 and 350 ms; RARP, and ARP by guests whose driver
 * does that itself. */
static struct qmp_request announcement(void)
{
    return (struct qmp_request){.command = "announce-self",
                                .arguments = json_pack("{s:i, s:i, s:i, s:i}", "initial", 50, "max", 550, "rounds", 5,
                                                       "step", 100)};
}

static void warn_unannounced(const struct domain *domain, const struct qmp_request *request)
{
    if (request->failure)
        log_warning("domain '%s' has arrived, but the network was not told: %s", domain_name(domain),
                    request->failure);
}

/* QEMU keeps the frames until the guest is resumed. */
static void announce_paused(struct domain *domain)
{
    struct qmp_request request = announcement();
    qmp_collect(qmp_submit(domain->qmp, &request, 1), monitor_deadline(), NULL);
    warn_unannounced(domain, &request);
    qmp_requests_finish(&request, 1);
}

/* In one message, so that a daemon that is killed now has not left the network without its word. */
static int run_and_announce(struct domain *domain, struct error *err)
{
    struct qmp_request requests[] = {{.command = "cont"}, announcement()};
    qmp_collect(qmp_submit(domain->qmp, requests, COUNT(requests)), monitor_deadline(), err);
    int rc = requests[0].reply ? 0 : -1;
    if (requests[0].failure)
        qmp_request_error(&requests[0], err);
    else
        warn_unannounced(domain, &requests[1]);
    qmp_requests_finish(requests, COUNT(requests));
    return rc;
}

int destination_let_run(struct domain *domain, bool paused, struct error *err)
{
    struct error problem = {0};
    if (lease_take_over(domain, &problem) < 0 && !domain->postcopy) /* from post-copy there is no way back */
        return error_set(err, problem.code, "%s", problem.message);
    domain->incoming = false;
    domain->outgoing = OUTGOING_NONE;
    if (paused) {
        domain_set_state(domain, DOMAIN_PAUSED, DOMAIN_PAUSED_USER, DOMAIN_EVENT_SUSPENDED,
                         DOMAIN_EVENT_SUSPENDED_PAUSED);
        announce_paused(domain);
        return 0;
    }
    domain->resume_reason = domain->postcopy ? DOMAIN_RUNNING_POSTCOPY : DOMAIN_RUNNING_MIGRATED;
    int rc = run_and_announce(domain, &problem);
    if (rc < 0 && domain->postcopy && problem.code == ERR_OPERATION_TIMEOUT)
        return 0; /* QEMU itself waits for a page; it takes the command when that comes */
    if (rc < 0) {
        domain->incoming = domain_active(domain);
        if (err)
            *err = problem;
    }
    return rc;
}

/* What was stored here before, or nothing. */
static void undo_persist(struct domain *domain, struct domain_def *before)
{
    struct error err = {0};
    int rc = 0;
    if (before)
        rc = object_store_def(&domain->object, domain_def_ref(before), &err);
    else if (domain->object.persistent)
        rc = object_undefine(&domain->object, &err);
    if (rc < 0)
        log_error("%s", err.message);
}

/* Times as the guest's user saw them: the source's share by its clock, ours by ours. */
static void keep_info(struct migration *migration, const struct migrate_cookie *remote, uint64_t received_ms)
{
    struct domain *domain = migration->domain;
    uint64_t here = clock_ms() - received_ms, paused = migration->ran_ms - received_ms;
    if (!remote->has_statistics)
        return;
    struct job_info info = remote->info;
    info.operation = DOMAIN_JOB_OPERATION_MIGRATION_IN;
    info.type = DOMAIN_JOB_COMPLETED;
    info.has_verified = migration->info.has_verified;
    info.verified_devices = migration->info.verified_devices;
    info.verified_disks = migration->info.verified_disks;
    info.verified_memory = migration->info.verified_memory;
    if (remote->started_ms && remote->sent_ms >= remote->started_ms)
        info.elapsed_ms = remote->sent_ms - remote->started_ms + here;
    if (remote->stopped_ms && remote->sent_ms >= remote->stopped_ms) {
        info.downtime_ms = remote->sent_ms - remote->stopped_ms + paused;
        info.has_downtime = true;
    }
    free(domain->last_job);
    domain->last_job = xcalloc(1, sizeof *domain->last_job);
    *domain->last_job = info;
}

static struct migrate_blob finished_cookie(struct migration *migration, const struct migrate_cookie *remote,
                                           uint64_t received_ms, struct arena *arena)
{
    struct migrate_cookie cookie = migration_cookie(migration, NULL, arena);
    if (remote->has_statistics) {
        cookie.has_statistics = true;
        cookie.info = *migration->domain->last_job;
        cookie.started_ms = remote->started_ms;
        cookie.stopped_ms = remote->stopped_ms;
        cookie.sent_ms = clock_ms();
        cookie.delta_ms = (int64_t)(received_ms - remote->sent_ms);
    }
    return migrate_cookie_write(&cookie, arena);
}

static int give_disks(struct migration *migration, struct error *err)
{
    return migration->options.flags & MIGRATE_COPY_STORAGE ? nbd_stop(migration, err) : 0;
}

/* It came back from where it had been lost sight of. */
static void forget_departure(struct domain *domain)
{
    scoped_arena struct arena *arena = arena_new();
    struct journal_entry entry;
    struct error err = {0};
    if (journal_find(domain->driver, domain->object.uuid, WIRE_MIGRATION_ROLE_SOURCE, &entry, arena) &&
        journal_remove(domain->driver, entry.id, &err) < 0)
        log_warning("%s", err.message);
}

static int arrive(struct migration *migration, const struct migrate_cookie *remote, struct error *err)
{
    struct domain *domain = migration->domain;
    scoped_domain_def struct domain_def *before = NULL;
    if (domain->object.persistent && migration->options.flags & MIGRATE_PERSIST_DEST)
        before = domain_def_ref(object_config(&domain->object, NULL));
    if (wait_loaded(migration, err) == 0 && persist(migration, remote, err) == 0 &&
        give_disks(migration, err) == 0 && verify_arrival(migration, remote, err) == 0 &&
        let_run(migration, err) == 0) {
        migration->ran_ms = clock_ms();
        domain->shutoff_reason = -1;
        if (migration->returns)
            forget_departure(domain);
        return 0;
    }
    if (migration->options.flags & MIGRATE_PERSIST_DEST)
        undo_persist(domain, before);
    destination_discard(migration);
    return -1;
}

/* By name, one whose QEMU has failed too, which no other lookup finds. */
static struct domain *find_arriving(struct driver *driver, const char *name, struct error *err)
{
    struct object *object = NULL;
    if (name)
        HASH_FIND(by_name, driver->domains.by_name, name, strlen(name), object);
    struct migration *migration = object ? domain_of(object)->migration : NULL;
    if (migration && migration->info.operation == DOMAIN_JOB_OPERATION_MIGRATION_IN)
        return domain_of(object_ref(object));
    return error_null(err, ERR_OPERATION_FAILED,
                      "no migration of domain '%s' to this host is under way: it was given up or ended here; see the "
                      "log of this host's daemon",
                      name ? name : "");
}

struct domain *migration_finish(struct driver *driver, const struct migrate_options *options, bool cancelled,
                                const struct migrate_caller *caller, const struct migrate_blob *cookie_in,
                                struct migrate_blob *cookie_out, struct arena *arena, struct error *err)
{
    uint64_t received_ms = clock_ms();
    scoped_domain struct domain *domain = find_arriving(driver, options->dname, err);
    struct migration *migration =
        domain ? migration_take(domain, PHASE_PREPARED, PHASE_FINISHING, caller, err) : NULL;
    if (!migration)
        return NULL;
    struct migrate_cookie remote;
    if (migration->failure) {
        /* the source only knows that its stream broke; this says why */
        error_set(err, ERR_OPERATION_FAILED, "QEMU of domain '%s' failed on the destination: %s", domain_name(domain),
                  migration->failure);
        destination_discard(migration);
        return NULL;
    }
    if (cancelled || migrate_cookie_read(&remote, cookie_in, arena, err) < 0) {
        destination_discard(migration);
        return cancelled ? error_null(err, ERR_MIGRATE_FINISH_OK, "migration successfully aborted") : NULL;
    }
    if (migration->options.flags & MIGRATE_OFFLINE) {
        int rc = offline_arrive(migration, err);
        migration_end(migration);
        return rc < 0 ? NULL : steal(domain);
    }
    migration->options.flags |= options->flags & (MIGRATE_PAUSED | MIGRATE_PERSIST_DEST);
    bool resumed = migration->options.flags & MIGRATE_POSTCOPY_RESUME;
    if (!resumed && arrive(migration, &remote, err) < 0)
        return NULL;
    if (domain->postcopy && postcopy_receive(migration, err) < 0)
        return NULL;
    if (migration->tls_creds)
        tls_unload(domain);
    keep_info(migration, &remote, received_ms);
    *cookie_out = finished_cookie(migration, &remote, received_ms, arena);
    migration_end(migration);
    return steal(domain);
}
