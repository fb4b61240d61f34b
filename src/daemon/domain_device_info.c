/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include <stdio.h>
#include <strings.h>

#include "base/files.h"
#include "qemu/agent_info.h"
#include "qemu/block.h"
#include "qemu/iotune.h"
#include "qemu/stats.h"

/* Addresses, limits and labels of a domain's parts, and its command line. */

/* -- addresses of interfaces --------------------------------------------------------------------------------------- */

enum { ARP_MAX = 4 << 20, ARP_ADDRESSES_MAX = 64 };

/* What the host's ARP table knows under the interface's MAC address. */
static bool fill_from_arp(struct arena *arena, const struct interface *interface, const char *table,
                          struct wire_domain_interface *entry)
{
    entry->name = arena_strdup(arena, interface->target);
    entry->hwaddr = mac_text(arena, &interface->mac);
    entry->addrs = arena_new_array(arena, ARP_ADDRESSES_MAX, struct wire_domain_ip_addr);
    for (const char *line = table; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        char address[64], mac[32];
        unsigned flags;
        /* IP address, HW type, flags (0 = incomplete), HW address, mask, device */
        if (sscanf(line, "%63s 0x%*x 0x%x %31s", address, &flags, mac) == 3 && flags &&
            strcasecmp(mac, entry->hwaddr) == 0 && entry->addrs_count < ARP_ADDRESSES_MAX)
            entry->addrs[entry->addrs_count++] = (struct wire_domain_ip_addr){
                .type = IP_ADDR_TYPE_IPV4, .addr = arena_strdup(arena, address), .prefix = 0};
    }
    return entry->addrs_count > 0;
}

static int arp_addresses(struct call *call, const struct domain *domain, struct wire_domain_interface **list)
{
    const struct domain_def *live = domain->object.live;
    const char *table = file_read(call->arena, "/proc/net/arp", ARP_MAX, NULL, NULL);
    int count = 0;
    *list = arena_new_array(call->arena, live->interfaces.count + 1, struct wire_domain_interface);
    for (uint32_t i = 0; i < live->interfaces.count; i++) {
        const struct interface *interface = live->interfaces.item[i];
        if (interface->target && fill_from_arp(call->arena, interface, table, &(*list)[count]))
            count++;
    }
    return count;
}

int handle_domain_interface_addresses(struct call *call, const struct domain_interface_addresses_args *args,
                                      struct domain_interface_addresses_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_active_domain(call, &args->dom, err);
    if (!domain)
        return -1;
    int count = 0; /* by lease: no network here gives any */
    if (args->source == DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT)
        count = agent_interfaces(domain, call->arena, &ret->ifaces, err);
    else if (args->source == DOMAIN_INTERFACE_ADDRESSES_SRC_ARP)
        count = arp_addresses(call, domain, &ret->ifaces);
    else if (args->source != DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE)
        return error_set(err, ERR_ARGUMENT_UNSUPPORTED,
                         "unknown IP address data source %u: 0 is leases, 1 the guest agent, 2 the ARP table",
                         args->source);
    if (count < 0)
        return -1;
    ret->ifaces_count = (uint32_t)count;
    return 0;
}

/* -- limits of disks ----------------------------------------------------------------------------------------------- */

int handle_domain_get_block_io_tune(struct call *call, const struct domain_get_block_io_tune_args *args,
                                    struct domain_get_block_io_tune_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = NULL;
    const struct domain_def *def = call_def(call, &args->dom, args->flags, TYPED_PARAM_STRING_OKAY, &domain, err);
    static const struct disk none = {0};
    /* first step without a name */
    const struct disk *disk = def && args->disk ? disk_find(def, args->disk, err) : &none;
    if (!def || !disk)
        return -1;
    struct params params;
    params_init(&params, call->arena);
    iotune_params(disk, &params);
    params_reply(&params, args->nparams, ret);
    return 0;
}

