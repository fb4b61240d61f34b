/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "convert/report.h"
#include "convert/rules.h"
#include "model/domain.h"

/* In what words a guest that is to be converted is described. */
enum source_format {
    SOURCE_FORMAT_LIBVIRT_XML, /* virsh dumpxml */
    SOURCE_FORMAT_XL,          /* /etc/xen/NAME.cfg, of xl or xm */
};

#define SOURCE_SIZE_MAX (4u << 20)

/* The definition as the source has it, without defaults and addresses (DOMAIN_PARSE_BARE); what cannot be taken over is
 * in report->left. NULL with the reader's error. */
struct domain_def *source_read(enum source_format format, const char *text, size_t length, struct report *report,
                               struct error *err);

/* A guest of which there is nothing but its disk: a paravirtual one with one processor, 2 GiB, the image as xvda and an
 * interface on the network 'default', as virt-v2v supposes. Its name is the file's, without what follows the last dot.
 * format NULL: the header says it. ERR_SYSTEM_ERROR when there is no such file, ERR_XML_ERROR when it gives no name. */
struct domain_def *source_of_disk(const char *path, const char *format, struct error *err);

/* The formats of connect-domain-xml-from-native: "xen-xl" and "xen-xm". 0, or -1 with ERR_INVALID_ARG and the formats
 * that can be read. */
int source_native_format(const char *name, enum source_format *format, struct error *err);

/* The rules on a copy of source, which is private and has been checked as define checks it. NULL with the rules' error
 * or with what define would say. */
struct domain_def *source_convert(const struct domain_def *source, const struct rules_options *options,
                                  struct report *report, struct error *err);
