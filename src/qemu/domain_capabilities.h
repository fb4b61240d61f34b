/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/text.h"
#include "qemu/cpu_models.h"

/* The <domainCapabilities> document: what a guest of one emulator, machine and accelerator can be given. */
struct domain_capabilities {
    const struct qemu_caps *caps;
    const struct qemu_machine *machine;
    const char *arch; /* libvirt's name */
    enum qemu_accel accel;
    const struct cpu_models *models;
    const char *firmware_root; /* as in qemu_firmware_list() */
};
/* Appends the document. Does not wait. */
void domain_capabilities_format(struct text *xml, const struct domain_capabilities *capabilities);
