/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/validate.h"

#include <string.h>

#include "model/address.h"
#include "model/complete.h"
#include "model/xml.h"

/* Those of libvirt's words that QEMU has a driver for, in every layer that the definition names. */
static int formats_validate(const struct domain_def *def, const struct disk *disk, struct error *err)
{
    static const char *const formats[] = {"raw", "qcow2", "qed", "qcow", "vmdk",  "vdi",
                                          "vpc", "bochs", "dmg", "cloop", "fat"};
    for (const struct disk_source *source = &disk->source; source; source = source->backing) {
        bool known = !source->format && source != &disk->source;
        for (size_t i = 0; i < COUNT(formats); i++)
            known |= string_equal(source->format, formats[i]);
        if (!known)
            return error_set(err, ERR_CONFIG_UNSUPPORTED,
                             "disk '%s' of domain '%s': %s type='%s'> is no format of images; use 'raw', 'qcow2', "
                             "'vmdk', 'vdi', 'vpc', ...", disk->target, def->name,
                             source == &disk->source ? "<driver" : "<backingStore> has <format", source->format);
    }
    return 0;
}

/* The name says what kind of drive it is, and is QEMU's. */
static int names_validate(const struct domain_def *def, const struct disk *disk, struct error *err)
{
    bool floppy = disk->device == DISK_DEVICE_FLOPPY;
    if (floppy != string_starts(disk->target, "fd"))
        return error_set(err, ERR_INTERNAL_ERROR, "disk '%s' of domain '%s' is a %s; %s 'fd'", disk->target, def->name,
                         disk_device_name(disk->device),
                         floppy ? "the name of a floppy begins with" : "only the name of a floppy begins with");
    if (!string_equal(disk->driver_name, "qemu"))
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "disk '%s' of domain '%s': <driver name='%s'> is unknown here; "
                         "use 'qemu'", disk->target, def->name, disk->driver_name);
    return 0;
}

static int disk_validate(const struct domain_def *def, const struct disk *disk, struct error *err)
{
    if (names_validate(def, disk, err) < 0 || formats_validate(def, disk, err) < 0)
        return -1;
    bool removable = disk->device == DISK_DEVICE_CDROM || disk->device == DISK_DEVICE_FLOPPY;
    const struct disk_source *source = &disk->source;
    const char *missing = source->type == SOURCE_TYPE_FILE && !source->file    ? "file"
                          : source->type == SOURCE_TYPE_BLOCK && !source->dev  ? "dev"
                          : source->type == SOURCE_TYPE_DIR && !source->dir    ? "dir"
                          : source->type == SOURCE_TYPE_VOLUME && !source->volume ? "volume"
                                                                               : NULL;
    if (missing && !removable)
        return error_set(err, ERR_NO_SOURCE, "disk '%s' of domain '%s' has no source; give <source %s=...>",
                         disk->target, def->name, missing);
    if (disk->bus == DISK_BUS_FDC && disk->device != DISK_DEVICE_FLOPPY)
        return error_set(err, ERR_INTERNAL_ERROR, "disk '%s' of domain '%s' is on bus 'fdc', which takes floppies only",
                         disk->target, def->name);
    if (disk->bus != DISK_BUS_FDC && disk->device == DISK_DEVICE_FLOPPY)
        return error_set(err, ERR_INTERNAL_ERROR, "floppy '%s' of domain '%s' is on bus '%s'; floppies go on 'fdc'",
                         disk->target, def->name, disk_bus_name(disk->bus));
    if (disk->bus == DISK_BUS_VIRTIO && disk->device == DISK_DEVICE_CDROM)
        return error_set(err, ERR_CONFIG_UNSUPPORTED,
                         "cdrom '%s' of domain '%s' is on bus 'virtio'; use sata, scsi, ide "
                         "or usb", disk->target, def->name);
    if (disk->bus == DISK_BUS_IDE && machine_is_q35(def))
        return error_set(err, ERR_CONFIG_UNSUPPORTED,
                         "disk '%s' of domain '%s' is on bus 'ide', which machine type '%s' "
                         "does not have; use sata", disk->target, def->name, def->os.machine);
    if (disk->io == DISK_IO_NATIVE && disk->cache && disk->cache != DISK_CACHE_NONE &&
        disk->cache != DISK_CACHE_DIRECTSYNC)
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "disk '%s' of domain '%s': io='native' needs cache='none' or "
                         "'directsync', not '%s'", disk->target, def->name, disk_cache_name(disk->cache));
    if (disk->removable && disk->bus != DISK_BUS_USB)
        return error_set(err, ERR_XML_ERROR, "disk '%s' of domain '%s': removable= is for bus 'usb', not '%s'",
                         disk->target, def->name, disk_bus_name(disk->bus));
    if (disk->shareable && !string_equal(source->format, "raw"))
        return error_set(err, ERR_CONFIG_UNSUPPORTED,
                         "disk '%s' of domain '%s' is <shareable/>, which format '%s' cannot "
                         "be; use raw", disk->target, def->name, source->format);
    if (disk->wwn && (strlen(disk->wwn) != 16 || disk->wwn[strspn(disk->wwn, "0123456789abcdefABCDEF")] != '\0'))
        return error_set(err, ERR_XML_ERROR, "disk '%s' of domain '%s': wwn '%s' is not 16 hexadecimal digits",
                         disk->target, def->name, disk->wwn);
    return 0;
}

