/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/json.h"
#include "migrate/options.h"
#include "qemu/domain.h"
#include "rpc/godwit_names.h"

/* The conversation that gathers both ends' facts for check.h, before a migration and for `godwit migrate --check`:
 *
 *   source       preflight_question()   what moves, and what the destination shall look at
 *   destination  preflight_answer()     what it found; it listens for a test connection
 *   source       preflight_judge()      tries the connection, and runs the rules
 *   source       preflight_end()        removes the marks beside the images
 *
 * One question may be put to several destinations. The documents are carried by whoever drives the migration: a client
 * that is connected to both ends, or the source's daemon. All of these wait; none takes a job. */

/* A new reference; NULL with err when --xml makes no sense or the guest's monitor does not answer. */
json_t *preflight_question(struct domain *domain, const struct migrate_options *options, unsigned flags,
                           struct error *err);
/* What is not to be had is left out of the answer; it never fails. question may be anything. */
json_t *preflight_answer(struct driver *driver, const json_t *question, unsigned flags);
/* Completes the question (by "link", "prediction") and returns {"findings", "refusal"? (why not),
 * "prediction"?, "link"?, "host", "memory"}.
 * answer as it came, or what describe_host() collected. */
json_t *preflight_judge(json_t *question, const json_t *answer, unsigned flags);
/* Also happens by itself a minute after the question. */
void preflight_end(const json_t *question);

/* The answer of a daemon that knows nothing of this program, from what describe_host() collected. Does not wait. */
json_t *preflight_answer_of(const json_t *question, const json_t *description);

/* The whole conversation with the daemon at the other end of a connection: preflight_judge()'s verdict. */
struct client;
json_t *preflight_with(struct client *client, struct domain *domain, const struct migrate_options *options,
                       unsigned flags, struct error *err);
/* The same with --p2p, when the source's daemon shall connect to that URI (peer.c). */
json_t *migration_check_peer(struct domain *domain, const struct migrate_options *options, const char *destination,
                             unsigned flags, struct error *err);

/* -- the gates: the same rules decide whether a migration goes on -------------------------------------------------- */

/* Source, as the migration begins: what forbids it whatever the destination is. */
int preflight_gate_source(struct domain *domain, const struct migrate_options *options, struct error *err);
/* Destination, before QEMU is started: what the definition needs that is not here. */
int preflight_gate_destination(struct driver *driver, const struct domain_def *def,
                               const struct migrate_options *options, struct error *err);

/* Peer to peer: by what both ends know. */
int preflight_gate_peer(struct client *client, struct domain *domain, const struct migrate_options *options,
                        struct error *err);

/* The "options" of a question. */
json_t *facts_of_options(const struct migrate_options *options);

/* -- facts_host.c: shared by question and answer ------------------------------------------------------------------- */

/* {"hostname", "uuid", "cpu", "last_cpu", ...}; caps may be NULL. Does not wait. */
json_t *facts_of_host(const struct driver *driver, const struct qemu_caps *caps, enum qemu_accel accel);
/* {"total_kib", "available_kib", "swap_free_kib"}, and when the guest wants them "hugepages". Does not wait. */
json_t *facts_of_memory(const json_t *question);
/* "active", "down" or "not there"; does not wait. */
const char *bridge_state(const char *bridge);
/* "ADDRESS/PREFIX" of an interface's IPv4 addresses. Does not wait. */
json_t *facts_of_addresses(const char *interface);
/* The accelerator of a guest's type. */
enum qemu_accel accel_of(const char *virt_type);
