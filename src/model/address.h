/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/domain.h"

/* One device as the address assigner sees it. */
struct device_ref {
    const char *kind; /* "disk", "interface", ... */
    uint32_t number;  /* among its kind, from 1 */
    const char *name; /* target, MAC, index, ...; may be NULL */
    struct device_info *info;
    const void *device;
};

/* Calls visit for every device with an info, in the order of the XML. Stops when it returns non-zero and returns
 * that. */
int devices_visit(const struct domain_def *def, int (*visit)(const struct device_ref *ref, void *owner), void *owner);

/* "disk 'vda'", "memballoon", "controller pci 1": for messages; in the arena. */
const char *device_ref_name(struct arena *arena, const struct device_ref *ref);

/* The parts of domain_assign_addresses() that have files of their own. */
int usb_addresses_assign(struct domain_def *def, struct error *err);
int pci_addresses_assign(struct domain_def *def, struct error *err);
