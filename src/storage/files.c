/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "storage/files.h"
#include "storage/pool.h"

/* Pools whose volumes are the files of a directory: what lies in it. */

#define DIRECTORY_MODE 0711 /* of a target that is made */

const char *const file_formats[] = {"raw", "none", "dir",  "bochs", "cloop", "dmg",   "iso", "vpc",  "vdi",
                                    "fat", "vhd",  "ploop", "cow",  "qcow",  "qcow2", "qed", "vmdk", NULL};

/* -- listing ------------------------------------------------------------------------------------------------------- */

struct known {
    const char *name;
    struct volume_facts facts; /* without the image */
};

struct scan {
    struct task task;
    const char *path;
    const char *prefix;  /* of the half-made volumes of this host */
    int directory;
    struct known *known; /* by name */
    size_t known_count, known_next; /* the names are looked for in order */
    struct listing listing;
    struct text skipped; /* for the log */
};

static void scan_release(struct task *task)
{
    struct scan *scan = container_of(task, struct scan, task);
    listing_finish(&scan->listing);
    text_finish(&scan->skipped);
    free(scan);
}

void listing_finish(struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++)
        volume_facts_finish(&listing->items[i].facts);
    listing->count = 0;
    arena_free(listing->arena);
    listing->arena = NULL;
}

static const struct known *known_find(struct scan *scan, const char *name)
{
    int order = -1;
    for (; scan->known_next < scan->known_count; scan->known_next++)
        if ((order = strcmp(scan->known[scan->known_next].name, name)) >= 0)
            break;
    return order == 0 ? &scan->known[scan->known_next] : NULL;
}

/* A name that can stand in XML and on a line. */
static bool name_is_tellable(const char *name)
{
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return false;
    return utf8_valid(name, strlen(name));
}

/* A volume that was being made when its maker died. Its name says which host and process that was. */
static void remove_litter(const struct scan *scan, const char *name)
{
    const char *pid = string_after(name, scan->prefix);
    scoped_free char *process = pid ? xprintf("/proc/%.*s", (int)strcspn(pid, "."), pid) : NULL;
    scoped_free char *path = process && access(process, F_OK) < 0 ? xprintf("%s/%s", scan->path, name) : NULL;
    if (path)
        unlink(path);
}

static void scan_entry(struct scan *scan, const char *name, struct listed *item)
{
    struct listing *listing = &scan->listing;
    struct error err = {0};
    if (string_starts(name, FILES_TEMPORARY)) {
        remove_litter(scan, name);
        return;
    }
    if (!name_is_tellable(name)) {
        text_printf(&scan->skipped, "%sa file whose name has control characters or is not UTF-8",
                    scan->skipped.length ? "; " : "");
        return;
    }
    item->path = item->key = arena_printf(listing->arena, "%s/%s", string_equal(scan->path, "/") ? "" : scan->path,
                                          name);
    item->name = strrchr(item->path, '/') + 1;
    const struct known *known = known_find(scan, name);
    int rc = volume_facts_read_at(scan->directory, item->name, item->path, known ? &known->facts : NULL, &item->facts,
                                  &item->same, &err);
    if (rc == 0)
        listing->count++;
    else if (rc < 0) /* one that cannot be read must not hide the others */
        text_printf(&scan->skipped, "%s%s", scan->skipped.length ? "; " : "", err.message);
}

