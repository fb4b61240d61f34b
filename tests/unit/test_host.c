/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "host/cpu.h"
#include "host/cpu_model.h"
#include "host/identity.h"
#include "host/ksm.h"
#include "host/memory.h"
#include "host/sysinfo.h"

/* Each test makes the part of /proc and /sys that it speaks of below a temporary directory. */
static char tree[64];

static void put_bytes(const char *path, const void *data, size_t length)
{
    char full[512];
    snprintf(full, sizeof(full), "%s%s", tree, path);
    for (char *slash = strchr(full + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(full, 0755);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, length, file), length);
    fclose(file);
}

static void put(const char *path, const char *content)
{
    put_bytes(path, content, strlen(content));
}

static void put_cpu(unsigned cpu, const char *socket, const char *die, const char *core, const char *siblings)
{
    const struct {
        const char *file, *content;
    } files[] = {{"physical_package_id", socket},
                 {"die_id", die},
                 {"core_id", core},
                 {"thread_siblings_list", siblings}};
    for (size_t i = 0; i < COUNT(files); i++) {
        char path[128];
        snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/topology/%s", cpu, files[i].file);
        put(path, files[i].content);
    }
}

static int tree_make(void **state)
{
    strcpy(tree, "/tmp/test-host-XXXXXX");
    return mkdtemp(tree) ? 0 : -1;
}

static int tree_remove(void **state)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", tree);
    return system(command);
}

/* Two cells with a socket each, two cores of two threads; CPU 7 is offline. */
static void put_two_cells(void)
{
    put("/sys/devices/system/cpu/online", "0-6\n");
    put("/sys/devices/system/cpu/present", "0-7\n");
    put("/sys/devices/system/node/online", "0,2\n");
    put("/sys/devices/system/node/node0/cpulist", "0-3\n");
    put("/sys/devices/system/node/node2/cpulist", "4-7\n");
    put("/sys/devices/system/node/node0/distance", "10 21\n");
    put("/sys/devices/system/node/node2/distance", "21 10\n");
    put("/sys/devices/system/node/node0/meminfo",
        "Node 0 MemTotal:       1000000 kB\nNode 0 MemFree:         400000 kB\n");
    put("/sys/devices/system/node/node2/meminfo",
        "Node 2 MemTotal:       2000000 kB\nNode 2 MemFree:         500000 kB\n");
    put_cpu(0, "0", "0", "0", "0-1\n");
    put_cpu(1, "0", "0", "0", "0-1\n");
    put_cpu(2, "0", "0", "1", "2-3\n");
    put_cpu(3, "0", "0", "1", "2-3\n");
    put_cpu(4, "1", "0", "0", "4-5\n");
    put_cpu(5, "1", "0", "0", "4-5\n");
    put_cpu(6, "1", "0", "1", "6\n");
}

static void topology_has_cells_and_shape(void **state)
{
    scoped_arena struct arena *arena = arena_new();
    put_two_cells();
    put("/proc/cpuinfo", "processor\t: 0\nvendor_id\t: x\ncpu MHz\t\t: 2400.123\n");
    struct host_topology *topology = topology_read(arena, tree);
    assert_int_equal(topology->cell_count, 2);
    assert_int_equal(topology->cells[1].id, 2);
    assert_int_equal(topology->cells[1].cpu_count, 3);
    assert_int_equal(topology->cells[0].distance_count, 2);
    assert_int_equal(topology->cells[0].distances[1].cell, 2);
    assert_int_equal(topology->cells[0].distances[1].value, 21);
    assert_string_equal(topology->cells[0].cpus[3].siblings, "2-3");

    struct node_info info;
    node_info_read(&info, topology, tree);
    assert_int_equal(info.cpus, 7);
    assert_int_equal(info.mhz, 2400);
    assert_int_equal(info.nodes, 2);
    assert_int_equal(info.sockets, 1);
    assert_int_equal(info.cores, 2);
    assert_int_equal(info.threads, 2);
    assert_int_equal(info.memory_kib, 3000000);
    assert_int_equal(memory_free_kib(topology, tree), 900000);

    assert_true(topology_is_current(topology, tree));
    put("/sys/devices/system/cpu/online", "0-7\n");
    assert_false(topology_is_current(topology, tree));
}

