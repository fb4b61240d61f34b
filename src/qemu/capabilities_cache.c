/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <malloc.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "base/files.h"
#include "base/json.h"
#include "base/list.h"
#include "base/log.h"
#include "base/text.h"
#include "qemu/capabilities.h"

#define DOCUMENT_MAX  (8u << 20)
#define PROBE_TIMEOUT 30000                 /* ms; a loaded machine may take seconds to load a cold binary */
#define RECHECK_NS    (1000ull * 1000 * 1000) /* how long a binary is believed to be the same */
#define FORMAT        "2"                   /* of the document: raised when what we keep changes */

/* One binary. */
struct entry {
    struct list link;
    char *binary;
    char *stamp;              /* what the capabilities hold for; NULL = nothing known yet */
    uint64_t checked_ns;
    struct qemu_caps *caps;
    bool probing;
    unsigned waiters;         /* fibers that hold the entry */
    struct condition probed;
    struct error failure;     /* of the last probe */
    struct qemu_caps_cache *cache;
};

/* Capabilities of a binary that was replaced: somebody may still look at them, and packages are upgraded rarely. */
struct superseded {
    struct superseded *next;
    struct qemu_caps *caps;
};

struct qemu_caps_cache {
    char *directory;
    struct list entries;
    struct superseded *superseded;
};

struct qemu_caps_cache *qemu_caps_cache_new(const char *directory)
{
    struct qemu_caps_cache *cache = xcalloc(1, sizeof *cache);
    cache->directory = xstrdup(directory);
    list_init(&cache->entries);
    return cache;
}

static void entry_free(struct entry *entry)
{
    list_remove(&entry->link);
    qemu_caps_free(entry->caps);
    free(entry->binary);
    free(entry->stamp);
    free(entry);
}

void qemu_caps_cache_free(struct qemu_caps_cache *cache)
{
    if (!cache)
        return;
    while (!list_empty(&cache->entries))
        entry_free(container_of(cache->entries.next, struct entry, link));
    for (struct superseded *old; (old = cache->superseded);) {
        cache->superseded = old->next;
        qemu_caps_free(old->caps);
        free(old);
    }
    free(cache->directory);
    free(cache);
}

/* What clients named and is no emulator is not remembered. */
static void forget_useless(struct qemu_caps_cache *cache)
{
    list_for_each (struct entry, entry, &cache->entries, link)
        if (!entry->caps && !entry->probing && !entry->waiters)
            entry_free(entry);
}

static struct entry *entry_get(struct qemu_caps_cache *cache, const char *binary)
{
    for (struct list *link = cache->entries.next; link != &cache->entries; link = link->next)
        if (string_equal(container_of(link, struct entry, link)->binary, binary))
            return container_of(link, struct entry, link);
    forget_useless(cache);
    struct entry *entry = xcalloc(1, sizeof *entry);
    entry->binary = xstrdup(binary);
    entry->cache = cache;
    condition_init(&entry->probed);
    list_append(&cache->entries, &entry->link);
    return entry;
}

static void stamp_file(struct text *stamp, const char *path, const struct stat *stat)
{
    text_printf(stamp, "%s %lld %lld.%09ld %lld.%09ld;", path, (long long)stat->st_size,
                (long long)stat->st_mtim.tv_sec, stat->st_mtim.tv_nsec, (long long)stat->st_ctim.tv_sec,
                stat->st_ctim.tv_nsec);
}

/* Devices and displays that come as modules appear and vanish without the binary changing. */
static void stamp_modules(struct text *stamp)
{
    static const char *const patterns[] = {"/usr/lib/*/qemu", "/usr/lib64/qemu*", "/usr/lib/qemu*"};
    for (size_t i = 0; i < COUNT(patterns); i++) {
        glob_t found = {0};
        struct stat stat_now;
        if (glob(patterns[i], 0, NULL, &found) == 0)
            for (size_t j = 0; j < found.gl_pathc; j++)
                if (stat(found.gl_pathv[j], &stat_now) == 0)
                    stamp_file(stamp, found.gl_pathv[j], &stat_now);
        globfree(&found);
    }
}

/* Microcode decides which features KVM has; all processors run the same, so the first one's lines do. */
static void stamp_microcode(struct text *stamp)
{
    char buffer[4096];
    scoped_fd int fd = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, buffer, sizeof buffer - 1);
    buffer[got < 0 ? 0 : got] = '\0';
    static const char *const lines[] = {"\nmodel name", "\nmicrocode"};
    for (size_t i = 0; i < COUNT(lines); i++) {
        const char *line = strstr(buffer, lines[i]);
        if (line)
            text_printf(stamp, "%.*s;", (int)strcspn(line + 1, "\n"), line + 1);
    }
}

