/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <string.h>

#include "base/text.h"
#include "cli/domain.h"

#define CPUS_MAX 256 /* the protocol's */

/* Every <cpu> of a file: alone, inside capabilities, domain XML, domain capabilities, or several below any root. */
static int read_cpus(struct invocation *in, const char *file, const char **cpus, uint32_t *count, struct error *err)
{
    const char *xml = xml_file_read(in, file, err);
    if (!xml)
        return -1;
    /* Files may hold several documents one after another; a root of our own makes them one. */
    const char *body = xml;
    if (string_starts(xml, "<?xml") && strstr(xml, "?>"))
        body = strstr(xml, "?>") + 2;
    scoped_document struct document *document =
        document_parse(arena_printf(in->arena, "<files>%s</files>", body), arena_printf(in->arena, "the file '%s'",
                                                                                        file),
                       err);
    if (!document)
        return -1;
    /* not the processors of the topology, and of domain capabilities the mode that describes the host */
    xmlXPathObject *found = document_query(document, "//cpu[not(parent::cpus) and not(mode)]"
                                                     " | //cpu/mode[@name='host-model' and @supported='yes']");
    int length = found && found->nodesetval ? found->nodesetval->nodeNr : 0;
    for (int i = 0; i < length && *count < CPUS_MAX; i++) {
        xmlNode *node = found->nodesetval->nodeTab[i];
        if (xmlStrEqual(node->name, (const xmlChar *)"mode"))
            xmlNodeSetName(node, (const xmlChar *)"cpu");
        xmlBuffer *buffer = xmlBufferCreate();
        xmlNodeDump(buffer, document->xml, node, 0, 0);
        cpus[(*count)++] = arena_strdup(in->arena, (const char *)xmlBufferContent(buffer));
        xmlBufferFree(buffer);
    }
    xmlXPathFreeObject(found);
    if (!*count)
        return error_set(err, ERR_INVALID_ARG, "the file '%s' has no <cpu> element", file);
    return 0;
}

/* what: "the host CPU" */
static int report_comparison(struct invocation *in, int result, const char *what, const char *file, struct error *err)
{
    const char *word = result == CPU_COMPARE_INCOMPATIBLE ? "incompatible"
                       : result == CPU_COMPARE_IDENTICAL  ? "identical"
                       : result == CPU_COMPARE_SUPERSET   ? "superset" : NULL;
    if (!word)
        return error_set(err, ERR_INTERNAL_ERROR, "the daemon could not compare the CPU of '%s'", file);
    const char *sentence = result == CPU_COMPARE_SUPERSET
                               ? arena_printf(in->arena, "%c%s is a superset of CPU described in %s",
                                              toupper((unsigned char)*what), what + 1, file)
                               : arena_printf(in->arena, "CPU described in %s is %s %s %s", file, word,
                                              result == CPU_COMPARE_IDENTICAL ? "to" : "with", what);
    output_value(in, "comparison", sentence, json_string(word));
    return result == CPU_COMPARE_INCOMPATIBLE ? -1 : 0; /* said above: err stays empty */
}

static unsigned compare_flags(const struct invocation *in)
{
    return (option_given(in, "error") ? CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE : 0) |
           (option_given(in, "validate") ? CONNECT_COMPARE_CPU_VALIDATE_XML : 0);
}

