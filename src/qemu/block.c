/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/block.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qemu/command.h"

#define FILE_MS 10000 /* for a host file that may lie on a slow server */

const char *disk_source_path(const struct disk_source *source)
{
    return source->file ? source->file : source->dev ? source->dev : source->dir ? source->dir : source->name;
}

const struct disk *disk_find(const struct domain_def *def, const char *path, struct error *err)
{
    scoped_text struct text targets = {0};
    for (uint32_t i = 0; i < def->disks.count; i++) {
        const struct disk *disk = def->disks.item[i];
        if (string_equal(disk->target, path) || string_equal(disk_source_path(&disk->source), path))
            return disk;
        text_printf(&targets, "%s%s", targets.length ? ", " : "", disk->target ? disk->target : "?");
    }
    return error_null(err, ERR_INVALID_ARG, "invalid path: domain '%s' has no disk '%s'; its disks are: %s", def->name,
                      path, targets.length ? targets.data : "none");
}

/* -- host files; on a worker thread, because their server may hang ------------------------------------------------- */

struct file_work {
    char *path;
    bool qcow2;
    uint64_t offset;
    size_t length;
    char *data; /* read at offset, when length > 0 */
    struct block_sizes sizes;
    const char *failed;
    int errnum;
};

static void file_work_free(void *argument)
{
    struct file_work *work = argument;
    free(work->path);
    free(work->data);
    free(work);
}

static uint64_t big_endian(const unsigned char *bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | bytes[i];
    return value;
}

static void look(void *argument)
{
    struct file_work *work = argument;
    scoped_fd int fd = open(work->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0) {
        work->failed = "open";
        work->errnum = errno;
        return;
    }
    struct block_sizes *sizes = &work->sizes;
    sizes->physical = (uint64_t)status.st_size;
    sizes->allocation = (uint64_t)status.st_blocks * 512;
    if (S_ISBLK(status.st_mode)) {
        ioctl(fd, BLKGETSIZE64, &sizes->physical);
        sizes->allocation = sizes->physical;
    }
    sizes->capacity = sizes->physical;
    unsigned char header[32]; /* qcow2: "QFI\xfb", and the size in bytes at 24 */
    if (work->qcow2 && pread(fd, header, sizeof header, 0) == sizeof header && memcmp(header, "QFI\xfb", 4) == 0)
        sizes->capacity = big_endian(header + 24);
    if (work->length && pread(fd, work->data, work->length, (off_t)work->offset) != (ssize_t)work->length) {
        work->failed = "read that much of";
        work->errnum = errno ? errno : EINVAL;
    }
}

static int look_at(struct domain *domain, struct file_work *work, struct error *err)
{
    if (await_slow_work(look, file_work_free, work, deadline_ms(FILE_MS), err) < 0)
        return error_wrap(err, "the image does not answer");
    int rc = work->failed ? error_system(err, work->errnum, "cannot %s '%s'", work->failed, work->path) : 0;
    if (rc < 0)
        file_work_free(work);
    return rc;
}

static struct file_work *work_for(const struct disk *disk, struct error *err)
{
    const char *path = disk->source.file ? disk->source.file : disk->source.dev;
    if (!path)
        return error_null(err, ERR_OPERATION_UNSUPPORTED, "disk '%s' lies in no file or block device of this host",
                          disk->target);
    struct file_work *work = xcalloc(1, sizeof *work);
    work->path = xstrdup(path);
    work->qcow2 = string_equal(disk->source.format, "qcow2");
    return work;
}

/* -- sizes --------------------------------------------------------------------------------------------------------- */

static int host_sizes(struct domain *domain, const struct disk *disk, struct block_sizes *sizes, struct error *err)
{
    struct file_work *work = work_for(disk, err);
    if (!work || look_at(domain, work, err) < 0)
        return -1;
    *sizes = work->sizes;
    file_work_free(work);
    return 0;
}

