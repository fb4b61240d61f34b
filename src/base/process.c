/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/files.h"
#include "base/loop.h"

struct process {
    pid_t pid;
    uint64_t started;
    int pidfd;
    int status; /* waitpid's; -1 unknown */
    bool child, detached, exited, group;
    bool orphaned; /* process_free() was called: freed once it is reaped */
    struct watch *watch;
    struct timer *late; /* tells of an end that came before process_on_exit() */
    struct condition gone;
    void (*on_exit)(void *owner);
    void *on_exit_owner;
};

struct argv *argv_new(struct arena *arena)
{
    struct argv *argv = arena_struct(arena, struct argv);
    argv->arena = arena;
    argv->items = arena_new_array(arena, 16, char *);
    return argv;
}

void argv_add(struct argv *argv, const char *argument)
{
    size_t slots = argv->count + 2;
    if (slots >= 16 && (slots & (slots - 1)) == 0) { /* doubles at powers of two */
        char **grown = arena_new_array(argv->arena, slots * 2, char *);
        memcpy(grown, argv->items, argv->count * sizeof *grown);
        argv->items = grown;
    }
    argv->items[argv->count++] = arena_strdup(argv->arena, argument);
    argv->items[argv->count] = NULL;
}

void argv_addf(struct argv *argv, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    argv_add(argv, arena_vprintf(argv->arena, format, args));
    va_end(args);
}

static void process_gone(void *owner, int events)
{
    struct process *process = owner;
    if (process->child) {
        int status;
        if (waitpid(process->pid, &status, WNOHANG) == process->pid)
            process->status = status;
    }
    process->exited = true;
    watch_free(steal(process->watch));
    condition_wake(&process->gone);
    if (process->orphaned)
        process_free(process);
    else if (process->on_exit)
        process->on_exit(process->on_exit_owner);
}

/* 0 when it cannot be read. */
static uint64_t read_start_time(pid_t pid)
{
    scoped_arena struct arena *arena = arena_new();
    char *stat = file_read(arena, arena_printf(arena, "/proc/%d/stat", (int)pid), 4096, NULL, NULL);
    char *field = stat ? strrchr(stat, ')') : NULL; /* the command name may contain anything */
    for (int i = 2; field && i < 22; i++)
        field = strchr(field + 1, ' ');
    return field ? strtoull(field, NULL, 10) : 0;
}

static struct process *process_new(pid_t pid, bool child, struct error *err)
{
    int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0 && errno == ESRCH)
        return error_null(err, ERR_NO_SUPPORT, "there is no process %d", (int)pid);
    if (pidfd < 0)
        return error_null_system(err, errno, "cannot watch process %d", (int)pid);
    fcntl(pidfd, F_SETFD, FD_CLOEXEC);
    struct process *process = xcalloc(1, sizeof *process);
    /* read after the pidfd is open: from here the pid cannot be reused unnoticed */
    *process = (struct process){
        .pid = pid, .started = read_start_time(pid), .pidfd = pidfd, .status = -1, .child = child};
    condition_init(&process->gone);
    process->watch = watch_new(pidfd, UV_READABLE, process_gone, process);
    return process;
}

/* Everything the child does between vfork and exec, in terms of system calls alone: it shares our memory. */
struct launch {
    const struct argv *argv;
    const struct process_options *options;
    int stdio[3];
    const sigset_t *mask;
    char *const *environment;
    int error;
};

