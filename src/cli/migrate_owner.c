/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/migrate_owner.h"

#include <string.h>
#include <time.h>

#include "base/text.h"
#include "cli/output.h"
#include "rpc/guest_owner.h"

enum { ASK_AGAIN_MS = 500, ANSWER_MS = 70000, RECOVER_MS = 20000 };

/* -- asking -------------------------------------------------------------------------------------------------------- */

/* The journal of the daemon; -1 also when it has none, as a libvirtd. */
static int list_records(struct connection *connection, struct godwit_migration_list_ret *ret, struct arena *arena,
                        struct error *err)
{
    return remote_godwit_migration_list(connection->client, &(struct godwit_migration_list_args){0}, arena, ret, err);
}

static const struct wire_migration_record *find_record(const struct godwit_migration_list_ret *list,
                                                       const struct wire_domain *dom)
{
    for (uint32_t i = 0; i < list->records_count; i++)
        if (memcmp(list->records[i].dom.uuid, dom->uuid, UUID_SIZE) == 0)
            return &list->records[i];
    return NULL;
}

static int ask_once(const char *destination, const struct wire_migration_record *record,
                    const struct wire_domain *dom)
{
    scoped_arena struct arena *arena = arena_new();
    struct error err = {0};
    struct godwit_migration_list_ret ignored;
    scoped_connection struct connection *there = connection_open(destination, false, (struct keepalive){0}, &err);
    if (!there)
        return WIRE_MIGRATION_OWNER_UNKNOWN;
    client_set_timeout(there->client, ANSWER_MS);
    bool godwit = record && list_records(there, &ignored, arena, &err) == 0;
    return godwit ? guest_owner_by_journal(there->client, record->id) : guest_owner_by_state(there->client, dom->uuid);
}

int migration_ask_owner(struct connection *source, const char *destination, const struct wire_domain *dom,
                        uint64_t timeout_ms)
{
    scoped_arena struct arena *arena = arena_new();
    struct godwit_migration_list_ret list = {0};
    const struct wire_migration_record *record =
        list_records(source, &list, arena, NULL) == 0 ? find_record(&list, dom) : NULL;
    deadline until = deadline_ms(timeout_ms);
    int owner = ask_once(destination, record, dom);
    while (owner == WIRE_MIGRATION_OWNER_UNKNOWN && now_ns() < until) {
        await_sleep(deadline_ms(ASK_AGAIN_MS), NULL);
        owner = ask_once(destination, record, dom);
    }
    return owner;
}

/* -- migrate --status ---------------------------------------------------------------------------------------------- */

static const struct column status_columns[] = {
    {"domain", "Domain", CELL_TEXT}, {"role", "This host is", CELL_TEXT},  {"phase", "Phase", CELL_TEXT},
    {"owner", "Owner", CELL_TEXT},   {"peer", "Other host", CELL_TEXT},    {"since", "Since", CELL_TEXT},
    {"uri", NULL, CELL_TEXT},        {"id", NULL, CELL_TEXT},
};

static void add_record(struct table *table, const struct wire_migration_record *record)
{
    static const char *const roles[] = {"the source", "the destination"};
    static const char *const owners[] = {"the source", "the destination", "not known"};
    char since[32], id[UUID_STRING_SIZE];
    time_t seconds = (time_t)(record->since_ms / 1000);
    struct tm local;
    strftime(since, sizeof since, "%F %T", localtime_r(&seconds, &local));
    uuid_format(record->id, id);
    table_row(table, record->dom.name, roles[record->role == WIRE_MIGRATION_ROLE_DESTINATION], record->phase,
              owners[record->owner > WIRE_MIGRATION_OWNER_UNKNOWN || record->owner < 0 ? 2 : record->owner],
              *record->peer ? record->peer : NULL, since, record->peer_uri, id);
}

int migrate_status(struct invocation *in, struct error *err)
{
    struct godwit_migration_list_ret list;
    const char *name = option_text(in, "domain");
    struct wire_domain dom;
    if (list_records(in->shell->connection, &list, in->arena, err) < 0)
        return error_wrap(err, "this daemon keeps no journal of migrations");
    if (name && domain_get(in, &dom, err) < 0)
        return -1;
    struct table *table = table_new(in->arena, status_columns, COUNT(status_columns));
    for (uint32_t i = 0; i < list.records_count; i++)
        if (!name || memcmp(list.records[i].dom.uuid, dom.uuid, UUID_SIZE) == 0)
            add_record(table, &list.records[i]);
    table_print(table, in);
    return 0;
}

/* -- migrate --recover --------------------------------------------------------------------------------------------- */

static int owner_by_user(struct invocation *in, int *owner, struct error *err)
{
    static const char *const words[] = {
        [WIRE_MIGRATION_OWNER_SOURCE] = "source", [WIRE_MIGRATION_OWNER_DESTINATION] = "destination", NULL};
    *owner = word_index("owner", option_text(in, "owner"), words, err);
    return *owner < 0 ? -1 : 0;
}

static int find_owner(struct invocation *in, const struct wire_migration_record *record, int *owner,
                      struct error *err)
{
    const char *uri = option_text(in, "desturi") ?: record->peer_uri;
    if (option_text(in, "owner"))
        return owner_by_user(in, owner, err);
    if (!uri)
        return error_set(err, ERR_INVALID_ARG,
                         "how the destination '%s' of domain '%s' is reached is not known: name its URI, or say with "
                         "--owner which host has the guest", record->peer, record->dom.name);
    *owner = migration_ask_owner(in->shell->connection, uri, &record->dom, RECOVER_MS);
    if (*owner == WIRE_MIGRATION_OWNER_UNKNOWN)
        return error_set(err, ERR_OPERATION_FAILED,
                         "the destination '%s' does not say whether it has domain '%s'. Look there; if its host is "
                         "lost for good, say --owner source here", uri, record->dom.name);
    return 0;
}

int migrate_recover(struct invocation *in, struct error *err)
{
    struct connection *connection = in->shell->connection;
    struct godwit_migration_list_ret list;
    struct wire_domain dom;
    int owner;
    if (!option_text(in, "domain"))
        return error_set(err, ERR_INVALID_ARG, "--recover needs a domain: 'migrate --status' lists them");
    if (list_records(connection, &list, in->arena, err) < 0)
        return error_wrap(err, "this daemon keeps no journal of migrations");
    if (domain_get(in, &dom, err) < 0)
        return -1;
    const struct wire_migration_record *record = find_record(&list, &dom);
    if (!record)
        return error_set(err, ERR_OPERATION_INVALID, "no migration of domain '%s' is to be settled", dom.name);
    if (find_owner(in, record, &owner, err) < 0)
        return -1;
    struct godwit_migration_settle_args args = {.owner = owner};
    memcpy(args.id, record->id, UUID_SIZE);
    if (remote_godwit_migration_settle(connection->client, &args, err) < 0)
        return command_failed(err, "the migration of domain '%s' was not settled", dom.name);
    bool here = owner == WIRE_MIGRATION_OWNER_SOURCE;
    output_note(in, "Domain '%s' is %s\n", dom.name,
                here ? "on this host, and goes on here" : "on the destination, and is ended here");
    return 0;
}
