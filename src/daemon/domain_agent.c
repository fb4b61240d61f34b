/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include <string.h>

#include "base/base64.h"
#include "qemu/agent_info.h"
#include "qemu/vcpu.h"

/* What is asked of the agent in the guest. */

static int check_flags(struct call *call, unsigned flags, struct error *err)
{
    return call_flags(call, flags, 0, err);
}

/* -- time ---------------------------------------------------------------------------------------------------------- */

int handle_domain_get_time(struct call *call, const struct domain_get_time_args *args, struct domain_get_time_ret *ret,
                           struct error *err)
{
    scoped_domain struct domain *domain =
        check_flags(call, args->flags, err) < 0 ? NULL : call_domain(call, &args->dom, err);
    json_t *reply = domain ? agent_command(domain, "guest-get-time", NULL, err) : NULL;
    if (!reply)
        return -1;
    int64_t ns = json_integer_value(reply);
    json_decref(reply);
    ret->seconds = ns / 1000000000;
    ret->nseconds = (uint32_t)(ns < 0 ? 0 : ns % 1000000000);
    return 0;
}

int handle_domain_set_time(struct call *call, const struct domain_set_time_args *args, struct error *err)
{
    if (call_flags(call, args->flags, DOMAIN_TIME_SYNC, err) < 0)
        return -1;
    bool from_clock = args->flags & DOMAIN_TIME_SYNC; /* the guest reads its hardware clock */
    if (!from_clock && (args->seconds < 0 || args->seconds > INT64_MAX / 1000000000 - 1 ||
                        args->nseconds >= 1000000000))
        return error_set(err, ERR_INVALID_ARG, "%lld.%09u s cannot be a guest's time", (long long)args->seconds,
                         args->nseconds);
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    if (!domain)
        return -1;
    json_t *arguments =
        from_clock ? NULL : json_pack("{s:I}", "time", (json_int_t)args->seconds * 1000000000 + args->nseconds);
    return agent_execute(domain, "guest-set-time", arguments, err);
}

/* -- file systems -------------------------------------------------------------------------------------------------- */

static int count_of(json_t *reply, int32_t *count)
{
    if (!reply)
        return -1;
    *count = (int32_t)json_integer_value(reply);
    json_decref(reply);
    return 0;
}

int handle_domain_fsfreeze(struct call *call, const struct domain_fsfreeze_args *args, struct domain_fsfreeze_ret *ret,
                           struct error *err)
{
    scoped_domain struct domain *domain =
        check_flags(call, args->flags, err) < 0 ? NULL : call_domain(call, &args->dom, err);
    if (!domain)
        return -1;
    if (!args->mountpoints_count)
        return count_of(agent_command(domain, "guest-fsfreeze-freeze", NULL, err), &ret->filesystems);
    json_t *list = json_array();
    for (uint32_t i = 0; i < args->mountpoints_count; i++)
        json_array_append_new(list, json_string(args->mountpoints[i]));
    return count_of(agent_command(domain, "guest-fsfreeze-freeze-list", json_pack("{s:o}", "mountpoints", list), err),
                    &ret->filesystems);
}

/* The agent thaws all or nothing, so a list of mount points would only pretend. */
int handle_domain_fsthaw(struct call *call, const struct domain_fsthaw_args *args, struct domain_fsthaw_ret *ret,
                         struct error *err)
{
    if (check_flags(call, args->flags, err) < 0)
        return -1;
    if (args->mountpoints_count)
        return error_set(err, ERR_OPERATION_UNSUPPORTED,
                         "the guest agent thaws all file systems together: leave out the mount points");
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    return domain ? count_of(agent_command(domain, "guest-fsfreeze-thaw", NULL, err), &ret->filesystems) : -1;
}

int handle_domain_fstrim(struct call *call, const struct domain_fstrim_args *args, struct error *err)
{
    if (check_flags(call, args->flags, err) < 0)
        return -1;
    if (args->mount_point)
        return error_set(err, ERR_OPERATION_UNSUPPORTED,
                         "the guest agent trims all file systems together: leave out the mount point '%s'",
                         args->mount_point);
    if (args->minimum > INT64_MAX)
        return error_set(err, ERR_INVALID_ARG, "a smallest range of %llu bytes is too much",
                         (unsigned long long)args->minimum);
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    return domain ? agent_execute(domain, "guest-fstrim", json_pack("{s:I}", "minimum", (json_int_t)args->minimum), err)
                  : -1;
}

int handle_domain_get_fsinfo(struct call *call, const struct domain_get_fsinfo_args *args,
                             struct domain_get_fsinfo_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain =
        check_flags(call, args->flags, err) < 0 ? NULL : call_domain(call, &args->dom, err);
    int count = domain ? agent_filesystems(domain, call->arena, &ret->info, err) : -1;
    if (count < 0)
        return -1;
    ret->info_count = ret->ret = (uint32_t)count;
    return 0;
}

