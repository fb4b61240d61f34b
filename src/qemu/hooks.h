/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qemu/domain.h"

/* Scripts of the administrator's below ROOT/etc/libvirt/hooks, called as libvirt documents it (libvirt.org/hooks.html):
 * the program `qemu` and then, by name, every program in `qemu.d`, with the guest's name, an operation, its part and an
 * extra word, and the guest's XML as input. All of them are called even when one fails; the first failure counts.
 *
 *   prepare   before anything of the guest is looked for   } a failure, also one to end within the driver's hook
 *   start     before QEMU is started                       } timeout, keeps the guest from running
 *   started   QEMU is ready, the guest's CPUs do not run   }
 *   stopped   QEMU is gone                                 } failures are logged
 *   release   after that                                   }
 *   reconnect the daemon has found a running guest again; one that the script refuses is ended
 *   migrate   a guest is to arrive; what the script prints is its XML from there on
 *
 * Where no script is, none of this costs more than looking for it. */
enum hook { HOOK_PREPARE, HOOK_START, HOOK_STARTED, HOOK_STOPPED, HOOK_RELEASE, HOOK_RECONNECT, HOOK_MIGRATE };

/* For a guest that has this definition. ERR_HOOK_SCRIPT_FAILED, or ERR_OPERATION_TIMEOUT; both name the script.
 * Waits. */
int hook_call(const struct driver *driver, const struct domain_def *def, enum hook hook, struct error *err);
/* HOOK_MIGRATE: a new reference of the definition that the scripts made of this one, or of this one. One that would
 * show the guest other hardware is refused (ERR_OPERATION_FAILED). Waits. */
struct domain_def *hook_filter(struct driver *driver, struct domain_def *def, enum hook hook, struct error *err);

/* Calls stopped and release in a fiber of its own. reason: DOMAIN_SHUTOFF_*. Does not wait. */
void hooks_ended(struct driver *driver, struct domain_def *def, int reason);
/* Waits until those of a guest of that name have been called, so that none meets those of its next start. */
int hooks_settle(struct driver *driver, const char *name, struct error *err);

/* `daemon` and `daemon.d`: ("start", "-", "start") and so on. Failures are logged. Waits. */
void hooks_tell_daemon(const struct driver *driver, const char *operation, const char *part, const char *extra);
