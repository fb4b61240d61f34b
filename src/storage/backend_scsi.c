/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/files.h"
#include "storage/block.h"
#include "storage/pool.h"
#include "storage/scsi.h"
#include "storage/tool.h"

/* The disks of a SCSI host adapter, named as the kernel names it (hostN) or, of Fibre Channel, by its world wide names;
 * then it may be a virtual one (NPIV), which the pool makes. */

#define FC_HOSTS    "/sys/class/fc_host"
#define SCSI_HOSTS  "/sys/class/scsi_host"
#define APPEAR_MS   10000
#define WWN_LENGTH  16

/* "host5" or "scsi_host5" */
static bool host_number(const char *name, unsigned *host)
{
    int length = 0;
    const char *rest = string_after(name, "scsi_");
    rest = rest ? rest : name;
    return sscanf(rest, "host%u%n", host, &length) == 1 && rest[length] == '\0' && rest[4] != '-' && rest[4] != '+';
}

static int check_wwn(const char *what, const char *name, struct error *err)
{
    if (name && strlen(name) == WWN_LENGTH && name[strspn(name, "0123456789abcdefABCDEF")] == '\0')
        return 0;
    return error_set(err, ERR_XML_ERROR, "<adapter type='fc_host'> has a '%s' of %d hexadecimal digits, not '%s'", what,
                     WWN_LENGTH, name ? name : "");
}

static int check(struct pool_def *def, struct error *err)
{
    const struct pool_adapter_source *adapter = def->source.adapter;
    unsigned host;
    if (!adapter)
        return error_set(err, ERR_XML_ERROR, "missing storage pool source adapter");
    if (!def->target.path)
        return error_set(err, ERR_XML_ERROR, "missing storage pool target path; the usual one is /dev/disk/by-path");
    if (adapter->type == POOL_ADAPTER_FC_HOST) {
        if (adapter->parent && !host_number(adapter->parent, &host))
            return error_set(err, ERR_XML_ERROR, "'%s' is no adapter; one is like 'scsi_host3'", adapter->parent);
        return check_wwn("wwnn", adapter->wwnn, err) < 0 ? -1 : check_wwn("wwpn", adapter->wwpn, err);
    }
    if (!adapter->name)
        return error_set(err, ERR_XML_ERROR, "missing storage pool source adapter name: <adapter name='hostN'/>");
    return host_number(adapter->name, &host)
               ? 0
               : error_set(err, ERR_XML_ERROR, "'%s' is no adapter; one is like 'host3'", adapter->name);
}

static bool same(const struct pool_def *a, const struct pool_def *b)
{
    const struct pool_adapter_source *one = a->source.adapter, *other = b->source.adapter;
    unsigned first = 0, second = 0;
    if ((one->type == POOL_ADAPTER_FC_HOST) != (other->type == POOL_ADAPTER_FC_HOST))
        return false;
    if (one->type == POOL_ADAPTER_FC_HOST)
        return strcasecmp(one->wwnn, other->wwnn) == 0 && strcasecmp(one->wwpn, other->wwpn) == 0;
    return host_number(one->name, &first) && host_number(other->name, &second) && first == second;
}

/* -- Fibre Channel ------------------------------------------------------------------------------------------------- */

/* "0x20000000c9848140" */
static bool says_wwn(const char *host, const char *attribute, const char *wwn)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_free char *path = xprintf(FC_HOSTS "/%s/%s", host, attribute);
    const char *value = file_read(arena, path, 4096, NULL, NULL), *digits = value ? string_after(value, "0x") : NULL;
    return digits && strncasecmp(digits, wwn, WWN_LENGTH) == 0;
}

static bool has_names(const char *host, const void *wanted)
{
    const struct pool_adapter_source *adapter = wanted;
    return says_wwn(host, "node_name", adapter->wwnn) && says_wwn(host, "port_name", adapter->wwpn);
}

static bool makes_ports(const char *host, const void *ignored)
{
    scoped_free char *path = xprintf(FC_HOSTS "/%s/vport_create", host);
    return access(path, F_OK) == 0;
}

