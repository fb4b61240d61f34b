/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/disk.h"

#include "model/field.h"
#include "model/xml.h"

#define SOURCE_IS(kind) WHEN(disk_source, type, BIT(SOURCE_TYPE_##kind))

static const struct field source_host_fields[] = {
    FIELD_STR(source_host, name, "@name"),
    FIELD_STR(source_host, port, "@port"),
    FIELD_ENUM(source_host, transport, "@transport", host_transport),
    FIELD_STR(source_host, socket, "@socket"),
};
static ELEMENT(source_host, source_host);

static const struct field source_auth_fields[] = {
    FIELD_STR(source_auth, username, "@username", .flags = REQUIRED),
    FIELD_STR(source_auth, secret_type, "secret/@type"),
    FIELD_STR(source_auth, secret_uuid, "secret/@uuid"),
    FIELD_STR(source_auth, secret_usage, "secret/@usage"),
};
static ELEMENT(source_auth, source_auth);

/* <source>; the type stands in the element around it. */
static const struct field source_body_fields[] = {
    FIELD_STR(disk_source, file, "source/@file", SOURCE_IS(FILE)),
    FIELD_STR(disk_source, dev, "source/@dev", SOURCE_IS(BLOCK)),
    FIELD_STR(disk_source, dir, "source/@dir", SOURCE_IS(DIR)),
    FIELD_ENUM(disk_source, protocol, "source/@protocol", network_protocol, SOURCE_IS(NETWORK), .flags = REQUIRED),
    FIELD_STR(disk_source, name, "source/@name", SOURCE_IS(NETWORK)),
    FIELD_STR(disk_source, query, "source/@query", SOURCE_IS(NETWORK)),
    FIELD_ENUM(disk_source, tls, "source/@tls", yesno, SOURCE_IS(NETWORK)),
    FIELD_STR(disk_source, tls_hostname, "source/@tlsHostname", SOURCE_IS(NETWORK)),
    FIELD_STR(disk_source, pool, "source/@pool", SOURCE_IS(VOLUME)),
    FIELD_STR(disk_source, volume, "source/@volume", SOURCE_IS(VOLUME)),
    FIELD_STR(disk_source, volume_mode, "source/@mode", SOURCE_IS(VOLUME)),
    FIELD_HIDDEN(disk_source, file, SOURCE_IS(VOLUME)),
    FIELD_HIDDEN(disk_source, dev, SOURCE_IS(VOLUME)),
    FIELD_ENUM(disk_source, startup_policy, "source/@startupPolicy", startup_policy),
    FIELD_KEPT("source/@namespace"),
    FIELD_KEPT("source/@managed"),
    FIELD_KEPT("source/@type"),
    FIELD_KEPT("source/@path"),
    FIELD_KEPT("source/@fdgroup"),
    FIELD_U32(disk_source, index, "source/@index", .flags = LIVE),
    FIELD_LIST(disk_source, hosts, "source/host", source_host, SOURCE_IS(NETWORK)),
    FIELD_STR(disk_source, snapshot_name, "source/snapshot/@name", SOURCE_IS(NETWORK)),
    FIELD_STR(disk_source, config_file, "source/config/@file", SOURCE_IS(NETWORK)),
    FIELD_STR(disk_source, initiator, "source/initiator/iqn/@name", SOURCE_IS(NETWORK)),
    FIELD_ENUM(disk_source, ssl_verify, "source/ssl/@verify", yesno, SOURCE_IS(NETWORK)),
    FIELD_U64(disk_source, readahead, "source/readahead/@size", SOURCE_IS(NETWORK)),
    FIELD_U64(disk_source, timeout, "source/timeout/@seconds", SOURCE_IS(NETWORK)),
    FIELD_LIST(disk_source, seclabels, "source/seclabel", seclabel),
    FIELD_OPT_U64(disk_source, slice_offset, "source/slices/slice/@offset"),
    FIELD_OPT_U64(disk_source, slice_size, "source/slices/slice/@size"),
    FIELD_STR(disk_source, slice_type, "source/slices/slice/@type"),
    FIELD_PART(disk_source, auth, "source/auth", source_auth),
    FIELD_VERBATIM(disk_source, encryption, "source/encryption"),
    FIELD_VERBATIM(disk_source, reservations, "source/reservations"),
    FIELD_KEPT("source/cookies"),
    FIELD_KEPT("source/knownHosts"),
    FIELD_KEPT("source/identity"),
    FIELD_KEPT("source/reconnect"),
    FIELD_KEPT("source/address"),
    FIELD_PART(disk_source, backing, "backingStore", disk_source),
    FIELD_FLAG(disk_source, has_backing, "backingStore"),
};
static FRAGMENT(source_body, disk_source);

