/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "base/arena.h"
#include "base/fiber.h"
#include "base/text.h"
#include "host/sysfs.h"

#define MARK_MAX 128

static const struct {
    uint32_t magic;
    const char *name;
} systems[] = {
    {EXT4_SUPER_MAGIC, "ext4"},    {XFS_SUPER_MAGIC, "xfs"},         {BTRFS_SUPER_MAGIC, "btrfs"},
    {TMPFS_MAGIC, "tmpfs"},        {OVERLAYFS_SUPER_MAGIC, "overlay"}, {NFS_SUPER_MAGIC, "nfs"},
    {CIFS_SUPER_MAGIC, "cifs"},    {SMB2_SUPER_MAGIC, "smb2"},       {CEPH_SUPER_MAGIC, "ceph"},
    {OCFS2_SUPER_MAGIC, "ocfs2"},  {FUSE_SUPER_MAGIC, "fuse"},       {0x01161970, "gfs2"},
    {0x47504653, "gpfs"},          {0x0bd00bd0, "lustre"},           {0x2fc12fc1, "zfs"},
};

struct probe *probe_new(const char *mark_name, const char *mark)
{
    struct probe *probe = xcalloc(1, sizeof *probe);
    probe->mark_name = mark_name ? xstrdup(mark_name) : NULL;
    probe->mark = mark ? xstrdup(mark) : NULL;
    return probe;
}

static void release(void *argument)
{
    struct probe *probe = argument;
    for (size_t i = 0; i < probe->count; i++)
        free(probe->files[i].path);
    free(probe->files);
    free(probe->mark_name);
    free(probe->mark);
    free(probe);
}

void probe_free(struct probe *probe)
{
    if (probe)
        release(probe);
}

struct probe_file *probe_add(struct probe *probe, const char *path)
{
    probe->files = xrealloc(probe->files, (probe->count + 1) * sizeof *probe->files);
    struct probe_file *file = &probe->files[probe->count++];
    *file = (struct probe_file){.path = xstrdup(path)};
    return file;
}

/* -- on the worker thread ------------------------------------------------------------------------------------------ */

static void note_system(struct probe_file *file, const struct statfs *status)
{
    file->available = (uint64_t)status->f_bavail * (uint64_t)status->f_bsize;
    snprintf(file->system, sizeof file->system, "0x%x", (unsigned)status->f_type);
    for (size_t i = 0; i < COUNT(systems); i++)
        if (systems[i].magic == (uint32_t)status->f_type)
            snprintf(file->system, sizeof file->system, "%s", systems[i].name);
}

/* The world-wide name of a disk, or the UUID of a volume of LVM, multipath or LUKS. */
static void note_device(struct probe_file *file, dev_t number)
{
    static const char *const places[] = {"wwid", "device/wwid", "dm/uuid", "md/uuid"};
    for (size_t i = 0; i < COUNT(places) && !*file->id; i++)
        sysfs_read(file->id, sizeof file->id, "", "/sys/dev/block/%u:%u/%s", major(number), minor(number), places[i]);
}

static void look(struct probe_file *file)
{
    struct stat status;
    scoped_fd int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) < 0) {
        file->errnum = errno;
        return;
    }
    if (S_ISDIR(status.st_mode)) {
        file->errnum = EISDIR;
        return;
    }
    unsigned char magic[4] = {0};
    struct statfs system;
    file->regular = S_ISREG(status.st_mode);
    file->inode = status.st_ino;
    file->size = (uint64_t)status.st_size;
    file->allocated = (uint64_t)status.st_blocks * 512;
    file->writable = access(file->path, W_OK) == 0;
    file->qcow2 = pread(fd, magic, sizeof magic, 0) == sizeof magic && memcmp(magic, "QFI\xfb", 4) == 0;
    if (S_ISBLK(status.st_mode)) {
        ioctl(fd, BLKGETSIZE64, &file->size);
        file->allocated = file->size;
        note_device(file, status.st_rdev);
    } else if (fstatfs(fd, &system) == 0) {
        note_system(file, &system);
    }
}

/* The file's directory with links followed, so that both hosts mean the same one; to free(). A file that is not there
 * is looked for by its path. */
static char *directory_of(struct probe_file *file)
{
    scoped_free char *real = realpath(file->path, NULL);
    char *path = real ? steal(real) : xstrdup(file->path);
    char *slash = strrchr(path, '/');
    if (!slash) {
        free(path);
        return xstrdup(".");
    }
    snprintf(file->name, sizeof file->name, "%s", slash + 1);
    slash[slash == path] = '\0';
    return path;
}

static void write_mark(struct probe_file *file, int directory, const char *name, const char *mark)
{
    /* never follows a link that somebody put there */
    scoped_fd int fd = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    size_t length = strlen(mark);
    if (fd < 0 || write(fd, mark, length) != (ssize_t)length)
        file->mark_errnum = errno;
    else if (close(steal_fd(&fd)) < 0) /* network file systems tell of a full disk only now */
        file->mark_errnum = errno;
    else
        file->marked = true;
}

static bool has_mark(int directory, const char *name, const char *mark)
{
    char found[MARK_MAX];
    scoped_fd int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    ssize_t length = fd < 0 ? -1 : read(fd, found, sizeof found);
    return length == (ssize_t)strlen(mark) && memcmp(found, mark, (size_t)length) == 0;
}

static void visit_directory(const struct probe *probe, struct probe_file *file)
{
    scoped_free char *path = directory_of(file);
    scoped_fd int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct statfs system;
    if (directory < 0) {
        file->directory_errnum = errno;
        return;
    }
    if (file->look_at_directory && fstatfs(directory, &system) == 0)
        note_system(file, &system);
    if (file->look_at_directory && faccessat(directory, ".", W_OK, 0) < 0)
        file->directory_errnum = errno;
    if (!probe->mark_name)
        return;
    if (file->write_mark && file->regular)
        write_mark(file, directory, probe->mark_name, probe->mark);
    if (file->find_mark)
        file->marked = has_mark(directory, probe->mark_name, probe->mark);
    if (file->remove_mark && has_mark(directory, probe->mark_name, probe->mark))
        unlinkat(directory, probe->mark_name, 0);
}

static void work(void *argument)
{
    const struct probe *probe = argument;
    for (size_t i = 0; i < probe->count; i++) {
        struct probe_file *file = &probe->files[i];
        if (!file->remove_mark)
            look(file);
        if (file->write_mark || file->find_mark || file->remove_mark || file->look_at_directory)
            visit_directory(probe, file);
    }
}

int probe_run(struct probe **probe, uint64_t timeout_ms, struct error *err)
{
    struct probe *running = steal(*probe);
    if (await_slow_work(work, release, running, deadline_ms(timeout_ms), err) < 0)
        return -1;
    *probe = running;
    return 0;
}
