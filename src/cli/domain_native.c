/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/domain.h"
#include "cli/output.h"

static int run_domxml_from_native(struct invocation *in, struct error *err)
{
    const char *file = option_text(in, "config");
    struct connect_domain_xml_from_native_args args = {.native_format = option_text(in, "format"),
                                                       .native_config = xml_file_read(in, file, err)};
    struct connect_domain_xml_from_native_ret ret;
    if (!args.native_config)
        return -1;
    if (remote_connect_domain_xml_from_native(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read '%s' as '%s'", file, args.native_format);
    output_document(in, "xml", ret.domain_xml);
    return 0;
}

static const struct command_option native_options[] = {
    {"format", OPTION_STRING, OPTION_REQUIRED, "whose configuration it is: xen-xl or xen-xm"},
    {"config", OPTION_STRING, OPTION_REQUIRED, "file with it, - for standard input"},
    {0},
};

const struct command native_commands[] = {
    {"domxml-from-native", "domain", "print another hypervisor's configuration file as XML", "The file is only read, "
     "not converted; see convert for a guest that is to run under KVM.", native_options, run_domxml_from_native},
    {0},
};
