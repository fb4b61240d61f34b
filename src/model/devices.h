/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/chardev.h"
#include "model/device.h"

struct input {
    struct extra *extra;
    enum input_type type;
    enum input_bus bus;
    enum virtio_model model;
    const char *source_evdev, *source_dev; /* passthrough; evdev */
    const char *grab, *grab_toggle;
    enum onoff repeat;
    struct virtio_options virtio;
    struct device_info info;
};

struct tpm {
    struct extra *extra;
    enum tpm_model model;
    enum tpm_backend backend;
    enum tpm_version version;
    enum yesno persistent_state;
    const char *encryption_secret;
    const char *device_path;               /* passthrough */
    struct chardev_source source;          /* external */
    struct device_info info;
};

struct hostdev {
    struct extra *extra;
    enum hostdev_mode mode;
    enum hostdev_type type;
    enum yesno managed;
    const char *model;                     /* mdev: "vfio-pci"; scsi_host: virtio models */
    const char *sgio;
    enum yesno rawio;
    enum onoff display, ramfb;
    enum hostdev_driver driver;
    const char *startup_policy;
    enum yesno write_filtering;
    /* <source> */
    struct optional_u32 vendor, product;   /* usb */
    bool usb_address_set;
    uint32_t usb_bus, usb_device;
    struct pci_address pci;                /* pci */
    const char *mdev_uuid;
    const char *adapter_name;              /* scsi */
    uint32_t scsi_bus, scsi_target;
    uint64_t scsi_unit;
    const char *protocol, *wwpn, *name;    /* scsi_host, iscsi */
    bool readonly, shareable;
    struct device_info info;
};

struct redirdev {
    struct extra *extra;
    enum redirdev_bus bus;
    struct chardev_source source;
    struct device_info info;
};

struct redirfilter_usbdev {
    struct extra *extra;
    const char *usb_class, *vendor, *product, *version;
    enum yesno allow;
};

struct redirfilter {
    struct extra *extra;
    LIST_OF(redirfilter_usbdev) usbdevs;
};

struct text_part;
struct smartcard {
    struct extra *extra;
    enum smartcard_mode mode;
    struct chardev_source source;          /* passthrough */
    LIST_OF(text_part) certificates;
    const char *database;
    struct device_info info;
};

/* An element that holds nothing but text. */
struct text_part {
    struct extra *extra;
    const char *text;
};

struct hub {
    struct extra *extra;
    enum hub_type type;
    struct device_info info;
};

struct watchdog {
    struct extra *extra;
    enum watchdog_model model;
    enum watchdog_action action;
    struct device_info info;
};

struct memballoon {
    struct extra *extra;
    enum memballoon_model model;
    enum onoff autodeflate, free_page_reporting;
    uint32_t stats_period; /* seconds */
    struct virtio_options virtio;
    struct device_info info;
};

struct rng {
    struct extra *extra;
    enum virtio_model model;
    uint32_t rate_bytes, rate_period;
    enum rng_backend backend;
    const char *path;             /* random */
    struct chardev_source source; /* egd */
    struct virtio_options virtio;
    struct device_info info;
};

struct nvram {
    struct extra *extra;
    struct device_info info;
};

struct panic {
    struct extra *extra;
    enum panic_model model;
    struct device_info info;
};

struct shmem {
    struct extra *extra;
    const char *name;
    enum shmem_role role;
    enum shmem_model model;
    uint64_t size; /* MiB */
    const char *server_path;
    enum onoff msi_enabled, msi_ioeventfd;
    bool msi_set;
    uint32_t msi_vectors;
    struct device_info info;
};

struct memory_device {
    struct extra *extra;
    enum memory_model model;
    enum memory_access access;
    enum yesno discard;
    const char *uuid;
    /* <source> */
    const char *nodemask, *path;
    uint64_t pagesize, alignsize; /* KiB */
    bool pmem;
    /* <target> */
    uint64_t size, label_size, block, requested, current; /* KiB */
    struct optional_u32 node;
    bool readonly;
    struct device_info info;
};

struct iommu {
    struct extra *extra;
    enum iommu_model model;
    enum onoff intremap, caching_mode, eim, iotlb;
    uint32_t aw_bits;
    struct device_info info;
};

struct vsock {
    struct extra *extra;
    enum virtio_model model;
    enum yesno cid_auto;
    uint32_t cid_address;
    struct virtio_options virtio;
    struct device_info info;
};

struct lease {
    struct extra *extra;
    const char *lockspace, *key, *path;
    uint64_t offset;
};
