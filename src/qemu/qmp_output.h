/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "base/list.h"
#include "base/text.h"

/* What a monitor's socket did not take yet. */
struct qmp_output {
    int fd;
    struct list chunks;
};

/* The socket stays the caller's. */
void qmp_output_init(struct qmp_output *output, int fd);
/* Drops what was not sent. */
void qmp_output_finish(struct qmp_output *output);
/* Queues the bytes, which it takes, and a copy of the descriptor passed (-1 = none) to go with the first of them. True
 * when nothing is before them: then flush. */
bool qmp_output_add(struct qmp_output *output, struct text *data, int passed);
/* The same for what must be sent before all that is queued. */
void qmp_output_add_first(struct qmp_output *output, struct text *data);
/* Sends as much as the socket takes; true when something is left. A broken connection is not this function's business:
 * the reader learns it, after it has read what QEMU said last. */
bool qmp_output_flush(struct qmp_output *output);
