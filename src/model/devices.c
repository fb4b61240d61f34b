/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/devices.h"

#include <stdlib.h>
#include <string.h>

#include "model/field.h"
#include "model/xml.h"

static const struct field input_fields[] = {
    FIELD_ENUM(input, type, "@type", input_type, .flags = REQUIRED | GUEST_ABI),
    FIELD_ENUM(input, bus, "@bus", input_bus, .flags = GUEST_ABI),
    FIELD_ENUM(input, model, "@model", virtio_model, .flags = GUEST_ABI),
    FIELD_MERGE(input, virtio, virtio_options),
    FIELD_STR(input, source_evdev, "source/@evdev", WHEN(input, type, BIT(INPUT_TYPE_PASSTHROUGH))),
    FIELD_STR(input, source_dev, "source/@dev", WHEN(input, type, BIT(INPUT_TYPE_EVDEV))),
    FIELD_STR(input, grab, "source/@grab"),
    FIELD_STR(input, grab_toggle, "source/@grabToggle"),
    FIELD_ENUM(input, repeat, "source/@repeat", onoff),
    FIELD_MERGE(input, info, device_info),
};
ELEMENT(input, input);

static const struct field tpm_fields[] = {
    FIELD_ENUM(tpm, model, "@model", tpm_model, .flags = GUEST_ABI),
    FIELD_ENUM(tpm, backend, "backend/@type", tpm_backend, .flags = REQUIRED),
    FIELD_ENUM(tpm, version, "backend/@version", tpm_version, .flags = GUEST_ABI),
    FIELD_ENUM(tpm, persistent_state, "backend/@persistent_state", yesno),
    FIELD_KEPT("backend/@debug"),
    FIELD_KEPT("backend/source"),
    FIELD_KEPT("backend/active_pcr_banks"),
    FIELD_KEPT("backend/profile"),
    FIELD_STR(tpm, device_path, "backend/device/@path"),
    FIELD_STR(tpm, encryption_secret, "backend/encryption/@secret"),
    FIELD_MERGE(tpm, info, device_info),
};
ELEMENT(tpm, tpm);

#define HOSTDEV_IS(kind) WHEN(hostdev, type, BIT(HOSTDEV_TYPE_##kind))

static const struct field hostdev_fields[] = {
    FIELD_ENUM(hostdev, mode, "@mode", hostdev_mode, .flags = HAS_DEFAULT, DEFAULT(HOSTDEV_MODE_SUBSYSTEM)),
    FIELD_ENUM(hostdev, type, "@type", hostdev_type, .flags = REQUIRED | GUEST_ABI),
    FIELD_ENUM(hostdev, managed, "@managed", yesno),
    FIELD_STR(hostdev, sgio, "@sgio"),
    FIELD_ENUM(hostdev, rawio, "@rawio", yesno),
    FIELD_STR(hostdev, model, "@model", .flags = GUEST_ABI),
    FIELD_ENUM(hostdev, display, "@display", onoff),
    FIELD_ENUM(hostdev, ramfb, "@ramfb", onoff),
    FIELD_ENUM(hostdev, driver, "driver/@name", hostdev_driver),
    FIELD_STR(hostdev, protocol, "source/@protocol"),
    FIELD_STR(hostdev, name, "source/@name"),
    FIELD_STR(hostdev, wwpn, "source/@wwpn"),
    FIELD_STR(hostdev, startup_policy, "source/@startupPolicy"),
    FIELD_ENUM(hostdev, write_filtering, "source/@writeFiltering", yesno),
    FIELD_OPT_U32(hostdev, vendor, "source/vendor/@id", HOSTDEV_IS(USB), .flags = HEX, .width = 4, MAX(0xffff)),
    FIELD_OPT_U32(hostdev, product, "source/product/@id", HOSTDEV_IS(USB), .flags = HEX, .width = 4, MAX(0xffff)),
    FIELD_STR(hostdev, adapter_name, "source/adapter/@name", HOSTDEV_IS(SCSI)),
    FIELD_U16(hostdev, pci.domain, "source/address/@domain", HOSTDEV_IS(PCI), .flags = HEX | ALWAYS, .width = 4),
    FIELD_U8(hostdev, pci.bus, "source/address/@bus", HOSTDEV_IS(PCI), .flags = HEX | ALWAYS, .width = 2),
    FIELD_U8(hostdev, pci.slot, "source/address/@slot", HOSTDEV_IS(PCI), .flags = HEX | ALWAYS, .width = 2, MAX(31)),
    FIELD_U8(hostdev, pci.function, "source/address/@function", HOSTDEV_IS(PCI), .flags = HEX | ALWAYS, .width = 1,
             MAX(7)),
    FIELD_U32(hostdev, usb_bus, "source/address/@bus", HOSTDEV_IS(USB)),
    FIELD_U32(hostdev, usb_device, "source/address/@device", HOSTDEV_IS(USB)),
    FIELD_STR(hostdev, mdev_uuid, "source/address/@uuid", HOSTDEV_IS(MDEV)),
    FIELD_U32(hostdev, scsi_bus, "source/address/@bus", HOSTDEV_IS(SCSI), .flags = ALWAYS),
    FIELD_U32(hostdev, scsi_target, "source/address/@target", HOSTDEV_IS(SCSI), .flags = ALWAYS),
    FIELD_U64(hostdev, scsi_unit, "source/address/@unit", HOSTDEV_IS(SCSI), .flags = ALWAYS),
    FIELD_KEPT("source/host"),
    FIELD_KEPT("source/initiator"),
    FIELD_KEPT("source/auth"),
    FIELD_KEPT("source/block"),
    FIELD_KEPT("source/char"),
    FIELD_KEPT("source/interface"),
    FIELD_KEPT("ip"),
    FIELD_KEPT("route"),
    FIELD_KEPT("teaming"),
    FIELD_FLAG(hostdev, readonly, "readonly"),
    FIELD_FLAG(hostdev, shareable, "shareable"),
    FIELD_MERGE(hostdev, info, device_info),
};

