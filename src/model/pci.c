/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "model/address.h"
#include "model/complete.h"
#include "model/pci_slots.h"
#include "model/xml.h"

/* What a device may be plugged into, and what a bus takes. */
static const struct pci_bus_kind {
    enum controller_model model;
    unsigned takes;  /* PCI_CONNECT_* */
    uint8_t first, last; /* slots */
    enum pci_controller_name name;
    unsigned connect; /* what the controller itself needs */
} bus_kinds[] = {
    {CONTROLLER_MODEL_PCI_ROOT, PCI_CONNECT_DEVICE | PCI_CONNECT_HOTPLUG | PCI_CONNECT_BRIDGE | PCI_CONNECT_EXPANDER, 1,
     31, PCI_CONTROLLER_NAME_ABSENT, 0},
    {CONTROLLER_MODEL_PCI_BRIDGE, PCI_CONNECT_DEVICE | PCI_CONNECT_HOTPLUG | PCI_CONNECT_BRIDGE, 1, 31,
     PCI_CONTROLLER_NAME_PCI_BRIDGE, PCI_CONNECT_BRIDGE},
    {CONTROLLER_MODEL_PCI_EXPANDER_BUS, PCI_CONNECT_DEVICE | PCI_CONNECT_HOTPLUG | PCI_CONNECT_BRIDGE, 0, 31,
     PCI_CONTROLLER_NAME_PXB, PCI_CONNECT_EXPANDER},
    {CONTROLLER_MODEL_PCIE_ROOT,
     PCI_CONNECT_EXPRESS | PCI_CONNECT_ROOT_PORT | PCI_CONNECT_DMI_BRIDGE | PCI_CONNECT_EXPRESS_EXPANDER, 1, 31,
     PCI_CONTROLLER_NAME_ABSENT, 0},
    {CONTROLLER_MODEL_PCIE_ROOT_PORT,
     PCI_CONNECT_EXPRESS | PCI_CONNECT_HOTPLUG | PCI_CONNECT_UPSTREAM | PCI_CONNECT_EXPRESS_BRIDGE, 0, 0,
     PCI_CONTROLLER_NAME_PCIE_ROOT_PORT, PCI_CONNECT_ROOT_PORT},
    {CONTROLLER_MODEL_PCIE_SWITCH_UPSTREAM_PORT, PCI_CONNECT_DOWNSTREAM, 0, 31, PCI_CONTROLLER_NAME_X3130_UPSTREAM,
     PCI_CONNECT_UPSTREAM},
    {CONTROLLER_MODEL_PCIE_SWITCH_DOWNSTREAM_PORT,
     PCI_CONNECT_EXPRESS | PCI_CONNECT_HOTPLUG | PCI_CONNECT_UPSTREAM | PCI_CONNECT_EXPRESS_BRIDGE, 0, 0,
     PCI_CONTROLLER_NAME_XIO3130_DOWNSTREAM, PCI_CONNECT_DOWNSTREAM},
    {CONTROLLER_MODEL_DMI_TO_PCI_BRIDGE, PCI_CONNECT_DEVICE | PCI_CONNECT_BRIDGE, 0, 31,
     PCI_CONTROLLER_NAME_I82801B11_BRIDGE, PCI_CONNECT_DMI_BRIDGE},
    {CONTROLLER_MODEL_PCIE_TO_PCI_BRIDGE, PCI_CONNECT_DEVICE | PCI_CONNECT_HOTPLUG | PCI_CONNECT_BRIDGE, 1, 31,
     PCI_CONTROLLER_NAME_PCIE_PCI_BRIDGE, PCI_CONNECT_EXPRESS_BRIDGE},
    {CONTROLLER_MODEL_PCIE_EXPANDER_BUS, PCI_CONNECT_ROOT_PORT | PCI_CONNECT_DMI_BRIDGE, 0, 31,
     PCI_CONTROLLER_NAME_PXB_PCIE, PCI_CONNECT_EXPRESS_EXPANDER},
};

static const struct pci_bus_kind *kind_of(enum controller_model model)
{
    for (size_t i = 0; i < COUNT(bus_kinds); i++)
        if (bus_kinds[i].model == model)
            return &bus_kinds[i];
    return NULL;
}

unsigned pci_controller_connect(enum controller_model model)
{
    const struct pci_bus_kind *kind = kind_of(model);
    return kind ? kind->connect : 0;
}

#define BUSES_MAX 256

