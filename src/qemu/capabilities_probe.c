/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/files.h"
#include "base/text.h"
#include "qemu/capabilities.h"
#include "qemu/spawn.h"

/* What is asked of the one process, and only there (the rest does not depend on the accelerator). */
enum { VERSION, TARGET, MACHINES, SCHEMA, TYPES, CAPABILITIES, PARAMETERS, TPM_MODELS, TPM_TYPES, GENERAL };
static const char *const general_commands[GENERAL] = {
    [VERSION] = "query-version",
    [TARGET] = "query-target",
    [MACHINES] = "query-machines",
    [SCHEMA] = "query-qmp-schema",
    [TYPES] = "qom-list-types",
    [CAPABILITIES] = "query-migrate-capabilities",
    [PARAMETERS] = "query-migrate-parameters",
    [TPM_MODELS] = "query-tpm-models",
    [TPM_TYPES] = "query-tpm-types",
};

/* What is asked under each accelerator. */
enum { KVM, CPUS, HOST, ACCEL };
static const char *const accel_commands[ACCEL] = {
    [KVM] = "query-kvm",
    [CPUS] = "query-cpu-definitions",
    [HOST] = "query-cpu-model-expansion",
};

static const char *const accel_names[QEMU_ACCELS] = {"tcg", "kvm"};
static const char *const best_cpus[QEMU_ACCELS] = {"max", "host"};

/* One process under one accelerator. */
struct probe {
    struct qemu_spawned spawned;
    struct qemu_spawn_options options;
    struct arena *arena;
    struct qmp_request accel[ACCEL], general[GENERAL];
    struct qmp_batch *accel_batch, *general_batch;
};

static void probe_finish(struct probe *probe)
{
    struct error ignored;
    if (probe->accel_batch)
        qmp_collect(steal(probe->accel_batch), 0, &ignored);
    if (probe->general_batch)
        qmp_collect(steal(probe->general_batch), 0, &ignored);
    qmp_requests_finish(probe->accel, ACCEL);
    qmp_requests_finish(probe->general, GENERAL);
    qemu_spawned_finish(&probe->spawned);
    if (probe->arena) {
        unlink(probe->options.monitor_path);
        unlink(probe->options.log_path);
        arena_free(steal(probe->arena));
    }
}

/* Starts it and sends everything at once; the answers are collected later, so that two processes work side by side. */
static int probe_start(struct probe *probe, const char *binary, const char *directory, enum qemu_accel accel,
                       bool general, struct error *err)
{
    struct arena *arena = probe->arena = arena_new();
    struct argv *argv = argv_new(arena);
    const char *base = strrchr(binary, '/') ? strrchr(binary, '/') + 1 : binary;
    const char *own = arena_printf(arena, "%s.%d", accel_names[accel], (int)getpid());
    scoped_free char *socket = qemu_cache_path(directory, base, binary, arena_printf(arena, "%s.sock", own));
    scoped_free char *log = qemu_cache_path(directory, base, binary, arena_printf(arena, "%s.log", own));
    const char *const words[] = {binary, "-S", "-no-user-config", "-nodefaults", "-display", "none", "-machine",
                                 arena_printf(arena, "none,accel=%s", accel_names[accel])};
    for (size_t i = 0; i < COUNT(words); i++)
        argv_add(argv, words[i]);
    probe->options = (struct qemu_spawn_options){
        .name = base,
        .argv = argv,
        .monitor_path = arena_strdup(arena, socket),
        .log_path = arena_strdup(arena, log),
        .ours = true,
    };
    if (qemu_spawn(&probe->options, NULL, NULL, &probe->spawned, err) < 0)
        return -1;
    for (size_t i = 0; i < ACCEL; i++)
        probe->accel[i].command = accel_commands[i];
    probe->accel[HOST].arguments = json_pack("{s:s,s:{s:s}}", "type", "full", "model", "name", best_cpus[accel]);
    probe->accel_batch = qmp_submit(probe->spawned.qmp, probe->accel, ACCEL);
    for (size_t i = 0; i < GENERAL; i++)
        probe->general[i].command = general_commands[i];
    if (general)
        probe->general_batch = qmp_submit(probe->spawned.qmp, probe->general, GENERAL);
    return 0;
}

