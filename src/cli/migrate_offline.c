/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/migrate_offline.h"

enum { AGAIN_MS = 30000, STEP_MS = 500 }; /* for a daemon that is being restarted */

int offline_copy_begin(struct invocation *in, struct migration *migration, struct error *err)
{
    struct domain_create_with_flags_args args = {.dom = migration->dom,
                                                 .flags = DOMAIN_START_PAUSED | DOMAIN_START_AUTODESTROY};
    struct domain_create_with_flags_ret ret;
    if (!(migration->flags & MIGRATE_PERSIST_DEST))
        return error_set(err, ERR_INVALID_ARG,
                         "--offline leaves nothing but a definition and disks on the destination: it needs "
                         "--persistent");
    if (option_given(in, "p2p") || option_given(in, "direct"))
        return error_set(err, ERR_INVALID_ARG,
                         "--offline with --copy-storage-* is led by this client from end to end: leave --p2p and "
                         "--direct out");
    if (remote_domain_create_with_flags(migration->source->client, &args, in->arena, &ret, err) < 0)
        return error_wrap(err, "domain '%s' could not be prepared for the copy of its disks", migration->dom.name);
    migration->dom.id = ret.dom.id;
    migration->flags &= ~(unsigned)MIGRATE_OFFLINE;
    migration->flags |= MIGRATE_PAUSED;
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

int offline_copy_end(struct invocation *in, struct migration *migration, bool arrived, struct error *err)
{
    const struct connection *where = arrived ? migration->destination : migration->source;
    struct wire_domain dom = migration->dom;
    const char *renamed = migration_param(migration, MIGRATE_PARAM_DEST_NAME);
    dom.name = arrived && renamed ? renamed : dom.name;
    if (migration->unsettled) /* who has it is not known, so nobody ends it */
        return 0;
    if (end_guest(where->client, &dom, err) == 0 ||
        (client_is_closed(where->client) && end_anew(in, where->uri, &dom, err) == 0))
        return 0;
    return error_wrap(err, arrived ? "domain '%s' is on the destination, with its disks, but stands paused there"
                                   : "domain '%s' stays here, but stands paused",
                      dom.name);
}
