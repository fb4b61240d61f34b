/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "object/object.h"

/* The storage of one host: its pools and their volumes. Everything of Godwit's own lies under the root directory that
 * the daemon was given; what the pools hold lies where their definitions say. */
struct pool;
struct secrets;

struct storage_options {
    const char *root;                   /* "/" or a directory */
    unsigned char host_uuid[UUID_SIZE]; /* marks half-made volumes in directories that several hosts may share */
    struct secrets *secrets;            /* keys of encrypted volumes; outlive the storage */
};

struct storage {
    struct registry pools;
    char *definitions_dir; /* etc/godwit/pools: what users define */
    char *run_dir;         /* run/godwit/pools: the running ones, gone with the host's next boot */
    char *images_dir;      /* var/lib/libvirt/images: of the pool "default" */
    unsigned char host_uuid[UUID_SIZE];
    struct secrets *secrets;
    unsigned made; /* counts temporary names */
    void *owner; /* of the callbacks, which may be NULL */
    /* STORAGE_POOL_EVENT_ID_*; event: STORAGE_POOL_EVENT_*, of a lifecycle event. Must not wait. */
    void (*notify)(void *owner, struct pool *pool, int event_id, int event);
    /* Calls found() with every disk image of every running domain: its path, of one on an iSCSI server
     * iscsi_unit_path(). Must not wait. */
    void (*each_disk)(void *owner,
                      void (*found)(void *context, const char *domain, const char *target, const char *path),
                      void *context);
};

/* Makes the directories, reads the definitions, makes the pool "default" when this root never had one, and finds the
 * pools that ran under an earlier daemon. Does not wait for their contents. */
struct storage *storage_new(const struct storage_options *options, struct error *err);
/* Starts what is marked autostart, at the first start since the host booted. Waits; for a fiber of its own. */
void storage_autostart(struct storage *storage);
void storage_free(struct storage *storage);
