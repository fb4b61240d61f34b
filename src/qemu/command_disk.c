/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "qemu/command_parts.h"

/* What <driver cache=> means to the host's page cache and to the guest's view of the disk. */
static const struct cache_mode {
    bool direct, no_flush, write_back;
} cache_modes[] = {
    [DISK_CACHE_NONE] = {true, false, true},        [DISK_CACHE_WRITETHROUGH] = {false, false, false},
    [DISK_CACHE_WRITEBACK] = {false, false, true},  [DISK_CACHE_DIRECTSYNC] = {true, false, false},
    [DISK_CACHE_UNSAFE] = {false, true, true},
};

static bool cache_is_set(const struct disk *disk)
{
    return disk->cache && disk->cache != DISK_CACHE_DEFAULT;
}

/* --- block nodes --- */

char *qemu_node_format(struct arena *arena, const struct disk_source *source)
{
    return arena_printf(arena, "libvirt-%u-format", source->index);
}

char *qemu_node_storage(struct arena *arena, const struct disk_source *source)
{
    return arena_printf(arena, "libvirt-%u-storage", source->index);
}

bool qemu_source_present(const struct disk_source *source)
{
    switch (source->type) {
    case SOURCE_TYPE_FILE:
        return source->file != NULL;
    case SOURCE_TYPE_BLOCK:
        return source->dev != NULL;
    case SOURCE_TYPE_DIR:
        return source->dir != NULL;
    default:
        return source->type != SOURCE_TYPE_ABSENT;
    }
}

static json_t *directory_storage(const struct disk *disk, const struct disk_source *source)
{
    return json_pack("{s:s,s:s,s:b,s:b}", "driver", "vvfat", "dir", source->dir, "floppy",
                     disk->device == DISK_DEVICE_FLOPPY, "rw", 0);
}

static json_t *storage_node(struct arena *arena, const struct disk *disk, const struct disk_source *source,
                            struct error *err)
{
    json_t *node = NULL;
    enum source_type type = source->type;
    if (type == SOURCE_TYPE_VOLUME)
        type = source->dev ? SOURCE_TYPE_BLOCK : SOURCE_TYPE_FILE;
    switch (type) {
    case SOURCE_TYPE_FILE:
        node = json_pack("{s:s,s:s}", "driver", "file", "filename", source->file);
        break;
    case SOURCE_TYPE_BLOCK:
        node = json_pack("{s:s,s:s}", "driver", "host_device", "filename", source->dev);
        break;
    case SOURCE_TYPE_DIR:
        node = directory_storage(disk, source);
        break;
    case SOURCE_TYPE_NETWORK:
        node = network_storage(arena, disk, source, err);
        break;
    default:
        return error_null(err, ERR_CONFIG_UNSUPPORTED,
                          "<disk type='%s'> is not supported: use file, block, dir or network",
                          source_type_name(source->type) ?: "");
    }
    if (node && (source->type == SOURCE_TYPE_FILE || source->type == SOURCE_TYPE_BLOCK))
        put_string(node, "aio", disk_io_name(disk->io));
    return node;
}

static void put_cache(json_t *node, const struct disk *disk)
{
    if (cache_is_set(disk))
        json_object_set_new(node, "cache", json_pack("{s:b,s:b}", "direct", cache_modes[disk->cache].direct, "no-flush",
                                                     cache_modes[disk->cache].no_flush));
}

static void put_format(struct arena *arena, json_t *node, const struct disk *disk, const struct disk_source *source,
                       bool top)
{
    const char *format = source->format ?: "raw";
    bool raw = string_equal(format, "raw"), encrypted = disk_encryption(disk, source);
    put_string(node, "node-name", qemu_node_format(arena, source));
    put_bool(node, "read-only", !top || disk->readonly || disk->device == DISK_DEVICE_CDROM);
    put_string(node, "discard", top ? disk_discard_name(disk->discard) : NULL);
    if (top && disk->detect_zeroes) {
        bool unmap = disk->detect_zeroes == DISK_DETECT_ZEROES_UNMAP && disk->discard != DISK_DISCARD_UNMAP;
        put_string(node, "detect-zeroes", unmap ? "on" : disk_detect_zeroes_name(disk->detect_zeroes));
    }
    put_cache(node, disk);
    put_string(node, "driver", raw && encrypted ? "luks" : format);
    if (raw && encrypted)
        put_string(node, "key-secret", secret_of_format(arena, source));
    else if (encrypted)
        json_object_set_new(node, "encrypt", json_pack("{s:s,s:s}", "format", "luks", "key-secret",
                                                       secret_of_format(arena, source)));
    if (string_equal(format, "qcow2"))
        put_number(node, "cache-size", disk->metadata_cache_max_size);
    put_string(node, "file", qemu_node_storage(arena, source));
    if (raw && source->slice_size.set) {
        json_object_set_new(node, "offset", json_integer((json_int_t)source->slice_offset.value));
        put_number(node, "size", source->slice_size.value);
    }
    if (!raw && source->backing && qemu_source_present(source->backing))
        put_string(node, "backing", qemu_node_format(arena, source->backing));
    else if (!raw && source->has_backing)
        json_object_set_new(node, "backing", json_null());
}

