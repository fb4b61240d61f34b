/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "model/part.h"

/* One element of the XML is one struct and one table of fields. The walker (xml.h) parses, formats, compares and checks
 * by the table alone.
 *
 * A path is relative to the element: "@type" is an attribute, "serial" a child's text, "." the element's own text,
 * "driver/@cache" an attribute of the child <driver>. Fields of one child stand together, attributes first, in the
 * order in which they are written. A field that decides whether another one holds (WHEN) stands before it. */

enum field_kind {
    FIELD_KIND_STRING,   /* const char * */
    FIELD_KIND_CPUSET,   /* const char *, a set like "0-3,7", in its shortest spelling */
    FIELD_KIND_ENUM,     /* enum of enums.h */
    FIELD_KIND_FLAG,     /* bool: the element is there */
    FIELD_KIND_U8,       /* uint8_t */
    FIELD_KIND_U16,      /* uint16_t */
    FIELD_KIND_U32,      /* uint32_t */
    FIELD_KIND_I32,      /* int32_t */
    FIELD_KIND_U64,      /* uint64_t */
    FIELD_KIND_OPT_U32,  /* struct optional_u32 */
    FIELD_KIND_OPT_I32,  /* struct optional_i32 */
    FIELD_KIND_OPT_U64,  /* struct optional_u64 */
    FIELD_KIND_MEMORY,   /* uint64_t KiB, text with unit= (KiB when it is missing) */
    FIELD_KIND_BYTES,    /* uint64_t bytes, text with unit= (bytes when it is missing) */
    FIELD_KIND_MEBIBYTES, /* uint64_t MiB, text with unit= (bytes when it is missing) */
    FIELD_KIND_UUID,     /* unsigned char[16] followed by a bool */
    FIELD_KIND_MAC,      /* struct mac */
    FIELD_KIND_KEPT,     /* no member: libvirt knows it, we only keep it, with the extras */
    FIELD_KIND_VERBATIM, /* const char *: the element with all it holds, as text */
    FIELD_KIND_HIDDEN,   /* const char * that is not in the XML, only copied with the struct; path is "" */
    FIELD_KIND_PART,     /* pointer to a struct of its own element */
    FIELD_KIND_INLINE,   /* a struct of its own element, inside this one */
    FIELD_KIND_MERGE,    /* a struct inside this one whose fields lie in the same element; path is NULL */
    FIELD_KIND_LIST,     /* LIST_OF(struct): one item for each child of that name */
};

enum field_flags {
    REQUIRED = 1 << 0,   /* an error when it is missing */
    GUEST_ABI = 1 << 1,  /* the guest sees it: must be equal on both ends of a migration */
    LIVE = 1 << 2,       /* only a running domain has it */
    SECURE = 1 << 3,     /* a secret: written only when asked for */
    ALWAYS = 1 << 4,     /* a number that is written even when it is 0 */
    KEEP_EMPTY = 1 << 5, /* an inline part is written even when nothing is in it */
    DROP_EMPTY = 1 << 6, /* a part behind a pointer is not written when nothing is in it */
    HAS_DEFAULT = 1 << 7,
    HEX = 1 << 8,        /* written as 0x...; read in any base */
    NOT_EMPTY = 1 << 9,  /* a string of no characters counts as missing */
    REST = 1 << 10,      /* written only for a domain at rest, in the place of a LIVE field; never read */
    FOREIGN = 1 << 15,   /* a VERBATIM that belongs to somebody else: kept as libxml2 writes it */
    PRETTY = 1 << 14,    /* a MEMORY that is written in its largest whole unit */
    READ_ONLY = 1 << 13, /* read early for the WHEN of others; written by a later row */
    USER_ALIAS = 1 << 11, /* LIVE, unless the user chose it: it begins with "ua-" */
    UNLESS_SAME = 1 << 12, /* a uint32_t that is not written when it equals the one at when_offset */
};

struct element;

