/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/device.h"

struct source_host {
    struct extra *extra;
    const char *name, *port, *socket;
    enum host_transport transport;
};

struct source_auth {
    struct extra *extra;
    const char *username;
    const char *secret_type, *secret_uuid, *secret_usage;
};

/* Where an image lies: one layer of a backing chain, or the source of a mirror. <source ...> beside the type and the
 * <format>. */
struct disk_source {
    struct extra *extra;
    enum source_type type;
    const char *format;       /* "raw", "qcow2", ...; of a disk: driver/@type */
    const char *file;         /* type file; of a running domain also type volume: where that lies */
    const char *dev;          /* type block, and the same */
    const char *dir;          /* type dir */
    enum network_protocol protocol; /* type network */
    const char *name;         /* type network: export, image or path */
    const char *query;
    enum yesno tls;
    const char *tls_hostname;
    LIST_OF(source_host) hosts;
    const char *pool, *volume, *volume_mode; /* type volume */
    uint32_t index;           /* of a running domain: 1 is the topmost layer */
    bool unlocked;            /* of a domain that starts: QEMU must not lock it (qemu/lease.h) */
    enum startup_policy startup_policy;
    LIST_OF(seclabel) seclabels;
    struct source_auth *auth;
    const char *encryption;   /* the whole <encryption> element, verbatim */
    const char *reservations; /* the whole <reservations> element, verbatim */
    const char *snapshot_name, *config_file, *initiator;
    enum yesno ssl_verify;
    uint64_t readahead, timeout;
    struct optional_u64 slice_offset, slice_size;
    const char *slice_type;
    bool has_backing;         /* <backingStore/> stands: the chain ends here */
    struct disk_source *backing; /* the next layer, NULL when none or not known */
};

struct iotune {
    struct extra *extra;
    uint64_t total_bytes_sec, read_bytes_sec, write_bytes_sec;
    uint64_t total_iops_sec, read_iops_sec, write_iops_sec;
    uint64_t total_bytes_sec_max, read_bytes_sec_max, write_bytes_sec_max;
    uint64_t total_iops_sec_max, read_iops_sec_max, write_iops_sec_max;
    uint64_t size_iops_sec;
    const char *group_name;
    uint64_t total_bytes_sec_max_length, read_bytes_sec_max_length, write_bytes_sec_max_length;
    uint64_t total_iops_sec_max_length, read_iops_sec_max_length, write_iops_sec_max_length;
};

struct disk_mirror {
    struct extra *extra;
    enum mirror_job job;
    enum mirror_ready ready;
    struct disk_source source; /* its format is <format type=> */
};

struct disk {
    struct extra *extra;
    struct disk_source source; /* source.type is disk/@type */
    enum disk_device device;
    enum virtio_model model;
    enum yesno rawio;
    enum disk_sgio sgio;
    enum disk_snapshot snapshot;
    const char *driver_name; /* "qemu" */
    enum disk_cache cache;
    enum disk_error_policy error_policy, rerror_policy;
    enum disk_io io;
    enum onoff ioeventfd, event_idx, copy_on_read;
    enum disk_discard discard;
    enum disk_detect_zeroes detect_zeroes;
    uint32_t iothread, queues, queue_size;
    uint64_t metadata_cache_max_size; /* bytes, 0 = default */
    struct source_auth *auth;         /* the older place of source.auth */
    const char *encryption;           /* the older place of source.encryption */
    struct virtio_options virtio;
    struct {
        uint32_t cyls, heads, secs;
        enum disk_trans trans;
    } geometry;
    uint32_t logical_block_size, physical_block_size;
    struct disk_mirror *mirror;
    const char *target; /* "vda" */
    enum disk_bus bus;
    enum disk_tray tray;
    enum onoff removable;
    uint32_t rotation_rate;
    struct iotune *iotune;
    bool readonly, shareable, transient;
    enum yesno transient_share_backing;
    const char *serial, *wwn, *vendor, *product;
    struct device_info info;
};

/* The file, device, volume, ... of a source for messages; "" when it is empty. */
const char *disk_source_shown(const struct disk_source *source);

struct controller {
    struct extra *extra;
    enum controller_type type;
    uint32_t index;
    bool index_set;
    enum controller_model model;
    struct optional_u32 ports, vectors; /* virtio-serial, usb */
    uint32_t queues, cmd_per_lun, max_sectors, iothread;
    enum onoff ioeventfd;
    struct virtio_options virtio;
    /* pci */
    enum pci_controller_name pci_model_name; /* <model name=> */
    struct optional_u32 chassis_nr, chassis, port, bus_nr, target_index, numa_node;
    enum onoff hotplug;
    uint64_t pcihole64_kib;
    bool pcihole64_set;
    struct device_info info;
};

struct filesystem {
    struct extra *extra;
    enum filesystem_type type;
    enum filesystem_access access;
    const char *fmode, *dmode, *multidevs, *model;
    enum filesystem_driver driver;
    const char *format, *wrpolicy;
    uint32_t queue_size;
    struct virtio_options virtio;
    const char *source_dir, *source_dev, *source_file, *source_name, *source_socket, *source_pool, *source_volume;
    const char *binary_path;
    const char *target_dir;
    bool readonly;
    uint64_t space_hard_limit, space_soft_limit; /* bytes */
    struct device_info info;
};
