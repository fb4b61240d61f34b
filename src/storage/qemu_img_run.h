/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/process.h"
#include "base/text.h"

/* One run of qemu-img. What it reads may be made to harm it, so its memory is limited, and its time where an answer is
 * due soon. */
struct image_run {
    const struct argv *argv;
    const int *pass_fds; /* keys that argv names by number */
    size_t pass_fd_count;
    bool quick;          /* only looks at headers: little processor time will do */
    deadline until;      /* 0: as long as the client waits */
    size_t output_max;   /* bytes; 0 = 64 KiB */
    struct text *output; /* what it says; may be NULL */
    bool keep_output;    /* beyond output_max the rest is dropped instead of an error */
    /* How far it is (--option -p), in percent; may be NULL. */
    void (*progress)(void *owner, double percent);
    void *owner;
    int accepted;        /* exit statuses beside 0 that are answers: bit N for N */
    int status;          /* out: the exit status */
};

/* Waits until it has ended; it is killed when the fiber is cancelled. 0, or -1 with its own last words in err. */
int qemu_img_run(struct image_run *run, struct error *err);
