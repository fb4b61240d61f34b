/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convert/rules.h"

#include <string.h>

#include "base/text.h"
#include "convert/rewrite.h"
#include "model/xml.h"

/* In this order: a kernel's command line names disks, whose new names must be known by then. */
static const struct rule rules[] = {
    {"domain/type", "the guest runs under KVM", .domain = rule_type},
    {"domain/name", "asked for", .domain = rule_name},
    {"domain/bootloader", "a loader of the Xen host cannot load for KVM; the guest boots by the loader in its disk",
     .domain = rule_bootloader},
    {"domain/bootloader_args", "it goes with the boot loader", .domain = rule_bootloader_args},
    {"os/type", "KVM runs full machines only", .domain = rule_os_type},
    {"os/arch", "a full machine says which processor it has", .domain = rule_arch},
    {"os/machine", "it is a machine of Xen's; the target host takes its own", .domain = rule_machine},
    {"os/loader", "it is firmware of Xen's; the target host takes its own", .domain = rule_loader},
    {"os/kernel", "it is a boot loader for Xen; the guest boots by the loader in its disk", .domain = rule_kernel},
    {"os/boot", "a full machine is told what to boot from", .domain = rule_boot},
    {"devices/emulator", "it is the Xen host's; the target host takes its own", .domain = rule_emulator},
    {"disk/driver", "QEMU is the only driver of images under KVM", .disk = rule_disk_driver},
    {"disk/format", "the format is said, so that nothing a guest writes can change it", .disk = rule_disk_format},
    {"disk/bus", "Xen's bus does not exist under KVM; virtio takes its place", .disk = rule_disk_bus},
    {"disk/target", "so a guest finds a disk of that bus", .disk = rule_disk_target},
    {"disk/backend", "there are no driver domains under KVM", .disk = rule_disk_backend},
    {"os/cmdline", "disks and console have other names under KVM", .domain = rule_cmdline},
    {"interface/hostdev", "a card of the source host is not in the target host", .domain = rule_interface_hostdev},
    {"interface/model", "virtio is what Xen's network driver was there", .interface = rule_interface_model},
    {"interface/script", "it is a script of the Xen host; KVM needs none", .interface = rule_interface_script},
    {"interface/target", "it was made for one run on the Xen host", .interface = rule_interface_target},
    {"interface/source", "the target host's network, as the mapping says", .interface = rule_interface_source},
    {"interface/ip", "QEMU cannot set addresses in a guest", .interface = rule_interface_ip},
    {"interface/backend", "there are no driver domains under KVM", .interface = rule_interface_backend},
    {"interface/mac", "it has none, so each start would make another one", .interface = rule_interface_mac},
    {"devices/console", "Xen's console does not exist under KVM", .domain = rule_console},
    {"devices/serial", "a working serial console", .domain = rule_serial},
    {"devices/channel", "Xen's channels do not exist under KVM; virtio takes their place", .domain = rule_channel},
    {"devices/input", "Xen's bus does not exist under KVM", .domain = rule_input},
    {"devices/graphics", "a daemon has no display of its own; VNC is reached from everywhere", .domain = rule_graphics},
    {"graphics/listen", "it is an address of the source host", .domain = rule_listen},
    {"devices/video", "Xen's frame buffer does not exist under KVM; this card works without drivers",
     .domain = rule_video},
    {"devices/memballoon", "Xen's balloon does not exist under KVM; virtio takes its place", .domain = rule_memballoon},
    {"clock/offset", "the offset of one run is not the next one's", .domain = rule_clock},
    {"clock/timer", "it is a timer or a setting of Xen's", .domain = rule_timers},
    {"domain/feature", "a full machine needs them to switch off and to have several processors",
        .domain = rule_features},
    {"features/xen", "it is a switch of Xen's", .domain = rule_xen_features},
    {"features/viridian", "it is what Xen calls Hyper-V's interfaces", .domain = rule_viridian},
    {"domain/cpu", "under Xen the guest saw the host's processor", .domain = rule_cpu},
    {"domain/cpuset", "it names processors of the source host", .domain = rule_cpuset},
    {"domain/on_poweroff", "KVM does not know that action", .domain = rule_on_poweroff},
    {"domain/on_reboot", "KVM does not know that action", .domain = rule_on_reboot},
    {"domain/on_crash", "KVM does not know that action", .domain = rule_on_crash},
    {"domain/seclabel", "it is a label of Xen's security module", .domain = rule_seclabels},
    {"domain/element", "it is an option of Xen's own tools", .domain = rule_extras},
    {"devices/hostdev", "a device of the source host is not in the target host", .domain = rule_hostdev},
    {"devices/controller", "it is a controller of Xen's machine; the target host makes its own",
        .domain = rule_controller},
    {"devices/address", "it is a place in Xen's machine; the target host makes its own", .domain = rule_address},
};

void rewrite_changed_of(struct rewrite *rewrite, const char *subject, const char *from, const char *to)
{
    report_change(rewrite->report, rewrite->rule->id, subject, from, to, rewrite->rule->why);
}