struct pci_bus {
    const struct pci_bus_kind *kind;
    uint8_t used[32];    /* functions in use, a bit each */
    bool aggregate[32];  /* the slot holds root ports only and takes more of them */
};

struct pci {
    struct domain_def *def;
    struct error *err;
    struct pci_bus *bus;
    uint32_t count;
    bool dry; /* finds out which buses are needed; what it stores is taken back */
    LIST_OF(device_info) stored;
    bool own_topology; /* the definition has more PCI controllers than the root */
};

bool pci_slot_free(const struct pci *pci, uint8_t bus, uint8_t slot)
{
    return bus < pci->count && pci->bus[bus].used[slot] == 0;
}

void pci_reserve(struct pci *pci, const struct pci_address *address, bool whole_slot)
{
    if (address->domain || address->bus >= pci->count)
        return;
    uint8_t bits = whole_slot ? 0xff : (uint8_t)(1u << address->function);
    pci->bus[address->bus].used[address->slot] |= bits;
}

void pci_store(struct pci *pci, struct device_info *info, const struct pci_address *address)
{
    if (pci->dry)
        list_add(pci->def->arena, &pci->stored, info);
    info->address.type = ADDRESS_TYPE_PCI;
    info->address.pci = *address;
}

static void stored_take_back(struct pci *pci)
{
    for (uint32_t i = 0; i < pci->stored.count; i++)
        pci->stored.item[i]->address = (struct device_address){.extra = pci->stored.item[i]->address.extra};
    pci->stored.count = 0;
}

struct domain_def *pci_def(struct pci *pci)
{
    return pci->def;
}

static bool bus_takes(const struct pci_bus *bus, unsigned connect)
{
    if (!bus->kind)
        return false;
    unsigned where = connect & ~PCI_CONNECT_FLAGS;
    if (!(bus->kind->takes & where))
        return false;
    return !(connect & PCI_CONNECT_HOTPLUG) || bus->kind->takes & PCI_CONNECT_HOTPLUG;
}

static bool address_find(struct pci *pci, unsigned connect, struct pci_address *address)
{
    for (uint32_t i = 0; i < pci->count; i++) {
        struct pci_bus *bus = &pci->bus[i];
        if (!bus_takes(bus, connect))
            continue;
        for (unsigned slot = bus->kind->first; slot <= bus->kind->last; slot++) {
            *address = (struct pci_address){.bus = (uint8_t)i, .slot = (uint8_t)slot};
            if (bus->used[slot] == 0)
                return true;
            if (!(connect & PCI_CONNECT_AGGREGATE) || !bus->aggregate[slot] || bus->used[slot] == 0xff)
                continue;
            address->function = (uint8_t)__builtin_ctz(~(unsigned)bus->used[slot]);
            return true;
        }
    }
    return false;
}

static int bus_add(struct pci *pci, enum controller_model model)
{
    if (pci->count >= BUSES_MAX)
        return error_set(pci->err, ERR_INTERNAL_ERROR, "domain '%s' needs more than %d PCI buses", pci->def->name,
                         BUSES_MAX);
    pci->bus[pci->count++] = (struct pci_bus){.kind = kind_of(model)};
    return 0;
}

/* Which controller makes room for a device that fits nowhere. */
static int bus_grow(struct pci *pci, unsigned connect)
{
    bool bridges = false;
    for (uint32_t i = 0; i < pci->count; i++)
        bridges |= pci->bus[i].kind && pci->bus[i].kind->takes & PCI_CONNECT_BRIDGE;
    if (connect & (PCI_CONNECT_EXPRESS | PCI_CONNECT_UPSTREAM | PCI_CONNECT_EXPRESS_BRIDGE))
        return bus_add(pci, CONTROLLER_MODEL_PCIE_ROOT_PORT);
    if (connect & PCI_CONNECT_DEVICE && bridges)
        return bus_add(pci, CONTROLLER_MODEL_PCI_BRIDGE);
    if (connect & PCI_CONNECT_DEVICE) /* the root port is for the bridge itself */
        return bus_add(pci, CONTROLLER_MODEL_PCIE_ROOT_PORT) < 0
                   ? -1 : bus_add(pci, CONTROLLER_MODEL_PCIE_TO_PCI_BRIDGE);
    return error_set(pci->err, ERR_INTERNAL_ERROR,
                     "domain '%s' has no free PCI slot left; use fewer devices or add PCI "
                     "controllers", pci->def->name);
}

