/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/json.h"
#include "rpc/client.h"

/* What any daemon of libvirt's protocol tells of its host, collected without looking at it: for daemons that know
 * nothing of Godwit's own program. Of the question of a migration check (migrate/preflight.h) only the guest's uuid,
 * name_there, emulator, arch, machine, type and cpu.xml are read, to ask with them.
 *
 * {"kind": "description", "hostname", "capabilities", "domain_capabilities" or "domain_capabilities_error",
 * "emulator_version", "free_memory", "memory_kib", "networks": {NAME: active}, "domain_state", "name_uuid",
 * "cpu": CPU_COMPARE_*}; what the daemon does not answer is left out. Waits. */
json_t *describe_host(struct client *client, const json_t *question);
