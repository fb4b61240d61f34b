/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/qemu_host.h"

#include <string.h>

#include "base/log.h"
#include "host/kvm.h"
#include "model/enums.h"
#include "qemu/arch.h"
#include "qemu/cpu_compare.h"
#include "qemu/domain_capabilities.h"
#include "qemu/host_capabilities.h"

struct qemu_host {
    struct qemu_host_options options;
    struct host *facts;
};

struct qemu_host *qemu_host_new(const struct qemu_host_options *options)
{
    struct qemu_host *host = xcalloc(1, sizeof(*host));
    host->options = *options;
    host->facts = host_new("");
    return host;
}

struct host *qemu_host_facts(struct qemu_host *host)
{
    return host->facts;
}

/* -- choosing an emulator ----------------------------------------------------------------------------------------- */

/* A 32-bit PC runs on the 64-bit emulator when it has none of its own. */
static const char *emulator_of(struct arena *arena, const char *arch)
{
    const char *emulator = qemu_default_emulator(arena, arch);
    if (!emulator && string_equal(arch, "i686"))
        emulator = qemu_default_emulator(arena, "x86_64");
    return emulator;
}

static bool serves(const struct qemu_caps *caps, const char *arch)
{
    const char *own = arch_from_qemu(caps->arch);
    return string_equal(own, arch) || (string_equal(own, "x86_64") && string_equal(arch, "i686"));
}

static int choose_accel(const struct qemu_caps *caps, const char *virt_type, enum qemu_accel *accel, struct error *err)
{
    enum virt_type type = virt_type ? words_value(&virt_type_words, virt_type) : VIRT_TYPE_ABSENT;
    if (virt_type && !type)
        return error_set(err, ERR_INVALID_ARG, "unknown virttype: %s", virt_type);
    *accel = type == VIRT_TYPE_KVM || (!type && caps->accel[QEMU_KVM].usable) ? QEMU_KVM : QEMU_TCG;
    if ((type && type != VIRT_TYPE_KVM && type != VIRT_TYPE_QEMU) || !caps->accel[*accel].usable)
        return error_set(err, ERR_INVALID_ARG, "Emulator '%s' does not support virt type '%s'", caps->binary,
                         virt_type ? virt_type : "qemu");
    return 0;
}

/* Fills what the target means but models and firmware; strings live in the arena or the capabilities. */
static int target_resolve(struct qemu_host *host, struct arena *arena, const struct qemu_target *target,
                          struct domain_capabilities *resolved, deadline until, struct error *err)
{
    const char *arch = target->arch, *emulator = target->emulator;
    if (arch && !arch_word_size(arch))
        return error_set(err, ERR_INVALID_ARG, "unknown architecture: %s", arch);
    if (target->virt_type && !words_value(&virt_type_words, target->virt_type))
        return error_set(err, ERR_INVALID_ARG, "unknown virttype: %s", target->virt_type);
    if (!emulator && !(emulator = emulator_of(arena, arch ? arch : arch_of_host())))
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "unable to find any emulator to serve '%s' architecture: install "
                         "the QEMU package for it", arch ? arch : arch_of_host());
    const struct qemu_caps *caps = qemu_caps_get(host->options.caps, emulator, until, err);
    if (!caps)
        return -1;
    if (arch && !serves(caps, arch))
        return error_set(err, ERR_INVALID_ARG, "architecture '%s' was asked for, but emulator '%s' serves '%s'", arch,
                         emulator, arch_from_qemu(caps->arch));
    *resolved = (struct domain_capabilities){.caps = caps, .arch = arch ? arch : arch_from_qemu(caps->arch)};
    resolved->machine = qemu_caps_machine(caps, target->machine);
    if (!resolved->machine && target->machine)
        return error_set(err, ERR_INVALID_ARG, "the machine '%s' is not supported by emulator '%s'", target->machine,
                         emulator);
    if (!resolved->machine)
        return error_set(err, ERR_INVALID_ARG, "emulator '%s' has no default machine: name one", emulator);
    return choose_accel(caps, target->virt_type, &resolved->accel, err);
}

static int target_models(struct qemu_host *host, struct domain_capabilities *resolved, deadline until,
                         struct error *err)
{
    resolved->models = cpu_models_get(host->options.models, resolved->caps, resolved->accel, until, err);
    return resolved->models ? 0 : -1;
}

/* The models to describe the host's own processor with; NULL (without error) when no emulator for it is there. */
static const struct cpu_models *native_models(struct qemu_host *host, deadline until)
{
    scoped_arena struct arena *arena = arena_new();
    struct domain_capabilities native;
    struct error err;
    if (target_resolve(host, arena, &(struct qemu_target){.arch = arch_of_host()}, &native, until, &err) < 0 ||
        target_models(host, &native, until, &err) < 0) {
        log_debug("the host's processor has no model name: %s", err.message);
        return NULL;
    }
    return native.models;
}

/* -- documents ---------------------------------------------------------------------------------------------------- */

/* Emulators that cannot be asked are left out: one broken binary must not hide the others. */
static size_t guests_find(struct qemu_host *host, struct arena *arena, struct guest_arch **guests, deadline until)
{
    struct qemu_emulator *emulators;
    size_t found = qemu_emulators(arena, NULL, &emulators), count = 0;
    *guests = arena_new_array(arena, found + 1, struct guest_arch);
    for (size_t i = 0; i < found; i++) {
        struct error err;
        const struct qemu_caps *caps = qemu_caps_get(host->options.caps, emulators[i].path, until, &err);
        bool lone_64 = string_equal(emulators[i].arch, "x86_64") &&
                       (count == 0 || !string_equal((*guests)[count - 1].arch, "i686"));
        if (caps && lone_64)
            (*guests)[count++] = (struct guest_arch){"i686", caps};
        if (caps)
            (*guests)[count++] = (struct guest_arch){emulators[i].arch, caps};
        else
            log_warning("left out of the capabilities: %s", err.message);
    }
    return count;
}

