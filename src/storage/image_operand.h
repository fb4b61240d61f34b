/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "storage/files.h"
#include "storage/luks.h"
#include "storage/pool.h"

/* What a client calls an image: "/path", or "POOL/VOLUME". */
struct image_operand {
    const char *shown;          /* as it was given */
    const char *path;
    const char *format;         /* of one that is there */
    struct pool *pool;          /* a reference; NULL = of none */
    struct volume_use use;
    struct luks luks;
    bool backed;                /* its header names an image below it, at: */
    const char *backing;        /* NULL = no local file */
    struct file_work *file;     /* of a new one, until it has its name */
    struct file_work *data;     /* what holds its data, where that is another file */
};
#define IMAGE_OPERAND {.luks = LUKS_NONE}
void image_operand_finish(struct image_operand *operand);

enum {
    IMAGE_CHANGE = 1, /* it is to be written */
    IMAGE_LOCKED = 2, /* no key is needed: its content is not looked at */
    IMAGE_TRUST = 4,  /* what its header names may be opened: nothing of it is copied or changed */
};
/* Finds one that is there. format NULL: as its header says, unless that names other files; a guest may have written it.
 * how: the flags above. operation is for messages ("resize"). Begins to use a volume. Waits. */
int image_operand_open(struct image_operand *operand, struct arena *arena, struct storage *storage, const char *word,
                       const char *format, unsigned how, const char *operation, struct error *err);
/* Begins to use the volume, if it is one, and knows its path; what it holds is not looked at. The rest as above. */
int image_operand_find(struct image_operand *operand, struct arena *arena, struct storage *storage, const char *word,
                       unsigned how, const char *operation, struct error *err);
/* Prepares one that is not: its temporary file is there. Waits. */
int image_operand_make(struct image_operand *operand, struct arena *arena, struct storage *storage, const char *word,
                       struct error *err);
/* Makes the empty file at path, which is to hold its data. It has its name at once, since the image's header tells it,
 * and goes again unless the image is published. Refuses what exists, which qemu-img would empty. Waits. */
int image_operand_make_data(struct image_operand *operand, const char *path, struct error *err);
/* Gives it its name, and shows it in its pool. Waits. */
int image_operand_publish(struct image_operand *operand, const char *client, struct error *err);
/* Refuses a chain of backing images without an end, in which qemu-img would lose itself. Waits. */
int image_check_chain(const char *path, struct error *err);
/* The path that a word means, which may be there or not; NULL with err. Waits. */
const char *image_operand_path(struct arena *arena, struct storage *storage, const char *word, struct error *err);
