/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include <string.h>

/* Secrets: definitions and values. */

#define each_secret(object, call)                                                                           \
    (struct object *object = registry_first(&call_daemon(call)->secrets->registry); object;                 \
     object = registry_next(object))

static struct secret *call_secret(const struct call *call, const struct wire_secret *handle, struct error *err)
{
    struct secret *secret = secret_find_uuid(call_daemon(call)->secrets, handle->uuid, err);
    return secret ? secret_of(object_ref(&secret->object)) : NULL;
}

static struct wire_secret wire_secret_of(struct arena *arena, struct secret *secret)
{
    const struct secret_def *def = secret_def(secret, NULL);
    struct wire_secret handle = {.usage_type = def ? secret_usage_type(def) : 0,
                                 .usage_id = arena_strdup(arena, def ? secret_usage_id(def) : "")};
    memcpy(handle.uuid, secret->object.uuid, UUID_SIZE);
    return handle;
}

static int found(struct call *call, struct secret *secret, struct wire_secret *handle)
{
    if (!secret)
        return -1;
    *handle = wire_secret_of(call->arena, secret);
    return 0;
}

/* -- finding ------------------------------------------------------------------------------------------------------- */

int handle_secret_lookup_by_uuid(struct call *call, const struct secret_lookup_by_uuid_args *args,
                                 struct secret_lookup_by_uuid_ret *ret, struct error *err)
{
    return found(call, secret_find_uuid(call_daemon(call)->secrets, args->uuid, err), &ret->secret);
}

int handle_secret_lookup_by_usage(struct call *call, const struct secret_lookup_by_usage_args *args,
                                  struct secret_lookup_by_usage_ret *ret, struct error *err)
{
    return found(call, secret_find_usage(call_daemon(call)->secrets, args->usage_type, args->usage_id, err),
                 &ret->secret);
}

int handle_connect_num_of_secrets(struct call *call, struct connect_num_of_secrets_ret *ret, struct error *err)
{
    for each_secret (object, call)
        ret->num++;
    return 0;
}

int handle_connect_list_secrets(struct call *call, const struct connect_list_secrets_args *args,
                                struct connect_list_secrets_ret *ret, struct error *err)
{
    struct connect_num_of_secrets_ret all = {0};
    if (args->maxuuids < 0)
        return error_set(err, ERR_INVALID_ARG, "a list of %d secrets cannot be", args->maxuuids);
    handle_connect_num_of_secrets(call, &all, err);
    ret->uuids = arena_new_array(call->arena, (size_t)all.num, __typeof__(*ret->uuids));
    for each_secret (object, call)
        if (ret->uuids_count < (uint32_t)args->maxuuids)
            ret->uuids[ret->uuids_count++] = arena_strdup(call->arena, object->name); /* which is its UUID */
    return 0;
}

/* Flags of one pair are alternatives. */
static bool passes(struct object *object, unsigned flags)
{
    const struct secret_def *def = object_def(object, NULL);
    const struct {
        unsigned yes, no;
        bool value;
    } pairs[] = {
        {CONNECT_LIST_SECRETS_EPHEMERAL, CONNECT_LIST_SECRETS_NO_EPHEMERAL, object_active(object)},
        {CONNECT_LIST_SECRETS_PRIVATE, CONNECT_LIST_SECRETS_NO_PRIVATE, def && def->private == YESNO_YES},
    };
    for (size_t i = 0; i < COUNT(pairs); i++)
        if (flags & (pairs[i].yes | pairs[i].no) && !(flags & (pairs[i].value ? pairs[i].yes : pairs[i].no)))
            return false;
    return true;
}

