/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convert/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "convert/xl.h"
#include "model/xml.h"

struct domain_def *source_read(enum source_format format, const char *text, size_t length, struct report *report,
                               struct error *err)
{
    if (format == SOURCE_FORMAT_XL)
        return xl_read(text, length, report, err);
    struct domain_def *def = domain_parse(text, (long)length, DOMAIN_PARSE_INACTIVE | DOMAIN_PARSE_BARE, NULL, err);
    if (def)
        def->id.set = false; /* also of a running guest it is the definition that is converted */
    return def;
}

#define DISK_MEMORY_KIB (UINT64_C(2) << 20)

static void disk_guest_fill(struct domain_def *def, const char *path, const char *format, bool block)
{
    struct disk *disk = arena_struct(def->arena, struct disk);
    disk->device = DISK_DEVICE_DISK;
    disk->source.type = block ? SOURCE_TYPE_BLOCK : SOURCE_TYPE_FILE;
    *(block ? &disk->source.dev : &disk->source.file) = path;
    disk->source.format = format;
    disk->target = "xvda";
    disk->bus = DISK_BUS_XEN;
    list_add(def->arena, &def->disks, disk);
    struct interface *interface = arena_struct(def->arena, struct interface);
    interface->type = INTERFACE_TYPE_NETWORK;
    interface->network = "default";
    list_add(def->arena, &def->interfaces, interface);
    def->type = VIRT_TYPE_XEN;
    def->os.type = OS_TYPE_LINUX;
    def->os.arch = "x86_64";
    def->memory = def->current_memory = DISK_MEMORY_KIB;
    def->vcpus_max = def->vcpus_current = 1;
    def->clock.offset = CLOCK_OFFSET_UTC;
    def->on_poweroff = LIFECYCLE_DESTROY;
    def->on_reboot = LIFECYCLE_RESTART;
    def->on_crash = LIFECYCLE_DESTROY;
}

struct domain_def *source_of_disk(const char *path, const char *format, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_free char *real = realpath(path, NULL);
    struct stat found;
    if (!real || stat(real, &found) < 0)
        return error_null_system(err, errno, "cannot find the image '%s'", path);
    struct domain_def *def = arena_struct(arena, struct domain_def);
    def->arena = arena;
    char *name = arena_strdup(arena, strrchr(real, '/') + 1), *dot = strrchr(name, '.');
    if (dot && dot != name)
        *dot = '\0';
    def->name = name;
    disk_guest_fill(def, arena_strdup(arena, real), arena_strdup(arena, format), S_ISBLK(found.st_mode));
    return domain_name_check(name, err) < 0 ? NULL : domain_edit(def);
}

int source_native_format(const char *name, enum source_format *format, struct error *err)
{
    *format = SOURCE_FORMAT_XL;
    if (string_equal(name, "xen-xl") || string_equal(name, "xen-xm"))
        return 0;
    return error_set(err, ERR_INVALID_ARG, "the format '%s' cannot be read; formats are xen-xl and xen-xm%s", name,
                     string_equal(name, "qemu-argv") ? " (for a QEMU command line write the XML anew, for example with "
                                                       "virt-install --print-xml)" : "");
}

static void unknown_left(const struct domain_def *def, struct report *report)
{
    scoped_text struct text unknown = {0};
    domain_unknown(def, &unknown);
    for (const char *at = text_string(&unknown); *at;) {
        size_t line = strcspn(at, "\n");
        report_left(report, "source/unknown", "", "%.*s is not known here and is kept as it is", (int)line, at);
        at += line + (at[line] == '\n');
    }
}

struct domain_def *source_convert(const struct domain_def *source, const struct rules_options *options,
                                  struct report *report, struct error *err)
{
    scoped_domain_def struct domain_def *def = domain_edit(source);
    if (rules_apply(def, options, report, err) < 0)
        return error_null_wrap(err, "cannot convert domain '%s'", def->name);
    unknown_left(def, report);
    scoped_free char *text = domain_format(def, DOMAIN_XML_SECURE | DOMAIN_XML_INACTIVE);
    scoped_domain_def struct domain_def *complete = domain_parse(text, -1, DOMAIN_PARSE_INACTIVE, NULL, err);
    if (!complete)
        return error_null_wrap(err, "domain '%s' would not be accepted after its conversion", def->name);
    return steal(def);
}
