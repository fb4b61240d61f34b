/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/device.h"

struct graphics_listen {
    struct extra *extra;
    enum listen_type type;
    const char *address, *network, *socket;
};

struct spice_channel {
    struct extra *extra;
    enum spice_channel_name name;
    enum spice_channel_mode mode;
};

struct graphics {
    struct extra *extra;
    enum graphics_type type;
    /* vnc, spice, rdp */
    int32_t port, tls_port;     /* 0 = not given, -1 = any; with autoport: 0 until the domain runs */
    int32_t port_at_rest;       /* what stands for port while autoport has chosen none */
    enum yesno autoport;        /* what the definition says; running: ports are filled too */
    int32_t websocket;
    const char *listen;         /* @listen, mirrors the first <listen type='address'|'network'> */
    const char *socket;         /* @socket, mirrors <listen type='socket'> */
    const char *keymap;
    const char *passwd;         /* secret */
    const char *passwd_valid_to;
    enum password_connected connected;
    enum share_policy share_policy;
    enum yesno power_control;
    LIST_OF(graphics_listen) listens;
    /* sdl */
    const char *display, *xauth;
    enum yesno fullscreen;
    /* rdp */
    enum yesno replace_user, multi_user;
    /* spice */
    enum spice_channel_mode default_mode;
    LIST_OF(spice_channel) channels;
    enum spice_image image_compression;
    enum spice_wan jpeg_compression, zlib_compression;
    enum onoff playback_compression;
    enum spice_streaming streaming_mode;
    enum yesno clipboard_copypaste, filetransfer_enable;
    enum spice_mouse mouse_mode;
    enum yesno gl_enable;       /* spice, sdl, egl-headless, dbus */
    const char *rendernode;
    uint32_t audio_id;
    /* dbus */
    const char *dbus_address;
    enum yesno dbus_p2p;
};

struct video {
    struct extra *extra;
    enum video_model model;
    uint32_t ram, vram, vram64, vgamem; /* KiB */
    uint32_t heads;
    enum yesno primary;
    enum onoff blob;
    enum yesno accel3d, accel2d;
    const char *rendernode;
    uint32_t resolution_x, resolution_y;
    const char *driver_name;            /* "qemu", "vhostuser" */
    enum video_vgaconf vgaconf;
    struct virtio_options virtio;
    struct device_info info;
};

struct audio_codec {
    struct extra *extra;
    const char *type;
};

struct sound {
    struct extra *extra;
    enum sound_model model;
    LIST_OF(audio_codec) codecs;
    uint32_t audio_id;
    enum yesno multichannel;
    struct device_info info;
};

/* The backend's own settings below <audio> are kept as extra elements. */
struct audio {
    struct extra *extra;
    uint32_t id;
    enum audio_type type;
    uint32_t timer_period;
    const char *server_name, *path;
};
