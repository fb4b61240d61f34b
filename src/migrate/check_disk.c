/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/check.h"

#include <string.h>

/* Rules about disks and files. In the answer, `disks` has an object for each disk that was asked for, by target. */

struct pair {
    const json_t *here, *there; /* there NULL = the destination said nothing of it */
    const char *subject, *path; /* path as the destination has it */
    bool readonly, copied;
};

static bool local(const json_t *disk)
{
    const char *path = fact_text(disk, "there");
    return fact_text(disk, "volume") || (path && *path == '/');
}

/* As the destination's definition names it. */
static const char *path_of(struct check *check, const json_t *disk)
{
    const char *path = fact_text(disk, "there"), *pool = fact_text(disk, "pool");
    return path ? path : arena_printf(check->arena, "volume '%s' of pool '%s'", fact_text(disk, "volume"), pool ?: "");
}

/* Calls rule() for each disk that lies in a file or block device. */
static void each_disk(struct check *check, void (*rule)(struct check *check, const struct pair *pair))
{
    const json_t *disks = fact(check->question, "guest.disks"), *found = fact(check->answer, "disks");
    for (size_t i = 0; i < json_array_size(disks); i++) {
        const json_t *disk = json_array_get(disks, i);
        if (!local(disk))
            continue;
        const char *target = fact_text(disk, "target");
        rule(check, &(struct pair){
                        .here = disk,
                        .there = fact_find(found, "target", target),
                        .subject = arena_printf(check->arena, "disk %s", target ?: "?"),
                        .path = path_of(check, disk),
                        .readonly = fact_flag(disk, "readonly") == 1,
                        .copied = fact_flag(disk, "copied") == 1,
                    });
    }
}

/* What is wrong with a file there: NULL when it can be used. */
static const char *fault_of(struct check *check, const json_t *file, bool writing)
{
    const char *error = fact_text(file, "error");
    if (error)
        return arena_printf(check->arena, "%s", error);
    return writing && fact_flag(file, "writable") == 0 ? "cannot be written" : NULL;
}

static void present(struct check *check, const struct pair *pair)
{
    if (!check->answer || pair->copied)
        return;
    if (!pair->there) {
        check_unknown(check, pair->subject, pair->path, NULL);
        return;
    }
    const char *fault = fault_of(check, pair->there, !pair->readonly);
    if (!fault)
        check_good(check, pair->subject, pair->path, "can be opened");
    else if (fact_flag(pair->here, "optional") == 1)
        check_good(check, pair->subject, pair->path, arena_printf(check->arena, "%s; its tray will be empty", fault));
    else
        check_bad(check, pair->subject, pair->path, fault,
                  fact_flag(pair->here, "removable") == 1
                      ? "eject the medium, or put it at the same path there"
                      : "make the storage available at the same path there, name its path with --xml, or copy it with "
                        "--copy-storage-all");
}

void check_disk_present(struct check *check)
{
    each_disk(check, present);
}

static void same(struct check *check, const struct pair *pair)
{
    if (!check->answer || pair->readonly || pair->copied || (pair->there && fault_of(check, pair->there, true)))
        return; /* there is nothing to be the same: another rule says so */
    int proven = fact_flag(pair->there, "same");
    const char *how = fact_text(pair->there, "how"), *kind = fact_text(pair->here, "file.system");
    const char *here = kind ? arena_printf(check->arena, "%s on %s", fact_text(pair->here, "path") ?: pair->path, kind)
                            : pair->path;
    if (proven < 0)
        check_unknown(check, pair->subject, here, how);
    else if (proven)
        check_good(check, pair->subject, here, how ?: "the same");
    else
        check_bad(check, pair->subject, here, how ?: "another file of that name",
                  "mount the same storage at that path there, name the right path with --xml, or copy the disk with "
                  "--copy-storage-all");
}

void check_disk_same(struct check *check)
{
    each_disk(check, same);
}

static void room(struct check *check, const struct pair *pair)
{
    int64_t size, there, available;
    if (!check->answer || !pair->copied)
        return;
    bool known = fact_number(pair->here, "file.allocated", &size) &&
                 fact_number(pair->there, "available", &available);
    if (!known) {
        const char *fault = fact_text(pair->there, "directory_error");
        if (fault)
            check_bad(check, pair->subject, pair->path, fault, "make that directory there, or name another with --xml");
        else
            check_unknown(check, pair->subject, pair->path, NULL);
        return;
    }
    fact_number(pair->there, "allocated", &there);
    const char *here = arena_printf(check->arena, "%lld MiB", (long long)size >> 20);
    const char *found = arena_printf(check->arena, "%lld MiB free", (long long)available >> 20);
    if (size > available + there)
        check_bad(check, pair->subject, here, found, "make room there, or name a path on a larger file system with "
                                                     "--xml");
    else
        check_good(check, pair->subject, here, found);
}

void check_disk_room(struct check *check)
{
    each_disk(check, room);
}

