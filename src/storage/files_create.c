/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/files.h"
#include "storage/luks.h"
#include "storage/pool.h"
#include "storage/qemu_img.h"

/* Volumes that are files: making, removing and resizing them. */

#define VOLUME_MODE    0600
#define DIRECTORY_MODE 0755

const char *files_temporary_prefix(struct arena *arena, const struct storage *storage)
{
    char uuid[UUID_STRING_SIZE];
    uuid_format(storage->host_uuid, uuid);
    return arena_printf(arena, FILES_TEMPORARY "%s.", uuid);
}

char *files_temporary_path(struct storage *storage, const char *directory)
{
    scoped_arena struct arena *arena = arena_new();
    return xprintf("%s/%s%d.%u", directory, files_temporary_prefix(arena, storage), (int)getpid(), storage->made++);
}

static void take_permissions(struct file_work *work, const struct permissions *permissions, uint32_t mode)
{
    work->mode = permissions_mode(permissions, mode);
    work->uid = permissions_owner(permissions);
    work->gid = permissions_group(permissions);
}

static bool is_raw(const char *format)
{
    return strcmp(format, "raw") == 0 || strcmp(format, "iso") == 0;
}

/* Whether a copy of an encrypted volume is encrypted with the same passphrase. */
static bool same_key(const struct creation *creation)
{
    struct secrets *secrets = creation->pool->storage->secrets;
    const char *asked = creation_encryption(creation);
    if (!asked)
        return false;
    const char *theirs = volume_encryption(creation->arena, creation->source);
    struct secret *secret = luks_find(secrets, theirs, creation->source->path, NULL);
    return secret == luks_find(secrets, asked, creation->path, NULL) && (secret || !luks_names_secret(asked));
}

/* Whether the bytes of the file are what was asked for: then making and copying are ours. */
static bool of_bytes(const struct creation *creation)
{
    const struct volume *source = creation->source;
    if (strcmp(creation->format, "raw") != 0)
        return false;
    if (!source)
        return !creation->def->target.encryption;
    if (!is_raw(source->facts.format))
        return !creation->def->target.encryption && !volume_encrypted(source);
    return volume_encrypted(source) ? same_key(creation) : !creation->def->target.encryption;
}

/* Bytes of a raw file that its capacity does not count: the header of LUKS. */
static uint64_t header_size(const struct creation *creation)
{
    const struct volume *source = creation->source;
    return source && is_raw(source->facts.format) && source->facts.image ? source->facts.image->payload : 0;
}

/* A raw image's bytes are the file's bytes, so copying and allocating are ours. */
static int fill_raw(struct file_work **work, struct creation *creation, struct error *err)
{
    const struct volume *source = creation->source;
    /* a copy of a sparse volume is as sparse; a full one fails early where the room is missing */
    if (!source || source->facts.allocation >= source->facts.capacity) {
        (*work)->end = creation->allocation < creation->capacity ? creation->allocation : creation->capacity;
        if ((*work)->end && file_work_run(work, step_allocate, err) < 0)
            return -1;
    }
    if (!source)
        return 0;
    if (!is_raw(source->facts.format))
        return qemu_img_convert(creation, (*work)->temporary, err);
    (*work)->source_path = xstrdup(source->path);
    (*work)->reflink = creation->flags & STORAGE_VOL_CREATE_REFLINK;
    (*work)->end = source->facts.capacity + header_size(creation);
    return file_work_run(work, step_copy, err);
}

static int fill_image(struct file_work **work, struct creation *creation, struct error *err)
{
    const char *temporary = (*work)->temporary;
    if (!creation->source)
        return qemu_img_create(creation, temporary, err);
    if (creation->flags & STORAGE_VOL_CREATE_REFLINK)
        return error_set(err, ERR_OPERATION_UNSUPPORTED, "--reflink copies raw volumes to raw ones; this copy from "
                         "'%s' to '%s' rewrites the image", creation->source->facts.format, creation->format);
    if (qemu_img_convert(creation, temporary, err) < 0)
        return -1;
    const struct resizing resizing = {
        .path = temporary,
        .format = creation->format,
        .encryption = creation_encryption(creation),
        .known_as = creation->path,
        .secrets = creation->pool->storage->secrets,
        .capacity = creation->capacity,
    };
    return creation->capacity > creation->source->facts.capacity ? qemu_img_resize(&resizing, err) : 0;
}

/* Takes what a step found out into the pool. */
static void take_found(struct file_work *work, struct volume *volume)
{
    volume_facts_finish(&volume->facts);
    volume->facts = work->facts;
    work->facts.image = NULL;
    volume->pool->space = work->space;
}

/* The moment in which it appears: no refresh may look while it does. */
static int publish(struct file_work **work, struct creation *creation, struct volume *volume, struct error *err)
{
    scoped_job struct job job = {0};
    pool_job_asked_by(&job, creation->client);
    if (job_begin(&job, &creation->pool->object, JOB_MODIFY, "add a volume to", err) < 0)
        return -1;
    if (file_work_run(work, step_publish, err) < 0)
        return -1;
    take_found(*work, volume);
    volume->hidden = false;
    return 0;
}

