/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Questions on top of qmp_submit() and qmp_collect(). */
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "qemu/qmp.h"

void qmp_requests_finish(struct qmp_request *requests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        json_decref(steal(requests[i].arguments));
        json_decref(steal(requests[i].reply));
        free(steal(requests[i].failure));
    }
}

int qmp_request_error(const struct qmp_request *request, struct error *err)
{
    return request->failure
               ? error_set(err, request->code, "QEMU refused '%s': %s", request->command, request->failure)
               : 0;
}

int qmp_batch(struct qmp *qmp, struct qmp_request *requests, size_t count, deadline until, struct error *err)
{
    if (qmp_collect(qmp_submit(qmp, requests, count), until, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (qmp_request_error(&requests[i], err) < 0)
            return -1;
    return 0;
}

json_t *qmp_command_fd(struct qmp *qmp, const char *command, json_t *arguments, int fd, deadline until,
                       struct error *err)
{
    struct qmp_request request = {.command = command, .arguments = arguments};
    json_t *reply = NULL;
    if (qmp_collect(qmp_submit_fd(qmp, &request, 1, fd), until, err) == 0 && qmp_request_error(&request, err) == 0)
        reply = steal(request.reply);
    qmp_requests_finish(&request, 1);
    return reply;
}

json_t *qmp_command(struct qmp *qmp, const char *command, json_t *arguments, deadline until, struct error *err)
{
    return qmp_command_fd(qmp, command, arguments, -1, until, err);
}

int qmp_execute(struct qmp *qmp, const char *command, json_t *arguments, deadline until, struct error *err)
{
    json_t *reply = qmp_command(qmp, command, arguments, until, err);
    json_decref(reply);
    return reply ? 0 : -1;
}

int qmp_execute_oob(struct qmp *qmp, const char *command, json_t *arguments, deadline until, struct error *err)
{
    struct qmp_request request = {.command = command, .arguments = arguments, .out_of_band = true};
    int rc = qmp_batch(qmp, &request, 1, until, err);
    qmp_requests_finish(&request, 1);
    return rc;
}

char *qmp_human(struct qmp *qmp, const char *line, deadline until, struct error *err)
{
    json_t *reply = qmp_command(qmp, "human-monitor-command", json_pack("{s:s}", "command-line", line), until, err);
    char *output = reply ? xstrdup(json_is_string(reply) ? json_string_value(reply) : "") : NULL;
    json_decref(reply);
    return output;
}

/* The command with its own id replaced on the way. A new reference to QEMU's whole reply, or NULL. */
static json_t *raw_exchange(struct qmp *qmp, json_t *command, deadline until, struct error *err)
{
    struct qmp_request request = {.command = json_string_value(json_object_get(command, "execute")), .raw = true,
                                  .arguments = json_incref(command)};
    qmp_collect(qmp_submit(qmp, &request, 1), until, err);
    json_t *whole = steal(request.reply);
    qmp_requests_finish(&request, 1);
    return whole;
}

char *qmp_raw(struct qmp *qmp, const char *text, deadline until, struct error *err)
{
    struct error fault;
    json_t *command = json_read(text, strlen(text), &fault), *whole = NULL;
    char *reply = NULL;
    if (!command)
        return error_null(err, ERR_INVALID_ARG, "the monitor command is no JSON object: %s", fault.message);
    if (!json_is_string(json_object_get(command, "execute"))) {
        error_set(err, ERR_INVALID_ARG, "the monitor command has no \"execute\": {\"execute\":\"query-status\"}");
    } else {
        json_t *id = json_incref(json_object_get(command, "id"));
        whole = raw_exchange(qmp, command, until, err);
        if (whole && id)
            json_object_set(whole, "id", id);
        else if (whole)
            json_object_del(whole, "id");
        json_decref(id);
        reply = whole ? json_dumps(whole, JSON_COMPACT) : NULL;
    }
    json_decref(whole);
    json_decref(command);
    return reply;
}

