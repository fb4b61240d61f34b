/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "cli/domain.h"
#include "cli/pool.h"
#include "cli/terminal.h"

/* Storage pools defined and created, from files and from options. */

static int define(struct invocation *in, const char *xml, unsigned flags, const char *from, struct error *err)
{
    struct storage_pool_define_xml_args args = {.xml = xml, .flags = flags};
    struct storage_pool_define_xml_ret ret;
    if (remote_storage_pool_define_xml(shell_client(in), &args, in->arena, &ret, err) < 0)
        return from ? command_failed(err, "cannot define a storage pool from '%s'", from)
                    : command_failed(err, "cannot define storage pool '%s'", option_text(in, "name"));
    output_note(in, "Pool %s defined%s%s\n", ret.pool.name, from ? " from " : "", from ? from : "");
    return 0;
}

static int create(struct invocation *in, const char *xml, const char *from, struct error *err)
{
    struct storage_pool_create_xml_args args = {.xml = xml};
    struct storage_pool_create_xml_ret ret;
    if (option_exclusive(in, err, "overwrite", "no-overwrite", NULL) < 0)
        return -1;
    args.flags = (option_given(in, "build") ? STORAGE_POOL_CREATE_WITH_BUILD : 0) |
                 (option_given(in, "overwrite") ? STORAGE_POOL_CREATE_WITH_BUILD_OVERWRITE : 0) |
                 (option_given(in, "no-overwrite") ? STORAGE_POOL_CREATE_WITH_BUILD_NO_OVERWRITE : 0);
    if (remote_storage_pool_create_xml(shell_client(in), &args, in->arena, &ret, err) < 0)
        return from ? command_failed(err, "cannot create a storage pool from '%s'", from)
                    : command_failed(err, "cannot create storage pool '%s'", option_text(in, "name"));
    output_note(in, "Pool %s created%s%s\n", ret.pool.name, from ? " from " : "", from ? from : "");
    return 0;
}

static int run_pool_define(struct invocation *in, struct error *err)
{
    const char *file = option_text(in, "file"), *xml = xml_file_read(in, file, err);
    return xml ? define(in, xml, option_given(in, "validate") ? STORAGE_POOL_DEFINE_VALIDATE : 0, file, err) : -1;
}

static int run_pool_create(struct invocation *in, struct error *err)
{
    const char *file = option_text(in, "file"), *xml = xml_file_read(in, file, err);
    return xml ? create(in, xml, file, err) : -1;
}

/* -- from options -------------------------------------------------------------------------------------------------- */

static void add_adapter(struct text *xml, const struct invocation *in)
{
    static const struct {
        const char *option, *attribute;
    } rows[] = {{"adapter-name", "name"}, {"adapter-parent", "parent"}, {"adapter-parent-wwnn", "parent_wwnn"},
                {"adapter-parent-wwpn", "parent_wwpn"}, {"adapter-parent-fabric-wwn", "parent_fabric_wwn"},
                {"adapter-wwnn", "wwnn"}, {"adapter-wwpn", "wwpn"}};
    bool fibre = option_given(in, "adapter-wwnn") && option_given(in, "adapter-wwpn");
    if (!fibre && !option_given(in, "adapter-name"))
        return;
    text_printf(xml, "    <adapter type='%s'", fibre ? "fc_host" : "scsi_host");
    for (size_t i = 0; i < COUNT(rows); i++)
        if (option_given(in, rows[i].option) && (fibre == (strcmp(rows[i].attribute, "name") != 0)))
            text_printf(xml, " %s='%s'", rows[i].attribute, option_text(in, rows[i].option));
    text_append(xml, "/>\n");
}

static void add_auth(struct text *xml, const struct invocation *in)
{
    if (!option_given(in, "auth-type") || !option_given(in, "auth-username"))
        return;
    text_printf(xml, "    <auth type='%s' username='%s'>\n", option_text(in, "auth-type"),
                option_text(in, "auth-username"));
    xml_line(xml, 6, "secret", option_given(in, "secret-uuid") ? "uuid" : "usage",
             option_text(in, option_given(in, "secret-uuid") ? "secret-uuid" : "secret-usage"));
    text_append(xml, "    </auth>\n");
}