static void uneven_shape_is_flattened(void **state)
{
    scoped_arena struct arena *arena = arena_new();
    put("/sys/devices/system/cpu/online", "0-2\n");
    put_cpu(0, "0", "0", "0", "0-1\n");
    put_cpu(1, "0", "0", "0", "0-1\n");
    put_cpu(2, "0", "0", "1", "2\n");
    struct node_info info;
    node_info_read(&info, topology_read(arena, tree), tree);
    assert_int_equal(info.nodes, 1);
    assert_int_equal(info.sockets, 1);
    assert_int_equal(info.cores, 3);
    assert_int_equal(info.threads, 1);
}

static void an_empty_tree_is_one_cell(void **state)
{
    scoped_arena struct arena *arena = arena_new();
    struct host_topology *topology = topology_read(arena, tree);
    assert_int_equal(topology->cell_count, 1);
    assert_false(topology->numa);
    assert_true(topology->cells[0].cpu_count >= 1);
    struct memory_stats stats;
    struct error err = {0};
    assert_int_equal(memory_stats_read(&stats, topology, tree, CELL_ALL, &err), -1);
    assert_int_equal(err.code, ERR_SYSTEM_ERROR);
    struct page_pools pools;
    page_pools_read(arena, &pools, topology, tree, 0);
    assert_int_equal(pools.count, 1);
}

static void caches_of_level_three_are_listed_once(void **state)
{
    scoped_arena struct arena *arena = arena_new();
    put("/sys/devices/system/cpu/online", "0-3\n");
    for (unsigned cpu = 0; cpu < 4; cpu++) {
        const char *const files[][2] = {{"level", "3\n"}, {"type", "Unified\n"}, {"size", "8192K\n"},
                                        {"id", cpu < 2 ? "1\n" : "0\n"},
                                        {"shared_cpu_list", cpu < 2 ? "0-1\n" : "2-3\n"}};
        for (size_t i = 0; i < COUNT(files); i++) {
            char path[128];
            snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/cache/index0/%s", cpu, files[i][0]);
            put(path, files[i][1]);
        }
    }
    struct host_topology *topology = topology_read(arena, tree);
    assert_int_equal(topology->cache_count, 2);
    assert_int_equal(topology->caches[0].id, 0);
    assert_string_equal(topology->caches[0].cpus, "2-3");
    assert_int_equal(topology->caches[0].size_kib, 8192);
    assert_string_equal(topology->caches[0].type, "both");
}

static void cpu_times_are_nanoseconds(void **state)
{
    struct cpu_times times;
    struct error err = {0};
    put("/proc/stat", "cpu  10 5 7 100 3 1 2 0 0 0\ncpu0 4 1 2 50 1 1 1 0 0 0\ncpu10 6 4 5 50 2 0 1 0 0 0\nintr 5\n");
    uint64_t tick = UINT64_C(1000000000) / sysconf(_SC_CLK_TCK);
    assert_int_equal(cpu_times_read(&times, tree, CPU_ALL, &err), 0);
    assert_int_equal(times.user_ns, 15 * tick);
    assert_int_equal(times.kernel_ns, 10 * tick);
    assert_int_equal(times.idle_ns, 100 * tick);
    assert_int_equal(cpu_times_read(&times, tree, 10, &err), 0);
    assert_int_equal(times.iowait_ns, 2 * tick);
    assert_int_equal(cpu_times_read(&times, tree, 1, &err), -1);
    assert_int_equal(err.code, ERR_INVALID_ARG);
}

