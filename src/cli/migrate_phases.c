/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/migrate.h"

#include <string.h>

#include "base/text.h"
#include "cli/migrate_owner.h"

enum { ASK_OWNER_MS = 30000 };

/* connect-supports-feature numbers (framing.md) */
enum {
    FEATURE_P2P = 4, FEATURE_DIRECT = 5, FEATURE_V3 = 6, FEATURE_CHANGE_PROTECTION = 7, FEATURE_OFFLINE = 12,
    FEATURE_PARAMS = 13,
};

struct cookie {
    uint32_t length;
    uint8_t *data;
};

/* What one phase hands to the next. */
struct phases {
    struct migration *migration;
    bool params_form;
    unsigned protection; /* the flag that the source's own phases get on top */
    struct cookie cookie;
    const char *xml; /* of the destination */
    const char *uri; /* where the guest's state goes; NULL until prepare */
};

const char *migration_param(const struct migration *migration, const char *name)
{
    const char *value = NULL;
    params_get_string(migration->params.items, migration->params.count, name, &value, NULL);
    return value;
}

static uint64_t param_bandwidth(const struct migration *migration)
{
    uint64_t value = 0;
    params_get_u64(migration->params.items, migration->params.count, MIGRATE_PARAM_BANDWIDTH, &value, NULL);
    return value;
}

void migration_replace_param(struct migration *migration, const char *name, const char *value)
{
    for (uint32_t i = 0; i < migration->params.count; i++)
        if (strcmp(migration->params.items[i].field, name) == 0) {
            migration->params.items[i].value.s = value;
            return;
        }
    params_add_string(&migration->params, name, value);
}

static int phase_begin(struct phases *phases, struct error *err)
{
    struct migration *migration = phases->migration;
    struct client *client = migration->source->client;
    unsigned flags = migration->flags | phases->protection;
    if (phases->params_form) {
        struct domain_migrate_begin3_params_args args = {.dom = migration->dom, .params = migration->params.items,
                                                         .params_count = migration->params.count, .flags = flags};
        struct domain_migrate_begin3_params_ret ret;
        if (remote_domain_migrate_begin3_params(client, &args, migration->arena, &ret, err) < 0)
            return -1;
        phases->cookie = (struct cookie){ret.cookie_out_length, ret.cookie_out};
        phases->xml = ret.xml;
        return 0;
    }
    struct domain_migrate_begin3_args args = {
        .dom = migration->dom, .xmlin = migration_param(migration, MIGRATE_PARAM_DEST_XML), .flags = flags,
        .dname = migration_param(migration, MIGRATE_PARAM_DEST_NAME), .resource = param_bandwidth(migration),
    };
    struct domain_migrate_begin3_ret ret;
    if (remote_domain_migrate_begin3(client, &args, migration->arena, &ret, err) < 0)
        return -1;
    phases->cookie = (struct cookie){ret.cookie_out_length, ret.cookie_out};
    phases->xml = ret.xml;
    return 0;
}

