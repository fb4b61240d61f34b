/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/pool.h"
#include "storage/task.h"

/* Which running domain uses a volume: as its disk, or below it in a chain of backing images. */

struct disk_path {
    const char *domain, *target, *path;
};

struct search {
    struct task task;
    struct arena *arena;
    struct disk_path *disks;
    size_t count, capacity;
    const char *path; /* of the volume; one that lies on a server has none of this host, and no '/' in front */
    const struct disk_path *found;
};

static void search_release(struct task *task)
{
    struct search *search = container_of(task, struct search, task);
    arena_free(search->arena);
    free(search);
}

static void collect(void *context, const char *domain, const char *target, const char *path)
{
    struct search *search = context;
    *arena_grow(search->arena, search->disks, search->count, search->capacity, 64) = (struct disk_path){
        arena_strdup(search->arena, domain), arena_strdup(search->arena, target), arena_strdup(search->arena, path)};
    search->count++;
}

/* Follows the chain by what the headers say; a loop in it ends at the limit. */
static bool chain_has(const char *path, const struct stat *wanted)
{
    scoped_free char *at = xstrdup(path);
    for (int depth = 0; at && depth < IMAGE_DEPTH_MAX; depth++) {
        struct stat status;
        if (stat(at, &status) < 0)
            return false;
        if (status.st_dev == wanted->st_dev && status.st_ino == wanted->st_ino)
            return true;
        scoped_free struct image *image = xcalloc(1, sizeof *image);
        char *next = image_read(at, image, NULL) == 0 ? image_backing_path(at, image) : NULL;
        free(at);
        at = next;
    }
    return false;
}

static bool is_here(const char *path)
{
    return *path == '/';
}

static void search_run(struct task *task)
{
    struct search *search = container_of(task, struct search, task);
    struct stat wanted = {0};
    if (is_here(search->path) && stat(search->path, &wanted) < 0) {
        if (errno != ENOENT) /* what is not there is not used */
            error_system(&task->error, errno, "cannot look at '%s'", search->path);
        return;
    }
    for (size_t i = 0; i < search->count && !search->found; i++) {
        const char *path = search->disks[i].path;
        if (is_here(path) != is_here(search->path))
            continue;
        if (is_here(path) ? chain_has(path, &wanted) : string_ends(search->path, path))
            search->found = &search->disks[i];
    }
}

int storage_check_unused(struct storage *storage, const char *path, const char *operation, struct error *err)
{
    if (!storage->each_disk)
        return 0;
    struct search *search = xcalloc(1, sizeof *search);
    search->task = (struct task){.run = search_run, .release = search_release};
    search->arena = arena_new();
    search->path = arena_strdup(search->arena, path);
    scoped_task struct task *task = &search->task;
    storage->each_disk(storage->owner, collect, search);
    if (search->count && task_run(&task, deadline_ms(TASK_MS), err) < 0)
        return error_wrap(err, "cannot find out whether a domain uses '%s'", path);
    if (!search->found)
        return 0;
    return error_set(err, ERR_OPERATION_INVALID,
                     "cannot %s: the running domain '%s' uses it (disk '%s'); stop the domain or detach the disk first",
                     operation, search->found->domain, search->found->target);
}

int volume_check_unused(struct volume *volume, const char *operation, struct error *err)
{
    scoped_free char *what = xprintf("%s volume '%s' of pool '%s'", operation, volume->name, pool_name(volume->pool));
    return storage_check_unused(volume->pool->storage, volume->path, what, err);
}
