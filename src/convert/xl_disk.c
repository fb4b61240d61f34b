/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convert/xl_disk.h"

#include <string.h>

#include "base/text.h"
#include "model/xml.h"

/* What the specification says, before it becomes a disk of the model. */
struct spec {
    struct arena *arena;
    const struct xl_value *value;
    const char *setting;
    struct report *report;
    struct error *err;
    const char *target, *format, *vdev, *access, *backend, *backend_type, *script;
    bool cdrom, prefixed; /* an older prefix stands before the target: then no format follows it */
    bool discard, no_discard, unsafe_cache;
};

/* Formats of xl and their name in QEMU. */
static const struct {
    const char *xl, *qemu;
} formats[] = {{"raw", "raw"}, {"qcow", "qcow"}, {"qcow2", "qcow2"}, {"vhd", "vpc"}, {"qed", "qed"}, {"empty", NULL}};

/* What stood before a target. A script prepares the device; QEMU has its own way for these. */
static const struct {
    const char *prefix, *format, *backend_type, *script;
} prefixes[] = {
    {"tap2:", NULL, "tap", NULL},      {"tap:", NULL, "tap", NULL},       {"tapdisk:", NULL, "tap", NULL},
    {"aio:", "raw", NULL, NULL},       {"raw:", "raw", NULL, NULL},       {"qcow:", "qcow", NULL, NULL},
    {"qcow2:", "qcow2", NULL, NULL},   {"vhd:", "vhd", NULL, NULL},       {"phy:", "raw", "phy", NULL},
    {"file:", "raw", NULL, NULL},      {"ioemu:", NULL, NULL, NULL},      {"iscsi:", NULL, NULL, "block-iscsi"},
    {"nbd:", NULL, NULL, "block-nbd"}, {"enbd:", NULL, NULL, "block-enbd"}, {"drbd:", NULL, NULL, "block-drbd"},
};

