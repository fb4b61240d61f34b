/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/sysfs.h"
#include "qemu/domain.h"
#include "qemu/stats.h"

/* Virtual CPUs: how many, and which host CPUs their threads may use. */

/* The CPUs of this host that exist. */
unsigned host_cpu_count(void);

/* Which host CPUs the definition allows for one vCPU, or for QEMU's other threads (VCPU_EMULATOR), or for an I/O
 * thread: its own pinning, else the domain's, else all. */
enum { VCPU_EMULATOR = -1 };
void vcpu_allowed(struct cpu_set *set, const struct domain_def *def, int vcpu);
void iothread_allowed(struct cpu_set *set, const struct domain_def *def, unsigned iothread);
/* Which host CPUs a thread may use now. */
void thread_allowed(struct cpu_set *set, pid_t thread);

/* Changes the place of one vCPU, or of QEMU's other threads. flags: DOMAIN_AFFECT_*. Waits. */
int vcpu_pin(struct domain *domain, int vcpu, const struct cpu_set *set, unsigned flags, const char *client,
             struct error *err);
int iothread_pin(struct domain *domain, unsigned iothread, const struct cpu_set *set, unsigned flags,
                 const char *client, struct error *err);

/* flags: DOMAIN_VCPU_LIVE, _CONFIG, _MAXIMUM. Adds vCPUs to a running guest whose machine can; takes a job; waits. */
int vcpu_set_count(struct domain *domain, unsigned count, unsigned flags, const char *client, struct error *err);
