/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convert/job.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fiber.h"
#include "base/files.h"
#include "base/text.h"
#include "model/xml.h"
#include "storage/image.h"

/* -- what goes where ----------------------------------------------------------------------------------------------- */

/* The path of a disk's image as this host sees it; NULL with an error when it is none that can be copied. */
static const char *source_path(const struct job *job, const struct disk *disk, struct error *err)
{
    const char *path = disk->source.type == SOURCE_TYPE_FILE    ? disk->source.file
                       : disk->source.type == SOURCE_TYPE_BLOCK ? disk->source.dev
                                                                : NULL;
    if (!path)
        return error_null(err, ERR_OPERATION_INVALID, "disk '%s' of domain '%s' is of type '%s'; only files and "
                          "devices are copied", disk->target, job->name, source_type_name(disk->source.type));
    if (access(path, R_OK) < 0)
        return error_null_system(err, errno, "disk '%s' of domain '%s': cannot read '%s' on this host", disk->target,
                                 job->name, path);
    return path;
}

/* What lies in the target directory already was put there for this: the guides advise it, to copy only once. */
static bool lies_in(const char *path, const char *directory)
{
    scoped_free char *real = realpath(path, NULL), *real_directory = realpath(directory, NULL);
    char *slash = real ? strrchr(real, '/') : NULL;
    if (!slash || !real_directory)
        return false;
    *slash = '\0';
    return strcmp(real, real_directory) == 0;
}

static const char *format_choose(const struct job *job, const char *source_format)
{
    if (job->format)
        return job->format;
    return string_equal(source_format, "qcow2") ? "qcow2" : "raw";
}

/* "NAME-sda": virt-v2v's names, by number, not by the name in the guest. */
static const char *disk_name(struct arena *arena, const char *name, size_t number)
{
    return number < 26 ? arena_printf(arena, "%s-sd%c", name, (char)('a' + number))
                       : arena_printf(arena, "%s-sd%c%c", name, (char)('a' + number / 26 - 1),
                                      (char)('a' + number % 26));
}

static int disk_plan(struct job *job, struct disk *disk, size_t number, struct report *report, struct error *err)
{
    const char *path = source_path(job, disk, err);
    if (!path)
        return -1;
    const char *subject = arena_printf(job->arena, "disk %s", disk->target);
    if (lies_in(path, job->directory)) {
        report_change(report, "disk/copy", subject, path, "used where it is",
                      "it lies in the target directory already");
        return 0;
    }
    struct job_disk *row = &job->disk[job->disk_count++];
    const char *name = disk_name(job->arena, job->name, number);
    *row = (struct job_disk){.target = arena_strdup(job->arena, disk->target), .source = arena_strdup(job->arena, path),
                             .source_format = arena_strdup(job->arena,
                                                           disk->source.format ? disk->source.format : "raw"),
                             .path = arena_printf(job->arena, "%s/%s", job->directory, name),
                             .part = arena_printf(job->arena, "%s/.%s.part", job->directory, name)};
    row->format = format_choose(job, row->source_format);
    if (access(row->path, F_OK) == 0)
        return error_set(err, ERR_OPERATION_INVALID, "disk '%s' of domain '%s' would be copied to '%s', which is there "
                         "already; choose another name (-on) or remove it", disk->target, job->name, row->path);
    report_change(report, "disk/copy", subject, path, row->path, "the source is only read");
    disk->source.type = SOURCE_TYPE_FILE;
    disk->source.dev = NULL;
    disk->source.file = row->path;
    disk->source.format = row->format;
    return 0;
}

/* What the copy takes at least: all of it when preallocated, else what the source's file takes now. Of what cannot be
 * known (a device that is copied sparsely) nothing is said. */
static uint64_t space_needed(const struct job *job, const struct job_disk *disk)
{
    struct image image;
    struct stat file;
    if (job->preallocated)
        return image_read(disk->source, &image, NULL) == 0 ? image.capacity : 0;
    return stat(disk->source, &file) == 0 && S_ISREG(file.st_mode) ? (uint64_t)file.st_blocks * 512 : 0;
}

static int space_check(const struct job *job, struct error *err)
{
    uint64_t needed = 0;
    struct statvfs there;
    for (size_t i = 0; i < job->disk_count; i++)
        needed += space_needed(job, &job->disk[i]);
    if (statvfs(job->directory, &there) < 0)
        return error_system(err, errno, "cannot tell how much room there is in '%s'", job->directory);
    uint64_t room = (uint64_t)there.f_bavail * there.f_frsize;
    if (needed <= room)
        return 0;
    return error_set(err, ERR_OPERATION_INVALID, "the disks of domain '%s' need at least %" PRIu64 " MiB, and '%s' "
                     "has room for %" PRIu64 " MiB; make room or choose another place", job->name, needed >> 20,
                     job->directory, room >> 20);
}

