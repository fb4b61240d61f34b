/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <libxml/xpath.h>
#include <string.h>

#include "migrate/facts.h"
#include "migrate/preflight.h"
#include "model/xml.h"

/* What a libvirtd tells, in the words of an answer. It says nothing of files, ports, names and clocks. */

struct capabilities {
    xmlDoc *document;
    xmlXPathContext *context;
};

static struct capabilities capabilities_read(const char *xml, const char *root)
{
    struct capabilities caps = {.document = xml ? xml_read(xml, strlen(xml), root, NULL) : NULL};
    caps.context = caps.document ? xmlXPathNewContext(caps.document) : NULL;
    return caps;
}

static void capabilities_finish(struct capabilities *caps)
{
    xmlXPathFreeContext(caps->context);
    xmlFreeDoc(caps->document);
}
#define scoped_capabilities scope_cleanup(capabilities_finish)

/* The texts that the expression finds. */
static json_t *texts(const struct capabilities *caps, const char *expression)
{
    json_t *list = json_array();
    xmlXPathObject *found = caps->context ? xmlXPathEvalExpression(BAD_CAST expression, caps->context) : NULL;
    for (int i = 0; found && found->nodesetval && i < found->nodesetval->nodeNr; i++) {
        xmlChar *text = xmlNodeGetContent(found->nodesetval->nodeTab[i]);
        json_array_append_new(list, json_string((const char *)text));
        xmlFree(text);
    }
    xmlXPathFreeObject(found);
    return list;
}

static void put_first(json_t *object, const char *key, const struct capabilities *caps, const char *expression)
{
    scoped_json json_t *list = texts(caps, expression);
    if (json_array_size(list))
        facts_put(object, key, fact_item(list, 0));
}

static json_t *host_of(const json_t *description, const struct capabilities *caps)
{
    json_t *host = json_object();
    facts_put(host, "hostname", fact_text(description, "hostname"));
    put_first(host, "uuid", caps, "/capabilities/host/uuid");
    if (caps->context)
        json_object_set_new(host, "seclabels", texts(caps, "/capabilities/host/secmodel/model"));
    return host;
}

static json_t *qemu_of(const json_t *description, const struct capabilities *caps, const struct capabilities *domain)
{
    json_t *qemu = json_object();
    const char *fault = fact_text(description, "domain_capabilities_error");
    int64_t version, number;
    if (fact_number(description, "emulator_version", &version))
        facts_put_number(qemu, "version", (uint64_t)version);
    if (caps->context) {
        scoped_json json_t *kvm = texts(caps, "/capabilities/guest/arch/domain[@type='kvm']/@type");
        json_object_set_new(qemu, "kvm", json_boolean(json_array_size(kvm) > 0));
    }
    if (fault && strstr(fault, "machine"))
        json_object_set_new(qemu, "machine_known", json_false());
    else
        facts_put(qemu, "error", fault);
    if (!domain->context)
        return qemu;
    json_object_set_new(qemu, "machine_known", json_true());
    put_first(qemu, "machine", domain, "/domainCapabilities/machine");
    json_object_set_new(qemu, "tpm_models", texts(domain, "/domainCapabilities/devices/tpm/enum[@name='model']/value"));
    scoped_json json_t *most = texts(domain, "/domainCapabilities/vcpu/@max");
    if (parse_i64(fact_item(most, 0), 10, &number) == 0 && number > 0)
        facts_put_number(qemu, "max_vcpus", (uint64_t)number);
    return qemu;
}

/* What is free leaves out what the kernel would give up at once: only "enough" can be known from it. */
static json_t *memory_of(const json_t *question, const json_t *description)
{
    int64_t wanted, total, bytes;
    json_t *memory = json_object();
    fact_number(question, "guest.memory_kib", &wanted);
    if (!fact_number(description, "memory_kib", &total) || !fact_number(description, "free_memory", &bytes))
        return memory;
    json_object_set_new(memory, "total_kib", json_integer(total));
    if (bytes / 1024 >= wanted + total / 20)
        json_object_set_new(memory, "available_kib", json_integer(bytes / 1024));
    return memory;
}

static json_t *interfaces_of(const json_t *question, const json_t *networks)
{
    const json_t *list = fact(question, "guest.interfaces");
    json_t *found = json_array();
    for (size_t i = 0; networks && i < json_array_size(list); i++) {
        const char *network = fact_text(json_array_get(list, i), "network");
        if (!network)
            continue;
        const json_t *active = json_object_get(networks, network);
        const char *state = !active ? "not there" : json_is_true(active) ? "active" : "down";
        json_array_append_new(found, json_pack("{s:s, s:s}", "mac", fact_text(json_array_get(list, i), "mac") ?: "",
                                               "state", state));
    }
    return found;
}

static json_t *guest_of(const json_t *question, const json_t *description)
{
    static const char *const states[] = {"in no state", "running", "blocked", "paused", "in shutdown", "shut off",
                                         "crashed", "pmsuspended"};
    const char *holder = fact_text(description, "name_uuid");
    int64_t state;
    json_t *guest = json_object();
    if (fact_number(description, "domain_state", &state) && state >= 0 && state < (int64_t)COUNT(states))
        facts_put(guest, "state", states[state]);
    if (holder && !string_equal(holder, fact_text(question, "guest.uuid")))
        facts_put(guest, "name_holder", holder);
    return guest;
}

json_t *preflight_answer_of(const json_t *question, const json_t *description)
{
    scoped_capabilities struct capabilities caps =
        capabilities_read(fact_text(description, "capabilities"), "capabilities");
    scoped_capabilities struct capabilities domain =
        capabilities_read(fact_text(description, "domain_capabilities"), "domainCapabilities");
    json_t *answer = json_pack("{s:s}", "kind", "libvirt");
    int64_t compared;
    json_object_set_new(answer, "host", host_of(description, &caps));
    json_object_set_new(answer, "qemu", qemu_of(description, &caps, &domain));
    json_object_set_new(answer, "memory", memory_of(question, description));
    json_object_set_new(answer, "interfaces", interfaces_of(question, fact(description, "networks")));
    json_object_set_new(answer, "guest", guest_of(question, description));
    if (fact_number(description, "cpu", &compared))
        json_object_set_new(answer, "cpu", compared == CPU_COMPARE_INCOMPATIBLE
                                               ? json_pack("{s:s}", "error", "QEMU there cannot give that CPU")
                                               : json_pack("{s:[]}", "lacks"));
    return answer;
}
