/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/internal.h"

#include <string.h>

/* What QEMU is told before a migration: the intersection of what both ends can, by their own introspection, and what is
 * asked for. */

#define PROBE_MS 30000

enum { SOURCE = 1, DESTINATION = 2 };

static const struct {
    const char *name;
    unsigned sides; /* who has to turn it on */
    bool both;      /* it works only when both ends know it */
    uint32_t flag;  /* asked for by this; 0 = on whenever possible */
    const char *option;
    uint32_t method; /* and by this way to compress; 0 = any */
    uint32_t unless; /* never with this */
} capabilities[] = {
    {"events", SOURCE | DESTINATION, false, 0, NULL, 0, 0},
    {"return-path", SOURCE | DESTINATION, true, 0, NULL, 0, MIGRATE_TUNNELLED}, /* a tunnel goes one way */
    /* the destination takes image locks only when it is let run: until then the source can take its guest back. One
     * that arrives paused takes them at once: QEMU 7.2 dies when it is to migrate on what it never activated */
    {"late-block-activate", DESTINATION, false, 0, NULL, 0, MIGRATE_PAUSED},
    /* the copies of disks end while the guest stands still */
    {"pause-before-switchover", SOURCE, false, MIGRATE_COPY_STORAGE, "--copy-storage-all", 0, 0},
    {"auto-converge", SOURCE, false, MIGRATE_AUTO_CONVERGE, "--auto-converge", 0, 0},
    {"multifd", SOURCE | DESTINATION, true, MIGRATE_PARALLEL, "--parallel", 0, 0},
    {"postcopy-ram", SOURCE | DESTINATION, true, MIGRATE_POSTCOPY, "--postcopy", 0, 0},
    {"xbzrle", SOURCE | DESTINATION, true, MIGRATE_COMPRESSED, "--comp-methods xbzrle", MIGRATE_METHOD_XBZRLE, 0},
    {"compress", SOURCE | DESTINATION, true, MIGRATE_COMPRESSED, "--comp-methods mt", MIGRATE_METHOD_MT, 0},
    {"zero-copy-send", SOURCE, false, MIGRATE_ZEROCOPY, "--zerocopy", 0, 0},
    /* known to the other end only because it says so, libvirt does not; catches streams that met the wrong guest */
    {"validate-uuid", SOURCE, true, 0, NULL, 0, 0},
};

const char *migration_optional_caps[] = {"auto-converge", "multifd", "pause-before-switchover", "postcopy-ram",
                                        "xbzrle", "compress", "zero-copy-send", NULL};

/* QEMU's own words for the pages of a parallel migration. */
static const char *parallel_compression(const struct migrate_options *options)
{
    return options->methods & MIGRATE_METHOD_ZSTD ? "zstd" : options->methods & MIGRATE_METHOD_ZLIB ? "zlib" : "none";
}

/* Without a method, --compressed means xbzrle, as it does to libvirt. */
static bool is_asked_for(const struct migrate_options *options, size_t row)
{
    uint32_t chosen = options->methods ? options->methods : MIGRATE_METHOD_XBZRLE;
    return options->flags & capabilities[row].flag && (!capabilities[row].method || capabilities[row].method & chosen);
}

uint32_t migration_features(const struct migration *migration, const struct qemu_caps *caps,
                            const struct migrate_cookie *remote, uint32_t features)
{
    bool source = migration->info.operation == DOMAIN_JOB_OPERATION_MIGRATION_OUT;
    struct migrate_options asked = migration->options;
    asked.flags |= features;
    for (size_t i = 0; i < COUNT(capabilities); i++) {
        const char *name = capabilities[i].name;
        bool here = qemu_strings_have(&caps->migration_capabilities, name);
        bool there = source && capabilities[i].sides & DESTINATION ? migrate_cookie_armed(remote, name)
                                                                   : migrate_cookie_can(remote, name);
        if (features & capabilities[i].flag && is_asked_for(&asked, i) &&
            !(here && (there || !capabilities[i].both)))
            features &= ~capabilities[i].flag;
    }
    return features;
}

