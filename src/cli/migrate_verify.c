/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/migrate_verify.h"

#include <string.h>

#include "base/text.h"
#include "cli/output.h"

enum { AGENT_S = 5 };

#define AGENT_PATH "/domain/devices/channel/target[@name='org.qemu.guest_agent.0']/@state"

/* What one daemon says. */
struct host_view {
    const char *name; /* host name */
    bool known;       /* it answered */
    int state;        /* DOMAIN_*; -1 = it knows no such domain */
    bool resting;     /* it stands there for its disks alone, and ends now */
    struct error error;
};

struct findings {
    struct host_view here, there;
    uint64_t devices, disks, memory; /* that the destination found again; devices 0 = it did not say */
    const char *agent; /* "answers", "silent", or NULL: there is none that listened */
    struct error agent_error;
};

/* -- asking -------------------------------------------------------------------------------------------------------- */

static void ask_state(struct host_view *view, struct connection *connection, const struct wire_domain *dom,
                      struct wire_domain *found, struct arena *arena)
{
    struct connect_get_hostname_ret host;
    struct domain_lookup_by_uuid_args lookup = {0};
    struct domain_lookup_by_uuid_ret domain;
    struct domain_get_state_ret state;
    memcpy(lookup.uuid, dom->uuid, UUID_SIZE);
    if (remote_connect_get_hostname(connection->client, arena, &host, &view->error) < 0)
        return;
    view->name = host.hostname;
    if (remote_domain_lookup_by_uuid(connection->client, &lookup, arena, &domain, &view->error) < 0) {
        view->known = view->error.code == ERR_NO_DOMAIN;
        view->state = -1;
        return;
    }
    const struct domain_get_state_args args = {.dom = domain.dom};
    *found = domain.dom;
    if (remote_domain_get_state(connection->client, &args, arena, &state, &view->error) == 0) {
        view->known = true;
        view->state = state.state;
    }
}

static void ask_figures(struct findings *findings, struct connection *connection, const struct wire_domain *dom,
                        struct arena *arena)
{
    const struct domain_get_job_stats_args args = {
        .dom = *dom, .flags = DOMAIN_JOB_STATS_COMPLETED | DOMAIN_JOB_STATS_KEEP_COMPLETED};
    struct domain_get_job_stats_ret stats;
    if (remote_domain_get_job_stats(connection->client, &args, arena, &stats, NULL) < 0)
        return;
    params_get_u64(stats.params, stats.params_count, GODWIT_VERIFIED_DEVICES, &findings->devices, NULL);
    params_get_u64(stats.params, stats.params_count, GODWIT_VERIFIED_DISKS, &findings->disks, NULL);
    params_get_u64(stats.params, stats.params_count, GODWIT_VERIFIED_MEMORY, &findings->memory, NULL);
}

/* Only one that had opened its channel: others never listened. */
static const char *ask_agent(struct connection *connection, const struct wire_domain *dom, struct arena *arena,
                             struct error *err)
{
    const struct domain_get_xml_desc_args args = {.dom = *dom};
    struct domain_get_xml_desc_ret xml;
    if (remote_domain_get_xml_desc(connection->client, &args, arena, &xml, NULL) < 0)
        return NULL;
    scoped_document struct document *document = document_parse(xml.xml, "the XML of the domain", NULL);
    const char *state = document ? document_string(arena, document, NULL, AGENT_PATH) : NULL;
    if (!string_equal(state, "connected"))
        return NULL;
    const struct qemu_domain_agent_command_args ping = {.dom = *dom, .cmd = "{\"execute\":\"guest-ping\"}",
                                                        .timeout = AGENT_S};
    struct qemu_domain_agent_command_ret ret;
    return remote_qemu_domain_agent_command(connection->client, &ping, arena, &ret, err) == 0 ? "answers" : "silent";
}

static void ask(struct findings *findings, const struct migration *migration, struct connection *there,
                struct arena *arena)
{
    struct wire_domain here_dom = {0}, there_dom = {0};
    ask_state(&findings->here, migration->source, &migration->dom, &here_dom, arena);
    if (!there)
        return;
    ask_state(&findings->there, there, &migration->dom, &there_dom, arena);
    if (!findings->there.known || findings->there.state < 0)
        return;
    ask_figures(findings, there, &there_dom, arena);
    if (findings->there.state == DOMAIN_RUNNING)
        findings->agent = ask_agent(there, &there_dom, arena, &findings->agent_error);
}