int qemu_host_capabilities(struct qemu_host *host, struct text *xml, deadline until, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct guest_arch *guests;
    struct host_capabilities capabilities = {.host = host->facts, .uuid = host->options.uuid};
    capabilities.guest_count = guests_find(host, arena, &guests, until);
    capabilities.guests = guests;
    capabilities.models = native_models(host, until);
    host_capabilities_format(xml, &capabilities);
    return 0;
}

int qemu_host_domain_capabilities(struct qemu_host *host, const struct qemu_target *target, struct text *xml,
                                  deadline until, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct domain_capabilities resolved;
    if (target_resolve(host, arena, target, &resolved, until, err) < 0 ||
        target_models(host, &resolved, until, err) < 0)
        return -1;
    domain_capabilities_format(xml, &resolved);
    return 0;
}

int qemu_host_cpu_names(struct qemu_host *host, struct arena *arena, const char *arch, const char ***names,
                        size_t *count, deadline until, struct error *err)
{
    *names = NULL;
    *count = 0;
    if (!arch_word_size(arch))
        return error_set(err, ERR_INVALID_ARG, "cannot find architecture %s", arch);
    const char *emulator = emulator_of(arena, arch);
    if (!emulator)
        return 0;
    const struct qemu_caps *caps = qemu_caps_get(host->options.caps, emulator, until, err);
    if (!caps)
        return -1;
    const struct qemu_accel_caps *accel = &caps->accel[caps->accel[QEMU_TCG].usable ? QEMU_TCG : QEMU_KVM];
    *names = arena_new_array(arena, accel->cpu_count + 1, const char *);
    for (size_t i = 0; i < accel->cpu_count; i++)
        if (cpu_model_is_public(&accel->cpus[i]))
            (*names)[(*count)++] = accel->cpus[i].name;
    return 0;
}

int qemu_host_max_vcpus(struct qemu_host *host, const char *virt_type, unsigned *count, deadline until,
                        struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct domain_capabilities resolved;
    const struct qemu_target target = {.virt_type = virt_type};
    if (target_resolve(host, arena, &target, &resolved, until, err) < 0)
        return -1;
    unsigned kvm = resolved.accel == QEMU_KVM ? kvm_max_vcpus() : 0;
    *count = kvm && kvm < resolved.machine->max_cpus ? kvm : resolved.machine->max_cpus;
    return 0;
}

int qemu_host_version(struct qemu_host *host, uint32_t *version, deadline until, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    const char *emulator = emulator_of(arena, arch_of_host());
    const struct qemu_caps *caps = emulator ? qemu_caps_get(host->options.caps, emulator, until, err) : NULL;
    if (!emulator)
        return error_set(err, ERR_OPERATION_UNSUPPORTED, "no QEMU for %s is installed on this host", arch_of_host());
    if (!caps)
        return -1;
    *version = caps->version;
    return 0;
}

/* -- processors --------------------------------------------------------------------------------------------------- */

/* The models to read descriptions with, and the processor that stands for the host. */
static int processor_of(struct qemu_host *host, const struct qemu_target *target, struct domain_capabilities *resolved,
                        struct cpu_description *processor, deadline until, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    const struct qemu_target native = {.arch = arch_of_host()};
    if (target_resolve(host, arena, target ? target : &native, resolved, until, err) < 0 ||
        target_models(host, resolved, until, err) < 0)
        return -1;
    if (!arch_is_x86(resolved->arch))
        return error_set(err, ERR_OPERATION_UNSUPPORTED, "comparing CPUs is not possible for architecture %s",
                         resolved->arch);
    const struct cpu_identity *identity = host_cpu_identity(host->facts);
    const char *arch = string_equal(resolved->arch, "i686") ? "i686" : "x86_64";
    *processor = (struct cpu_description){.arch = arch};
    processor->vendor = target ? resolved->models->best.vendor : identity->vendor;
    processor->features = target ? resolved->models->best.features : identity->features;
    return 0;
}

int qemu_host_compare_cpu(struct qemu_host *host, const struct qemu_target *target, const char *xml, unsigned flags,
                          int *result, deadline until, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_text struct text reason = {0};
    struct domain_capabilities resolved;
    struct cpu_description processor, wanted;
    if (processor_of(host, target, &resolved, &processor, until, err) < 0 ||
        cpu_description_parse(arena, &wanted, xml, resolved.models, err) < 0)
        return -1;
    *result = cpu_compare(&processor, &wanted, &reason);
    if (*result == CPU_COMPARE_INCOMPATIBLE && flags & CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE)
        return error_set(err, ERR_CPU_INCOMPATIBLE, "the CPU is incompatible with host CPU: %s", text_string(&reason));
    return 0;
}

int qemu_host_baseline_cpu(struct qemu_host *host, const struct qemu_target *target, const char *const *descriptions,
                           size_t count, unsigned flags, struct text *xml, deadline until, struct error *err)
{
    struct domain_capabilities resolved;
    struct cpu_description processor;
    if (processor_of(host, target, &resolved, &processor, until, err) < 0)
        return -1;
    return cpu_baseline(xml, resolved.models, target ? &processor.features : NULL, descriptions, count, flags, err);
}
