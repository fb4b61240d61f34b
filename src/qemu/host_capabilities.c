/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/host_capabilities.h"

#include "host/memory.h"
#include "model/xml.h"
#include "qemu/arch.h"
#include "qemu/cpu_compare.h"

/* -- host --------------------------------------------------------------------------------------------------------- */

/* choice: the model that the processor is named by; its model is NULL when there is none. */
static void append_cpu_name(struct text *xml, const struct cpu_identity *identity, const struct cpu_choice *choice)
{
    if (choice->model)
        text_printf(xml, "      <model>%s</model>\n", choice->model->name);
    if (identity->vendor)
        text_printf(xml, "      <vendor>%s</vendor>\n", identity->vendor);
    if (identity->microcode)
        text_printf(xml, "      <microcode version='%llu'/>\n", (unsigned long long)identity->microcode);
    text_printf(xml, "      <signature family='%u' model='%u' stepping='%u'/>\n", identity->family, identity->model,
                identity->stepping);
}

static void append_cpu(struct text *xml, const struct host_capabilities *capabilities,
                       const struct host_topology *topology, const struct page_pools *pools)
{
    const struct cpu_identity *identity = host_cpu_identity(capabilities->host);
    bool x86 = arch_is_x86(arch_of_host());
    struct cpu_choice choice = {.require = identity->features};
    struct node_info info;
    if (capabilities->models && !cpu_choose(capabilities->models, identity->vendor, &identity->features, true, &choice))
        choice.require = identity->features;
    node_info_read(&info, topology, host_root(capabilities->host));
    text_printf(xml, "    <cpu>\n      <arch>%s</arch>\n", arch_of_host());
    if (x86)
        append_cpu_name(xml, identity, &choice);
    if (identity->tsc_hz)
        text_printf(xml, "      <counter name='tsc' frequency='%llu' scaling='%s'/>\n",
                    (unsigned long long)identity->tsc_hz, identity->tsc_scaling ? "yes" : "no");
    text_printf(xml, "      <topology sockets='%u' dies='%u' cores='%u' threads='%u'/>\n", info.sockets, info.dies,
                info.cores / info.dies, info.threads);
    if (identity->physical_bits)
        text_printf(xml, "      <maxphysaddr mode='emulate' bits='%u'/>\n", identity->physical_bits);
    for (unsigned feature = 0; x86 && feature < CPU_FEATURE_COUNT; feature++)
        if (cpu_features_has(&choice.require, feature))
            text_printf(xml, "      <feature name='%s'/>\n", cpu_feature_name(feature));
    for (unsigned i = 0; i < pools->count; i++)
        text_printf(xml, "      <pages unit='KiB' size='%u'/>\n", pools->pools[i].size_kib);
    text_append(xml, "    </cpu>\n");
}

static void append_cell(struct text *xml, const struct host_cell *cell, const struct page_pools *pools,
                        uint64_t memory_kib)
{
    text_printf(xml, "        <cell id='%u'>\n          <memory unit='KiB'>%llu</memory>\n", cell->id,
                (unsigned long long)memory_kib);
    for (unsigned i = 0; i < pools->count; i++)
        text_printf(xml, "          <pages unit='KiB' size='%u'>%llu</pages>\n", pools->pools[i].size_kib,
                    (unsigned long long)pools->pools[i].total);
    if (cell->distance_count)
        text_append(xml, "          <distances>\n");
    for (unsigned i = 0; i < cell->distance_count; i++)
        text_printf(xml, "            <sibling id='%u' value='%u'/>\n", cell->distances[i].cell,
                    cell->distances[i].value);
    if (cell->distance_count)
        text_append(xml, "          </distances>\n");
    text_printf(xml, "          <cpus num='%u'>\n", cell->cpu_count);
    for (unsigned i = 0; i < cell->cpu_count; i++) {
        const struct host_cpu *cpu = &cell->cpus[i];
        text_printf(xml, "            <cpu id='%u' socket_id='%u' die_id='%u' core_id='%u' siblings='%s'/>\n", cpu->id,
                    cpu->socket, cpu->die, cpu->core, cpu->siblings);
    }
    text_append(xml, "          </cpus>\n        </cell>\n");
}

static void append_topology(struct text *xml, struct arena *arena, const struct host_topology *topology,
                            const char *root)
{
    text_printf(xml, "    <topology>\n      <cells num='%u'>\n", topology->cell_count);
    for (unsigned i = 0; i < topology->cell_count; i++) {
        const struct host_cell *cell = &topology->cells[i];
        struct page_pools pools;
        struct memory_stats memory;
        page_pools_read(arena, &pools, topology, root, cell->id);
        memory_stats_read(&memory, topology, root, cell->id, NULL);
        append_cell(xml, cell, &pools, memory.total_kib);
    }
    text_append(xml, "      </cells>\n    </topology>\n");
}

