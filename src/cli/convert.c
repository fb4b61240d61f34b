/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/convert.h"

#include <string.h>

#include "base/files.h"
#include "base/text.h"
#include "cli/domain.h"
#include "cli/terminal.h"

#define MAP_FILE      "/etc/virt-v2v.conf"
#define MAP_FILE_SIZE (1u << 20)

/* Calls add for each value of an option that was given several times. */
static int each_value(struct invocation *in, const char *option, struct network_map *map,
                      int (*add)(struct network_map *map, const char *value, struct error *err), struct error *err)
{
    for (const char *at = option_text(in, option); at && *at;) {
        size_t length = strcspn(at, "\n");
        if (add(map, arena_strndup(in->arena, at, length), err) < 0)
            return error_wrap(err, "--%s", option);
        at += length + (at[length] == '\n');
    }
    return 0;
}

static int add_network(struct network_map *map, const char *value, struct error *err)
{
    return network_map_add(map, NETWORK_KIND_NETWORK, value, err);
}

static int add_bridge(struct network_map *map, const char *value, struct error *err)
{
    return network_map_add(map, NETWORK_KIND_BRIDGE, value, err);
}

/* What options say comes first, so that it counts where the file says otherwise. */
static int map_fill(struct invocation *in, struct network_map *map, struct error *err)
{
    if (each_value(in, "mac", map, network_map_add_mac, err) < 0 ||
        each_value(in, "network", map, add_network, err) < 0 || each_value(in, "bridge", map, add_bridge, err) < 0)
        return -1;
    const char *path = option_text(in, "config");
    if (!path && access(MAP_FILE, R_OK) < 0)
        return 0;
    path = path ? path : MAP_FILE;
    size_t length = 0;
    char *xml = file_read(in->arena, path, MAP_FILE_SIZE, &length, err);
    if (!xml)
        return -1;
    return network_map_read(map, xml, length, err) < 0 ? error_wrap(err, "cannot read the mapping in '%s'", path) : 0;
}

static int type_choose(const struct invocation *in, enum virt_type *type, struct error *err)
{
    const char *word = option_text(in, "virt-type");
    *type = word ? (enum virt_type)words_value(&virt_type_words, word) : VIRT_TYPE_KVM;
    if (*type == VIRT_TYPE_KVM || *type == VIRT_TYPE_QEMU)
        return 0;
    return error_set(err, ERR_INVALID_ARG, "--virt-type is kvm or qemu, not '%s'", word);
}

/* Prints a definition with its report. */
static int print_xml(struct invocation *in, const struct domain_def *def, const struct report *report)
{
    scoped_free char *xml = domain_format(def, DOMAIN_XML_SECURE | DOMAIN_XML_INACTIVE);
    if (output_is_json(in)) {
        convert_report_json(def->name, xml, report, NULL);
        return 0;
    }
    convert_report_print(in, report);
    output_document(in, "xml", xml);
    return 0;
}

static int formats_choose(const struct invocation *in, struct job *job, struct error *err)
{
    const char *allocation = option_text(in, "oa");
    job->format = option_text(in, "of");
    job->preallocated = string_equal(allocation, "preallocated");
    if (job->format && strcmp(job->format, "raw") != 0 && strcmp(job->format, "qcow2") != 0)
        return error_set(err, ERR_INVALID_ARG, "-of is raw or qcow2, not '%s'", job->format);
    if (allocation && !job->preallocated && strcmp(allocation, "sparse") != 0)
        return error_set(err, ERR_INVALID_ARG, "-oa is sparse or preallocated, not '%s'", allocation);
    return 0;
}

static int done(struct invocation *in, const struct job *job, const struct report *report)
{
    if (output_is_json(in)) {
        convert_report_json(job->name, job->xml, report, job);
        return 0;
    }
    convert_report_print(in, report);
    if (job->pool)
        output_note(in, "Domain '%s' converted into pool '%s' and defined at '%s'\n", job->name, job->pool, job->uri);
    else
        output_note(in, "Domain '%s' converted; its definition is '%s/%s.xml'\n", job->name, job->directory, job->name);
    return 0;
}

/* Ctrl-C and SIGTERM end the copying at its next wait, so that it is taken back like any other that fails. */
struct guard {
    struct condition signalled;
    struct interrupt *interrupt;
    struct fiber *worker;
};

static void guard_watch(void *argument)
{
    struct guard *guard = argument;
    while (guard->worker && !interrupt_came(guard->interrupt))
        condition_wait(&guard->signalled, DEADLINE_NONE, NULL);
    if (guard->worker)
        fiber_cancel(guard->worker);
    interrupt_free(guard->interrupt);
    free(guard);
}

