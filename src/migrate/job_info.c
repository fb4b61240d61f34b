/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/job_info.h"

#include <stddef.h>
#include <string.h>

#include "rpc/godwit_names.h"

/* One row a number: where it lies in query-migrate's answer, its name among the typed parameters and in cookies, and
 * when it is worth telling. */

enum when { ALWAYS, RUNNING, WITH_DOWNTIME, WITH_XBZRLE, WITH_VERIFIED };

static const struct {
    const char *name;
    size_t offset;
    const char *section, *key; /* of query-migrate; key NULL = not from there */
    enum when when;
} rows[] = {
#define FIELD(member) offsetof(struct job_info, member)
    {DOMAIN_JOB_TIME_ELAPSED, FIELD(elapsed_ms), NULL, NULL, ALWAYS},
    {DOMAIN_JOB_TIME_REMAINING, FIELD(remaining_ms), NULL, NULL, RUNNING},
    {DOMAIN_JOB_DOWNTIME, FIELD(downtime_ms), NULL, NULL, WITH_DOWNTIME},
    {DOMAIN_JOB_SETUP_TIME, FIELD(setup_ms), NULL, "setup-time", ALWAYS},
    {DOMAIN_JOB_MEMORY_TOTAL, FIELD(memory_total), "ram", "total", ALWAYS},
    {DOMAIN_JOB_MEMORY_PROCESSED, FIELD(memory_processed), "ram", "transferred", ALWAYS},
    {DOMAIN_JOB_MEMORY_REMAINING, FIELD(memory_remaining), "ram", "remaining", ALWAYS},
    {DOMAIN_JOB_MEMORY_BPS, FIELD(memory_bps), NULL, NULL, ALWAYS},
    {DOMAIN_JOB_MEMORY_CONSTANT, FIELD(constant), "ram", "duplicate", ALWAYS},
    {DOMAIN_JOB_MEMORY_NORMAL, FIELD(normal), "ram", "normal", ALWAYS},
    {DOMAIN_JOB_MEMORY_NORMAL_BYTES, FIELD(normal_bytes), "ram", "normal-bytes", ALWAYS},
    {DOMAIN_JOB_MEMORY_DIRTY_RATE, FIELD(dirty_rate), "ram", "dirty-pages-rate", ALWAYS},
    {DOMAIN_JOB_MEMORY_ITERATION, FIELD(iteration), "ram", "dirty-sync-count", ALWAYS},
    {DOMAIN_JOB_MEMORY_POSTCOPY_REQS, FIELD(postcopy_requests), "ram", "postcopy-requests", ALWAYS},
    {DOMAIN_JOB_MEMORY_PAGE_SIZE, FIELD(page_size), "ram", "page-size", ALWAYS},
    {DOMAIN_JOB_DISK_TOTAL, FIELD(disk_total), "disk", "total", ALWAYS},
    {DOMAIN_JOB_DISK_PROCESSED, FIELD(disk_processed), "disk", "transferred", ALWAYS},
    {DOMAIN_JOB_DISK_REMAINING, FIELD(disk_remaining), "disk", "remaining", ALWAYS},
    {DOMAIN_JOB_DISK_BPS, FIELD(disk_bps), NULL, NULL, ALWAYS},
    {DOMAIN_JOB_COMPRESSION_CACHE, FIELD(cache_size), "xbzrle-cache", "cache-size", WITH_XBZRLE},
    {DOMAIN_JOB_COMPRESSION_BYTES, FIELD(cache_bytes), "xbzrle-cache", "bytes", WITH_XBZRLE},
    {DOMAIN_JOB_COMPRESSION_PAGES, FIELD(cache_pages), "xbzrle-cache", "pages", WITH_XBZRLE},
    {DOMAIN_JOB_COMPRESSION_CACHE_MISSES, FIELD(cache_misses), "xbzrle-cache", "cache-miss", WITH_XBZRLE},
    {DOMAIN_JOB_COMPRESSION_OVERFLOW, FIELD(cache_overflows), "xbzrle-cache", "overflow", WITH_XBZRLE},
    {GODWIT_VERIFIED_DEVICES, FIELD(verified_devices), NULL, NULL, WITH_VERIFIED},
    {GODWIT_VERIFIED_DISKS, FIELD(verified_disks), NULL, NULL, WITH_VERIFIED},
    {GODWIT_VERIFIED_MEMORY, FIELD(verified_memory), NULL, NULL, WITH_VERIFIED},
#undef FIELD
};

