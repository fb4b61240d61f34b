/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/console.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "qemu/spawn.h"

enum {
    PIECE = 16384,    /* of one read or write; a pty gives at most 4 KiB */
    FINISH_MS = 5000, /* for a client to confirm the end */
};

struct console {
    struct console *next;  /* in domain->consoles */
    struct domain *domain; /* a reference */
    char *name;            /* alias of the device */
    int fd;
    struct stream *stream;
    struct fiber *pumps[2];
    unsigned running;      /* fibers that have not ended */
    bool over;             /* on its way out: its place is free */
    struct error taken;    /* why the client loses it while the guest lives; code 0 = it ended well */
};

/* -- finding and opening ------------------------------------------------------------------------------------------- */

static const struct chardev *find_in(struct chardev *const *list, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (!name || string_equal(list[i]->info.alias, name) || string_equal(list[i]->target_name, name))
            return list[i];
    return NULL;
}

static const struct chardev *find_console(const struct domain_def *live, const char *name)
{
    const struct chardev *found = find_in(live->consoles.item, live->consoles.count, name);
    if (!found)
        found = find_in(live->serials.item, live->serials.count, name);
    return found || !name ? found : find_in(live->parallels.item, live->parallels.count, name);
}

static int open_pty(const char *path, struct error *err)
{
    int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    return fd < 0 ? error_system(err, errno, "cannot open '%s'", path) : fd;
}

static int open_tcp(const struct chardev_source *source, struct error *err)
{
    /* Numbers only: asking a name server would make everybody wait. QEMU listens on this machine. */
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *found = NULL;
    bool any = !source->host || string_equal(source->host, "0.0.0.0") || string_equal(source->host, "localhost");
    const char *host = any ? "127.0.0.1" : source->host;
    int rc = getaddrinfo(host, source->service, &hints, &found);
    if (rc != 0)
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "cannot connect to '%s' port '%s': %s", host,
                         source->service ? source->service : "", gai_strerror(rc));
    scoped_fd int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    rc = fd < 0 ? -1 : connect(fd, found->ai_addr, found->ai_addrlen);
    int errnum = errno;
    freeaddrinfo(found);
    if (rc < 0 && errnum != EINPROGRESS)
        return error_system(err, errnum, "cannot connect to '%s' port '%s'", host, source->service);
    return steal_fd(&fd);
}

static int open_device(const struct domain *domain, const struct chardev *chardev, struct error *err)
{
    const struct chardev_source *source = &chardev->source;
    const char *alias = chardev->info.alias ? chardev->info.alias : "?";
    const char *path = source->path ? source->path : chardev->tty;
    if (source->type == CHARDEV_TYPE_PTY && path)
        return open_pty(path, err);
    if (source->type == CHARDEV_TYPE_UNIX && source->mode != CHARDEV_MODE_CONNECT && path)
        return unix_connect(path, err);
    if (source->type == CHARDEV_TYPE_TCP && source->mode != CHARDEV_MODE_CONNECT &&
        source->protocol <= CHARDEV_PROTOCOL_RAW)
        return open_tcp(source, err);
    return error_set(err, ERR_INTERNAL_ERROR,
                     "device '%s' of domain '%s' is of type '%s': only a pty, or a unix or tcp socket on which QEMU "
                     "listens, can be opened",
                     alias, domain_name(domain), chardev_type_name(source->type));
}

/* -- who has it ---------------------------------------------------------------------------------------------------- */

static void end_pumps(struct console *console)
{
    console->over = true;
    stream_cancel(console->stream);
    for (size_t i = 0; i < COUNT(console->pumps); i++)
        if (console->pumps[i])
            fiber_cancel(console->pumps[i]);
}

static int take_place(struct domain *domain, const char *name, bool force, struct error *err)
{
    for (struct console *other = domain->consoles; other; other = other->next) {
        if (other->over || !string_equal(other->name, name))
            continue;
        if (!force)
            return error_set(err, ERR_OPERATION_FAILED,
                             "Active console session exists for this domain: another client has device '%s' of '%s' "
                             "open; --force takes it over",
                             name, domain_name(domain));
        error_set(&other->taken, ERR_OPERATION_ABORTED, "another client took device '%s' of domain '%s' over", name,
                  domain_name(domain));
        end_pumps(other);
    }
    return 0;
}

static struct console *open_found(struct domain *domain, const struct chardev *chardev, bool force, struct error *err)
{
    const char *name = chardev->info.alias ? chardev->info.alias : "";
    if (take_place(domain, name, force, err) < 0)
        return NULL;
    int fd = open_device(domain, chardev, err);
    if (fd < 0)
        return error_null_wrap(err, "cannot open device '%s' of domain '%s'", name, domain_name(domain));
    struct console *console = xcalloc(1, sizeof *console);
    console->domain = domain_of(object_ref(&domain->object));
    console->name = xstrdup(name);
    console->fd = fd;
    console->next = domain->consoles;
    domain->consoles = console;
    return console;
}