/* What would be silently lost is refused. */
static int check_source(const struct disk *disk, const struct disk_source *source, struct error *err)
{
    const char *format = source->format ?: "raw";
    if (disk_encryption(disk, source) && !string_equal(format, "raw") && !string_equal(format, "qcow2"))
        return unsupported(err, "disk '%s': <encryption> of a '%s' image is not supported", disk->target, format);
    if (disk_auth(disk, source) && source->type != SOURCE_TYPE_NETWORK)
        return unsupported(err, "disk '%s': <auth> is for disks of type network", disk->target);
    if (source->reservations)
        return unsupported(err, "disk '%s': <reservations> is not supported", disk->target);
    if (source->slice_size.set && (!string_equal(format, "raw") || disk_encryption(disk, source)))
        return unsupported(err, "disk '%s': a <slice> of a '%s' image is not supported", disk->target, source->format);
    if (source->type == SOURCE_TYPE_VOLUME && !source->file && !source->dev)
        return unsupported(err, "disk '%s': where volume '%s' lies is not known here: name its file or device",
                           disk->target, source->volume);
    return 0;
}

/* Lower layers first, as QEMU needs them; QEMU opens those that are not named here by itself. */
static int append_layers(struct arena *arena, json_t *nodes, const struct disk *disk, const struct disk_source *source,
                         unsigned depth, struct error *err)
{
    if (depth > 200)
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "disk '%s' has more than 200 backing images", disk->target);
    if (source->backing && qemu_source_present(source->backing) &&
        append_layers(arena, nodes, disk, source->backing, depth + 1, err) < 0)
        return -1;
    if (check_source(disk, source, err) < 0)
        return -1;
    json_t *storage = storage_node(arena, disk, source, err);
    if (!storage)
        return error_wrap(err, "disk '%s'", disk->target);
    put_string(storage, "node-name", qemu_node_storage(arena, source));
    put_cache(storage, disk);
    put_bool(storage, "auto-read-only", true);
    put_string(storage, "discard", "unmap");
    if (source->unlocked)
        put_string(storage, "locking", "off");
    json_array_append_new(nodes, storage);
    json_t *format = json_object();
    put_format(arena, format, disk, source, depth == 0);
    json_array_append_new(nodes, format);
    return 0;
}

json_t *qemu_disk_nodes(struct arena *arena, const struct disk *disk, struct error *err)
{
    json_t *nodes = json_array();
    if (!qemu_source_present(&disk->source))
        return nodes;
    if (append_layers(arena, nodes, disk, &disk->source, 0, err) < 0) {
        json_decref(nodes);
        return NULL;
    }
    if (disk->copy_on_read == ONOFF_ON) {
        json_t *filter = json_object();
        put_string(filter, "driver", "copy-on-read");
        put_string(filter, "node-name", arena_printf(arena, "libvirt-CoR-%s", disk->target));
        put_string(filter, "file", qemu_node_format(arena, &disk->source));
        put_string(filter, "discard", disk_discard_name(disk->discard));
        json_array_append_new(nodes, filter);
    }
    return nodes;
}

const char *qemu_disk_top_node(struct arena *arena, const struct disk *disk)
{
    return disk->copy_on_read == ONOFF_ON ? arena_printf(arena, "libvirt-CoR-%s", disk->target)
                                          : qemu_node_format(arena, &disk->source);
}

/* --- the device that the guest sees --- */

static enum boot_dev boot_class(const struct disk *disk)
{
    return disk->device == DISK_DEVICE_CDROM    ? BOOT_DEV_CDROM
           : disk->device == DISK_DEVICE_FLOPPY ? BOOT_DEV_FD
                                                : BOOT_DEV_HD;
}

