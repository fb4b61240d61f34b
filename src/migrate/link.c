/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/link.h"

#include <endian.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fiber.h"
#include "migrate/facts.h"
#include "migrate/place.h"
#include "rpc/transport.h"

enum {
    LISTEN_MS = 10000,  /* for the source to come */
    CONNECT_MS = 3000,
    RESOLVE_MS = 2000,
    ANSWER_MS = 3000,
    MEASURE_MS = 300,
    PIECE = 256 * 1024, /* sent or received at once: the loop serves others in between */
    PORTS_TRIED = 16,
    TOKEN_SIZE = UUID_STRING_SIZE - 1,
};
#define MEASURE_MAX (UINT64_C(1) << 30) /* bytes */

/* Both sides say the token first. Then the source sends as much as it likes and closes its half; the destination
 * answers with the number of bytes that came, as 8 bytes, big-endian. */

/* -- bytes --------------------------------------------------------------------------------------------------------- */

static int receive_all(int fd, void *data, size_t length, deadline until, struct error *err)
{
    for (char *at = data; length;) {
        ssize_t got = recv(fd, at, length, MSG_DONTWAIT);
        if (got == 0)
            return error_set(err, ERR_SYSTEM_ERROR, "the other side closed the connection");
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            return error_system(err, errno, "the connection broke");
        if (got < 0) {
            if (await_fd(fd, POLLIN, until, err) < 0)
                return -1;
            continue;
        }
        at += got;
        length -= (size_t)got;
    }
    return 0;
}

static int send_all(int fd, const void *data, size_t length, deadline until, struct error *err)
{
    for (const char *at = data; length;) {
        ssize_t put = send(fd, at, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (put < 0 && errno != EAGAIN && errno != EINTR)
            return error_system(err, errno, "the connection broke");
        if (put < 0) {
            if (await_fd(fd, POLLOUT, until, err) < 0)
                return -1;
            continue;
        }
        at += put;
        length -= (size_t)put;
    }
    return 0;
}

/* -- the destination ----------------------------------------------------------------------------------------------- */

struct listener {
    struct driver *driver;
    int fd;
    uint16_t port; /* of the driver's range; 0 = none */
    char token[UUID_STRING_SIZE];
};

static int count_bytes(int fd, deadline until, uint64_t *count, struct error *err)
{
    scoped_free char *piece = xcalloc(1, PIECE);
    for (*count = 0; *count <= MEASURE_MAX;) {
        ssize_t got = recv(fd, piece, PIECE, MSG_DONTWAIT);
        if (got == 0)
            return 0;
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            return error_system(err, errno, "the connection broke");
        if (got > 0)
            *count += (uint64_t)got;
        /* also when there is more: others are waiting too */
        if (await_fd(fd, POLLIN, until, err) < 0)
            return -1;
    }
    return 0;
}

/* True when it was the source, whatever became of it. */
static bool serve(const struct listener *listener, int fd)
{
    deadline until = deadline_ms(ANSWER_MS);
    char token[TOKEN_SIZE];
    uint64_t count = 0;
    struct error err;
    if (receive_all(fd, token, sizeof token, until, &err) < 0 || memcmp(token, listener->token, sizeof token) != 0)
        return false;
    if (send_all(fd, listener->token, TOKEN_SIZE, until, &err) == 0 && count_bytes(fd, until, &count, &err) == 0) {
        count = htobe64(count);
        send_all(fd, &count, sizeof count, until, &err);
    }
    return true;
}

static void listen_fiber(void *argument)
{
    struct listener *listener = argument;
    deadline until = deadline_ms(LISTEN_MS);
    bool served = false;
    while (!served && await_fd(listener->fd, POLLIN, until, NULL) >= 0) {
        scoped_fd int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            served = serve(listener, fd);
    }
    close(listener->fd);
    driver_release_migration_port(listener->driver, listener->port);
    free(listener);
}

/* address as place.h gives it: in brackets when IPv6. */
static int listen_on(const char *address, uint16_t port, struct error *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST |
        AI_NUMERICSERV};
    char host[64], service[8];
    struct addrinfo *found = NULL;
    snprintf(host, sizeof host, "%s", *address == '[' ? address + 1 : address);
    host[strcspn(host, "]")] = '\0';
    snprintf(service, sizeof service, "%u", port);
    int failed = getaddrinfo(host, service, &hints, &found); /* a number: nobody is asked */
    if (failed)
        return error_set(err, ERR_INVALID_ARG, "cannot listen on '%s': %s", host, gai_strerror(failed));
    scoped_fd int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int rc = fd < 0 ? -1 : 0;
    if (rc == 0) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
        rc = bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, 4) < 0 ? -1 : 0;
    }
    int errnum = errno;
    freeaddrinfo(found);
    return rc < 0 ? error_system(err, errnum, "cannot listen on %s port %u", host, port) : steal_fd(&fd);
}

