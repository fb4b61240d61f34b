/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* How a plain pre-copy migration would go. */
struct prediction_wish {
    uint64_t memory;        /* bytes that the guest really uses: pages of zeros cost next to nothing */
    uint64_t dirty_bps;     /* bytes of memory that change in a second */
    uint64_t bandwidth_bps; /* bytes a second */
    uint32_t pause_first_ms, pause_most_ms; /* the downtime limit begins with one and is doubled up to the other */
};

struct prediction {
    bool converges;
    unsigned passes;
    uint64_t total_ms, pause_ms; /* of the migration; of the guest's standstill */
};

/* Plays the passes through, with the limit raised as follow.c does. Does not wait. */
struct prediction prediction_make(const struct prediction_wish *wish);
