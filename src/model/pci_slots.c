/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/pci_slots.h"

#include <string.h>

#include "model/complete.h"

static bool needs_pci(const struct device_info *info)
{
    return info->address.type == ADDRESS_TYPE_ABSENT ||
           (info->address.type == ADDRESS_TYPE_PCI && !pci_address_present(&info->address.pci));
}

/* Puts a device that has no address at its chipset place, unless something else is there. */
static bool place(struct pci *pci, struct device_info *info, uint8_t slot, uint8_t function)
{
    struct pci_address address = {.slot = slot, .function = function};
    if (!needs_pci(info))
        return false;
    pci_reserve(pci, &address, false);
    pci_store(pci, info, &address);
    return true;
}

static void chipset_reserve(struct pci *pci, uint8_t slot, uint8_t function)
{
    struct pci_address address = {.slot = slot, .function = function};
    pci_reserve(pci, &address, false);
}

static bool video_needs_pci(const struct video *video)
{
    return video->model != VIDEO_MODEL_NONE && video->model != VIDEO_MODEL_RAMFB;
}

/* The first video card goes where the firmware looks for it or, when something is there, before all other devices. */
static void primary_video_place(struct pci *pci, uint8_t slot)
{
    struct domain_def *def = pci_def(pci);
    struct pci_address address = {.slot = slot};
    struct device_info *info = def->videos.count ? &def->videos.item[0]->info : NULL;
    if (!info || !video_needs_pci(def->videos.item[0]) || !needs_pci(info))
        return;
    if (!pci_slot_free(pci, 0, slot)) {
        pci_assign(pci, info, PCI_CONNECT_DEVICE | (machine_is_q35(def) ? PCI_CONNECT_EXPRESS : 0));
        return;
    }
    pci_reserve(pci, &address, true);
    pci_store(pci, info, &address);
}

/* PIIX3 sits in slot 1: ISA bridge 0, IDE 1, USB 2, power management 3. */
static void pc_reserve(struct pci *pci)
{
    struct domain_def *def = pci_def(pci);
    for (uint32_t i = 0; i < def->controllers.count; i++) {
        struct controller *controller = def->controllers.item[i];
        if (controller->type == CONTROLLER_TYPE_IDE && controller->index == 0)
            place(pci, &controller->info, 1, 1);
        if (controller->type == CONTROLLER_TYPE_USB && controller->index == 0 &&
            controller->model == CONTROLLER_MODEL_PIIX3_UHCI)
            place(pci, &controller->info, 1, 2);
    }
    struct pci_address piix3 = {.slot = 1};
    pci_reserve(pci, &piix3, true);
    primary_video_place(pci, 2);
}

static const struct {
    enum controller_model model;
    uint8_t function;
    bool multifunction;
} ich9_usb[] = {
    {CONTROLLER_MODEL_ICH9_EHCI1, 7, false},
    {CONTROLLER_MODEL_ICH9_UHCI1, 0, true},
    {CONTROLLER_MODEL_ICH9_UHCI2, 1, false},
    {CONTROLLER_MODEL_ICH9_UHCI3, 2, false},
};

static int ich9_usb_row(const struct controller *controller)
{
    for (size_t i = 0; controller->type == CONTROLLER_TYPE_USB && i < COUNT(ich9_usb); i++)
        if (ich9_usb[i].model == controller->model)
            return (int)i;
    return -1;
}

/* ICH9 has its first two USB sets in slots 0x1d and 0x1a. */
static void q35_usb_place(struct pci *pci, struct controller *controller)
{
    int row = ich9_usb_row(controller);
    static const uint8_t slots[] = {0x1d, 0x1a};
    if (row < 0 || controller->index >= COUNT(slots) || !needs_pci(&controller->info))
        return;
    struct pci_address address = {.slot = slots[controller->index], .function = ich9_usb[row].function,
                                  .multifunction = ich9_usb[row].multifunction ? ONOFF_ON : ONOFF_ABSENT};
    pci_reserve(pci, &address, false);
    pci_store(pci, &controller->info, &address);
}

/* ICH9: slot 0x1f has the ISA bridge 0, SATA 2 and SMBus 3; 0x1b is the sound chip, 0x1e the DMI bridge. */
static void q35_reserve(struct pci *pci)
{
    struct domain_def *def = pci_def(pci);
    bool dmi_bridge = false, sound = false;
    for (uint32_t i = 0; i < def->controllers.count; i++) {
        struct controller *controller = def->controllers.item[i];
        if (controller->type == CONTROLLER_TYPE_SATA && controller->index == 0)
            place(pci, &controller->info, 0x1f, 2);
        q35_usb_place(pci, controller);
        if (controller->type == CONTROLLER_TYPE_PCI && controller->model == CONTROLLER_MODEL_DMI_TO_PCI_BRIDGE &&
            !dmi_bridge && pci_slot_free(pci, 0, 0x1e))
            dmi_bridge = place(pci, &controller->info, 0x1e, 0);
    }
    chipset_reserve(pci, 0x1f, 0);
    chipset_reserve(pci, 0x1f, 3);
    primary_video_place(pci, 1);
    for (uint32_t i = 0; i < def->sounds.count && !sound; i++)
        if (def->sounds.item[i]->model == SOUND_MODEL_ICH9 && pci_slot_free(pci, 0, 0x1b))
            sound = place(pci, &def->sounds.item[i]->info, 0x1b, 0);
}

