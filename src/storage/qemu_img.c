/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/qemu_img.h"

#include <inttypes.h>
#include <string.h>

#include "storage/luks.h"
#include "storage/pool.h"
#include "storage/qemu_img_run.h"

#define PROGRAM "qemu-img"

int qemu_img_check_format(const char *format, struct error *err)
{
    static const char *const writable[] = {"qcow", "qcow2", "qed", "vmdk", "vdi", "vpc"};
    for (size_t i = 0; i < COUNT(writable); i++)
        if (strcmp(writable[i], format) == 0)
            return 0;
    return error_set(err, ERR_NO_SUPPORT, "images of format '%s' can be read but not made; formats that can be: raw, "
                     "qcow, qcow2, qed, vmdk, vdi, vpc", format);
}

/* What only qcow2 knows. */
static int check_options(const struct creation *creation, struct error *err)
{
    const struct volume_target *target = &creation->def->target;
    bool qcow2 = strcmp(creation->format, "qcow2") == 0;
    const char *first = target->compat           ? "compat"
                        : target->cluster_size   ? "clusterSize"
                        : target->lazy_refcounts ? "lazy_refcounts"
                        : target->extended_l2    ? "extended_l2"
                                                 : NULL;
    if (first && !qcow2)
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "<%s> is an option of qcow2 volumes, not of '%s'", first,
                         creation->format);
    if (target->compat && strcmp(target->compat, "0.10") != 0 && strcmp(target->compat, "1.1") != 0)
        return error_set(err, ERR_XML_ERROR, "<compat>%.20s</compat>: qcow2 has the versions 0.10 and 1.1",
                         target->compat);
    if (string_equal(target->compat, "0.10") && (target->lazy_refcounts || target->extended_l2))
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "%s needs qcow2 of <compat>1.1</compat>",
                         target->lazy_refcounts ? "lazy_refcounts" : "extended_l2");
    return 0;
}

const char *creation_encryption(const struct creation *creation)
{
    const char *asked = creation->def->target.encryption;
    if (asked && creation->source && volume_encrypted(creation->source) && !luks_names_secret(asked))
        return volume_encryption(creation->arena, creation->source);
    return asked;
}

/* A raw volume that is encrypted is LUKS and nothing else. */
static const char *target_format(const struct creation *creation)
{
    return creation->def->target.encryption && strcmp(creation->format, "raw") == 0 ? "luks" : creation->format;
}

static int open_target(struct luks *luks, struct arena *arena, const struct creation *creation, struct error *err)
{
    const char *key = creation_encryption(creation);
    struct secrets *secrets = creation->pool->storage->secrets;
    return key ? luks_open(luks, arena, secrets, key, creation->path, "target", err) : 0;
}

static const char *preallocation(const struct creation *creation)
{
    bool full = creation->allocation >= creation->capacity && !creation->source;
    if (strcmp(target_format(creation), "luks") == 0)
        return full ? "falloc" : NULL;
    return !(creation->flags & STORAGE_VOL_CREATE_PREALLOC_METADATA) ? NULL : full ? "falloc" : "metadata";
}

/* "-o compat=...,..."; nothing that a user wrote freely is in it. */
static void add_options(struct argv *argv, const struct creation *creation, const struct luks *luks)
{
    const struct volume_target *target = &creation->def->target;
    const char *allocated = preallocation(creation);
    scoped_text struct text options = {0};
    if (target->compat)
        text_printf(&options, ",compat=%s", target->compat);
    if (target->lazy_refcounts)
        text_append(&options, ",lazy_refcounts=on");
    if (target->extended_l2)
        text_append(&options, ",extended_l2=on");
    if (target->cluster_size)
        text_printf(&options, ",cluster_size=%" PRIu64, target->cluster_size);
    if (target->nocow)
        text_append(&options, ",nocow=on");
    if (allocated)
        text_printf(&options, ",preallocation=%s", allocated);
    luks_add_options(&options, luks, target_format(creation));
    if (options.length) {
        argv_add(argv, "-o");
        argv_add(argv, options.data + 1);
    }
}

