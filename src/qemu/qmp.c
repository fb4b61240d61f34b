/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/qmp.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/loop.h"
#include "base/text.h"
#include "qemu/qmp_message.h"
#include "qemu/qmp_output.h"

/* The longest replies are query-qmp-schema (0.2 MiB) and, with many disks, query-named-block-nodes. */
#define REPLY_MAX     (16u << 20)
/* Answered and unanswered together: a guest that hangs must not collect commands for ever. */
#define IN_FLIGHT_MAX 512
/* Of the first call, which asks for what the greeting offers. */
#define HANDSHAKE_ID  1
/* What one turn of the loop takes from one guest, so that a flood of events does not starve the others. */
#define READ_SIZE     (64u << 10)
#define READ_TURNS    4

/* A command on its way. It outlives a waiter that gave up: the late reply must find something to be dropped into. */
struct call {
    struct list link; /* qmp.calls, oldest first */
    uint64_t id;
    uint64_t sent_ns;
    struct qmp_batch *batch; /* NULL when nobody waits any more */
    struct qmp_request *request;
};

struct qmp_batch {
    struct list link; /* qmp.batches while the connection lives */
    struct condition answered;
    struct qmp *qmp;
    struct qmp_request *requests;
    size_t count, outstanding;
    struct error lost; /* why some will never be answered */
};

struct qmp {
    int fd;
    struct watch *watch;
    struct qmp_callbacks callbacks;
    void *owner;
    char *name;
    struct list calls, batches;
    struct qmp_output output;
    size_t call_count;
    uint64_t last_id;
    struct text partial; /* a line whose end has not come yet */
    struct qmp_batch *handshake; /* until somebody collected it */
    bool greeted;                /* QEMU takes commands */
    bool out_of_band;            /* also such ones */
    struct qmp_request negotiation;
    uint32_t version;
    char *package;
    struct error reason; /* code set once closed */
    bool *freed;         /* set while callbacks run: tells the reader that qmp is gone */
};

static const struct {
    const char *class;
    int code;
} error_classes[] = {
    {"DeviceNotFound", ERR_DEVICE_MISSING},
    {"CommandNotFound", ERR_OPERATION_UNSUPPORTED},
    {"DeviceNotActive", ERR_OPERATION_INVALID},
    {"KVMMissingCap", ERR_CONFIG_UNSUPPORTED},
};

static void call_free(struct qmp *qmp, struct call *call)
{
    list_remove(&call->link);
    qmp->call_count--;
    free(call);
}

/* The first item of a list of structs whose link is their first member; NULL when empty. */
static void *first(const struct list *list)
{
    return list_empty(list) ? NULL : (void *)list->next;
}

/* One of the batch's requests is settled, well or badly. */
static void batch_settle(struct qmp_batch *batch)
{
    if (--batch->outstanding == 0)
        condition_wake(&batch->answered);
}

static void calls_abandon(struct qmp *qmp)
{
    for (struct call *call; (call = first(&qmp->calls));)
        call_free(qmp, call);
    qmp_output_finish(&qmp->output);
    text_finish(&qmp->partial);
    for (struct qmp_batch *batch; (batch = first(&qmp->batches));) {
        list_remove(&batch->link);
        batch->lost = qmp->reason;
        condition_wake(&batch->answered);
    }
}

/* Ends the connection: everything in flight fails. */
static void qmp_close(struct qmp *qmp, const struct error *reason)
{
    qmp->reason = *reason;
    watch_free(steal(qmp->watch));
    close(steal_fd(&qmp->fd));
    calls_abandon(qmp);
}

/* The same as found by ourselves: tells the owner, who may free qmp then. */
static void qmp_lose(struct qmp *qmp, const struct error *reason)
{
    qmp_close(qmp, reason);
    if (qmp->callbacks.closed)
        qmp->callbacks.closed(qmp->owner, reason);
}

static const char *json_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static int class_code(const char *class)
{
    for (size_t i = 0; i < COUNT(error_classes); i++)
        if (string_equal(class, error_classes[i].class))
            return error_classes[i].code;
    return ERR_OPERATION_FAILED;
}

