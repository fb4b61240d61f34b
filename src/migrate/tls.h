/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "migrate/internal.h"

/* Encryption of what goes from QEMU to QEMU (--tls): memory and disks, by x509 certificates that both hosts have below
 * ROOT/etc/pki. Both ends prove who they are. */

/* Gives QEMU the certificates and sets migration->tls_creds; nothing without --tls. uri names the host that the
 * source will find (NULL at the destination). Waits. */
int tls_load(struct migration *migration, bool source, const char *uri, struct error *err);
/* Takes them away again, from a guest that goes on. Waits. */
void tls_unload(struct domain *domain);
