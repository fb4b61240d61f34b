/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "qemu/domain.h"

/* Whether the host files that a guest is about to get are there: QEMU would say so, too, but in the words of its own
 * options. */

enum { FILES_MS = 10000 };

/* The worker's own. */
struct files {
    size_t count;
    struct {
        char *what, *path;
        int errnum;
    } items[];
};

static void look(void *argument)
{
    struct files *files = argument;
    for (size_t i = 0; i < files->count; i++) {
        struct stat status;
        if (stat(files->items[i].path, &status) < 0)
            files->items[i].errnum = errno;
        else if (S_ISDIR(status.st_mode))
            files->items[i].errnum = EISDIR;
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

static void add(struct files *files, const char *what, const char *path)
{
    if (!path)
        return;
    files->items[files->count].what = xstrdup(what);
    files->items[files->count++].path = xstrdup(path);
}

static struct files *files_of(const struct domain_def *def)
{
    struct files *files = xcalloc(1, sizeof *files + (def->disks.count + 3) * sizeof files->items[0]);
    for (uint32_t i = 0; i < def->disks.count; i++) {
        const struct disk *disk = def->disks.item[i];
        scoped_free char *what = xprintf("disk '%s'", disk->target);
        if (disk->source.type == SOURCE_TYPE_FILE || disk->source.type == SOURCE_TYPE_BLOCK)
            add(files, what, disk->source.type == SOURCE_TYPE_FILE ? disk->source.file : disk->source.dev);
    }
    add(files, "<kernel>", def->os.kernel);
    add(files, "<initrd>", def->os.initrd);
    add(files, "<dtb>", def->os.dtb);
    return files;
}

int domain_check_files(struct driver *driver, const struct domain_def *def, struct error *err)
{
    /* somebody else's files hang: that is no reason not to start this guest, and QEMU will find out about its files */
    if (driver->looks.inside >= driver->looks.most)
        return 0;
    struct files *files = files_of(def);
    if (await_work_gated(&driver->looks, look, files_free, files, deadline_ms(FILES_MS), err) < 0)
        return error_wrap(err, "looking for the disks and the kernel of domain '%s'", def->name);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < files->count; i++)
        if (files->items[i].errnum)
            rc = error_system(err, files->items[i].errnum, "%s is to be '%s', which this host cannot open",
                              files->items[i].what, files->items[i].path);
    files_free(files);
    return rc;
}
