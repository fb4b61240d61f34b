/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/complete_devices.h"

#include <string.h>
#include <sys/random.h>

#include "model/address.h"
#include "model/complete.h"
#include "model/xml.h"

/* Buses by the beginning of the target name, for disks that do not name theirs. */
static const struct {
    const char *prefix;
    enum disk_bus bus;
} disk_prefixes[] = {
    {"hd", DISK_BUS_IDE}, {"sd", DISK_BUS_SCSI}, {"vd", DISK_BUS_VIRTIO}, {"xvd", DISK_BUS_XEN},
    {"fd", DISK_BUS_FDC}, {"ubd", DISK_BUS_UML},
};

/* Video memory in KiB that a model has when none is given. */
static const struct {
    enum video_model model;
    uint32_t ram, vram, vgamem;
} video_memory[] = {
    {VIDEO_MODEL_VGA, 0, 16384, 0},
    {VIDEO_MODEL_CIRRUS, 0, 16384, 0},
    {VIDEO_MODEL_VMVGA, 0, 16384, 0},
    {VIDEO_MODEL_BOCHS, 0, 16384, 0},
    {VIDEO_MODEL_XEN, 0, 4096, 0},
    {VIDEO_MODEL_QXL, 65536, 65536, 16384},
};

#define NAME_LETTERS_MAX 5 /* of a disk, behind "vd"; the number of one with more fits no int */

int disk_name_index(const char *target)
{
    static const char *const prefixes[] = {"fd", "hd", "vd", "sd", "xvd", "ubd"};
    const char *rest = NULL;
    for (size_t i = 0; i < COUNT(prefixes) && !rest; i++)
        rest = string_after(target, prefixes[i]);
    if (!rest || *rest < 'a' || *rest > 'z')
        return -1;
    int index = 0;
    for (int letters = 0; *rest >= 'a' && *rest <= 'z'; rest++, letters++) {
        if (letters >= NAME_LETTERS_MAX)
            return -1;
        index = (index + (letters ? 1 : 0)) * 26 + (*rest - 'a');
    }
    if (rest[strspn(rest, "0123456789")] != '\0')
        return -1;
    return index;
}

/* A name gives a disk its place on the bus, unless it has an address. */
static int disk_name_check(const struct domain_def *def, const struct disk *disk, struct error *err)
{
    const char *rest = NULL;
    for (size_t i = 0; i < COUNT(disk_prefixes) && !rest; i++)
        rest = string_after(disk->target, disk_prefixes[i].prefix);
    size_t letters = rest ? strspn(rest, "abcdefghijklmnopqrstuvwxyz") : 0;
    size_t digits = letters ? strspn(rest + letters, "0123456789") : 0;
    if (digits && rest[letters + digits] == '\0')
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "disk '%s' of domain '%s': <target dev=...> names a partition; "
                         "name the whole disk", disk->target, def->name);
    if (disk->info.address.type || (letters && letters <= NAME_LETTERS_MAX && rest[letters] == '\0'))
        return 0;
    return error_set(err, ERR_XML_ERROR, "unknown disk name '%s' in <target dev=...> of domain '%s': a name is one of "
                     "fd, hd, sd, ubd, vd, xvd and letters, as in 'vda'", disk->target, def->name);
}

static int disk_complete(struct domain_def *def, struct disk *disk, struct error *err)
{
    if (disk_name_check(def, disk, err) < 0)
        return -1;
    for (size_t i = 0; !disk->bus && disk->device != DISK_DEVICE_FLOPPY && i < COUNT(disk_prefixes); i++)
        if (string_starts(disk->target, disk_prefixes[i].prefix))
            disk->bus = disk_prefixes[i].bus;
    if (!disk->bus && disk->device == DISK_DEVICE_FLOPPY)
        disk->bus = DISK_BUS_FDC;
    if (!disk->bus)
        return error_set(err, ERR_XML_ERROR, "cannot tell the bus of disk '%s' of domain '%s' by its name; give "
                         "<target bus=...>", disk->target, def->name);
    if (disk->device == DISK_DEVICE_CDROM)
        disk->readonly = true;
    if (!disk->driver_name)
        disk->driver_name = "qemu";
    if (!disk->source.format)
        disk->source.format = "raw";
    return 0;
}

