/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "base/fiber.h"
#include "base/log.h"
#include "rpc/server_internal.h"

#define DEFAULT_MAX_CLIENTS  5000
#define DEFAULT_MAX_REQUESTS 5
#define DEFAULT_MAX_QUEUE    (16 * 1024 * 1024)
#define SCRATCH_KEEP         (256 * 1024)
#define ACCEPT_BATCH         16
#define ACCEPT_RETRY_MS      500
#define USER_CLIENTS_LEAST   20
#define REFUSALS_LOGGED_S    10 /* one line in so many seconds: refusing must cost less than connecting */

struct listener {
    struct list link;
    struct server *server;
    int fd;
    struct watch *watch;
    bool readonly;
    char *path; /* of a socket file of ours */
};

/* -- accepting ----------------------------------------------------------------------------------------------------- */

static bool has_room(const struct listener *listener)
{
    const struct server *server = listener->server;
    uint32_t most = server->options.max_clients;
    return server->client_count < (listener->readonly ? most - most / 10 : most) && !server->accept_retry;
}

static void update_accepting(struct server *server)
{
    for (struct list *link = server->listeners.next; link != &server->listeners; link = link->next) {
        struct listener *listener = container_of(link, struct listener, link);
        watch_set(listener->watch, has_room(listener) ? UV_READABLE : 0);
    }
}

void server_client_arrived(struct server *server)
{
    server->client_count++;
    update_accepting(server);
}

void server_client_left(struct server *server)
{
    server->client_count--;
    update_accepting(server);
}

static void accept_again(void *owner)
{
    struct server *server = owner;
    timer_free(steal(server->accept_retry));
    update_accepting(server);
}

static void format_address(const struct sockaddr_storage *address, char *to, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "127.0.0.1";
    unsigned port = 0;
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)address;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        port = ntohs(v4->sin_port);
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)address;
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        port = ntohs(v6->sin6_port);
    }
    snprintf(to, size, "%s;%u", host, port);
}

static void describe_peer(struct server *server, int fd, struct server_peer *peer)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    struct ucred credentials;
    socklen_t credentials_size = sizeof credentials;
    getpeername(fd, (struct sockaddr *)&address, &length);
    *peer = (struct server_peer){.id = ++server->last_id, .connected_at = time(NULL), .pid = -1};
    peer->is_unix = address.ss_family == AF_UNIX &&
                    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &credentials_size) == 0;
    if (peer->is_unix) {
        peer->pid = credentials.pid;
        peer->uid = credentials.uid;
        peer->gid = credentials.gid;
    } else {
        /* replies are whole messages: waiting for more to send only costs time; fails harmlessly elsewhere */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int)); /* hosts die without a word */
    }
    format_address(&address, peer->address, sizeof peer->address);
}

struct server_client *server_adopt(struct server *server, int fd, bool readonly)
{
    struct server_peer peer;
    describe_peer(server, fd, &peer);
    return server_client_new(server, fd, readonly, &peer);
}

/* One user must not take the places of all others. */
static bool has_too_many(struct server *server, const struct server_peer *peer)
{
    uint32_t share = server->options.max_clients / 10, count = 0;
    if (share < USER_CLIENTS_LEAST)
        share = USER_CLIENTS_LEAST;
    if (!peer->is_unix || peer->uid == 0 || peer->uid == geteuid())
        return false;
    for (struct list *link = server->clients.next; link != &server->clients; link = link->next) {
        const struct server_peer *other = &container_of(link, struct server_client, link)->peer;
        count += other->is_unix && other->uid == peer->uid;
    }
    if (count < share)
        return false;
    if (now_ns() >= server->next_refusal_ns)
        log_warning("user %u has %u connections: no more are accepted", peer->uid, count);
    server->next_refusal_ns = now_ns() + REFUSALS_LOGGED_S * UINT64_C(1000000000);
    return true;
}

static void welcome(struct listener *listener, int fd)
{
    struct server_peer peer;
    describe_peer(listener->server, fd, &peer);
    if (has_too_many(listener->server, &peer))
        close(fd);
    else
        server_client_new(listener->server, fd, listener->readonly, &peer);
}

static void accept_ready(void *owner, int events)
{
    struct listener *listener = owner;
    struct server *server = listener->server;
    for (int i = 0; i < ACCEPT_BATCH && has_room(listener); i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            welcome(listener, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            /* the connection stays in the backlog; asking for it again at once would only burn time */
            log_warning("cannot accept a client: %s; trying again in %d ms", strerror(errno), ACCEPT_RETRY_MS);
            server->accept_retry = timer_new(ACCEPT_RETRY_MS, 0, accept_again, server);
            update_accepting(server);
        }
        return;
    }
}

/* -- sockets ------------------------------------------------------------------------------------------------------- */

static void listener_free(struct listener *listener)
{
    list_remove(&listener->link);
    watch_free(listener->watch);
    close(listener->fd);
    if (listener->path)
        unlink(listener->path);
    free(listener->path);
    free(listener);
}

/* Takes the descriptor over. */
static int listen_fd(struct server *server, int fd, bool readonly, struct error *err)
{
    if (listen(fd, 128) < 0) {
        error_system(err, errno, "cannot listen on descriptor %d", fd);
        close(fd);
        return -1;
    }
    struct listener *listener = xcalloc(1, sizeof *listener);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    listener->server = server;
    listener->fd = fd;
    listener->readonly = readonly;
    listener->watch = watch_new(fd, UV_READABLE, accept_ready, listener);
    list_append(&server->listeners, &listener->link);
    return 0;
}

