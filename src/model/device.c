/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/device.h"

#include "model/field.h"

#define IS(kind) WHEN(device_address, type, BIT(ADDRESS_TYPE_##kind))

static const struct field device_address_fields[] = {
    FIELD_ENUM(device_address, type, "@type", address_type, .flags = GUEST_ABI),
    FIELD_U16(device_address, pci.domain, "@domain", IS(PCI), .flags = HEX | ALWAYS | GUEST_ABI, .width = 4),
    FIELD_U8(device_address, pci.bus, "@bus", IS(PCI), .flags = HEX | ALWAYS | GUEST_ABI, .width = 2),
    FIELD_U8(device_address, pci.slot, "@slot", IS(PCI), .flags = HEX | ALWAYS | GUEST_ABI, .width = 2, MAX(0x1f)),
    FIELD_U8(device_address, pci.function, "@function", IS(PCI), .flags = HEX | ALWAYS | GUEST_ABI, .width = 1, MAX(7)),
    FIELD_ENUM(device_address, pci.multifunction, "@multifunction", onoff, IS(PCI), .flags = GUEST_ABI),
    FIELD_U32(device_address, drive.controller, "@controller", IS(DRIVE), .flags = ALWAYS | GUEST_ABI),
    FIELD_U32(device_address, drive.bus, "@bus", IS(DRIVE), .flags = ALWAYS | GUEST_ABI),
    FIELD_U32(device_address, drive.target, "@target", IS(DRIVE), .flags = ALWAYS | GUEST_ABI),
    FIELD_U32(device_address, drive.unit, "@unit", IS(DRIVE), .flags = ALWAYS | GUEST_ABI),
    FIELD_U32(device_address, virtio_serial.controller, "@controller", IS(VIRTIO_SERIAL), .flags = ALWAYS | GUEST_ABI),
    FIELD_U32(device_address, virtio_serial.bus, "@bus", IS(VIRTIO_SERIAL), .flags = ALWAYS | GUEST_ABI),
    FIELD_U32(device_address, virtio_serial.port, "@port", IS(VIRTIO_SERIAL), .flags = ALWAYS | GUEST_ABI),
    FIELD_U32(device_address, ccid.controller, "@controller", IS(CCID), .flags = ALWAYS | GUEST_ABI),
    FIELD_U32(device_address, ccid.slot, "@slot", IS(CCID), .flags = ALWAYS | GUEST_ABI),
    FIELD_U32(device_address, usb.bus, "@bus", IS(USB), .flags = ALWAYS | GUEST_ABI),
    FIELD_STR(device_address, usb.port, "@port", IS(USB), .flags = GUEST_ABI),
    FIELD_U32(device_address, isa.iobase, "@iobase", IS(ISA), .flags = HEX | GUEST_ABI),
    FIELD_U32(device_address, isa.irq, "@irq", IS(ISA), .flags = HEX | GUEST_ABI),
    FIELD_U32(device_address, dimm.slot, "@slot", IS(DIMM), .flags = ALWAYS | GUEST_ABI),
    FIELD_U64(device_address, dimm.base, "@base", IS(DIMM), .flags = HEX | GUEST_ABI),
};
ELEMENT(device_address, device_address);

/* What stands at the end of every device. */
static const struct field device_info_fields[] = {
    FIELD_U32(device_info, boot_order, "boot/@order"),
    FIELD_STR(device_info, boot_loadparm, "boot/@loadparm"),
    FIELD_STR(device_info, alias, "alias/@name", .flags = USER_ALIAS),
    FIELD_OPT_U32(device_info, master_startport, "master/@startport", .flags = GUEST_ABI),
    FIELD_ENUM(device_info, rom_enabled, "rom/@enabled", yesno, .flags = GUEST_ABI),
    FIELD_ENUM(device_info, rom_bar, "rom/@bar", onoff, .flags = GUEST_ABI),
    FIELD_STR(device_info, rom_file, "rom/@file"),
    FIELD_U32(device_info, acpi_index, "acpi/@index", .flags = GUEST_ABI),
    FIELD_INLINE(device_info, address, "address", device_address, .flags = GUEST_ABI),
};
FRAGMENT(device_info, device_info);

static const struct field virtio_options_fields[] = {
    FIELD_ENUM(virtio_options, iommu, "driver/@iommu", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(virtio_options, ats, "driver/@ats", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(virtio_options, packed, "driver/@packed", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(virtio_options, page_per_vq, "driver/@page_per_vq", onoff, .flags = GUEST_ABI),
};
FRAGMENT(virtio_options, virtio_options);

static const struct field seclabel_fields[] = {
    FIELD_ENUM(seclabel, type, "@type", seclabel_type),
    FIELD_STR(seclabel, model, "@model"),
    FIELD_ENUM(seclabel, relabel, "@relabel", yesno),
    FIELD_ENUM(seclabel, labelskip, "@labelskip", yesno),
    FIELD_STR(seclabel, label, "label"),
    FIELD_STR(seclabel, imagelabel, "imagelabel", .flags = LIVE),
    FIELD_STR(seclabel, baselabel, "baselabel"),
};
ELEMENT(seclabel, seclabel);
