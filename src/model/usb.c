/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "model/address.h"
#include "model/complete.h"
#include "model/xml.h"

#define HUB_PORTS 8
#define BUSES_MAX 256
#define PATH_MAX_PORTS 4 /* a USB path has at most that many hubs */

/* A controller or hub: the path that leads to it ("" for a controller) and its ports. */
struct usb_ports {
    const char *path;
    uint32_t bus;
    uint32_t count;
    uint32_t used; /* bit per port, 1 is bit 0 */
};

struct usb {
    struct domain_def *def;
    struct error *err;
    LIST_OF(usb_ports) all;
    bool hubs; /* this pass is about hubs */
    uint32_t missing;
};

static uint32_t controller_ports(const struct controller *controller)
{
    switch (controller->model) {
    case CONTROLLER_MODEL_NEC_XHCI:
    case CONTROLLER_MODEL_QEMU_XHCI:
        return controller->ports.set ? (controller->ports.value < 15 ? controller->ports.value : 15) : 4;
    case CONTROLLER_MODEL_QUSB1:
    case CONTROLLER_MODEL_QUSB2:
        return controller->ports.set ? (controller->ports.value < 31 ? controller->ports.value : 31) : 8;
    case CONTROLLER_MODEL_EHCI:
    case CONTROLLER_MODEL_ICH9_EHCI1:
        return 6;
    case CONTROLLER_MODEL_PCI_OHCI:
        return 3;
    case CONTROLLER_MODEL_NONE:
    case CONTROLLER_MODEL_ICH9_UHCI1:
    case CONTROLLER_MODEL_ICH9_UHCI2:
    case CONTROLLER_MODEL_ICH9_UHCI3:
        return 0; /* companions: their ports are the master's */
    default:
        return 2;
    }
}

static void ports_add(struct usb *usb, uint32_t bus, const char *path, uint32_t count)
{
    struct usb_ports *ports = arena_struct(usb->def->arena, struct usb_ports);
    *ports = (struct usb_ports){.path = path, .bus = bus, .count = count};
    list_add(usb->def->arena, &usb->all, ports);
}

/* Whether the device sits on a USB bus. */
static bool is_usb(const struct device_ref *ref)
{
    const char *kind = ref->kind;
    if (strcmp(kind, "disk") == 0)
        return ((const struct disk *)ref->device)->bus == DISK_BUS_USB;
    if (strcmp(kind, "input") == 0)
        return ((const struct input *)ref->device)->bus == INPUT_BUS_USB;
    if (strcmp(kind, "hostdev") == 0)
        return ((const struct hostdev *)ref->device)->type == HOSTDEV_TYPE_USB;
    if (strcmp(kind, "serial") == 0)
        return ((const struct chardev *)ref->device)->target_type == CHARDEV_TARGET_USB_SERIAL;
    if (strcmp(kind, "sound") == 0)
        return ((const struct sound *)ref->device)->model == SOUND_MODEL_USB;
    if (strcmp(kind, "interface") == 0)
        return string_equal(((const struct interface *)ref->device)->model, "usb-net");
    if (strcmp(kind, "controller") == 0)
        return ((const struct controller *)ref->device)->type == CONTROLLER_TYPE_CCID;
    return strcmp(kind, "redirdev") == 0 || strcmp(kind, "hub") == 0;
}

/* Marks the last port of a path like "1.2" in the ports it belongs to. */
static void port_reserve(struct usb *usb, const struct device_address *address)
{
    const char *dot = strrchr(address->usb.port, '.');
    size_t parent = dot ? (size_t)(dot - address->usb.port) : 0;
    uint32_t port = 0;
    if (parse_u32(dot ? dot + 1 : address->usb.port, 10, &port) < 0 || port == 0 || port > 32)
        return;
    for (uint32_t i = 0; i < usb->all.count; i++) {
        struct usb_ports *ports = usb->all.item[i];
        if (ports->bus == address->usb.bus && strlen(ports->path) == parent &&
            memcmp(ports->path, address->usb.port, parent) == 0)
            ports->used |= 1u << (port - 1);
    }
}

static int reserve(const struct device_ref *ref, void *owner)
{
    struct usb *usb = owner;
    const struct device_address *address = &ref->info->address;
    if (is_usb(ref) && address->type == ADDRESS_TYPE_USB && address->usb.port)
        port_reserve(usb, address);
    return 0;
}

