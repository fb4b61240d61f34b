/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"


#define CPU_LIST_MAX (16 * 1024) /* ranges of more than 3000 islands of CPUs: no machine has them */

static int path_make(char path[PATH_MAX], const char *root, const char *format, va_list args)
{
    char relative[PATH_MAX];
    int length = vsnprintf(relative, sizeof(relative), format, args);
    if (length < 0 || length >= (int)sizeof(relative) ||
        snprintf(path, PATH_MAX, "%s%s", root ? root : "", relative) >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return 0;
}

static ssize_t path_read_bytes(const char *path, char *buffer, size_t size)
{
    scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t length = 0;
    while (length < size) {
        ssize_t got = read(fd, buffer + length, size - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        length += got;
    }
    return length;
}

static ssize_t path_read(const char *path, char *buffer, size_t size)
{
    ssize_t length = path_read_bytes(path, buffer, size - 1);
    for (; length > 0 && strchr(" \t\n", buffer[length - 1]); length--)
        ;
    buffer[length < 0 ? 0 : length] = '\0';
    return length;
}

ssize_t sysfs_read_bytes(void *buffer, size_t size, const char *root, const char *format, ...)
{
    char path[PATH_MAX];
    va_list args;
    va_start(args, format);
    int made = path_make(path, root, format, args);
    va_end(args);
    return made < 0 ? -1 : path_read_bytes(path, buffer, size);
}

ssize_t sysfs_read(char *buffer, size_t size, const char *root, const char *format, ...)
{
    char path[PATH_MAX];
    va_list args;
    va_start(args, format);
    int made = path_make(path, root, format, args);
    va_end(args);
    if (made < 0) {
        buffer[0] = '\0';
        return -1;
    }
    return path_read(path, buffer, size);
}

static int read_number(uint64_t *value, const char *root, const char *format, va_list args)
{
    char path[PATH_MAX], text[32];
    if (path_make(path, root, format, args) < 0 || path_read(path, text, sizeof(text)) < 0)
        return -1;
    return parse_u64(text, 10, value);
}

int sysfs_read_u64(uint64_t *value, const char *root, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int result = read_number(value, root, format, args);
    va_end(args);
    return result;
}

int sysfs_read_unsigned(unsigned *value, const char *root, const char *format, ...)
{
    uint64_t number;
    va_list args;
    va_start(args, format);
    int result = read_number(&number, root, format, args);
    va_end(args);
    if (result < 0 || number > UINT_MAX)
        return -1;
    *value = number;
    return 0;
}

int sysfs_write_u64(uint64_t value, const char *root, const char *format, ...)
{
    char path[PATH_MAX], text[24];
    va_list args;
    va_start(args, format);
    int made = path_make(path, root, format, args);
    va_end(args);
    if (made < 0)
        return -1;
    scoped_fd int fd = open(path, O_WRONLY | O_CLOEXEC | O_TRUNC);
    if (fd < 0)
        return -1;
    int length = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    return write(fd, text, length) == length ? 0 : -1;
}

bool sysfs_exists(const char *root, const char *format, ...)
{
    char path[PATH_MAX];
    va_list args;
    va_start(args, format);
    int made = path_make(path, root, format, args);
    va_end(args);
    return made == 0 && access(path, F_OK) == 0;
}

int sysfs_read_cpu_set(struct cpu_set *set, const char *root, const char *format, ...)
{
    char path[PATH_MAX];
    memset(set, 0, sizeof(*set));
    va_list args;
    va_start(args, format);
    int made = path_make(path, root, format, args);
    va_end(args);
    char list[CPU_LIST_MAX];
    if (made < 0 || path_read(path, list, sizeof(list)) < 0)
        return -1;
    if (cpu_set_parse(set, list) < 0) {
        memset(set, 0, sizeof(*set));
        return -1;
    }
    return 0;
}
