/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/cpu_models.h"

#include <string.h>

#include "base/files.h"
#include "base/json.h"
#include "base/list.h"
#include "base/log.h"
#include "base/text.h"
#include "host/cpu_model.h"
#include "qemu/spawn.h"

#define DOCUMENT_MAX  (4u << 20)
#define PROBE_TIMEOUT 30000 /* ms */

/* One binary under one accelerator. */
struct entry {
    struct list link;
    struct cpu_models_cache *cache;
    const struct qemu_caps *caps;
    enum qemu_accel accel;
    struct arena *arena; /* the models; NULL = not known yet */
    struct cpu_models models;
    bool probing;
    struct condition probed;
    struct error failure; /* of the last probe */
};

struct cpu_models_cache {
    char *directory;
    struct list entries;
};

static const char *const accel_names[QEMU_ACCELS] = {"tcg", "kvm"};

/* Whom a model imitates, by the beginning of its name. QEMU puts the host's vendor into every model under KVM, so its
 * answer does not tell. */
static const struct {
    const char *prefix, *vendor;
} vendors[] = {
    {"EPYC", "AMD"},   {"Opteron", "AMD"}, {"athlon", "AMD"}, {"phenom", "AMD"},   {"Dhyana", "Hygon"},
    {"YongFeng", NULL}, {"qemu", NULL},     {"kvm", NULL},     {"pentium", NULL},   {"486", NULL},
    {"", "Intel"},
};

static const char *vendor_of(const char *name)
{
    size_t i = 0;
    while (!string_starts(name, vendors[i].prefix))
        i++;
    return vendors[i].vendor;
}

static bool is_x86(const struct qemu_caps *caps)
{
    return string_equal(caps->arch, "x86_64") || string_equal(caps->arch, "i386");
}

bool cpu_model_is_public(const struct qemu_cpu_model *model)
{
    static const char *const internal[] = {"host", "max", "base"};
    for (size_t i = 0; i < COUNT(internal); i++)
        if (string_equal(model->name, internal[i]))
            return false;
    const char *version = strrchr(model->name, '-');
    return !version || version[1] != 'v' || version[2] < '0' || version[2] > '9' ||
           version[2 + strspn(version + 2, "0123456789")];
}

struct cpu_models_cache *cpu_models_cache_new(const char *directory)
{
    struct cpu_models_cache *cache = xcalloc(1, sizeof(*cache));
    cache->directory = xstrdup(directory);
    list_init(&cache->entries);
    return cache;
}

void cpu_models_cache_free(struct cpu_models_cache *cache)
{
    if (!cache)
        return;
    while (!list_empty(&cache->entries)) {
        struct entry *entry = container_of(cache->entries.next, struct entry, link);
        list_remove(&entry->link);
        if (entry->arena)
            arena_free(entry->arena);
        free(entry);
    }
    free(cache->directory);
    free(cache);
}

const struct cpu_model *cpu_models_find(const struct cpu_models *models, const char *name)
{
    for (size_t i = 0; i < models->count; i++)
        if (string_equal(models->items[i].name, name))
            return &models->items[i];
    return NULL;
}

static void features_add_qemu(struct cpu_features *features, const char *qemu_name)
{
    int feature = qemu_name ? cpu_feature_from_qemu(qemu_name) : -1;
    if (feature >= 0)
        cpu_features_add(features, feature);
}

