/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/cpu_model.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "host/kvm.h"
#include "host/sysfs.h"

enum { EAX, EBX, ECX, EDX };

static const struct {
    const char *id, *name;
} vendors[] = {
    {"GenuineIntel", "Intel"},
    {"AuthenticAMD", "AMD"},
    {"HygonGenuine", "Hygon"},
};

const char *cpu_vendor_name(const char *id)
{
    for (size_t i = 0; i < COUNT(vendors); i++)
        if (string_equal(vendors[i].id, id))
            return vendors[i].name;
    return NULL;
}

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

static bool host_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t registers[4])
{
    uint32_t base = leaf & 0xf0000000, highest, unused;
    __cpuid(base, highest, unused, unused, unused);
    if (highest < leaf || highest > base + 0xffff)
        return false;
    __cpuid_count(leaf, subleaf, registers[EAX], registers[EBX], registers[ECX], registers[EDX]);
    return true;
}
#else
static bool host_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t registers[4])
{
    return false;
}
#endif

const struct cpu_source cpu_source_host = {host_cpuid, kvm_msr, kvm_tsc};

static void signature_read(struct cpu_identity *identity, const struct cpu_source *source)
{
    uint32_t registers[4];
    char id[13] = "";
    if (source->cpuid(0, 0, registers)) {
        memcpy(id, &registers[EBX], 4);
        memcpy(id + 4, &registers[EDX], 4);
        memcpy(id + 8, &registers[ECX], 4);
    }
    identity->vendor = cpu_vendor_name(id);
    if (source->cpuid(1, 0, registers)) {
        uint32_t eax = registers[EAX];
        identity->stepping = eax & 15;
        identity->family = eax >> 8 & 15;
        identity->model = eax >> 4 & 15;
        if (identity->family == 6 || identity->family == 15)
            identity->model += eax >> 12 & 0xf0;
        if (identity->family == 15)
            identity->family += eax >> 20 & 0xff;
    }
    if (source->cpuid(0x80000008, 0, registers))
        identity->physical_bits = registers[EAX] & 0xff;
}

void cpu_identity_read(struct cpu_identity *identity, const struct cpu_source *source, const char *root)
{
    char cpuinfo[4096];
    memset(identity, 0, sizeof(*identity));
    signature_read(identity, source);
    cpu_features_read(&identity->features, source);
    /* The kernel checks that the counter is constant and the same on all CPUs. */
    sysfs_read(cpuinfo, sizeof(cpuinfo), root, "/proc/cpuinfo");
    if (strstr(cpuinfo, " constant_tsc") && !source->tsc(&identity->tsc_hz, &identity->tsc_scaling))
        identity->tsc_hz = 0;
    const char *line = strstr(cpuinfo, "\nmicrocode");
    if (line && (line = strchr(line, ':')))
        identity->microcode = strtoull(line + 1, NULL, 0);
}
