/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/text.h"
#include "convert/rewrite.h"
#include "model/address.h"
#include "model/xml.h"

/* Devices other than disks and interfaces. */

void rule_console(struct rewrite *rewrite)
{
    for (uint32_t i = 0; i < rewrite->def->consoles.count;) {
        const struct chardev *console = rewrite->def->consoles.item[i];
        bool xen = console->target_type == CHARDEV_TARGET_XEN || (rewrite->paravirtual && !console->target_type);
        if (!xen) {
            i++;
            continue;
        }
        rewrite_changed(rewrite, arena_printf(rewrite->arena, "xen (%s)", chardev_type_name(console->source.type)),
                        NULL);
        list_drop(&rewrite->def->consoles, i);
    }
}

static void console_add(struct rewrite *rewrite)
{
    struct chardev *console = arena_struct(rewrite->arena, struct chardev);
    console->source.type = CHARDEV_TYPE_PTY;
    console->target_type = CHARDEV_TARGET_SERIAL;
    console->target_port = (struct optional_u32){0, true};
    list_add(rewrite->arena, &rewrite->def->consoles, console);
}

void rule_serial(struct rewrite *rewrite)
{
    struct domain_def *def = rewrite->def;
    for (uint32_t i = 0; i < def->serials.count; i++) {
        struct chardev_source *source = &def->serials.item[i]->source;
        if (source->type == CHARDEV_TYPE_VC || source->type == CHARDEV_TYPE_STDIO)
            rewrite_enum(rewrite, &source->type, CHARDEV_TYPE_PTY, chardev_type);
        if (source->type == CHARDEV_TYPE_PTY)
            source->path = NULL;
    }
    if (def->serials.count)
        return;
    struct chardev *serial = arena_struct(rewrite->arena, struct chardev);
    serial->source.type = CHARDEV_TYPE_PTY;
    serial->target_port = (struct optional_u32){0, true};
    list_add(rewrite->arena, &def->serials, serial);
    if (!def->consoles.count)
        console_add(rewrite);
    rewrite_changed(rewrite, NULL, "pty, ttyS0 in the guest");
}

void rule_channel(struct rewrite *rewrite)
{
    for (uint32_t i = 0; i < rewrite->def->channels.count; i++) {
        struct chardev *channel = rewrite->def->channels.item[i];
        if (channel->target_type != CHARDEV_TARGET_XEN)
            continue;
        rewrite_enum(rewrite, &channel->target_type, CHARDEV_TARGET_VIRTIO, chardev_target);
        rewrite_left(rewrite, "a program in the guest finds the channel %s at /dev/virtio-ports/",
                     channel->target_name ? channel->target_name : "");
    }
}

void rule_input(struct rewrite *rewrite)
{
    for (uint32_t i = 0; i < rewrite->def->inputs.count; i++) {
        struct input *input = rewrite->def->inputs.item[i];
        rewrite->subject = arena_printf(rewrite->arena, "%s", input_type_name(input->type));
        if (input->bus != INPUT_BUS_XEN)
            continue;
        enum input_bus bus = input->type == INPUT_TYPE_TABLET ? INPUT_BUS_USB : INPUT_BUS_PS2;
        rewrite_enum(rewrite, &input->bus, bus, input_bus);
        input->info.address = (struct device_address){0};
    }
}

void rule_graphics(struct rewrite *rewrite)
{
    struct domain_def *def = rewrite->def;
    bool vnc = false;
    for (uint32_t i = 0; i < def->graphics.count; i++)
        vnc |= def->graphics.item[i]->type == GRAPHICS_TYPE_VNC;
    for (uint32_t i = 0; i < def->graphics.count;) {
        struct graphics *graphics = def->graphics.item[i];
        bool local = graphics->type == GRAPHICS_TYPE_SDL || graphics->type == GRAPHICS_TYPE_DESKTOP ||
                     graphics->type == GRAPHICS_TYPE_RDP;
        if (!local) {
            i++;
            continue;
        }
        rewrite_changed(rewrite, graphics_type_name(graphics->type), vnc ? NULL : "vnc");
        if (vnc) {
            list_drop(&def->graphics, i);
            continue;
        }
        *graphics = (struct graphics){.type = GRAPHICS_TYPE_VNC, .port = -1, .port_at_rest = -1, .autoport = YESNO_YES,
                                      .keymap = graphics->keymap};
        vnc = true;
    }
}

static bool listens_anywhere(const char *address)
{
    static const char *const plain[] = {"127.0.0.1", "0.0.0.0", "::", "::1", "localhost"};
    for (size_t i = 0; i < COUNT(plain); i++)
        if (string_equal(address, plain[i]))
            return true;
    return !address;
}

