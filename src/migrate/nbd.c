/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/copy.h"

#include <string.h>

#include "migrate/place.h"
#include "qemu/command.h"

/* The destination's NBD server: one export a copied disk, writable by the source until the guest has arrived. */

#define EXPORTS_GONE_MS 10000

static int serve_at(struct migration *migration, const char *listen, uint16_t port, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    bool brackets = listen[0] == '[';
    const char *host = brackets ? arena_strndup(arena, listen + 1, strlen(listen) - 2) : listen;
    json_t *arguments = json_pack("{s:{s:s, s:{s:s, s:s}}}", "addr", "type", "inet", "data", "host", host, "port",
                                  arena_printf(arena, "%u", port));
    if (migration->tls_creds)
        json_object_set_new(arguments, "tls-creds", json_string(migration->tls_creds));
    return qmp_execute(migration->domain->qmp, "nbd-server-start", arguments, monitor_deadline(), err);
}

static int serve_socket(struct migration *migration, const char *path, struct error *err)
{
    json_t *arguments = json_pack("{s:{s:s, s:{s:s}}}", "addr", "type", "unix", "data", "path", path);
    if (migration->tls_creds)
        json_object_set_new(arguments, "tls-creds", json_string(migration->tls_creds));
    return qmp_execute(migration->domain->qmp, "nbd-server-start", arguments, monitor_deadline(), err);
}

/* Where the user says, or at a port of our range. */
static int serve(struct migration *migration, const char *listen, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    const struct migrate_options *options = &migration->options;
    struct copy_place place = {0};
    if (options->disks_uri && copy_place_read(&place, options->disks_uri, arena, err) < 0)
        return -1;
    if (place.path)
        return serve_socket(migration, place.path, err);
    uint16_t port = place.port ? place.port : (uint16_t)options->disks_port;
    if (place.host)
        listen = strchr(place.host, ':') ? arena_printf(arena, "[%s]", place.host) : place.host;
    migration->nbd_told = port ? port : place_take_port(migration, listen, serve_at, err);
    if (port)
        return serve_at(migration, listen, port, err);
    migration->nbd_port = migration->nbd_told;
    return migration->nbd_port ? 0 : -1;
}

/* A copy is as large as what it is a copy of: QEMU wants them equal. */
static int check_size(const struct disk *disk, const json_t *nodes, const struct migrate_cookie *remote,
                      struct arena *arena, struct error *err)
{
    const json_t *image = json_object_get(copy_node(nodes, qemu_node_format(arena, &disk->source)), "image");
    uint64_t here = (uint64_t)json_integer_value(json_object_get(image, "virtual-size"));
    for (uint32_t i = 0; i < remote->disk_count; i++) {
        const struct cookie_disk *there = &remote->disks[i];
        if (string_equal(there->target, disk->target) && there->capacity && here && here != there->capacity)
            return error_set(err, ERR_OPERATION_INVALID,
                             "disk %s holds %llu bytes on the source, and its image '%s' on this host %llu; remove the "
                             "image, and it is made as it has to be, or give another one",
                             disk->target, (unsigned long long)there->capacity, disk_source_shown(&disk->source),
                             (unsigned long long)here);
    }
    return 0;
}

static int export(struct migration *migration, const struct disk *disk, struct arena *arena, struct error *err)
{
    char *name = copy_export(arena, disk);
    json_t *arguments = json_pack("{s:s, s:s, s:s, s:s, s:b}", "type", "nbd", "id", name, "node-name",
                                  qemu_node_format(arena, &disk->source), "name", name, "writable", 1);
    if (qmp_execute(migration->domain->qmp, "block-export-add", arguments, monitor_deadline(), err) == 0)
        return 0;
    return error_wrap(err, "disk %s: its image '%s' on this host cannot be written to", disk->target,
                      disk_source_shown(&disk->source));
}

int nbd_start(struct migration *migration, const char *listen, const struct migrate_cookie *remote, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct domain *domain = migration->domain;
    scoped_json json_t *nodes = qmp_command(domain->qmp, "query-named-block-nodes", json_pack("{s:b}", "flat", 1),
                                            monitor_deadline(), err);
    if (!nodes || serve(migration, listen, err) < 0)
        return -1;
    scoped_domain_def struct domain_def *live = domain_def_ref(domain->object.live);
    for (uint32_t i = 0; live && i < live->disks.count; i++) {
        const struct disk *disk = live->disks.item[i];
        if (disk_is_copied(disk, &migration->options) &&
            (check_size(disk, nodes, remote, arena, err) < 0 || export(migration, disk, arena, err) < 0))
            return -1;
    }
    return domain_require_active(domain, err);
}

/* Exports end when their last request has been answered, and hold their disks until then. */
int nbd_stop(struct migration *migration, struct error *err)
{
    struct domain *domain = migration->domain;
    for (deadline until = deadline_ms(EXPORTS_GONE_MS);;) {
        uint64_t seen = domain->job_changes;
        struct qmp_request requests[] = {{.command = "nbd-server-stop"}, {.command = "query-block-exports"}};
        qmp_collect(qmp_submit(domain->qmp, requests, COUNT(requests)), monitor_deadline(), err);
        bool gone = requests[1].reply && json_array_size(requests[1].reply) == 0;
        int rc = requests[1].reply ? 0 : qmp_request_error(&requests[1], err);
        qmp_requests_finish(requests, COUNT(requests));
        if (gone || rc < 0)
            return rc;
        if (domain->job_changes == seen && condition_wait(&domain->changed, until, err) < 0)
            return error_wrap(err, "the source does not let go of the copied disks of domain '%s'",
                              domain_name(domain));
    }
}