/* A layer below, for qemu-img's word for it. */
static void add_backing(struct argv *argv, const struct creation *creation, const char *option)
{
    const struct volume_def *def = creation->def;
    if (!def->backing)
        return;
    argv_add(argv, option);
    argv_add(argv, def->backing->path);
    argv_add(argv, "-F");
    argv_add(argv, def->backing->format);
}

static struct argv *command(struct arena *arena, const char *verb)
{
    struct argv *argv = argv_new(arena);
    argv_add(argv, PROGRAM);
    argv_add(argv, verb);
    argv_add(argv, "-q");
    return argv;
}

static int run(const struct argv *argv, const struct luks *first, const struct luks *second, struct error *err)
{
    int keys[2];
    size_t count = 0;
    if (first && first->fd >= 0)
        keys[count++] = first->fd;
    if (second && second->fd >= 0)
        keys[count++] = second->fd;
    return qemu_img_run(&(struct image_run){.argv = argv, .pass_fds = keys, .pass_fd_count = count}, err);
}

int qemu_img_create(const struct creation *creation, const char *path, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_luks struct luks luks = LUKS_NONE;
    if (check_options(creation, err) < 0 || open_target(&luks, arena, creation, err) < 0)
        return -1;
    struct argv *argv = command(arena, "create");
    argv_add(argv, "-f");
    argv_add(argv, target_format(creation));
    luks_add_object(argv, &luks);
    add_options(argv, creation, &luks);
    add_backing(argv, creation, "-b");
    argv_add(argv, path);
    if (creation->def->capacity_set)
        argv_addf(argv, "%" PRIu64, creation->capacity);
    return run(argv, &luks, NULL, err);
}

int qemu_img_convert(const struct creation *creation, const char *path, struct error *err)
{
    const struct volume *source = creation->source;
    const char *from = strcmp(source->facts.format, "iso") == 0 ? "raw" : source->facts.format;
    scoped_arena struct arena *arena = arena_new();
    scoped_luks struct luks target = LUKS_NONE, key = LUKS_NONE;
    if (check_options(creation, err) < 0 || open_target(&target, arena, creation, err) < 0)
        return -1;
    if (volume_encrypted(source) && luks_open(&key, arena, creation->pool->storage->secrets,
                                              volume_encryption(arena, source), source->path, "source", err) < 0)
        return -1;
    struct argv *argv = command(arena, "convert");
    luks_add_object(argv, &target);
    luks_add_object(argv, &key);
    argv_add(argv, "-O");
    argv_add(argv, target_format(creation));
    add_options(argv, creation, &target);
    add_backing(argv, creation, "-B");
    luks_add_image(argv, &key, from, source->path);
    argv_add(argv, path);
    return run(argv, &target, &key, err);
}

int qemu_img_fill(const struct creation *creation, const char *path, struct error *err)
{
    const struct volume *source = creation->source;
    const char *from = strcmp(source->facts.format, "iso") == 0 ? "raw" : source->facts.format;
    const struct luks plain = LUKS_NONE;
    if (volume_encrypted(source))
        return error_set(err, ERR_NO_SUPPORT, "volume '%s' is encrypted, and a copy of it on a device would not be",
                         source->name);
    scoped_arena struct arena *arena = arena_new();
    struct argv *argv = command(arena, "convert");
    argv_add(argv, "-n"); /* the device is there; what it held before is written over, with zeros too */
    argv_add(argv, "-O");
    argv_add(argv, "raw");
    luks_add_image(argv, &plain, from, source->path);
    argv_add(argv, path);
    return run(argv, NULL, NULL, err);
}

int qemu_img_resize(const struct resizing *resizing, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_luks struct luks luks = LUKS_NONE;
    if (resizing->encryption && luks_open(&luks, arena, resizing->secrets, resizing->encryption, resizing->known_as,
                                          "image", err) < 0)
        return -1;
    struct argv *argv = command(arena, "resize");
    luks_add_object(argv, &luks);
    if (resizing->shrink)
        argv_add(argv, "--shrink");
    luks_add_image(argv, &luks, resizing->format, resizing->path);
    argv_addf(argv, "%" PRIu64, resizing->capacity);
    return run(argv, &luks, NULL, err);
}
