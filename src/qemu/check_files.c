/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "qemu/domain.h"
#include "wire_types.h"

/* Whether the host files that a guest is about to get are there, and of the kind that its definition says: QEMU would
 * say so, too, but in the words of its own options. */

enum { FILES_MS = 10000 };

enum file_kind { KIND_FILE, KIND_DEVICE, KIND_DIRECTORY };

/* The worker's own. */
struct files {
    size_t count;
    struct file {
        char *what, *path;
        uint32_t disk; /* whose top layer it is; UINT32_MAX = nobody's */
        enum file_kind kind;
        int errnum;
        mode_t mode;
    } items[];
};

static void look(void *argument)
{
    struct files *files = argument;
    for (size_t i = 0; i < files->count; i++) {
        struct stat status = {0};
        if (stat(files->items[i].path, &status) < 0)
            files->items[i].errnum = errno;
        files->items[i].mode = status.st_mode;
    }
}

static void files_free(void *argument)
{
    struct files *files = argument;
    for (size_t i = 0; i < files->count; i++) {
        free(files->items[i].what);
        free(files->items[i].path);
    }
    free(files);
}

static struct file *add(struct files *files, const char *what, const char *path, enum file_kind kind)
{
    struct file *file = &files->items[files->count++];
    *file = (struct file){.what = xstrdup(what), .path = xstrdup(path), .disk = UINT32_MAX, .kind = kind};
    return file;
}

/* The layers of one disk that lie in files of this host; NULL files: counts them. */
static size_t add_disk(struct files *files, const struct domain_def *def, uint32_t number)
{
    const struct disk *disk = def->disks.item[number];
    size_t count = 0;
    for (const struct disk_source *source = &disk->source; source; source = source->backing) {
        const char *path = source->type == SOURCE_TYPE_FILE    ? source->file
                           : source->type == SOURCE_TYPE_BLOCK ? source->dev
                           : source->type == SOURCE_TYPE_DIR   ? source->dir
                                                               : NULL;
        if (!path)
            continue;
        count++;
        if (!files)
            continue;
        bool top = source == &disk->source;
        scoped_free char *what = xprintf("%s '%s'", top ? "disk" : "a backing image of disk", disk->target);
        struct file *file = add(files, what, path,
                                source->type == SOURCE_TYPE_FILE    ? KIND_FILE
                                : source->type == SOURCE_TYPE_BLOCK ? KIND_DEVICE
                                                                    : KIND_DIRECTORY);
        if (top)
            file->disk = number;
    }
    return count;
}

static struct files *files_of(const struct domain_def *def)
{
    const struct {
        const char *what, *path;
    } boot[] = {{"<kernel>", def->os.kernel}, {"<initrd>", def->os.initrd}, {"<dtb>", def->os.dtb},
                {"<loader>", def->os.loader}};
    size_t layers = 0;
    for (uint32_t i = 0; i < def->disks.count; i++)
        layers += add_disk(NULL, def, i);
    struct files *files =
        xcalloc(1, sizeof *files + (layers + COUNT(boot) + def->filesystems.count) * sizeof files->items[0]);
    for (uint32_t i = 0; i < def->disks.count; i++)
        add_disk(files, def, i);
    for (size_t i = 0; i < COUNT(boot); i++)
        if (boot[i].path && *boot[i].path)
            add(files, boot[i].what, boot[i].path, KIND_FILE);
    for (uint32_t i = 0; i < def->filesystems.count; i++) {
        const struct filesystem *filesystem = def->filesystems.item[i];
        scoped_free char *what = xprintf("filesystem '%s'", filesystem->target_dir ? filesystem->target_dir : "");
        if (filesystem->type == FILESYSTEM_TYPE_MOUNT && filesystem->source_dir)
            add(files, what, filesystem->source_dir, KIND_DIRECTORY);
    }
    return files;
}

static int check_kind(const struct file *file, struct error *err)
{
    if (file->errnum || (file->kind != KIND_DIRECTORY && S_ISDIR(file->mode)))
        return error_system(err, file->errnum ? file->errnum : EISDIR,
                            "%s is to be '%s', which this host cannot open", file->what, file->path);
    bool device = S_ISBLK(file->mode) || S_ISCHR(file->mode);
    const char *problem = file->kind == KIND_DIRECTORY && !S_ISDIR(file->mode) ? "is no directory"
                          : file->kind == KIND_DEVICE && !device               ? "is no device; use <disk type='file'>"
                          : file->disk != UINT32_MAX && file->kind == KIND_FILE && device
                              ? "is a device; use <disk type='block'>"
                              : NULL;
    return problem ? error_set(err, ERR_CONFIG_UNSUPPORTED, "%s is to be '%s', which %s", file->what, file->path,
                               problem)
                   : 0;
}

/* A medium that is not there leaves its drive empty, where the definition says that this may be (<source
 * startupPolicy=>). */
static bool eject(struct domain *domain, struct domain_def *live, const struct file *file, bool incoming)
{
    struct disk *disk = file->disk != UINT32_MAX ? live->disks.item[file->disk] : NULL;
    if (!disk || (disk->device != DISK_DEVICE_CDROM && disk->device != DISK_DEVICE_FLOPPY))
        return false;
    enum startup_policy policy = disk->source.startup_policy;
    if (policy != STARTUP_POLICY_OPTIONAL && !(incoming && policy == STARTUP_POLICY_REQUISITE))
        return false;
    log_info("domain '%s': starts without the medium of '%s': '%s' cannot be opened", live->name, disk->target,
             file->path);
    disk->source = (struct disk_source){.type = SOURCE_TYPE_FILE, .format = disk->source.format};
    domain_assign_aliases(live);
    struct domain_event_callback_disk_change_event event = {.old_src_path = file->path,
                                                            .dev_alias = disk->info.alias,
                                                            .reason = DOMAIN_EVENT_DISK_CHANGE_MISSING_ON_START};
    domain_notify(domain, DOMAIN_EVENT_ID_DISK_CHANGE, &event);
    return true;
}

int domain_check_files(struct domain *domain, struct domain_def *live, bool incoming, struct error *err)
{
    /* somebody else's files hang: that is no reason not to start this guest, and QEMU will find out about its files */
    if (slow_work_is_full())
        return 0;
    struct files *files = files_of(live);
    if (files->count && await_slow_work(look, files_free, files, deadline_ms(FILES_MS), err) < 0)
        return error_wrap(err, "looking for the disks and the kernel of domain '%s'", live->name);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < files->count; i++)
        if (!files->items[i].errnum || !eject(domain, live, &files->items[i], incoming))
            rc = check_kind(&files->items[i], err);
    files_free(files);
    return rc;
}
