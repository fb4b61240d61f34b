/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/vcpu.h"

#include <dirent.h>
#include <sched.h>
#include <string.h>

#include "base/files.h"
#include "base/json.h"
#include "model/xml.h"
#include "qemu/command_parts.h"

unsigned host_cpu_count(void)
{
    struct cpu_set present;
    if (sysfs_read_cpu_set(&present, "", "/sys/devices/system/cpu/present") == 0)
        return cpu_set_end(&present);
    return (unsigned)sysconf(_SC_NPROCESSORS_CONF);
}

static void all_host_cpus(struct cpu_set *set)
{
    *set = (struct cpu_set){0};
    for (unsigned cpu = 0; cpu < host_cpu_count(); cpu++)
        cpu_set_add(set, cpu);
}

/* -- what a definition allows -------------------------------------------------------------------------------------- */

static const struct vcpu_pin *find_pin(struct vcpu_pin *const *pins, uint32_t count, unsigned number)
{
    for (uint32_t i = 0; i < count; i++)
        if (pins[i]->vcpu == number)
            return pins[i];
    return NULL;
}

static void allowed(struct cpu_set *set, const struct domain_def *def, const char *own)
{
    const char *text = own ? own : def->vcpu_placement != VCPU_PLACEMENT_AUTO ? def->vcpu_cpuset : NULL;
    if (!text || cpu_set_parse(set, text) < 0 || cpu_set_count(set) == 0)
        all_host_cpus(set);
}

void vcpu_allowed(struct cpu_set *set, const struct domain_def *def, int vcpu)
{
    const struct cputune *tune = def->cputune;
    const struct vcpu_pin *pin =
        tune && vcpu >= 0 ? find_pin(tune->vcpupins.item, tune->vcpupins.count, (unsigned)vcpu) : NULL;
    allowed(set, def, pin ? pin->cpuset : tune && vcpu == VCPU_EMULATOR ? tune->emulatorpin : NULL);
}

void iothread_allowed(struct cpu_set *set, const struct domain_def *def, unsigned iothread)
{
    const struct cputune *tune = def->cputune;
    const struct vcpu_pin *pin = tune ? find_pin(tune->iothreadpins.item, tune->iothreadpins.count, iothread) : NULL;
    allowed(set, def, pin ? pin->cpuset : NULL);
}

/* -- threads ------------------------------------------------------------------------------------------------------- */

void thread_allowed(struct cpu_set *set, pid_t thread)
{
    *set = (struct cpu_set){0};
    if (thread <= 0 || sched_getaffinity(thread, sizeof *set, (cpu_set_t *)set) < 0)
        all_host_cpus(set);
}

static bool is_special(const struct stats *stats, pid_t thread)
{
    for (unsigned i = 0; i < stats->vcpu_count; i++)
        if (stats->vcpu_threads[i] == thread)
            return true;
    for (unsigned i = 0; i < stats->iothread_count; i++)
        if (stats->iothreads[i].thread == thread)
            return true;
    return false;
}

struct emulator_pin {
    const struct stats *stats;
    const struct cpu_set *set;
};

static int pin_emulator_thread(void *owner, const char *name, struct error *err)
{
    const struct emulator_pin *pin = owner;
    pid_t thread = (pid_t)strtol(name, NULL, 10);
    return is_special(pin->stats, thread) ? 0 : thread_pin(thread, pin->set, err);
}

/* All threads of QEMU but those that have a place of their own. */
static int pin_emulator(const struct domain *domain, const struct stats *stats, const struct cpu_set *set,
                        struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct emulator_pin pin = {stats, set};
    return directory_list(arena_printf(arena, "/proc/%d/task", (int)process_pid(domain->process)), pin_emulator_thread,
                          &pin, err);
}

static int pin_iothread(const struct stats *stats, unsigned iothread, const struct cpu_set *set, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    const char *id = arena_printf(arena, "iothread%u", iothread);
    for (unsigned i = 0; i < stats->iothread_count; i++)
        if (strcmp(stats->iothreads[i].id, id) == 0)
            return thread_pin(stats->iothreads[i].thread, set, err);
    return error_set(err, ERR_INVALID_ARG, "there is no I/O thread %u", iothread);
}

