/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "migrate/internal.h"

/* Where the destination's QEMU listens for the guest. */
struct place {
    const char *host;   /* for the source */
    const char *listen; /* for QEMU, in brackets when IPv6 */
    uint16_t port;      /* 0 = one of ours */
    bool told;          /* the caller's URI says all: there is nothing to answer */
};

int place_find(struct place *place, struct driver *driver, const struct migrate_options *options, struct arena *arena,
               struct error *err);

/* tcp:HOST:PORT, for the source. */
char *place_uri(const struct place *place, struct arena *arena);

/* Makes QEMU listen there; -1 when it does not get the port. Waits. */
typedef int place_try(struct migration *migration, const char *listen, uint16_t port, struct error *err);
/* Tries ports of the host's range until one can be had, which is then the caller's to release; 0 with err. Waits. */
uint16_t place_take_port(struct migration *migration, const char *listen, place_try *try, struct error *err);
/* Makes QEMU listen for the guest's memory. Waits. */
int place_listen(struct migration *migration, struct place *place, struct error *err);
