/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "cli/domain.h"
#include "version.h"

static int run_connect(struct invocation *in, struct error *err)
{
    struct shell *shell = in->shell;
    const char *uri = option_text(in, "name");
    bool readonly = option_given(in, "readonly");
    struct connection *connection = connection_open(uri ? uri : shell->uri, readonly, shell->keepalive, err);
    if (!connection)
        return command_failed(err, "cannot connect to '%s'", uri ? uri : shell->uri);
    connection_close(steal(shell->connection));
    shell->connection = connection;
    shell->readonly = readonly;
    free(shell->uri);
    shell->uri = xstrdup(connection->uri);
    return 0;
}

static int run_uri(struct invocation *in, struct error *err)
{
    output_string(in, "uri", in->shell->connection->uri);
    return 0;
}

static int run_hostname(struct invocation *in, struct error *err)
{
    struct connect_get_hostname_ret ret;
    if (remote_connect_get_hostname(shell_client(in), in->arena, &ret, err) < 0)
        return command_failed(err, "cannot ask the daemon for its host name");
    output_string(in, "hostname", ret.hostname);
    return 0;
}

/* libvirt's numbers: major * 1,000,000 + minor * 1,000 + release. */
static char *version_text(struct arena *arena, uint64_t version)
{
    return arena_printf(arena, "%llu.%llu.%llu", (unsigned long long)(version / 1000000),
                        (unsigned long long)(version / 1000 % 1000), (unsigned long long)(version % 1000));
}

static int run_version(struct invocation *in, struct error *err)
{
    struct connect_get_type_ret type;
    struct connect_get_version_ret version;
    struct connect_get_lib_version_ret library;
    if (remote_connect_get_type(shell_client(in), in->arena, &type, err) < 0 ||
        remote_connect_get_version(shell_client(in), in->arena, &version, err) < 0 ||
        remote_connect_get_lib_version(shell_client(in), in->arena, &library, err) < 0)
        return command_failed(err, "cannot ask the daemon for its versions");
    struct record *record = record_new(in->arena);
    const char *api = version_text(in->arena, library.lib_ver), *hypervisor = version_text(in->arena, version.hv_ver);
    record_text(record, "client", "Client", "godwit " GODWIT_VERSION);
    record_text(record, "type", NULL, type.type);
    record_add(record, "api", "Using API", arena_printf(in->arena, "%s %s", type.type, api), json_string(api));
    record_add(record, "hypervisor", "Running hypervisor", arena_printf(in->arena, "%s %s", type.type, hypervisor),
               version.hv_ver ? json_string(hypervisor) : json_null());
    if (option_given(in, "daemon"))
        record_add(record, "daemon", "Running against daemon", api, json_string(api));
    record_print(record, in, 1);
    return 0;
}

static const struct command_option connect_options[] = {
    {"name", OPTION_STRING, 0, "URI of the daemon; without it the one of the program's start"},
    {"readonly", OPTION_BOOL, 0, "read only"},
    {0},
};

static const struct command_option version_options[] = {
    {"daemon", OPTION_BOOL, 0, "the daemon's version too"},
    {0},
};

const struct command connection_commands[] = {
    {"connect", "virsh", "connect to a daemon", "Ends the present connection and makes another. Nothing changes when "
     "that fails.", connect_options, run_connect, COMMAND_NO_CONNECTION},
    {"hostname", "host", "name of the daemon's host", NULL, NULL, run_hostname},
    {"uri", "host", "URI of the connection", NULL, NULL, run_uri},
    {"version", "host", "versions of the client, the daemon and the hypervisor", NULL, version_options, run_version},
    {0},
};