static int run_cpu_compare(struct invocation *in, struct error *err)
{
    const char *cpus[CPUS_MAX], *file = option_text(in, "file");
    uint32_t count = 0;
    if (read_cpus(in, file, cpus, &count, err) < 0)
        return -1;
    struct connect_compare_cpu_args args = {.xml = cpus[0], .flags = compare_flags(in)};
    struct connect_compare_cpu_ret ret;
    if (remote_connect_compare_cpu(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot compare the CPU of '%s' with the host's", file);
    return report_comparison(in, ret.result, "host CPU", file, err);
}

static int run_hypervisor_cpu_compare(struct invocation *in, struct error *err)
{
    const char *cpus[CPUS_MAX], *file = option_text(in, "file");
    uint32_t count = 0;
    if (read_cpus(in, file, cpus, &count, err) < 0)
        return -1;
    struct connect_compare_hypervisor_cpu_args args = {
        .emulator = option_text(in, "emulator"), .arch = option_text(in, "arch"), .machine = option_text(in, "machine"),
        .virttype = option_text(in, "virttype"), .xml_cpu = cpus[0], .flags = compare_flags(in),
    };
    struct connect_compare_hypervisor_cpu_ret ret;
    if (remote_connect_compare_hypervisor_cpu(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot compare the CPU of '%s' with the hypervisor's", file);
    return report_comparison(in, ret.result, "the CPU provided by hypervisor on the host", file, err);
}

static unsigned baseline_flags(const struct invocation *in)
{
    return (option_given(in, "features") ? CONNECT_BASELINE_CPU_EXPAND_FEATURES : 0) |
           (option_given(in, "migratable") ? CONNECT_BASELINE_CPU_MIGRATABLE : 0);
}

static int run_cpu_baseline(struct invocation *in, struct error *err)
{
    const char *cpus[CPUS_MAX];
    struct connect_baseline_cpu_args args = {.xml_cpus = cpus, .flags = baseline_flags(in)};
    struct connect_baseline_cpu_ret ret;
    if (read_cpus(in, option_text(in, "file"), cpus, &args.xml_cpus_count, err) < 0)
        return -1;
    if (remote_connect_baseline_cpu(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot compute a CPU that all hosts have");
    output_document(in, "xml", ret.cpu);
    return 0;
}

static int run_hypervisor_cpu_baseline(struct invocation *in, struct error *err)
{
    const char *cpus[CPUS_MAX], *model = option_text(in, "model"), *file = option_text(in, "file");
    struct connect_baseline_hypervisor_cpu_args args = {
        .emulator = option_text(in, "emulator"), .arch = option_text(in, "arch"), .machine = option_text(in, "machine"),
        .virttype = option_text(in, "virttype"), .xml_cpus = cpus, .flags = baseline_flags(in),
    };
    struct connect_baseline_hypervisor_cpu_ret ret;
    if (option_exclusive(in, err, "file", "model", NULL) < 0)
        return -1;
    if (!file && !model)
        return error_set(err, ERR_INVALID_ARG, "hypervisor-cpu-baseline needs --file or --model");
    if (model) {
        if (strpbrk(model, "<>&'\""))
            return error_set(err, ERR_INVALID_ARG, "--model takes the name of a CPU model, not '%s'", model);
        cpus[args.xml_cpus_count++] = arena_printf(in->arena, "<cpu><model>%s</model></cpu>", model);
    } else if (read_cpus(in, file, cpus, &args.xml_cpus_count, err) < 0) {
        return -1;
    }
    if (remote_connect_baseline_hypervisor_cpu(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot compute a CPU that the hypervisor has");
    output_document(in, "xml", ret.cpu);
    return 0;
}

static int run_cpu_models(struct invocation *in, struct error *err)
{
    struct connect_get_cpu_model_names_args args = {.arch = option_text(in, "arch"), .need_results = 1};
    struct connect_get_cpu_model_names_ret ret;
    if (remote_connect_get_cpu_model_names(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot list the CPU models of '%s'", args.arch);
    scoped_listing struct listing listing;
    listing_init(&listing, in);
    for (uint32_t i = 0; i < ret.models_count; i++)
        listing_word(&listing, "name", ret.models[i]);
    if (!ret.models_count)
        output_note(in, "all CPU models are accepted\n");
    listing_end(&listing);
    return 0;
}

#define COMPARE_OPTIONS                                                       \
    {"error", OPTION_BOOL, 0, "fail, with the reason, when it does not fit"}, \
    {"validate", OPTION_BOOL, 0, "refuse XML that the schema does not know"}, \
    {0}
#define BASELINE_OPTIONS                                                            \
    {"features", OPTION_BOOL, 0, "name the features that the model implies too"},   \
    {"migratable", OPTION_BOOL, 0, "leave out features that hinder a migration"}
#define HYPERVISOR_OPTIONS                                           \
    {"virttype", OPTION_STRING, 0, "type of domain: kvm, qemu"},     \
    {"emulator", OPTION_STRING, 0, "path of the emulator"},          \
    {"arch", OPTION_STRING, 0, "architecture of the guest"},         \
    {"machine", OPTION_STRING, 0, "machine type"}

static const struct command_option compare_options[] = {
    {"file", OPTION_STRING, OPTION_REQUIRED, "file with a <cpu> element"},
    COMPARE_OPTIONS,
};

static const struct command_option hypervisor_compare_options[] = {
    {"file", OPTION_STRING, OPTION_REQUIRED, "file with a <cpu> element"},
    HYPERVISOR_OPTIONS,
    COMPARE_OPTIONS,
};

static const struct command_option baseline_options[] = {
    {"file", OPTION_STRING, OPTION_REQUIRED, "file with <cpu> elements"},
    BASELINE_OPTIONS,
    {0},
};

static const struct command_option hypervisor_baseline_options[] = {
    {"file", OPTION_STRING, 0, "file with <cpu> elements"},
    HYPERVISOR_OPTIONS,
    BASELINE_OPTIONS,
    {"model", OPTION_STRING, 0, "instead of a file: a CPU model by name"},
    {0},
};

static const struct command_option models_options[] = {
    {"arch", OPTION_STRING, OPTION_REQUIRED, "architecture, like x86_64"},
    {0},
};

const struct command host_cpu_commands[] = {
    {"cpu-baseline", "host", "CPU that all of a set of hosts have", NULL, baseline_options, run_cpu_baseline},
    {"cpu-compare", "host", "compare a CPU with the host's", NULL, compare_options, run_cpu_compare},
    {"cpu-models", "host", "names of the CPU models", NULL, models_options, run_cpu_models},
    {"hypervisor-cpu-baseline", "host", "CPU that the hypervisor can give on a set of hosts", NULL,
     hypervisor_baseline_options, run_hypervisor_cpu_baseline},
    {"hypervisor-cpu-compare", "host", "compare a CPU with what the hypervisor can give", NULL,
     hypervisor_compare_options, run_hypervisor_cpu_compare},
    {0},
};
