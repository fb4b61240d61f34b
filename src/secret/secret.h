/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/secret.h"
#include "object/job.h"
#include "object/object.h"

/* The secrets of one host: passphrases of encrypted volumes, passwords of storage servers. Definitions are objects like
 * domains, named by their UUID; an ephemeral one is active and has no definition on disk. Values lie beside the
 * definitions, encrypted with a key that lies elsewhere (var/lib/godwit/secrets.key, mode 0600, made with the first
 * value), so that copies of the configuration, backups and a disk that is given away without that key tell nobody
 * anything. Who is root on the running host can read both; there is no protection from that without a TPM. */
struct secret {
    struct object object; /* first: secret_of() */
    uint8_t *value;       /* of an ephemeral one alone; NULL = not set */
    size_t value_length;
    const struct secret_def *coming; /* on its way to the disk */
};

struct secrets {
    struct registry registry;
    char *definitions_dir; /* etc/godwit/secrets: UUID.xml, and UUID.value, which is encrypted */
    char *key_path;
    bool making_key;       /* the first value is being stored */
    struct condition key_made;
    void *owner; /* of the callback, which may be NULL */
    /* SECRET_EVENT_ID_*; event: SECRET_EVENT_*, of a lifecycle event. Must not wait. */
    void (*notify)(void *owner, struct secret *secret, int event_id, int event);
};

/* Reads the definitions below the root directory. */
struct secrets *secrets_new(const char *root, struct error *err);
void secrets_free(struct secrets *secrets);

static inline struct secret *secret_of(struct object *object)
{
    return object ? container_of(object, struct secret, object) : NULL;
}
static inline void secret_unref(struct secret *secret)
{
    object_unref(&secret->object);
}
DEFINE_SCOPED(secret_scope, struct secret *, secret_unref)
#define scoped_secret scope_cleanup(secret_scope)

/* Lookups do not wait and return no references. usage is SECRET_USAGE_TYPE_*; the errors are ERR_NO_SECRET. */
struct secret *secret_find_uuid(struct secrets *secrets, const unsigned char uuid[UUID_SIZE], struct error *err);
struct secret *secret_find_usage(struct secrets *secrets, int usage, const char *id, struct error *err);
/* What <secret uuid='...'/> or <secret usage='...'/> means: one of them is NULL. */
struct secret *secret_find(struct secrets *secrets, const char *uuid, int usage, const char *id, struct error *err);

/* The definition; NULL when the stored one cannot be read. Not a reference. Does not wait. */
const struct secret_def *secret_def(struct secret *secret, struct error *err);

/* These wait. client says in messages who asked. */

/* Makes a secret or changes what is known of it; its value stays. Returns a reference. */
struct secret *secret_define(struct secrets *secrets, const char *xml, unsigned flags, const char *client,
                             struct error *err);
int secret_undefine(struct secret *secret, const char *client, struct error *err);
/* The value is on disk on return, unless the secret is ephemeral. An empty one is refused: it would replace a key by
 * nothing. */
int secret_set_value(struct secret *secret, const uint8_t *value, size_t length, const char *client,
                     struct error *err);

/* A value in the hands of somebody who needs it; wiped at the end. */
struct secret_value {
    uint8_t *data;
    size_t length;
};
void secret_value_finish(struct secret_value *value);
#define scoped_secret_value scope_cleanup(secret_value_finish)
/* ERR_NO_SECRET when none was set. For the daemon's own use, so private ones, too. Does not wait. */
int secret_value(struct secret *secret, struct secret_value *value, struct error *err);
/* What a client may see: refuses private ones (ERR_INVALID_SECRET). */
int secret_value_for_client(struct secret *secret, struct secret_value *value, struct error *err);

/* The value for another program of ours, in an unnamed file of memory: neither arguments nor a disk ever hold it. A
 * descriptor, which the program inherits with its number, or -1. Does not wait. */
int secret_pass(struct secret *secret, struct error *err);
/* What QEMU's programs call such a file: the value of their option --object. */
char *secret_pass_object(struct arena *arena, const char *id, int fd);
