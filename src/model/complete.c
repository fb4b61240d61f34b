/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/complete.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "model/complete_devices.h"
#include "model/xml.h"

#define NUMA_CELLS_MAX 128 /* QEMU's MAX_NODES */
#define MEMORY_MOST_KIB (UINT64_C(1) << 42) /* 4 PiB: as far as 52 bits of physical address reach */
#define NAME_LONGEST   240 /* with what is put behind it, a file name has at most 255 bytes */

/* In the names of machine types, with or without a version. */
bool machine_is_q35(const struct domain_def *def)
{
    const char *machine = def->os.machine;
    return machine && (string_equal(machine, "q35") || string_starts(machine, "pc-q35"));
}

bool machine_is_pc(const struct domain_def *def)
{
    const char *machine = def->os.machine;
    return machine && (string_equal(machine, "pc") || string_starts(machine, "pc-i440fx") ||
                       string_starts(machine, "pc-0.") || string_starts(machine, "pc-1.") ||
                       string_starts(machine, "rhel"));
}

static bool is_x86(const struct domain_def *def)
{
    return string_equal(def->os.arch, "x86_64") || string_equal(def->os.arch, "i686");
}

static int os_complete(struct domain_def *def, const struct domain_defaults *defaults, struct error *err)
{
    struct os *os = &def->os;
    if (string_equal(os->arch, "i386") || string_equal(os->arch, "i486") || string_equal(os->arch, "i586"))
        os->arch = "i686";
    if (!os->arch)
        os->arch = arena_strdup(def->arena, defaults && defaults->arch ? defaults->arch : "x86_64");
    if (!def->emulator && defaults && defaults->emulator)
        def->emulator = arena_strdup(def->arena, defaults->emulator(defaults->owner, def->type, os->arch));
    if (!def->emulator && defaults && defaults->emulator)
        return error_set(err, ERR_CONFIG_UNSUPPORTED,
                         "domain '%s': no emulator for arch '%s' is installed here; install one or name it in "
                         "<emulator>",
                         def->name, os->arch);
    if (defaults && defaults->machine) {
        const char *canonical = defaults->machine(defaults->owner, def->emulator, def->type, os->machine);
        if (canonical)
            os->machine = arena_strdup(def->arena, canonical);
    }
    if (!os->machine && defaults && os->type == OS_TYPE_HVM && is_x86(def))
        os->machine = "pc"; /* as QEMU takes it */
    if (os->loader && !os->loader_type && os->loader_readonly == YESNO_YES && (os->nvram || os->nvram_template))
        os->loader_type = LOADER_TYPE_PFLASH;
    if (defaults && defaults->nvram_directory && os->loader && os->loader_type == LOADER_TYPE_PFLASH &&
        os->loader_readonly == YESNO_YES && os->loader_stateless != YESNO_YES && !os->nvram && !os->nvram_type)
        os->nvram = arena_printf(def->arena, "%s/%s_VARS.fd", defaults->nvram_directory, def->name);
    return 0;
}

bool boots_by_order(const struct domain_def *def)
{
    for (uint32_t i = 0; i < def->disks.count; i++)
        if (def->disks.item[i]->info.boot_order)
            return true;
    for (uint32_t i = 0; i < def->interfaces.count; i++)
        if (def->interfaces.item[i]->info.boot_order)
            return true;
    for (uint32_t i = 0; i < def->hostdevs.count; i++)
        if (def->hostdevs.item[i]->info.boot_order)
            return true;
    for (uint32_t i = 0; i < def->redirdevs.count; i++)
        if (def->redirdevs.item[i]->info.boot_order)
            return true;
    return false;
}

static void boot_complete(struct domain_def *def)
{
    if (def->os.type != OS_TYPE_HVM || def->os.boots.count || boots_by_order(def))
        return;
    struct os_boot *boot = arena_struct(def->arena, struct os_boot);
    boot->dev = BOOT_DEV_HD;
    list_add(def->arena, &def->os.boots, boot);
}

