/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/qemu_img_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#define OUTPUT_MAX     65536
#define COMPLAINTS_MAX 4096
#define LONGEST_MS     (UINT64_C(24) * 60 * 60 * 1000) /* a copy that takes longer than a day hangs */
/* Address space: qemu-img has up to 64 threads for its reads and writes, whose stacks count though they are hardly
 * touched, and check keeps 2 bytes for each cluster. */
#define MEMORY_MAX     (UINT64_C(4) << 30)
#define QUICK_MEMORY   (UINT64_C(1) << 30)
#define QUICK_CPU_S    30

enum { OUT, ERRORS, PIPES };

struct reading {
    struct image_run *run;
    int fds[PIPES];      /* -1 = ended */
    int poll;
    struct text texts[PIPES];
};

static void reading_finish(struct reading *reading)
{
    for (int i = 0; i < PIPES; i++) {
        if (reading->fds[i] >= 0)
            close(reading->fds[i]);
        text_finish(&reading->texts[i]);
    }
    if (reading->poll >= 0)
        close(reading->poll);
}
#define scoped_reading scope_cleanup(reading_finish)

static int reading_open(struct reading *reading, int ends[PIPES], struct error *err)
{
    reading->poll = epoll_create1(EPOLL_CLOEXEC);
    for (uint32_t i = 0; i < PIPES; i++) {
        int pair[2];
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        if (reading->poll < 0 || pipe2(pair, O_CLOEXEC) < 0)
            return error_system(err, errno, "cannot make a pipe");
        fcntl(pair[0], F_SETFL, O_NONBLOCK); /* our end only */
        reading->fds[i] = pair[0];
        ends[i] = pair[1];
        epoll_ctl(reading->poll, EPOLL_CTL_ADD, pair[0], &event);
    }
    return 0;
}

/* "    (12.34/100%)\r", many of them; nothing of it belongs to the output. */
static void take_progress(struct reading *reading)
{
    struct text *text = &reading->texts[OUT];
    for (char *open, *close;
         text->length && (open = strstr(text->data, "    (")) && (close = strstr(open, "/100%)"));) {
        double percent = strtod(open + strlen("    ("), NULL);
        if (percent >= 0 && percent <= 100)
            reading->run->progress(reading->run->owner, percent);
        char *end = close + strlen("/100%)");
        while (*end == '\r' || *end == '\n')
            end++;
        memmove(open, end, strlen(end) + 1);
        text->length -= (size_t)(end - open);
    }
    size_t line_end = text->length ? strspn(text->data, "\r\n") : 0; /* of the last one, when it came by itself */
    memmove(text->data, text->data + line_end, text->length - line_end + 1);
    text->length -= line_end;
}

/* The last bytes win among complaints; too much output is an error. */
static int limit(struct reading *reading, int which, struct error *err)
{
    struct text *text = &reading->texts[which];
    size_t max = which == ERRORS ? COMPLAINTS_MAX : reading->run->output_max ? reading->run->output_max : OUTPUT_MAX;
    if (text->length <= max)
        return 0;
    if (which == ERRORS) {
        memmove(text->data, text->data + text->length - max, max + 1);
    } else if (!reading->run->keep_output) {
        return error_set(err, ERR_INTERNAL_ERROR, "'%s' wrote more than the %zu bytes that are accepted",
                         reading->run->argv->items[0], max);
    }
    text->length = max;
    text->data[max] = '\0';
    return 0;
}

static int read_some(struct reading *reading, int which, struct error *err)
{
    struct text *text = &reading->texts[which];
    ssize_t got = read(reading->fds[which], text_reserve(text, 4097), 4096);
    if (got > 0) {
        text->length += (size_t)got;
        text->data[text->length] = '\0';
        if (which == OUT && reading->run->progress)
            take_progress(reading);
        return limit(reading, which, err);
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    close(reading->fds[which]); /* which ends its being polled */
    reading->fds[which] = -1;
    return 0;
}

static int read_all(struct reading *reading, deadline until, struct error *err)
{
    while (reading->fds[OUT] >= 0 || reading->fds[ERRORS] >= 0) {
        struct epoll_event events[PIPES];
        if (await_fd(reading->poll, POLLIN, until, err) < 0)
            return error_wrap(err, "running '%s'", reading->run->argv->items[0]);
        int count = epoll_wait(reading->poll, events, PIPES, 0);
        for (int i = 0; i < count; i++)
            if (read_some(reading, (int)events[i].data.u32, err) < 0)
                return -1;
    }
    return 0;
}

/* Its complaints as one line: the cause comes first, and what to do about it behind. */
static const char *joined(struct arena *arena, const struct text *complaints)
{
    scoped_text struct text line = {0};
    char *rest = arena_strdup(arena, text_string(complaints));
    for (char *word; (word = strsep(&rest, "\r\n"));)
        if (*word)
            text_printf(&line, "%s%s", line.length ? " " : "", string_after(word, "qemu-img: ") ?: word);
    return arena_strdup(arena, text_string(&line));
}

/* What its end means. */
static int judge(struct image_run *run, struct process *process, const struct text *complaints, struct error *err)
{
    int status = process_status(process);
    run->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (run->status == 0 || (run->status > 0 && run->status < 32 && run->accepted & 1 << run->status))
        return 0;
    scoped_arena struct arena *arena = arena_new();
    return error_set(err, ERR_INTERNAL_ERROR, "'qemu-img %s' failed (%s): %s", run->argv->items[1],
                     process_status_text(arena, status), joined(arena, complaints));
}

int qemu_img_run(struct image_run *run, struct error *err)
{
    scoped_reading struct reading reading = {.run = run, .fds = {-1, -1}, .poll = -1};
    scoped_fd int out = -1, errors = -1;
    int ends[PIPES] = {-1, -1};
    int rc = reading_open(&reading, ends, err);
    out = ends[OUT];
    errors = ends[ERRORS];
    if (rc < 0)
        return -1;
    const struct process_options options = {
        .stdin_fd = -1,
        .stdout_fd = out,
        .stderr_fd = errors,
        .pass_fds = run->pass_fds,
        .pass_fd_count = run->pass_fd_count,
        .memory_limit = run->quick ? QUICK_MEMORY : MEMORY_MAX,
        .cpu_limit_s = run->quick ? QUICK_CPU_S : 0,
    };
    scoped_process struct process *process = process_spawn(run->argv, &options, err);
    if (!process)
        return -1;
    close(steal_fd(&out));
    close(steal_fd(&errors));
    deadline until = run->until ? run->until : deadline_ms(LONGEST_MS);
    if (read_all(&reading, until, err) < 0 || process_wait(process, until, err) < 0 ||
        judge(run, process, &reading.texts[ERRORS], err) < 0)
        return -1;
    if (run->output)
        text_append_bytes(run->output, text_string(&reading.texts[OUT]), reading.texts[OUT].length);
    return 0;
}
