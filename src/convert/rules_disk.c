/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/text.h"
#include "convert/rewrite.h"
#include "model/xml.h"
#include "storage/image.h"

void rule_disk_driver(struct rewrite *rewrite, struct disk *disk)
{
    rewrite_string(rewrite, &disk->driver_name, "qemu");
}

/* Formats that are believed of a header when the definition says none; what else a header may look like is raw. */
static bool format_is_image(const char *format)
{
    static const char *const formats[] = {"qcow2", "qcow", "vpc", "vmdk", "vdi", "qed"};
    for (size_t i = 0; i < COUNT(formats); i++)
        if (string_equal(format, formats[i]))
            return true;
    return false;
}

/* Nothing said: Xen reads such an image as raw. A header that says otherwise is believed unless it names other files,
 * for a guest could have written it. */
static const char *format_probed(struct rewrite *rewrite, const char *path)
{
    struct image image;
    struct error err = {0};
    if (!rewrite->options->probe)
        return "raw";
    if (image_read(path, &image, &err) < 0) {
        rewrite_left(rewrite, "its format is taken for raw, as Xen does: %s", err.message);
        return "raw";
    }
    if (!format_is_image(image.format))
        return "raw";
    if (!image.has_backing && !image.data_file && !image.encrypted)
        return image.format;
    rewrite_left(rewrite, "its format is taken for raw, as Xen does; its header says %s and names other files, which a "
                 "guest could have written: say the format in the source, <driver type='%s'/>, if it is true",
                 image.format, image.format);
    return "raw";
}

/* Said: it stays, but a header that differs is worth a look. */
static void format_compare(struct rewrite *rewrite, const char *path, const char *format)
{
    struct image image;
    if (!rewrite->options->probe || image_read(path, &image, NULL) < 0)
        return;
    const char *found = format_is_image(image.format) ? image.format : "raw";
    if (!string_equal(found, format))
        rewrite_left(rewrite, "the source says that '%s' is %s, its header looks like %s; see which is true", path,
                     format, found);
}

void rule_disk_format(struct rewrite *rewrite, struct disk *disk)
{
    const char *path = disk->source.type == SOURCE_TYPE_FILE    ? disk->source.file
                       : disk->source.type == SOURCE_TYPE_BLOCK ? disk->source.dev
                                                                : NULL;
    const char *said = disk->source.format;
    if (string_equal(said, "aio"))
        rewrite_string(rewrite, &disk->source.format, "raw");
    else if (string_equal(said, "vhd"))
        rewrite_string(rewrite, &disk->source.format, "vpc");
    else if (said && path)
        format_compare(rewrite, path, said);
    else if (!said && path)
        rewrite_string(rewrite, &disk->source.format,
                       disk->source.type == SOURCE_TYPE_FILE && disk->device == DISK_DEVICE_DISK
                           ? format_probed(rewrite, path)
                           : "raw");
}

void rule_disk_bus(struct rewrite *rewrite, struct disk *disk)
{
    bool xen = disk->bus == DISK_BUS_XEN || string_starts(disk->target, "xvd") || rewrite->paravirtual;
    if (!xen || disk->device == DISK_DEVICE_FLOPPY)
        return;
    enum disk_bus bus = disk->device == DISK_DEVICE_CDROM ? DISK_BUS_IDE : DISK_BUS_VIRTIO;
    if (disk->bus == bus)
        return;
    rewrite_enum(rewrite, &disk->bus, bus, disk_bus);
    disk->info.address = (struct device_address){0};
    disk->info.alias = NULL;
}

static const char *bus_prefix(enum disk_bus bus)
{
    return bus == DISK_BUS_VIRTIO ? "vd" : bus == DISK_BUS_IDE ? "hd" : bus == DISK_BUS_SCSI ? "sd" : NULL;
}

/* "xvda1" -> "a1": what follows the letters of the kind of disk. */
static const char *name_suffix(const char *target)
{
    static const char *const prefixes[] = {"xvd", "hd", "sd", "vd"};
    for (size_t i = 0; i < COUNT(prefixes); i++)
        if (string_starts(target, prefixes[i]))
            return target + strlen(prefixes[i]);
    return "";
}

static bool name_is_right(const struct disk *disk)
{
    const char *prefix = bus_prefix(disk->bus);
    return !prefix || string_starts(disk->target, prefix);
}

/* Whether another disk has that name, or will have it because it keeps its letters. */
static bool name_is_taken(const struct rewrite *rewrite, const struct disk *self, const char *name, bool own_letters)
{
    for (uint32_t i = 0; i < rewrite->def->disks.count; i++) {
        const struct disk *disk = rewrite->def->disks.item[i];
        if (disk == self)
            continue;
        if (string_equal(disk->target, name))
            return true;
        if (!own_letters && disk->bus == self->bus && !name_is_right(disk) &&
            string_equal(name_suffix(disk->target), name + 2))
            return true;
    }
    return false;
}

static const char *name_choose(struct rewrite *rewrite, const struct disk *disk)
{
    const char *prefix = bus_prefix(disk->bus), *suffix = name_suffix(disk->target);
    size_t letters = strspn(suffix, "abcdefghijklmnopqrstuvwxyz");
    const char *same = arena_printf(rewrite->arena, "%s%.*s", prefix, (int)letters, suffix);
    if (letters && letters < 3 && !name_is_taken(rewrite, disk, same, !suffix[letters]))
        return same;
    for (unsigned i = 0; i < 26 + 26 * 26; i++) {
        const char *name = i < 26 ? arena_printf(rewrite->arena, "%s%c", prefix, (char)('a' + i))
                                  : arena_printf(rewrite->arena, "%s%c%c", prefix, (char)('a' + i / 26 - 1),
                                                 (char)('a' + i % 26));
        if (!name_is_taken(rewrite, disk, name, false))
            return name;
    }
    error_set(rewrite->err, ERR_CONFIG_UNSUPPORTED, "disk '%s': there is no name %s... left for it", disk->target,
              prefix);
    return disk->target;
}

void rule_disk_target(struct rewrite *rewrite, struct disk *disk)
{
    if (name_is_right(disk))
        return;
    const char *old = disk->target, *suffix = name_suffix(old);
    rewrite_string(rewrite, &disk->target, name_choose(rewrite, disk));
    rewrite->renames[rewrite->rename_count++] = (struct rename){old, disk->target};
    if (strpbrk(suffix, "0123456789"))
        rewrite_left(rewrite, "Xen showed this image as the partition %s; under KVM it is the disk /dev/%s without a "
                     "partition table: the guest's root= and fstab must name it so", old, disk->target);
}

void rule_disk_backend(struct rewrite *rewrite, struct disk *disk)
{
    struct extra *before = disk->extra;
    size_t changes = rewrite->report->changes.count;
    rewrite_drop_extras(rewrite, &disk->extra, "backenddomain");
    if (before && rewrite->report->changes.count > changes)
        rewrite_left(rewrite, "a driver domain provided it; make its image available on the target host");
}
