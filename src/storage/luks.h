/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/process.h"
#include "model/encryption.h"
#include "secret/secret.h"

/* The key of an encrypted image, as qemu-img is given it. */
struct luks {
    const struct encryption *encryption; /* NULL = the image is not encrypted */
    struct secret *secret;               /* a reference */
    int fd;                              /* secret_pass() */
    const char *id;                      /* of the secret object */
};
void luks_finish(struct luks *luks);
#define scoped_luks scope_cleanup(luks_finish)
#define LUKS_NONE {.fd = -1}

/* The secret that an <encryption> names, or (none named, or xml NULL) the one whose usage is the volume at path. Not a
 * reference; ERR_NO_SECRET says how to make one. Does not wait. */
struct secret *luks_find(struct secrets *secrets, const char *xml, const char *path, struct error *err);
/* Whether it says which, or is not understood at all. */
bool luks_names_secret(const char *xml);
/* Gets the key. Everything lives in the arena. Does not wait. */
int luks_open(struct luks *luks, struct arena *arena, struct secrets *secrets, const char *xml, const char *path,
              const char *id, struct error *err);
/* Adds "--object secret,..."; nothing without encryption. */
void luks_add_object(struct argv *argv, const struct luks *luks);
/* Appends ",key-secret=..." and the like for making an image of that format ("luks", "qcow2"). */
void luks_add_options(struct text *options, const struct luks *luks, const char *format);
/* An image that is there, for qemu-img: without encryption "-f FORMAT PATH", else a name that says all of it. */
void luks_add_image(struct argv *argv, const struct luks *luks, const char *format, const char *path);
