/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/console.h"
#include "cli/domain.h"

/* The flags that an invocation's options stand for. */
struct flag_option {
    const char *option;
    unsigned flag;
};

static unsigned flags_of(const struct invocation *in, const struct flag_option *rows)
{
    unsigned flags = 0;
    for (; rows->option; rows++)
        if (option_given(in, rows->option))
            flags |= rows->flag;
    return flags;
}

static const struct flag_option start_flags[] = {
    {"paused", DOMAIN_START_PAUSED},           {"autodestroy", DOMAIN_START_AUTODESTROY},
    {"bypass-cache", DOMAIN_START_BYPASS_CACHE}, {"force-boot", DOMAIN_START_FORCE_BOOT},
    {"reset-nvram", DOMAIN_START_RESET_NVRAM}, {0},
};

static const struct flag_option create_flags[] = {
    {"paused", DOMAIN_START_PAUSED},     {"autodestroy", DOMAIN_START_AUTODESTROY},
    {"validate", DOMAIN_START_VALIDATE}, {"reset-nvram", DOMAIN_START_RESET_NVRAM}, {0},
};

/* --pass-fds N,M,... */
static int pass_fds(struct invocation *in, struct client_fds *fds, struct error *err)
{
    const char *list = option_text(in, "pass-fds");
    int *numbers = arena_new_array(in->arena, 32, int);
    char *rest = arena_strdup(in->arena, list);
    for (char *word; (word = strsep(&rest, ","));) {
        if (fds->send_count == 32)
            return error_set(err, ERR_INVALID_ARG, "--pass-fds takes at most 32 descriptors");
        if (parse_i32(word, 10, &numbers[fds->send_count]) < 0 || numbers[fds->send_count] < 0)
            return error_set(err, ERR_INVALID_ARG, "--pass-fds takes numbers of open descriptors with commas between "
                             "them, not '%s'", list);
        fds->send_count++;
    }
    fds->send = numbers;
    return 0;
}

static int attach_console(struct invocation *in, const struct wire_domain *dom, struct error *err)
{
    if (!option_given(in, "console"))
        return 0;
    struct error local = {0};
    if (console_run(in, dom, NULL, 0, &local) < 0) {
        *err = local;
        return command_failed(err, "domain '%s' was started, but", dom->name);
    }
    return 0;
}

static int run_start(struct invocation *in, struct error *err)
{
    struct wire_domain dom;
    if (domain_find(in, "domain", DOMAIN_BY_NAME | DOMAIN_BY_UUID, &dom, err) < 0)
        return -1;
    unsigned flags = flags_of(in, start_flags);
    int result;
    if (option_given(in, "pass-fds")) {
        struct client_fds fds = {0};
        struct domain_create_with_files_args args = {.dom = dom, .flags = flags};
        struct domain_create_with_files_ret ret;
        result = pass_fds(in, &fds, err);
        if (result == 0)
            result = remote_domain_create_with_files(shell_client(in), &args, in->arena, &ret, &fds, err);
        dom = result == 0 ? ret.dom : dom;
    } else {
        struct domain_create_with_flags_args args = {.dom = dom, .flags = flags};
        struct domain_create_with_flags_ret ret;
        result = remote_domain_create_with_flags(shell_client(in), &args, in->arena, &ret, err);
        dom = result == 0 ? ret.dom : dom;
    }
    if (result < 0)
        return command_failed(err, "cannot start domain '%s'", dom.name);
    output_note(in, "Domain '%s' started\n", dom.name);
    return attach_console(in, &dom, err);
}

static int run_create(struct invocation *in, struct error *err)
{
    const char *file = option_text(in, "file");
    const char *xml = xml_file_read(in, file, err);
    if (!xml)
        return -1;
    unsigned flags = flags_of(in, create_flags);
    struct wire_domain dom;
    int result;
    if (option_given(in, "pass-fds")) {
        struct client_fds fds = {0};
        struct domain_create_xml_with_files_args args = {.xml_desc = xml, .flags = flags};
        struct domain_create_xml_with_files_ret ret;
        result = pass_fds(in, &fds, err);
        if (result == 0)
            result = remote_domain_create_xml_with_files(shell_client(in), &args, in->arena, &ret, &fds, err);
        if (result == 0)
            dom = ret.dom;
    } else {
        struct domain_create_xml_args args = {.xml_desc = xml, .flags = flags};
        struct domain_create_xml_ret ret;
        result = remote_domain_create_xml(shell_client(in), &args, in->arena, &ret, err);
        if (result == 0)
            dom = ret.dom;
    }
    if (result < 0)
        return command_failed(err, "cannot create a domain from '%s'", file);
    output_note(in, "Domain '%s' created from %s\n", dom.name, file);
    return attach_console(in, &dom, err);
}

