/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "migrate/internal.h"

/* Clients of the guest's screen follow it: SPICE tells them where. VNC has no such message, they connect anew. */

/* The destination's address, into the cookie of prepare. */
void screen_describe(const struct domain *domain, struct migrate_cookie *cookie);
/* Source, before the memory goes: tells SPICE where to send its clients; uri is where the memory goes. A SPICE that
 * cannot is no reason not to migrate. -1 for a --graphicsuri that makes no sense. Waits. */
int screen_relocate(struct migration *migration, const char *uri, const struct migrate_cookie *remote,
                    struct error *err);
/* Source, before the guest's QEMU is ended: waits until clients that are connected have gone over, but not for long. */
void screen_wait(struct migration *migration);