/* -- judging ------------------------------------------------------------------------------------------------------- */

static bool has_guest(const struct host_view *view)
{
    return view->known && view->state >= 0 && view->state != DOMAIN_SHUTOFF && view->state != DOMAIN_CRASHED;
}

static const char *state_word(const struct host_view *view)
{
    return view->state < 0 ? "not there" : domain_state_word(view->resting ? DOMAIN_SHUTOFF : view->state);
}

static int judge(const struct findings *findings, const char *name, struct error *err)
{
    const struct host_view *here = &findings->here, *there = &findings->there;
    if (!here->known || !there->known) /* that is said, and proves nothing */
        return 0;
    if (has_guest(there) && !has_guest(here))
        return 0;
    return error_set(err, ERR_OPERATION_FAILED,
                     "domain '%s' was migrated, but afterwards it is %s on '%s' and %s on '%s': look at both, and at "
                     "'migrate --status'", name, state_word(here), here->name, state_word(there), there->name);
}

/* -- telling ------------------------------------------------------------------------------------------------------- */

static void say_figures(struct text *words, const struct findings *findings)
{
    if (!findings->devices) {
        text_append(words, "; its devices were not compared");
        return;
    }
    text_printf(words, "; %llu devices", (unsigned long long)findings->devices);
    if (findings->disks)
        text_printf(words, "%s%llu disk%s", findings->memory ? ", " : " and ", (unsigned long long)findings->disks,
                    findings->disks == 1 ? "" : "s");
    if (findings->memory) {
        const char *unit;
        double size = human_size(findings->memory, &unit);
        text_printf(words, " and a sample of %.0f %s of its memory", size, unit);
    }
    text_append(words, " were found again");
}

static void tell(struct invocation *in, const struct findings *findings, const char *name)
{
    const struct host_view *here = &findings->here, *there = &findings->there;
    scoped_text struct text words = {0};
    if (!here->known || !there->known) {
        const struct host_view *silent = there->known ? here : there;
        output_warning(in->shell, "domain '%s' was migrated, but the %s cannot be asked: %s", name,
                       silent == here ? "source" : "destination", silent->error.message);
        return;
    }
    text_printf(&words, "verified: '%s' is %s on '%s' and %s on '%s'", name, state_word(there), there->name,
                state_word(here), here->name);
    say_figures(&words, findings);
    if (string_equal(findings->agent, "answers"))
        text_append(&words, "; its agent answers");
    output_note(in, "%s\n", text_string(&words));
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static json_t *view_json(const struct host_view *view)
{
    return json_pack("{s:o, s:o}", "host", text_or_null(view->name), "state",
                     text_or_null(view->known ? state_word(view) : NULL));
}

static void tell_json(const struct findings *findings, const char *name)
{
    bool proven = findings->here.known && findings->there.known;
    output_json(json_pack("{s:s, s:b, s:o, s:o, s:I, s:I, s:I, s:o}", "domain", name, "verified", proven, "source",
                          view_json(&findings->here), "destination", view_json(&findings->there), "devices",
                          (json_int_t)findings->devices, "disks", (json_int_t)findings->disks, "memory_bytes",
                          (json_int_t)findings->memory, "agent", text_or_null(findings->agent)));
}

int migrate_verify(struct invocation *in, const struct migration *migration, struct connection *there, const char *uri,
                   struct error *err)
{
    struct findings findings = {0};
    scoped_connection struct connection *own =
        there ? NULL : connection_open(uri, false, in->shell->keepalive, &findings.there.error);
    ask(&findings, migration, there ? there : own, in->arena);
    findings.there.resting = migration->at_rest && findings.there.state == DOMAIN_PAUSED;
    if (output_is_json(in))
        tell_json(&findings, migration->dom.name);
    if (judge(&findings, migration->dom.name, err) < 0)
        return -1;
    if (!output_is_json(in))
        tell(in, &findings, migration->dom.name);
    if (string_equal(findings.agent, "silent"))
        output_warning(in->shell, "'%s' runs on '%s', but its agent does not answer there: %s", migration->dom.name,
                       findings.there.name, findings.agent_error.message);
    return 0;
}
