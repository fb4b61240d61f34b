/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/fiber.h"

/* What one QEMU binary can do, by its own introspection: no version tables. Probed once, kept on disk, small in memory.
 */

enum qemu_accel { QEMU_TCG, QEMU_KVM, QEMU_ACCELS };

struct qemu_strings {
    const char **item; /* sorted by strcmp */
    size_t count;
};

struct qemu_machine {
    const char *name;   /* canonical: "pc-q35-7.2" */
    const char *alias;  /* "q35", or NULL */
    const char *default_cpu; /* "qemu64-x86_64-cpu", or NULL */
    const char *default_ram_id; /* "pc.ram", or NULL: migration matches RAM by this name */
    uint32_t max_cpus;
    bool is_default, hotpluggable_cpus, deprecated, numa_memory;
};

struct qemu_cpu_model {
    const char *name;
    const char *alias_of;   /* versioned name that this one means now, or NULL */
    const char **blockers;  /* features that this host or accelerator lacks, NULL-terminated; none = usable */
    bool deprecated, migration_safe;
};

/* One accelerator on this host. */
struct qemu_accel_caps {
    bool usable;
    struct qemu_cpu_model *cpus;
    size_t cpu_count;
    /* The best processor that can be migrated: "host" under KVM, "max" under TCG, fully expanded. Features by QEMU's
     * names ("sse4.1", also "sse4_1"), switches that are no CPUID bits among them. */
    struct qemu_strings host_features;
    const char *host_vendor; /* "GenuineIntel", or NULL */
    const char *host_model_id;
    uint32_t host_family, host_model, host_stepping;
};

struct qemu_caps {
    struct arena *arena;
    const char *binary;
    const char *stamp;    /* all that these answers depend on (binary, modules, kernel, microcode), for other caches */
    const char *arch;     /* QEMU's name: "x86_64", "i386", "aarch64" */
    const char *package;  /* "Debian 1:7.2+...", "" when none */
    uint32_t version;     /* major * 1000000 + minor * 1000 + micro */
    struct qemu_machine *machines;
    size_t machine_count;
    struct qemu_strings
        types; /* object types: devices ("virtio-net-pci"), "memory-backend-memfd", "chardev-spicevmc" */
    /* Commands ("migrate"), their arguments ("migrate.uri") and the words of those that are enumerations
     * ("netdev_add.type=stream"), events ("STOP"). */
    struct qemu_strings symbols;
    struct qemu_strings migration_capabilities, migration_parameters;
    struct qemu_strings tpm_models, tpm_types;
    struct qemu_accel_caps accel[QEMU_ACCELS];
};

bool qemu_strings_have(const struct qemu_strings *strings, const char *string);
bool qemu_caps_has_type(const struct qemu_caps *caps, const char *type);
bool qemu_caps_has(const struct qemu_caps *caps, const char *symbol);
/* By canonical name or alias; NULL name = the default machine. NULL when there is none. */
const struct qemu_machine *qemu_caps_machine(const struct qemu_caps *caps, const char *name);
const struct qemu_cpu_model *qemu_caps_cpu(const struct qemu_caps *caps, enum qemu_accel accel, const char *name);

/* All binaries that were asked for so far. */
struct qemu_caps_cache;

/* Keeps its files in DIRECTORY (made when first needed). No process is started, nothing is read here. */
struct qemu_caps_cache *qemu_caps_cache_new(const char *directory);
void qemu_caps_cache_free(struct qemu_caps_cache *cache);
/* Where a cache keeps what it knows of a binary: DIRECTORY/PREFIX-HASH.EXTENSION; the hash (FNV-1a) is of the binary's
 * whole path. The caller's to free. */
char *qemu_cache_path(const char *directory, const char *prefix, const char *binary, const char *extension);

/* The capabilities of a binary: from memory, from disk, or by running it (about 0.2 s, once for all who wait). Waits;
 * on the loop's own stack, where nothing may wait, only what is in memory or on disk is found. The answer stays valid
 * as long as the cache, also when the binary is replaced and later callers get new ones. */
const struct qemu_caps *qemu_caps_get(struct qemu_caps_cache *cache, const char *binary, deadline until,
                                      struct error *err);

/* An emulator found on this machine. */
struct qemu_emulator {
    const char *path;
    const char *arch; /* libvirt's name: "x86_64", "i686", "aarch64", "armv7l" */
};
/* qemu-system-ARCH (and kvm, qemu-kvm for the host's own arch) in the directories of search_path ("/usr/bin:..."; NULL
 * = /usr/local/bin:/usr/bin:/usr/libexec), the first of each arch, sorted by arch. Looks at names only. */
size_t qemu_emulators(struct arena *arena, const char *search_path, struct qemu_emulator **found);

/* Answers for the model's defaults (struct domain_defaults); strings live as long as the cache or the arena. */
const char *qemu_default_emulator(struct arena *arena, const char *arch); /* NULL when there is none */
/* "pc" -> "pc-i440fx-7.2", NULL -> the default machine; NULL when the binary cannot be probed or does not know it. */
const char *qemu_canonical_machine(struct qemu_caps_cache *cache, const char *binary, const char *machine);

/* Between capabilities*.c only. */

/* Runs the binary and condenses its answers to the document that is kept on disk (a new reference). Waits. */
json_t *qemu_caps_probe(const char *binary, const char *directory, deadline until, struct error *err);
/* Makes the struct from such a document; NULL when it is not one. */
struct qemu_caps *qemu_caps_load(const char *binary, const json_t *document);
void qemu_caps_free(struct qemu_caps *caps);
