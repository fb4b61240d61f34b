/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qemu/domain.h"

/* What a person would do to the machine: keys, the NMI button, looking at the screen. */

/* The code of a key as QEMU numbers it (XT set 1, 0x80 added for those behind 0xe0), from a code of a KEYCODE_SET_*; 0
 * when it has none. */
unsigned key_number(unsigned codeset, uint32_t code);
/* Whether that set is known at all. */
bool key_codeset_known(unsigned codeset);

/* Presses all keys together for hold_ms (0 = QEMU's 100 ms). Takes a job; waits. */
int input_send_keys(struct domain *domain, unsigned codeset, unsigned hold_ms, const uint32_t *codes, size_t count,
                    const char *client, struct error *err);
int input_nmi(struct domain *domain, const char *client, struct error *err);

/* A picture of a screen in a file that is already unlinked; returns its descriptor and its type in *mime (a literal).
 * Takes a job; waits. */
int screen_shot(struct domain *domain, unsigned screen, const char **mime, const char *client, struct error *err);
/* Bytes of the guest's memory; virtual addresses are those of the first vCPU. Takes a job; waits. */
int memory_peek(struct domain *domain, uint64_t offset, bool virtual, void *buffer, size_t size, const char *client,
                struct error *err);

/* Hands a connected socket to the guest's n-th VNC or SPICE server. fd stays the caller's. Takes a job; waits. */
int graphics_attach(struct domain *domain, unsigned index, int fd, bool skip_auth, const char *client,
                    struct error *err);
