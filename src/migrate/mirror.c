/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/copy.h"

#include <string.h>

#include "base/log.h"
#include "qemu/command.h"

/* The source's side of a copy: one mirror job a disk. Jobs and nodes have names that say whose they are, so that a
 * daemon that was killed finds them again. */

#define JOB_PREFIX "migrate-"

enum {
    LOOK_MS = 500,
    STALL_S = 60,      /* a destination that takes nothing for so long hangs */
    DETACH_MS = 30000, /* for what the guest wrote last; it stands still meanwhile */
    GIVE_UP_MS = 5000, /* for a job that was cancelled by force, before its connection is broken */
};

static char *job_name(struct arena *arena, const struct disk *disk)
{
    return arena_printf(arena, JOB_PREFIX "%s", disk->target);
}

static char *node_name(struct arena *arena, const struct disk *disk)
{
    return arena_printf(arena, JOB_PREFIX "%s-copy", disk->target);
}

static bool is_ours(const json_t *job)
{
    return string_starts(json_string_value(json_object_get(job, "id")) ?: "", JOB_PREFIX);
}

static bool has_status(const json_t *job, const char *status)
{
    return string_equal(json_string_value(json_object_get(job, "status")), status);
}

/* -- begin --------------------------------------------------------------------------------------------------------- */

static void describe(struct cookie_disk *told, const struct disk *disk, const json_t *nodes, struct arena *arena)
{
    const json_t *image = json_object_get(copy_node(nodes, qemu_node_format(arena, &disk->source)), "image");
    const json_t *backing =
        json_object_get(image, "full-backing-filename") ?: json_object_get(image, "backing-filename");
    *told = (struct cookie_disk){
        .target = arena_strdup(arena, disk->target),
        .capacity = (uint64_t)json_integer_value(json_object_get(image, "virtual-size")),
        .backing = arena_strdup(arena, json_string_value(backing)),
        .backing_format =
            arena_strdup(arena, json_string_value(json_object_get(image, "backing-filename-format"))),
    };
}

int mirrors_describe(struct migration *migration, struct migrate_cookie *cookie, struct arena *arena, struct error *err)
{
    struct domain *domain = migration->domain;
    if (copy_check(domain->object.live, &migration->options, err) < 0)
        return -1;
    scoped_json json_t *nodes = qmp_command(domain->qmp, "query-named-block-nodes", json_pack("{s:b}", "flat", 1),
                                            monitor_deadline(), err);
    const struct domain_def *live = domain->object.live;
    if (!nodes || domain_require_active(domain, err) < 0)
        return -1;
    cookie->has_nbd = true;
    cookie->disks = arena_new_array(arena, live->disks.count, struct cookie_disk);
    for (uint32_t i = 0; i < live->disks.count; i++)
        if (disk_is_copied(live->disks.item[i], &migration->options))
            describe(&cookie->disks[cookie->disk_count++], live->disks.item[i], nodes, arena);
    return 0;
}

/* -- the start ----------------------------------------------------------------------------------------------------- */

/* Where the destination's NBD server is, as blockdev-add wants it (a new reference). */
static json_t *server_of(const struct migration *migration, const char *uri, const struct migrate_cookie *remote,
                         struct arena *arena, struct error *err)
{
    struct copy_place place = {0};
    if (migration->options.disks_uri &&
        copy_place_read(&place, migration->options.disks_uri, arena, err) < 0)
        return NULL;
    if (place.path)
        return json_pack("{s:s, s:s}", "type", "unix", "path", place.path);
    if (!place.host && !(place.host = copy_host(uri, arena, err)))
        return NULL;
    unsigned port = place.port ? place.port : remote->nbd_port ? remote->nbd_port : migration->options.disks_port;
    if (!port)
        return error_null(err, ERR_OPERATION_UNSUPPORTED,
                          "the destination did not say where it takes the disks (its cookie names no NBD port)");
    return json_pack("{s:s, s:s, s:s}", "type", "inet", "host", place.host, "port", arena_printf(arena, "%u", port));
}

