/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/cgroup.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fiber.h"
#include "base/text.h"

/* Of the v1 hierarchies those that account for or limit a guest. */
static const char *const controllers[] = {"cpu", "cpuacct", "memory", "blkio"};
#define HIERARCHIES_MAX 8
#define REMOVE_TRIES    20 /* of 10 ms: the kernel lets go of a dead process a little later */

/* Lives on the heap, because a caller that gives up leaves it to the worker thread. */
struct placement {
    char *group;
    pid_t pid; /* 0 = remove */
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

static void place(const char *root, const char *group, pid_t pid)
{
    scoped_free char *path = xprintf("%s/%s", root, group);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = '\0';
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            return;
    }
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return;
    scoped_free char *procs = xprintf("%s/cgroup.procs", path);
    scoped_fd int fd = open(procs, O_WRONLY | O_CLOEXEC);
    char text[16];
    int length = snprintf(text, sizeof text, "%d\n", (int)pid);
    if (fd < 0 || write(fd, text, length) != length) /* not dprintf: it leaks its buffer when the process is gone */
        rmdir(path);
}

static void take_away(const char *root, const char *group)
{
    scoped_free char *path = xprintf("%s/%s", root, group);
    for (int i = 0; i < REMOVE_TRIES && rmdir(path) < 0 && errno == EBUSY; i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

static void placement_work(void *argument)
{
    struct placement *placement = argument;
    char *roots[HIERARCHIES_MAX];
    size_t count = hierarchies(roots, NULL);
    for (size_t i = 0; i < count; i++) {
        if (placement->pid)
            place(roots[i], placement->group, placement->pid);
        else
            take_away(roots[i], placement->group);
        free(roots[i]);
    }
}

static void placement_free(void *argument)
{
    struct placement *placement = argument;
    free(placement->group);
    free(placement);
}

static void placement_run(const char *group, pid_t pid)
{
    struct placement *placement = xcalloc(1, sizeof *placement);
    struct error ignored;
    *placement = (struct placement){xstrdup(group), pid};
    if (await_work(placement_work, placement_free, placement, deadline_ms(10000), &ignored) == 0)
        placement_free(placement);
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

char *cgroup_name(struct arena *arena, const char *host, int id, const char *name)
{
    return arena_printf(arena, "godwit/%s/%s", plain(arena, "", host),
                        plain(arena, arena_printf(arena, "%d-", id), name));
}

void cgroup_place(const char *group, pid_t pid)
{
    placement_run(group, pid);
}

void cgroup_remove(const char *group)
{
    placement_run(group, 0);
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
