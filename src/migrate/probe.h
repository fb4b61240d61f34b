/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

/* Looks at files on a worker thread, because their server may hang, and proves that two hosts see the same one: the
 * source writes a mark beside a file, the destination looks for it there. */

#define PROBE_SYSTEM_MAX 20
#define PROBE_ID_MAX     80

struct probe_file {
    /* asked */
    char *path;
    bool write_mark; /* beside it, if it is a regular file */
    bool find_mark, remove_mark;
    bool look_at_directory; /* also when there is no file */
    /* found; errnum is of the file, the others are 0 */
    int errnum, directory_errnum, mark_errnum;
    bool regular, writable, marked, qcow2;
    uint64_t inode, size, allocated; /* bytes */
    uint64_t available;              /* bytes free in its file system */
    char system[PROBE_SYSTEM_MAX];   /* kind of file system: "ext4", "nfs" */
    char id[PROBE_ID_MAX];           /* what tells a block device from others on every host; "" = nothing does */
    char name[256];                  /* its own, with links followed */
};

struct probe {
    struct probe_file *files;
    size_t count;
    char *mark_name, *mark; /* file name beside the images, and what stands in it */
};

/* mark_name and mark may be NULL. */
struct probe *probe_new(const char *mark_name, const char *mark);
void probe_free(struct probe *probe);
DEFINE_SCOPED(probe_scope, struct probe *, probe_free)
#define scoped_probe scope_cleanup(probe_scope)

/* Valid until the next one is added. */
struct probe_file *probe_add(struct probe *probe, const char *path);
/* Looks at all of them. On failure (ERR_OPERATION_TIMEOUT: a file's server hangs) *probe is gone and NULL. Waits. */
int probe_run(struct probe **probe, uint64_t timeout_ms, struct error *err);
