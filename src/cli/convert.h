/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/command.h"
#include "cli/connection.h"
#include "convert/job.h"
#include "convert/source.h"

/* What the files of `godwit convert` share. Unlike other commands it does its work in this program, with the same code
 * that the daemon has for reading definitions: source and target may be daemons on other hosts. */

/* What is known of the source beside its definition. */
struct source_place {
    bool local;   /* paths in it are this host's */
    bool running; /* as far as a daemon was asked */
};

/* Waits when a daemon is asked. The definition that -i, -ic and SOURCE name, as the source has it. */
struct domain_def *convert_source(struct invocation *in, struct report *report, struct source_place *place,
                                  struct error *err);

/* Where the result goes (-o, -os, -oc). */
struct target {
    struct invocation *in;
    struct connection *connection; /* of -o libvirt; NULL: -o local */
    uint64_t begun_ns;             /* when the disk that is copied was begun */
    size_t shown;                  /* whose progress stands on the terminal; 0 = none, else its number + 1 */
};

/* Waits. Opens the target, fills the places and kinds of job: directory, output, uri, pool, and job_target. */
int target_open(struct invocation *in, struct target *target, struct job *job, struct job_target *calls,
                struct error *err);
/* Waits. When the work is done or taken back: lets go of the name, then shows the pool what is in it. */
void target_finish(struct target *target, struct job *job);
/* Waits. True when the job's domain is known there. */
bool target_has(struct target *target, const struct job *job);
void target_close(struct target *target);
#define scoped_target scope_cleanup(target_close)
/* Waits. Whether def's name is free there; its UUID, too, or it gets another one when it has a new name. */
int target_check(struct target *target, const struct job *job, struct domain_def *def, struct report *report,
                 struct error *err);

/* A line on stderr for each change and for each thing that is left to do. */
void convert_report_print(struct invocation *in, const struct report *report);
/* The report and the result as a JSON object; job: with its disks, NULL = none were copied. */
void convert_report_json(const char *name, const char *xml, const struct report *report, const struct job *job);