static void call_answer(struct qmp *qmp, struct call *call, json_t *message)
{
    struct qmp_batch *batch = call->batch;
    struct qmp_request *request = call->request;
    json_t *failure = json_object_get(message, "error");
    call_free(qmp, call);
    if (!batch)
        return;
    if (failure) {
        request->code = class_code(json_text(failure, "class"));
        request->failure = xstrdup(json_text(failure, "desc"));
    }
    if (request->raw)
        request->reply = json_incref(message);
    else if (!failure)
        request->reply = json_incref(json_object_get(message, "return"));
    batch_settle(batch);
}

/* Replies name their command by id; QEMU leaves it out only when it could not read the command, and it reads them in
 * order, so that answer is the oldest one's. */
static int take_reply(struct qmp *qmp, json_t *message, struct error *err)
{
    json_t *id = json_object_get(message, "id");
    for (struct list *link = qmp->calls.next; link != &qmp->calls; link = link->next) {
        struct call *call = container_of(link, struct call, link);
        if (!id || (json_is_integer(id) && (uint64_t)json_integer_value(id) == call->id)) {
            call_answer(qmp, call, message);
            return 0;
        }
    }
    return error_set(err, ERR_INTERNAL_ERROR, "QEMU of domain '%s' answered a command that it was not sent", qmp->name);
}

static void take_event(struct qmp *qmp, json_t *message, const char *name)
{
    json_t *time = json_object_get(message, "timestamp");
    if (qmp->callbacks.event)
        qmp->callbacks.event(qmp->owner, name, json_object_get(message, "data"),
                             json_integer_value(json_object_get(time, "seconds")),
                             (uint32_t)json_integer_value(json_object_get(time, "microseconds")));
}