struct field {
    const char *path;
    uint8_t kind;         /* enum field_kind */
    uint8_t width;        /* HEX: digits */
    uint16_t flags;       /* enum field_flags */
    uint16_t offset;      /* in the struct */
    uint16_t when_offset; /* of the enum that decides */
    uint32_t fallback;    /* HAS_DEFAULT: value of an enum or a number; REQUIRED: error code (0: ERR_XML_ERROR) */
    uint64_t when;        /* bit mask of that enum's values; 0: the field always holds */
    uint64_t max;         /* of a number; 0: what the type can hold */
    uint8_t min;          /* of a number */
    union {
        const struct words *words;
        const struct element *element;
    };
};

struct parse;

#define NO_EXTRA UINT16_MAX

struct element {
    const struct field *fields;
    uint16_t count;
    uint16_t size;         /* of the struct */
    uint16_t extra_offset; /* of its struct extra *, which collects what the table does not know; or NO_EXTRA */
    /* What no row can say: relations between fields. Runs after the fields are in. NULL: nothing. */
    int (*parsed)(void *part, struct parse *parse);
};

/* The element `name` whose table is name_fields, for a struct with an extra list. */
#define ELEMENT(name, type, ...)                                                                  \
    const struct element name##_element = {.fields = name##_fields, .count = COUNT(name##_fields), \
                                           .size = sizeof(struct type),                           \
                                           .extra_offset = offsetof(struct type, extra), ##__VA_ARGS__}
#define SAME_AS(type, member) .flags = UNLESS_SAME, .when_offset = offsetof(struct type, member)
/* A table that is only merged into others. */
#define FRAGMENT(name, type) \
    const struct element name##_element = {.fields = name##_fields, .count = COUNT(name##_fields), \
                                           .size = sizeof(struct type), .extra_offset = NO_EXTRA}

/* offsetof() that does not compile when the member is of another type than the table row says. */
#define FIELD_OFFSET(type, member, expected)                                                     \
    (offsetof(struct type, member) +                                                             \
     0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((struct type *)0)->member), expected) ? 1 : -1]))

