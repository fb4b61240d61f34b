/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/loop.h"

#include "base/arena.h"

struct watch {
    uv_poll_t poll;
    int events;
    void (*ready)(void *owner, int events);
    void *owner;
};

struct timer {
    uv_timer_t timer;
    void (*fired)(void *owner);
    void *owner;
};

uv_loop_t *loop_get(void)
{
    return uv_default_loop();
}

void loop_run(void)
{
    uv_run(loop_get(), UV_RUN_DEFAULT);
}

void loop_stop(void)
{
    uv_stop(loop_get());
}

/* The structs begin with their handle, so the handle's memory is the struct's. */
static void handle_closed(uv_handle_t *handle)
{
    free(handle);
}

static void watch_ready(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = (struct watch *)poll;
    /* An error state (EPOLLERR) is best learned from the read or write that follows. libuv has stopped watching by
     * then, but there may be more to read than the owner takes at once. */
    if (status < 0)
        uv_poll_start(&watch->poll, watch->events, watch_ready);
    watch->ready(watch->owner, status < 0 ? watch->events : events);
}

void watch_set(struct watch *watch, int events)
{
    if (events == watch->events)
        return;
    watch->events = events;
    if (events)
        uv_poll_start(&watch->poll, events, watch_ready);
    else
        uv_poll_stop(&watch->poll);
}

struct watch *watch_try(int fd, int events, void (*ready)(void *owner, int events), void *owner)
{
    struct watch *watch = xcalloc(1, sizeof *watch);
    int rc = uv_poll_init(loop_get(), &watch->poll, fd);
    if (rc < 0 && rc != UV_EEXIST) { /* a plain file: a programming error, never a user's */
        fprintf(stderr, "descriptor %d cannot be watched: %s\n", fd, uv_strerror(rc));
        abort();
    }
    if (rc < 0) {
        free(watch);
        return NULL;
    }
    watch->ready = ready;
    watch->owner = owner;
    watch_set(watch, events);
    return watch;
}

struct watch *watch_new(int fd, int events, void (*ready)(void *owner, int events), void *owner)
{
    struct watch *watch = watch_try(fd, events, ready, owner);
    if (!watch)
        abort(); /* its owner watches it twice */
    return watch;
}

void watch_free(struct watch *watch)
{
    if (watch)
        uv_close((uv_handle_t *)&watch->poll, handle_closed);
}

static void timer_fired(uv_timer_t *handle)
{
    struct timer *timer = (struct timer *)handle;
    timer->fired(timer->owner);
}

struct timer *timer_new(uint64_t first_ms, uint64_t interval_ms, void (*fired)(void *owner), void *owner)
{
    struct timer *timer = xcalloc(1, sizeof *timer);
    timer->fired = fired;
    timer->owner = owner;
    uv_timer_init(loop_get(), &timer->timer);
    uv_update_time(loop_get()); /* else the delay counts from the start of this loop turn */
    uv_timer_start(&timer->timer, timer_fired, first_ms, interval_ms);
    return timer;
}

void timer_free(struct timer *timer)
{
    if (timer)
        uv_close((uv_handle_t *)&timer->timer, handle_closed);
}