static void memory_is_told_by_cell_and_page_size(void **state)
{
    scoped_arena struct arena *arena = arena_new();
    struct error err = {0};
    put_two_cells();
    put("/proc/meminfo", "MemTotal: 3500000 kB\nMemFree: 900000 kB\nBuffers: 12 kB\nCached: 34 kB\nSwapCached: 9 kB\n");
    put("/sys/devices/system/node/node2/hugepages/hugepages-2048kB/nr_hugepages", "100\n");
    put("/sys/devices/system/node/node2/hugepages/hugepages-2048kB/free_hugepages", "40\n");
    struct host_topology *topology = topology_read(arena, tree);

    struct memory_stats stats;
    assert_int_equal(memory_stats_read(&stats, topology, tree, CELL_ALL, &err), 0);
    assert_int_equal(stats.total_kib, 3500000);
    assert_int_equal(stats.buffers_kib, 12);
    assert_int_equal(stats.cached_kib, 34);
    assert_int_equal(memory_stats_read(&stats, topology, tree, 2, &err), 0);
    assert_int_equal(stats.total_kib, 2000000);
    assert_false(stats.has_cache);
    assert_int_equal(memory_stats_read(&stats, topology, tree, 1, &err), -1);
    assert_int_equal(err.code, ERR_INVALID_ARG);

    unsigned normal = sysconf(_SC_PAGESIZE) / 1024;
    struct page_pools pools;
    page_pools_read(arena, &pools, topology, tree, 2);
    assert_int_equal(pools.count, 2);
    assert_int_equal(page_pool_find(&pools, normal, 2, &err)->total, (2000000 - 204800) / normal);
    assert_int_equal(page_pool_find(&pools, 2048, 2, &err)->free, 40);
    assert_null(page_pool_find(&pools, 7, 2, &err));
    assert_int_equal(err.code, ERR_OPERATION_FAILED);

    struct huge_pages_change change;
    assert_int_equal(huge_pages_prepare(&change, topology, tree, 2, 2048, 20, true, &err), 0);
    huge_pages_apply(&change);
    assert_int_equal(huge_pages_check(&change, &err), 0);
    page_pools_read(arena, &pools, topology, tree, 2);
    assert_int_equal(page_pool_find(&pools, 2048, 2, &err)->total, 120);
    change.wanted = 121; /* as if the kernel had found fewer */
    assert_int_equal(huge_pages_check(&change, &err), -1);
    assert_int_equal(err.code, ERR_OPERATION_FAILED);
    assert_int_equal(huge_pages_prepare(&change, topology, tree, 2, 7, 1, false, &err), -1);
    assert_int_equal(huge_pages_prepare(&change, topology, tree, 2, normal, 1, false, &err), -1);
    assert_int_equal(err.code, ERR_OPERATION_INVALID);
}

static void ksm_parameters_have_their_files(void **state)
{
    uint64_t value;
    struct error err = {0};
    put("/sys/kernel/mm/ksm/pages_to_scan", "100\n");
    const struct ksm_parameter *scan = ksm_parameter_find("shm_pages_to_scan");
    assert_true(ksm_read(scan, tree, &value) && value == 100);
    assert_int_equal(ksm_write(scan, tree, 250, &err), 0);
    assert_true(ksm_read(scan, tree, &value) && value == 250);
    assert_false(ksm_read(ksm_parameter_find("shm_full_scans"), tree, &value));
    assert_int_equal(ksm_write(ksm_parameter_find("shm_full_scans"), tree, 1, &err), -1);
    assert_int_equal(err.code, ERR_INVALID_ARG);
    assert_null(ksm_parameter_find("shm_nothing"));
}

/* A BIOS, a system and a memory device, then the end mark. */
static const uint8_t smbios_table[] =
    "\x00\x18\x00\x00\x01\x02\x00\xf0\x03\x00\0\0\0\0\0\0\0\0\0\0\x02\x04\xff\xff"
    "Acme & Co\0" "1.2\0" "01/02/2023\0\0"
    "\x01\x1b\x01\x00\x01\x02\x00\x00\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x06\x00\x00"
    "Acme\0" "<Box>\0\0"
    "\x11\x1b\x02\x00\0\0\0\0\0\0\0\0\x00\x40\x09\x00\x01\x00\x1a\x80\x00\x80\x0c\x02\x00\x00\x00"
    "DIMM_A1\0" "Maker\x01\0\0"
    "\x7f\x04\x03\x00\0";