/* All that the capabilities depend on, as one string. */
static char *stamp_make(const char *binary, struct error *err)
{
    scoped_text struct text stamp = {0};
    struct stat stat_now;
    struct utsname host;
    if (stat(binary, &stat_now) < 0 || access(binary, X_OK) < 0) {
        error_system(err, errno, "cannot use the emulator '%s'", binary);
        return NULL;
    }
    text_append(&stamp, FORMAT ";");
    stamp_file(&stamp, binary, &stat_now);
    stamp_modules(&stamp);
    if (uname(&host) == 0)
        text_printf(&stamp, "%s %s;", host.release, host.version);
    text_printf(&stamp, "kvm=%d;", access("/dev/kvm", R_OK | W_OK) == 0);
    stamp_microcode(&stamp);
    return text_steal(&stamp);
}

char *qemu_cache_path(const char *directory, const char *prefix, const char *binary, const char *extension)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (const char *c = binary; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
    return xprintf("%s/%s-%016llx.%s", directory, prefix, (unsigned long long)hash, extension);
}

static char *document_path(const struct entry *entry)
{
    const char *slash = strrchr(entry->binary, '/');
    return qemu_cache_path(entry->cache->directory, slash ? slash + 1 : entry->binary, entry->binary, "json");
}

static void entry_adopt(struct entry *entry, struct qemu_caps *caps, const char *stamp)
{
    if (entry->caps) {
        struct superseded *old = xcalloc(1, sizeof *old);
        *old = (struct superseded){entry->cache->superseded, entry->caps};
        entry->cache->superseded = old;
    }
    entry->caps = caps;
    caps->stamp = arena_strdup(caps->arena, stamp);
    free(entry->stamp);
    entry->stamp = xstrdup(stamp);
    malloc_trim(0); /* the documents were megabytes of small pieces */
}

/* A file that is missing, stale or damaged is as good as none. */
static bool entry_load(struct entry *entry, const char *stamp)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_free char *path = document_path(entry);
    size_t length;
    char *data = file_read(arena, path, DOCUMENT_MAX, &length, NULL);
    json_t *document = data ? json_read(data, length, NULL) : NULL;
    struct qemu_caps *caps = NULL;
    if (string_equal(json_string_value(json_object_get(document, "stamp")), stamp))
        caps = qemu_caps_load(entry->binary, document);
    json_decref(document);
    if (caps)
        entry_adopt(entry, caps, stamp);
    return caps != NULL;
}

static void entry_save(const struct entry *entry, json_t *document, const char *stamp)
{
    scoped_free char *path = document_path(entry);
    struct error err;
    json_object_set_new(document, "stamp", json_string(stamp));
    scoped_free char *data = json_dumps(document, JSON_COMPACT);
    if (file_write(path, data, strlen(data), 0600, &err) < 0)
        log_warning("%s; '%s' will be asked again after a restart", err.message, entry->binary);
}

/* Runs in a fiber of its own, so that it goes on when the first who asked gives up. */
static void probe_fiber(void *owner)
{
    struct entry *entry = owner;
    scoped_free char *stamp = stamp_make(entry->binary, &entry->failure);
    if (stamp && directory_make(entry->cache->directory, 0700, &entry->failure) == 0) {
        json_t *document = qemu_caps_probe(entry->binary, entry->cache->directory, deadline_ms(PROBE_TIMEOUT),
                                           &entry->failure);
        struct qemu_caps *caps = document ? qemu_caps_load(entry->binary, document) : NULL;
        if (caps)
            entry_save(entry, document, stamp);
        json_decref(document);
        if (caps)
            entry_adopt(entry, caps, stamp);
        else if (document)
            error_set(&entry->failure, ERR_INTERNAL_ERROR, "'%s' gave answers that make no sense", entry->binary);
    }
    entry->probing = false;
    condition_wake(&entry->probed);
}

/* Whether what is in memory still holds; loads from disk when it does not. */
static bool entry_fresh(struct entry *entry, struct error *err)
{
    uint64_t now = now_ns();
    if (entry->caps && now - entry->checked_ns < RECHECK_NS)
        return true;
    scoped_free char *stamp = stamp_make(entry->binary, err);
    entry->checked_ns = now;
    return stamp && ((entry->caps && string_equal(entry->stamp, stamp)) || entry_load(entry, stamp));
}

const struct qemu_caps *qemu_caps_get(struct qemu_caps_cache *cache, const char *binary, deadline until,
                                      struct error *err)
{
    struct entry *entry = entry_get(cache, binary);
    struct error missing = {0};
    if (!entry->probing && entry_fresh(entry, &missing))
        return entry->caps;
    if (missing.code)
        return error_null(err, missing.code, "%s", missing.message);
    if (!fiber_self())
        return error_null(err, ERR_OPERATION_INVALID, "what '%s' can do is not known yet", binary);
    if (!entry->probing) {
        entry->probing = true;
        entry->failure = (struct error){0};
        fiber_start("qemu probe", probe_fiber, entry);
    }
    int rc = 0;
    entry->waiters++;
    while (rc == 0 && entry->probing)
        rc = condition_wait(&entry->probed, until, err);
    entry->waiters--;
    if (rc < 0)
        return error_null_wrap(err, "waiting to learn what '%s' can do", entry->binary);
    if (entry->failure.code)
        return error_null(err, entry->failure.code, "%s", entry->failure.message);
    entry->checked_ns = now_ns();
    return entry->caps;
}
