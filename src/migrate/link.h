/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/json.h"
#include "migrate/options.h"
#include "qemu/driver.h"

/* A test connection from the source to a port of the destination's migration range, by which both see whether names,
 * routes and firewalls let a migration through, and how much the link carries. */

/* Destination: listens where a migration's QEMU would, for a few seconds or until one source has come. Returns
 * {"host", "port", "token"} or {"error"}. Does not wait. */
json_t *link_listen(struct driver *driver, const struct migrate_options *options);
/* Source: connects there. With `measure` sends for a moment. Returns {"addresses" or "unresolved", "connected",
 * "error"?, "bandwidth_bps"?}. Waits. */
json_t *link_test(const char *host, uint16_t port, const char *token, bool measure);
/* {"addresses": [...]} or {"error"}: what the name server says of a name, within the time. Waits. */
json_t *link_resolve(const char *host, uint64_t timeout_ms);
