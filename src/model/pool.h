/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "model/part.h"

/* A storage pool as its XML describes it. Immutable once it is published, like a domain's definition (domain.h); it
 * owns its arena and is counted by references. */

/* <permissions>, of a pool's directory and of a volume. */
struct permissions {
    struct extra *extra;
    const char *mode;                   /* octal digits with a leading 0, checked; NULL = not said */
    struct optional_i32 owner, group;   /* -1 = whoever runs the daemon */
    const char *label;
};

/* The mode bits, or fallback when none are said. part may be NULL. */
uint32_t permissions_mode(const struct permissions *part, uint32_t fallback);
/* For chown(): -1 when nothing is said. part may be NULL. */
uint32_t permissions_owner(const struct permissions *part);
uint32_t permissions_group(const struct permissions *part);

struct pool_host {
    struct extra *extra;
    const char *name;
    uint32_t port; /* 0 = the protocol's own */
};

struct pool_device {
    struct extra *extra;
    const char *path;
    enum yesno part_separator;
};

struct pool_auth {
    struct extra *extra;
    const char *type, *username;
    const char *secret_type, *secret_uuid, *secret_usage;
};

struct pool_adapter_source {
    struct extra *extra;
    enum pool_adapter type;
    const char *name, *parent, *wwnn, *wwpn;
    enum yesno managed;
};

struct pool_source {
    struct extra *extra;
    LIST_OF(pool_host) hosts;
    LIST_OF(pool_device) devices;
    const char *dir;                     /* exported directory */
    struct pool_adapter_source *adapter;
    const char *name;                    /* volume group, RBD pool, ... */
    const char *initiator;
    const char *format;                  /* the words depend on the pool's type */
    struct pool_auth *auth;
    const char *vendor, *product;
    const char *protocol_ver;            /* NFS */
};

struct pool_target {
    struct extra *extra;
    const char *path; /* absolute, without a slash at the end */
    struct permissions *permissions;
};

struct pool_def {
    struct extra *extra;
    struct arena *arena;
    unsigned references;
    enum pool_type type;
    const char *name;
    unsigned char uuid[UUID_SIZE];
    bool uuid_set; /* always, after parsing: one is made when none is given */
    uint64_t capacity, allocation, available; /* bytes; only told, never read */
    enum yesno cow;
    struct pool_source source;
    struct pool_target target;
    enum volume_allocation refresh_allocation;
};

enum pool_parse_flags {
    POOL_PARSE_VALIDATE = 1, /* elements and attributes that the tables do not know are errors */
};

/* The definition in the XML text. Errors: ERR_XML_DETAIL (not well-formed), ERR_XML_ERROR. What a type needs is its
 * backend's business (storage/backend.h). */
struct pool_def *pool_parse(const char *xml, unsigned flags, struct error *err);
/* The XML in libvirt's layout; to be freed. */
char *pool_format(const struct pool_def *def);
/* A <source> document alone, for find-storage-pool-sources. Lives in the arena. */
struct pool_source *pool_source_parse(struct arena *arena, const char *xml, struct error *err);

/* The same as an element inside <sources>. */
void pool_source_format(struct text *out, const struct pool_source *source);

/* A private copy with one reference, which its holder may change until it publishes it. */
struct pool_def *pool_edit(const struct pool_def *def);
struct pool_def *pool_def_ref(struct pool_def *def);
void pool_def_free(struct pool_def *def); /* NULL is fine */
DEFINE_SCOPED(pool_def_scope, struct pool_def *, pool_def_free)
#define scoped_pool_def scope_cleanup(pool_def_scope)
/* Paths of what no table knows, one a line. */
void pool_unknown(const struct pool_def *def, struct text *paths);