int server_listen_unix(struct server *server, const char *path, mode_t mode, bool readonly, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat old;
    if (strlen(path) >= sizeof address.sun_path)
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "cannot listen on '%s': a socket's path has at most %zu bytes",
                         path, sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path));
    if (lstat(path, &old) == 0 && !S_ISSOCK(old.st_mode))
        return error_set(err, ERR_OPERATION_FAILED, "cannot listen on '%s': a file that is no socket is in the way",
                         path);
    unlink(path);
    scoped_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_system(err, errno, "cannot make a socket for '%s'", path);
    mode_t mask = umask(0777 & ~mode); /* chmod() afterwards would leave it open to others for a moment */
    int rc = bind(fd, (struct sockaddr *)&address, sizeof address);
    int errnum = errno;
    umask(mask);
    if (rc < 0)
        return error_system(err, errnum, "cannot listen on '%s'", path);
    if (listen_fd(server, steal_fd(&fd), readonly, err) < 0)
        return -1;
    container_of(server->listeners.prev, struct listener, link)->path = xstrdup(path);
    return 0;
}

/* Cuts "host:port" or "[host]:port" in place. */
static int split_address(char *address, char **host, char **port)
{
    char *colon = strrchr(address, ':');
    if (!colon || !colon[1])
        return -1;
    *colon = '\0';
    *host = address;
    *port = colon + 1;
    size_t length = strlen(address);
    if (address[0] == '[' && address[length - 1] == ']') {
        address[length - 1] = '\0';
        *host = address + 1;
    }
    return 0;
}

static int listen_on(struct server *server, const struct addrinfo *info, struct error *err)
{
    scoped_fd int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_system(err, errno, "cannot make a socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (info->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int));
    if (bind(fd, info->ai_addr, info->ai_addrlen) < 0)
        return error_system(err, errno, "cannot bind");
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    if (getsockname(fd, (struct sockaddr *)&bound, &length) == 0)
        server->tcp_port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                             : ((struct sockaddr_in *)&bound)->sin_port);
    return listen_fd(server, steal_fd(&fd), false, err);
}

int server_listen_tcp(struct server *server, const char *address, struct error *err)
{
    scoped_free char *copy = xstrdup(address);
    char *host, *port;
    if (split_address(copy, &host, &port) < 0)
        return error_set(err, ERR_INVALID_ARG, "cannot listen on '%s': it must be ADDRESS:PORT or [ADDRESS]:PORT",
                         address);
    uint32_t number;
    if (parse_u32(port, 10, &number) < 0 || number > UINT16_MAX)
        return error_set(err, ERR_INVALID_ARG, "cannot listen on '%s': the port must be a number from 0 (any) to 65535",
                         address);
    struct addrinfo *found;
    struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    int rc = getaddrinfo(*host ? host : NULL, port, &hints, &found);
    if (rc != 0)
        return error_set(err, ERR_INVALID_ARG, "cannot listen on '%s': %s", address, gai_strerror(rc));
    rc = 0;
    for (const struct addrinfo *info = found; info && rc == 0; info = info->ai_next)
        rc = listen_on(server, info, err);
    freeaddrinfo(found);
    return rc < 0 ? error_wrap(err, "cannot listen on '%s'", address) : 0;
}

uint16_t server_tcp_port(const struct server *server)
{
    return server->tcp_port;
}

/* -- life ---------------------------------------------------------------------------------------------------------- */

struct server *server_new(const struct server_options *options)
{
    struct server *server = xcalloc(1, sizeof *server);
    server->options = *options;
    if (!options->max_clients)
        server->options.max_clients = DEFAULT_MAX_CLIENTS;
    if (!options->max_client_requests)
        server->options.max_client_requests = DEFAULT_MAX_REQUESTS;
    if (!options->max_queue)
        server->options.max_queue = DEFAULT_MAX_QUEUE;
    list_init(&server->listeners);
    list_init(&server->clients);
    return server;
}

void server_stop_listening(struct server *server)
{
    while (!list_empty(&server->listeners))
        listener_free(container_of(server->listeners.next, struct listener, link));
}

void server_free(struct server *server)
{
    if (!server)
        return;
    server_stop_listening(server);
    timer_free(server->accept_retry);
    for (struct list *link = server->clients.next, *next; link != &server->clients; link = next) {
        struct server_client *client = container_of(link, struct server_client, link);
        next = link->next;
        call_cancel_all(client);
        client->closed = true;
        connection_free(steal(client->connection));
        server_client_settle(client);
    }
    text_finish(&server->scratch);
    if (list_empty(&server->clients)) /* the calls that are left have still to look at it */
        free(server);
}

void *server_owner(const struct server *server)
{
    return server->options.owner;
}

size_t server_client_count(const struct server *server)
{
    return server->client_count;
}

void server_each_client(struct server *server, void (*visit)(struct server_client *client, void *context),
                        void *context)
{
    for (struct list *link = server->clients.next, *next; link != &server->clients; link = next) {
        next = link->next;
        visit(container_of(link, struct server_client, link), context);
    }
}

void server_scratch_trim(struct server *server)
{
    if (server->scratch.capacity > SCRATCH_KEEP)
        text_finish(&server->scratch);
    else
        text_clear(&server->scratch);
}
