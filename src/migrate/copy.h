/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/json.h"
#include "migrate/cookie.h"
#include "migrate/internal.h"

/* Storage that is not shared (--copy-storage-all, -inc). The destination makes the images that are missing (images.c)
 * and serves them over NBD (nbd.c); the source mirrors its disks there until they are in step, before the first byte of
 * memory, and ends the mirrors when the guest stands still (mirror.c). */

/* -- copy.c: which disks ------------------------------------------------------------------------------------------- */

/* Named by --migrate-disks, or else all that are written to by this guest alone. */
bool disk_is_copied(const struct disk *disk, const struct migrate_options *options);
/* ERR_INVALID_ARG when --migrate-disks names what is not there or cannot be copied; ERR_OPERATION_INVALID when there is
 * nothing to copy. */
int copy_check(const struct domain_def *def, const struct migrate_options *options, struct error *err);
/* The name of its export, which is libvirt's: "drive-virtio-disk0". */
char *copy_export(struct arena *arena, const struct disk *disk);
/* The answer of query-named-block-nodes about one node; NULL when it is not there. */
const json_t *copy_node(const json_t *nodes, const char *name);
/* What --disks-uri says: exactly one of host and path is set; port may be 0. */
struct copy_place {
    const char *host, *path;
    uint16_t port;
};
int copy_place_read(struct copy_place *place, const char *uri, struct arena *arena, struct error *err);

/* The host of a migration URI: tcp:HOST[:PORT] or tcp://HOST[:PORT]. */
const char *copy_host(const char *uri, struct arena *arena, struct error *err);

/* -- mirror.c: the source ------------------------------------------------------------------------------------------ */

/* Puts the disks into the cookie of begin. Waits. */
int mirrors_describe(struct migration *migration, struct migrate_cookie *cookie, struct arena *arena,
                     struct error *err);
/* Starts a mirror of each disk and waits until all are in step; uri is where the memory will go. Waits. */
int mirrors_start(struct migration *migration, const char *uri, const struct migrate_cookie *remote, struct error *err);
/* True when QEMU told of a change that mirrors_check() has to look at. */
bool mirrors_changed(const struct migration *migration);
/* Fails when a mirror has ended. Waits. */
int mirrors_check(struct migration *migration, struct error *err);
/* The guest stands still: lets go of the copies, which are whole then. Waits. */
int mirrors_detach(struct migration *migration, struct error *err);
/* Removes the mirrors of a migration that failed, also one of an earlier daemon's. Waits. */
void mirrors_remove(struct domain *domain);
/* Adds up the answer of query-jobs. */
void mirrors_figures(struct migration *migration, const json_t *jobs);
/* Bytes a second of all of them together; 0 = all there is. Waits. */
int mirrors_limit(struct migration *migration, uint64_t bandwidth, struct error *err);

/* -- images.c: the destination's files ----------------------------------------------------------------------------- */

/* Makes what is missing of the copied disks' images, and takes backing images that a whole copy does not need out of
 * the definition. What it made is gone again after images_remove(). Waits. */
int images_make(struct migration *migration, struct domain_def *def, const struct migrate_cookie *remote,
                struct error *err);
/* Removes the files that were made for a guest that did not arrive, also after a restart of the daemon or the host.
 * What it cannot remove is logged. Waits. */
void images_remove(const struct driver *driver, const struct journal_entry *entry);

/* -- nbd.c: the destination's server ------------------------------------------------------------------------------- */

/* Exports the copied disks where the source can write to them, listening at that address (or at --disks-uri). Waits. */
int nbd_start(struct migration *migration, const char *listen, const struct migrate_cookie *remote, struct error *err);
/* Ends the server, before the guest takes its disks. Waits. */
int nbd_stop(struct migration *migration, struct error *err);
