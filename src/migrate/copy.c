/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/copy.h"

#include <string.h>

#include "qemu/command.h"
#include "rpc/uri.h"

/* What both ends have to see alike about disks that are copied. */

static bool is_named(const struct disk *disk, const struct migrate_options *options)
{
    for (uint32_t i = 0; i < options->disk_count; i++)
        if (string_equal(disk->target, options->disks[i]))
            return true;
    return false;
}

static bool can_be_copied(const struct disk *disk)
{
    return qemu_source_present(&disk->source) && !disk->readonly && disk->device != DISK_DEVICE_CDROM;
}

bool disk_is_copied(const struct disk *disk, const struct migrate_options *options)
{
    if (!(options->flags & MIGRATE_COPY_STORAGE) || !can_be_copied(disk))
        return false;
    return options->disk_count ? is_named(disk, options) : !disk->shareable;
}

static int check_named(const struct domain_def *def, const char *target, struct error *err)
{
    scoped_text struct text there = {0};
    for (uint32_t i = 0; i < def->disks.count; i++) {
        const struct disk *disk = def->disks.item[i];
        if (!string_equal(disk->target, target)) {
            text_printf(&there, "%s%s", there.length ? ", " : "", disk->target ? disk->target : "?");
            continue;
        }
        if (can_be_copied(disk))
            return 0;
        return error_set(err, ERR_INVALID_ARG, "--migrate-disks: disk %s of domain '%s' is %s, so it cannot be copied",
                         target, def->name, qemu_source_present(&disk->source) ? "read-only" : "empty");
    }
    return error_set(err, ERR_INVALID_ARG, "--migrate-disks: domain '%s' has no disk %s (its disks are: %s)", def->name,
                     target, text_string(&there));
}

int copy_check(const struct domain_def *def, const struct migrate_options *options, struct error *err)
{
    for (uint32_t i = 0; i < options->disk_count; i++)
        if (check_named(def, options->disks[i], err) < 0)
            return -1;
    if (options->flags & MIGRATE_TUNNELLED)
        return error_set(err, ERR_OPERATION_UNSUPPORTED,
                         "disks cannot be copied through a tunnel (--tunnelled); leave it out, or use --tls");
    return 0;
}

char *copy_export(struct arena *arena, const struct disk *disk)
{
    return arena_printf(arena, "drive-%s", disk->info.alias);
}

const json_t *copy_node(const json_t *nodes, const char *name)
{
    size_t i;
    json_t *node;
    json_array_foreach (nodes, i, node)
        if (string_equal(json_string_value(json_object_get(node, "node-name")), name))
            return node;
    return NULL;
}

int copy_place_read(struct copy_place *place, const char *text, struct arena *arena, struct error *err)
{
    const struct uri *uri = uri_parse(arena, text, err);
    *place = (struct copy_place){0};
    if (!uri)
        return error_wrap(err, "--disks-uri");
    if (strcmp(uri->driver, "tcp") == 0 && uri->host && *uri->host)
        *place = (struct copy_place){.host = uri->host, .port = uri->port};
    else if (strcmp(uri->driver, "unix") == 0 && uri->path[0] == '/')
        place->path = uri->path;
    else
        return error_set(err, ERR_INVALID_ARG, "--disks-uri '%s' must be tcp://HOST[:PORT] or unix:///PATH", text);
    return 0;
}

const char *copy_host(const char *uri, struct arena *arena, struct error *err)
{
    const char *rest = uri ? string_after(uri, "tcp:") : NULL;
    const struct uri *parsed =
        rest ? uri_parse(arena, string_starts(rest, "//") ? uri : arena_printf(arena, "tcp://%s", rest), err) : NULL;
    if (parsed && parsed->host && *parsed->host)
        return parsed->host;
    return error_null(err, ERR_INVALID_ARG, "migration URI '%s' names no host", uri ? uri : "");
}