/* An empty <backingStore/> only says that the chain ends. */
static int source_parsed(void *part, struct parse *parse)
{
    (void)parse;
    struct disk_source *source = part;
    if (source->backing && source->backing->type == SOURCE_TYPE_ABSENT && !source->backing->extra) {
        source->backing = NULL;
        source->has_backing = true;
    }
    return 0;
}

/* <backingStore>, and the source of a <mirror>. */
static const struct field disk_source_fields[] = {
    FIELD_ENUM(disk_source, type, "@type", source_type),
    FIELD_U32(disk_source, index, "@index", .flags = LIVE),
    FIELD_STR(disk_source, format, "format/@type"),
    FIELD_MERGE(disk_source, extra, source_body),
};
ELEMENT(disk_source, disk_source, .parsed = source_parsed);

static const struct field disk_mirror_fields[] = {
    FIELD_ENUM(disk_mirror, source.type, "@type", source_type),
    FIELD_ENUM(disk_mirror, job, "@job", mirror_job),
    FIELD_ENUM(disk_mirror, ready, "@ready", mirror_ready),
    FIELD_STR(disk_mirror, source.format, "format/@type"),
    FIELD_MERGE(disk_mirror, source, source_body),
};
static ELEMENT(disk_mirror, disk_mirror);

static const struct field iotune_fields[] = {
    FIELD_U64(iotune, total_bytes_sec, "total_bytes_sec"),
    FIELD_U64(iotune, read_bytes_sec, "read_bytes_sec"),
    FIELD_U64(iotune, write_bytes_sec, "write_bytes_sec"),
    FIELD_U64(iotune, total_iops_sec, "total_iops_sec"),
    FIELD_U64(iotune, read_iops_sec, "read_iops_sec"),
    FIELD_U64(iotune, write_iops_sec, "write_iops_sec"),
    FIELD_U64(iotune, total_bytes_sec_max, "total_bytes_sec_max"),
    FIELD_U64(iotune, read_bytes_sec_max, "read_bytes_sec_max"),
    FIELD_U64(iotune, write_bytes_sec_max, "write_bytes_sec_max"),
    FIELD_U64(iotune, total_iops_sec_max, "total_iops_sec_max"),
    FIELD_U64(iotune, read_iops_sec_max, "read_iops_sec_max"),
    FIELD_U64(iotune, write_iops_sec_max, "write_iops_sec_max"),
    FIELD_U64(iotune, size_iops_sec, "size_iops_sec"),
    FIELD_STR(iotune, group_name, "group_name"),
    FIELD_U64(iotune, total_bytes_sec_max_length, "total_bytes_sec_max_length"),
    FIELD_U64(iotune, read_bytes_sec_max_length, "read_bytes_sec_max_length"),
    FIELD_U64(iotune, write_bytes_sec_max_length, "write_bytes_sec_max_length"),
    FIELD_U64(iotune, total_iops_sec_max_length, "total_iops_sec_max_length"),
    FIELD_U64(iotune, read_iops_sec_max_length, "read_iops_sec_max_length"),
    FIELD_U64(iotune, write_iops_sec_max_length, "write_iops_sec_max_length"),
};
static ELEMENT(iotune, iotune);

