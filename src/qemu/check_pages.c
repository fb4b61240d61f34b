/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "host/sysfs.h"
#include "qemu/command.h"
#include "qemu/domain.h"

/* Whether this host has the huge pages that a guest is about to get: QEMU's own words for the lack of them name neither
 * pages nor their size. */

static uint64_t pool_read(uint64_t page_kib, const char *file)
{
    uint64_t value = 0;
    sysfs_read_u64(&value, "", "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/%s", page_kib, file);
    return value;
}

/* What the kernel would give now: free pages that nobody has reserved, and those it may make on demand. */
static uint64_t pool_available(uint64_t page_kib)
{
    uint64_t free = pool_read(page_kib, "free_hugepages"), reserved = pool_read(page_kib, "resv_hugepages");
    uint64_t most = pool_read(page_kib, "nr_overcommit_hugepages"), made = pool_read(page_kib, "surplus_hugepages");
    return (free > reserved ? free - reserved : 0) + (most > made ? most - made : 0);
}

static int check_pool(const char *name, uint64_t page_kib, uint64_t kib, struct error *err)
{
    if (!sysfs_exists("", "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB", page_kib))
        return error_set(err, ERR_CONFIG_UNSUPPORTED,
                         "domain '%s' is to have huge pages of %" PRIu64 " KiB, of which this host has none; 'virsh "
                         "freepages --all' lists the sizes there are", name, page_kib);
    if (kib % page_kib)
        return error_set(err, ERR_CONFIG_UNSUPPORTED,
                         "domain '%s': its memory of %" PRIu64 " KiB cannot be had in huge pages of %" PRIu64
                         " KiB; give a multiple", name, kib, page_kib);
    uint64_t available = pool_available(page_kib);
    if (kib / page_kib > available)
        return error_set(err, ERR_OPERATION_FAILED,
                         "domain '%s' needs %" PRIu64 " huge pages of %" PRIu64 " KiB, and this host has %" PRIu64
                         " free; reserve more (virsh allocpages)", name, kib / page_kib, page_kib, available);
    return 0;
}

int domain_check_pages(const struct domain_def *def, struct error *err)
{
    const struct memory_backing *backing = def->memory_backing;
    uint32_t cells = def->cpu ? def->cpu->cells.count : 0;
    if (!cells) {
        uint64_t page_kib = qemu_hugepage_kib(backing, NULL);
        return page_kib ? check_pool(def->name, page_kib, def->memory, err) : 0;
    }
    for (uint32_t i = 0; i < cells; i++) {
        const struct numa_cell *cell = def->cpu->cells.item[i];
        struct optional_u32 id = {cell->id.set ? cell->id.value : i, true};
        uint64_t page_kib = qemu_hugepage_kib(backing, &id);
        if (page_kib && check_pool(def->name, page_kib, cell->memory, err) < 0)
            return -1;
    }
    return 0;
}
