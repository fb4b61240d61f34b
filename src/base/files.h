/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/error.h"

/* Reads a small file whole, NUL-terminated; more than max bytes is an error. length may be NULL. Does not wait: for
 * /proc, /sys and our own small files. */
char *file_read(struct arena *arena, const char *path, size_t max, size_t *length, struct error *err);

/* Replaces a file so that after a crash either the old or the new content is there, and after the return the new one:
 * temporary file, fsync, rename, fsync of the directory. When the last of these fails, which is a disk that fails, the
 * new content is there although -1 says that it may not stay. Runs in a fiber and waits (the disk is a worker thread's
 * business); on the loop's own stack, e.g. at start, it blocks. */
int file_write_durable(const char *path, const void *data, size_t length, mode_t mode, struct error *err);
/* Removes a file and fsyncs the directory; a file that is not there is no error. Waits like file_write_durable(). */
int file_remove_durable(const char *path, struct error *err);
/* Gives a file a second name, in the same directory; both are on disk on return. One that has that name already is no
 * error. Waits like file_write_durable(). */
int file_link_durable(const char *path, const char *second, struct error *err);
/* Quick replacement without fsync, for state that dies with the machine (DIR/run). Does not wait. */
int file_write(const char *path, const void *data, size_t length, mode_t mode, struct error *err);

/* mkdir -p; existing directories keep their mode. */
int directory_make(const char *path, mode_t mode, struct error *err);
/* Calls found(name) for each entry but . and .. in an order that is the same every time (by name). */
int directory_list(const char *path, int (*found)(void *owner, const char *name, struct error *err), void *owner,
                   struct error *err);
