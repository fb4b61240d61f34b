/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/chardev.h"

#include <string.h>

#include "model/field.h"
#include "model/xml.h"

#define TYPE(kind) BIT(CHARDEV_TYPE_##kind)
#define TYPE_IS(mask) WHEN(chardev_source, type, mask)
#define TARGET_IS(kind) WHEN(chardev, target_type, BIT(CHARDEV_TARGET_##kind))

static const struct field chardev_end_fields[] = {
    FIELD_ENUM(chardev_end, mode, "@mode", chardev_mode),
    FIELD_STR(chardev_end, host, "@host"),
    FIELD_STR(chardev_end, service, "@service"),
};
static ELEMENT(chardev_end, chardev_end);

/* Everything but @type, which every user puts first. */
static const struct field chardev_body_fields[] = {
    FIELD_LIST(chardev_source, ends, "source", chardev_end, TYPE_IS(TYPE(UDP))),
    FIELD_HIDDEN(chardev_source, host, TYPE_IS(TYPE(UDP))),
    FIELD_HIDDEN(chardev_source, service, TYPE_IS(TYPE(UDP))),
    FIELD_HIDDEN(chardev_source, bind_host, TYPE_IS(TYPE(UDP))),
    FIELD_HIDDEN(chardev_source, bind_service, TYPE_IS(TYPE(UDP))),
    FIELD_ENUM(chardev_source, mode, "source/@mode", chardev_mode, TYPE_IS(TYPE(TCP) | TYPE(UNIX))),
    FIELD_STR(chardev_source, path, "source/@path", TYPE_IS(TYPE(PTY)), .flags = LIVE),
    FIELD_STR(chardev_source, path, "source/@path", TYPE_IS(TYPE(DEV) | TYPE(FILE) | TYPE(PIPE) | TYPE(UNIX))),
    FIELD_ENUM(chardev_source, append, "source/@append", onoff, TYPE_IS(TYPE(FILE))),
    FIELD_STR(chardev_source, host, "source/@host", TYPE_IS(TYPE(TCP))),
    FIELD_STR(chardev_source, service, "source/@service", TYPE_IS(TYPE(TCP))),
    FIELD_ENUM(chardev_source, tls, "source/@tls", yesno, TYPE_IS(TYPE(TCP))),
    FIELD_STR(chardev_source, spice_channel, "source/@channel", TYPE_IS(TYPE(SPICEPORT))),
    FIELD_STR(chardev_source, dbus_channel, "source/@channel", TYPE_IS(TYPE(DBUS))),
    FIELD_STR(chardev_source, master, "source/@master", TYPE_IS(TYPE(NMDM))),
    FIELD_STR(chardev_source, slave, "source/@slave", TYPE_IS(TYPE(NMDM))),
    FIELD_ENUM(chardev_source, reconnect.enabled, "source/reconnect/@enabled", yesno, TYPE_IS(TYPE(TCP) | TYPE(UNIX))),
    FIELD_U32(chardev_source, reconnect.timeout, "source/reconnect/@timeout", TYPE_IS(TYPE(TCP) | TYPE(UNIX))),
    FIELD_ENUM(chardev_source, clipboard_copypaste, "source/clipboard/@copypaste", yesno,
               TYPE_IS(TYPE(QEMU_VDAGENT))),
    FIELD_ENUM(chardev_source, mouse_mode, "source/mouse/@mode", spice_mouse, TYPE_IS(TYPE(QEMU_VDAGENT))),
    FIELD_LIST(chardev_source, seclabels, "source/seclabel", seclabel, TYPE_IS(~TYPE(UDP))),
    FIELD_ENUM(chardev_source, protocol, "protocol/@type", chardev_protocol, TYPE_IS(TYPE(TCP))),
    FIELD_STR(chardev_source, log_file, "log/@file"),
    FIELD_ENUM(chardev_source, log_append, "log/@append", onoff),
};
FRAGMENT(chardev_body, chardev_source);

