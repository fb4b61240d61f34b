/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "rpc/params.h"

/* Either kind of copy of what is not shared. */
#define MIGRATE_COPY_STORAGE ((uint32_t)(MIGRATE_NON_SHARED_DISK | MIGRATE_NON_SHARED_INC))

/* Ways to send fewer bytes. The last two are a parallel migration's. */
enum migrate_method {
    MIGRATE_METHOD_XBZRLE = 1,
    MIGRATE_METHOD_MT = 2,
    MIGRATE_METHOD_ZLIB = 4,
    MIGRATE_METHOD_ZSTD = 8,
};

/* Whether a policy may slow the guest down, pause it for longer, or split it between the hosts for a while. */
enum migrate_disruption { MIGRATE_DISRUPTION_UNSAID, MIGRATE_DISRUPTION_NO, MIGRATE_DISRUPTION_YES };

/* What the caller of a migration asks for. The same for each phase; strings live in the arena of who made it. */
struct migrate_options {
    uint32_t flags;              /* MIGRATE_* */
    const char *uri;             /* of the destination's QEMU: tcp:HOST[:PORT]; NULL = the destination says */
    const char *dname;           /* name on the destination; NULL = unchanged */
    const char *xml;             /* the guest as the destination shall start it; NULL = as it runs */
    const char *persistent_xml;  /* what the destination shall store; NULL = the source's stored definition */
    const char *listen_address;  /* where the destination's QEMU listens; NULL = by the URI */
    uint64_t bandwidth_mib;      /* MiB/s; 0 = as set for the domain */
    uint64_t postcopy_mib;       /* MiB/s once it is in post-copy; 0 = as set for the domain */
    uint32_t methods;            /* how pages are compressed: MIGRATE_METHOD_*; 0 = xbzrle, when --compressed */
    uint64_t xbzrle_cache;       /* bytes; 0 = QEMU's default */
    uint32_t mt_level, zlib_level, zstd_level; /* one more than the level; 0 = QEMU's default */
    uint32_t mt_threads, mt_dthreads;          /* 0 = QEMU's default */
    uint32_t throttle_initial, throttle_increment; /* percent; 0 = QEMU's default */
    uint32_t connections;        /* of a parallel migration; 0 = QEMU's default */
    const char *graphics_uri;    /* where clients of the guest's screen shall go; NULL = to the destination */
    const char *tls_name;        /* that the destination's certificate has; NULL = the host of the URI */
    const char **disks;          /* targets ("vda") of the disks to copy; none = all that can be */
    uint32_t disk_count;
    uint32_t disks_port;         /* where the destination takes them; 0 = one of its range */
    uint32_t throttle_most;      /* percent; 0 = QEMU's default. Of policies only */
    const char *policy;          /* see policy.h; NULL = off */
    uint64_t time_budget_s;      /* 0 = the policy's */
    uint32_t max_pause_ms;       /* 0 = the domain's, or else the policy's */
    uint32_t disruption;         /* enum migrate_disruption */
    uint32_t verify;             /* 1: a sample of the guest's memory is compared before it is let run there */
    const char *disks_uri;       /* tcp://HOST[:PORT] or unix:///PATH for the same; NULL = as the guest's memory */
};

/* Reads and checks typed parameters and flags; what this daemon cannot do is refused by its name as virsh spells it
 * (ERR_ARGUMENT_UNSUPPORTED). Values are bounded. Strings are copied into the arena. */
int migrate_options_read(struct migrate_options *options, const struct wire_typed_param *items, uint32_t count,
                         uint64_t flags, struct arena *arena, struct error *err);
/* The same for the calls without parameters. */
int migrate_options_check(const struct migrate_options *options, uint64_t flags, struct error *err);
/* A copy whose strings live in the arena. */
struct migrate_options migrate_options_copy(const struct migrate_options *options, struct arena *arena);
/* Takes out what only godwitd knows. */
void migrate_options_forget_policy(struct migrate_options *options);
/* The parameters that say the same, for another daemon. */
void migrate_options_write(const struct migrate_options *options, struct params *params);
