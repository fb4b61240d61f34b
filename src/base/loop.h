/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* The process's one event loop. Together with the fibers that run on it this is the only state that a process cannot
 * have twice; everything else hangs off a struct that somebody owns. */
uv_loop_t *loop_get(void);
/* Runs until loop_stop(). */
void loop_run(void);
void loop_stop(void);

/* A callback watch on a descriptor, for code that serves many without a fiber each (connections, QMP). Events are
 * UV_READABLE and UV_WRITABLE; 0 pauses it. The watch does not own the descriptor; free it before closing
 * that. */
struct watch;
struct watch *watch_new(int fd, int events, void (*ready)(void *owner, int events), void *owner);
/* NULL when the descriptor is watched already: then watch a dup() of it. */
struct watch *watch_try(int fd, int events, void (*ready)(void *owner, int events), void *owner);
void watch_set(struct watch *watch, int events);
void watch_free(struct watch *watch); /* allowed inside ready() */

/* A callback timer. interval_ms 0 = once. Freed by its owner, also inside the callback. */
struct timer;
struct timer *timer_new(uint64_t first_ms, uint64_t interval_ms, void (*fired)(void *owner), void *owner);
void timer_free(struct timer *timer);
