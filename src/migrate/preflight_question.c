/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "migrate/check.h"
#include "migrate/internal.h"
#include "migrate/preflight.h"
#include "migrate/probe.h"
#include "qemu/block.h"
#include "qemu/command.h"
#include "qemu/cpu_compare.h"

/* The source's end of the conversation: what moves. */

enum {
    CAPS_MS = 30000,
    FILES_MS = 5000,
    DIRTY_S = 1, /* how long QEMU samples memory */
    DIRTY_MS = 3000,
    MARKS_MS = 60000, /* marks that nobody took away are gone after so long */
};

/* -- the processor as the guest sees it ---------------------------------------------------------------------------- */

/* What the definition asks for and this host can give; with a passed-through CPU all of it. */
static bool shown_features(struct arena *arena, const json_t *cpu, const struct cpu_models *models,
                           struct cpu_features *shown)
{
    const char *mode = fact_text(cpu, "mode"), *xml = fact_text(cpu, "xml");
    struct cpu_description description;
    *shown = models->best.features;
    if (string_equal(mode, "host-passthrough") || string_equal(mode, "maximum"))
        return true;
    if (!fact_text(cpu, "model") || cpu_description_parse(arena, &description, xml, models, NULL) < 0)
        return false;
    *shown = cpu_features_common(&description.features, &models->best.features);
    return true;
}

static void put_features(json_t *guest, struct driver *driver, const struct qemu_caps *caps)
{
    scoped_arena struct arena *arena = arena_new();
    enum qemu_accel accel = accel_of(fact_text(guest, "type"));
    json_t *cpu = json_object_get(guest, "cpu");
    const struct cpu_models *models = cpu_models_get(driver->cpu_models, caps, accel, deadline_ms(CAPS_MS), NULL);
    struct cpu_features shown;
    if (!models || !shown_features(arena, cpu, models, &shown))
        return;
    json_t *list = json_array();
    for (unsigned feature = 0; feature < CPU_FEATURE_COUNT; feature++)
        if (cpu_features_has(&shown, feature) && cpu_feature_name(feature))
            json_array_append_new(list, json_string(cpu_feature_name(feature)));
    json_object_set_new(cpu, "features", list);
}

/* -- what QEMU knows ----------------------------------------------------------------------------------------------- */

/* Layers below the image, which the definition need not name. */
static json_t *chain_of(const json_t *image)
{
    json_t *chain = json_array();
    for (const json_t *layer = fact(image, "backing-image"); layer && json_array_size(chain) < 200;
         layer = fact(layer, "backing-image")) {
        const char *path = fact_text(layer, "filename");
        if (!path || *path != '/')
            continue; /* on the network */
        json_t *one = json_object();
        facts_put(one, "path", path);
        facts_put(one, "format", fact_text(layer, "format"));
        json_array_append_new(chain, one);
    }
    return chain;
}

static void put_chains(json_t *guest, const struct domain_def *live, const json_t *blocks)
{
    scoped_arena struct arena *arena = arena_new();
    for (uint32_t i = 0; i < live->disks.count; i++) {
        const char *node = qemu_node_format(arena, &live->disks.item[i]->source);
        json_t *disk = (json_t *)fact_find(fact(guest, "disks"), "target", live->disks.item[i]->target);
        for (size_t j = 0; disk && j < json_array_size(blocks); j++) {
            const json_t *inserted = fact(json_array_get(blocks, j), "inserted");
            if (inserted && string_equal(fact_text(inserted, "node-name"), node))
                json_object_set_new(disk, "chain", chain_of(fact(inserted, "image")));
        }
    }
}

/* A guest that was suspended, sent whole, and then taken back: QEMU (7.2) refuses to send it again until it has run,
 * and has nothing that makes it forget without letting it run. */
#define SENT_ONCE "it was sent once while it was suspended, and came back: resume it, and suspend it again"

