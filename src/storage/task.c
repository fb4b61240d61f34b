/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/task.h"

#include <stdlib.h>

/* Of the seven threads that main() asks libuv for; the rest stay for what must be acknowledged. */
#define AT_ONCE_MAX 4

/* The threads are the process's, so is their count. */
static unsigned at_once;
static struct condition changed;

static void run(void *argument)
{
    struct task *task = argument;
    task->run(task);
}

static void leave(void)
{
    at_once--;
    condition_wake(&changed);
}

/* The wait ended before the work. */
static void abandoned(void *argument)
{
    leave();
    task_free(argument);
}

static int enter(deadline until, struct error *err)
{
    if (!changed.waiters.next)
        condition_init(&changed);
    while (at_once >= AT_ONCE_MAX)
        if (condition_wait(&changed, until, err) < 0)
            return err && err->code == ERR_OPERATION_TIMEOUT
                       ? error_set(err, ERR_OPERATION_TIMEOUT,
                                   "%d other accesses to storage have not ended; does a server hang?", AT_ONCE_MAX)
                       : -1;
    at_once++;
    return 0;
}

int task_run(struct task **task, deadline until, struct error *err)
{
    (*task)->error.code = 0;
    if (enter(until, err) < 0)
        return -1;
    if (await_work(run, abandoned, *task, until, err) < 0) {
        *task = NULL;
        return -1;
    }
    leave();
    const struct error *found = &(*task)->error;
    return found->code ? error_set(err, found->code, "%s", found->message) : 0;
}

void task_free(struct task *task)
{
    if (task)
        task->release(task);
}
