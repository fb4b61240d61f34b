/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/volume.h"

/* Pools and volumes: what is accepted comes out as a document that is accepted again and then stays the same. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_pool(const char *xml)
{
    struct error err = {0};
    scoped_pool_def struct pool_def *def = pool_parse(xml, 0, &err);
    if (!def) {
        if (!err.code || !*err.message)
            abort();
        return;
    }
    scoped_free char *first = pool_format(def);
    scoped_pool_def struct pool_def *again = pool_parse(first, 0, &err);
    if (!again)
        abort();
    scoped_free char *second = pool_format(again);
    scoped_pool_def struct pool_def *third = pool_parse(second, 0, &err);
    scoped_free char *last = third ? pool_format(third) : NULL;
    if (!last || strcmp(second, last) != 0)
        abort();
}

static void check_volume(const char *xml)
{
    struct error err = {0};
    scoped_arena struct arena *arena = arena_new();
    struct volume_def *def = volume_parse(arena, xml, 0, &err);
    if (!def) {
        if (!err.code || !*err.message)
            abort();
        return;
    }
    scoped_free char *first = volume_format(def);
    if (!volume_parse(arena, first, 0, &err))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped_free char *xml = xcalloc(size + 1, 1);
    memcpy(xml, data, size);
    check_pool(xml);
    check_volume(xml);
    return 0;
}