static int start_one(struct migration *migration, const struct disk *disk, json_t *server, uint64_t speed,
                     struct arena *arena, struct error *err)
{
    uint32_t flags = migration->options.flags;
    const char *node = node_name(arena, disk);
    /* holes stay holes: "unmap" lets the copy be zeroed without being filled */
    json_t *target = json_pack("{s:s, s:s, s:O, s:s, s:s}", "driver", "nbd", "node-name", node, "server", server,
                               "export", copy_export(arena, disk), "discard", "unmap");
    if (migration->tls_creds) {
        json_object_set_new(target, "tls-creds", json_string(migration->tls_creds));
        json_object_set_new(target, "tls-hostname", json_string(migration->tls_name));
    }
    json_t *mirror = json_pack(
        "{s:s, s:s, s:s, s:s, s:b, s:I}", "job-id", job_name(arena, disk), "device", qemu_disk_top_node(arena, disk),
        "target", node, "sync", flags & MIGRATE_NON_SHARED_INC ? "top" : "full", "auto-dismiss", 0, "speed",
        (json_int_t)speed);
    if (flags & MIGRATE_NON_SHARED_SYNCHRONOUS_WRITES)
        json_object_set_new(mirror, "copy-mode", json_string("write-blocking"));
    struct qmp_request requests[] = {{.command = "blockdev-add", .arguments = target},
                                     {.command = "blockdev-mirror", .arguments = mirror}};
    int rc = qmp_batch(migration->domain->qmp, requests, COUNT(requests), monitor_deadline(), err);
    qmp_requests_finish(requests, COUNT(requests));
    return rc < 0 ? error_wrap(err, "disk %s cannot be copied to the destination", disk->target) : 0;
}

static uint64_t share(const struct migration *migration, uint64_t bandwidth)
{
    uint64_t each = migration->mirror_count ? bandwidth / migration->mirror_count : 0;
    return bandwidth && !each ? 1 : each;
}

static int start_all(struct migration *migration, json_t *server, struct arena *arena, struct error *err)
{
    struct domain *domain = migration->domain;
    const struct domain_def *live = domain->object.live;
    uint64_t mib = migration->options.bandwidth_mib ? migration->options.bandwidth_mib : domain->migrate_bandwidth_mib;
    for (uint32_t i = 0; i < live->disks.count; i++)
        migration->mirror_count += disk_is_copied(live->disks.item[i], &migration->options);
    uint64_t speed = share(migration, mib >= MIGRATE_BANDWIDTH_UNLIMITED ? 0 : mib << 20);
    for (uint32_t i = 0; i < live->disks.count; i++)
        if (disk_is_copied(live->disks.item[i], &migration->options) &&
            start_one(migration, live->disks.item[i], server, speed, arena, err) < 0)
            return -1;
    migration->info.memory_total = migration->info.memory_remaining = domain->balloon_kib * 1024;
    return 0;
}

/* -- following ----------------------------------------------------------------------------------------------------- */

void mirrors_figures(struct migration *migration, const json_t *jobs)
{
    struct job_info *info = &migration->info;
    uint64_t total = 0, done = 0;
    size_t i;
    json_t *job;
    json_array_foreach (jobs, i, job)
        if (is_ours(job)) {
            total += (uint64_t)json_integer_value(json_object_get(job, "total-progress"));
            done += (uint64_t)json_integer_value(json_object_get(job, "current-progress"));
        }
    if (!total)
        return; /* over: what was last known stays */
    info->disk_total = total;
    info->disk_processed = done;
    info->disk_remaining = total > done ? total - done : 0;
}

/* What is left to be said about a job that should still be there. */
static int broken(const json_t *job, struct error *err)
{
    const char *id = json_string_value(json_object_get(job, "id"));
    const char *words = json_string_value(json_object_get(job, "error"));
    return error_set(err, ERR_OPERATION_FAILED, "the copy of disk %s to the destination broke: %s",
                     id + strlen(JOB_PREFIX), words ? words : "it was cancelled");
}

