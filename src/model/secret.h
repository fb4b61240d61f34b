/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "model/part.h"

/* A secret as its XML describes it: what it is for, never its value. Immutable once it is published; it owns its arena
 * and is counted by references. */
struct secret_def {
    struct extra *extra;
    struct arena *arena;
    unsigned references;
    enum yesno ephemeral;     /* its value is never on disk */
    enum yesno private;       /* its value is never told to a client */
    unsigned char uuid[UUID_SIZE];
    bool uuid_set;            /* always, after parsing: one is made when none is given */
    const char *description;
    enum secret_usage usage;  /* SECRET_USAGE_ABSENT for none */
    const char *volume, *name, *target; /* the one that the usage has */
};

enum secret_parse_flags {
    SECRET_PARSE_VALIDATE = 1, /* elements and attributes that the table does not know are errors */
};

/* The definition in the XML text. Errors: ERR_XML_DETAIL (not well-formed), ERR_XML_ERROR. */
struct secret_def *secret_parse(const char *xml, unsigned flags, struct error *err);
/* The XML in libvirt's layout; to be freed. */
char *secret_format(const struct secret_def *def);
/* What it is used for: a volume's path, a target's or a client's name; "" without a usage. */
const char *secret_usage_id(const struct secret_def *def);
/* The protocol's number, SECRET_USAGE_TYPE_*. */
int secret_usage_type(const struct secret_def *def);

struct secret_def *secret_def_ref(struct secret_def *def);
void secret_def_free(struct secret_def *def); /* NULL is fine */
DEFINE_SCOPED(secret_def_scope, struct secret_def *, secret_def_free)
#define scoped_secret_def scope_cleanup(secret_def_scope)
/* Paths of what the table does not know, one a line. */
void secret_unknown(const struct secret_def *def, struct text *paths);
