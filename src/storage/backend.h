/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/pool.h"
#include "storage/volume.h"

/* What differs between the kinds of pools: one file a kind, one row in backend.c. All functions that take a pool run in
 * a fiber, with the pool's job held, and may wait. A function that is NULL: there is nothing to do, or what it does
 * cannot be done with this kind. */

/* Room in a pool, and whose its target is. */
struct pool_space {
    uint64_t capacity, allocation, available; /* bytes */
    bool owner_known;
    uint32_t mode, uid, gid;                  /* of the target directory */
};

/* What a look at the pool found. */
struct listed {
    const char *name, *path, *key;
    bool same;                 /* as known before: facts are empty */
    struct volume_facts facts; /* taken over by the pool */
};
struct listing {
    struct arena *arena; /* of the items and their strings */
    struct listed *items; /* by name */
    size_t count;
    struct pool_space space;
};
void listing_finish(struct listing *listing);
#define scoped_listing scope_cleanup(listing_finish)

/* A volume to be made. */
struct creation {
    struct pool *pool;
    const struct volume_def *def;
    const char *format;     /* checked: a literal of the backend's */
    const char *path;       /* where it will lie */
    uint64_t capacity, allocation; /* bytes */
    struct volume *source;  /* to be copied; NULL = empty */
    unsigned flags;         /* STORAGE_VOL_CREATE_* */
    const char *client;
    struct arena *arena;    /* of def */
};

/* The <encryption> of what is to be made, in the arena of its definition; NULL = none. One that names no secret means
 * that of the copied volume. */
const char *creation_encryption(const struct creation *creation);

struct backend {
    enum pool_type type;
    const char *package;          /* what must be installed for `program` */
    const char *program;          /* without which it does not work; NULL = none */
    bool files;                   /* volumes are files of the target directory */

    /* Whether the definition has what this kind needs; fills in defaults. */
    int (*check)(struct pool_def *def, struct error *err);
    /* Whether two pools would own the same storage. */
    bool (*same)(const struct pool_def *a, const struct pool_def *b);
    /* Whether a pool that ran under an earlier daemon still does. Blocks shortly. NULL: yes. */
    bool (*running)(const struct pool_def *def);
    int (*build)(struct pool *pool, const struct pool_def *def, unsigned flags, struct error *err);
    /* def is the one that will be in use: what start() finds out it may write there. */
    int (*start)(struct pool *pool, struct pool_def *def, struct error *err);
    int (*stop)(struct pool *pool, const struct pool_def *def, struct error *err);
    int (*erase)(struct pool *pool, const struct pool_def *def, struct error *err);
    int (*list)(struct pool *pool, const struct pool_def *def, struct listing *listing, struct error *err);

    /* Makes the volume; on success it is whole under its name, on disk, and in facts. Begins the pool's job itself for
     * the moment in which it appears (creation_publish()). */
    int (*create)(struct creation *creation, struct volume *volume, struct error *err);
    int (*remove)(struct volume *volume, struct error *err);
    int (*resize)(struct volume *volume, uint64_t capacity, bool allocate, bool shrink, struct error *err);
    /* Writes zeros over all of it, of volumes that are no file or device of this host. */
    int (*zero)(struct volume *volume, struct error *err);
    /* Sources of this kind that the host knows, as <source> elements inside <sources>. */
    int (*find)(const struct pool_source *spec, struct text *out, struct error *err);
};

/* The backend of a kind; NULL with ERR_NO_SUPPORT that names it when there is none. */
const struct backend *backend_find(enum pool_type type, struct error *err);
/* The same, and its program is there. */
const struct backend *backend_usable(enum pool_type type, struct error *err);
/* The kind that a list flag asks for; 0 for none of them. */
unsigned backend_list_flag(enum pool_type type);
/* The formats of the kind's source and of its volumes, the default first; NULL = there are none; ends with NULL. */
const char *const *backend_formats(enum pool_type type);
const char *const *backend_volume_formats(enum pool_type type);
/* The literal of a format's name among the words; NULL with err naming the allowed ones. */
const char *backend_format(const char *const *words, const char *word, const char *what, struct error *err);
/* The <storagepoolCapabilities> document. */
char *backend_capabilities(void);

extern const struct backend dir_backend, fs_backend, netfs_backend, logical_backend, disk_backend, iscsi_backend,
                            iscsi_direct_backend, scsi_backend, mpath_backend;

/* -- what the backends of files share (files.c) -------------------------------------------------------------------- */

extern const char *const file_formats[];
int files_list(struct pool *pool, const struct pool_def *def, struct listing *listing, struct error *err);
int files_create(struct creation *creation, struct volume *volume, struct error *err);
int files_remove(struct volume *volume, struct error *err);
int files_resize(struct volume *volume, uint64_t capacity, bool allocate, bool shrink, struct error *err);
/* Fails (ERR_STORAGE_POOL_BUILT) when there is anything on the device that a tool knows. */
int device_check_empty(const char *device, struct error *err);
/* mkdir -p of the target with its owner and mode. */
int target_make(const struct pool_def *def, struct error *err);
/* pool-build of a kind that has nothing to format. */
int target_build(struct pool *pool, const struct pool_def *def, unsigned flags, struct error *err);
/* pool-delete of a kind whose pools are a directory of this host and what lies elsewhere. */
int target_erase(struct pool *pool, const struct pool_def *def, struct error *err);
