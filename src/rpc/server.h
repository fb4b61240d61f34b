/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/list.h"
#include "rpc/wire.h"

/* The serving side of the wire protocol: sockets, clients, and a fiber for each call. A whole server:
 *
 *     #include "handlers.h"               // generated: prototypes and remote_handlers[]
 *     #include "rpc/server.h"
 *     #include "wire_tables.h"            // generated: program_remote
 *
 *     int handle_connect_get_hostname(struct call *call, struct connect_get_hostname_ret *ret, struct error *err)
 *     {
 *         ret->hostname = arena_strdup(call->arena, "host-a");   // results live in the call's arena, or longer
 *         return 0;                                              // or error_set(err, ...), which becomes the reply
 *     }
 *
 *     static const struct server_program programs[] = {{&program_remote, remote_handlers}, {0}};
 *     struct server *server = server_new(&(struct server_options){.programs = programs});
 *     if (server_listen_unix(server, "/run/libvirt/libvirt-sock", 0660, false, err) < 0 ||
 *         server_listen_unix(server, "/run/libvirt/libvirt-sock-ro", 0666, true, err) < 0 ||
 *         server_listen_tcp(server, "127.0.0.1:16509", err) < 0)
 *         return -1;
 *     loop_run();
 *     server_free(server);
 *
 * Objects with handlers must be linked into the program directly or with link_whole (see handlers.h).
 * Handlers run in a fiber of their own and may wait; they are cancelled (fiber_cancel) when their client goes away, and
 * fiber_shield() keeps an operation whole that must not be cut. call->client stays valid until the handler returns.
 * What a handler returns is encoded at once after its return, so results may point into objects that cannot change
 * before. Everything runs on the loop's thread. */
struct server;
struct server_client;
struct stream;

struct server_program {
    const struct wire_program *wire;      /* NULL ends the list */
    const struct wire_handler *handlers;  /* by procedure number */
};

/* One call on its way through a handler. */
struct call {
    struct server *server;
    struct server_client *client;
    struct arena *arena;                     /* freed after the reply was sent */
    const struct wire_procedure *procedure;
    uint32_t serial;
    int *fds;                                /* that came with the call; closed after it unless set to -1 */
    size_t fd_count;
};

struct server_options {
    const struct server_program *programs;
    void *owner;                 /* server_owner() */
    /* 0 = 5000; above it connections wait to be accepted. The last tenth is kept from read-only sockets, and a user who
     * is neither root nor the server's own may have a tenth, but always 20: more are closed at once. */
    uint32_t max_clients;
    uint32_t max_client_requests; /* 0 = 5; calls of one client that are worked on at once, the next ones wait */
    uint32_t keepalive_interval_s; /* ask silent clients that can do it every so often; 0 = never */
    uint32_t keepalive_count;      /* drop them after so many unanswered questions */
    size_t max_queue;              /* 0 = 16 MiB; a client that leaves more unread than this is dropped */
    /* Any of these may be NULL. They run on the loop's stack: no waiting. */
    void (*client_opened)(struct server_client *client);
    void (*client_closed)(struct server_client *client); /* its calls are cancelled already, but may not have ended */
    /* In the call's fiber, before the handler: may refuse (e.g. calls before connect-open). */
    int (*admit)(struct call *call, const void *args, struct error *err);
    /* For each access rule of the procedure whose condition holds. NULL = everybody may do everything. */
    int (*access)(struct call *call, const struct wire_access *rule, const void *args, struct error *err);
};

/* The options are copied, what they point to is not. It listens nowhere yet. */
struct server *server_new(const struct server_options *options);
/* Closes what is open. For an orderly end: server_stop_listening(), server_client_close() for each client, and run the
 * loop until server_client_count() is 0. A call that still waits then is cancelled, and its client is left to the end
 * of the process. Never from a handler. NULL is fine. */
void server_free(struct server *server);
void *server_owner(const struct server *server);

/* A socket file; an old one of that name is replaced. mode is of the file. */
int server_listen_unix(struct server *server, const char *path, mode_t mode, bool readonly, struct error *err);
/* "ADDRESS:PORT" or "[ADDRESS]:PORT"; port 0 takes any free one: server_tcp_port() says which. */
int server_listen_tcp(struct server *server, const char *address, struct error *err);
uint16_t server_tcp_port(const struct server *server); /* of the last TCP socket */
/* A connection that is already there (a socket pair in tests); taken over. */
struct server_client *server_adopt(struct server *server, int fd, bool readonly);
/* No more clients: closes the listening sockets. */
void server_stop_listening(struct server *server);

size_t server_client_count(const struct server *server);
/* Calls visit() for each client; it may close that client. */
void server_each_client(struct server *server, void (*visit)(struct server_client *client, void *context),
                        void *context);

/* -- clients ------------------------------------------------------------------------------------------------------- */

/* Who is at the other end. */
struct server_peer {
    uint64_t id;            /* 1, 2, ... in the order of connecting */
    int64_t connected_at;   /* seconds since 1970 */
    bool is_unix;           /* then pid, uid and gid are known */
    pid_t pid;
    uid_t uid;
    gid_t gid;
    char address[64];       /* "127.0.0.1;54321" of a TCP client, else "127.0.0.1;0" */
};
const struct server_peer *server_client_peer(const struct server_client *client);
struct server *server_client_server(const struct server_client *client);
/* "pid 4711 (virsh)" or "127.0.0.1;54321", for messages that name who holds a job. */
char *server_client_describe(const struct server_client *client, struct arena *arena);

/* The daemon's own part of a client. release(data) runs when the client is gone and its last call has ended. */
void server_client_set_data(struct server_client *client, void *data, void (*release)(void *data));
void *server_client_data(const struct server_client *client);

void server_client_set_readonly(struct server_client *client); /* for connect-open's flag; there is no way back */
bool server_client_is_closed(const struct server_client *client);
/* For daemons that ask for authentication: clients start authenticated unless this is set false in client_opened. */
void server_client_set_authenticated(struct server_client *client, bool authenticated);
/* The client asked feature 10: it answers pings, so the server may send them from now on. */
void server_client_start_keepalive(struct server_client *client);
/* Closes once everything queued (the reply of the running call too) is sent. From any context. */
void server_client_close(struct server_client *client);
/* Outstanding and waiting calls of this client. */
uint32_t server_client_calls(const struct server_client *client);

/* -- inside a handler ---------------------------------------------------------------------------------------------- */

/* The stream of a `stream=` call, owned by the caller; see rpc/stream.h. NULL with err when the call has none, or when
 * the client has too many open. */
struct stream *call_open_stream(struct call *call, struct error *err);
/* Sends fd with the reply (at most 32); taken over at once, closed after the sending or the failure of the call. */
int call_send_fd(struct call *call, int fd, struct error *err);

/* -- events -------------------------------------------------------------------------------------------------------- */

/* Queues an event; never waits. A client that does not read is dropped at max_queue. */
int server_client_send_event(struct server_client *client, const struct wire_procedure *procedure, const void *event,
                             struct error *err);

/* The same for many clients: encoded once, then sent with each one's callback id in its first field. */
struct server_event;
struct server_event *server_event_new(const struct wire_procedure *procedure, const void *event, struct error *err);
void server_event_send(struct server_event *event, struct server_client *client, int32_t callback_id);
void server_event_free(struct server_event *event);
