/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convert/source.h"

#include <string.h>

#include "base/text.h"
#include "convert/xl.h"

struct domain_def *source_read(enum source_format format, const char *text, size_t length, struct report *report,
                               struct error *err)
{
    if (format == SOURCE_FORMAT_XL)
        return xl_read(text, length, report, err);
    struct domain_def *def = domain_parse(text, (long)length, DOMAIN_PARSE_INACTIVE | DOMAIN_PARSE_BARE, NULL, err);
    if (def)
        def->id.set = false; /* also of a running guest it is the definition that is converted */
    return def;
}

int source_native_format(const char *name, enum source_format *format, struct error *err)
{
    *format = SOURCE_FORMAT_XL;
    if (string_equal(name, "xen-xl") || string_equal(name, "xen-xm"))
        return 0;
    return error_set(err, ERR_INVALID_ARG, "the format '%s' cannot be read; formats are xen-xl and xen-xm%s", name,
                     string_equal(name, "qemu-argv") ? " (for a QEMU command line write the XML anew, for example with "
                                                       "virt-install --print-xml)" : "");
}

static void unknown_left(const struct domain_def *def, struct report *report)
{
    scoped_text struct text unknown = {0};
    domain_unknown(def, &unknown);
    for (const char *at = text_string(&unknown); *at;) {
        size_t line = strcspn(at, "\n");
        report_left(report, "source/unknown", "", "%.*s is not known here and is kept as it is", (int)line, at);
        at += line + (at[line] == '\n');
    }
}

struct domain_def *source_convert(const struct domain_def *source, const struct rules_options *options,
                                  struct report *report, struct error *err)
{
    scoped_domain_def struct domain_def *def = domain_edit(source);
    if (rules_apply(def, options, report, err) < 0)
        return error_null_wrap(err, "cannot convert domain '%s'", def->name);
    unknown_left(def, report);
    scoped_free char *text = domain_format(def, DOMAIN_XML_SECURE | DOMAIN_XML_INACTIVE);
    scoped_domain_def struct domain_def *complete = domain_parse(text, -1, DOMAIN_PARSE_INACTIVE, NULL, err);
    if (!complete)
        return error_null_wrap(err, "domain '%s' would not be accepted after its conversion", def->name);
    return steal(def);
}
