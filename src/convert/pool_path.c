/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convert/pool_path.h"

#include <sys/stat.h>

#include "model/pool.h"

const char *pool_directory(struct arena *arena, const char *xml, struct error *err)
{
    scoped_pool_def struct pool_def *pool = pool_parse(xml, 0, err);
    struct stat found;
    if (!pool)
        return NULL;
    bool files = pool->type == POOL_TYPE_DIR || pool->type == POOL_TYPE_FS || pool->type == POOL_TYPE_NETFS;
    if (!files || !pool->target.path)
        return error_null(err, ERR_OPERATION_INVALID, "it is of type '%s', and disks are copied into directories; "
                          "make a pool of type dir, fs or netfs", pool_type_name(pool->type));
    if (stat(pool->target.path, &found) < 0 || !S_ISDIR(found.st_mode))
        return error_null(err, ERR_OPERATION_INVALID, "its directory '%s' is not on this host", pool->target.path);
    return arena_strdup(arena, pool->target.path);
}
