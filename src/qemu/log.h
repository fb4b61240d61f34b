/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "base/process.h"

/* What QEMU says, one file a domain, appended to by every run under a header with the time and the arguments. */

/* Opens it for QEMU's stdout and stderr (close-on-exec, to append) and writes the header. *start is where this run's
 * own words begin. A log beyond its bound is rotated first. */
int qemu_log_open(const char *path, const struct argv *argv, off_t *start, struct error *err);
/* The last lines that QEMU wrote from `start` on, without time stamps, joined by "; "; "" when there are none. */
char *qemu_log_tail(struct arena *arena, const char *path, off_t start);
/* A log beyond 2 MiB is moved to .0, .0 to .1, .1 to .2. keep_open is for a running guest, whose QEMU holds the file:
 * it is copied to .0 and emptied in place. Failures leave the log as it is. */
void qemu_log_rotate(const char *path, bool keep_open);

/* Words an unexpected end, e.g. "QEMU ended (exit status 1): qemu-system-x86_64: -device foo: ...": fills err with
 * ERR_INTERNAL_ERROR and returns -1. path may be NULL; status is process_status()'s. */
int qemu_exit_error(const char *path, off_t start, int status, struct error *err);
