/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/driver.h"

#include <stdio.h>

#include "base/files.h"
#include "qemu/attach.h"
#include "qemu/capabilities.h"
#include "qemu/cgroup.h"
#include "qemu/cpu_models.h"
#include "qemu/domain.h"

/* The directories below the root; all may hold secrets or sockets, so none is for others. */
static const struct {
    size_t offset;
    const char *path;
} directories[] = {
    {offsetof(struct driver, definitions_dir), "etc/godwit/domains"},
    {offsetof(struct driver, run_dir), "run/godwit/domains"},
    {offsetof(struct driver, lib_dir), "var/lib/godwit/domains"},
    {offsetof(struct driver, migrations_dir), "var/lib/godwit/migrations"},
    {offsetof(struct driver, evacuations_dir), "var/lib/godwit/evacuations"},
    {offsetof(struct driver, nvram_dir), "var/lib/godwit/nvram"},
    {offsetof(struct driver, log_dir), "var/log/godwit"},
    {offsetof(struct driver, cache_dir), "var/cache/godwit"},
};

static char **directory_field(struct driver *driver, size_t i)
{
    return (char **)((char *)driver + directories[i].offset);
}

static int make_directories(struct driver *driver, struct error *err)
{
    const char *root = driver->options.root, *slash = string_ends(root, "/") ? "" : "/";
    for (size_t i = 0; i < COUNT(directories); i++) {
        char **field = directory_field(driver, i);
        *field = xprintf("%s%s%s", root, slash, directories[i].path);
        if (directory_make(*field, 0711, err) < 0)
            return -1;
    }
    return 0;
}

static const char *default_emulator(void *owner, enum virt_type type, const char *arch)
{
    struct driver *driver = owner;
    scoped_arena struct arena *arena = arena_new();
    const char *path = qemu_default_emulator(arena, arch);
    free(driver->emulator);
    driver->emulator = path ? xstrdup(path) : NULL;
    return driver->emulator;
}

static const char *canonical_machine(void *owner, const char *emulator, enum virt_type type, const char *machine)
{
    struct driver *driver = owner;
    if (!emulator)
        return NULL;
    return qemu_canonical_machine(driver->caps, emulator, machine);
}

struct domain_def *driver_parse(struct driver *driver, const char *xml, unsigned flags, struct error *err)
{
    return domain_parse(xml, -1, flags, &driver->defaults, err);
}

static size_t port_count(const struct driver *driver)
{
    return driver->options.migration_port_last - driver->options.migration_port_first + 1u;
}

static void sweep(void *family)
{
    cgroup_sweep(family);
}

struct driver *driver_new(const struct driver_options *options, struct error *err)
{
    struct driver *driver = xcalloc(1, sizeof *driver);
    driver->options = *options;
    driver->options.root = xstrdup(options->root);
    driver->options.hostname = xstrdup(options->hostname);
    driver->options.migration_address = options->migration_address ? xstrdup(options->migration_address) : NULL;
    driver->migration_ports = xcalloc(port_count(driver), 1);
    list_init(&driver->endings);
    condition_init(&driver->endings_changed);
    if (make_directories(driver, err) < 0) {
        driver_free(driver);
        return NULL;
    }
    scoped_arena struct arena *arena = arena_new();
    driver->cgroup_family = xstrdup(cgroup_family(arena, options->hostname, options->root));
    driver->caps = qemu_caps_cache_new(driver->cache_dir);
    driver->cpu_models = cpu_models_cache_new(driver->cache_dir);
    driver->defaults = (struct domain_defaults){
        .arch = "x86_64", .owner = driver, .emulator = default_emulator, .machine = canonical_machine};
    registry_init(&driver->domains, &domain_kind, driver, driver->definitions_dir);
    if (registry_load(&driver->domains, err) < 0 || driver_attach_guests(driver, err) < 0) {
        driver_free(driver);
        return NULL;
    }
    fiber_start("sweep", sweep, driver->cgroup_family);
    return driver;
}

void driver_free(struct driver *driver)
{
    if (!driver)
        return;
    if (driver->domains.kind)
        registry_finish(&driver->domains);
    cpu_models_cache_free(driver->cpu_models);
    qemu_caps_cache_free(driver->caps);
    for (size_t i = 0; i < COUNT(directories); i++)
        free(*directory_field(driver, i));
    free((char *)driver->options.root);
    free((char *)driver->options.hostname);
    free((char *)driver->options.migration_address);
    free(driver->connection_uri);
    free(driver->migration_ports);
    free(driver->cgroup_family);
    free(driver->emulator);
    free(driver);
}

static int autostart_one(struct object *object, struct error *err)
{
    return domain_start(domain_of(object), 0, 0, "autostart", err);
}

void driver_autostart(struct driver *driver)
{
    scoped_free char *mark = xprintf("%s/../autostarted", driver->run_dir);
    registry_autostart(&driver->domains, mark, autostart_one);
}

uint16_t driver_take_migration_port(struct driver *driver, struct error *err)
{
    for (size_t i = 0; i < port_count(driver); i++)
        if (!driver->migration_ports[i]) {
            driver->migration_ports[i] = 1;
            return (uint16_t)(driver->options.migration_port_first + i);
        }
    error_set(err, ERR_OPERATION_FAILED, "all migration ports (%u to %u) are in use: too many migrations to this host",
              driver->options.migration_port_first, driver->options.migration_port_last);
    return 0;
}

unsigned driver_free_migration_ports(const struct driver *driver)
{
    unsigned count = 0;
    for (size_t i = 0; i < port_count(driver); i++)
        count += !driver->migration_ports[i];
    return count;
}

void driver_release_migration_port(struct driver *driver, uint16_t port)
{
    if (port >= driver->options.migration_port_first && port <= driver->options.migration_port_last)
        driver->migration_ports[port - driver->options.migration_port_first] = 0;
}
