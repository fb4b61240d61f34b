/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "qemu/spawn.h"
#include "qemu/status.h"
#include "wire_types.h"

#define CHANNEL "org.qemu.guest_agent.0"

enum {
    SYNC_MS = 5000,         /* for an agent to show that it is there */
    SILENT_MS = 2000,       /* for an order to shut down to be refused */
    REPLY_MAX = 4 << 20,    /* one answer, and all that may come before the sync's */
    PIECE = 65536,
    DELIMITER = 0xFF,       /* never part of valid JSON text: everything before it is another command's */
};

struct agent {
    bool busy; /* with one command */
    struct condition freed;
    int fd;    /* -1 = not connected */
    int timeout_s;
    unsigned references;
    bool orphaned; /* the guest is gone */
};

static struct agent *agent_ensure(struct domain *domain)
{
    if (!domain->agent) {
        domain->agent = xcalloc(1, sizeof *domain->agent);
        condition_init(&domain->agent->freed);
        domain->agent->fd = -1;
        domain->agent->timeout_s = DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK;
        domain->agent->references = 1;
    }
    return domain->agent;
}

static void unref(struct agent *agent)
{
    if (--agent->references)
        return;
    if (agent->fd >= 0)
        close(agent->fd);
    free(agent);
}

void agent_free(struct agent *agent)
{
    if (!agent)
        return;
    agent->orphaned = true;
    condition_wake(&agent->freed);
    unref(agent);
}

/* -- the wire ------------------------------------------------------------------------------------------------------ */

static int unresponsive(struct error *err, const char *what)
{
    return error_set(err, ERR_AGENT_UNRESPONSIVE, "Guest agent is not responding: %s", what);
}

static int send_all(int fd, const char *data, size_t length, deadline until, struct error *err)
{
    while (length) {
        ssize_t put = write(fd, data, length);
        if (put < 0 && errno != EAGAIN && errno != EINTR)
            return unresponsive(err, "its channel is closed");
        if (put > 0) {
            data += put;
            length -= (size_t)put;
        } else if (await_fd(fd, POLLOUT, until, err) < 0) {
            return err && err->code != ERR_OPERATION_TIMEOUT ? -1 : unresponsive(err, "it takes no data");
        }
    }
    return 0;
}

/* More bytes into the text, at least one. */
static int receive_some(int fd, struct text *text, deadline until, struct error *err)
{
    while (true) {
        struct error wait = {0};
        if (await_fd(fd, POLLIN, until, &wait) < 0)
            return wait.code != ERR_OPERATION_TIMEOUT ? error_set(err, wait.code, "%s", wait.message)
                                                      : unresponsive(err, "no answer in time");
        ssize_t got = read(fd, text_reserve(text, PIECE), PIECE);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (got <= 0)
            return unresponsive(err, "its channel is closed");
        text->length += (size_t)got;
        text->data[text->length] = 0;
        return 0;
    }
}

/* The next whole line of what came; its bytes are taken out. NULL when none is complete. */
static char *take_line(struct text *text)
{
    char *end = text->length ? memchr(text->data, '\n', text->length) : NULL;
    if (!end)
        return NULL;
    size_t length = (size_t)(end - text->data);
    char *line = strndup(text->data, length);
    text->length -= length + 1;
    memmove(text->data, end + 1, text->length + 1);
    return line;
}

static char *receive_line(int fd, struct text *text, deadline until, struct error *err)
{
    char *line;
    while (!(line = take_line(text))) {
        if (text->length > REPLY_MAX)
            return error_null(err, ERR_INTERNAL_ERROR, "the guest agent's answer is longer than %d bytes", REPLY_MAX);
        if (receive_some(fd, text, until, err) < 0)
            return NULL;
    }
    return line;
}

/* Drops what is left of earlier commands and makes sure that somebody listens. What follows the answer stays in
 * text. */
