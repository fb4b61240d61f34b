/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cpu.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "host/memory.h"

#define STAT_MAX (4 * 1024 * 1024) /* /proc/stat of the largest machine that the wire can describe */

/* The number behind "<key>  : " in the first kilobytes of /proc/cpuinfo: the kernel makes that text CPU by CPU as it is
 * read, so reading no more keeps this cheap on large machines. */
static unsigned cpuinfo_mhz(const char *root)
{
    char text[4096];
    unsigned mhz = 0;
    sysfs_read(text, sizeof(text), root, "/proc/cpuinfo");
    const char *line = strstr(text, "\ncpu MHz");
    if (!line)
        line = strstr(text, "\nclock"); /* POWER */
    if (line && (line = strchr(line, ':')))
        sscanf(line + 1, " %u", &mhz);
    return mhz;
}

/* Current frequency of the first CPU; 0 when the kernel does not tell. */
static unsigned cpu_mhz(const char *root)
{
    unsigned mhz = cpuinfo_mhz(root), khz = 0;
    if (!mhz && sysfs_read_unsigned(&khz, root, "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq") == 0)
        mhz = khz / 1000;
    return mhz;
}

void node_info_read(struct node_info *info, const struct host_topology *topology, const char *root)
{
    struct utsname names;
    memset(info, 0, sizeof(*info));
    if (uname(&names) == 0)
        snprintf(info->model, sizeof(info->model), "%.31s", names.machine);
    info->memory_kib = memory_total_kib(topology, root);
    info->cpus = cpu_set_count(&topology->online);
    info->mhz = cpu_mhz(root);
    info->nodes = topology->cell_count;
    info->sockets = topology->sockets;
    info->cores = topology->cores * topology->dies;
    info->threads = topology->threads;
    info->dies = topology->dies;
    unsigned present = cpu_set_count(&topology->present);
    if (info->nodes * info->sockets * info->cores * info->threads != present) {
        info->nodes = info->sockets = info->threads = info->dies = 1;
        info->cores = present;
    }
}

int cpu_times_read(struct cpu_times *times, const char *root, int cpu, struct error *err)
{
    scoped_text struct text path = {0};
    text_printf(&path, "%s/proc/stat", root);
    scoped_file FILE *file = fopen(text_string(&path), "re");
    if (!file)
        return error_system(err, errno, "cannot open %s", text_string(&path));

    char wanted[16], line[512];
    int length = cpu == CPU_ALL ? snprintf(wanted, sizeof(wanted), "cpu ")
                                : snprintf(wanted, sizeof(wanted), "cpu%d ", cpu);
    for (size_t seen = 0; seen < STAT_MAX && fgets(line, sizeof(line), file); seen += strlen(line)) {
        if (strncmp(line, "cpu", 3) != 0)
            break;
        if (strncmp(line, wanted, length) != 0)
            continue;
        unsigned long long user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0;
        if (sscanf(line + length, "%llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &iowait, &irq,
                   &softirq) < 4)
            break;
        uint64_t tick_ns = UINT64_C(1000000000) / sysconf(_SC_CLK_TCK);
        *times = (struct cpu_times){.kernel_ns = (system + irq + softirq) * tick_ns,
                                    .user_ns = (user + nice) * tick_ns,
                                    .idle_ns = idle * tick_ns,
                                    .iowait_ns = iowait * tick_ns,
                                    .interrupt_ns = irq * tick_ns};
        return 0;
    }
    return error_set(err, ERR_INVALID_ARG, "there is no online CPU %d on this host", cpu);
}
