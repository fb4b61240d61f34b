/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include <string.h>

#include "wire_tables.h"

/* Who wants to hear of what, and telling them. The event procedures come from the schema: each class and id has one
 * with a callback id and, for old clients, perhaps one without ("legacy"). */

#define EVENT_IDS 64
#define REGISTRATIONS_MAX 1000 /* of one client: each costs memory, and time with every event */

struct registration {
    struct list link; /* in client->registrations */
    int32_t callback_id;
    enum event_class class;
    int event_id;
    bool legacy;
    bool one_object;
    unsigned char uuid[UUID_SIZE];
    char *event; /* EVENT_CLASS_MONITOR: only events of that name; NULL = all */
};

/* In the order of enum event_class, as the schema names them. */
static const char *const class_names[EVENT_CLASSES] = {"domain", "storage-pool", "secret"};

static const struct wire_procedure *of_class[EVENT_CLASSES][EVENT_IDS], *without_callback[EVENT_IDS];
static const struct wire_procedure *const *const with_callback = of_class[EVENT_CLASS_DOMAIN];

void events_init(void)
{
    for (uint32_t i = 0; i < program_remote.count; i++) {
        const struct wire_procedure *procedure = &program_remote.procedures[i];
        if (!procedure->name || !(procedure->flags & WIRE_EVENT) || procedure->event_id < 0 ||
            procedure->event_id >= EVENT_IDS)
            continue;
        for (int class = 0; class < EVENT_CLASSES; class++)
            if (class_names[class] && string_equal(procedure->event_class, class_names[class]))
                (procedure->flags & WIRE_LEGACY ? without_callback : of_class[class])[procedure->event_id] = procedure;
    }
}

static void registration_free(struct registration *registration)
{
    list_remove(&registration->link);
    free(registration->event);
    free(registration);
}

void events_forget(struct client *client)
{
    list_for_each (struct registration, registration, &client->registrations, link)
        registration_free(registration);
}

static struct registration *registration_new(struct call *call, enum event_class class, int event_id, struct error *err)
{
    unsigned count = 0;
    list_for_each (struct registration, other, &client_of(call->client)->registrations, link)
        count++;
    if (count >= REGISTRATIONS_MAX)
        return error_null(err, ERR_OPERATION_FAILED,
                          "%s: this connection has %u event callbacks, and may have %d; deregister some first",
                          call->procedure->name, count, REGISTRATIONS_MAX);
    struct registration *registration = xcalloc(1, sizeof *registration);
    registration->class = class;
    registration->event_id = event_id;
    registration->callback_id = ++call_daemon(call)->last_callback_id;
    list_append(&client_of(call->client)->registrations, &registration->link);
    return registration;
}

/* -- telling ------------------------------------------------------------------------------------------------------- */

static const struct wire_field *field_named(const struct wire_type *type, const char *name)
{
    for (uint16_t i = 0; i < type->field_count; i++)
        if (strcmp(type->fields[i].name, name) == 0)
            return &type->fields[i];
    return NULL;
}

/* The body without its callback id: the same fields, in a struct that begins with the domain. */
static void *legacy_body(struct arena *arena, int event_id, const char *body)
{
    const struct wire_field *first = field_named(with_callback[event_id]->args, "dom");
    const struct wire_type *type = without_callback[event_id]->args;
    /* the pm events have a reason before the domain, which the legacy form lacks; all others go on alike */
    return arena_memdup(arena, body + first->offset, type->size);
}

struct telling {
    enum event_class class;
    const unsigned char *uuid; /* of the object that it is about */
    int event_id;
    const void *body;
    struct arena *arena;
    struct server_event *event; /* made when the first client wants it */
};

static void tell_client(struct server_client *client, void *context)
{
    struct telling *telling = context;
    list_for_each (struct registration, registration, &client_of(client)->registrations, link) {
        if (registration->class != telling->class || registration->event_id != telling->event_id ||
            (registration->one_object && memcmp(registration->uuid, telling->uuid, UUID_SIZE) != 0))
            continue;
        struct error err = {0};
        if (registration->legacy) {
            server_client_send_event(client, without_callback[telling->event_id],
                                     legacy_body(telling->arena, telling->event_id, telling->body), &err);
            continue;
        }
        if (!telling->event)
            telling->event = server_event_new(of_class[telling->class][telling->event_id], telling->body, &err);
        if (telling->event)
            server_event_send(telling->event, client, registration->callback_id);
    }
}

