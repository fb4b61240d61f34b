/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/graphics.h"

#include "model/field.h"
#include "model/xml.h"

#define TYPE(kind) BIT(GRAPHICS_TYPE_##kind)
#define TYPE_IS(mask) WHEN(graphics, type, mask)
#define REMOTE (TYPE(VNC) | TYPE(SPICE) | TYPE(RDP))
#define LISTEN_IS(kind) WHEN(graphics_listen, type, BIT(LISTEN_TYPE_##kind))
#define PORT_FIXED WHEN(graphics, autoport, BIT(YESNO_NO) | BIT(YESNO_ABSENT))
#define PORT_AUTO WHEN(graphics, autoport, BIT(YESNO_YES))

static const struct field graphics_listen_fields[] = {
    FIELD_ENUM(graphics_listen, type, "@type", listen_type, .flags = REQUIRED),
    FIELD_STR(graphics_listen, address, "@address", LISTEN_IS(ADDRESS), .flags = NOT_EMPTY),
    FIELD_STR(graphics_listen, network, "@network", LISTEN_IS(NETWORK), .flags = REQUIRED),
    FIELD_STR(graphics_listen, address, "@address", LISTEN_IS(NETWORK), .flags = LIVE),
    FIELD_STR(graphics_listen, socket, "@socket", LISTEN_IS(SOCKET)),
};
static ELEMENT(graphics_listen, graphics_listen);

static const struct field spice_channel_fields[] = {
    FIELD_ENUM(spice_channel, name, "@name", spice_channel_name, .flags = REQUIRED),
    FIELD_ENUM(spice_channel, mode, "@mode", spice_channel_mode, .flags = REQUIRED),
};
static ELEMENT(spice_channel, spice_channel);

static const struct field graphics_fields[] = {
    FIELD_ENUM(graphics, type, "@type", graphics_type, .flags = REQUIRED),
    FIELD_ENUM(graphics, autoport, "@autoport", yesno, TYPE_IS(REMOTE), .flags = READ_ONLY),
    FIELD_STR(graphics, display, "@display", TYPE_IS(TYPE(SDL) | TYPE(DESKTOP))),
    FIELD_STR(graphics, xauth, "@xauth", TYPE_IS(TYPE(SDL))),
    FIELD_ENUM(graphics, fullscreen, "@fullscreen", yesno, TYPE_IS(TYPE(SDL) | TYPE(DESKTOP))),
    FIELD_STR(graphics, socket, "@socket", TYPE_IS(TYPE(VNC))),
    FIELD_I32(graphics, port, "@port", PORT_FIXED),
    FIELD_I32(graphics, port, "@port", PORT_AUTO, .flags = LIVE),
    FIELD_I32(graphics, port_at_rest, "@port", PORT_AUTO, .flags = REST),
    FIELD_I32(graphics, tls_port, "@tlsPort", PORT_FIXED),
    FIELD_I32(graphics, tls_port, "@tlsPort", PORT_AUTO, .flags = LIVE),
    FIELD_ENUM(graphics, autoport, "@autoport", yesno, TYPE_IS(REMOTE)),
    FIELD_ENUM(graphics, replace_user, "@replaceUser", yesno, TYPE_IS(TYPE(RDP))),
    FIELD_ENUM(graphics, multi_user, "@multiUser", yesno, TYPE_IS(TYPE(RDP))),
    FIELD_I32(graphics, websocket, "@websocket", TYPE_IS(TYPE(VNC))),
    FIELD_STR(graphics, listen, "@listen", TYPE_IS(REMOTE)),
    FIELD_STR(graphics, keymap, "@keymap", TYPE_IS(REMOTE)),
    FIELD_ENUM(graphics, share_policy, "@sharePolicy", share_policy, TYPE_IS(TYPE(VNC))),
    FIELD_ENUM(graphics, power_control, "@powerControl", yesno, TYPE_IS(TYPE(VNC))),
    FIELD_ENUM(graphics, default_mode, "@defaultMode", spice_channel_mode, TYPE_IS(TYPE(SPICE))),
    FIELD_STR(graphics, passwd, "@passwd", TYPE_IS(REMOTE), .flags = SECURE),
    FIELD_STR(graphics, passwd_valid_to, "@passwdValidTo", TYPE_IS(REMOTE)),
    FIELD_ENUM(graphics, connected, "@connected", password_connected, TYPE_IS(REMOTE)),
    FIELD_ENUM(graphics, dbus_p2p, "@p2p", yesno, TYPE_IS(TYPE(DBUS))),
    FIELD_STR(graphics, dbus_address, "@address", TYPE_IS(TYPE(DBUS))),
    FIELD_LIST(graphics, listens, "listen", graphics_listen, TYPE_IS(REMOTE)),
    FIELD_LIST(graphics, channels, "channel", spice_channel, TYPE_IS(TYPE(SPICE))),
    FIELD_ENUM(graphics, image_compression, "image/@compression", spice_image, TYPE_IS(TYPE(SPICE))),
    FIELD_ENUM(graphics, jpeg_compression, "jpeg/@compression", spice_wan, TYPE_IS(TYPE(SPICE))),
    FIELD_ENUM(graphics, zlib_compression, "zlib/@compression", spice_wan, TYPE_IS(TYPE(SPICE))),
    FIELD_ENUM(graphics, playback_compression, "playback/@compression", onoff, TYPE_IS(TYPE(SPICE))),
    FIELD_ENUM(graphics, streaming_mode, "streaming/@mode", spice_streaming, TYPE_IS(TYPE(SPICE))),
    FIELD_ENUM(graphics, mouse_mode, "mouse/@mode", spice_mouse, TYPE_IS(TYPE(SPICE))),
    FIELD_ENUM(graphics, clipboard_copypaste, "clipboard/@copypaste", yesno, TYPE_IS(TYPE(SPICE))),
    FIELD_ENUM(graphics, filetransfer_enable, "filetransfer/@enable", yesno, TYPE_IS(TYPE(SPICE))),
    FIELD_U32(graphics, audio_id, "audio/@id"),
    FIELD_ENUM(graphics, gl_enable, "gl/@enable", yesno),
    FIELD_STR(graphics, rendernode, "gl/@rendernode"),
};