const char *migration_feature_names(const struct migration *migration, uint32_t features, struct arena *arena)
{
    scoped_text struct text names = {0};
    for (size_t i = 0; i < COUNT(capabilities); i++)
        if (features & capabilities[i].flag && capabilities[i].sides & DESTINATION &&
            is_asked_for(&migration->options, i))
            text_printf(&names, "%s%s", names.length ? "," : "", capabilities[i].name);
    return names.length ? arena_strdup(arena, text_string(&names)) : NULL;
}

const struct qemu_caps *migration_caps(const struct domain *domain, struct error *err)
{
    if (domain_require_active(domain, err) < 0)
        return NULL;
    /* a reference: while the emulator is asked the guest may end, or its definition be replaced */
    scoped_domain_def struct domain_def *live = domain_def_ref(domain->object.live);
    return qemu_caps_get(domain->driver->caps, live->emulator, deadline_ms(PROBE_MS), err);
}

/* The capabilities of this host's QEMU that cookies tell of. */
static void tell_capabilities(const struct qemu_caps *caps, struct migrate_cookie *cookie, struct arena *arena)
{
    cookie->has_capabilities = true;
    cookie->capabilities = arena_new_array(arena, caps->migration_capabilities.count + 1, const char *);
    for (size_t i = 0; i < caps->migration_capabilities.count; i++)
        cookie->capabilities[cookie->capability_count++] = caps->migration_capabilities.item[i];
}

struct migrate_cookie migration_cookie(const struct migration *migration, const struct qemu_caps *caps,
                                       struct arena *arena)
{
    const struct domain *domain = migration->domain;
    struct migrate_cookie cookie = {.name = migration->origin_name,
                                    .hostname = domain->driver->options.hostname,
                                    .has_id = true,
                                    .connection_uri = domain->driver->connection_uri};
    memcpy(cookie.id, migration->entry.id, UUID_SIZE);
    memcpy(cookie.uuid, domain->object.uuid, UUID_SIZE);
    memcpy(cookie.host_uuid, domain->driver->options.host_uuid, UUID_SIZE);
    if (caps)
        tell_capabilities(caps, &cookie, arena);
    return cookie;
}

json_t *migration_wishes(uint32_t flags)
{
    json_t *list = json_array();
    for (size_t i = 0; i < COUNT(capabilities); i++)
        if (flags & capabilities[i].flag)
            json_array_append_new(list, json_pack("{s:s, s:s, s:b}", "option", capabilities[i].option, "capability",
                                                  capabilities[i].name, "both", capabilities[i].both));
    return list;
}

/* What is not wanted is turned off, since an earlier migration, also one to this host, may have left it on. */
static int add_capability(json_t *list, struct migration *migration, size_t row, bool known_here, bool known_there,
                          struct error *err)
{
    const struct migrate_options *options = &migration->options;
    uint32_t flag = capabilities[row].flag;
    bool wanted = (!flag || is_asked_for(options, row)) && !(options->flags & capabilities[row].unless);
    bool possible = known_here && (known_there || !capabilities[row].both);
    if (wanted && flag && !possible)
        return error_set(err, ERR_OPERATION_UNSUPPORTED,
                         "%s: QEMU of the %s host cannot do it (no migration capability '%s')",
                         capabilities[row].option, known_here ? "other" : "local", capabilities[row].name);
    if (known_here)
        json_array_append_new(list, json_pack("{s:s, s:b}", "capability", capabilities[row].name, "state",
                                              wanted && possible));
    return 0;
}