static int probe_collect(struct probe *probe, deadline until, struct error *err)
{
    if (qemu_handshake(&probe->spawned, &probe->options, until, err) < 0 ||
        qmp_collect(steal(probe->accel_batch), until, err) < 0)
        return -1;
    return probe->general_batch ? qmp_collect(steal(probe->general_batch), until, err) : 0;
}

/* The member named key of each object in the array; each item itself when it is a string. */
static json_t *pluck(const json_t *array, const char *key)
{
    json_t *names = json_array();
    for (size_t i = 0; i < json_array_size(array); i++) {
        json_t *item = json_array_get(array, i), *name = json_is_string(item) ? item : json_object_get(item, key);
        if (name)
            json_array_append(names, name);
    }
    return names;
}

static json_t *keys(json_t *object)
{
    json_t *names = json_array();
    for (void *i = json_object_iter(object); i; i = json_object_iter_next(object, i))
        json_array_append_new(names, json_string(json_object_iter_key(i)));
    return names;
}

/* The words of an enumeration: "members" has objects since 6.2, "values" plain strings for ever. */
static void append_words(json_t *symbols, const char *owner, const json_t *enumeration)
{
    const json_t *values = json_object_get(enumeration, "values");
    for (size_t i = 0; i < json_array_size(values); i++)
        json_array_append_new(symbols, json_sprintf("%s=%s", owner, json_string_value(json_array_get(values, i))));
}

static void append_arguments(json_t *symbols, const char *command, const json_t *type, json_t *by_name)
{
    const json_t *members = json_object_get(type, "members");
    for (size_t i = 0; i < json_array_size(members); i++) {
        const json_t *member = json_array_get(members, i);
        scoped_free char *symbol = xprintf("%s.%s", command, json_string_value(json_object_get(member, "name")));
        json_array_append_new(symbols, json_string(symbol));
        append_words(symbols, symbol,
                     json_object_get(by_name, json_string_value(json_object_get(member, "type")) ?: ""));
    }
}

/* query-qmp-schema is 200 KiB; this keeps what struct qemu_caps promises. */
static json_t *schema_symbols(const json_t *schema)
{
    json_t *symbols = json_array(), *by_name = json_object();
    for (size_t i = 0; i < json_array_size(schema); i++) {
        json_t *entity = json_array_get(schema, i);
        json_object_set(by_name, json_string_value(json_object_get(entity, "name")) ?: "", entity);
    }
    for (size_t i = 0; i < json_array_size(schema); i++) {
        const json_t *entity = json_array_get(schema, i);
        const char *kind = json_string_value(json_object_get(entity, "meta-type"));
        const char *name = json_string_value(json_object_get(entity, "name"));
        if (!string_equal(kind, "command") && !string_equal(kind, "event"))
            continue;
        json_array_append_new(symbols, json_string(name));
        if (string_equal(kind, "command"))
            append_arguments(symbols, name,
                             json_object_get(by_name, json_string_value(json_object_get(entity, "arg-type")) ?: ""),
                             by_name);
    }
    json_decref(by_name);
    return symbols;
}

/* Switches that are on, and what names the processor; a whole expansion has 400 properties of all kinds. */
static json_t *condense_host(json_t *expansion)
{
    static const char *const kept[] = {"vendor", "model-id", "family", "model", "stepping"};
    json_t *properties = json_object_get(json_object_get(expansion, "model"), "props");
    json_t *features = json_array(), *host = json_object();
    for (void *i = json_object_iter(properties); i; i = json_object_iter_next(properties, i))
        if (json_is_true(json_object_iter_value(i)))
            json_array_append_new(features, json_string(json_object_iter_key(i)));
    for (size_t i = 0; i < COUNT(kept); i++)
        if (json_object_get(properties, kept[i]))
            json_object_set(host, kept[i], json_object_get(properties, kept[i]));
    json_object_set_new(host, "features", features);
    return host;
}