static int disks_validate(const struct domain_def *def, struct error *err)
{
    for (uint32_t i = 0; i < def->disks.count; i++) {
        const struct disk *disk = def->disks.item[i];
        if (disk_validate(def, disk, err) < 0)
            return -1;
        for (uint32_t other = 0; other < i; other++)
            if (strcmp(def->disks.item[other]->target, disk->target) == 0)
                return error_set(err, ERR_XML_ERROR, "target '%s' duplicated for disk sources '%s' and '%s' of domain "
                                 "'%s'", disk->target, disk_source_shown(&def->disks.item[other]->source),
                                 disk_source_shown(&disk->source), def->name);
    }
    return 0;
}

const char *disk_source_shown(const struct disk_source *source)
{
    const char *shown = source->type == SOURCE_TYPE_FILE      ? source->file
                        : source->type == SOURCE_TYPE_BLOCK   ? source->dev
                        : source->type == SOURCE_TYPE_DIR     ? source->dir
                        : source->type == SOURCE_TYPE_VOLUME  ? source->volume
                        : source->type == SOURCE_TYPE_NETWORK ? source->name
                                                              : NULL;
    return shown ? shown : "";
}

static int controllers_validate(const struct domain_def *def, struct error *err)
{
    for (uint32_t i = 0; i < def->controllers.count; i++) {
        const struct controller *controller = def->controllers.item[i];
        if (controller->type == CONTROLLER_TYPE_IDE && controller->index)
            return error_set(err, ERR_CONFIG_UNSUPPORTED, "domain '%s' has an IDE controller with index %u; machine "
                             "type '%s' has one, with index 0", def->name, controller->index, def->os.machine);
        if (controller->type == CONTROLLER_TYPE_IDE && machine_is_q35(def))
            return error_set(err, ERR_CONFIG_UNSUPPORTED, "IDE controllers are unsupported for machine type '%s' of "
                             "domain '%s'; use sata", def->os.machine, def->name);
        for (uint32_t other = 0; other < i; other++) {
            const struct controller *first = def->controllers.item[other];
            if (first->type != controller->type || first->index != controller->index ||
                (controller->type == CONTROLLER_TYPE_USB && (controller->info.master_startport.set ||
                                                             first->info.master_startport.set)))
                continue;
            return error_set(err, ERR_XML_ERROR, "domain '%s' has two %s controllers with index %u", def->name,
                             controller_type_name(controller->type), controller->index);
        }
    }
    return 0;
}

struct boot_orders {
    const struct domain_def *def;
    struct error *err;
    const struct device_ref *ref;
    bool found;
};

static int boot_order_compare(const struct device_ref *other, void *owner)
{
    struct boot_orders *orders = owner;
    if (other->device == orders->ref->device)
        return 1; /* only those before it */
    if (other->info->boot_order != orders->ref->info->boot_order || strcmp(other->kind, "console") == 0)
        return 0;
    scoped_arena struct arena *arena = arena_new();
    error_set(orders->err, ERR_CONFIG_UNSUPPORTED,
              "boot order %u of domain '%s' is used for more than one device: %s and %s",
              other->info->boot_order, orders->def->name, device_ref_name(arena, other),
              device_ref_name(arena, orders->ref));
    return -1;
}

static int boot_order_validate(const struct device_ref *ref, void *owner)
{
    struct boot_orders *orders = owner;
    if (!ref->info->boot_order)
        return 0;
    orders->found = true;
    orders->ref = ref;
    return devices_visit(orders->def, boot_order_compare, orders) < 0 ? -1 : 0;
}

