/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "convert/network_map.h"
#include "convert/report.h"
#include "model/domain.h"

/* From a Xen domain to one for KVM: the rules for the definition alone (docs/xen-to-kvm.md lists them; so does
 * rules_text()). Nothing is asked of a daemon; what the target host adds by itself (emulator, machine, addresses,
 * implied devices) it adds when the result is defined there. */

struct rules_options {
    enum virt_type type;                /* of the result: VIRT_TYPE_KVM or VIRT_TYPE_QEMU */
    const char *name;                   /* new name; NULL = as it was */
    const struct network_map *networks; /* NULL = none */
    bool probe;                         /* the images lie on this host: look at their headers */
};

/* Changes def, a private copy (domain_edit()) that was read with DOMAIN_PARSE_BARE. Each change and what is left to a
 * person goes into the report. ERR_CONFIG_UNSUPPORTED or ERR_XML_ERROR for a definition that cannot be converted. */
int rules_apply(struct domain_def *def, const struct rules_options *options, struct report *report,
                struct error *err);

/* "disk/target  what it changes  why": a line for each rule, in the order in which they are applied. */
void rules_text(struct text *out);
