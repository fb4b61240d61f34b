/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include <string.h>

#include "convert/source.h"

/* Other hypervisors' configuration files as libvirt's XML: what the file says, not converted. */
int handle_connect_domain_xml_from_native(struct call *call, const struct connect_domain_xml_from_native_args *args,
                                          struct connect_domain_xml_from_native_ret *ret, struct error *err)
{
    enum source_format format;
    if (call_flags(call, args->flags, 0, err) < 0 || source_native_format(args->native_format, &format, err) < 0)
        return -1;
    struct report report = {.arena = call->arena};
    scoped_domain_def struct domain_def *def = source_read(format, args->native_config, strlen(args->native_config),
                                                           &report, err);
    if (!def)
        return -1;
    scoped_free char *xml = domain_format(def, DOMAIN_XML_SECURE);
    ret->domain_xml = arena_strdup(call->arena, xml);
    return 0;
}
