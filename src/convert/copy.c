/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convert/job.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fiber.h"
#include "storage/qemu_img_run.h"

static struct argv *copy_argv(struct arena *arena, const struct job *job, const struct job_disk *disk)
{
    struct argv *argv = argv_new(arena);
    argv_add(argv, "qemu-img");
    argv_add(argv, "convert");
    argv_add(argv, "-p");
    argv_add(argv, "-f");
    argv_add(argv, disk->source_format);
    argv_add(argv, "-O");
    argv_add(argv, disk->format);
    if (job->preallocated) {
        argv_add(argv, "-o");
        argv_add(argv, "preallocation=falloc");
    }
    argv_add(argv, disk->source);
    argv_add(argv, disk->part);
    return argv;
}

struct progress {
    const struct job *job;
    size_t index;
    const struct job_target *target;
    double told; /* percent: qemu-img says its last word twice */
};

static void progress_tell(void *owner, double percent)
{
    struct progress *progress = owner;
    if (percent <= progress->told)
        return;
    progress->told = percent;
    progress->target->progress(progress->target->owner, progress->job, progress->index, percent);
}

/* However long it takes: there are disks that take days, and a person sees how far it is and can end it. */
static int copy_run(struct arena *arena, const struct job *job, size_t index, const struct job_target *target,
                    struct error *err)
{
    const struct job_disk *disk = &job->disk[index];
    struct progress progress = {.job = job, .index = index, .target = target, .told = -1};
    struct image_run run = {.argv = copy_argv(arena, job, disk), .until = DEADLINE_NONE, .progress = progress_tell,
                            .owner = &progress};
    return qemu_img_run(&run, err) < 0 ? error_wrap(err, "cannot copy '%s' to '%s'", disk->source, disk->part) : 0;
}

struct flush {
    char *path;
    int errnum;
};

static void flush_work(void *argument)
{
    struct flush *flush = argument;
    scoped_fd int fd = open(flush->path, O_RDONLY | O_CLOEXEC);
    flush->errnum = fd < 0 || fsync(fd) < 0 ? errno : 0;
}

static void flush_free(void *argument)
{
    struct flush *flush = argument;
    free(flush->path);
    free(flush);
}

/* qemu-img leaves its output in the page cache. */
static int copy_flush(const char *path, struct error *err)
{
    struct flush *flush = xcalloc(1, sizeof *flush);
    flush->path = xstrdup(path);
    if (await_work(flush_work, flush_free, flush, DEADLINE_NONE, err) < 0)
        return -1;
    int errnum = flush->errnum;
    flush_free(flush);
    return errnum ? error_system(err, errnum, "cannot write '%s' to the disk", path) : 0;
}

int disk_copy(const struct job *job, size_t index, const struct job_target *target, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    const char *part = job->disk[index].part;
    /* a guest's data is nobody else's to read; qemu-img keeps the mode of a file that is there */
    scoped_fd int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_system(err, errno, "cannot make '%s'", part);
    close(steal_fd(&fd));
    return copy_run(arena, job, index, target, err) < 0 ? -1 : copy_flush(part, err);
}