/* Its own boot order, or what <os><boot> gives it; 0 = none. */
static uint32_t disk_boot_index(const struct domain_def *def, uint32_t disk)
{
    const struct disk *asked = def->disks.item[disk];
    if (asked->info.boot_order)
        return asked->info.boot_order;
    for (uint32_t i = 0; i < disk; i++) /* <os><boot> means the first disk of its kind */
        if (boot_class(def->disks.item[i]) == boot_class(asked))
            return 0;
    for (uint32_t i = 0; i < def->os.boots.count; i++)
        if (def->os.boots.item[i]->dev == boot_class(asked))
            return i + 1;
    return 0;
}

static const struct property virtio_rows[] = {
    PROPERTY(disk, ioeventfd, ONOFF_BOOL, "ioeventfd"),
    PROPERTY(disk, event_idx, ONOFF_BOOL, "event_idx"),
    PROPERTY(disk, queues, U32, "num-queues"),
    PROPERTY(disk, queue_size, U32, "queue-size"),
};

static const struct property common_rows[] = {
    PROPERTY(disk, logical_block_size, U32, "logical_block_size"),
    PROPERTY(disk, physical_block_size, U32, "physical_block_size"),
    PROPERTY(disk, geometry.cyls, U32, "cyls"),
    PROPERTY(disk, geometry.heads, U32, "heads"),
    PROPERTY(disk, geometry.secs, U32, "secs"),
    PROPERTY(disk, serial, STRING, "serial"),
};

static json_t *virtio_disk(struct build *build, const struct disk *disk, struct error *err)
{
    const char *driver = virtio_driver(build, "virtio-blk", disk->model, &disk->info);
    json_t *device = device_new(build, driver, &disk->info, "<disk>", err);
    if (!device)
        return NULL;
    put_virtio_options(device, &disk->virtio);
    PUT_TABLE(device, disk, virtio_rows);
    if (disk->iothread)
        put_string(device, "iothread", arena_printf(build->arena, "iothread%u", disk->iothread));
    return device;
}

static json_t *scsi_disk(struct build *build, const struct disk *disk, struct error *err)
{
    const struct device_address *address = &disk->info.address;
    const struct controller *controller =
        bus_controller(build->def, CONTROLLER_TYPE_SCSI, address->drive.controller);
    if (!controller || !controller->info.alias)
        return error_null(err, ERR_CONFIG_UNSUPPORTED, "disk '%s': there is no SCSI controller with index %u",
                          disk->target, address->drive.controller);
    bool lun = disk->device == DISK_DEVICE_LUN, cdrom = disk->device == DISK_DEVICE_CDROM;
    json_t *device = device_new(build, lun ? "scsi-block" : cdrom ? "scsi-cd" : "scsi-hd", &disk->info, "<disk>", err);
    if (!device)
        return NULL;
    put_string(device, "bus", arena_printf(build->arena, "%s.%u", controller->info.alias,
                                           controller->model == CONTROLLER_MODEL_LSILOGIC ? address->drive.bus : 0));
    if (controller->model == CONTROLLER_MODEL_LSILOGIC) { /* has targets only, and libvirt counts them as units */
        json_object_set_new(device, "scsi-id", json_integer(address->drive.unit));
    } else {
        json_object_set_new(device, "channel", json_integer(address->drive.bus));
        json_object_set_new(device, "scsi-id", json_integer(address->drive.target));
        json_object_set_new(device, "lun", json_integer(address->drive.unit));
    }
    if (!lun)
        put_string(device, "device_id", disk->serial ?: arena_printf(build->arena, "drive-%s", disk->info.alias));
    put_string(device, "vendor", disk->vendor);
    put_string(device, "product", disk->product);
    put_number(device, "rotation_rate", disk->rotation_rate);
    if (!lun && disk->wwn)
        put_number(device, "wwn", strtoull(disk->wwn, NULL, 16));
    return device;
}

static json_t *ata_disk(struct build *build, const struct disk *disk, struct error *err)
{
    bool sata = disk->bus == DISK_BUS_SATA, cdrom = disk->device == DISK_DEVICE_CDROM;
    const struct device_address *address = &disk->info.address;
    enum controller_type type = sata ? CONTROLLER_TYPE_SATA : CONTROLLER_TYPE_IDE;
    const struct controller *controller = bus_controller(build->def, type, address->drive.controller);
    bool builtin = address->drive.controller == 0 && (sata ? build->q35 : true);
    if (!builtin && (!controller || !controller->info.alias))
        return error_null(err, ERR_CONFIG_UNSUPPORTED, "disk '%s': there is no SATA controller with index %u",
                          disk->target, address->drive.controller);
    json_t *device = device_new(build, cdrom ? "ide-cd" : "ide-hd", &disk->info, "<disk>", err);
    if (!device)
        return NULL;
    put_string(device, "bus", arena_printf(build->arena, "%s.%u", builtin ? "ide" : controller->info.alias,
                                           sata ? address->drive.unit : address->drive.bus));
    if (!sata)
        json_object_set_new(device, "unit", json_integer(address->drive.unit));
    if (disk->wwn)
        put_number(device, "wwn", strtoull(disk->wwn, NULL, 16));
    put_number(device, "rotation_rate", disk->rotation_rate);
    return device;
}

