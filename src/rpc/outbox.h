/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <sys/uio.h>

#include "base/list.h"

/* What a socket did not take yet: bytes, and descriptors that travel with a byte of their own. Nothing waits. */
struct outbox {
    int fd;
    struct list chunks;
    size_t bytes; /* of memory that the queue takes */
};

/* The descriptor stays the caller's. */
void outbox_init(struct outbox *outbox, int fd);
/* Drops what was not sent, and closes the descriptors that were to go with it. */
void outbox_finish(struct outbox *outbox);

/* Sends what the socket takes and queues the rest. The descriptors stay the caller's. Returns 0, or an errno after
 * which the socket is of no use. */
int outbox_send(struct outbox *outbox, const struct iovec *parts, int count, const int *fds, size_t fd_count);
/* Sends one batch from the queue. Returns 0 or an errno. */
int outbox_flush(struct outbox *outbox);
