/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convert/job.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "base/text.h"

/* Its guest may be started once more, between a crash and --resume or, against all advice, while the disks are copied:
 * copies of two times are no guest. What is written to a device leaves no trace in its inode. */
static int mark_read(struct arena *arena, const char *path, const char **mark)
{
    struct stat file;
    if (stat(path, &file) < 0)
        return -1;
    *mark = !S_ISREG(file.st_mode)
                ? NULL
                : arena_printf(arena, "inode %" PRIu64 " size %" PRId64 " mtime %" PRId64 ".%09ld ctime %" PRId64
                               ".%09ld", (uint64_t)file.st_ino, (int64_t)file.st_size, (int64_t)file.st_mtim.tv_sec,
                               file.st_mtim.tv_nsec, (int64_t)file.st_ctim.tv_sec, file.st_ctim.tv_nsec);
    return 0;
}

int source_mark(const struct job *job, struct job_disk *disk, struct error *err)
{
    if (mark_read(job->arena, disk->source, &disk->mark) < 0)
        return error_system(err, errno, "cannot read '%s', the source of disk '%s'", disk->source, disk->target);
    return 0;
}

int sources_check(const struct job *job, struct error *err)
{
    for (size_t i = 0; i < job->disk_count; i++) {
        const struct job_disk *disk = &job->disk[i];
        const char *now;
        if (disk->mark && mark_read(job->arena, disk->source, &now) == 0 && !string_equal(now, disk->mark))
            return error_set(err, ERR_OPERATION_INVALID, "'%s', the source of disk '%s', was changed while the disks "
                             "were copied; shut down the guest that uses it, then convert anew", disk->source,
                             disk->target);
    }
    return 0;
}

/* Some of the disks are copied and some are not. */
static int copied_check(const struct job *job, struct job_disk *disk, struct report *report, struct error *err)
{
    const char *now;
    if (mark_read(job->arena, disk->source, &now) < 0)
        return error_system(err, errno, "cannot tell whether '%s', the source of disk '%s', is as it was when it was "
                            "copied to '%s'; put it back, or take back the conversion by --abort, which removes that "
                            "copy", disk->source, disk->target, disk->part);
    if (now && string_equal(now, disk->mark))
        return 0;
    disk->done = false;
    report_change(report, "disk/copy", arena_printf(job->arena, "disk %s", disk->target), disk->source,
                  now && disk->mark ? "copied anew, because it has changed since it was copied"
                                    : "copied anew, because nothing tells whether it has changed since it was copied",
                  "disks of different times do not fit together");
    return 0;
}

/* All disks are copies of one time; what was written to the source since is not in them. Once the domain may be there,
 * its disks stay: perhaps it has been used. */
static int complete_check(const struct job *job, const struct job_disk *disk, struct report *report, struct error *err)
{
    const char *now;
    if (!disk->mark || mark_read(job->arena, disk->source, &now) < 0 || string_equal(now, disk->mark))
        return 0;
    if (job->phase == JOB_PLACING)
        return error_set(err, ERR_OPERATION_INVALID, "'%s', the source of disk '%s', has changed since it was copied; "
                         "take back the conversion to '%s' by --abort and convert anew", disk->source, disk->target,
                         job->name);
    report_left(report, "disk/copy", arena_printf(job->arena, "disk %s", disk->target), "'%s' has changed since it was "
                "copied; what was written to it is not in the copy", disk->source);
    return 0;
}

int job_resume_check(struct job *job, struct report *report, struct error *err)
{
    for (size_t i = 0; i < job->disk_count; i++) {
        struct job_disk *disk = &job->disk[i];
        if (disk->done && (job->phase == JOB_COPYING ? copied_check(job, disk, report, err)
                                                     : complete_check(job, disk, report, err)) < 0)
            return -1;
    }
    return 0;
}