/* A guest that is paused now stays so on the destination. */
static int keep_paused(struct phases *phases, struct error *err)
{
    struct domain_get_state_args args = {.dom = phases->migration->dom};
    struct domain_get_state_ret ret;
    if (remote_domain_get_state(phases->migration->source->client, &args, phases->migration->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the state of the domain");
    if (ret.state == DOMAIN_PAUSED)
        phases->migration->flags |= MIGRATE_PAUSED;
    return 0;
}

/* These concern the sending side only; old destinations refuse them. */
static unsigned destination_flags(const struct migration *migration)
{
    return migration->flags & ~(unsigned)(MIGRATE_ABORT_ON_ERROR | MIGRATE_AUTO_CONVERGE);
}

/* A libvirtd refuses parameters that it does not know. */
static struct params destination_params(const struct migration *migration)
{
    struct params there;
    if (!migration->steered || migration->steered_there)
        return migration->params;
    there = migration->params;
    there.items = arena_new_array(migration->arena, migration->params.count, struct wire_typed_param);
    there.count = 0;
    for (uint32_t i = 0; i < migration->params.count; i++)
        if (!string_starts(migration->params.items[i].field, GODWIT_PARAM))
            there.items[there.count++] = migration->params.items[i];
    return there;
}

static int phase_prepare(struct phases *phases, struct error *err)
{
    struct migration *migration = phases->migration;
    struct client *client = migration->destination->client;
    const char *given = migration_param(migration, MIGRATE_PARAM_URI), *chosen;
    struct cookie in = phases->cookie;
    if (phases->params_form) {
        migration_replace_param(migration, MIGRATE_PARAM_DEST_XML, phases->xml);
        const struct params there = destination_params(migration);
        struct domain_migrate_prepare3_params_args args = {
            .params = there.items, .params_count = there.count, .cookie_in = in.data,
            .cookie_in_length = in.length, .flags = destination_flags(migration),
        };
        struct domain_migrate_prepare3_params_ret ret;
        if (remote_domain_migrate_prepare3_params(client, &args, migration->arena, &ret, err) < 0)
            return -1;
        phases->cookie = (struct cookie){ret.cookie_out_length, ret.cookie_out};
        chosen = ret.uri_out;
    } else {
        struct domain_migrate_prepare3_args args = {
            .cookie_in = in.data, .cookie_in_length = in.length, .uri_in = given,
            .flags = destination_flags(migration), .dname = migration_param(migration, MIGRATE_PARAM_DEST_NAME),
            .resource = param_bandwidth(migration), .dom_xml = phases->xml,
        };
        struct domain_migrate_prepare3_ret ret;
        if (remote_domain_migrate_prepare3(client, &args, migration->arena, &ret, err) < 0)
            return -1;
        phases->cookie = (struct cookie){ret.cookie_out_length, ret.cookie_out};
        chosen = ret.uri_out;
    }
    phases->uri = chosen ? chosen : given;
    if (chosen && phases->params_form)
        migration_replace_param(migration, MIGRATE_PARAM_URI, chosen);
    return 0;
}

static int phase_perform(struct phases *phases, struct error *err)
{
    struct migration *migration = phases->migration;
    struct client *client = migration->source->client;
    unsigned flags = migration->flags | phases->protection;
    struct cookie in = phases->cookie;
    if (phases->params_form) {
        struct domain_migrate_perform3_params_args args = {
            .dom = migration->dom, .params = migration->params.items, .params_count = migration->params.count,
            .cookie_in = in.data, .cookie_in_length = in.length, .flags = flags,
        };
        struct domain_migrate_perform3_params_ret ret;
        if (remote_domain_migrate_perform3_params(client, &args, migration->arena, &ret, err) < 0)
            return -1;
        phases->cookie = (struct cookie){ret.cookie_out_length, ret.cookie_out};
        return 0;
    }
    struct domain_migrate_perform3_args args = {
        .dom = migration->dom, .cookie_in = in.data, .cookie_in_length = in.length, .uri = phases->uri, .flags = flags,
        .dname = migration_param(migration, MIGRATE_PARAM_DEST_NAME), .resource = param_bandwidth(migration),
    };
    struct domain_migrate_perform3_ret ret;
    if (remote_domain_migrate_perform3(client, &args, migration->arena, &ret, err) < 0)
        return -1;
    phases->cookie = (struct cookie){ret.cookie_out_length, ret.cookie_out};
    return 0;
}

static int phase_finish(struct phases *phases, bool cancelled, struct error *err)
{
    struct migration *migration = phases->migration;
    struct client *client = migration->destination->client;
    const char *name = migration_param(migration, MIGRATE_PARAM_DEST_NAME) ?: migration->dom.name;
    struct cookie in = phases->cookie;
    phases->cookie = (struct cookie){0};
    if (phases->params_form) {
        migration_replace_param(migration, MIGRATE_PARAM_DEST_NAME, name);
        const struct params there = destination_params(migration);
        struct domain_migrate_finish3_params_args args = {
            .params = there.items, .params_count = there.count, .cookie_in = in.data,
            .cookie_in_length = in.length, .flags = destination_flags(migration), .cancelled = cancelled,
        };
        struct domain_migrate_finish3_params_ret ret;
        if (remote_domain_migrate_finish3_params(client, &args, migration->arena, &ret, err) < 0)
            return -1;
        phases->cookie = (struct cookie){ret.cookie_out_length, ret.cookie_out};
        return 0;
    }
    struct domain_migrate_finish3_args args = {
        .dname = name, .cookie_in = in.data, .cookie_in_length = in.length, .uri = phases->uri,
        .flags = destination_flags(migration), .cancelled = cancelled,
    };
    struct domain_migrate_finish3_ret ret;
    if (remote_domain_migrate_finish3(client, &args, migration->arena, &ret, err) < 0)
        return -1;
    phases->cookie = (struct cookie){ret.cookie_out_length, ret.cookie_out};
    return 0;
}

static int phase_confirm(struct phases *phases, bool cancelled, struct error *err)
{
    struct migration *migration = phases->migration;
    struct client *client = migration->source->client;
    unsigned flags = migration->flags | phases->protection;
    struct cookie in = phases->cookie;
    if (phases->params_form) {
        struct domain_migrate_confirm3_params_args args = {
            .dom = migration->dom, .params = migration->params.items, .params_count = migration->params.count,
            .cookie_in = in.data, .cookie_in_length = in.length, .flags = flags, .cancelled = cancelled,
        };
        return remote_domain_migrate_confirm3_params(client, &args, err);
    }
    struct domain_migrate_confirm3_args args = {.dom = migration->dom, .cookie_in = in.data,
                                                .cookie_in_length = in.length, .flags = flags, .cancelled = cancelled};
    return remote_domain_migrate_confirm3(client, &args, err);
}

/* Who has the guest when finish failed: a daemon that answered has thrown it away, one that was lost or is not
 * understood may run it, and only it can tell. */
static int owner_after_failure(const struct migration *migration)
{
    return migration_ask_owner(migration->source, migration->destination->uri, &migration->dom, ASK_OWNER_MS);
}

static int finish(struct phases *phases, struct error *err)
{
    struct migration *migration = phases->migration;
    if (phase_finish(phases, false, err) == 0)
        return WIRE_MIGRATION_OWNER_DESTINATION;
    int owner = owner_after_failure(migration);
    const char *here = migration->dom.name, *there = migration_param(migration, MIGRATE_PARAM_DEST_NAME) ?: here;
    if (owner == WIRE_MIGRATION_OWNER_SOURCE)
        command_failed(err, "the destination could not finish the migration");
    else if (owner == WIRE_MIGRATION_OWNER_UNKNOWN) {
        migration->unsettled = true;
        error_wrap(err, "the destination '%s' does not answer whether it runs '%s'. The guest is left paused on the "
                   "source, which asks for itself when it can; 'migrate --recover %s' there settles it by hand. A "
                   "libvirtd as source needs you to look: 'destroy %s' there if the guest runs on the destination, "
                   "else 'resume %s'", migration->destination->uri, there, here, here, here);
    }
    return owner;
}

/* From prepare on. The rule is that nobody may be left believing that the guest runs on both sides or on none: an error
 * goes on to the phases that clean up, and the first one is reported. */
static int after_begin(struct phases *phases, struct error *err)
{
    struct error later = {0};
    if (keep_paused(phases, err) < 0 || phase_prepare(phases, err) < 0) {
        command_failed(err, "the destination cannot take the domain");
        phases->cookie = (struct cookie){0};
        if (phases->protection) /* begin made the source hold the domain */
            phase_confirm(phases, true, &later);
        return -1;
    }
    bool offline = phases->migration->flags & MIGRATE_OFFLINE, performed = true;
    if (!phases->uri && !offline) {
        performed = false;
        error_set(err, ERR_INTERNAL_ERROR, "the destination named no address for the guest's state; give --migrateuri");
    } else if (!offline && phase_perform(phases, err) < 0) {
        performed = false;
        command_failed(err, "the source could not send the domain");
    }
    if (!performed) {
        phases->cookie = (struct cookie){0};
        phase_finish(phases, true, &later);
        if (!phases->uri) /* else perform itself put the source right */
            phase_confirm(phases, true, &later);
        return -1;
    }
    int owner = finish(phases, err);
    if (owner == WIRE_MIGRATION_OWNER_UNKNOWN) /* neither answer to the source would be safe */
        return -1;
    bool arrived = phases->migration->arrived = owner == WIRE_MIGRATION_OWNER_DESTINATION;
    if (phase_confirm(phases, !arrived, arrived ? err : &later) < 0 && arrived)
        return command_failed(err, "the domain is on the destination, but the source could not let go of it");
    return arrived ? 0 : -1;
}

static int check_features(struct migration *migration, bool *params_form, struct error *err)
{
    struct connection *source = migration->source, *destination = migration->destination;
    bool third = connection_supports(source, FEATURE_V3) && connection_supports(destination, FEATURE_V3);
    *params_form = connection_supports(source, FEATURE_PARAMS) && connection_supports(destination, FEATURE_PARAMS);
    if (!third && !*params_form)
        return error_set(err, ERR_OPERATION_UNSUPPORTED, "'%s' or '%s' does not know the third form of the migration "
                         "protocol", source->uri, destination->uri);
    if ((migration->flags & MIGRATE_OFFLINE) &&
        !(connection_supports(source, FEATURE_OFFLINE) && connection_supports(destination, FEATURE_OFFLINE)))
        return error_set(err, ERR_OPERATION_UNSUPPORTED, "--offline: '%s' or '%s' cannot migrate a definition alone",
                         source->uri, destination->uri);
    static const char *const old_params[] = {MIGRATE_PARAM_URI, MIGRATE_PARAM_DEST_NAME, MIGRATE_PARAM_DEST_XML,
                                             MIGRATE_PARAM_BANDWIDTH};
    for (uint32_t i = 0; !*params_form && i < migration->params.count; i++) {
        bool known = false;
        for (size_t k = 0; k < COUNT(old_params); k++)
            known |= strcmp(migration->params.items[i].field, old_params[k]) == 0;
        if (!known)
            return error_set(err, ERR_ARGUMENT_UNSUPPORTED, "'%s' or '%s' is too old for the migration parameter '%s'",
                             source->uri, destination->uri, migration->params.items[i].field);
    }
    return 0;
}

static int run_by_source(struct migration *migration, struct error *err)
{
    struct domain_migrate_perform3_params_args args = {
        .dom = migration->dom, .dconnuri = migration->peer_uri, .params = migration->params.items,
        .params_count = migration->params.count, .flags = migration->flags,
    };
    struct domain_migrate_perform3_params_ret ret;
    struct connection *source = migration->source;
    if (!connection_supports(source, FEATURE_P2P) && (migration->flags & MIGRATE_PEER2PEER))
        return error_set(err, ERR_OPERATION_UNSUPPORTED, "'%s' cannot migrate peer to peer", source->uri);
    if (!(migration->flags & MIGRATE_PEER2PEER) && !connection_supports(source, FEATURE_DIRECT))
        return error_set(err, ERR_OPERATION_UNSUPPORTED,
                         "'%s' cannot do a direct migration, without a daemon at the other end; use --p2p",
                         source->uri);
    if (connection_supports(source, FEATURE_PARAMS))
        return remote_domain_migrate_perform3_params(source->client, &args, migration->arena, &ret, err);
    struct domain_migrate_perform3_args old = {
        .dom = migration->dom, .xmlin = migration_param(migration, MIGRATE_PARAM_DEST_XML),
            .dconnuri = migration->peer_uri,
        .uri = migration_param(migration, MIGRATE_PARAM_URI), .flags = migration->flags,
        .dname = migration_param(migration, MIGRATE_PARAM_DEST_NAME), .resource = param_bandwidth(migration),
    };
    struct domain_migrate_perform3_ret old_ret;
    return remote_domain_migrate_perform3(source->client, &old, migration->arena, &old_ret, err);
}

int migration_run(struct migration *migration, struct error *err)
{
    if (!migration->destination)
        return run_by_source(migration, err);
    struct phases phases = {.migration = migration};
    if (check_features(migration, &phases.params_form, err) < 0)
        return -1;
    if (!(migration->flags & MIGRATE_CHANGE_PROTECTION) &&
        connection_supports(migration->source, FEATURE_CHANGE_PROTECTION))
        phases.protection = MIGRATE_CHANGE_PROTECTION;
    if (phase_begin(&phases, err) < 0)
        return command_failed(err, "the source cannot begin");
    return after_begin(&phases, err);
}
