/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/process.h"
#include "object/job.h"
#include "object/object.h"
#include "qemu/driver.h"
#include "qemu/qmp.h"

/* How far the guest's migration to another host is, and with that who alone may let its CPUs run here. */
enum outgoing {
    OUTGOING_NONE,
    OUTGOING_PERFORMING, /* src/migrate; the destination cannot have it: nobody was told that it may run there */
    OUTGOING_PERFORMED,  /* src/migrate; the destination may have it */
    OUTGOING_POSTCOPY,   /* the destination has it, and part of its memory is here */
    OUTGOING_UNSETTLED,  /* nobody, also when it is not active: it may run there, and nobody is left to tell */
};

/* A start under way, on the stack of its fiber. */
struct starting {
    struct process *process; /* its QEMU, until the domain owns that; NULL = not there yet */
    bool destroyed;          /* somebody wants it to end */
    bool exited;             /* QEMU has ended, with exit_status (waitpid's) */
    int exit_status;
};

/* One guest. What clients ask is answered from this struct; QMP events keep it true. */
struct domain {
    struct object object; /* name, UUID, id, definitions; first */
    struct driver *driver;

    int state, reason;    /* DOMAIN_RUNNING, DOMAIN_RUNNING_BOOTED, ... */
    struct condition changed; /* woken at each change of state */

    struct starting *starting; /* NULL = none */

    /* While active. */
    struct process *process;
    struct qmp *qmp;
    bool config_changed;       /* the stored definition was changed since the start */
    uint64_t balloon_kib;      /* what the guest has now */
    char *monitor_path;        /* its QEMU's socket */
    off_t log_start;           /* where this run's own words begin in QEMU's log */
    char *cgroup;              /* name of its group; NULL = none */
    uint64_t autodestroy;      /* id of the client whose end ends the guest; 0 = nobody's */
    /* Why the guest's CPUs or QEMU are about to stop, set by who causes it and taken by the event that tells of it:
     * DOMAIN_PAUSED_*, DOMAIN_RUNNING_*, DOMAIN_SHUTOFF_*; -1 = nobody said. */
    int pause_reason, resume_reason, shutoff_reason;
    bool stopping;    /* we told QEMU to end: no crash to report */
    bool reset_on_shutdown; /* domain_reboot(): when the guest has powered off it is reset instead */
    bool at_rest;     /* started for its disks alone: it never runs; see DOMAIN_START_AT_REST */
    bool incoming;    /* waits for a migration's end: clients see it paused */
    bool lockless;    /* its start found locks that do not work: its images have leases (lease.h) */
    enum outgoing outgoing;
    struct migration *migration; /* of src/migrate; NULL = none */
    char migration_status[24];   /* QEMU's word in its last MIGRATION event; "" = none yet */
    uint64_t job_changes;        /* how often QEMU has told of a block job's or an export's new state */
    bool postcopy;               /* QEMU has said that the guest's CPUs went before its memory */
    uint32_t migration_pass;     /* of its last MIGRATION_PASS event */
    uint32_t migrate_downtime_ms;    /* largest pause that migrations may make; 0 = the default */
    uint64_t migrate_bandwidth_mib;  /* MiB/s that migrations may use; 0 = all there is */
    uint64_t migrate_postcopy_mib; /* the same in post-copy */
    struct console *consoles;    /* open console streams (console.c) */
    struct stats *stats;         /* what was last learned from QEMU (stats.h); NULL = nothing yet */
    struct agent *agent;         /* the connection to the guest agent (agent.c); NULL = none */
    struct job_info *last_job;   /* of the last completed job, for domjobinfo --completed */
};

#define domain_of(pointer) container_of(pointer, struct domain, object)

extern const struct object_kind domain_kind;

/* -- looking (nothing here waits) ---------------------------------------------------------------------------------- */

static inline const char *domain_name(const struct domain *domain)
{
    return domain->object.name;
}
static inline bool domain_active(const struct domain *domain)
{
    return object_active(&domain->object);
}
/* The definition in use, or the stored one; see object_def(). */
struct domain_def *domain_def(struct domain *domain, struct error *err);
/* By the wire handle's UUID. */
struct domain *driver_find(struct driver *driver, const unsigned char uuid[UUID_SIZE], struct error *err);
/* Fails with ERR_OPERATION_INVALID unless a guest runs (or is paused). */
int domain_require_active(const struct domain *domain, struct error *err);
/* Fails with ERR_OPERATION_INVALID when the guest may not be let run here, because another host has it or may have it:
 * to be asked, after all waiting, before each command that starts its CPUs. operation is for the message. */