static void make_directory_run(struct task *task)
{
    struct file_work *work = container_of(task, struct file_work, task);
    if (mkdir(work->path, 0700) < 0 && errno == EEXIST)
        error_set(&task->error, ERR_STORAGE_VOL_EXIST, "storage volume '%s' exists already", work->path);
    else if ((work->fd = open(work->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 ||
             fchmod(work->fd, work->mode) < 0 ||
             ((work->uid != UINT32_MAX || work->gid != UINT32_MAX) && fchown(work->fd, work->uid, work->gid) < 0))
        error_system(&task->error, errno, "cannot make directory '%s'", work->path);
    else
        step_sync(task);
}

static int create_directory(struct creation *creation, struct volume *volume, struct error *err)
{
    scoped_file_work struct file_work *work = file_work_new(creation->path);
    scoped_job struct job job = {0};
    if (creation->source)
        return error_set(err, ERR_NO_SUPPORT, "a volume cannot be copied to a directory");
    take_permissions(work, creation->def->target.permissions, DIRECTORY_MODE);
    pool_job_asked_by(&job, creation->client);
    if (job_begin(&job, &creation->pool->object, JOB_MODIFY, "add a volume to", err) < 0 ||
        file_work_run(&work, make_directory_run, err) < 0)
        return -1;
    take_found(work, volume);
    volume->hidden = false;
    return 0;
}

static int fill(struct file_work **work, struct creation *creation, bool raw, struct error *err)
{
    if (file_work_run(work, step_make, err) < 0 ||
        (raw ? fill_raw(work, creation, err) : fill_image(work, creation, err)) < 0)
        return -1;
    if (raw && creation->source) { /* what was copied has its source's size */
        (*work)->capacity = creation->capacity + header_size(creation);
        if (file_work_run(work, step_truncate, err) < 0)
            return -1;
    }
    /* here, where nobody waits for us */
    return raw && !creation->source ? 0 : file_work_run(work, step_flush, err);
}

static int check_backing(const struct creation *creation, struct error *err)
{
    if (!creation->def->backing)
        return 0;
    scoped_file_work struct file_work *work = file_work_new(creation->def->backing->path);
    return file_work_run(&work, step_readable, err);
}

int files_create(struct creation *creation, struct volume *volume, struct error *err)
{
    if (strcmp(creation->format, "dir") == 0)
        return create_directory(creation, volume, err);
    bool raw = of_bytes(creation);
    if (strcmp(creation->format, "raw") != 0 &&
        (qemu_img_check_format(creation->format, err) < 0 || check_backing(creation, err) < 0))
        return -1;
    scoped_file_work struct file_work *work = file_work_new(creation->path);
    work->temporary = files_temporary_path(creation->pool->storage, work->directory);
    work->capacity = raw ? creation->capacity + header_size(creation) : 0;
    take_permissions(work, creation->def->target.permissions, VOLUME_MODE);
    if (fill(&work, creation, raw, err) == 0 && publish(&work, creation, volume, err) == 0)
        return 0;
    file_work_abandon(&work);
    return -1;
}

int files_remove(struct volume *volume, struct error *err)
{
    scoped_file_work struct file_work *work = file_work_new(volume->path);
    if (file_work_run(&work, step_remove, err) < 0)
        return -1;
    volume->pool->space = work->space;
    return 0;
}

static int resize_image(struct volume *volume, uint64_t capacity, bool shrink, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    const struct resizing resizing = {
        .path = volume->path,
        .format = volume->facts.format,
        .encryption = volume_encryption(arena, volume),
        .known_as = volume->path,
        .secrets = volume->pool->storage->secrets,
        .capacity = capacity,
        .shrink = shrink,
    };
    return qemu_img_resize(&resizing, err);
}

int files_resize(struct volume *volume, uint64_t capacity, bool allocate, bool shrink, struct error *err)
{
    const char *format = volume->facts.format;
    bool raw = is_raw(format) && !volume_encrypted(volume);
    scoped_file_work struct file_work *work = file_work_new(volume->path);
    if (!raw) {
        if (allocate)
            return error_set(err, ERR_OPERATION_UNSUPPORTED,
                             "--allocate is for raw volumes; '%s' is of format '%s', which grows as it is written",
                             volume->name, format);
        if ((!volume_encrypted(volume) && qemu_img_check_format(format, err) < 0) ||
            resize_image(volume, capacity, shrink, err) < 0)
            return -1;
    }
    if (file_work_run(&work, step_open, err) < 0)
        return -1;
    if (raw) {
        uint64_t before = volume->facts.capacity;
        work->capacity = capacity;
        if (allocate && capacity > before) { /* first, so that a full disk leaves it as it was */
            work->position = before;
            work->end = capacity;
            if (file_work_run(&work, step_allocate, err) < 0) {
                if (work) {
                    work->position = work->end = 0;
                    work->capacity = before;
                    file_work_run(&work, step_truncate, NULL);
                }
                return -1;
            }
        }
        if (file_work_run(&work, step_truncate, err) < 0)
            return -1;
    }
    if (file_work_run(&work, step_sync, err) < 0)
        return -1;
    take_found(work, volume);
    return 0;
}