static int hostdev_parsed(void *part, struct parse *parse)
{
    struct hostdev *hostdev = part;
    if (hostdev->mode != HOSTDEV_MODE_SUBSYSTEM)
        return 0;
    if (!hostdev->managed)
        hostdev->managed = YESNO_NO;
    if (hostdev->type == HOSTDEV_TYPE_MDEV && !hostdev->display && !hostdev->model)
        return xml_error(parse, "@model", "is missing: a mediated device needs a model like 'vfio-pci'");
    if (hostdev->type == HOSTDEV_TYPE_MDEV && !hostdev->display)
        hostdev->display = ONOFF_OFF;
    hostdev->usb_address_set = hostdev->usb_bus || hostdev->usb_device;
    bool named = hostdev->usb_address_set || (hostdev->vendor.set && hostdev->product.set);
    if (hostdev->type == HOSTDEV_TYPE_USB && !named)
        return xml_error(parse, "source",
                         "a USB host device needs <vendor> and <product>, or an <address> with bus and "
                         "device");
    return 0;
}
ELEMENT(hostdev, hostdev, .parsed = hostdev_parsed);

static const struct field redirdev_fields[] = {
    FIELD_ENUM(redirdev, bus, "@bus", redirdev_bus, .flags = HAS_DEFAULT | GUEST_ABI, DEFAULT(REDIRDEV_BUS_USB)),
    FIELD_ENUM(redirdev, source.type, "@type", chardev_type, .flags = REQUIRED),
    FIELD_MERGE(redirdev, source, chardev_body),
    FIELD_MERGE(redirdev, info, device_info),
};

static int redirdev_parsed(void *part, struct parse *parse)
{
    return chardev_source_complete(&((struct redirdev *)part)->source, parse);
}
ELEMENT(redirdev, redirdev, .parsed = redirdev_parsed);

static const struct field redirfilter_usbdev_fields[] = {
    FIELD_STR(redirfilter_usbdev, usb_class, "@class"),
    FIELD_STR(redirfilter_usbdev, vendor, "@vendor"),
    FIELD_STR(redirfilter_usbdev, product, "@product"),
    FIELD_STR(redirfilter_usbdev, version, "@version"),
    FIELD_ENUM(redirfilter_usbdev, allow, "@allow", yesno, .flags = REQUIRED),
};

