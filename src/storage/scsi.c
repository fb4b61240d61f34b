/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/scsi.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "storage/block.h"
#include "storage/task.h"

#define TYPE_DISK "0"
#define PROBE_MS  2000
#define WRITE_MS  (5 * 60 * 1000)

/* -- telling the kernel -------------------------------------------------------------------------------------------- */

struct order {
    struct task task;
    char *path, *text;
};

static void order_release(struct task *task)
{
    struct order *order = container_of(task, struct order, task);
    free(order->path);
    free(order->text);
    free(order);
}

static void order_run(struct task *task)
{
    const struct order *order = container_of(task, struct order, task);
    scoped_fd int fd = open(order->path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, order->text, strlen(order->text)) < 0)
        error_system(&task->error, errno, "cannot write '%s' to '%s'", order->text, order->path);
}

int scsi_write(const char *path, const char *text, struct error *err)
{
    struct order *order = xcalloc(1, sizeof *order);
    order->task = (struct task){.run = order_run, .release = order_release};
    order->path = xstrdup(path);
    order->text = xstrdup(text);
    scoped_task struct task *task = &order->task;
    return task_run(&task, deadline_ms(WRITE_MS), err);
}

/* -- one disk ------------------------------------------------------------------------------------------------------ */

/* Calls found() with the entries of a directory until it says true. */
static bool search(const char *path, bool (*found)(void *context, const char *entry), void *context)
{
    DIR *directory = opendir(path);
    bool done = false;
    for (struct dirent *entry; !done && directory && (entry = readdir(directory));)
        done = entry->d_name[0] != '.' && found(context, entry->d_name);
    if (directory)
        closedir(directory);
    return done;
}

struct block_search {
    struct arena *arena;
    const char *name;
};

static bool found_block(void *context, const char *entry)
{
    struct block_search *block = context;
    block->name = arena_strdup(block->arena, entry);
    return true;
}

/* The name of the disk's node; the kernel's disk driver looks at a new device in its own time. */
static const char *await_block(struct arena *arena, const struct block_scan *scan, const char *device)
{
    scoped_free char *path = xprintf("%s/%s/block", scan->directory, device);
    struct block_search block = {.arena = arena};
    for (int left = PROBE_MS; !search(path, found_block, &block) && left > 0; left -= 20)
        usleep(20000);
    return block.name;
}

struct path_search {
    struct arena *arena;
    const char *target, *node, *found;
};

static bool found_link(void *context, const char *entry)
{
    struct path_search *wanted = context;
    const char *path = arena_printf(wanted->arena, "%s/%s", wanted->target, entry);
    scoped_free char *real = realpath(path, NULL);
    if (string_equal(real, wanted->node) && (!wanted->found || strcmp(path, wanted->found) < 0))
        wanted->found = path; /* of several the same one every time */
    return false;
}

/* The name below target that leads to the node; the node when there is none. */
static const char *stable_path(struct arena *arena, const char *target, const char *node)
{
    struct path_search wanted = {.arena = arena, .target = target, .node = node};
    search(target, found_link, &wanted);
    return wanted.found ? wanted.found : node;
}

/* The kernel's wwid in the form of udev's ID_SERIAL, the one in /dev/disk/by-id/scsi-*: a digit for the kind, and
 * each run of blanks as one "_". */
static const char *serial_of(struct arena *arena, const char *wwid)
{
    static const struct {
        const char *prefix, *digit;
    } kinds[] = {{"naa.", "3"}, {"eui.", "2"}, {"t10.", "1"}};
    for (size_t i = 0; wwid && i < COUNT(kinds); i++) {
        const char *from = string_after(wwid, kinds[i].prefix);
        if (!from)
            continue;
        char *serial = arena_printf(arena, "%s%s", kinds[i].digit, from), *to = serial;
        for (const char *c = serial; *c; c++)
            if (!isspace((unsigned char)*c))
                *to++ = *c;
            else if (c[1] && !isspace((unsigned char)c[1]))
                *to++ = '_';
        *to = '\0';
        return serial;
    }
    return NULL;
}

static bool take(struct arena *arena, const struct block_scan *scan, const char *device, struct listed *item)
{
    unsigned host, bus, unit;
    uint64_t lun, sectors = 0;
    if (sscanf(device, "%u:%u:%u:%" SCNu64, &host, &bus, &unit, &lun) != 4 || host != scan->host ||
        !string_equal(block_value(arena, scan, device, "type"), TYPE_DISK))
        return false;
    const char *block = await_block(arena, scan, device);
    const char *size = block ? block_value(arena, scan, device, arena_printf(arena, "block/%s/size", block)) : NULL;
    if (!size)
        return false;
    parse_u64(size, 10, &sectors);
    const char *node = arena_printf(arena, "/dev/%s", block);
    item->name = arena_printf(arena, "unit:%u:%u:%" PRIu64, bus, unit, lun);
    item->path = stable_path(arena, scan->target, node);
    item->key = serial_of(arena, block_value(arena, scan, device, "wwid"));
    if (!item->key)
        item->key = item->path;
    block_facts(node, sectors * 512, &item->facts);
    return true;
}

int scsi_list(const struct pool_def *def, unsigned host, struct listing *listing, struct error *err)
{
    scoped_free char *path = xprintf("/sys/class/scsi_host/host%u/scan", host);
    if (scsi_write(path, "- - -", err) < 0)
        return error_wrap(err, "looking for disks of the adapter 'host%u'", host);
    const struct block_scan scan = {
        .directory = "/sys/bus/scsi/devices", .take = take, .host = host, .target = def->target.path};
    return block_list(&scan, listing, err);
}