static int not_dots(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int name_order(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void scan_run(struct task *task)
{
    struct scan *scan = container_of(task, struct scan, task);
    struct dirent **entries;
    scoped_fd int directory = open(scan->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int count = directory < 0 ? -1 : scandir(scan->path, &entries, not_dots, name_order);
    if (count < 0) {
        error_system(&task->error, errno, "cannot open directory '%s'", scan->path);
        return;
    }
    scan->directory = directory;
    scan->listing.items = arena_new_array(scan->listing.arena, (size_t)count, struct listed);
    for (int i = 0; i < count; i++) {
        scan_entry(scan, entries[i]->d_name, &scan->listing.items[scan->listing.count]);
        free(entries[i]);
    }
    free(entries);
    files_space(scan->path, &scan->listing.space, &task->error);
}

/* What the pool knows, copied: it may change while the worker looks. */
static void scan_remember(struct scan *scan, struct pool *pool)
{
    struct arena *arena = scan->listing.arena;
    scan->known = arena_new_array(arena, HASH_CNT(by_name, pool->by_name), struct known);
    for (struct volume *volume = volume_first(pool); volume; volume = volume_next(volume)) {
        struct known *known = &scan->known[scan->known_count++];
        known->name = arena_strdup(arena, volume->name);
        known->facts = volume->facts;
        known->facts.image = NULL;
    }
}

int files_list(struct pool *pool, const struct pool_def *def, struct listing *listing, struct error *err)
{
    struct scan *scan = xcalloc(1, sizeof *scan);
    scan->task = (struct task){.run = scan_run, .release = scan_release};
    scan->listing.arena = arena_new();
    scan->path = arena_strdup(scan->listing.arena, def->target.path);
    scan->prefix = files_temporary_prefix(scan->listing.arena, pool->storage);
    scan_remember(scan, pool);
    scoped_task struct task *task = &scan->task;
    if (task_run(&task, deadline_ms(TASK_MS), err) < 0)
        return task ? -1 : error_wrap(err, "reading the directory '%s'", def->target.path);
    if (scan->skipped.length)
        log_warning("storage pool '%s': left out: %s", pool_name(pool), text_string(&scan->skipped));
    arena_free(listing->arena);
    *listing = scan->listing;
    scan->listing = (struct listing){0};
    return 0;
}

/* -- the directory ------------------------------------------------------------------------------------------------- */

struct target_task {
    struct task task;
    char *path;
    mode_t mode;
    uid_t uid;
    gid_t gid;
};

static void target_release(struct task *task)
{
    struct target_task *target = container_of(task, struct target_task, task);
    free(target->path);
    free(target);
}

static struct task *target_task_new(const struct pool_def *def, void (*run)(struct task *task))
{
    struct target_task *target = xcalloc(1, sizeof *target);
    target->task = (struct task){.run = run, .release = target_release};
    target->path = xstrdup(def->target.path);
    target->mode = permissions_mode(def->target.permissions, DIRECTORY_MODE);
    target->uid = permissions_owner(def->target.permissions);
    target->gid = permissions_group(def->target.permissions);
    return &target->task;
}

/* A directory that is there keeps its owner and mode unless the definition says others. */
static void make_run(struct task *task)
{
    struct target_task *target = container_of(task, struct target_task, task);
    for (char *slash = strchr(target->path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(target->path, 0755) < 0 && errno != EEXIST)
            error_system(&task->error, errno, "cannot make directory '%s'", target->path);
        *slash = '/';
        if (task->error.code)
            return;
    }
    if (mkdir(target->path, target->mode) < 0 && errno != EEXIST)
        error_system(&task->error, errno, "cannot make directory '%s'", target->path);
    else if ((target->uid != (uid_t)-1 || target->gid != (gid_t)-1) &&
             chown(target->path, target->uid, target->gid) < 0)
        error_system(&task->error, errno, "cannot change the owner of directory '%s'", target->path);
}

static void make_mode_run(struct task *task)
{
    struct target_task *target = container_of(task, struct target_task, task);
    make_run(task);
    if (!task->error.code && chmod(target->path, target->mode) < 0)
        error_system(&task->error, errno, "cannot change the mode of directory '%s'", target->path);
}

static void remove_run(struct task *task)
{
    struct target_task *target = container_of(task, struct target_task, task);
    if (rmdir(target->path) < 0)
        error_system(&task->error, errno, "cannot remove directory '%s'", target->path);
}

int target_make(const struct pool_def *def, struct error *err)
{
    bool mode_said = def->target.permissions && def->target.permissions->mode;
    scoped_task struct task *task = target_task_new(def, mode_said ? make_mode_run : make_run);
    return task_run(&task, deadline_ms(TASK_MS), err);
}

int target_build(struct pool *pool, const struct pool_def *def, unsigned flags, struct error *err)
{
    if (flags) /* nothing is ever formatted here, so there is nothing that these could mean */
        return error_set(err, ERR_ARGUMENT_UNSUPPORTED,
                         "to build a pool of type '%s' is to make its directory: neither --overwrite nor "
                         "--no-overwrite has a meaning", pool_type_name(def->type));
    return target_make(def, err);
}

int target_erase(struct pool *pool, const struct pool_def *def, struct error *err)
{
    scoped_task struct task *task = target_task_new(def, remove_run);
    return task_run(&task, deadline_ms(TASK_MS), err);
}