static bool find_fc_host(bool (*fits)(const char *host, const void *wanted), const void *wanted, unsigned *host)
{
    struct dirent **entries;
    int count = scandir(FC_HOSTS, &entries, NULL, alphasort);
    bool found = false;
    for (int i = 0; i < count; i++) {
        found = found || (entries[i]->d_name[0] != '.' && fits(entries[i]->d_name, wanted) &&
                          host_number(entries[i]->d_name, host));
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return found;
}

static int order_port(unsigned parent, const char *order, const struct pool_adapter_source *adapter, struct error *err)
{
    scoped_free char *path = xprintf(FC_HOSTS "/host%u/%s", parent, order);
    scoped_free char *names = xprintf("%s:%s", adapter->wwpn, adapter->wwnn);
    return scsi_write(path, names, err);
}

static int find_parent(const struct pool_adapter_source *adapter, unsigned *parent, struct error *err)
{
    if (adapter->parent && host_number(adapter->parent, parent)) {
        scoped_free char *name = xprintf("host%u", *parent);
        return makes_ports(name, NULL) ? 0
                                       : error_set(err, ERR_OPERATION_FAILED, "the adapter '%s' is not there or makes "
                                                   "no virtual ports", adapter->parent);
    }
    return find_fc_host(makes_ports, NULL, parent)
               ? 0
               : error_set(err, ERR_OPERATION_FAILED, "this host has no adapter with the names %s:%s, and none that "
                           "makes virtual ports (NPIV)", adapter->wwnn, adapter->wwpn);
}

/* That the port is ours to remove is on record before it is made: a daemon that dies leaves none behind unknown. */
static int make_port(struct pool *pool, struct pool_def *def, struct error *err)
{
    struct pool_adapter_source *adapter = def->source.adapter;
    unsigned parent, host;
    if (find_parent(adapter, &parent, err) < 0)
        return -1;
    adapter->managed = YESNO_YES;
    adapter->parent = arena_printf(def->arena, "scsi_host%u", parent);
    if (pool_save_status(pool, def, err) < 0 || order_port(parent, "vport_create", adapter, err) < 0)
        return -1;
    for (deadline until = deadline_ms(APPEAR_MS); !find_fc_host(has_names, adapter, &host);)
        if (now_ns() > until || await_sleep(deadline_ms(20), err) < 0)
            return error_set(err, ERR_OPERATION_TIMEOUT, "the virtual port %s:%s does not appear", adapter->wwnn,
                             adapter->wwpn);
    return 0;
}

/* -- both ---------------------------------------------------------------------------------------------------------- */

static bool find_host(const struct pool_def *def, unsigned *host)
{
    const struct pool_adapter_source *adapter = def->source.adapter;
    if (adapter->type == POOL_ADAPTER_FC_HOST)
        return find_fc_host(has_names, adapter, host);
    scoped_free char *path =
        host_number(adapter->name, host) ? xprintf(SCSI_HOSTS "/host%u", *host) : NULL;
    return path && access(path, F_OK) == 0;
}

static bool running(const struct pool_def *def)
{
    unsigned host;
    return find_host(def, &host);
}

static int stop(struct pool *pool, const struct pool_def *def, struct error *err)
{
    const struct pool_adapter_source *adapter = def->source.adapter;
    unsigned host, parent;
    if (adapter->type != POOL_ADAPTER_FC_HOST || adapter->managed != YESNO_YES || !find_host(def, &host))
        return 0;
    return find_parent(adapter, &parent, err) < 0 ? -1 : order_port(parent, "vport_delete", adapter, err);
}

static int start(struct pool *pool, struct pool_def *def, struct error *err)
{
    const struct pool_adapter_source *adapter = def->source.adapter;
    if (running(def))
        return 0;
    if (adapter->type != POOL_ADAPTER_FC_HOST)
        return error_set(err, ERR_OPERATION_FAILED, "this host has no adapter '%s'; /sys/class/scsi_host shows those "
                         "it has", adapter->name);
    if (make_port(pool, def, err) == 0)
        return 0;
    bool before = fiber_shield(true);
    stop(pool, def, NULL);
    fiber_shield(before);
    return -1;
}

static int list(struct pool *pool, const struct pool_def *def, struct listing *listing, struct error *err)
{
    unsigned host;
    if (!find_host(def, &host))
        return error_set(err, ERR_OPERATION_FAILED, "the adapter of the pool is gone");
    return scsi_list(def, host, listing, err);
}

const struct backend scsi_backend = {
    .type = POOL_TYPE_SCSI,
    .check = check,
    .same = same,
    .running = running,
    .start = start,
    .stop = stop,
    .list = list,
};
