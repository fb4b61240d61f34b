/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/text.h"
#include "cli/domain.h"

/* What the expression finds, each on lines of its own; wrapped in one element it is a document. */
static int print_xpath(struct invocation *in, const char *xml, const char *expression, bool wrap, struct error *err)
{
    scoped_document struct document *document = document_parse(xml, "what the daemon sent", err);
    if (!document)
        return -1;
    xmlXPathObject *found = document_query(document, expression);
    if (!found)
        return error_set(err, ERR_INVALID_ARG, "'%s' is no XPath expression", expression);
    int result = 0;
    if (found->type != XPATH_NODESET) {
        result = error_set(err, ERR_INVALID_ARG, "the expression '%s' finds a value, not parts of the document",
                           expression);
    } else {
        scoped_text struct text out = {0};
        int count = found->nodesetval ? found->nodesetval->nodeNr : 0;
        text_append(&out, !wrap ? "" : count ? "<nodes>\n" : "<nodes/>\n");
        for (int i = 0; i < count; i++) {
            xmlBuffer *buffer = xmlBufferCreate();
            xmlNodeDump(buffer, document->xml, found->nodesetval->nodeTab[i], wrap ? 1 : 0, 1);
            text_printf(&out, "%s%s\n", wrap ? "  " : "", (const char *)xmlBufferContent(buffer));
            xmlBufferFree(buffer);
        }
        text_append(&out, wrap && count ? "</nodes>\n" : "");
        output_document(in, "xml", text_string(&out));
    }
    xmlXPathFreeObject(found);
    return result;
}

int xml_print(struct invocation *in, const char *xml, struct error *err)
{
    if (option_given(in, "xpath"))
        return print_xpath(in, xml, option_text(in, "xpath"), option_given(in, "wrap"), err);
    output_document(in, "xml", xml);
    return 0;
}

static int run_dumpxml(struct invocation *in, struct error *err)
{
    static const struct {
        const char *option;
        unsigned flag;
    } rows[] = {
        {"inactive", DOMAIN_XML_INACTIVE}, {"security-info", DOMAIN_XML_SECURE}, {"update-cpu", DOMAIN_XML_UPDATE_CPU},
        {"migratable", DOMAIN_XML_MIGRATABLE},
    };
    struct wire_domain dom;
    unsigned flags = 0;
    for (size_t i = 0; i < COUNT(rows); i++)
        flags |= option_given(in, rows[i].option) ? rows[i].flag : 0;
    if (domain_get(in, &dom, err) < 0)
        return -1;
    const char *xml = domain_xml(in, &dom, flags, err);
    return xml ? xml_print(in, xml, err) : -1;
}

static int run_domxml_to_native(struct invocation *in, struct error *err)
{
    struct connect_domain_xml_to_native_args args = {.native_format = option_text(in, "format")};
    struct connect_domain_xml_to_native_ret ret;
    struct wire_domain dom;
    if (option_exclusive(in, err, "domain", "xml", NULL) < 0)
        return -1;
    if (option_given(in, "xml"))
        args.domain_xml = xml_file_read(in, option_text(in, "xml"), err);
    else if (!option_given(in, "domain"))
        return error_set(err, ERR_INVALID_ARG, "domxml-to-native needs a file with XML, or --domain");
    else if (domain_get(in, &dom, err) == 0)
        args.domain_xml = domain_xml(in, &dom, DOMAIN_XML_SECURE | DOMAIN_XML_INACTIVE, err);
    if (!args.domain_xml)
        return -1;
    if (remote_connect_domain_xml_to_native(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot write the domain as '%s'", args.native_format);
    output_document(in, "native", ret.native_config);
    return 0;
}

static const struct command_option native_options[] = {
    {"format", OPTION_STRING, OPTION_REQUIRED, "what to make of it: qemu-argv"},
    {"domain", OPTION_STRING, OPTION_NAMED, DOMAIN_HELP, complete_domains},
    {"xml", OPTION_STRING, 0, "file with the domain's XML"},
    {0},
};

static const struct command_option dumpxml_options[] = {
    DOMAIN_OPTION,
    {"inactive", OPTION_BOOL, 0, "the definition, also of a running domain"},
    {"security-info", OPTION_BOOL, 0, "with its passwords"},
    {"update-cpu", OPTION_BOOL, 0, "with the CPU that this host would give"},
    {"migratable", OPTION_BOOL, 0, "as another host understands it"},
    {"xpath", OPTION_STRING, OPTION_NAMED, "print only what this XPath expression finds"},
    {"wrap", OPTION_BOOL, 0, "put what --xpath finds into one element"},
    {0},
};

const struct command xml_commands[] = {
    {"domxml-to-native", "domain", "what the hypervisor would be started with", NULL, native_options,
     run_domxml_to_native},
    {"dumpxml", "domain", "print the XML of a domain", NULL, dumpxml_options, run_dumpxml},
    {0},
};
