/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/block.h"
#include "storage/pool.h"

/* The multipath devices of the host, as the device mapper has them: /sys tells all, no program is needed. */

static int check(struct pool_def *def, struct error *err)
{
    if (!def->target.path)
        def->target.path = "/dev/mapper";
    return 0;
}

/* They are the host's: there is one set of them. */
static bool same(const struct pool_def *a, const struct pool_def *b)
{
    return true;
}

static bool take(struct arena *arena, const struct block_scan *scan, const char *entry, struct listed *item)
{
    uint64_t sectors = 0;
    const char *uuid = block_value(arena, scan, entry, "dm/uuid"), *key = uuid ? string_after(uuid, "mpath-") : NULL;
    const char *name = key ? block_value(arena, scan, entry, "dm/name") : NULL;
    const char *size = name ? block_value(arena, scan, entry, "size") : NULL;
    if (!size)
        return false;
    parse_u64(size, 10, &sectors);
    item->name = arena_strdup(arena, entry);
    item->path = arena_printf(arena, "/dev/mapper/%s", name);
    item->key = key;
    block_facts(item->path, sectors * 512, &item->facts);
    return true;
}

static int start(struct pool *pool, struct pool_def *def, struct error *err)
{
    return block_require_module("/sys/class/misc/device-mapper", "dm_mod", err);
}

static int list(struct pool *pool, const struct pool_def *def, struct listing *listing, struct error *err)
{
    return block_list(&(struct block_scan){.directory = "/sys/block", .take = take}, listing, err);
}

const struct backend mpath_backend = {
    .type = POOL_TYPE_MPATH,
    .check = check,
    .same = same,
    .start = start,
    .list = list,
};