static void sysinfo_comes_from_the_table(void **state)
{
    scoped_text struct text xml = {0};
    struct error err = {0};
    put_bytes("/sys/firmware/dmi/tables/DMI", smbios_table, sizeof(smbios_table));
    assert_int_equal(sysinfo_format(&xml, tree, &err), 0);
    assert_string_equal(text_string(&xml), "<sysinfo type='smbios'>\n"
                                           "  <bios>\n"
                                           "    <entry name='vendor'>Acme &amp; Co</entry>\n"
                                           "    <entry name='version'>1.2</entry>\n"
                                           "    <entry name='date'>01/02/2023</entry>\n"
                                           "    <entry name='release'>2.4</entry>\n"
                                           "  </bios>\n"
                                           "  <system>\n"
                                           "    <entry name='manufacturer'>Acme</entry>\n"
                                           "    <entry name='product'>&lt;Box&gt;</entry>\n"
                                           "    <entry name='uuid'>00112233-4455-6677-8899-aabbccddeeff</entry>\n"
                                           "  </system>\n"
                                           "  <memory_device>\n"
                                           "    <entry name='size'>16384 MB</entry>\n"
                                           "    <entry name='form_factor'>DIMM</entry>\n"
                                           "    <entry name='locator'>DIMM_A1</entry>\n"
                                           "    <entry name='type'>DDR4</entry>\n"
                                           "    <entry name='type_detail'>Synchronous</entry>\n"
                                           "    <entry name='speed'>3200 MT/s</entry>\n"
                                           "    <entry name='manufacturer'>Maker.</entry>\n"
                                           "  </memory_device>\n"
                                           "</sysinfo>\n");
}

/* Every beginning of the table, and every byte of it made large, gives text or an error, never a read outside. */
static void damaged_tables_do_no_harm(void **state)
{
    uint8_t copy[sizeof(smbios_table)];
    for (size_t i = 0; i < sizeof(copy); i++) {
        scoped_text struct text xml = {0};
        put_bytes("/sys/firmware/dmi/tables/DMI", smbios_table, i);
        sysinfo_format(&xml, tree, NULL);
        memcpy(copy, smbios_table, sizeof(copy));
        copy[i] = 0xff;
        put_bytes("/sys/firmware/dmi/tables/DMI", copy, sizeof(copy));
        sysinfo_format(&xml, tree, NULL);
    }
}

static void sysinfo_falls_back_to_files(void **state)
{
    scoped_text struct text xml = {0};
    struct error err = {0};
    assert_int_equal(sysinfo_format(&xml, tree, &err), -1);
    assert_int_equal(err.code, ERR_CONFIG_UNSUPPORTED);
    put("/sys/class/dmi/id/sys_vendor", "QEMU\n");
    assert_int_equal(sysinfo_format(&xml, tree, &err), 0);
    assert_string_equal(text_string(&xml), "<sysinfo type='smbios'>\n  <system>\n"
                                           "    <entry name='manufacturer'>QEMU</entry>\n  </system>\n</sysinfo>\n");
}

static void filler_uuids_are_refused(void **state)
{
    unsigned char uuid[UUID_SIZE];
    assert_false(host_uuid_read(tree, uuid));
    put("/sys/class/dmi/id/product_uuid", "ffffffff-ffff-ffff-ffff-ffffffffffff\n");
    assert_false(host_uuid_read(tree, uuid));
    put("/sys/class/dmi/id/product_uuid", "00112233-4455-6677-8899-AABBCCDDEEFF\n");
    assert_true(host_uuid_read(tree, uuid));
    assert_int_equal(uuid[15], 0xff);
}

static void a_uuid_is_made_once(void **state)
{
    unsigned char first[UUID_SIZE], second[UUID_SIZE];
    struct error err = {0};
    assert_int_equal(host_uuid_get(tree, first, &err), 0);
    assert_int_equal(host_uuid_get(tree, second, &err), 0);
    assert_memory_equal(first, second, UUID_SIZE);
}