static const struct field disk_fields[] = {
    FIELD_ENUM(disk, source.type, "@type", source_type, .flags = HAS_DEFAULT, DEFAULT(SOURCE_TYPE_FILE)),
    FIELD_ENUM(disk, device, "@device", disk_device, .flags = HAS_DEFAULT | GUEST_ABI, DEFAULT(DISK_DEVICE_DISK)),
    FIELD_ENUM(disk, model, "@model", virtio_model, .flags = GUEST_ABI),
    FIELD_ENUM(disk, rawio, "@rawio", yesno),
    FIELD_ENUM(disk, sgio, "@sgio", disk_sgio),
    FIELD_ENUM(disk, snapshot, "@snapshot", disk_snapshot),
    FIELD_STR(disk, driver_name, "driver/@name"),
    FIELD_STR(disk, source.format, "driver/@type"),
    FIELD_ENUM(disk, cache, "driver/@cache", disk_cache),
    FIELD_ENUM(disk, error_policy, "driver/@error_policy", disk_error_policy),
    FIELD_ENUM(disk, rerror_policy, "driver/@rerror_policy", disk_error_policy),
    FIELD_ENUM(disk, io, "driver/@io", disk_io),
    FIELD_ENUM(disk, ioeventfd, "driver/@ioeventfd", onoff),
    FIELD_ENUM(disk, event_idx, "driver/@event_idx", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(disk, copy_on_read, "driver/@copy_on_read", onoff),
    FIELD_ENUM(disk, discard, "driver/@discard", disk_discard),
    FIELD_U32(disk, iothread, "driver/@iothread"),
    FIELD_ENUM(disk, detect_zeroes, "driver/@detect_zeroes", disk_detect_zeroes),
    FIELD_U32(disk, queues, "driver/@queues", .flags = GUEST_ABI),
    FIELD_U32(disk, queue_size, "driver/@queue_size", .flags = GUEST_ABI),
    FIELD_MERGE(disk, virtio, virtio_options),
    FIELD_BYTES(disk, metadata_cache_max_size, "driver/metadata_cache/max_size"),
    FIELD_KEPT("driver/iothreads"),
    FIELD_PART(disk, auth, "auth", source_auth),
    FIELD_MERGE(disk, source, source_body),
    FIELD_U32(disk, geometry.cyls, "geometry/@cyls", .flags = GUEST_ABI),
    FIELD_U32(disk, geometry.heads, "geometry/@heads", .flags = GUEST_ABI),
    FIELD_U32(disk, geometry.secs, "geometry/@secs", .flags = GUEST_ABI),
    FIELD_ENUM(disk, geometry.trans, "geometry/@trans", disk_trans, .flags = GUEST_ABI),
    FIELD_U32(disk, logical_block_size, "blockio/@logical_block_size", .flags = GUEST_ABI),
    FIELD_U32(disk, physical_block_size, "blockio/@physical_block_size", .flags = GUEST_ABI),
    FIELD_PART(disk, mirror, "mirror", disk_mirror, .flags = LIVE),
    FIELD_STR(disk, target, "target/@dev", .flags = REQUIRED | GUEST_ABI, MISSING(ERR_NO_TARGET)),
    FIELD_ENUM(disk, bus, "target/@bus", disk_bus, .flags = GUEST_ABI),
    FIELD_ENUM(disk, tray, "target/@tray", disk_tray),
    FIELD_ENUM(disk, removable, "target/@removable", onoff, .flags = GUEST_ABI),
    FIELD_U32(disk, rotation_rate, "target/@rotation_rate", .flags = GUEST_ABI, MAX(65534)),
    FIELD_PART(disk, iotune, "iotune", iotune, .flags = DROP_EMPTY),
    FIELD_FLAG(disk, readonly, "readonly", .flags = GUEST_ABI),
    FIELD_FLAG(disk, shareable, "shareable"),
    FIELD_ENUM(disk, transient_share_backing, "transient/@shareBacking", yesno),
    FIELD_FLAG(disk, transient, "transient"),
    FIELD_STR(disk, serial, "serial", .flags = GUEST_ABI),
    FIELD_STR(disk, wwn, "wwn", .flags = GUEST_ABI),
    FIELD_STR(disk, vendor, "vendor", .flags = GUEST_ABI),
    FIELD_STR(disk, product, "product", .flags = GUEST_ABI),
    FIELD_VERBATIM(disk, encryption, "encryption"),
    FIELD_MERGE(disk, info, device_info),
};

static int disk_parsed(void *part, struct parse *parse)
{
    struct disk *disk = part;
    return source_parsed(&disk->source, parse);
}
ELEMENT(disk, disk, .parsed = disk_parsed);
