/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/platform.h"

#include "model/disk.h"
#include "model/field.h"
#include "model/xml.h"

static const struct field os_boot_fields[] = {
    FIELD_ENUM(os_boot, dev, "@dev", boot_dev, .flags = REQUIRED),
};
static ELEMENT(os_boot, os_boot);

static const struct field firmware_feature_fields[] = {
    FIELD_ENUM(firmware_feature, enabled, "@enabled", yesno, .flags = REQUIRED),
    FIELD_ENUM(firmware_feature, name, "@name", firmware_feature_name, .flags = REQUIRED),
};
static ELEMENT(firmware_feature, firmware_feature);

static const struct field os_fields[] = {
    FIELD_ENUM(os, firmware, "@firmware", os_firmware),
    FIELD_STR(os, arch, "type/@arch", .flags = GUEST_ABI),
    FIELD_STR(os, machine, "type/@machine", .flags = GUEST_ABI),
    FIELD_ENUM(os, type, "type", os_type, .flags = GUEST_ABI),
    FIELD_LIST(os, firmware_features, "firmware/feature", firmware_feature),
    FIELD_STR(os, init, "init"),
    FIELD_KEPT("initarg"),
    FIELD_KEPT("initenv"),
    FIELD_KEPT("initdir"),
    FIELD_KEPT("inituser"),
    FIELD_KEPT("initgroup"),
    FIELD_ENUM(os, loader_readonly, "loader/@readonly", yesno),
    FIELD_ENUM(os, loader_secure, "loader/@secure", yesno, .flags = GUEST_ABI),
    FIELD_ENUM(os, loader_type, "loader/@type", loader_type, .flags = GUEST_ABI),
    FIELD_ENUM(os, loader_stateless, "loader/@stateless", yesno),
    FIELD_STR(os, loader_format, "loader/@format"),
    FIELD_STR(os, loader, "loader", .flags = NOT_EMPTY),
    FIELD_ENUM(os, nvram_type, "nvram/@type", source_type),
    FIELD_STR(os, nvram_template, "nvram/@template"),
    FIELD_STR(os, nvram_template_format, "nvram/@templateFormat"),
    FIELD_STR(os, nvram_format, "nvram/@format"),
    FIELD_STR(os, nvram, "nvram", WHEN(os, nvram_type, BIT(SOURCE_TYPE_ABSENT)), .flags = NOT_EMPTY),
    FIELD_VERBATIM(os, nvram_source, "nvram/source"),
    FIELD_STR(os, kernel, "kernel"),
    FIELD_STR(os, initrd, "initrd"),
    FIELD_STR(os, cmdline, "cmdline"),
    FIELD_STR(os, dtb, "dtb"),
    FIELD_STR(os, acpi_table_type, "acpi/table/@type"),
    FIELD_STR(os, acpi_table, "acpi/table"),
    FIELD_LIST(os, boots, "boot", os_boot),
    FIELD_ENUM(os, bootmenu_enable, "bootmenu/@enable", yesno),
    FIELD_OPT_U32(os, bootmenu_timeout, "bootmenu/@timeout", MAX(65535)),
    FIELD_ENUM(os, bios_useserial, "bios/@useserial", yesno),
    FIELD_OPT_I32(os, bios_reboot_timeout, "bios/@rebootTimeout", MAX(65535)),
    FIELD_ENUM(os, smbios_mode, "smbios/@mode", smbios_mode, .flags = GUEST_ABI),
};

ELEMENT(os, os);

