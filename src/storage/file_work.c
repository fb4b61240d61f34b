/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "storage/files.h"

/* What is done to one file. Long work comes in pieces, so that one large volume does not hold a worker thread from
 * the others, and a client that goes away stops it. */

#define ALLOCATE_PIECE (UINT64_C(1) << 30)
#define COPY_PIECE     (UINT64_C(64) << 20)
#define BUFFER_SIZE    (1u << 20)

static struct file_work *work_of(struct task *task)
{
    return container_of(task, struct file_work, task);
}

static void work_release(struct task *task)
{
    struct file_work *work = work_of(task);
    if (work->fd >= 0)
        close(work->fd);
    if (work->source >= 0)
        close(work->source);
    if (work->temporary)
        unlink(work->temporary);
    volume_facts_finish(&work->facts);
    free(work->path);
    free(work->source_path);
    free(work->temporary);
    free(work->directory);
    free(work);
}

struct file_work *file_work_new(const char *path)
{
    struct file_work *work = xcalloc(1, sizeof *work);
    const char *slash = strrchr(path, '/');
    work->task.release = work_release;
    work->fd = work->source = -1;
    work->path = xstrdup(path);
    work->directory = slash == path ? xstrdup("/") : xprintf("%.*s", (int)(slash - path), path);
    work->mode = work->uid = work->gid = UINT32_MAX;
    return work;
}

void file_work_free(struct file_work *work)
{
    if (work)
        work_release(&work->task);
}

int file_work_run(struct file_work **work, void (*step)(struct task *task), struct error *err)
{
    do {
        struct task *task = &(*work)->task;
        task->run = step;
        int rc = task_run(&task, deadline_ms(STEP_MS), err);
        if (!task)
            *work = NULL;
        if (rc < 0)
            return -1;
        if (fiber_self() && fiber_is_cancelled(fiber_self()))
            return error_set(err, ERR_OPERATION_ABORTED, "work on '%s' was cancelled: its client is gone",
                             (*work)->path);
    } while ((*work)->position < (*work)->end);
    (*work)->position = (*work)->end = 0;
    return 0;
}

static void drop_run(struct task *task)
{
    struct file_work *work = work_of(task);
    unlink(work->temporary);
}

void file_work_abandon(struct file_work **work)
{
    if (!*work || !(*work)->temporary)
        return;
    bool before = fiber_shield(true);
    (*work)->position = (*work)->end = 0;
    if (file_work_run(work, drop_run, NULL) == 0) {
        free((*work)->temporary);
        (*work)->temporary = NULL;
    }
    fiber_shield(before);
}

/* For messages: the name that the user knows. */
static int failed(struct file_work *work, const char *what)
{
    return error_system(&work->task.error, errno, "cannot %s '%s'", what, work->path);
}

void files_space(const char *path, struct pool_space *space, struct error *err)
{
    struct statvfs room;
    struct stat status;
    if (statvfs(path, &room) < 0 || stat(path, &status) < 0) {
        error_system(err, errno, "cannot find the room in '%s'", path);
        return;
    }
    uint64_t unit = room.f_frsize;
    *space = (struct pool_space){
        .capacity = room.f_blocks * unit,
        .available = room.f_bavail * unit,
        .allocation = (room.f_blocks - room.f_bfree) * unit,
        .owner_known = true,
        .mode = status.st_mode & 07777,
        .uid = status.st_uid,
        .gid = status.st_gid,
    };
}