int job_plan(struct job *job, struct domain_def *def, struct report *report, struct error *err)
{
    job->disk = arena_new_array(job->arena, def->disks.count + 1, struct job_disk);
    size_t number = 0;
    for (uint32_t i = 0; i < def->disks.count; i++)
        if (def->disks.item[i]->device == DISK_DEVICE_DISK &&
            disk_plan(job, def->disks.item[i], number++, report, err) < 0)
            return -1;
    if (space_check(job, err) < 0)
        return -1;
    if (!def->uuid_set) { /* publishing it twice, after a crash, must be one domain */
        uuid_random(def->uuid);
        def->uuid_set = true;
    }
    memcpy(job->uuid, def->uuid, UUID_SIZE);
    scoped_free char *xml = domain_format(def, DOMAIN_XML_SECURE | DOMAIN_XML_INACTIVE);
    job->xml = arena_strdup(job->arena, xml);
    return 0;
}

/* -- doing it ------------------------------------------------------------------------------------------------------ */

static int phase_enter(struct job *job, enum job_phase phase, struct error *err)
{
    job->phase = phase;
    return job_journal_write(job, err);
}

static int copy_all(struct job *job, const struct job_target *target, struct error *err)
{
    for (size_t i = 0; i < job->disk_count; i++) {
        if (job->disk[i].done)
            continue;
        if (source_mark(job, &job->disk[i], err) < 0 || disk_copy(job, i, target, err) < 0)
            return -1;
        job->disk[i].done = true;
        if (job_journal_write(job, err) < 0)
            return -1;
    }
    return 0;
}

/* Nothing that is there is replaced. One that has its name already was placed before a crash. */
static int place_all(const struct job *job, struct error *err)
{
    for (size_t i = 0; i < job->disk_count; i++) {
        const struct job_disk *disk = &job->disk[i];
        if (access(disk->part, F_OK) < 0 && access(disk->path, F_OK) == 0)
            continue;
        if (renameat2(AT_FDCWD, disk->part, AT_FDCWD, disk->path, RENAME_NOREPLACE) < 0)
            return error_system(err, errno, "cannot give '%s' its name '%s'", disk->part, disk->path);
    }
    return 0;
}

static int copy_disks(struct job *job, const struct job_target *target, struct error *err)
{
    if (job->phase != JOB_COPYING)
        return 0;
    return phase_enter(job, JOB_COPYING, err) < 0 || copy_all(job, target, err) < 0 ||
                   sources_check(job, err) < 0 || phase_enter(job, JOB_PLACING, err) < 0 ? -1 : 0;
}

static int place_and_publish(struct job *job, const struct job_target *target, struct error *err)
{
    if (job->phase == JOB_PLACING && (place_all(job, err) < 0 || phase_enter(job, JOB_PUBLISHING, err) < 0))
        return -1;
    return target->publish(target->owner, job, err);
}

static void first_error(struct error *first, const struct error *next)
{
    if (!first->code)
        *first = *next;
}

/* As much as can be; the journal stays when something could not be, so that it can be tried again. */
int job_abort(struct job *job, const struct job_target *target, struct error *err)
{
    struct error failed = {0}, one = {0};
    if (job->phase == JOB_PUBLISHING && target->withdraw(target->owner, job, &one) < 0)
        first_error(&failed, &one);
    for (size_t i = 0; i < job->disk_count && !failed.code; i++) {
        const struct job_disk *disk = &job->disk[i];
        bool part = access(disk->part, F_OK) == 0;
        if (unlink(disk->part) < 0 && errno != ENOENT &&
            error_system(&one, errno, "cannot remove '%s'", disk->part) < 0)
            first_error(&failed, &one);
        /* while its part is there, what has its name is somebody else's */
        if (job->phase != JOB_COPYING && !part && unlink(disk->path) < 0 && errno != ENOENT &&
            error_system(&one, errno, "cannot remove '%s'", disk->path) < 0)
            first_error(&failed, &one);
    }
    if (!failed.code && job_journal_remove(job, &one) < 0)
        first_error(&failed, &one);
    if (!failed.code)
        return 0;
    if (err)
        *err = failed;
    return -1;
}

/* Only copying is cut off: what a daemon makes of a definition that nobody waits for is not known. */
int job_run(struct job *job, const struct job_target *target, struct error *err)
{
    struct error ours = {0}, back = {0};
    bool copied = copy_disks(job, target, &ours) == 0;
    bool shielded = fiber_shield(true);
    bool published = copied && place_and_publish(job, target, &ours) == 0;
    int result = published ? job_journal_remove(job, &back) : job_abort(job, target, &back);
    fiber_shield(shielded);
    if (published)
        return result == 0 ? 0 : error_set(err, back.code, "domain '%s' is converted and made known, but its journal "
                                           "is still there (%s): see --resume", job->name, back.message);
    if (result < 0)
        return error_set(err, ours.code, "%s; and it could not all be taken back (%s): see --abort", ours.message,
                         back.message);
    if (err)
        *err = ours;
    return -1;
}