int block_sizes(struct domain *domain, const char *path, struct block_sizes *sizes, struct error *err)
{
    scoped_domain_def struct domain_def *def = domain_def_ref(domain_def(domain, err));
    const struct disk *disk = def ? disk_find(def, path, err) : NULL;
    if (!disk)
        return -1;
    *sizes = (struct block_sizes){0};
    if (!disk_source_path(&disk->source))
        return error_set(err, ERR_INVALID_ARG, "disk '%s' of domain '%s' has no medium in it", disk->target,
                         domain_name(domain));
    bool local = disk->source.file || disk->source.dev;
    if (local && host_sizes(domain, disk, sizes, domain_active(domain) ? NULL : err) < 0 && !domain_active(domain))
        return -1;
    if (!domain_active(domain))
        return local ? 0
                     : error_set(err, ERR_OPERATION_INVALID,
                                 "disk '%s' of domain '%s' lies on the network and the domain does not run",
                                 disk->target, domain_name(domain));
    const struct stats *stats = stats_of(domain, ASK_BLOCK, err);
    const struct disk_stats *counted = stats ? stats_disk(stats, disk->info.alias) : NULL;
    if (!stats)
        return -1;
    if (!counted || !counted->layer_count || !counted->layers[0].sized)
        return 0;
    const struct layer_stats *layer = &counted->layers[0];
    sizes->capacity = layer->capacity;
    if (disk->source.dev || !local) /* a device is full from the start; how far the guest wrote says more */
        sizes->allocation = layer->highest_offset;
    if (!sizes->physical)
        sizes->physical = layer->actual ? layer->actual : layer->capacity;
    return 0;
}

/* -- changes ------------------------------------------------------------------------------------------------------- */

int block_resize(struct domain *domain, const char *path, uint64_t bytes, const char *client, struct error *err)
{
    scoped_job struct job job = {0};
    if (domain_begin_active_job(domain, &job, JOB_MODIFY, "resize a disk", client, err) < 0)
        return -1;
    const struct disk *disk = disk_find(domain->object.live, path, err);
    if (!disk)
        return -1;
    if (bytes > INT64_MAX || disk->readonly || disk->device == DISK_DEVICE_CDROM)
        return error_set(err, bytes > INT64_MAX ? ERR_INVALID_ARG : ERR_OPERATION_UNSUPPORTED,
                         "disk '%s' of domain '%s' cannot be resized to %llu bytes%s", disk->target,
                         domain_name(domain), (unsigned long long)bytes, bytes > INT64_MAX ? "" : ": it is read-only");
    scoped_arena struct arena *arena = arena_new();
    json_t *arguments = json_pack("{s:s, s:I}", "node-name", qemu_node_format(arena, &disk->source), "size",
                                  (json_int_t)((bytes + 511) / 512 * 512));
    if (qmp_execute(domain->qmp, "block_resize", arguments, monitor_deadline(), err) < 0)
        return error_wrap(err, "cannot resize disk '%s' of domain '%s'", path, domain_name(domain));
    stats_forget_sizes(domain);
    return 0;
}

int block_peek(struct domain *domain, const char *path, uint64_t offset, void *buffer, size_t size, struct error *err)
{
    scoped_domain_def struct domain_def *def = domain_def_ref(domain_def(domain, err));
    const struct disk *disk = def ? disk_find(def, path, err) : NULL;
    if (!disk)
        return -1;
    if (disk->source.format && strcmp(disk->source.format, "raw") != 0)
        return error_set(err, ERR_OPERATION_UNSUPPORTED,
                         "disk '%s' of domain '%s' is in format '%s': only raw images can be looked into", disk->target,
                         def->name, disk->source.format);
    struct file_work *work = work_for(disk, err);
    if (!work)
        return -1;
    work->offset = offset;
    work->length = size;
    work->data = xcalloc(1, size + 1);
    if (look_at(domain, work, err) < 0)
        return -1;
    memcpy(buffer, work->data, size);
    file_work_free(work);
    return 0;
}
