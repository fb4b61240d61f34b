/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fiber.h"
#include "base/text.h"

/* Argument vectors: there are no shell strings in Godwit. Strings are copied into the arena. */
struct argv {
    struct arena *arena;
    char **items; /* NULL-terminated */
    size_t count;
};
struct argv *argv_new(struct arena *arena);
void argv_add(struct argv *argv, const char *argument);
void argv_addf(struct argv *argv, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What a child gets. Every descriptor that is not named here is closed in it. */
struct process_options {
    char *const *environment; /* NULL = ours */
    const char *directory;    /* NULL = ours */
    int stdin_fd, stdout_fd, stderr_fd; /* -1 = /dev/null */
    const int *pass_fds;      /* keep their numbers */
    size_t pass_fd_count;
    uint64_t memory_limit;    /* bytes of address space; 0 = ours */
    unsigned cpu_limit_s;     /* processor time after which it is killed; 0 = ours */
    bool detach;              /* own session: survives us and our terminal; others are killed when we end */
    bool group;               /* own process group, which process_kill() ends as a whole; survives us, but not
                               * process_free() */
};

/* A running process, a child of ours or one found again after a restart (then its exit status is unknown: -1). */
struct process;

/* Starts argv[0] (searched in PATH). A failed exec is an error here, not an exit status later. */
struct process *process_spawn(const struct argv *argv, const struct process_options *options, struct error *err);
/* Watches an existing process by pidfd; start_time as process_started() gave it, so that a reused pid is refused.
 * ERR_NO_SUPPORT says that the process has ended; any other error that it may well be there. */
struct process *process_adopt(pid_t pid, uint64_t start_time, struct error *err);
/* Forgets it. A child that still runs goes on (unless spawned without detach: then it is killed). */
void process_free(struct process *process);
DEFINE_SCOPED(process_scope, struct process *, process_free)
#define scoped_process scope_cleanup(process_scope)

pid_t process_pid(const struct process *process);
/* When it started: clock ticks since boot, /proc/PID/stat field 22. */
uint64_t process_started(const struct process *process);
/* Calls exited(owner) once from the loop when it is gone, at once if it already is (from the loop, not from here). */
void process_on_exit(struct process *process, void (*exited)(void *owner), void *owner);
bool process_has_exited(const struct process *process);
/* As waitpid() says it; -1 while it runs or when unknown. */
int process_status(const struct process *process);
/* "exit status 1", "killed by signal 9 (Killed)". */
const char *process_status_text(struct arena *arena, int status);
int process_kill(struct process *process, int signal);
/* Waits until it is gone. */
int process_wait(struct process *process, deadline deadline, struct error *err);

/* Runs a helper to its end and collects stdout (at most max_output bytes, more is an error). Waits. Not exiting with 0
 * is an error whose message ends with the helper's last line on stderr. The helper is killed at the deadline. */
int process_run(const struct argv *argv, struct text *output, size_t max_output, deadline deadline, struct error *err);
/* The same for a script of somebody else's, whose environment and input are given (input -1 = none; output NULL =
 * not wanted): children that it leaves behind with its output open do not hold us up, and at the deadline they are
 * killed with it. */
int process_run_script(const struct argv *argv, char *const *environment, int input, struct text *output,
                       size_t max_output, deadline deadline, struct error *err);
