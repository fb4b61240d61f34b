/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/image_operand.h"

#include <string.h>

enum { NEW_IMAGE_MODE = 0600 };

void image_operand_finish(struct image_operand *operand)
{
    volume_end(&operand->use);
    luks_finish(&operand->luks);
    file_work_abandon(&operand->file);
    file_work_free(operand->file);
    file_work_abandon(&operand->data);
    file_work_free(operand->data);
    if (operand->pool) {
        operand->pool->works--;
        pool_unref(operand->pool);
    }
    *operand = (struct image_operand)IMAGE_OPERAND;
}

/* -- names --------------------------------------------------------------------------------------------------------- */

/* The pool of "POOL/VOLUME", and the volume's name. */
static struct pool *find_pool(struct arena *arena, struct storage *storage, const char *word, const char **name,
                              struct error *err)
{
    const char *slash = strchr(word, '/');
    if (!slash || strchr(slash + 1, '/'))
        return error_null(err, ERR_INVALID_ARG, "'%s' is no image: say its absolute path, or POOL/VOLUME", word);
    *name = slash + 1;
    struct object *object =
        registry_find_name(&storage->pools, arena_strndup(arena, word, (size_t)(slash - word)), err);
    scoped_pool struct pool *pool = object ? pool_of(object_ref(object)) : NULL;
    return pool && pool_require_active(pool, err) == 0 ? steal(pool) : NULL;
}

/* The active pool that has this directory. Not a reference. */
static struct pool *pool_at(struct storage *storage, const char *directory)
{
    for (struct object *object = registry_first(&storage->pools); object; object = registry_next(object)) {
        struct pool *pool = pool_of(object);
        const struct pool_def *def = object_active(object) && pool->ready ? pool_def(pool, NULL) : NULL;
        if (def && pool_backend(pool)->files && string_equal(def->target.path, directory))
            return pool;
    }
    return NULL;
}

static void take_pool(struct image_operand *operand, struct pool *pool)
{
    operand->pool = pool;
    pool->works++; /* it is not stopped under us */
}

const char *image_operand_path(struct arena *arena, struct storage *storage, const char *word, struct error *err)
{
    const char *name;
    if (*word == '/')
        return word;
    scoped_pool struct pool *pool = find_pool(arena, storage, word, &name, err);
    struct volume *volume = pool ? volume_find(pool, name, err) : NULL;
    return volume ? arena_strdup(arena, volume->path) : NULL;
}

/* -- images that are there ----------------------------------------------------------------------------------------- */

struct look {
    struct task task;
    char *path;
    struct image image;
};

static void look_run(struct task *task)
{
    struct look *look = container_of(task, struct look, task);
    image_read(look->path, &look->image, &task->error);
}

static void look_release(struct task *task)
{
    struct look *look = container_of(task, struct look, task);
    free(look->path);
    free(look);
}

/* What cannot be read ends it: qemu-img has its own words for that. */
static void chain_run(struct task *task)
{
    struct look *look = container_of(task, struct look, task);
    scoped_free char *at = xstrdup(look->path);
    for (int depth = 0; at && image_read(at, &look->image, NULL) == 0; depth++) {
        char *next = image_backing_path(at, &look->image);
        free(at);
        at = next;
        if (at && depth == IMAGE_DEPTH_MAX) {
            error_set(&task->error, ERR_OPERATION_INVALID, "'%s' has more than %d images below it, or is one of them "
                      "itself", look->path, IMAGE_DEPTH_MAX);
            return;
        }
    }
}

static struct look *look_new(const char *path, void (*run)(struct task *task))
{
    struct look *look = xcalloc(1, sizeof *look);
    look->task = (struct task){.run = run, .release = look_release};
    look->path = xstrdup(path);
    return look;
}

int image_check_chain(const char *path, struct error *err)
{
    scoped_task struct task *task = &look_new(path, chain_run)->task;
    return task_run(&task, deadline_ms(TASK_MS), err);
}

/* What the header says; of a volume, too, since it may have been written since the pool looked. */
static int read_header(struct image_operand *operand, struct arena *arena, bool *encrypted, bool *names_files,
                       struct error *err)
{
    struct look *look = look_new(operand->path, look_run);
    scoped_task struct task *task = &look->task;
    if (task_run(&task, deadline_ms(TASK_MS), err) < 0)
        return -1;
    scoped_free char *backing = image_backing_path(operand->path, &look->image);
    operand->format = look->image.format;
    operand->backed = look->image.has_backing;
    operand->backing = arena_strdup(arena, backing);
    *encrypted = look->image.encrypted;
    *names_files = look->image.names_files;
    return 0;
}