void events_tell(struct daemon *daemon, enum event_class class, const unsigned char uuid[UUID_SIZE], int event_id,
                 const void *body)
{
    scoped_arena struct arena *arena = arena_new();
    struct telling telling = {class, uuid, event_id, body, arena, NULL};
    server_each_client(daemon->server, tell_client, &telling);
    server_event_free(telling.event);
}

void events_notify(void *owner, struct domain *domain, int event_id, void *body)
{
    struct daemon *daemon = owner;
    const struct wire_field *field = field_named(with_callback[event_id]->args, "dom");
    struct wire_domain *handle = (struct wire_domain *)((char *)body + field->offset);
    handle->name = domain->object.name;
    memcpy(handle->uuid, domain->object.uuid, UUID_SIZE);
    handle->id = domain->object.id;
    events_tell(daemon, EVENT_CLASS_DOMAIN, domain->object.uuid, event_id, body);
}

struct monitor_telling {
    struct domain *domain;
    struct qemu_domain_monitor_event_event body;
};

static void tell_monitor(struct server_client *client, void *context)
{
    struct monitor_telling *telling = context;
    list_for_each (struct registration, registration, &client_of(client)->registrations, link) {
        if (registration->class != EVENT_CLASS_MONITOR ||
            (registration->event && strcmp(registration->event, telling->body.event) != 0) ||
            (registration->one_object &&
             memcmp(registration->uuid, telling->domain->object.uuid, UUID_SIZE) != 0))
            continue;
        telling->body.callback_id = registration->callback_id;
        server_client_send_event(client, &program_qemu.procedures[PROC_QEMU_DOMAIN_MONITOR_EVENT], &telling->body,
                                 NULL);
    }
}

static void wants_monitor(struct server_client *client, void *context)
{
    list_for_each (struct registration, registration, &client_of(client)->registrations, link)
        if (registration->class == EVENT_CLASS_MONITOR)
            *(bool *)context = true;
}

void events_monitor(void *owner, struct domain *domain, const char *name, const json_t *data, int64_t seconds,
                    uint32_t micros)
{
    struct daemon *daemon = owner;
    bool wanted = false;
    server_each_client(daemon->server, wants_monitor, &wanted);
    if (!wanted)
        return; /* hardly ever is, and the text costs */
    scoped_free char *details = data ? json_dumps(data, JSON_COMPACT) : NULL;
    struct monitor_telling telling = {
        .domain = domain,
        .body = {.dom = {.name = domain->object.name, .id = domain->object.id},
                 .event = (char *)name,
                 .seconds = seconds,
                 .micros = micros,
                 .details = details},
    };
    memcpy(telling.body.dom.uuid, domain->object.uuid, UUID_SIZE);
    server_each_client(daemon->server, tell_monitor, &telling);
}

/* -- registering --------------------------------------------------------------------------------------------------- */

static int check_event(struct call *call, int event_id, struct error *err)
{
    if (event_id >= 0 && event_id < EVENT_IDS && with_callback[event_id])
        return 0;
    return error_set(err, ERR_INVALID_ARG, "%s: there is no domain event %d", call->procedure->name, event_id);
}

static void limit_to_domain(struct registration *registration, const struct wire_domain *domain)
{
    registration->one_object = domain;
    if (domain)
        memcpy(registration->uuid, domain->uuid, UUID_SIZE);
}

int handle_connect_domain_event_callback_register_any(
    struct call *call, const struct connect_domain_event_callback_register_any_args *args,
    struct connect_domain_event_callback_register_any_ret *ret, struct error *err)
{
    if (check_event(call, args->event_id, err) < 0)
        return -1;
    if (args->dom) {
        scoped_domain struct domain *domain = call_domain(call, args->dom, err);
        if (!domain)
            return -1;
    }
    struct registration *registration = registration_new(call, EVENT_CLASS_DOMAIN, args->event_id, err);
    if (!registration)
        return -1;
    limit_to_domain(registration, args->dom);
    ret->callback_id = registration->callback_id;
    return 0;
}

