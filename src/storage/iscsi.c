/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/iscsi.h"

#include <inttypes.h>
#include <string.h>

#include "model/xml.h"

/* Those of the standard (RFC 3722), and a little more: nothing that a path or an option could be made of. */
static bool is_name(const char *word)
{
    return word[0] != '-' && word[0] != '.' && !strpbrk(word, "/, \t\n") && strlen(word) <= 223;
}

int iscsi_check_host(const struct pool_source *source, const char *kind, struct error *err)
{
    if (!source || source->hosts.count != 1)
        return error_set(err, ERR_XML_ERROR, "missing storage pool source host name: a source of type '%s' has one "
                         "<host>", kind);
    if (!is_name(source->hosts.item[0]->name))
        return error_set(err, ERR_XML_ERROR, "'%s' is no host's name", source->hosts.item[0]->name);
    return 0;
}

int iscsi_check_source(const struct pool_source *source, const char *kind, struct error *err)
{
    if (iscsi_check_host(source, kind, err) < 0)
        return -1;
    if (source->devices.count != 1)
        return error_set(err, ERR_XML_ERROR, "missing storage pool source device name: a pool of type '%s' has one "
                         "<device path=…/> with the name of the target", kind);
    if (!is_name(iscsi_target(source)))
        return error_set(err, ERR_XML_ERROR, "'%s' is no name of a target; one is like "
                         "'iqn.2010-05.com.example:disks'", iscsi_target(source));
    if (source->initiator && !is_name(source->initiator))
        return error_set(err, ERR_XML_ERROR, "'%s' is no name of an initiator; one is like "
                         "'iqn.2010-05.com.example:host'", source->initiator);
    return 0;
}

const char *iscsi_target(const struct pool_source *source)
{
    return source->devices.item[0]->path;
}

uint32_t iscsi_port(const struct pool_source *source)
{
    uint32_t port = source->hosts.item[0]->port;
    return port ? port : ISCSI_PORT;
}

const char *iscsi_portal(struct arena *arena, const struct pool_source *source)
{
    const char *host = source->hosts.item[0]->name;
    return arena_printf(arena, strchr(host, ':') && host[0] != '[' ? "[%s]:%u" : "%s:%u", host, iscsi_port(source));
}

const char *iscsi_unit_path(struct arena *arena, const char *target, uint32_t unit)
{
    return arena_printf(arena, "-iscsi-%s-lun-%" PRIu32, target, unit);
}

bool iscsi_same(const struct pool_def *a, const struct pool_def *b)
{
    return strcmp(a->source.hosts.item[0]->name, b->source.hosts.item[0]->name) == 0 &&
           iscsi_port(&a->source) == iscsi_port(&b->source) &&
           strcmp(iscsi_target(&a->source), iscsi_target(&b->source)) == 0 &&
           string_equal(a->source.initiator, b->source.initiator);
}

void iscsi_tell_target(struct arena *arena, const struct pool_source *spec, const char *target, struct text *out)
{
    struct pool_device *device = arena_struct(arena, struct pool_device);
    struct pool_source source = {.hosts = spec->hosts};
    device->path = target;
    list_add(arena, &source.devices, device);
    pool_source_format(out, &source);
}
