/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/device.h"

/* One <source mode= host= service=>; udp has up to two (bind and connect). */
struct chardev_end {
    struct extra *extra;
    enum chardev_mode mode;
    const char *host, *service;
};

/* The host's end of a character device: @type, <source>, <protocol>, <log>. Used by serial, parallel, console,
 * channel, redirdev, rng (egd), smartcard (passthrough), tpm and vhostuser. */
struct chardev_source {
    enum chardev_type type;
    const char *path;       /* pty, dev, file, pipe, unix: <source path=> */
    enum onoff append;
    enum chardev_mode mode; /* unix: connect or bind */
    struct {
        enum yesno enabled; /* unix, tcp: <reconnect> */
        uint32_t timeout;   /* seconds */
    } reconnect;
    const char *host, *service;       /* tcp: where to connect or bind; udp: where to connect */
    const char *bind_host, *bind_service; /* udp: <source mode='bind'> */
    enum yesno tls;
    enum chardev_protocol protocol;   /* tcp */
    const char *spice_channel;        /* spiceport: <source channel=> */
    const char *master, *slave;       /* nmdm */
    const char *dbus_channel;
    enum yesno clipboard_copypaste;   /* qemu-vdagent */
    enum spice_mouse mouse_mode;
    const char *log_file;
    enum onoff log_append;
    LIST_OF(seclabel) seclabels;
    LIST_OF(chardev_end) ends;        /* tcp, udp: the <source> elements as written; host, ... above mirror them */
};

/* Whether the daemon made the path for one run of a guest: in a directory like "domain-1-name", as libvirt does. */
bool path_is_generated(const char *path);

/* <serial>, <parallel>, <console>, <channel>. */
struct chardev {
    struct extra *extra;
    struct chardev_source source;
    const char *tty;                  /* console/@tty: the pty again, for old clients; running only */
    enum chardev_target target_type;
    struct optional_u32 target_port;
    const char *target_name;          /* channel virtio: "org.qemu.guest_agent.0" */
    enum channel_state target_state;  /* channel virtio, running only */
    const char *target_address, *target_guest_port; /* channel guestfwd */
    enum chardev_model target_model;  /* serial: target/model/@name */
    struct device_info info;
};

/* Takes out a socket path that was made for one run. */
void chardev_rest(struct chardev *chardev);
