/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qemu/domain.h"

/* Called when a guest found again after a restart of the daemon has answered: a migration that was under way is taken
 * back or finished. Waits; the caller holds the domain's job. */
void migration_attached(struct domain *domain);
