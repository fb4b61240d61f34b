/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qemu/domain.h"
#include "rpc/params.h"

/* Statistics of guests. They never take a job and never wait for one. What /proc tells is read there; what only QEMU
 * knows is asked in one short batch a guest, of all guests before the first answer is waited for. A guest that does not
 * answer in time is told of as it was last known. */

/* Counters of one layer of a disk; 0 is the image that the guest writes to, 1 its backing image, ... */
struct layer_stats {
    uint64_t read_requests, read_bytes, read_ns;
    uint64_t write_requests, write_bytes, write_ns;
    uint64_t flush_requests, flush_ns;
    uint64_t highest_offset; /* bytes written up to, of the file below the format */
    uint64_t capacity;       /* what the guest sees */
    uint64_t actual;         /* what the image takes on its host */
    uint64_t threshold;      /* of the write-threshold event; 0 = none set */
    char *file;              /* of a backing image, as QEMU opened it */
    bool sized;              /* capacity and actual are known */
};

struct disk_stats {
    char *alias;
    unsigned layer_count;
    struct layer_stats *layers;
    bool failed, no_space; /* io-status, where the error policy stops the guest */
};

struct iothread_stats {
    char *id; /* "iothread1" */
    pid_t thread;
    uint64_t poll_max_ns;
    uint32_t poll_grow, poll_shrink;
};

/* Memory as the guest's balloon driver tells it; UNKNOWN where it does not. KiB, and counts for faults and pages. */
enum balloon_stat {
    BALLOON_SWAP_IN,
    BALLOON_SWAP_OUT,
    BALLOON_MAJOR_FAULT,
    BALLOON_MINOR_FAULT,
    BALLOON_UNUSED,
    BALLOON_AVAILABLE,
    BALLOON_USABLE,
    BALLOON_DISK_CACHES,
    BALLOON_HUGETLB_PGALLOC,
    BALLOON_HUGETLB_PGFAIL,
    BALLOON_STATS
};
#define STAT_UNKNOWN UINT64_MAX

/* What was last learned from a guest's QEMU; lives as long as that QEMU. */
struct stats {
    pid_t *vcpu_threads; /* by vCPU number, 0 = not there; NULL = never learned */
    unsigned vcpu_count;
    struct disk_stats *disks;
    unsigned disk_count;
    struct domain_def *sized; /* the definition (a reference) whose disks' sizes are known; NULL = to be asked for */
    uint64_t balloon[BALLOON_STATS];
    uint64_t balloon_updated; /* seconds since 1970, 0 = never */
    struct iothread_stats *iothreads;
    unsigned iothread_count;
    struct {
        bool settled; /* not measuring: nothing new to learn until the next start */
        int status;   /* DOMAIN_DIRTYRATE_* */
        int64_t start, period, mib_per_s;
        const char *mode;
    } dirty_rate;
};
void stats_free(struct stats *stats);
/* Sizes or thresholds of disks have changed: they are asked for again when next needed. */
void stats_forget_sizes(struct domain *domain);

/* What can be asked of a QEMU. */
enum {
    ASK_BLOCK = 1,
    ASK_VCPUS = 2, /* only once: threads stay */
    ASK_BALLOON = 4,
    ASK_IOTHREADS = 8,
    ASK_DIRTY_RATE = 16,
    ASK_DISK_STATUS = 32, /* failures, which else are as old as the sizes */
    ASK_BUSY = 0x8000, /* also of a QEMU that has not answered something yet */
};
/* How long all are waited for together, how long after the last answer of any (on a busy machine all are slow, and as
 * long as answers come they are waited for), and how long one is that is asked for alone. */
enum { STATS_BULK_MS = 80, STATS_NEXT_MS = 40, STATS_ONE_MS = 2000 };

/* Asks all of them and waits until each has answered, or is silent for too long. */
void stats_refresh(struct domain **domains, size_t count, unsigned ask, struct arena *arena);
/* Looks how large the image files of running guests have grown. Their servers may hang, so a worker thread looks, and
 * what it has not found in time stays as it was. Waits. */
void stats_measure(struct domain **domains, size_t count);
/* As stats_refresh() for one; fails when the guest did not answer and nothing is known of it from before. The result
 * holds until the next wait. */
const struct stats *stats_of(struct domain *domain, unsigned ask, struct error *err);
const struct disk_stats *stats_disk(const struct stats *stats, const char *alias);

/* The groups in the bits of `groups` (DOMAIN_STATS_*; 0 = all) of many domains; params[i] is initialized here. flags:
 * CONNECT_GET_ALL_DOMAINS_STATS_BACKING, _NOWAIT. Waits, but not for more than the slowest guest that answers. */
void domain_stats(struct domain **domains, size_t count, unsigned groups, unsigned flags, struct arena *arena,
                  struct params *params);
/* All group bits there are. */
unsigned domain_stats_groups(void);

/* The memory statistics in the order of DOMAIN_MEMORY_STAT_*, at most `max`; returns how many. */
unsigned domain_memory_stats(const struct domain *domain, const struct stats *stats,
                             struct wire_domain_memory_stat *list, unsigned max);
