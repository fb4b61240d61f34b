/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "storage/backend.h"

/* qemu-img, for the formats that only QEMU can write. Each waits, for as long as its client does: such work takes as
 * long as the disk is slow, and ends when the fiber is cancelled. */

/* ERR_NO_SUPPORT when QEMU can only read the format. */
int qemu_img_check_format(const char *format, struct error *err);
/* Fills the file at path (which is there) with an empty image. */
int qemu_img_create(const struct creation *creation, const char *path, struct error *err);
/* The same with the content of creation->source. */
int qemu_img_convert(const struct creation *creation, const char *path, struct error *err);
/* The content of creation->source as raw bytes onto the block device at path, which is large enough. */
int qemu_img_fill(const struct creation *creation, const char *path, struct error *err);
struct resizing {
    const char *path, *format;
    const char *encryption;   /* the volume's XML; NULL = not encrypted */
    const char *known_as;     /* the path that its secret may name */
    struct secrets *secrets;
    uint64_t capacity;        /* bytes */
    bool shrink;
};
int qemu_img_resize(const struct resizing *resizing, struct error *err);
