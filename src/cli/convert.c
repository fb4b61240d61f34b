/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/convert.h"

#include <string.h>

#include "base/files.h"
#include "base/text.h"
#include "cli/domain.h"

#define MAP_FILE      "/etc/virt-v2v.conf"
#define MAP_FILE_SIZE (1u << 20)

/* Calls add for each value of an option that was given several times. */
static int each_value(struct invocation *in, const char *option, struct network_map *map,
                      int (*add)(struct network_map *map, const char *value, struct error *err), struct error *err)
{
    for (const char *at = option_text(in, option); at && *at;) {
        size_t length = strcspn(at, "\n");
        if (add(map, arena_strndup(in->arena, at, length), err) < 0)
            return error_wrap(err, "--%s", option);
        at += length + (at[length] == '\n');
    }
    return 0;
}

static int add_network(struct network_map *map, const char *value, struct error *err)
{
    return network_map_add(map, NETWORK_KIND_NETWORK, value, err);
}

static int add_bridge(struct network_map *map, const char *value, struct error *err)
{
    return network_map_add(map, NETWORK_KIND_BRIDGE, value, err);
}

/* What options say comes first, so that it counts where the file says otherwise. */
static int map_fill(struct invocation *in, struct network_map *map, struct error *err)
{
    if (each_value(in, "mac", map, network_map_add_mac, err) < 0 ||
        each_value(in, "network", map, add_network, err) < 0 || each_value(in, "bridge", map, add_bridge, err) < 0)
        return -1;
    const char *path = option_text(in, "config");
    if (!path && access(MAP_FILE, R_OK) < 0)
        return 0;
    path = path ? path : MAP_FILE;
    size_t length = 0;
    char *xml = file_read(in->arena, path, MAP_FILE_SIZE, &length, err);
    if (!xml)
        return -1;
    return network_map_read(map, xml, length, err) < 0 ? error_wrap(err, "cannot read the mapping in '%s'", path) : 0;
}

static int type_choose(const struct invocation *in, enum virt_type *type, struct error *err)
{
    const char *word = option_text(in, "virt-type");
    *type = word ? (enum virt_type)words_value(&virt_type_words, word) : VIRT_TYPE_KVM;
    if (*type == VIRT_TYPE_KVM || *type == VIRT_TYPE_QEMU)
        return 0;
    return error_set(err, ERR_INVALID_ARG, "--virt-type is kvm or qemu, not '%s'", word);
}

static int print_source(struct invocation *in, const struct domain_def *def, const struct report *report)
{
    scoped_free char *xml = domain_format(def, DOMAIN_XML_SECURE | DOMAIN_XML_INACTIVE);
    if (output_is_json(in)) {
        convert_report_json(def->name, xml, report);
        return 0;
    }
    convert_report_print(in, report);
    output_document(in, "xml", xml);
    return 0;
}

static int run_convert(struct invocation *in, struct error *err)
{
    struct report report = {.arena = in->arena};
    struct network_map map = {.arena = in->arena};
    struct rules_options options = {.name = option_text(in, "on"), .networks = &map};
    bool local = false;
    if (option_exclusive(in, err, "print-source", "xml-only", NULL) < 0 || type_choose(in, &options.type, err) < 0 ||
        map_fill(in, &map, err) < 0)
        return -1;
    if (!option_given(in, "print-source") && !option_given(in, "xml-only"))
        return error_set(err, ERR_INVALID_ARG, "say what to do: --xml-only prints the converted definition, "
                                               "--print-source "
                         "the one of the source");
    scoped_domain_def struct domain_def *source = convert_source(in, &report, &local, err);
    if (!source)
        return -1;
    if (option_given(in, "print-source"))
        return print_source(in, source, &report);
    options.probe = local;
    scoped_free char *xml = NULL;
    if (source_convert(source, &options, &report, &xml, err) < 0)
        return -1;
    if (output_is_json(in)) {
        convert_report_json(options.name ? options.name : source->name, xml, &report);
        return 0;
    }
    convert_report_print(in, &report);
    output_document(in, "xml", xml);
    return 0;
}

static int run_rules(struct invocation *in, struct error *err)
{
    scoped_text struct text out = {0};
    rules_text(&out);
    output_document(in, "rules", text_string(&out));
    return 0;
}

static const struct command_option convert_options[] = {
    {"source", OPTION_STRING, OPTION_REQUIRED, "the guest: a domain's name, or a file when -i says so"},
    {"i", OPTION_STRING, OPTION_NAMED, "what SOURCE is: libvirt (a domain's name, the default), libvirtxml or xl "
                                       "(files)"},
    {"ic", OPTION_STRING, OPTION_NAMED, "URI of the daemon that has the domain, like xen+ssh://root@host/"},
    {"on", OPTION_STRING, OPTION_NAMED, "name of the converted domain; without it the source's"},
    {"network", OPTION_STRING, OPTION_NAMED | OPTION_REPEATED, "put interfaces on a network: OUT for all of them, "
                                                               "IN:OUT "
     "for those of network IN"},
    {"n", OPTION_ALIAS, 0, "network"},
    {"bridge", OPTION_STRING, OPTION_NAMED | OPTION_REPEATED, "put interfaces on a bridge: OUT for all of them, IN:OUT "
     "for those of bridge IN"},
    {"b", OPTION_ALIAS, 0, "bridge"},
    {"mac", OPTION_STRING, OPTION_NAMED | OPTION_REPEATED, "put one interface on a network or bridge: MAC:network:OUT "
                                                           "or "
     "MAC:bridge:OUT"},
    {"config", OPTION_STRING, OPTION_NAMED, "file with a mapping of networks and bridges; without it " MAP_FILE},
    {"f", OPTION_ALIAS, 0, "config"},
    {"virt-type", OPTION_STRING, OPTION_NAMED, "type of the converted domain: kvm (the default) or qemu"},
    {"xml-only", OPTION_BOOL, 0, "convert the definition alone and print it"},
    {"print-source", OPTION_BOOL, 0, "print the source's definition as it was understood"},
    {0},
};

const struct command convert_commands[] = {
    {"convert", "convert", "make a domain for KVM of a Xen guest", "Options may be written with one dash, as virt-v2v "
                                                                   "has "
     "them. Each change is told on stderr, and so is what is left to do by hand; with --output json they stand beside "
     "the XML. The source is never changed.",
     convert_options, run_convert, COMMAND_NO_CONNECTION | COMMAND_ONE_DASH},
    {"convert-rules", "convert", "what convert changes in a definition, and why", NULL, NULL, run_rules,
     COMMAND_NO_CONNECTION},
    {0},
};
