/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/capabilities.h"

#include <string.h>
#include <sys/utsname.h>

#include "base/text.h"

static int compare_string(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool qemu_strings_have(const struct qemu_strings *strings, const char *string)
{
    return strings->count && bsearch(&string, strings->item, strings->count, sizeof string, compare_string);
}

bool qemu_caps_has_type(const struct qemu_caps *caps, const char *type)
{
    return qemu_strings_have(&caps->types, type);
}

bool qemu_caps_has(const struct qemu_caps *caps, const char *symbol)
{
    return qemu_strings_have(&caps->symbols, symbol);
}

const struct qemu_machine *qemu_caps_machine(const struct qemu_caps *caps, const char *name)
{
    for (size_t i = 0; i < caps->machine_count; i++) {
        const struct qemu_machine *machine = &caps->machines[i];
        if (name ? string_equal(name, machine->name) || string_equal(name, machine->alias) : machine->is_default)
            return machine;
    }
    return NULL;
}

const struct qemu_cpu_model *qemu_caps_cpu(const struct qemu_caps *caps, enum qemu_accel accel, const char *name)
{
    for (size_t i = 0; i < caps->accel[accel].cpu_count; i++)
        if (string_equal(caps->accel[accel].cpus[i].name, name))
            return &caps->accel[accel].cpus[i];
    return NULL;
}

/* --- from the document --- */

static const char *copy_string(struct arena *arena, const json_t *object, const char *key)
{
    return arena_strdup(arena, json_string_value(json_object_get(object, key)));
}

static uint32_t number(const json_t *object, const char *key)
{
    return (uint32_t)json_integer_value(json_object_get(object, key));
}

static bool flag(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static struct qemu_strings load_strings(struct arena *arena, const json_t *array)
{
    struct qemu_strings strings = {arena_new_array(arena, json_array_size(array) + 1, const char *), 0};
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *item = json_string_value(json_array_get(array, i));
        if (item)
            strings.item[strings.count++] = arena_strdup(arena, item);
    }
    qsort(strings.item, strings.count, sizeof *strings.item, compare_string);
    return strings;
}

static void load_machines(struct qemu_caps *caps, const json_t *array)
{
    caps->machines = arena_new_array(caps->arena, json_array_size(array) + 1, struct qemu_machine);
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *entry = json_array_get(array, i);
        caps->machines[caps->machine_count++] = (struct qemu_machine){
            .name = copy_string(caps->arena, entry, "name") ?: "",
            .alias = copy_string(caps->arena, entry, "alias"),
            .default_cpu = copy_string(caps->arena, entry, "default-cpu-type"),
            .default_ram_id = copy_string(caps->arena, entry, "default-ram-id"),
            .max_cpus = number(entry, "cpu-max"),
            .is_default = flag(entry, "is-default"),
            .hotpluggable_cpus = flag(entry, "hotpluggable-cpus"),
            .deprecated = flag(entry, "deprecated"),
            .numa_memory = flag(entry, "numa-mem-supported"),
        };
    }
}

static void load_cpus(struct arena *arena, struct qemu_accel_caps *accel, const json_t *array)
{
    accel->cpus = arena_new_array(arena, json_array_size(array) + 1, struct qemu_cpu_model);
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *entry = json_array_get(array, i);
        accel->cpus[accel->cpu_count++] = (struct qemu_cpu_model){
            .name = copy_string(arena, entry, "name") ?: "",
            .alias_of = copy_string(arena, entry, "alias-of"),
            .blockers = load_strings(arena, json_object_get(entry, "unavailable-features")).item,
            .deprecated = flag(entry, "deprecated"),
            .migration_safe = flag(entry, "migration-safe"),
        };
    }
}

static void load_accel(struct arena *arena, struct qemu_accel_caps *accel, const json_t *document)
{
    if (!document)
        return;
    const json_t *host = json_object_get(document, "host");
    accel->usable = true;
    load_cpus(arena, accel, json_object_get(document, "cpus"));
    accel->host_features = load_strings(arena, json_object_get(host, "features"));
    accel->host_vendor = copy_string(arena, host, "vendor");
    accel->host_model_id = copy_string(arena, host, "model-id");
    accel->host_family = number(host, "family");
    accel->host_model = number(host, "model");
    accel->host_stepping = number(host, "stepping");
}