/* The watching fiber frees the guard, at the signal or when it is let go. */
static struct guard *guard_new(void)
{
    struct guard *guard = xcalloc(1, sizeof *guard);
    condition_init(&guard->signalled);
    guard->interrupt = interrupt_new(&guard->signalled);
    guard->worker = fiber_self();
    return guard;
}

static int job_run_guarded(struct job *job, const struct job_target *calls, struct error *err)
{
    struct guard *guard = guard_new();
    struct fiber *watcher = fiber_start("convert guard", guard_watch, guard);
    int result = job_run(job, calls, err);
    if (watcher && !fiber_is_cancelled(fiber_self())) {
        guard->worker = NULL;
        condition_wake(&guard->signalled);
    }
    return result;
}

/* Nothing is done; a person's work that is left is a result of its own. */
static int print_plan(struct invocation *in, const struct job *job, const struct report *report)
{
    if (output_is_json(in)) {
        convert_report_json(job->name, job->xml, report, job);
    } else {
        convert_report_print(in, report);
        output_document(in, "xml", job->xml);
    }
    return report->left.count ? -1 : 0;
}

/* What to do about a conversion to that name that left a journal. */
static int unfinished(struct target *target, const struct job *job, struct error *err)
{
    struct job left = {.arena = job->arena, .lock = -1};
    if (job_journal_read(&left, job->directory, job->name, err) < 0)
        return -1;
    if (left.phase == JOB_PUBLISHING && target_has(target, &left))
        return error_set(err, ERR_OPERATION_INVALID, "domain '%s' is converted and defined already, only its journal "
                         "in '%s' is left; --resume removes that, --abort removes the domain and its disks",
                         job->name, job->directory);
    return error_set(err, ERR_OPERATION_INVALID, "a conversion to '%s' in '%s' was not finished; go on with it by "
                     "--resume or take it back by --abort", job->name, job->directory);
}

/* The whole of it: the definition and the disks. */
static int convert_all(struct invocation *in, struct domain_def *def, const struct source_place *place,
                       struct report *report, struct error *err)
{
    scoped_job_lock struct job job = {.arena = in->arena, .name = def->name, .lock = -1};
    scoped_target struct target target = {0};
    struct job_target calls;
    if (formats_choose(in, &job, err) < 0)
        return -1;
    if (place->running && !option_given(in, "plan"))
        return error_set(err, ERR_OPERATION_INVALID, "domain '%s' runs; shut it down before its disks are copied",
                         option_text(in, "source"));
    if (!place->local)
        return error_set(err, ERR_OPERATION_INVALID, "the disks of domain '%s' are on another host; copy them and its "
                         "definition (--print-source) here, then convert with -i libvirtxml",
                         option_text(in, "source"));
    bool plan = option_given(in, "plan");
    if (target_open(in, &target, &job, &calls, err) < 0 || (!plan && job_lock(&job, job.directory, job.name, err) < 0))
        return -1;
    if (job_journal_exists(job.directory, job.name))
        return unfinished(&target, &job, err);
    if (target_check(&target, &job, def, report, err) < 0 || job_plan(&job, def, report, err) < 0 ||
        (!plan && job_run_guarded(&job, &calls, err) < 0))
        return error_wrap(err, "cannot convert domain '%s'", option_text(in, "source"));
    if (plan)
        return print_plan(in, &job, report);
    target_finish(&target, &job);
    return done(in, &job, report);
}

/* --resume and --abort: SOURCE is the name of the converted domain. */
static int convert_unfinished(struct invocation *in, struct error *err)
{
    const char *name = option_text(in, "source");
    struct report report = {.arena = in->arena};
    scoped_job_lock struct job job = {.arena = in->arena, .lock = -1};
    scoped_target struct target target = {0};
    struct job_target calls;
    if (option_exclusive(in, err, "resume", "abort", "xml-only", "print-source", "plan", NULL) < 0 ||
        target_open(in, &target, &job, &calls, err) < 0 || domain_name_check(name, err) < 0)
        return -1;
    const char *output = job.output;
    if (job_lock(&job, job.directory, name, err) < 0 || job_journal_read(&job, job.directory, name, err) < 0)
        return -1;
    if (strcmp(output, job.output) != 0)
        return error_set(err, ERR_INVALID_ARG, "the conversion to '%s' was begun with -o %s", name, job.output);
    bool resume = option_given(in, "resume");
    if (resume && job_resume_check(&job, &report, err) < 0)
        return error_wrap(err, "cannot go on with the conversion to '%s'", name);
    if ((resume ? job_run_guarded(&job, &calls, err) : job_abort(&job, &calls, err)) < 0)
        return -1;
    target_finish(&target, &job);
    if (resume)
        return done(in, &job, &report);
    output_note(in, "The conversion to '%s' is taken back\n", name);
    return 0;
}

