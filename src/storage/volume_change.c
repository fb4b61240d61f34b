/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "base/process.h"
#include "storage/files.h"
#include "storage/luks.h"
#include "storage/pool.h"

/* Volumes made, changed and removed: what is common to all kinds of pools. */

#define NAME_MAX_BYTES 255

int volume_check_name(const char *name, struct error *err)
{
    if (strchr(name, '/'))
        return error_set(err, ERR_OPERATION_INVALID, "volume name '%s' cannot contain '/'", name);
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return error_set(err, ERR_XML_ERROR, "a volume cannot be called '%s'", name);
    if (strlen(name) > NAME_MAX_BYTES)
        return error_set(err, ERR_XML_ERROR, "the volume name '%.40s...' has %zu bytes; a file name may have %d", name,
                         strlen(name), NAME_MAX_BYTES);
    if (string_starts(name, FILES_TEMPORARY))
        return error_set(err, ERR_XML_ERROR, "volume name '%s': names that begin with '" FILES_TEMPORARY "' are for "
                         "volumes that are being made", name);
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return error_set(err, ERR_XML_ERROR, "the volume's name has the control character 0x%02x in it", *c);
    return 0;
}

static int check_def(struct volume_def *def, struct error *err)
{
    if (volume_check_name(def->name, err) < 0)
        return -1;
    if (def->capacity > INT64_MAX || def->allocation > INT64_MAX)
        return error_set(err, ERR_XML_ERROR, "volume '%s' of %" PRIu64 " bytes: no file can be that large", def->name,
                         def->capacity > INT64_MAX ? def->capacity : def->allocation);
    if (!def->backing)
        return 0;
    if (def->backing->path[0] != '/')
        return error_set(err, ERR_XML_ERROR, "volume '%s': the backing store '%s' must be an absolute path", def->name,
                         def->backing->path);
    /* never probed: a guest that wrote the backing volume would choose what we open */
    if (!def->backing->format)
        def->backing->format = "raw";
    return 0;
}

/* What is to be encrypted needs its key now, not after minutes of work. */
static int check_encryption(const struct creation *creation, const struct backend *backend, struct error *err)
{
    const struct volume_def *def = creation->def;
    const char *format = creation->format, *key = creation_encryption(creation);
    if (!key)
        return 0;
    if (!backend->files || (strcmp(format, "raw") != 0 && strcmp(format, "qcow2") != 0))
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "volume '%s': <encryption> is for files of format raw and qcow2, "
                         "not for '%s' in a pool of type '%s'", def->name, format, pool_type_name(backend->type));
    return luks_find(creation->pool->storage->secrets, key, creation->path, err)
               ? 0
               : error_wrap(err, "volume '%s' cannot be encrypted", def->name);
}

/* Sizes that the XML leaves open. */
static void complete_sizes(struct creation *creation, const struct volume_def *def)
{
    creation->capacity = def->capacity;
    if (creation->source && creation->capacity < creation->source->facts.capacity)
        creation->capacity = creation->source->facts.capacity;
    creation->allocation = def->allocation_set ? def->allocation : creation->capacity;
}

/* The name is taken from here on: by a hidden volume. */
static struct volume *reserve(struct creation *creation, const char *directory, struct error *err)
{
    struct pool *pool = creation->pool;
    const char *name = creation->def->name;
    struct volume *volume;
    HASH_FIND(by_name, pool->by_name, name, strlen(name), volume);
    if (volume)
        return error_null(err, ERR_STORAGE_VOL_EXIST, "storage volume '%s' exists already%s", name,
                          volume->hidden ? ": it is just being made" : "");
    scoped_free char *path = xprintf("%s/%s", string_equal(directory, "/") ? "" : directory, name);
    volume = volume_add(pool, name, path, path);
    creation->path = volume->path;
    return volume_ref(volume);
}

static int make(struct creation *creation, struct volume *volume, struct error *err)
{
    const struct backend *backend = pool_backend(creation->pool);
    scoped_volume_use struct volume_use reading = {0}, writing = {0};
    if (creation->source && volume_begin(&reading, creation->source, false, "copy", err) < 0)
        return -1;
    if (volume_begin(&writing, volume, true, "create", err) < 0)
        return -1;
    return backend->create(creation, volume, err);
}

static void remember_secret(const struct creation *creation, struct volume *volume)
{
    const char *key = creation_encryption(creation);
    const struct secret *secret = key ? luks_find(creation->pool->storage->secrets, key, volume->path, NULL) : NULL;
    if (secret)
        snprintf(volume->secret, sizeof volume->secret, "%s", secret->object.name);
}

