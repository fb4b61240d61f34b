/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/files.h"
#include "qemu/command_parts.h"

/* On which of the host's processors the guest's threads may run. */

int thread_pin(pid_t thread, const struct cpu_set *set, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    if (sched_setaffinity(thread, sizeof *set, (const cpu_set_t *)set) == 0 || errno == ESRCH)
        return 0; /* a thread that has ended needs no place */
    return error_system(err, errno, "cannot let thread %d run on host CPUs %s", (int)thread,
                        cpu_set_format(arena, set));
}

static int pin(pid_t thread, const char *cpuset, struct error *err)
{
    struct cpu_set set;
    if (cpu_set_parse(&set, cpuset) < 0)
        return error_set(err, ERR_INTERNAL_ERROR, "'%s' is no set of processors", cpuset);
    return thread_pin(thread, &set, err);
}

static const char *pin_of(const struct vcpu_pin *const *pins, uint32_t count, uint32_t id, const char *otherwise)
{
    for (uint32_t i = 0; i < count; i++)
        if (pins[i]->vcpu == id)
            return pins[i]->cpuset;
    return otherwise;
}

/* The process that a thread belongs to. */
static pid_t process_of(struct arena *arena, pid_t thread)
{
    const char *status = file_read(arena, arena_printf(arena, "/proc/%d/status", (int)thread), 16384, NULL, NULL);
    const char *line = status ? strstr(status, "\nTgid:") : NULL;
    return line ? (pid_t)strtol(line + strlen("\nTgid:"), NULL, 10) : 0;
}

/* All threads of the process; those of processors and I/O get their own rules afterwards. */
static int pin_all(struct arena *arena, pid_t process, const char *cpuset, struct error *err)
{
    DIR *threads = cpuset ? opendir(arena_printf(arena, "/proc/%d/task", (int)process)) : NULL;
    int status = 0;
    for (struct dirent *entry; status == 0 && threads && (entry = readdir(threads));)
        if (entry->d_name[0] != '.')
            status = pin((pid_t)strtol(entry->d_name, NULL, 10), cpuset, err);
    if (threads)
        closedir(threads);
    return status;
}

static pid_t thread_of(const json_t *entry)
{
    return (pid_t)json_integer_value(json_object_get(entry, "thread-id"));
}

static int pin_parts(const struct domain_def *def, const json_t *cpus, const json_t *iothreads, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    const struct cputune *tune = def->cputune;
    const char *all = (tune ? tune->emulatorpin : NULL) ?: def->vcpu_cpuset;
    pid_t process = process_of(arena, thread_of(json_array_get(cpus, 0)));
    if (process && pin_all(arena, process, all, err) < 0)
        return -1;
    for (size_t i = 0; i < json_array_size(cpus); i++) {
        const json_t *cpu = json_array_get(cpus, i);
        uint32_t index = (uint32_t)json_integer_value(json_object_get(cpu, "cpu-index"));
        const char *set = tune ? pin_of((const struct vcpu_pin *const *)tune->vcpupins.item, tune->vcpupins.count,
                                        index, def->vcpu_cpuset)
                               : def->vcpu_cpuset;
        if (set && pin(thread_of(cpu), set, err) < 0)
            return -1;
    }
    for (size_t i = 0; tune && i < json_array_size(iothreads); i++) {
        const json_t *thread = json_array_get(iothreads, i);
        const char *number = string_after(json_string_value(json_object_get(thread, "id")) ?: "", "iothread");
        const char *set = pin_of((const struct vcpu_pin *const *)tune->iothreadpins.item, tune->iothreadpins.count,
                                 (uint32_t)strtoul(number ?: "0", NULL, 10), NULL);
        if (set && pin(thread_of(thread), set, err) < 0)
            return -1;
    }
    return 0;
}

int pin_threads(struct qmp *qmp, const struct domain_def *def, deadline until, struct error *err)
{
    const struct cputune *tune = def->cputune;
    bool wanted = def->vcpu_cpuset || (tune && (tune->vcpupins.count || tune->emulatorpin || tune->iothreadpins.count));
    struct qmp_request requests[] = {{"query-cpus-fast"}, {"query-iothreads"}};
    if (!wanted)
        return 0;
    int status = qmp_batch(qmp, requests, COUNT(requests), until, err);
    if (status == 0)
        status = pin_parts(def, requests[0].reply, requests[1].reply, err);
    qmp_requests_finish(requests, COUNT(requests));
    return status;
}