int image_operand_find(struct image_operand *operand, struct arena *arena, struct storage *storage, const char *word,
                       unsigned how, const char *operation, struct error *err)
{
    const char *name;
    struct pool *pool;
    operand->shown = word;
    if (*operand->shown != '/') {
        pool = find_pool(arena, storage, operand->shown, &name, err);
        if (!pool)
            return -1;
        take_pool(operand, pool);
    } else {
        name = strrchr(operand->shown, '/') + 1;
        scoped_free char *directory = xprintf("%.*s", (int)(name - 1 - operand->shown), operand->shown);
        operand->path = operand->shown;
        pool = pool_at(storage, directory);
        if (!pool || !volume_find(pool, name, NULL))
            return 0;
        take_pool(operand, pool_of(object_ref(&pool->object)));
    }
    struct volume *volume = volume_find(pool, name, err);
    if (!volume)
        return -1;
    operand->path = arena_strdup(arena, volume->path);
    return volume_begin(&operand->use, volume, how & IMAGE_CHANGE, operation, err);
}

int image_operand_open(struct image_operand *operand, struct arena *arena, struct storage *storage, const char *word,
                       const char *format, unsigned how, const char *operation, struct error *err)
{
    bool encrypted, names_files;
    if (image_operand_find(operand, arena, storage, word, how, operation, err) < 0 ||
        read_header(operand, arena, &encrypted, &names_files, err) < 0)
        return -1;
    if (!format && names_files && !(how & IMAGE_TRUST))
        return error_set(err, ERR_OPERATION_DENIED, "by its header '%s' is %s and may name other files of the host, "
                         "which a guest that writes to a raw disk could have made it say: name its format (--format, "
                         "--second-format), %s or raw", operand->path, operand->format, operand->format);
    if (format)
        operand->format = format;
    const char *key = operand->use.volume && encrypted ? volume_encryption(arena, operand->use.volume) : NULL;
    bool named = string_equal(operand->format, "raw") ? !format : string_equal(operand->format, "qcow2");
    if (!encrypted || !(named || string_equal(operand->format, "luks")))
        return 0;
    if (how & IMAGE_LOCKED) {
        operand->format = string_equal(operand->format, "raw") ? "luks" : operand->format;
        return 0;
    }
    if (luks_open(&operand->luks, arena, storage->secrets, key, operand->path, "", err) < 0)
        return -1;
    operand->luks.id = arena_printf(arena, "key%d", operand->luks.fd);
    return 0;
}

/* -- new ones ------------------------------------------------------------------------------------------------------ */

int image_operand_make(struct image_operand *operand, struct arena *arena, struct storage *storage, const char *word,
                       struct error *err)
{
    operand->shown = operand->path = word;
    if (*word != '/') {
        const char *name;
        struct pool *pool = find_pool(arena, storage, word, &name, err);
        if (!pool)
            return -1;
        take_pool(operand, pool);
        if (volume_check_name(name, err) < 0)
            return -1;
        if (!pool_backend(pool)->files)
            return error_set(err, ERR_NO_SUPPORT, "pool '%s' is of type '%s', in which images are no files; make the "
                             "volume first (vol-create-as)", pool_name(pool),
                             pool_type_name(pool_def(pool, NULL)->type));
        operand->path = arena_printf(arena, "%s/%s", pool_def(pool, NULL)->target.path, name);
    }
    operand->file = file_work_new(operand->path);
    operand->file->temporary = files_temporary_path(storage, operand->file->directory);
    operand->file->mode = NEW_IMAGE_MODE;
    struct pool *pool = operand->pool ? NULL : pool_at(storage, operand->file->directory);
    if (pool)
        take_pool(operand, pool_of(object_ref(&pool->object)));
    return file_work_run(&operand->file, step_make, err);
}

int image_operand_make_data(struct image_operand *operand, const char *path, struct error *err)
{
    operand->data = file_work_new(path);
    operand->data->mode = NEW_IMAGE_MODE;
    return file_work_run(&operand->data, step_make_named, err);
}

/* It belongs to an image that has its name, or may still get it from a worker that was not waited for. */
static void keep_data(struct image_operand *operand)
{
    if (!operand->data || (operand->file && operand->file->temporary))
        return;
    free(operand->data->temporary);
    operand->data->temporary = NULL;
}

int image_operand_publish(struct image_operand *operand, const char *client, struct error *err)
{
    struct error ignored = {0};
    if ((operand->data && file_work_run(&operand->data, step_flush_named, err) < 0) ||
        file_work_run(&operand->file, step_flush, err) < 0)
        return -1;
    int rc = file_work_run(&operand->file, step_publish, err);
    keep_data(operand);
    if (rc < 0)
        return -1;
    if (operand->pool)
        pool_refresh(operand->pool, client, &ignored); /* the image is there in any case */
    return 0;
}
