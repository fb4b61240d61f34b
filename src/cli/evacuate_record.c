/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/evacuate.h"

#include <string.h>

#include "base/text.h"

enum { SETTLE_MS = 30000, ASK_AGAIN_MS = 300 };

static struct client *home_of(const struct evacuation *evacuation)
{
    return evacuation->home.control->client;
}

/* -- the record at home -------------------------------------------------------------------------------------------- */

static int read_records(const struct evacuation *evacuation, struct godwit_evacuation_list_ret *list,
                        struct error *err)
{
    if (remote_godwit_evacuation_list(home_of(evacuation), &(struct godwit_evacuation_list_args){0},
                                      evacuation->in->arena, list, err) == 0)
        return 0;
    if (!check_is_unknown(err))
        return -1;
    return error_set(err, ERR_NO_SUPPORT, "'%s' is no godwitd: only that keeps a record of who left and is to come "
                     "back. 'godwit migrate' moves the guests of a libvirtd one by one", evacuation->home.uri);
}

static const struct wire_evacuation_record *record_of(const struct godwit_evacuation_list_ret *list,
                                                      const unsigned char uuid[UUID_SIZE])
{
    for (uint32_t i = 0; i < list->records_count; i++)
        if (memcmp(list->records[i].dom.uuid, uuid, UUID_SIZE) == 0)
            return &list->records[i];
    return NULL;
}

int evacuation_note_leaving(struct evacuation *evacuation, const struct passenger *one, struct error *err)
{
    const struct godwit_evacuation_leave_args args = {one->dom, one->to->uri,
                                                      evacuation->keep ? EVACUATION_KEEP_DEFINITION : 0};
    return remote_godwit_evacuation_leave(home_of(evacuation), &args, err);
}

int evacuation_note_outcome(struct evacuation *evacuation, const unsigned char uuid[UUID_SIZE], int outcome,
                            struct error *err)
{
    struct godwit_evacuation_settle_args args = {.outcome = outcome};
    memcpy(args.uuid, uuid, UUID_SIZE);
    return remote_godwit_evacuation_settle(home_of(evacuation), &args, err);
}

/* -- places -------------------------------------------------------------------------------------------------------- */

struct place *evacuation_place(struct evacuation *evacuation, const char *uri)
{
    for (size_t i = 0; i < evacuation->other_count; i++)
        if (strcmp(evacuation->others[i].uri, uri) == 0)
            return &evacuation->others[i];
    if (evacuation->other_count == PLACES_MAX)
        return NULL;
    struct place *place = &evacuation->others[evacuation->other_count++];
    place->uri = uri;
    place->control = connection_open(uri, false, evacuation->in->shell->keepalive, &place->error);
    if (!place->control)
        command_failed(&place->error, "cannot connect to '%s'", uri);
    return place;
}

/* -- where a guest is ---------------------------------------------------------------------------------------------- */

/* 1 when it is there (and *dom is its handle), 0 when it is not, -1 when that cannot be found out. */
static int find_there(const struct evacuation *evacuation, const struct place *place,
                      const unsigned char uuid[UUID_SIZE], struct wire_domain *dom)
{
    struct domain_lookup_by_uuid_args args;
    struct domain_lookup_by_uuid_ret ret;
    struct error err = {0};
    if (!place->control || place->control->closed)
        return -1;
    memcpy(args.uuid, uuid, UUID_SIZE);
    if (remote_domain_lookup_by_uuid(place->control->client, &args, evacuation->in->arena, &ret, &err) < 0)
        return err.code == ERR_NO_DOMAIN ? 0 : -1;
    *dom = ret.dom;
    return 1;
}

void evacuation_copy_autostart(const struct evacuation *evacuation, const struct place *place,
                               const struct wire_domain *dom)
{
    struct error err = {0};
    const struct domain_set_autostart_args args = {*dom, 1};
    if (remote_domain_set_autostart(place->control->client, &args, &err) < 0)
        output_warning(evacuation->in->shell, "domain '%s' is not marked for autostart on '%s': %s", dom->name,
                       place->uri, err.message);
}

/* -- after a run that was cut off ---------------------------------------------------------------------------------- */

