/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/text.h"
#include "cli/domain.h"
#include "cli/values.h"

/* Commands that the guest's agent answers. */

static int run_domfsfreeze(struct invocation *in, struct error *err)
{
    struct domain_fsfreeze_args args = {.mountpoints = in->rest, .mountpoints_count = (uint32_t)in->rest_count};
    struct domain_fsfreeze_ret ret;
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_fsfreeze(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot freeze file systems of domain '%s'", args.dom.name);
    output_note(in, "Froze %d filesystem(s)\n", ret.filesystems);
    return 0;
}

static int run_domfsthaw(struct invocation *in, struct error *err)
{
    struct domain_fsthaw_args args = {.mountpoints = in->rest, .mountpoints_count = (uint32_t)in->rest_count};
    struct domain_fsthaw_ret ret;
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_fsthaw(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot thaw file systems of domain '%s'", args.dom.name);
    output_note(in, "Thawed %d filesystem(s)\n", ret.filesystems);
    return 0;
}

static int run_domfsinfo(struct invocation *in, struct error *err)
{
    static const struct column columns[] = {{"mountpoint", "Mountpoint"}, {"name", "Name"}, {"type", "Type"},
                                            {"target", "Target"}};
    struct domain_get_fsinfo_args args = {0};
    struct domain_get_fsinfo_ret ret;
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_get_fsinfo(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot list the file systems of domain '%s'", args.dom.name);
    if (!ret.info_count && !output_is_json(in)) {
        output_note(in, "No filesystems are mounted in the domain");
        return 0;
    }
    struct table *table = table_new(in->arena, columns, COUNT(columns));
    for (uint32_t i = 0; i < ret.info_count; i++) {
        const struct wire_domain_fsinfo *info = &ret.info[i];
        scoped_text struct text targets = {0};
        for (uint32_t k = 0; k < info->dev_aliases_count; k++)
            text_printf(&targets, "%s%s", k ? "," : "", info->dev_aliases[k]);
        table_row(table, info->mountpoint, info->name, info->fstype, text_string(&targets));
    }
    table_print(table, in);
    return 0;
}

static int run_domfstrim(struct invocation *in, struct error *err)
{
    struct domain_fstrim_args args = {.mount_point = option_text(in, "mountpoint")};
    if (option_u64(in, "minimum", UINT64_MAX, &args.minimum, err) < 0 || domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_fstrim(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot trim file systems of domain '%s'", args.dom.name);
    return 0;
}

/* --source: its place in `words`; 0 when it is not given. */
static int source_index(struct invocation *in, const char *const *words, struct error *err)
{
    const char *source = option_text(in, "source");
    return source ? word_index("source", source, words, err) : 0;
}

static int run_domhostname(struct invocation *in, struct error *err)
{
    static const char *const sources[] = {"lease", "agent", NULL};
    struct domain_get_hostname_args args = {0};
    struct domain_get_hostname_ret ret;
    int source = source_index(in, sources, err);
    if (source < 0 || domain_get(in, &args.dom, err) < 0)
        return -1;
    if (option_given(in, "source"))
        args.flags = source == 0 ? DOMAIN_GET_HOSTNAME_LEASE : DOMAIN_GET_HOSTNAME_AGENT;
    if (remote_domain_get_hostname(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the host name of domain '%s'", args.dom.name);
    output_string(in, "hostname", ret.hostname);
    return 0;
}

/* virsh's lines, of fixed width; a further address of the same interface shows dashes unless --full. */
static void address_row(struct invocation *in, struct listing *listing, const struct wire_domain_interface *interface,
                        const struct wire_domain_ip_addr *address, bool first)
{
    const char *type = !address ? NULL : address->type == IP_ADDR_TYPE_IPV6 ? "ipv6" : "ipv4";
    bool named = first || option_given(in, "full");
    const char *name = named ? interface->name : "-";
    const char *mac = !named ? "-" : interface->hwaddr ? interface->hwaddr : "N/A";
    struct record *record = record_new(in->arena);
    record_text(record, "name", NULL, interface->name);
    record_text(record, "mac", NULL, interface->hwaddr);
    record_text(record, "protocol", NULL, type);
    record_text(record, "address", NULL, address ? address->addr : NULL);
    record_add(record, "prefix", NULL, NULL, address ? json_integer(address->prefix) : json_null());
    const char *text = address ? arena_printf(in->arena, "%s/%u", address->addr, address->prefix) : "N/A";
    record_line(record, NULL, NULL, " %-10s %-17s    %-12s %s", name, mac, type ? type : "N/A", text);
    listing_add(listing, record, 0);
}

static int run_domifaddr(struct invocation *in, struct error *err)
{
    static const char *const sources[] = {"lease", "agent", "arp", NULL};
    struct domain_interface_addresses_args args = {0};
    struct domain_interface_addresses_ret ret;
    const char *only = option_text(in, "interface");
    int source = source_index(in, sources, err);
    if (source < 0 || domain_get(in, &args.dom, err) < 0)
        return -1;
    args.source = (uint32_t)source;
    if (remote_domain_interface_addresses(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the addresses of domain '%s'", args.dom.name);
    output_note(in, " %-10s %-20s %-8s     %s\n%s\n", "Name", "MAC address", "Protocol", "Address",
                "-------------------------------------------------------------------------------");
    scoped_listing struct listing listing;
    listing_init(&listing, in);
    for (uint32_t i = 0; i < ret.ifaces_count; i++) {
        const struct wire_domain_interface *interface = &ret.ifaces[i];
        if (only && strcmp(only, interface->name) != 0)
            continue;
        if (!interface->addrs_count)
            address_row(in, &listing, interface, NULL, true);
        for (uint32_t k = 0; k < interface->addrs_count; k++)
            address_row(in, &listing, interface, &interface->addrs[k], k == 0);
    }
    listing_end(&listing);
    return 0;
}

static int run_guestinfo(struct invocation *in, struct error *err)
{
    static const struct {
        const char *option;
        unsigned type;
    } rows[] = {
        {"user", DOMAIN_GUEST_INFO_USERS},       {"os", DOMAIN_GUEST_INFO_OS},
        {"timezone", DOMAIN_GUEST_INFO_TIMEZONE}, {"hostname", DOMAIN_GUEST_INFO_HOSTNAME},
        {"filesystem", DOMAIN_GUEST_INFO_FILESYSTEM}, {"disk", DOMAIN_GUEST_INFO_DISKS},
        {"interface", DOMAIN_GUEST_INFO_INTERFACES},
    };
    struct domain_get_guest_info_args args = {0};
    struct domain_get_guest_info_ret ret;
    for (size_t i = 0; i < COUNT(rows); i++)
        args.types |= option_given(in, rows[i].option) ? rows[i].type : 0;
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_get_guest_info(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot ask the guest of domain '%s' about itself", args.dom.name);
    values_print(in, ret.params, ret.params_count, 20);
    return 0;
}

static int run_guestvcpus(struct invocation *in, struct error *err)
{
    struct domain_set_guest_vcpus_args set = {.cpumap = option_text(in, "cpulist"),
                                              .state = option_given(in, "enable")};
    struct domain_get_guest_vcpus_args get = {0};
    struct domain_get_guest_vcpus_ret ret;
    bool change = option_given(in, "enable") || option_given(in, "disable");
    if (option_exclusive(in, err, "enable", "disable", NULL) < 0)
        return -1;
    if (change != (set.cpumap != NULL))
        return error_set(err, ERR_INVALID_ARG, "guestvcpus switches processors with --cpulist and one of --enable and "
                         "--disable, and shows them without any of these");
    if (domain_get(in, &set.dom, err) < 0)
        return -1;
    if (change)
        return remote_domain_set_guest_vcpus(shell_client(in), &set, err) == 0
                   ? 0 : command_failed(err, "cannot switch processors in the guest of domain '%s'", set.dom.name);
    get.dom = set.dom;
    if (remote_domain_get_guest_vcpus(shell_client(in), &get, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot ask the guest of domain '%s' for its processors", get.dom.name);
    values_print(in, ret.params, ret.params_count, 15);
    return 0;
}

static int run_set_user_password(struct invocation *in, struct error *err)
{
    struct domain_set_user_password_args args = {
        .user = option_text(in, "user"), .password = option_text(in, "password"),
        .flags = option_given(in, "encrypted") ? DOMAIN_PASSWORD_ENCRYPTED : 0,
    };
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_set_user_password(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot set the password of '%s' in domain '%s'", args.user, args.dom.name);
    output_note(in, "Password set successfully for %s in %s\n", args.user, args.dom.name);
    return 0;
}

static int run_get_user_sshkeys(struct invocation *in, struct error *err)
{
    struct domain_authorized_ssh_keys_get_args args = {.user = option_text(in, "user")};
    struct domain_authorized_ssh_keys_get_ret ret;
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_authorized_ssh_keys_get(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the SSH keys of '%s' in domain '%s'", args.user, args.dom.name);
    scoped_listing struct listing listing;
    listing_init(&listing, in);
    for (uint32_t i = 0; i < ret.keys_count; i++)
        listing_word(&listing, "key", ret.keys[i]);
    listing_end(&listing);
    return 0;
}

/* The lines of a file that hold something. */
static int read_keys(struct invocation *in, const char *path, struct domain_authorized_ssh_keys_set_args *args,
                     struct error *err)
{
    char *rest = xml_file_read(in, path, err);
    if (!rest)
        return -1;
    args->keys = arena_new_array(in->arena, strlen(rest) / 2 + 1, const char *);
    for (char *line; (line = strsep(&rest, "\n"));)
        if (*line && *line != '#')
            args->keys[args->keys_count++] = line;
    return 0;
}

static int run_set_user_sshkeys(struct invocation *in, struct error *err)
{
    struct domain_authorized_ssh_keys_set_args args = {
        .user = option_text(in, "user"),
        .flags = option_given(in, "remove")  ? DOMAIN_AUTHORIZED_SSH_KEYS_SET_REMOVE
                 : option_given(in, "reset") ? 0 : DOMAIN_AUTHORIZED_SSH_KEYS_SET_APPEND,
    };
    const char *file = option_text(in, "file");
    if (option_exclusive(in, err, "reset", "remove", NULL) < 0)
        return -1;
    if (!file && !option_given(in, "reset"))
        return error_set(err, ERR_INVALID_ARG, "set-user-sshkeys needs --file with the keys, or --reset to remove all");
    if ((file && read_keys(in, file, &args, err) < 0) || domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_authorized_ssh_keys_set(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot change the SSH keys of '%s' in domain '%s'", args.user, args.dom.name);
    return 0;
}

static int run_agent_timeout(struct invocation *in, struct error *err)
{
    struct domain_agent_set_response_timeout_args args = {.timeout = DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK};
    struct domain_agent_set_response_timeout_ret ret;
    if (option_i32(in, "timeout", INT32_MIN, &args.timeout, err) < 0 || domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_agent_set_response_timeout(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot set the time that the agent of domain '%s' may take", args.dom.name);
    return 0;
}

static int run_agent_command(struct invocation *in, struct error *err)
{
    struct qemu_domain_agent_command_args args = {.cmd = invocation_rest(in, 0),
                                                  .timeout = DOMAIN_QEMU_AGENT_COMMAND_DEFAULT};
    struct qemu_domain_agent_command_ret ret;
    if (option_exclusive(in, err, "timeout", "async", "block", NULL) < 0 ||
        option_i32(in, "timeout", 1, &args.timeout, err) < 0)
        return -1;
    if (option_given(in, "async"))
        args.timeout = DOMAIN_QEMU_AGENT_COMMAND_NOWAIT;
    if (option_given(in, "block"))
        args.timeout = DOMAIN_QEMU_AGENT_COMMAND_BLOCK;
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_qemu_domain_agent_command(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "the agent of domain '%s' did not do '%s'", args.dom.name, args.cmd);
    json_t *json = json_loads(ret.result ? ret.result : "null", JSON_DECODE_ANY, NULL);
    if (json && (option_given(in, "pretty") || output_is_json(in))) {
        output_json(json);
        return 0;
    }
    json_decref(json);
    output_string(in, "answer", ret.result ? ret.result : "");
    return 0;
}

static int run_dompmsuspend(struct invocation *in, struct error *err)
{
    static const char *const targets[] = {"mem", "disk", "hybrid", NULL}; /* by NODE_SUSPEND_TARGET_* */
    int target = word_index("target", option_text(in, "target"), targets, err);
    struct domain_pm_suspend_for_duration_args args = {.target = (uint32_t)target};
    if (target < 0 || option_u64(in, "duration", UINT64_MAX, &args.duration, err) < 0 ||
        domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_pm_suspend_for_duration(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot put domain '%s' to sleep", args.dom.name);
    output_note(in, "Domain '%s' successfully suspended", args.dom.name);
    return 0;
}

static int run_dompmwakeup(struct invocation *in, struct error *err)
{
    struct domain_pm_wakeup_args args = {0};
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_pm_wakeup(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot wake up domain '%s'", args.dom.name);
    output_note(in, "Domain '%s' successfully woken up", args.dom.name);
    return 0;
}

static const struct command_option active_options[] = {DOMAIN_ACTIVE_OPTION, {0}};

static const struct command_option mountpoints_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"mountpoint", OPTION_REST, 0, "file systems, by where they are mounted; without any: all"},
    {0},
};

static const struct command_option fstrim_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"minimum", OPTION_NUMBER, 0, "leave free ranges alone that have fewer bytes"},
    {"mountpoint", OPTION_STRING, 0, "only the file system that is mounted here"},
    {0},
};

static const struct command_option hostname_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"source", OPTION_STRING, 0, "who knows it: lease or agent"},
    {0},
};

static const struct command_option ifaddr_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"interface", OPTION_STRING, 0, "only this interface"},
    {"full", OPTION_BOOL, 0, "name the interface in every line"},
    {"source", OPTION_STRING, 0, "who knows them: lease, agent or arp"},
    {0},
};

static const struct command_option guestinfo_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"user", OPTION_BOOL, 0, "who is logged in"},
    {"os", OPTION_BOOL, 0, "operating system"},
    {"timezone", OPTION_BOOL, 0, "time zone"},
    {"hostname", OPTION_BOOL, 0, "host name"},
    {"filesystem", OPTION_BOOL, 0, "file systems"},
    {"disk", OPTION_BOOL, 0, "disks"},
    {"interface", OPTION_BOOL, 0, "network interfaces"},
    {0},
};

static const struct command_option guestvcpus_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"cpulist", OPTION_STRING, 0, "processors to switch, like 0-3,^2"},
    {"enable", OPTION_BOOL, 0, "switch them on"},
    {"disable", OPTION_BOOL, 0, "switch them off"},
    {0},
};

static const struct command_option password_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"user", OPTION_STRING, OPTION_REQUIRED, "user in the guest"},
    {"password", OPTION_STRING, OPTION_REQUIRED, "the new password"},
    {"encrypted", OPTION_BOOL, 0, "it is encrypted already, as the guest's system does it"},
    {0},
};

static const struct command_option get_keys_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"user", OPTION_STRING, OPTION_REQUIRED, "user in the guest"},
    {0},
};

static const struct command_option set_keys_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"user", OPTION_STRING, OPTION_REQUIRED, "user in the guest"},
    {"file", OPTION_STRING, 0, "file with one key a line"},
    {"reset", OPTION_BOOL, 0, "remove all other keys first"},
    {"remove", OPTION_BOOL, 0, "remove these keys instead"},
    {0},
};

static const struct command_option timeout_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"timeout", OPTION_NUMBER, OPTION_NAMED, "seconds; 0 = do not wait, -1 = the usual, -2 (or none given) = for ever"},
    {0},
};

static const struct command_option agent_command_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"timeout", OPTION_NUMBER, OPTION_NAMED, "seconds to wait for the answer"},
    {"async", OPTION_BOOL, 0, "do not wait"},
    {"block", OPTION_BOOL, 0, "wait for ever"},
    {"pretty", OPTION_BOOL, 0, "print the answer with indentation"},
    {"cmd", OPTION_REST, OPTION_REQUIRED, "the command, a JSON object; several words are joined by blanks"},
    {0},
};