/* udp: the two ends under the names that tcp has. */
int chardev_source_complete(struct chardev_source *source, struct parse *parse)
{
    for (uint32_t i = 0; i < source->ends.count; i++) {
        struct chardev_end *end = source->ends.item[i];
        if (end->mode == CHARDEV_MODE_BIND) {
            source->bind_host = end->host;
            source->bind_service = end->service;
        } else {
            end->mode = CHARDEV_MODE_CONNECT;
            source->host = end->host;
            source->service = end->service;
        }
    }
    if (source->type == CHARDEV_TYPE_TCP) {
        if (!source->service)
            return xml_error(parse, "source/@service", "is missing: a TCP character device needs a port");
        if (!source->mode)
            source->mode = CHARDEV_MODE_CONNECT;
        if (!source->protocol)
            source->protocol = CHARDEV_PROTOCOL_RAW;
    }
    if (source->type == CHARDEV_TYPE_UDP && !source->service)
        return xml_error(parse, "source/@service", "is missing: a UDP character device needs a port");
    if ((source->type == CHARDEV_TYPE_DEV || source->type == CHARDEV_TYPE_FILE || source->type == CHARDEV_TYPE_PIPE) &&
        !source->path)
        return xml_error(parse, "source/@path", "is missing: a character device of type '%s' needs a path",
                         chardev_type_name(source->type));
    if (source->type == CHARDEV_TYPE_SPICEPORT && !source->spice_channel)
        return xml_error(parse, "source/@channel", "is missing: a spiceport needs the name of its channel");
    /* the path is made when the guest starts */
    if (source->type == CHARDEV_TYPE_UNIX && !source->path && !source->reconnect.enabled)
        source->mode = CHARDEV_MODE_ABSENT;
    else if (source->type == CHARDEV_TYPE_UNIX && !source->mode)
        source->mode = CHARDEV_MODE_CONNECT;
    return 0;
}

bool path_is_generated(const char *path)
{
    for (const char *at = path; at && (at = strstr(at, "/domain-"));) {
        at += strlen("/domain-");
        if (*at >= '0' && *at <= '9' && at[strspn(at, "0123456789")] == '-')
            return true;
    }
    return false;
}

void chardev_rest(struct chardev *chardev)
{
    if (chardev->source.type != CHARDEV_TYPE_UNIX || !path_is_generated(chardev->source.path))
        return;
    chardev->source.path = NULL;
    chardev->source.mode = CHARDEV_MODE_ABSENT;
}

static int chardev_parsed(void *part, struct parse *parse)
{
    struct chardev *chardev = part;
    if (parse->flags & PARSE_INACTIVE)
        chardev_rest(chardev);
    return chardev_source_complete(&chardev->source, parse);
}

static const struct field serial_fields[] = {
    FIELD_ENUM(chardev, source.type, "@type", chardev_type, .flags = REQUIRED),
    FIELD_MERGE(chardev, source, chardev_body),
    FIELD_ENUM(chardev, target_type, "target/@type", chardev_target, .flags = GUEST_ABI),
    FIELD_OPT_U32(chardev, target_port, "target/@port", .flags = GUEST_ABI),
    FIELD_ENUM(chardev, target_model, "target/model/@name", chardev_model, .flags = GUEST_ABI),
    FIELD_MERGE(chardev, info, device_info),
};
ELEMENT(serial, chardev, .parsed = chardev_parsed);

static const struct field parallel_fields[] = {
    FIELD_ENUM(chardev, source.type, "@type", chardev_type, .flags = REQUIRED),
    FIELD_MERGE(chardev, source, chardev_body),
    FIELD_OPT_U32(chardev, target_port, "target/@port", .flags = GUEST_ABI),
    FIELD_MERGE(chardev, info, device_info),
};
ELEMENT(parallel, chardev, .parsed = chardev_parsed);

static const struct field console_fields[] = {
    FIELD_ENUM(chardev, source.type, "@type", chardev_type, .flags = HAS_DEFAULT, DEFAULT(CHARDEV_TYPE_PTY)),
    FIELD_STR(chardev, tty, "@tty", .flags = LIVE),
    FIELD_MERGE(chardev, source, chardev_body),
    FIELD_ENUM(chardev, target_type, "target/@type", chardev_target, .flags = GUEST_ABI),
    FIELD_OPT_U32(chardev, target_port, "target/@port", .flags = GUEST_ABI),
    FIELD_MERGE(chardev, info, device_info),
};
ELEMENT(console, chardev, .parsed = chardev_parsed);

static const struct field channel_fields[] = {
    FIELD_ENUM(chardev, source.type, "@type", chardev_type, .flags = REQUIRED),
    FIELD_MERGE(chardev, source, chardev_body),
    FIELD_ENUM(chardev, target_type, "target/@type", chardev_target, .flags = GUEST_ABI | REQUIRED),
    FIELD_STR(chardev, target_address, "target/@address", TARGET_IS(GUESTFWD)),
    FIELD_STR(chardev, target_guest_port, "target/@port", TARGET_IS(GUESTFWD)),
    FIELD_STR(chardev, target_name, "target/@name", WHEN(chardev, target_type, ~BIT(CHARDEV_TARGET_GUESTFWD)),
              .flags = GUEST_ABI),
    FIELD_ENUM(chardev, target_state, "target/@state", channel_state, .flags = LIVE),
    FIELD_MERGE(chardev, info, device_info),
};
ELEMENT(channel, chardev, .parsed = chardev_parsed);
