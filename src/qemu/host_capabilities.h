/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/text.h"
#include "host/host.h"
#include "qemu/cpu_models.h"

/* The <capabilities> document: this host, and what kinds of guests it can run. */

struct guest_arch {
    const char *arch;             /* libvirt's name */
    const struct qemu_caps *caps; /* of the emulator that serves it */
};

struct host_capabilities {
    struct host *host;
    const unsigned char *uuid;       /* UUID_SIZE bytes */
    const struct cpu_models *models; /* to name the host's processor with; NULL when no emulator tells */
    const struct guest_arch *guests;
    size_t guest_count;
};
/* Appends the document. Memory and pages are today's, so this is made anew for each caller (0.2 ms). Does not wait. */
void host_capabilities_format(struct text *xml, const struct host_capabilities *capabilities);
