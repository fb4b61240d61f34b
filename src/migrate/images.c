/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/process.h"

/* Images that the destination makes for a guest that comes with its disks. Each is noted in the journal as soon as it
 * is there, so that a daemon that was killed, or a host that went down, takes it back. */

enum { FILE_MS = 30000, CREATE_MS = 120000 };

static void list_image(struct migration *migration, const char *image)
{
    struct journal_entry *entry = &migration->entry;
    const char **longer = arena_new_array(migration->arena, entry->image_count + 1, const char *);
    for (uint32_t i = 0; i < entry->image_count; i++)
        longer[i] = entry->images[i];
    longer[entry->image_count++] = arena_strdup(migration->arena, image);
    entry->images = longer;
}

/* -- files, on a worker thread: their server may hang -------------------------------------------------------------- */

struct image_work {
    char *path;
    enum { IMAGE_LOOK, IMAGE_MAKE, IMAGE_REMOVE } what;
    uint64_t size;
    bool there;
    int errnum;
};

static void image_work_free(void *argument)
{
    struct image_work *work = argument;
    free(work->path);
    free(work);
}

static int make_file(const char *path, uint64_t size)
{
    scoped_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    if (ftruncate(fd, (off_t)size) == 0)
        return 0;
    int errnum = errno;
    unlink(path);
    return errnum;
}

static void image_work_run(void *argument)
{
    struct image_work *work = argument;
    struct stat status;
    switch (work->what) {
    case IMAGE_LOOK:
        work->there = stat(work->path, &status) == 0;
        work->errnum = work->there || errno == ENOENT ? 0 : errno;
        break;
    case IMAGE_MAKE:
        work->errnum = make_file(work->path, work->size);
        break;
    case IMAGE_REMOVE:
        work->errnum = unlink(work->path) < 0 && errno != ENOENT ? errno : 0;
        break;
    }
}

/* Returns 1 when IMAGE_LOOK found it. */
static int image_do(const char *path, int what, uint64_t size, struct error *err)
{
    struct image_work *work = xcalloc(1, sizeof *work);
    *work = (struct image_work){.path = xstrdup(path), .what = what, .size = size};
    if (await_slow_work(image_work_run, image_work_free, work, deadline_ms(FILE_MS), err) < 0)
        return error_wrap(err, "image '%s' does not answer", path);
    static const char *const verbs[] = {"look for", "create", "remove"};
    int rc = work->errnum ? error_system(err, work->errnum, "cannot %s image '%s'", verbs[what], path) : work->there;
    image_work_free(work);
    return rc;
}

/* Its pool, if it lies in one, learns of it. */
static void tell_pool(const struct driver *driver, const char *path)
{
    if (driver->image_changed)
        driver->image_changed(driver->notify_owner, path);
}

void images_remove(const struct driver *driver, const struct journal_entry *entry)
{
    for (uint32_t i = 0; i < entry->image_count; i++) {
        struct error err = {0};
        if (image_do(entry->images[i], IMAGE_REMOVE, 0, &err) < 0)
            log_error("domain '%s' did not arrive: %s; remove it by hand", entry->name, err.message);
        tell_pool(driver, entry->images[i]);
    }
}

/* -- making -------------------------------------------------------------------------------------------------------- */

static const struct cookie_disk *told_of(const struct migrate_cookie *remote, const struct disk *disk)
{
    for (uint32_t i = 0; i < remote->disk_count; i++)
        if (string_equal(remote->disks[i].target, disk->target))
            return &remote->disks[i];
    return NULL;
}