/* Moves of guests on record that the daemons have not agreed on yet; they ask each other by themselves. */
static unsigned unsettled(struct evacuation *evacuation, const struct godwit_evacuation_list_ret *list)
{
    struct godwit_migration_list_ret moves = {0};
    unsigned count = 0;
    remote_godwit_migration_list(home_of(evacuation), &(struct godwit_migration_list_args){0}, evacuation->in->arena,
                                 &moves, NULL);
    for (uint32_t i = 0; i < moves.records_count; i++)
        count += record_of(list, moves.records[i].dom.uuid) != NULL;
    return count;
}

/* A guest that ran takes its definition along, or has none: what is off there while its own is still here, or while it
 * had none, is an older definition. Where its own was to stay nothing tells the two apart, and it counts as arrived, so
 * that it is not started here. */
static bool is_another(const struct wire_evacuation_record *record, const struct wire_domain *there)
{
    return record->active && there->id < 0 && !record->kept && (record->defined || !record->persistent);
}

static void settle_one(struct evacuation *evacuation, const struct wire_evacuation_record *record)
{
    struct wire_domain dom;
    struct error err = {0};
    int result = 0;
    if (record->dom.id >= 0 || (!record->active && record->defined))
        return; /* it is here still: whoever moves it next writes a new record */
    struct place *place = evacuation_place(evacuation, record->destination);
    int found = place ? find_there(evacuation, place, record->dom.uuid, &dom) : -1;
    if (found > 0 && is_another(record, &dom))
        found = 0;
    if (found > 0) {
        if (record->autostart)
            evacuation_copy_autostart(evacuation, place, &dom);
        result = evacuation_note_outcome(evacuation, record->dom.uuid, WIRE_EVACUATION_OUTCOME_LEFT, &err);
    } else if (found == 0) {
        output_warning(evacuation->in->shell, "domain '%s', which was to go to '%s', runs neither there nor here: it "
                       "has ended meanwhile", record->dom.name, place->uri);
        result = evacuation_note_outcome(evacuation, record->dom.uuid, WIRE_EVACUATION_OUTCOME_HERE, &err);
    } else {
        output_warning(evacuation->in->shell, "whether domain '%s' has arrived on '%s' is not known: %s",
                       record->dom.name, record->destination, place ? place->error.message : "too many places");
    }
    if (result < 0)
        output_warning(evacuation->in->shell, "the record of domain '%s': %s", record->dom.name, err.message);
}

int evacuation_settle(struct evacuation *evacuation, struct error *err)
{
    struct godwit_evacuation_list_ret list;
    deadline until = deadline_ms(SETTLE_MS);
    if (read_records(evacuation, &list, err) < 0)
        return -1;
    while (unsettled(evacuation, &list) && now_ns() < until)
        await_sleep(deadline_ms(ASK_AGAIN_MS), NULL);
    if (read_records(evacuation, &list, err) < 0)
        return -1;
    for (uint32_t i = 0; i < list.records_count; i++)
        if (!list.records[i].away)
            settle_one(evacuation, &list.records[i]);
    return 0;
}

/* -- who travels --------------------------------------------------------------------------------------------------- */

/* What must be the same afterwards. */
static void read_passenger(const struct evacuation *evacuation, struct passenger *one)
{
    struct client *client = one->from->control->client;
    struct arena *arena = evacuation->in->arena;
    struct domain_get_state_ret state = {0};
    struct domain_is_persistent_ret persistent = {0};
    struct domain_get_autostart_ret autostart = {0};
    remote_domain_get_state(client, &(struct domain_get_state_args){.dom = one->dom}, arena, &state, NULL);
    remote_domain_is_persistent(client, &(struct domain_is_persistent_args){one->dom}, arena, &persistent, NULL);
    if (persistent.persistent)
        remote_domain_get_autostart(client, &(struct domain_get_autostart_args){one->dom}, arena, &autostart, NULL);
    one->active = one->dom.id >= 0;
    one->paused = state.state == DOMAIN_PAUSED;
    one->persistent = persistent.persistent;
    one->autostart = autostart.autostart;
}

