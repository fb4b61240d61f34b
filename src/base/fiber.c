/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/fiber.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>

#include "base/arena.h"
#include "base/loop.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif

#ifdef HAVE_ASAN
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#else /* the annotations tell ASan which stack is in use */
#define __sanitizer_start_switch_fiber(save, bottom, size) ((void)(save))
#define __sanitizer_finish_switch_fiber(saved, bottom, size) ((void)(saved))
#endif

#define STACK_SIZE (512 * 1024) /* address space: only what was touched takes memory */
#define GUARD_SIZE (16 * 1024)
#define POOL_MAX   16 /* idle fibers kept with their stacks: a burst of requests costs no mmap */

/* What only a waiting fiber's stack points at is not leaked: it may still wait when the process ends. */
static void leak_root(void *memory, bool add)
{
#ifdef HAVE_ASAN
    char *stack = (char *)memory + GUARD_SIZE;
    if (add)
        __lsan_register_root_region(stack, STACK_SIZE);
    else
        __lsan_unregister_root_region(stack, STACK_SIZE);
#endif
}

/* One side of a switch: the loop's own stack or a fiber's. */
struct context {
    ucontext_t registers;
    const void *stack_bottom;
    size_t stack_size;
    void *fake_stack; /* ASan's */
};

enum wake { WAKE_NONE, WAKE_EVENT, WAKE_TIMEOUT, WAKE_CANCEL };

struct fiber {
    struct context context;
    struct context *resumer;   /* who gets control back at the next wait */
    struct fiber *resumer_self; /* what fiber_self() is there */
    const char *name;
    void (*run)(void *argument);
    void *argument;
    void *memory; /* guard and stack */
    struct list ready;  /* in scheduler.ready, or in scheduler.pool while unused */
    struct list waiter; /* in a condition */
    uv_timer_t timer;
    enum wake wake;
    bool waiting, cancelled, shielded, done;
};

static struct {
    struct context loop; /* the loop's own stack */
    struct fiber *current;
    struct list ready, pool;
    size_t pooled;
    uv_check_t check; /* runs what became ready, after the loop's callbacks */
    uv_idle_t idle;   /* active while something is ready, so that the loop does not sleep on it */
    bool started;
} scheduler;

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

deadline deadline_ms(uint64_t milliseconds)
{
    return now_ns() + milliseconds * 1000000u;
}

static void context_switch(struct context *from, struct context *to, bool for_ever)
{
    __sanitizer_start_switch_fiber(for_ever ? NULL : &from->fake_stack, to->stack_bottom, to->stack_size);
    swapcontext(&from->registers, &to->registers);
    __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
}

/* Runs the fiber until it waits or ends. */
static void resume(struct fiber *fiber)
{
    fiber->resumer = scheduler.current ? &scheduler.current->context : &scheduler.loop;
    fiber->resumer_self = scheduler.current;
    scheduler.current = fiber;
    context_switch(fiber->resumer, &fiber->context, false);
}

static void give_back(struct fiber *fiber)
{
    scheduler.current = fiber->resumer_self;
    context_switch(&fiber->context, fiber->resumer, fiber->done);
}

static void timer_closed(uv_handle_t *handle)
{
    struct fiber *fiber = handle->data;
    munmap(fiber->memory, GUARD_SIZE + STACK_SIZE);
    free(fiber);
}

static void retire(struct fiber *fiber)
{
    leak_root(fiber->memory, false);
    if (scheduler.pooled == POOL_MAX) {
        uv_close((uv_handle_t *)&fiber->timer, timer_closed);
        return;
    }
    scheduler.pooled++;
    list_append(&scheduler.pool, &fiber->ready);
}

static void run_ready(uv_check_t *handle)
{
    struct list batch; /* what becomes ready meanwhile waits for the next turn: I/O is not starved */
    list_init(&batch);
    while (!list_empty(&scheduler.ready)) {
        struct list *item = scheduler.ready.next;
        list_remove(item);
        list_append(&batch, item);
    }
    while (!list_empty(&batch)) {
        struct fiber *fiber = container_of(batch.next, struct fiber, ready);
        list_remove(&fiber->ready);
        resume(fiber);
        if (fiber->done)
            retire(fiber);
    }
    if (list_empty(&scheduler.ready))
        uv_idle_stop(&scheduler.idle);
}

static void idle(uv_idle_t *handle)
{
}

