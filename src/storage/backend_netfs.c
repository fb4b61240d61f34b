/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <string.h>

#include "model/xml.h"
#include "storage/mounts.h"
#include "storage/pool.h"
#include "storage/tool.h"

/* Files in a directory that a server exports: NFS, CIFS, GlusterFS, mounted by the pool.
 *
 * The helpers of mount(8) are run themselves: a helper that hangs is killed at its deadline, while a mount that is
 * killed leaves its helper behind, which may succeed later. */

static const struct kind {
    const char *format, *program, *package, *options;
} kinds[] = {
    /* no retry: who wants to wait for a server asks again, and is not kept from anything meanwhile */
    {"auto", "mount.nfs", "nfs-common", MOUNT_OPTIONS ",retry=0"},
    {"nfs", "mount.nfs", "nfs-common", MOUNT_OPTIONS ",retry=0"},
    {"glusterfs", "mount.glusterfs", "glusterfs-client", MOUNT_OPTIONS ",direct-io-mode=1"},
    {"cifs", "mount.cifs", "cifs-utils", MOUNT_OPTIONS ",guest"},
};

static const struct kind *kind_of(const struct pool_def *def)
{
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (strcmp(kinds[i].format, def->source.format) == 0)
            return &kinds[i];
    return &kinds[0];
}

/* As mount and the kernel's table name it. */
static const char *source_of(struct arena *arena, const struct pool_def *def)
{
    const char *host = def->source.hosts.item[0]->name, *dir = def->source.dir;
    if (strcmp(def->source.format, "cifs") == 0)
        return arena_printf(arena, "//%s/%s", host, dir + strspn(dir, "/"));
    return arena_printf(arena, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, dir);
}

/* -- definitions --------------------------------------------------------------------------------------------------- */

static int check_protocol(const struct pool_def *def, struct error *err)
{
    const char *version = def->source.protocol_ver;
    if (!version)
        return 0;
    if (strcmp(def->source.format, "nfs") != 0)
        return error_set(err, ERR_XML_ERROR, "<protocol ver='%s'/> is for pools of format 'nfs'", version);
    if (!isdigit((unsigned char)version[0]) || version[strspn(version, "0123456789.")] != '\0')
        return error_set(err, ERR_XML_ERROR, "'%s' is no version of NFS; one is '3', '4' or '4.2'", version);
    return 0;
}

static int check(struct pool_def *def, struct error *err)
{
    struct pool_source *source = &def->source;
    if (source->hosts.count != 1)
        return error_set(err, ERR_XML_ERROR, "missing storage pool source host name: a pool of type 'netfs' has one "
                         "<host>, not %u", source->hosts.count);
    if (source->hosts.item[0]->name[0] == '-')
        return error_set(err, ERR_XML_ERROR, "'%s' is no host's name", source->hosts.item[0]->name);
    if (!source->dir)
        return error_set(err, ERR_XML_ERROR, "missing storage pool source path: the exported directory, "
                         "<dir path=…/>");
    if (source->dir[0] != '/')
        return error_set(err, ERR_XML_ERROR, "the exported directory '%s' must begin with /", source->dir);
    if (!def->target.path)
        return error_set(err, ERR_XML_ERROR, "missing storage pool target path");
    const char *const *formats = backend_formats(POOL_TYPE_NETFS);
    source->format = source->format ? backend_format(formats, source->format, "storage pool source", err) : formats[0];
    return source->format ? check_protocol(def, err) : -1;
}

static bool same(const struct pool_def *a, const struct pool_def *b)
{
    return strcmp(a->source.hosts.item[0]->name, b->source.hosts.item[0]->name) == 0 &&
           strcmp(a->source.dir, b->source.dir) == 0;
}

/* -- mounting ------------------------------------------------------------------------------------------------------ */

static size_t length_without_slash(const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    return length;
}

static bool running(const struct pool_def *def)
{
    scoped_arena struct arena *arena = arena_new();
    const struct mounted *mounted = mounted_at(arena, def->target.path);
    const char *source = source_of(arena, def);
    return mounted && length_without_slash(source) == length_without_slash(mounted->source) &&
           strncmp(source, mounted->source, length_without_slash(source)) == 0;
}

static int start(struct pool *pool, struct pool_def *def, struct error *err)
{
    const struct kind *kind = kind_of(def);
    scoped_arena struct arena *arena = arena_new();
    if (running(def))
        return 0;
    if (tool_require(kind->program, kind->package, err) < 0 || mount_check_free(def->target.path, err) < 0)
        return -1;
    const char *version = def->source.protocol_ver;
    const char *options = arena_printf(arena, "%s%s%s", kind->options, version ? ",nfsvers=" : "",
                                       version ? version : "");
    if (tool_run(NULL, err, kind->program, source_of(arena, def), def->target.path, "-o", options, NULL) == 0)
        return 0;
    bool before = fiber_shield(true);
    if (running(def)) /* it was cut off when the mount was there */
        mount_remove(def->target.path, NULL);
    fiber_shield(before);
    return -1;
}

static int stop(struct pool *pool, const struct pool_def *def, struct error *err)
{
    return running(def) ? mount_remove(def->target.path, err) : 0; /* somebody may have unmounted it */
}

/* -- what a server exports ----------------------------------------------------------------------------------------- */

/* "/srv/images 10.0.0.0/8,host" */
static void tell_export(char *line, struct pool_host *host, struct text *out)
{
    struct arena *arena = arena_new();
    struct pool_source source = {.format = "nfs", .dir = line};
    char *clients = strrchr(line, ' ');
    while (clients && clients > line && *clients == ' ')
        *clients-- = '\0';
    list_add(arena, &source.hosts, host);
    if (line[0] == '/')
        pool_source_format(out, &source);
    arena_free(arena);
}

static int find(const struct pool_source *spec, struct text *out, struct error *err)
{
    scoped_text struct text exports = {0};
    if (!spec || spec->hosts.count != 1)
        return error_set(err, ERR_INVALID_ARG, "the server to ask is missing: %s",
                         spec ? "hostname must be specified for netfs sources, as one <host name=…/>"
                              : "a <source> with one <host name=…/>");
    struct pool_host *host = spec->hosts.item[0];
    if (host->name[0] == '-')
        return error_set(err, ERR_INVALID_ARG, "'%s' is no host's name", host->name);
    if (tool_require("showmount", "nfs-common", err) < 0 ||
        tool_run(&exports, err, "showmount", "--no-headers", "--exports", host->name, NULL) < 0)
        return -1;
    for (char *rest = exports.data, *line; (line = strsep(&rest, "\n"));)
        tell_export(line, host, out);
    return 0;
}

const struct backend netfs_backend = {
    .type = POOL_TYPE_NETFS,
    .files = true,
    .check = check,
    .same = same,
    .running = running,
    .build = target_build,
    .start = start,
    .stop = stop,
    .erase = target_erase,
    .list = files_list,
    .create = files_create,
    .remove = files_remove,
    .resize = files_resize,
    .find = find,
};
