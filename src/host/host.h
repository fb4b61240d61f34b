/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/cpu.h"
#include "host/cpu_model.h"

/* The facts about this machine that are worth keeping between calls. */
struct host;

/* root as in sysfs.h (copied). Reads nothing yet. The daemon's one lives as long as it. */
struct host *host_new(const char *root);
const char *host_root(const struct host *host);

/* Read at the first call, and again when CPUs have come or gone. Valid until the next call. Does not wait. */
const struct host_topology *host_topology(struct host *host);
/* Read at the first call. Valid as long as the host. Does not wait. */
const struct cpu_identity *host_cpu_identity(struct host *host);