static void append_caches(struct text *xml, const struct host_topology *topology)
{
    if (!topology->cache_count)
        return;
    text_append(xml, "    <cache>\n");
    for (unsigned i = 0; i < topology->cache_count; i++) {
        const struct host_cache *cache = &topology->caches[i];
        bool mib = cache->size_kib % 1024 == 0;
        text_printf(xml, "      <bank id='%u' level='%u' type='%s' size='%llu' unit='%s' cpus='%s'/>\n", cache->id,
                    cache->level, cache->type, (unsigned long long)(mib ? cache->size_kib / 1024 : cache->size_kib),
                    mib ? "MiB" : "KiB", cache->cpus);
    }
    text_append(xml, "    </cache>\n");
}

/* Every group of devices below an IOMMU is a folder, the first one 0. */
static bool has_iommu(const char *root)
{
    return sysfs_exists(root, "/sys/kernel/iommu_groups/0");
}

static void append_host(struct text *xml, const struct host_capabilities *capabilities)
{
    scoped_arena struct arena *arena = arena_new();
    const struct host_topology *topology = host_topology(capabilities->host);
    const char *root = host_root(capabilities->host);
    char uuid[UUID_STRING_SIZE];
    struct page_pools pools;
    uuid_format(capabilities->uuid, uuid);
    page_pools_read(arena, &pools, topology, root, topology->cells[0].id);

    text_printf(xml, "  <host>\n    <uuid>%s</uuid>\n", uuid);
    append_cpu(xml, capabilities, topology, &pools);
    text_printf(xml, "    <power_management/>\n    <iommu support='%s'/>\n", has_iommu(root) ? "yes" : "no");
    text_append(xml, "    <migration_features>\n      <live/>\n      <uri_transports>\n"
                     "        <uri_transport>tcp</uri_transport>\n      </uri_transports>\n"
                     "    </migration_features>\n");
    append_topology(xml, arena, topology, root);
    append_caches(xml, topology);
    text_append(xml, "    <secmodel>\n      <model>none</model>\n      <doi>0</doi>\n    </secmodel>\n  </host>\n\n");
}

/* -- guests ------------------------------------------------------------------------------------------------------- */

static void append_machine(struct text *xml, const struct qemu_machine *machine)
{
    const char *deprecated = machine->deprecated ? " deprecated='yes'" : "";
    text_printf(xml, "      <machine maxCpus='%u'%s>%s</machine>\n", machine->max_cpus, deprecated, machine->name);
    if (machine->alias)
        text_printf(xml, "      <machine canonical='%s' maxCpus='%u'%s>%s</machine>\n", machine->name,
                    machine->max_cpus, deprecated, machine->alias);
}

/* The default comes first: clients take the first one for it. */
static void append_machines(struct text *xml, const struct qemu_caps *caps)
{
    for (int others = 0; others < 2; others++)
        for (size_t i = 0; i < caps->machine_count; i++)
            if (caps->machines[i].is_default == !others && !string_equal(caps->machines[i].name, "none"))
                append_machine(xml, &caps->machines[i]);
}

static void append_guest(struct text *xml, const struct guest_arch *guest)
{
    text_printf(xml, "  <guest>\n    <os_type>hvm</os_type>\n    <arch name='%s'>\n      <wordsize>%u</wordsize>\n",
                guest->arch, arch_word_size(guest->arch));
    text_append(xml, "      <emulator>");
    xml_escape(xml, guest->caps->binary);
    text_append(xml, "</emulator>\n");
    append_machines(xml, guest->caps);
    if (guest->caps->accel[QEMU_TCG].usable)
        text_append(xml, "      <domain type='qemu'/>\n");
    if (guest->caps->accel[QEMU_KVM].usable)
        text_append(xml, "      <domain type='kvm'/>\n");
    text_append(xml, "    </arch>\n    <features>\n");
    if (string_equal(guest->arch, "i686"))
        text_append(xml, "      <pae/>\n      <nonpae/>\n");
    if (arch_is_x86(guest->arch) || string_equal(guest->arch, "aarch64"))
        text_append(xml, "      <acpi default='on' toggle='yes'/>\n");
    if (arch_is_x86(guest->arch))
        text_append(xml, "      <apic default='on' toggle='no'/>\n");
    text_append(xml, "      <cpuselection/>\n      <deviceboot/>\n      <disksnapshot default='on' toggle='no'/>\n"
                     "    </features>\n  </guest>\n\n");
}

void host_capabilities_format(struct text *xml, const struct host_capabilities *capabilities)
{
    text_append(xml, "<capabilities>\n\n");
    append_host(xml, capabilities);
    for (size_t i = 0; i < capabilities->guest_count; i++)
        append_guest(xml, &capabilities->guests[i]);
    text_append(xml, "</capabilities>\n");
}