static void chain(struct check *check, const struct pair *pair)
{
    const json_t *layers = fact(pair->here, "chain"), *found = fact(pair->there, "chain");
    bool whole = pair->copied && fact_flag(check->question, "options.copy_increment") != 1;
    size_t good = 0;
    if (!check->answer || whole || !json_array_size(layers))
        return;
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const char *path = fact_text(json_array_get(layers, i), "path");
        const json_t *layer = fact_find(found, "path", path);
        const char *fault = fault_of(check, layer, false);
        if (layer && fault)
            check_bad(check, pair->subject, path, fault, "make that backing file available there, or copy the disk "
                                                         "whole with --copy-storage-all");
        good += layer && !fault;
    }
    if (!found)
        check_unknown(check, pair->subject, arena_printf(check->arena, "%zu layers", json_array_size(layers)), NULL);
    else if (good == json_array_size(layers))
        check_good(check, pair->subject, arena_printf(check->arena, "%zu layers", good), "all there");
}

void check_disk_chain(struct check *check)
{
    each_disk(check, chain);
}

void check_disk_network(struct check *check)
{
    const json_t *disks = fact(check->question, "guest.disks"), *found = fact(check->answer, "disks");
    for (size_t i = 0; i < json_array_size(disks) && check->answer; i++) {
        const json_t *disk = json_array_get(disks, i), *servers = fact(disk, "servers");
        const json_t *there = fact_find(found, "target", fact_text(disk, "target"));
        const char *subject = arena_printf(check->arena, "disk %s", fact_text(disk, "target") ?: "?");
        const char *fault = fact_text(there, "unreachable");
        const json_t *first = json_array_get(servers, 0);
        const char *server = arena_printf(check->arena, "%s port %s", fact_text(first, "host") ?: "",
                                          fact_text(first, "port") ?: "");
        if (!json_array_size(servers))
            continue;
        if (fault)
            check_bad(check, subject, server, fault, "let that host reach the storage server too");
        else if (there)
            check_good(check, subject, server, "reached");
        else
            check_unknown(check, subject, server, NULL);
    }
}

static void format(struct check *check, const struct pair *pair)
{
    const char *wanted = fact_text(pair->here, "format");
    int qcow2 = fact_flag(pair->there, "qcow2");
    if (qcow2 < 0 || pair->copied || !wanted || strcmp(wanted, "qcow2"))
        return;
    if (qcow2)
        check_good(check, pair->subject, wanted, wanted);
    else
        check_bad(check, pair->subject, wanted, "is no qcow2 image", "put the right image there, or name its path with "
                  "--xml");
}

void check_disk_format(struct check *check)
{
    each_disk(check, format);
}

static void cache(struct check *check, const struct pair *pair)
{
    const char *mode = fact_text(pair->here, "cache") ?: "default";
    if (pair->readonly || pair->copied || !strcmp(mode, "unsafe")) /* the last is another rule's */
        return;
    if (!strcmp(mode, "none") || !strcmp(mode, "directsync"))
        check_good(check, pair->subject, mode, NULL);
    else
        check_bad(check, pair->subject, mode, NULL, "set cache='none' at its next start");
}

void check_disk_cache(struct check *check)
{
    each_disk(check, cache);
}

static void flush(struct check *check, const struct pair *pair)
{
    const char *mode = fact_text(pair->here, "cache");
    if (!pair->readonly && !pair->copied && mode && !strcmp(mode, "unsafe"))
        check_bad(check, pair->subject, mode, NULL, "set cache='none' at its next start");
}

void check_disk_flush(struct check *check)
{
    each_disk(check, flush);
}

/* -- other files --------------------------------------------------------------------------------------------------- */

void check_files(struct check *check)
{
    const json_t *files = fact(check->question, "guest.files"), *found = fact(check->answer, "files");
    for (size_t i = 0; i < json_array_size(files) && check->answer; i++) {
        const json_t *file = json_array_get(files, i);
        const char *path = fact_text(file, "path"), *role = fact_text(file, "role");
        const json_t *there = fact_find(found, "path", path);
        const char *fault = fault_of(check, there, false);
        if (!there)
            check_unknown(check, role, path, NULL);
        else if (fault)
            check_bad(check, role, path, fault, "install or copy it there, or name another with --xml");
        else
            check_good(check, role, path, "there");
    }
}

void check_secrets(struct check *check)
{
    const json_t *secrets = fact(check->question, "guest.secrets"), *found = fact(check->answer, "secrets");
    for (size_t i = 0; i < json_array_size(secrets) && check->answer; i++) {
        const char *name = fact_item(secrets, i);
        if (!found)
            check_unknown(check, "secret", name, NULL);
        else if (fact_list_has(found, name))
            check_good(check, "secret", name, "defined");
        else
            check_bad(check, "secret", name, "not defined", "define it there with the same UUID (secret-define, "
                      "secret-set-value)");
    }
}

void check_tpm(struct check *check)
{
    const json_t *tpms = fact(check->question, "guest.tpms"), *models = fact(check->answer, "qemu.tpm_models");
    for (size_t i = 0; i < json_array_size(tpms) && check->answer; i++) {
        const char *model = fact_text(json_array_get(tpms, i), "model") ?: "tpm-tis";
        const char *backend = fact_text(json_array_get(tpms, i), "backend") ?: "";
        if (!models)
            check_unknown(check, NULL, model, NULL);
        else if (!fact_list_has(models, model))
            check_bad(check, NULL, model, "QEMU does not have it", "install a QEMU there that has it");
        else if (!strcmp(backend, "emulator") && fact_flag(check->answer, "host.swtpm") == 0)
            check_bad(check, NULL, model, "swtpm is not installed", "install swtpm there");
        else
            check_good(check, NULL, model, "can be emulated");
    }
}
