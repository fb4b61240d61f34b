/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "convert/xl_device.h"
#include "model/xml.h"

/* xl-network-configuration(5). */

#define DEFAULT_BRIDGE "xenbr0" /* as xl takes it */

static const char *const known_keys[] = {"mac", "bridge", "gatewaydev", "type", "model", "vifname", "script", "ip",
                                         "backend", "rate", "devid", "mtu", "accel", "trusted", "vlan"};

char *xl_key(struct arena *arena, const char *spec, const char *name)
{
    size_t name_length = strlen(name);
    for (const char *at = spec; *at;) {
        at += strspn(at, " \t,");
        size_t length = strcspn(at, ","), key = strcspn(at, "=,");
        const char *value = at + key + 1;
        size_t shown = key;
        while (shown && (at[shown - 1] == ' ' || at[shown - 1] == '\t'))
            shown--;
        if (at[key] == '=' && shown == name_length && strncmp(at, name, shown) == 0) {
            size_t rest = length - key - 1, lead = strspn(value, " \t");
            lead = lead > rest ? rest : lead;
            value += lead;
            rest -= lead;
            while (rest && (value[rest - 1] == ' ' || value[rest - 1] == '\t'))
                rest--;
            return arena_strndup(arena, value, rest);
        }
        at += length;
    }
    return NULL;
}

/* What is no key of an interface is told, not lost. */
static void unknown_left(const struct xl_read *read, const char *spec)
{
    for (const char *at = spec; *at;) {
        at += strspn(at, " \t,");
        size_t length = strcspn(at, ","), key = strcspn(at, "=, \t"), i = 0;
        while (i < COUNT(known_keys) && (strlen(known_keys[i]) != key || strncmp(at, known_keys[i], key) != 0))
            i++;
        if (length && i == COUNT(known_keys))
            report_left(read->report, "xl/vif", "", "'%.*s' of an interface has no meaning here", (int)length, at);
        at += length;
    }
}

static int mac_read(const char *text, struct mac *mac)
{
    unsigned byte[MAC_SIZE];
    int used = 0;
    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &byte[0], &byte[1], &byte[2], &byte[3], &byte[4], &byte[5],
               &used) != MAC_SIZE || text[used])
        return -1;
    for (size_t i = 0; i < MAC_SIZE; i++)
        mac->byte[i] = (unsigned char)byte[i];
    mac->set = true;
    return byte[0] & 1 ? -1 : 0;
}

/* "10Mb/s", "250KB/s", "1MB/s@20ms" -> KiB per second; 0 when it is no rate. */
static uint64_t rate_kib(const char *text)
{
    static const struct {
        const char *unit;
        uint64_t bytes, divisor;
    } units[] = {{"Gb/s", 1000000000, 8}, {"Mb/s", 1000000, 8}, {"Kb/s", 1000, 8}, {"b/s", 1, 8},
                 {"GB/s", 1000000000, 1}, {"MB/s", 1000000, 1}, {"KB/s", 1000, 1}, {"B/s", 1, 1}};
    uint64_t number;
    int used = 0;
    if (sscanf(text, "%9" SCNu64 "%n", &number, &used) != 1)
        return 0;
    for (size_t i = 0; i < COUNT(units); i++)
        if (string_starts(text + used, units[i].unit))
            return number * units[i].bytes / units[i].divisor / 1024;
    return 0;
}

static void addresses_add(const struct xl_read *read, struct interface *interface, const char *text)
{
    struct arena *arena = read->def->arena;
    for (const char *at = text; *at;) {
        at += strspn(at, " ");
        size_t length = strcspn(at, " ");
        if (!length)
            break;
        struct interface_ip *ip = arena_struct(arena, struct interface_ip);
        const char *slash = memchr(at, '/', length);
        ip->address = arena_strndup(arena, at, slash ? (size_t)(slash - at) : length);
        ip->family = strchr(ip->address, ':') ? ADDRESS_FAMILY_IPV6 : ADDRESS_FAMILY_IPV4;
        list_add(arena, &interface->ips, ip);
        at += length;
    }
}

static int interface_add(const struct xl_read *read, const struct xl_value *value, struct error *err)
{
    struct arena *arena = read->def->arena;
    if (value->kind != XL_ATOM)
        return xl_wrong(err, value, "vif", "an interface is described by a string, not by a list");
    const char *spec = value->text, *mac = xl_key(arena, spec, "mac"), *rate = xl_key(arena, spec, "rate");
    const char *type = xl_key(arena, spec, "type"), *ip = xl_key(arena, spec, "ip"), *mtu = xl_key(arena, spec, "mtu");
    const char *backend = xl_key(arena, spec, "backend");
    struct interface *interface = arena_struct(arena, struct interface);
    if (mac && mac_read(mac, &interface->mac) < 0)
        return xl_wrong(err, value, "vif", "'%s' is no unicast MAC address like 00:16:3e:01:02:03", mac);
    if (mtu && (parse_u32(mtu, 10, &interface->mtu) < 0 || interface->mtu > 65535))
        return xl_wrong(err, value, "vif", "'%s' is no MTU from 1 to 65535", mtu);
    interface->script = xl_key(arena, spec, "script");
    interface->bridge = xl_key(arena, spec, "bridge");
    bool bridged = interface->bridge || !interface->script || strstr(interface->script, "vif-bridge") ||
                   strstr(interface->script, "vif-openvswitch");
    interface->type = bridged ? INTERFACE_TYPE_BRIDGE : INTERFACE_TYPE_ETHERNET;
    if (bridged && (!interface->bridge || !*interface->bridge))
        interface->bridge = DEFAULT_BRIDGE;
    interface->target = xl_key(arena, spec, "vifname");
    interface->model = xl_key(arena, spec, "model");
    if (!interface->model && (string_equal(type, "vif") || string_equal(type, "netfront")))
        interface->model = "netfront";
    if (ip)
        addresses_add(read, interface, ip);
    uint64_t average = rate ? rate_kib(rate) : 0;
    if (average) {
        interface->outbound = arena_struct(arena, struct bandwidth_rate);
        interface->outbound->average = average;
    } else if (rate) {
        report_left(read->report, "xl/vif", "", "the rate '%s' of an interface is below 1 KiB/s or cannot be read; set "
                    "<bandwidth> where it is needed", rate);
    }
    if (backend && strcmp(backend, "0") != 0 && strcmp(backend, "Domain-0") != 0)
        report_left(read->report, "xl/vif", "", "driver domain '%s' carried an interface; give it a bridge of the "
                    "target host", backend);
    unknown_left(read, spec);
    list_add(arena, &read->def->interfaces, interface);
    return 0;
}

int xl_interfaces_read(const struct xl_read *read, struct error *err)
{
    const struct xl_value *value;
    for (size_t i = 0; (value = xl_item(read->file, "vif", i)); i++)
        if (interface_add(read, value, err) < 0)
            return -1;
    return 0;
}
