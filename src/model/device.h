/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/part.h"

/* What many devices have in common: <address>, <alias>, <boot>, <rom>, <acpi>, <driver iommu=...>. */

struct pci_address {
    uint16_t domain;
    uint8_t bus, slot, function;
    enum onoff multifunction;
};

/* <address type='...'>; which member holds depends on type (ADDRESS_TYPE_ABSENT: no address). */
struct device_address {
    struct extra *extra;
    enum address_type type;
    union {
        struct pci_address pci;
        struct {
            uint32_t controller, bus, target, unit;
        } drive;
        struct {
            uint32_t controller, bus, port;
        } virtio_serial;
        struct {
            uint32_t controller, slot;
        } ccid;
        struct {
            uint32_t bus;
            const char *port; /* "1" or "1.2" behind hubs; NULL while not assigned */
        } usb;
        struct {
            uint32_t iobase, irq;
        } isa;
        struct {
            uint32_t slot;
            uint64_t base;
        } dimm;
    };
};

struct device_info {
    const char *alias;       /* "virtio-disk0", "ua-mine"; in a definition at rest only ua- aliases stand */
    struct device_address address;
    uint32_t boot_order;     /* 0 = none */
    const char *boot_loadparm;
    struct optional_u32 master_startport; /* usb companion controllers */
    enum yesno rom_enabled;
    enum onoff rom_bar;
    const char *rom_file;
    uint32_t acpi_index;     /* 0 = none */
};

/* Attributes of <driver> that all virtio devices know. */
struct virtio_options {
    enum onoff iommu, ats, packed, page_per_vq;
};

/* <seclabel> of the domain or of a source. */
struct seclabel {
    struct extra *extra;
    enum seclabel_type type;
    const char *model;
    enum yesno relabel, labelskip;
    const char *label, *imagelabel, *baselabel;
};