static bool is_remote(const struct graphics *graphics)
{
    return graphics->type == GRAPHICS_TYPE_VNC || graphics->type == GRAPHICS_TYPE_SPICE ||
           graphics->type == GRAPHICS_TYPE_RDP;
}

/* @listen and @socket are the old places of the first <listen>: each is made from the other. */
static void listens_complete(struct graphics *graphics, struct parse *parse)
{
    if (graphics->listens.count == 0) {
        struct graphics_listen *listen = arena_struct(parse->arena, struct graphics_listen);
        if (graphics->socket)
            *listen = (struct graphics_listen){.type = LISTEN_TYPE_SOCKET, .socket = graphics->socket};
        else
            *listen = (struct graphics_listen){.type = LISTEN_TYPE_ADDRESS}; /* the address comes below */
        list_add(parse->arena, &graphics->listens, listen);
    }
    struct graphics_listen *first = graphics->listens.item[0];
    if (first->type == LISTEN_TYPE_ADDRESS && !first->address && graphics->listen && *graphics->listen)
        first->address = graphics->listen;
    graphics->listen = first->type == LISTEN_TYPE_ADDRESS || first->type == LISTEN_TYPE_NETWORK ? first->address : NULL;
    graphics->socket = first->type == LISTEN_TYPE_SOCKET && graphics->type == GRAPHICS_TYPE_VNC ? first->socket : NULL;
}

