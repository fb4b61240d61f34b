/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "migrate/job_info.h"

/* A disk that is copied. The image below it is told by us only. */
struct cookie_disk {
    const char *target;  /* "vda" */
    uint64_t capacity;   /* bytes that the guest sees; 0 = not told */
    const char *backing; /* what its image lies over on the source; NULL = nothing */
    const char *backing_format;
};

/* What the destination must find again, see verify.h. */
#define COOKIE_DEVICES_MAX 4096
struct cookie_device {
    const char *id;   /* alias */
    const char *type; /* QEMU's */
};
#define COOKIE_PIECES_MAX      4096
#define COOKIE_PIECE_BYTES_MAX (1u << 20)
struct cookie_piece {
    uint64_t at; /* guest-physical address */
    uint64_t sum;
};
struct cookie_memory {
    uint32_t bytes; /* of each piece */
    uint32_t count;
    struct cookie_piece *pieces;
};

/* What one end tells the other between two phases: a <qemu-migration> document, carried by the client without looking
 * at it. The elements are libvirt's, so that either end may be a libvirtd; what we do not know is skipped, and features
 * that the other end calls mandatory are refused. */
struct migrate_cookie {
    const char *name; /* of the guest on the source */
    unsigned char uuid[UUID_SIZE];
    const char *hostname; /* of the end that wrote it */
    unsigned char host_uuid[UUID_SIZE];
    bool has_capabilities;
    const char **capabilities; /* QEMU's migration capabilities there */
    uint32_t capability_count;
    bool has_id;
    unsigned char id[UUID_SIZE]; /* of the migration, for the journals; a libvirtd has none */
    const char *connection_uri;  /* how the writer's daemon is reached; NULL = it does not say */
    const char *armed; /* capabilities that the destination turned on for a policy, with commas; NULL = none */
    const char *persistent_xml; /* what to store on the destination; NULL = none */
    int32_t spice_port; /* of the guest's screen on the destination; 0 = none */
    const char *spice_listen;
    const char *nvram; /* --offline: the variables of its firmware (ours only); NULL = none */
    size_t nvram_length;
    bool has_nbd;      /* disks are copied */
    uint16_t nbd_port; /* where the destination takes them; 0 = not told */
    struct cookie_disk *disks;
    uint32_t disk_count;
    struct cookie_device *devices; /* that the source's QEMU has (ours only); none = not told */
    uint32_t device_count;
    struct cookie_memory memory; /* --verify (ours only); no pieces = not asked for */
    bool has_statistics;
    struct job_info info;
    /* Since 1970, by the sender's clock: of the migration, the CPUs' stop, the cookie; 0 = not yet. */
    uint64_t started_ms, stopped_ms, sent_ms;
    int64_t delta_ms; /* the receiver's clock at receipt less sent_ms */
};

/* The bytes on the wire; NUL-terminated, the NUL counts. */
struct migrate_blob {
    uint8_t *data;
    uint32_t length;
};

/* A cookie longer than this is refused. */
#define MIGRATE_COOKIE_MAX (4u << 20)
/* The largest NVRAM that fits into one; OVMF's has 528 KiB. */
#define MIGRATE_NVRAM_MAX (1u << 20)

/* No bytes are an empty cookie (all zero, name NULL). ERR_INTERNAL_ERROR names what is wrong with others. */
int migrate_cookie_read(struct migrate_cookie *cookie, const struct migrate_blob *blob, struct arena *arena,
                        struct error *err);
struct migrate_blob migrate_cookie_write(const struct migrate_cookie *cookie, struct arena *arena);
/* True when the destination turned it on for a policy. */
bool migrate_cookie_armed(const struct migrate_cookie *cookie, const char *capability);
bool migrate_cookie_can(const struct migrate_cookie *cookie, const char *capability);