void pci_chipset_reserve(struct pci *pci)
{
    if (machine_is_q35(pci_def(pci)))
        q35_reserve(pci);
    else
        pc_reserve(pci);
}

/* How a device of each kind connects: conventional, Express where the machine has it, or virtio (Express unless it is
 * a transitional model). */
static unsigned conventional(void)
{
    return PCI_CONNECT_DEVICE | PCI_CONNECT_HOTPLUG;
}

static unsigned express(struct pci *pci)
{
    return machine_is_q35(pci_def(pci)) ? PCI_CONNECT_EXPRESS | PCI_CONNECT_HOTPLUG : conventional();
}

static unsigned virtio(struct pci *pci, bool transitional)
{
    return transitional ? conventional() : express(pci);
}

static unsigned interface_connect(struct pci *pci, const struct interface *interface)
{
    const char *model = interface->model;
    if (interface->type == INTERFACE_TYPE_HOSTDEV || string_equal(model, "e1000e") || string_equal(model, "igb") ||
        string_equal(model, "vmxnet3"))
        return express(pci);
    if (string_equal(model, "virtio") || string_equal(model, "virtio-non-transitional"))
        return virtio(pci, false);
    return string_equal(model, "usb-net") ? 0 : conventional();
}

static unsigned controller_connect(struct pci *pci, const struct controller *controller)
{
    enum controller_model model = controller->model;
    switch (controller->type) {
    case CONTROLLER_TYPE_USB:
        if (model == CONTROLLER_MODEL_NONE)
            return 0;
        return model == CONTROLLER_MODEL_NEC_XHCI || model == CONTROLLER_MODEL_QEMU_XHCI ? express(pci)
                                                                                        : conventional();
    case CONTROLLER_TYPE_SCSI:
        return model == CONTROLLER_MODEL_VIRTIO_SCSI || model == CONTROLLER_MODEL_VIRTIO_NON_TRANSITIONAL
                   ? virtio(pci, false) : conventional();
    case CONTROLLER_TYPE_VIRTIO_SERIAL:
        return virtio(pci, model == CONTROLLER_MODEL_VIRTIO_TRANSITIONAL);
    case CONTROLLER_TYPE_SATA:
        return conventional();
    case CONTROLLER_TYPE_IDE:
        return controller->index == 0 && machine_is_pc(pci_def(pci)) ? 0 : conventional();
    default:
        return 0;
    }
}

static int need(struct pci *pci, struct device_info *info, unsigned connect)
{
    return connect && needs_pci(info) ? pci_assign(pci, info, connect) : 0;
}

static int bridges_assign(struct pci *pci)
{
    struct domain_def *def = pci_def(pci);
    for (uint32_t i = 0; i < def->controllers.count; i++) {
        struct controller *controller = def->controllers.item[i];
        unsigned connect = controller->type == CONTROLLER_TYPE_PCI ? pci_controller_connect(controller->model) : 0;
        if (connect == PCI_CONNECT_ROOT_PORT)
            connect |= PCI_CONNECT_AGGREGATE;
        if (need(pci, &controller->info, connect) < 0)
            return -1;
    }
    return 0;
}

/* The controllers of one ICH9 USB set share a slot. */
static int usb_set_assign(struct pci *pci, struct controller *controller, int row)
{
    struct domain_def *def = pci_def(pci);
    for (uint32_t i = 0; i < def->controllers.count; i++) {
        const struct controller *other = def->controllers.item[i];
        if (other == controller || other->index != controller->index || ich9_usb_row(other) < 0 ||
            needs_pci(&other->info))
            continue;
        struct pci_address address = other->info.address.pci;
        address.function = ich9_usb[row].function;
        address.multifunction = ich9_usb[row].multifunction ? ONOFF_ON : ONOFF_ABSENT;
        pci_reserve(pci, &address, false);
        pci_store(pci, &controller->info, &address);
        return 0;
    }
    if (pci_assign(pci, &controller->info, conventional()) < 0)
        return -1;
    controller->info.address.pci.function = ich9_usb[row].function;
    controller->info.address.pci.multifunction = ich9_usb[row].multifunction ? ONOFF_ON : ONOFF_ABSENT;
    return 0;
}

static int controllers_assign(struct pci *pci)
{
    struct domain_def *def = pci_def(pci);
    for (uint32_t i = 0; i < def->controllers.count; i++) {
        struct controller *controller = def->controllers.item[i];
        int row = ich9_usb_row(controller);
        if (!needs_pci(&controller->info) || controller->type == CONTROLLER_TYPE_PCI)
            continue;
        int result = row >= 0 ? usb_set_assign(pci, controller, row)
                              : need(pci, &controller->info, controller_connect(pci, controller));
        if (result < 0)
            return -1;
    }
    return 0;
}