static bool port_find_on(struct usb *usb, struct device_address *address, uint32_t bus)
{
    for (uint32_t i = 0; i < usb->all.count; i++) {
        struct usb_ports *ports = usb->all.item[i];
        if (ports->bus != bus)
            continue;
        for (uint32_t port = 1; port <= ports->count; port++) {
            if (ports->used & 1u << (port - 1))
                continue;
            ports->used |= 1u << (port - 1);
            address->type = ADDRESS_TYPE_USB;
            address->usb.bus = ports->bus;
            address->usb.port = *ports->path ? arena_printf(usb->def->arena, "%s.%u", ports->path, port)
                                             : arena_printf(usb->def->arena, "%u", port);
            return true;
        }
    }
    return false;
}

/* A free port: lower buses first, on a bus the shortest path. */
static bool port_find(struct usb *usb, struct device_address *address)
{
    if (address->type == ADDRESS_TYPE_USB)
        return port_find_on(usb, address, address->usb.bus);
    for (uint32_t bus = 0; bus < BUSES_MAX; bus++)
        if (port_find_on(usb, address, bus))
            return true;
    return false;
}

static int assign(const struct device_ref *ref, void *owner)
{
    struct usb *usb = owner;
    struct device_address *address = &ref->info->address;
    bool hub = strcmp(ref->kind, "hub") == 0;
    if (!is_usb(ref) || hub != usb->hubs || (address->type && address->type != ADDRESS_TYPE_USB))
        return 0;
    if (!(address->type == ADDRESS_TYPE_USB && address->usb.port) && !port_find(usb, address))
        return error_set(usb->err, ERR_INTERNAL_ERROR,
                         "domain '%s' has no free USB port for %s; add a USB controller or "
                         "hub", usb->def->name, device_ref_name(usb->def->arena, ref));
    if (hub)
        ports_add(usb, address->usb.bus, address->usb.port, HUB_PORTS);
    return 0;
}

static int count_missing(const struct device_ref *ref, void *owner)
{
    struct usb *usb = owner;
    if (is_usb(ref) && !(ref->info->address.type == ADDRESS_TYPE_USB && ref->info->address.usb.port) &&
        (ref->info->address.type == ADDRESS_TYPE_ABSENT || ref->info->address.type == ADDRESS_TYPE_USB))
        usb->missing++;
    return 0;
}

static void controllers_collect(struct usb *usb)
{
    for (uint32_t bus = 0; bus < BUSES_MAX; bus++)
        for (uint32_t i = 0; i < usb->def->controllers.count; i++) {
            const struct controller *controller = usb->def->controllers.item[i];
            if (controller->type == CONTROLLER_TYPE_USB && controller->index == bus && controller_ports(controller))
                ports_add(usb, bus, "", controller_ports(controller));
        }
}

/* When there are more devices than ports: hubs, each takes a port and gives eight. */
static void hubs_imply(struct usb *usb)
{
    uint32_t free_ports = 0;
    for (uint32_t i = 0; i < usb->all.count; i++)
        free_ports += usb->all.item[i]->count - (uint32_t)__builtin_popcount(usb->all.item[i]->used);
    free_ports += usb->def->hubs.count * HUB_PORTS;
    usb->missing = 0;
    devices_visit(usb->def, count_missing, usb);
    if (usb->missing <= free_ports || usb->all.count == 0)
        return;
    /* one more than there are devices too many is counted, as libvirt does */
    for (uint32_t need = (usb->missing - free_ports + HUB_PORTS - 1) / (HUB_PORTS - 1); need > 0; need--) {
        struct hub *hub = arena_struct(usb->def->arena, struct hub);
        hub->type = HUB_TYPE_USB;
        list_add(usb->def->arena, &usb->def->hubs, hub);
    }
}

int usb_addresses_assign(struct domain_def *def, struct error *err)
{
    struct usb usb = {.def = def, .err = err};
    controllers_collect(&usb);
    if (usb.all.count == 0)
        return 0;
    devices_visit(def, reserve, &usb);
    hubs_imply(&usb);
    usb.hubs = true;
    if (devices_visit(def, assign, &usb) < 0)
        return -1;
    devices_visit(def, reserve, &usb); /* what hangs on the hubs */
    usb.hubs = false;
    return devices_visit(def, assign, &usb);
}