/* Among the disks of a bus, targets stand in their order; buses stand as they first appear. */
static void disks_sort(struct domain_def *def)
{
    struct disk **disks = def->disks.item;
    for (uint32_t count = 0; count < def->disks.count; count++) {
        struct disk *disk = disks[count];
        uint32_t place = count;
        int index = disk_name_index(disk->target);
        for (uint32_t i = count; i-- > 0;) {
            if (disks[i]->bus != disk->bus)
                continue;
            if (disk_name_index(disks[i]->target) <= index) {
                place = i + 1;
                break;
            }
            place = i;
        }
        memmove(disks + place + 1, disks + place, (count - place) * sizeof(*disks));
        disks[place] = disk;
    }
}

static bool scsi_unit_used(const struct domain_def *def, uint32_t unit)
{
    for (uint32_t i = 0; i < def->disks.count; i++) {
        const struct disk *disk = def->disks.item[i];
        if (disk->bus == DISK_BUS_SCSI && (disk->info.address.type == ADDRESS_TYPE_DRIVE
                                               ? disk->info.address.drive.unit == unit
                                               : disk_name_index(disk->target) == (int)unit))
            return true;
    }
    for (uint32_t i = 0; i < def->hostdevs.count; i++) {
        const struct device_address *address = &def->hostdevs.item[i]->info.address;
        if (def->hostdevs.item[i]->type == HOSTDEV_TYPE_SCSI && address->type == ADDRESS_TYPE_DRIVE &&
            address->drive.unit == unit)
            return true;
    }
    return false;
}

/* A SCSI host device is a drive of the guest: it takes the first unit that no disk has. */
static void scsi_hostdevs_complete(struct domain_def *def)
{
    for (uint32_t i = 0; i < def->hostdevs.count; i++) {
        struct hostdev *hostdev = def->hostdevs.item[i];
        if (hostdev->type != HOSTDEV_TYPE_SCSI)
            continue;
        if (!hostdev->info.address.type) {
            uint32_t unit = 0;
            while (scsi_unit_used(def, unit))
                unit++;
            hostdev->info.address.type = ADDRESS_TYPE_DRIVE;
            hostdev->info.address.drive.unit = unit;
        }
        if (!controller_find(def, CONTROLLER_TYPE_SCSI, hostdev->info.address.drive.controller) &&
            hostdev->info.address.drive.controller < 256)
            controller_add(def, CONTROLLER_TYPE_SCSI, hostdev->info.address.drive.controller);
    }
}

static void interface_complete(struct interface *interface)
{
    if (!interface->mac.set) {
        static const unsigned char prefix[] = {0x52, 0x54, 0x00};
        memcpy(interface->mac.byte, prefix, sizeof(prefix));
        if (getrandom(interface->mac.byte + 3, 3, 0) != 3)
            abort();
        interface->mac.set = true;
    }
    if (!interface->model && interface->type != INTERFACE_TYPE_HOSTDEV)
        interface->model = interface->type == INTERFACE_TYPE_VDPA ? "virtio" : "rtl8139";
}

static uint32_t power_of_two(uint32_t number)
{
    uint32_t power = 1;
    while (power < number && power < 1u << 31)
        power <<= 1;
    return number ? power : 0;
}