/* A port that somebody else holds is left for the next, as a migration does. */
static int listen_somewhere(struct driver *driver, const struct place *place, uint16_t *port, struct error *err)
{
    uint16_t taken[PORTS_TRIED];
    unsigned tried = 0;
    int fd = -1;
    if (place->port) {
        *port = place->port;
        return listen_on(place->listen, place->port, err);
    }
    while (fd < 0 && tried < PORTS_TRIED && (*port = driver_take_migration_port(driver, err))) {
        fd = listen_on(place->listen, *port, err);
        taken[tried++] = *port;
    }
    for (unsigned i = 0; i + (fd >= 0) < tried; i++)
        driver_release_migration_port(driver, taken[i]);
    return fd;
}

json_t *link_listen(struct driver *driver, const struct migrate_options *options)
{
    scoped_arena struct arena *arena = arena_new();
    struct error err;
    struct place place;
    uint16_t port;
    int fd = place_find(&place, driver, options, arena, &err) < 0 ? -1
                                                                  : listen_somewhere(driver, &place, &port, &err);
    if (fd < 0)
        return json_pack("{s:s}", "error", err.message);
    unsigned char random[UUID_SIZE];
    struct listener *listener = xcalloc(1, sizeof *listener);
    /* a port that the caller named is not one of those that we gave out */
    *listener = (struct listener){.driver = driver, .fd = fd, .port = place.port ? 0 : port};
    uuid_random(random);
    uuid_format(random, listener->token);
    json_t *told = json_pack("{s:s, s:i, s:s}", "host", place.host, "port", port, "token", listener->token);
    fiber_start("link listener", listen_fiber, listener);
    return told;
}

/* -- names --------------------------------------------------------------------------------------------------------- */

struct resolution {
    char host[NI_MAXHOST];
    struct addrinfo *found;
    int result;
};

static void resolve(void *argument)
{
    struct resolution *resolution = argument;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    resolution->result = getaddrinfo(resolution->host, NULL, &hints, &resolution->found);
}

static void resolution_free(void *argument)
{
    struct resolution *resolution = argument;
    if (resolution->found)
        freeaddrinfo(resolution->found);
    free(resolution);
}

json_t *link_resolve(const char *host, uint64_t timeout_ms)
{
    struct resolution *resolution = xcalloc(1, sizeof *resolution);
    snprintf(resolution->host, sizeof resolution->host, "%s", host);
    if (await_work(resolve, resolution_free, resolution, deadline_ms(timeout_ms), NULL) < 0)
        return json_pack("{s:s}", "error", "no name server answers");
    json_t *addresses = json_array();
    for (const struct addrinfo *one = resolution->found; one; one = one->ai_next) {
        char text[NI_MAXHOST];
        if (getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0)
            json_array_append_new(addresses, json_string(text));
    }
    json_t *answer = resolution->result ? json_pack("{s:s}", "error", gai_strerror(resolution->result))
                                        : json_pack("{s:O}", "addresses", addresses);
    json_decref(addresses);
    resolution_free(resolution);
    return answer;
}

/* -- the source ---------------------------------------------------------------------------------------------------- */

/* Sends for a moment; how fast it was received, in bytes a second. */
static int measure(int fd, uint64_t *rate, struct error *err)
{
    scoped_free char *piece = xcalloc(1, PIECE);
    uint64_t begin = now_ns(), sent = 0, count;
    deadline end = deadline_ms(MEASURE_MS);
    while (now_ns() < end && sent < MEASURE_MAX) {
        if (send_all(fd, piece, PIECE, deadline_ms(ANSWER_MS), err) < 0 ||
            await_fd(fd, POLLOUT, deadline_ms(ANSWER_MS), err) < 0)
            return -1;
        sent += PIECE;
    }
    shutdown(fd, SHUT_WR);
    if (receive_all(fd, &count, sizeof count, deadline_ms(ANSWER_MS), err) < 0)
        return -1;
    uint64_t took = now_ns() - begin;
    *rate = be64toh(count) * 1000 / (took / 1000000 ?: 1);
    return 0;
}

static int talk(const char *host, uint16_t port, const char *token, bool with_rate, uint64_t *rate, struct error *err)
{
    char answer[TOKEN_SIZE];
    scoped_fd int fd = transport_tcp(host, port, deadline_ms(CONNECT_MS), err);
    if (fd < 0 || send_all(fd, token, TOKEN_SIZE, deadline_ms(ANSWER_MS), err) < 0 ||
        receive_all(fd, answer, sizeof answer, deadline_ms(ANSWER_MS), err) < 0)
        return -1;
    if (memcmp(answer, token, sizeof answer) != 0)
        return error_set(err, ERR_OPERATION_FAILED, "somebody else answers there");
    return with_rate ? measure(fd, rate, err) : 0;
}

json_t *link_test(const char *host, uint16_t port, const char *token, bool with_rate)
{
    struct error err;
    uint64_t rate = 0;
    json_t *link = link_resolve(host, RESOLVE_MS);
    const char *unresolved = fact_text(link, "error");
    if (unresolved) {
        json_object_set_new(link, "unresolved", json_string(unresolved));
        json_object_del(link, "error");
        return link;
    }
    bool connected = strlen(token) == TOKEN_SIZE && talk(host, port, token, with_rate, &rate, &err) == 0;
    json_object_set_new(link, "connected", json_boolean(connected));
    if (!connected)
        facts_put(link, "error", strlen(token) == TOKEN_SIZE ? err.message : "the destination's answer makes no sense");
    facts_put_number(link, "bandwidth_bps", rate);
    return link;
}
