/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <libxml/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "rpc/params.h"

/* How far a migration is, or how it went: what domjobinfo shows. Flat, so that a copy is an assignment. */
struct job_info {
    int32_t operation; /* DOMAIN_JOB_OPERATION_* */
    int32_t type;      /* DOMAIN_JOB_NONE, _UNBOUNDED, _COMPLETED, _FAILED, _CANCELLED */
    uint64_t elapsed_ms, remaining_ms;
    bool has_downtime, has_xbzrle;
    uint64_t downtime_ms; /* expected while it runs */
    uint64_t setup_ms;
    uint64_t memory_total, memory_processed, memory_remaining; /* bytes */
    uint64_t memory_bps;
    uint64_t constant, normal, normal_bytes; /* pages, pages, bytes */
    uint64_t dirty_rate;                     /* pages a second */
    uint64_t iteration, postcopy_requests, page_size;
    uint64_t disk_total, disk_processed, disk_remaining, disk_bps;
    uint64_t cache_size, cache_bytes, cache_pages, cache_misses, cache_overflows;
    bool has_verified;
    uint64_t verified_devices, verified_disks, verified_memory; /* what the destination found again; bytes */
    int32_t throttle; /* percent of the guest's CPU time taken from it */
};

/* Takes over what query-migrate answered; what it left out stays. */
void job_info_update(struct job_info *info, const json_t *reply);
/* The typed parameters of domain-get-job-stats. */
void job_info_params(const struct job_info *info, struct params *params);
/* The same as elements of a cookie's <statistics>, and back. Values that are no numbers are left out. */
void job_info_format(const struct job_info *info, struct text *out);
void job_info_parse(struct job_info *info, const xmlNode *statistics);