int handle_domain_set_block_io_tune(struct call *call, const struct domain_set_block_io_tune_args *args,
                                    struct error *err)
{
    if (call_flags(call, args->flags, AFFECT, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    return domain ? iotune_set(domain, args->disk, args->params, args->params_count, args->flags, call_client(call),
                               err)
                  : -1;
}

int handle_domain_get_interface_parameters(struct call *call, const struct domain_get_interface_parameters_args *args,
                                           struct domain_get_interface_parameters_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = NULL;
    const struct domain_def *def = call_def(call, &args->dom, args->flags, TYPED_PARAM_STRING_OKAY, &domain, err);
    const struct interface *found = NULL;
    for (uint32_t i = 0; def && i < def->interfaces.count; i++) {
        const struct interface *interface = def->interfaces.item[i];
        if (string_equal(interface->target, args->device) ||
            strcasecmp(mac_text(call->arena, &interface->mac), args->device) == 0)
            found = interface;
    }
    /* the first step asks how many there are, and may name no device */
    if (!def || (!found && args->nparams))
        return def ? error_set(err, ERR_INVALID_ARG, "domain '%s' has no interface '%s'", def->name, args->device) : -1;
    static const struct bandwidth_rate none = {0};
    const struct bandwidth_rate *in = found && found->inbound ? found->inbound : &none;
    const struct bandwidth_rate *out = found && found->outbound ? found->outbound : &none;
    struct params params;
    params_init(&params, call->arena);
    params_add_u32(&params, "inbound.average", (uint32_t)in->average);
    params_add_u32(&params, "inbound.peak", (uint32_t)in->peak);
    params_add_u32(&params, "inbound.burst", (uint32_t)in->burst);
    params_add_u32(&params, "inbound.floor", (uint32_t)in->floor);
    params_add_u32(&params, "outbound.average", (uint32_t)out->average);
    params_add_u32(&params, "outbound.peak", (uint32_t)out->peak);
    params_add_u32(&params, "outbound.burst", (uint32_t)out->burst);
    params_reply(&params, args->nparams, ret);
    return 0;
}

int handle_domain_get_perf_events(struct call *call, const struct domain_get_perf_events_args *args,
                                  struct domain_get_perf_events_ret *ret, struct error *err)
{
    static const char *const names[] = {
        "cmt", "mbmt", "mbml", "cpu_cycles", "instructions", "cache_references", "cache_misses", "branch_instructions",
        "branch_misses", "bus_cycles", "stalled_cycles_frontend", "stalled_cycles_backend", "ref_cpu_cycles",
        "cpu_clock", "task_clock", "page_faults", "context_switches", "cpu_migrations", "page_faults_min",
        "page_faults_maj",
        "alignment_faults", "emulation_faults"};
    scoped_domain struct domain *domain = NULL;
    const struct domain_def *def = call_def(call, &args->dom, args->flags, TYPED_PARAM_STRING_OKAY, &domain, err);
    if (!def)
        return -1;
    struct params params;
    params_init(&params, call->arena);
    for (size_t i = 0; i < COUNT(names); i++) {
        /* none is counted while the guest runs, whatever its definition wishes */
        bool wished = false;
        for (uint32_t e = 0; def != domain->object.live && e < def->perf_events.count; e++)
            wished |= string_equal(def->perf_events.item[e]->name, names[i]) &&
                      def->perf_events.item[e]->enabled == YESNO_YES;
        params_add_bool(&params, names[i], wished);
    }
    ret->params = params.items;
    ret->params_count = params.count;
    return 0;
}

/* -- labels and messages ------------------------------------------------------------------------------------------- */

/* No security driver confines guests here yet. */
int handle_domain_get_security_label(struct call *call, const struct domain_get_security_label_args *args,
                                     struct domain_get_security_label_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    if (!domain)
        return -1;
    ret->label = arena_alloc(call->arena, 1); /* an empty string, with its NUL */
    ret->label_count = 1;
    return 0;
}

int handle_domain_get_security_label_list(struct call *call, const struct domain_get_security_label_list_args *args,
                                          struct domain_get_security_label_list_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    return domain ? 0 : -1;
}

int handle_domain_get_messages(struct call *call, const struct domain_get_messages_args *args,
                               struct domain_get_messages_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, DOMAIN_MESSAGE_DEPRECATION | DOMAIN_MESSAGE_TAINTING, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    return domain ? 0 : -1;
}

int handle_domain_get_launch_security_info(struct call *call, const struct domain_get_launch_security_info_args *args,
                                           struct domain_get_launch_security_info_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    if (!domain)
        return -1;
    return error_set(err, ERR_OPERATION_UNSUPPORTED, "domain '%s' has no launch security to tell about",
                     domain_name(domain));
}

/* -- what follows the guest's end ---------------------------------------------------------------------------------- */

struct lifecycle_change {
    unsigned type;
    enum lifecycle action;
};

static int change_lifecycle(struct domain_def *def, void *context, struct error *err)
{
    const struct lifecycle_change *change = context;
    enum lifecycle *const places[] = {
        [DOMAIN_LIFECYCLE_POWEROFF] = &def->on_poweroff,
        [DOMAIN_LIFECYCLE_REBOOT] = &def->on_reboot,
        [DOMAIN_LIFECYCLE_CRASH] = &def->on_crash,
    };
    *places[change->type] = change->action;
    return 0;
}

int handle_domain_set_lifecycle_action(struct call *call, const struct domain_set_lifecycle_action_args *args,
                                       struct error *err)
{
    static const enum lifecycle actions[] = {
        [DOMAIN_LIFECYCLE_ACTION_DESTROY] = LIFECYCLE_DESTROY,
        [DOMAIN_LIFECYCLE_ACTION_RESTART] = LIFECYCLE_RESTART,
        [DOMAIN_LIFECYCLE_ACTION_RESTART_RENAME] = LIFECYCLE_RENAME_RESTART,
        [DOMAIN_LIFECYCLE_ACTION_PRESERVE] = LIFECYCLE_PRESERVE,
        [DOMAIN_LIFECYCLE_ACTION_COREDUMP_DESTROY] = LIFECYCLE_COREDUMP_DESTROY,
        [DOMAIN_LIFECYCLE_ACTION_COREDUMP_RESTART] = LIFECYCLE_COREDUMP_RESTART,
    };
    if (call_flags(call, args->flags, AFFECT, err) < 0)
        return -1;
    if (args->type > DOMAIN_LIFECYCLE_CRASH || args->action >= COUNT(actions))
        return error_set(err, ERR_INVALID_ARG, "lifecycle event %u with action %u: events are 0 to %d, actions 0 to %d",
                         args->type, args->action, DOMAIN_LIFECYCLE_CRASH, (int)COUNT(actions) - 1);
    if (args->type != DOMAIN_LIFECYCLE_CRASH && args->action >= DOMAIN_LIFECYCLE_ACTION_COREDUMP_DESTROY)
        return error_set(err, ERR_OPERATION_UNSUPPORTED, "a core dump is made only after a crash");
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    unsigned affect = domain ? domain_affected(domain, args->flags) : 0;
    if (affect & DOMAIN_AFFECT_LIVE && args->type == DOMAIN_LIFECYCLE_REBOOT)
        return error_set(err, ERR_OPERATION_UNSUPPORTED,
                         "what follows a reboot is fixed when QEMU starts: use --config for the next start of '%s'",
                         domain_name(domain));
    struct lifecycle_change change = {args->type, actions[args->action]};
    return domain ? domain_edit_defs(domain, affect, change_lifecycle, &change, call_client(call), err) : -1;
}

/* -- dirty pages and thresholds ------------------------------------------------------------------------------------ */

int handle_domain_start_dirty_rate_calc(struct call *call, const struct domain_start_dirty_rate_calc_args *args,
                                        struct error *err)
{
    static const char *const modes[] = {
        [DOMAIN_DIRTYRATE_MODE_PAGE_SAMPLING] = "page-sampling",
        [DOMAIN_DIRTYRATE_MODE_DIRTY_BITMAP] = "dirty-bitmap",
        [DOMAIN_DIRTYRATE_MODE_DIRTY_RING] = "dirty-ring",
    };
    if (call_flags(call, args->flags, DOMAIN_DIRTYRATE_MODE_DIRTY_BITMAP | DOMAIN_DIRTYRATE_MODE_DIRTY_RING, err) < 0)
        return -1;
    if (args->seconds < 1 || args->seconds > 60 || args->flags >= COUNT(modes))
        return error_set(err, ERR_INVALID_ARG, "dirty pages are counted for 1 to 60 s in one mode, not for %d s in "
                         "mode %u", args->seconds, args->flags);
    scoped_domain struct domain *domain = call_active_domain(call, &args->dom, err);
    scoped_job struct job job = {0};
    if (!domain ||
        domain_begin_active_job(domain, &job, JOB_ASK, "count dirty pages", call_client(call), err) < 0)
        return -1;
    json_t *arguments = json_pack("{s:i, s:s}", "calc-time", args->seconds, "mode", modes[args->flags]);
    if (qmp_execute(domain->qmp, "calc-dirty-rate", arguments, monitor_deadline(), err) < 0)
        return error_wrap(err, "cannot count the dirty pages of domain '%s'", domain_name(domain));
    if (domain->stats)
        domain->stats->dirty_rate.settled = false;
    return 0;
}

int handle_domain_set_block_threshold(struct call *call, const struct domain_set_block_threshold_args *args,
                                      struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_active_domain(call, &args->dom, err);
    scoped_job struct job job = {0};
    if (!domain ||
        domain_begin_active_job(domain, &job, JOB_ASK, "set a threshold", call_client(call), err) < 0)
        return -1;
    const struct disk *disk = disk_find(domain->object.live, args->dev, err);
    if (!disk)
        return -1;
    json_t *arguments = json_pack("{s:s, s:I}", "node-name", qemu_node_storage(call->arena, &disk->source),
                                  "write-threshold", (json_int_t)args->threshold);
    stats_forget_sizes(domain);
    return qmp_execute(domain->qmp, "block-set-write-threshold", arguments, monitor_deadline(), err);
}

/* -- the command line ---------------------------------------------------------------------------------------------- */

static const char *command_text(struct call *call, const struct qemu_command *command)
{
    scoped_text struct text line = {0};
    for (char *const *variable = command->environment; variable && *variable; variable++) {
        text_append_quoted(&line, *variable);
        text_append(&line, " \\\n");
    }
    for (size_t i = 0; i < command->argv->count; i++) {
        const char *word = command->argv->items[i];
        if (i)
            text_append(&line, *word == '-' ? " \\\n" : " ");
        text_append_quoted(&line, word);
    }
    text_append_char(&line, '\n');
    return arena_strdup(call->arena, text_string(&line));
}

int handle_connect_domain_xml_to_native(struct call *call, const struct connect_domain_xml_to_native_args *args,
                                        struct connect_domain_xml_to_native_ret *ret, struct error *err)
{
    struct driver *driver = call_driver(call);
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    if (!string_equal(args->native_format, "qemu-argv"))
        return error_set(err, ERR_INVALID_ARG, "unsupported config type '%s': qemu-argv is the only one",
                         args->native_format);
    scoped_domain_def struct domain_def *parsed = driver_parse(driver, args->domain_xml, DOMAIN_PARSE_INACTIVE, err);
    if (!parsed)
        return -1;
    scoped_domain_def struct domain_def *def = domain_edit(parsed);
    scoped_qemu_command struct qemu_command command = {0};
    const struct qemu_command_options options = {
        .caps = qemu_caps_get(driver->caps, def->emulator, deadline_ms(30000), err),
        .channel_dir = driver->lib_dir,
        .nvram_dir = driver->nvram_dir,
        .dry = true,
    };
    if (!options.caps || qemu_command_prepare(def, &options, err) < 0 ||
        qemu_command_build(&command, def, &options, err) < 0)
        return -1;
    ret->native_config = command_text(call, &command);
    return 0;
}
