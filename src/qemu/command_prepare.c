/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <limits.h>
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "qemu/command_parts.h"

#define PORT_FIRST      5900
#define PORT_LAST       65535
#define WEBSOCKET_FIRST 5700
#define PORT_RESERVED   (10ull * 1000 * 1000 * 1000) /* ns until a guest that got a port has surely bound it */

/* Last disk first and each chain from its top, as libvirt counts. */
static void number_nodes(struct domain_def *def)
{
    uint32_t index = 0;
    for (uint32_t i = def->disks.count; i > 0; i--)
        for (struct disk_source *source = &def->disks.item[i - 1]->source; source; source = source->backing)
            if (qemu_source_present(source))
                source->index = ++index;
            else if (source == &def->disks.item[i - 1]->source)
                index++; /* an empty drive keeps its place in the count */
}

/* --- ports --- */

static bool is_reserved(const struct qemu_ports *ports, uint16_t port)
{
    for (size_t i = 0; ports && i < COUNT(ports->recent); i++)
        if (ports->recent[i].port == port && ports->recent[i].until_ns > now_ns())
            return true;
    return false;
}

/* Whether nobody listens there: 0, or an error number; EADDRINUSE when somebody does. bind() without SO_REUSEADDR would
 * also refuse what merely lingers. */
static int try_port(const char *address, uint16_t port)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
    bool v6 = inet_pton(AF_INET6, address, &six.sin6_addr) == 1;
    if (!v6 && inet_pton(AF_INET, address, &four.sin_addr) != 1)
        four.sin_addr.s_addr = INADDR_ANY;
    scoped_fd int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(fd, v6 ? (struct sockaddr *)&six : (struct sockaddr *)&four, v6 ? sizeof six : sizeof four) < 0 ||
        listen(fd, 1) < 0)
        return errno;
    return 0;
}

static int take_port(struct qemu_ports *ports, const char *address, unsigned first, int32_t *taken, struct error *err)
{
    for (unsigned port = first; port <= PORT_LAST; port++) {
        int fault = is_reserved(ports, (uint16_t)port) ? EADDRINUSE : try_port(address, (uint16_t)port);
        if (fault == EADDRINUSE)
            continue;
        if (fault)
            return error_system(err, fault, "cannot listen on address '%s'", address);
        if (ports) {
            ports->recent[ports->next].port = (uint16_t)port;
            ports->recent[ports->next].until_ns = now_ns() + PORT_RESERVED;
            ports->next = (ports->next + 1) % COUNT(ports->recent);
        }
        *taken = (int32_t)port;
        return 0;
    }
    return error_set(err, ERR_INTERNAL_ERROR, "all ports from %u to %d of address '%s' are taken", first, PORT_LAST,
                     address);
}

static int prepare_graphics(struct domain_def *def, struct graphics *graphics,
                            const struct qemu_command_options *options, struct error *err)
{
    struct graphics_listen *listen = graphics->listens.count ? graphics->listens.item[0] : NULL;
    const char *address = (listen ? listen->address : NULL) ?: graphics->listen ?: "127.0.0.1";
    bool socket = listen && listen->type == LISTEN_TYPE_SOCKET;
    bool network = graphics->type == GRAPHICS_TYPE_VNC || graphics->type == GRAPHICS_TYPE_SPICE;
    if (listen && listen->type == LISTEN_TYPE_NETWORK)
        return error_set(err, ERR_NO_NETWORK,
                         "Network not found: graphics '%s' of domain '%s' listens on network '%s', and this host has "
                         "no virtual networks; give <listen type='address' address=...>",
                         graphics_type_name(graphics->type), def->name, listen->network ? listen->network : "");
    if (socket && !listen->socket && !graphics->socket && options->channel_dir)
        listen->socket =
            arena_printf(def->arena, "%s/%s.sock", options->channel_dir, graphics_type_name(graphics->type));
    if (!network || socket || graphics->socket || (listen && listen->type == LISTEN_TYPE_NONE))
        return 0;
    bool any = graphics->autoport == YESNO_YES || graphics->port <= 0;
    if ((any && take_port(options->ports, address, PORT_FIRST, &graphics->port, err) < 0) ||
        (graphics->websocket < 0 &&
         take_port(options->ports, address, WEBSOCKET_FIRST, &graphics->websocket, err) < 0))
        return error_wrap(err, "graphics '%s'", graphics_type_name(graphics->type));
    return 0;
}

/* --- */

static int prepare_channels(struct domain_def *def, const struct qemu_command_options *options, struct error *err)
{
    for (uint32_t i = 0; options->channel_dir && i < def->channels.count; i++) {
        struct chardev *channel = def->channels.item[i];
        if (channel->source.type != CHARDEV_TYPE_UNIX || channel->source.path)
            continue;
        const char *name = channel->target_name ?: channel->info.alias;
        /* the name is the user's and becomes a file's */
        if (strchr(name, '/') || string_equal(name, ".") || string_equal(name, "..") || strlen(name) > NAME_MAX)
            return error_set(err, ERR_CONFIG_UNSUPPORTED,
                             "domain '%s': the channel's target name '%s' cannot be a file name; give its <source> a "
                             "path", def->name, name);
        channel->source.path = arena_printf(def->arena, "%s/%s", options->channel_dir, name);
        channel->source.mode = CHARDEV_MODE_BIND;
    }
    return 0;
}

int qemu_command_prepare(struct domain_def *def, const struct qemu_command_options *options, struct error *err)
{
    domain_assign_aliases(def);
    number_nodes(def);
    if (prepare_channels(def, options, err) < 0)
        return -1;
    if (qemu_firmware_select(def, options->firmware_root, options->nvram_dir, err) < 0)
        return -1;
    for (uint32_t i = 0; !options->dry && i < def->graphics.count; i++)
        if (prepare_graphics(def, def->graphics.item[i], options, err) < 0)
            return -1;
    return 0;
}
