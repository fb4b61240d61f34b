/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "base/text.h"

/* Who this host is, when its configuration does not say. */

/* The kernel's name for this machine, to free(). No name server is asked. */
char *host_hostname(void);

/* The UUID that the firmware gives this machine. False when there is none, or one that is a filler (all digits the
 * same), or it may not be read. root as in sysfs.h. */
bool host_uuid_read(const char *root, unsigned char uuid[UUID_SIZE]);

/* The same, or else a random one that is kept in DIRECTORY/host-uuid and found there from then on. Waits for the disk
 * when it is made (see file_write_durable()). */
int host_uuid_get(const char *directory, unsigned char uuid[UUID_SIZE], struct error *err);
