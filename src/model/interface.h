/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/device.h"

/* <inbound> and <outbound> of <bandwidth>; KiB per second and KiB. */
struct bandwidth_rate {
    struct extra *extra;
    uint64_t average, peak, floor, burst;
};

struct virtualport {
    struct extra *extra;
    const char *type;
    const char *managerid, *typeid, *typeidversion, *instanceid, *interfaceid, *profileid;
};

struct vlan_tag {
    struct extra *extra;
    uint32_t id;
    const char *native_mode;
};

struct filter_parameter {
    struct extra *extra;
    const char *name, *value;
};

struct interface_ip {
    struct extra *extra;
    enum address_family family;
    const char *address;
    struct optional_u32 prefix;
    const char *peer;
};

struct interface {
    struct extra *extra;
    enum interface_type type;
    enum yesno managed, trust_guest_rx_filters;
    struct mac mac;
    const char *mac_type; /* "generated", "static" */
    enum yesno mac_check;
    /* <source> */
    const char *bridge;                     /* type bridge (and network while running) */
    const char *network, *portgroup, *portid; /* type network */
    const char *dev;                        /* type direct, vdpa */
    enum macvtap_mode mode;                 /* type direct */
    struct device_address source_address;   /* type hostdev */
    const char *socket_address, *socket_port; /* types server, client, mcast, udp */
    const char *local_address, *local_port; /* type udp: source/local */
    const char *chardev_type, *chardev_path, *chardev_mode; /* type vhostuser */
    LIST_OF(interface_ip) ips;
    struct virtualport *virtualport;
    struct bandwidth_rate *inbound, *outbound;
    enum yesno vlan_trunk;
    LIST_OF(vlan_tag) vlan_tags;
    const char *target;    /* target/@dev: tap name; of a definition at rest only if the user chose it */
    enum yesno target_managed;
    const char *guest_dev, *guest_actual;
    const char *script, *downscript;
    enum yesno script_managed;
    const char *backend_type, *backend_log_file;
    const char *backend_tap, *backend_vhost;
    const char *model;     /* "virtio", "e1000", "rtl8139", ...: any QEMU device */
    enum interface_driver driver;
    enum interface_driver hostdev_driver;   /* type hostdev */
    enum interface_txmode txmode;
    enum onoff ioeventfd, event_idx;
    uint32_t queues, rx_queue_size, tx_queue_size;
    enum onoff rss, rss_hash_report;
    struct virtio_options virtio;
    const char *host_offload, *guest_offload; /* driver/host and driver/guest, whole elements, verbatim */
    const char *filter;    /* filterref/@filter */
    LIST_OF(filter_parameter) filter_parameters;
    const char *tune_sndbuf; /* tune/sndbuf */
    enum link_state link;
    uint32_t mtu;
    const char *coalesce;  /* whole element, verbatim */
    enum yesno port_isolated;
    const char *teaming_type, *teaming_persistent;
    struct device_info info;
};

/* Takes out the name of a tap device that was made for one run ("vnet0"). */
void interface_rest(struct interface *interface);
