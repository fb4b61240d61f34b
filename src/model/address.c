/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/address.h"

#include <string.h>

#include "model/complete.h"
#include "model/xml.h"

/* Lists of devices with an info: where in the definition and in the struct, and what names one. */
static const struct {
    const char *kind;
    size_t list;
    size_t info;
    ptrdiff_t name; /* offset of a const char *, or -1 */
} device_lists[] = {
#define DEVICES(kind, list, type, name) \
    {kind, offsetof(struct domain_def, list), offsetof(struct type, info), name}
    DEVICES("disk", disks, disk, offsetof(struct disk, target)),
    DEVICES("controller", controllers, controller, -1),
    DEVICES("filesystem", filesystems, filesystem, offsetof(struct filesystem, target_dir)),
    DEVICES("interface", interfaces, interface, -1),
    DEVICES("smartcard", smartcards, smartcard, -1),
    DEVICES("serial", serials, chardev, -1),
    DEVICES("parallel", parallels, chardev, -1),
    DEVICES("console", consoles, chardev, -1),
    DEVICES("channel", channels, chardev, offsetof(struct chardev, target_name)),
    DEVICES("input", inputs, input, -1),
    DEVICES("tpm", tpms, tpm, -1),
    DEVICES("sound", sounds, sound, -1),
    DEVICES("video", videos, video, -1),
    DEVICES("hostdev", hostdevs, hostdev, -1),
    DEVICES("redirdev", redirdevs, redirdev, -1),
    DEVICES("hub", hubs, hub, -1),
    DEVICES("watchdog", watchdogs, watchdog, -1),
    DEVICES("rng", rngs, rng, -1),
    DEVICES("panic", panics, panic, -1),
    DEVICES("shmem", shmems, shmem, offsetof(struct shmem, name)),
    DEVICES("memory", memory_devices, memory_device, -1),
};

int devices_visit(const struct domain_def *def, int (*visit)(const struct device_ref *ref, void *owner), void *owner)
{
    for (size_t i = 0; i < COUNT(device_lists); i++) {
        const struct {
            char **item;
            uint32_t count;
        } *list = (const void *)((const char *)def + device_lists[i].list);
        for (uint32_t at = 0; at < list->count; at++) {
            char *device = list->item[at];
            struct device_ref ref = {.kind = device_lists[i].kind, .number = at + 1, .device = device,
                                     .info = (struct device_info *)(device + device_lists[i].info)};
            if (device_lists[i].name >= 0)
                ref.name = *(const char **)(device + device_lists[i].name);
            int result = visit(&ref, owner);
            if (result)
                return result;
        }
    }
    const struct device_ref single[] = {
        {"memballoon", 1, NULL, def->memballoon ? &def->memballoon->info : NULL, def->memballoon},
        {"nvram", 1, NULL, def->nvram_device ? &def->nvram_device->info : NULL, def->nvram_device},
        {"iommu", 1, NULL, def->iommu ? &def->iommu->info : NULL, def->iommu},
        {"vsock", 1, NULL, def->vsock ? &def->vsock->info : NULL, def->vsock},
    };
    for (size_t i = 0; i < COUNT(single); i++) {
        int result = single[i].device ? visit(&single[i], owner) : 0;
        if (result)
            return result;
    }
    return 0;
}

const char *device_ref_name(struct arena *arena, const struct device_ref *ref)
{
    if (ref->name)
        return arena_printf(arena, "%s '%s'", ref->kind, ref->name);
    if (strcmp(ref->kind, "controller") == 0) {
        const struct controller *controller = ref->device;
        return arena_printf(arena, "%s controller %u", controller_type_name(controller->type), controller->index);
    }
    if (strcmp(ref->kind, "interface") == 0) {
        const struct interface *interface = ref->device;
        return arena_printf(arena, "interface %s", mac_text(arena, &interface->mac));
    }
    return arena_printf(arena, "%s %u", ref->kind, ref->number);
}

/* How many drives a controller has, and how many of them are on one bus. */
static const struct {
    enum disk_bus bus;
    uint32_t per_controller, per_bus;
} drive_layouts[] = {
    {DISK_BUS_IDE, 4, 2},
    {DISK_BUS_SATA, 6, 6},
    {DISK_BUS_SCSI, 7, 7},
    {DISK_BUS_FDC, 2, 2},
};

