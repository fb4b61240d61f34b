/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "qemu/command_parts.h"

/* --- the host's end --- */

static bool is_virtio(const struct interface *interface)
{
    return interface->model && string_starts(interface->model, "virtio");
}

static unsigned queue_count(const struct interface *interface)
{
    unsigned queues = is_virtio(interface) && interface->queues ? interface->queues : 1;
    return queues < TAP_QUEUES_MAX ? queues : TAP_QUEUES_MAX;
}

/* "fd" for one, "fds" with colons for several. */
static void put_fds(struct build *build, json_t *netdev, const char *key, const int *fds, unsigned count)
{
    scoped_text struct text numbers = {0};
    for (unsigned i = 0; i < count; i++)
        text_printf(&numbers, "%s%s", i ? ":" : "", pass_fd(build, fds[i]));
    put_string(netdev, count > 1 ? arena_printf(build->arena, "%ss", key) : key, text_string(&numbers));
}

/* In the kernel when the guest is KVM's, as libvirt decides; asked for by name it must be had. */
static int put_vhost(struct build *build, json_t *netdev, const struct interface *interface, struct error *err)
{
    int fds[TAP_QUEUES_MAX];
    unsigned count = queue_count(interface), opened = 0;
    bool wanted = interface->driver == INTERFACE_DRIVER_VHOST;
    if (!is_virtio(interface) || interface->driver == INTERFACE_DRIVER_QEMU || (!wanted && !build->kvm) ||
        build->options->dry)
        return 0;
    for (; opened < count; opened++)
        if ((fds[opened] = open(interface->backend_vhost ?: "/dev/vhost-net", O_RDWR | O_CLOEXEC)) < 0)
            break;
    if (opened == count) {
        put_bool(netdev, "vhost", true);
        put_fds(build, netdev, "vhostfd", fds, count);
        return 0;
    }
    int reason = errno;
    while (opened > 0)
        close(fds[--opened]);
    return wanted ? error_system(err, reason, "cannot open /dev/vhost-net (is the vhost_net module loaded?)") : 0;
}

static int run_script(struct build *build, const struct interface *interface, struct error *err)
{
    scoped_text struct text output = {0};
    struct argv *argv = argv_new(build->arena);
    if (!interface->script || !*interface->script || build->options->dry)
        return 0;
    argv_add(argv, interface->script);
    argv_add(argv, interface->target);
    return process_run(argv, &output, 65536, deadline_ms(30000), err);
}

static int put_tap(struct build *build, json_t *netdev, struct interface *interface, struct error *err)
{
    int fds[TAP_QUEUES_MAX];
    char name[TAP_NAME_SIZE] = "";
    unsigned count = queue_count(interface);
    const struct tap_wish wish = {
        .bridge = interface->bridge,
        .mac = interface->mac.set ? interface->mac.byte : NULL,
        .mtu = interface->mtu,
        .vnet_hdr = is_virtio(interface),
        .configure = interface->target_managed != YESNO_NO,
    };
    if (interface->target && strlen(interface->target) >= sizeof name)
        return unsupported(err, "<target dev='%s'> is longer than the 15 bytes that the kernel allows",
                           interface->target);
    snprintf(name, sizeof name, "%s", interface->target ?: "");
    memset(fds, 0xff, sizeof fds);
    if (!build->options->dry && tap_open(name, &wish, fds, count, err) < 0)
        return -1;
    put_fds(build, netdev, "fd", fds, count);
    if (!build->options->dry)
        interface->target = arena_strdup(build->def->arena, name);
    if (interface->tune_sndbuf)
        put_number(netdev, "sndbuf", strtoull(interface->tune_sndbuf, NULL, 10));
    return put_vhost(build, netdev, interface, err) < 0 ? -1 : run_script(build, interface, err);
}

static void put_user(struct build *build, json_t *netdev, const struct interface *interface)
{
    for (uint32_t i = 0; i < interface->ips.count; i++) {
        const struct interface_ip *ip = interface->ips.item[i];
        if (ip->family == ADDRESS_FAMILY_IPV6) {
            put_string(netdev, "ipv6-prefix", ip->address);
            put_number(netdev, "ipv6-prefixlen", ip->prefix.set ? ip->prefix.value : 0);
        } else if (ip->prefix.set) {
            put_string(netdev, "net", arena_printf(build->arena, "%s/%u", ip->address, ip->prefix.value));
        } else {
            put_string(netdev, "net", ip->address);
        }
    }
}