static json_t *capability_list(struct migration *migration, unsigned side, const struct qemu_caps *caps,
                               const struct migrate_cookie *remote, struct error *err)
{
    json_t *list = json_array();
    for (size_t i = 0; i < COUNT(capabilities); i++) {
        bool here = qemu_strings_have(&caps->migration_capabilities, capabilities[i].name);
        bool there = migrate_cookie_can(remote, capabilities[i].name);
        if (capabilities[i].sides & side && add_capability(list, migration, i, here, there, err) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static void put_number(json_t *object, const char *name, uint64_t value)
{
    if (value)
        json_object_set_new(object, name, json_integer((json_int_t)value));
}

static void put_level(json_t *object, const char *name, uint32_t one_more)
{
    if (one_more)
        json_object_set_new(object, name, json_integer(one_more - 1));
}

/* QEMU's own limit of 128 MiB/s is there to protect links that nobody described; ours is all there is. */
static json_t *parameter_object(const struct migration *migration, unsigned side)
{
    const struct migrate_options *options = &migration->options;
    const struct domain *domain = migration->domain;
    json_t *object = json_object();
    if (options->flags & MIGRATE_PARALLEL) {
        put_number(object, "multifd-channels", options->connections);
        json_object_set_new(object, "multifd-compression", json_string(parallel_compression(options)));
    }
    if (options->flags & MIGRATE_COMPRESSED)
        put_number(object, "xbzrle-cache-size", options->xbzrle_cache);
    if (migration->tls_creds)
        json_object_set_new(object, "tls-creds", json_string(migration->tls_creds));
    if (side == DESTINATION) {
        put_number(object, "decompress-threads", options->mt_dthreads);
        /* QEMU would announce the guest when it has loaded it, and keep all rounds until it runs, to send them in one
         * burst; destination_let_run() has it done when the guest is this host's */
        json_object_set_new(object, "announce-rounds", json_integer(0));
        return object;
    }
    if (migration->tls_creds)
        json_object_set_new(object, "tls-hostname", json_string(migration->tls_name));
    put_level(object, "compress-level", options->mt_level);
    put_number(object, "compress-threads", options->mt_threads);
    put_level(object, "multifd-zlib-level", options->zlib_level);
    put_level(object, "multifd-zstd-level", options->zstd_level);
    uint64_t mib = options->bandwidth_mib ? options->bandwidth_mib : domain->migrate_bandwidth_mib;
    put_number(object, "max-bandwidth", (mib ? mib : MIGRATE_BANDWIDTH_UNLIMITED) << 20);
    put_number(object, "downtime-limit", migration->limit_ms);
    if (options->flags & MIGRATE_POSTCOPY)
        json_object_set_new(object, "max-postcopy-bandwidth",
                            json_integer((json_int_t)((options->postcopy_mib ? options->postcopy_mib
                                                                             : domain->migrate_postcopy_mib)
                                                      << 20)));
    put_number(object, "cpu-throttle-initial", options->throttle_initial);
    put_number(object, "cpu-throttle-increment", options->throttle_increment);
    put_number(object, "max-cpu-throttle", options->throttle_most);
    return object;
}

static void note_extra(struct migration *migration)
{
    size_t count = 0;
    migration->extra_caps = arena_new_array(migration->arena, COUNT(capabilities) + 1, const char *);
    for (size_t i = 0; i < COUNT(capabilities); i++)
        if (is_asked_for(&migration->options, i))
            migration->extra_caps[count++] = capabilities[i].name;
}

int migration_configure(struct migration *migration, bool source, const struct migrate_cookie *remote,
                        struct error *err)
{
    unsigned side = source ? SOURCE : DESTINATION;
    const struct qemu_caps *caps = migration_caps(migration->domain, err);
    json_t *list = caps ? capability_list(migration, side, caps, remote, err) : NULL;
    if (!list)
        return -1;
    if (source)
        note_extra(migration);
    json_t *parameters = parameter_object(migration, side);
    struct qmp_request requests[] = {
        {.command = "migrate-set-capabilities", .arguments = json_pack("{s:o}", "capabilities", list)},
        {.command = "migrate-set-parameters", .arguments = parameters},
    };
    size_t count = json_object_size(parameters) ? 2 : 1;
    if (count == 1)
        json_decref(parameters);
    int rc = qmp_batch(migration->domain->qmp, requests, count, monitor_deadline(), err);
    qmp_requests_finish(requests, count);
    return rc;
}

void migration_unconfigure(struct domain *domain, const char **names)
{
    if (!names || !names[0] || !domain_active(domain))
        return;
    json_t *list = json_array();
    for (; *names; names++)
        json_array_append_new(list, json_pack("{s:s, s:b}", "capability", *names, "state", 0));
    /* a failure costs the next migration nothing that it would not find out itself */
    qmp_execute(domain->qmp, "migrate-set-capabilities", json_pack("{s:o}", "capabilities", list), monitor_deadline(),
                NULL);
}
