/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "base/arena.h"

/* Places of guests in the control group hierarchies that are writable here (v1, v2 or both). Moving a process costs the
 * kernel a grace period per hierarchy (10 ms each measured), so this runs on a worker thread beside a started guest and
 * never on the way of a start. Where nothing is writable, nothing happens: placement is a wish. */

/* "godwit/HOST-HASH": the groups of one daemon. Several may run on a machine, under one host name too; the hash of the
 * root directory tells them apart. */
char *cgroup_family(struct arena *arena, const char *host, const char *root);
/* "FAMILY/ID-NAME" with everything in name that is no plain character made '_'. */
char *cgroup_name(struct arena *arena, const char *family, int id, const char *name);
/* Makes the group and moves the process, with all its threads. Waits; a cancelled or late caller leaves the work going.
 */
void cgroup_place(const char *group, pid_t pid);
/* Removes the group of a process that is gone. Waits. */
void cgroup_remove(const char *group);
/* Removes the groups of a family in which no process is left: of guests that ended while no daemon ran. Waits. */
void cgroup_sweep(const char *family);
/* The group's folder in the hierarchy that has `controller` ("cpu", "memory"; "" = v2), or NULL when there is none. */
char *cgroup_path(struct arena *arena, const char *group, const char *controller);