int events_register(struct call *call, enum event_class class, int event_id, const unsigned char *uuid,
                    int32_t *callback_id, struct error *err)
{
    if (event_id < 0 || event_id >= EVENT_IDS || !of_class[class][event_id])
        return error_set(err, ERR_INVALID_ARG, "%s: there is no %s event %d", call->procedure->name,
                         class_names[class], event_id);
    struct registration *registration = registration_new(call, class, event_id, err);
    if (!registration)
        return -1;
    registration->one_object = uuid;
    if (uuid)
        memcpy(registration->uuid, uuid, UUID_SIZE);
    *callback_id = registration->callback_id;
    return 0;
}

int events_deregister(struct call *call, enum event_class class, int32_t callback_id, struct error *err)
{
    list_for_each (struct registration, registration, &client_of(call->client)->registrations, link) {
        if (registration->class != class || registration->callback_id != callback_id)
            continue;
        registration_free(registration);
        return 0;
    }
    return error_set(err, ERR_INVALID_ARG, "%s: there is no callback %d", call->procedure->name, callback_id);
}

int handle_connect_domain_event_callback_deregister_any(
    struct call *call, const struct connect_domain_event_callback_deregister_any_args *args, struct error *err)
{
    return events_deregister(call, EVENT_CLASS_DOMAIN, args->callback_id, err);
}

static int register_legacy(struct call *call, int event_id, struct error *err)
{
    struct registration *registration = registration_new(call, EVENT_CLASS_DOMAIN, event_id, err);
    if (!registration)
        return -1;
    registration->legacy = true;
    return 0;
}

int handle_connect_domain_event_register_any(struct call *call,
                                             const struct connect_domain_event_register_any_args *args,
                                             struct error *err)
{
    if (check_event(call, args->event_id, err) < 0)
        return -1;
    if (!without_callback[args->event_id])
        return error_set(err, ERR_INVALID_ARG, "domain event %d has no form without callback id", args->event_id);
    return register_legacy(call, args->event_id, err);
}

static int deregister_legacy(struct call *call, int event_id, struct error *err)
{
    list_for_each (struct registration, registration, &client_of(call->client)->registrations, link)
        if (registration->legacy && registration->event_id == event_id) {
            registration_free(registration);
            return 0;
        }
    return error_set(err, ERR_INVALID_ARG, "%s: domain event %d was not registered", call->procedure->name, event_id);
}

int handle_connect_domain_event_deregister_any(struct call *call,
                                               const struct connect_domain_event_deregister_any_args *args,
                                               struct error *err)
{
    return deregister_legacy(call, args->event_id, err);
}

static int32_t lifecycle_registrations(struct call *call)
{
    int32_t count = 0;
    list_for_each (struct registration, registration, &client_of(call->client)->registrations, link)
        count += registration->legacy && registration->event_id == DOMAIN_EVENT_ID_LIFECYCLE;
    return count;
}

int handle_connect_domain_event_register(struct call *call, struct connect_domain_event_register_ret *ret,
                                         struct error *err)
{
    if (register_legacy(call, DOMAIN_EVENT_ID_LIFECYCLE, err) < 0)
        return -1;
    ret->cb_registered = lifecycle_registrations(call);
    return 0;
}

int handle_connect_domain_event_deregister(struct call *call, struct connect_domain_event_deregister_ret *ret,
                                           struct error *err)
{
    if (deregister_legacy(call, DOMAIN_EVENT_ID_LIFECYCLE, err) < 0)
        return -1;
    ret->cb_registered = lifecycle_registrations(call);
    return 0;
}

int handle_qemu_connect_domain_monitor_event_register(
    struct call *call, const struct qemu_connect_domain_monitor_event_register_args *args,
    struct qemu_connect_domain_monitor_event_register_ret *ret, struct error *err)
{
    if (args->flags)
        return error_set(err, ERR_ARGUMENT_UNSUPPORTED,
                         "monitor events are chosen by their exact name here; patterns (flags 0x%x) are not supported",
                         args->flags);
    struct registration *registration = registration_new(call, EVENT_CLASS_MONITOR, -1, err);
    if (!registration)
        return -1;
    limit_to_domain(registration, args->dom);
    registration->event = args->event ? xstrdup(args->event) : NULL;
    ret->callback_id = registration->callback_id;
    return 0;
}

int handle_qemu_connect_domain_monitor_event_deregister(
    struct call *call, const struct qemu_connect_domain_monitor_event_deregister_args *args, struct error *err)
{
    return events_deregister(call, EVENT_CLASS_MONITOR, args->callback_id, err);
}
