/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "storage/backend.h"

/* The disks that a SCSI host adapter of the kernel (hostN) has: what pools of type scsi and iscsi show. */

/* Lets the adapter look for disks, and lists them: named "unit:BUS:TARGET:LUN", at their stable path below def's target
 * where there is one, with udev's identification as key. Waits; what hangs in the kernel ends at the deadline. */
int scsi_list(const struct pool_def *def, unsigned host, struct listing *listing, struct error *err);
/* Writes to a file of /sys; the kernel may take its time. Waits. */
int scsi_write(const char *path, const char *text, struct error *err);
