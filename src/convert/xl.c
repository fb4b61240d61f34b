/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convert/xl.h"

#include <string.h>

#include "base/text.h"
#include "convert/xl_device.h"
#include "convert/xl_disk.h"
#include "model/xml.h"

#define MEMORY_MAX_MIB (UINT64_C(1) << 32)
#define VCPUS_MAX      4096

/* Settings that Xen knows and that a definition for KVM has no place for. reason NULL: nothing is lost without it. */
static const struct {
    const char *name, *reason;
} settings_left[] = {
    {"cpu_weight", "set <cputune><shares> where the weight mattered"},
    {"cap", "set <cputune><quota> where the cap mattered"},
    {"cpu_cap", "set <cputune><quota> where the cap mattered"},
    {"cpus_soft", "there is no soft affinity; use <vcpu cpuset=...> where it mattered"},
    {"vnuma", "describe the cells in <cpu><numa>"},
    {"vtpm", "add <tpm> and give the guest its keys again"},
    {"p9", "share the directory with <filesystem>"},
    {"channel", "add <channel type='unix'> with the name that the program in the guest opens"},
    {"usbctrl", "the target has a USB controller of its own"},
    {"usb", NULL},
    {"rdm", "passed-through memory is laid out by QEMU itself"},
    {"gfx_passthru", "give the graphics card to the guest with <hostdev>"},
    {"ioports", "I/O ports cannot be passed through"},
    {"iomem", "memory of the host cannot be passed through"},
    {"irqs", "interrupts cannot be passed through"},
    {"nestedhvm", "let <cpu> have the feature vmx or svm where the guest runs guests of its own"},
    {"cpuid", "set the features in <cpu> where the guest depends on them"},
    {"acpi_firmware", "pass the table with <os><acpi><table>"},
    {"smbios_firmware", "describe it in <sysinfo type='smbios'>"},
    {"ms_vm_genid", "add <genid/> where the guest's software wants it"},
    {"tsc_mode", NULL}, {"timer_mode", NULL}, {"vpt_align", NULL}, {"suppress_spurious_page_faults", NULL},
    {"device_model_version", NULL}, {"device_model_override", NULL}, {"device_model", NULL},
    {"device_model_args", "pass QEMU's own options with <qemu:commandline>"},
    {"device_model_args_hvm", "pass QEMU's own options with <qemu:commandline>"},
    {"device_model_stubdomain_override", NULL}, {"xen_platform_pci", NULL}, {"shadow_memory", NULL}, {"oos", NULL},
    {"altp2m", NULL}, {"altp2mhvm", NULL}, {"nomigrate", NULL}, {"seclabel", NULL}, {"init_seclabel", NULL},
    {"device_model_stubdomain_seclabel", NULL}, {"pci_msitranslate", NULL}, {"pci_power_mgmt", NULL},
    {"pci_permissive", NULL}, {"pci_seize", NULL}, {"e820_host", NULL}, {"driver_domain", NULL}, {"pool", NULL},
    {"claim_mode", NULL}, {"max_event_channels", NULL}, {"max_grant_frames", NULL}, {"max_maptrack_frames", NULL},
    {"acpi_s3", NULL}, {"acpi_s4", NULL}, {"acpi_laptop_slate", NULL}, {"on_soft_reset", NULL},
    {"on_watchdog", "add <watchdog> where the guest has a watchdog"}, {"opengl", NULL}, {"monitor", NULL},
        {"vncconsole", NULL},
    {"vncviewer", NULL}, {"xauthority", NULL}, {"display", NULL}, {"passthrough", NULL}, {"hap", NULL}, {"nics", NULL},
    {"vkb_device", NULL}, {"dom_mem", NULL}, {"iommu", NULL}, {"spicevdagent", NULL}, {"spiceusbredirection", NULL},
    {"restart", NULL}, {"features", NULL}, {"guest_os_type", NULL},
};

/* Settings that are read below and in the files for devices. */
static const char *const settings_read[] = {
    "name", "uuid", "type", "builder", "pvh", "memory", "maxmem", "vcpus", "maxvcpus", "vcpu_avail", "cpus", "cpu",
    "kernel", "ramdisk", "extra", "cmdline", "root", "bootloader", "bootloader_args", "bootargs", "firmware", "bios",
    "boot", "on_poweroff", "on_reboot", "on_crash", "localtime", "rtc_timeoffset", "hpet", "acpi", "apic", "pae",
    "viridian", "disk", "vif", "vfb", "vnc", "vnclisten", "vncdisplay", "vncunused", "vncpasswd", "sdl", "spice",
    "spicehost", "spiceport", "spicetls_port", "spicepasswd", "spicedisable_ticketing", "spiceagent_mouse",
    "spice_clipboard_sharing", "keymap", "nographic", "stdvga", "vga", "videoram", "serial", "pci", "usbdev",
    "usbdevice", "soundhw", "description",
};

