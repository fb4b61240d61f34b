/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/verify.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migrate/copy.h"
#include "qemu/command.h"

/* block/file-posix.c: RAW_LOCK_PERM_BASE and RAW_LOCK_SHARED_BASE, plus the bit of BLK_PERM_WRITE. */
enum { BYTE_WRITES = 101, BYTE_FORBIDS = 201 };

enum { LOOK_MS = 10000 };

enum finding { FREE, UNWRITABLE, WRITTEN, FORBIDDEN };

/* The worker's own. */
struct images {
    pid_t pid; /* of our QEMU */
    size_t count;
    struct image {
        char *path, *target;
        bool shareable; /* others may write to it */
        enum finding finding;
        int errnum; /* UNWRITABLE */
    } items[];
};

static void images_free(void *argument)
{
    struct images *images = argument;
    for (size_t i = 0; i < images->count; i++) {
        free(images->items[i].path);
        free(images->items[i].target);
    }
    free(images);
}

/* Whether one open file of the process holds a lock on that byte of the inode, by lines as
 * "lock:\t1: OFDLCK ADVISORY  READ -1 fe:00:11059207 100 101" (the device of a btrfs is another one than stat's). */
static bool file_holds(const char *path, ino_t inode, off_t byte)
{
    FILE *file = fopen(path, "re");
    char line[256];
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file)) {
        unsigned long long where, first, last = 0;
        char end[24];
        if (sscanf(line, "lock: %*d: OFDLCK %*s %*s %*d %*x:%*x:%llu %llu %23s", &where, &first, end) != 3)
            continue;
        bool open = parse_u64(end, 10, &(uint64_t){0}) < 0; /* "EOF" */
        last = open ? UINT64_MAX : strtoull(end, NULL, 10);
        found = where == inode && first <= (unsigned long long)byte && (unsigned long long)byte <= last;
    }
    if (file)
        fclose(file);
    return found;
}

static bool process_holds(pid_t pid, ino_t inode, off_t byte)
{
    scoped_free char *folder = xprintf("/proc/%d/fdinfo", (int)pid);
    DIR *directory = opendir(folder);
    bool found = false;
    for (struct dirent *entry; directory && !found && (entry = readdir(directory));) {
        scoped_free char *path = xprintf("%s/%s", folder, entry->d_name);
        found = file_holds(path, inode, byte);
    }
    if (directory)
        closedir(directory);
    return found;
}

/* A file system that knows no such locks says nothing against anybody; see qemu/lease.h. */
static bool is_locked(int fd, off_t byte)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static void look_at(struct image *image, pid_t pid)
{
    struct stat status;
    scoped_fd int fd = open(image->path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &status) < 0) {
        image->finding = UNWRITABLE;
        image->errnum = errno;
    } else if (is_locked(fd, BYTE_FORBIDS) && !process_holds(pid, status.st_ino, BYTE_FORBIDS)) {
        image->finding = FORBIDDEN;
    } else if (!image->shareable && is_locked(fd, BYTE_WRITES) && !process_holds(pid, status.st_ino, BYTE_WRITES)) {
        image->finding = WRITTEN;
    }
}

static void look(void *argument)
{
    struct images *images = argument;
    for (size_t i = 0; i < images->count; i++)
        look_at(&images->items[i], images->pid);
}

static bool is_written(const struct disk *disk)
{
    return qemu_source_present(&disk->source) && !disk->readonly && disk->device != DISK_DEVICE_CDROM;
}

static struct images *images_of(const struct domain *domain)
{
    const struct domain_def *live = domain->object.live;
    struct images *images = xcalloc(1, sizeof *images + live->disks.count * sizeof images->items[0]);
    images->pid = process_pid(domain->process);
    for (uint32_t i = 0; i < live->disks.count; i++) {
        const struct disk *disk = live->disks.item[i];
        const char *path = disk->source.file ? disk->source.file : disk->source.dev;
        if (path && is_written(disk))
            images->items[images->count++] = (struct image){.path = xstrdup(path),
                                                            .target = xstrdup(disk->target ? disk->target : ""),
                                                            .shareable = disk->shareable};
    }
    return images;
}

static int check_image(const struct image *image, struct error *err)
{
    switch (image->finding) {
    case UNWRITABLE:
        return error_system(err, image->errnum, "disk %s: '%s' cannot be opened for writing on this host",
                            image->target, image->path);
    case WRITTEN:
    case FORBIDDEN:
        return error_set(err, ERR_OPERATION_FAILED, "disk %s: '%s' is still held by another (its lock on byte %d): the "
                         "source has not let go of it, or a third program uses it", image->target, image->path,
                         image->finding == WRITTEN ? BYTE_WRITES : BYTE_FORBIDS);
    default:
        return 0;
    }
}

/* What QEMU opened for writing; it says so also of an image that the guest has not taken over yet. */
static int check_nodes(struct domain *domain, int *count, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_json json_t *nodes = qmp_command(domain->qmp, "query-named-block-nodes", json_pack("{s:b}", "flat", 1),
                                            deadline_ms(LOOK_MS), err);
    if (!nodes || domain_require_active(domain, err) < 0)
        return -1;
    const struct domain_def *live = domain->object.live;
    *count = 0;
    for (uint32_t i = 0; i < live->disks.count; i++) {
        const struct disk *disk = live->disks.item[i];
        if (!is_written(disk))
            continue;
        ++*count;
        const char *name = qemu_node_format(arena, &disk->source);
        const json_t *node = copy_node(nodes, name);
        if (!node || json_is_true(json_object_get(node, "ro")))
            return error_set(err, ERR_OPERATION_FAILED, "disk %s: its image '%s' is %s in QEMU here (node '%s')",
                             disk->target, disk_source_shown(&disk->source), node ? "read-only" : "missing", name);
    }
    return 0;
}

int verify_disks(struct migration *migration, struct error *err)
{
    struct domain *domain = migration->domain;
    int count, rc = 0;
    if (check_nodes(domain, &count, err) < 0)
        return -1;
    struct images *images = images_of(domain);
    if (images->count && await_slow_work(look, images_free, images, deadline_ms(LOOK_MS), err) < 0)
        return error_wrap(err, "looking at its disks");
    for (size_t i = 0; rc == 0 && i < images->count; i++)
        rc = check_image(&images->items[i], err);
    images_free(images);
    return rc < 0 ? -1 : count;
}
