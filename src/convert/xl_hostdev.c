/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "convert/xl_device.h"
#include "model/xml.h"

/* Devices of the host given to the guest, emulated USB devices, sound. */

/* [DDDD:]BB:SS.F, with @VSLOT and ,options behind it; or bdf=... */
static int pci_add(const struct xl_read *read, const struct xl_value *value, struct error *err)
{
    if (value->kind != XL_ATOM)
        return xl_wrong(err, value, "pci", "a device is described by a string, not by a list");
    const char *text = string_starts(value->text, "bdf=") ? value->text + 4 : value->text;
    unsigned domain = 0, bus, slot, function;
    int used = 0;
    bool found = sscanf(text, "%4x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &used) == 4;
    if (!found) {
        domain = 0;
        found = sscanf(text, "%2x:%2x.%1x%n", &bus, &slot, &function, &used) == 3;
    }
    if (!found || !strchr(",@= ", text[used]) || slot > 31 || function > 7)
        return xl_wrong(err, value, "pci", "'%.60s' is no PCI address like 0000:03:00.0", value->text);
    struct hostdev *device = arena_struct(read->def->arena, struct hostdev);
    device->mode = HOSTDEV_MODE_SUBSYSTEM;
    device->type = HOSTDEV_TYPE_PCI;
    device->managed = YESNO_NO;
    device->pci = (struct pci_address){.domain = (uint16_t)domain, .bus = (uint8_t)bus, .slot = (uint8_t)slot,
                                       .function = (uint8_t)function};
    list_add(read->def->arena, &read->def->hostdevs, device);
    return 0;
}

static struct hostdev *usb_add(const struct xl_read *read)
{
    struct hostdev *device = arena_struct(read->def->arena, struct hostdev);
    device->mode = HOSTDEV_MODE_SUBSYSTEM;
    device->type = HOSTDEV_TYPE_USB;
    list_add(read->def->arena, &read->def->hostdevs, device);
    return device;
}

/* usbdev = ['hostbus=1,hostaddr=5'] */
static int usbdev_add(const struct xl_read *read, const struct xl_value *value, struct error *err)
{
    uint32_t bus, address;
    const char *bus_text = value->kind == XL_ATOM ? xl_key(read->def->arena, value->text, "hostbus") : NULL;
    const char *address_text = value->kind == XL_ATOM ? xl_key(read->def->arena, value->text, "hostaddr") : NULL;
    if (!bus_text || !address_text || parse_u32(bus_text, 10, &bus) < 0 || parse_u32(address_text, 10, &address) < 0)
        return xl_wrong(err, value, "usbdev", "a device is described by a string with hostbus=N and hostaddr=N");
    struct hostdev *device = usb_add(read);
    device->usb_address_set = true;
    device->usb_bus = bus;
    device->usb_device = address;
    return 0;
}

int xl_hostdevs_read(const struct xl_read *read, struct error *err)
{
    const struct xl_value *value;
    for (size_t i = 0; (value = xl_item(read->file, "pci", i)); i++)
        if (pci_add(read, value, err) < 0)
            return -1;
    for (size_t i = 0; (value = xl_item(read->file, "usbdev", i)); i++)
        if (usbdev_add(read, value, err) < 0)
            return -1;
    return 0;
}

/* usbdevice = 'tablet', 'host:1.5' or 'host:1234:abcd', or a list of them. */
static int usbdevice_add(const struct xl_read *read, const struct xl_value *value, struct error *err)
{
    const char *text = value->kind == XL_ATOM ? value->text : "";
    enum input_type type = (enum input_type)words_value(&input_type_words, text);
    unsigned first, second;
    int used = 0;
    if (type == INPUT_TYPE_MOUSE || type == INPUT_TYPE_TABLET || type == INPUT_TYPE_KEYBOARD) {
        struct input *input = arena_struct(read->def->arena, struct input);
        input->type = type;
        input->bus = INPUT_BUS_USB;
        list_add(read->def->arena, &read->def->inputs, input);
    } else if (sscanf(text, "host:%3u.%3u%n", &first, &second, &used) == 2 && !text[used]) {
        struct hostdev *device = usb_add(read);
        device->usb_address_set = true;
        device->usb_bus = first;
        device->usb_device = second;
    } else if (sscanf(text, "host:%4x:%4x%n", &first, &second, &used) == 2 && !text[used]) {
        struct hostdev *device = usb_add(read);
        device->vendor = (struct optional_u32){first, true};
        device->product = (struct optional_u32){second, true};
    } else {
        return xl_wrong(err, value, "usbdevice", "'%.60s' is not known; it is tablet, mouse, keyboard, host:BUS.DEVICE "
                        "or host:VENDOR:PRODUCT", text);
    }
    return 0;
}

static int sound_add(const struct xl_read *read, struct error *err)
{
    static const struct {
        const char *xl;
        enum sound_model model;
    } cards[] = {{"hda", SOUND_MODEL_ICH6},       {"intel-hda", SOUND_MODEL_ICH6}, {"es1370", SOUND_MODEL_ES1370},
                 {"ac97", SOUND_MODEL_AC97},      {"sb16", SOUND_MODEL_SB16},      {"pcspk", SOUND_MODEL_PCSPK}};
    const char *names = NULL;
    if (xl_text(read->file, "soundhw", &names, err) < 0)
        return -1;
    for (size_t i = 0; names && i < COUNT(cards); i++)
        if (string_equal(names, cards[i].xl)) {
            struct sound *sound = arena_struct(read->def->arena, struct sound);
            sound->model = cards[i].model;
            list_add(read->def->arena, &read->def->sounds, sound);
            return 0;
        }
    if (names)
        report_left(read->report, "xl/soundhw", "", "the sound card '%s' is not known here; add <sound> where it is "
                    "needed", names);
    return 0;
}

int xl_inputs_read(const struct xl_read *read, struct error *err)
{
    const struct xl_value *value;
    for (size_t i = 0; read->hvm && (value = xl_item(read->file, "usbdevice", i)); i++)
        if (usbdevice_add(read, value, err) < 0)
            return -1;
    return read->hvm ? sound_add(read, err) : 0;
}