static void unread_left(const struct xl_file *file, struct report *report)
{
    for (size_t i = 0; i < file->count; i++) {
        const struct xl_setting *setting = &file->setting[i];
        size_t read = 0, left = 0;
        while (read < COUNT(settings_read) && strcmp(settings_read[read], setting->name) != 0)
            read++;
        while (left < COUNT(settings_left) && strcmp(settings_left[left].name, setting->name) != 0)
            left++;
        if (read < COUNT(settings_read) || (left < COUNT(settings_left) && !settings_left[left].reason))
            continue;
        if (left < COUNT(settings_left))
            report_left(report, "xl/setting", "", "'%s' (line %u) is not carried over: %s", setting->name,
                        setting->line,
                        settings_left[left].reason);
        else
            report_left(report, "xl/setting", "", "'%s' (line %u) is no setting that is known here; look whether the "
                        "guest needs it", setting->name, setting->line);
    }
}

/* hvm, pvh or pv: type=, else builder= (xm's, "linux" and "generic" are paravirtual), else what it boots. */
static int type_read(const struct xl_file *file, enum os_type *type, struct error *err)
{
    static const struct {
        const char *word;
        enum os_type type;
    } words[] = {{"hvm", OS_TYPE_HVM}, {"pvh", OS_TYPE_XENPVH}, {"pv", OS_TYPE_LINUX}, {"linux", OS_TYPE_LINUX},
                 {"generic", OS_TYPE_LINUX}};
    const char *word = NULL, *kernel = NULL, *setting = "type";
    bool pvh = false;
    if (xl_text(file, "type", &word, err) < 0 || xl_text(file, "kernel", &kernel, err) < 0 ||
        xl_flag(file, "pvh", &pvh, err) < 0)
        return -1;
    if (!word) {
        setting = "builder";
        if (xl_text(file, "builder", &word, err) < 0)
            return -1;
    }
    if (!word)
        word = kernel && strstr(kernel, "hvmloader") ? "hvm" : pvh ? "pvh" : "pv";
    for (size_t i = 0; i < COUNT(words); i++)
        if (strcmp(word, words[i].word) == 0) {
            *type = words[i].type == OS_TYPE_LINUX && pvh ? OS_TYPE_XENPVH : words[i].type;
            return 0;
        }
    return xl_wrong(err, xl_find(file, setting)->value, setting, "'%.40s' is not known; it is hvm, pvh or pv", word);
}

static int identity_read(const struct xl_file *file, struct domain_def *def, struct error *err)
{
    const char *uuid = NULL;
    if (xl_text(file, "name", &def->name, err) < 0 || xl_text(file, "uuid", &uuid, err) < 0 ||
        xl_text(file, "description", &def->description, err) < 0)
        return -1;
    if (!def->name)
        return error_set(err, ERR_NO_NAME, "the configuration has no name = '...'; every guest needs one");
    if (uuid && uuid_parse(uuid, def->uuid) < 0)
        return xl_wrong(err, xl_find(file, "uuid")->value, "uuid", "'%.60s' is no UUID", uuid);
    def->uuid_set = uuid != NULL;
    return 0;
}

static int memory_read(const struct xl_file *file, struct domain_def *def, struct error *err)
{
    uint64_t memory = 0, most = 0;
    if (xl_number(file, "memory", MEMORY_MAX_MIB, &memory, err) < 0 ||
        xl_number(file, "maxmem", MEMORY_MAX_MIB, &most, err) < 0)
        return -1;
    if (!memory && !most)
        return error_set(err, ERR_CONF_SYNTAX, "domain '%s' has no memory = MEGABYTES", def->name);
    memory = memory ? memory : most;
    def->memory = (most > memory ? most : memory) * 1024;
    def->current_memory = memory * 1024;
    return 0;
}