static const struct command_option suspend_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"target", OPTION_STRING, OPTION_REQUIRED, "mem, disk or hybrid"},
    {"duration", OPTION_NUMBER, OPTION_NAMED, "seconds after which it wakes up; 0 = not by itself"},
    {0},
};

const struct command agent_commands[] = {
    {"domfsfreeze", "domain", "freeze the file systems of a guest", "For a copy of the disks that fits together; "
     "domfsthaw ends it.", mountpoints_options, run_domfsfreeze},
    {"domfsinfo", "domain", "file systems that are mounted in a guest", NULL, active_options, run_domfsinfo},
    {"domfsthaw", "domain", "thaw the file systems of a guest", NULL, mountpoints_options, run_domfsthaw},
    {"domfstrim", "domain", "let a guest give back unused blocks of its disks", NULL, fstrim_options, run_domfstrim},
    {"domhostname", "domain", "host name of a guest", NULL, hostname_options, run_domhostname},
    {"domifaddr", "monitor", "network addresses of a guest", NULL, ifaddr_options, run_domifaddr},
    {"dompmsuspend", "domain", "put a guest to sleep", "Asks the guest's own power management; dompmwakeup wakes it "
     "up.", suspend_options, run_dompmsuspend},
    {"dompmwakeup", "domain", "wake up a guest that sleeps", NULL, active_options, run_dompmwakeup},
    {"get-user-sshkeys", "domain", "SSH keys that may log in as a user of a guest", NULL, get_keys_options,
     run_get_user_sshkeys},
    {"guest-agent-timeout", "domain", "set how long the guest's agent may take", NULL, timeout_options,
     run_agent_timeout},
    {"guestinfo", "domain", "what a guest says about itself", "Without options: everything.", guestinfo_options,
     run_guestinfo},
    {"guestvcpus", "domain", "show or switch the processors as a guest sees them", NULL, guestvcpus_options,
     run_guestvcpus},
    {"qemu-agent-command", "domain", "give a command to the guest's agent", "What it does in the guest is your "
     "responsibility.", agent_command_options, run_agent_command},
    {"set-user-password", "domain", "set the password of a user of a guest", NULL, password_options,
     run_set_user_password},
    {"set-user-sshkeys", "domain", "change which SSH keys may log in as a user of a guest", NULL, set_keys_options,
     run_set_user_sshkeys},
    {0},
};