/* -1 means any, as does nothing; versions are binary-coded decimals: "2.0" is 2.00. */
static int redirfilter_usbdev_parsed(void *part, struct parse *parse)
{
    struct redirfilter_usbdev *usbdev = part;
    const char **any[] = {&usbdev->usb_class, &usbdev->vendor, &usbdev->product, &usbdev->version};
    for (size_t i = 0; i < COUNT(any); i++)
        if (string_equal(*any[i], "-1"))
            *any[i] = NULL;
    if (!usbdev->version)
        return 0;
    char *end;
    unsigned long major = strtoul(usbdev->version, &end, 10);
    unsigned long minor = *end == '.' ? strtoul(end + 1, &end, 10) : 0;
    if (*end != '\0' || major > 99 || minor > 99 || end == usbdev->version)
        return xml_error(parse, "@version", "'%s' is not a USB version like 2.0", usbdev->version);
    size_t digits = strlen(strchr(usbdev->version, '.') ? strchr(usbdev->version, '.') + 1 : "");
    usbdev->version = arena_printf(parse->arena, "%lu.%02lu", major, digits == 1 ? minor * 10 : minor);
    return 0;
}
static ELEMENT(redirfilter_usbdev, redirfilter_usbdev, .parsed = redirfilter_usbdev_parsed);

static const struct field redirfilter_fields[] = {
    FIELD_LIST(redirfilter, usbdevs, "usbdev", redirfilter_usbdev),
};
ELEMENT(redirfilter, redirfilter);

static const struct field text_part_fields[] = {
    FIELD_STR(text_part, text, "."),
};
static ELEMENT(text_part, text_part);

static const struct field smartcard_fields[] = {
    FIELD_ENUM(smartcard, mode, "@mode", smartcard_mode, .flags = REQUIRED | GUEST_ABI),
    FIELD_ENUM(smartcard, source.type, "@type", chardev_type, WHEN(smartcard, mode, BIT(SMARTCARD_MODE_PASSTHROUGH)),
               .flags = REQUIRED),
    FIELD_LIST(smartcard, certificates, "certificate", text_part),
    FIELD_STR(smartcard, database, "database"),
    FIELD_MERGE(smartcard, source, chardev_body),
    FIELD_MERGE(smartcard, info, device_info),
};

static int smartcard_parsed(void *part, struct parse *parse)
{
    return chardev_source_complete(&((struct smartcard *)part)->source, parse);
}
ELEMENT(smartcard, smartcard, .parsed = smartcard_parsed);

static const struct field hub_fields[] = {
    FIELD_ENUM(hub, type, "@type", hub_type, .flags = REQUIRED | GUEST_ABI),
    FIELD_MERGE(hub, info, device_info),
};
ELEMENT(hub, hub);

static const struct field watchdog_fields[] = {
    FIELD_ENUM(watchdog, model, "@model", watchdog_model, .flags = REQUIRED | GUEST_ABI),
    FIELD_ENUM(watchdog, action, "@action", watchdog_action, .flags = HAS_DEFAULT | GUEST_ABI,
               DEFAULT(WATCHDOG_ACTION_RESET)),
    FIELD_MERGE(watchdog, info, device_info),
};
ELEMENT(watchdog, watchdog);