static void video_complete(struct video *video, bool first)
{
    if (!video->model || video->model == VIDEO_MODEL_DEFAULT)
        video->model = VIDEO_MODEL_CIRRUS;
    for (size_t i = 0; i < COUNT(video_memory); i++) {
        if (video_memory[i].model != video->model)
            continue;
        video->ram = video->ram ? video->ram : video_memory[i].ram;
        video->vram = video->vram ? video->vram : video_memory[i].vram;
        video->vgamem = video->vgamem ? video->vgamem : video_memory[i].vgamem;
    }
    video->ram = power_of_two(video->ram);
    video->vram = power_of_two(video->vram);
    video->vgamem = power_of_two(video->vgamem);
    if (!video->heads && video->model != VIDEO_MODEL_NONE)
        video->heads = 1;
    if (first && video->model != VIDEO_MODEL_NONE)
        video->primary = YESNO_YES;
}

static void videos_complete(struct domain_def *def)
{
    bool wanted = false;
    for (uint32_t i = 0; i < def->graphics.count; i++)
        wanted |= def->graphics.item[i]->type != GRAPHICS_TYPE_EGL_HEADLESS;
    if (wanted && def->videos.count == 0)
        list_add(def->arena, &def->videos, arena_struct(def->arena, struct video));

    uint32_t primary = 0;
    for (uint32_t i = 0; i < def->videos.count; i++)
        if (def->videos.item[i]->primary == YESNO_YES)
            primary = i;
    for (uint32_t i = 0; i < def->videos.count; i++)
        video_complete(def->videos.item[i], i == primary);
    for (; primary > 0; primary--) { /* the primary one stands first */
        struct video *video = def->videos.item[primary];
        def->videos.item[primary] = def->videos.item[primary - 1];
        def->videos.item[primary - 1] = video;
    }
}

static void input_add(struct domain_def *def, enum input_type type)
{
    for (uint32_t i = 0; i < def->inputs.count; i++)
        if (def->inputs.item[i]->type == type && def->inputs.item[i]->bus == INPUT_BUS_PS2)
            return;
    struct input *input = arena_struct(def->arena, struct input);
    input->type = type;
    input->bus = INPUT_BUS_PS2;
    list_add(def->arena, &def->inputs, input);
}

static void inputs_complete(struct domain_def *def)
{
    for (uint32_t i = 0; i < def->inputs.count; i++) {
        struct input *input = def->inputs.item[i];
        if (input->bus)
            continue;
        if (input->type == INPUT_TYPE_PASSTHROUGH)
            input->bus = INPUT_BUS_VIRTIO;
        else if (input->type == INPUT_TYPE_EVDEV)
            input->bus = INPUT_BUS_NONE;
        else
            input->bus = input->type == INPUT_TYPE_TABLET ? INPUT_BUS_USB : INPUT_BUS_PS2;
    }
    if (def->os.type == OS_TYPE_HVM && def->type != VIRT_TYPE_XEN) {
        input_add(def, INPUT_TYPE_MOUSE);
        input_add(def, INPUT_TYPE_KEYBOARD);
    }
}

static void ports_number(struct chardev **chardevs, uint32_t count)
{
    uint32_t next = 0;
    for (uint32_t i = 0; i < count; i++)
        if (chardevs[i]->target_port.set && chardevs[i]->target_port.value + 1 > next)
            next = chardevs[i]->target_port.value + 1;
    for (uint32_t i = 0; i < count; i++)
        if (!chardevs[i]->target_port.set)
            chardevs[i]->target_port = (struct optional_u32){next++, true};
}

static void serial_complete(struct chardev *serial)
{
    if (!serial->target_type && serial->info.address.type == ADDRESS_TYPE_USB)
        serial->target_type = CHARDEV_TARGET_USB_SERIAL;
    else if (!serial->target_type && serial->info.address.type == ADDRESS_TYPE_PCI)
        serial->target_type = CHARDEV_TARGET_PCI_SERIAL;
    else if (!serial->target_type)
        serial->target_type = CHARDEV_TARGET_ISA_SERIAL;
    if (serial->target_model)
        return;
    serial->target_model = serial->target_type == CHARDEV_TARGET_ISA_SERIAL   ? CHARDEV_MODEL_ISA_SERIAL
                           : serial->target_type == CHARDEV_TARGET_USB_SERIAL ? CHARDEV_MODEL_USB_SERIAL
                           : serial->target_type == CHARDEV_TARGET_PCI_SERIAL ? CHARDEV_MODEL_PCI_SERIAL
                           : serial->target_type == CHARDEV_TARGET_ISA_DEBUG  ? CHARDEV_MODEL_ISA_DEBUGCON
                                                                              : CHARDEV_MODEL_ABSENT;
}

