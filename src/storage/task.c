/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/task.h"

static void run(void *argument)
{
    struct task *task = argument;
    task->run(task);
}

static void release(void *argument)
{
    task_free(argument);
}

int task_run(struct task **task, deadline until, struct error *err)
{
    (*task)->error.code = 0;
    if (await_slow_work(run, release, *task, until, err) < 0) {
        *task = NULL;
        return -1;
    }
    const struct error *found = &(*task)->error;
    return found->code ? error_set(err, found->code, "%s", found->message) : 0;
}

void task_free(struct task *task)
{
    if (task)
        task->release(task);
}