static void scheduler_start(void)
{
    if (scheduler.started)
        return;
    scheduler.started = true;
    list_init(&scheduler.ready);
    list_init(&scheduler.pool);
    uv_check_init(loop_get(), &scheduler.check);
    uv_idle_init(loop_get(), &scheduler.idle);
    uv_check_start(&scheduler.check, run_ready);
    uv_unref((uv_handle_t *)&scheduler.check);
}

static struct fiber *fiber_new(void)
{
    if (!list_empty(&scheduler.pool)) {
        struct fiber *fiber = container_of(scheduler.pool.next, struct fiber, ready);
        list_remove(&fiber->ready);
        scheduler.pooled--;
        return fiber;
    }
    struct fiber *fiber = xcalloc(1, sizeof *fiber);
    fiber->memory = mmap(NULL, GUARD_SIZE + STACK_SIZE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (fiber->memory == MAP_FAILED || mprotect(fiber->memory, GUARD_SIZE, PROT_NONE) < 0)
        abort();
    fiber->context.stack_bottom = (char *)fiber->memory + GUARD_SIZE;
    fiber->context.stack_size = STACK_SIZE;
    list_init(&fiber->ready);
    list_init(&fiber->waiter);
    uv_timer_init(loop_get(), &fiber->timer);
    fiber->timer.data = fiber;
    return fiber;
}

static void fiber_main(void)
{
    struct fiber *fiber = scheduler.current;
    __sanitizer_finish_switch_fiber(NULL, &fiber->resumer->stack_bottom, &fiber->resumer->stack_size);
    fiber->run(fiber->argument);
    fiber->done = true;
    give_back(fiber);
}

struct fiber *fiber_start(const char *name, void (*run)(void *argument), void *argument)
{
    scheduler_start();
    struct fiber *fiber = fiber_new();
    fiber->name = name;
    fiber->run = run;
    fiber->argument = argument;
    fiber->waiting = fiber->cancelled = fiber->shielded = fiber->done = false;
    leak_root(fiber->memory, true);
    getcontext(&fiber->context.registers);
    fiber->context.registers.uc_stack.ss_sp = (char *)fiber->memory + GUARD_SIZE;
    fiber->context.registers.uc_stack.ss_size = STACK_SIZE;
    makecontext(&fiber->context.registers, fiber_main, 0);
    resume(fiber);
    if (!fiber->done)
        return fiber;
    retire(fiber);
    return NULL;
}

struct fiber *fiber_self(void)
{
    return scheduler.current;
}

static void make_ready(struct fiber *fiber, enum wake why)
{
    if (!fiber->waiting || fiber->wake != WAKE_NONE)
        return;
    fiber->wake = why;
    list_remove(&fiber->waiter);
    list_append(&scheduler.ready, &fiber->ready);
    uv_idle_start(&scheduler.idle, idle);
}

void fiber_cancel(struct fiber *fiber)
{
    fiber->cancelled = true;
    if (!fiber->shielded)
        make_ready(fiber, WAKE_CANCEL);
}

bool fiber_is_cancelled(const struct fiber *fiber)
{
    return fiber->cancelled && !fiber->shielded;
}

bool fiber_shield(bool shielded)
{
    bool before = scheduler.current->shielded;
    scheduler.current->shielded = shielded;
    return before;
}

static void timer_fired(uv_timer_t *timer)
{
    make_ready(timer->data, WAKE_TIMEOUT);
}

static enum wake suspend(struct fiber *fiber, deadline until)
{
    if (fiber_is_cancelled(fiber)) {
        list_remove(&fiber->waiter);
        return WAKE_CANCEL;
    }
    if (until != DEADLINE_NONE) {
        uint64_t now = now_ns();
        uv_update_time(loop_get());
        /* rounded up: a wait never ends before its deadline */
        uv_timer_start(&fiber->timer, timer_fired, until > now ? (until - now + 999999) / 1000000 : 0, 0);
    }
    fiber->waiting = true;
    fiber->wake = WAKE_NONE;
    give_back(fiber);
    fiber->waiting = false;
    uv_timer_stop(&fiber->timer);
    return fiber->wake;
}

void condition_init(struct condition *condition)
{
    list_init(&condition->waiters);
}

int condition_wait(struct condition *condition, deadline until, struct error *err)
{
    struct fiber *self = scheduler.current;
    if (!self)
        abort(); /* waiting on the loop's own stack would stop everybody */
    list_append(&condition->waiters, &self->waiter);
    switch (suspend(self, until)) {
    case WAKE_TIMEOUT:
        return error_set(err, ERR_OPERATION_TIMEOUT, "timed out");
    case WAKE_CANCEL:
        return error_set(err, ERR_OPERATION_ABORTED, "cancelled: whoever asked is gone");
    default:
        return 0;
    }
}

void condition_wake(struct condition *condition)
{
    while (!list_empty(&condition->waiters))
        make_ready(container_of(condition->waiters.next, struct fiber, waiter), WAKE_EVENT);
}

int await_sleep(deadline until, struct error *err)
{
    struct condition never;
    condition_init(&never);
    struct error reason = {0};
    condition_wait(&never, until, &reason);
    return reason.code == ERR_OPERATION_TIMEOUT ? 0 : error_set(err, reason.code, "%s", reason.message);
}

struct fd_wait {
    struct condition condition;
    int events;
};

static void fd_ready(void *owner, int events)
{
    struct fd_wait *wait = owner;
    wait->events = (events & UV_READABLE ? POLLIN : 0) | (events & UV_WRITABLE ? POLLOUT : 0);
    condition_wake(&wait->condition);
}

int await_fd(int fd, int events, deadline until, struct error *err)
{
    struct fd_wait wait = {0};
    condition_init(&wait.condition);
    int wanted = (events & POLLIN ? UV_READABLE : 0) | (events & POLLOUT ? UV_WRITABLE : 0);
    /* epoll knows a descriptor once: of two fibers, one that reads and one that writes, the second watches a copy */
    scoped_fd int copy = -1;
    struct watch *watch = watch_try(fd, wanted, fd_ready, &wait);
    if (!watch) {
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (copy < 0)
            return error_system(err, errno, "cannot wait for descriptor %d", fd);
        watch = watch_new(copy, wanted, fd_ready, &wait);
    }
    int rc = condition_wait(&wait.condition, until, err);
    watch_free(watch);
    return rc < 0 ? -1 : wait.events;
}

struct work {
    uv_work_t request;
    void (*work)(void *argument);
    void (*release)(void *argument);
    void *argument;
    bool slow;
    struct condition finished;
    bool done, abandoned;
};

/* The threads are the process's, and so is the count of those that slow work holds. */
static struct {
    unsigned inside;
    struct condition left;
} slow;

static void work_run(uv_work_t *request)
{
    struct work *work = container_of(request, struct work, request);
    work->work(work->argument);
}

static void work_done(uv_work_t *request, int status)
{
    struct work *work = container_of(request, struct work, request);
    work->done = true;
    if (work->slow) {
        slow.inside--;
        condition_wake(&slow.left);
    }
    if (!work->abandoned) {
        condition_wake(&work->finished);
        return;
    }
    if (work->release)
        work->release(work->argument);
    free(work);
}

static int work_await(bool is_slow, void (*run)(void *argument), void (*release)(void *argument), void *argument,
                      deadline until, struct error *err)
{
    struct work *work = xcalloc(1, sizeof *work);
    *work = (struct work){.work = run, .release = release, .argument = argument, .slow = is_slow};
    condition_init(&work->finished);
    uv_queue_work(loop_get(), &work->request, work_run, work_done);
    int rc = condition_wait(&work->finished, until, err);
    if (work->done) {
        free(work);
        return 0; /* done at the very moment of the deadline is done */
    }
    work->abandoned = true;
    return rc;
}

int await_work(void (*run)(void *argument), void (*release)(void *argument), void *argument, deadline until,
               struct error *err)
{
    return work_await(false, run, release, argument, until, err);
}

bool slow_work_is_full(void)
{
    return slow.inside >= SLOW_WORK_MAX;
}

int await_slow_work(void (*run)(void *argument), void (*release)(void *argument), void *argument, deadline until,
                    struct error *err)
{
    if (!slow.left.waiters.next)
        condition_init(&slow.left);
    while (slow_work_is_full())
        if (condition_wait(&slow.left, until, err) < 0) {
            if (release)
                release(argument);
            return error_wrap(err, "%u others of its kind are under way and do not end; does a server hang?",
                              slow.inside);
        }
    slow.inside++;
    return work_await(true, run, release, argument, until, err);
}