static int boot_validate(const struct domain_def *def, struct error *err)
{
    struct boot_orders orders = {.def = def, .err = err};
    if (devices_visit(def, boot_order_validate, &orders) < 0)
        return -1;
    if (orders.found && def->os.boots.count)
        return error_set(err, ERR_CONFIG_UNSUPPORTED,
                         "domain '%s' has both <boot order=> in devices and <boot dev=> in "
                         "<os>; use one of them", def->name);
    return 0;
}

static int cpu_validate(const struct domain_def *def, struct error *err)
{
    const struct cpu *cpu = def->cpu;
    if (!cpu)
        return 0;
    if ((cpu->sockets || cpu->cores || cpu->threads) && !(cpu->sockets && cpu->cores && cpu->threads))
        return error_set(err, ERR_XML_ERROR,
                         "the CPU topology of domain '%s' is incomplete: sockets, cores and threads "
                         "must all be 1 or more", def->name);
    if (cpu->sockets && cpu->dies && (uint64_t)cpu->sockets * cpu->dies * cpu->cores * cpu->threads != def->vcpus_max)
        return error_set(err, ERR_CONFIG_UNSUPPORTED,
                         "the CPU topology of domain '%s' (%u sockets, %u dies, %u cores, %u "
                         "threads) does not make its maximum of %u vcpus", def->name, cpu->sockets, cpu->dies,
                         cpu->cores, cpu->threads, def->vcpus_max);
    for (uint32_t i = 0; i < cpu->features.count; i++)
        for (uint32_t other = 0; other < i; other++)
            if (strcmp(cpu->features.item[i]->name, cpu->features.item[other]->name) == 0)
                return error_set(err, ERR_XML_ERROR, "CPU feature '%s' of domain '%s' is specified more than once",
                                 cpu->features.item[i]->name, def->name);
    return 0;
}

static int interfaces_validate(const struct domain_def *def, struct error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    for (uint32_t i = 0; i < def->interfaces.count; i++) {
        const char *model = def->interfaces.item[i]->model;
        if (model && model[strspn(model, allowed)])
            return error_set(err, ERR_INVALID_ARG, "interface %u of domain '%s': <model type='%s'> is no model name: "
                             "letters, digits, '-' and '_' only, as in 'virtio'", i + 1, def->name, model);
    }
    return 0;
}

static int graphics_validate(const struct domain_def *def, struct error *err)
{
    enum { VNC_PASSWORD_MAX = 8 }; /* of the protocol: QEMU would silently use the beginning */
    for (uint32_t i = 0; i < def->graphics.count; i++) {
        const struct graphics *graphics = def->graphics.item[i];
        if (graphics->type == GRAPHICS_TYPE_VNC && graphics->passwd && strlen(graphics->passwd) > VNC_PASSWORD_MAX)
            return error_set(err, ERR_CONFIG_UNSUPPORTED, "the VNC password of domain '%s' has %zu characters; VNC "
                             "takes %d", def->name, strlen(graphics->passwd), VNC_PASSWORD_MAX);
    }
    return 0;
}

/* The PC has four ISA serial ports. */
static int serials_validate(const struct domain_def *def, struct error *err)
{
    uint32_t isa = 0;
    for (uint32_t i = 0; i < def->serials.count; i++)
        isa += def->serials.item[i]->target_type == CHARDEV_TARGET_ISA_SERIAL;
    if (isa > 4)
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "domain '%s' has %u ISA serial ports; the limit is 4, use "
                         "<target type='usb-serial'/> or 'pci-serial' for more", def->name, isa);
    return 0;
}

/* Unknown elements are kept elsewhere. Here each is a promise to the guest, and what nobody here knows is not kept. */
static int features_unknown(const struct domain_def *def, const struct extra *extra, struct error *err)
{
    for (; extra; extra = extra->next) {
        bool within = extra->group_length && strncmp(extra->group, "kvm", extra->group_length) != 0;
        if (!extra->attribute && !extra->known && !within)
            return error_set(err, ERR_CONFIG_UNSUPPORTED, "domain '%s': %s is a feature that is not known here; remove "
                             "it, or choose one of those in 'virsh domcapabilities'", def->name, extra->path);
    }
    return 0;
}

