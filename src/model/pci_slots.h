/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/domain.h"

/* How PCI devices connect. A device needs one of the bits; a bus takes those it has. */
enum pci_connect {
    PCI_CONNECT_DEVICE = 1 << 0,           /* conventional PCI */
    PCI_CONNECT_EXPRESS = 1 << 1,          /* PCI Express endpoint */
    PCI_CONNECT_BRIDGE = 1 << 2,           /* pci-bridge */
    PCI_CONNECT_ROOT_PORT = 1 << 3,        /* pcie-root-port */
    PCI_CONNECT_UPSTREAM = 1 << 4,         /* pcie-switch-upstream-port */
    PCI_CONNECT_DOWNSTREAM = 1 << 5,       /* pcie-switch-downstream-port */
    PCI_CONNECT_DMI_BRIDGE = 1 << 6,       /* dmi-to-pci-bridge */
    PCI_CONNECT_EXPRESS_BRIDGE = 1 << 7,   /* pcie-to-pci-bridge */
    PCI_CONNECT_EXPANDER = 1 << 8,         /* pci-expander-bus */
    PCI_CONNECT_EXPRESS_EXPANDER = 1 << 9, /* pcie-expander-bus */
    PCI_CONNECT_HOTPLUG = 1 << 10,         /* may come and go while the guest runs: a qualifier */
    PCI_CONNECT_AGGREGATE = 1 << 11,       /* shares its slot with others of the kind: a qualifier */
};
#define PCI_CONNECT_FLAGS (PCI_CONNECT_HOTPLUG | PCI_CONNECT_AGGREGATE)

/* The buses of a domain while addresses are handed out. */
struct pci;

/* The domain whose addresses they are. */
struct domain_def *pci_def(struct pci *pci);
/* Whether none of the slot's functions is taken. */
bool pci_slot_free(const struct pci *pci, uint8_t bus, uint8_t slot);
/* Marks an address as taken: its function, or all of its slot. */
void pci_reserve(struct pci *pci, const struct pci_address *address, bool whole_slot);
/* Writes the address into the device. */
void pci_store(struct pci *pci, struct device_info *info, const struct pci_address *address);
/* The first free slot that fits; in the dry pass buses are added until there is one. */
int pci_assign(struct pci *pci, struct device_info *info, unsigned connect);

/* What the controller needs to be plugged in, 0 for roots. */
unsigned pci_controller_connect(enum controller_model model);

/* Slots that the machine's chipset occupies, and devices that have their fixed place there. */
void pci_chipset_reserve(struct pci *pci);
/* Addresses for all devices without one, in libvirt's order. */
int pci_devices_assign(struct pci *pci);
