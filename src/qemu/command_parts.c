/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/command_parts.h"

#include <string.h>

void add(struct build *build, const char *option, const char *value)
{
    argv_add(build->argv, option);
    if (value)
        argv_add(build->argv, value);
}

void addf(struct build *build, const char *option, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    argv_add(build->argv, option);
    argv_add(build->argv, arena_vprintf(build->arena, format, args));
    va_end(args);
}

void add_json(struct build *build, const char *option, json_t *object)
{
    scoped_free char *dump = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    add(build, option, dump);
}

const char *quoted(struct build *build, const char *value)
{
    if (!value || !strchr(value, ','))
        return value;
    char *result = arena_alloc(build->arena, 2 * strlen(value) + 1), *end = result;
    for (; *value; value++) {
        *end++ = *value;
        if (*value == ',')
            *end++ = ',';
    }
    return result;
}

/* --- properties --- */

void put_string(json_t *object, const char *key, const char *value)
{
    if (value)
        json_object_set_new(object, key, json_string(value) ?: json_string("")); /* the XML parser made it UTF-8 */
}

void put_number(json_t *object, const char *key, uint64_t value)
{
    if (value)
        json_object_set_new(object, key, json_integer((json_int_t)value));
}

void put_bool(json_t *object, const char *key, bool value)
{
    json_object_set_new(object, key, json_boolean(value));
}

void put_onoff_bool(json_t *object, const char *key, enum onoff value)
{
    if (value)
        put_bool(object, key, value == ONOFF_ON);
}

void put_onoff_word(json_t *object, const char *key, enum onoff value)
{
    put_string(object, key, onoff_name(value));
}

void put_properties(json_t *object, const void *part, const struct property *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const void *member = (const char *)part + rows[i].offset;
        const struct optional_u32 *optional = member;
        switch (rows[i].kind) {
        case PROPERTY_STRING:
            put_string(object, rows[i].name, *(const char *const *)member);
            break;
        case PROPERTY_U32:
            put_number(object, rows[i].name, *(const uint32_t *)member);
            break;
        case PROPERTY_U64:
            put_number(object, rows[i].name, *(const uint64_t *)member);
            break;
        case PROPERTY_OPTIONAL_U32:
            if (optional->set)
                json_object_set_new(object, rows[i].name, json_integer(optional->value));
            break;
        case PROPERTY_ONOFF_BOOL:
            put_onoff_bool(object, rows[i].name, *(const enum onoff *)member);
            break;
        case PROPERTY_ONOFF_WORD:
            put_onoff_word(object, rows[i].name, *(const enum onoff *)member);
            break;
        case PROPERTY_YESNO_BOOL:
            if (*(const enum yesno *)member)
                put_bool(object, rows[i].name, *(const enum yesno *)member == YESNO_YES);
            break;
        }
    }
}

/* --- addresses --- */

int unsupported(struct error *err, const char *format, ...)
{
    char message[ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return error_set(err, ERR_CONFIG_UNSUPPORTED, "%s", message);
}

const struct controller *bus_controller(const struct domain_def *def, enum controller_type type, uint32_t index)
{
    for (uint32_t i = 0; i < def->controllers.count; i++)
        if (def->controllers.item[i]->type == type && def->controllers.item[i]->index == index)
            return def->controllers.item[i];
    return NULL;
}

/* "pci.3": the bus with that number. */
static int pci_bus_name(struct build *build, uint8_t bus, const char **name, struct error *err)
{
    const struct controller *controller = bus_controller(build->def, CONTROLLER_TYPE_PCI, bus);
    if (bus > 0 && (!controller || !controller->info.alias))
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "there is no PCI controller with index %u", bus);
    *name = bus > 0 ? controller->info.alias : build->bus_root;
    return 0;
}

static int put_pci(struct build *build, json_t *device, const struct device_address *address, struct error *err)
{
    const struct pci_address *pci = &address->pci;
    const char *bus;
    if (pci_bus_name(build, pci->bus, &bus, err) < 0)
        return -1;
    put_string(device, "bus", bus);
    put_onoff_bool(device, "multifunction", pci->multifunction);
    put_string(device, "addr", pci->function ? arena_printf(build->arena, "0x%x.0x%x", pci->slot, pci->function)
                                             : arena_printf(build->arena, "0x%x", pci->slot));
    return 0;
}

static int put_usb(struct build *build, json_t *device, const struct device_address *address, struct error *err)
{
    const struct controller *controller = bus_controller(build->def, CONTROLLER_TYPE_USB, address->usb.bus);
    if (!controller || !controller->info.alias)
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "there is no USB controller with index %u", address->usb.bus);
    put_string(device, "bus", arena_printf(build->arena, "%s.0", controller->info.alias));
    put_string(device, "port", address->usb.port);
    return 0;
}