struct volume *volume_create(struct pool *pool, const char *xml, struct volume *source, unsigned flags,
                             const char *client, struct error *err)
{
    const struct backend *backend = pool_backend(pool);
    scoped_arena struct arena *arena = arena_new();
    unsigned parse = (flags & STORAGE_VOL_CREATE_VALIDATE ? VOLUME_PARSE_VALIDATE : 0) |
                     (source ? VOLUME_PARSE_NO_CAPACITY : 0);
    struct volume_def *def = volume_parse(arena, xml, parse, err);
    if (!def || check_def(def, err) < 0)
        return NULL;
    if (!backend->create)
        return error_null(err, ERR_NO_SUPPORT, "storage pool '%s' does not support volume creation", pool_name(pool));
    struct creation creation = {.pool = pool, .def = def, .source = source, .flags = flags, .client = client,
                                .arena = arena};
    const char *const *formats = backend_volume_formats(backend->type);
    /* a device has no format but what somebody writes to it */
    bool bytes = !formats && (!def->target.format || strcmp(def->target.format, "raw") == 0);
    creation.format = bytes                ? "raw"
                      : def->target.format ? backend_format(formats, def->target.format, "volume", err)
                                           : formats[0];
    if (string_equal(creation.format, "none"))
        creation.format = formats[0];
    if (!creation.format)
        return NULL;
    complete_sizes(&creation, def);
    scoped_volume struct volume *volume = reserve(&creation, pool_def(pool, NULL)->target.path, err);
    if (!volume)
        return NULL;
    if (check_encryption(&creation, backend, err) < 0 || make(&creation, volume, err) < 0) {
        volume_remove(volume);
        return error_null_wrap(err, "cannot create volume '%s' in pool '%s'", def->name, pool_name(pool));
    }
    remember_secret(&creation, volume);
    return steal(volume);
}

int volume_delete(struct volume *volume, unsigned flags, const char *client, struct error *err)
{
    struct pool *pool = volume->pool;
    const struct backend *backend = pool_backend(pool);
    scoped_volume_use struct volume_use use = {0};
    if (!backend->remove)
        return error_set(err, ERR_NO_SUPPORT, "storage pool '%s' does not support volume deletion", pool_name(pool));
    if (volume_begin(&use, volume, true, "delete", err) < 0 || volume_check_unused(volume, "delete", err) < 0)
        return -1;
    if (flags & STORAGE_VOL_DELETE_ZEROED && volume->facts.type != STORAGE_VOL_DIR &&
        volume_zero(volume, err) < 0)
        return error_wrap(err, "cannot zero volume '%s' before it is deleted", volume->name);
    scoped_job struct job job = {0};
    pool_job_asked_by(&job, client);
    if (job_begin(&job, &pool->object, JOB_MODIFY, "remove a volume from", err) < 0)
        return -1;
    if (backend->remove(volume, err) < 0)
        return error_wrap(err, "cannot delete volume '%s' of pool '%s'", volume->name, pool_name(pool));
    volume_remove(volume);
    return 0;
}

/* The size that the flags mean, and whether they allow it. */
static int new_capacity(const struct volume *volume, uint64_t *capacity, unsigned flags, struct error *err)
{
    uint64_t now = volume->facts.capacity;
    bool shrink = flags & STORAGE_VOL_RESIZE_SHRINK;
    if (flags & STORAGE_VOL_RESIZE_DELTA && shrink)
        *capacity = *capacity < now ? now - *capacity : 0;
    else if (flags & STORAGE_VOL_RESIZE_DELTA && __builtin_add_overflow(now, *capacity, capacity))
        *capacity = UINT64_MAX;
    if (*capacity > INT64_MAX)
        return error_set(err, ERR_INVALID_ARG, "volume '%s' of %" PRIu64 " bytes: no file can be that large",
                         volume->name, *capacity);
    if (*capacity < now && !shrink)
        return error_set(err, ERR_INVALID_ARG,
                         "Can't shrink capacity below current capacity unless shrink flag explicitly specified: volume "
                         "'%s' has %" PRIu64 " bytes, asked for are %" PRIu64, volume->name, now, *capacity);
    return 0;
}

