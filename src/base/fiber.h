/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"

/* Fibers: stackful coroutines on the process's one event loop. Only one runs at a time and control changes hands only
 * inside the functions that say "waits", so no locks are needed; what was read before a wait is read again after it.
 * Every wait has a deadline and ends early, with ERR_OPERATION_ABORTED, when the fiber is cancelled. */
struct fiber;

/* Absolute CLOCK_MONOTONIC time in nanoseconds. */
typedef uint64_t deadline;
#define DEADLINE_NONE UINT64_MAX /* only for waits that a person or a connection's end cuts short */
uint64_t now_ns(void);
deadline deadline_ms(uint64_t milliseconds);

/* Starts a fiber: it runs at once, until its first wait, then the caller goes on. The fiber frees itself when run()
 * returns. name (a literal) is for debuggers. The stack has 512 KiB above a guard page, committed as it is touched.
 * Returns the fiber, or NULL when it has already ended; whoever keeps the pointer must learn of the end from run(). */
struct fiber *fiber_start(const char *name, void (*run)(void *argument), void *argument);

/* The running fiber, or NULL on the loop's own stack (libuv callbacks). */
struct fiber *fiber_self(void);

/* Makes the fiber's present wait, and all its later ones, fail with ERR_OPERATION_ABORTED. */
void fiber_cancel(struct fiber *fiber);
bool fiber_is_cancelled(const struct fiber *fiber);

/* While shielded, a fiber that is cancelled goes on as if it were not; the cancellation takes effect when the shield is
 * lifted. For what must be finished or taken back, never cut off. Returns the setting before, to be put back. */
bool fiber_shield(bool shielded);

/* A place to wait for something to happen. A zeroed struct is not enough: condition_init(). */
struct condition {
    struct list waiters;
};
void condition_init(struct condition *condition);
/* Waits until condition_wake(). ERR_OPERATION_TIMEOUT at the deadline, ERR_OPERATION_ABORTED when cancelled. The
 * caller looks again whether what it waited for is true. */
int condition_wait(struct condition *condition, deadline deadline, struct error *err);
/* Makes every waiter runnable; they run from the loop, never inside this call. Any context of the loop's thread. */
void condition_wake(struct condition *condition);

/* Waits. */
int await_sleep(deadline until, struct error *err);
/* poll(2) on one descriptor: events is POLLIN and/or POLLOUT. Returns the events that came, or -1. */
int await_fd(int fd, int events, deadline deadline, struct error *err);
/* Runs work(argument) on a worker thread and waits. The argument belongs to the work until it is done: when the wait
 * ends early the work still runs to its end, and then release(argument) (may be NULL) is called on the loop; when it
 * ends in time, the caller has the argument back. work() may use nothing of Godwit's
 * but pure functions. */
int await_work(void (*work)(void *argument), void (*release)(void *argument), void *argument, deadline deadline,
               struct error *err);

/* The same for work that may hang for long (a file on a server that does not answer). At most SLOW_WORK_MAX of it holds
 * a thread, so that what must not wait (writing definitions) always finds one; work whose caller has given up counts,
 * too, until it ends. When the deadline passes before there is room the work never runs; release() is called as
 * ever. */
#define SLOW_WORK_MAX 4 /* of the seven threads that the daemon's main() asks libuv for */
int await_slow_work(void (*work)(void *argument), void (*release)(void *argument), void *argument, deadline deadline,
                    struct error *err);
/* The next one has to wait until one of others' ends. */
bool slow_work_is_full(void);
