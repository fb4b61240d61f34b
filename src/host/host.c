/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/host.h"

struct host {
    char *root;
    struct arena *arena; /* the topology */
    struct host_topology *topology;
    bool identified;
    struct cpu_identity identity;
};

struct host *host_new(const char *root)
{
    struct host *host = xcalloc(1, sizeof(*host));
    host->root = xstrdup(root);
    return host;
}

const char *host_root(const struct host *host)
{
    return host->root;
}

const struct host_topology *host_topology(struct host *host)
{
    if (host->topology && topology_is_current(host->topology, host->root))
        return host->topology;
    if (host->arena)
        arena_free(host->arena);
    host->arena = arena_new();
    host->topology = topology_read(host->arena, host->root);
    return host->topology;
}

const struct cpu_identity *host_cpu_identity(struct host *host)
{
    if (!host->identified)
        cpu_identity_read(&host->identity, &cpu_source_host, host->root);
    host->identified = true;
    return &host->identity;
}
