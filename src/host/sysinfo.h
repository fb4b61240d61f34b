/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "base/text.h"

/* The host's SMBIOS as <sysinfo type='smbios'>, from the kernel's copy of the table (/sys/firmware/dmi/tables), or from
 * /sys/class/dmi/id when that may not be read. No helper program, no wait. `root` as in sysfs.h. ERR_CONFIG_UNSUPPORTED
 * when the machine has no SMBIOS (many small VMs have none). */
int sysinfo_format(struct text *xml, const char *root, struct error *err);