/* What a new image of --copy-storage-inc lies over: as the definition says, else as the source's image. */
static int find_backing(const struct disk *disk, const struct cookie_disk *told, const char **path, const char **format,
                        struct error *err)
{
    const struct disk_source *below = disk->source.backing;
    *path = below && below->file ? below->file : told->backing;
    *format = below && below->file ? below->format : told->backing_format;
    if (!*path)
        return error_set(err, ERR_OPERATION_UNSUPPORTED,
                         "disk %s: image '%s' is missing on this host, and what it lies over is not known, so "
                         "--copy-storage-inc cannot make it; create it over the shared backing image first",
                         disk->target, disk->source.file);
    int found = image_do(*path, IMAGE_LOOK, 0, err);
    if (found == 0)
        return error_set(err, ERR_OPERATION_INVALID,
                         "disk %s: its backing image '%s' does not exist on this host; share it, or copy all "
                         "(--copy-storage-all)",
                         disk->target, *path);
    return found < 0 ? -1 : 0;
}

static int run_qemu_img(const struct disk *disk, const char *backing, const char *backing_format, uint64_t size,
                        struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_text struct text output = {0};
    struct argv *argv = argv_new(arena);
    argv_add(argv, "qemu-img");
    argv_add(argv, "create");
    argv_add(argv, "-q");
    argv_add(argv, "-f");
    argv_add(argv, disk->source.format);
    if (backing) {
        argv_add(argv, "-b");
        argv_add(argv, backing);
        argv_add(argv, "-F");
        argv_add(argv, backing_format ? backing_format : "raw");
    }
    argv_add(argv, "--");
    argv_add(argv, disk->source.file);
    argv_addf(argv, "%llu", (unsigned long long)size);
    return process_run(argv, &output, 4096, deadline_ms(CREATE_MS), err);
}

static int make(struct migration *migration, const struct disk *disk, const struct cookie_disk *told, struct error *err)
{
    const char *path = disk->source.file, *backing = NULL, *backing_format = NULL;
    bool raw = string_equal(disk->source.format ? disk->source.format : "raw", "raw");
    if (!told || !told->capacity)
        return error_set(err, ERR_OPERATION_FAILED,
                         "disk %s: image '%s' is missing on this host, and the source did not tell its size",
                         disk->target, path);
    if (migration->options.flags & MIGRATE_NON_SHARED_INC &&
        find_backing(disk, told, &backing, &backing_format, err) < 0)
        return -1;
    if (image_do(path, IMAGE_MAKE, raw ? told->capacity : 0, err) < 0)
        return error_wrap(err, "disk %s cannot be copied to this host", disk->target);
    list_image(migration, path);
    if (journal_write(migration->domain->driver, &migration->entry, err) < 0)
        return -1;
    if (!raw && run_qemu_img(disk, backing, backing_format, told->capacity, err) < 0)
        return -1;
    tell_pool(migration->domain->driver, path);
    return 0;
}

/* A volume lies where its pool here says. */
static int place(const struct migration *migration, struct disk *disk, struct arena *arena, struct error *err)
{
    const struct driver *driver = migration->domain->driver;
    if (!driver->place_volume || driver->place_volume(driver->notify_owner, disk, arena, err) == 0)
        return 0;
    return error_wrap(err, "disk %s", disk->target);
}

/* A whole copy in an image of its own lies over nothing. */
static void forget_backing(struct disk *disk)
{
    disk->source.backing = NULL;
    disk->source.has_backing = true;
}

int images_make(struct migration *migration, struct domain_def *def, const struct migrate_cookie *remote,
                struct error *err)
{
    if (copy_check(def, &migration->options, err) < 0)
        return -1;
    for (uint32_t i = 0; i < def->disks.count; i++) {
        struct disk *disk = def->disks.item[i];
        bool copied = disk_is_copied(disk, &migration->options);
        if (copied && disk->source.type == SOURCE_TYPE_VOLUME && place(migration, disk, def->arena, err) < 0)
            return -1;
        if (!copied || !disk->source.file)
            continue;
        int found = image_do(disk->source.file, IMAGE_LOOK, 0, err);
        if (found < 0 || (found == 0 && make(migration, disk, told_of(remote, disk), err) < 0))
            return -1;
        if (found == 0 && migration->options.flags & MIGRATE_NON_SHARED_DISK)
            forget_backing(disk);
    }
    return 0;
}
