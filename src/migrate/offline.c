/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/offline.h"

#include <string.h>

#include "base/files.h"

enum { FORMAT = DOMAIN_XML_INACTIVE | DOMAIN_XML_SECURE | DOMAIN_XML_MIGRATABLE };

static int check_inactive(const struct domain *domain, struct error *err)
{
    if (!domain_active(domain))
        return 0;
    return error_set(err, ERR_OPERATION_INVALID,
                     "--offline is for domains that do not run, and domain '%s' does; leave it out, or use --live",
                     domain_name(domain));
}

struct migration *offline_new(struct domain *domain, const struct migrate_options *options,
                              const struct migrate_caller *caller, struct error *err)
{
    if (check_inactive(domain, err) < 0)
        return NULL;
    if (!(options->flags & MIGRATE_PERSIST_DEST))
        return error_null(err, ERR_OPERATION_INVALID,
                          "--offline leaves nothing but a definition on the destination: it needs --persistent");
    if (options->flags & (MIGRATE_COPY_STORAGE | MIGRATE_TUNNELLED))
        return error_null(err, ERR_OPERATION_UNSUPPORTED,
                          "--offline moves the definition, not the disks: leave --copy-storage-* and --tunnelled out "
                          "('godwit migrate' moves the disks of a guest that does not run, too)");
    struct migration *migration = migration_new(domain, JOB_MIGRATE_OUT, options, caller, err);
    if (!migration || check_inactive(domain, err) == 0)
        return migration;
    migration_end(migration);
    return NULL;
}

static char *given_xml(struct domain *domain, const char *xml, struct error *err)
{
    scoped_domain_def struct domain_def *def = driver_parse(domain->driver, xml, DOMAIN_PARSE_INACTIVE, err);
    if (!def)
        return NULL;
    if (memcmp(def->uuid, domain->object.uuid, UUID_SIZE) != 0)
        return error_null(err, ERR_INVALID_ARG, "the given definition is of another UUID than domain '%s'",
                          domain_name(domain));
    return domain_format(def, FORMAT);
}

/* Variables that were never written are made from their template over there, too. */
static void put_nvram(const struct domain_def *def, struct migrate_cookie *cookie, struct arena *arena)
{
    if (!def->os.nvram)
        return;
    cookie->nvram = file_read(arena, def->os.nvram, MIGRATE_NVRAM_MAX, &cookie->nvram_length, NULL);
}

char *offline_begin(struct migration *migration, struct migrate_blob *cookie_out, struct arena *arena,
                    struct error *err)
{
    struct domain *domain = migration->domain;
    const struct migrate_options *options = &migration->options;
    const struct domain_def *config = object_config(&domain->object, err);
    const char *given = options->persistent_xml ? options->persistent_xml : options->xml;
    scoped_free char *xml = !config ? NULL : given ? given_xml(domain, given, err) : domain_format(config, FORMAT);
    if (!xml)
        return NULL;
    migration->origin_name = arena_strdup(migration->arena, domain_name(domain));
    struct migrate_cookie cookie = migration_cookie(migration, NULL, arena);
    put_nvram(config, &cookie, arena);
    *cookie_out = migrate_cookie_write(&cookie, arena);
    return arena_strdup(arena, xml);
}

int offline_prepare(struct migration *migration, const struct domain_def *def, const struct migrate_cookie *remote)
{
    migration->offline_def = domain_edit(def);
    migration->nvram = remote->nvram ? arena_memdup(migration->arena, remote->nvram, remote->nvram_length) : NULL;
    migration->nvram_length = remote->nvram_length;
    return 0;
}

int offline_arrive(struct migration *migration, struct error *err)
{
    const struct domain_def *def = migration->offline_def;
    const char *path = def->os.nvram;
    bool write = migration->nvram && path && access(path, F_OK) < 0;
    if (write && file_write_durable(path, migration->nvram, migration->nvram_length, 0600, err) < 0)
        return error_wrap(err, "the variables of the firmware of domain '%s' cannot be stored", def->name);
    if (object_store_def(&migration->domain->object, steal(migration->offline_def), err) == 0)
        return 0;
    if (write)
        file_remove_durable(path, NULL);
    return -1;
}

int offline_complete(struct migration *migration, uint32_t flags, struct error *err)
{
    struct domain *domain = migration->domain;
    int rc = flags & MIGRATE_UNDEFINE_SOURCE && domain->object.persistent ? object_undefine(&domain->object, err) : 0;
    migration_end(migration);
    return rc;
}