int handle_connect_list_all_secrets(struct call *call, const struct connect_list_all_secrets_args *args,
                                    struct connect_list_all_secrets_ret *ret, struct error *err)
{
    const unsigned known = CONNECT_LIST_SECRETS_EPHEMERAL | CONNECT_LIST_SECRETS_NO_EPHEMERAL |
                           CONNECT_LIST_SECRETS_PRIVATE | CONNECT_LIST_SECRETS_NO_PRIVATE;
    if (call_flags(call, args->flags, known, err) < 0)
        return -1;
    for each_secret (object, call)
        ret->ret += passes(object, args->flags);
    if (!args->need_results)
        return 0;
    ret->secrets = arena_new_array(call->arena, ret->ret, struct wire_secret);
    for each_secret (object, call)
        if (passes(object, args->flags))
            ret->secrets[ret->secrets_count++] = wire_secret_of(call->arena, secret_of(object));
    return 0;
}

/* -- definitions --------------------------------------------------------------------------------------------------- */

int handle_secret_define_xml(struct call *call, const struct secret_define_xml_args *args,
                             struct secret_define_xml_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, SECRET_DEFINE_VALIDATE, err) < 0)
        return -1;
    scoped_secret struct secret *secret =
        secret_define(call_daemon(call)->secrets, args->xml, args->flags, call_client(call), err);
    return found(call, secret, &ret->secret);
}

int handle_secret_get_xml_desc(struct call *call, const struct secret_get_xml_desc_args *args,
                               struct secret_get_xml_desc_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    scoped_secret struct secret *secret = call_secret(call, &args->secret, err);
    const struct secret_def *def = secret ? secret_def(secret, err) : NULL;
    if (!def)
        return -1;
    ret->xml = call_keep(call, secret_format(def));
    return 0;
}

int handle_secret_undefine(struct call *call, const struct secret_undefine_args *args, struct error *err)
{
    scoped_secret struct secret *secret = call_secret(call, &args->secret, err);
    return secret ? secret_undefine(secret, call_client(call), err) : -1;
}

/* -- values -------------------------------------------------------------------------------------------------------- */

int handle_secret_set_value(struct call *call, const struct secret_set_value_args *args, struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    scoped_secret struct secret *secret = call_secret(call, &args->secret, err);
    int rc = secret ? secret_set_value(secret, args->value, args->value_length, call_client(call), err) : -1;
    explicit_bzero(args->value, args->value_length);
    return rc;
}

int handle_secret_get_value(struct call *call, const struct secret_get_value_args *args,
                            struct secret_get_value_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    scoped_secret_value struct secret_value value = {0};
    scoped_secret struct secret *secret = call_secret(call, &args->secret, err);
    if (!secret || secret_value_for_client(secret, &value, err) < 0)
        return -1;
    ret->value = arena_memdup(call->arena, value.data, value.length);
    ret->value_length = (uint32_t)value.length;
    return 0;
}

/* -- events -------------------------------------------------------------------------------------------------------- */

static void notify(void *owner, struct secret *secret, int event_id, int event)
{
    scoped_arena struct arena *arena = arena_new();
    struct wire_secret handle = wire_secret_of(arena, secret);
    struct secret_event_lifecycle_event lifecycle = {.secret = handle, .event = event};
    struct secret_event_value_changed_event changed = {.secret = handle};
    const void *body = event_id == SECRET_EVENT_ID_LIFECYCLE ? (void *)&lifecycle : &changed;
    events_tell(owner, EVENT_CLASS_SECRET, secret->object.uuid, event_id, body);
}

void secrets_wire(struct daemon *daemon)
{
    daemon->secrets->owner = daemon;
    daemon->secrets->notify = notify;
}

int handle_connect_secret_event_register_any(struct call *call,
                                             const struct connect_secret_event_register_any_args *args,
                                             struct connect_secret_event_register_any_ret *ret, struct error *err)
{
    scoped_secret struct secret *secret = args->secret ? call_secret(call, args->secret, err) : NULL;
    if (args->secret && !secret)
        return -1;
    return events_register(call, EVENT_CLASS_SECRET, args->event_id, secret ? secret->object.uuid : NULL,
                           &ret->callback_id, err);
}

int handle_connect_secret_event_deregister_any(struct call *call,
                                               const struct connect_secret_event_deregister_any_args *args,
                                               struct error *err)
{
    return events_deregister(call, EVENT_CLASS_SECRET, args->callback_id, err);
}