/* How many of the mirrors are in that state; -1 with err when one has ended otherwise. */
static int count_jobs(struct migration *migration, const char *status, struct error *err)
{
    struct domain *domain = migration->domain;
    migration->mirrors_seen = domain->job_changes;
    scoped_json json_t *jobs = qmp_command(domain->qmp, "query-jobs", NULL, monitor_deadline(), err);
    if (!jobs)
        return -1;
    mirrors_figures(migration, jobs);
    int found = 0;
    size_t i;
    json_t *job;
    json_array_foreach (jobs, i, job) {
        if (!is_ours(job))
            continue;
        bool ended = has_status(job, "concluded") || has_status(job, "aborting") || has_status(job, "null");
        if (json_object_get(job, "error") || (ended && !has_status(job, status)))
            return broken(job, err);
        found += has_status(job, status);
    }
    return found;
}

bool mirrors_changed(const struct migration *migration)
{
    return migration->mirror_count && !migration->mirrors_gone &&
           migration->mirrors_seen != migration->domain->job_changes;
}

int mirrors_check(struct migration *migration, struct error *err)
{
    return count_jobs(migration, "ready", err) < 0 ? -1 : 0;
}

static int wait_in_step(struct migration *migration, struct error *err)
{
    struct domain *domain = migration->domain;
    uint64_t done = 0, moved_ns = now_ns();
    for (;;) {
        stages_copying(migration);
        if (migration->abort.code)
            return migration_aborted(migration, err);
        int ready = count_jobs(migration, "ready", err);
        if (ready < 0)
            return error_wrap(err, "operation failed: domain '%s' was not migrated", domain_name(domain));
        if ((uint32_t)ready == migration->mirror_count)
            return 0;
        if (migration->info.disk_processed != done) {
            done = migration->info.disk_processed;
            moved_ns = now_ns();
        }
        if (now_ns() - moved_ns > STALL_S * UINT64_C(1000000000))
            return error_set(err, ERR_OPERATION_TIMEOUT, "the destination has taken nothing of the disks for %d s",
                             STALL_S);
        if (!mirrors_changed(migration) && !migration->abort.code)
            condition_wait(&domain->changed, deadline_ms(LOOK_MS), NULL);
    }
}

int mirrors_start(struct migration *migration, const char *uri, const struct migrate_cookie *remote, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_json json_t *server = server_of(migration, uri, remote, arena, err);
    if (!server || start_all(migration, server, arena, err) < 0)
        return -1;
    return wait_in_step(migration, err);
}

int mirrors_limit(struct migration *migration, uint64_t bandwidth, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct domain *domain = migration->domain;
    const struct domain_def *live = domain->object.live;
    struct qmp_request *requests = arena_new_array(arena, migration->mirror_count, struct qmp_request);
    uint32_t count = 0;
    if (migration->mirrors_gone)
        return 0;
    for (uint32_t i = 0; i < live->disks.count && count < migration->mirror_count; i++)
        if (disk_is_copied(live->disks.item[i], &migration->options))
            requests[count++] = (struct qmp_request){
                .command = "block-job-set-speed",
                .arguments = json_pack("{s:s, s:I}", "device", job_name(arena, live->disks.item[i]), "speed",
                                       (json_int_t)share(migration, bandwidth))};
    int rc = count ? qmp_batch(domain->qmp, requests, count, monitor_deadline(), err) : 0;
    qmp_requests_finish(requests, count);
    return rc;
}

/* -- the end ------------------------------------------------------------------------------------------------------- */

/* One command for each copied disk; name is what it is about. Refusals are errors only when err is there. */
static int tell_all(struct domain *domain, const struct migrate_options *options, const char *command,
                    const char *argument, char *(*name)(struct arena *, const struct disk *), struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    const struct domain_def *live = domain->object.live;
    struct qmp_request *requests = arena_new_array(arena, live ? live->disks.count : 0, struct qmp_request);
    uint32_t count = 0;
    for (uint32_t i = 0; live && i < live->disks.count; i++)
        if (!options || disk_is_copied(live->disks.item[i], options))
            requests[count++] = (struct qmp_request){
                .command = command, .arguments = json_pack("{s:s}", argument, name(arena, live->disks.item[i]))};
    int rc = count ? qmp_batch(domain->qmp, requests, count, monitor_deadline(), err) : 0;
    qmp_requests_finish(requests, count);
    return rc;
}

