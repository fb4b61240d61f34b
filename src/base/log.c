/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/loop.h"
#include "base/text.h"

#define BACKLOG_MAX 65536
#define RETRY_MS    100

static enum log_level threshold = LOG_LEVEL_INFO;

/* Lines that stderr has not taken yet: the reader of a pipe or a socket may hang, and nobody must wait for it. (Setting
 * O_NONBLOCK instead would set it for all who share the terminal or pipe with us.) */
static struct text backlog;
static unsigned lost; /* lines that did not fit */
static struct timer *retry;

void log_set_level(enum log_level level)
{
    threshold = level;
}

/* Whether whole lines of at most PIPE_BUF bytes can be written without waiting. */
static bool stderr_takes_some(void)
{
    struct pollfd poll_stderr = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&poll_stderr, 1, 0) == 1;
}

static void write_lines(void)
{
    size_t done = 0;
    while (done < backlog.length && stderr_takes_some()) {
        size_t rest = backlog.length - done, part = rest < PIPE_BUF ? rest : PIPE_BUF;
        const char *end = memrchr(backlog.data + done, '\n', part);
        ssize_t wrote = write(STDERR_FILENO, backlog.data + done,
                              end ? (size_t)(end + 1 - backlog.data) - done : part);
        if (wrote < 0 && errno == EINTR)
            continue;
        done = wrote < 0 ? backlog.length : done + (size_t)wrote; /* a closed stderr: nobody will ever read them */
    }
    backlog.length -= done;
    if (backlog.length)
        memmove(backlog.data, backlog.data + done, backlog.length);
    else
        text_finish(&backlog);
}

static void flush(void *unused)
{
    write_lines();
    if (lost && !backlog.length) {
        unsigned count = lost;
        lost = 0;
        log_warning("%u lines are missing here: stderr was not read for a while", count);
    }
    if (backlog.length && !retry) {
        retry = timer_new(RETRY_MS, RETRY_MS, flush, NULL);
    } else if (!backlog.length && retry) {
        timer_free(retry);
        retry = NULL;
    }
}

static void add_line(const char *stamp, long milliseconds, const char *level, const char *message)
{
    if (lost || backlog.length > BACKLOG_MAX)
        lost++;
    else
        text_printf(&backlog, "%s.%03ld %s: %s\n", stamp, milliseconds, level, message);
}

void log_message(enum log_level level, const char *format, ...)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    if (level < threshold)
        return;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct tm tm;
    char stamp[32], line[PIPE_BUF - 64]; /* with what stands before it, the kernel takes it in one piece */
    strftime(stamp, sizeof stamp, "%F %T", gmtime_r(&now.tv_sec, &tm));
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    for (char *c = line; *c; c++) /* one message is one line, whatever a client put into it */
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
    add_line(stamp, now.tv_nsec / 1000000, names[level], line);
    flush(NULL);
}
