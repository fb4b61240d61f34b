/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <limits.h>

#include "base/error.h"
#include "base/text.h"

/* Who this host is, when its configuration does not say. Nothing here waits: in particular, no name server is asked. */

#define HOSTNAME_SIZE (HOST_NAME_MAX + 1)
int hostname_read(char name[HOSTNAME_SIZE], struct error *err);

/* The UUID that the firmware gives this machine. False when there is none, or one that is a filler (all digits the
 * same), or it may not be read: then the caller makes a random one and keeps it. */
bool host_uuid_read(const char *root, unsigned char uuid[UUID_SIZE]);