static json_t *condense_accel(const struct probe *probe, enum qemu_accel accel)
{
    json_t *cpus = probe->accel[CPUS].reply;
    for (size_t i = 0; i < json_array_size(cpus); i++)
        json_object_del(json_array_get(cpus, i), "typename");
    /* QEMU started with accel=kvm says enabled only when the kernel let it */
    if (accel == QEMU_KVM && !json_is_true(json_object_get(probe->accel[KVM].reply, "enabled")))
        return NULL;
    return json_pack("{s:O,s:o}", "cpus", cpus ?: json_null(), "host", condense_host(probe->accel[HOST].reply));
}

static json_t *condense(const struct probe *probe, struct error *err)
{
    static const int needed[] = {VERSION, TARGET, MACHINES, SCHEMA, TYPES, CAPABILITIES, PARAMETERS};
    const struct qmp_request *general = probe->general;
    for (size_t i = 0; i < COUNT(needed); i++)
        if (qmp_request_error(&general[needed[i]], err) < 0)
            return NULL;
    const char *package;
    uint32_t version = qmp_version(probe->spawned.qmp, &package);
    return json_pack("{s:i,s:s,s:O,s:O,s:o,s:o,s:o,s:o,s:o,s:o}", "version", (int)version, "package", package, "arch",
                     json_object_get(general[TARGET].reply, "arch"), "machines", general[MACHINES].reply, "types",
                     pluck(general[TYPES].reply, "name"), "symbols", schema_symbols(general[SCHEMA].reply),
                     "migration-capabilities", pluck(general[CAPABILITIES].reply, "capability"),
                     "migration-parameters", keys(general[PARAMETERS].reply), "tpm-models",
                     pluck(general[TPM_MODELS].reply, "name"), "tpm-types", pluck(general[TPM_TYPES].reply, "name"));
}

/* A binary may lack one of the accelerators; the other one then answers the general questions. */
static json_t *probe_both(struct probe probes[QEMU_ACCELS], const char *binary, const char *directory, deadline until,
                          struct error *err)
{
    bool kvm = access("/dev/kvm", R_OK | W_OK) == 0;
    struct error kvm_error = {0};
    if (kvm && probe_start(&probes[QEMU_KVM], binary, directory, QEMU_KVM, false, &kvm_error) < 0)
        kvm = false;
    if (probe_start(&probes[QEMU_TCG], binary, directory, QEMU_TCG, true, err) < 0)
        return NULL;
    bool tcg = probe_collect(&probes[QEMU_TCG], until, err) == 0;
    kvm = kvm && probe_collect(&probes[QEMU_KVM], until, &kvm_error) == 0;
    if (!tcg && kvm) {
        probe_finish(&probes[QEMU_KVM]);
        probes[QEMU_KVM] = (struct probe){0};
        if (probe_start(&probes[QEMU_KVM], binary, directory, QEMU_KVM, true, err) < 0 ||
            probe_collect(&probes[QEMU_KVM], until, err) < 0)
            return NULL;
    } else if (!tcg) {
        return NULL;
    }
    json_t *document = condense(&probes[tcg ? QEMU_TCG : QEMU_KVM], err);
    json_t *accels = json_object();
    if (document && tcg)
        json_object_set_new(accels, "tcg", condense_accel(&probes[QEMU_TCG], QEMU_TCG));
    if (document && kvm)
        json_object_set_new(accels, "kvm", condense_accel(&probes[QEMU_KVM], QEMU_KVM));
    if (document)
        json_object_set(document, "accels", accels);
    json_decref(accels);
    return document;
}

json_t *qemu_caps_probe(const char *binary, const char *directory, deadline until, struct error *err)
{
    struct probe *probes = xcalloc(QEMU_ACCELS, sizeof *probes);
    json_t *document = probe_both(probes, binary, directory, until, err);
    for (int i = 0; i < QEMU_ACCELS; i++)
        probe_finish(&probes[i]);
    free(probes);
    if (!document)
        error_wrap(err, "cannot learn what '%s' can do", binary);
    return document;
}