#define FIELD_OF(type_kind, xml_path, field_offset, ...) \
    {.path = (xml_path), .kind = FIELD_KIND_##type_kind, .offset = (field_offset), __VA_ARGS__}

#define FIELD_STR(type, member, path, ...) \
    FIELD_OF(STRING, path, FIELD_OFFSET(type, member, const char *), __VA_ARGS__)
#define FIELD_CPUSET(type, member, path, ...) \
    FIELD_OF(CPUSET, path, FIELD_OFFSET(type, member, const char *), __VA_ARGS__)
#define FIELD_ENUM(type, member, path, list, ...) \
    FIELD_OF(ENUM, path, FIELD_OFFSET(type, member, enum list), .words = &list##_words, ##__VA_ARGS__)
#define FIELD_FLAG(type, member, path, ...) FIELD_OF(FLAG, path, FIELD_OFFSET(type, member, bool), __VA_ARGS__)
#define FIELD_U8(type, member, path, ...)   FIELD_OF(U8, path, FIELD_OFFSET(type, member, uint8_t), __VA_ARGS__)
#define FIELD_U16(type, member, path, ...)  FIELD_OF(U16, path, FIELD_OFFSET(type, member, uint16_t), __VA_ARGS__)
#define FIELD_U32(type, member, path, ...)  FIELD_OF(U32, path, FIELD_OFFSET(type, member, uint32_t), __VA_ARGS__)
#define FIELD_I32(type, member, path, ...)  FIELD_OF(I32, path, FIELD_OFFSET(type, member, int32_t), __VA_ARGS__)
#define FIELD_U64(type, member, path, ...)  FIELD_OF(U64, path, FIELD_OFFSET(type, member, uint64_t), __VA_ARGS__)
#define FIELD_OPT_U32(type, member, path, ...) \
    FIELD_OF(OPT_U32, path, FIELD_OFFSET(type, member, struct optional_u32), __VA_ARGS__)
#define FIELD_OPT_I32(type, member, path, ...) \
    FIELD_OF(OPT_I32, path, FIELD_OFFSET(type, member, struct optional_i32), __VA_ARGS__)
#define FIELD_OPT_U64(type, member, path, ...) \
    FIELD_OF(OPT_U64, path, FIELD_OFFSET(type, member, struct optional_u64), __VA_ARGS__)
#define FIELD_MEMORY(type, member, path, ...) FIELD_OF(MEMORY, path, FIELD_OFFSET(type, member, uint64_t), __VA_ARGS__)
#define FIELD_MEBIBYTES(type, member, path, ...) \
    FIELD_OF(MEBIBYTES, path, FIELD_OFFSET(type, member, uint64_t), __VA_ARGS__)
#define FIELD_BYTES(type, member, path, ...)  FIELD_OF(BYTES, path, FIELD_OFFSET(type, member, uint64_t), __VA_ARGS__)
#define FIELD_UUID(type, member, path, ...)   FIELD_OF(UUID, path, offsetof(struct type, member), __VA_ARGS__)
#define FIELD_MAC(type, member, path, ...)    FIELD_OF(MAC, path, FIELD_OFFSET(type, member, struct mac), __VA_ARGS__)
#define FIELD_VERBATIM(type, member, path, ...) \
    FIELD_OF(VERBATIM, path, FIELD_OFFSET(type, member, const char *), __VA_ARGS__)
#define FIELD_KEPT(xml_path) {.path = (xml_path), .kind = FIELD_KIND_KEPT}
#define FIELD_HIDDEN(type, member, ...) \
    FIELD_OF(HIDDEN, "", FIELD_OFFSET(type, member, const char *), ##__VA_ARGS__)
#define FIELD_PART(type, member, path, part, ...) FIELD_PART_AS(type, member, path, part, part, ##__VA_ARGS__)
#define FIELD_INLINE(type, member, path, part, ...) \
    FIELD_OF(INLINE, path, FIELD_OFFSET(type, member, struct part), .element = &part##_element, ##__VA_ARGS__)
#define FIELD_LIST(type, member, path, part, ...) FIELD_LIST_AS(type, member, path, part, part, ##__VA_ARGS__)
/* The same when several tables describe one struct. */
#define FIELD_PART_AS(type, member, path, part, table, ...) \
    FIELD_OF(PART, path, FIELD_OFFSET(type, member, struct part *), .element = &table##_element, ##__VA_ARGS__)
#define FIELD_LIST_AS(type, member, path, part, table, ...) \
    FIELD_OF(LIST, path, FIELD_OFFSET(type, member.item, struct part **), .element = &table##_element, ##__VA_ARGS__)
/* A table of its own for a child element whose fields are members of this very struct. */
#define FIELD_SELF(type, path, table, ...) FIELD_OF(INLINE, path, 0, .element = &table##_element, ##__VA_ARGS__)
#define FIELD_MERGE(type, member, table, ...) \
    FIELD_OF(MERGE, NULL, offsetof(struct type, member), .element = &table##_element, ##__VA_ARGS__)

#define DEFAULT(value) .fallback = (value)
#define MISSING(code)  .fallback = (code)
#define MAX(value)     .max = (value)
#define MIN(value)     .min = (value)
#define BIT(value)     (UINT64_C(1) << (value))
#define WHEN(type, member, mask) .when_offset = offsetof(struct type, member), .when = (mask)

/* The tables that others contain. */
extern const struct element device_address_element, device_info_element, virtio_options_element, seclabel_element,
    disk_source_element, disk_element, controller_element, filesystem_element, interface_element, chardev_body_element,
    serial_element, parallel_element, console_element, channel_element, graphics_element, video_element, sound_element,
    audio_element, input_element, tpm_element, hostdev_element, redirdev_element, redirfilter_element,
    smartcard_element, hub_element, watchdog_element, memballoon_element, rng_element, nvram_element, panic_element,
    shmem_element, memory_device_element, iommu_element, vsock_element, lease_element, os_element, features_element,
    cpu_element, clock_element, sysinfo_element, memory_backing_element, cputune_element, numatune_element,
    memtune_element, blkiotune_element, vcpu_element, iothread_element, perf_event_element, qemu_commandline_element,
    domain_element;
