/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/options.h"
#include "handlers.h"
#include "qemu/domain.h"
#include "rpc/params.h"
#include "rpc/server.h"
#include "secret/secret.h"
#include "storage/pool.h"
#include "wire_types.h"

/* godwitd: all state there is hangs off this struct. Handlers (one file per kind of call) decode nothing and know no
 * sockets: they find the object, call the driver, and fill the reply. */
struct daemon {
    struct options *options;
    struct driver *driver;
    struct secrets *secrets;
    struct storage *storage;
    struct qemu_host *host; /* made when first asked for: call_host() */
    struct server *server;
    struct list image_works; /* godwit_image.c: what runs */
    int32_t last_callback_id;
    int exit_status;
    bool ending; /* a signal has asked for it */
};

static inline struct daemon *call_daemon(const struct call *call)
{
    return server_owner(call->server);
}
static inline struct driver *call_driver(const struct call *call)
{
    return call_daemon(call)->driver;
}

/* The domain that a handle means (by UUID), as a reference: scoped_domain struct domain *domain = call_domain(...). */
struct domain *call_domain(const struct call *call, const struct wire_domain *handle, struct error *err);
/* The same, and it must be active. */
struct domain *call_active_domain(const struct call *call, const struct wire_domain *handle, struct error *err);
#define AFFECT (DOMAIN_AFFECT_LIVE | DOMAIN_AFFECT_CONFIG)
/* The definition that DOMAIN_AFFECT_* mean to a question; both at once is ERR_INVALID_ARG, and so are flags that are
 * neither these nor in `more`. It lives as long as *domain, a reference for the caller (also on failure, or NULL). */
const struct domain_def *call_def(const struct call *call, const struct wire_domain *handle, unsigned flags,
                                  unsigned more, struct domain **domain, struct error *err);
/* Who asks, for messages; in the call's arena. */
const char *call_client(const struct call *call);
/* ERR_INVALID_ARG naming the first bit that the call does not know. */
int call_flags(const struct call *call, unsigned flags, unsigned known, struct error *err);
/* The handle of a domain; the name is copied into the call's arena. */
struct wire_domain wire_domain_of(const struct call *call, const struct domain *domain);
/* Takes a string from malloc into the call's arena; NULL stays NULL. */
const char *call_keep(const struct call *call, char *string);

/* domain_lookup.c: whether a domain is in the list that CONNECT_LIST_DOMAINS_* flags ask for. */
bool domain_passes(const struct domain *domain, unsigned flags);

/* host_connect.c: this host and its emulators. */
struct qemu_host *call_host(const struct call *call);

/* connect.c: a client's state. */
struct client {
    bool opened;
    bool knows_callbacks;      /* asked feature 14: event with callback ids */
    struct list registrations; /* events.c */
};
struct client *client_of(struct server_client *client);
void client_opened(struct server_client *client);
void client_closed(struct server_client *client);
int call_admit(struct call *call, const void *args, struct error *err);

/* storage_pool.c, storage_volume.c: the pool or volume that a handle means, as a reference. */
struct pool *call_pool(const struct call *call, const struct wire_storage_pool *handle, struct error *err);
/* Waits: the pool is active, and its volumes are known. */
struct volume *call_volume(const struct call *call, const struct wire_storage_vol *handle, struct error *err);
struct wire_storage_pool wire_pool_of(const struct call *call, const struct pool *pool);
struct wire_storage_vol wire_volume_of(const struct call *call, const struct volume *volume);
/* secret.c: whoever listens hears of them. */
void secrets_wire(struct daemon *daemon);
/* storage_domain.c: what domains and storage ask of each other. */
void storage_wire(struct daemon *daemon);

/* events.c */
enum event_class {
    EVENT_CLASS_DOMAIN,
    EVENT_CLASS_STORAGE_POOL,
    EVENT_CLASS_SECRET,
    EVENT_CLASS_MONITOR,
    EVENT_CLASSES
};
/* Tells the clients that registered for it. body is the generated struct of the event's callback form. */
void events_tell(struct daemon *daemon, enum event_class class, const unsigned char uuid[UUID_SIZE], int event_id,
                 const void *body);
/* uuid: of the only object of interest, or NULL. */
int events_register(struct call *call, enum event_class class, int event_id, const unsigned char *uuid,
                    int32_t *callback_id, struct error *err);
int events_deregister(struct call *call, enum event_class class, int32_t callback_id, struct error *err);
void events_init(void);
void events_forget(struct client *client);
void events_notify(void *daemon, struct domain *domain, int event_id, void *body);
void events_monitor(void *daemon, struct domain *domain, const char *name, const json_t *data, int64_t seconds,
                    uint32_t micros);
