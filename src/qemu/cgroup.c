/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/cgroup.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <string.h>
#include <time.h>

#include "base/fiber.h"
#include "base/files.h"
#include "base/text.h"

/* Of the v1 hierarchies those that account for or limit a guest. */
static const char *const controllers[] = {"cpu", "cpuacct", "memory", "blkio"};
#define HIERARCHIES_MAX 8
#define REMOVE_TRIES    20 /* of 10 ms: the kernel lets go of a dead process a little later */
#define PLACE_TRIES     3  /* a sweep may take the empty group away before the process is in it */

/* What is to be done in each hierarchy. Lives on the heap, because a caller that gives up leaves it to the worker
 * thread. */
struct task {
    void (*action)(const char *path, pid_t pid);
    char *group;
    pid_t pid;
};

static bool is_wanted(const struct mntent *mount)
{
    if (string_equal(mount->mnt_type, "cgroup2"))
        return true;
    for (size_t i = 0; string_equal(mount->mnt_type, "cgroup") && i < COUNT(controllers); i++)
        if (hasmntopt(mount, controllers[i]))
            return true;
    return false;
}

static size_t hierarchies(char *roots[HIERARCHIES_MAX], const char *controller)
{
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    struct mntent entry;
    char buffer[4096];
    size_t count = 0;
    while (mounts && count < HIERARCHIES_MAX && getmntent_r(mounts, &entry, buffer, sizeof buffer)) {
        bool v2 = string_equal(entry.mnt_type, "cgroup2");
        if (is_wanted(&entry) && (!controller || (*controller ? !v2 && hasmntopt(&entry, controller) : v2)))
            roots[count++] = xstrdup(entry.mnt_dir);
    }
    if (mounts)
        endmntent(mounts);
    return count;
}

static bool try_place(const char *path, pid_t pid)
{
    if (directory_make(path, 0755, NULL) < 0)
        return false;
    scoped_free char *procs = xprintf("%s/cgroup.procs", path);
    scoped_fd int fd = open(procs, O_WRONLY | O_CLOEXEC);
    char text[16];
    int length = snprintf(text, sizeof text, "%d\n", (int)pid);
    return fd >= 0 && write(fd, text, length) == length; /* not dprintf: it leaks when the process is gone */
}

static void place(const char *path, pid_t pid)
{
    for (int i = 0; i < PLACE_TRIES; i++)
        if (try_place(path, pid))
            return;
    rmdir(path);
}

static void take_away(const char *path, pid_t pid)
{
    for (int i = 0; i < REMOVE_TRIES && rmdir(path) < 0 && errno == EBUSY; i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

static int sweep_one(void *family, const char *name, struct error *err)
{
    scoped_free char *path = xprintf("%s/%s", (const char *)family, name);
    rmdir(path); /* refused for what is no empty group */
    return 0;
}

static void sweep(const char *path, pid_t pid)
{
    directory_list(path, sweep_one, (void *)path, NULL);
}

static void task_work(void *argument)
{
    struct task *task = argument;
    char *roots[HIERARCHIES_MAX];
    size_t count = hierarchies(roots, NULL);
    for (size_t i = 0; i < count; i++) {
        scoped_free char *path = xprintf("%s/%s", roots[i], task->group);
        task->action(path, task->pid);
        free(roots[i]);
    }
}

static void task_free(void *argument)
{
    struct task *task = argument;
    free(task->group);
    free(task);
}

static void everywhere(void (*action)(const char *path, pid_t pid), const char *group, pid_t pid)
{
    struct task *task = xcalloc(1, sizeof *task);
    struct error ignored;
    *task = (struct task){action, xstrdup(group), pid};
    if (await_work(task_work, task_free, task, deadline_ms(10000), &ignored) == 0)
        task_free(task);
}

/* One path component: no slash, and no name that is all dots. */
static char *plain(struct arena *arena, const char *prefix, const char *name)
{
    char *component = arena_printf(arena, "%s%.100s", prefix, name);
    for (char *c = component; *c; c++)
        if (!isalnum((unsigned char)*c) && (c == component || !strchr("-.", *c)))
            *c = '_';
    return component;
}

char *cgroup_family(struct arena *arena, const char *host, const char *root)
{
    scoped_free char *real = realpath(root, NULL);
    uint32_t hash = 2166136261; /* FNV-1a */
    for (const char *c = real ? real : root; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    return arena_printf(arena, "godwit/%s-%08x", plain(arena, "", host), hash);
}

char *cgroup_name(struct arena *arena, const char *family, int id, const char *name)
{
    return arena_printf(arena, "%s/%s", family, plain(arena, arena_printf(arena, "%d-", id), name));
}

void cgroup_place(const char *group, pid_t pid)
{
    everywhere(place, group, pid);
}

void cgroup_remove(const char *group)
{
    everywhere(take_away, group, 0);
}

void cgroup_sweep(const char *family)
{
    everywhere(sweep, family, 0);
}

char *cgroup_path(struct arena *arena, const char *group, const char *controller)
{
    char *roots[HIERARCHIES_MAX], *path = NULL;
    size_t count = hierarchies(roots, controller);
    for (size_t i = 0; i < count; i++) {
        if (!path)
            path = arena_printf(arena, "%s/%s", roots[i], group);
        free(roots[i]);
    }
    return path && access(path, F_OK) == 0 ? path : NULL;
}
