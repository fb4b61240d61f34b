/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/text.h"
#include "convert/xl_device.h"
#include "model/xml.h"

/* serial = 'pty' or QEMU's older words for a character device: 'tcp:HOST:PORT,server,nowait', 'file:PATH', ... */

/* HOST:PORT, HOST in brackets when it has colons. */
static void host_port(struct arena *arena, const char *text, size_t length, const char **host, const char **port)
{
    char *copy = arena_strndup(arena, text, length), *colon = strrchr(copy, ':');
    if (!colon)
        return;
    *colon = '\0';
    *port = colon + 1;
    size_t name = strlen(copy);
    *host = *copy == '[' && name > 1 && copy[name - 1] == ']' ? arena_strndup(arena, copy + 1, name - 2) : copy;
    if (!**host)
        *host = "127.0.0.1";
}

static void socket_read(struct arena *arena, struct chardev_source *source, const char *rest, bool telnet)
{
    size_t length = strcspn(rest, ",");
    source->type = CHARDEV_TYPE_TCP;
    source->protocol = telnet ? CHARDEV_PROTOCOL_TELNET : CHARDEV_PROTOCOL_RAW;
    host_port(arena, rest, length, &source->host, &source->service);
    source->mode = strstr(rest + length, "server") ? CHARDEV_MODE_BIND : CHARDEV_MODE_CONNECT;
}

/* udp:HOST:PORT[@HOST:PORT] */
static void udp_read(struct arena *arena, struct chardev_source *source, const char *rest)
{
    const char *at = strchr(rest, '@');
    source->type = CHARDEV_TYPE_UDP;
    host_port(arena, rest, at ? (size_t)(at - rest) : strlen(rest), &source->host, &source->service);
    struct chardev_end *end = arena_struct(arena, struct chardev_end);
    *end = (struct chardev_end){.mode = CHARDEV_MODE_CONNECT, .host = source->host, .service = source->service};
    if (at) {
        struct chardev_end *bind = arena_struct(arena, struct chardev_end);
        host_port(arena, at + 1, strlen(at + 1), &source->bind_host, &source->bind_service);
        *bind = (struct chardev_end){.mode = CHARDEV_MODE_BIND, .host = source->bind_host,
                                     .service = source->bind_service};
        list_add(arena, &source->ends, bind);
    }
    list_add(arena, &source->ends, end);
}

static int source_read(struct arena *arena, struct chardev_source *source, const char *text)
{
    static const struct {
        const char *prefix;
        enum chardev_type type;
    } paths[] = {{"file:", CHARDEV_TYPE_FILE}, {"pipe:", CHARDEV_TYPE_PIPE}, {"tty:", CHARDEV_TYPE_DEV}};
    static const struct {
        const char *word;
        enum chardev_type type;
    } words[] = {{"pty", CHARDEV_TYPE_PTY}, {"null", CHARDEV_TYPE_NULL}, {"stdio", CHARDEV_TYPE_STDIO},
                 {"vc", CHARDEV_TYPE_VC}};
    const char *rest;
    for (size_t i = 0; i < COUNT(words); i++)
        if (strcmp(text, words[i].word) == 0) {
            source->type = words[i].type;
            return 0;
        }
    for (size_t i = 0; i < COUNT(paths); i++)
        if ((rest = string_after(text, paths[i].prefix)) && *rest) {
            source->type = paths[i].type;
            source->path = rest;
            return 0;
        }
    if (*text == '/') {
        source->type = CHARDEV_TYPE_DEV;
        source->path = text;
    } else if ((rest = string_after(text, "unix:")) && *rest) {
        size_t length = strcspn(rest, ",");
        source->type = CHARDEV_TYPE_UNIX;
        source->mode = strstr(rest + length, "server") ? CHARDEV_MODE_BIND : CHARDEV_MODE_CONNECT;
        source->path = arena_strndup(arena, rest, length);
    } else if ((rest = string_after(text, "tcp:"))) {
        socket_read(arena, source, rest, false);
    } else if ((rest = string_after(text, "telnet:"))) {
        socket_read(arena, source, rest, true);
    } else if ((rest = string_after(text, "udp:"))) {
        udp_read(arena, source, rest);
    } else {
        return -1;
    }
    return (source->type == CHARDEV_TYPE_TCP || source->type == CHARDEV_TYPE_UDP) && !source->service ? -1 : 0;
}

static int serial_add(const struct xl_read *read, const struct xl_value *value, size_t port, struct error *err)
{
    struct arena *arena = read->def->arena;
    if (value->kind != XL_ATOM)
        return xl_wrong(err, value, "serial", "a serial port is described by a string, not by a list");
    if (strcmp(value->text, "none") == 0)
        return 0;
    struct chardev *serial = arena_struct(arena, struct chardev);
    if (source_read(arena, &serial->source, value->text) < 0)
        return xl_wrong(err, value, "serial", "'%.100s' cannot be read; known are pty, null, file:PATH, pipe:PATH, "
                        "unix:PATH, tcp:HOST:PORT, telnet:HOST:PORT, udp:HOST:PORT and a device's path", value->text);
    serial->target_type = CHARDEV_TARGET_ISA_SERIAL;
    serial->target_port = (struct optional_u32){(uint32_t)port, true};
    list_add(arena, &read->def->serials, serial);
    return 0;
}

int xl_chardevs_read(const struct xl_read *read, struct error *err)
{
    const struct xl_value *value;
    for (size_t i = 0; read->hvm && (value = xl_item(read->file, "serial", i)); i++)
        if (serial_add(read, value, i, err) < 0)
            return -1;
    if (read->hvm)
        return 0;
    struct chardev *console = arena_struct(read->def->arena, struct chardev);
    console->source.type = CHARDEV_TYPE_PTY;
    console->target_type = CHARDEV_TARGET_XEN;
    console->target_port = (struct optional_u32){0, true};
    list_add(read->def->arena, &read->def->consoles, console);
    return 0;
}
