/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/text.h"
#include "convert/rewrite.h"
#include "model/complete.h"
#include "model/xml.h"

/* The machine without its devices. */

void rule_type(struct rewrite *rewrite)
{
    rewrite_enum(rewrite, &rewrite->def->type, rewrite->options->type, virt_type);
    rewrite->def->id.set = false;
}

void rule_name(struct rewrite *rewrite)
{
    if (rewrite->options->name)
        rewrite_string(rewrite, &rewrite->def->name, rewrite->options->name);
}

void rule_bootloader(struct rewrite *rewrite)
{
    const char *loader = rewrite->def->bootloader;
    if (!loader)
        return;
    rewrite_string(rewrite, &rewrite->def->bootloader, NULL);
    rewrite_left(rewrite, "%s took the kernel out of the guest's disk; see that the disk has a boot loader of its own",
                 loader);
}

void rule_bootloader_args(struct rewrite *rewrite)
{
    rewrite_string(rewrite, &rewrite->def->bootloader_args, NULL);
}

void rule_os_type(struct rewrite *rewrite)
{
    rewrite_enum(rewrite, &rewrite->def->os.type, OS_TYPE_HVM, os_type);
}

void rule_arch(struct rewrite *rewrite)
{
    if (!rewrite->def->os.arch)
        rewrite_string(rewrite, &rewrite->def->os.arch, "x86_64");
}

void rule_machine(struct rewrite *rewrite)
{
    const char *machine = rewrite->def->os.machine;
    if (machine && (string_starts(machine, "xen") || string_equal(machine, "fs0")))
        rewrite_string(rewrite, &rewrite->def->os.machine, NULL);
}

/* hvmloader is Xen's BIOS; OVMF beside it is UEFI. */
void rule_loader(struct rewrite *rewrite)
{
    struct os *os = &rewrite->def->os;
    if (!os->loader)
        return;
    bool efi = strcasestr(os->loader, "ovmf") || os->loader_type == LOADER_TYPE_PFLASH;
    rewrite_changed(rewrite, os->loader, efi ? "firmware='efi'" : NULL);
    if (efi) {
        os->firmware = OS_FIRMWARE_EFI;
        rewrite_left(rewrite, "the target host's UEFI has no boot entries of the guest; it boots by the disk's "
                     "fallback loader (EFI/BOOT)");
    }
    os->loader = os->loader_format = os->nvram = os->nvram_template = NULL;
    os->loader_readonly = os->loader_secure = os->loader_stateless = YESNO_ABSENT;
    os->loader_type = LOADER_TYPE_ABSENT;
}

