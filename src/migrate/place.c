/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/place.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>

#include "rpc/uri.h"

#define PORTS_TRIED 16 /* of our range; somebody else may hold them */

static bool is_number(const char *host, int family)
{
    unsigned char address[sizeof(struct in6_addr)];
    return inet_pton(family, host, address) == 1;
}

static bool have_ipv6(void)
{
    struct ifaddrs *all, *one;
    bool found = false;
    if (getifaddrs(&all) < 0)
        return false;
    for (one = all; one; one = one->ifa_next)
        found |= one->ifa_addr && one->ifa_addr->sa_family == AF_INET6;
    freeifaddrs(all);
    return found;
}

/* A number is listened at if it can be no other host's: told so, set by the administrator, or loopback. */
static const char *listen_at(struct driver *driver, const struct migrate_options *options, const char *host,
                             struct arena *arena)
{
    const char *address = options->listen_address;
    const char *own = driver->options.migration_address;
    if (!address && string_equal(host, own) && (is_number(host, AF_INET) || is_number(host, AF_INET6)))
        address = host;
    if (!address && (string_starts(host, "127.") || string_equal(host, "::1")))
        address = host;
    if (!address)
        return have_ipv6() ? "[::]" : "0.0.0.0";
    return is_number(address, AF_INET6) ? arena_printf(arena, "[%s]", address) : address;
}

int place_find(struct place *place, struct driver *driver, const struct migrate_options *options, struct arena *arena,
               struct error *err)
{
    const char *own = driver->options.migration_address ? driver->options.migration_address : driver->options.hostname;
    *place = (struct place){.host = own};
    if (options->uri) {
        const char *rest = string_after(options->uri, "tcp:");
        if (!rest)
            return error_set(err, ERR_INVALID_ARG, "--migrateuri '%s': only tcp:HOST[:PORT] is possible", options->uri);
        const char *full = string_starts(rest, "//") ? options->uri : arena_printf(arena, "tcp://%s", rest);
        const struct uri *uri = uri_parse(arena, full, err);
        if (!uri)
            return -1;
        if (!uri->host || !*uri->host)
            return error_set(err, ERR_INVALID_ARG, "--migrateuri '%s' names no host", options->uri);
        *place = (struct place){.host = uri->host, .port = uri->port, .told = uri->port != 0};
    }
    place->listen = listen_at(driver, options, place->host, arena);
    return 0;
}

char *place_uri(const struct place *place, struct arena *arena)
{
    return arena_printf(arena, strchr(place->host, ':') ? "tcp:[%s]:%u" : "tcp:%s:%u", place->host, place->port);
}

/* QEMU tells at once whether it has the port: one that somebody else holds is left for the next. */
uint16_t place_take_port(struct migration *migration, const char *listen, place_try *try, struct error *err)
{
    struct driver *driver = migration->domain->driver;
    uint16_t taken[PORTS_TRIED];
    unsigned tried = 0;
    int rc = -1;
    while (tried < PORTS_TRIED && rc < 0) {
        uint16_t port = driver_take_migration_port(driver, err);
        if (!port)
            break;
        taken[tried++] = port;
        rc = try(migration, listen, port, err);
    }
    for (unsigned i = 0; i + (rc == 0) < tried; i++)
        driver_release_migration_port(driver, taken[i]);
    if (rc == 0)
        return taken[tried - 1];
    error_wrap(err, "no port of this host could be listened on for the migration");
    return 0;
}

static int listen_on(struct migration *migration, const char *address, uint16_t port, struct error *err)
{
    scoped_free char *uri = xprintf("tcp:%s:%u", address, port);
    return qmp_execute(migration->domain->qmp, "migrate-incoming", json_pack("{s:s}", "uri", uri), monitor_deadline(),
                       err);
}

int place_listen(struct migration *migration, struct place *place, struct error *err)
{
    if (place->port)
        return listen_on(migration, place->listen, place->port, err);
    migration->port = place->port = place_take_port(migration, place->listen, listen_on, err);
    return place->port ? 0 : -1;
}
