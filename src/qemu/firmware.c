/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>

#include "base/files.h"
#include "base/json.h"
#include "base/text.h"
#include "qemu/command.h"

/* Firmware descriptors as QEMU's docs/interop/firmware.json defines them: one JSON file each, packages' in
 * /usr/share/qemu/firmware, the administrator's in /etc/qemu/firmware, where a file of the same name hides the
 * package's and an empty one removes it. They are tried in the order of their names. */

#define DESCRIPTOR_MAX (256u << 10)
#define NVRAM_MAX      (64u << 20)

static const char *const directories[] = {"etc/qemu/firmware", "usr/share/qemu/firmware"};

struct names {
    struct arena *arena;
    const char **item;
    size_t count;
};

static int name_found(void *owner, const char *name, struct error *err)
{
    struct names *names = owner;
    if (!string_ends(name, ".json"))
        return 0;
    for (size_t i = 0; i < names->count; i++)
        if (string_equal(names->item[i], name))
            return 0;
    const char **grown = arena_new_array(names->arena, names->count + 1, const char *);
    if (names->count)
        memcpy(grown, names->item, names->count * sizeof *grown);
    grown[names->count++] = arena_strdup(names->arena, name);
    names->item = grown;
    return 0;
}

static int compare_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The administrator's, or else the package's; NULL when neither is a descriptor. */
static json_t *descriptor_load(struct arena *arena, const char *root, const char *name)
{
    for (size_t i = 0; i < COUNT(directories); i++) {
        size_t length;
        char *data = file_read(arena, arena_printf(arena, "%s%s/%s", root, directories[i], name), DESCRIPTOR_MAX,
                               &length, NULL);
        if (data)
            return length ? json_read(data, length, NULL) : NULL;
    }
    return NULL;
}

static bool has_word(const json_t *array, const char *word)
{
    for (size_t i = 0; i < json_array_size(array); i++)
        if (string_equal(json_string_value(json_array_get(array, i)), word))
            return true;
    return false;
}

static bool fits_machine(const json_t *descriptor, const char *arch, const char *machine)
{
    const char *target_arch = string_equal(arch, "i686") ? "i386" : string_equal(arch, "armv7l") ? "arm" : arch;
    const json_t *targets = json_object_get(descriptor, "targets");
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const json_t *target = json_array_get(targets, i), *machines = json_object_get(target, "machines");
        if (!string_equal(json_string_value(json_object_get(target, "architecture")), target_arch))
            continue;
        for (size_t j = 0; j < json_array_size(machines); j++)
            if (fnmatch(json_string_value(json_array_get(machines, j)) ?: "", machine, 0) == 0)
                return true;
    }
    return false;
}

/* Flash firmware only: all UEFI builds that distributions ship are. */
static bool firmware_read(struct arena *arena, const json_t *descriptor, struct qemu_firmware *firmware)
{
    const json_t *mapping = json_object_get(descriptor, "mapping"), *features = json_object_get(descriptor, "features");
    const json_t *executable = json_object_get(mapping, "executable");
    const json_t *template = json_object_get(mapping, "nvram-template");
    if (!has_word(json_object_get(descriptor, "interface-types"), "uefi") ||
        !string_equal(json_string_value(json_object_get(mapping, "device")), "flash") ||
        !string_equal(json_string_value(json_object_get(executable, "format")), "raw"))
        return false;
    *firmware = (struct qemu_firmware){
        .loader = arena_strdup(arena, json_string_value(json_object_get(executable, "filename"))),
        .nvram_template = arena_strdup(arena, json_string_value(json_object_get(template, "filename"))),
        .secure_boot = has_word(features, "secure-boot"),
        .enrolled_keys = has_word(features, "enrolled-keys"),
        .requires_smm = has_word(features, "requires-smm"),
    };
    return firmware->loader && access(firmware->loader, R_OK) == 0;
}

size_t qemu_firmware_list(struct arena *arena, const char *root, const char *arch, const char *machine,
                          struct qemu_firmware **found)
{
    struct names names = {arena, NULL, 0};
    struct error ignored;
    size_t count = 0;
    root = root ?: "/";
    for (size_t i = 0; i < COUNT(directories); i++)
        directory_list(arena_printf(arena, "%s%s", root, directories[i]), name_found, &names, &ignored);
    if (names.count)
        qsort(names.item, names.count, sizeof *names.item, compare_name);
    *found = arena_new_array(arena, names.count + 1, struct qemu_firmware);
    for (size_t i = 0; i < names.count; i++) {
        json_t *descriptor = descriptor_load(arena, root, names.item[i]);
        if (descriptor && fits_machine(descriptor, arch, machine) && firmware_read(arena, descriptor, &(*found)[count]))
            count++;
        json_decref(descriptor);
    }
    return count;
}