static void put_socket(struct build *build, json_t *netdev, const struct interface *interface)
{
    const char *address = interface->socket_address ?: "", *port = interface->socket_port ?: "";
    const char *key = interface->type == INTERFACE_TYPE_SERVER   ? "listen"
                      : interface->type == INTERFACE_TYPE_CLIENT ? "connect"
                      : interface->type == INTERFACE_TYPE_MCAST  ? "mcast"
                                                                 : "udp";
    put_string(netdev, key, arena_printf(build->arena, "%s:%s", address, port));
    if (interface->type == INTERFACE_TYPE_UDP)
        put_string(netdev, "localaddr", arena_printf(build->arena, "%s:%s", interface->local_address ?: "",
                                                     interface->local_port ?: ""));
}

static int put_vhost_user(struct build *build, json_t *netdev, const struct interface *interface, struct error *err)
{
    const char *id = arena_printf(build->arena, "char%s", interface->info.alias);
    if (!interface->chardev_path)
        return unsupported(err, "<interface type='vhostuser'> needs <source type='unix' path=.../>");
    addf(build, "-chardev", "socket,id=%s,path=%s%s", id, quoted(build, interface->chardev_path),
         string_equal(interface->chardev_mode, "server") ? ",server=on" : "");
    put_string(netdev, "chardev", id);
    if (interface->queues > 1)
        put_number(netdev, "queues", interface->queues);
    return 0;
}

/* What the host's side of an interface would lose is refused. */
static int check(const struct interface *interface, struct error *err)
{
    const char *alias = interface->info.alias ?: "";
    if (interface->queues > TAP_QUEUES_MAX)
        return unsupported(err, "interface '%s': at most %d queues are possible", alias, TAP_QUEUES_MAX);
    if (interface->filter)
        return unsupported(err,
                           "interface '%s': <filterref filter='%s'> is not supported: there are no network filters",
                           alias, interface->filter);
    if (interface->virtualport && interface->virtualport->type)
        return unsupported(err, "interface '%s': <virtualport type='%s'> is not supported: use a Linux bridge", alias,
                           interface->virtualport->type);
    if (interface->inbound || interface->outbound)
        return unsupported(err, "interface '%s': <bandwidth> is not supported: limit the bridge with tc", alias);
    if (interface->vlan_tags.count)
        return unsupported(err, "interface '%s': <vlan> is not supported: use a bridge on the VLAN's interface", alias);
    if (interface->type == INTERFACE_TYPE_NETWORK && !interface->bridge)
        return unsupported(err,
                           "interface '%s': there is no virtual network '%s': use <interface type='bridge'> with an "
                           "existing bridge, or type='user'",
                           alias, interface->network ?: "");
    return 0;
}

static int build_netdev(struct build *build, struct interface *interface, json_t *netdev, struct error *err)
{
    const char *type = "tap";
    int status = 0;
    switch (interface->type) {
    case INTERFACE_TYPE_USER:
        type = "user";
        put_user(build, netdev, interface);
        break;
    case INTERFACE_TYPE_BRIDGE:
    case INTERFACE_TYPE_NETWORK:
    case INTERFACE_TYPE_ETHERNET:
        status = put_tap(build, netdev, interface, err);
        break;
    case INTERFACE_TYPE_SERVER:
    case INTERFACE_TYPE_CLIENT:
    case INTERFACE_TYPE_MCAST:
    case INTERFACE_TYPE_UDP:
        type = "socket";
        put_socket(build, netdev, interface);
        break;
    case INTERFACE_TYPE_VHOSTUSER:
        type = "vhost-user";
        status = put_vhost_user(build, netdev, interface, err);
        break;
    default:
        return unsupported(err, "<interface type='%s'> is not supported: use bridge, ethernet or user",
                           interface_type_name(interface->type) ?: "");
    }
    put_string(netdev, "type", type);
    put_string(netdev, "id", arena_printf(build->arena, "host%s", interface->info.alias));
    return status;
}

/* --- the device that the guest sees --- */

/* Attributes of <driver><host .../> and <guest .../>. */
static const struct {
    const char *attribute, *host, *guest;
} offloads[] = {
    {"csum", "csum", "guest_csum"},     {"gso", "gso", NULL},
    {"tso4", "host_tso4", "guest_tso4"}, {"tso6", "host_tso6", "guest_tso6"},
    {"ecn", "host_ecn", "guest_ecn"},   {"ufo", "host_ufo", "guest_ufo"},
    {"mrg_rxbuf", "mrg_rxbuf", NULL},
};