int domain_require_own(const struct domain *domain, const char *operation, struct error *err);
/* What dumpxml shows; flags are DOMAIN_XML_*. To free(). With _UPDATE_CPU it waits when QEMU has to be asked. */
char *domain_dump(struct domain *domain, unsigned flags, struct error *err);
/* Host CPU time of the guest in ns (/proc), and its parts; 0 while inactive. */
struct domain_cpu_time {
    uint64_t total, user, system; /* ns */
};
struct domain_cpu_time domain_cpu_time(const struct domain *domain);
/* Resident set of QEMU, KiB; 0 while inactive. */
uint64_t domain_resident_kib(const struct domain *domain);

#define scoped_domain scope_cleanup(domain_scope)
static inline void domain_scope(struct domain **domain)
{
    if (*domain)
        object_unref(&(*domain)->object);
}

/* -- definitions (define.c); all wait ------------------------------------------------------------------------------ */

/* Stores the definition of XML text; returns the domain (a reference). flags: DOMAIN_DEFINE_VALIDATE. client names who
 * asks, for the messages of those who find the domain busy. */
struct domain *domain_define(struct driver *driver, const char *xml, unsigned flags, const char *client,
                             struct error *err);
/* Whether the emulator of a new definition can be run and knows the machine type. A stored definition is not checked:
 * it stays what it is when its emulator has gone. Waits. */
int domain_check_machine(struct driver *driver, const struct domain_def *def, struct error *err);
/* Names in the log what of a new definition is kept without effect, since nobody here knows it. */
void domain_warn_of_unknown(const struct domain_def *def);
/* flags: DOMAIN_UNDEFINE_*. */
int domain_undefine(struct domain *domain, unsigned flags, const char *client, struct error *err);
int domain_rename(struct domain *domain, const char *name, const char *client, struct error *err);
int domain_set_autostart(struct domain *domain, bool autostart, const char *client, struct error *err);
/* LIVE, CONFIG or both of DOMAIN_AFFECT_*: where the flags leave it open, the domain's state decides. */
unsigned domain_affected(const struct domain *domain, unsigned flags);
/* Makes a changed definition and swaps it in: change() edits a private copy. flags: DOMAIN_AFFECT_*. */
typedef int domain_change(struct domain_def *def, void *context, struct error *err);
int domain_edit_defs(struct domain *domain, unsigned flags, domain_change *change, void *context, const char *client,
                     struct error *err);
/* The same for what QEMU must be told, too: apply() does that for the live definition, in the same job; what change()
 * refuses is not applied. It runs in the caller's fiber and may wait. */
typedef int domain_apply(struct domain *domain, void *context, struct error *err);
int domain_change_both(struct domain *domain, unsigned flags, domain_change *change, domain_apply *apply, void *context,
                       const char *client, struct error *err);

/* -- life (start.c, stop.c, run.c); all wait ----------------------------------------------------------------------- */

/* Beside libvirt's flags, and in no message: the guest stands still until it ends, whoever asks it to run. Needs
 * DOMAIN_START_PAUSED. */
#define DOMAIN_START_AT_REST (1U << 31)
/* flags: DOMAIN_START_PAUSED, _AUTODESTROY (owner), _AT_REST, _VALIDATE (create only). */
int domain_start(struct domain *domain, unsigned flags, uint64_t owner, const char *client, struct error *err);
/* A transient guest from XML text; returns a reference. */
struct domain *domain_create(struct driver *driver, const char *xml, unsigned flags, uint64_t owner, const char *client,
                             struct error *err);
