/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/block.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "storage/task.h"
#include "storage/tool.h"

#define VALUE_MAX 4096

void block_facts(const char *node, uint64_t size, struct volume_facts *facts)
{
    struct stat status;
    *facts = (struct volume_facts){.type = STORAGE_VOL_BLOCK, .format = "raw", .capacity = size, .allocation = size,
                                   .physical = size};
    if (stat(node, &status) < 0)
        return;
    facts->mode = status.st_mode & 07777;
    facts->uid = status.st_uid;
    facts->gid = status.st_gid;
    facts->atime = status.st_atim;
    facts->mtime = status.st_mtim;
    facts->ctime = status.st_ctim;
}

/* A host without udev makes its nodes by other means. */
void block_settle(void)
{
    if (tool_there("udevadm"))
        tool_run(NULL, NULL, "udevadm", "settle", "--timeout=10", NULL);
}

int block_require_module(const char *path, const char *module, struct error *err)
{
    if (access(path, F_OK) == 0)
        return 0;
    if (tool_there("modprobe"))
        tool_run(NULL, NULL, "modprobe", "--", module, NULL);
    if (access(path, F_OK) == 0)
        return 0;
    return error_set(err, ERR_OPERATION_UNSUPPORTED, "this needs the kernel module '%s', which is not loaded and "
                     "cannot be; the running kernel may have been built without it", module);
}

/* -- looking at /sys ----------------------------------------------------------------------------------------------- */

struct work {
    struct task task;
    struct block_scan scan;
    struct arena *arena;
    struct listed *items;
    size_t count;
};

static void work_release(struct task *task)
{
    struct work *work = container_of(task, struct work, task);
    arena_free(work->arena);
    free(work);
}

char *block_value(struct arena *arena, const struct block_scan *scan, const char *entry, const char *name)
{
    scoped_free char *path = xprintf("%s/%s/%s", scan->directory, entry, name);
    char *value = file_read(arena, path, VALUE_MAX, NULL, NULL);
    if (value)
        value[strcspn(value, "\n")] = '\0';
    return value;
}

static void work_run(struct task *task)
{
    struct work *work = container_of(task, struct work, task);
    struct dirent **entries;
    int count = scandir(work->scan.directory, &entries, NULL, alphasort);
    if (count < 0 && errno == ENOENT) /* the kernel has no device of the kind yet */
        return;
    if (count < 0) {
        error_system(&task->error, errno, "cannot read '%s'", work->scan.directory);
        return;
    }
    work->items = arena_new_array(work->arena, (size_t)count, struct listed);
    for (int i = 0; i < count; i++) {
        struct listed *item = &work->items[work->count];
        if (entries[i]->d_name[0] != '.' && work->scan.take(work->arena, &work->scan, entries[i]->d_name, item))
            work->count++;
        free(entries[i]);
    }
    free(entries);
}

int block_list(const struct block_scan *scan, struct listing *listing, struct error *err)
{
    struct work *work = xcalloc(1, sizeof *work);
    work->task = (struct task){.run = work_run, .release = work_release};
    work->arena = arena_new();
    work->scan = *scan;
    work->scan.target = arena_strdup(work->arena, scan->target);
    scoped_task struct task *task = &work->task;
    block_settle();
    if (task_run(&task, deadline_ms(TASK_MS), err) < 0)
        return -1;
    arena_free(listing->arena);
    *listing = (struct listing){.arena = work->arena, .items = work->items, .count = work->count};
    work->arena = NULL;
    for (size_t i = 0; i < listing->count; i++)
        listing->space.capacity += listing->items[i].facts.capacity;
    listing->space.allocation = listing->space.capacity;
    return 0;
}