static void write_some(struct qmp *qmp)
{
    bool rest = qmp->greeted && qmp_output_flush(&qmp->output);
    watch_set(qmp->watch, rest ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

/* Asks for all that it offers and we use, before all else: QEMU takes nothing else first, and this only once. One that
 * is only asked what it can do has no guest to wait for. */
static void negotiate(struct qmp *qmp, const json_t *greeting)
{
    scoped_text struct text out = {0};
    size_t i;
    json_t *offered;
    json_array_foreach (json_object_get(greeting, "capabilities"), i, offered)
        qmp->out_of_band |= qmp->callbacks.event && string_equal(json_string_value(offered), "oob");
    qmp_message_append(&out, "qmp_capabilities",
                       qmp->out_of_band ? json_pack("{s:[s]}", "enable", "oob") : NULL, HANDSHAKE_ID, false);
    qmp_output_add_first(&qmp->output, &out);
    qmp->greeted = true;
    write_some(qmp);
}

static void take_greeting(struct qmp *qmp, json_t *greeting)
{
    if (!qmp->greeted)
        negotiate(qmp, greeting);
    json_t *version = json_object_get(greeting, "version"), *qemu = json_object_get(version, "qemu");
    qmp->version = (uint32_t)(json_integer_value(json_object_get(qemu, "major")) * 1000000 +
                              json_integer_value(json_object_get(qemu, "minor")) * 1000 +
                              json_integer_value(json_object_get(qemu, "micro")));
    free(qmp->package);
    qmp->package = xstrdup(json_text(version, "package"));
}

static int take_line(struct qmp *qmp, const char *line, size_t length, struct error *err)
{
    struct error fault;
    json_t *message = qmp_message_load(line, length, &fault);
    if (!message)
        return error_set(err, ERR_INTERNAL_ERROR, "QEMU of domain '%s' sent what is no JSON: %s of %zu bytes",
                         qmp->name, fault.message, length);
    int status = 0;
    json_t *event = json_object_get(message, "event"), *greeting = json_object_get(message, "QMP");
    if (json_is_string(event))
        take_event(qmp, message, json_string_value(event));
    else if (json_is_object(greeting))
        take_greeting(qmp, greeting);
    else if (json_object_get(message, "return") || json_is_object(json_object_get(message, "error")))
        status = take_reply(qmp, message, err);
    else
        status = error_set(err, ERR_INTERNAL_ERROR,
                           "QEMU of domain '%s' sent what is no reply, event or greeting: %.*s", qmp->name,
                           length < 80 ? (int)length : 80, line);
    json_decref(message);
    return status;
}

/* Handles the whole lines in data and keeps the rest. *freed is set when a callback freed qmp. */
static int take_bytes(struct qmp *qmp, const char *data, size_t length, const bool *freed, struct error *err)
{
    while (length > 0) {
        const char *end = memchr(data, '\n', length);
        size_t size = end ? (size_t)(end - data) : length;
        if (qmp->partial.length + size > REPLY_MAX)
            return error_set(err, ERR_INTERNAL_ERROR, "QEMU of domain '%s' sent a message longer than %u bytes",
                             qmp->name, REPLY_MAX);
        if (!end || qmp->partial.length > 0)
            text_append_bytes(&qmp->partial, data, size);
        if (!end)
            return 0;
        struct text whole = qmp->partial;
        qmp->partial = (struct text){0};
        const char *line = whole.data ? whole.data : data;
        size_t line_length = whole.data ? whole.length : size;
        bool blank = strspn(line, " \t\r\n") >= line_length;
        int status = blank ? 0 : take_line(qmp, line, line_length, err);
        text_finish(&whole);
        if (*freed || status < 0)
            return status;
        data += size + 1;
        length -= size + 1;
    }
    return 0;
}

/* Reads what is there. -1 with err filled when the connection is over. */
static int read_some(struct qmp *qmp, const bool *freed, struct error *err)
{
    char data[READ_SIZE];
    for (int turn = 0; turn < READ_TURNS; turn++) {
        ssize_t got = recv(qmp->fd, data, sizeof data, MSG_DONTWAIT);
        if (got < 0)
            return errno == EAGAIN || errno == EINTR
                       ? 0
                       : error_system(err, errno, "the monitor of domain '%s' is lost", qmp->name);
        if (got == 0)
            return error_set(err, ERR_OPERATION_ABORTED, "QEMU of domain '%s' closed its monitor", qmp->name);
        if (take_bytes(qmp, data, (size_t)got, freed, err) < 0)
            return -1;
        if (*freed || (size_t)got < sizeof data)
            return 0;
    }
    return 0;
}

static void socket_ready(void *owner, int events)
{
    struct qmp *qmp = owner;
    if (events & UV_WRITABLE)
        write_some(qmp);
    if (!(events & UV_READABLE))
        return;
    bool freed = false;
    qmp->freed = &freed;
    struct error reason = {0};
    int status = read_some(qmp, &freed, &reason);
    if (freed)
        return;
    qmp->freed = NULL;
    if (status < 0)
        qmp_lose(qmp, &reason);
}

static struct call *call_new(struct qmp *qmp, struct qmp_batch *batch, struct qmp_request *request)
{
    struct call *call = xcalloc(1, sizeof *call);
    call->id = ++qmp->last_id;
    call->sent_ns = now_ns();
    call->batch = batch;
    call->request = request;
    list_append(&qmp->calls, &call->link);
    qmp->call_count++;
    return call;
}

static struct qmp_batch *batch_new(struct qmp *qmp, struct qmp_request *requests, size_t count)
{
    struct qmp_batch *batch = xcalloc(1, sizeof *batch);
    condition_init(&batch->answered);
    list_init(&batch->link);
    batch->requests = requests;
    batch->count = batch->outstanding = count;
    batch->qmp = qmp;
    if (!qmp)
        error_set(&batch->lost, ERR_OPERATION_INVALID, "the guest has ended");
    else if (qmp->reason.code)
        batch->lost = qmp->reason;
    else if (qmp->call_count + count > IN_FLIGHT_MAX)
        error_set(&batch->lost, ERR_OPERATION_TIMEOUT,
                  "QEMU of domain '%s' has not answered %zu commands, and %zu more would be beyond the %d that may "
                  "wait: wait for it or destroy the domain", qmp->name, qmp->call_count, count, IN_FLIGHT_MAX);
    else
        list_append(&qmp->batches, &batch->link);
    return batch;
}

/* Appends the request, whose arguments it takes, with our id. */
static void request_append(struct text *out, struct qmp_request *request, uint64_t id, bool out_of_band)
{
    if (request->raw)
        qmp_message_append_raw(out, steal(request->arguments), id);
    else
        qmp_message_append(out, request->command, steal(request->arguments), id, out_of_band);
}

struct qmp_batch *qmp_submit_fd(struct qmp *qmp, struct qmp_request *requests, size_t count, int fd)
{
    struct qmp_batch *batch = batch_new(qmp, requests, count);
    scoped_text struct text out = {0};
    for (size_t i = 0; i < count; i++) {
        requests[i].reply = NULL;
        requests[i].code = 0;
        requests[i].failure = NULL;
        if (batch->lost.code)
            json_decref(steal(requests[i].arguments));
        else
            request_append(&out, &requests[i], call_new(qmp, batch, &requests[i])->id,
                           requests[i].out_of_band && qmp->out_of_band);
    }
    if (out.length > 0 && qmp_output_add(&qmp->output, &out, fd))
        write_some(qmp);
    return batch;
}

struct qmp_batch *qmp_submit(struct qmp *qmp, struct qmp_request *requests, size_t count)
{
    return qmp_submit_fd(qmp, requests, count, -1);
}

/* The waiter goes: what comes for it later is dropped. */
static void batch_forget(struct qmp_batch *batch)
{
    struct qmp *qmp = list_empty(&batch->link) ? NULL : batch->qmp;
    for (struct list *link = qmp ? qmp->calls.next : NULL; qmp && link != &qmp->calls; link = link->next) {
        struct call *call = container_of(link, struct call, link);
        if (call->batch == batch)
            call->batch = NULL;
    }
    list_remove(&batch->link);
    free(batch);
}

/* *lost tells whether the monitor went, although everything may have been answered before: then it may be freed. */
static int collect(struct qmp_batch *batch, deadline until, bool *lost, struct error *err)
{
    int status = 0;
    while (status == 0 && batch->outstanding > 0 && !batch->lost.code)
        status = condition_wait(&batch->answered, until, err);
    if (batch->outstanding == 0) {
        status = 0; /* answered in the very turn in which the deadline passed */
    } else if (batch->lost.code) {
        status = error_set(err, batch->lost.code, "%s", batch->lost.message);
    } else if (err && err->code == ERR_OPERATION_TIMEOUT) {
        error_set(err, ERR_OPERATION_TIMEOUT, "QEMU of domain '%s' has not answered '%s' in time", batch->qmp->name,
                  batch->requests[batch->count - 1].command);
    }
    *lost = batch->lost.code != 0;
    batch_forget(batch);
    return status;
}

int qmp_collect(struct qmp_batch *batch, deadline until, struct error *err)
{
    bool lost;
    return collect(batch, until, &lost, err);
}

struct qmp *qmp_new(int fd, const char *name, const struct qmp_callbacks *callbacks, void *owner)
{
    struct qmp *qmp = xcalloc(1, sizeof *qmp);
    qmp->fd = fd;
    qmp->name = xstrdup(name);
    if (callbacks)
        qmp->callbacks = *callbacks;
    qmp->owner = owner;
    list_init(&qmp->calls);
    qmp_output_init(&qmp->output, fd);
    list_init(&qmp->batches);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    qmp->watch = watch_new(fd, UV_READABLE, socket_ready, qmp);
    qmp->negotiation.command = "qmp_capabilities";
    qmp->handshake = batch_new(qmp, &qmp->negotiation, 1);
    call_new(qmp, qmp->handshake, &qmp->negotiation);
    return qmp;
}

void qmp_free(struct qmp *qmp)
{
    if (!qmp)
        return;
    struct error reason;
    error_set(&reason, ERR_OPERATION_ABORTED, "the monitor of domain '%s' was closed", qmp->name);
    if (!qmp->reason.code)
        qmp_close(qmp, &reason);
    if (qmp->freed)
        *qmp->freed = true;
    if (qmp->handshake)
        batch_forget(steal(qmp->handshake));
    qmp_requests_finish(&qmp->negotiation, 1);
    free(qmp->package);
    free(qmp->name);
    free(qmp);
}

int qmp_handshake(struct qmp *qmp, deadline until, struct error *err)
{
    bool lost = false;
    if (qmp->handshake && collect(steal(qmp->handshake), until, &lost, err) < 0)
        return -1;
    if (lost)
        return error_set(err, ERR_OPERATION_ABORTED, "QEMU ended right after its greeting");
    if (!qmp->negotiation.reply && !qmp->negotiation.failure)
        return error_set(err, ERR_OPERATION_TIMEOUT, "QEMU of domain '%s' has not answered its greeting", qmp->name);
    return qmp_request_error(&qmp->negotiation, err);
}

uint32_t qmp_version(const struct qmp *qmp, const char **package)
{
    if (package)
        *package = qmp->package ? qmp->package : "";
    return qmp->version;
}

uint64_t qmp_unanswered_since(const struct qmp *qmp)
{
    const struct call *call = qmp ? first(&qmp->calls) : NULL;
    return call ? call->sent_ns : 0;
}

bool qmp_is_closed(const struct qmp *qmp)
{
    return !qmp || qmp->reason.code != 0;
}
