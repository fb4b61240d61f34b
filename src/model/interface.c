/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/interface.h"

#include "model/field.h"
#include "model/xml.h"

#define TYPE(kind) BIT(INTERFACE_TYPE_##kind)
#define TYPE_IS(mask) WHEN(interface, type, mask)
#define SOCKETS (TYPE(SERVER) | TYPE(CLIENT) | TYPE(MCAST) | TYPE(UDP))

static const struct field bandwidth_rate_fields[] = {
    FIELD_U64(bandwidth_rate, average, "@average"),
    FIELD_U64(bandwidth_rate, peak, "@peak"),
    FIELD_U64(bandwidth_rate, floor, "@floor"),
    FIELD_U64(bandwidth_rate, burst, "@burst"),
};
static ELEMENT(bandwidth_rate, bandwidth_rate);

static const struct field virtualport_fields[] = {
    FIELD_STR(virtualport, type, "@type"),
    FIELD_STR(virtualport, managerid, "parameters/@managerid"),
    FIELD_STR(virtualport, typeid, "parameters/@typeid"),
    FIELD_STR(virtualport, typeidversion, "parameters/@typeidversion"),
    FIELD_STR(virtualport, instanceid, "parameters/@instanceid"),
    FIELD_STR(virtualport, interfaceid, "parameters/@interfaceid"),
    FIELD_STR(virtualport, profileid, "parameters/@profileid"),
};
static ELEMENT(virtualport, virtualport);

static const struct field vlan_tag_fields[] = {
    FIELD_U32(vlan_tag, id, "@id", .flags = ALWAYS, MAX(4095)),
    FIELD_STR(vlan_tag, native_mode, "@nativeMode"),
};
static ELEMENT(vlan_tag, vlan_tag);

static const struct field filter_parameter_fields[] = {
    FIELD_STR(filter_parameter, name, "@name", .flags = REQUIRED),
    FIELD_STR(filter_parameter, value, "@value", .flags = REQUIRED),
};
static ELEMENT(filter_parameter, filter_parameter);

static const struct field interface_ip_fields[] = {
    FIELD_STR(interface_ip, address, "@address", .flags = REQUIRED),
    FIELD_ENUM(interface_ip, family, "@family", address_family),
    FIELD_OPT_U32(interface_ip, prefix, "@prefix", MAX(128)),
    FIELD_STR(interface_ip, peer, "@peer"),
};
static ELEMENT(interface_ip, interface_ip);