static int ask_qemu(json_t *guest, struct domain *domain, const struct domain_def *live, struct error *err)
{
    struct qmp_request requests[] = {
        {.command = "query-migrate"}, {.command = "query-block"}, {.command = "query-status"}};
    int rc = qmp_batch(domain->qmp, requests, COUNT(requests), monitor_deadline(), err);
    if (rc == 0) {
        const json_t *reasons = fact(requests[0].reply, "blocked-reasons");
        json_t *blocked = reasons ? json_deep_copy(reasons) : json_array();
        if (string_equal(fact_text(requests[2].reply, "status"), "postmigrate"))
            json_array_append_new(blocked, json_string(SENT_ONCE));
        json_object_set_new(guest, "blocked", blocked);
        put_chains(guest, live, requests[1].reply);
    }
    qmp_requests_finish(requests, COUNT(requests));
    return rc;
}

static const char *state_word(const struct domain *domain)
{
    static const char *const words[] = {
        [DOMAIN_RUNNING] = "running",      [DOMAIN_PAUSED] = "paused",   [DOMAIN_SHUTDOWN] = "in shutdown",
        [DOMAIN_SHUTOFF] = "shut off",     [DOMAIN_CRASHED] = "crashed", [DOMAIN_PMSUSPENDED] = "pmsuspended",
    };
    const char *word = domain->state >= 0 && (size_t)domain->state < COUNT(words) ? words[domain->state] : NULL;
    if (domain_active(domain) && domain->incoming)
        return "arriving from another host";
    return word ? word : "running";
}

/* How much memory changes in a second; QEMU samples pages, which costs the guest next to nothing. */
static void put_dirty_rate(json_t *guest, struct domain *domain)
{
    if (qmp_execute(domain->qmp, "calc-dirty-rate", json_pack("{s:i}", "calc-time", DIRTY_S), monitor_deadline(),
                    NULL) < 0)
        return; /* somebody else measures it now */
    deadline until = deadline_ms(DIRTY_MS);
    for (await_sleep(deadline_ms(DIRTY_S * 1000), NULL); now_ns() < until; await_sleep(deadline_ms(50), NULL)) {
        int64_t rate;
        scoped_json json_t *reply = qmp_command(domain->qmp, "query-dirty-rate", NULL, until, NULL);
        if (!string_equal(fact_text(reply, "status"), "measuring")) {
            if (fact_number(reply, "dirty-rate", &rate) && rate >= 0)
                json_object_set_new(guest, "dirty_bps", json_integer(rate << 20));
            return;
        }
    }
}

static int put_live(json_t *guest, struct domain *domain, const struct domain_def *live, unsigned flags,
                    struct error *err)
{
    facts_put(guest, "state", state_word(domain));
    if (!domain_active(domain))
        return 0;
    facts_put_number(guest, "resident_kib", domain_resident_kib(domain));
    facts_put_number(guest, "pause_most_ms", migration_downtime_most(domain));
    facts_put_number(guest, "pause_first_ms", migration_downtime_first(domain));
    if (ask_qemu(guest, domain, live, err) < 0)
        return -1;
    if (flags & PREFLIGHT_MEASURE)
        put_dirty_rate(guest, domain);
    return 0;
}

/* -- disks --------------------------------------------------------------------------------------------------------- */

static bool wants_mark(const json_t *disk)
{
    return fact_flag(disk, "readonly") != 1 && fact_flag(disk, "copied") != 1;
}

static void put_file(json_t *disk, const struct probe_file *file)
{
    json_t *found = json_object();
    if (file->errnum) {
        facts_put(found, "error", strerror(file->errnum));
    } else {
        facts_put_number(found, "inode", file->inode);
        json_object_set_new(found, "size", json_integer((json_int_t)file->size));
        json_object_set_new(found, "allocated", json_integer((json_int_t)file->allocated));
        facts_put(found, "system", *file->system ? file->system : NULL);
        facts_put(found, "id", *file->id ? file->id : NULL);
        facts_put(found, "name", *file->name ? file->name : NULL);
        if (file->write_mark && file->regular)
            json_object_set_new(found, "marked", json_boolean(file->marked));
        if (file->mark_errnum)
            facts_put(found, "mark_error", strerror(file->mark_errnum));
    }
    json_object_set_new(disk, "file", found);
}

