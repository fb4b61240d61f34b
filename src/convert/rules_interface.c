/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/text.h"
#include "convert/rewrite.h"
#include "model/xml.h"

void rule_interface_hostdev(struct rewrite *rewrite)
{
    for (uint32_t i = 0; i < rewrite->def->interfaces.count;) {
        const struct interface *interface = rewrite->def->interfaces.item[i];
        if (interface->type != INTERFACE_TYPE_HOSTDEV) {
            i++;
            continue;
        }
        const struct pci_address *pci = &interface->source_address.pci;
        const char *name = arena_printf(rewrite->arena, "%04x:%02x:%02x.%x", pci->domain, pci->bus, pci->slot,
                                        pci->function);
        rewrite_changed(rewrite, name, NULL);
        rewrite_left(rewrite, "the network card %s was passed through; give the guest one of the target host's%s%s",
                     name, interface->mac.set ? " for MAC address " : "",
                     interface->mac.set ? mac_text(rewrite->arena, &interface->mac) : "");
        list_drop(&rewrite->def->interfaces, i);
    }
}

void rule_interface_model(struct rewrite *rewrite, struct interface *interface)
{
    if (!interface->model || !string_starts(interface->model, "virtio"))
        rewrite_string(rewrite, &interface->model, "virtio");
}

void rule_interface_script(struct rewrite *rewrite, struct interface *interface)
{
    const char *script = interface->script;
    rewrite_string(rewrite, &interface->script, NULL);
    interface->downscript = NULL;
    interface->script_managed = YESNO_ABSENT;
    if (!script)
        return;
    if (strstr(script, "openvswitch") && interface->type == INTERFACE_TYPE_BRIDGE && !interface->virtualport) {
        interface->virtualport = arena_struct(rewrite->arena, struct virtualport);
        interface->virtualport->type = "openvswitch";
        rewrite_changed(rewrite, NULL, "virtualport openvswitch");
    } else if (!strstr(script, "vif-bridge") && !strstr(script, "openvswitch")) {
        rewrite_left(rewrite, "the script %s connected it (routes, NAT, ...); make that connection on the target host",
                     script);
    }
}

void rule_interface_target(struct rewrite *rewrite, struct interface *interface)
{
    static const char *const made[] = {"vif", "vnet", "veth", "tap", "emu"};
    for (size_t i = 0; i < COUNT(made); i++)
        if (interface->target && string_starts(interface->target, made[i]))
            rewrite_string(rewrite, &interface->target, NULL);
}

static const char *source_shown(struct rewrite *rewrite, const struct interface *interface)
{
    const char *name = interface->type == INTERFACE_TYPE_BRIDGE    ? interface->bridge
                       : interface->type == INTERFACE_TYPE_NETWORK ? interface->network
                                                                   : interface->dev;
    return arena_printf(rewrite->arena, "%s%s%s", interface_type_name(interface->type), name ? " " : "",
                        name ? name : "");
}

void rule_interface_source(struct rewrite *rewrite, struct interface *interface)
{
    const struct network_map *map = rewrite->options->networks;
    const struct network_row *row = map ? network_map_find(map, interface) : NULL;
    if (!row) {
        if (interface->type == INTERFACE_TYPE_ETHERNET)
            rewrite_left(rewrite, "it was not on a bridge; name a network or bridge of the target host (--network, "
                         "--bridge) or see to its routes there");
        return;
    }
    const char *before = source_shown(rewrite, interface);
    bool bridge = row->to == NETWORK_KIND_BRIDGE;
    if (string_equal(bridge ? interface->bridge : interface->network, row->to_name) &&
        interface->type == (bridge ? INTERFACE_TYPE_BRIDGE : INTERFACE_TYPE_NETWORK))
        return;
    interface->type = bridge ? INTERFACE_TYPE_BRIDGE : INTERFACE_TYPE_NETWORK;
    interface->bridge = bridge ? arena_strdup(rewrite->arena, row->to_name) : NULL;
    interface->network = bridge ? NULL : arena_strdup(rewrite->arena, row->to_name);
    interface->portgroup = interface->dev = NULL;
    interface->virtualport = NULL;
    rewrite_changed(rewrite, before, source_shown(rewrite, interface));
}

void rule_interface_ip(struct rewrite *rewrite, struct interface *interface)
{
    for (uint32_t i = 0; i < interface->ips.count; i++)
        rewrite_changed(rewrite, interface->ips.item[i]->address, NULL);
    if (interface->ips.count)
        rewrite_left(rewrite, "Xen's script knew its address; the guest sets it by itself, and a filter or a route "
                     "for it on the host is made on the target host");
    interface->ips.count = 0;
    rewrite_drop_extras(rewrite, &interface->extra, "route");
}

void rule_interface_backend(struct rewrite *rewrite, struct interface *interface)
{
    size_t changes = rewrite->report->changes.count;
    rewrite_drop_extras(rewrite, &interface->extra, "backenddomain");
    if (rewrite->report->changes.count > changes)
        rewrite_left(rewrite, "a driver domain connected it; give it a bridge or network of the target host");
}

void rule_interface_mac(struct rewrite *rewrite, struct interface *interface)
{
    if (!interface->mac.set)
        rewrite_left(rewrite, "it has no MAC address in the source; it gets a new one when it is defined, which the "
                     "guest may take for another card");
}
