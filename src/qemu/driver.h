/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/fiber.h"
#include "model/domain.h"
#include "object/object.h"
#include "qemu/command.h"

/* The QEMU driver of one host: its domains, its directories, and what QEMU can do here. Everything lies under the root
 * directory that the daemon was given. */
struct domain;

struct driver_options {
    const char *root;              /* "/" or a directory */
    const char *hostname;
    unsigned char host_uuid[UUID_SIZE];
    const char *migration_address; /* what other hosts connect to; NULL = hostname */
    uint16_t migration_port_first, migration_port_last; /* inclusive */
    uint32_t hook_timeout_s; /* for one call of one script (hooks.h); 0 = the default */
};

struct secrets;
struct driver {
    struct driver_options options; /* strings are the driver's own */
    struct registry domains;
    struct secrets *secrets; /* outlive the driver */
    struct qemu_caps_cache *caps;
    struct cpu_models_cache *cpu_models;
    struct qemu_ports graphics_ports;
    struct domain_defaults defaults; /* for domain_parse() */
    char *emulator; /* the last answer of defaults.emulator, which is copied before the next */
    /* Absolute directories, all below the root. */
    char *definitions_dir; /* etc/godwit/domains: what users define */
    char *run_dir;         /* run/godwit/domains: status files and monitor sockets, gone with the host's next boot */
    char *lib_dir;         /* var/lib/godwit/domains: per-guest directories (channel sockets) */
    char *migrations_dir;  /* var/lib/godwit/migrations: the journal of src/migrate */
    uint64_t journal_purged_ns; /* when src/migrate last looked for entries that can go; 0 = never */
    char *evacuations_dir; /* var/lib/godwit/evacuations: guests to be brought home, src/migrate/evacuation.h */
    char *nvram_dir;       /* var/lib/godwit/nvram */
    char *log_dir;         /* var/log/godwit: one file a guest */
    char *cache_dir;       /* var/cache/godwit */
    char *cgroup_family;   /* see cgroup_family() */
    char *connection_uri; /* how other hosts' daemons connect to this one, set when it listens; NULL = they cannot */
    unsigned char *migration_ports; /* one byte a port: in use */
    struct list endings;     /* hook scripts that are told of guests' ends (hooks.c) */
    struct condition endings_changed;
    bool measuring; /* a worker thread looks at the sizes of images, and may hang on a server that does */
    /* Called when a guest found again has answered, for what src/migrate has to finish or take back. May wait. */
    void (*attached)(struct domain *domain);
    /* Called when the QEMU of a domain that has a migration is gone; the domain is inactive by then, and
     * object_forget_if_unused() is the callee's business. Must not wait. */
    void (*ended)(struct domain *domain);
    /* Finds out where the disks of type volume lie, before a guest starts; they get file or dev. May wait. */
    int (*find_volumes)(void *owner, struct domain_def *live, struct error *err);
    /* The same for one that may be missing: then it gets the file that it would be. ERR_OPERATION_UNSUPPORTED when it
     * would be no file. Strings live in the arena. May wait. */
    int (*place_volume)(void *owner, struct disk *disk, struct arena *arena, struct error *err);
    /* An image was made or removed by others than its pool, which then looks again. Waits. */
    void (*image_changed)(void *owner, const char *path);
    void *notify_owner; /* of all callbacks with an owner */
    /* A domain event for the clients: DOMAIN_EVENT_ID_* and the generated struct of its callback form, without callback
     * id and domain. Runs wherever the event arises; must not wait. */
    void (*notify)(void *owner, struct domain *domain, int event_id, void *body);
    /* Every event of every monitor as QEMU told it, for qemu-monitor-event. */
    void (*monitor_event)(void *owner, struct domain *domain, const char *name, const json_t *data, int64_t seconds,
                          uint32_t micros);
};

/* Makes the directories, reads names and UUIDs of all definitions and finds the running guests of an earlier daemon
 * again. Does not wait, so that a daemon with 1,000 domains answers at once. The options' strings are copied. */
struct driver *driver_new(const struct driver_options *options, struct error *err);
/* Starts what is marked autostart, at the first start since the host booted. Waits; for a fiber of its own. */
void driver_autostart(struct driver *driver);
/* Lets go of all guests; they run on. */
void driver_free(struct driver *driver);

/* Parses what a client sent, with this host's defaults. Waits when what the emulator can do is not known yet (but not
 * with DOMAIN_PARSE_BARE, which asks nobody). */
struct domain_def *driver_parse(struct driver *driver, const char *xml, unsigned flags, struct error *err);
/* A free port of the migration range, marked used; 0 with err when all are taken. */
uint16_t driver_take_migration_port(struct driver *driver, struct error *err);
unsigned driver_free_migration_ports(const struct driver *driver);
void driver_release_migration_port(struct driver *driver, uint16_t port);
