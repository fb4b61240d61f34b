/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "qemu/command_parts.h"

static bool uses_pflash(const struct os *os)
{
    return os->loader && (os->loader_type == LOADER_TYPE_PFLASH || os->nvram);
}

static void pflash(struct build *build, int unit, const char *path, const char *format, bool readonly)
{
    const char *storage = arena_printf(build->arena, "libvirt-pflash%d-storage", unit);
    const char *node = arena_printf(build->arena, "libvirt-pflash%d-format", unit);
    add_json(build, "-blockdev", json_pack("{s:s,s:s,s:s,s:b,s:s}", "driver", "file", "filename", path, "node-name",
                                           storage, "auto-read-only", 1, "discard", "unmap"));
    add_json(build, "-blockdev", json_pack("{s:s,s:b,s:s,s:s}", "node-name", node, "read-only", readonly, "driver",
                                           format ?: "raw", "file", storage));
}

static int build_firmware(struct build *build, struct error *err)
{
    const struct os *os = &build->def->os;
    if (!os->loader)
        return 0;
    if (!uses_pflash(os)) {
        add(build, "-bios", os->loader);
        return 0;
    }
    pflash(build, 0, os->loader, os->loader_format, os->loader_readonly != YESNO_NO);
    if (os->loader_secure == YESNO_YES)
        add(build, "-global", "driver=cfi.pflash01,property=secure,value=on");
    if (os->nvram_type && os->nvram_type != SOURCE_TYPE_FILE)
        return unsupported(err, "<nvram type='%s'> is not supported: use a file", source_type_name(os->nvram_type));
    if (os->nvram)
        pflash(build, 1, os->nvram, os->nvram_format, false);
    return 0;
}

static bool has_timer(const struct clock *clock, enum timer_name name, enum yesno present)
{
    for (uint32_t i = 0; i < clock->timers.count; i++)
        if (clock->timers.item[i]->name == name && clock->timers.item[i]->present == present)
            return true;
    return false;
}

static void option_onoff(struct text *machine, const char *name, enum onoff value)
{
    if (value)
        text_printf(machine, ",%s=%s", name, onoff_name(value));
}

static void append_irqchip(const struct build *build, struct text *machine)
{
    const struct features *features = build->def->features;
    const struct iommu *iommu = build->def->iommu;
    if (features && features->ioapic)
        text_printf(machine, ",kernel_irqchip=%s", features->ioapic == IOAPIC_DRIVER_QEMU ? "split" : "on");
    else if (iommu && build->kvm && (iommu->intremap == ONOFF_ON || iommu->eim == ONOFF_ON))
        text_append(machine, ",kernel_irqchip=split"); /* what interrupt remapping needs */
    if (features && features->gic && features->gic_version)
        text_printf(machine, ",gic-version=%s", features->gic_version);
}

static void append_ram(const struct build *build, struct text *machine)
{
    const struct domain_def *def = build->def;
    const struct qemu_machine *known = build->caps ? qemu_caps_machine(build->caps, def->os.machine) : NULL;
    const char *ram = known ? known->default_ram_id : "pc.ram";
    if (ram && !(def->cpu && def->cpu->cells.count))
        text_printf(machine, ",memory-backend=%s", ram);
}

int build_machine(struct build *build, struct error *err)
{
    const struct domain_def *def = build->def;
    const struct features *features = def->features;
    const struct memory_backing *backing = def->memory_backing;
    scoped_text struct text machine = {0};
    if (!def->os.machine)
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "<os><type machine=...> is missing");
    if (build->caps && !qemu_caps_machine(build->caps, def->os.machine))
        return unsupported(err,
                           "%s has no machine type '%s': see 'virsh domcapabilities' and capabilities for those it has",
                           build->caps->binary, def->os.machine);
    if (build_firmware(build, err) < 0)
        return -1;
    text_printf(&machine, "%s,usb=off", def->os.machine);
    if (features)
        option_onoff(&machine, "smm", features->smm);
    if (!(features && features->smm) && def->os.loader_secure == YESNO_YES)
        text_append(&machine, ",smm=on");
    if (features)
        option_onoff(&machine, "vmport", features->vmport);
    append_irqchip(build, &machine);
    if (backing && backing->nosharepages)
        text_append(&machine, ",mem-merge=off");
    text_printf(&machine, ",dump-guest-core=%s", def->dump_core == ONOFF_ON ? "on" : "off");
    append_ram(build, &machine);
    if (uses_pflash(&def->os))
        text_append(&machine, ",pflash0=libvirt-pflash0-format");
    if (uses_pflash(&def->os) && def->os.nvram)
        text_append(&machine, ",pflash1=libvirt-pflash1-format");
    /* properties instead of -no-acpi and -no-hpet, which later QEMUs have dropped */
    if (build->x86 && !(features && features->acpi))
        text_append(&machine, ",acpi=off");
    if (build->x86 && has_timer(&def->clock, TIMER_NAME_HPET, YESNO_NO))
        text_append(&machine, ",hpet=off");
    if (def->os.bios_useserial == YESNO_YES)
        text_append(&machine, ",graphics=off");
    add(build, "-machine", text_string(&machine));
    if (!build->kvm && features && features->tcg_tb_cache_kib)
        addf(build, "-accel", "tcg,tb-size=%llu", (unsigned long long)features->tcg_tb_cache_kib / 1024);
    else if (build->kvm && features && features->kvm_dirty_ring == ONOFF_ON)
        addf(build, "-accel", "kvm,dirty-ring-size=%u", features->kvm_dirty_ring_size);
    else
        add(build, "-accel", build->kvm ? "kvm" : "tcg");
    return 0;
}