struct console *console_open(struct domain *domain, const char *device, unsigned flags, struct error *err)
{
    if (domain_require_active(domain, err) < 0)
        return NULL;
    const struct chardev *chardev = find_console(domain->object.live, device);
    if (!chardev && device)
        return error_null(err, ERR_INVALID_ARG, "domain '%s' has no console, serial or parallel device '%s'",
                          domain_name(domain), device);
    if (!chardev)
        return error_null(err, ERR_INTERNAL_ERROR, "domain '%s' has no console or serial device", domain_name(domain));
    return open_found(domain, chardev, flags & DOMAIN_CONSOLE_FORCE, err);
}

struct console *channel_open(struct domain *domain, const char *name, unsigned flags, struct error *err)
{
    if (domain_require_active(domain, err) < 0)
        return NULL;
    const struct domain_def *live = domain->object.live;
    const struct chardev *chardev = find_in(live->channels.item, live->channels.count, name);
    if (!chardev)
        return error_null(err, ERR_INTERNAL_ERROR, "domain '%s' has no channel%s%s%s", domain_name(domain),
                          name ? " '" : "", name ? name : "", name ? "'" : "");
    if (string_equal(chardev->target_name, "org.qemu.guest_agent.0"))
        return error_null(err, ERR_OPERATION_INVALID,
                          "channel 'org.qemu.guest_agent.0' of domain '%s' is the daemon's own: use the guest agent's "
                          "commands",
                          domain_name(domain));
    return open_found(domain, chardev, flags & DOMAIN_CHANNEL_FORCE, err);
}

void console_free(struct console *console)
{
    if (!console)
        return;
    for (struct console **link = &console->domain->consoles; *link; link = &(*link)->next) {
        if (*link == console) {
            *link = console->next;
            break;
        }
    }
    object_unref(&console->domain->object);
    stream_free(console->stream);
    close(console->fd);
    free(console->name);
    free(console);
}

/* -- passing bytes ------------------------------------------------------------------------------------------------- */

static void pump_out(struct console *console)
{
    char buffer[PIECE];
    while (!console->over && await_fd(console->fd, POLLIN, DEADLINE_NONE, NULL) >= 0) {
        ssize_t got = read(console->fd, buffer, sizeof buffer);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        /* EIO is a pty's way to say that QEMU closed it */
        if (got <= 0 || stream_send(console->stream, buffer, (size_t)got, DEADLINE_NONE, NULL) < 0)
            return;
    }
}

static int write_all(struct console *console, const char *data, size_t length)
{
    while (length) {
        ssize_t put = write(console->fd, data, length);
        if (put < 0 && errno != EAGAIN && errno != EINTR)
            return -1;
        if (put > 0) {
            data += put;
            length -= (size_t)put;
        } else if (await_fd(console->fd, POLLOUT, DEADLINE_NONE, NULL) < 0) {
            return -1;
        }
    }
    return 0;
}

static void pump_in(struct console *console)
{
    char buffer[PIECE];
    ssize_t got;
    while (!console->over &&
           (got = stream_receive(console->stream, buffer, sizeof buffer, NULL, DEADLINE_NONE, NULL)) > 0)
        if (write_all(console, buffer, (size_t)got) < 0)
            return;
}

/* Each pump ends with this; the last of the two ends the stream. */
static void pump_ended(struct console *console, size_t which)
{
    console->pumps[which] = NULL;
    console->running--;
    if (console->running) {
        end_pumps(console);
        return;
    }
    console->over = true;
    fiber_shield(true); /* the other pump cancelled us, and the client must still learn of the end */
    if (console->taken.code)
        stream_fail(console->stream, &console->taken);
    else
        stream_finish(console->stream, deadline_ms(FINISH_MS), NULL);
    console_free(console);
}

static void run_out(void *owner)
{
    struct console *console = owner;
    console->pumps[0] = fiber_self();
    pump_out(console);
    pump_ended(console, 0);
}

static void run_in(void *owner)
{
    struct console *console = owner;
    console->pumps[1] = fiber_self();
    pump_in(console);
    pump_ended(console, 1);
}

void console_join(struct console *console, struct stream *stream)
{
    console->stream = stream;
    console->running = 2; /* before either runs: the first may end at once */
    fiber_start("console-out", run_out, console);
    fiber_start("console-in", run_in, console);
}

void consoles_close(struct domain *domain)
{
    for (struct console *console = domain->consoles; console; console = console->next)
        if (console->stream && !console->over)
            end_pumps(console);
}
