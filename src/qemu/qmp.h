/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/fiber.h"

/* A client of QEMU's monitor protocol on one connected socket. Reading is driven by callbacks, so a guest that is
 * merely there costs a small struct and a descriptor, no fiber and no buffer. Fibers send commands and wait for the
 * replies; any number may be in flight, each with its own deadline.
 *  QEMU takes one byte of its monitor per turn of its main loop (about 3.5 us a byte): send few and short commands, and
 * send them together (qmp_submit). */
struct qmp;

/* A guest may end while a fiber waits, and its monitor with it. So all that takes a struct qmp to ask something accepts
 * NULL: that fails with ERR_OPERATION_INVALID ("the guest has ended"). */

/* Both run on the loop's stack and must not wait; qmp_free() is allowed in them. */
struct qmp_callbacks {
    /* data may be NULL and is QMP's own; the time is QEMU's clock (seconds and microseconds since 1970). */
    void (*event)(void *owner, const char *name, json_t *data, int64_t seconds, uint32_t micros);
    /* Once, when QEMU hung up or did not speak QMP (then the connection is closed): waiting commands have failed by
     * then and later ones fail at once. */
    void (*closed)(void *owner, const struct error *reason);
};

/* Takes the descriptor (a stream socket, connected or on its way). Commands may be submitted right away; they are held
 * back until QEMU has greeted, because what it offers there is asked for first. name is the guest's, for messages.
 * callbacks may be NULL: for who only asks. */
struct qmp *qmp_new(int fd, const char *name, const struct qmp_callbacks *callbacks, void *owner);
/* Closes without a callback; commands in flight fail with ERR_OPERATION_ABORTED. */
void qmp_free(struct qmp *qmp);
DEFINE_SCOPED(qmp_scope, struct qmp *, qmp_free)
#define scoped_qmp scope_cleanup(qmp_scope)

/* Waits for QEMU's answer to qmp_capabilities. Not needed before commands, but tells a dead QEMU from a bad command. */
int qmp_handshake(struct qmp *qmp, deadline until, struct error *err);

/* The version in the greeting as major * 1000000 + minor * 1000 + micro, and the packager's text ("" when none); 0
 * before the handshake. */
uint32_t qmp_version(const struct qmp *qmp, const char **package);

/* Sends one command and waits for its "return" (a new reference). arguments (may be NULL) are stolen in any case.
 * Errors: what QEMU answered, with a code by its class: ERR_DEVICE_MISSING (DeviceNotFound), ERR_OPERATION_UNSUPPORTED
 * (CommandNotFound), ERR_OPERATION_INVALID (DeviceNotActive), ERR_OPERATION_FAILED (all others); ERR_OPERATION_TIMEOUT
 * at the deadline `until`, when a reply that comes later is dropped; ERR_OPERATION_ABORTED when the connection ended.
 */
json_t *qmp_command(struct qmp *qmp, const char *command, json_t *arguments, deadline until, struct error *err);
/* For commands whose result says nothing. */
int qmp_execute(struct qmp *qmp, const char *command, json_t *arguments, deadline until, struct error *err);
/* The same out of band, where QEMU offers that: it is heard also while QEMU's main thread waits for something (a page
 * in post-copy, a server that hangs). For the few commands that QEMU lets be so: migrate-pause, migrate-recover, yank.
 */
int qmp_execute_oob(struct qmp *qmp, const char *command, json_t *arguments, deadline until, struct error *err);
/* The same with a descriptor passed along (getfd, add-fd); fd stays the caller's. */
json_t *qmp_command_fd(struct qmp *qmp, const char *command, json_t *arguments, int fd, deadline until,
                       struct error *err);

/* One of several commands sent together. */
struct qmp_request {
    const char *command;
    json_t *arguments; /* stolen when submitted */
    json_t *reply;     /* "return": the caller's; NULL when the command failed or was not answered */
    int code;          /* when it failed: the code, as qmp_command() has it */
    char *failure;     /* when it failed: QEMU's words; to free() */
    bool out_of_band;  /* see qmp_execute_oob() */
    bool raw;          /* arguments are a whole command ({"execute": ...}), reply is QEMU's whole message */
};
void qmp_requests_finish(struct qmp_request *requests, size_t count);
/* Fills err from one failed request and returns -1; 0 when it succeeded. */
int qmp_request_error(const struct qmp_request *request, struct error *err);

/* Sends them in one piece and does not wait, so that one fiber can ask many guests at once. The requests must stay
 * where they are until collected. Never NULL; qmp_collect() must follow. */
struct qmp_batch *qmp_submit(struct qmp *qmp, struct qmp_request *requests, size_t count);
/* The same with a descriptor passed along (-1 = none); it stays the caller's. */
struct qmp_batch *qmp_submit_fd(struct qmp *qmp, struct qmp_request *requests, size_t count, int fd);
/* Waits until all are answered and frees the batch. 0 when each has an answer (a refusal is one, too); -1 when some
 * have none. Outlives the qmp. */
int qmp_collect(struct qmp_batch *batch, deadline until, struct error *err);
/* Submit and collect, and the first refusal is an error too. */
int qmp_batch(struct qmp *qmp, struct qmp_request *requests, size_t count, deadline until, struct error *err);

/* One command as a client wrote it ({"execute": ...}), answered with QEMU's whole reply, an error reply included; an
 * "id" of the client's is given back. The result is compact JSON, to free(). ERR_INVALID_ARG when it is no JSON object
 * with "execute". */
char *qmp_raw(struct qmp *qmp, const char *text, deadline until, struct error *err);
/* A command of the human monitor; the result is its output, to free(). */
char *qmp_human(struct qmp *qmp, const char *line, deadline until, struct error *err);

/* Since when (now_ns()) the oldest command, also one whose waiter gave up, has had no answer; 0 when all are answered.
 * Callers that must not wait for a hung guest look here first. */
uint64_t qmp_unanswered_since(const struct qmp *qmp);
bool qmp_is_closed(const struct qmp *qmp);