static const struct field memballoon_fields[] = {
    FIELD_ENUM(memballoon, model, "@model", memballoon_model, .flags = REQUIRED | GUEST_ABI),
    FIELD_ENUM(memballoon, autodeflate, "@autodeflate", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(memballoon, free_page_reporting, "@freePageReporting", onoff, .flags = GUEST_ABI),
    FIELD_U32(memballoon, stats_period, "stats/@period"),
    FIELD_MERGE(memballoon, info, device_info),
    FIELD_MERGE(memballoon, virtio, virtio_options),
};
ELEMENT(memballoon, memballoon);

#define BACKEND_IS(kind) WHEN(rng, backend, BIT(RNG_BACKEND_##kind))

static const struct field rng_backend_fields[] = {
    FIELD_ENUM(rng, backend, "@model", rng_backend, .flags = REQUIRED | GUEST_ABI),
    FIELD_ENUM(rng, source.type, "@type", chardev_type, BACKEND_IS(EGD), .flags = REQUIRED),
    FIELD_STR(rng, path, ".", BACKEND_IS(RANDOM)),
    FIELD_MERGE(rng, source, chardev_body, BACKEND_IS(EGD)),
};

static int rng_backend_parsed(void *part, struct parse *parse)
{
    struct rng *rng = part;
    if (rng->path && *rng->path == '\0')
        rng->path = NULL;
    return rng->backend == RNG_BACKEND_EGD ? chardev_source_complete(&rng->source, parse) : 0;
}
static ELEMENT(rng_backend, rng, .parsed = rng_backend_parsed);

static const struct field rng_fields[] = {
    FIELD_ENUM(rng, model, "@model", virtio_model, .flags = REQUIRED | GUEST_ABI),
    FIELD_U32(rng, rate_bytes, "rate/@bytes"),
    FIELD_U32(rng, rate_period, "rate/@period"),
    FIELD_SELF(rng, "backend", rng_backend),
    FIELD_MERGE(rng, virtio, virtio_options),
    FIELD_MERGE(rng, info, device_info),
};
ELEMENT(rng, rng);

static const struct field nvram_fields[] = {
    FIELD_MERGE(nvram, info, device_info),
};
ELEMENT(nvram, nvram);

static const struct field panic_fields[] = {
    FIELD_ENUM(panic, model, "@model", panic_model, .flags = GUEST_ABI),
    FIELD_MERGE(panic, info, device_info),
};
ELEMENT(panic, panic);

static const struct field shmem_fields[] = {
    FIELD_STR(shmem, name, "@name", .flags = REQUIRED | GUEST_ABI),
    FIELD_ENUM(shmem, role, "@role", shmem_role),
    FIELD_ENUM(shmem, model, "model/@type", shmem_model, .flags = HAS_DEFAULT | GUEST_ABI,
               DEFAULT(SHMEM_MODEL_IVSHMEM)),
    FIELD_MEBIBYTES(shmem, size, "size", .flags = GUEST_ABI),
    FIELD_STR(shmem, server_path, "server/@path"),
    FIELD_ENUM(shmem, msi_enabled, "msi/@enabled", onoff, .flags = GUEST_ABI),
    FIELD_U32(shmem, msi_vectors, "msi/@vectors", .flags = GUEST_ABI),
    FIELD_ENUM(shmem, msi_ioeventfd, "msi/@ioeventfd", onoff),
    FIELD_FLAG(shmem, msi_set, "msi", .flags = GUEST_ABI),
    FIELD_MERGE(shmem, info, device_info),
};
ELEMENT(shmem, shmem);

static const struct field memory_device_fields[] = {
    FIELD_ENUM(memory_device, model, "@model", memory_model, .flags = REQUIRED | GUEST_ABI),
    FIELD_ENUM(memory_device, access, "@access", memory_access),
    FIELD_ENUM(memory_device, discard, "@discard", yesno),
    FIELD_STR(memory_device, uuid, "uuid", .flags = GUEST_ABI),
    FIELD_CPUSET(memory_device, nodemask, "source/nodemask"),
    FIELD_MEMORY(memory_device, pagesize, "source/pagesize"),
    FIELD_STR(memory_device, path, "source/path"),
    FIELD_MEMORY(memory_device, alignsize, "source/alignsize"),
    FIELD_FLAG(memory_device, pmem, "source/pmem"),
    FIELD_MEMORY(memory_device, size, "target/size", .flags = REQUIRED | GUEST_ABI),
    FIELD_OPT_U32(memory_device, node, "target/node", .flags = GUEST_ABI),
    FIELD_MEMORY(memory_device, label_size, "target/label/size", .flags = GUEST_ABI),
    FIELD_MEMORY(memory_device, block, "target/block", .flags = GUEST_ABI),
    FIELD_MEMORY(memory_device, requested, "target/requested"),
    FIELD_MEMORY(memory_device, current, "target/current", .flags = LIVE),
    FIELD_KEPT("target/address"),
    FIELD_FLAG(memory_device, readonly, "target/readonly", .flags = GUEST_ABI),
    FIELD_MERGE(memory_device, info, device_info),
};
ELEMENT(memory_device, memory_device);

static const struct field iommu_fields[] = {
    FIELD_ENUM(iommu, model, "@model", iommu_model, .flags = REQUIRED | GUEST_ABI),
    FIELD_ENUM(iommu, intremap, "driver/@intremap", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(iommu, caching_mode, "driver/@caching_mode", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(iommu, eim, "driver/@eim", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(iommu, iotlb, "driver/@iotlb", onoff, .flags = GUEST_ABI),
    FIELD_U32(iommu, aw_bits, "driver/@aw_bits", .flags = GUEST_ABI),
    FIELD_MERGE(iommu, info, device_info),
};
ELEMENT(iommu, iommu);

static const struct field vsock_fields[] = {
    FIELD_ENUM(vsock, model, "@model", virtio_model, .flags = GUEST_ABI),
    FIELD_ENUM(vsock, cid_auto, "cid/@auto", yesno),
    FIELD_U32(vsock, cid_address, "cid/@address", .flags = GUEST_ABI),
    FIELD_MERGE(vsock, info, device_info),
    FIELD_MERGE(vsock, virtio, virtio_options),
};
ELEMENT(vsock, vsock);