static int processors_read(const struct xl_file *file, struct domain_def *def, struct error *err)
{
    uint64_t current = 1, most = 0, mask = 0;
    if (xl_number(file, "vcpus", VCPUS_MAX, &current, err) < 0 || xl_number(file, "maxvcpus", VCPUS_MAX, &most,
                                                                            err) < 0 ||
        xl_number(file, "vcpu_avail", UINT64_MAX, &mask, err) < 0)
        return -1;
    current = current ? current : 1;
    most = most > current ? most : current;
    if (mask && __builtin_popcountll(mask) < (int)current) /* xm: the processors that are on at first */
        current = (uint64_t)__builtin_popcountll(mask);
    def->vcpus_max = (uint32_t)most;
    def->vcpus_current = (uint32_t)current;
    const struct xl_value *cpus = xl_item(file, "cpus", 0);
    bool one = cpus && cpus->kind == XL_ATOM && !xl_item(file, "cpus", 1);
    bool plain = one && strspn(cpus->text, "0123456789,-^ ") == strlen(cpus->text);
    scoped_text struct text set = {0};
    for (const char *c = plain ? cpus->text : ""; *c; c++)
        if (*c != ' ')
            text_append_char(&set, *c);
    if (set.length)
        def->vcpu_cpuset = arena_strdup(def->arena, text_string(&set));
    return 0;
}

static int lifecycle_read(const struct xl_file *file, const char *name, enum lifecycle *action, struct error *err)
{
    const char *word = NULL;
    if (xl_text(file, name, &word, err) < 0)
        return -1;
    unsigned value = word ? words_value(&lifecycle_words, word) : *action;
    if (word && strcmp(word, "soft-reset") == 0)
        value = LIFECYCLE_RESTART;
    if (!value)
        return xl_wrong(err, xl_find(file, name)->value, name, "'%.40s' is not known; it is destroy, restart, "
                        "rename-restart, preserve, coredump-destroy or coredump-restart", word);
    *action = (enum lifecycle)value;
    return 0;
}

static int clock_read(const struct xl_file *file, struct domain_def *def, struct error *err)
{
    bool local = false, hpet = true;
    const char *offset = NULL;
    int32_t seconds;
    if (xl_flag(file, "localtime", &local, err) < 0 || xl_text(file, "rtc_timeoffset", &offset, err) < 0 ||
        xl_flag(file, "hpet", &hpet, err) < 0)
        return -1;
    def->clock.offset = local ? CLOCK_OFFSET_LOCALTIME : CLOCK_OFFSET_UTC;
    if (offset && parse_i32(offset, 10, &seconds) < 0)
        return xl_wrong(err, xl_find(file, "rtc_timeoffset")->value, "rtc_timeoffset", "'%.40s' is no number of "
                                                                                       "seconds",
                        offset);
    if (offset && seconds) {
        def->clock.basis = local ? CLOCK_BASIS_LOCALTIME : CLOCK_BASIS_UTC;
        def->clock.offset = CLOCK_OFFSET_VARIABLE;
        def->clock.adjustment_s = (struct optional_i32){seconds, true};
        def->clock.adjustment = arena_printf(def->arena, "%d", seconds);
    }
    if (xl_find(file, "hpet")) {
        struct timer *timer = arena_struct(def->arena, struct timer);
        timer->name = TIMER_NAME_HPET;
        timer->present = hpet ? YESNO_YES : YESNO_NO;
        list_add(def->arena, &def->clock.timers, timer);
    }
    return 0;
}

/* Of a full machine; xl has these on unless the file says otherwise. */
static int features_read(const struct xl_file *file, struct domain_def *def, struct error *err)
{
    struct features *features = def->features = arena_struct(def->arena, struct features);
    features->acpi = features->apic = features->pae = true;
    const struct xl_value *viridian = xl_item(file, "viridian", 0);
    features->viridian = viridian && viridian->kind == XL_ATOM && strcmp(viridian->text, "0") != 0;
    return xl_flag(file, "acpi", &features->acpi, err) < 0 || xl_flag(file, "apic", &features->apic, err) < 0 ||
                   xl_flag(file, "pae", &features->pae, err) < 0
               ? -1
               : 0;
}

/* boot = "dc": letters of drives, in order. */
static int boot_read(const struct xl_file *file, struct domain_def *def, struct error *err)
{
    static const struct {
        char letter;
        enum boot_dev dev;
    } letters[] = {{'a', BOOT_DEV_FD}, {'c', BOOT_DEV_HD}, {'d', BOOT_DEV_CDROM}, {'n', BOOT_DEV_NETWORK}};
    const char *order = "c";
    if (xl_text(file, "boot", &order, err) < 0)
        return -1;
    for (const char *c = order; *c; c++) {
        size_t i = 0;
        while (i < COUNT(letters) && letters[i].letter != *c)
            i++;
        if (i == COUNT(letters) || def->os.boots.count == COUNT(letters))
            return xl_wrong(err, xl_find(file, "boot")->value, "boot", "'%.40s' is no order of a, c, d and n", order);
        struct os_boot *boot = arena_struct(def->arena, struct os_boot);
        boot->dev = letters[i].dev;
        list_add(def->arena, &def->os.boots, boot);
    }
    return 0;
}

