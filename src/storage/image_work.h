/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "storage/pool.h"

/* qemu-img's verbs on volumes and files of this host, as rpc/image_verbs.h lists them. */

struct image_option {
    const char *name, *value; /* value "" of a flag */
};

struct image_work {
    struct storage *storage;
    const char *verb;
    const char *const *operands; /* "/path" or "POOL/VOLUME", then a size where the verb has one */
    size_t operand_count;
    const struct image_option *options;
    size_t option_count;
    unsigned flags;              /* IMAGE_RUN_* */
    const char *client;
    double percent;              /* out, while it runs */
    /* out, in the arena that was given */
    const char *plan;            /* what it does, as a sentence */
    bool changes;                /* it changes an image that is there */
    const char *output;
    int status;                  /* check: 2 damage, 3 leaks; compare: 1 different; else 0 */
};

/* Waits until it is done; the fiber's cancelling ends it. A new image appears under its name when it is whole, over
 * nobody's file. Refuses what a running domain uses, by name. */
int image_work_run(struct image_work *work, struct arena *arena, struct error *err);
