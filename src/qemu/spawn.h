/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "base/process.h"
#include "qemu/log.h"
#include "qemu/qmp.h"

/* Starting a QEMU process with its monitor already open: the listening socket is made here and handed over as a
 * descriptor, so we are connected before QEMU runs, nothing is polled, and after a restart of the daemon the socket is
 * still there to attach to. */

/* Starts and monitors one QEMU: the arguments are qemu_command()'s without the monitor, which is added here. */
struct qemu_spawn_options {
    const char *name;               /* the domain's */
    const struct argv *argv;
    char *const *environment;       /* NULL = ours */
    const int *pass_fds;            /* those that argv names by number */
    size_t pass_fd_count;
    const char *monitor_path;       /* unix socket to make; its directory must exist, its path may be of any length */
    const char *log_path;           /* appended to; NULL = /dev/null */
    bool ours;                      /* it ends with this daemon, as a guest must not */
};

struct qemu_spawned {
    struct process *process; /* detached, unless it is ours: it survives us */
    struct qmp *qmp;
    off_t log_start;         /* where this run's own words begin in the log */
};
void qemu_spawned_finish(struct qemu_spawned *spawned); /* kills what is still held */
#define scoped_qemu_spawned scope_cleanup(qemu_spawned_finish)

/* Does not wait: QEMU starts up while the caller goes on, and commands may be submitted at once. */
int qemu_spawn(const struct qemu_spawn_options *options, const struct qmp_callbacks *callbacks, void *owner,
               struct qemu_spawned *spawned, struct error *err);
/* Waits until QEMU speaks. When it ended instead, err says how and with QEMU's last words from the log. */
int qemu_handshake(struct qemu_spawned *spawned, const struct qemu_spawn_options *options, deadline until,
                   struct error *err);

/* For who failed to talk to it: when QEMU has ended, err says instead how and with its last words, which is more than
 * a lost monitor tells. Waits a moment for the end. Returns -1. */
int qemu_spawned_explain(struct qemu_spawned *spawned, const struct qemu_spawn_options *options, struct error *err);

/* Connects to the monitor of a QEMU that runs already (qmp_handshake() then tells whether it answers). Does not wait.
 */
struct qmp *qemu_attach(const char *name, const char *monitor_path, const struct qmp_callbacks *callbacks, void *owner,
                        struct error *err);
/* Connects to a unix socket whose path may be of any length; a non-blocking descriptor, -1 with err and errno. Does not
 * wait. */
int unix_connect(const char *path, struct error *err);
/* Listens on a unix socket (mode 0600) whose path may be of any length; what was there is replaced. A descriptor, -1
 * with err. */
int unix_listen(const char *path, struct error *err);