static char *pool_xml(struct invocation *in)
{
    scoped_text struct text xml = {0}, source = {0};
    text_printf(&xml, "<pool type='%s'>\n", option_text(in, "type"));
    xml_line(&xml, 2, "name", NULL, option_text(in, "name"));
    xml_line(&source, 4, "host", "name", option_text(in, "source-host"));
    xml_line(&source, 4, "dir", "path", option_text(in, "source-path"));
    xml_line(&source, 4, "device", "path", option_text(in, "source-dev"));
    add_adapter(&source, in);
    add_auth(&source, in);
    xml_line(&source, 4, "name", NULL, option_text(in, "source-name"));
    xml_line(&source, 4, "format", "type", option_text(in, "source-format"));
    xml_line(&source, 4, "protocol", "ver", option_text(in, "source-protocol-ver"));
    if (option_given(in, "source-initiator")) {
        text_append(&source, "    <initiator>\n");
        xml_line(&source, 6, "iqn", "name", option_text(in, "source-initiator"));
        text_append(&source, "    </initiator>\n");
    }
    if (source.length)
        text_printf(&xml, "  <source>\n%s  </source>\n", text_string(&source));
    if (option_given(in, "target")) {
        text_append(&xml, "  <target>\n");
        xml_line(&xml, 4, "path", NULL, option_text(in, "target"));
        text_append(&xml, "  </target>\n");
    }
    text_append(&xml, "</pool>\n");
    return arena_strdup(in->arena, text_string(&xml));
}

static int run_pool_define_as(struct invocation *in, struct error *err)
{
    char *xml = pool_xml(in);
    if (!option_given(in, "print-xml"))
        return define(in, xml, 0, NULL, err);
    output_document(in, "xml", xml);
    return 0;
}

static int run_pool_create_as(struct invocation *in, struct error *err)
{
    char *xml = pool_xml(in);
    if (!option_given(in, "print-xml"))
        return create(in, xml, NULL, err);
    output_document(in, "xml", xml);
    return 0;
}

/* -- editing and finding ------------------------------------------------------------------------------------------- */