static const struct field hyperv_fields[] = {
    FIELD_ENUM(hyperv, mode, "@mode", hyperv_mode, .flags = HAS_DEFAULT | GUEST_ABI, DEFAULT(HYPERV_MODE_CUSTOM)),
    FIELD_ENUM(hyperv, relaxed, "relaxed/@state", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(hyperv, vapic, "vapic/@state", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(hyperv, spinlocks, "spinlocks/@state", onoff, .flags = GUEST_ABI),
    FIELD_U32(hyperv, spinlocks_retries, "spinlocks/@retries", .flags = GUEST_ABI),
    FIELD_ENUM(hyperv, vpindex, "vpindex/@state", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(hyperv, runtime, "runtime/@state", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(hyperv, synic, "synic/@state", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(hyperv, stimer, "stimer/@state", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(hyperv, stimer_direct, "stimer/direct/@state", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(hyperv, reset, "reset/@state", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(hyperv, vendor_id, "vendor_id/@state", onoff, .flags = GUEST_ABI),
    FIELD_STR(hyperv, vendor_id_value, "vendor_id/@value", .flags = GUEST_ABI),
    FIELD_ENUM(hyperv, frequencies, "frequencies/@state", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(hyperv, reenlightenment, "reenlightenment/@state", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(hyperv, tlbflush, "tlbflush/@state", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(hyperv, ipi, "ipi/@state", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(hyperv, evmcs, "evmcs/@state", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(hyperv, avic, "avic/@state", onoff, .flags = GUEST_ABI),
};
static ELEMENT(hyperv, hyperv);

static const struct field features_fields[] = {
    FIELD_FLAG(features, acpi, "acpi", .flags = GUEST_ABI),
    FIELD_ENUM(features, apic_eoi, "apic/@eoi", onoff, .flags = GUEST_ABI),
    FIELD_FLAG(features, apic, "apic", .flags = GUEST_ABI),
    FIELD_FLAG(features, pae, "pae", .flags = GUEST_ABI),
    FIELD_ENUM(features, hap, "hap/@state", onoff),
    FIELD_FLAG(features, hap_present, "hap"),
    FIELD_FLAG(features, viridian, "viridian", .flags = GUEST_ABI),
    FIELD_FLAG(features, privnet, "privnet"),
    FIELD_PART(features, hyperv, "hyperv", hyperv, .flags = GUEST_ABI),
    FIELD_ENUM(features, kvm_hidden, "kvm/hidden/@state", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(features, kvm_hint_dedicated, "kvm/hint-dedicated/@state", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(features, kvm_poll_control, "kvm/poll-control/@state", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(features, kvm_pv_ipi, "kvm/pv-ipi/@state", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(features, kvm_dirty_ring, "kvm/dirty-ring/@state", onoff),
    FIELD_U32(features, kvm_dirty_ring_size, "kvm/dirty-ring/@size"),
    FIELD_FLAG(features, kvm, "kvm"),
    FIELD_ENUM(features, pvspinlock, "pvspinlock/@state", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(features, pmu, "pmu/@state", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(features, vmport, "vmport/@state", onoff, .flags = GUEST_ABI),
    FIELD_STR(features, gic_version, "gic/@version", .flags = GUEST_ABI),
    FIELD_FLAG(features, gic, "gic", .flags = GUEST_ABI),
    FIELD_ENUM(features, smm, "smm/@state", onoff, .flags = GUEST_ABI),
    FIELD_MEMORY(features, smm_tseg_kib, "smm/tseg", .flags = GUEST_ABI | PRETTY),
    FIELD_ENUM(features, ioapic, "ioapic/@driver", ioapic_driver, .flags = GUEST_ABI),
    FIELD_ENUM(features, vmcoreinfo, "vmcoreinfo/@state", onoff, .flags = GUEST_ABI),
    FIELD_STR(features, msrs_unknown, "msrs/@unknown"),
    FIELD_MEMORY(features, tcg_tb_cache_kib, "tcg/tb-cache"),
    FIELD_FLAG(features, tcg, "tcg"),
    FIELD_ENUM(features, async_teardown, "async-teardown/@enabled", yesno),
    FIELD_KEPT("capabilities"),
    FIELD_KEPT("hpt"),
    FIELD_KEPT("htm"),
    FIELD_KEPT("nested-hv"),
    FIELD_KEPT("ccf-assist"),
    FIELD_KEPT("xen"),
    FIELD_KEPT("cfpc"),
    FIELD_KEPT("sbbc"),
    FIELD_KEPT("ibs"),
};

/* These are on when they stand without an attribute. */
static int features_parsed(void *part, struct parse *parse)
{
    struct features *features = part;
    for (const xmlNode *child = parse->node->children; child; child = child->next) {
        const char *name = (const char *)child->name;
        if (child->type != XML_ELEMENT_NODE)
            continue;
        if (string_equal(name, "smm") && !features->smm)
            features->smm = ONOFF_ON;
        else if (string_equal(name, "vmcoreinfo") && !features->vmcoreinfo)
            features->vmcoreinfo = ONOFF_ON;
        else if (string_equal(name, "pvspinlock") && !features->pvspinlock)
            features->pvspinlock = ONOFF_ON;
        else if (string_equal(name, "pmu") && !features->pmu)
            features->pmu = ONOFF_ON;
    }
    return 0;
}
ELEMENT(features, features, .parsed = features_parsed);

static const struct field timer_fields[] = {
    FIELD_ENUM(timer, name, "@name", timer_name, .flags = REQUIRED | GUEST_ABI),
    FIELD_ENUM(timer, present, "@present", yesno, .flags = GUEST_ABI),
    FIELD_ENUM(timer, tickpolicy, "@tickpolicy", tickpolicy),
    FIELD_ENUM(timer, track, "@track", timer_track),
    FIELD_U64(timer, frequency, "@frequency", .flags = GUEST_ABI),
    FIELD_ENUM(timer, mode, "@mode", timer_mode, .flags = GUEST_ABI),
    FIELD_U64(timer, catchup_threshold, "catchup/@threshold"),
    FIELD_U64(timer, catchup_slew, "catchup/@slew"),
    FIELD_U64(timer, catchup_limit, "catchup/@limit"),
};
static ELEMENT(timer, timer);

#define OFFSET_IS(kind) WHEN(clock, offset, BIT(CLOCK_OFFSET_##kind))

static const struct field clock_fields[] = {
    FIELD_ENUM(clock, offset, "@offset", clock_offset, .flags = HAS_DEFAULT, DEFAULT(CLOCK_OFFSET_UTC)),
    FIELD_STR(clock, adjustment, "@adjustment",
              WHEN(clock, offset, BIT(CLOCK_OFFSET_UTC) | BIT(CLOCK_OFFSET_LOCALTIME) | BIT(CLOCK_OFFSET_VARIABLE))),
    FIELD_ENUM(clock, basis, "@basis", clock_basis, OFFSET_IS(VARIABLE)),
    FIELD_STR(clock, timezone, "@timezone", OFFSET_IS(TIMEZONE), .flags = REQUIRED),
    FIELD_OPT_U64(clock, start, "@start", OFFSET_IS(ABSOLUTE), .flags = REQUIRED),
    FIELD_LIST(clock, timers, "timer", timer, .flags = GUEST_ABI),
};

static int clock_parsed(void *part, struct parse *parse)
{
    struct clock *clock = part;
    if (clock->offset == CLOCK_OFFSET_VARIABLE) {
        if (!clock->adjustment)
            clock->adjustment = "0";
        if (!clock->basis)
            clock->basis = CLOCK_BASIS_UTC;
    }
    if (clock->adjustment && !string_equal(clock->adjustment, "reset")) {
        if (parse_i32(clock->adjustment, 10, &clock->adjustment_s.value) < 0)
            return xml_error(parse, "@adjustment", "'%s' is neither 'reset' nor a number of seconds",
                             clock->adjustment);
        clock->adjustment_s.set = true;
    }
    return 0;
}
ELEMENT(clock, clock, .parsed = clock_parsed);

static const struct field sysinfo_entry_fields[] = {
    FIELD_STR(sysinfo_entry, name, "@name"),
    FIELD_STR(sysinfo_entry, file, "@file"),
    FIELD_STR(sysinfo_entry, value, "."),
};
static ELEMENT(sysinfo_entry, sysinfo_entry);

static const struct field sysinfo_group_fields[] = {
    FIELD_LIST(sysinfo_group, entries, "entry", sysinfo_entry),
};

/* Known entries stand in this order, whatever the document's. */
static const char *const sysinfo_names[] = {
    "vendor", "manufacturer", "product", "version", "date", "release", "serial", "uuid", "sku", "asset", "location",
    "family",
};

static size_t sysinfo_rank(const struct sysinfo_entry *entry)
{
    size_t rank = 0;
    while (rank < COUNT(sysinfo_names) && !string_equal(sysinfo_names[rank], entry->name))
        rank++;
    return rank;
}

static int sysinfo_group_parsed(void *part, struct parse *parse)
{
    struct sysinfo_group *group = part;
    (void)parse;
    for (uint32_t count = 1; count < group->entries.count; count++)
        for (uint32_t i = count; i > 0; i--) {
            struct sysinfo_entry **pair = &group->entries.item[i - 1], *second = pair[1];
            if (sysinfo_rank(pair[0]) <= sysinfo_rank(second))
                break;
            pair[1] = pair[0];
            pair[0] = second;
        }
    return 0;
}
static ELEMENT(sysinfo_group, sysinfo_group, .parsed = sysinfo_group_parsed);

static const struct field sysinfo_fields[] = {
    FIELD_ENUM(sysinfo, type, "@type", sysinfo_type, .flags = REQUIRED | GUEST_ABI),
    FIELD_PART(sysinfo, bios, "bios", sysinfo_group),
    FIELD_PART(sysinfo, system, "system", sysinfo_group),
    FIELD_LIST(sysinfo, base_boards, "baseBoard", sysinfo_group),
    FIELD_PART(sysinfo, chassis, "chassis", sysinfo_group),
    FIELD_PART(sysinfo, oem_strings, "oemStrings", sysinfo_group),
    FIELD_LIST(sysinfo, entries, "entry", sysinfo_entry),
};
ELEMENT(sysinfo, sysinfo);

static const struct field perf_event_fields[] = {
    FIELD_STR(perf_event, name, "@name", .flags = REQUIRED),
    FIELD_ENUM(perf_event, enabled, "@enabled", yesno, .flags = REQUIRED),
};
ELEMENT(perf_event, perf_event);

static const struct field qemu_arg_fields[] = {
    FIELD_STR(qemu_arg, value, "@value", .flags = REQUIRED),
};
static ELEMENT(qemu_arg, qemu_arg);

static const struct field qemu_env_fields[] = {
    FIELD_STR(qemu_env, name, "@name", .flags = REQUIRED),
    FIELD_STR(qemu_env, value, "@value"),
};
static ELEMENT(qemu_env, qemu_env);

static const struct field qemu_commandline_fields[] = {
    FIELD_LIST(qemu_commandline, args, "qemu:arg", qemu_arg),
    FIELD_LIST(qemu_commandline, envs, "qemu:env", qemu_env),
};
ELEMENT(qemu_commandline, qemu_commandline);
