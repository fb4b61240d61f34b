/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "storage/image.h"

/* The reader of image headers: what it recognises, and what it does not believe. */

static uint8_t header[IMAGE_HEADER_SIZE];

static void put(size_t offset, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        header[offset + i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

static void put_little(size_t offset, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        header[offset + i] = (uint8_t)(value >> 8 * i);
}

/* A qcow2 of version 3 with 64 KiB clusters and 1 GiB. */
static void qcow2(void)
{
    memset(header, 0, sizeof header);
    memcpy(header, "QFI\xfb", 4);
    put(4, 3, 4);
    put(20, 16, 4);
    put(24, UINT64_C(1) << 30, 8);
    put(100, 104, 4);
}

static struct image probe(size_t length)
{
    struct image image;
    image_probe(header, length, &image);
    return image;
}

static void test_empty_and_unknown(void **state)
{
    memset(header, 0, sizeof header);
    for (size_t length = 0; length < 700; length++) {
        struct image image = probe(length);
        assert_string_equal(image.format, "raw");
        assert_false(image.capacity_known);
    }
}

static void test_qcow2(void **state)
{
    qcow2();
    put(72, 1u << 4, 8);
    put(80, 1, 8);
    struct image image = probe(sizeof header);
    assert_string_equal(image.format, "qcow2");
    assert_string_equal(image.compat, "1.1");
    assert_int_equal(image.capacity, UINT64_C(1) << 30);
    assert_int_equal(image.cluster_size, 65536);
    assert_true(image.lazy_refcounts);
    assert_true(image.extended_l2);
    assert_false(image.has_backing);
    put(4, 2, 4);
    image = probe(sizeof header);
    assert_string_equal(image.compat, "0.10");
    assert_false(image.lazy_refcounts);
    put(4, 4, 4); /* a version that nobody has defined */
    assert_string_equal(probe(sizeof header).format, "raw");
}

static void test_backing_file(void **state)
{
    qcow2();
    put(104, 0xe2792aca, 4);
    put(108, 5, 4);
    memcpy(header + 112, "qcow2", 5);
    put(8, 200, 8);
    put(16, 9, 4);
    memcpy(header + 200, "base.img!", 9);
    struct image image = probe(sizeof header);
    assert_true(image.has_backing);
    assert_string_equal(image.backing, "base.img!");
    assert_string_equal(image.backing_format, "qcow2");
    char *path = image_backing_path("/images/top.qcow2", &image);
    assert_string_equal(path, "/images/base.img!");
    free(path);
}

static void test_names_that_are_no_files(void **state)
{
    struct image image = {.has_backing = true};
    static const char *const names[] = {"json:{}", "nbd:localhost:10809", "nbd://x/y", "fat:rw:/etc"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        strcpy(image.backing, names[i]);
        assert_null(image_backing_path("/images/top", &image));
    }
    strcpy(image.backing, "/a:b");
    char *path = image_backing_path("/images/top", &image);
    assert_string_equal(path, "/a:b");
    free(path);
}

/* Offsets and lengths that point anywhere. */
static void test_lies(void **state)
{
    static const uint64_t offsets[] = {1, IMAGE_HEADER_SIZE - 1, IMAGE_HEADER_SIZE, UINT32_MAX, UINT64_MAX};
    static const uint32_t sizes[] = {0, 1, 1023, 1024, INT32_MAX, UINT32_MAX};
    for (size_t at = 0; at < sizeof offsets / sizeof *offsets; at++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            qcow2();
            memset(header + 200, 'x', sizeof header - 200);
            put(8, offsets[at], 8);
            put(16, sizes[i], 4);
            put(100, (uint32_t)offsets[at], 4);
            struct image image = probe(sizeof header);
            assert_true(strlen(image.backing) < sizeof image.backing);
            assert_true(!image.has_backing || strlen(image.backing) == sizes[i]);
        }
    qcow2();
    put(20, 63, 4); /* clusters of 8 EiB */
    assert_int_equal(probe(sizeof header).cluster_size, 0);
}

static void test_other_formats(void **state)
{
    memset(header, 0, sizeof header);
    memcpy(header, "KDMV", 4);
    put_little(12, 2048, 8);
    assert_string_equal(probe(sizeof header).format, "vmdk");
    assert_int_equal(probe(sizeof header).capacity, 1 << 20);
    put_little(12, UINT64_MAX / 2, 8);
    assert_false(probe(sizeof header).capacity_known);

    memset(header, 0, sizeof header);
    put_little(0x40, 0xbeda107f, 4);
    put_little(0x170, 12345678, 8);
    assert_string_equal(probe(sizeof header).format, "vdi");
    assert_int_equal(probe(sizeof header).capacity, 12345678);

    memset(header, 0, sizeof header);
    memcpy(header, "LUKS\xba\xbe", 6);
    assert_string_equal(probe(sizeof header).format, "raw");
    assert_true(probe(sizeof header).encrypted);

    memset(header, 0, sizeof header);
    memcpy(header + 32769, "CD001", 5);
    assert_string_equal(probe(sizeof header).format, "iso");
}

/* Every prefix of a header is a file that somebody may have. */
static void test_cut_off(void **state)
{
    qcow2();
    put(8, 200, 8);
    put(16, 9, 4);
    memcpy(header + 200, "base.img!", 9);
    for (size_t length = 0; length < 300; length++)
        assert_int_equal(probe(length).has_backing, length >= 209);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_and_unknown),
        cmocka_unit_test(test_qcow2),
        cmocka_unit_test(test_backing_file),
        cmocka_unit_test(test_names_that_are_no_files),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_other_formats),
        cmocka_unit_test(test_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