static json_t *usb_disk(struct build *build, const struct disk *disk, struct error *err)
{
    json_t *device = device_new(build, "usb-storage", &disk->info, "<disk>", err);
    if (device)
        put_bool(device, "removable", disk->removable == ONOFF_ON);
    return device;
}

static json_t *floppy_disk(struct build *build, const struct disk *disk, struct error *err)
{
    json_t *device = device_new(build, "floppy", &disk->info, "<disk>", err);
    if (device)
        json_object_set_new(device, "unit", json_integer(disk->info.address.drive.unit));
    return device;
}

static json_t *bus_disk(struct build *build, const struct disk *disk, struct error *err)
{
    switch (disk->bus) {
    case DISK_BUS_VIRTIO:
        return virtio_disk(build, disk, err);
    case DISK_BUS_SCSI:
        return scsi_disk(build, disk, err);
    case DISK_BUS_SATA:
    case DISK_BUS_IDE:
        return ata_disk(build, disk, err);
    case DISK_BUS_USB:
        return usb_disk(build, disk, err);
    case DISK_BUS_FDC:
        return floppy_disk(build, disk, err);
    default:
        return error_null(err, ERR_CONFIG_UNSUPPORTED, "disk '%s': bus '%s' is not supported: use virtio, scsi, sata, "
                                                       "ide, usb or fdc", disk->target, disk_bus_name(disk->bus) ?: "");
    }
}

/* error_policy speaks for both directions unless rerror_policy says otherwise; "enospace" has no meaning for reads. */
static void put_policies(json_t *device, const struct disk *disk)
{
    static const char *const words[] = {
        [DISK_ERROR_POLICY_STOP] = "stop",
        [DISK_ERROR_POLICY_REPORT] = "report",
        [DISK_ERROR_POLICY_IGNORE] = "ignore",
        [DISK_ERROR_POLICY_ENOSPACE] = "enospc",
    };
    enum disk_error_policy read = disk->rerror_policy ?: disk->error_policy;
    if (disk->error_policy)
        put_string(device, "werror", words[disk->error_policy]);
    if (read)
        put_string(device, "rerror", read == DISK_ERROR_POLICY_ENOSPACE ? "stop" : words[read]);
}

static json_t *qemu_disk_device(struct build *build, uint32_t index, struct error *err)
{
    const struct disk *disk = build->def->disks.item[index];
    json_t *device = bus_disk(build, disk, err);
    if (!device)
        return NULL;
    if (disk->shareable)
        put_bool(device, "share-rw", true);
    if (qemu_source_present(&disk->source))
        put_string(device, "drive", qemu_disk_top_node(build->arena, disk));
    put_number(device, "bootindex", disk_boot_index(build->def, index));
    if (disk->bus != DISK_BUS_FDC) {
        PUT_TABLE(device, disk, common_rows);
        put_string(device, "bios-chs-trans", disk_trans_name(disk->geometry.trans));
        if (cache_is_set(disk))
            put_string(device, "write-cache", cache_modes[disk->cache].write_back ? "on" : "off");
        put_policies(device, disk);
    }
    return device;
}

int build_disks(struct build *build, struct error *err)
{
    const struct domain_def *def = build->def;
    for (uint32_t i = 0; i < def->disks.count; i++) {
        const struct disk *disk = def->disks.item[i];
        if (disk->transient)
            return unsupported(err, "disk '%s': <transient/> is not supported: give the guest an overlay image",
                               disk->target);
        json_t *nodes = qemu_disk_nodes(build->arena, disk, err);
        if (!nodes || build_disk_secrets(build, disk, err) < 0) {
            json_decref(nodes);
            return -1;
        }
        for (size_t j = 0; j < json_array_size(nodes); j++)
            add_json(build, "-blockdev", json_incref(json_array_get(nodes, j)));
        json_decref(nodes);
        json_t *device = qemu_disk_device(build, i, err);
        if (!device)
            return -1;
        device_add(build, device);
    }
    return 0;
}
