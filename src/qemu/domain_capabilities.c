/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/domain_capabilities.h"

#include "host/kvm.h"
#include "model/xml.h"
#include "qemu/arch.h"
#include "qemu/command.h"
#include "qemu/cpu_compare.h"

typedef const struct domain_capabilities target;

/* -- what decides, where a name alone does not -------------------------------------------------------------------- */

static bool has_builtin_ide(target *capabilities)
{
    static const char *const machines[] = {"pc-i440fx", "pc-0", "pc-1", "isapc", "malta", "sun4u", "g3beige", "mac99"};
    for (size_t i = 0; i < COUNT(machines); i++)
        if (string_starts(capabilities->machine->name, machines[i]))
            return true;
    return false;
}

static bool has_vfio(target *capabilities)
{
    return qemu_caps_has_type(capabilities->caps, "vfio-pci") && access("/dev/vfio/vfio", F_OK) == 0;
}

static bool has_tpm_passthrough(target *capabilities)
{
    return qemu_strings_have(&capabilities->caps->tpm_types, "passthrough");
}

static bool has_tpm_emulator(target *capabilities)
{
    return qemu_strings_have(&capabilities->caps->tpm_types, "emulator") && access("/usr/bin/swtpm", X_OK) == 0;
}

static bool never(target *capabilities)
{
    return false;
}

/* -- the tables --------------------------------------------------------------------------------------------------- */

/* A word that clients may use, and what must be there for it: an object type, a QMP command, or what a function says;
 * nothing = always. */
struct value {
    const char *word, *type, *symbol;
    bool (*when)(target *capabilities);
};

#define VALUES_MAX 12
struct enumeration {
    const char *name; /* NULL: values directly below the element */
    struct value values[VALUES_MAX];
};

#define ENUMERATIONS_MAX 5
struct block {
    const char *element;
    const char *type; /* the block is supported when there is this object type or this command; NULL = always */
    const char *symbol;
    struct enumeration enumerations[ENUMERATIONS_MAX];
};

#define VIRTIO_MODELS(device)                                                                                         \
    {{"virtio", .type = device "-pci"},                                                                               \
     {"virtio-transitional", .type = device "-pci-transitional"},                                                     \
     {"virtio-non-transitional", .type = device "-pci-non-transitional"}}

static const struct block memory_backing = {
    "memoryBacking",
    .enumerations = {{"sourceType",
                      {{"file", .type = "memory-backend-file"},
                       {"anonymous"},
                       {"memfd", .type = "memory-backend-memfd"}}}}};

static const struct block devices[] = {
    {"disk",
     .enumerations = {{"diskDevice", {{"disk"}, {"cdrom"}, {"floppy", .type = "isa-fdc"}, {"lun"}}},
                      {"bus",
                       {{"ide", .when = has_builtin_ide},
                        {"fdc", .type = "isa-fdc"},
                        {"scsi", .type = "scsi-hd"},
                        {"virtio", .type = "virtio-blk-device"},
                        {"usb", .type = "usb-storage"},
                        {"sata", .type = "ich9-ahci"}}},
                      {"model", VIRTIO_MODELS("virtio-blk")}}},
    {"graphics",
     .enumerations = {{"type",
                       {{"vnc", .symbol = "query-vnc"},
                        {"spice", .symbol = "query-spice"},
                        {"dbus", .type = "dbus-display"}}}}},
    {"video",
     .enumerations = {{"modelType",
                       {{"vga", .type = "VGA"},
                        {"cirrus", .type = "cirrus-vga"},
                        {"vmvga", .type = "vmware-svga"},
                        {"qxl", .type = "qxl"},
                        {"virtio", .type = "virtio-gpu-device"},
                        {"none"},
                        {"bochs", .type = "bochs-display"},
                        {"ramfb", .type = "ramfb"}}}}},
    {"hostdev",
     .enumerations = {{"mode", {{"subsystem"}}},
                      {"startupPolicy", {{"default"}, {"mandatory"}, {"requisite"}, {"optional"}}},
                      {"subsysType",
                       {{"usb", .type = "usb-host"},
                        {"pci", .type = "vfio-pci"},
                        {"scsi", .type = "scsi-generic"}}},
                      {"capsType", {{0}}},
                      {"pciBackend", {{"default", .when = has_vfio}, {"vfio", .when = has_vfio}}}}},
    {"rng",
     .type = "virtio-rng-device",
     .enumerations = {{"model", VIRTIO_MODELS("virtio-rng")},
                      {"backendModel",
                       {{"random", .type = "rng-random"},
                        {"egd", .type = "rng-egd"},
                        {"builtin", .type = "rng-builtin"}}}}},
    {"filesystem",
     .enumerations = {{"driverType",
                       {{"path", .type = "virtio-9p-device"},
                        {"handle", .type = "virtio-9p-device"},
                        {"virtiofs", .type = "vhost-user-fs-device"}}}}},
    {"tpm",
     .symbol = "query-tpm-models",
     .enumerations = {{"model",
                       {{"tpm-tis", .type = "tpm-tis"},
                        {"tpm-tis", .type = "tpm-tis-device"},
                        {"tpm-crb", .type = "tpm-crb"},
                        {"tpm-spapr", .type = "tpm-spapr"}}},
                      {"backendModel",
                       {{"passthrough", .when = has_tpm_passthrough}, {"emulator", .when = has_tpm_emulator}}}}},
    {"redirdev", .type = "usb-redir", .enumerations = {{"bus", {{"usb"}}}}},
    {"channel",
     .enumerations = {{"type", {{"pty"}, {"unix"}, {"spicevmc", .type = "chardev-spicevmc"}}}}},
};

