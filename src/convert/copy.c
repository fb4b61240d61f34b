/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convert/job.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fiber.h"
#include "base/process.h"
#include "base/text.h"

#define ERRORS_MAX 4096

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

/* qemu-img's "    (12.50/100%)\r": the last one that is whole. */
static void progress_take(const struct text *words, const struct job *job, size_t index,
                          const struct job_target *target)
{
    const char *last = words->data ? memrchr(words->data, '(', words->length) : NULL;
    double percent;
    if (last && strchr(last, ')') && sscanf(last, "(%lf/", &percent) == 1)
        target->progress(target->owner, job, index, percent);
}

/* Until the program closes its output, which is when it ends. */
static int progress_follow(int fd, const struct job *job, size_t index, const struct job_target *target,
                           struct error *err)
{
    for (;;) {
        scoped_text struct text words = {0};
        if (await_fd(fd, POLLIN, DEADLINE_NONE, err) < 0)
            return -1;
        ssize_t got = read(fd, text_reserve(&words, 512), 512);
        if (got == 0)
            return 0;
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            return error_system(err, errno, "cannot read what qemu-img says");
        words.length = got > 0 ? (size_t)got : 0;
        if (got > 0) {
            words.data[got] = '\0';
            progress_take(&words, job, index, target);
        }
    }
}

static void last_words(int fd, char *words, size_t size)
{
    ssize_t got = read(fd, words, size - 1);
    words[got > 0 ? got : 0] = '\0';
    words[strcspn(words, "\n")] = '\0';
}

static int copy_run(struct arena *arena, const struct job *job, size_t index, const struct job_target *target,
                    struct error *err)
{
    int out[2], errors[2];
    if (pipe2(out, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_system(err, errno, "cannot make a pipe");
    scoped_fd int out_read = out[0], out_write = out[1];
    if (pipe2(errors, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_system(err, errno, "cannot make a pipe");
    scoped_fd int errors_read = errors[0], errors_write = errors[1];
    const struct process_options options = {.stdin_fd = -1, .stdout_fd = out_write, .stderr_fd = errors_write};
    scoped_process struct process *process = process_spawn(copy_argv(arena, job, &job->disk[index]), &options, err);
    if (!process)
        return -1;
    close(steal_fd(&out_write));
    close(steal_fd(&errors_write));
    if (progress_follow(out_read, job, index, target, err) < 0 || process_wait(process, DEADLINE_NONE, err) < 0)
        return -1;
    if (process_status(process) == 0)
        return 0;
    char words[ERRORS_MAX];
    last_words(errors_read, words, sizeof words);
    return error_set(err, ERR_OPERATION_FAILED, "cannot copy '%s' to '%s': qemu-img failed (%s): %s",
                     job->disk[index].source, job->disk[index].part,
                     process_status_text(arena, process_status(process)), words);
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