static int graphics_parsed(void *part, struct parse *parse)
{
    struct graphics *graphics = part;
    if (!is_remote(graphics))
        return 0;
    listens_complete(graphics, parse);
    if (graphics->port < -1 || graphics->port > 65535 || graphics->tls_port < -1 || graphics->tls_port > 65535)
        return xml_error(parse, "@port", "%d is not a port (0 to 65535, or -1 for any)",
                         graphics->port < -1 || graphics->port > 65535 ? graphics->port : graphics->tls_port);
    enum listen_type type = graphics->listens.item[0]->type;
    bool networked = type == LISTEN_TYPE_ADDRESS || type == LISTEN_TYPE_NETWORK;
    if (!networked) {
        graphics->port = graphics->tls_port = 0;
        graphics->autoport = YESNO_ABSENT;
        return 0;
    }
    if (graphics->type == GRAPHICS_TYPE_SPICE) {
        if (graphics->port == -1 && graphics->tls_port == -1)
            graphics->autoport = YESNO_YES;
        if (graphics->autoport != YESNO_YES && graphics->port == 0 && graphics->tls_port == 0) {
            graphics->listens.count = 0; /* no port, and none wanted: it listens nowhere */
            struct graphics_listen *none = arena_struct(parse->arena, struct graphics_listen);
            none->type = LISTEN_TYPE_NONE;
            list_add(parse->arena, &graphics->listens, none);
            graphics->listen = NULL;
            graphics->autoport = YESNO_ABSENT;
            return 0;
        }
    } else if (graphics->port == -1 || !xmlHasProp(parse->node, BAD_CAST "port")) {
        graphics->autoport = YESNO_YES;
    }
    bool at_rest = parse->flags & PARSE_INACTIVE;
    if (graphics->autoport == YESNO_YES) {
        graphics->port_at_rest = graphics->type == GRAPHICS_TYPE_SPICE ? 0 : -1;
        if (at_rest)
            graphics->port = graphics->tls_port = 0;
    } else {
        graphics->autoport = YESNO_NO;
    }
    return 0;
}
ELEMENT(graphics, graphics, .parsed = graphics_parsed);

static const struct field video_fields[] = {
    FIELD_STR(video, driver_name, "driver/@name"),
    FIELD_ENUM(video, vgaconf, "driver/@vgaconf", video_vgaconf),
    FIELD_MERGE(video, virtio, virtio_options),
    FIELD_ENUM(video, model, "model/@type", video_model, .flags = GUEST_ABI),
    FIELD_U32(video, ram, "model/@ram", .flags = GUEST_ABI),
    FIELD_U32(video, vram, "model/@vram", .flags = GUEST_ABI),
    FIELD_U32(video, vram64, "model/@vram64", .flags = GUEST_ABI),
    FIELD_U32(video, vgamem, "model/@vgamem", .flags = GUEST_ABI),
    FIELD_U32(video, heads, "model/@heads", .flags = GUEST_ABI),
    FIELD_ENUM(video, primary, "model/@primary", yesno),
    FIELD_ENUM(video, blob, "model/@blob", onoff, .flags = GUEST_ABI),
    FIELD_ENUM(video, accel3d, "model/acceleration/@accel3d", yesno, .flags = GUEST_ABI),
    FIELD_ENUM(video, accel2d, "model/acceleration/@accel2d", yesno, .flags = GUEST_ABI),
    FIELD_STR(video, rendernode, "model/acceleration/@rendernode"),
    FIELD_U32(video, resolution_x, "model/resolution/@x"),
    FIELD_U32(video, resolution_y, "model/resolution/@y"),
    FIELD_MERGE(video, info, device_info),
};
ELEMENT(video, video);

static const struct field audio_codec_fields[] = {
    FIELD_STR(audio_codec, type, "@type", .flags = REQUIRED),
};
static ELEMENT(audio_codec, audio_codec);

static const struct field sound_fields[] = {
    FIELD_ENUM(sound, model, "@model", sound_model, .flags = REQUIRED | GUEST_ABI),
    FIELD_ENUM(sound, multichannel, "@multichannel", yesno, .flags = GUEST_ABI),
    FIELD_LIST(sound, codecs, "codec", audio_codec, .flags = GUEST_ABI),
    FIELD_U32(sound, audio_id, "audio/@id"),
    FIELD_MERGE(sound, info, device_info),
};
ELEMENT(sound, sound);

static const struct field audio_fields[] = {
    FIELD_U32(audio, id, "@id"),
    FIELD_ENUM(audio, type, "@type", audio_type, .flags = REQUIRED),
    FIELD_U32(audio, timer_period, "@timerPeriod"),
    FIELD_STR(audio, server_name, "@serverName"),
    FIELD_STR(audio, path, "@path"),
    FIELD_KEPT("@runtimePath"),
    FIELD_KEPT("input"),
    FIELD_KEPT("output"),
};
ELEMENT(audio, audio);
