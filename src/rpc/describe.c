/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/describe.h"

#include <string.h>

#include "base/text.h"
#include "client_stubs.h"
#include "constants.h"

static void put(json_t *object, const char *key, const char *value)
{
    if (value)
        json_object_set_new(object, key, json_string(value));
}

struct wish {
    const char *uuid, *name, *emulator, *arch, *machine, *type, *cpu_xml;
};

static void describe_node(struct client *client, struct arena *arena, json_t *out)
{
    struct connect_get_hostname_ret hostname;
    struct connect_get_capabilities_ret capabilities;
    struct connect_get_version_ret version;
    struct node_get_info_ret info;
    struct node_get_free_memory_ret memory;
    if (remote_connect_get_hostname(client, arena, &hostname, NULL) == 0)
        put(out, "hostname", hostname.hostname);
    if (remote_connect_get_capabilities(client, arena, &capabilities, NULL) == 0)
        put(out, "capabilities", capabilities.capabilities);
    if (remote_connect_get_version(client, arena, &version, NULL) == 0)
        json_object_set_new(out, "emulator_version", json_integer((json_int_t)version.hv_ver));
    if (remote_node_get_info(client, arena, &info, NULL) == 0)
        json_object_set_new(out, "memory_kib", json_integer((json_int_t)info.memory));
    if (remote_node_get_free_memory(client, arena, &memory, NULL) == 0)
        json_object_set_new(out, "free_memory", json_integer((json_int_t)memory.free_mem));
}

static void describe_emulator(struct client *client, const struct wish *wish, struct arena *arena, json_t *out)
{
    struct error err;
    const struct connect_get_domain_capabilities_args args = {wish->emulator, wish->arch, wish->machine,
                                                              wish->type, 0};
    struct connect_get_domain_capabilities_ret ret;
    if (remote_connect_get_domain_capabilities(client, &args, arena, &ret, &err) == 0)
        put(out, "domain_capabilities", ret.capabilities);
    else
        put(out, "domain_capabilities_error", err.message);
    /* without KVM, QEMU leaves out what it lacks, and libvirt compares with more than the guest was shown */
    if (!wish->cpu_xml || !string_equal(wish->type, "kvm"))
        return;
    const struct connect_compare_hypervisor_cpu_args compare = {wish->emulator, wish->arch, wish->machine,
                                                                wish->type, wish->cpu_xml, 0};
    struct connect_compare_hypervisor_cpu_ret result;
    if (remote_connect_compare_hypervisor_cpu(client, &compare, arena, &result, NULL) == 0)
        json_object_set_new(out, "cpu", json_integer(result.result));
}

static int list_networks(struct client *client, uint32_t flags, struct arena *arena,
                         struct connect_list_all_networks_ret *ret)
{
    const struct connect_list_all_networks_args args = {.need_results = 1, .flags = flags};
    return remote_connect_list_all_networks(client, &args, arena, ret, NULL);
}

static void describe_networks(struct client *client, struct arena *arena, json_t *out)
{
    struct connect_list_all_networks_ret all, active;
    if (list_networks(client, 0, arena, &all) < 0 ||
        list_networks(client, CONNECT_LIST_NETWORKS_ACTIVE, arena, &active) < 0)
        return;
    json_t *networks = json_object();
    for (uint32_t i = 0; i < all.nets_count; i++)
        json_object_set_new(networks, all.nets[i].name, json_false());
    for (uint32_t i = 0; i < active.nets_count; i++)
        json_object_set_new(networks, active.nets[i].name, json_true());
    json_object_set_new(out, "networks", networks);
}

static void describe_domain(struct client *client, const struct wish *wish, struct arena *arena, json_t *out)
{
    struct domain_lookup_by_uuid_args by_uuid;
    struct domain_lookup_by_uuid_ret found;
    if (wish->uuid && uuid_parse(wish->uuid, by_uuid.uuid) == 0 &&
        remote_domain_lookup_by_uuid(client, &by_uuid, arena, &found, NULL) == 0) {
        const struct domain_get_state_args args = {.dom = found.dom};
        struct domain_get_state_ret state;
        if (remote_domain_get_state(client, &args, arena, &state, NULL) == 0)
            json_object_set_new(out, "domain_state", json_integer(state.state));
    }
    const struct domain_lookup_by_name_args by_name = {.name = wish->name};
    struct domain_lookup_by_name_ret named;
    if (wish->name && remote_domain_lookup_by_name(client, &by_name, arena, &named, NULL) == 0) {
        char text[UUID_STRING_SIZE];
        uuid_format(named.dom.uuid, text);
        put(out, "name_uuid", text);
    }
}

json_t *describe_host(struct client *client, const json_t *question)
{
    scoped_arena struct arena *arena = arena_new();
    struct wish wish = {0};
    json_t *out = json_pack("{s:s}", "kind", "description");
    json_unpack((json_t *)question, "{s?{s?s, s?s, s?s, s?s, s?s, s?s, s?{s?s}}}", "guest", "uuid", &wish.uuid,
                "name_there",
                &wish.name, "emulator", &wish.emulator, "arch", &wish.arch, "machine", &wish.machine, "type",
                    &wish.type,
                "cpu", "xml", &wish.cpu_xml);
    describe_node(client, arena, out);
    describe_emulator(client, &wish, arena, out);
    describe_networks(client, arena, out);
    describe_domain(client, &wish, arena, out);
    return out;
}
