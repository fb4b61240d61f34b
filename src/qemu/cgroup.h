/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "base/arena.h"

/* Places of guests in the control group hierarchies that are writable here (v1, v2 or both). Moving a process costs the
 * kernel a grace period per hierarchy (10 ms each measured), so this runs on a worker thread beside a started guest and
 * never on the way of a start. Where nothing is writable, nothing happens: placement is a wish. */

/* "godwit/HOST/ID-NAME" with everything in host and name that is no plain character made '_'. */
char *cgroup_name(struct arena *arena, const char *host, int id, const char *name);
/* Makes the group and moves the process, with all its threads. Waits; a cancelled or late caller leaves the work going.
 */
void cgroup_place(const char *group, pid_t pid);
/* Removes the group of a process that is gone. Waits. */
void cgroup_remove(const char *group);
/* The group's folder in the hierarchy that has `controller` ("cpu", "memory"; "" = v2), or NULL when there is none. */
char *cgroup_path(struct arena *arena, const char *group, const char *controller);
