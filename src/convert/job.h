/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "convert/report.h"
#include "model/domain.h"

/* A conversion with its disks. They are copied beside their final place (".NAME-sda.part"), then all get their names,
 * then the domain is published; a journal in the same directory, ".NAME.convert", says how far that is. A failure takes
 * everything back. After a crash the journal is what --resume goes on from and --abort takes back by. Sources are only
 * read.
 *
 *     phase       on the disk                                    --abort removes
 *     copying     parts, some done                               the parts
 *     placing     parts or disks under their names               both
 *     publishing  disks; the domain is published or not          the domain, if its UUID is ours; the disks.
 *                                                                 Nothing when it runs
 *     (no journal) all of it                                     nothing: it is done */

enum job_phase { JOB_COPYING, JOB_PLACING, JOB_PUBLISHING };

struct job_disk {
    const char *target;        /* in the guest: "vda" */
    const char *source, *source_format;
    const char *path, *part;   /* of the copy: final, and while it is written */
    const char *format;        /* "raw" or "qcow2" */
    bool done;                 /* the part is whole and on the disk */
    const char *mark;          /* of the source when its copy began: tells one that has changed; NULL of a device */
};

struct job {
    struct arena *arena;
    const char *name;          /* of the converted domain */
    unsigned char uuid[UUID_SIZE];
    const char *directory;     /* where the disks go; absolute */
    const char *output;        /* what publishes it: "libvirt" or "local" */
    const char *uri;           /* libvirt: of the target's daemon; else NULL */
    const char *pool;          /* libvirt: name; else NULL */
    const char *format;        /* asked for: "raw", "qcow2"; NULL = as the source has it */
    bool preallocated;
    const char *xml;           /* the definition that is published */
    enum job_phase phase;
    struct job_disk *disk;
    size_t disk_count;
    int lock;                  /* held while somebody works on it; -1 */
};

/* Makes the domain known, and takes that back. Both wait. publish: one that is known already stays as it is. withdraw:
 * one that was never made known is no error; ERR_OPERATION_INVALID when it runs. */
struct job_target {
    void *owner;
    int (*publish)(void *owner, const struct job *job, struct error *err);
    int (*withdraw)(void *owner, const struct job *job, struct error *err);
    /* Disk number `index` is copied so far, in percent. Does not wait. */
    void (*progress)(void *owner, const struct job *job, size_t index, double percent);
};

/* Decides where the disks of def go, a private copy that the rules have been applied to, and names them there; fills
 * job->disk, ->uuid and ->xml. name, directory, output, uri, pool, format and preallocated are filled by the caller.
 * ERR_OPERATION_INVALID when a disk cannot be read here or its place is taken. */
int job_plan(struct job *job, struct domain_def *def, struct report *report, struct error *err);

/* Runs in a fiber and waits. Does it, from the phase on that it is in; takes everything back when it fails. A fiber
 * that is cancelled stops copying; when all is copied, it finishes. */
int job_run(struct job *job, const struct job_target *target, struct error *err);
/* Waits. Takes back what there is of it. */
int job_abort(struct job *job, const struct job_target *target, struct error *err);

/* job_journal.c. All wait for the disk. */
int job_journal_write(const struct job *job, struct error *err);
int job_journal_remove(const struct job *job, struct error *err);
/* Fills job from the journal of the conversion to `name` in the directory. ERR_OPERATION_INVALID when there is none. */
int job_journal_read(struct job *job, const char *directory, const char *name, struct error *err);
/* True when there is a journal: an unfinished conversion to that name. */
bool job_journal_exists(const char *directory, const char *name);
/* Nobody else works on this name in this directory meanwhile. ERR_OPERATION_INVALID when somebody does. */
int job_lock(struct job *job, const char *directory, const char *name, struct error *err);
void job_unlock(struct job *job);
static inline void job_scope(struct job *job)
{
    job_unlock(job);
}
#define scoped_job_lock scope_cleanup(job_scope)

/* job_source.c: whether the sources are still what was copied.
 * Notes how the disk's source is, before it is copied. */
int source_mark(const struct job *job, struct job_disk *disk, struct error *err);
/* After the last copy: ERR_OPERATION_INVALID when a source has changed since its copy began. */
int sources_check(const struct job *job, struct error *err);
/* Before job_run() of a job from a journal. While there are disks to copy, those whose source has changed, or may have,
 * are to be copied anew; ERR_SYSTEM_ERROR when one is gone, as its copy is the only one then. Later a change is
 * ERR_OPERATION_INVALID, and when the domain may be known, it is told in report->left. The job stays as it is then. */
int job_resume_check(struct job *job, struct report *report, struct error *err);

/* copy.c. Waits: copies the disk into its part, which is on the disk afterwards. */
int disk_copy(const struct job *job, size_t index, const struct job_target *target, struct error *err);
