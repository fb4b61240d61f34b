/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>

#define LOG_MAX   (2 << 20)
#define LOG_KEPT  3
#define TAIL_SIZE 4096 /* what is looked at */
#define TAIL_MAX  700  /* what goes into a message, which must hold the rest of the sentence too */

/* What QEMU's words mean for who does not know them. */
static const struct meaning {
    const char *words, *meaning;
} meanings[] = {
    {"cannot unlock any keyslot", "a secret of its encrypted disks has another value on this host than the one that "
                                  "the disk was made with; set that (secret-set-value): "},
};

static void copy_and_empty(const char *path, const char *to)
{
    scoped_fd int from = open(path, O_RDWR | O_CLOEXEC),
                  copy = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct stat stat;
    if (from < 0 || copy < 0 || fstat(from, &stat) < 0)
        return;
    /* sendfile stops at 2 GiB, which is more than anybody wants of a log */
    if (sendfile(copy, from, NULL, (size_t)stat.st_size) >= 0 && ftruncate(from, 0) < 0)
        return;
}

void qemu_log_rotate(const char *path, bool keep_open)
{
    struct stat stat_now;
    if (stat(path, &stat_now) < 0 || stat_now.st_size <= LOG_MAX)
        return;
    scoped_arena struct arena *arena = arena_new();
    for (int i = LOG_KEPT - 1; i > 0; i--)
        rename(arena_printf(arena, "%s.%d", path, i - 1), arena_printf(arena, "%s.%d", path, i));
    if (keep_open)
        copy_and_empty(path, arena_printf(arena, "%s.0", path));
    else
        rename(path, arena_printf(arena, "%s.0", path));
}

static void header_append(struct text *header, const struct argv *argv)
{
    struct timespec now;
    struct tm utc;
    char stamp[32];
    clock_gettime(CLOCK_REALTIME, &now);
    strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", gmtime_r(&now.tv_sec, &utc));
    text_printf(header, "%s.%03ld+0000: starting up\n", stamp, now.tv_nsec / 1000000);
    for (size_t i = 0; i < argv->count; i++) {
        bool option = argv->items[i][0] == '-';
        text_append(header, i == 0 ? "" : option ? " \\\n" : " ");
        text_append_quoted(header, argv->items[i]);
    }
    text_append_char(header, '\n');
}

int qemu_log_open(const char *path, const struct argv *argv, off_t *start, struct error *err)
{
    qemu_log_rotate(path, false);
    scoped_fd int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    scoped_text struct text header = {0};
    header_append(&header, argv);
    ssize_t wrote = fd < 0 ? -1 : write(fd, header.data, header.length);
    if (wrote != (ssize_t)header.length)
        return error_system(err, wrote < 0 ? errno : ENOSPC, "cannot write the log '%s'", path);
    *start = lseek(fd, 0, SEEK_END);
    return steal_fd(&fd);
}

/* QEMU's own stamp of -msg timestamp=on ("2026-11-22T03:04:05.123456Z ") is no news in an error message. */
static const char *without_stamp(const char *line)
{
    const char *blank = strchr(line, ' ');
    return blank && blank - line == 27 && blank[-1] == 'Z' && line[10] == 'T' ? blank + 1 : line;
}

char *qemu_log_tail(struct arena *arena, const char *path, off_t start)
{
    char *tail = "";
    scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    if (end < start)
        return tail;
    size_t size = end - start < TAIL_SIZE ? (size_t)(end - start) : TAIL_SIZE;
    char *data = arena_alloc(arena, size + 1);
    ssize_t got = pread(fd, data, size, end - (off_t)size);
    data[got < 0 ? 0 : got] = '\0';
    size_t used = 0;
    while (*data) {
        char *newline = strrchr(data, '\n');
        const char *line = without_stamp(newline ? newline + 1 : data);
        bool news = *line && !string_starts(line, "char device redirected to"); /* said at every start */
        used += news ? strlen(line) + 2 : 0;
        if (news && used > TAIL_MAX)
            return *tail ? tail : arena_strndup(arena, line, TAIL_MAX);
        if (news)
            tail = *tail ? arena_printf(arena, "%s; %s", line, tail) : arena_strdup(arena, line);
        if (!newline)
            break;
        *newline = '\0';
    }
    return tail;
}

static const char *meaning_of(const char *words)
{
    for (const struct meaning *row = meanings; row < meanings + COUNT(meanings); row++)
        if (strstr(words, row->words))
            return row->meaning;
    return "";
}

int qemu_exit_error(const char *path, off_t start, int status, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    const char *words = path ? qemu_log_tail(arena, path, start) : "";
    return error_set(err, ERR_INTERNAL_ERROR, "QEMU ended (%s)%s%s%s", process_status_text(arena, status),
                     *words ? ": " : "", meaning_of(words), words);
}