int pci_assign(struct pci *pci, struct device_info *info, unsigned connect)
{
    struct pci_address address;
    while (!address_find(pci, connect, &address)) {
        if (!pci->dry)
            return error_set(pci->err, ERR_INTERNAL_ERROR,
                             "domain '%s' has no free PCI slot left; use fewer devices or "
                             "add PCI controllers", pci->def->name);
        if (bus_grow(pci, connect) < 0)
            return -1;
    }
    struct pci_bus *bus = &pci->bus[address.bus];
    bool aggregate = connect & PCI_CONNECT_AGGREGATE;
    if (address.function == 0)
        bus->aggregate[address.slot] = aggregate;
    pci_reserve(pci, &address, !aggregate);
    if (info)
        pci_store(pci, info, &address);
    return 0;
}

/* Addresses that are given. The whole slot is taken unless the device says that it is multifunction or is a function
 * of such a slot. */
static int reserve_given(const struct device_ref *ref, void *owner)
{
    struct pci *pci = owner;
    struct pci_address *address = &ref->info->address.pci;
    if (ref->info->address.type != ADDRESS_TYPE_PCI || !pci_address_present(address))
        return 0;
    if (address->domain != 0)
        return error_set(pci->err, ERR_XML_ERROR, "%s of domain '%s' has PCI domain %u; only domain 0 exists",
                         device_ref_name(pci->def->arena, ref), pci->def->name, address->domain);
    while (address->bus >= pci->count)
        if (pci->dry ? bus_grow(pci, machine_is_q35(pci->def) ? PCI_CONNECT_EXPRESS : PCI_CONNECT_DEVICE) < 0
                     : error_set(pci->err, ERR_XML_ERROR, "%s of domain '%s' is on PCI bus %u, which does not exist",
                                 device_ref_name(pci->def->arena, ref), pci->def->name, address->bus))
            return -1;
    struct pci_bus *bus = &pci->bus[address->bus];
    if (!bus->kind)
        return 0;
    if (address->slot < bus->kind->first || address->slot > bus->kind->last)
        return error_set(pci->err, ERR_XML_ERROR,
                         "%s of domain '%s': slot 0x%02x on PCI bus %u is not in 0x%02x..0x%02x",
                         device_ref_name(pci->def->arena, ref), pci->def->name, address->slot, address->bus,
                         bus->kind->first, bus->kind->last);
    bool port = strcmp(ref->kind, "controller") == 0 &&
                ((const struct controller *)ref->device)->model == CONTROLLER_MODEL_PCIE_ROOT_PORT;
    if (bus->used[address->slot] == 0)
        bus->aggregate[address->slot] = port;
    else
        bus->aggregate[address->slot] &= port;
    bool single = address->function == 0 && address->multifunction != ONOFF_ON && !port;
    if (single && bus->used[address->slot] == 0)
        bus->used[address->slot] = 1; /* more functions may be given explicitly; see slots_close() */
    else
        bus->used[address->slot] |= (uint8_t)(1u << address->function);
    return 0;
}

/* A slot that holds something else than root ports takes nothing automatically. */
static void slots_close(struct pci *pci)
{
    for (uint32_t i = 0; i < pci->count; i++)
        for (unsigned slot = 0; slot < 32; slot++)
            if (pci->bus[i].used[slot] && !pci->bus[i].aggregate[slot])
                pci->bus[i].used[slot] = 0xff;
}

static int buses_collect(struct pci *pci)
{
    pci->count = 0;
    memset(pci->bus, 0, BUSES_MAX * sizeof(*pci->bus));
    for (uint32_t i = 0; i < pci->def->controllers.count; i++) {
        const struct controller *controller = pci->def->controllers.item[i];
        if (controller->type != CONTROLLER_TYPE_PCI)
            continue;
        if (controller->index >= BUSES_MAX)
            return error_set(pci->err, ERR_XML_ERROR, "PCI controller %u of domain '%s': indexes end at %d",
                             controller->index, pci->def->name, BUSES_MAX - 1);
        if (!kind_of(controller->model))
            return error_set(pci->err, ERR_XML_ERROR, "PCI controller %u of domain '%s' has no PCI model",
                             controller->index, pci->def->name);
        pci->bus[controller->index].kind = kind_of(controller->model);
        if (controller->index >= pci->count)
            pci->count = controller->index + 1;
    }
    /* indexes that were left out */
    for (uint32_t i = 1; i < pci->count; i++)
        if (!pci->bus[i].kind)
            pci->bus[i].kind = kind_of(machine_is_q35(pci->def) ? CONTROLLER_MODEL_PCIE_ROOT_PORT
                                                                : CONTROLLER_MODEL_PCI_BRIDGE);
    return 0;
}