static int features_validate(const struct domain_def *def, struct error *err)
{
    const struct features *features = def->features;
    if (!features)
        return 0;
    if (features_unknown(def, features->extra, err) < 0)
        return -1;
    return features->hyperv ? features_unknown(def, features->hyperv->extra, err) : 0;
}

static int os_validate(const struct domain_def *def, struct error *err)
{
    bool uefi = def->os.firmware == OS_FIRMWARE_EFI || def->os.loader_type == LOADER_TYPE_PFLASH;
    if (uefi && def->os.type == OS_TYPE_HVM && !(def->features && def->features->acpi))
        return error_set(err, ERR_CONFIG_UNSUPPORTED,
                         "UEFI firmware of domain '%s' needs ACPI; add <acpi/> to <features>",
                         def->name);
    if (def->title && strchr(def->title, '\n'))
        return error_set(err, ERR_XML_ERROR,
                         "the title of domain '%s' has a line break; put the rest into <description>",
                         def->name);
    if (def->features && def->features->smm == ONOFF_ON && !machine_is_q35(def))
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "smm is on in domain '%s', but machine type '%s' has none; use a "
                         "q35 machine", def->name, def->os.machine ? def->os.machine : "");
    if (def->os.loader_secure == YESNO_YES && !machine_is_q35(def))
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "secure boot of domain '%s' needs a q35 machine, not '%s'",
                         def->name, def->os.machine ? def->os.machine : "");
    if (def->vcpus_max > 4096)
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "domain '%s' has %u vcpus; the limit is 4096", def->name,
                         def->vcpus_max);
    return 0;
}

int domain_validate(const struct domain_def *def, struct error *err)
{
    if (os_validate(def, err) < 0 || features_validate(def, err) < 0 || cpu_validate(def, err) < 0 ||
        disks_validate(def, err) < 0 ||
        controllers_validate(def, err) < 0 || interfaces_validate(def, err) < 0 ||
        graphics_validate(def, err) < 0 || serials_validate(def, err) < 0 || boot_validate(def, err) < 0)
        return -1;
    return 0;
}

/* What must not be used twice: a sorted list of numbers in which equal neighbours are looked at more closely. */
struct claim {
    uint64_t hash;
    struct device_ref ref;
    bool alias; /* of the name, not of the address */
};

struct claims {
    struct claim *claim;
    uint32_t count;
};

static uint64_t hash_add(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15) + (hash >> 29);
}

static uint64_t hash_string(uint64_t hash, const char *string)
{
    for (; *string; string++)
        hash = hash_add(hash, (unsigned char)*string);
    return hash;
}

/* 0 when the device claims no address of its own. */
static uint64_t address_hash(const struct device_ref *ref)
{
    const struct device_address *address = &ref->info->address;
    uint64_t hash = hash_add(1, address->type);
    switch (address->type) {
    case ADDRESS_TYPE_PCI:
        return pci_address_present(&address->pci)
                   ? hash_add(hash, (uint64_t)address->pci.domain << 32 | (uint64_t)address->pci.bus << 16 |
                                        (uint64_t)address->pci.slot << 8 | address->pci.function) : 0;
    case ADDRESS_TYPE_DRIVE:
        if (strcmp(ref->kind, "disk") != 0)
            return 0;
        hash = hash_add(hash, ((const struct disk *)ref->device)->bus);
        hash = hash_add(hash, (uint64_t)address->drive.controller << 32 | address->drive.bus);
        return hash_add(hash, (uint64_t)address->drive.target << 32 | address->drive.unit);
    case ADDRESS_TYPE_VIRTIO_SERIAL:
        hash = hash_add(hash, (uint64_t)address->virtio_serial.controller << 32 | address->virtio_serial.bus);
        return hash_add(hash, address->virtio_serial.port);
    case ADDRESS_TYPE_USB:
        return address->usb.port ? hash_string(hash_add(hash, address->usb.bus), address->usb.port) : 0;
    default:
        return 0;
    }
}

