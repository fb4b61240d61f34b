/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "qemu/command_parts.h"

/* Switches of <features> that are properties of the processor. */
static const struct {
    const char *name;
    size_t offset; /* in struct features */
} processor_switches[] = {
    {"kvm-pv-eoi", offsetof(struct features, apic_eoi)},
    {"kvm-pv-unhalt", offsetof(struct features, pvspinlock)},
    {"pmu", offsetof(struct features, pmu)},
    {"kvm-hint-dedicated", offsetof(struct features, kvm_hint_dedicated)},
    {"kvm-poll-control", offsetof(struct features, kvm_poll_control)},
    {"kvm-pv-ipi", offsetof(struct features, kvm_pv_ipi)},
};

static const struct {
    const char *name;
    size_t offset; /* in struct hyperv */
} hyperv_switches[] = {
    {"hv-relaxed", offsetof(struct hyperv, relaxed)},
    {"hv-vapic", offsetof(struct hyperv, vapic)},
    {"hv-vpindex", offsetof(struct hyperv, vpindex)},
    {"hv-runtime", offsetof(struct hyperv, runtime)},
    {"hv-synic", offsetof(struct hyperv, synic)},
    {"hv-stimer", offsetof(struct hyperv, stimer)},
    {"hv-stimer-direct", offsetof(struct hyperv, stimer_direct)},
    {"hv-reset", offsetof(struct hyperv, reset)},
    {"hv-frequencies", offsetof(struct hyperv, frequencies)},
    {"hv-reenlightenment", offsetof(struct hyperv, reenlightenment)},
    {"hv-tlbflush", offsetof(struct hyperv, tlbflush)},
    {"hv-ipi", offsetof(struct hyperv, ipi)},
    {"hv-evmcs", offsetof(struct hyperv, evmcs)},
    {"hv-avic", offsetof(struct hyperv, avic)},
};

static enum onoff switch_at(const void *part, size_t offset)
{
    return *(const enum onoff *)((const char *)part + offset);
}

/* libvirt's names of features are QEMU's of old, with underscores. */
static void append_feature(const struct build *build, struct text *cpu, const struct cpu_feature *feature)
{
    enum qemu_accel accel = build->kvm ? QEMU_KVM : QEMU_TCG;
    scoped_free char *name = xstrdup(string_equal(feature->name, "pclmuldq") ? "pclmulqdq" : feature->name);
    for (char *c = name; *c; c++)
        if (*c == '_')
            *c = '-';
    bool on = feature->policy != CPU_POLICY_DISABLE && feature->policy != CPU_POLICY_FORBID;
    if (feature->policy == CPU_POLICY_OPTIONAL && build->caps &&
        !qemu_strings_have(&build->caps->accel[accel].host_features, name))
        return;
    text_printf(cpu, ",%s=%s", name, on ? "on" : "off");
}

/* The processor that the machine has when nobody asks for one: "qemu64-x86_64-cpu" without the type's tail. */
static void append_default(struct build *build, struct text *cpu)
{
    const struct qemu_machine *machine = build->caps ? qemu_caps_machine(build->caps, build->def->os.machine) : NULL;
    const char *type = machine ? machine->default_cpu : NULL;
    scoped_free char *tail = xprintf("-%s-cpu", build->caps ? build->caps->arch : "x86_64");
    if (type && string_ends(type, tail))
        text_append_bytes(cpu, type, strlen(type) - strlen(tail));
    else if (type && string_ends(type, "-cpu"))
        text_append_bytes(cpu, type, strlen(type) - strlen("-cpu"));
    else
        text_append(cpu, build->x86 ? "qemu64" : "max");
}

static int append_mode(struct build *build, struct text *cpu, const struct cpu *def, struct error *err)
{
    switch (def->mode) {
    case CPU_MODE_HOST_PASSTHROUGH:
        if (!build->kvm)
            return unsupported(err,
                               "<cpu mode='host-passthrough'> needs KVM: use mode='maximum' in a domain of type qemu");
        text_printf(cpu, "host,migratable=%s", def->migratable == ONOFF_OFF ? "off" : "on");
        return 0;
    case CPU_MODE_MAXIMUM:
        text_append(cpu, "max");
        if (def->migratable)
            text_printf(cpu, ",migratable=%s", onoff_name(def->migratable));
        return 0;
    case CPU_MODE_HOST_MODEL:
        /* a caller that knows the host's named model has filled it in; without it the best that can be migrated */
        if (!def->model) {
            text_append(cpu, build->kvm ? "host,migratable=on" : "max");
            return 0;
        }
        break;
    default:
        break;
    }
    if (!def->model) {
        append_default(build, cpu);
    } else if (build->caps && !qemu_caps_cpu(build->caps, QEMU_TCG, def->model) &&
               !qemu_caps_cpu(build->caps, QEMU_KVM, def->model)) {
        return unsupported(err, "%s has no CPU model '%s': see 'virsh cpu-models %s'", build->caps->binary, def->model,
                           build->def->os.arch ?: "x86_64");
    } else {
        text_append(cpu, def->model);
    }
    return 0;
}

