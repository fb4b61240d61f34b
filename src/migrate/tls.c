/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/tls.h"

#include <string.h>
#include <sys/stat.h>

#include "migrate/copy.h"

#define CREDS "migrate-tls" /* id of QEMU's object */

/* Where libvirt has them, too: of its own for migration, or else QEMU's. */
static const char *const directories[] = {"etc/pki/libvirt-migrate", "etc/pki/qemu"};

static const char *certificates(const struct driver *driver, struct arena *arena)
{
    const char *path = NULL;
    for (size_t i = 0; i < COUNT(directories); i++) {
        struct stat status;
        const char *root = driver->options.root;
        path = arena_printf(arena, "%s%s%s", root, string_ends(root, "/") ? "" : "/", directories[i]);
        if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
            break;
    }
    return path;
}

int tls_load(struct migration *migration, bool source, const char *uri, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    if (!(migration->options.flags & MIGRATE_TLS))
        return 0;
    const char *name = migration->options.tls_name;
    if (source && !name && !(name = copy_host(uri, arena, err)))
        return -1;
    const char *directory = certificates(migration->domain->driver, arena);
    json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:b}", "qom-type", "tls-creds-x509", "id", CREDS, "dir", directory,
                               "endpoint", source ? "client" : "server", "verify-peer", 1);
    if (qmp_execute(migration->domain->qmp, "object-add", object, monitor_deadline(), err) < 0)
        return error_wrap(err,
                          "--tls: this host's certificates for the %s of a migration cannot be used (in '%s' there "
                          "must be ca-cert.pem, %s-cert.pem and %s-key.pem)",
                          source ? "source" : "destination", directory, source ? "client" : "server",
                          source ? "client" : "server");
    migration->tls_creds = CREDS;
    migration->tls_name = arena_strdup(migration->arena, name);
    return 0;
}

void tls_unload(struct domain *domain)
{
    if (!domain_active(domain))
        return;
    struct qmp_request requests[] = {
        {.command = "migrate-set-parameters",
         .arguments = json_pack("{s:s, s:s}", "tls-creds", "", "tls-hostname", "")},
        {.command = "object-del", .arguments = json_pack("{s:s}", "id", CREDS)},
    };
    /* a failure costs the next migration nothing that it would not find out itself */
    qmp_batch(domain->qmp, requests, COUNT(requests), monitor_deadline(), NULL);
    qmp_requests_finish(requests, COUNT(requests));
}
