/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include <string.h>

#include "host/sysinfo.h"
#include "qemu/qemu_host.h"

/* Calls about what this host and its emulators are and can do. Asking an emulator for the first time takes a while;
 * later answers come from memory. */

#define PROTOCOL_LEVEL   9000000 /* the libvirt release whose protocol this is: clients look for features by it */
#define ANSWER_WITHIN_MS 60000   /* includes running an emulator from a cold disk */

struct qemu_host *call_host(const struct call *call)
{
    struct daemon *daemon = call_daemon(call);
    if (!daemon->host) {
        struct qemu_host_options options = {.caps = daemon->driver->caps, .models = daemon->driver->cpu_models};
        memcpy(options.uuid, daemon->driver->options.host_uuid, UUID_SIZE);
        daemon->host = qemu_host_new(&options);
    }
    return daemon->host;
}

int handle_connect_get_type(struct call *call, struct connect_get_type_ret *ret, struct error *err)
{
    ret->type = "QEMU";
    return 0;
}

int handle_connect_get_version(struct call *call, struct connect_get_version_ret *ret, struct error *err)
{
    uint32_t version;
    if (qemu_host_version(call_host(call), &version, deadline_ms(ANSWER_WITHIN_MS), err) < 0)
        return -1;
    ret->hv_ver = version;
    return 0;
}

int handle_connect_get_lib_version(struct call *call, struct connect_get_lib_version_ret *ret, struct error *err)
{
    ret->lib_ver = PROTOCOL_LEVEL;
    return 0;
}

int handle_connect_get_hostname(struct call *call, struct connect_get_hostname_ret *ret, struct error *err)
{
    ret->hostname = arena_strdup(call->arena, call_driver(call)->options.hostname);
    return 0;
}

int handle_connect_get_max_vcpus(struct call *call, const struct connect_get_max_vcpus_args *args,
                                 struct connect_get_max_vcpus_ret *ret, struct error *err)
{
    unsigned count;
    if (qemu_host_max_vcpus(call_host(call), args->type, &count, deadline_ms(ANSWER_WITHIN_MS), err) < 0)
        return -1;
    ret->max_vcpus = count;
    return 0;
}

int handle_connect_get_sysinfo(struct call *call, const struct connect_get_sysinfo_args *args,
                               struct connect_get_sysinfo_ret *ret, struct error *err)
{
    scoped_text struct text xml = {0};
    if (call_flags(call, args->flags, 0, err) < 0 ||
        sysinfo_format(&xml, host_root(qemu_host_facts(call_host(call))), err) < 0)
        return -1;
    ret->sysinfo = call_keep(call, text_steal(&xml));
    return 0;
}

/* "none" with its NUL, which the clients expect on the wire. */
static uint32_t signed_chars(const struct call *call, const char *string, int8_t **chars)
{
    *chars = arena_memdup(call->arena, string, strlen(string) + 1);
    return strlen(string) + 1;
}

int handle_node_get_security_model(struct call *call, struct node_get_security_model_ret *ret, struct error *err)
{
    ret->model_count = signed_chars(call, "none", &ret->model);
    ret->doi_count = signed_chars(call, "0", &ret->doi);
    return 0;
}

/* -- documents ------------------------------------------------------------------------------------------------- */

int handle_connect_get_capabilities(struct call *call, struct connect_get_capabilities_ret *ret, struct error *err)
{
    scoped_text struct text xml = {0};
    if (qemu_host_capabilities(call_host(call), &xml, deadline_ms(ANSWER_WITHIN_MS), err) < 0)
        return -1;
    ret->capabilities = call_keep(call, text_steal(&xml));
    return 0;
}

int handle_connect_get_domain_capabilities(struct call *call, const struct connect_get_domain_capabilities_args *args,
                                           struct connect_get_domain_capabilities_ret *ret, struct error *err)
{
    scoped_text struct text xml = {0};
    const struct qemu_target target = {args->emulatorbin, args->arch, args->machine, args->virttype};
    if (call_flags(call, args->flags, 0, err) < 0 ||
        qemu_host_domain_capabilities(call_host(call), &target, &xml, deadline_ms(ANSWER_WITHIN_MS), err) < 0)
        return -1;
    ret->capabilities = call_keep(call, text_steal(&xml));
    return 0;
}

/* -- processors ------------------------------------------------------------------------------------------------ */

int handle_connect_get_cpu_model_names(struct call *call, const struct connect_get_cpu_model_names_args *args,
                                       struct connect_get_cpu_model_names_ret *ret, struct error *err)
{
    size_t count;
    const char **names;
    if (call_flags(call, args->flags, 0, err) < 0 ||
        qemu_host_cpu_names(call_host(call), call->arena, args->arch, &names, &count, deadline_ms(ANSWER_WITHIN_MS),
                            err) < 0)
        return -1;
    ret->ret = count;
    if (args->need_results) {
        ret->models_count = count;
        ret->models = names;
    }
    return 0;
}

static int compare(struct call *call, const struct qemu_target *target, const char *xml, unsigned flags, int *result,
                   struct error *err)
{
    const unsigned known = CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE | CONNECT_COMPARE_CPU_VALIDATE_XML;
    if (call_flags(call, flags, known, err) < 0)
        return -1;
    return qemu_host_compare_cpu(call_host(call), target, xml, flags, result, deadline_ms(ANSWER_WITHIN_MS), err);
}

int handle_connect_compare_cpu(struct call *call, const struct connect_compare_cpu_args *args,
                               struct connect_compare_cpu_ret *ret, struct error *err)
{
    return compare(call, NULL, args->xml, args->flags, &ret->result, err);
}

int handle_connect_compare_hypervisor_cpu(struct call *call, const struct connect_compare_hypervisor_cpu_args *args,
                                          struct connect_compare_hypervisor_cpu_ret *ret, struct error *err)
{
    const struct qemu_target target = {args->emulator, args->arch, args->machine, args->virttype};
    return compare(call, &target, args->xml_cpu, args->flags, &ret->result, err);
}

static const char *baseline(struct call *call, const struct qemu_target *target, const char *const *cpus,
                            uint32_t count, unsigned flags, struct error *err)
{
    scoped_text struct text xml = {0};
    const unsigned known = CONNECT_BASELINE_CPU_EXPAND_FEATURES | CONNECT_BASELINE_CPU_MIGRATABLE;
    if (call_flags(call, flags, known, err) < 0 ||
        qemu_host_baseline_cpu(call_host(call), target, cpus, count, flags, &xml, deadline_ms(ANSWER_WITHIN_MS),
                               err) < 0)
        return NULL;
    return call_keep(call, text_steal(&xml));
}

int handle_connect_baseline_cpu(struct call *call, const struct connect_baseline_cpu_args *args,
                                struct connect_baseline_cpu_ret *ret, struct error *err)
{
    ret->cpu = baseline(call, NULL, args->xml_cpus, args->xml_cpus_count, args->flags, err);
    return ret->cpu ? 0 : -1;
}

int handle_connect_baseline_hypervisor_cpu(struct call *call, const struct connect_baseline_hypervisor_cpu_args *args,
                                           struct connect_baseline_hypervisor_cpu_ret *ret, struct error *err)
{
    const struct qemu_target target = {args->emulator, args->arch, args->machine, args->virttype};
    ret->cpu = baseline(call, &target, args->xml_cpus, args->xml_cpus_count, args->flags, err);
    return ret->cpu ? 0 : -1;
}