int volume_resize(struct volume *volume, uint64_t capacity, unsigned flags, struct error *err)
{
    const struct backend *backend = pool_backend(volume->pool);
    scoped_volume_use struct volume_use use = {0};
    if (!backend->resize || volume->facts.type == STORAGE_VOL_DIR)
        return error_set(err, ERR_NO_SUPPORT, "volume '%s' of pool '%s' cannot be resized", volume->name,
                         pool_name(volume->pool));
    if (volume_begin(&use, volume, true, "resize", err) < 0 || new_capacity(volume, &capacity, flags, err) < 0 ||
        volume_check_unused(volume, "resize", err) < 0)
        return -1;
    if (backend->resize(volume, capacity, flags & STORAGE_VOL_RESIZE_ALLOCATE, capacity < volume->facts.capacity,
                        err) < 0)
        return error_wrap(err, "cannot resize volume '%s' of pool '%s'", volume->name, pool_name(volume->pool));
    return 0;
}

/* -- wiping -------------------------------------------------------------------------------------------------------- */

/* A sparse file gives its blocks back, which the file system never shows again; others are written over, where they
 * lie. */
int volume_zero(struct volume *volume, struct error *err)
{
    const struct volume_facts *facts = &volume->facts;
    const struct backend *backend = pool_backend(volume->pool);
    if (backend->zero)
        return backend->zero(volume, err);
    scoped_file_work struct file_work *work = file_work_new(volume->path);
    if (file_work_run(&work, step_open, err) < 0)
        return -1;
    bool sparse = facts->type == STORAGE_VOL_FILE && facts->allocation < facts->physical;
    work->capacity = work->end = facts->type == STORAGE_VOL_FILE ? facts->physical : facts->capacity;
    if (sparse) {
        work->end = 0;
        return file_work_run(&work, step_discard, err) < 0 ? -1 : file_work_run(&work, step_sync, err);
    }
    return file_work_run(&work, step_zero, err) < 0 ? -1 : file_work_run(&work, step_sync, err);
}

static int scrub(const struct volume *volume, const char *pattern, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_text struct text output = {0};
    struct argv *argv = argv_new(arena);
    if (access("/usr/bin/scrub", X_OK) < 0)
        return error_set(err, ERR_OPERATION_UNSUPPORTED, "wiping with algorithm '%s' needs the program 'scrub'; "
                         "install the package scrub, or use the algorithm 'zero'", pattern);
    argv_add(argv, "/usr/bin/scrub");
    argv_add(argv, "-f");
    argv_add(argv, "-p");
    argv_add(argv, pattern);
    argv_add(argv, volume->path);
    return process_run(argv, &output, 1 << 20, deadline_ms(UINT64_C(7) * 24 * 3600 * 1000), err);
}

int volume_wipe(struct volume *volume, unsigned algorithm, struct error *err)
{
    /* in the order of STORAGE_VOL_WIPE_ALG_*, as scrub names them */
    static const char *const patterns[] = {NULL,       "nnsa",       "dod",         "bsi",   "gutmann",
                                           "schneier", "pfitzner7", "pfitzner33", "random"};
    scoped_volume_use struct volume_use use = {0};
    if (algorithm >= COUNT(patterns))
        return error_set(err, ERR_ARGUMENT_UNSUPPORTED, "volume '%s' cannot be wiped with algorithm %u%s", volume->name,
                         algorithm, algorithm == STORAGE_VOL_WIPE_ALG_TRIM ? " (trim): it is for block devices" : "");
    if (volume->facts.type == STORAGE_VOL_DIR)
        return error_set(err, ERR_NO_SUPPORT, "volume '%s' is a directory; directories cannot be wiped", volume->name);
    if (volume->facts.type == STORAGE_VOL_NETWORK && patterns[algorithm])
        return error_set(err, ERR_ARGUMENT_UNSUPPORTED, "volume '%s' lies on a server; it can be wiped with zeros "
                         "alone", volume->name);
    if (volume_begin(&use, volume, true, "wipe", err) < 0 || volume_check_unused(volume, "wipe", err) < 0)
        return -1;
    if ((patterns[algorithm] ? scrub(volume, patterns[algorithm], err) : volume_zero(volume, err)) < 0)
        return error_wrap(err, "cannot wipe volume '%s' of pool '%s'", volume->name, pool_name(volume->pool));
    volume_reread(volume);
    return 0;
}

void volume_reread(struct volume *volume)
{
    struct error err = {0};
    if (!pool_backend(volume->pool)->files) /* a partition does not change by what is in it */
        return;
    scoped_file_work struct file_work *work = file_work_new(volume->path);
    bool before = fiber_shield(true); /* whoever changed it may be gone; the next one wants to know */
    if (file_work_run(&work, step_sync, &err) == 0) {
        volume_facts_finish(&volume->facts);
        volume->facts = work->facts;
        work->facts.image = NULL;
        volume->pool->space = work->space;
    } else {
        log_warning("volume '%s' of pool '%s': %s", volume->path, pool_name(volume->pool), err.message);
    }
    fiber_shield(before);
}