static bool applies(const struct job_info *info, enum when when)
{
    switch (when) {
    case RUNNING:
        return info->type == DOMAIN_JOB_UNBOUNDED;
    case WITH_DOWNTIME:
        return info->has_downtime;
    case WITH_XBZRLE:
        return info->has_xbzrle;
    case WITH_VERIFIED:
        return info->has_verified;
    default:
        return true;
    }
}

static const uint64_t *value(const struct job_info *info, size_t row)
{
    return (const uint64_t *)((const char *)info + rows[row].offset);
}

void job_info_update(struct job_info *info, const json_t *reply)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        const json_t *from = rows[i].section ? json_object_get(reply, rows[i].section) : reply;
        const json_t *number = rows[i].key ? json_object_get(from, rows[i].key) : NULL;
        if (json_is_integer(number))
            *(uint64_t *)((char *)info + rows[i].offset) = (uint64_t)json_integer_value(number);
    }
    const json_t *ram = json_object_get(reply, "ram");
    const json_t *downtime = json_object_get(reply, "downtime") ?: json_object_get(reply, "expected-downtime");
    if (downtime) {
        info->has_downtime = true;
        info->downtime_ms = (uint64_t)json_integer_value(downtime);
    }
    info->has_xbzrle |= json_object_get(reply, "xbzrle-cache") != NULL;
    info->throttle = (int32_t)json_integer_value(json_object_get(reply, "cpu-throttle-percentage"));
    double mbps = json_number_value(json_object_get(ram, "mbps")); /* megabits of 10^6 */
    if (mbps > 0)
        info->memory_bps = (uint64_t)(mbps * 125000.0);
    info->remaining_ms = info->memory_bps ? info->memory_remaining * 1000 / info->memory_bps : 0;
}

void job_info_params(const struct job_info *info, struct params *params)
{
    params_add_i32(params, DOMAIN_JOB_OPERATION, info->operation);
    params_add_u64(params, DOMAIN_JOB_DATA_TOTAL, info->memory_total + info->disk_total);
    params_add_u64(params, DOMAIN_JOB_DATA_PROCESSED, info->memory_processed + info->disk_processed);
    params_add_u64(params, DOMAIN_JOB_DATA_REMAINING, info->memory_remaining + info->disk_remaining);
    for (size_t i = 0; i < COUNT(rows); i++)
        if (applies(info, rows[i].when))
            params_add_u64(params, rows[i].name, *value(info, i));
    params_add_i32(params, DOMAIN_JOB_AUTO_CONVERGE_THROTTLE, info->throttle);
}

void job_info_format(const struct job_info *info, struct text *out)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        if (applies(info, rows[i].when))
            text_printf(out, "    <%s>%llu</%s>\n", rows[i].name, (unsigned long long)*value(info, i), rows[i].name);
    text_printf(out, "    <%s>%d</%s>\n", DOMAIN_JOB_AUTO_CONVERGE_THROTTLE, info->throttle,
                DOMAIN_JOB_AUTO_CONVERGE_THROTTLE);
}

static void parse_element(struct job_info *info, const char *name, const char *content)
{
    uint64_t number;
    if (parse_u64(content, 10, &number) < 0)
        return;
    if (strcmp(name, DOMAIN_JOB_AUTO_CONVERGE_THROTTLE) == 0)
        info->throttle = number <= 100 ? (int32_t)number : 0;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (strcmp(rows[i].name, name) == 0) {
            *(uint64_t *)((char *)info + rows[i].offset) = number;
            info->has_downtime |= rows[i].when == WITH_DOWNTIME;
            info->has_xbzrle |= rows[i].when == WITH_XBZRLE;
            info->has_verified |= rows[i].when == WITH_VERIFIED;
        }
}

void job_info_parse(struct job_info *info, const xmlNode *statistics)
{
    for (xmlNode *child = statistics->children; child; child = child->next)
        if (child->type == XML_ELEMENT_NODE) {
            xmlChar *content = xmlNodeGetContent(child);
            parse_element(info, (const char *)child->name, content ? (const char *)content : "");
            xmlFree(content);
        }
}
