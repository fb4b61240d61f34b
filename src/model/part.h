/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "model/enums.h"

/* What the structs of the model are made of. Everything lies in the definition's arena. What is absent in the XML is
 * NULL, 0 or PREFIX_ABSENT, unless a number may be 0: then it is an optional_*. */

/* Elements and attributes that the tables do not know, kept verbatim (see xml.h). */
struct extra;

struct optional_u32 {
    uint32_t value;
    bool set;
};

struct optional_i32 {
    int32_t value;
    bool set;
};

struct optional_u64 {
    uint64_t value;
    bool set;
};

/* Elements of one kind in document order: for (uint32_t i = 0; i < def->disks.count; i++) ... def->disks.item[i]. */
#define LIST_OF(type)      \
    struct {               \
        struct type **item; \
        uint32_t count, capacity; \
    }

#define MAC_SIZE 6

struct mac {
    unsigned char byte[MAC_SIZE];
    bool set;
};
/* "52:54:00:01:02:03" */
char *mac_text(struct arena *arena, const struct mac *mac);
