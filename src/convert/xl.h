/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "convert/report.h"
#include "model/domain.h"

/* The Xen domain that an xl or xm configuration file describes (xl.cfg(5), xmdomain.cfg(5)), as libvirt's XML would say
 * it: type 'xen', disks xvdX on bus 'xen', and so on; nothing is converted yet. What the model has no word for is told
 * in report->left. NULL with ERR_CONF_SYNTAX or ERR_XML_ERROR. The definition has neither defaults nor addresses
 * (as with DOMAIN_PARSE_BARE). */
struct domain_def *xl_read(const char *text, size_t length, struct report *report, struct error *err);
