/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/text.h"
#include "cli/domain.h"
#include "cli/terminal.h"

static int run_define(struct invocation *in, struct error *err)
{
    const char *file = option_text(in, "file");
    struct domain_define_xml_flags_args args = {.xml = xml_file_read(in, file, err)};
    struct domain_define_xml_flags_ret ret;
    if (!args.xml)
        return -1;
    if (option_given(in, "validate"))
        args.flags |= DOMAIN_DEFINE_VALIDATE;
    if (remote_domain_define_xml_flags(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot define a domain from '%s'", file);
    output_note(in, "Domain '%s' defined from %s\n", ret.dom.name, file);
    return 0;
}

static int run_undefine(struct invocation *in, struct error *err)
{
    static const struct {
        const char *option;
        unsigned flag;
    } rows[] = {
        {"managed-save", DOMAIN_UNDEFINE_MANAGED_SAVE},
        {"snapshots-metadata", DOMAIN_UNDEFINE_SNAPSHOTS_METADATA},
        {"checkpoints-metadata", DOMAIN_UNDEFINE_CHECKPOINTS_METADATA},
        {"nvram", DOMAIN_UNDEFINE_NVRAM},
        {"keep-nvram", DOMAIN_UNDEFINE_KEEP_NVRAM},
        {"tpm", DOMAIN_UNDEFINE_TPM},
        {"keep-tpm", DOMAIN_UNDEFINE_KEEP_TPM},
    };
    struct domain_undefine_flags_args args = {0};
    if (option_exclusive(in, err, "nvram", "keep-nvram", NULL) < 0 ||
        option_exclusive(in, err, "tpm", "keep-tpm", NULL) < 0 || domain_get(in, &args.dom, err) < 0)
        return -1;
    for (size_t i = 0; i < COUNT(rows); i++)
        args.flags |= option_given(in, rows[i].option) ? rows[i].flag : 0;
    if (remote_domain_undefine_flags(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot undefine domain '%s'", args.dom.name);
    output_note(in, "Domain '%s' has been undefined\n", args.dom.name);
    return 0;
}

static int run_autostart(struct invocation *in, struct error *err)
{
    struct domain_set_autostart_args args = {.autostart = !option_given(in, "disable")};
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_set_autostart(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot change the autostart of domain '%s'", args.dom.name);
    output_note(in, args.autostart ? "Domain '%s' marked as autostarted\n" : "Domain '%s' unmarked as autostarted\n",
                args.dom.name);
    return 0;
}

static int run_domrename(struct invocation *in, struct error *err)
{
    struct domain_rename_args args = {.new_name = option_text(in, "new-name")};
    struct domain_rename_ret ret;
    if (domain_find(in, "domain", DOMAIN_BY_NAME | DOMAIN_BY_UUID, &args.dom, err) < 0)
        return -1;
    if (remote_domain_rename(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot rename domain '%s' to '%s'", args.dom.name, args.new_name);
    output_note(in, "Domain successfully renamed\n");
    return 0;
}

static int run_set_lifecycle_action(struct invocation *in, struct error *err)
{
    static const char *const types[] = {"poweroff", "reboot", "crash", NULL}; /* by DOMAIN_LIFECYCLE_* */
    static const char *const actions[] = {"destroy", "restart", "rename-restart", "preserve", "coredump-destroy",
                                          "coredump-restart", NULL}; /* by DOMAIN_LIFECYCLE_ACTION_* */
    int type = word_index("lifecycle type", option_text(in, "type"), types, err);
    int action = type < 0 ? -1 : word_index("lifecycle action", option_text(in, "action"), actions, err);
    struct domain_set_lifecycle_action_args args = {.type = (uint32_t)type, .action = (uint32_t)action};
    if (action < 0 || domain_affect(in, &args.flags, err) < 0 || domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_set_lifecycle_action(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot change what follows a %s of domain '%s'", types[type], args.dom.name);
    return 0;
}

/* Edits until the daemon takes the text or the person gives up. */
static int run_edit(struct invocation *in, struct error *err)
{
    struct wire_domain dom;
    if (domain_get(in, &dom, err) < 0)
        return -1;
    const char *before = domain_xml(in, &dom, DOMAIN_XML_INACTIVE | DOMAIN_XML_SECURE, err), *text = before;
    struct domain_define_xml_flags_args args = {0};
    struct domain_define_xml_flags_ret ret;
    if (!before)
        return -1;
    args.flags = option_given(in, "skip-validate") ? 0 : DOMAIN_DEFINE_VALIDATE;
    for (;;) {
        bool unchanged;
        args.xml = terminal_edit(in->arena, text, ".xml", &unchanged, err);
        if (!args.xml)
            return -1;
        if (strcmp(args.xml, before) == 0) {
            output_note(in, "Domain '%s' XML configuration not changed.\n", dom.name);
            return 0;
        }
        const char *now = domain_xml(in, &dom, DOMAIN_XML_INACTIVE | DOMAIN_XML_SECURE, err);
        if (!now)
            return -1;
        if (strcmp(now, before) != 0)
            return error_set(err, ERR_OPERATION_FAILED, "domain '%s' was changed by somebody else meanwhile; nothing "
                             "is saved", dom.name);
        if (remote_domain_define_xml_flags(shell_client(in), &args, in->arena, &ret, err) == 0)
            break;
        output_error(in->shell, err);
        static const char question[] = "Edit again (y), give up (n), or save without validation (i)?";
        char answer = isatty(STDIN_FILENO) ? terminal_ask(question, "yni") : 'n';
        if (answer != 'y' && answer != 'i')
            return command_failed(err, "domain '%s' is not changed", dom.name);
        if (answer == 'i')
            args.flags = 0;
        text = args.xml;
    }
    output_note(in, "Domain '%s' XML configuration edited.\n", ret.dom.name);
    return 0;
}

static const struct command_option define_options[] = {
    {"file", OPTION_STRING, OPTION_REQUIRED, "file with the domain's XML, - for standard input"},
    {"validate", OPTION_BOOL, 0, "refuse XML that the schema does not know"},
    {0},
};

static const struct command_option undefine_options[] = {
    DOMAIN_OPTION,
    {"managed-save", OPTION_BOOL, 0, "remove its managed saved state"},
    {"snapshots-metadata", OPTION_BOOL, 0, "forget its snapshots"},
    {"checkpoints-metadata", OPTION_BOOL, 0, "forget its checkpoints"},
    {"nvram", OPTION_BOOL, 0, "remove its NVRAM file"},
    {"keep-nvram", OPTION_BOOL, 0, "keep its NVRAM file"},
    {"tpm", OPTION_BOOL, 0, "remove its TPM state"},
    {"keep-tpm", OPTION_BOOL, 0, "keep its TPM state"},
    {0},
};

static const struct command_option autostart_options[] = {
    DOMAIN_OPTION,
    {"disable", OPTION_BOOL, 0, "do not start it with the host any more"},
    {0},
};

static const struct command_option rename_options[] = {
    {"domain", OPTION_STRING, OPTION_REQUIRED, "name or UUID of the domain", complete_inactive},
    {"new-name", OPTION_STRING, OPTION_REQUIRED, "its new name"},
    {0},
};

static const struct command_option lifecycle_options[] = {
    DOMAIN_OPTION,
    {"type", OPTION_STRING, OPTION_REQUIRED, "what happens: poweroff, reboot or crash"},
    {"action", OPTION_STRING, OPTION_REQUIRED, "what follows: destroy, restart, rename-restart, preserve, "
     "coredump-destroy or coredump-restart"},
    DOMAIN_AFFECT_OPTIONS,
    {0},
};

static const struct command_option edit_options[] = {
    DOMAIN_OPTION,
    {"skip-validate", OPTION_BOOL, 0, "take XML that the schema does not know"},
    {0},
};

const struct command define_commands[] = {
    {"autostart", "domain", "start a domain with the host", NULL, autostart_options, run_autostart},
    {"define", "domain", "define a domain from an XML file, without starting it", "A domain that is already defined is "
     "changed from its next boot on.", define_options, run_define},
    {"domrename", "domain", "rename a domain that does not run", NULL, rename_options, run_domrename},
    {"edit", "domain", "change the definition of a domain in an editor", "Uses $VISUAL, $EDITOR or vi.", edit_options,
     run_edit},
    {"set-lifecycle-action", "domain", "set what follows when a domain powers off, reboots or crashes", NULL,
     lifecycle_options, run_set_lifecycle_action},
    {"undefine", "domain", "remove the definition of a domain", "A running domain goes on until it stops.",
     undefine_options, run_undefine},
    {0},
};
