/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "base/arena.h"
#include "base/error.h"

/* What is mounted, as the kernel tells it: asking takes no time, even of a server that does not answer. */

/* Nothing in a pool is a program or a device for this host. */
#define MOUNT_OPTIONS "nodev,nosuid,noexec"

struct mounted {
    dev_t device;             /* 0 of one without (most network file systems) */
    const char *type, *source;
};
/* What is mounted at path, on top; NULL for nothing. In the arena. Does not wait. */
struct mounted *mounted_at(struct arena *arena, const char *path);

/* Fails when something is mounted at path. */
int mount_check_free(const char *path, struct error *err);
/* Takes away what is mounted at path. Waits. */
int mount_remove(const char *path, struct error *err);
