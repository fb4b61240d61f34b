/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/agent_info.h"

#include <string.h>

#include "base/json.h"

enum { LIST_MAX = 1024, INNER_MAX = 256 }; /* of what a guest may name; the rest is left out */

#define NAME(format, ...) arena_printf(params->arena, format, __VA_ARGS__)

static const char *string_in(struct arena *arena, const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return arena_strdup(arena, value);
}

static uint64_t number_in(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value < 0 ? 0 : (uint64_t)value;
}

static size_t bounded(const json_t *array, size_t max)
{
    size_t count = json_array_size(array);
    return count < max ? count : max;
}

/* -- the groups ---------------------------------------------------------------------------------------------------- */

static void add_users(const struct domain_def *live, const json_t *users, struct params *params)
{
    size_t count = bounded(users, LIST_MAX);
    params_add_u32(params, "user.count", (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        const json_t *user = json_array_get(users, i);
        params_add_string(params, NAME("user.%zu.name", i), string_in(params->arena, user, "user"));
        params_add_string(params, NAME("user.%zu.domain", i), string_in(params->arena, user, "domain"));
        double since = json_number_value(json_object_get(user, "login-time")); /* seconds */
        params_add_u64(params, NAME("user.%zu.login-time", i), since > 0 && since < 1e15 ? (uint64_t)(since * 1000)
                       : 0);
    }
}

static void add_os(const struct domain_def *live, const json_t *os, struct params *params)
{
    static const char *const keys[] = {"id",      "name",       "pretty-name",    "version",       "version-id",
                                       "machine", "variant",    "variant-id",     "kernel-release", "kernel-version"};
    for (size_t i = 0; i < COUNT(keys); i++)
        params_add_string(params, NAME("os.%s", keys[i]), string_in(params->arena, os, keys[i]));
}

static void add_timezone(const struct domain_def *live, const json_t *zone, struct params *params)
{
    params_add_string(params, "timezone.name", string_in(params->arena, zone, "zone"));
    params_add_i32(params, "timezone.offset", (int32_t)json_integer_value(json_object_get(zone, "offset")));
}

static void add_hostname(const struct domain_def *live, const json_t *name, struct params *params)
{
    params_add_string(params, "hostname", string_in(params->arena, name, "host-name"));
}

/* The target of the disk that the guest means by its place on the bus or, for virtio, by its PCI address. */
static const char *disk_target(const struct domain_def *live, const json_t *place)
{
    const json_t *pci = json_object_get(place, "pci-controller");
    const char *bus = json_string_value(json_object_get(place, "bus-type"));
    for (uint32_t i = 0; i < live->disks.count; i++) {
        const struct disk *disk = live->disks.item[i];
        if (disk->bus == DISK_BUS_VIRTIO && string_equal(bus, "virtio") &&
            address_is(&disk->info, ADDRESS_TYPE_PCI) && disk->info.address.pci.slot == number_in(pci, "slot") &&
            disk->info.address.pci.bus == number_in(pci, "bus"))
            return disk->target;
        if (bus && disk->bus && string_equal(disk_bus_name(disk->bus), bus) &&
            address_is(&disk->info, ADDRESS_TYPE_DRIVE) &&
            disk->info.address.drive.bus == number_in(place, "bus") &&
            disk->info.address.drive.target == number_in(place, "target") &&
            disk->info.address.drive.unit == number_in(place, "unit"))
            return disk->target;
    }
    return NULL;
}

static void add_filesystems(const struct domain_def *live, const json_t *list, struct params *params)
{
    size_t count = bounded(list, INNER_MAX);
    params_add_u32(params, "fs.count", (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        const json_t *fs = json_array_get(list, i), *disks = json_object_get(fs, "disk");
        params_add_string(params, NAME("fs.%zu.name", i), string_in(params->arena, fs, "name"));
        params_add_string(params, NAME("fs.%zu.mountpoint", i), string_in(params->arena, fs, "mountpoint"));
        params_add_string(params, NAME("fs.%zu.fstype", i), string_in(params->arena, fs, "type"));
        if (json_object_get(fs, "total-bytes")) {
            params_add_u64(params, NAME("fs.%zu.total-bytes", i), number_in(fs, "total-bytes"));
            params_add_u64(params, NAME("fs.%zu.used-bytes", i), number_in(fs, "used-bytes"));
        }
        size_t disk_count = bounded(disks, 16);
        params_add_u32(params, NAME("fs.%zu.disk.count", i), (uint32_t)disk_count);
        for (size_t d = 0; d < disk_count; d++) {
            const json_t *disk = json_array_get(disks, d);
            params_add_string(params, NAME("fs.%zu.disk.%zu.alias", i, d), disk_target(live, disk));
            params_add_string(params, NAME("fs.%zu.disk.%zu.serial", i, d), string_in(params->arena, disk, "serial"));
            params_add_string(params, NAME("fs.%zu.disk.%zu.device", i, d), string_in(params->arena, disk, "dev"));
        }
    }
}

static void add_disks(const struct domain_def *live, const json_t *list, struct params *params)
{
    size_t count = bounded(list, INNER_MAX);
    params_add_u32(params, "disk.count", (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        const json_t *disk = json_array_get(list, i), *place = json_object_get(disk, "address");
        const json_t *below = json_object_get(disk, "dependencies");
        params_add_string(params, NAME("disk.%zu.name", i), string_in(params->arena, disk, "name"));
        params_add_bool(params, NAME("disk.%zu.partition", i), json_is_true(json_object_get(disk, "partition")));
        size_t below_count = bounded(below, 16);
        if (below_count)
            params_add_u32(params, NAME("disk.%zu.dependency.count", i), (uint32_t)below_count);
        for (size_t d = 0; d < below_count; d++)
            params_add_string(params, NAME("disk.%zu.dependency.%zu.name", i, d),
                              arena_strdup(params->arena, json_string_value(json_array_get(below, d))));
        params_add_string(params, NAME("disk.%zu.serial", i), string_in(params->arena, place, "serial"));
        params_add_string(params, NAME("disk.%zu.alias", i), place ? disk_target(live, place) : NULL);
        params_add_string(params, NAME("disk.%zu.guest_alias", i), string_in(params->arena, disk, "alias"));
    }
}

static void add_interfaces(const struct domain_def *live, const json_t *list, struct params *params)
{
    size_t count = bounded(list, INNER_MAX);
    params_add_u32(params, "if.count", (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        const json_t *interface = json_array_get(list, i), *addresses = json_object_get(interface, "ip-addresses");
        params_add_string(params, NAME("if.%zu.name", i), string_in(params->arena, interface, "name"));
        params_add_string(params, NAME("if.%zu.hwaddr", i), string_in(params->arena, interface, "hardware-address"));
        size_t address_count = bounded(addresses, 64);
        params_add_u32(params, NAME("if.%zu.addr.count", i), (uint32_t)address_count);
        for (size_t a = 0; a < address_count; a++) {
            const json_t *address = json_array_get(addresses, a);
            params_add_string(params, NAME("if.%zu.addr.%zu.type", i, a),
                              string_in(params->arena, address, "ip-address-type"));
            params_add_string(params, NAME("if.%zu.addr.%zu.addr", i, a),
                              string_in(params->arena, address, "ip-address"));
            params_add_u32(params, NAME("if.%zu.addr.%zu.prefix", i, a), (uint32_t)number_in(address, "prefix"));
        }
    }
}

static const struct {
    unsigned type;
    const char *command;
    void (*add)(const struct domain_def *live, const json_t *reply, struct params *params);
} groups[] = {
    {DOMAIN_GUEST_INFO_USERS, "guest-get-users", add_users},
    {DOMAIN_GUEST_INFO_OS, "guest-get-osinfo", add_os},
    {DOMAIN_GUEST_INFO_TIMEZONE, "guest-get-timezone", add_timezone},
    {DOMAIN_GUEST_INFO_HOSTNAME, "guest-get-host-name", add_hostname},
    {DOMAIN_GUEST_INFO_FILESYSTEM, "guest-get-fsinfo", add_filesystems},
    {DOMAIN_GUEST_INFO_DISKS, "guest-get-disks", add_disks},
    {DOMAIN_GUEST_INFO_INTERFACES, "guest-network-get-interfaces", add_interfaces},
};

int agent_guest_info(struct domain *domain, unsigned types, struct params *params, struct error *err)
{
    unsigned known = 0;
    for (size_t i = 0; i < COUNT(groups); i++)
        known |= groups[i].type;
    if (types & ~known)
        return error_set(err, ERR_INVALID_ARG, "unsupported guest information types 0x%x: known are 0x%x",
                         types & ~known, known);
    for (size_t i = 0; i < COUNT(groups); i++) {
        if (types && !(types & groups[i].type))
            continue;
        struct error failure = {0};
        scoped_json json_t *reply = agent_command(domain, groups[i].command, NULL, &failure);
        if (reply && domain_active(domain))
            groups[i].add(domain->object.live, reply, params);
        else if (types || (failure.code != ERR_OPERATION_UNSUPPORTED && failure.code != ERR_INTERNAL_ERROR))
            return error_set(err, failure.code ? failure.code : ERR_OPERATION_INVALID, "%s",
                             failure.code ? failure.message : "the domain has ended");
    }
    return 0;
}

/* -- single questions ---------------------------------------------------------------------------------------------- */

const char *agent_hostname(struct domain *domain, struct arena *arena, struct error *err)
{
    scoped_json json_t *reply = agent_command(domain, "guest-get-host-name", NULL, err);
    if (!reply)
        return NULL;
    const char *name = string_in(arena, reply, "host-name");
    return name ? name
                : error_null(err, ERR_INTERNAL_ERROR, "the guest agent of domain '%s' named no host",
                             domain_name(domain));
}

int agent_interfaces(struct domain *domain, struct arena *arena, struct wire_domain_interface **list, struct error *err)
{
    scoped_json json_t *reply = agent_command(domain, "guest-network-get-interfaces", NULL, err);
    if (!reply)
        return -1;
    size_t count = bounded(reply, INNER_MAX), named = 0;
    *list = arena_new_array(arena, count + 1, struct wire_domain_interface);
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(reply, i), *addresses = json_object_get(entry, "ip-addresses");
        struct wire_domain_interface *interface = &(*list)[named];
        interface->name = string_in(arena, entry, "name");
        if (!interface->name)
            continue;
        named++;
        interface->hwaddr = string_in(arena, entry, "hardware-address");
        size_t address_count = bounded(addresses, INNER_MAX);
        interface->addrs = arena_new_array(arena, address_count + 1, struct wire_domain_ip_addr);
        for (size_t a = 0; a < address_count; a++) {
            const json_t *address = json_array_get(addresses, a);
            const char *text = string_in(arena, address, "ip-address");
            const char *type = json_string_value(json_object_get(address, "ip-address-type"));
            if (text)
                interface->addrs[interface->addrs_count++] = (struct wire_domain_ip_addr){
                    .type = string_equal(type, "ipv6") ? IP_ADDR_TYPE_IPV6 : IP_ADDR_TYPE_IPV4,
                    .addr = text,
                    .prefix = (uint32_t)number_in(address, "prefix")};
        }
    }
    return (int)named;
}

int agent_filesystems(struct domain *domain, struct arena *arena, struct wire_domain_fsinfo **list, struct error *err)
{
    scoped_json json_t *reply = agent_command(domain, "guest-get-fsinfo", NULL, err);
    if (!reply || domain_require_active(domain, err) < 0)
        return -1;
    size_t count = bounded(reply, INNER_MAX), whole = 0;
    *list = arena_new_array(arena, count + 1, struct wire_domain_fsinfo);
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(reply, i), *disks = json_object_get(entry, "disk");
        struct wire_domain_fsinfo *fs = &(*list)[whole];
        fs->mountpoint = string_in(arena, entry, "mountpoint");
        fs->name = string_in(arena, entry, "name");
        fs->fstype = string_in(arena, entry, "type");
        if (!fs->mountpoint || !fs->name || !fs->fstype)
            continue;
        whole++;
        size_t disk_count = bounded(disks, INNER_MAX);
        fs->dev_aliases = arena_new_array(arena, disk_count + 1, const char *);
        for (size_t d = 0; d < disk_count; d++) {
            const char *target = disk_target(domain->object.live, json_array_get(disks, d));
            if (target)
                fs->dev_aliases[fs->dev_aliases_count++] = arena_strdup(arena, target);
        }
    }
    return (int)whole;
}