/* The element is kept verbatim by the model, so the values are found in its text. */
static void put_offloads(json_t *device, const char *element, bool guest)
{
    for (size_t i = 0; element && i < COUNT(offloads); i++) {
        const char *property = guest ? offloads[i].guest : offloads[i].host;
        scoped_free char *on = xprintf(" %s='on'", offloads[i].attribute);
        scoped_free char *off = xprintf(" %s='off'", offloads[i].attribute);
        if (property && (strstr(element, on) || strstr(element, off)))
            put_bool(device, property, strstr(element, on) != NULL);
    }
}

/* Its own boot order, or what <os><boot> gives it; 0 = none. */
static uint32_t interface_boot_index(const struct domain_def *def, uint32_t index)
{
    const struct interface *interface = def->interfaces.item[index];
    for (uint32_t i = 0; !interface->info.boot_order && index == 0 && i < def->os.boots.count; i++)
        if (def->os.boots.item[i]->dev == BOOT_DEV_NETWORK)
            return i + 1;
    return interface->info.boot_order;
}

static void put_virtio(json_t *device, const struct interface *interface)
{
    static const struct property rows[] = {
        PROPERTY(interface, ioeventfd, ONOFF_BOOL, "ioeventfd"),
        PROPERTY(interface, event_idx, ONOFF_BOOL, "event_idx"),
        PROPERTY(interface, rss, ONOFF_BOOL, "rss"),
        PROPERTY(interface, rss_hash_report, ONOFF_BOOL, "hash"),
        PROPERTY(interface, rx_queue_size, U32, "rx_queue_size"),
        PROPERTY(interface, tx_queue_size, U32, "tx_queue_size"),
        PROPERTY(interface, mtu, U32, "host_mtu"),
    };
    put_virtio_options(device, &interface->virtio);
    if (interface->txmode)
        put_string(device, "tx", interface->txmode == INTERFACE_TXMODE_TIMER ? "timer" : "bh");
    PUT_TABLE(device, interface, rows);
    put_offloads(device, interface->host_offload, false);
    put_offloads(device, interface->guest_offload, true);
    if (queue_count(interface) > 1) {
        put_bool(device, "mq", true);
        put_number(device, "vectors", 2 * queue_count(interface) + 2); /* in and out of each, configuration, control */
    }
    if (string_equal(interface->teaming_type, "persistent"))
        put_bool(device, "failover", true);
}

static const char *interface_driver_name_of(struct build *build, const struct interface *interface)
{
    const char *model = interface->model ?: build->x86 ? "rtl8139" : "virtio";
    enum virtio_model virtio = string_equal(model, "virtio-transitional")       ? VIRTIO_MODEL_TRANSITIONAL
                               : string_equal(model, "virtio-non-transitional") ? VIRTIO_MODEL_NON_TRANSITIONAL
                                                                                : VIRTIO_MODEL_VIRTIO;
    return string_starts(model, "virtio") ? virtio_driver(build, "virtio-net", virtio, &interface->info) : model;
}

static json_t *qemu_interface_device(struct build *build, uint32_t index, struct error *err)
{
    const struct interface *interface = build->def->interfaces.item[index];
    json_t *device =
        device_new(build, interface_driver_name_of(build, interface), &interface->info, "<interface>", err);
    if (!device)
        return NULL;
    if (is_virtio(interface))
        put_virtio(device, interface);
    put_string(device, "netdev", arena_printf(build->arena, "host%s", interface->info.alias));
    put_string(device, "mac", mac_text(build->arena, &interface->mac));
    put_number(device, "bootindex", interface_boot_index(build->def, index));
    return device;
}

int build_interfaces(struct build *build, struct error *err)
{
    const struct domain_def *def = build->def;
    for (uint32_t i = 0; i < def->interfaces.count; i++) {
        struct interface *interface = def->interfaces.item[i];
        json_t *netdev = json_object();
        if ((!build->options->dry && check(interface, err) < 0) || build_netdev(build, interface, netdev, err) < 0) {
            json_decref(netdev);
            return -1;
        }
        add_json(build, "-netdev", netdev);
        json_t *device = qemu_interface_device(build, i, err);
        if (!device)
            return -1;
        device_add(build, device);
    }
    return 0;
}