/* Makes the models from the document {"models": {"EPYC": ["sse4.1", ...]}}; NULL means no features at all. */
static void entry_adopt(struct entry *entry, const json_t *document)
{
    const struct qemu_accel_caps *accel = &entry->caps->accel[entry->accel];
    const json_t *expanded = json_object_get(document, "models");
    entry->arena = arena_new();
    entry->models.items = arena_new_array(entry->arena, accel->cpu_count + 1, struct cpu_model);
    for (size_t i = 0; i < accel->cpu_count; i++) {
        const struct qemu_cpu_model *known = &accel->cpus[i];
        if (!cpu_model_is_public(known))
            continue;
        struct cpu_model *model = &entry->models.items[entry->models.count++];
        *model = (struct cpu_model){.name = known->name, .usable = !known->blockers || !known->blockers[0],
                                    .deprecated = known->deprecated};
        model->vendor = is_x86(entry->caps) ? vendor_of(known->name) : NULL;
        const json_t *features = json_object_get(expanded, known->name);
        for (size_t j = 0; j < json_array_size(features); j++)
            features_add_qemu(&model->features, json_string_value(json_array_get(features, j)));
        cpu_features_remove(&model->features, cpu_feature_find("hypervisor"));
    }
    entry->models.best.usable = true;
    entry->models.best.vendor = cpu_vendor_name(accel->host_vendor);
    for (size_t i = 0; is_x86(entry->caps) && i < accel->host_features.count; i++)
        features_add_qemu(&entry->models.best.features, accel->host_features.item[i]);
    for (unsigned feature = 0; feature < CPU_FEATURE_COUNT; feature++)
        if (cpu_feature_name(feature) && !cpu_feature_is_migratable(feature))
            cpu_features_remove(&entry->models.best.features, feature);
}

static char *document_path(const struct entry *entry, const char *extension)
{
    scoped_free char *prefix = xprintf("cpu-models-%s", accel_names[entry->accel]);
    return qemu_cache_path(entry->cache->directory, prefix, entry->caps->binary, extension);
}

/* A file that is missing, stale or damaged is as good as none. */
static bool entry_load(struct entry *entry)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_free char *path = document_path(entry, "json");
    size_t length;
    char *data = file_read(arena, path, DOCUMENT_MAX, &length, NULL);
    json_t *document = data ? json_read(data, length, NULL) : NULL;
    bool good = string_equal(json_string_value(json_object_get(document, "stamp")), entry->caps->stamp);
    if (good)
        entry_adopt(entry, document);
    json_decref(document);
    return good;
}

static void entry_save(const struct entry *entry, const json_t *document)
{
    scoped_free char *path = document_path(entry, "json");
    struct error err;
    scoped_free char *data = json_dumps(document, JSON_COMPACT);
    if (directory_make(entry->cache->directory, 0700, &err) < 0 || file_write(path, data, strlen(data), 0600, &err) < 0)
        log_warning("%s; the CPU models of '%s' will be asked again after a restart", err.message, entry->caps->binary);
}

/* The names of the switches that are on. */
static json_t *switches_on(const json_t *expansion)
{
    json_t *properties = json_object_get(json_object_get(expansion, "model"), "props"), *names = json_array();
    for (void *i = json_object_iter(properties); i; i = json_object_iter_next(properties, i))
        if (json_is_true(json_object_iter_value(i)))
            json_array_append_new(names, json_string(json_object_iter_key(i)));
    return names;
}

/* Asks the running QEMU for all public models at once. A model that it refuses has no features. */
static json_t *models_ask(const struct entry *entry, struct qmp *qmp, deadline until, struct error *err)
{
    const struct qemu_accel_caps *accel = &entry->caps->accel[entry->accel];
    scoped_free struct qmp_request *requests = xcalloc(accel->cpu_count + 1, sizeof(*requests));
    scoped_free const char **names = xcalloc(accel->cpu_count + 1, sizeof(*names));
    size_t count = 0;
    for (size_t i = 0; i < accel->cpu_count; i++) {
        if (!cpu_model_is_public(&accel->cpus[i]))
            continue;
        names[count] = accel->cpus[i].name;
        requests[count].command = "query-cpu-model-expansion";
        requests[count++].arguments = json_pack("{s:s,s:{s:s}}", "type", "static", "model", "name",
                                                accel->cpus[i].name);
    }
    json_t *models = NULL;
    if (qmp_collect(qmp_submit(qmp, requests, count), until, err) == 0) {
        models = json_object();
        for (size_t i = 0; i < count; i++)
            if (requests[i].reply)
                json_object_set_new(models, names[i], switches_on(requests[i].reply));
    }
    qmp_requests_finish(requests, count);
    return models;
}