static int wrong(const struct spec *spec, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int wrong(const struct spec *spec, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *message = arena_vprintf(spec->arena, format, args);
    va_end(args);
    return xl_wrong(spec->err, spec->value, spec->setting, "'%.200s': %s", spec->value->text, message);
}

static int format_set(struct spec *spec, const char *word)
{
    for (size_t i = 0; i < COUNT(formats); i++)
        if (strcmp(formats[i].xl, word) == 0) {
            spec->format = formats[i].xl;
            return 0;
        }
    return wrong(spec, "format '%s' is not known; formats are raw, qcow, qcow2, vhd, qed and empty", word);
}

static int access_set(struct spec *spec, const char *word)
{
    static const char *const words[] = {"r", "ro", "w", "rw", "w!"};
    for (size_t i = 0; i < COUNT(words); i++)
        if (strcmp(word, words[i]) == 0) {
            spec->access = words[i];
            return 0;
        }
    return wrong(spec, "access '%s' is not known; it is r or w", word);
}

static void target_set(struct spec *spec, const char *target)
{
    for (bool found = true; found;) {
        found = false;
        for (size_t i = 0; i < COUNT(prefixes) && !found; i++) {
            const char *rest = string_after(target, prefixes[i].prefix);
            if (!rest)
                continue;
            found = spec->prefixed = true;
            target = rest;
            spec->format = prefixes[i].format ? prefixes[i].format : spec->format;
            spec->backend_type = prefixes[i].backend_type ? prefixes[i].backend_type : spec->backend_type;
            spec->script = prefixes[i].script ? prefixes[i].script : spec->script;
        }
    }
    bool device_name = string_equal(spec->backend_type, "phy") && *target && *target != '/';
    spec->target = device_name ? arena_printf(spec->arena, "/dev/%s", target) : target;
}

/* hdc:cdrom is xm's; d0p1 is xl's own name for the first partition of the first disk. */
static void vdev_set(struct spec *spec, const char *vdev)
{
    const char *colon = strchr(vdev, ':');
    if (colon) {
        spec->cdrom = spec->cdrom || strcmp(colon + 1, "cdrom") == 0;
        vdev = arena_strndup(spec->arena, vdev, (size_t)(colon - vdev));
    }
    unsigned disk, partition = 0;
    int used = 0;
    bool numbered = (sscanf(vdev, "d%3up%2u%n", &disk, &partition, &used) == 2 && !vdev[used]) ||
                    (sscanf(vdev, "d%3u%n", &disk, &used) == 1 && !vdev[used]);
    if (numbered && disk < 26)
        vdev = arena_printf(spec->arena, partition ? "xvd%c%u" : "xvd%c", (char)('a' + disk), partition);
    spec->vdev = vdev;
}

/* "xvda", "hdc", "sdab3": letters, perhaps a partition's number. */
static bool vdev_is_name(const char *vdev)
{
    const char *rest = string_after(vdev, "xvd");
    rest = rest ? rest : string_after(vdev, "hd");
    rest = rest ? rest : string_after(vdev, "sd");
    size_t letters = rest ? strspn(rest, "abcdefghijklmnopqrstuvwxyz") : 0;
    return letters && letters < 4 && strspn(rest + letters, "0123456789") == strlen(rest + letters);
}

/* A word without '='. Returns 1 when it is one of them. */
static int flag_take(struct spec *spec, const char *word)
{
    static const char *const ignored[] = {"devtype=disk", "disk", "colo", "no-colo", "direct-io-safe", "removable=1",
                                          "removable=0"};
    for (size_t i = 0; i < COUNT(ignored); i++)
        if (strcmp(word, ignored[i]) == 0) {
            spec->unsafe_cache |= strcmp(word, "direct-io-safe") == 0;
            return 1;
        }
    if (strcmp(word, "cdrom") == 0)
        spec->cdrom = true;
    else if (strcmp(word, "discard") == 0)
        spec->discard = true;
    else if (strcmp(word, "no-discard") == 0)
        spec->no_discard = true;
    else
        return 0;
    return 1;
}

/* NAME=VALUE. Returns 1 when it is one, 0 when not, -1 when its value is wrong. */
static int key_take(struct spec *spec, char *word)
{
    const char *value;
    if ((value = string_after(word, "format=")))
        return format_set(spec, value) < 0 ? -1 : 1;
    if ((value = string_after(word, "access=")))
        return access_set(spec, value) < 0 ? -1 : 1;
    if ((value = string_after(word, "vdev="))) {
        vdev_set(spec, value);
        return 1;
    }
    if ((value = string_after(word, "devtype="))) {
        if (strcmp(value, "cdrom") != 0)
            return wrong(spec, "devtype '%s' is not known; it is disk or cdrom", value);
        spec->cdrom = true;
        return 1;
    }
    if ((value = string_after(word, "backendtype=")))
        spec->backend_type = value;
    else if ((value = string_after(word, "backend=")))
        spec->backend = value;
    else if ((value = string_after(word, "script=")))
        spec->script = value;
    else
        return 0;
    return 1;
}

static int position_take(struct spec *spec, const char *word)
{
    if (!spec->target)
        target_set(spec, word);
    else if (!spec->prefixed && !spec->format)
        return format_set(spec, *word ? word : "raw");
    else if (!spec->vdev)
        vdev_set(spec, word);
    else if (!spec->access)
        return access_set(spec, *word ? word : "w");
    else if (*word)
        return wrong(spec, "there is no use for '%s'; the words are target, format, vdev and access", word);
    return 0;
}

static char *trimmed(struct arena *arena, const char *begin, size_t length)
{
    while (length && (*begin == ' ' || *begin == '\t')) {
        begin++;
        length--;
    }
    while (length && (begin[length - 1] == ' ' || begin[length - 1] == '\t'))
        length--;
    return arena_strndup(arena, begin, length);
}

static int spec_read(struct spec *spec)
{
    const char *at = spec->value->text;
    for (bool more = true; more;) {
        at += strspn(at, " \t");
        const char *rest = string_after(at, "target=");
        if (rest) { /* the last one: commas in it belong to it */
            target_set(spec, rest);
            break;
        }
        size_t length = strcspn(at, ",");
        char *word = trimmed(spec->arena, at, length);
        more = at[length] == ',';
        at += length + more;
        int taken = flag_take(spec, word);
        taken = taken ? taken : key_take(spec, word);
        if (taken < 0 || (taken == 0 && position_take(spec, word) < 0))
            return -1;
    }
    if (!spec->vdev || !*spec->vdev)
        return wrong(spec, "it does not say which device of the guest it is (vdev=xvda)");
    if (!vdev_is_name(spec->vdev))
        return wrong(spec, "'%s' is no name of a disk in the guest; names are like xvda, hda, sda1 or d0p1",
                     spec->vdev);
    bool named = spec->target && *spec->target;
    if (named && spec->script) /* what the script made of the target is not known here */
        spec->target = arena_printf(spec->arena, "/dev/%s/%s", spec->script, spec->target);
    else if (named && *spec->target != '/')
        return wrong(spec, "the path '%s' does not begin with /", spec->target);
    return 0;
}

static void backend_left(const struct spec *spec)
{
    const char *subject = arena_printf(spec->arena, "disk %s", spec->vdev);
    if (spec->script)
        report_left(spec->report, "xl/disk", subject, "the block script '%s' made its device; make it on the target "
                    "host and name it in <source> in place of '%s'", spec->script, spec->target ? spec->target : "");
    if (spec->backend && strcmp(spec->backend, "0") != 0 && strcmp(spec->backend, "Domain-0") != 0)
        report_left(spec->report, "xl/disk", subject, "driver domain '%s' provided it; make its image available on the "
                    "target host", spec->backend);
}

static const char *qemu_format(const char *xl)
{
    for (size_t i = 0; i < COUNT(formats); i++)
        if (xl && strcmp(formats[i].xl, xl) == 0)
            return formats[i].qemu;
    return "raw";
}

int xl_disk_add(struct domain_def *def, const struct xl_value *value, const char *setting, struct report *report,
                struct error *err)
{
    if (value->kind != XL_ATOM)
        return xl_wrong(err, value, setting, "a disk is described by a string, not by a list");
    struct arena *arena = def->arena;
    struct spec spec = {.arena = arena, .value = value, .setting = setting, .report = report, .err = err};
    if (spec_read(&spec) < 0)
        return -1;
    struct disk *disk = arena_struct(arena, struct disk);
    bool empty = !spec.target || !*spec.target || string_equal(spec.format, "empty");
    disk->device = spec.cdrom ? DISK_DEVICE_CDROM : DISK_DEVICE_DISK;
    if (empty && !spec.cdrom)
        return wrong(&spec, "a disk needs a target; only a CD-ROM drive may be empty");
    disk->source.type = !empty && string_starts(spec.target, "/dev/") ? SOURCE_TYPE_BLOCK : SOURCE_TYPE_FILE;
    if (!empty && disk->source.type == SOURCE_TYPE_BLOCK)
        disk->source.dev = spec.target;
    else if (!empty)
        disk->source.file = spec.target;
    disk->driver_name = string_equal(spec.backend_type, "phy")   ? "phy"
                        : string_equal(spec.backend_type, "tap") ? "tap"
                                                                 : "qemu";
    if (!empty)
        disk->source.format = qemu_format(spec.format);
    disk->discard = spec.discard ? DISK_DISCARD_UNMAP : spec.no_discard ? DISK_DISCARD_IGNORE : DISK_DISCARD_ABSENT;
    disk->readonly = spec.cdrom || string_equal(spec.access, "r") || string_equal(spec.access, "ro");
    disk->shareable = string_equal(spec.access, "w!");
    disk->target = spec.vdev;
    disk->bus = string_starts(spec.vdev, "hd")   ? DISK_BUS_IDE
                : string_starts(spec.vdev, "sd") ? DISK_BUS_SCSI
                                                 : DISK_BUS_XEN;
    list_add(arena, &def->disks, disk);
    backend_left(&spec);
    return 0;
}
