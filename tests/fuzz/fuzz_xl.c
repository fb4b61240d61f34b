/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "convert/source.h"

/* Xen's definitions, files of xl and xm and (what begins with <) libvirt's XML: what is read of a file comes out as XML
 * that is read again, and the rules end with a definition or with an error. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    scoped_arena struct arena *arena = arena_new();
    struct report report = {.arena = arena};
    enum source_format format = size && *data == '<' ? SOURCE_FORMAT_LIBVIRT_XML : SOURCE_FORMAT_XL;
    scoped_domain_def struct domain_def *def = source_read(format, (const char *)data, size, &report, &err);
    if (!def) {
        if (!err.code || !*err.message)
            abort();
        return 0;
    }
    scoped_free char *xml = domain_format(def, DOMAIN_XML_SECURE);
    scoped_domain_def struct domain_def *again = domain_parse(xml, -1, DOMAIN_PARSE_BARE, NULL, &err);
    if (!again && format == SOURCE_FORMAT_XL)
        abort();
    struct rules_options options = {.type = VIRT_TYPE_KVM};
    scoped_domain_def struct domain_def *converted = source_convert(def, &options, &report, &err);
    if (!converted && (!err.code || !*err.message))
        abort();
    return 0;
}