static int drive_addresses_assign(struct domain_def *def, struct error *err)
{
    for (uint32_t i = 0; i < def->disks.count; i++) {
        struct disk *disk = def->disks.item[i];
        if (disk->info.address.type)
            continue;
        for (size_t layout = 0; layout < COUNT(drive_layouts); layout++) {
            if (drive_layouts[layout].bus != disk->bus)
                continue;
            int index = disk_name_index(disk->target);
            if (index < 0)
                return error_set(err, ERR_XML_ERROR, "unknown disk name '%s' of domain '%s' and no address specified; "
                                 "name it like '%sa' or give <address>", disk->target, def->name,
                                 disk->bus == DISK_BUS_IDE ? "hd" : disk->bus == DISK_BUS_FDC ? "fd" : "sd");
            uint32_t per_controller = drive_layouts[layout].per_controller, per_bus = drive_layouts[layout].per_bus;
            disk->info.address.type = ADDRESS_TYPE_DRIVE;
            disk->info.address.drive.controller = (uint32_t)index / per_controller;
            disk->info.address.drive.bus = (uint32_t)index % per_controller / per_bus;
            disk->info.address.drive.unit = (uint32_t)index % per_bus;
        }
    }
    return 0;
}

#define VIRTIO_SERIAL_PORTS_DEFAULT 31

#define VIRTIO_SERIAL_PORTS_MAX     511

struct ports_used {
    bool port[VIRTIO_SERIAL_PORTS_MAX + 1];
};

static void port_use(struct ports_used *used, uint32_t controller, const struct chardev *chardev)
{
    const struct device_address *address = &chardev->info.address;
    if (chardev->target_type == CHARDEV_TARGET_VIRTIO && address->type == ADDRESS_TYPE_VIRTIO_SERIAL &&
        address->virtio_serial.controller == controller && address->virtio_serial.port <= VIRTIO_SERIAL_PORTS_MAX)
        used->port[address->virtio_serial.port] = true;
}

static void ports_collect(struct ports_used *used, const struct domain_def *def, uint32_t controller)
{
    for (uint32_t i = 0; i < def->channels.count; i++)
        port_use(used, controller, def->channels.item[i]);
    for (uint32_t i = 0; i < def->consoles.count; i++)
        port_use(used, controller, def->consoles.item[i]);
}

/* Port 0 is for consoles only. */
static int virtio_serial_assign(struct domain_def *def, struct chardev *chardev, uint32_t first_port, struct error *err)
{
    struct device_address *address = &chardev->info.address;
    if (address->type == ADDRESS_TYPE_VIRTIO_SERIAL && address->virtio_serial.port != 0)
        return 0;
    uint32_t only = address->type == ADDRESS_TYPE_VIRTIO_SERIAL ? address->virtio_serial.controller : UINT32_MAX;
    for (uint32_t i = 0; i < def->controllers.count; i++) {
        const struct controller *controller = def->controllers.item[i];
        if (controller->type != CONTROLLER_TYPE_VIRTIO_SERIAL || (only != UINT32_MAX && controller->index != only))
            continue;
        uint32_t ports = controller->ports.set ? controller->ports.value : VIRTIO_SERIAL_PORTS_DEFAULT;
        struct ports_used used = {0};
        ports_collect(&used, def, controller->index);
        for (uint32_t port = first_port; port < ports && port <= VIRTIO_SERIAL_PORTS_MAX; port++) {
            if (used.port[port])
                continue;
            address->type = ADDRESS_TYPE_VIRTIO_SERIAL;
            address->virtio_serial.controller = controller->index;
            address->virtio_serial.bus = 0;
            address->virtio_serial.port = port;
            return 0;
        }
    }
    uint32_t next = 0;
    while (controller_find(def, CONTROLLER_TYPE_VIRTIO_SERIAL, next))
        next++;
    if (only != UINT32_MAX || next > 255)
        return error_set(err, ERR_XML_ERROR, "domain '%s' has no free virtio-serial port left for channel '%s'",
                         def->name, chardev->target_name ? chardev->target_name : "");
    controller_add(def, CONTROLLER_TYPE_VIRTIO_SERIAL, next);
    return virtio_serial_assign(def, chardev, first_port, err);
}

static int virtio_serial_addresses_assign(struct domain_def *def, struct error *err)
{
    for (uint32_t i = 0; i < def->channels.count; i++)
        if (def->channels.item[i]->target_type == CHARDEV_TARGET_VIRTIO &&
            virtio_serial_assign(def, def->channels.item[i], 1, err) < 0)
            return -1;
    for (uint32_t i = 0; i < def->smartcards.count; i++) {
        struct device_address *address = &def->smartcards.item[i]->info.address;
        if (!address->type) {
            address->type = ADDRESS_TYPE_CCID;
            address->ccid.slot = i;
        }
    }
    return 0;
}

int domain_assign_addresses(struct domain_def *def, struct error *err)
{
    if (drive_addresses_assign(def, err) < 0)
        return -1;
    controllers_implied(def);
    if (def->os.type != OS_TYPE_HVM)
        return 0;
    if (virtio_serial_addresses_assign(def, err) < 0 || pci_addresses_assign(def, err) < 0 ||
        usb_addresses_assign(def, err) < 0)
        return -1;
    return 0;
}
