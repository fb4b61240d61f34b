/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/mounts.h"
#include "storage/pool.h"
#include "storage/tool.h"

/* Files in a file system of its own, on a block device that the pool mounts. */

#define MAKE_MS (60 * 60 * 1000) /* a file system on a large slow disk */

static const char *device_of(const struct pool_def *def)
{
    return def->source.devices.item[0]->path;
}

static int check(struct pool_def *def, struct error *err)
{
    if (!def->source.devices.count)
        return error_set(err, ERR_XML_ERROR, "missing storage pool source device name");
    if (def->source.devices.count > 1)
        return error_set(err, ERR_XML_ERROR, "a pool of type 'fs' has one <device>, not %u", def->source.devices.count);
    if (device_of(def)[0] != '/')
        return error_set(err, ERR_XML_ERROR, "the device '%s' must be an absolute path", device_of(def));
    if (!def->target.path)
        return error_set(err, ERR_XML_ERROR, "missing storage pool target path");
    const char *const *formats = backend_formats(POOL_TYPE_FS);
    def->source.format = def->source.format ? backend_format(formats, def->source.format, "storage pool source", err)
                                            : formats[0];
    return def->source.format ? 0 : -1;
}

static bool same(const struct pool_def *a, const struct pool_def *b)
{
    return strcmp(device_of(a), device_of(b)) == 0;
}

static bool running(const struct pool_def *def)
{
    scoped_arena struct arena *arena = arena_new();
    const struct mounted *mounted = mounted_at(arena, def->target.path);
    struct stat device, source;
    if (!mounted || stat(device_of(def), &device) < 0)
        return false;
    /* btrfs mounts have a number that is no device's */
    return mounted->device == device.st_rdev ||
           (stat(mounted->source, &source) == 0 && S_ISBLK(source.st_mode) && source.st_rdev == device.st_rdev);
}

static int check_device(const struct pool_def *def, struct error *err)
{
    struct stat status;
    if (stat(device_of(def), &status) < 0)
        return error_set(err, ERR_SYSTEM_ERROR, "cannot find the device '%s': %s", device_of(def), strerror(errno));
    return S_ISBLK(status.st_mode) ? 0 : error_set(err, ERR_INVALID_ARG, "'%s' is not a block device", device_of(def));
}

static int start(struct pool *pool, struct pool_def *def, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct argv *argv = argv_new(arena);
    if (check_device(def, err) < 0)
        return -1;
    if (running(def))
        return 0;
    if (mount_check_free(def->target.path, err) < 0)
        return -1;
    argv_add(argv, "mount");
    if (strcmp(def->source.format, "auto") != 0) {
        argv_add(argv, "-t");
        argv_add(argv, strcmp(def->source.format, "hfs+") == 0 ? "hfsplus" : def->source.format);
    }
    argv_add(argv, "-o");
    argv_add(argv, MOUNT_OPTIONS);
    argv_add(argv, "--");
    argv_add(argv, device_of(def));
    argv_add(argv, def->target.path);
    return tool_run_argv(NULL, argv, err);
}

static int stop(struct pool *pool, const struct pool_def *def, struct error *err)
{
    return running(def) ? mount_remove(def->target.path, err) : 0; /* somebody may have unmounted it */
}

/* -- building ------------------------------------------------------------------------------------------------------ */

/* The option with which mkfs does not ask whether an old file system may go; wipefs has been asked before. */
static const struct {
    const char *format, *force;
} makers[] = {{"ext2", "-F"}, {"ext3", "-F"}, {"ext4", "-F"}, {"xfs", "-f"}, {"vfat", "-I"}};

/* Fails when there is anything on the device that a tool knows. */
int device_check_empty(const char *device, struct error *err)
{
    scoped_text struct text found = {0};
    if (tool_run(&found, err, "wipefs", "--noheadings", "--output", "TYPE", "--", device, NULL) < 0)
        return error_wrap(err, "cannot find out what is on '%s'", device);
    const char *type = text_string(&found) + strspn(text_string(&found), " \n");
    if (!*type)
        return 0;
    return error_set(err, ERR_STORAGE_POOL_BUILT, "there is data on '%s' already (%.*s); --overwrite gives that up",
                     device, (int)strcspn(type, " \n"), type);
}

static int make(const struct pool_def *def, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_text struct text output = {0};
    struct argv *argv = argv_new(arena);
    size_t i = 0;
    while (i < COUNT(makers) && strcmp(makers[i].format, def->source.format) != 0)
        i++;
    if (i == COUNT(makers))
        return error_set(err, ERR_OPERATION_UNSUPPORTED, "a file system of format '%s' cannot be made here; those that "
                         "can be: ext2, ext3, ext4, xfs, vfat", def->source.format);
    argv_addf(argv, "mkfs.%s", makers[i].format);
    argv_add(argv, makers[i].force);
    argv_add(argv, device_of(def));
    return process_run(argv, &output, TOOL_OUTPUT_MAX, deadline_ms(MAKE_MS), err);
}

/* Without a flag only the directory is made; a device is formatted by somebody who says so. */
static int build(struct pool *pool, const struct pool_def *def, unsigned flags, struct error *err)
{
    if (target_make(def, err) < 0 || (flags && check_device(def, err) < 0))
        return -1;
    if (flags & STORAGE_POOL_BUILD_NO_OVERWRITE && device_check_empty(device_of(def), err) < 0)
        return -1;
    return flags ? make(def, err) : 0;
}

const struct backend fs_backend = {
    .type = POOL_TYPE_FS,
    .program = "mount",
    .package = "mount",
    .files = true,
    .check = check,
    .same = same,
    .running = running,
    .build = build,
    .start = start,
    .stop = stop,
    .erase = target_erase,
    .list = files_list,
    .create = files_create,
    .remove = files_remove,
    .resize = files_resize,
};
