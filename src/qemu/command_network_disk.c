/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "qemu/command_parts.h"

/* Disks that a server has: <source protocol='...'>. */

static json_t *nbd_node(struct arena *arena, const struct disk *disk, const struct disk_source *source,
                        struct error *err)
{
    const struct source_host *host = source->hosts.count ? source->hosts.item[0] : NULL;
    if (source->hosts.count != 1 || (host->transport == HOST_TRANSPORT_UNIX ? !host->socket : !host->name))
        return error_null(err, ERR_CONFIG_UNSUPPORTED, "an NBD disk needs exactly one <host> with a name or a socket");
    if (source->tls == YESNO_YES)
        return error_null(err, ERR_CONFIG_UNSUPPORTED, "<source protocol='nbd' tls='yes'> is not supported: "
                                                       "tunnel the connection or use tls='no'");
    json_t *server = host->transport == HOST_TRANSPORT_UNIX
                         ? json_pack("{s:s,s:s}", "type", "unix", "path", host->socket)
                         : json_pack("{s:s,s:s,s:s}", "type", "inet", "host", host->name, "port",
                                     host->port ?: "10809");
    json_t *node = json_pack("{s:s,s:o}", "driver", "nbd", "server", server);
    put_string(node, "export", source->name);
    return node;
}

/* "iqn.2026-01.org:disks/1": the target, and a unit that is 0 when it is not said. */
static json_t *iscsi_node(struct arena *arena, const struct disk *disk, const struct disk_source *source,
                          struct error *err)
{
    const struct source_host *host = source->hosts.count ? source->hosts.item[0] : NULL;
    const struct source_auth *auth = disk_auth(disk, source);
    uint32_t unit = 0;
    if (source->hosts.count != 1 || !host->name || !source->name)
        return error_null(err, ERR_CONFIG_UNSUPPORTED, "an iSCSI disk needs exactly one <host> and the target's name");
    const char *slash = strchr(source->name, '/');
    if (slash && parse_u32(slash + 1, 10, &unit) < 0)
        return error_null(err, ERR_XML_ERROR, "'%s' is not the name of an iSCSI target and the number of a unit",
                          source->name);
    bool numeric6 = strchr(host->name, ':');
    json_t *node = json_pack("{s:s,s:s,s:s,s:i,s:s}", "driver", "iscsi", "portal",
                             arena_printf(arena, "%s%s%s:%s", numeric6 ? "[" : "", host->name, numeric6 ? "]" : "",
                                          host->port ?: "3260"),
                             "target", slash ? arena_strndup(arena, source->name, (size_t)(slash - source->name))
                                             : source->name, "lun", (int)unit, "transport", "tcp");
    put_string(node, "initiator-name", source->initiator);
    if (auth) {
        put_string(node, "user", auth->username);
        put_string(node, "password-secret", secret_of_storage(arena, source));
    }
    return node;
}

/* "pool/image": the rest behind the first slash is the image's. */
static json_t *rbd_node(struct arena *arena, const struct disk *disk, const struct disk_source *source,
                        struct error *err)
{
    const struct source_auth *auth = disk_auth(disk, source);
    const char *slash = source->name ? strchr(source->name, '/') : NULL;
    if (!slash)
        return error_null(err, ERR_XML_ERROR, "an RBD disk needs a name like POOL/IMAGE, not '%s'", source->name ?: "");
    json_t *node = json_pack("{s:s,s:s,s:s}", "driver", "rbd", "pool",
                             arena_strndup(arena, source->name, (size_t)(slash - source->name)), "image", slash + 1);
    put_string(node, "snapshot", source->snapshot_name);
    put_string(node, "conf", source->config_file);
    json_t *servers = json_array();
    for (uint32_t i = 0; i < source->hosts.count; i++)
        json_array_append_new(servers, json_pack("{s:s,s:s}", "host", source->hosts.item[i]->name ?: "", "port",
                                                 source->hosts.item[i]->port ?: "6789"));
    if (json_array_size(servers))
        json_object_set(node, "server", servers);
    json_decref(servers);
    if (auth) {
        put_string(node, "user", auth->username);
        json_object_set_new(node, "auth-client-required", json_pack("[s,s]", "cephx", "none"));
        put_string(node, "key-secret", secret_of_storage(arena, source));
    }
    return node;
}

json_t *network_storage(struct arena *arena, const struct disk *disk, const struct disk_source *source,
                        struct error *err)
{
    static const struct {
        enum network_protocol protocol;
        bool auth;
        json_t *(*node)(struct arena *arena, const struct disk *disk, const struct disk_source *source,
                        struct error *err);
    } rows[] = {
        {NETWORK_PROTOCOL_NBD, false, nbd_node},
        {NETWORK_PROTOCOL_ISCSI, true, iscsi_node},
        {NETWORK_PROTOCOL_RBD, true, rbd_node},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (rows[i].protocol != source->protocol)
            continue;
        if (disk_auth(disk, source) && !rows[i].auth)
            return error_null(err, ERR_CONFIG_UNSUPPORTED, "<auth> is not supported for protocol '%s'",
                              network_protocol_name(source->protocol));
        return rows[i].node(arena, disk, source, err);
    }
    return error_null(err, ERR_CONFIG_UNSUPPORTED, "<source protocol='%s'> is not supported: nbd, iscsi and rbd are; "
                      "attach the storage to the host and use a file or block device",
                      network_protocol_name(source->protocol) ?: "");
}
