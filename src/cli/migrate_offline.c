/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/migrate_offline.h"

#include <string.h>

#include "cli/event.h"
#include "cli/migrate_check.h"

enum { AGAIN_MS = 30000, STEP_MS = 500 }; /* for a daemon that is being restarted */

static void lifecycle_event(void *owner, const struct wire_procedure *procedure, const void *data)
{
    struct offline_copy *copy = owner;
    const struct event_kind *kind = event_kind_of(procedure);
    if (!kind || kind->id != DOMAIN_EVENT_ID_LIFECYCLE)
        return;
    const struct domain_event_callback_lifecycle_event *event = data;
    copy->resumed |= event->event == DOMAIN_EVENT_RESUMED &&
                     memcmp(event->dom.uuid, copy->migration->dom.uuid, UUID_SIZE) == 0;
}

static int listen(struct offline_copy *copy, struct error *err)
{
    struct connection *source = copy->migration->source;
    const struct connect_domain_event_callback_register_any_args args = {.event_id = DOMAIN_EVENT_ID_LIFECYCLE,
                                                                         .dom = &copy->migration->dom};
    struct connect_domain_event_callback_register_any_ret ret;
    copy->listener = (struct listener){.event = lifecycle_event, .owner = copy};
    connection_listen(source, &copy->listener);
    if (remote_connect_domain_event_callback_register_any(source->client, &args, copy->in->arena, &ret, err) < 0) {
        connection_unlisten(&copy->listener);
        return command_failed(err, "cannot hear of what happens to domain '%s'", copy->migration->dom.name);
    }
    copy->callback = ret.callback_id;
    return 0;
}

static void unlisten(struct offline_copy *copy)
{
    const struct connect_domain_event_callback_deregister_any_args args = {.callback_id = copy->callback};
    struct error ignored = {0};
    connection_unlisten(&copy->listener);
    remote_connect_domain_event_callback_deregister_any(copy->migration->source->client, &args, &ignored);
}

/* A libvirtd knows no guest that cannot be resumed. */
static int start(const struct offline_copy *copy, struct wire_domain *dom, struct error *err)
{
    struct client *client = copy->migration->source->client;
    const struct godwit_offline_begin_args ours = {.dom = *dom};
    const struct domain_create_with_flags_args theirs = {.dom = *dom,
                                                         .flags = DOMAIN_START_PAUSED | DOMAIN_START_AUTODESTROY};
    struct godwit_offline_begin_ret held;
    struct domain_create_with_flags_ret started;
    int rc = remote_godwit_offline_begin(client, &ours, copy->in->arena, &held, err);
    if (rc < 0 && check_is_unknown(err)) {
        *err = (struct error){0};
        rc = remote_domain_create_with_flags(client, &theirs, copy->in->arena, &started, err);
        held.dom.id = started.dom.id;
    }
    if (rc == 0)
        dom->id = held.dom.id;
    return rc;
}

int offline_copy_begin(struct offline_copy *copy, struct error *err)
{
    struct invocation *in = copy->in;
    struct migration *migration = copy->migration;
    if (!(migration->flags & MIGRATE_PERSIST_DEST))
        return error_set(err, ERR_INVALID_ARG,
                         "--offline leaves nothing but a definition and disks on the destination: it needs "
                         "--persistent");
    if (option_given(in, "p2p") || option_given(in, "direct"))
        return error_set(err, ERR_INVALID_ARG,
                         "--offline with --copy-storage-* is led by this client from end to end: leave --p2p and "
                         "--direct out");
    if (listen(copy, err) < 0)
        return -1;
    if (start(copy, &migration->dom, err) < 0) {
        unlisten(copy);
        return error_wrap(err, "domain '%s' could not be prepared for the copy of its disks", migration->dom.name);
    }
    migration->flags &= ~(unsigned)MIGRATE_OFFLINE;
    migration->flags |= MIGRATE_PAUSED;
    migration->at_rest = true;
    return 0;
}

static int end_guest(struct client *client, const struct wire_domain *dom, struct error *err)
{
    if (remote_domain_destroy(client, &(struct domain_destroy_args){.dom = *dom}, err) == 0)
        return 0;
    return err->code == ERR_OPERATION_INVALID || err->code == ERR_NO_DOMAIN ? 0 : -1; /* it has ended */
}

/* A daemon that was killed finds its guest again when it is back, and no longer knows whose it was. */
static int end_anew(struct invocation *in, const char *uri, const struct wire_domain *dom, struct error *err)
{
    for (deadline until = deadline_ms(AGAIN_MS); now_ns() < until; await_sleep(deadline_ms(STEP_MS), NULL)) {
        scoped_connection struct connection *again = connection_open(uri, false, in->shell->keepalive, err);
        if (again && end_guest(again->client, dom, err) == 0)
            return 0;
    }
    return -1;
}

/* It goes on where it is now: what it did since is on its disks there, and in its memory. */
static int let_run(const struct offline_copy *copy, const struct wire_domain *dom, struct error *err)
{
    const struct connection *there = copy->migration->destination;
    output_warning(copy->in->shell, "domain '%s' was resumed by somebody while its disks were copied: it is not ended, "
                   "and runs on '%s'", dom->name, there->uri);
    if (remote_domain_resume(there->client, &(struct domain_resume_args){*dom}, err) == 0)
        return 0;
    return error_wrap(err, "domain '%s' was resumed while its disks were copied, and stands paused on '%s'", dom->name,
                      there->uri);
}

int offline_copy_end(struct offline_copy *copy, struct error *err)
{
    const struct migration *migration = copy->migration;
    bool arrived = migration->arrived;
    const struct connection *where = arrived ? migration->destination : migration->source;
    struct wire_domain dom = migration->dom;
    const char *renamed = migration_param(migration, MIGRATE_PARAM_DEST_NAME);
    dom.name = arrived && renamed ? renamed : dom.name;
    unlisten(copy);
    if (migration->unsettled) /* who has it is not known, so nobody ends it */
        return 0;
    if (arrived && copy->resumed)
        return let_run(copy, &dom, err);
    if (end_guest(where->client, &dom, err) == 0 ||
        (client_is_closed(where->client) && end_anew(copy->in, where->uri, &dom, err) == 0))
        return 0;
    return error_wrap(err, arrived ? "domain '%s' is on the destination, with its disks, but stands paused there"
                                   : "domain '%s' stays here, but stands paused",
                      dom.name);
}
