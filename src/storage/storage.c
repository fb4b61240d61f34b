/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/storage.h"

#include <string.h>

#include "base/files.h"
#include "base/log.h"
#include "storage/pool.h"

static int make_directories(struct storage *storage, const char *root, struct error *err)
{
    const struct {
        char **field;
        const char *path;
    } directories[] = {
        {&storage->definitions_dir, "etc/godwit/pools"},
        {&storage->run_dir, "run/godwit/pools"},
        {&storage->images_dir, "var/lib/libvirt/images"},
    };
    for (size_t i = 0; i < COUNT(directories); i++) {
        *directories[i].field = xprintf("%s%s%s", root, string_ends(root, "/") ? "" : "/", directories[i].path);
        if (directories[i].field != &storage->images_dir && directory_make(*directories[i].field, 0711, err) < 0)
            return -1;
    }
    return 0;
}

static int define_default(struct storage *storage, struct error *err)
{
    if (directory_make(storage->images_dir, 0711, err) < 0)
        return -1;
    scoped_text struct text xml = {0};
    text_append(&xml, "<pool type='dir'><name>default</name><target><path>");
    for (const char *c = storage->images_dir; *c; c++) /* the root may have any name */
        *c == '&' || *c == '<' ? text_printf(&xml, "&#%d;", *c) : text_append_char(&xml, *c);
    text_append(&xml, "</path></target></pool>");
    struct pool_def *def = pool_parse(text_string(&xml), 0, err);
    struct object *object = def ? object_claim(&storage->pools, def->name, def->uuid, err) : NULL;
    if (!object) {
        pool_def_free(def);
        return -1;
    }
    int rc = object_store_def(object, def, err);
    if (rc == 0)
        rc = object_set_autostart(object, true, err);
    if (rc < 0)
        object_forget_if_unused(object);
    object_unref(object);
    return rc;
}

/* Clients expect a pool `default`. A user who undefines it is not given it again, so a mark says that it was made. */
static int make_default(struct storage *storage, struct error *err)
{
    scoped_free char *mark = xprintf("%s/default.made", storage->definitions_dir);
    if (access(mark, F_OK) == 0)
        return 0;
    if (!registry_find_name(&storage->pools, "default", NULL) && define_default(storage, err) < 0)
        return error_wrap(err, "cannot define the pool 'default'");
    return file_write_durable(mark, "", 0, 0600, err);
}

struct storage *storage_new(const struct storage_options *options, struct error *err)
{
    struct storage *storage = xcalloc(1, sizeof *storage);
    memcpy(storage->host_uuid, options->host_uuid, UUID_SIZE);
    storage->secrets = options->secrets;
    if (make_directories(storage, options->root, err) < 0) {
        storage_free(storage);
        return NULL;
    }
    registry_init(&storage->pools, &pool_kind, storage, storage->definitions_dir);
    if (registry_load(&storage->pools, err) < 0 || make_default(storage, err) < 0) {
        storage_free(storage);
        return NULL;
    }
    pools_attach(storage);
    return storage;
}

static int autostart_one(struct object *object, struct error *err)
{
    return pool_start(pool_of(object), 0, "autostart", err);
}

void storage_autostart(struct storage *storage)
{
    scoped_free char *mark = xprintf("%s/autostarted", storage->run_dir);
    registry_autostart(&storage->pools, mark, autostart_one);
}

void storage_free(struct storage *storage)
{
    if (!storage)
        return;
    if (storage->pools.kind)
        registry_finish(&storage->pools);
    free(storage->definitions_dir);
    free(storage->run_dir);
    free(storage->images_dir);
    free(storage);
}
