/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/ksm.h"

#include <errno.h>

#include "base/text.h"

#define KSM_DIR "/sys/kernel/mm/ksm"

const struct ksm_parameter ksm_parameters[] = {
    {"shm_pages_to_scan", "pages_to_scan", false, true},
    {"shm_sleep_millisecs", "sleep_millisecs", false, true},
    {"shm_pages_shared", "pages_shared", true, false},
    {"shm_pages_sharing", "pages_sharing", true, false},
    {"shm_pages_unshared", "pages_unshared", true, false},
    {"shm_pages_volatile", "pages_volatile", true, false},
    {"shm_full_scans", "full_scans", true, false},
    {"shm_merge_across_nodes", "merge_across_nodes", false, true},
};
const unsigned ksm_parameter_count = COUNT(ksm_parameters);

const struct ksm_parameter *ksm_parameter_find(const char *name)
{
    for (unsigned i = 0; i < ksm_parameter_count; i++)
        if (string_equal(ksm_parameters[i].name, name))
            return &ksm_parameters[i];
    return NULL;
}

bool ksm_read(const struct ksm_parameter *parameter, const char *root, uint64_t *value)
{
    return sysfs_read_u64(value, root, KSM_DIR "/%s", parameter->file) == 0;
}

int ksm_write(const struct ksm_parameter *parameter, const char *root, uint64_t value, struct error *err)
{
    if (!parameter->writable)
        return error_set(err, ERR_INVALID_ARG, "memory parameter %s can only be read", parameter->name);
    if (sysfs_write_u64(value, root, KSM_DIR "/%s", parameter->file) < 0)
        return error_system(err, errno, "cannot set memory parameter %s to %llu", parameter->name,
                            (unsigned long long)value);
    return 0;
}