/* Features are supported or not, without words. Those that Godwit does not drive yet are never. */
static const struct value features[] = {
    {"gic", .when = never},
    {"vmcoreinfo", .type = "vmcoreinfo"},
    {"genid", .type = "vmgenid"},
    {"backingStoreInput"},
    {"backup", .when = never},
    {"sev", .when = never},
    {"sgx", .when = never},
};

/* Hyper-V enlightenments: the bit of EAX that KVM sets when it has them; leaf 0 = QEMU alone provides it. */
static const struct {
    const char *word;
    uint32_t leaf;
    unsigned bit;
} enlightenments[] = {
    {"relaxed", 0x40000004, 5},         {"vapic", 0x40000003, 4},   {"spinlocks", 0, 0},
    {"vpindex", 0x40000003, 6},         {"runtime", 0x40000003, 0}, {"synic", 0x40000003, 2},
    {"stimer", 0x40000003, 3},          {"reset", 0x40000003, 7},   {"vendor_id", 0, 0},
    {"frequencies", 0x40000003, 11},    {"reenlightenment", 0x40000003, 13},
    {"tlbflush", 0x40000004, 2},        {"ipi", 0x40000004, 10},    {"evmcs", 0x40000004, 14},
};

/* -- walking them ------------------------------------------------------------------------------------------------- */

static bool is_there(target *capabilities, const char *type, const char *symbol, bool (*when)(target *))
{
    return (!type || qemu_caps_has_type(capabilities->caps, type)) &&
           (!symbol || qemu_caps_has(capabilities->caps, symbol)) && (!when || when(capabilities));
}

static void append_enumeration(struct text *xml, target *capabilities, const struct enumeration *enumeration,
                               unsigned indent)
{
    scoped_text struct text values = {0};
    for (const struct value *value = enumeration->values; value->word; value++)
        if (is_there(capabilities, value->type, value->symbol, value->when))
            text_printf(&values, "%*s<value>%s</value>\n", (int)indent + 2, "", value->word);
    if (values.length)
        text_printf(xml, "%*s<enum name='%s'>\n%s%*s</enum>\n", (int)indent, "", enumeration->name,
                    text_string(&values), (int)indent, "");
    else
        text_printf(xml, "%*s<enum name='%s'/>\n", (int)indent, "", enumeration->name);
}

static void append_block(struct text *xml, target *capabilities, const struct block *block, unsigned indent)
{
    if (!is_there(capabilities, block->type, block->symbol, NULL)) {
        text_printf(xml, "%*s<%s supported='no'/>\n", (int)indent, "", block->element);
        return;
    }
    text_printf(xml, "%*s<%s supported='yes'>\n", (int)indent, "", block->element);
    for (size_t i = 0; i < ENUMERATIONS_MAX && block->enumerations[i].name; i++)
        append_enumeration(xml, capabilities, &block->enumerations[i], indent + 2);
    text_printf(xml, "%*s</%s>\n", (int)indent, "", block->element);
}

/* -- parts that are not words in a table -------------------------------------------------------------------------- */

static void append_os(struct text *xml, target *capabilities)
{
    scoped_arena struct arena *arena = arena_new();
    struct qemu_firmware *firmware;
    bool secure = false;
    size_t count = qemu_firmware_list(arena, capabilities->firmware_root, capabilities->arch,
                                      capabilities->machine->name, &firmware);
    text_append(xml, "  <os supported='yes'>\n");
    text_append(xml, count ? "    <enum name='firmware'>\n      <value>efi</value>\n    </enum>\n"
                           : "    <enum name='firmware'/>\n");
    text_append(xml, "    <loader supported='yes'>\n");
    /* Older clients take the first one: it must not need SMM and signed loaders. */
    for (int secured = 0; secured < 2; secured++)
        for (size_t i = 0; i < count; i++) {
            if (firmware[i].requires_smm != secured)
                continue;
            text_append(xml, "      <value>");
            xml_escape(xml, firmware[i].loader);
            text_append(xml, "</value>\n");
            secure |= firmware[i].requires_smm;
        }
    text_append(xml, "      <enum name='type'>\n        <value>rom</value>\n        <value>pflash</value>\n"
                     "      </enum>\n      <enum name='readonly'>\n        <value>yes</value>\n"
                     "        <value>no</value>\n      </enum>\n      <enum name='secure'>\n");
    text_append(xml, secure ? "        <value>yes</value>\n" : "");
    text_append(xml, "        <value>no</value>\n      </enum>\n    </loader>\n  </os>\n");
}