void rule_listen(struct rewrite *rewrite)
{
    for (uint32_t i = 0; i < rewrite->def->graphics.count; i++) {
        struct graphics *graphics = rewrite->def->graphics.item[i];
        for (uint32_t at = 0; at < graphics->listens.count;) {
            const struct graphics_listen *listen = graphics->listens.item[at];
            if (listen->type != LISTEN_TYPE_ADDRESS || listens_anywhere(listen->address)) {
                at++;
                continue;
            }
            rewrite_changed(rewrite, listen->address, NULL);
            rewrite_left(rewrite, "the display is reached on the target host itself only (127.0.0.1); set another "
                         "address where it is needed");
            list_drop(&graphics->listens, at);
        }
        if (!listens_anywhere(graphics->listen))
            graphics->listen = NULL;
    }
}

void rule_video(struct rewrite *rewrite)
{
    for (uint32_t i = 0; i < rewrite->def->videos.count; i++) {
        struct video *video = rewrite->def->videos.item[i];
        if (video->model != VIDEO_MODEL_XEN)
            continue;
        rewrite_enum(rewrite, &video->model, VIDEO_MODEL_VGA, video_model);
        video->vram = video->ram = video->vgamem = 0; /* the card's own default */
    }
}

void rule_memballoon(struct rewrite *rewrite)
{
    struct domain_def *def = rewrite->def;
    if (!def->memballoon)
        def->memballoon = arena_struct(rewrite->arena, struct memballoon);
    if (def->memballoon->model == MEMBALLOON_MODEL_ABSENT || def->memballoon->model == MEMBALLOON_MODEL_XEN)
        rewrite_enum(rewrite, &def->memballoon->model, MEMBALLOON_MODEL_VIRTIO, memballoon_model);
}

static const char *hostdev_shown(struct rewrite *rewrite, const struct hostdev *device)
{
    const struct pci_address *pci = &device->pci;
    if (device->type == HOSTDEV_TYPE_PCI)
        return arena_printf(rewrite->arena, "PCI device %04x:%02x:%02x.%x", pci->domain, pci->bus, pci->slot,
                            pci->function);
    if (device->type == HOSTDEV_TYPE_USB && device->vendor.set)
        return arena_printf(rewrite->arena, "USB device %04x:%04x", device->vendor.value, device->product.value);
    if (device->type == HOSTDEV_TYPE_USB)
        return arena_printf(rewrite->arena, "USB device %u.%u", device->usb_bus, device->usb_device);
    const char *type = hostdev_type_name(device->type);
    return arena_printf(rewrite->arena, "%s device", type ? type : "host");
}

void rule_hostdev(struct rewrite *rewrite)
{
    for (uint32_t i = 0; i < rewrite->def->hostdevs.count; i++) {
        const char *name = hostdev_shown(rewrite, rewrite->def->hostdevs.item[i]);
        rewrite_changed(rewrite, name, NULL);
        rewrite_left(rewrite, "the %s was passed through; give the guest one of the target host's, by <hostdev>", name);
    }
    rewrite->def->hostdevs.count = 0;
}

static bool controller_is_foreign(const struct controller *controller)
{
    return controller->type == CONTROLLER_TYPE_XENBUS || controller->type == CONTROLLER_TYPE_PCI ||
           (controller->type == CONTROLLER_TYPE_USB &&
            (controller->model == CONTROLLER_MODEL_QUSB1 || controller->model == CONTROLLER_MODEL_QUSB2));
}

void rule_controller(struct rewrite *rewrite)
{
    for (uint32_t i = 0; i < rewrite->def->controllers.count;) {
        const struct controller *controller = rewrite->def->controllers.item[i];
        if (!controller_is_foreign(controller)) {
            i++;
            continue;
        }
        const char *model = controller_model_name(controller->model);
        rewrite_changed(rewrite, arena_printf(rewrite->arena, "%s%s%s", controller_type_name(controller->type),
                                              model ? " " : "", model ? model : ""), NULL);
        list_drop(&rewrite->def->controllers, i);
    }
}

static int address_drop(const struct device_ref *ref, void *owner)
{
    struct rewrite *rewrite = owner;
    if (ref->info->address.type != ADDRESS_TYPE_PCI)
        return 0;
    const struct pci_address *pci = &ref->info->address.pci;
    rewrite_changed_of(rewrite, device_ref_name(rewrite->arena, ref),
                       arena_printf(rewrite->arena, "%04x:%02x:%02x.%x", pci->domain, pci->bus, pci->slot,
                                    pci->function),
                       NULL);
    ref->info->address = (struct device_address){0};
    return 0;
}

void rule_address(struct rewrite *rewrite)
{
    devices_visit(rewrite->def, address_drop, rewrite);
}