static int run_destroy(struct invocation *in, struct error *err)
{
    static const struct flag_option rows[] = {{"graceful", DOMAIN_DESTROY_GRACEFUL},
                                              {"remove-logs", DOMAIN_DESTROY_REMOVE_LOGS}, {0}};
    struct domain_destroy_flags_args args = {.flags = flags_of(in, rows)};
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_destroy_flags(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot destroy domain '%s'", args.dom.name);
    output_note(in, "Domain '%s' destroyed\n", args.dom.name);
    return 0;
}

/* --mode acpi,agent,...: the flags, the same numbers for shutdown and reboot. */
static int shutdown_mode(struct invocation *in, unsigned *flags, struct error *err)
{
    static const char *const modes[] = {"acpi", "agent", "initctl", "signal", "paravirt", NULL};
    *flags = 0;
    if (!option_given(in, "mode"))
        return 0;
    char *rest = arena_strdup(in->arena, option_text(in, "mode"));
    for (char *word; (word = strsep(&rest, ","));) {
        int mode = word_index("mode", word, modes, err);
        if (mode < 0)
            return -1;
        *flags |= 1u << mode;
    }
    return 0;
}

static int run_shutdown(struct invocation *in, struct error *err)
{
    struct domain_shutdown_flags_args args;
    if (shutdown_mode(in, &args.flags, err) < 0 || domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_shutdown_flags(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot shut down domain '%s'", args.dom.name);
    output_note(in, "Domain '%s' is being shutdown\n", args.dom.name);
    return 0;
}

static int run_reboot(struct invocation *in, struct error *err)
{
    struct domain_reboot_args args;
    if (shutdown_mode(in, &args.flags, err) < 0 || domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_reboot(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot reboot domain '%s'", args.dom.name);
    output_note(in, "Domain '%s' is being rebooted\n", args.dom.name);
    return 0;
}

static int run_reset(struct invocation *in, struct error *err)
{
    struct domain_reset_args args = {0};
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_reset(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot reset domain '%s'", args.dom.name);
    output_note(in, "Domain '%s' was reset\n", args.dom.name);
    return 0;
}

static int run_suspend(struct invocation *in, struct error *err)
{
    struct domain_suspend_args args = {0};
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_suspend(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot suspend domain '%s'", args.dom.name);
    output_note(in, "Domain '%s' suspended\n", args.dom.name);
    return 0;
}

static int run_resume(struct invocation *in, struct error *err)
{
    struct domain_resume_args args = {0};
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_resume(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot resume domain '%s'", args.dom.name);
    output_note(in, "Domain '%s' resumed\n", args.dom.name);
    return 0;
}

static const struct command_option start_options[] = {
    {"domain", OPTION_STRING, OPTION_REQUIRED, "name or UUID of the domain", complete_inactive},
    {"console", OPTION_BOOL, 0, "attach to its console afterwards"},
    {"paused", OPTION_BOOL, 0, "leave its processors stopped"},
    {"autodestroy", OPTION_BOOL, 0, "destroy it when this connection ends"},
    {"bypass-cache", OPTION_BOOL, 0, "read a saved state around the page cache"},
    {"force-boot", OPTION_BOOL, 0, "throw a managed saved state away and boot"},
    {"pass-fds", OPTION_STRING, 0, "descriptors for the guest, N,M,..."},
    {"reset-nvram", OPTION_BOOL, 0, "make the NVRAM anew from its template"},
    {0},
};

static const struct command_option create_options[] = {
    {"file", OPTION_STRING, OPTION_REQUIRED, "file with the domain's XML, - for standard input"},
    {"console", OPTION_BOOL, 0, "attach to its console afterwards"},
    {"paused", OPTION_BOOL, 0, "leave its processors stopped"},
    {"autodestroy", OPTION_BOOL, 0, "destroy it when this connection ends"},
    {"pass-fds", OPTION_STRING, 0, "descriptors for the guest, N,M,..."},
    {"validate", OPTION_BOOL, 0, "refuse XML that the schema does not know"},
    {"reset-nvram", OPTION_BOOL, 0, "make the NVRAM anew from its template"},
    {0},
};

static const struct command_option destroy_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"graceful", OPTION_BOOL, 0, "give up rather than kill a process that does not end"},
    {"remove-logs", OPTION_BOOL, 0, "remove the domain's logs as well"},
    {0},
};

static const struct command_option mode_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"mode", OPTION_STRING, 0, "how to ask: acpi, agent, initctl, signal or paravirt"},
    {0},
};

static const struct command_option active_options[] = {DOMAIN_ACTIVE_OPTION, {0}};

static const struct command_option paused_options[] = {
    {"domain", OPTION_STRING, OPTION_REQUIRED, DOMAIN_HELP, complete_paused},
    {0},
};

const struct command lifecycle_commands[] = {
    {"create", "domain", "create a domain from an XML file", "Starts a domain that has no definition: it is gone when "
     "it stops.", create_options, run_create},
    {"destroy", "domain", "stop a domain at once", "Stops a domain as if its plug were pulled. Its definition and "
     "disks stay.", destroy_options, run_destroy},
    {"reboot", "domain", "ask a domain to reboot", NULL, mode_options, run_reboot},
    {"reset", "domain", "reset a domain", "Resets a running domain as its reset button would.", active_options,
     run_reset},
    {"resume", "domain", "let a suspended domain run on", NULL, paused_options, run_resume},
    {"shutdown", "domain", "ask a domain to shut down", "Returns when the guest has been asked, not when it is off.",
     mode_options, run_shutdown},
    {"start", "domain", "start a defined domain", "Starts it from its managed saved state if there is one, else boots "
     "it.",
     start_options, run_start},
    {"suspend", "domain", "stop a domain's processors", "Its memory stays; resume lets it run on.", active_options,
     run_suspend},
    {0},
};
