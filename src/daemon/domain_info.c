/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include <string.h>

/* What is known of one domain, answered from memory and /proc; no guest is asked, so none can make these wait. */

int handle_domain_get_info(struct call *call, const struct domain_get_info_args *args, struct domain_get_info_ret *ret,
                           struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    const struct domain_def *def = domain ? domain_def(domain, err) : NULL;
    if (!def)
        return -1;
    ret->state = (uint8_t)domain->state;
    ret->max_mem = def->memory;
    ret->memory = domain_active(domain) ? domain->balloon_kib : def->current_memory;
    ret->nr_virt_cpu = (uint16_t)def->vcpus_current;
    ret->cpu_time = domain_cpu_time(domain).total;
    return 0;
}

int handle_domain_get_state(struct call *call, const struct domain_get_state_args *args,
                            struct domain_get_state_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    if (!domain)
        return -1;
    ret->state = domain->state;
    ret->reason = domain->reason;
    return 0;
}

/* Whether the monitor works: a job that holds the domain, or a guest whose QEMU has not answered for a while. */
int handle_domain_get_control_info(struct call *call, const struct domain_get_control_info_args *args,
                                   struct domain_get_control_info_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_active_domain(call, &args->dom, err);
    if (!domain)
        return -1;
    uint64_t now = now_ns(), unanswered = qmp_unanswered_since(domain->qmp);
    const struct job *job = domain->object.job;
    if (qmp_is_closed(domain->qmp)) {
        ret->state = DOMAIN_CONTROL_ERROR;
        ret->details = DOMAIN_CONTROL_ERROR_REASON_MONITOR;
    } else if (unanswered) {
        ret->state = DOMAIN_CONTROL_OCCUPIED;
        ret->state_time = (now - unanswered) / 1000000;
    } else if (job) {
        ret->state = DOMAIN_CONTROL_JOB;
        ret->state_time = (now - job->since_ns) / 1000000;
    }
    return 0;
}

int handle_domain_get_xml_desc(struct call *call, const struct domain_get_xml_desc_args *args,
                               struct domain_get_xml_desc_ret *ret, struct error *err)
{
    const unsigned known =
        DOMAIN_XML_SECURE | DOMAIN_XML_INACTIVE | DOMAIN_XML_UPDATE_CPU | DOMAIN_XML_MIGRATABLE;
    if (call_flags(call, args->flags, known, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    char *xml = domain ? domain_dump(domain, args->flags, err) : NULL;
    if (!xml)
        return -1;
    ret->xml = call_keep(call, xml);
    return 0;
}

int handle_domain_get_os_type(struct call *call, const struct domain_get_os_type_args *args,
                              struct domain_get_os_type_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    if (!domain)
        return -1;
    ret->type = "hvm";
    return 0;
}

int handle_domain_get_max_memory(struct call *call, const struct domain_get_max_memory_args *args,
                                 struct domain_get_max_memory_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    const struct domain_def *def = domain ? domain_def(domain, err) : NULL;
    if (!def)
        return -1;
    ret->memory = def->memory;
    return 0;
}

int handle_domain_is_active(struct call *call, const struct domain_is_active_args *args,
                            struct domain_is_active_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    if (!domain)
        return -1;
    ret->active = domain_active(domain);
    return 0;
}

int handle_domain_is_persistent(struct call *call, const struct domain_is_persistent_args *args,
                                struct domain_is_persistent_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    if (!domain)
        return -1;
    ret->persistent = domain->object.persistent;
    return 0;
}

int handle_domain_is_updated(struct call *call, const struct domain_is_updated_args *args,
                             struct domain_is_updated_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    if (!domain)
        return -1;
    ret->updated = domain_active(domain) && domain->object.persistent && domain->config_changed;
    return 0;
}

/* There is no saved image, no snapshot and no checkpoint yet, so honest answers are easy. */
int handle_domain_has_managed_save_image(struct call *call, const struct domain_has_managed_save_image_args *args,
                                         struct domain_has_managed_save_image_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    return domain ? 0 : -1;
}

int handle_domain_snapshot_num(struct call *call, const struct domain_snapshot_num_args *args,
                               struct domain_snapshot_num_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    return domain ? 0 : -1;
}

int handle_domain_list_all_snapshots(struct call *call, const struct domain_list_all_snapshots_args *args,
                                     struct domain_list_all_snapshots_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    return domain ? 0 : -1;
}

int handle_domain_list_all_checkpoints(struct call *call, const struct domain_list_all_checkpoints_args *args,
                                       struct domain_list_all_checkpoints_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    return domain ? 0 : -1;
}
