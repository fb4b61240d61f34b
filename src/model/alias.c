/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/complete.h"
#include "model/domain.h"

/* QEMU's ids are made from these names, so they are part of what two hosts must agree on in a migration. */

static bool is_users(const struct device_info *info)
{
    return info->alias && string_starts(info->alias, "ua-");
}

static void disk_alias(struct domain_def *def, struct disk *disk)
{
    const struct device_address *address = &disk->info.address;
    const char *bus = disk_bus_name(disk->bus);
    if (address->type != ADDRESS_TYPE_DRIVE) {
        disk->info.alias = arena_printf(def->arena, "%s-disk%d", bus, disk_name_index(disk->target));
        return;
    }
    const struct controller *controller = controller_find(def, CONTROLLER_TYPE_SCSI, address->drive.controller);
    if (disk->bus == DISK_BUS_SCSI && controller && controller->model != CONTROLLER_MODEL_LSILOGIC)
        disk->info.alias = arena_printf(def->arena, "%s%u-%u-%u-%u", bus, address->drive.controller, address->drive.bus,
                                        address->drive.target, address->drive.unit);
    else
        disk->info.alias = arena_printf(def->arena, "%s%u-%u-%u", bus, address->drive.controller, address->drive.bus,
                                        address->drive.unit);
}

static void controller_alias(struct domain_def *def, struct controller *controller)
{
    const char *fixed = NULL;
    if (controller->index == 0) {
        if (controller->type == CONTROLLER_TYPE_IDE && machine_is_pc(def))
            fixed = "ide";
        else if (controller->type == CONTROLLER_TYPE_SATA && machine_is_q35(def))
            fixed = "ide";
        else if (controller->type == CONTROLLER_TYPE_USB)
            fixed = "usb";
    }
    if (fixed)
        controller->info.alias = fixed;
    else if (controller->type == CONTROLLER_TYPE_PCI)
        controller->info.alias = arena_printf(def->arena, "%s.%u", controller->model == CONTROLLER_MODEL_PCIE_ROOT
                                              ? "pcie" : "pci", controller->index);
    else
        controller->info.alias = arena_printf(def->arena, "%s%u", controller_type_name(controller->type),
                                              controller->index);
}

/* Hostdev interfaces are numbered with the hostdevs, which come first. */
static void interface_aliases(struct domain_def *def)
{
    uint32_t hostdev = def->hostdevs.count;
    for (uint32_t i = 0; i < def->interfaces.count; i++) {
        struct interface *interface = def->interfaces.item[i];
        if (is_users(&interface->info))
            continue;
        interface->info.alias = interface->type == INTERFACE_TYPE_HOSTDEV
                                    ? arena_printf(def->arena, "hostdev%u", hostdev++)
                                    : arena_printf(def->arena, "net%u", i);
    }
}

static void memory_aliases(struct domain_def *def)
{
    for (uint32_t i = 0; i < def->memory_devices.count; i++) {
        struct memory_device *memory = def->memory_devices.item[i];
        const char *prefix = memory->model == MEMORY_MODEL_DIMM          ? "dimm"
                             : memory->model == MEMORY_MODEL_NVDIMM      ? "nvdimm"
                             : memory->model == MEMORY_MODEL_VIRTIO_PMEM ? "virtiopmem"
                             : memory->model == MEMORY_MODEL_VIRTIO_MEM  ? "virtiomem"
                                                                         : "epc";
        uint32_t slot = memory->info.address.type == ADDRESS_TYPE_DIMM ? memory->info.address.dimm.slot : i;
        if (!is_users(&memory->info))
            memory->info.alias = arena_printf(def->arena, "%s%u", prefix, slot);
    }
}

#define NUMBER_ALIASES(list, prefix)                                                                    \
    for (uint32_t i = 0; i < def->list.count; i++)                                                      \
        if (!is_users(&def->list.item[i]->info))                                                        \
            def->list.item[i]->info.alias = arena_printf(def->arena, prefix "%u", i)

#define SINGLE_ALIAS(member, name)               \
    if (def->member && !is_users(&def->member->info)) \
        def->member->info.alias = (name)

void domain_assign_aliases(struct domain_def *def)
{
    for (uint32_t i = 0; i < def->disks.count; i++)
        if (!is_users(&def->disks.item[i]->info))
            disk_alias(def, def->disks.item[i]);
    for (uint32_t i = 0; i < def->controllers.count; i++)
        if (!is_users(&def->controllers.item[i]->info))
            controller_alias(def, def->controllers.item[i]);
    interface_aliases(def);
    memory_aliases(def);
    NUMBER_ALIASES(filesystems, "fs");
    NUMBER_ALIASES(sounds, "sound");
    NUMBER_ALIASES(hostdevs, "hostdev");
    NUMBER_ALIASES(redirdevs, "redir");
    NUMBER_ALIASES(videos, "video");
    NUMBER_ALIASES(serials, "serial");
    NUMBER_ALIASES(parallels, "parallel");
    NUMBER_ALIASES(consoles, "console");
    NUMBER_ALIASES(channels, "channel");
    NUMBER_ALIASES(hubs, "hub");
    NUMBER_ALIASES(shmems, "shmem");
    NUMBER_ALIASES(smartcards, "smartcard");
    NUMBER_ALIASES(inputs, "input");
    NUMBER_ALIASES(rngs, "rng");
    NUMBER_ALIASES(tpms, "tpm");
    NUMBER_ALIASES(watchdogs, "watchdog");
    NUMBER_ALIASES(panics, "panic");
    SINGLE_ALIAS(memballoon, "balloon0");
    SINGLE_ALIAS(nvram_device, "nvram");
    SINGLE_ALIAS(iommu, "iommu0");
    SINGLE_ALIAS(vsock, "vsock0");
    domain_mirror_consoles(def);
}