struct qemu_caps *qemu_caps_load(const char *binary, const json_t *document)
{
    if (!json_is_string(json_object_get(document, "arch")) || !json_is_array(json_object_get(document, "machines")))
        return NULL;
    struct arena *arena = arena_new();
    struct qemu_caps *caps = arena_struct(arena, struct qemu_caps);
    const json_t *accels = json_object_get(document, "accels");
    caps->arena = arena;
    caps->binary = arena_strdup(arena, binary);
    caps->arch = copy_string(arena, document, "arch");
    caps->package = copy_string(arena, document, "package") ?: "";
    caps->version = number(document, "version");
    load_machines(caps, json_object_get(document, "machines"));
    caps->types = load_strings(arena, json_object_get(document, "types"));
    caps->symbols = load_strings(arena, json_object_get(document, "symbols"));
    caps->migration_capabilities = load_strings(arena, json_object_get(document, "migration-capabilities"));
    caps->migration_parameters = load_strings(arena, json_object_get(document, "migration-parameters"));
    caps->tpm_models = load_strings(arena, json_object_get(document, "tpm-models"));
    caps->tpm_types = load_strings(arena, json_object_get(document, "tpm-types"));
    load_accel(arena, &caps->accel[QEMU_TCG], json_object_get(accels, "tcg"));
    load_accel(arena, &caps->accel[QEMU_KVM], json_object_get(accels, "kvm"));
    return caps;
}

void qemu_caps_free(struct qemu_caps *caps)
{
    if (caps)
        arena_free(caps->arena);
}

/* --- binaries on this machine --- */

/* QEMU's targets and libvirt's names of the same, sorted by the latter. */
static const struct {
    const char *target, *arch;
} targets[] = {
    {"aarch64", "aarch64"}, {"alpha", "alpha"},     {"arm", "armv7l"},           {"cris", "cris"},
    {"i386", "i686"},       {"loongarch64", "loongarch64"}, {"m68k", "m68k"},    {"microblaze", "microblaze"},
    {"microblazeel", "microblazeel"}, {"mips", "mips"}, {"mips64", "mips64"},    {"mips64el", "mips64el"},
    {"mipsel", "mipsel"},   {"ppc", "ppc"},         {"ppc64", "ppc64"},          {"ppc64", "ppc64le"},
    {"riscv32", "riscv32"}, {"riscv64", "riscv64"}, {"s390x", "s390x"},          {"sh4", "sh4"},
    {"sh4eb", "sh4eb"},     {"sparc", "sparc"},     {"sparc64", "sparc64"},      {"x86_64", "x86_64"},
    {"xtensa", "xtensa"},   {"xtensaeb", "xtensaeb"},
};

static const char *find_program(struct arena *arena, const char *search_path, const char *name)
{
    for (const char *start = search_path; *start;) {
        size_t length = strcspn(start, ":");
        char *path = arena_printf(arena, "%.*s/%s", (int)length, start, name);
        if (length && access(path, X_OK) == 0)
            return path;
        start += length + (start[length] == ':');
    }
    return NULL;
}

static const char *find_emulator(struct arena *arena, const char *search_path, size_t target)
{
    const char *dirs = search_path ?: "/usr/local/bin:/usr/bin:/usr/libexec";
    const char *path = find_program(arena, dirs, arena_printf(arena, "qemu-system-%s", targets[target].target));
    struct utsname host;
    if (path || uname(&host) < 0 || !string_equal(host.machine, targets[target].arch))
        return path;
    return find_program(arena, dirs, "qemu-kvm") ?: find_program(arena, dirs, "kvm");
}

size_t qemu_emulators(struct arena *arena, const char *search_path, struct qemu_emulator **found)
{
    size_t count = 0;
    *found = arena_new_array(arena, COUNT(targets), struct qemu_emulator);
    for (size_t i = 0; i < COUNT(targets); i++) {
        const char *path = find_emulator(arena, search_path, i);
        if (path)
            (*found)[count++] = (struct qemu_emulator){path, targets[i].arch};
    }
    return count;
}

const char *qemu_default_emulator(struct arena *arena, const char *arch)
{
    for (size_t i = 0; i < COUNT(targets); i++)
        if (string_equal(arch, targets[i].arch))
            return find_emulator(arena, NULL, i);
    return NULL;
}

const char *qemu_canonical_machine(struct qemu_caps_cache *cache, const char *binary, const char *machine)
{
    struct error ignored;
    const struct qemu_caps *caps = qemu_caps_get(cache, binary, deadline_ms(30000), &ignored);
    const struct qemu_machine *found = caps ? qemu_caps_machine(caps, machine) : NULL;
    return found ? found->name : NULL;
}