static void launch_child(struct launch *launch)
{
    const struct process_options *options = launch->options;
    if (options->detach)
        setsid();
    else if (options->group ? setpgid(0, 0) < 0 : prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        goto failed;
    if (options->directory && chdir(options->directory) < 0)
        goto failed;
    for (int i = 0; i < 3; i++)
        if (dup2(launch->stdio[i], i) < 0)
            goto failed;
    const struct rlimit memory = {options->memory_limit, options->memory_limit};
    const struct rlimit cpu = {options->cpu_limit_s, options->cpu_limit_s};
    if ((options->memory_limit && setrlimit(RLIMIT_AS, &memory) < 0) ||
        (options->cpu_limit_s && setrlimit(RLIMIT_CPU, &cpu) < 0))
        goto failed;
    if (close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
        goto failed;
    for (size_t i = 0; i < options->pass_fd_count; i++)
        if (fcntl(options->pass_fds[i], F_SETFD, 0) < 0)
            goto failed;
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigprocmask(SIG_SETMASK, launch->mask, NULL);
    execvpe(launch->argv->items[0], launch->argv->items, launch->environment);
failed:
    launch->error = errno;
    _exit(127);
}

/* Our handlers must not run in the child while it shares our memory, so signals are blocked around it. */
__attribute__((noinline)) static pid_t launch_fork(struct launch *launch)
{
    sigset_t all, empty;
    sigset_t before;
    sigfillset(&all);
    sigemptyset(&empty);
    launch->mask = &empty;
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = vfork();
    if (pid == 0)
        launch_child(launch);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return pid;
}

/* A copy above 2, so that dup2 onto 0, 1 and 2 cannot overwrite one that is still to be used. */
static int stdio_copy(int fd, int which)
{
    if (fd >= 0)
        return fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int null = open("/dev/null", (which == 0 ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
    if (null > 2 || null < 0)
        return null;
    int copy = fcntl(null, F_DUPFD_CLOEXEC, 3);
    close(null);
    return copy;
}

struct process *process_spawn(const struct argv *argv, const struct process_options *options, struct error *err)
{
    struct launch launch = {.argv = argv, .options = options, .environment = options->environment ?: environ};
    const int wanted[3] = {options->stdin_fd, options->stdout_fd, options->stderr_fd};
    for (int i = 0; i < 3; i++)
        launch.stdio[i] = stdio_copy(wanted[i], i);

    pid_t pid = launch_fork(&launch);
    int fork_errno = errno;
    for (int i = 0; i < 3; i++)
        if (launch.stdio[i] >= 0)
            close(launch.stdio[i]);
    if (pid < 0)
        return error_null_system(err, fork_errno, "cannot make a process for '%s'", argv->items[0]);
    if (launch.error) {
        waitpid(pid, NULL, 0);
        return error_null_system(err, launch.error, "cannot run '%s'", argv->items[0]);
    }
    struct process *process = process_new(pid, true, err);
    if (!process) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return NULL;
    }
    process->detached = options->detach;
    process->group = options->group;
    return process;
}

struct process *process_adopt(pid_t pid, uint64_t start_time, struct error *err)
{
    struct process *process = process_new(pid, false, err);
    if (!process)
        return NULL;
    process->detached = true;
    if (process->started == start_time)
        return process;
    bool there = pidfd_send_signal(process->pidfd, 0, NULL, 0) == 0;
    bool unknown = !process->started && there;
    process_free(process);
    if (unknown)
        return error_null(err, ERR_SYSTEM_ERROR, "when process %d was started cannot be read", (int)pid);
    return error_null(err, ERR_NO_SUPPORT, "process %d is another one than was recorded", (int)pid);
}

void process_free(struct process *process)
{
    if (!process)
        return;
    if (process->child && !process->exited) {
        if (!process->detached)
            process_kill(process, SIGKILL);
        process->orphaned = true; /* somebody has to reap it */
        process->on_exit = NULL;
        return;
    }
    watch_free(process->watch);
    timer_free(process->late);
    close(process->pidfd);
    free(process);
}

pid_t process_pid(const struct process *process)
{
    return process->pid;
}

uint64_t process_started(const struct process *process)
{
    return process->started;
}

static void tell_exit(void *owner)
{
    struct process *process = owner;
    timer_free(steal(process->late));
    if (process->on_exit)
        process->on_exit(process->on_exit_owner); /* may free the process */
}

void process_on_exit(struct process *process, void (*exited)(void *owner), void *owner)
{
    process->on_exit = exited;
    process->on_exit_owner = owner;
    if (process->exited && exited && !process->late)
        process->late = timer_new(0, 0, tell_exit, process);
}

bool process_has_exited(const struct process *process)
{
    return process->exited;
}

int process_status(const struct process *process)
{
    return process->status;
}

const char *process_status_text(struct arena *arena, int status)
{
    if (status == -1)
        return "exit status unknown";
    if (WIFSIGNALED(status))
        return arena_printf(arena, "killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return arena_printf(arena, "exit status %d", WEXITSTATUS(status));
}

int process_kill(struct process *process, int signal)
{
    if (process->exited)
        return 0;
    /* the group's number is not given to others before its leader is reaped */
    return process->group ? kill(-process->pid, signal) : pidfd_send_signal(process->pidfd, signal, NULL, 0);
}

int process_wait(struct process *process, deadline until, struct error *err)
{
    while (!process->exited)
        if (condition_wait(&process->gone, until, err) < 0)
            return error_wrap(err, "waiting for process %d to end", (int)process->pid);
    return 0;
}

/* One output pipe of a helper. */
struct capture {
    int fd;
    struct watch *watch;
    struct text *into;
    size_t max;
    bool keep_tail; /* beyond max: the last bytes win (stderr); otherwise it overflows */
    bool ended, overflowed;
    struct condition *changed;
};

/* False when there is nothing more, for now or for good. */
static bool capture_read(struct capture *capture)
{
    ssize_t got = read(capture->fd, text_reserve(capture->into, 4096), 4096);
    if (got > 0) {
        capture->into->length += (size_t)got;
        capture->into->data[capture->into->length] = '\0';
        if (capture->into->length > capture->max && capture->keep_tail) {
            size_t cut = capture->into->length - capture->max;
            memmove(capture->into->data, capture->into->data + cut, capture->max + 1);
            capture->into->length = capture->max;
        } else if (capture->into->length > capture->max) {
            capture->overflowed = capture->ended = true;
        }
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        capture->ended = true;
    }
    return got > 0 && !capture->ended;
}

static void capture_ready(void *owner, int events)
{
    struct capture *capture = owner;
    capture_read(capture);
    if (!capture->ended)
        return;
    watch_free(steal(capture->watch));
    condition_wake(capture->changed);
}

static void capture_finish(struct capture *capture)
{
    watch_free(capture->watch);
    if (capture->fd >= 0)
        close(capture->fd);
}
#define scoped_capture scope_cleanup(capture_finish)

static int capture_start(struct capture *capture, int *child_end, struct error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_system(err, errno, "cannot make a pipe");
    fcntl(ends[0], F_SETFL, O_NONBLOCK); /* our end only: the helper expects a plain pipe */
    capture->fd = ends[0];
    capture->watch = watch_new(ends[0], UV_READABLE, capture_ready, capture);
    *child_end = ends[1];
    return 0;
}

static const char *last_line(struct text *text)
{
    while (text->length && strchr("\n\r ", text->data[text->length - 1]))
        text->data[--text->length] = '\0';
    const char *string = text_string(text), *newline = strrchr(string, '\n');
    return newline ? newline + 1 : string;
}

static void wake(void *condition)
{
    condition_wake(condition);
}

/* Until all has been said: with the end of its output, or its own when children of it may keep that open. */
static int run_wait(struct process *process, struct capture *out, struct capture *errors, deadline until,
                    struct error *err)
{
    if (process->group)
        process_on_exit(process, wake, out->changed);
    while (!(process->group ? process->exited : out->ended && errors->ended) && !out->overflowed)
        if (condition_wait(out->changed, until, err) < 0)
            return -1;
    while (process->exited && !out->ended && capture_read(out))
        ;
    while (process->exited && !errors->ended && capture_read(errors))
        ;
    return 0;
}

static int run(const struct argv *argv, struct process_options options, struct text *output, size_t max_output,
               deadline until, struct error *err)
{
    scoped_text struct text complaints = {0};
    struct condition changed;
    condition_init(&changed);
    scoped_capture struct capture out = {.fd = -1, .into = output, .max = max_output, .changed = &changed};
    scoped_capture struct capture errors = {
        .fd = -1, .into = &complaints, .max = 4096, .keep_tail = true, .changed = &changed};
    scoped_fd int out_end = -1, error_end = -1;
    out.ended = !output;
    if ((output && capture_start(&out, &out_end, err) < 0) || capture_start(&errors, &error_end, err) < 0)
        return -1;
    options.stdout_fd = out_end;
    options.stderr_fd = error_end;
    scoped_process struct process *process = process_spawn(argv, &options, err);
    if (!process)
        return -1;
    if (output)
        close(steal_fd(&out_end));
    close(steal_fd(&error_end));

    if (run_wait(process, &out, &errors, until, err) < 0)
        return error_wrap(err, "running '%s'", argv->items[0]);
    if (out.overflowed)
        return error_set(err, ERR_INTERNAL_ERROR, "'%s' wrote more than the %zu bytes that are accepted",
                         argv->items[0], max_output);
    if (process_wait(process, until, err) < 0)
        return -1;
    if (process->status == 0)
        return 0;
    scoped_arena struct arena *arena = arena_new();
    return error_set(err, ERR_INTERNAL_ERROR, "'%s' failed (%s): %s", argv->items[0],
                     process_status_text(arena, process->status), last_line(&complaints));
}

int process_run(const struct argv *argv, struct text *output, size_t max_output, deadline until, struct error *err)
{
    return run(argv, (struct process_options){.stdin_fd = -1}, output, max_output, until, err);
}

int process_run_script(const struct argv *argv, char *const *environment, int input, struct text *output,
                       size_t max_output, deadline until, struct error *err)
{
    const struct process_options options = {.environment = environment, .stdin_fd = input, .group = true};
    return run(argv, options, output, max_output, until, err);
}