static const struct field interface_fields[] = {
    FIELD_ENUM(interface, type, "@type", interface_type, .flags = REQUIRED),
    FIELD_ENUM(interface, managed, "@managed", yesno, TYPE_IS(TYPE(HOSTDEV))),
    FIELD_ENUM(interface, trust_guest_rx_filters, "@trustGuestRxFilters", yesno),
    FIELD_MAC(interface, mac, "mac/@address", .flags = GUEST_ABI),
    FIELD_STR(interface, mac_type, "mac/@type"),
    FIELD_ENUM(interface, mac_check, "mac/@check", yesno),
    FIELD_ENUM(interface, hostdev_driver, "driver/@name", interface_driver, TYPE_IS(TYPE(HOSTDEV))),
    FIELD_STR(interface, network, "source/@network", TYPE_IS(TYPE(NETWORK)), .flags = REQUIRED),
    FIELD_STR(interface, portgroup, "source/@portgroup", TYPE_IS(TYPE(NETWORK))),
    FIELD_STR(interface, portid, "source/@portid", TYPE_IS(TYPE(NETWORK)), .flags = LIVE),
    FIELD_STR(interface, bridge, "source/@bridge", TYPE_IS(TYPE(BRIDGE)), .flags = REQUIRED),
    FIELD_STR(interface, bridge, "source/@bridge", TYPE_IS(TYPE(NETWORK)), .flags = LIVE),
    FIELD_STR(interface, dev, "source/@dev", TYPE_IS(TYPE(DIRECT) | TYPE(VDPA) | TYPE(ETHERNET) | TYPE(USER))),
    FIELD_ENUM(interface, mode, "source/@mode", macvtap_mode, TYPE_IS(TYPE(DIRECT))),
    FIELD_STR(interface, chardev_type, "source/@type", TYPE_IS(TYPE(VHOSTUSER))),
    FIELD_STR(interface, chardev_path, "source/@path", TYPE_IS(TYPE(VHOSTUSER))),
    FIELD_STR(interface, chardev_mode, "source/@mode", TYPE_IS(TYPE(VHOSTUSER))),
    FIELD_STR(interface, socket_address, "source/@address", TYPE_IS(SOCKETS)),
    FIELD_STR(interface, socket_port, "source/@port", TYPE_IS(SOCKETS)),
    FIELD_STR(interface, local_address, "source/local/@address", TYPE_IS(TYPE(UDP))),
    FIELD_STR(interface, local_port, "source/local/@port", TYPE_IS(TYPE(UDP))),
    FIELD_INLINE(interface, source_address, "source/address", device_address, TYPE_IS(TYPE(HOSTDEV))),
    FIELD_KEPT("source/ip"),
    FIELD_KEPT("source/route"),
    FIELD_KEPT("source/reconnect"),
    FIELD_ENUM(interface, vlan_trunk, "vlan/@trunk", yesno),
    FIELD_LIST(interface, vlan_tags, "vlan/tag", vlan_tag),
    FIELD_PART(interface, virtualport, "virtualport", virtualport),
    FIELD_PART(interface, inbound, "bandwidth/inbound", bandwidth_rate),
    FIELD_PART(interface, outbound, "bandwidth/outbound", bandwidth_rate),
    FIELD_ENUM(interface, port_isolated, "port/@isolated", yesno),
    FIELD_LIST(interface, ips, "ip", interface_ip),
    FIELD_KEPT("route"),
    FIELD_KEPT("portForward"),
    FIELD_STR(interface, script, "script/@path"),
    FIELD_ENUM(interface, script_managed, "script/@managed", yesno),
    FIELD_STR(interface, downscript, "downscript/@path"),
    FIELD_KEPT("backenddomain"),
    FIELD_STR(interface, target, "target/@dev"),
    FIELD_ENUM(interface, target_managed, "target/@managed", yesno),
    FIELD_STR(interface, guest_dev, "guest/@dev"),
    FIELD_STR(interface, guest_actual, "guest/@actual"),
    FIELD_STR(interface, model, "model/@type", .flags = GUEST_ABI),
    FIELD_ENUM(interface, driver, "driver/@name", interface_driver,
               TYPE_IS(~TYPE(HOSTDEV))),
    FIELD_ENUM(interface, txmode, "driver/@txmode", interface_txmode),
    FIELD_ENUM(interface, ioeventfd, "driver/@ioeventfd", onoff),
    FIELD_ENUM(interface, event_idx, "driver/@event_idx", onoff, .flags = GUEST_ABI),
    FIELD_U32(interface, queues, "driver/@queues"),
    FIELD_U32(interface, rx_queue_size, "driver/@rx_queue_size", .flags = GUEST_ABI),
    FIELD_U32(interface, tx_queue_size, "driver/@tx_queue_size", .flags = GUEST_ABI),
    FIELD_ENUM(interface, rss, "driver/@rss", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(interface, rss_hash_report, "driver/@rss_hash_report", onoff, .flags = GUEST_ABI),
    FIELD_MERGE(interface, virtio, virtio_options),
    FIELD_VERBATIM(interface, host_offload, "driver/host"),
    FIELD_VERBATIM(interface, guest_offload, "driver/guest"),
    FIELD_STR(interface, backend_type, "backend/@type"),
    FIELD_STR(interface, backend_tap, "backend/@tap"),
    FIELD_STR(interface, backend_vhost, "backend/@vhost"),
    FIELD_STR(interface, backend_log_file, "backend/@logFile"),
    FIELD_STR(interface, filter, "filterref/@filter"),
    FIELD_LIST(interface, filter_parameters, "filterref/parameter", filter_parameter),
    FIELD_STR(interface, tune_sndbuf, "tune/sndbuf"),
    FIELD_ENUM(interface, link, "link/@state", link_state),
    FIELD_U32(interface, mtu, "mtu/@size", .flags = GUEST_ABI),
    FIELD_VERBATIM(interface, coalesce, "coalesce"),
    FIELD_STR(interface, teaming_type, "teaming/@type"),
    FIELD_STR(interface, teaming_persistent, "teaming/@persistent"),
    FIELD_MERGE(interface, info, device_info),
};

void interface_rest(struct interface *interface)
{
    if (interface->target && interface->target_managed != YESNO_NO &&
        (string_starts(interface->target, "vnet") || string_starts(interface->target, "macvtap")))
        interface->target = NULL;
}

static int interface_parsed(void *part, struct parse *parse)
{
    struct interface *interface = part;
    if (interface->mac.set && interface->mac.byte[0] & 1)
        return xml_error(parse, "mac/@address", "this is a multicast address; an interface needs a unicast one");
    if (parse->flags & PARSE_INACTIVE)
        interface_rest(interface);
    if (interface->virtualport && string_equal(interface->virtualport->type, "openvswitch") &&
        !interface->virtualport->interfaceid) {
        unsigned char uuid[UUID_SIZE];
        char string[UUID_STRING_SIZE];
        uuid_random(uuid);
        uuid_format(uuid, string);
        interface->virtualport->interfaceid = arena_strdup(parse->arena, string);
    }
    return 0;
}
ELEMENT(interface, interface, .parsed = interface_parsed);
