/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/text.h"

/* The formats' own documents: QEMU's docs/interop/qcow2.txt, Microsoft's VHD specification, VMware's "Virtual Disk
 * Format", the LUKS on-disk formats; VDI and the others as QEMU's block drivers recognise them. */

struct header {
    const uint8_t *data;
    size_t length;
};

/* The rest beyond the end reads as zeros, so that a short file needs no special case. */
static uint64_t big(const struct header *header, size_t offset, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | (offset + i < header->length ? header->data[offset + i] : 0);
    return value;
}

static uint64_t little(const struct header *header, size_t offset, unsigned bytes)
{
    return bytes == 8 ? __builtin_bswap64(big(header, offset, 8)) : __builtin_bswap32((uint32_t)big(header, offset, 4));
}

/* Copies a name of the header that must lie in it whole. */
static bool name_copy(const struct header *header, uint64_t offset, uint64_t size, char *name, size_t room)
{
    if (size == 0 || size >= room || offset > header->length || size > header->length - offset)
        return false;
    memcpy(name, header->data + offset, size);
    name[size] = '\0';
    return strlen(name) == size; /* a NUL inside would hide what follows */
}

#define QCOW2_EXTENSION_FORMAT   0xe2792acau
#define QCOW2_INCOMPATIBLE_DATA  (1u << 2)
#define QCOW2_INCOMPATIBLE_L2    (1u << 4)
#define QCOW2_COMPATIBLE_LAZY    (1u << 0)
#define QCOW2_HEADER_V2          72
#define QCOW2_CRYPT_LUKS         2

static void qcow2_extensions(const struct header *header, struct image *image, uint64_t offset)
{
    while (offset + 8 <= header->length) {
        uint32_t type = (uint32_t)big(header, offset, 4), size = (uint32_t)big(header, offset + 4, 4);
        offset += 8;
        if (type == 0)
            return;
        if (type == QCOW2_EXTENSION_FORMAT &&
            !name_copy(header, offset, size, image->backing_format, sizeof image->backing_format))
            *image->backing_format = '\0';
        offset += ((uint64_t)size + 7) & ~UINT64_C(7); /* at most 4 GiB a turn: it ends */
    }
}

static void qcow2_probe(const struct header *header, struct image *image)
{
    uint64_t version = big(header, 4, 4), shift = big(header, 20, 4);
    uint64_t incompatible = version >= 3 ? big(header, 72, 8) : 0;
    image->compat = version >= 3 ? "1.1" : "0.10";
    image->cluster_size = shift >= 9 && shift <= 21 ? 1u << shift : 0;
    image->capacity = big(header, 24, 8);
    image->capacity_known = true;
    image->encrypted = big(header, 32, 4) == QCOW2_CRYPT_LUKS;
    image->data_file = incompatible & QCOW2_INCOMPATIBLE_DATA;
    image->extended_l2 = incompatible & QCOW2_INCOMPATIBLE_L2;
    image->lazy_refcounts = version >= 3 && big(header, 80, 8) & QCOW2_COMPATIBLE_LAZY;
    uint64_t backing = big(header, 8, 8);
    image->names_files = backing || image->data_file;
    if (backing)
        image->has_backing = name_copy(header, backing, big(header, 16, 4), image->backing, sizeof image->backing);
    qcow2_extensions(header, image, version >= 3 ? big(header, 100, 4) : QCOW2_HEADER_V2);
}

static void qcow_probe(const struct header *header, struct image *image)
{
    image->capacity = big(header, 24, 8);
    image->capacity_known = true;
    uint64_t backing = big(header, 8, 8);
    image->names_files = backing;
    if (backing)
        image->has_backing = name_copy(header, backing, big(header, 16, 4), image->backing, sizeof image->backing);
}

static void qed_probe(const struct header *header, struct image *image)
{
    image->capacity = little(header, 48, 8);
    image->capacity_known = true;
    image->names_files = little(header, 16, 8) & 1;
    if (image->names_files)
        image->has_backing = name_copy(header, little(header, 56, 4), little(header, 60, 4), image->backing,
                                       sizeof image->backing);
}

static void vmdk_probe(const struct header *header, struct image *image)
{
    image->names_files = true; /* its descriptor may, a text somewhere in it */
    if (__builtin_mul_overflow(little(header, 12, 8), UINT64_C(512), &image->capacity))
        return;
    image->capacity_known = true;
}

static void vdi_probe(const struct header *header, struct image *image)
{
    image->capacity = little(header, 0x170, 8);
    image->capacity_known = true;
}

static void vpc_probe(const struct header *header, struct image *image)
{
    image->capacity = big(header, 48, 8);
    image->capacity_known = true;
}

static void luks_probe(const struct header *header, struct image *image)
{
    image->encrypted = true;
    if (big(header, 6, 2) == 1) /* of version 2 it stands in JSON, which nobody here reads */
        image->payload = big(header, 104, 4) * 512;
}

