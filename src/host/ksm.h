/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "host/sysfs.h"

/* Kernel samepage merging: the node memory parameters, /sys/kernel/mm/ksm. Nothing here waits. */
struct ksm_parameter {
    const char *name; /* the parameter's public name */
    const char *file;
    bool wide;     /* 64 bits on the wire, else 32 */
    bool writable;
};
extern const struct ksm_parameter ksm_parameters[];
extern const unsigned ksm_parameter_count;

/* NULL when there is no such parameter. */
const struct ksm_parameter *ksm_parameter_find(const char *name);
/* False when this kernel does not have it. */
bool ksm_read(const struct ksm_parameter *parameter, const char *root, uint64_t *value);
/* root as in sysfs.h. Fails with the kernel's words when it refuses the value. */
int ksm_write(const struct ksm_parameter *parameter, const char *root, uint64_t value, struct error *err);
