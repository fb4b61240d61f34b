/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "storage/backend.h"
#include "storage/storage.h"
#include "storage/task.h"

/* Inside of the file backends: half-made volumes, and the work on one file. */

/* A volume that is being made has a name of its own in the pool's directory, and gets its real one when it is whole:
 * FILES_TEMPORARY, the host's UUID, the daemon's pid, a number. No pool shows such files, and a refresh removes those
 * whose maker is gone. */
#define FILES_TEMPORARY ".godwit-"
/* Up to the pid, for this host. */
const char *files_temporary_prefix(struct arena *arena, const struct storage *storage);

/* A name that no volume has, for free(). */
char *files_temporary_path(struct storage *storage, const char *directory);

/* One file that is made or changed, step by step on worker threads. */
struct file_work {
    struct task task;
    int fd;              /* the file; -1 while closed */
    int source;          /* what is copied; -1 = not open */
    char *source_path;   /* opened by the first step_copy() */
    char *path;          /* its name, now or in the end */
    char *temporary;     /* its name until then; NULL = it has its name. Removed with the work. */
    uint64_t capacity;   /* bytes */
    uint64_t end;        /* of the piece-wise work that follows */
    uint64_t position;   /* how far that is; end = done */
    bool reflink;        /* copying is to share the blocks, or fail */
    bool no_allocate;    /* the file system cannot: zeros are written */
    uint32_t mode, uid, gid;
    struct volume_facts facts; /* found by files_publish() */
    struct pool_space space;
    char *directory;
};

#define STEP_MS (UINT64_C(60) * 60 * 1000) /* flushing a large file to a slow disk takes its time */
struct file_work *file_work_new(const char *path);
/* Runs one step to its end: as often as it takes until position reaches end. Waits; when the wait ended early (the
 * fiber was cancelled, or the disk takes longer than STEP_MS for one piece), *work is NULL. */
int file_work_run(struct file_work **work, void (*step)(struct task *task), struct error *err);
/* Takes the temporary file back, on the worker: removing a large one takes time. For after a failure; *work may be
 * NULL. */
void file_work_abandon(struct file_work **work);
void file_work_free(struct file_work *work);
DEFINE_SCOPED(file_work_scope, struct file_work *, file_work_free)
#define scoped_file_work scope_cleanup(file_work_scope)

/* Steps, on the worker. */
void step_make(struct task *task);     /* the temporary file, of `capacity` bytes without blocks */
void step_make_named(struct task *task); /* the file at path, which is not there; counts as temporary until the caller
                                          * forgets that name */
void step_flush_named(struct task *task); /* to disk, with that name */
void step_open(struct task *task);     /* the file at path, for writing */
void step_claim(struct task *task);    /* the block device at path, alone: fails when it is mounted or the like */
void step_truncate(struct task *task); /* to `capacity` */
void step_allocate(struct task *task); /* blocks from position to end */
void step_copy(struct task *task);     /* what the source has, from position to end; holes stay holes */
void step_zero(struct task *task);     /* zeros from position to end */
void step_discard(struct task *task);  /* all blocks given back: it reads as zeros */
void step_flush(struct task *task);    /* to disk */
void step_readable(struct task *task); /* fails when path cannot be read */
void step_publish(struct task *task);  /* owner, mode, to disk, under its name; facts and space */
void step_sync(struct task *task);     /* to disk; facts */
void step_remove(struct task *task);   /* the file or empty directory at path, and space */

/* Room in the file system of path; blocks. */
void files_space(const char *path, struct pool_space *space, struct error *err);
