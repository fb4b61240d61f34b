/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/domain.h"
#include "rpc/godwit_names.h"
#include "rpc/params.h"

/* One migration as the client sees it. */
struct migration {
    struct connection *source, *destination; /* destination NULL: the source's daemon does it all (peer to peer) */
    struct wire_domain dom;
    const char *peer_uri; /* what a peer-to-peer source connects to; NULL with --direct */
    unsigned flags;       /* MIGRATE_* */
    struct params params; /* MIGRATE_PARAM_* */
    struct arena *arena;
    bool steered, steered_there; /* the parameters name a policy; the destination knows of policies, so it is ours */
    bool at_rest;   /* the guest is off, and started for its disks alone */
    bool arrived;   /* out, when this client drove it: the destination has the guest, whatever failed after that */
    bool unsettled; /* out: it failed, and whether the guest runs on the destination could not be found out */
};

/* A parameter that is text; NULL when it is not given. */
const char *migration_param(const struct migration *migration, const char *name);
/* Sets it, given or not. */
void migration_replace_param(struct migration *migration, const char *name, const char *value);

/* Waits until the migration has ended, either way. Client-driven: begin, prepare, perform, finish, confirm, in the
 * parameters form when both daemons know it, else in the older third form. When a phase fails, the destination is told
 * to throw the guest away and the source to go on with it; the first error is the one that is given back. When the
 * destination is lost while it finishes, it is asked anew who has the guest; while that is unknown, the source's stays
 * paused. */
int migration_run(struct migration *migration, struct error *err);