static int run_convert(struct invocation *in, struct error *err)
{
    struct report report = {.arena = in->arena};
    struct network_map map = {.arena = in->arena};
    struct rules_options options = {.name = option_text(in, "on"), .networks = &map};
    struct source_place place;
    in->shell->quiet |= option_given(in, "quiet");
    if (option_given(in, "resume") || option_given(in, "abort"))
        return convert_unfinished(in, err);
    if (option_exclusive(in, err, "print-source", "xml-only", "plan", NULL) < 0 ||
        type_choose(in, &options.type, err) < 0 || map_fill(in, &map, err) < 0)
        return -1;
    scoped_domain_def struct domain_def *source = convert_source(in, &report, &place, err);
    if (!source)
        return -1;
    if (option_given(in, "print-source"))
        return print_xml(in, source, &report);
    options.probe = place.local;
    scoped_domain_def struct domain_def *def = source_convert(source, &options, &report, err);
    if (!def)
        return -1;
    return option_given(in, "xml-only") ? print_xml(in, def, &report) : convert_all(in, def, &place, &report, err);
}

static int run_rules(struct invocation *in, struct error *err)
{
    scoped_text struct text out = {0};
    rules_text(&out);
    output_document(in, "rules", text_string(&out));
    return 0;
}

static const struct command_option convert_options[] = {
    {"source", OPTION_STRING, OPTION_REQUIRED, "the guest: a domain's name, or a file when -i says so"},
    {"i", OPTION_STRING, OPTION_NAMED, "what SOURCE is: libvirt (a domain's name, the default), libvirtxml or xl "
     "(files), or disk (an image)"},
    {"if", OPTION_STRING, OPTION_NAMED, "format of the image of -i disk; without it its header says it"},
    {"ic", OPTION_STRING, OPTION_NAMED, "URI of the daemon that has the domain, like xen+ssh://root@host/"},
    {"o", OPTION_STRING, OPTION_NAMED, "what the result is: libvirt (a domain in a pool) or local (files in a "
     "directory)"},
    {"os", OPTION_STRING, OPTION_NAMED, "where the disks go: a pool (without it 'default') or a directory"},
    {"oc", OPTION_STRING, OPTION_NAMED, "URI of the daemon that gets the domain; without it the one of godwit -c"},
    {"of", OPTION_STRING, OPTION_NAMED, "format of the disks: raw or qcow2; without it the source's"},
    {"oa", OPTION_STRING, OPTION_NAMED, "how space is taken: sparse (the default) or preallocated"},
    {"on", OPTION_STRING, OPTION_NAMED, "name of the converted domain; without it the source's"},
    {"network", OPTION_STRING, OPTION_NAMED | OPTION_REPEATED, "put interfaces on a network: OUT for all of them, "
     "IN:OUT for those of network IN"},
    {"n", OPTION_ALIAS, 0, "network"},
    {"bridge", OPTION_STRING, OPTION_NAMED | OPTION_REPEATED, "put interfaces on a bridge: OUT for all of them, IN:OUT "
     "for those of bridge IN"},
    {"b", OPTION_ALIAS, 0, "bridge"},
    {"mac", OPTION_STRING, OPTION_NAMED | OPTION_REPEATED, "put one interface on a network or bridge: MAC:network:OUT "
     "or MAC:bridge:OUT"},
    {"config", OPTION_STRING, OPTION_NAMED, "file with a mapping of networks and bridges; without it " MAP_FILE},
    {"f", OPTION_ALIAS, 0, "config"},
    {"virt-type", OPTION_STRING, OPTION_NAMED, "type of the converted domain: kvm (the default) or qemu"},
    {"plan", OPTION_BOOL, 0, "check all that a conversion checks, print what it would do, and do nothing; fails when "
     "something is left to do by hand"},
    {"xml-only", OPTION_BOOL, 0, "convert the definition alone and print it"},
    {"print-source", OPTION_BOOL, 0, "print the source's definition as it was understood"},
    {"quiet", OPTION_BOOL, 0, "say nothing but errors"},
    {"q", OPTION_ALIAS, 0, "quiet"},
    {"resume", OPTION_BOOL, 0, "go on with a conversion that was cut off; SOURCE is the name of its result"},
    {"abort", OPTION_BOOL, 0, "take back a conversion that was cut off; SOURCE is the name of its result"},
    {0},
};

const struct command convert_commands[] = {
    {"convert", "convert", "make a domain for KVM of a Xen guest",
     "Options may be written with one dash, as virt-v2v has them. The disks are copied, then the domain is defined; "
     "when anything fails, all of that is taken back. Each change is told on stderr, and so is what is left to do by "
     "hand; with --output json they stand beside the XML. The source is never changed.",
     convert_options, run_convert, COMMAND_NO_CONNECTION | COMMAND_ONE_DASH},
    {"convert-rules", "convert", "what convert changes in a definition, and why", NULL, NULL, run_rules,
     COMMAND_NO_CONNECTION},
    {0},
};