static int memory_complete(struct domain_def *def, struct error *err)
{
    uint64_t cells = 0, dimms = 0;
    for (uint32_t i = 0; def->cpu && i < def->cpu->cells.count; i++) {
        struct numa_cell *cell = def->cpu->cells.item[i];
        cells += cell->memory;
        if (!cell->id.set)
            cell->id = (struct optional_u32){i, true};
    }
    for (uint32_t i = 0; i < def->memory_devices.count; i++)
        dimms += def->memory_devices.item[i]->size;
    if (cells)
        def->memory = cells + dimms;
    if (!def->memory)
        return error_set(err, ERR_XML_ERROR, "domain '%s' has no memory: <memory> is missing or 0", def->name);
    if (def->memory > MEMORY_MOST_KIB)
        return error_set(err, ERR_XML_ERROR, "/domain/memory: %" PRIu64 " KiB is more than any machine has (%" PRIu64
                         " KiB)", def->memory, MEMORY_MOST_KIB);
    if (!def->current_memory || def->current_memory > def->memory)
        def->current_memory = def->memory;
    return 0;
}

static int vcpu_complete(struct domain_def *def, struct error *err)
{
    if (!def->vcpus_max)
        def->vcpus_max = 1;
    if (!def->vcpus_current)
        def->vcpus_current = def->vcpus_max;
    if (def->vcpus_current > def->vcpus_max)
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "domain '%s' wants %u of at most %u virtual processors",
                         def->name, def->vcpus_current, def->vcpus_max);
    if (!def->vcpu_placement)
        def->vcpu_placement = VCPU_PLACEMENT_STATIC;
    uint32_t enabled = 0;
    for (uint32_t i = 0; i < def->vcpus.count; i++)
        enabled += def->vcpus.item[i]->enabled == YESNO_YES;
    if (enabled)
        def->vcpus_current = enabled;
    return 0;
}

static struct numa_distance *distance_find(const struct numa_cell *cell, uint32_t id)
{
    for (uint32_t i = 0; i < cell->distances.count; i++)
        if (cell->distances.item[i]->id == id)
            return cell->distances.item[i];
    return NULL;
}

/* When one cell gives distances, all have them to all: 10 to itself, else the way back's, else 20. */
static void distances_complete(struct domain_def *def)
{
    struct cpu *cpu = def->cpu;
    bool given = false;
    for (uint32_t i = 0; cpu && i < cpu->cells.count; i++)
        given |= cpu->cells.item[i]->distances.count > 0;
    for (uint32_t i = 0; given && i < cpu->cells.count; i++) {
        struct numa_cell *cell = cpu->cells.item[i];
        struct numa_distance **all = arena_new_array(def->arena, cpu->cells.count, struct numa_distance *);
        for (uint32_t to = 0; to < cpu->cells.count; to++) {
            struct numa_distance *own = distance_find(cell, to), *back = distance_find(cpu->cells.item[to], i);
            all[to] = own ? own : arena_struct(def->arena, struct numa_distance);
            all[to]->id = to;
            if (!own)
                all[to]->value = to == i ? 10 : back ? back->value : 20;
        }
        cell->distances.item = all;
        cell->distances.count = cell->distances.capacity = cpu->cells.count;
    }
}

