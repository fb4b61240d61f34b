/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qemu/agent.h"
#include "rpc/params.h"

/* What the guest tells of itself through its agent. Everything waits. */

/* The groups in `types` (DOMAIN_GUEST_INFO_*; 0 = all that the agent has). With types given, one that the agent does
 * not have is an error. Strings live in the params' arena. */
int agent_guest_info(struct domain *domain, unsigned types, struct params *params, struct error *err);

/* The guest's name of itself, in the arena. */
const char *agent_hostname(struct domain *domain, struct arena *arena, struct error *err);
/* Its interfaces and their addresses; returns how many, or -1. */
int agent_interfaces(struct domain *domain, struct arena *arena, struct wire_domain_interface **list,
                     struct error *err);
/* Its mounted file systems; returns how many, or -1. */
int agent_filesystems(struct domain *domain, struct arena *arena, struct wire_domain_fsinfo **list, struct error *err);
