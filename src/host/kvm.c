/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/kvm.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "base/arena.h"
#include "base/cleanup.h"

#define HYPERV_LEAVES_MAX 32

static int kvm_open(void)
{
    return open("/dev/kvm", O_RDWR | O_CLOEXEC);
}

#if defined(__x86_64__) || defined(__i386__)
bool kvm_msr(uint32_t index, uint64_t *value)
{
    scoped_free struct kvm_msrs *request = xcalloc(1, sizeof(*request) + sizeof(request->entries[0]));
    request->nmsrs = 1;
    request->entries[0].index = index;
    scoped_fd int kvm = kvm_open();
    if (kvm < 0 || ioctl(kvm, KVM_GET_MSRS, request) != 1)
        return false;
    *value = request->entries[0].data;
    return true;
}

bool kvm_tsc(uint64_t *hz, bool *scaling)
{
    scoped_fd int kvm = kvm_open();
    if (kvm < 0 || ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_GET_TSC_KHZ) <= 0)
        return false;
    scoped_fd int machine = ioctl(kvm, KVM_CREATE_VM, 0);
    int khz = machine < 0 ? -1 : ioctl(machine, KVM_GET_TSC_KHZ, 0); /* since Linux 5.17 also without a VCPU */
    if (khz <= 0)
        return false;
    *hz = khz * UINT64_C(1000);
    *scaling = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_TSC_CONTROL) > 0;
    return true;
}

bool kvm_hyperv_leaf(uint32_t leaf, uint32_t registers[4])
{
    scoped_free struct kvm_cpuid2 *table =
        xcalloc(1, sizeof(*table) + HYPERV_LEAVES_MAX * sizeof(table->entries[0]));
    table->nent = HYPERV_LEAVES_MAX;
    scoped_fd int kvm = kvm_open();
    if (kvm < 0 || ioctl(kvm, KVM_GET_SUPPORTED_HV_CPUID, table) < 0)
        return false;
    for (uint32_t i = 0; i < table->nent; i++) {
        const struct kvm_cpuid_entry2 *entry = &table->entries[i];
        if (entry->function != leaf)
            continue;
        registers[0] = entry->eax;
        registers[1] = entry->ebx;
        registers[2] = entry->ecx;
        registers[3] = entry->edx;
        return true;
    }
    return false;
}
#else
bool kvm_msr(uint32_t index, uint64_t *value)
{
    return false;
}

bool kvm_tsc(uint64_t *hz, bool *scaling)
{
    return false;
}

bool kvm_hyperv_leaf(uint32_t leaf, uint32_t registers[4])
{
    return false;
}
#endif

unsigned kvm_max_vcpus(void)
{
    scoped_fd int kvm = kvm_open();
    int count = kvm < 0 ? 0 : ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
    return count > 0 ? count : 0;
}