static void append_mode_migratable(struct text *xml, const char *mode, bool supported)
{
    if (!supported) {
        text_printf(xml, "    <mode name='%s' supported='no'/>\n", mode);
        return;
    }
    const char *name = string_equal(mode, "maximum") ? "maximumMigratable" : "hostPassthroughMigratable";
    text_printf(xml, "    <mode name='%s' supported='yes'>\n      <enum name='%s'>\n        <value>on</value>\n"
                     "        <value>off</value>\n      </enum>\n    </mode>\n", mode, name);
}

static void append_host_model(struct text *xml, const struct cpu_models *models)
{
    struct cpu_choice choice;
    if (!cpu_features_count(&models->best.features) ||
        !cpu_choose(models, models->best.vendor, &models->best.features, false, &choice)) {
        text_append(xml, "    <mode name='host-model' supported='no'/>\n");
        return;
    }
    text_append(xml, "    <mode name='host-model' supported='yes'>\n");
    cpu_choice_format(xml, &choice, models->best.vendor, 6);
    text_append(xml, "    </mode>\n");
}

static void append_cpu(struct text *xml, target *capabilities)
{
    const struct cpu_models *models = capabilities->models;
    text_append(xml, "  <cpu>\n");
    append_mode_migratable(xml, "host-passthrough", capabilities->accel == QEMU_KVM);
    append_mode_migratable(xml, "maximum", qemu_caps_cpu(capabilities->caps, capabilities->accel, "max"));
    append_host_model(xml, models);
    text_printf(xml, "    <mode name='custom' supported='%s'>\n", models->count ? "yes" : "no");
    for (size_t i = 0; i < models->count; i++) {
        const struct cpu_model *model = &models->items[i];
        text_printf(xml, "      <model usable='%s'%s vendor='%s'>", model->usable ? "yes" : "no",
                    model->deprecated ? " deprecated='yes'" : "", model->vendor ? model->vendor : "unknown");
        xml_escape(xml, model->name);
        text_append(xml, "</model>\n");
    }
    text_append(xml, "    </mode>\n  </cpu>\n");
}

static void append_hyperv(struct text *xml, target *capabilities)
{
    text_append(xml, "    <hyperv supported='yes'>\n      <enum name='features'>\n");
    for (size_t i = 0; i < COUNT(enlightenments); i++) {
        uint32_t registers[4];
        if (enlightenments[i].leaf &&
            (capabilities->accel != QEMU_KVM || !kvm_hyperv_leaf(enlightenments[i].leaf, registers) ||
             !(registers[0] >> enlightenments[i].bit & 1)))
            continue;
        text_printf(xml, "        <value>%s</value>\n", enlightenments[i].word);
    }
    text_append(xml, "      </enum>\n    </hyperv>\n");
}

static unsigned max_vcpus(target *capabilities)
{
    unsigned kvm = capabilities->accel == QEMU_KVM ? kvm_max_vcpus() : 0;
    return kvm && kvm < capabilities->machine->max_cpus ? kvm : capabilities->machine->max_cpus;
}

void domain_capabilities_format(struct text *xml, target *capabilities)
{
    text_append(xml, "<domainCapabilities>\n  <path>");
    xml_escape(xml, capabilities->caps->binary);
    text_printf(xml, "</path>\n  <domain>%s</domain>\n  <machine>%s</machine>\n  <arch>%s</arch>\n",
                capabilities->accel == QEMU_KVM ? "kvm" : "qemu", capabilities->machine->name, capabilities->arch);
    text_printf(xml, "  <vcpu max='%u'/>\n  <iothreads supported='%s'/>\n", max_vcpus(capabilities),
                qemu_caps_has_type(capabilities->caps, "iothread") ? "yes" : "no");
    append_os(xml, capabilities);
    append_cpu(xml, capabilities);
    append_block(xml, capabilities, &memory_backing, 2);
    text_append(xml, "  <devices>\n");
    for (size_t i = 0; i < COUNT(devices); i++)
        append_block(xml, capabilities, &devices[i], 4);
    text_append(xml, "  </devices>\n  <features>\n");
    for (size_t i = 0; i < COUNT(features); i++)
        text_printf(xml, "    <%s supported='%s'/>\n", features[i].word,
                    is_there(capabilities, features[i].type, features[i].symbol, features[i].when) ? "yes" : "no");
    if (arch_is_x86(capabilities->arch))
        append_hyperv(xml, capabilities);
    text_append(xml, "  </features>\n</domainCapabilities>\n");
}
