/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "cli/domain.h"

static int run_domid(struct invocation *in, struct error *err)
{
    struct wire_domain dom;
    if (domain_find(in, "domain", DOMAIN_BY_NAME | DOMAIN_BY_UUID, &dom, err) < 0)
        return -1;
    output_value(in, "id", dom.id < 0 ? "-" : arena_printf(in->arena, "%d", dom.id),
                 dom.id < 0 ? json_null() : json_integer(dom.id));
    return 0;
}

static int run_domuuid(struct invocation *in, struct error *err)
{
    struct wire_domain dom;
    char uuid[UUID_STRING_SIZE];
    if (domain_find(in, "domain", DOMAIN_BY_NAME | DOMAIN_BY_ID, &dom, err) < 0)
        return -1;
    uuid_format(dom.uuid, uuid);
    output_string(in, "uuid", uuid);
    return 0;
}

static int run_domname(struct invocation *in, struct error *err)
{
    struct wire_domain dom;
    if (domain_find(in, "domain", DOMAIN_BY_ID | DOMAIN_BY_UUID, &dom, err) < 0)
        return -1;
    output_string(in, "name", dom.name);
    return 0;
}

static int run_domstate(struct invocation *in, struct error *err)
{
    struct domain_get_state_args args = {0};
    struct domain_get_state_ret ret;
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_get_state(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the state of domain '%s'", args.dom.name);
    const char *state = domain_state_word(ret.state), *reason = domain_reason_word(ret.state, ret.reason);
    struct record *record = record_new(in->arena);
    record_line(record, "state", json_string(state), option_given(in, "reason") ? "%s (%s)" : "%s", state, reason);
    record_text(record, "reason", NULL, reason);
    record_print(record, in, 0);
    return 0;
}

static int run_domcontrol(struct invocation *in, struct error *err)
{
    static const char *const states[] = {
        [DOMAIN_CONTROL_OK] = "ok", [DOMAIN_CONTROL_JOB] = "background job", [DOMAIN_CONTROL_OCCUPIED] = "occupied",
        [DOMAIN_CONTROL_ERROR] = "error",
    };
    static const char *const details[] = {
        [DOMAIN_CONTROL_ERROR_REASON_UNKNOWN] = "unknown", [DOMAIN_CONTROL_ERROR_REASON_MONITOR] = "monitor failure",
        [DOMAIN_CONTROL_ERROR_REASON_INTERNAL] = "internal (locking) error",
    };
    struct domain_get_control_info_args args = {0};
    struct domain_get_control_info_ret ret;
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    if (remote_domain_get_control_info(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read how domain '%s' can be controlled", args.dom.name);
    const char *state = ret.state < COUNT(states) ? states[ret.state] : "unknown";
    const char *detail = ret.details < COUNT(details) ? details[ret.details] : "unknown";
    double seconds = (double)ret.state_time / 1000;
    struct record *record = record_new(in->arena);
    const char *why = ret.state == DOMAIN_CONTROL_ERROR ? arena_printf(in->arena, ": %s", detail) : "";
    const char *since = ret.state == DOMAIN_CONTROL_OK ? "" : arena_printf(in->arena, " (%0.3fs)", seconds);
    record_line(record, "state", json_string(state), "%s%s%s", state, why, since);
    record_text(record, "detail", NULL, ret.state == DOMAIN_CONTROL_ERROR ? detail : NULL);
    record_add(record, "seconds", NULL, NULL, json_real(seconds));
    record_print(record, in, 0);
    return 0;
}

/* Yes/no facts that a daemon may not know; then the line is left out, as virsh does. */
static void add_flags(struct invocation *in, const struct wire_domain *dom, struct record *record)
{
    struct error ignored = {0};
    struct domain_is_persistent_args persistent = {.dom = *dom};
    struct domain_is_persistent_ret is_persistent;
    struct domain_get_autostart_args autostart = {.dom = *dom};
    struct domain_get_autostart_ret starts;
    struct domain_has_managed_save_image_args save = {.dom = *dom};
    struct domain_has_managed_save_image_ret saved;
    if (remote_domain_is_persistent(shell_client(in), &persistent, in->arena, &is_persistent, &ignored) == 0)
        record_add(record, "persistent", "Persistent", is_persistent.persistent ? "yes" : "no",
                   json_boolean(is_persistent.persistent));
    if (remote_domain_get_autostart(shell_client(in), &autostart, in->arena, &starts, &ignored) == 0)
        record_add(record, "autostart", "Autostart", starts.autostart ? "enable" : "disable",
                   json_boolean(starts.autostart));
    if (remote_domain_has_managed_save_image(shell_client(in), &save, in->arena, &saved, &ignored) == 0)
        record_add(record, "managed_save", "Managed save", saved.result ? "yes" : "no", json_boolean(saved.result));
}

static void add_security(struct invocation *in, const struct wire_domain *dom, struct record *record)
{
    struct error ignored = {0};
    struct node_get_security_model_ret model;
    if (remote_node_get_security_model(shell_client(in), in->arena, &model, &ignored) < 0 || !model.model_count ||
        !model.model[0])
        return;
    record_text(record, "security_model", "Security model",
                arena_strndup(in->arena, (const char *)model.model, model.model_count));
    record_text(record, "security_doi", "Security DOI",
                arena_strndup(in->arena, (const char *)model.doi, model.doi_count));
    struct domain_get_security_label_args args = {.dom = *dom};
    struct domain_get_security_label_ret ret;
    if (remote_domain_get_security_label(shell_client(in), &args, in->arena, &ret, &ignored) == 0 && ret.label_count &&
        ret.label[0])
        record_text(record, "security_label", "Security label",
                    arena_printf(in->arena, "%.*s (%s)", (int)ret.label_count, (const char *)ret.label,
                                 ret.enforcing ? "enforcing" : "permissive"));
}

/* What the daemon has to say about the domain: that it is tainted, uses deprecated things. */
static void add_messages(struct invocation *in, const struct wire_domain *dom, struct record *record)
{
    struct domain_get_messages_args args = {.dom = *dom};
    struct domain_get_messages_ret ret;
    struct error ignored = {0};
    if (remote_domain_get_messages(shell_client(in), &args, in->arena, &ret, &ignored) < 0 || !ret.msgs_count)
        return;
    json_t *list = json_array();
    scoped_text struct text lines = {0};
    for (uint32_t i = 0; i < ret.msgs_count; i++) {
        json_array_append_new(list, json_string(ret.msgs[i]));
        text_printf(&lines, "%s%s", i ? "\n                " : "", ret.msgs[i]);
    }
    record_add(record, "messages", "Messages", text_string(&lines), list);
}

static int run_dominfo(struct invocation *in, struct error *err)
{
    struct domain_get_info_args args = {0};
    struct domain_get_info_ret info;
    struct domain_get_os_type_args os_args = {0};
    struct domain_get_os_type_ret os;
    if (domain_get(in, &args.dom, err) < 0)
        return -1;
    os_args.dom = args.dom;
    if (remote_domain_get_info(shell_client(in), &args, in->arena, &info, err) < 0 ||
        remote_domain_get_os_type(shell_client(in), &os_args, in->arena, &os, err) < 0)
        return command_failed(err, "cannot read what domain '%s' is", args.dom.name);
    char uuid[UUID_STRING_SIZE];
    uuid_format(args.dom.uuid, uuid);
    struct record *record = record_new(in->arena);
    record_add(record, "id", "Id", args.dom.id < 0 ? "-" : arena_printf(in->arena, "%d", args.dom.id),
               args.dom.id < 0 ? json_null() : json_integer(args.dom.id));
    record_text(record, "name", "Name", args.dom.name);
    record_text(record, "uuid", "UUID", uuid);
    record_text(record, "os_type", "OS Type", os.type);
    record_text(record, "state", "State", domain_state_word(info.state));
    record_number(record, "cpus", "CPU(s)", info.nr_virt_cpu, NULL);
    if (info.cpu_time)
        record_add(record, "cpu_time_ns", "CPU time", arena_printf(in->arena, "%.1fs", (double)info.cpu_time / 1e9),
                   json_integer((json_int_t)info.cpu_time));
    if (info.max_mem == UINT64_MAX)
        record_add(record, "max_memory_kib", "Max memory", "no limit", json_null());
    else
        record_number(record, "max_memory_kib", "Max memory", info.max_mem, "KiB");
    record_number(record, "used_memory_kib", "Used memory", info.memory, "KiB");
    add_flags(in, &args.dom, record);
    add_security(in, &args.dom, record);
    add_messages(in, &args.dom, record);
    record_print(record, in, 16);
    return 0;
}

static int run_domtime(struct invocation *in, struct error *err)
{
    struct domain_set_time_args set = {0};
    struct domain_get_time_args get = {0};
    struct domain_get_time_ret ret;
    if (option_exclusive(in, err, "now", "time", "sync", NULL) < 0)
        return -1;
    int given = option_i64(in, "time", INT64_MIN, INT64_MAX, &set.seconds, err);
    if (given < 0 || domain_get(in, &set.dom, err) < 0)
        return -1;
    if (given || option_given(in, "now") || option_given(in, "sync")) {
        if (option_given(in, "now"))
            set.seconds = time(NULL);
        set.flags = option_given(in, "sync") ? DOMAIN_TIME_SYNC : 0;
        if (remote_domain_set_time(shell_client(in), &set, err) < 0)
            return command_failed(err, "cannot set the time of domain '%s'", set.dom.name);
        return 0;
    }
    get.dom = set.dom;
    if (remote_domain_get_time(shell_client(in), &get, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the time of domain '%s'", get.dom.name);
    char stamp[64];
    time_t seconds = ret.seconds;
    struct tm tm;
    strftime(stamp, sizeof stamp, option_given(in, "pretty") ? "%Y-%m-%d %H:%M:%S" : "%s", gmtime_r(&seconds, &tm));
    struct record *record = record_new(in->arena);
    record_add(record, "seconds", "Time", stamp, json_integer(ret.seconds));
    record_number(record, "nanoseconds", NULL, ret.nseconds, NULL);
    record_print(record, in, 1);
    return 0;
}

static const struct command_option domain_options[] = {DOMAIN_OPTION, {0}};

static const struct command_option domstate_options[] = {
    DOMAIN_OPTION,
    {"reason", OPTION_BOOL, 0, "say why it is in that state"},
    {0},
};

static const struct command_option domtime_options[] = {
    DOMAIN_ACTIVE_OPTION,
    {"now", OPTION_BOOL, 0, "set it to this client's time"},
    {"pretty", OPTION_BOOL, 0, "print a date in UTC"},
    {"sync", OPTION_BOOL, 0, "set it from the guest's own clock"},
    {"time", OPTION_NUMBER, 0, "set it to these seconds since 1970"},
    {0},
};

const struct command info_commands[] = {
    {"domcontrol", "monitor", "whether a domain can be controlled now", NULL, domain_options, run_domcontrol},
    {"domid", "domain", "id of a domain", "The id of a running domain, given by name or UUID; - when it does not run.",
     domain_options, run_domid},
    {"dominfo", "monitor", "facts about a domain", NULL, domain_options, run_dominfo},
    {"domname", "domain", "name of a domain", NULL, domain_options, run_domname},
    {"domstate", "monitor", "state of a domain", NULL, domstate_options, run_domstate},
    {"domtime", "monitor", "read or set the guest's time", "Asks the guest's agent.", domtime_options, run_domtime},
    {"domuuid", "domain", "UUID of a domain", NULL, domain_options, run_domuuid},
    {0},
};