static void append_model_options(struct text *cpu, const struct cpu *def)
{
    if (def->vendor_id)
        text_printf(cpu, ",vendor=%s", def->vendor_id);
    if (def->maxphysaddr_mode == MAXPHYSADDR_MODE_PASSTHROUGH)
        text_append(cpu, ",host-phys-bits=on");
    else if (def->maxphysaddr_bits)
        text_printf(cpu, ",phys-bits=%u", def->maxphysaddr_bits);
    if (def->cache_mode == CPU_CACHE_MODE_PASSTHROUGH)
        text_append(cpu, ",host-cache-info=on,l3-cache=off");
    else if (def->cache_mode == CPU_CACHE_MODE_EMULATE)
        text_append(cpu, ",l3-cache=on");
    else if (def->cache_mode == CPU_CACHE_MODE_DISABLE)
        text_append(cpu, ",host-cache-info=off,l3-cache=off");
}

static void append_timers(struct text *cpu, const struct clock *clock)
{
    for (uint32_t i = 0; i < clock->timers.count; i++) {
        const struct timer *timer = clock->timers.item[i];
        if (timer->name == TIMER_NAME_KVMCLOCK && timer->present)
            text_printf(cpu, ",kvmclock=%s", timer->present == YESNO_YES ? "on" : "off");
        else if (timer->name == TIMER_NAME_HYPERVCLOCK && timer->present == YESNO_YES)
            text_append(cpu, ",hv-time=on");
        else if (timer->name == TIMER_NAME_TSC && timer->frequency)
            text_printf(cpu, ",tsc-frequency=%llu", (unsigned long long)timer->frequency);
    }
}

static void append_hyperv(struct text *cpu, const struct hyperv *hyperv)
{
    if (!hyperv)
        return;
    if (hyperv->mode == HYPERV_MODE_PASSTHROUGH)
        text_append(cpu, ",hv-passthrough=on");
    for (size_t i = 0; i < COUNT(hyperv_switches); i++)
        if (switch_at(hyperv, hyperv_switches[i].offset) == ONOFF_ON)
            text_printf(cpu, ",%s=on", hyperv_switches[i].name);
    if (hyperv->spinlocks == ONOFF_ON)
        text_printf(cpu, ",hv-spinlocks=0x%x", hyperv->spinlocks_retries);
    if (hyperv->vendor_id == ONOFF_ON && hyperv->vendor_id_value)
        text_printf(cpu, ",hv-vendor-id=%s", hyperv->vendor_id_value);
}

static void append_features(struct text *cpu, const struct features *features)
{
    if (!features)
        return;
    for (size_t i = 0; i < COUNT(processor_switches); i++) {
        enum onoff value = switch_at(features, processor_switches[i].offset);
        if (value)
            text_printf(cpu, ",%s=%s", processor_switches[i].name, onoff_name(value));
    }
    if (features->kvm_hidden == ONOFF_ON)
        text_append(cpu, ",kvm=off");
}

static void build_smp(struct build *build)
{
    const struct domain_def *def = build->def;
    const struct cpu *cpu = def->cpu;
    scoped_text struct text smp = {0};
    text_printf(&smp, "%u", def->vcpus_current);
    if (def->vcpus_current != def->vcpus_max)
        text_printf(&smp, ",maxcpus=%u", def->vcpus_max);
    if (cpu && cpu->sockets && cpu->dies)
        text_printf(&smp, ",sockets=%u,dies=%u,cores=%u,threads=%u", cpu->sockets, cpu->dies, cpu->cores, cpu->threads);
    else if (cpu && cpu->sockets)
        text_printf(&smp, ",sockets=%u,cores=%u,threads=%u", cpu->sockets, cpu->cores, cpu->threads);
    else
        text_printf(&smp, ",sockets=%u,cores=1,threads=1", def->vcpus_max);
    add(build, "-smp", text_string(&smp));
}

int build_cpu(struct build *build, struct error *err)
{
    const struct cpu *def = build->def->cpu;
    scoped_text struct text cpu = {0};
    if (!def)
        append_default(build, &cpu);
    else if (append_mode(build, &cpu, def, err) < 0)
        return -1;
    if (def)
        append_model_options(&cpu, def);
    for (uint32_t i = 0; def && i < def->features.count; i++)
        append_feature(build, &cpu, def->features.item[i]);
    if (build->x86) {
        append_timers(&cpu, &build->def->clock);
        append_hyperv(&cpu, build->def->features ? build->def->features->hyperv : NULL);
        append_features(&cpu, build->def->features);
    }
    add(build, "-cpu", text_string(&cpu));
    build_smp(build);
    return 0;
}
