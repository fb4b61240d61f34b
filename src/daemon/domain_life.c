/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

/* Starting, stopping, pausing guests. */

enum {
    CREATE_FLAGS =
        DOMAIN_START_PAUSED | DOMAIN_START_AUTODESTROY | DOMAIN_START_BYPASS_CACHE | DOMAIN_START_FORCE_BOOT
};

/* A client that went while its guest was starting was gone before the guest was there to be ended with it. */
static int end_if_orphaned(struct call *call, struct domain *domain, unsigned flags, struct error *err)
{
    if (!(flags & DOMAIN_START_AUTODESTROY) || !server_client_is_closed(call->client))
        return 0;
    domain->autodestroy = 0;
    return domain_destroy(domain, 0, "autodestroy", err);
}

static int start(struct call *call, const struct wire_domain *handle, unsigned flags, struct wire_domain *result,
                 struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, handle, err);
    uint64_t owner = server_client_peer(call->client)->id;
    if (!domain || domain_start(domain, flags, owner, call_client(call), err) < 0)
        return -1;
    if (result)
        *result = wire_domain_of(call, domain);
    return end_if_orphaned(call, domain, flags, err);
}

int handle_domain_create(struct call *call, const struct domain_create_args *args, struct error *err)
{
    return start(call, &args->dom, 0, NULL, err);
}

int handle_domain_create_with_flags(struct call *call, const struct domain_create_with_flags_args *args,
                                    struct domain_create_with_flags_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, CREATE_FLAGS, err) < 0)
        return -1;
    return start(call, &args->dom, args->flags, &ret->dom, err);
}

/* For a move with --offline and its disks: QEMU holds these, and the guest does nothing. */
int handle_godwit_offline_begin(struct call *call, const struct godwit_offline_begin_args *args,
                                struct godwit_offline_begin_ret *ret, struct error *err)
{
    enum { FLAGS = DOMAIN_START_PAUSED | DOMAIN_START_AUTODESTROY };
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    return start(call, &args->dom, DOMAIN_START_AT_REST | FLAGS, &ret->dom, err);
}

int handle_domain_create_xml(struct call *call, const struct domain_create_xml_args *args,
                             struct domain_create_xml_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, CREATE_FLAGS | DOMAIN_START_VALIDATE, err) < 0)
        return -1;
    uint64_t owner = server_client_peer(call->client)->id;
    scoped_domain struct domain *domain =
        domain_create(call_driver(call), args->xml_desc, args->flags, owner, call_client(call), err);
    if (!domain)
        return -1;
    ret->dom = wire_domain_of(call, domain);
    return end_if_orphaned(call, domain, args->flags, err);
}

static int destroy(struct call *call, const struct wire_domain *handle, unsigned flags, struct error *err)
{
    if (call_flags(call, flags, DOMAIN_DESTROY_GRACEFUL | DOMAIN_DESTROY_REMOVE_LOGS, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, handle, err);
    if (!domain || domain_destroy(domain, flags, call_client(call), err) < 0)
        return -1;
    if (flags & DOMAIN_DESTROY_REMOVE_LOGS)
        unlink(domain_log_path(domain, call->arena));
    return 0;
}

int handle_domain_destroy(struct call *call, const struct domain_destroy_args *args, struct error *err)
{
    return destroy(call, &args->dom, 0, err);
}

int handle_domain_destroy_flags(struct call *call, const struct domain_destroy_flags_args *args, struct error *err)
{
    return destroy(call, &args->dom, args->flags, err);
}

static int shut_down(struct call *call, const struct wire_domain *handle, unsigned flags, struct error *err)
{
    const unsigned known = DOMAIN_SHUTDOWN_ACPI_POWER_BTN | DOMAIN_SHUTDOWN_GUEST_AGENT;
    if (call_flags(call, flags, known, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, handle, err);
    return domain ? domain_shutdown(domain, flags, call_client(call), err) : -1;
}

int handle_domain_shutdown(struct call *call, const struct domain_shutdown_args *args, struct error *err)
{
    return shut_down(call, &args->dom, 0, err);
}

int handle_domain_shutdown_flags(struct call *call, const struct domain_shutdown_flags_args *args, struct error *err)
{
    return shut_down(call, &args->dom, args->flags, err);
}

int handle_domain_reboot(struct call *call, const struct domain_reboot_args *args, struct error *err)
{
    if (call_flags(call, args->flags, DOMAIN_REBOOT_ACPI_POWER_BTN | DOMAIN_REBOOT_GUEST_AGENT, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    return domain ? domain_reboot(domain, args->flags, call_client(call), err) : -1;
}

int handle_domain_reset(struct call *call, const struct domain_reset_args *args, struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    return domain ? domain_reset(domain, call_client(call), err) : -1;
}

int handle_domain_suspend(struct call *call, const struct domain_suspend_args *args, struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    return domain ? domain_suspend(domain, call_client(call), err) : -1;
}

int handle_domain_resume(struct call *call, const struct domain_resume_args *args, struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    return domain ? domain_resume(domain, call_client(call), err) : -1;
}
