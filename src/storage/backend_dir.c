/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/backend.h"

/* Files in a directory. */

static int check(struct pool_def *def, struct error *err)
{
    return def->target.path ? 0 : error_set(err, ERR_XML_ERROR, "missing storage pool target path");
}

const struct backend dir_backend = {
    .type = POOL_TYPE_DIR,
    .files = true,
    .check = check,
    .build = target_build,
    .erase = target_erase,
    .list = files_list,
    .create = files_create,
    .remove = files_remove,
    .resize = files_resize,
};