void step_make(struct task *task)
{
    struct file_work *work = work_of(task);
    struct stat status;
    if (lstat(work->path, &status) == 0) { /* asked again when it gets its name; here it saves the work */
        error_set(&task->error, ERR_STORAGE_VOL_EXIST, "storage volume '%s' exists already", work->path);
        return;
    }
    work->fd = open(work->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (work->fd < 0 || ftruncate(work->fd, (off_t)work->capacity) < 0)
        failed(work, "create");
}

void step_make_named(struct task *task)
{
    struct file_work *work = work_of(task);
    work->fd = open(work->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, work->mode);
    if (work->fd >= 0)
        work->temporary = xstrdup(work->path);
    else if (errno == EEXIST)
        error_set(&task->error, ERR_STORAGE_VOL_EXIST, "'%s' exists already", work->path);
    else
        failed(work, "create");
}

void step_open(struct task *task)
{
    struct file_work *work = work_of(task);
    work->fd = open(work->path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (work->fd < 0)
        failed(work, "open");
}

void step_claim(struct task *task)
{
    struct file_work *work = work_of(task);
    work->fd = open(work->path, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK);
    if (work->fd < 0 && errno == EBUSY)
        error_set(&task->error, ERR_OPERATION_INVALID, "'%s' is in use on this host: mounted, or part of a volume "
                  "group or the like", work->path);
    else if (work->fd < 0)
        failed(work, "open");
}

void step_truncate(struct task *task)
{
    struct file_work *work = work_of(task);
    if (ftruncate(work->fd, (off_t)work->capacity) < 0)
        failed(work, "resize");
}

/* The next piece of at most `most` bytes. */
static uint64_t piece(const struct file_work *work, uint64_t most)
{
    uint64_t left = work->end - work->position;
    return left < most ? left : most;
}

void step_zero(struct task *task)
{
    struct file_work *work = work_of(task);
    static const char zeros[BUFFER_SIZE];
    uint64_t stop = work->position + piece(work, COPY_PIECE);
    while (work->position < stop) {
        size_t length = stop - work->position < sizeof zeros ? (size_t)(stop - work->position) : sizeof zeros;
        ssize_t wrote = pwrite(work->fd, zeros, length, (off_t)work->position);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0) {
            failed(work, "write");
            return;
        }
        work->position += (uint64_t)wrote;
    }
}

void step_allocate(struct task *task)
{
    struct file_work *work = work_of(task);
    uint64_t length = piece(work, ALLOCATE_PIECE);
    if (length == 0)
        return;
    if (work->no_allocate) {
        step_zero(task);
    } else if (fallocate(work->fd, 0, (off_t)work->position, (off_t)length) == 0) {
        work->position += length;
    } else if (errno == EOPNOTSUPP || errno == ENOSYS) {
        work->no_allocate = true;
    } else if (errno != EINTR) {
        failed(work, "allocate the blocks of");
    }
}

/* What copy_file_range() cannot: from a block device, between some file systems. */
static int copy_bytes(struct file_work *work, uint64_t stop)
{
    scoped_free char *buffer = xrealloc(NULL, BUFFER_SIZE);
    while (work->position < stop) {
        size_t length = stop - work->position < BUFFER_SIZE ? (size_t)(stop - work->position) : BUFFER_SIZE;
        ssize_t got = pread(work->source, buffer, length, (off_t)work->position);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return failed(work, "read the volume to be copied to");
        if (got == 0) { /* it became shorter: what is missing reads as zeros */
            work->position = work->end;
            return 0;
        }
        for (ssize_t done = 0, wrote; done < got; done += wrote) {
            wrote = pwrite(work->fd, buffer + done, (size_t)(got - done), (off_t)work->position);
            if (wrote < 0 && errno == EINTR)
                wrote = 0;
            else if (wrote <= 0)
                return failed(work, "write");
            work->position += (uint64_t)wrote;
        }
    }
    return 0;
}

static int copy_data(struct file_work *work, uint64_t stop)
{
    while (work->position < stop) {
        off_t from = (off_t)work->position, to = from;
        ssize_t copied = copy_file_range(work->source, &from, work->fd, &to, (size_t)(stop - work->position), 0);
        if (copied < 0 && errno == EINTR)
            continue;
        if (copied < 0 && errno == ENOSPC)
            return failed(work, "write");
        if (copied <= 0)
            return copy_bytes(work, stop);
        work->position += (uint64_t)copied;
    }
    return 0;
}

/* Shares all blocks, where the file system can. 1: done, 0: it cannot, -1: it must and cannot. */
static int reflink(struct file_work *work)
{
    if (ioctl(work->fd, FICLONE, work->source) == 0) {
        work->position = work->end;
        return ftruncate(work->fd, (off_t)work->capacity) < 0 ? failed(work, "resize") : 1;
    }
    return work->reflink ? failed(work, "share blocks (--reflink) with the copied volume in") : 0;
}

void step_copy(struct task *task)
{
    struct file_work *work = work_of(task);
    if (work->source < 0) {
        work->source = open(work->source_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (work->source < 0) {
            error_system(&task->error, errno, "cannot read '%s'", work->source_path);
            return;
        }
    }
    if (work->position == 0 && reflink(work) != 0)
        return;
    /* of data: a volume of hardly anything but holes is one piece */
    for (uint64_t budget = COPY_PIECE, copied; work->position < work->end && budget;
         budget -= copied < budget ? copied : budget) {
        off_t data = lseek(work->source, (off_t)work->position, SEEK_DATA);
        bool only_hole = data < 0 && errno == ENXIO;
        off_t hole = data < 0 ? -1 : lseek(work->source, data, SEEK_HOLE);
        if (hole < 0) { /* it cannot tell holes */
            data = (off_t)work->position;
            hole = (off_t)work->end;
        }
        if (only_hole || (uint64_t)data >= work->end) {
            work->position = work->end;
            return;
        }
        uint64_t stop = (uint64_t)hole < work->end ? (uint64_t)hole : work->end;
        work->position = (uint64_t)data;
        if (copy_data(work, stop - (uint64_t)data < budget ? stop : (uint64_t)data + budget) < 0)
            return;
        copied = work->position - (uint64_t)data;
    }
}

void step_discard(struct task *task)
{
    struct file_work *work = work_of(task);
    if (ftruncate(work->fd, 0) < 0 || ftruncate(work->fd, (off_t)work->capacity) < 0)
        failed(work, "resize");
}

static int sync_directory(struct file_work *work)
{
    scoped_fd int fd = open(work->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return failed(work, "write to disk the directory of");
    return 0;
}

static void look(struct file_work *work)
{
    bool same;
    struct error *err = &work->task.error;
    volume_facts_finish(&work->facts);
    if (volume_facts_read(work->path, NULL, &work->facts, &same, err) > 0)
        error_set(err, ERR_NO_STORAGE_VOL, "'%s' is gone or no file any more", work->path);
    files_space(work->directory, &work->space, err->code ? NULL : err);
}

/* Gives it its name, unless somebody has that. */
static int take_name(struct file_work *work)
{
    if (renameat2(AT_FDCWD, work->temporary, AT_FDCWD, work->path, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno == EINVAL && link(work->temporary, work->path) == 0) { /* NFS knows no RENAME_NOREPLACE */
        unlink(work->temporary);
        return 0;
    }
    if (errno == EEXIST)
        return error_set(&work->task.error, ERR_STORAGE_VOL_EXIST, "storage volume '%s' exists already", work->path);
    return failed(work, "create");
}

void step_flush(struct task *task)
{
    struct file_work *work = work_of(task);
    if (fsync(work->fd) < 0)
        failed(work, "write to disk");
}

void step_flush_named(struct task *task)
{
    struct file_work *work = work_of(task);
    step_flush(task);
    if (!task->error.code)
        sync_directory(work);
}

void step_readable(struct task *task)
{
    struct file_work *work = work_of(task);
    if (access(work->path, R_OK) < 0)
        error_system(&task->error, errno, "inaccessible backing store volume '%s'", work->path);
}

void step_publish(struct task *task)
{
    struct file_work *work = work_of(task);
    if ((work->uid != UINT32_MAX || work->gid != UINT32_MAX) && fchown(work->fd, work->uid, work->gid) < 0)
        failed(work, "change the owner of");
    else if (fchmod(work->fd, work->mode) < 0)
        failed(work, "change the mode of");
    else if (fsync(work->fd) < 0)
        failed(work, "write to disk");
    else if (take_name(work) == 0) {
        free(work->temporary);
        work->temporary = NULL;
        if (sync_directory(work) == 0)
            look(work);
    }
}

void step_sync(struct task *task)
{
    struct file_work *work = work_of(task);
    if (work->fd >= 0 && fsync(work->fd) < 0)
        failed(work, "write to disk");
    else
        look(work);
}

void step_remove(struct task *task)
{
    struct file_work *work = work_of(task);
    struct stat status;
    if (lstat(work->path, &status) < 0 || (S_ISDIR(status.st_mode) ? rmdir(work->path) : unlink(work->path)) < 0) {
        if (errno != ENOENT) { /* somebody was quicker: what was asked is so */
            failed(work, "remove");
            return;
        }
    }
    if (sync_directory(work) == 0)
        files_space(work->directory, &work->space, &task->error);
}
