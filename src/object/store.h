/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

/* Definitions on disk: DIRECTORY/UUID.xml, and an empty UUID.autostart beside it. The file is named by the UUID, which
 * never changes and is a safe file name, so that a rename of the object is one atomic replacement too. Writing waits
 * and is durable on return (base/files.h). */
struct store {
    char *directory;
};

void store_init(struct store *store, const char *directory);
void store_finish(struct store *store);
/* Calls found() for each definition with its content; what found() refuses is logged and left alone. */
int store_load(const struct store *store,
               int (*found)(void *owner, const char *xml, size_t length, const unsigned char uuid[UUID_SIZE],
                            bool autostart, struct error *err),
               void *owner, struct error *err);
/* The XML of one definition, in the arena. Does not wait. */
char *store_read(const struct store *store, struct arena *arena, const unsigned char uuid[UUID_SIZE],
                 struct error *err);
int store_write(const struct store *store, const unsigned char uuid[UUID_SIZE], const char *xml, struct error *err);
int store_remove(const struct store *store, const unsigned char uuid[UUID_SIZE], struct error *err);
int store_set_autostart(const struct store *store, const unsigned char uuid[UUID_SIZE], bool autostart,
                        struct error *err);