/* -- pinning ------------------------------------------------------------------------------------------------------- */

struct pinning {
    int number; /* VCPU_EMULATOR or a number */
    bool iothread;
    const struct cpu_set *set;
};

static int change_pin(struct domain_def *def, void *context, struct error *err)
{
    const struct pinning *pinning = context;
    const char *cpuset = cpu_set_format(def->arena, pinning->set);
    if (pinning->number >= 0 && !pinning->iothread && (unsigned)pinning->number >= def->vcpus_max)
        return error_set(err, ERR_INVALID_ARG, "vCPU %d is out of range: domain '%s' has %u", pinning->number,
                         def->name, def->vcpus_max);
    if (!def->cputune)
        def->cputune = arena_struct(def->arena, struct cputune);
    struct cputune *tune = def->cputune;
    if (pinning->number == VCPU_EMULATOR) {
        tune->emulatorpin = cpuset;
        return 0;
    }
    __typeof__(&tune->vcpupins) pins =
        pinning->iothread ? (__typeof__(&tune->vcpupins))&tune->iothreadpins : &tune->vcpupins;
    struct vcpu_pin *pin = (struct vcpu_pin *)find_pin(pins->item, pins->count, (unsigned)pinning->number);
    if (!pin) {
        pin = arena_struct(def->arena, struct vcpu_pin);
        pin->vcpu = (uint32_t)pinning->number;
        list_add(def->arena, pins, pin);
    }
    pin->cpuset = cpuset;
    return 0;
}

static int pin_live(struct domain *domain, const struct pinning *pinning, struct error *err)
{
    const struct stats *stats = stats_of(domain, pinning->iothread ? ASK_IOTHREADS : ASK_VCPUS | ASK_IOTHREADS, err);
    if (!stats)
        return -1;
    if (pinning->iothread)
        return pin_iothread(stats, (unsigned)pinning->number, pinning->set, err);
    if (pinning->number == VCPU_EMULATOR)
        return pin_emulator(domain, stats, pinning->set, err);
    if ((unsigned)pinning->number >= stats->vcpu_count || !stats->vcpu_threads[pinning->number])
        return error_set(err, ERR_INVALID_ARG, "vCPU %d is out of range: domain '%s' runs with %u", pinning->number,
                         domain_name(domain), stats->vcpu_count);
    return thread_pin(stats->vcpu_threads[pinning->number], pinning->set, err);
}

static int pin(struct domain *domain, struct pinning *pinning, unsigned flags, const char *client, struct error *err)
{
    unsigned affect = flags & (DOMAIN_AFFECT_LIVE | DOMAIN_AFFECT_CONFIG);
    if (!affect)
        affect = domain_active(domain) ? DOMAIN_AFFECT_LIVE : DOMAIN_AFFECT_CONFIG;
    if (cpu_set_count(pinning->set) == 0)
        return error_set(err, ERR_INVALID_ARG, "an empty set of host CPUs would leave domain '%s' nowhere to run",
                         domain_name(domain));
    if (affect & DOMAIN_AFFECT_LIVE && pin_live(domain, pinning, err) < 0)
        return -1;
    return domain_edit_defs(domain, affect, change_pin, pinning, client, err);
}

int vcpu_pin(struct domain *domain, int vcpu, const struct cpu_set *set, unsigned flags, const char *client,
             struct error *err)
{
    struct pinning pinning = {.number = vcpu, .set = set};
    return pin(domain, &pinning, flags, client, err);
}

int iothread_pin(struct domain *domain, unsigned iothread, const struct cpu_set *set, unsigned flags,
                 const char *client, struct error *err)
{
    struct pinning pinning = {.number = (int)iothread, .iothread = true, .set = set};
    return pin(domain, &pinning, flags, client, err);
}