static bool fake_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t registers[4])
{
    static const struct {
        uint32_t leaf, subleaf, registers[4];
    } leaves[] = {
        {0, 0, {16, 0x756e6547, 0x6c65746e, 0x49656e69}}, /* GenuineIntel */
        {1, 0, {0x000a0671, 0, 1 << 19, 1 << 25}},        /* family 6, model 167, stepping 1; sse4.1, sse */
        {7, 0, {0, 1 << 1, 0, 0}},                        /* tsc_adjust */
        {0x80000008, 0, {46, 0, 0, 0}},
    };
    for (size_t i = 0; i < COUNT(leaves); i++)
        if (leaves[i].leaf == leaf && leaves[i].subleaf == subleaf) {
            memcpy(registers, leaves[i].registers, sizeof(leaves[i].registers));
            return true;
        }
    return false;
}

static bool fake_msr(uint32_t index, uint64_t *value)
{
    *value = 1;
    return index == 0x10a;
}

static bool fake_tsc(uint64_t *hz, bool *scaling)
{
    *hz = 2400000000;
    *scaling = true;
    return true;
}

static void the_cpu_identifies_itself(void **state)
{
    const struct cpu_source source = {fake_cpuid, fake_msr, fake_tsc};
    struct cpu_identity identity;
    put("/proc/cpuinfo", "processor\t: 0\nmicrocode\t: 0x2b\nflags\t\t: fpu constant_tsc\n");
    cpu_identity_read(&identity, &source, tree);
    assert_string_equal(identity.vendor, "Intel");
    assert_int_equal(identity.family, 6);
    assert_int_equal(identity.model, 167);
    assert_int_equal(identity.stepping, 1);
    assert_int_equal(identity.microcode, 0x2b);
    assert_int_equal(identity.physical_bits, 46);
    assert_int_equal(identity.tsc_hz, 2400000000);
    assert_int_equal(cpu_features_count(&identity.features), 4);
    const char *const names[] = {"sse", "sse4.1", "tsc_adjust", "rdctl-no"};
    for (size_t i = 0; i < COUNT(names); i++)
        assert_true(cpu_features_has(&identity.features, cpu_feature_find(names[i])));
}

static void features_have_one_name_each(void **state)
{
    unsigned named = 0;
    for (unsigned feature = 0; feature < CPU_FEATURE_COUNT; feature++) {
        const char *name = cpu_feature_name(feature);
        if (!name)
            continue;
        assert_int_equal(cpu_feature_find(name), feature);
        named++;
    }
    assert_true(named > 200);
    assert_int_equal(cpu_feature_from_qemu("lahf-lm"), cpu_feature_find("lahf_lm"));
    assert_int_equal(cpu_feature_from_qemu("pclmulqdq"), cpu_feature_find("pclmuldq"));
    assert_int_equal(cpu_feature_from_qemu("vmx-vpid"), -1);
    assert_int_equal(cpu_feature_find("lahf-lm"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(topology_has_cells_and_shape, tree_make, tree_remove),
        cmocka_unit_test_setup_teardown(uneven_shape_is_flattened, tree_make, tree_remove),
        cmocka_unit_test_setup_teardown(an_empty_tree_is_one_cell, tree_make, tree_remove),
        cmocka_unit_test_setup_teardown(caches_of_level_three_are_listed_once, tree_make, tree_remove),
        cmocka_unit_test_setup_teardown(cpu_times_are_nanoseconds, tree_make, tree_remove),
        cmocka_unit_test_setup_teardown(memory_is_told_by_cell_and_page_size, tree_make, tree_remove),
        cmocka_unit_test_setup_teardown(ksm_parameters_have_their_files, tree_make, tree_remove),
        cmocka_unit_test_setup_teardown(sysinfo_comes_from_the_table, tree_make, tree_remove),
        cmocka_unit_test_setup_teardown(damaged_tables_do_no_harm, tree_make, tree_remove),
        cmocka_unit_test_setup_teardown(sysinfo_falls_back_to_files, tree_make, tree_remove),
        cmocka_unit_test_setup_teardown(filler_uuids_are_refused, tree_make, tree_remove),
        cmocka_unit_test_setup_teardown(a_uuid_is_made_once, tree_make, tree_remove),
        cmocka_unit_test_setup_teardown(the_cpu_identifies_itself, tree_make, tree_remove),
        cmocka_unit_test(features_have_one_name_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
