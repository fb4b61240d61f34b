/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cpu_set.h"

/* Readers for the small files of /proc and /sys. `root` stands before every path: "" is this machine, a directory is
 * a tree that a test made. Nothing here waits, and nothing is an error that the caller did not ask for: a file that is
 * not there is a fact about the machine (containers and small VMs lack many). */

/* The first size-1 bytes of the file, NUL-terminated, without blanks and newlines at the end. Returns the length, or -1
 * (errno tells why; the buffer is then an empty string). */
ssize_t sysfs_read(char *buffer, size_t size, const char *root, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The first `size` bytes as they are (a binary table). Returns the length or -1. */
ssize_t sysfs_read_bytes(void *buffer, size_t size, const char *root, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Whole-file decimal numbers. Return 0, or -1 with the target untouched. */
int sysfs_read_u64(uint64_t *value, const char *root, const char *format, ...) __attribute__((format(printf, 3, 4)));
int sysfs_read_unsigned(unsigned *value, const char *root, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Writes a number. Returns 0, or -1 with errno. */
int sysfs_write_u64(uint64_t value, const char *root, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool sysfs_exists(const char *root, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The file as a set; -1 when it is missing or no list (the set is then empty). */
int sysfs_read_cpu_set(struct cpu_set *set, const char *root, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
