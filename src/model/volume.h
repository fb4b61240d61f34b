/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/pool.h"

/* A storage volume as its XML describes it: read when one is to be created, written when one is asked about. Everything
 * lies in an arena that the caller gives. */

struct volume_timestamps {
    struct extra *extra;
    const char *atime, *mtime, *ctime, *btime; /* "seconds.nanoseconds" */
};

struct volume_target {
    struct extra *extra;
    const char *path, *format;
    struct permissions *permissions;
    struct volume_timestamps *timestamps;
    const char *compat;
    uint64_t cluster_size;    /* bytes; 0 = not said */
    bool nocow, lazy_refcounts, extended_l2;
    const char *encryption;   /* the whole element, verbatim */
};

struct volume_extent {
    struct extra *extra;
    uint64_t start, end;      /* bytes */
};

struct volume_def {
    struct extra *extra;
    enum volume_type type;
    const char *name, *key;
    const char *source_device;             /* of a partition: the disk */
    LIST_OF(volume_extent) extents;
    uint64_t capacity, allocation, physical; /* bytes */
    bool capacity_set, allocation_set;
    struct volume_target target;
    struct volume_target *backing;
};

enum volume_parse_flags {
    VOLUME_PARSE_VALIDATE = 1,    /* what the tables do not know is an error */
    VOLUME_PARSE_NO_CAPACITY = 2, /* it may be missing: another volume is copied */
};

struct volume_def *volume_parse(struct arena *arena, const char *xml, unsigned flags, struct error *err);
/* The XML in libvirt's layout; to be freed. */
char *volume_format(const struct volume_def *def);