static bool serial_is_isa(const struct chardev *serial)
{
    return serial->target_type == CHARDEV_TARGET_ISA_SERIAL ||
           (!serial->target_type && !serial->info.address.type);
}

/* The first console of a full machine is its first serial port: whichever of the two is missing is made. */
static void consoles_complete(struct domain_def *def)
{
    for (uint32_t i = 0; i < def->consoles.count; i++)
        if (!def->consoles.item[i]->target_port.set)
            def->consoles.item[i]->target_port = (struct optional_u32){i, true};
    struct chardev *first = def->consoles.count ? def->consoles.item[0] : NULL;
    bool is_serial = first && (!first->target_type || first->target_type == CHARDEV_TARGET_SERIAL);
    if (is_serial && def->serials.count == 0) {
        struct chardev *serial = arena_memdup(def->arena, first, sizeof(*first));
        serial->extra = NULL;
        serial->target_type = CHARDEV_TARGET_ABSENT;
        serial->target_port = (struct optional_u32){0, true};
        list_add(def->arena, &def->serials, serial);
    } else if (!is_serial && def->serials.count > 0 && serial_is_isa(def->serials.item[0])) {
        struct chardev *console = arena_struct(def->arena, struct chardev);
        console->target_type = CHARDEV_TARGET_SERIAL;
        console->target_port = (struct optional_u32){0, true};
        list_add(def->arena, &def->consoles, console);
        for (uint32_t i = def->consoles.count - 1; i > 0; i--)
            def->consoles.item[i] = def->consoles.item[i - 1];
        def->consoles.item[0] = console;
    }
    for (uint32_t i = 0; i < def->consoles.count; i++) {
        if (!def->consoles.item[i]->target_type)
            def->consoles.item[i]->target_type = CHARDEV_TARGET_SERIAL;
    }
}

void domain_mirror_consoles(struct domain_def *def)
{
    for (uint32_t i = 0; i < def->consoles.count; i++) {
        struct chardev *console = def->consoles.item[i];
        if (console->target_type == CHARDEV_TARGET_SERIAL && i < def->serials.count) {
            console->source = def->serials.item[i]->source;
            console->info = def->serials.item[i]->info;
        }
        console->tty = console->source.type == CHARDEV_TYPE_PTY ? console->source.path : NULL;
    }
}

static void chardevs_complete(struct domain_def *def)
{
    if (def->os.type == OS_TYPE_HVM)
        consoles_complete(def);
    for (uint32_t i = 0; i < def->serials.count; i++)
        serial_complete(def->serials.item[i]);
    ports_number(def->serials.item, def->serials.count);
    ports_number(def->parallels.item, def->parallels.count);
    if (def->os.type == OS_TYPE_HVM)
        domain_mirror_consoles(def);
}

static void audio_complete(struct domain_def *def)
{
    if (def->audios.count == 0) {
        struct audio *audio = arena_struct(def->arena, struct audio);
        audio->type = AUDIO_TYPE_NONE;
        for (uint32_t i = 0; i < def->graphics.count; i++) {
            if (def->graphics.item[i]->type == GRAPHICS_TYPE_SDL)
                return; /* the user's desktop decides */
            if (def->graphics.item[i]->type == GRAPHICS_TYPE_SPICE)
                audio->type = AUDIO_TYPE_SPICE;
        }
        list_add(def->arena, &def->audios, audio);
    }
    uint32_t next = 1;
    for (uint32_t i = 0; i < def->audios.count; i++)
        if (def->audios.item[i]->id >= next)
            next = def->audios.item[i]->id + 1;
    for (uint32_t i = 0; i < def->audios.count; i++)
        if (!def->audios.item[i]->id)
            def->audios.item[i]->id = next++;
}

