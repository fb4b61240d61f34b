/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "qemu/domain.h"

/* The guest agent: qemu-ga inside the guest, spoken to over the channel org.qemu.guest_agent.0. What it says comes from
 * the guest, so it is bounded in size and time and nothing in it is taken for granted. One command a guest at a time;
 * before each one the agent must show that it listens (guest-sync-delimited), so that no command is left lying in the
 * channel for an agent that wakes up much later, and no late answer is taken for another command's. */
struct agent;
void agent_free(struct agent *agent);

/* Whether the guest has opened the channel, as far as QEMU has told. */
bool agent_is_connected(const struct domain *domain);

/* Longest wait for the agent's answer, in seconds; the negative DOMAIN_AGENT_RESPONSE_TIMEOUT_* values too. */
enum { AGENT_DEFAULT_S = 60, AGENT_MAX_S = 24 * 3600 };
int agent_set_timeout(struct domain *domain, int seconds, struct error *err);

/* Sends one command and waits for its "return" (a new reference); arguments (may be NULL) are stolen in any case.
 * ERR_ARGUMENT_UNSUPPORTED when the domain has no such channel, ERR_AGENT_UNRESPONSIVE when nobody listens or answers,
 * ERR_OPERATION_UNSUPPORTED when the agent does not know the command, ERR_INTERNAL_ERROR with the agent's words when it
 * refuses. */
json_t *agent_command(struct domain *domain, const char *command, json_t *arguments, struct error *err);
int agent_execute(struct domain *domain, const char *command, json_t *arguments, struct error *err);
/* A command as a client wrote it, answered with the agent's whole reply; to free(). timeout as agent_set_timeout(). */
char *agent_raw(struct domain *domain, const char *text, int timeout, struct error *err);
/* For guest-shutdown and guest-suspend-*, which answer only when they fail: a command that was taken and not refused
 * within moments has succeeded. */
int agent_execute_silent(struct domain *domain, const char *command, json_t *arguments, struct error *err);

/* The guest opened or closed a port of a virtio-serial device: keeps the channel's state in the live definition, and
 * tells the clients about the agent's. Does not wait. */
void agent_port_changed(struct domain *domain, const char *alias, bool open);
/* A guest has started: its agent, if it has one, is not there yet. Does not wait. */
void agent_awaited(struct domain *domain);
/* As agent_port_changed() for all ports, from the reply to query-chardev, after nobody listened to the guest for a
 * while. */
void agent_learn_ports(struct domain *domain, const json_t *reply);

/* -- for tests ----------------------------------------------------------------------------------------------------- */

/* One exchange on a connected non-blocking descriptor: sync, then the command in `line` (with its newline); the reply
 * as parsed, error replies included. *sent tells whether the command went out. Waits wait_ms for each of the two. */
json_t *agent_exchange(int fd, const char *line, bool *sent, unsigned wait_ms, struct error *err);
