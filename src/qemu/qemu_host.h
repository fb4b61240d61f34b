/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/text.h"
#include "host/host.h"
#include "qemu/cpu_models.h"

/* This host together with its emulators: what clients ask about both. All functions wait when an emulator has to be
 * asked for the first time. */
struct qemu_host;

struct qemu_host_options {
    struct qemu_caps_cache *caps; /* both must outlive the host */
    struct cpu_models_cache *models;
    unsigned char uuid[UUID_SIZE];
};
struct qemu_host *qemu_host_new(const struct qemu_host_options *options);
/* The machine's facts. */
struct host *qemu_host_facts(struct qemu_host *host);

/* Which emulator, machine and accelerator a client means; NULL = the usual one. */
struct qemu_target {
    const char *emulator, *arch, *machine, *virt_type;
};

/* Appends <capabilities>. */
int qemu_host_capabilities(struct qemu_host *host, struct text *xml, deadline until, struct error *err);
/* Appends <domainCapabilities>. ERR_INVALID_ARG for a word or combination that cannot be, ERR_CONFIG_UNSUPPORTED when
 * no emulator here serves the architecture. */
int qemu_host_domain_capabilities(struct qemu_host *host, const struct qemu_target *target, struct text *xml,
                                  deadline until, struct error *err);
/* The CPU model names of an architecture; count 0 = every name is accepted (no emulator tells). Arena memory. */
int qemu_host_cpu_names(struct qemu_host *host, struct arena *arena, const char *arch, const char ***names,
                        size_t *count, deadline until, struct error *err);
/* The most VCPUs of a guest of the host's architecture: virt_type "qemu", "kvm" or NULL. */
int qemu_host_max_vcpus(struct qemu_host *host, const char *virt_type, unsigned *count, deadline until,
                        struct error *err);
/* The version of the host's usual emulator: major * 1000000 + minor * 1000 + micro. */
int qemu_host_version(struct qemu_host *host, uint32_t *version, deadline until, struct error *err);

/* Compares a <cpu> with the host's processor (target NULL), or with what the target can give a guest here. *result is
 * CPU_COMPARE_*; flags CONNECT_COMPARE_CPU_*: FAIL_INCOMPATIBLE makes an incompatible one ERR_CPU_INCOMPATIBLE. */
int qemu_host_compare_cpu(struct qemu_host *host, const struct qemu_target *target, const char *xml, unsigned flags,
                          int *result, deadline until, struct error *err);
/* Appends the baseline of <cpu> elements; with a target also of what it can give. */
int qemu_host_baseline_cpu(struct qemu_host *host, const struct qemu_target *target, const char *const *descriptions,
                           size_t count, unsigned flags, struct text *xml, deadline until, struct error *err);
