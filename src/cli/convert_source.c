/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/convert.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "cli/domain.h"
#include "rpc/uri.h"

/* A domain's name, UUID or id is asked of the daemon at -ic; the way there is the program's own (unix, tcp, ssh). */
static char *source_ask(struct invocation *in, const char *name, struct source_place *place, struct error *err)
{
    const char *text = option_text(in, "ic") ? option_text(in, "ic") : in->shell->uri;
    struct uri *uri = uri_parse(in->arena, text, err);
    if (!uri)
        return NULL;
    place->local = !uri->host;
    scoped_connection struct connection *connection = connection_open(text, false, in->shell->keepalive, err);
    if (!connection)
        return command_failed_null(err, "cannot connect to the source '%s'", text);
    struct domain_lookup_by_name_args args = {.name = name};
    struct domain_lookup_by_name_ret found;
    if (remote_domain_lookup_by_name(connection->client, &args, in->arena, &found, err) < 0)
        return command_failed_null(err, "cannot find domain '%s' at '%s'", name, text);
    struct domain_get_state_args question = {.dom = found.dom};
    struct domain_get_state_ret state;
    if (remote_domain_get_state(connection->client, &question, in->arena, &state, err) < 0)
        return command_failed_null(err, "cannot tell whether domain '%s' runs", name);
    place->running = state.state != DOMAIN_SHUTOFF && state.state != DOMAIN_CRASHED;
    struct domain_get_xml_desc_args ask = {.dom = found.dom, .flags = DOMAIN_XML_INACTIVE | DOMAIN_XML_SECURE};
    struct domain_get_xml_desc_ret answer;
    if (remote_domain_get_xml_desc(connection->client, &ask, in->arena, &answer, err) < 0)
        return command_failed_null(err, "cannot read the definition of domain '%s' at '%s'", name, text);
    return (char *)answer.xml;
}

struct domain_def *convert_source(struct invocation *in, struct report *report, struct source_place *place,
                                  struct error *err)
{
    static const struct {
        const char *word;
        bool file;
        enum source_format format;
    } methods[] = {{"libvirt", false, SOURCE_FORMAT_LIBVIRT_XML},
                   {"libvirtxml", true, SOURCE_FORMAT_LIBVIRT_XML},
                   {"xl", true, SOURCE_FORMAT_XL},
                   {"xm", true, SOURCE_FORMAT_XL}};
    const char *word = option_text(in, "i") ? option_text(in, "i") : "libvirt", *source = option_text(in, "source");
    bool disk = strcasecmp(word, "disk") == 0;
    size_t method = 0;
    *place = (struct source_place){.local = true};
    if (option_given(in, "if") && !disk)
        return error_null(err, ERR_INVALID_ARG, "-if is the format of an image, for -i disk");
    if (disk)
        return source_of_disk(source, option_text(in, "if"), err);
    while (method < COUNT(methods) && strcasecmp(methods[method].word, word) != 0) /* the guide writes LIBVIRTXML */
        method++;
    if (method == COUNT(methods))
        return error_null(err, ERR_INVALID_ARG, "-i cannot be '%s'; it is libvirt, libvirtxml, xl or disk", word);
    if (methods[method].file && option_given(in, "ic"))
        return error_null(err, ERR_INVALID_ARG, "-ic names a daemon, but -i %s reads a file", word);
    char *text = methods[method].file ? xml_file_read(in, source, err) : source_ask(in, source, place, err);
    if (!text)
        return NULL;
    struct domain_def *def = source_read(methods[method].format, text, strlen(text), report, err);
    return def ? def : error_null_wrap(err, "cannot read '%s'", source);
}