int evacuation_board(struct evacuation *evacuation, bool offline, struct error *err)
{
    struct arena *arena = evacuation->in->arena;
    const struct connect_list_all_domains_args args = {
        .need_results = 1, .flags = CONNECT_LIST_DOMAINS_ACTIVE | (offline ? CONNECT_LIST_DOMAINS_INACTIVE : 0)};
    struct connect_list_all_domains_ret all;
    struct godwit_evacuation_list_ret list;
    if (read_records(evacuation, &list, err) < 0 ||
        remote_connect_list_all_domains(home_of(evacuation), &args, arena, &all, err) < 0)
        return -1;
    evacuation->passengers = arena_new_array(arena, all.domains_count + 1, struct passenger);
    for (uint32_t i = 0; i < all.domains_count; i++) {
        const struct wire_evacuation_record *record = record_of(&list, all.domains[i].uuid);
        if (all.domains[i].id < 0 && record && record->away)
            continue; /* only its definition was left here */
        struct passenger *one = &evacuation->passengers[evacuation->count++];
        one->dom = all.domains[i];
        one->from = &evacuation->home;
        read_passenger(evacuation, one);
        one->autostart |= record && record->autostart;
    }
    return 0;
}

/* Where it is now: where it went, unless somebody moved it on. -1 when a place that may have it is not reached: then
 * only one that runs elsewhere is it for sure; what is off there may be a definition that was left behind. */
static int find_anywhere(struct evacuation *evacuation, struct passenger *one)
{
    struct place *first = evacuation_place(evacuation, one->record->destination);
    int found = first ? find_there(evacuation, first, one->record->dom.uuid, &one->dom) : -1;
    one->from = first;
    for (size_t i = 0; i < evacuation->other_count && found <= 0; i++) {
        struct wire_domain dom;
        if (find_there(evacuation, &evacuation->others[i], one->record->dom.uuid, &dom) <= 0 ||
            (found < 0 && dom.id < 0))
            continue;
        one->dom = dom;
        one->from = &evacuation->others[i];
        found = 1;
    }
    return found;
}

/* It may have been moved on to a host that nobody named: the record, which knows what it was here, stays until it is
 * found or the user says that there is nothing left to bring home. */
static void miss(struct evacuation *evacuation, struct passenger *one, bool moving)
{
    struct error err = {0};
    if (!option_given(evacuation->in, "forget")) {
        error_set(&one->error, ERR_NO_DOMAIN, "it is not on '%s' any more: deleted, ended, or moved on. 'evacuate "
                  "--restore --to URI' looks for it on another host as well, 'evacuate --restore --forget' drops the "
                  "record of what is found nowhere", one->record->destination);
        return;
    }
    one->why = "it is forgotten: none of these hosts has it";
    one->state = PASSENGER_STAYS;
    if (moving && evacuation_note_outcome(evacuation, one->dom.uuid, WIRE_EVACUATION_OUTCOME_FORGOTTEN, &err) < 0)
        output_warning(evacuation->in->shell, "the record of domain '%s': %s", one->dom.name, err.message);
}

static void board_one(struct evacuation *evacuation, struct passenger *one, bool moving)
{
    const struct wire_evacuation_record *record = one->record;
    struct error err = {0};
    one->dom = record->dom;
    if (record->dom.id >= 0 || (!record->active && record->defined && !record->kept)) {
        one->why = "it is here already";
        one->state = PASSENGER_STAYS;
        if (moving && evacuation_note_outcome(evacuation, record->dom.uuid, WIRE_EVACUATION_OUTCOME_HERE, &err) < 0)
            output_warning(evacuation->in->shell, "the record of domain '%s': %s", record->dom.name, err.message);
        return;
    }
    int found = find_anywhere(evacuation, one);
    if (found > 0) {
        read_passenger(evacuation, one);
    } else if (found < 0) {
        error_set(&one->error, ERR_OPERATION_FAILED, "whether it is on '%s' is not known: %s", record->destination,
                  one->from && one->from->error.code ? one->from->error.message : "the connection is lost");
    } else {
        miss(evacuation, one, moving);
    }
}

int evacuation_board_home(struct evacuation *evacuation, struct error *err)
{
    struct godwit_evacuation_list_ret list;
    if (read_records(evacuation, &list, err) < 0)
        return -1;
    evacuation->passengers = arena_new_array(evacuation->in->arena, list.records_count + 1, struct passenger);
    for (uint32_t i = 0; i < list.records_count; i++)
        evacuation_place(evacuation, list.records[i].destination);
    for (uint32_t i = 0; i < list.records_count; i++) {
        struct passenger *one = &evacuation->passengers[evacuation->count++];
        one->record = &list.records[i];
        board_one(evacuation, one, !option_given(evacuation->in, "plan"));
    }
    return 0;
}
