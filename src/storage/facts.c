/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/arena.h"
#include "storage/volume.h"

/* What a file is, by a look at it. Runs on worker threads. */

void volume_facts_finish(struct volume_facts *facts)
{
    free(facts->image);
    facts->image = NULL;
}

static struct timespec time_of(const struct statx_timestamp *time)
{
    return (struct timespec){.tv_sec = time->tv_sec, .tv_nsec = time->tv_nsec};
}

static bool time_equal(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static void take_status(const struct statx *status, struct volume_facts *facts)
{
    facts->mode = status->stx_mode & 07777;
    facts->uid = status->stx_uid;
    facts->gid = status->stx_gid;
    facts->atime = time_of(&status->stx_atime);
    facts->mtime = time_of(&status->stx_mtime);
    facts->ctime = time_of(&status->stx_ctime);
    if (status->stx_mask & STATX_BTIME)
        facts->btime = time_of(&status->stx_btime);
    facts->device = makedev(status->stx_dev_major, status->stx_dev_minor);
    facts->inode = status->stx_ino;
    facts->physical = status->stx_size;
    facts->allocation = status->stx_blocks * 512;
}

/* The format of a backing file that the header does not name; only for telling it. */
static void find_backing_format(const char *path, struct image *image)
{
    scoped_free char *backing = image->has_backing && !*image->backing_format ? image_backing_path(path, image) : NULL;
    scoped_free struct image *below = backing ? xcalloc(1, sizeof *below) : NULL;
    if (backing && image_read(backing, below, NULL) == 0)
        strcpy(image->backing_format, below->format);
}

static int take_image(const char *path, struct volume_facts *facts, struct error *err)
{
    scoped_free struct image *image = xcalloc(1, sizeof *image);
    if (image_read(path, image, err) < 0)
        return -1;
    find_backing_format(path, image);
    facts->format = image->format;
    facts->capacity = image->capacity;
    if (facts->type == STORAGE_VOL_BLOCK)
        facts->physical = facts->allocation = image->capacity_known ? facts->physical
                                                                       : image->capacity + image->payload;
    if (strcmp(image->format, "raw") != 0 || image->encrypted)
        facts->image = steal(image);
    return 0;
}

int volume_facts_read(const char *path, const struct volume_facts *known, struct volume_facts *facts, bool *same,
                      struct error *err)
{
    return volume_facts_read_at(AT_FDCWD, path, path, known, facts, same, err);
}

int volume_facts_read_at(int directory, const char *name, const char *path, const struct volume_facts *known,
                         struct volume_facts *facts, bool *same, struct error *err)
{
    struct statx status;
    *facts = (struct volume_facts){0};
    *same = false;
    if (statx(directory, name, AT_STATX_SYNC_AS_STAT, STATX_BASIC_STATS | STATX_BTIME, &status) < 0) {
        if (errno == ENOENT || errno == ELOOP)
            return 1; /* a link to nowhere, or gone since the directory was read */
        return error_system(err, errno, "cannot look at '%s'", path);
    }
    take_status(&status, facts);
    switch (status.stx_mode & S_IFMT) {
    case S_IFDIR:
        facts->type = STORAGE_VOL_DIR;
        facts->format = "dir";
        facts->physical = facts->allocation = 0;
        return 0;
    case S_IFREG:
        facts->type = STORAGE_VOL_FILE;
        break;
    case S_IFBLK:
        facts->type = STORAGE_VOL_BLOCK;
        break;
    default:
        return 1;
    }
    /* every write changes mtime and ctime, every other change ctime */
    if (known && known->inode == facts->inode && known->device == facts->device && known->type == facts->type &&
        known->physical == facts->physical && time_equal(&known->mtime, &facts->mtime) &&
        time_equal(&known->ctime, &facts->ctime) && facts->type == STORAGE_VOL_FILE) {
        *same = true;
        return 0;
    }
    return take_image(path, facts, err);
}