#define ISO_MAGIC        "CD001"
#define ISO_MAGIC_SIZE   5
#define ISO_MAGIC_OFFSET 32769
#define FIRST_READ       4096 /* every other magic lies in it */

/* What begins how. A version that must follow makes it harder to be taken for something else. */
static const struct signature {
    const char *format;
    uint32_t offset, size;
    const char *magic;
    uint32_t version_offset, version_min, version_max; /* big-endian, 4 bytes; 0 = any */
    void (*probe)(const struct header *header, struct image *image);
} signatures[] = {
    {"qcow2", 0, 4, "QFI\xfb", 4, 2, 3, qcow2_probe},
    {"qcow", 0, 4, "QFI\xfb", 4, 1, 1, qcow_probe},
    {"qed", 0, 4, "QED\0", 0, 0, 0, qed_probe},
    {"vmdk", 0, 4, "KDMV", 0, 0, 0, vmdk_probe},
    {"vdi", 0x40, 4, "\x7f\x10\xda\xbe", 0, 0, 0, vdi_probe},
    {"vpc", 0, 8, "conectix", 12, 0x10000, 0x1ffff, vpc_probe},
    {"raw", 0, 6, "LUKS\xba\xbe", 0, 0, 0, luks_probe},
    {"bochs", 0, 25, "Bochs Virtual HD Image\0\0\0", 0, 0, 0, NULL},
    {"cloop", 0, 32, "#!/bin/sh\n#V2.0 Format\nmodprobe c", 0, 0, 0, NULL},
    {"iso", ISO_MAGIC_OFFSET, ISO_MAGIC_SIZE, ISO_MAGIC, 0, 0, 0, NULL},
};

static bool matches(const struct header *header, const struct signature *signature)
{
    if (signature->offset + signature->size > header->length ||
        memcmp(header->data + signature->offset, signature->magic, signature->size) != 0)
        return false;
    uint64_t version = big(header, signature->version_offset, 4);
    return !signature->version_max || (version >= signature->version_min && version <= signature->version_max);
}

void image_probe(const uint8_t *data, size_t length, struct image *image)
{
    const struct header header = {data, length};
    *image = (struct image){.format = "raw"};
    for (size_t i = 0; i < COUNT(signatures); i++) {
        if (!matches(&header, &signatures[i]))
            continue;
        image->format = signatures[i].format;
        if (signatures[i].probe)
            signatures[i].probe(&header, image);
        return;
    }
}

/* Reads up to max bytes; -1 with errno. */
static ssize_t read_start(int fd, uint8_t *data, size_t max)
{
    size_t length = 0;
    for (ssize_t got; length < max; length += (size_t)got) {
        got = pread(fd, data + length, max - length, (off_t)length);
        if (got < 0)
            return -1;
        if (got == 0)
            break;
    }
    return (ssize_t)length;
}

/* Most volumes are raw, and a pool may have thousands: their first page and the place where an ISO says that it is one
 * are enough to see that. */
static int probe_file(int fd, struct image *image)
{
    uint8_t page[FIRST_READ], mark[ISO_MAGIC_SIZE];
    ssize_t length = read_start(fd, page, sizeof page);
    if (length < 0)
        return -1;
    image_probe(page, (size_t)length, image);
    bool plain = strcmp(image->format, "raw") == 0 && !image->encrypted;
    if ((size_t)length < sizeof page ||
        (plain && (pread(fd, mark, sizeof mark, ISO_MAGIC_OFFSET) != sizeof mark ||
                   memcmp(mark, ISO_MAGIC, sizeof mark) != 0)))
        return 0;
    scoped_free uint8_t *data = xcalloc(1, IMAGE_HEADER_SIZE);
    length = read_start(fd, data, IMAGE_HEADER_SIZE);
    if (length >= 0)
        image_probe(data, (size_t)length, image);
    return length < 0 ? -1 : 0;
}

int image_read(const char *path, struct image *image, struct error *err)
{
    /* a FIFO or a tape must not hold us up */
    scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0)
        return error_system(err, errno, "cannot read image '%s'", path);
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
        return error_set(err, ERR_INVALID_ARG, "'%s' is neither a file nor a block device", path);
    if (probe_file(fd, image) < 0)
        return error_system(err, errno, "cannot read image '%s'", path);
    if (!image->capacity_known) {
        off_t end = S_ISBLK(status.st_mode) ? lseek(fd, 0, SEEK_END) : status.st_size;
        image->capacity = end > 0 ? (uint64_t)end : 0;
        image->capacity -= image->payload < image->capacity ? image->payload : image->capacity;
    }
    return 0;
}

char *image_backing_path(const char *path, const struct image *image)
{
    const char *name = image->backing;
    const char *colon = strchr(name, ':'), *slash = strchr(name, '/');
    if (!image->has_backing || (colon && (!slash || colon < slash)))
        return NULL; /* "json:...", "nbd://..." */
    if (*name == '/')
        return xstrdup(name);
    const char *end = strrchr(path, '/');
    return xprintf("%.*s/%s", end ? (int)(end - path) : 1, end ? path : ".", name);
}
