/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/device.h"

/* The machine without its devices: firmware, features, processor, clock, memory and tuning. */

struct os_boot {
    struct extra *extra;
    enum boot_dev dev;
};

struct firmware_feature {
    struct extra *extra;
    enum yesno enabled;
    enum firmware_feature_name name;
};

struct os {
    struct extra *extra;
    enum os_firmware firmware; /* 'efi': choose by descriptor files */
    enum os_type type;
    const char *arch;          /* "x86_64" */
    const char *machine;       /* canonical: "pc-q35-7.2" */
    LIST_OF(firmware_feature) firmware_features;
    const char *init;
    const char *loader;
    enum yesno loader_readonly, loader_secure, loader_stateless;
    enum loader_type loader_type;
    const char *loader_format;
    const char *nvram, *nvram_template, *nvram_format;
    enum source_type nvram_type; /* ABSENT = text content is the path */
    const char *nvram_template_format;
    const char *nvram_source; /* nvram/source, the whole element, verbatim; with nvram_type */
    const char *kernel, *initrd, *cmdline, *dtb, *shim;
    LIST_OF(os_boot) boots;
    enum yesno bootmenu_enable;
    struct optional_u32 bootmenu_timeout; /* ms */
    enum yesno bios_useserial;
    struct optional_i32 bios_reboot_timeout; /* ms, -1 = never */
    enum smbios_mode smbios_mode;
    const char *acpi_table, *acpi_table_type;
};

/* <hyperv>, each with state=. */
struct hyperv {
    struct extra *extra;
    enum hyperv_mode mode;
    enum onoff relaxed, vapic, spinlocks, vpindex, runtime, synic, stimer, stimer_direct, reset, vendor_id,
        frequencies, reenlightenment, tlbflush, ipi, evmcs, avic;
    uint32_t spinlocks_retries;
    const char *vendor_id_value;
};

struct features {
    struct extra *extra;
    bool acpi, pae, viridian, privnet;
    bool apic;
    enum onoff apic_eoi;
    bool hap_present;
    enum onoff hap, pvspinlock, pmu, vmport, smm, vmcoreinfo;
    uint64_t smm_tseg_kib;
    bool gic;
    const char *gic_version;
    struct hyperv *hyperv;
    bool kvm;
    enum onoff kvm_hidden, kvm_hint_dedicated, kvm_poll_control, kvm_pv_ipi, kvm_dirty_ring;
    uint32_t kvm_dirty_ring_size;
    enum ioapic_driver ioapic;
    const char *msrs_unknown;
    bool tcg;
    uint64_t tcg_tb_cache_kib;
    enum yesno async_teardown;
};

struct cpu_feature {
    struct extra *extra;
    enum cpu_policy policy;
    const char *name;
};

struct numa_distance {
    struct extra *extra;
    uint32_t id, value;
};

struct numa_cell {
    struct extra *extra;
    struct optional_u32 id;
    const char *cpus;
    uint64_t memory;      /* KiB */
    enum memory_access access;
    enum yesno discard;
    LIST_OF(numa_distance) distances;
};

struct cpu {
    struct extra *extra;
    enum cpu_mode mode;
    enum cpu_match match;
    enum cpu_check check;
    enum onoff migratable;
    const char *model;
    enum cpu_fallback fallback;
    const char *vendor_id;
    const char *vendor;
    uint32_t sockets, dies, cores, threads; /* 0 = no topology */
    struct optional_u32 cache_level;
    enum cpu_cache_mode cache_mode;
    enum maxphysaddr_mode maxphysaddr_mode;
    uint32_t maxphysaddr_bits;
    LIST_OF(cpu_feature) features;
    LIST_OF(numa_cell) cells;
};

struct timer {
    struct extra *extra;
    enum timer_name name;
    enum yesno present;
    enum tickpolicy tickpolicy;
    enum timer_track track;
    uint64_t frequency;
    enum timer_mode mode;
    uint64_t catchup_threshold, catchup_slew, catchup_limit;
};

struct clock {
    struct extra *extra;
    enum clock_offset offset;
    struct optional_i32 adjustment_s;
    const char *adjustment;   /* as written: "reset" or seconds */
    enum clock_basis basis;
    const char *timezone;
    struct optional_u64 start;
    LIST_OF(timer) timers;
};

struct sysinfo_entry {
    struct extra *extra;
    const char *name, *file, *value;
};

struct sysinfo_group {
    struct extra *extra;
    LIST_OF(sysinfo_entry) entries;
};

struct sysinfo {
    struct extra *extra;
    enum sysinfo_type type;
    struct sysinfo_group *bios, *system, *chassis, *oem_strings;
    LIST_OF(sysinfo_group) base_boards;
    LIST_OF(sysinfo_entry) entries; /* fwcfg */
};

struct hugepage {
    struct extra *extra;
    uint64_t size; /* KiB */
    const char *nodeset;
};

struct memory_backing {
    struct extra *extra;
    bool hugepages;
    LIST_OF(hugepage) pages;
    bool nosharepages, locked, discard;
    enum memory_source source;
    enum memory_access access;
    enum memory_allocation allocation;
    uint32_t allocation_threads;
};

struct vcpu {
    struct extra *extra;
    uint32_t id;
    enum yesno enabled, hotpluggable;
    uint32_t order;
};

struct iothread {
    struct extra *extra;
    uint32_t id;
    struct optional_u32 thread_pool_min, thread_pool_max;
};

struct vcpu_pin {
    struct extra *extra;
    uint32_t vcpu; /* vcpupin/@vcpu or iothreadpin/@iothread */
    const char *cpuset;
};

struct scheduler_part {
    struct extra *extra;
    const char *ids; /* @vcpus or @iothreads, NULL for emulatorsched */
    enum scheduler scheduler;
    struct optional_i32 priority;
};

struct cputune {
    struct extra *extra;
    struct optional_u64 shares, period, global_period, emulator_period, iothread_period;
    struct optional_u64 quota, global_quota, emulator_quota, iothread_quota; /* two's complement when negative */
    LIST_OF(vcpu_pin) vcpupins;
    const char *emulatorpin; /* cpuset */
    LIST_OF(vcpu_pin) iothreadpins;
    struct scheduler_part *emulatorsched;
    LIST_OF(scheduler_part) vcpuscheds, iothreadscheds;
};

struct memnode {
    struct extra *extra;
    uint32_t cellid;
    enum numatune_mode mode;
    const char *nodeset;
};

struct numatune {
    struct extra *extra;
    bool memory_set;
    enum numatune_mode mode;
    const char *nodeset;
    enum vcpu_placement placement;
    LIST_OF(memnode) memnodes;
};

struct memtune {
    struct extra *extra;
    uint64_t hard_limit, soft_limit, min_guarantee, swap_hard_limit; /* KiB, 0 = none */
};

struct blkio_device {
    struct extra *extra;
    const char *path;
    struct optional_u64 weight, read_bytes_sec, write_bytes_sec, read_iops_sec, write_iops_sec;
};

struct blkiotune {
    struct extra *extra;
    uint32_t weight;
    LIST_OF(blkio_device) devices;
};

struct perf_event {
    struct extra *extra;
    const char *name;
    enum yesno enabled;
};

/* <qemu:commandline> */
struct qemu_arg {
    struct extra *extra;
    const char *value;
};

struct qemu_env {
    struct extra *extra;
    const char *name, *value;
};

struct qemu_commandline {
    struct extra *extra;
    LIST_OF(qemu_arg) args;
    LIST_OF(qemu_env) envs;
};