static int machine_read(const struct xl_file *file, struct domain_def *def, struct error *err)
{
    const char *firmware = NULL;
    if (xl_text(file, "firmware", &firmware, err) < 0 || (!firmware && xl_text(file, "bios", &firmware, err) < 0))
        return -1;
    if (string_equal(firmware, "uefi") || string_equal(firmware, "ovmf"))
        def->os.firmware = OS_FIRMWARE_EFI;
    def->os.machine = "xenfv";
    return boot_read(file, def, err) < 0 ? -1 : features_read(file, def, err);
}

/* What the host starts in the guest: a kernel, or a boot loader that looks for one in the guest's disk. */
static int kernel_read(const struct xl_file *file, struct domain_def *def, struct error *err)
{
    const char *root = NULL, *extra = NULL, *cmdline = NULL;
    if (xl_text(file, "kernel", &def->os.kernel, err) < 0 || xl_text(file, "ramdisk", &def->os.initrd, err) < 0 ||
        xl_text(file, "root", &root, err) < 0 || xl_text(file, "extra", &extra, err) < 0 ||
        xl_text(file, "cmdline", &cmdline, err) < 0 || xl_text(file, "bootloader", &def->bootloader, err) < 0)
        return -1;
    bool hvm = def->os.type == OS_TYPE_HVM;
    if (hvm) {
        def->bootloader = NULL;
        if (def->os.kernel && strstr(def->os.kernel, "hvmloader")) /* the firmware, not a kernel */
            def->os.kernel = NULL;
    }
    if (!cmdline && (root || extra))
        cmdline = arena_printf(def->arena, "%s%s%s%s", root ? "root=" : "", root ? root : "", root && extra ? " " : "",
                               extra ? extra : "");
    if (def->os.kernel)
        def->os.cmdline = cmdline;
    if (def->os.kernel || hvm)
        return 0;
    if (!def->bootloader)
        def->bootloader = "pygrub"; /* as xl takes it */
    scoped_text struct text args = {0};
    const char *name = xl_find(file, "bootloader_args") ? "bootloader_args" : "bootargs";
    const struct xl_value *word;
    for (size_t i = 0; (word = xl_item(file, name, i)); i++)
        if (word->kind == XL_ATOM)
            text_printf(&args, "%s%s", args.length ? " " : "", word->text);
    if (args.length)
        def->bootloader_args = arena_strdup(def->arena, text_string(&args));
    return 0;
}

static int devices_read(const struct xl_read *read, struct error *err)
{
    const struct xl_value *value;
    for (size_t i = 0; (value = xl_item(read->file, "disk", i)); i++)
        if (xl_disk_add(read->def, value, "disk", read->report, err) < 0)
            return -1;
    return xl_interfaces_read(read, err) < 0 || xl_displays_read(read, err) < 0 || xl_inputs_read(read, err) < 0 ||
                   xl_chardevs_read(read, err) < 0 || xl_hostdevs_read(read, err) < 0
               ? -1
               : 0;
}

static int def_fill(const struct xl_file *file, struct domain_def *def, struct report *report, struct error *err)
{
    def->type = VIRT_TYPE_XEN;
    def->on_poweroff = LIFECYCLE_DESTROY;
    def->on_reboot = LIFECYCLE_RESTART;
    def->on_crash = LIFECYCLE_DESTROY;
    if (type_read(file, &def->os.type, err) < 0 || identity_read(file, def, err) < 0 || memory_read(file, def,
                                                                                                    err) < 0 ||
        processors_read(file, def, err) < 0 || lifecycle_read(file, "on_poweroff", &def->on_poweroff, err) < 0 ||
        lifecycle_read(file, "on_reboot", &def->on_reboot, err) < 0 ||
        lifecycle_read(file, "on_crash", &def->on_crash, err) < 0 || clock_read(file, def, err) < 0 ||
        kernel_read(file, def, err) < 0)
        return -1;
    bool hvm = def->os.type == OS_TYPE_HVM;
    def->os.arch = "x86_64";
    def->os.machine = def->os.type == OS_TYPE_XENPVH ? "xenpvh" : "xenpv";
    if (hvm && machine_read(file, def, err) < 0)
        return -1;
    if (devices_read(&(struct xl_read){.file = file, .def = def, .report = report, .hvm = hvm}, err) < 0)
        return -1;
    unread_left(file, report);
    return 0;
}

struct domain_def *xl_read(const char *text, size_t length, struct report *report, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct xl_file *file = xl_parse(arena, text, length, err);
    if (!file)
        return NULL;
    struct domain_def *def = arena_struct(arena, struct domain_def);
    def->arena = arena;
    return def_fill(file, def, report, err) < 0 ? NULL : domain_edit(def);
}