/* flags: DOMAIN_DESTROY_GRACEFUL. On return QEMU is gone. */
int domain_destroy(struct domain *domain, unsigned flags, const char *client, struct error *err);
/* flags: DOMAIN_SHUTDOWN_*. Returns when the guest was asked. */
int domain_shutdown(struct domain *domain, unsigned flags, const char *client, struct error *err);
/* flags: DOMAIN_REBOOT_*. */
int domain_reboot(struct domain *domain, unsigned flags, const char *client, struct error *err);
int domain_reset(struct domain *domain, const char *client, struct error *err);
int domain_suspend(struct domain *domain, const char *client, struct error *err);
int domain_resume(struct domain *domain, const char *client, struct error *err);

/* -- for the driver's own files ------------------------------------------------------------------------------------ */

/* Records a state, tells the clients (event and detail of the lifecycle event; -1 = nobody), wakes who waits for it and
 * rewrites the status file of an active domain. Does not wait. */
void domain_set_state(struct domain *domain, int state, int reason, int event, int detail);
void domain_notify(struct domain *domain, int event_id, void *body);
/* A lifecycle event alone. */
void domain_notify_lifecycle(struct domain *domain, int event, int detail);

/* Runs QEMU for a definition (a private copy, taken over also on failure; aliases and runtime values are filled in)
 * until its monitor answers: the domain is then active and paused, and its CPUs have not run. incoming as in
 * qemu/command.h; id -1 takes the next one. On failure nothing is left. The caller holds a job. Waits. */
int domain_launch(struct domain *domain, struct domain_def *live, const char *incoming, int id, struct error *err);
/* Whether the host files of a guest that is to start are there: names the disk and the file. A medium that is missing
 * and may be (startupPolicy) is taken out of live, and clients are told. Waits. */
int domain_check_files(struct domain *domain, struct domain_def *live, bool incoming, struct error *err);
/* Whether the huge pages that it wants are there. */
int domain_check_pages(const struct domain_def *def, struct error *err);
/* Gives mode='host-model' the name and the features that every host of this guest's life will build it from. Waits. */
int domain_name_processor(struct driver *driver, struct domain_def *def, struct error *err);
/* Makes of the <cpu> of a guest at rest what this host would give it now. Waits. */
int domain_update_processor(struct driver *driver, struct domain_def *def, struct error *err);
/* Fills in the ptys that QEMU opened, from its answer to query-chardev. */
void domain_learn_chardevs(struct domain_def *live, const json_t *reply);
/* Removes the directory of the channels' sockets, which only one run of a guest has. Does not wait. */
void driver_remove_sockets(const struct driver *driver, const unsigned char uuid[UUID_SIZE]);
/* Ends QEMU (asks it first, so that it flushes its disks; kills it when it does not listen) and waits until it is gone
 * and the domain is inactive. shutoff_reason is DOMAIN_SHUTOFF_*. */
int domain_end(struct domain *domain, int shutoff_reason, bool graceful, struct error *err);
/* The same, and waits for the hook scripts that are called then: who asked for the end hears of it when all that
 * belonged to the guest has been released. */
int domain_stop(struct domain *domain, int shutoff_reason, bool graceful, struct error *err);
/* Waits until QEMU is gone, whoever ends it. */
int domain_wait_exit(struct domain *domain, deadline until, struct error *err);
/* Called by the process watch: QEMU is gone. */
void domain_exited(void *domain);
/* The files of one guest. */
/* A name that no other start has had: a QEMU that ends late unlinks its own socket, never a later one's. To free(). */
char *domain_new_monitor_path(const struct domain *domain);
char *domain_log_path(const struct domain *domain, struct arena *arena);
char *domain_lib_path(const struct domain *domain, struct arena *arena);
/* Deadline for one monitor command: long enough for QEMU to drain slow disks. */
deadline monitor_deadline(void);
/* Fills the job's client. */
void job_asked_by(struct job *job, const char *client);
/* A job for a client. */
int domain_begin_job(struct domain *domain, struct job *job, enum job_kind kind, const char *operation,
                     const char *client, struct error *err);
/* The same for what needs a guest: it is refused at once when none runs, and when it has ended before the job began. */
int domain_begin_active_job(struct domain *domain, struct job *job, enum job_kind kind, const char *operation,
                            const char *client, struct error *err);

/* What follows when the guest has powered off: on_poweroff, or the reset that was asked for. Does not wait. */
void domain_after_shutdown(struct domain *domain);
/* events.c */
extern const struct qmp_callbacks domain_qmp_callbacks;