/* A mirror that is in step and cancelled without force ends well, and the copy is then what the disk is. */
int mirrors_detach(struct migration *migration, struct error *err)
{
    struct domain *domain = migration->domain;
    const struct migrate_options *options = &migration->options;
    if (tell_all(domain, options, "block-job-cancel", "device", job_name, err) < 0)
        return -1;
    for (deadline until = deadline_ms(DETACH_MS);;) {
        int ended = count_jobs(migration, "concluded", err);
        if (ended < 0)
            return -1;
        if ((uint32_t)ended == migration->mirror_count)
            break;
        if (!mirrors_changed(migration) && condition_wait(&domain->changed, until, err) < 0)
            return error_wrap(err, "the copies of the disks of domain '%s' cannot be ended", domain_name(domain));
        if (migration->abort.code)
            return error_set(err, migration->abort.code, "%s", migration->abort.message);
    }
    migration->mirrors_gone = true;
    if (tell_all(domain, options, "job-dismiss", "id", job_name, err) < 0)
        return -1;
    return tell_all(domain, options, "blockdev-del", "node-name", node_name, err);
}

/* Cancels and dismisses what is left. Returns how many jobs are. */
static size_t sweep(struct domain *domain)
{
    scoped_json json_t *jobs = qmp_command(domain->qmp, "query-jobs", NULL, monitor_deadline(), NULL);
    size_t i, left = 0;
    json_t *job;
    json_array_foreach (jobs, i, job) {
        if (!is_ours(job))
            continue;
        left++;
        const char *id = json_string_value(json_object_get(job, "id"));
        if (has_status(job, "concluded"))
            qmp_execute(domain->qmp, "job-dismiss", json_pack("{s:s}", "id", id), monitor_deadline(), NULL);
        else if (!has_status(job, "aborting") && !has_status(job, "null"))
            qmp_execute(domain->qmp, "block-job-cancel", json_pack("{s:s, s:b}", "device", id, "force", 1),
                        monitor_deadline(), NULL);
    }
    return left;
}

/* A server that hangs keeps its client's jobs from ending: the connections are broken. Naming one that is not there
 * fails the whole command, so QEMU is asked which there are. */
static void break_connections(struct domain *domain)
{
    scoped_json json_t *all = qmp_command(domain->qmp, "query-yank", NULL, monitor_deadline(), NULL);
    scoped_json json_t *ours = json_array();
    size_t i;
    json_t *one;
    json_array_foreach (all, i, one)
        if (string_starts(json_string_value(json_object_get(one, "node-name")) ?: "", JOB_PREFIX))
            json_array_append(ours, one);
    if (json_array_size(ours))
        qmp_execute_oob(domain->qmp, "yank", json_pack("{s:O}", "instances", ours), monitor_deadline(), NULL);
}

void mirrors_remove(struct domain *domain)
{
    bool broke = false;
    for (deadline until = deadline_ms(GIVE_UP_MS); domain_active(domain) && !qmp_is_closed(domain->qmp);) {
        uint64_t seen = domain->job_changes;
        if (!sweep(domain))
            break;
        if (domain->job_changes != seen || condition_wait(&domain->changed, until, NULL) == 0)
            continue;
        if (broke) {
            log_error("domain '%s': QEMU does not end the copy of a disk; see its block jobs", domain_name(domain));
            break;
        }
        break_connections(domain);
        broke = true;
        until = deadline_ms(GIVE_UP_MS);
    }
    if (domain_active(domain))
        tell_all(domain, NULL, "blockdev-del", "node-name", node_name, NULL);
}