/* What the definition says about a firmware feature. */
static enum yesno wanted(const struct os *os, enum firmware_feature_name name)
{
    for (uint32_t i = 0; i < os->firmware_features.count; i++)
        if (os->firmware_features.item[i]->name == name)
            return os->firmware_features.item[i]->enabled;
    return name == FIRMWARE_FEATURE_NAME_SECURE_BOOT ? os->loader_secure : YESNO_ABSENT;
}

static bool agrees(enum yesno wish, bool has)
{
    return !wish || (wish == YESNO_YES) == has;
}

static bool fits(const struct domain_def *def, const struct qemu_firmware *firmware)
{
    const struct os *os = &def->os;
    if (os->loader && !string_equal(os->loader, firmware->loader))
        return false;
    if (os->nvram_template && !string_equal(os->nvram_template, firmware->nvram_template))
        return false;
    if (firmware->requires_smm && def->features && def->features->smm == ONOFF_OFF)
        return false;
    return agrees(wanted(os, FIRMWARE_FEATURE_NAME_SECURE_BOOT), firmware->secure_boot) &&
           agrees(wanted(os, FIRMWARE_FEATURE_NAME_ENROLLED_KEYS), firmware->enrolled_keys);
}

static void adopt(struct domain_def *def, const struct qemu_firmware *firmware)
{
    struct os *os = &def->os;
    if (!os->loader) {
        os->loader = arena_strdup(def->arena, firmware->loader);
        os->loader_readonly = YESNO_YES;
        os->loader_type = LOADER_TYPE_PFLASH;
        if (firmware->secure_boot)
            os->loader_secure = YESNO_YES;
        if (firmware->requires_smm) {
            if (!def->features)
                def->features = arena_struct(def->arena, struct features);
            def->features->smm = ONOFF_ON;
        }
    }
    if (!os->nvram_template)
        os->nvram_template = arena_strdup(def->arena, firmware->nvram_template);
}

int qemu_firmware_select(struct domain_def *def, const char *root, const char *nvram_dir, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct os *os = &def->os;
    if (os->loader && !*os->loader)
        os->loader = NULL; /* <loader secure='yes'/> names none */
    bool pflash = os->loader && os->loader_type == LOADER_TYPE_PFLASH;
    bool choose = os->firmware == OS_FIRMWARE_EFI && !os->loader;
    struct qemu_firmware *all;
    size_t count = 0, i = 0;
    if (choose || (pflash && !os->nvram_template)) {
        count = qemu_firmware_list(arena, root, os->arch ?: "x86_64", os->machine ?: "", &all);
        while (i < count && !fits(def, &all[i]))
            i++;
        if (choose && i == count)
            return error_set(
                err, ERR_CONFIG_UNSUPPORTED,
                "domain '%s' asks for <os firmware='efi'>, but none of the %zu UEFI builds installed for "
                "%s fits: install package ovmf (qemu-efi-aarch64 for ARM) or change its secure boot wishes",
                def->name, count, os->machine);
        if (i < count)
            adopt(def, &all[i]);
    }
    bool stateless = os->loader_stateless == YESNO_YES;
    if ((choose || pflash) && !os->nvram && !os->nvram_type && os->nvram_template && !stateless && nvram_dir)
        os->nvram = arena_printf(def->arena, "%s/%s_VARS.fd", nvram_dir, def->name);
    return 0;
}

int qemu_nvram_create(const struct domain_def *def, bool reset, struct error *err)
{
    const struct os *os = &def->os;
    if (!os->nvram || (!reset && access(os->nvram, F_OK) == 0))
        return 0;
    if (!os->nvram_template)
        return error_set(err, ERR_OPERATION_FAILED,
                         "domain '%s' has no NVRAM file '%s' and no template to make it from: set <nvram template=...>",
                         def->name, os->nvram);
    scoped_arena struct arena *arena = arena_new();
    size_t length;
    char *data = file_read(arena, os->nvram_template, NVRAM_MAX, &length, err);
    if (!data)
        return error_wrap(err, "the NVRAM template of domain '%s'", def->name);
    const char *slash = strrchr(os->nvram, '/');
    if (slash && directory_make(arena_strndup(arena, os->nvram, (size_t)(slash - os->nvram)), 0711, err) < 0)
        return -1;
    return file_write_durable(os->nvram, data, length, 0600, err);
}