/* -- who and what is there ----------------------------------------------------------------------------------------- */

int handle_domain_get_guest_info(struct call *call, const struct domain_get_guest_info_args *args,
                                 struct domain_get_guest_info_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain =
        check_flags(call, args->flags, err) < 0 ? NULL : call_domain(call, &args->dom, err);
    struct params params;
    params_init(&params, call->arena);
    if (!domain || agent_guest_info(domain, args->types, &params, err) < 0)
        return -1;
    ret->params = params.items;
    ret->params_count = params.count;
    return 0;
}

int handle_domain_get_hostname(struct call *call, const struct domain_get_hostname_args *args,
                               struct domain_get_hostname_ret *ret, struct error *err)
{
    if (call_flags(call, args->flags, DOMAIN_GET_HOSTNAME_LEASE | DOMAIN_GET_HOSTNAME_AGENT, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    if (!domain)
        return -1;
    if (args->flags == DOMAIN_GET_HOSTNAME_LEASE)
        return error_set(err, ERR_NO_HOSTNAME,
                         "no hostname found for domain '%s': no network here gives leases; --source agent asks the "
                         "guest", domain_name(domain));
    ret->hostname = agent_hostname(domain, call->arena, err);
    return ret->hostname ? 0 : -1;
}

int handle_domain_set_user_password(struct call *call, const struct domain_set_user_password_args *args,
                                    struct error *err)
{
    if (call_flags(call, args->flags, DOMAIN_PASSWORD_ENCRYPTED, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    const char *password = args->password ? args->password : "";
    if (!domain)
        return -1;
    if (!args->user || !*args->user)
        return error_set(err, ERR_INVALID_ARG, "whose password is to be set: no user is named");
    json_t *arguments =
        json_pack("{s:s, s:s, s:b}", "username", args->user, "password",
                  base64_encode(call->arena, password, strlen(password)), "crypted",
                  args->flags & DOMAIN_PASSWORD_ENCRYPTED ? 1 : 0);
    return agent_execute(domain, "guest-set-user-password", arguments, err);
}

/* -- SSH keys ------------------------------------------------------------------------------------------------------ */

int handle_domain_authorized_ssh_keys_get(struct call *call, const struct domain_authorized_ssh_keys_get_args *args,
                                          struct domain_authorized_ssh_keys_get_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain =
        check_flags(call, args->flags, err) < 0 ? NULL : call_domain(call, &args->dom, err);
    json_t *reply = domain ? agent_command(domain, "guest-ssh-get-authorized-keys",
                                           json_pack("{s:s}", "username", args->user), err)
                           : NULL;
    if (!reply)
        return -1;
    const json_t *keys = json_object_get(reply, "keys");
    size_t count = json_array_size(keys);
    ret->keys = arena_new_array(call->arena, count + 1, const char *);
    for (size_t i = 0; i < count && ret->keys_count < 2048; i++)
        if (json_is_string(json_array_get(keys, i)))
            ret->keys[ret->keys_count++] = arena_strdup(call->arena, json_string_value(json_array_get(keys, i)));
    json_decref(reply);
    return 0;
}

int handle_domain_authorized_ssh_keys_set(struct call *call, const struct domain_authorized_ssh_keys_set_args *args,
                                          struct error *err)
{
    const unsigned known = DOMAIN_AUTHORIZED_SSH_KEYS_SET_APPEND | DOMAIN_AUTHORIZED_SSH_KEYS_SET_REMOVE;
    if (call_flags(call, args->flags, known, err) < 0)
        return -1;
    if ((args->flags & known) == known)
        return error_set(err, ERR_INVALID_ARG, "keys are either appended or removed, not both");
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    if (!domain)
        return -1;
    json_t *keys = json_array();
    for (uint32_t i = 0; i < args->keys_count; i++)
        json_array_append_new(keys, json_string(args->keys[i]));
    json_t *arguments = json_pack("{s:s, s:o}", "username", args->user, "keys", keys);
    bool remove = args->flags & DOMAIN_AUTHORIZED_SSH_KEYS_SET_REMOVE;
    if (!remove)
        json_object_set_new(arguments, "reset", json_boolean(!(args->flags & DOMAIN_AUTHORIZED_SSH_KEYS_SET_APPEND)));
    return agent_execute(domain, remove ? "guest-ssh-remove-authorized-keys" : "guest-ssh-add-authorized-keys",
                         arguments, err);
}

/* -- CPUs as the guest sees them ----------------------------------------------------------------------------------- */

int handle_domain_get_guest_vcpus(struct call *call, const struct domain_get_guest_vcpus_args *args,
                                  struct domain_get_guest_vcpus_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain =
        check_flags(call, args->flags, err) < 0 ? NULL : call_domain(call, &args->dom, err);
    json_t *reply = domain ? agent_command(domain, "guest-get-vcpus", NULL, err) : NULL;
    if (!reply)
        return -1;
    struct cpu_set all = {0}, online = {0}, offlinable = {0};
    size_t i;
    json_t *vcpu;
    json_array_foreach (reply, i, vcpu) {
        json_int_t id = json_integer_value(json_object_get(vcpu, "logical-id"));
        if (id < 0 || id >= CPU_SET_BITS)
            continue;
        cpu_set_add(&all, (unsigned)id);
        if (json_is_true(json_object_get(vcpu, "online")))
            cpu_set_add(&online, (unsigned)id);
        if (json_is_true(json_object_get(vcpu, "can-offline")))
            cpu_set_add(&offlinable, (unsigned)id);
    }
    json_decref(reply);
    struct params params;
    params_init(&params, call->arena);
    params_add_string(&params, "vcpus", cpu_set_format(call->arena, &all));
    params_add_string(&params, "online", cpu_set_format(call->arena, &online));
    params_add_string(&params, "offlinable", cpu_set_format(call->arena, &offlinable));
    ret->params = params.items;
    ret->params_count = params.count;
    return 0;
}

int handle_domain_set_guest_vcpus(struct call *call, const struct domain_set_guest_vcpus_args *args, struct error *err)
{
    struct cpu_set set;
    if (check_flags(call, args->flags, err) < 0)
        return -1;
    if (cpu_set_parse(&set, args->cpumap) < 0 || cpu_set_count(&set) == 0)
        return error_set(err, ERR_INVALID_ARG, "'%s' is no set of vCPUs such as \"0-3,5\"", args->cpumap);
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    if (!domain)
        return -1;
    json_t *list = json_array();
    for (unsigned cpu = 0, end = cpu_set_end(&set); cpu < end; cpu++)
        if (cpu_set_has(&set, cpu))
            json_array_append_new(list, json_pack("{s:i, s:b}", "logical-id", (int)cpu, "online", args->state));
    return agent_execute(domain, "guest-set-vcpus", json_pack("{s:o}", "vcpus", list), err);
}

/* -- sleep --------------------------------------------------------------------------------------------------------- */

int handle_domain_pm_suspend_for_duration(struct call *call, const struct domain_pm_suspend_for_duration_args *args,
                                          struct error *err)
{
    static const char *const commands[] = {
        [NODE_SUSPEND_TARGET_MEM] = "guest-suspend-ram",
        [NODE_SUSPEND_TARGET_DISK] = "guest-suspend-disk",
        [NODE_SUSPEND_TARGET_HYBRID] = "guest-suspend-hybrid",
    };
    if (check_flags(call, args->flags, err) < 0)
        return -1;
    if (args->target >= COUNT(commands) || args->duration)
        return error_set(err, ERR_INVALID_ARG,
                         args->duration ? "a guest sleeps until it is woken: the duration must be 0"
                                        : "sleep target %u is not known: 0 is memory, 1 disk, 2 both",
                         args->target);
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    return domain ? agent_execute_silent(domain, commands[args->target], NULL, err) : -1;
}

int handle_domain_pm_wakeup(struct call *call, const struct domain_pm_wakeup_args *args, struct error *err)
{
    if (check_flags(call, args->flags, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_active_domain(call, &args->dom, err);
    scoped_job struct job job = {0};
    job_asked_by(&job, call_client(call));
    if (!domain || job_begin(&job, &domain->object, JOB_ASK, "wake up", err) < 0 ||
        domain_require_active(domain, err) < 0)
        return -1;
    if (domain->state != DOMAIN_PMSUSPENDED)
        return error_set(err, ERR_OPERATION_INVALID, "domain '%s' does not sleep", domain_name(domain));
    return qmp_execute(domain->qmp, "system_wakeup", NULL, monitor_deadline(), err);
}

/* -- the agent itself ---------------------------------------------------------------------------------------------- */

int handle_domain_agent_set_response_timeout(struct call *call,
                                             const struct domain_agent_set_response_timeout_args *args,
                                             struct domain_agent_set_response_timeout_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain =
        check_flags(call, args->flags, err) < 0 ? NULL : call_active_domain(call, &args->dom, err);
    return domain ? agent_set_timeout(domain, args->timeout, err) : -1;
}

int handle_qemu_domain_agent_command(struct call *call, const struct qemu_domain_agent_command_args *args,
                                     struct qemu_domain_agent_command_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain =
        check_flags(call, args->flags, err) < 0 ? NULL : call_domain(call, &args->dom, err);
    char *reply = domain ? agent_raw(domain, args->cmd, args->timeout, err) : NULL;
    if (!reply)
        return -1;
    ret->result = call_keep(call, reply);
    return 0;
}
