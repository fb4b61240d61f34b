/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/backend.h"

/* Files in a directory. */

static int check(struct pool_def *def, struct error *err)
{
    return def->target.path ? 0 : error_set(err, ERR_XML_ERROR, "missing storage pool target path");
}

static int build(struct pool *pool, const struct pool_def *def, unsigned flags, struct error *err)
{
    if (flags) /* nothing is ever formatted here, so there is nothing that these could mean */
        return error_set(err, ERR_ARGUMENT_UNSUPPORTED,
                         "a pool of type 'dir' is a directory, which is made or there already: neither --overwrite "
                         "nor --no-overwrite has a meaning");
    return target_make(def, err);
}

static int erase(struct pool *pool, const struct pool_def *def, struct error *err)
{
    return target_remove(def, err);
}

const struct backend dir_backend = {
    .type = POOL_TYPE_DIR,
    .files = true,
    .check = check,
    .build = build,
    .erase = erase,
    .list = files_list,
    .create = files_create,
    .remove = files_remove,
    .resize = files_resize,
};