static void put_files(json_t *question)
{
    const json_t *disks = fact(question, "guest.disks");
    scoped_probe struct probe *probe = probe_new(fact_text(question, "mark.name"), fact_text(question, "mark.text"));
    for (size_t i = 0; i < json_array_size(disks); i++) {
        const json_t *disk = json_array_get(disks, i);
        const char *path = fact_text(disk, "path");
        probe_add(probe, path && *path == '/' ? path : "")->write_mark = path && wants_mark(disk);
    }
    if (probe_run(&probe, FILES_MS, NULL) < 0)
        return;
    for (size_t i = 0; i < json_array_size(disks); i++)
        if (*probe->files[i].path)
            put_file(json_array_get(disks, i), &probe->files[i]);
}

/* -- marks --------------------------------------------------------------------------------------------------------- */

static void remove_marks(const json_t *question)
{
    const json_t *disks = fact(question, "guest.disks");
    scoped_probe struct probe *probe = probe_new(fact_text(question, "mark.name"), fact_text(question, "mark.text"));
    for (size_t i = 0; i < json_array_size(disks); i++)
        if (fact_flag(json_array_get(disks, i), "file.marked") == 1)
            probe_add(probe, fact_text(json_array_get(disks, i), "path") ?: "")->remove_mark = true;
    struct error err;
    if (probe->count && probe_run(&probe, FILES_MS, &err) < 0)
        log_warning("marks of a migration check may be left beside the images: %s", err.message);
}

/* Only files of our own making: name and text are as put_mark() makes them. */
void preflight_end(const json_t *question)
{
    const char *name = fact_text(question, "mark.name"), *text = fact_text(question, "mark.text");
    const char *id = name ? string_after(name, ".godwit-check-") : NULL;
    unsigned char uuid[UUID_SIZE];
    if (id && text && uuid_parse(id, uuid) == 0 && string_starts(text, "godwit migration check "))
        remove_marks(question);
}

struct mark_watch {
    json_t *question;
};

static void mark_fiber(void *argument)
{
    struct mark_watch *watch = argument;
    await_sleep(deadline_ms(MARKS_MS), NULL);
    preflight_end(watch->question);
    json_decref(watch->question);
    free(watch);
}

static void put_mark(json_t *question)
{
    unsigned char random[UUID_SIZE];
    char id[UUID_STRING_SIZE], text[UUID_STRING_SIZE];
    uuid_random(random);
    uuid_format(random, id);
    uuid_random(random);
    uuid_format(random, text);
    json_object_set_new(question, "mark", json_pack("{s:o, s:o}", "name", json_sprintf(".godwit-check-%s", id), "text",
                                                    json_sprintf("godwit migration check %s\n", text)));
}

static void watch_marks(const json_t *question)
{
    const json_t *disks = fact(question, "guest.disks");
    bool any = false;
    for (size_t i = 0; i < json_array_size(disks); i++)
        any |= fact_flag(json_array_get(disks, i), "file.marked") == 1;
    if (!any)
        return;
    struct mark_watch *watch = xcalloc(1, sizeof *watch);
    watch->question = json_deep_copy(question);
    fiber_start("marks", mark_fiber, watch);
}

/* -- all of it ----------------------------------------------------------------------------------------------------- */

