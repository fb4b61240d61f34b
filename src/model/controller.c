/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "model/devices.h"
#include "model/disk.h"
#include "model/field.h"
#include "model/xml.h"

#define CONTROLLER_IS(kind) WHEN(controller, type, BIT(CONTROLLER_TYPE_##kind))
#define HAS_PORTS WHEN(controller, type, BIT(CONTROLLER_TYPE_USB) | BIT(CONTROLLER_TYPE_VIRTIO_SERIAL))

/* index and index_set are read and written as one optional_u32 */
_Static_assert(offsetof(struct controller, index_set) - offsetof(struct controller, index) ==
               offsetof(struct optional_u32, set), "index is laid out like an optional_u32");

static const struct field controller_fields[] = {
    FIELD_ENUM(controller, type, "@type", controller_type, .flags = REQUIRED | GUEST_ABI),
    FIELD_OF(OPT_U32, "@index", offsetof(struct controller, index), .flags = GUEST_ABI, MAX(INT32_MAX)),
    FIELD_ENUM(controller, model, "@model", controller_model, .flags = GUEST_ABI),
    FIELD_OPT_U32(controller, ports, "@ports", HAS_PORTS, .flags = GUEST_ABI),
    FIELD_OPT_U32(controller, vectors, "@vectors", CONTROLLER_IS(VIRTIO_SERIAL), .flags = GUEST_ABI),
    FIELD_KEPT("@maxGrantFrames"),
    FIELD_KEPT("@maxEventChannels"),
    FIELD_ENUM(controller, pci_model_name, "model/@name", pci_controller_name, CONTROLLER_IS(PCI), .flags = GUEST_ABI),
    FIELD_OPT_U32(controller, chassis_nr, "target/@chassisNr", CONTROLLER_IS(PCI), .flags = GUEST_ABI, MAX(255)),
    FIELD_OPT_U32(controller, chassis, "target/@chassis", CONTROLLER_IS(PCI), .flags = GUEST_ABI, MAX(255)),
    FIELD_OPT_U32(controller, port, "target/@port", CONTROLLER_IS(PCI), .flags = GUEST_ABI | HEX, MAX(255)),
    FIELD_OPT_U32(controller, bus_nr, "target/@busNr", CONTROLLER_IS(PCI), .flags = GUEST_ABI, MAX(254)),
    FIELD_OPT_U32(controller, target_index, "target/@index", CONTROLLER_IS(PCI), .flags = GUEST_ABI, MAX(30)),
    FIELD_ENUM(controller, hotplug, "target/@hotplug", onoff, CONTROLLER_IS(PCI), .flags = GUEST_ABI),
    FIELD_OPT_U32(controller, numa_node, "target/node", CONTROLLER_IS(PCI), .flags = GUEST_ABI),
    FIELD_MEMORY(controller, pcihole64_kib, "pcihole64", CONTROLLER_IS(PCI), .flags = GUEST_ABI),
    FIELD_U32(controller, queues, "driver/@queues", .flags = GUEST_ABI),
    FIELD_U32(controller, cmd_per_lun, "driver/@cmd_per_lun", .flags = GUEST_ABI),
    FIELD_U32(controller, max_sectors, "driver/@max_sectors", .flags = GUEST_ABI),
    FIELD_ENUM(controller, ioeventfd, "driver/@ioeventfd", onoff),
    FIELD_U32(controller, iothread, "driver/@iothread"),
    FIELD_MERGE(controller, virtio, virtio_options),
    FIELD_MERGE(controller, info, device_info),
};
ELEMENT(controller, controller);

static const struct field filesystem_fields[] = {
    FIELD_ENUM(filesystem, type, "@type", filesystem_type, .flags = HAS_DEFAULT, DEFAULT(FILESYSTEM_TYPE_MOUNT)),
    FIELD_ENUM(filesystem, access, "@accessmode", filesystem_access),
    FIELD_STR(filesystem, model, "@model", .flags = GUEST_ABI),
    FIELD_STR(filesystem, multidevs, "@multidevs"),
    FIELD_STR(filesystem, fmode, "@fmode"),
    FIELD_STR(filesystem, dmode, "@dmode"),
    FIELD_ENUM(filesystem, driver, "driver/@type", filesystem_driver, .flags = GUEST_ABI),
    FIELD_STR(filesystem, format, "driver/@format"),
    FIELD_STR(filesystem, wrpolicy, "driver/@wrpolicy"),
    FIELD_U32(filesystem, queue_size, "driver/@queue", .flags = GUEST_ABI),
    FIELD_MERGE(filesystem, virtio, virtio_options),
    FIELD_STR(filesystem, binary_path, "binary/@path"),
    FIELD_KEPT("binary/@xattr"),
    FIELD_KEPT("binary/cache"),
    FIELD_KEPT("binary/sandbox"),
    FIELD_KEPT("binary/lock"),
    FIELD_KEPT("binary/thread_pool"),
    FIELD_STR(filesystem, source_dev, "source/@dev"),
    FIELD_STR(filesystem, source_dir, "source/@dir"),
    FIELD_STR(filesystem, source_file, "source/@file"),
    FIELD_STR(filesystem, source_name, "source/@name"),
    FIELD_STR(filesystem, source_socket, "source/@socket"),
    FIELD_STR(filesystem, source_pool, "source/@pool"),
    FIELD_STR(filesystem, source_volume, "source/@volume"),
    FIELD_KEPT("source/@usage"),
    FIELD_KEPT("source/@units"),
    FIELD_STR(filesystem, target_dir, "target/@dir", .flags = GUEST_ABI),
    FIELD_KEPT("idmap"),
    FIELD_KEPT("acl"),
    FIELD_FLAG(filesystem, readonly, "readonly", .flags = GUEST_ABI),
    FIELD_BYTES(filesystem, space_hard_limit, "space_hard_limit"),
    FIELD_BYTES(filesystem, space_soft_limit, "space_soft_limit"),
    FIELD_MERGE(filesystem, info, device_info),
};

/* Modes are octal: "644" is written as "0644". */
static int filesystem_parsed(void *part, struct parse *parse)
{
    struct filesystem *filesystem = part;
    const char **modes[] = {&filesystem->fmode, &filesystem->dmode};
    for (size_t i = 0; i < COUNT(modes); i++) {
        char *end = NULL;
        unsigned long mode = *modes[i] ? strtoul(*modes[i], &end, 8) : 0;
        if (*modes[i] && (*end != '\0' || end == *modes[i] || mode > 07777))
            return xml_error(parse, i ? "@dmode" : "@fmode", "'%s' is not an octal mode up to 7777", *modes[i]);
        if (*modes[i])
            *modes[i] = arena_printf(parse->arena, "%04lo", mode);
    }
    return 0;
}
ELEMENT(filesystem, filesystem, .parsed = filesystem_parsed);

static const struct field lease_fields[] = {
    FIELD_STR(lease, lockspace, "lockspace"),
    FIELD_STR(lease, key, "key", .flags = REQUIRED),
    FIELD_STR(lease, path, "target/@path", .flags = REQUIRED),
    FIELD_U64(lease, offset, "target/@offset"),
};
ELEMENT(lease, lease);
