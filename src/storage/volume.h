/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>
#include <time.h>

#include "model/volume.h"
#include "object/object.h"
#include "storage/image.h"

struct pool;
struct storage;

/* What the file system and the header say of a volume. */
struct volume_facts {
    int type;                   /* STORAGE_VOL_* */
    const char *format;         /* a literal */
    uint64_t capacity, allocation, physical; /* bytes */
    uint32_t mode, uid, gid;
    struct timespec atime, mtime, ctime, btime; /* btime zero: not known */
    dev_t device;
    ino_t inode;
    struct image *image;        /* of its own memory; NULL for a raw one without anything to tell */
    uint64_t start, end;        /* of a partition: bytes on its disk, end exclusive; 0 = none */
};
void volume_facts_finish(struct volume_facts *facts);
/* Looks at one; blocks, for worker threads. Returns 0, -1 with err, or 1 when it is nothing that a pool of files shows
 * (a socket, a link to nowhere). known: what was known of it before, or NULL; when the file is unchanged, facts->image
 * stays NULL and *same is set. */
int volume_facts_read(const char *path, const struct volume_facts *known, struct volume_facts *facts, bool *same,
                      struct error *err);

/* The same of a name in an open directory: many in one are looked at quicker so. */
int volume_facts_read_at(int directory, const char *name, const char *path, const struct volume_facts *known,
                         struct volume_facts *facts, bool *same, struct error *err);

/* A volume of a running pool. Counted by references, since a refresh may drop it while somebody works with it. */
struct volume {
    struct pool *pool;   /* a reference */
    unsigned references;
    char *name, *key, *path;
    char secret[UUID_STRING_SIZE]; /* of an encrypted one that was made here; "" = not known */
    struct volume_facts facts;
    bool hidden;         /* its name is taken by somebody who makes it */
    bool removed;        /* no longer in the pool */
    bool seen;           /* by the refresh that runs */
    unsigned users;      /* who reads it */
    bool changing;       /* somebody writes it */
    const char *operation; /* a literal: what the last one who began does */
    UT_hash_handle by_name, by_path;
};

struct volume *volume_ref(struct volume *volume);
void volume_unref(struct volume *volume);
DEFINE_SCOPED(volume_scope, struct volume *, volume_unref)
#define scoped_volume scope_cleanup(volume_scope)

/* The volumes of a pool, in the order of their names; hidden ones are skipped. */
struct volume *volume_first(struct pool *pool);
struct volume *volume_next(const struct volume *volume);
/* Not references. NULL with ERR_NO_STORAGE_VOL. */
struct volume *volume_find(const struct pool *pool, const char *name, struct error *err);
struct volume *volume_find_path(struct pool *pool, const char *path);
struct volume *volume_find_key(struct pool *pool, const char *key);

/* Puts a new volume into the pool (hidden) or takes one out. */
struct volume *volume_add(struct pool *pool, const char *name, const char *path, const char *key);
void volume_remove(struct volume *volume);

/* Somebody works with it, from begin to end: any number may read it at once, one alone may change it.
 * ERR_OPERATION_INVALID naming what is going on. */
struct volume_use {
    struct volume *volume; /* a reference; NULL = not begun */
    bool change;
};
int volume_begin(struct volume_use *use, struct volume *volume, bool change, const char *operation, struct error *err);
void volume_end(struct volume_use *use);
#define scoped_volume_use scope_cleanup(volume_end)

/* Refuses a file that a running domain uses, itself or as a backing image; operation: "resize '/x'". Waits. */
int storage_check_unused(struct storage *storage, const char *path, const char *operation, struct error *err);
/* The same of a volume; operation: "resize". */
int volume_check_unused(struct volume *volume, const char *operation, struct error *err);

static inline bool volume_encrypted(const struct volume *volume)
{
    return volume->facts.image && volume->facts.image->encrypted;
}
/* Its <encryption>, with the secret that it was made with, or whose usage it is; NULL when it is not encrypted. */
const char *volume_encryption(struct arena *arena, const struct volume *volume);

/* The XML; to be freed. */
char *volume_dump(const struct volume *volume);

/* Whether a volume may be called so. */
int volume_check_name(const char *name, struct error *err);

/* -- changes; each waits ------------------------------------------------------------------------------------------- */

/* Makes a volume: of the XML, or (source not NULL) as a copy of another one. Returns a reference; what failed or was
 * cut off leaves nothing behind. flags: STORAGE_VOL_CREATE_*. */
struct volume *volume_create(struct pool *pool, const char *xml, struct volume *source, unsigned flags,
                             const char *client, struct error *err);
int volume_delete(struct volume *volume, unsigned flags, const char *client, struct error *err);
/* capacity is bytes; flags: STORAGE_VOL_RESIZE_*. */
int volume_resize(struct volume *volume, uint64_t capacity, unsigned flags, struct error *err);
/* algorithm: STORAGE_VOL_WIPE_ALG_*. */
int volume_wipe(struct volume *volume, unsigned algorithm, struct error *err);
/* All bytes become 0, on disk on return. The caller has begun a change. */
int volume_zero(struct volume *volume, struct error *err);
/* Looks at the file anew, after a change. A failure leaves what was known. */
void volume_reread(struct volume *volume);

/* Its content as a stream, from offset, length bytes (0 = all there is). They take the stream over and go on in a fiber
 * of their own. holes: send and take holes as such. */
struct stream;
int volume_check_range(const struct volume *volume, uint64_t offset, uint64_t length, bool upload, struct error *err);
void volume_upload(struct volume_use *use, struct stream *stream, uint64_t offset, uint64_t length);
void volume_download(struct volume_use *use, struct stream *stream, uint64_t offset, uint64_t length, bool holes);