json_t *facts_of_options(const struct migrate_options *options)
{
    json_t *facts = json_pack("{s:b, s:b, s:b, s:b}", "offline", (options->flags & MIGRATE_OFFLINE) != 0, "unsafe",
                              (options->flags & MIGRATE_UNSAFE) != 0, "copy_increment",
                              (options->flags & MIGRATE_NON_SHARED_INC) != 0, "tunnelled",
                              (options->flags & MIGRATE_TUNNELLED) != 0);
    json_object_set_new(facts, "capabilities", migration_wishes(options->flags));
    facts_put(facts, "uri", options->uri);
    facts_put(facts, "listen", options->listen_address);
    return facts;
}

/* Networks of the bridges here, for comparing segments. */
static void put_addresses(json_t *guest)
{
    const json_t *interfaces = fact(guest, "interfaces");
    for (size_t i = 0; i < json_array_size(interfaces); i++) {
        json_t *interface = json_array_get(interfaces, i);
        const char *bridge = fact_text(interface, "bridge");
        if (bridge)
            json_object_set_new(interface, "addresses", facts_of_addresses(bridge));
    }
}

/* The definition that the destination shall start; a new reference. */
static struct domain_def *def_there(struct domain *domain, struct domain_def *here,
                                    const struct migrate_options *options, struct error *err)
{
    if (!options->xml)
        return domain_def_ref(here);
    struct domain_def *def = driver_parse(domain->driver, options->xml, DOMAIN_PARSE_INACTIVE, err);
    return def ? def : error_null_wrap(err, "--xml");
}

static void put_host(json_t *question, struct domain *domain, const struct domain_def *here)
{
    const struct qemu_caps *caps =
        qemu_caps_get(domain->driver->caps, here->emulator ?: "", deadline_ms(CAPS_MS), NULL);
    json_t *host = facts_of_host(domain->driver, caps, accel_of(virt_type_name(here->type)));
    facts_put_number(host, "qemu_version", domain->qmp ? qmp_version(domain->qmp, NULL) : caps ? caps->version : 0);
    json_object_set_new(question, "host", host);
    const json_t *wishes = fact(question, "options.capabilities");
    for (size_t i = 0; caps && i < json_array_size(wishes); i++) {
        const char *name = fact_text(json_array_get(wishes, i), "capability");
        json_object_set_new(json_array_get(wishes, i), "here",
                            json_boolean(qemu_strings_have(&caps->migration_capabilities, name ?: "")));
    }
    if (caps)
        put_features(json_object_get(question, "guest"), domain->driver, caps);
}

json_t *preflight_question(struct domain *domain, const struct migrate_options *options, unsigned flags,
                           struct error *err)
{
    scoped_domain_def struct domain_def *here = domain_def_ref(domain_def(domain, err));
    scoped_domain_def struct domain_def *there = here ? def_there(domain, here, options, err) : NULL;
    if (!there)
        return NULL;
    scoped_json json_t *question = json_pack("{s:i, s:o, s:o}", "version", 1, "options", facts_of_options(options),
                                             "guest", facts_of_guest(here, there, options));
    json_t *guest = json_object_get(question, "guest");
    if (put_live(guest, domain, here, flags, err) < 0)
        return NULL;
    put_host(question, domain, here);
    put_addresses(guest);
    put_mark(question);
    put_files(question);
    watch_marks(question);
    json_object_set_new(question, "asked_ms", json_integer((json_int_t)clock_ms()));
    return json_incref(question);
}

int preflight_gate_source(struct domain *domain, const struct migrate_options *options, struct error *err)
{
    scoped_domain_def struct domain_def *here = domain_def_ref(domain_def(domain, err));
    scoped_domain_def struct domain_def *there = here ? def_there(domain, here, options, err) : NULL;
    if (!there)
        return -1;
    scoped_json json_t *question =
        json_pack("{s:o, s:o}", "options", facts_of_options(options), "guest", facts_of_guest(here, there, options));
    if (put_live(json_object_get(question, "guest"), domain, here, 0, err) < 0)
        return -1;
    scoped_json json_t *findings = check_run(question, NULL);
    return check_refuse(findings, options->flags & MIGRATE_UNSAFE, here->name, err);
}