static bool dimm_slot_used(const struct domain_def *def, uint32_t slot)
{
    for (uint32_t i = 0; i < def->memory_devices.count; i++) {
        const struct device_address *address = &def->memory_devices.item[i]->info.address;
        if (address->type == ADDRESS_TYPE_DIMM && address->dimm.slot == slot)
            return true;
    }
    return false;
}

static void memory_devices_complete(struct domain_def *def)
{
    for (uint32_t i = 0; i < def->memory_devices.count; i++) {
        struct memory_device *memory = def->memory_devices.item[i];
        if ((memory->model != MEMORY_MODEL_DIMM && memory->model != MEMORY_MODEL_NVDIMM) || memory->info.address.type)
            continue;
        uint32_t slot = 0;
        while (dimm_slot_used(def, slot))
            slot++;
        memory->info.address.type = ADDRESS_TYPE_DIMM;
        memory->info.address.dimm.slot = slot;
    }
}

static void small_devices_complete(struct domain_def *def)
{
    if (!def->memballoon && def->os.type == OS_TYPE_HVM) {
        def->memballoon = arena_struct(def->arena, struct memballoon);
        def->memballoon->model = MEMBALLOON_MODEL_VIRTIO;
    }
    for (uint32_t i = 0; i < def->rngs.count; i++)
        if (def->rngs.item[i]->backend == RNG_BACKEND_RANDOM && !def->rngs.item[i]->path)
            def->rngs.item[i]->path = "/dev/random";
    for (uint32_t i = 0; i < def->panics.count; i++)
        if (!def->panics.item[i]->model)
            def->panics.item[i]->model = PANIC_MODEL_ISA;
    for (uint32_t i = 0; i < def->tpms.count; i++) {
        struct tpm *tpm = def->tpms.item[i];
        if (!tpm->model)
            tpm->model = TPM_MODEL_TIS;
        if (tpm->backend == TPM_BACKEND_EMULATOR && !tpm->version)
            tpm->version = tpm->model == TPM_MODEL_TIS ? TPM_VERSION_1_2 : TPM_VERSION_2_0;
    }
    if (def->vsock && !def->vsock->model)
        def->vsock->model = VIRTIO_MODEL_VIRTIO;
    for (uint32_t i = 0; i < def->filesystems.count; i++) {
        struct filesystem *filesystem = def->filesystems.item[i];
        if (!filesystem->access)
            filesystem->access = FILESYSTEM_ACCESS_PASSTHROUGH;
    }
}

#define DEVICES_MAX 2048

static int device_count(const struct device_ref *ref, void *owner)
{
    return ++*(unsigned *)owner > DEVICES_MAX;
}

int devices_complete(struct domain_def *def, struct error *err)
{
    unsigned count = 0;
    if (devices_visit(def, device_count, &count))
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "domain '%s' has more than %d devices", def->name, DEVICES_MAX);
    disks_sort(def);
    for (uint32_t i = 0; i < def->disks.count; i++)
        if (disk_complete(def, def->disks.item[i], err) < 0)
            return -1;
    scsi_hostdevs_complete(def);
    if (controllers_complete(def, err) < 0)
        return -1;
    for (uint32_t i = 0; i < def->interfaces.count; i++)
        interface_complete(def->interfaces.item[i]);
    small_devices_complete(def);
    memory_devices_complete(def);
    audio_complete(def);
    chardevs_complete(def);
    inputs_complete(def);
    videos_complete(def);
    return 0;
}
