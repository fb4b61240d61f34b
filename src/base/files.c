/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fiber.h"

char *file_read(struct arena *arena, const char *path, size_t max, size_t *length, struct error *err)
{
    scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO in our way must not stop us */
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0)
        return error_null_system(err, errno, "cannot read '%s'", path);
    /* /proc and /sys say 0 or a page: their size is only known by reading */
    size_t room = S_ISREG(status.st_mode) && status.st_size > 4096 ? (size_t)status.st_size + 1 : 4096;
    if (room > max)
        room = max + 1; /* enough to see that it is too much */
    size_t used = 0;
    scoped_free char *data = xrealloc(NULL, room);
    for (;;) {
        if (used == room)
            data = xrealloc(data, room *= 2);
        ssize_t got = read(fd, data + used, room - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_null_system(err, errno, "cannot read '%s'", path);
        if (got == 0)
            break;
        used += (size_t)got;
        if (used > max)
            return error_null(err, ERR_INTERNAL_ERROR, "'%s' has more than the %zu bytes that are accepted", path, max);
    }
    char *copy = arena_alloc(arena, used + 1);
    memcpy(copy, data, used);
    if (length)
        *length = used;
    return copy;
}

/* A change of the disk, done on a worker thread. It touches nothing but this struct. */
struct disk_change {
    const char *path, *temporary, *directory;
    const char *second; /* link the file to this name */
    const void *data;   /* NULL = remove the file */
    size_t length;
    mode_t mode;
    bool durable;
    struct error error;
};

static int sync_directory(const char *path, struct error *err)
{
    scoped_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return error_system(err, errno, "cannot write directory '%s' to disk", path);
    return 0;
}

static int write_all(int fd, const char *data, size_t length)
{
    while (length) {
        ssize_t wrote = write(fd, data, length);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return -1;
        data += wrote;
        length -= (size_t)wrote;
    }
    return 0;
}

static int replace_file(const struct disk_change *change, struct error *err)
{
    scoped_fd int fd = open(change->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, change->mode);
    if (fd < 0)
        return error_system(err, errno, "cannot create '%s'", change->temporary);
    if (write_all(fd, change->data, change->length) < 0 || (change->durable && fsync(fd) < 0) ||
        rename(change->temporary, change->path) < 0) {
        int errnum = errno;
        unlink(change->temporary);
        return error_system(err, errnum, "cannot write '%s'", change->path);
    }
    return change->durable ? sync_directory(change->directory, err) : 0;
}

static int link_file(const struct disk_change *change, struct error *err)
{
    struct stat first, second;
    bool same = stat(change->path, &first) == 0 && stat(change->second, &second) == 0 &&
                first.st_dev == second.st_dev && first.st_ino == second.st_ino;
    if (!same && link(change->path, change->second) < 0)
        return error_system(err, errno, "cannot give '%s' the name '%s'", change->path, change->second);
    return sync_directory(change->directory, err);
}

static void disk_change_run(void *argument)
{
    struct disk_change *change = argument;
    if (change->second) {
        link_file(change, &change->error);
    } else if (change->data) {
        replace_file(change, &change->error);
    } else if (unlink(change->path) == 0) {
        sync_directory(change->directory, &change->error);
    } else if (errno != ENOENT) {
        error_system(&change->error, errno, "cannot remove '%s'", change->path);
    }
}

/* Two fibers may replace the same file at once, so each change has a temporary name of its own. */
static const char *temporary_name(struct arena *arena, const char *path)
{
    static unsigned counter;
    return arena_printf(arena, "%s.%d-%u.new", path, (int)getpid(), counter++);
}

/* path, and what is to be done, are filled. */
static int disk_change_do(struct disk_change *change, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    const char *path = change->path, *slash = strrchr(path, '/');
    change->temporary = temporary_name(arena, path);
    change->directory = slash ? slash == path ? "/" : arena_strndup(arena, path, (size_t)(slash - path)) : ".";
    if (fiber_self() && change->durable) {
        /* shielded and without a deadline: the caller must know what is on disk, and the worker uses our stack */
        bool before = fiber_shield(true);
        await_work(disk_change_run, NULL, change, DEADLINE_NONE, NULL);
        fiber_shield(before);
    } else {
        disk_change_run(change);
    }
    return change->error.code ? error_set(err, change->error.code, "%s", change->error.message) : 0;
}

int file_write_durable(const char *path, const void *data, size_t length, mode_t mode, struct error *err)
{
    return disk_change_do(
        &(struct disk_change){.path = path, .data = data, .length = length, .mode = mode, .durable = true}, err);
}

int file_remove_durable(const char *path, struct error *err)
{
    return disk_change_do(&(struct disk_change){.path = path, .durable = true}, err);
}

int file_link_durable(const char *path, const char *second, struct error *err)
{
    return disk_change_do(&(struct disk_change){.path = path, .second = second, .durable = true}, err);
}

int file_write(const char *path, const void *data, size_t length, mode_t mode, struct error *err)
{
    return disk_change_do(&(struct disk_change){.path = path, .data = data, .length = length, .mode = mode}, err);
}

int directory_make(const char *path, mode_t mode, struct error *err)
{
    scoped_free char *copy = xstrdup(path);
    for (char *slash = strchr(copy + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return error_system(err, errno, "cannot make directory '%s'", copy);
        if (!slash)
            return 0;
        *slash = '/';
    }
}

static int not_dots(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int directory_list(const char *path, int (*found)(void *owner, const char *name, struct error *err), void *owner,
                   struct error *err)
{
    struct dirent **entries;
    int count = scandir(path, &entries, not_dots, by_name), rc = 0;
    if (count < 0)
        return error_system(err, errno, "cannot read directory '%s'", path);
    for (int i = 0; i < count; i++) {
        if (rc == 0)
            rc = found(owner, entries[i]->d_name, err);
        free(entries[i]);
    }
    free(entries);
    return rc;
}
