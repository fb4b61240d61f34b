/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qemu/domain.h"
#include "qemu/stats.h"

/* Questions about a guest's disks and small changes to them. */

/* The disk with that target ("vda") or source path; ERR_INVALID_ARG naming the targets there are. */
const struct disk *disk_find(const struct domain_def *def, const char *path, struct error *err);
/* What it lies in: a file, a block device, a directory or the name of a network export; NULL when it is empty. */
const char *disk_source_path(const struct disk_source *source);

struct block_sizes {
    uint64_t capacity;   /* what the guest sees */
    uint64_t allocation; /* used on the host */
    uint64_t physical;   /* the size of the container */
};
/* Of one disk; an inactive domain's image is looked into. Waits. */
int block_sizes(struct domain *domain, const char *path, struct block_sizes *sizes, struct error *err);

/* Changes what the guest sees. Takes a job; waits. */
int block_resize(struct domain *domain, const char *path, uint64_t bytes, const char *client, struct error *err);
/* Reads the guest's view of a disk (raw images only: else ERR_OPERATION_UNSUPPORTED). Waits. */
int block_peek(struct domain *domain, const char *path, uint64_t offset, void *buffer, size_t size, struct error *err);
