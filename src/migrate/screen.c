/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/screen.h"

#include <string.h>

#include "base/log.h"
#include "migrate/copy.h"
#include "rpc/uri.h"

enum { GONE_MS = 10000, STEP_MS = 50 };

static const struct graphics *spice_of(const struct domain_def *def)
{
    for (uint32_t i = 0; def && i < def->graphics.count; i++)
        if (def->graphics.item[i]->type == GRAPHICS_TYPE_SPICE)
            return def->graphics.item[i];
    return NULL;
}

void screen_describe(const struct domain *domain, struct migrate_cookie *cookie)
{
    const struct graphics *spice = spice_of(domain->object.live);
    if (!spice)
        return;
    cookie->spice_port = spice->port;
    cookie->spice_listen = spice->listen;
}

static bool is_everywhere(const char *address)
{
    return !address || !*address || strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
}

static int read_uri(const char *text, const char **host, int *port, struct arena *arena, struct error *err)
{
    const struct uri *uri = uri_parse(arena, text, err);
    if (!uri)
        return error_wrap(err, "--graphicsuri");
    if ((strcmp(uri->driver, "spice") != 0 && strcmp(uri->driver, "vnc") != 0) || !uri->host || !*uri->host)
        return error_set(err, ERR_INVALID_ARG, "--graphicsuri '%s' must be spice://HOST[:PORT] or vnc://HOST[:PORT]",
                         text);
    *host = uri->host;
    *port = uri->port ? uri->port : *port;
    return 0;
}

int screen_relocate(struct migration *migration, const char *uri, const struct migrate_cookie *remote,
                    struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct domain *domain = migration->domain;
    const char *host = is_everywhere(remote->spice_listen) ? NULL : remote->spice_listen;
    int port = remote->spice_port;
    if (migration->options.graphics_uri && read_uri(migration->options.graphics_uri, &host, &port, arena, err) < 0)
        return -1;
    if (!spice_of(domain->object.live) || port <= 0 || (!host && !uri))
        return 0;
    if (!host && !(host = copy_host(uri, arena, err)))
        return -1;
    struct error problem = {0};
    migration->screen_told = qmp_execute(domain->qmp, "client_migrate_info",
                                         json_pack("{s:s, s:s, s:i}", "protocol", "spice", "hostname", host, "port",
                                                   port),
                                         monitor_deadline(), &problem) == 0;
    if (!migration->screen_told)
        log_warning("domain '%s': SPICE clients will have to connect anew: %s", domain_name(domain), problem.message);
    return domain_require_active(domain, err);
}

void screen_wait(struct migration *migration)
{
    struct domain *domain = migration->domain;
    if (!migration->screen_told)
        return;
    for (deadline until = deadline_ms(GONE_MS); now_ns() < until;) {
        scoped_json json_t *spice = qmp_command(domain->qmp, "query-spice", NULL, until, NULL);
        if (!spice || json_is_true(json_object_get(spice, "migrated")) ||
            json_array_size(json_object_get(spice, "channels")) == 0)
            return;
        if (await_sleep(deadline_ms(STEP_MS), NULL) < 0)
            return;
    }
}
