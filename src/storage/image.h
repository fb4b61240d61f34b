/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* What the first bytes of a disk image say. A guest may have written them, so nothing in them is believed: every offset
 * and length is checked, nothing is allocated by what they say, and no file that they name is opened here. */

#define IMAGE_HEADER_SIZE 33280  /* to read: reaches an ISO 9660 descriptor (32768) and every qcow2 header extension */
#define IMAGE_BACKING_MAX 1024   /* of a backing file's name, as QEMU limits it */
#define IMAGE_DEPTH_MAX   200    /* images in a chain, as libvirt limits it */

struct image {
    const char *format;      /* a literal: "raw", "qcow2", ...; "raw" when it looks like nothing known */
    bool capacity_known;     /* by the header; of "raw" it is the file's size */
    uint64_t capacity;       /* bytes */
    const char *compat;      /* qcow2: "0.10" or "1.1" */
    uint32_t cluster_size;   /* qcow2: bytes */
    bool lazy_refcounts, extended_l2;
    bool encrypted;          /* LUKS, inside of qcow2 or as it is */
    uint64_t payload;        /* LUKS as it is: where the data begins, bytes; 0 = not known */
    bool data_file;          /* qcow2: the data lies in another file */
    bool names_files;        /* other files, perhaps where nobody looks here: QEMU opens and may write them */
    bool has_backing;
    char backing[IMAGE_BACKING_MAX]; /* as written: perhaps relative, "nbd:...", "json:..." */
    char backing_format[16];         /* "" when the header does not say */
};

/* Fills image from the first length bytes of a file (fewer than IMAGE_HEADER_SIZE only when the file is shorter). What
 * is damaged counts as far as it can be understood. */
void image_probe(const uint8_t *data, size_t length, struct image *image);

/* Opens (never to write) and probes; blocks, for worker threads. A capacity that the header does not know is the file's
 * size. */
int image_read(const char *path, struct image *image, struct error *err);

/* Where a backing file lies that the image at path names: in a buffer for free(), NULL when it is not a local file. */
char *image_backing_path(const char *path, const struct image *image);