static bool kernel_is_loader(const char *kernel)
{
    static const char *const names[] = {"pv-grub", "pvgrub", "pv_grub", "x86_64-xen", "i386-xen", "grub-xen",
                                        "grub.xen", "hvmloader"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (strstr(kernel, names[i]))
            return true;
    return false;
}

void rule_kernel(struct rewrite *rewrite)
{
    struct os *os = &rewrite->def->os;
    if (!os->kernel)
        return;
    if (kernel_is_loader(os->kernel)) {
        rewrite_string(rewrite, &os->kernel, NULL);
        os->initrd = os->cmdline = NULL;
        rewrite_left(rewrite, "it took the kernel out of the guest's disk; see that the disk has a boot loader of its "
                              "own");
    } else if (rewrite->paravirtual) {
        rewrite_left(rewrite, "%s must lie on the target host and start without Xen, with virtio in its initial RAM "
                              "disk",
                     os->kernel);
    }
}

void rule_boot(struct rewrite *rewrite)
{
    struct os *os = &rewrite->def->os;
    if (os->boots.count || os->kernel || boots_by_order(rewrite->def))
        return;
    struct os_boot *boot = arena_struct(rewrite->arena, struct os_boot);
    boot->dev = BOOT_DEV_HD;
    list_add(rewrite->arena, &os->boots, boot);
    rewrite_changed(rewrite, NULL, "hd");
}

/* "root=/dev/xvda1" -> "root=/dev/vda1"; a disk that was a partition's name ("xvda1") has no number after it. */
static const char *device_renamed(const struct rewrite *rewrite, const char *word)
{
    const char *device = strstr(word, "/dev/");
    if (!device || (device != word && device[-1] != '='))
        return word;
    device += strlen("/dev/");
    size_t length = strcspn(device, ",:"), digits = length;
    while (digits && device[digits - 1] >= '0' && device[digits - 1] <= '9')
        digits--;
    for (unsigned whole = 0; whole < 2; whole++)
        for (size_t i = 0; i < rewrite->rename_count; i++) {
            size_t match = whole ? digits : length;
            if (strlen(rewrite->renames[i].from) == match && strncmp(device, rewrite->renames[i].from, match) == 0)
                return arena_printf(rewrite->arena, "%.*s%s%s", (int)(device - word), word, rewrite->renames[i].to,
                                    device + match);
        }
    return word;
}

void rule_cmdline(struct rewrite *rewrite)
{
    static const char *const consoles[] = {"console=hvc0", "console=xvc0", "console=xvc", "console=xencons"};
    struct os *os = &rewrite->def->os;
    if (!os->kernel || (!os->cmdline && !rewrite->paravirtual))
        return;
    scoped_text struct text out = {0};
    bool console = false;
    for (const char *at = os->cmdline ? os->cmdline : ""; *at;) {
        at += strspn(at, " \t");
        size_t length = strcspn(at, " \t");
        const char *word = arena_strndup(rewrite->arena, at, length);
        at += length;
        for (size_t i = 0; i < COUNT(consoles); i++)
            if (string_equal(word, consoles[i]))
                word = "console=ttyS0";
        console |= string_starts(word, "console=");
        if (!*word || string_starts(word, "xencons="))
            continue;
        text_printf(&out, "%s%s", out.length ? " " : "", device_renamed(rewrite, word));
    }
    if (!console && rewrite->paravirtual)
        text_printf(&out, "%sconsole=ttyS0", out.length ? " " : "");
    rewrite_string(rewrite, &os->cmdline, text_string(&out));
}

void rule_emulator(struct rewrite *rewrite)
{
    rewrite_string(rewrite, &rewrite->def->emulator, NULL);
}

static void feature_add(struct rewrite *rewrite, bool *feature, const char *name)
{
    if (!*feature)
        rewrite_changed(rewrite, NULL, name);
    *feature = true;
}

void rule_features(struct rewrite *rewrite)
{
    if (!rewrite->paravirtual)
        return;
    if (!rewrite->def->features)
        rewrite->def->features = arena_struct(rewrite->arena, struct features);
    feature_add(rewrite, &rewrite->def->features->acpi, "acpi");
    feature_add(rewrite, &rewrite->def->features->apic, "apic");
}

void rule_xen_features(struct rewrite *rewrite)
{
    struct features *features = rewrite->def->features;
    if (!features)
        return;
    if (features->hap_present)
        rewrite_changed(rewrite, "hap", NULL);
    if (features->privnet)
        rewrite_changed(rewrite, "privnet", NULL);
    features->hap_present = features->privnet = false;
    features->hap = ONOFF_ABSENT;
    rewrite_drop_extras(rewrite, &features->extra, "xen");
}

void rule_viridian(struct rewrite *rewrite)
{
    struct features *features = rewrite->def->features;
    if (!features || !features->viridian)
        return;
    features->viridian = false;
    if (!features->hyperv)
        features->hyperv = arena_struct(rewrite->arena, struct hyperv);
    features->hyperv->relaxed = features->hyperv->vapic = features->hyperv->spinlocks = ONOFF_ON;
    features->hyperv->spinlocks_retries = 8191; /* as Microsoft's interface advises; below 0xFFF is not allowed */
    rewrite_changed(rewrite, "on", "hyperv relaxed, vapic, spinlocks");
}

void rule_cpu(struct rewrite *rewrite)
{
    struct domain_def *def = rewrite->def;
    if (def->type != VIRT_TYPE_KVM || (def->cpu && (def->cpu->mode || def->cpu->model)))
        return;
    if (!def->cpu)
        def->cpu = arena_struct(rewrite->arena, struct cpu);
    def->cpu->mode = CPU_MODE_HOST_MODEL;
    def->cpu->match = CPU_MATCH_ABSENT;
    rewrite_changed(rewrite, NULL, "host-model");
}

void rule_cpuset(struct rewrite *rewrite)
{
    if (rewrite->def->vcpu_cpuset)
        rewrite_left(rewrite, "see that the target host has the processors %s that the guest is bound to",
                     rewrite->def->vcpu_cpuset);
}

void rule_timers(struct rewrite *rewrite)
{
    struct clock *clock = &rewrite->def->clock;
    for (uint32_t i = 0; i < clock->timers.count;) {
        const struct timer *timer = clock->timers.item[i];
        if (!timer->mode && timer->name != TIMER_NAME_PLATFORM) {
            i++;
            continue;
        }
        const char *mode = timer_mode_name(timer->mode);
        rewrite_changed(rewrite, arena_printf(rewrite->arena, "%s%s%s", timer_name_name(timer->name), mode ? " " : "",
                                              mode ? mode : ""), NULL);
        list_drop(&clock->timers, i);
    }
}

void rule_clock(struct rewrite *rewrite)
{
    struct clock *clock = &rewrite->def->clock;
    if (string_equal(clock->adjustment, "reset"))
        rewrite_string(rewrite, &clock->adjustment, NULL);
}

void rule_on_poweroff(struct rewrite *rewrite)
{
    enum lifecycle *action = &rewrite->def->on_poweroff;
    if (*action == LIFECYCLE_PRESERVE || *action == LIFECYCLE_RENAME_RESTART)
        rewrite_enum(rewrite, action, LIFECYCLE_DESTROY, lifecycle);
}

void rule_on_reboot(struct rewrite *rewrite)
{
    enum lifecycle *action = &rewrite->def->on_reboot;
    if (*action == LIFECYCLE_PRESERVE || *action == LIFECYCLE_RENAME_RESTART)
        rewrite_enum(rewrite, action, LIFECYCLE_RESTART, lifecycle);
}

void rule_on_crash(struct rewrite *rewrite)
{
    if (rewrite->def->on_crash == LIFECYCLE_RENAME_RESTART)
        rewrite_enum(rewrite, &rewrite->def->on_crash, LIFECYCLE_RESTART, lifecycle);
}

void rule_seclabels(struct rewrite *rewrite)
{
    for (uint32_t i = 0; i < rewrite->def->seclabels.count; i++) {
        const struct seclabel *label = rewrite->def->seclabels.item[i];
        rewrite_changed(rewrite, label->label ? label->label : label->model ? label->model : "seclabel", NULL);
    }
    rewrite->def->seclabels.count = 0;
}

void rule_extras(struct rewrite *rewrite)
{
    rewrite_drop_extras(rewrite, &rewrite->def->extra, "xen:");
}
