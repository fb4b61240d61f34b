/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qemu/domain.h"

/* The status file of an active domain, RUN_DIR/UUID.json: all that a daemon needs to find the guest again after it was
 * killed. Rewritten at each change of state, gone when the guest is. It dies with the host's next boot, so it is
 * replaced atomically but not flushed. */
struct status {
    pid_t pid;
    uint64_t start_time; /* tells the process from a later one of the same pid */
    int id, state, reason, outgoing;
    int shutoff_reason;  /* why it is being ended; -1 = it is not */
    bool incoming, reset_on_shutdown;
    bool lockless; /* also when an older daemon has not said */
    uint64_t balloon_kib;
    const char *monitor, *cgroup, *xml; /* in the arena */
};

/* Whether the next daemon would understand a definition that is about to be in use. */
int status_check(struct driver *driver, const struct domain_def *live, struct error *err);
/* The definition of a status file. Does not wait. */
struct domain_def *status_parse(struct driver *driver, const char *xml, struct error *err);
char *status_path(const struct domain *domain, struct arena *arena);
/* Writes it anew, for what may be acknowledged only when the next daemon would know it. Does not wait. */
int status_write(struct domain *domain, struct error *err);
/* The same for news of a guest that runs: a failure is logged. */
void status_save(struct domain *domain);
void status_remove(struct domain *domain);
int status_load(struct status *status, const char *path, struct arena *arena, struct error *err);
