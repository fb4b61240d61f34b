/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qemu/domain.h"

/* How much memory a guest has. All take a job and wait. */

/* flags: DOMAIN_MEM_LIVE, _CONFIG, _MAXIMUM; neither of the first two means the state it is in. A running guest is
 * asked by its balloon, and gives or takes in its own time (BALLOON_CHANGE tells). */
int balloon_set(struct domain *domain, uint64_t kib, unsigned flags, const char *client, struct error *err);
/* How often the guest's balloon driver tells its statistics; 0 = never. flags: DOMAIN_AFFECT_*. */
int balloon_set_period(struct domain *domain, unsigned seconds, unsigned flags, const char *client, struct error *err);