static int synchronize(int fd, struct text *text, deadline until, struct error *err)
{
    unsigned char random[UUID_SIZE];
    uuid_random(random);
    json_int_t id = 0;
    memcpy(&id, random, 6);
    scoped_free char *command =
        xprintf("{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":%lld}}\n", (long long)id);
    scoped_free char *delimited = xprintf("%c%s", DELIMITER, command);
    if (send_all(fd, delimited, strlen(delimited), until, err) < 0)
        return -1;
    size_t skipped = 0;
    while (skipped <= REPLY_MAX) {
        char *mark = text->length ? memchr(text->data, DELIMITER, text->length) : NULL;
        if (!mark) {
            skipped += text->length;
            text_clear(text);
            if (receive_some(fd, text, until, err) < 0)
                return -1;
            continue;
        }
        size_t before = (size_t)(mark + 1 - text->data);
        skipped += before;
        text->length -= before;
        memmove(text->data, mark + 1, text->length + 1);
        scoped_free char *line = receive_line(fd, text, until, err);
        if (!line)
            return -1;
        skipped += strlen(line);
        scoped_json json_t *reply = json_read(line, strlen(line), NULL);
        if (json_integer_value(json_object_get(reply, "return")) == id)
            return 0;
    }
    return unresponsive(err, "it floods its channel instead of answering");
}

json_t *agent_exchange(int fd, const char *line, bool *sent, unsigned wait_ms, struct error *err)
{
    scoped_text struct text text = {0};
    *sent = false;
    if (synchronize(fd, &text, deadline_ms(wait_ms < SYNC_MS ? wait_ms : SYNC_MS), err) < 0)
        return NULL;
    deadline until = deadline_ms(wait_ms);
    if (send_all(fd, line, strlen(line), until, err) < 0)
        return NULL;
    *sent = true;
    scoped_free char *answer = receive_line(fd, &text, until, err);
    if (!answer)
        return NULL;
    struct error fault;
    json_t *reply = json_read(answer, strlen(answer), &fault);
    if (json_is_object(reply) && (json_object_get(reply, "return") || json_object_get(reply, "error")))
        return reply;
    json_decref(reply);
    return error_null(err, ERR_INTERNAL_ERROR, "the guest agent's answer is no reply: %s",
                      reply ? "it has neither 'return' nor 'error'" : fault.message);
}

/* -- the channel --------------------------------------------------------------------------------------------------- */

static const struct chardev *channel(const struct domain *domain)
{
    const struct domain_def *live = domain->object.live;
    for (uint32_t i = 0; live && i < live->channels.count; i++)
        if (live->channels.item[i]->target_type == CHARDEV_TARGET_VIRTIO &&
            string_equal(live->channels.item[i]->target_name, CHANNEL))
            return live->channels.item[i];
    return NULL;
}

bool agent_is_connected(const struct domain *domain)
{
    const struct chardev *chardev = channel(domain);
    return chardev && chardev->target_state == CHANNEL_STATE_CONNECTED;
}

static int check(const struct domain *domain, struct error *err)
{
    if (domain_require_active(domain, err) < 0)
        return -1;
    if (!channel(domain))
        return error_set(err, ERR_ARGUMENT_UNSUPPORTED,
                         "QEMU guest agent is not configured: domain '%s' has no virtio channel '%s'",
                         domain_name(domain), CHANNEL);
    if (domain->state != DOMAIN_RUNNING)
        return error_set(err, ERR_OPERATION_INVALID, "domain '%s' is not running: its guest agent cannot answer",
                         domain_name(domain));
    if (!agent_is_connected(domain))
        return error_set(err, ERR_AGENT_UNRESPONSIVE,
                         "QEMU guest agent is not connected: nobody in the guest of domain '%s' has opened its channel "
                         "(is qemu-guest-agent installed and started there?)",
                         domain_name(domain));
    return 0;
}

