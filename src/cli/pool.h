/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/text.h"
#include "cli/command.h"
#include "cli/shell.h"
#include "client_stubs.h"

/* What the commands about storage pools and volumes share. */

/* Waits. The pool of --pool, or of a word, by name or UUID. Names live in the invocation's arena. */
int pool_get(struct invocation *in, struct wire_storage_pool *pool, struct error *err);
int pool_find(struct invocation *in, const char *word, struct wire_storage_pool *pool, struct error *err);
/* Waits. The volume of --vol: by its name when --pool is given, by key, by path. */
int volume_get(struct invocation *in, struct wire_storage_vol *volume, struct error *err);
/* The same with the pool in another option (NULL: none). */
int volume_find(struct invocation *in, const char *word, const char *pool_option, struct wire_storage_vol *volume,
                struct error *err);
/* Waits. NULL on failure. */
const char *volume_path(struct invocation *in, const struct wire_storage_vol *volume, struct error *err);

/* A word for the protocol's number. */
const char *pool_state_word(int state);

/* A size as people read it ("10.00 GiB"), or when the option --bytes was given in bytes, with `unit` behind it. */
void record_size(struct record *record, const struct invocation *in, const char *key, const char *label, uint64_t bytes,
                 const char *unit);
char *size_text(struct arena *arena, uint64_t bytes);

/* Appends <tag attribute='value'/> or (attribute NULL) <tag>value</tag> on a line of its own, escaped; nothing when
 * value is NULL. */
void xml_line(struct text *xml, unsigned indent, const char *tag, const char *attribute, const char *value);

void complete_pools(struct completion *completion);

#define POOL_HELP   "storage pool by name or UUID"
#define POOL_OPTION {"pool", OPTION_STRING, OPTION_REQUIRED, POOL_HELP, complete_pools}
#define VOLUME_OPTION {"vol", OPTION_STRING, OPTION_REQUIRED, "volume by name, key or path"}
/* The pool of a volume, which is needed when the volume is named by its name. */
#define VOLUME_POOL_OPTION {"pool", OPTION_STRING, 0, "the pool of the volume, by name or UUID", complete_pools}
