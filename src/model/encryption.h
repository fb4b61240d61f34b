/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "model/part.h"

/* <encryption> of a volume or a disk, which the definitions keep as text. */

struct encryption_secret {
    struct extra *extra;
    const char *type;        /* "passphrase" */
    const char *uuid, *usage;
};

struct encryption {
    struct extra *extra;
    const char *format;      /* "luks" */
    const char *engine;      /* "qemu", "librbd" */
    LIST_OF(encryption_secret) secrets;
    const char *cipher, *cipher_mode, *cipher_hash; /* NULL = as QEMU chooses */
    uint32_t cipher_size;
    const char *ivgen, *ivgen_hash;
};

/* The element in the text. Refuses formats other than LUKS, words that no cipher's name has, and more than one secret
 * (ERR_CONFIG_UNSUPPORTED, ERR_XML_ERROR). */
struct encryption *encryption_parse(struct arena *arena, const char *xml, struct error *err);