static int put_virtio_serial(struct build *build, json_t *device, const struct device_address *address,
                             struct error *err)
{
    uint32_t index = address->virtio_serial.controller;
    const struct controller *controller = bus_controller(build->def, CONTROLLER_TYPE_VIRTIO_SERIAL, index);
    if (!controller || !controller->info.alias)
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "there is no virtio-serial controller with index %u", index);
    put_string(device, "bus", arena_printf(build->arena, "%s.%u", controller->info.alias, address->virtio_serial.bus));
    json_object_set_new(device, "nr", json_integer(address->virtio_serial.port));
    return 0;
}

/* "drive" addresses depend on the kind of bus and are put by the disks themselves. */
static int put_address(struct build *build, json_t *device, const struct device_address *address, struct error *err)
{
    switch (address->type) {
    case ADDRESS_TYPE_PCI:
        return put_pci(build, device, address, err);
    case ADDRESS_TYPE_USB:
        return put_usb(build, device, address, err);
    case ADDRESS_TYPE_VIRTIO_SERIAL:
        return put_virtio_serial(build, device, address, err);
    case ADDRESS_TYPE_CCID:
        put_string(device, "bus", arena_printf(build->arena, "ccid%u.0", address->ccid.controller));
        json_object_set_new(device, "slot", json_integer(address->ccid.slot));
        return 0;
    case ADDRESS_TYPE_ISA:
        put_number(device, "iobase", address->isa.iobase);
        put_number(device, "irq", address->isa.irq);
        return 0;
    default:
        return 0;
    }
}

/* --- devices --- */

/* Devices that QEMU lists under another name than the one that libvirt writes. */
static const char *const other_names[][2] = {{"lsi", "lsi53c895a"}, {"ahci", "ich9-ahci"}};

static bool has_device(const struct qemu_caps *caps, const char *driver)
{
    for (size_t i = 0; i < COUNT(other_names); i++)
        if (string_equal(driver, other_names[i][0]))
            driver = other_names[i][1];
    return qemu_caps_has_type(caps, driver);
}

json_t *device_new(struct build *build, const char *driver, const struct device_info *info, const char *what,
                   struct error *err)
{
    if (build->caps && !has_device(build->caps, driver)) {
        unsupported(err, "%s needs the QEMU device '%s', which %s does not have: choose another model or install the "
                         "package of QEMU that brings it", what, driver, build->caps->binary);
        return NULL;
    }
    json_t *device = json_object();
    put_string(device, "driver", driver);
    put_string(device, "id", info->alias);
    if (put_address(build, device, &info->address, err) < 0) {
        json_decref(device);
        return error_null_wrap(err, "the address of %s '%s'", what, info->alias ?: "?");
    }
    put_number(device, "bootindex", info->boot_order);
    if (info->rom_bar)
        json_object_set_new(device, "rombar", json_integer(info->rom_bar == ONOFF_ON));
    put_string(device, "romfile", info->rom_enabled == YESNO_NO ? "" : info->rom_file);
    put_number(device, "acpi-index", info->acpi_index);
    return device;
}

void device_add(struct build *build, json_t *device)
{
    add_json(build, "-device", device);
}

const char *virtio_driver(struct build *build, const char *base, enum virtio_model model,
                          const struct device_info *info)
{
    const char *suffix = address_is(info, ADDRESS_TYPE_CCW)           ? "-ccw"
                         : address_is(info, ADDRESS_TYPE_VIRTIO_MMIO) ? "-device"
                         : model == VIRTIO_MODEL_TRANSITIONAL         ? "-pci-transitional"
                         : model == VIRTIO_MODEL_NON_TRANSITIONAL     ? "-pci-non-transitional"
                                                                      : "-pci";
    return arena_printf(build->arena, "%s%s", base, suffix);
}

void put_virtio_options(json_t *device, const struct virtio_options *options)
{
    static const struct property rows[] = {
        PROPERTY(virtio_options, iommu, ONOFF_BOOL, "iommu_platform"),
        PROPERTY(virtio_options, ats, ONOFF_BOOL, "ats"),
        PROPERTY(virtio_options, packed, ONOFF_BOOL, "packed"),
        PROPERTY(virtio_options, page_per_vq, ONOFF_BOOL, "page-per-vq"),
    };
    PUT_TABLE(device, options, rows);
}

const char *pass_fd(struct build *build, int fd)
{
    struct qemu_command *command = build->command;
    if (fd < 0)
        return arena_printf(build->arena, "%d", build->dry_fd++);
    command->fds[command->fd_count++] = fd;
    return arena_printf(build->arena, "%d", fd);
}
