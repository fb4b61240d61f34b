/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fiber.h"

/* A piece of work that the disk or a server may hold up: it runs on a worker thread and shares nothing with the loop
 * but the struct that begins with a struct task. Few run at once, so that a server that hangs cannot take all the
 * threads that the daemon's own files need. */
struct task {
    /* On the worker thread; uses pure functions alone. What goes wrong stands in task->error. */
    void (*run)(struct task *task);
    /* Frees the task and what it holds. */
    void (*release)(struct task *task);
    struct error error;
};

/* Waits until it is done. 0 when task->error is empty; it may run again. -1 with err when it failed, or when the wait
 * ended early (deadline, cancelled): then the worker keeps the task, frees it when it is done, and *task is NULL. */
int task_run(struct task **task, deadline deadline, struct error *err);
void task_free(struct task *task); /* NULL is fine */
DEFINE_SCOPED(task_scope, struct task *, task_free)
#define scoped_task scope_cleanup(task_scope)

/* How long a look at a file system may take before it counts as hung. */
#define TASK_MS 60000
