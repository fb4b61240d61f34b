/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What /dev/kvm answers without a guest. Each opens it, asks and closes; none waits (0.3 ms at most). False or 0 when
 * there is no KVM or it does not know. */

/* A model-specific register as KVM would give it to a guest. */
bool kvm_msr(uint32_t index, uint64_t *value);
/* The time stamp counter's frequency, and whether guests may have another one. */
bool kvm_tsc(uint64_t *hz, bool *scaling);
/* Of one guest. */
unsigned kvm_max_vcpus(void);
/* The registers EAX, EBX, ECX, EDX of a leaf of the Hyper-V interface that KVM can offer to guests. */
bool kvm_hyperv_leaf(uint32_t leaf, uint32_t registers[4]);