void rewrite_changed(struct rewrite *rewrite, const char *from, const char *to)
{
    rewrite_changed_of(rewrite, rewrite->subject, from, to);
}

void rewrite_left(struct rewrite *rewrite, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(rewrite->arena, format, args);
    va_end(args);
    report_left(rewrite->report, rewrite->rule->id, rewrite->subject, "%s", text);
}

void rewrite_string(struct rewrite *rewrite, const char **place, const char *value)
{
    if (string_equal(*place, value))
        return;
    rewrite_changed(rewrite, *place, value);
    *place = value ? arena_strdup(rewrite->arena, value) : NULL;
}

void list_drop(void *list, uint32_t index)
{
    LIST_OF(extra) *any = list;
    memmove(&any->item[index], &any->item[index + 1], (any->count - index - 1) * sizeof(*any->item));
    any->count--;
}

void rewrite_drop_extras(struct rewrite *rewrite, struct extra **extras, const char *prefix)
{
    for (struct extra **at = extras; *at;) {
        const char *text = (*at)->text, *name = (*at)->attribute ? (*at)->name : NULL;
        text += name ? 0 : strspn(text, " \n\t");
        if (!string_starts(name ? name : *text == '<' ? text + 1 : text, prefix)) {
            at = &(*at)->next;
            continue;
        }
        rewrite_changed(rewrite, arena_strndup(rewrite->arena, name ? name : text, strcspn(name ? name : text, "\n")),
                        NULL);
        *at = (*at)->next;
    }
}

/* "os" of "os/type" */
static const char *rule_group(struct rewrite *rewrite)
{
    return arena_strndup(rewrite->arena, rewrite->rule->id, strcspn(rewrite->rule->id, "/"));
}

static const char *interface_subject(struct rewrite *rewrite, const struct interface *interface, uint32_t index)
{
    if (interface->target)
        return arena_printf(rewrite->arena, "interface %s", interface->target);
    if (interface->mac.set)
        return arena_printf(rewrite->arena, "interface %s", mac_text(rewrite->arena, &interface->mac));
    return arena_printf(rewrite->arena, "interface %u", index + 1);
}

/* The names of things as the source has them, whatever rules do to these. */
struct subjects {
    const char **disk; /* interfaces may go, disks stay */
    struct interface **interfaces;
    const char **interface;
    uint32_t interface_count;
};

static struct subjects subjects_make(struct rewrite *rewrite)
{
    const struct domain_def *def = rewrite->def;
    struct subjects subjects = {.interface_count = def->interfaces.count};
    subjects.disk = arena_new_array(rewrite->arena, def->disks.count + 1, const char *);
    subjects.interface = arena_new_array(rewrite->arena, def->interfaces.count + 1, const char *);
    subjects.interfaces = arena_new_array(rewrite->arena, def->interfaces.count + 1, struct interface *);
    for (uint32_t i = 0; i < def->disks.count; i++)
        subjects.disk[i] = arena_printf(rewrite->arena, "disk %s", def->disks.item[i]->target);
    for (uint32_t i = 0; i < def->interfaces.count; i++) {
        subjects.interfaces[i] = def->interfaces.item[i];
        subjects.interface[i] = interface_subject(rewrite, def->interfaces.item[i], i);
    }
    return subjects;
}

static const char *interface_subject_find(const struct subjects *subjects, const struct interface *interface)
{
    uint32_t i = 0;
    while (i < subjects->interface_count && subjects->interfaces[i] != interface)
        i++;
    return i < subjects->interface_count ? subjects->interface[i] : "interface";
}

int rules_apply(struct domain_def *def, const struct rules_options *options, struct report *report, struct error *err)
{
    struct error failed = {0};
    struct rewrite rewrite = {.def = def, .arena = def->arena, .options = options, .report = report, .err = &failed};
    rewrite.paravirtual = def->os.type != OS_TYPE_HVM && (def->type == VIRT_TYPE_XEN || def->bootloader);
    struct subjects subjects = subjects_make(&rewrite);
    rewrite.renames = arena_new_array(rewrite.arena, def->disks.count + 1, struct rename);
    for (size_t i = 0; i < COUNT(rules) && !failed.code; i++) {
        rewrite.rule = &rules[i];
        rewrite.subject = rule_group(&rewrite);
        if (rules[i].domain)
            rules[i].domain(&rewrite);
        for (uint32_t at = 0; rules[i].disk && at < def->disks.count; at++) {
            rewrite.subject = subjects.disk[at];
            rules[i].disk(&rewrite, def->disks.item[at]);
        }
        for (uint32_t at = 0; rules[i].interface && at < def->interfaces.count; at++) {
            rewrite.subject = interface_subject_find(&subjects, def->interfaces.item[at]);
            rules[i].interface(&rewrite, def->interfaces.item[at]);
        }
    }
    if (!failed.code)
        return 0;
    if (err)
        *err = failed;
    return -1;
}

void rules_text(struct text *out)
{
    for (size_t i = 0; i < COUNT(rules); i++)
        text_printf(out, "%-24s %s\n", rules[i].id, rules[i].why);
}