static int run_pool_edit(struct invocation *in, struct error *err)
{
    struct storage_pool_get_xml_desc_args args = {.flags = STORAGE_XML_INACTIVE};
    struct storage_pool_get_xml_desc_ret ret;
    if (pool_get(in, &args.pool, err) < 0)
        return -1;
    if (remote_storage_pool_get_xml_desc(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the XML of storage pool '%s'", args.pool.name);
    for (const char *text = ret.xml;;) {
        bool unchanged;
        struct storage_pool_define_xml_args define_args = {
            .xml = terminal_edit(in->arena, text, ".xml", &unchanged, err)};
        struct storage_pool_define_xml_ret defined;
        if (!define_args.xml)
            return -1;
        if (strcmp(define_args.xml, ret.xml) == 0) {
            output_note(in, "Pool %s XML configuration not changed.\n", args.pool.name);
            return 0;
        }
        if (remote_storage_pool_define_xml(shell_client(in), &define_args, in->arena, &defined, err) == 0) {
            output_note(in, "Pool %s XML configuration edited.\n", defined.pool.name);
            return 0;
        }
        output_error(in->shell, err);
        if (!isatty(STDIN_FILENO) || terminal_ask("Edit again (y) or give up (n)?", "yn") != 'y')
            return command_failed(err, "storage pool '%s' is not changed", args.pool.name);
        text = define_args.xml;
    }
}

static int find_sources(struct invocation *in, const char *spec, struct error *err)
{
    struct connect_find_storage_pool_sources_args args = {.type = option_text(in, "type"), .src_spec = spec};
    struct connect_find_storage_pool_sources_ret ret;
    if (remote_connect_find_storage_pool_sources(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot look for sources of '%s' storage pools", args.type);
    output_document(in, "xml", ret.xml);
    return 0;
}

static int run_find_sources(struct invocation *in, struct error *err)
{
    const char *file = option_text(in, "srcSpec"), *spec = file ? xml_file_read(in, file, err) : NULL;
    return file && !spec ? -1 : find_sources(in, spec, err);
}

static int run_find_sources_as(struct invocation *in, struct error *err)
{
    scoped_text struct text spec = {0};
    if (!option_given(in, "host"))
        return find_sources(in, NULL, err);
    text_append(&spec, "<source>\n");
    if (option_given(in, "port"))
        text_printf(&spec, "  <host name='%s' port='%s'/>\n", option_text(in, "host"), option_text(in, "port"));
    else
        xml_line(&spec, 2, "host", "name", option_text(in, "host"));
    if (option_given(in, "initiator")) {
        text_append(&spec, "  <initiator>\n");
        xml_line(&spec, 4, "iqn", "name", option_text(in, "initiator"));
        text_append(&spec, "  </initiator>\n");
    }
    text_append(&spec, "</source>\n");
    return find_sources(in, text_string(&spec), err);
}

/* In virsh's order: words without an option name are taken in turn. */
#define AS_OPTIONS                                                                                        \
    {"name", OPTION_STRING, OPTION_REQUIRED, "name of the storage pool"},                                  \
    {"type", OPTION_STRING, OPTION_REQUIRED, "its kind: dir, fs, netfs, disk, logical, ..."},              \
    {"print-xml", OPTION_BOOL, 0, "print the XML and do nothing"},                                         \
    {"source-host", OPTION_STRING, 0, "host that has the storage"},                                        \
    {"source-path", OPTION_STRING, 0, "what the host exports"},                                            \
    {"source-dev", OPTION_STRING, 0, "device that holds the storage"},                                     \
    {"source-name", OPTION_STRING, 0, "volume group, Ceph pool, ..."},                                     \
    {"target", OPTION_STRING, 0, "directory in which the volumes appear"},                                 \
    {"source-format", OPTION_STRING, 0, "format of the source"},                                           \
    {"auth-type", OPTION_STRING, 0, "how the host asks who one is: chap or ceph"},                         \
    {"auth-username", OPTION_STRING, 0, "who one is"},                                                     \
    {"secret-usage", OPTION_STRING, 0, "the secret, by its use"},                                          \
    {"secret-uuid", OPTION_STRING, 0, "the secret, by its UUID"},                                          \
    {"adapter-name", OPTION_STRING, 0, "SCSI adapter, e.g. scsi_host2"},                                   \
    {"adapter-wwnn", OPTION_STRING, 0, "node name of a vHBA"},                                             \
    {"adapter-wwpn", OPTION_STRING, 0, "port name of a vHBA"},                                             \
    {"adapter-parent", OPTION_STRING, 0, "adapter below a vHBA"},                                          \
    {"adapter-parent-wwnn", OPTION_STRING, 0, "its node name"},                                            \
    {"adapter-parent-wwpn", OPTION_STRING, 0, "its port name"},                                            \
    {"adapter-parent-fabric-wwn", OPTION_STRING, 0, "its fabric's name"},                                  \
    {"source-protocol-ver", OPTION_STRING, 0, "version of NFS"},                                           \
    {"source-initiator", OPTION_STRING, 0, "iSCSI name of this host"}

#define BUILD_OPTIONS                                                           \
    {"build", OPTION_BOOL, 0, "build it first"},                                \
    {"no-overwrite", OPTION_BOOL, 0, "build it unless there is data already"},  \
    {"overwrite", OPTION_BOOL, 0, "build it, whatever is there now"}

static const struct command_option define_options[] = {
    {"file", OPTION_STRING, OPTION_REQUIRED, "file with the storage pool's XML, - for standard input"},
    {"validate", OPTION_BOOL, 0, "refuse XML that the schema does not know"},
    {0},
};

static const struct command_option create_options[] = {
    {"file", OPTION_STRING, OPTION_REQUIRED, "file with the storage pool's XML, - for standard input"},
    BUILD_OPTIONS,
    {0},
};

static const struct command_option define_as_options[] = {AS_OPTIONS, {0}};
static const struct command_option create_as_options[] = {AS_OPTIONS, BUILD_OPTIONS, {0}};
static const struct command_option edit_options[] = {POOL_OPTION, {0}};

static const struct command_option find_options[] = {
    {"type", OPTION_STRING, OPTION_REQUIRED, "kind of storage pool"},
    {"srcSpec", OPTION_STRING, 0, "file with a <source> that says where to look"},
    {0},
};

static const struct command_option find_as_options[] = {
    {"type", OPTION_STRING, OPTION_REQUIRED, "kind of storage pool"},
    {"host", OPTION_STRING, 0, "host to ask"},
    {"port", OPTION_STRING, 0, "its port"},
    {"initiator", OPTION_STRING, 0, "iSCSI name to ask with"},
    {0},
};

const struct command pool_define_commands[] = {
    {"find-storage-pool-sources", "pool", "find what storage pools could be made of", NULL, find_options,
     run_find_sources},
    {"find-storage-pool-sources-as", "pool", "the same, with the place in options", NULL, find_as_options,
     run_find_sources_as},
    {"pool-create", "pool", "start a transient storage pool from an XML file", NULL, create_options, run_pool_create},
    {"pool-create-as", "pool", "start a transient storage pool from options", NULL, create_as_options,
     run_pool_create_as},
    {"pool-define", "pool", "define a storage pool from an XML file, without starting it", NULL, define_options,
     run_pool_define},
    {"pool-define-as", "pool", "define a storage pool from options, without starting it", NULL, define_as_options,
     run_pool_define_as},
    {"pool-edit", "pool", "change the definition of a storage pool in an editor", "Uses $VISUAL, $EDITOR or vi.",
     edit_options, run_pool_edit},
    {0},
};