static int connect_channel(struct agent *agent, const struct domain *domain, struct error *err)
{
    if (agent->fd >= 0)
        return 0;
    const struct chardev_source *source = &channel(domain)->source;
    if (source->type == CHARDEV_TYPE_UNIX && source->path)
        agent->fd = unix_connect(source->path, err);
    else if (source->type == CHARDEV_TYPE_PTY && source->path)
        agent->fd = open(source->path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    else
        return error_set(err, ERR_ARGUMENT_UNSUPPORTED,
                         "the guest agent's channel of domain '%s' is of type '%s': only unix and pty can be used",
                         domain_name(domain), chardev_type_name(source->type));
    return agent->fd < 0 ? unresponsive(err, "its channel cannot be opened") : 0;
}

static void disconnect(struct agent *agent)
{
    if (agent->fd >= 0)
        close(agent->fd);
    agent->fd = -1;
}

static int timeout_ms(int seconds)
{
    switch (seconds) {
    case DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK:
        return AGENT_DEFAULT_S * 1000;
    case DOMAIN_AGENT_RESPONSE_TIMEOUT_DEFAULT:
        return SYNC_MS;
    case DOMAIN_AGENT_RESPONSE_TIMEOUT_NOWAIT:
        return SYNC_MS; /* who does not want to wait for the answer still has to know that somebody took the command */
    default:
        return seconds * 1000;
    }
}

static int check_timeout(int seconds, struct error *err)
{
    if (seconds >= DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK && seconds <= AGENT_MAX_S)
        return 0;
    return error_set(err, ERR_INVALID_ARG,
                     "a timeout of %d s for the guest agent cannot be: allowed are 1 to %d, 0 (no wait), -1 (default), "
                     "-2 (block)",
                     seconds, AGENT_MAX_S);
}

int agent_set_timeout(struct domain *domain, int seconds, struct error *err)
{
    if (check_timeout(seconds, err) < 0)
        return -1;
    agent_ensure(domain)->timeout_s = seconds;
    return 0;
}

/* One exchange with the place to itself. */
static json_t *converse(struct domain *domain, const char *line, int wait_ms, bool *sent, struct error *err)
{
    *sent = false;
    if (check(domain, err) < 0)
        return NULL;
    struct agent *agent = agent_ensure(domain);
    deadline until = deadline_ms((uint64_t)wait_ms);
    agent->references++;
    json_t *reply = NULL;
    while (agent->busy && !agent->orphaned)
        if (condition_wait(&agent->freed, until, err) < 0) {
            if (err && err->code == ERR_OPERATION_TIMEOUT)
                unresponsive(err, "it is busy with another command");
            goto out;
        }
    if (agent->orphaned || check(domain, err) < 0) {
        if (agent->orphaned)
            error_set(err, ERR_OPERATION_INVALID, "domain '%s' is not running any more", domain_name(domain));
        goto out;
    }
    agent->busy = true;
    if (connect_channel(agent, domain, err) == 0)
        reply = agent_exchange(agent->fd, line, sent, (unsigned)wait_ms, err);
    if (!reply)
        disconnect(agent); /* whatever is still on its way is dropped with it */
    agent->busy = false;
    condition_wake(&agent->freed);
out:
    unref(agent);
    return reply;
}

/* -- commands ------------------------------------------------------------------------------------------------------ */

static char *command_line(const char *command, json_t *arguments)
{
    scoped_json json_t *whole = json_pack("{s:s}", "execute", command);
    if (arguments)
        json_object_set_new(whole, "arguments", arguments);
    scoped_free char *text = json_dumps(whole, JSON_COMPACT);
    return xprintf("%s\n", text ? text : "{}");
}

static int refused(const struct domain *domain, const char *command, const json_t *failure, struct error *err)
{
    const char *class = json_string_value(json_object_get(failure, "class"));
    const char *words = json_string_value(json_object_get(failure, "desc"));
    if (string_equal(class, "CommandNotFound") || string_equal(class, "CommandDisabled"))
        return error_set(err, ERR_OPERATION_UNSUPPORTED, "the guest agent of domain '%s' does not have '%s': %.300s",
                         domain_name(domain), command, words ? words : class);
    return error_set(err, ERR_INTERNAL_ERROR,
                     "unable to execute QEMU agent command '%s' in the guest of domain '%s': %.500s", command,
                     domain_name(domain), words ? words : "no reason given");
}

static json_t *run(struct domain *domain, const char *command, json_t *arguments, int wait_ms, bool *sent,
                   struct error *err)
{
    scoped_free char *line = command_line(command, arguments);
    scoped_json json_t *reply = converse(domain, line, wait_ms, sent, err);
    if (!reply)
        return error_null_wrap(err, "cannot run '%s' in the guest of domain '%s'", command, domain_name(domain));
    const json_t *failure = json_object_get(reply, "error");
    if (failure) {
        refused(domain, command, failure, err);
        return NULL;
    }
    return json_incref(json_object_get(reply, "return"));
}

static int domain_timeout_ms(struct domain *domain)
{
    return timeout_ms(domain->agent ? domain->agent->timeout_s : DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK);
}

json_t *agent_command(struct domain *domain, const char *command, json_t *arguments, struct error *err)
{
    bool sent;
    return run(domain, command, arguments, domain_timeout_ms(domain), &sent, err);
}

int agent_execute(struct domain *domain, const char *command, json_t *arguments, struct error *err)
{
    scoped_json json_t *reply = agent_command(domain, command, arguments, err);
    return reply ? 0 : -1;
}

int agent_execute_silent(struct domain *domain, const char *command, json_t *arguments, struct error *err)
{
    struct error failure = {0};
    bool sent;
    scoped_json json_t *reply = run(domain, command, arguments, SILENT_MS, &sent, &failure);
    bool refusal = failure.code == ERR_INTERNAL_ERROR || failure.code == ERR_OPERATION_UNSUPPORTED;
    if (reply || (sent && !refusal))
        return 0;
    return error_set(err, failure.code, "%s", failure.message);
}

char *agent_raw(struct domain *domain, const char *text, int timeout, struct error *err)
{
    if (check_timeout(timeout, err) < 0)
        return NULL;
    struct error fault;
    scoped_json json_t *command = json_read(text, strlen(text), &fault);
    if (!json_is_string(json_object_get(command, "execute")))
        return error_null(err, ERR_INVALID_ARG, "the agent command is not {\"execute\": NAME, ...}: %s",
                          command ? "there is no 'execute'" : fault.message);
    scoped_free char *compact = json_dumps(command, JSON_COMPACT);
    scoped_free char *line = xprintf("%s\n", compact);
    bool sent;
    scoped_json json_t *reply = converse(domain, line, timeout_ms(timeout), &sent, err);
    if (!reply)
        return NULL;
    const json_t *failure = json_object_get(reply, "error");
    if (failure) {
        refused(domain, json_string_value(json_object_get(command, "execute")), failure, err);
        return NULL;
    }
    return json_dumps(reply, JSON_COMPACT);
}

/* -- the guest's side of the ports --------------------------------------------------------------------------------- */

static void tell(struct domain *domain, bool connected, int reason)
{
    domain_notify(domain, DOMAIN_EVENT_ID_AGENT_LIFECYCLE,
                  &(struct domain_event_callback_agent_lifecycle_event){
                      .state = connected ? CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED
                                         : CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_DISCONNECTED,
                      .reason = reason});
}

void agent_awaited(struct domain *domain)
{
    if (channel(domain))
        tell(domain, agent_is_connected(domain), CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_DOMAIN_STARTED);
}

void agent_port_changed(struct domain *domain, const char *alias, bool open)
{
    const struct domain_def *live = domain->object.live;
    for (uint32_t i = 0; i < live->channels.count; i++) {
        enum channel_state state = open ? CHANNEL_STATE_CONNECTED : CHANNEL_STATE_DISCONNECTED;
        const struct chardev *chardev = live->channels.item[i];
        if (!string_equal(chardev->info.alias, alias) || chardev->target_state == state)
            continue;
        struct domain_def *changed = domain_edit(live);
        changed->channels.item[i]->target_state = state;
        bool is_agent = string_equal(chardev->target_name, CHANNEL);
        object_set_live(&domain->object, changed);
        status_save(domain);
        if (is_agent && !open && domain->agent && !domain->agent->busy)
            disconnect(domain->agent);
        if (is_agent)
            tell(domain, open, CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_CHANNEL);
        return;
    }
}

void agent_learn_ports(struct domain *domain, const json_t *reply)
{
    size_t i;
    json_t *entry;
    json_array_foreach (reply, i, entry) {
        const char *alias = string_after(json_string_value(json_object_get(entry, "label")) ?: "", "char");
        if (alias)
            agent_port_changed(domain, alias, json_is_true(json_object_get(entry, "frontend-open")));
    }
}
