/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/qemu_img.h"

#include <inttypes.h>
#include <string.h>

#include "base/process.h"

#define PROGRAM    "qemu-img"
#define OUTPUT_MAX 65536
#define LONGEST_MS (UINT64_C(24) * 60 * 60 * 1000) /* a copy that takes longer than a day hangs */

static int run(const struct argv *argv, struct error *err)
{
    scoped_text struct text output = {0};
    return process_run(argv, &output, OUTPUT_MAX, deadline_ms(LONGEST_MS), err);
}

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

/* "-o compat=...,..."; nothing that a user wrote freely is in it. */
static void add_options(struct argv *argv, const struct creation *creation)
{
    const struct volume_target *target = &creation->def->target;
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
    if (creation->flags & STORAGE_VOL_CREATE_PREALLOC_METADATA)
        text_printf(&options, ",preallocation=%s",
                    creation->allocation >= creation->capacity && !creation->source ? "falloc" : "metadata");
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

/* "qemu-img VERB" on an image of that format. */
static struct argv *command(struct arena *arena, const char *verb, const char *format)
{
    struct argv *argv = argv_new(arena);
    argv_add(argv, PROGRAM);
    argv_add(argv, verb);
    argv_add(argv, "-q");
    argv_add(argv, "-f");
    argv_add(argv, format);
    return argv;
}

int qemu_img_create(const struct creation *creation, const char *path, struct error *err)
{
    if (check_options(creation, err) < 0)
        return -1;
    scoped_arena struct arena *arena = arena_new();
    struct argv *argv = command(arena, "create", creation->format);
    add_options(argv, creation);
    add_backing(argv, creation, "-b");
    argv_add(argv, path);
    if (creation->def->capacity_set)
        argv_addf(argv, "%" PRIu64, creation->capacity);
    return run(argv, err);
}

int qemu_img_convert(const struct creation *creation, const char *path, struct error *err)
{
    const char *from = creation->source->facts.format;
    if (check_options(creation, err) < 0)
        return -1;
    scoped_arena struct arena *arena = arena_new();
    struct argv *argv = command(arena, "convert", strcmp(from, "iso") == 0 ? "raw" : from);
    argv_add(argv, "-O");
    argv_add(argv, creation->format);
    add_options(argv, creation);
    add_backing(argv, creation, "-B");
    argv_add(argv, creation->source->path);
    argv_add(argv, path);
    return run(argv, err);
}

int qemu_img_resize(const char *path, const char *format, uint64_t capacity, bool shrink, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct argv *argv = command(arena, "resize", format);
    if (shrink)
        argv_add(argv, "--shrink");
    argv_add(argv, path);
    argv_addf(argv, "%" PRIu64, capacity);
    return run(argv, err);
}
