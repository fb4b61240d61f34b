/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/text.h"
#include "rpc/client.h"
#include "wire_types.h"

/* Who has a guest whose migration was cut off, asked of the destination's daemon by whoever lost sight of it: the
 * source's daemon or the client that drove it. Both wait, as long as the client's timeout allows, and return
 * WIRE_MIGRATION_OWNER_*; no answer, and one that is not understood, is _UNKNOWN. */

/* A Godwit's journal, by the migration's id. The answer is final: a guest that it has not let run it never will. */
int guest_owner_by_journal(struct client *client, const unsigned char id[UUID_SIZE]);
/* A daemon without a journal: the guest runs there, it is not there, or it is still arriving. */
int guest_owner_by_state(struct client *client, const unsigned char uuid[UUID_SIZE]);