/* {"stamp": ..., "models": {...}} from a QEMU that runs for this alone. Waits. */
static json_t *models_probe(const struct entry *entry, deadline until, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_free char *socket = document_path(entry, "sock"), *log = document_path(entry, "log");
    scoped_qemu_spawned struct qemu_spawned spawned = {0};
    struct argv *argv = argv_new(arena);
    const char *const words[] = {entry->caps->binary, "-S", "-no-user-config", "-nodefaults", "-display", "none",
                                 "-machine", arena_printf(arena, "none,accel=%s", accel_names[entry->accel])};
    for (size_t i = 0; i < COUNT(words); i++)
        argv_add(argv, words[i]);
    const struct qemu_spawn_options options = {
        .name = "CPU models", .argv = argv, .monitor_path = socket, .log_path = log, .ours = true};
    json_t *models = NULL;
    if (directory_make(entry->cache->directory, 0700, err) == 0 &&
        qemu_spawn(&options, NULL, NULL, &spawned, err) == 0 &&
        qemu_handshake(&spawned, &options, until, err) == 0)
        models = models_ask(entry, spawned.qmp, until, err);
    unlink(socket);
    unlink(log);
    return models ? json_pack("{s:s,s:o}", "stamp", entry->caps->stamp, "models", models) : NULL;
}

/* Runs in a fiber of its own, so that it goes on when the first who asked gives up. */
static void probe_fiber(void *owner)
{
    struct entry *entry = owner;
    json_t *document = models_probe(entry, deadline_ms(PROBE_TIMEOUT), &entry->failure);
    if (document) {
        entry_save(entry, document);
        entry_adopt(entry, document);
    } else {
        error_wrap(&entry->failure, "cannot ask '%s' for its CPU models", entry->caps->binary);
    }
    json_decref(document);
    entry->probing = false;
    condition_wake(&entry->probed);
}

static struct entry *entry_get(struct cpu_models_cache *cache, const struct qemu_caps *caps, enum qemu_accel accel)
{
    for (struct list *link = cache->entries.next; link != &cache->entries; link = link->next) {
        struct entry *entry = container_of(link, struct entry, link);
        if (entry->caps == caps && entry->accel == accel)
            return entry;
    }
    struct entry *entry = xcalloc(1, sizeof(*entry));
    *entry = (struct entry){.cache = cache, .caps = caps, .accel = accel};
    condition_init(&entry->probed);
    list_append(&cache->entries, &entry->link);
    return entry;
}

const struct cpu_models *cpu_models_get(struct cpu_models_cache *cache, const struct qemu_caps *caps,
                                        enum qemu_accel accel, deadline until, struct error *err)
{
    if (!caps->accel[accel].usable)
        return error_null(err, ERR_CONFIG_UNSUPPORTED, "'%s' cannot use %s on this host", caps->binary,
                          accel == QEMU_KVM ? "KVM" : "TCG");
    struct entry *entry = entry_get(cache, caps, accel);
    if (entry->arena)
        return &entry->models;
    if (!is_x86(caps))
        entry_adopt(entry, NULL);
    else if (!entry->probing && !entry_load(entry)) {
        entry->probing = true;
        entry->failure = (struct error){0};
        fiber_start("CPU models", probe_fiber, entry);
    }
    while (entry->probing)
        if (condition_wait(&entry->probed, until, err) < 0)
            return error_null_wrap(err, "waiting for the CPU models of '%s'", caps->binary);
    if (!entry->arena)
        return error_null(err, entry->failure.code, "%s", entry->failure.message);
    return &entry->models;
}