static int pass(struct pci *pci, bool dry)
{
    pci->dry = dry;
    if (buses_collect(pci) < 0 || devices_visit(pci->def, reserve_given, pci) != 0)
        return -1;
    pci_chipset_reserve(pci);
    slots_close(pci);
    return pci_devices_assign(pci);
}

/* Adds the controllers that the dry pass asked for; each of them needs a place itself. */
static int controllers_grow(struct pci *pci)
{
    /* one slot more is kept free for a device that comes later; on q35 only if the user gave no topology */
    bool express = machine_is_q35(pci->def);
    if ((!express || !pci->own_topology) &&
        pci_assign(pci, NULL, (express ? PCI_CONNECT_EXPRESS : PCI_CONNECT_DEVICE) | PCI_CONNECT_HOTPLUG) < 0)
        return -1;
    for (uint32_t i = 1; i < pci->count; i++) {
        if (controller_find(pci->def, CONTROLLER_TYPE_PCI, i))
            continue;
        controller_add(pci->def, CONTROLLER_TYPE_PCI, i)->model = pci->bus[i].kind->model;
        if (pci_assign(pci, NULL, pci->bus[i].kind->connect |
                       (pci->bus[i].kind->connect == PCI_CONNECT_ROOT_PORT ? PCI_CONNECT_AGGREGATE : 0)) < 0)
            return -1;
    }
    return 0;
}

/* Function 0 of a slot with more functions says so. */
static int multifunction_mark(const struct device_ref *ref, void *owner)
{
    struct pci *pci = owner;
    struct pci_address *address = &ref->info->address.pci;
    if (ref->info->address.type == ADDRESS_TYPE_PCI && address->function == 0 && !address->multifunction &&
        address->bus < pci->count && pci->bus[address->bus].aggregate[address->slot] &&
        pci->bus[address->bus].used[address->slot] & 0xfe)
        address->multifunction = ONOFF_ON;
    return 0;
}

static void controller_targets_complete(struct domain_def *def)
{
    for (uint32_t i = 0; i < def->controllers.count; i++) {
        struct controller *controller = def->controllers.item[i];
        if (controller->type != CONTROLLER_TYPE_PCI)
            continue;
        const struct pci_address *address = &controller->info.address.pci;
        struct optional_u32 index = {controller->index, true};
        struct optional_u32 port = {((uint32_t)address->slot << 3) + address->function, true};
        if (!controller->pci_model_name)
            controller->pci_model_name = kind_of(controller->model)->name;
        switch (controller->model) {
        case CONTROLLER_MODEL_PCI_BRIDGE:
            if (!controller->chassis_nr.set)
                controller->chassis_nr = index;
            break;
        case CONTROLLER_MODEL_PCIE_ROOT_PORT:
        case CONTROLLER_MODEL_PCIE_SWITCH_DOWNSTREAM_PORT:
            if (!controller->chassis.set)
                controller->chassis = index;
            if (!controller->port.set)
                controller->port = controller->model == CONTROLLER_MODEL_PCIE_ROOT_PORT
                                       ? port : (struct optional_u32){address->slot, true};
            break;
        case CONTROLLER_MODEL_PCI_EXPANDER_BUS:
        case CONTROLLER_MODEL_PCIE_EXPANDER_BUS:
            if (!controller->bus_nr.set)
                controller->bus_nr = (struct optional_u32){256 - 8 * controller->index, true};
            break;
        default:
            break;
        }
    }
}

int pci_addresses_assign(struct domain_def *def, struct error *err)
{
    if (!controller_find(def, CONTROLLER_TYPE_PCI, 0))
        return 0;
    scoped_free struct pci_bus *buses = xcalloc(BUSES_MAX, sizeof(*buses));
    struct pci pci = {.def = def, .err = err, .bus = buses};
    for (uint32_t i = 0; i < def->controllers.count; i++)
        pci.own_topology |= def->controllers.item[i]->type == CONTROLLER_TYPE_PCI &&
            def->controllers.item[i]->index > 0;
    if (pass(&pci, true) < 0 || controllers_grow(&pci) < 0)
        return -1;
    stored_take_back(&pci);
    if (pass(&pci, false) < 0)
        return -1;
    devices_visit(def, multifunction_mark, &pci);
    controller_targets_complete(def);
    return 0;
}
