/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "cli/event.h"
#include "cli/values.h"
#include "wire_tables.h"

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define FIELD(event, member, kind, ...) {#member, kind, offsetof(struct event, member), ##__VA_ARGS__}
#define FIELDS(...) ((const struct event_field[]){__VA_ARGS__, {0}})
#define KIND(name, id, NUMBER, event, line, ...) \
    {name, DOMAIN_EVENT_ID_##id, PROC_##NUMBER, offsetof(struct event, dom), line, FIELDS(__VA_ARGS__)}

static const char *const lifecycle_words[] = {"Defined", "Undefined", "Started", "Suspended", "Resumed", "Stopped",
                                              "Shutdown", "PMSuspended", "Crashed", NULL};
/* By event, then detail; both as the protocol numbers them. */
static const char *const *const lifecycle_details[] = {
    WORDS("Added", "Updated", "Renamed", "Snapshot"),
    WORDS("Removed", "Renamed"),
    WORDS("Booted", "Migrated", "Restored", "Snapshot", "Event wakeup"),
    WORDS("Paused", "Migrated", "I/O Error", "Watchdog", "Restored", "Snapshot", "API error", "Post-copy",
          "Post-copy Error"),
    WORDS("Unpaused", "Migrated", "Snapshot", "Post-copy", "Post-copy Error"),
    WORDS("Shutdown", "Destroyed", "Crashed", "Migrated", "Saved", "Failed", "Snapshot"),
    WORDS("Finished", "Finished after guest request", "Finished after host request"),
    WORDS("Memory", "Disk"),
    WORDS("Panicked", "Crashloaded"),
};

static const char *const io_actions[] = {"none", "pause", "report", NULL};
static const char *const job_types[] = {"Unknown job", "Block Pull", "Block Copy", "Block Commit", "Active Block "
                                        "Commit",
                                        "Backup", NULL};
static const char *const job_states[] = {"completed", "failed", "canceled", "ready", NULL};
static const char *const watchdog_actions[] = {"none", "pause", "reset", "poweroff", "shutdown", "debug", "inject-nmi",
                                               NULL};

const struct event_kind event_kinds[] = {
    KIND("lifecycle", LIFECYCLE, DOMAIN_EVENT_CALLBACK_LIFECYCLE, domain_event_callback_lifecycle_event,
         ": {event} {detail}", FIELD(domain_event_callback_lifecycle_event, event, EVENT_WORD, lifecycle_words),
         FIELD(domain_event_callback_lifecycle_event, detail, EVENT_DETAIL)),
    KIND("reboot", REBOOT, DOMAIN_EVENT_CALLBACK_REBOOT, domain_event_callback_reboot_event, "", {0}),
    KIND("rtc-change", RTC_CHANGE, DOMAIN_EVENT_CALLBACK_RTC_CHANGE, domain_event_callback_rtc_change_event,
         ": {offset}", FIELD(domain_event_callback_rtc_change_event, offset, EVENT_I64)),
    KIND("watchdog", WATCHDOG, DOMAIN_EVENT_CALLBACK_WATCHDOG, domain_event_callback_watchdog_event, ": {action}",
         FIELD(domain_event_callback_watchdog_event, action, EVENT_WORD, watchdog_actions)),
    KIND("io-error", IO_ERROR, DOMAIN_EVENT_CALLBACK_IO_ERROR, domain_event_callback_io_error_event,
         ": {src_path} ({dev_alias}) {action}", FIELD(domain_event_callback_io_error_event, src_path, EVENT_TEXT),
         FIELD(domain_event_callback_io_error_event, dev_alias, EVENT_TEXT),
         FIELD(domain_event_callback_io_error_event, action, EVENT_WORD, io_actions)),
    KIND("graphics", GRAPHICS, DOMAIN_EVENT_CALLBACK_GRAPHICS, domain_event_callback_graphics_event,
         ": {phase} local[{local}] remote[{remote}] auth_scheme[{auth_scheme}]{subject}",
         FIELD(domain_event_callback_graphics_event, phase, EVENT_WORD, WORDS("connect", "initialize", "disconnect")),
         FIELD(domain_event_callback_graphics_event, local, EVENT_ADDRESS),
         FIELD(domain_event_callback_graphics_event, remote, EVENT_ADDRESS),
         FIELD(domain_event_callback_graphics_event, auth_scheme, EVENT_TEXT),
         {"subject", EVENT_IDENTITIES, offsetof(struct domain_event_callback_graphics_event, subject_count)}),
    KIND("io-error-reason", IO_ERROR_REASON, DOMAIN_EVENT_CALLBACK_IO_ERROR_REASON,
         domain_event_callback_io_error_reason_event, ": {src_path} ({dev_alias}) {action} due to {reason}",
         FIELD(domain_event_callback_io_error_reason_event, src_path, EVENT_TEXT),
         FIELD(domain_event_callback_io_error_reason_event, dev_alias, EVENT_TEXT),
         FIELD(domain_event_callback_io_error_reason_event, action, EVENT_WORD, io_actions),
         FIELD(domain_event_callback_io_error_reason_event, reason, EVENT_TEXT)),
    KIND("control-error", CONTROL_ERROR, DOMAIN_EVENT_CALLBACK_CONTROL_ERROR,
         domain_event_callback_control_error_event, "", {0}),
    KIND("block-job", BLOCK_JOB, DOMAIN_EVENT_CALLBACK_BLOCK_JOB, domain_event_callback_block_job_event,
         ": {type} for {path} {status}", FIELD(domain_event_callback_block_job_event, path, EVENT_TEXT),
         FIELD(domain_event_callback_block_job_event, type, EVENT_WORD, job_types),
         FIELD(domain_event_callback_block_job_event, status, EVENT_WORD, job_states)),
    KIND("disk-change", DISK_CHANGE, DOMAIN_EVENT_CALLBACK_DISK_CHANGE, domain_event_callback_disk_change_event,
         " disk {dev_alias}: {old_src_path} -> {new_src_path}: {reason}",
         FIELD(domain_event_callback_disk_change_event, old_src_path, EVENT_TEXT),
         FIELD(domain_event_callback_disk_change_event, new_src_path, EVENT_TEXT),
         FIELD(domain_event_callback_disk_change_event, dev_alias, EVENT_TEXT),
         FIELD(domain_event_callback_disk_change_event, reason, EVENT_WORD, WORDS("changed", "dropped"))),
    KIND("tray-change", TRAY_CHANGE, DOMAIN_EVENT_CALLBACK_TRAY_CHANGE, domain_event_callback_tray_change_event,
         " disk {dev_alias}: {reason}", FIELD(domain_event_callback_tray_change_event, dev_alias, EVENT_TEXT),
         FIELD(domain_event_callback_tray_change_event, reason, EVENT_WORD, WORDS("opened", "closed"))),
    KIND("pm-wakeup", PMWAKEUP, DOMAIN_EVENT_CALLBACK_PMWAKEUP, domain_event_callback_pmwakeup_event, "", {0}),
    KIND("pm-suspend", PMSUSPEND, DOMAIN_EVENT_CALLBACK_PMSUSPEND, domain_event_callback_pmsuspend_event, "", {0}),
    KIND("balloon-change", BALLOON_CHANGE, DOMAIN_EVENT_CALLBACK_BALLOON_CHANGE,
         domain_event_callback_balloon_change_event, ": {actual}KiB",
         FIELD(domain_event_callback_balloon_change_event, actual, EVENT_U64)),
    KIND("pm-suspend-disk", PMSUSPEND_DISK, DOMAIN_EVENT_CALLBACK_PMSUSPEND_DISK,
         domain_event_callback_pmsuspend_disk_event, "", {0}),
    KIND("device-removed", DEVICE_REMOVED, DOMAIN_EVENT_CALLBACK_DEVICE_REMOVED,
         domain_event_callback_device_removed_event, ": {dev_alias}",
         FIELD(domain_event_callback_device_removed_event, dev_alias, EVENT_TEXT)),
    KIND("block-job-2", BLOCK_JOB_2, DOMAIN_EVENT_BLOCK_JOB_2, domain_event_block_job_2_event,
         ": {type} for {dst} {status}", FIELD(domain_event_block_job_2_event, dst, EVENT_TEXT),
         FIELD(domain_event_block_job_2_event, type, EVENT_WORD, job_types),
         FIELD(domain_event_block_job_2_event, status, EVENT_WORD, job_states)),
    KIND("tunable", TUNABLE, DOMAIN_EVENT_CALLBACK_TUNABLE, domain_event_callback_tunable_event, ":{params}",
         {"params", EVENT_PARAMS, offsetof(struct domain_event_callback_tunable_event, params_count)}),
    KIND("agent-lifecycle", AGENT_LIFECYCLE, DOMAIN_EVENT_CALLBACK_AGENT_LIFECYCLE,
         domain_event_callback_agent_lifecycle_event, ": state: '{state}' reason: '{reason}'",
         FIELD(domain_event_callback_agent_lifecycle_event, state, EVENT_WORD,
               WORDS("unknown", "connected", "disconnected")),
         FIELD(domain_event_callback_agent_lifecycle_event, reason, EVENT_WORD,
               WORDS("unknown", "domain started", "channel event"))),
    KIND("device-added", DEVICE_ADDED, DOMAIN_EVENT_CALLBACK_DEVICE_ADDED, domain_event_callback_device_added_event,
         ": {dev_alias}", FIELD(domain_event_callback_device_added_event, dev_alias, EVENT_TEXT)),
    KIND("migration-iteration", MIGRATION_ITERATION, DOMAIN_EVENT_CALLBACK_MIGRATION_ITERATION,
         domain_event_callback_migration_iteration_event, ": iteration: '{iteration}'",
         FIELD(domain_event_callback_migration_iteration_event, iteration, EVENT_I32)),
    KIND("job-completed", JOB_COMPLETED, DOMAIN_EVENT_CALLBACK_JOB_COMPLETED,
         domain_event_callback_job_completed_event, ":{params}",
         {"params", EVENT_PARAMS, offsetof(struct domain_event_callback_job_completed_event, params_count)}),
    KIND("device-removal-failed", DEVICE_REMOVAL_FAILED, DOMAIN_EVENT_CALLBACK_DEVICE_REMOVAL_FAILED,
         domain_event_callback_device_removal_failed_event, ": {dev_alias}",
         FIELD(domain_event_callback_device_removal_failed_event, dev_alias, EVENT_TEXT)),
    KIND("metadata-change", METADATA_CHANGE, DOMAIN_EVENT_CALLBACK_METADATA_CHANGE,
         domain_event_callback_metadata_change_event, ": type {type}, uri {nsuri}",
         FIELD(domain_event_callback_metadata_change_event, type, EVENT_WORD,
               WORDS("description", "title", "element")),
         FIELD(domain_event_callback_metadata_change_event, nsuri, EVENT_TEXT)),
    KIND("block-threshold", BLOCK_THRESHOLD, DOMAIN_EVENT_BLOCK_THRESHOLD, domain_event_block_threshold_event,
         ": dev: {dev}({path}) {threshold} {excess}", FIELD(domain_event_block_threshold_event, dev, EVENT_TEXT),
         FIELD(domain_event_block_threshold_event, path, EVENT_TEXT),
         FIELD(domain_event_block_threshold_event, threshold, EVENT_U64),
         FIELD(domain_event_block_threshold_event, excess, EVENT_U64)),
    KIND("memory-failure", MEMORY_FAILURE, DOMAIN_EVENT_MEMORY_FAILURE, domain_event_memory_failure_event,
         ": recipient: {recipient} action: {action} flags: {flags}",
         FIELD(domain_event_memory_failure_event, recipient, EVENT_WORD, WORDS("hypervisor", "guest")),
         FIELD(domain_event_memory_failure_event, action, EVENT_WORD, WORDS("ignore", "inject", "fatal", "reset")),
         FIELD(domain_event_memory_failure_event, flags, EVENT_I32)),
    KIND("memory-device-size-change", MEMORY_DEVICE_SIZE_CHANGE, DOMAIN_EVENT_MEMORY_DEVICE_SIZE_CHANGE,
         domain_event_memory_device_size_change_event, ": alias: '{alias}' size: {size}KiB",
         FIELD(domain_event_memory_device_size_change_event, alias, EVENT_TEXT),
         FIELD(domain_event_memory_device_size_change_event, size, EVENT_U64)),
    {0},
};

const struct event_kind *event_kind_of(const struct wire_procedure *procedure)
{
    if (procedure->program != &program_remote)
        return NULL;
    for (const struct event_kind *kind = event_kinds; kind->name; kind++)
        if (kind->procedure == (int)procedure->number)
            return kind;
    return NULL;
}

static const char *word_of(const char *const *words, int32_t number)
{
    for (int32_t i = 0; words && number >= 0 && words[i]; i++)
        if (i == number)
            return words[i];
    return "unknown";
}

static const char *detail_of(const int32_t *detail)
{
    bool known = detail[-1] >= 0 && (size_t)detail[-1] < COUNT(lifecycle_details);
    return word_of(known ? lifecycle_details[detail[-1]] : NULL, *detail);
}

/* A count and the pointer after it, as the generated structs lay out a list. */
struct counted {
    uint32_t count;
    void *items;
};

static void append_address(struct text *out, const struct wire_domain_event_graphics_address *address)
{
    text_printf(out, "%s %s %s", word_of(WORDS("IPv4", "IPv6", "unix"), address->family), address->node,
                address->service);
}

static void append_field(struct text *out, const struct event_field *field, const void *event)
{
    const void *at = (const char *)event + field->offset;
    const struct counted *list = at;
    scoped_arena struct arena *arena = arena_new();
    switch (field->kind) {
    case EVENT_TEXT: text_append(out, *(const char *const *)at ? *(const char *const *)at : ""); break;
    case EVENT_I32: text_printf(out, "%d", *(const int32_t *)at); break;
    case EVENT_I64: text_printf(out, "%lld", (long long)*(const int64_t *)at); break;
    case EVENT_U64: text_printf(out, "%llu", (unsigned long long)*(const uint64_t *)at); break;
    case EVENT_WORD: text_append(out, word_of(field->words, *(const int32_t *)at)); break;
    case EVENT_DETAIL: text_append(out, detail_of(at)); break;
    case EVENT_ADDRESS: append_address(out, at); break;
    case EVENT_IDENTITIES:
        for (uint32_t i = 0; i < list->count; i++) {
            const struct wire_domain_event_graphics_identity *identity = list->items;
            text_printf(out, " subject[%s=%s]", identity[i].type, identity[i].name);
        }
        break;
    case EVENT_PARAMS:
        for (uint32_t i = 0; i < list->count; i++) {
            const struct wire_typed_param *params = list->items;
            text_printf(out, "\n\t%s: %s", params[i].field, value_text(arena, &params[i]));
        }
        break;
    }
}

static const struct event_field *find_field(const struct event_kind *kind, const char *key, size_t length)
{
    for (const struct event_field *field = kind->fields; field->key; field++)
        if (strlen(field->key) == length && strncmp(field->key, key, length) == 0)
            return field;
    return NULL;
}

char *event_text(struct arena *arena, const struct event_kind *kind, const void *event)
{
    scoped_text struct text out = {0};
    const struct wire_domain *dom = (const void *)((const char *)event + kind->domain_offset);
    text_printf(&out, "event '%s' for domain '%s'", kind->name, dom->name);
    for (const char *c = kind->line; *c; c++) {
        const char *end = *c == '{' ? strchr(c, '}') : NULL;
        const struct event_field *field = end ? find_field(kind, c + 1, (size_t)(end - c - 1)) : NULL;
        if (field) {
            append_field(&out, field, event);
            c = end;
        } else {
            text_append_char(&out, *c);
        }
    }
    return arena_strdup(arena, text_string(&out));
}

static json_t *field_json(const struct event_field *field, const void *event)
{
    const void *at = (const char *)event + field->offset;
    const struct counted *list = at;
    json_t *array;
    switch (field->kind) {
    case EVENT_TEXT: return *(const char *const *)at ? json_string(*(const char *const *)at) : json_null();
    case EVENT_I32: return json_integer(*(const int32_t *)at);
    case EVENT_I64: return json_integer(*(const int64_t *)at);
    case EVENT_U64: return json_integer((json_int_t)*(const uint64_t *)at);
    case EVENT_WORD: return json_string(word_of(field->words, *(const int32_t *)at));
    case EVENT_DETAIL: return json_string(detail_of(at));
    case EVENT_PARAMS: return values_json(list->items, list->count);
    case EVENT_ADDRESS: {
        const struct wire_domain_event_graphics_address *address = at;
        return json_pack("{s:s, s:s, s:s}", "family", word_of(WORDS("ipv4", "ipv6", "unix"), address->family), "node",
                         address->node, "service", address->service);
    }
    case EVENT_IDENTITIES:
        array = json_array();
        for (uint32_t i = 0; i < list->count; i++) {
            const struct wire_domain_event_graphics_identity *identity = list->items;
            json_array_append_new(array, json_pack("{s:s, s:s}", "type", identity[i].type, "name", identity[i].name));
        }
        return array;
    }
    return json_null();
}

json_t *event_json(const struct event_kind *kind, const void *event)
{
    const struct wire_domain *dom = (const void *)((const char *)event + kind->domain_offset);
    char uuid[UUID_STRING_SIZE];
    uuid_format(dom->uuid, uuid);
    json_t *object = json_pack("{s:s, s:s, s:s}", "event", kind->name, "domain", dom->name, "uuid", uuid);
    for (const struct event_field *field = kind->fields; field->key; field++)
        json_object_set_new(object, strcmp(field->key, "event") == 0 ? "what" : field->key, field_json(field, event));
    return object;
}

char *event_timestamp(struct arena *arena)
{
    struct timespec now;
    struct tm tm;
    char stamp[32];
    clock_gettime(CLOCK_REALTIME, &now);
    strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", gmtime_r(&now.tv_sec, &tm));
    return arena_printf(arena, "%s.%03ld+0000", stamp, now.tv_nsec / 1000000);
}