static int front_devices_assign(struct pci *pci)
{
    struct domain_def *def = pci_def(pci);
    for (uint32_t i = 0; i < def->filesystems.count; i++)
        if (need(pci, &def->filesystems.item[i]->info, virtio(pci, false)) < 0)
            return -1;
    for (uint32_t i = 0; i < def->interfaces.count; i++)
        if (need(pci, &def->interfaces.item[i]->info, interface_connect(pci, def->interfaces.item[i])) < 0)
            return -1;
    for (uint32_t i = 0; i < def->sounds.count; i++) {
        struct sound *sound = def->sounds.item[i];
        bool has_card = sound->model != SOUND_MODEL_PCSPK && sound->model != SOUND_MODEL_SB16 &&
                        sound->model != SOUND_MODEL_USB;
        if (need(pci, &sound->info, has_card ? conventional() : 0) < 0)
            return -1;
    }
    return 0;
}

static int back_devices_assign(struct pci *pci)
{
    struct domain_def *def = pci_def(pci);
    for (uint32_t i = 0; i < def->disks.count; i++) {
        struct disk *disk = def->disks.item[i];
        if (disk->bus == DISK_BUS_VIRTIO &&
            need(pci, &disk->info, virtio(pci, disk->model == VIRTIO_MODEL_TRANSITIONAL)) < 0)
            return -1;
    }
    for (uint32_t i = 0; i < def->hostdevs.count; i++) {
        struct hostdev *hostdev = def->hostdevs.item[i];
        bool pci_device = hostdev->type == HOSTDEV_TYPE_PCI || hostdev->type == HOSTDEV_TYPE_SCSI_HOST ||
                          hostdev->type == HOSTDEV_TYPE_MDEV;
        if (need(pci, &hostdev->info, pci_device ? express(pci) : 0) < 0)
            return -1;
    }
    struct memballoon *balloon = def->memballoon;
    if (balloon && balloon->model != MEMBALLOON_MODEL_NONE && balloon->model != MEMBALLOON_MODEL_XEN &&
        need(pci, &balloon->info, virtio(pci, balloon->model == MEMBALLOON_MODEL_TRANSITIONAL)) < 0)
        return -1;
    for (uint32_t i = 0; i < def->rngs.count; i++)
        if (need(pci, &def->rngs.item[i]->info,
                 virtio(pci, def->rngs.item[i]->model == VIRTIO_MODEL_TRANSITIONAL)) < 0)
            return -1;
    for (uint32_t i = 0; i < def->watchdogs.count; i++)
        if (def->watchdogs.item[i]->model == WATCHDOG_MODEL_I6300ESB &&
            need(pci, &def->watchdogs.item[i]->info, conventional()) < 0)
            return -1;
    return 0;
}

static int last_devices_assign(struct pci *pci)
{
    struct domain_def *def = pci_def(pci);
    for (uint32_t i = 0; i < def->videos.count; i++) {
        struct video *video = def->videos.item[i];
        if (!video_needs_pci(video))
            continue;
        bool modern = video->model == VIDEO_MODEL_VIRTIO || video->model == VIDEO_MODEL_BOCHS;
        if (need(pci, &video->info, modern ? express(pci) : conventional()) < 0)
            return -1;
    }
    for (uint32_t i = 0; i < def->shmems.count; i++)
        if (need(pci, &def->shmems.item[i]->info, conventional()) < 0)
            return -1;
    for (uint32_t i = 0; i < def->inputs.count; i++) {
        struct input *input = def->inputs.item[i];
        if (input->bus == INPUT_BUS_VIRTIO &&
            need(pci, &input->info, virtio(pci, input->model == VIRTIO_MODEL_TRANSITIONAL)) < 0)
            return -1;
    }
    for (uint32_t i = 0; i < def->serials.count; i++)
        if (def->serials.item[i]->target_type == CHARDEV_TARGET_PCI_SERIAL &&
            need(pci, &def->serials.item[i]->info, conventional()) < 0)
            return -1;
    for (uint32_t i = 0; i < def->panics.count; i++)
        if (def->panics.item[i]->model == PANIC_MODEL_PVPANIC &&
            need(pci, &def->panics.item[i]->info, conventional()) < 0)
            return -1;
    for (uint32_t i = 0; i < def->memory_devices.count; i++) {
        struct memory_device *memory = def->memory_devices.item[i];
        if ((memory->model == MEMORY_MODEL_VIRTIO_MEM || memory->model == MEMORY_MODEL_VIRTIO_PMEM) &&
            need(pci, &memory->info, virtio(pci, false)) < 0)
            return -1;
    }
    if (def->vsock && need(pci, &def->vsock->info, virtio(pci, def->vsock->model == VIRTIO_MODEL_TRANSITIONAL)) < 0)
        return -1;
    return 0;
}

int pci_devices_assign(struct pci *pci)
{
    if (bridges_assign(pci) < 0 || front_devices_assign(pci) < 0 || controllers_assign(pci) < 0 ||
        back_devices_assign(pci) < 0 || last_devices_assign(pci) < 0)
        return -1;
    return 0;
}