static const char *claim_shown(struct arena *arena, const struct claim *claim)
{
    const struct device_address *address = &claim->ref.info->address;
    if (claim->alias)
        return arena_printf(arena, "alias '%s'", claim->ref.info->alias);
    switch (address->type) {
    case ADDRESS_TYPE_PCI:
        return arena_printf(arena, "PCI address %04x:%02x:%02x.%x", address->pci.domain, address->pci.bus,
                            address->pci.slot, address->pci.function);
    case ADDRESS_TYPE_DRIVE:
        return arena_printf(arena, "%s drive address %u:%u:%u:%u",
                            disk_bus_name(((const struct disk *)claim->ref.device)->bus), address->drive.controller,
                            address->drive.bus, address->drive.target, address->drive.unit);
    case ADDRESS_TYPE_VIRTIO_SERIAL:
        return arena_printf(arena, "virtio-serial address %u:%u:%u", address->virtio_serial.controller,
                            address->virtio_serial.bus, address->virtio_serial.port);
    default:
        return arena_printf(arena, "USB address %u:%s", address->usb.bus, address->usb.port);
    }
}

static int devices_count(const struct device_ref *ref, void *owner)
{
    (void)ref;
    ++*(uint32_t *)owner;
    return 0;
}

static int claims_collect(const struct device_ref *ref, void *owner)
{
    struct claims *claims = owner;
    if (strcmp(ref->kind, "console") == 0 &&
        ((const struct chardev *)ref->device)->target_type == CHARDEV_TARGET_SERIAL)
        return 0; /* a serial port under another name */
    uint64_t hash = address_hash(ref);
    if (hash)
        claims->claim[claims->count++] = (struct claim){hash, *ref, false};
    if (ref->info->alias && string_starts(ref->info->alias, "ua-"))
        claims->claim[claims->count++] = (struct claim){hash_string(2, ref->info->alias), *ref, true};
    return 0;
}

static int claims_order(const void *a, const void *b)
{
    const struct claim *first = a, *second = b;
    return first->hash < second->hash ? -1 : first->hash > second->hash;
}

static int conflict(const struct domain_def *def, const struct claim *first, const struct claim *second,
                    struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    const char *what = claim_shown(arena, first);
    if (strcmp(what, claim_shown(arena, second)) != 0)
        return 0; /* two hashes that happen to be equal */
    int code = first->ref.info->address.type == ADDRESS_TYPE_DRIVE && !first->alias ? ERR_CONFIG_UNSUPPORTED
                                                                                     : ERR_XML_ERROR;
    return error_set(err, code, "%s of domain '%s' is used by %s and by %s; change or remove one of them", what,
                     def->name, device_ref_name(arena, &first->ref), device_ref_name(arena, &second->ref));
}

/* What the machine's own controllers have room for. */
static int drives_validate(const struct domain_def *def, struct error *err)
{
    static const struct {
        enum disk_bus bus;
        uint32_t controllers, buses, units;
        const char *room;
    } limits[] = {
        {DISK_BUS_IDE, 1, 2, 2, "one IDE controller with two buses of two drives each, hda to hdd; use virtio or sata "
                                "for more"},
        {DISK_BUS_FDC, 1, 1, 2, "one floppy controller with two drives, fda and fdb"},
        {DISK_BUS_SATA, UINT32_MAX, 1, 6, "six drives, units 0 to 5 of bus 0, on each SATA controller"},
    };
    for (uint32_t i = 0; i < def->disks.count; i++) {
        const struct disk *disk = def->disks.item[i];
        uint32_t controller = disk->info.address.drive.controller, bus = disk->info.address.drive.bus;
        uint32_t unit = disk->info.address.drive.unit;
        for (size_t limit = 0; limit < COUNT(limits); limit++)
            if (disk->bus == limits[limit].bus && address_is(&disk->info, ADDRESS_TYPE_DRIVE) &&
                (controller >= limits[limit].controllers || bus >= limits[limit].buses || unit >= limits[limit].units))
                return error_set(err, ERR_CONFIG_UNSUPPORTED,
                                 "disk '%s' of domain '%s' has no place at controller %u, bus %u, unit %u: there is "
                                 "room for %s", disk->target, def->name, controller, bus, unit,
                                 limits[limit].room);
    }
    return 0;
}

int domain_validate_addresses(const struct domain_def *def, struct error *err)
{
    if (drives_validate(def, err) < 0)
        return -1;
    uint32_t devices = 0;
    devices_visit(def, devices_count, &devices);
    scoped_free struct claim *all = xcalloc(devices * 2 + 1, sizeof(*all));
    struct claims claims = {.claim = all};
    devices_visit(def, claims_collect, &claims);
    qsort(all, claims.count, sizeof(*all), claims_order);
    for (uint32_t i = 1; i < claims.count; i++)
        if (all[i - 1].hash == all[i].hash && conflict(def, &all[i - 1], &all[i], err) < 0)
            return -1;
    return 0;
}