/* The CPU that QEMU gives to a pc or q35 machine when none is asked for. */
static void cpu_complete(struct domain_def *def)
{
    if (!is_x86(def) || def->os.type != OS_TYPE_HVM)
        return;
    if (!def->cpu)
        def->cpu = arena_struct(def->arena, struct cpu);
    struct cpu *cpu = def->cpu;
    if (!cpu->mode)
        cpu->mode = CPU_MODE_CUSTOM;
    if (cpu->sockets && !cpu->dies)
        cpu->dies = 1;
    if (cpu->mode != CPU_MODE_CUSTOM) {
        cpu->match = CPU_MATCH_ABSENT;
        if (cpu->mode == CPU_MODE_HOST_MODEL)
            cpu->fallback = cpu->model ? cpu->fallback : CPU_FALLBACK_ABSENT;
        if (!cpu->check)
            cpu->check = cpu->mode == CPU_MODE_HOST_MODEL ? CPU_CHECK_PARTIAL : CPU_CHECK_NONE;
        if (cpu->mode == CPU_MODE_HOST_PASSTHROUGH && !cpu->migratable)
            cpu->migratable = ONOFF_ON;
        return;
    }
    if (!cpu->match)
        cpu->match = CPU_MATCH_EXACT;
    if (!cpu->model) {
        cpu->model = arena_strdup(def->arena, is_x86(def) && string_equal(def->os.arch, "i686") ? "qemu32" : "qemu64");
        cpu->fallback = CPU_FALLBACK_FORBID;
        if (!cpu->check)
            cpu->check = CPU_CHECK_NONE;
    }
    if (!cpu->fallback)
        cpu->fallback = CPU_FALLBACK_ALLOW;
    if (!cpu->check) /* an emulated CPU does not depend on the host's */
        cpu->check = def->type == VIRT_TYPE_QEMU ? CPU_CHECK_NONE : CPU_CHECK_PARTIAL;
}

static void identity_complete(struct domain_def *def)
{
    if (!def->uuid_set) {
        uuid_random(def->uuid);
        def->uuid_set = true;
    }
    if (def->genid && *def->genid == '\0') {
        unsigned char uuid[UUID_SIZE];
        char string[UUID_STRING_SIZE];
        uuid_random(uuid);
        uuid_format(uuid, string);
        def->genid = arena_strdup(def->arena, string);
    }
}

/* <iothreads> and <iothreadids> say the same number. */
static void iothreads_complete(struct domain_def *def)
{
    if (def->iothreads < def->iothread_ids.count)
        def->iothreads = def->iothread_ids.count;
}

int domain_name_check(const char *name, struct error *err)
{
    if (xml_check_text("/domain/name", name, err) < 0)
        return -1;
    if (name && *name && strlen(name) <= NAME_LONGEST && !strpbrk(name, "/\n\r") && !string_equal(name, ".") &&
        !string_equal(name, ".."))
        return 0;
    return error_set(err, ERR_XML_ERROR,
                     "/domain/name cannot be '%.100s': a name has 1 to %d bytes, no '/' and no line break, and is not "
                     "'.' or '..'",
                     name ? name : "", NAME_LONGEST);
}

int domain_complete(struct domain_def *def, const struct domain_defaults *defaults, struct error *err)
{
    if (domain_name_check(def->name, err) < 0)
        return -1;
    if (!def->os.type) {
        if (!def->bootloader)
            return error_set(err, ERR_XML_ERROR,
                             "/domain/os/type is missing; for a full machine it is <type>hvm</type>");
        def->os.type = OS_TYPE_XEN;
    }
    if (def->os.type == OS_TYPE_LINUX && def->type == VIRT_TYPE_XEN)
        def->os.type = OS_TYPE_XEN;
    identity_complete(def);
    if (os_complete(def, defaults, err) < 0)
        return -1;
    boot_complete(def);
    cpu_complete(def);
    if (def->cpu && def->cpu->cells.count > NUMA_CELLS_MAX)
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "domain '%s' has %u NUMA cells; the limit is %d", def->name,
                         def->cpu->cells.count, NUMA_CELLS_MAX);
    distances_complete(def);
    if (memory_complete(def, err) < 0 || vcpu_complete(def, err) < 0)
        return -1;
    iothreads_complete(def);
    for (uint32_t i = 0; i < def->seclabels.count; i++)
        if (def->seclabels.item[i]->type == SECLABEL_TYPE_NONE && !def->seclabels.item[i]->model)
            def->seclabels.item[i]->model = "none";
    if (!def->clock.offset)
        def->clock.offset = CLOCK_OFFSET_UTC;
    return devices_complete(def, err);
}
