/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "object/object.h"

/* One job per object, and it has a name: what changes an object holds its job. A second one waits a bounded time and
 * then fails with who holds it. Reading never takes a job, nor do questions to the guest agent, which has a queue of
 * its own. While a long job runs (a migration), the short ones that its row in job.c admits may run inside it, one at a
 * time; others are refused at once. A migration admits no change of a definition: what was acknowledged would stay
 * behind, since the destination has the definition from the beginning. */
enum job_kind {
    JOB_DEFINE,  /* changes stored definitions only */
    JOB_START,
    JOB_DESTROY, /* ends the guest, whatever else is going on */
    JOB_SUSPEND, /* pause and resume */
    JOB_MODIFY,  /* any other short change of what the guest has */
    JOB_ASK,     /* a question to the guest, or a word to it that leaves its definition as it is */
    JOB_MIGRATE_OUT,
    JOB_MIGRATE_IN,
    JOB_KINDS
};

struct job {
    struct object *object; /* NULL = not held */
    enum job_kind kind;
    bool inner;            /* runs inside a long one */
    bool shielded_before;
    uint64_t since_ns;
    const char *operation; /* a literal, e.g. "start" */
    char client[64];       /* who asked, for the message */
};

/* Begins a job; job->client may be filled before. From here on the fiber is shielded: what changes an object is
 * finished or taken back, never cut off because its client has gone. ERR_OPERATION_TIMEOUT after 30 s, naming the
 * holder; error_missing when the object is gone meanwhile. Waits. */
int job_begin(struct job *job, struct object *object, enum job_kind kind, const char *operation, struct error *err);
/* object_claim() and then a job on what was claimed. It is claimed anew when it was renamed or has gone while another's
 * job was waited for. Waits. */
struct object *job_claim(struct job *job, struct registry *registry, const char *name,
                         const unsigned char uuid[UUID_SIZE], enum job_kind kind, const char *operation,
                         struct error *err);
/* Accepts a job that was never begun. */
void job_end(struct job *job);
#define scoped_job scope_cleanup(job_end)
