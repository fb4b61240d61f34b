/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define EXIT_MS 2000 /* from the monitor's end to the process's */
#define BACKLOG 4 /* ours, and one or two that come while QEMU still serves a dead daemon's connection */

/* An address of a socket whose path may be longer than sun_path: its directory is reached by a descriptor. */
struct socket_address {
    struct sockaddr_un address;
    int directory; /* -1 = the path fitted */
};

static int address_make(struct socket_address *made, const char *path, struct error *err)
{
    *made = (struct socket_address){.address.sun_family = AF_UNIX, .directory = -1};
    const char *name = strrchr(path, '/');
    size_t size = sizeof made->address.sun_path;
    if (strlen(path) < size) {
        strcpy(made->address.sun_path, path);
        return 0;
    }
    scoped_free char *directory = name ? strndup(path, (size_t)(name - path)) : NULL;
    made->directory = directory ? open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    if (made->directory < 0)
        return error_system(err, errno, "cannot open the directory of socket '%s'", path);
    int length = snprintf(made->address.sun_path, size, "/proc/self/fd/%d%s", made->directory, name);
    return (size_t)length < size ? 0 : error_set(err, ERR_INTERNAL_ERROR, "the name of socket '%s' is too long", path);
}

static void address_finish(struct socket_address *made)
{
    if (made->directory >= 0)
        close(made->directory);
}
#define scoped_socket_address scope_cleanup(address_finish)

int unix_listen(const char *path, struct error *err)
{
    scoped_socket_address struct socket_address at = {.directory = -1};
    if (address_make(&at, path, err) < 0)
        return -1;
    scoped_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (unlink(path) < 0 && errno != ENOENT)
        return error_system(err, errno, "cannot remove the stale socket '%s'", path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at.address, sizeof at.address) < 0 || chmod(path, 0600) < 0 ||
        listen(fd, BACKLOG) < 0)
        return error_system(err, errno, "cannot listen on socket '%s'", path);
    return steal_fd(&fd);
}

int unix_connect(const char *path, struct error *err)
{
    scoped_socket_address struct socket_address at = {.directory = -1};
    if (address_make(&at, path, err) < 0)
        return -1;
    scoped_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&at.address, sizeof at.address) == 0)
        return steal_fd(&fd);
    int errnum = errno;
    error_system(err, errnum, "cannot connect to socket '%s'", path);
    errno = errnum;
    return -1;
}

void qemu_spawned_finish(struct qemu_spawned *spawned)
{
    qmp_free(steal(spawned->qmp));
    if (spawned->process)
        process_kill(spawned->process, SIGKILL);
    process_free(steal(spawned->process));
}

/* The caller's arguments and the monitor, with the ids that libvirt gives it. */
static struct argv *with_monitor(struct arena *arena, const struct argv *argv, int listener)
{
    struct argv *all = argv_new(arena);
    for (size_t i = 0; i < argv->count; i++)
        argv_add(all, argv->items[i]);
    argv_add(all, "-chardev");
    argv_addf(all, "socket,id=charmonitor,fd=%d,server=on,wait=off", listener);
    argv_add(all, "-mon");
    argv_add(all, "chardev=charmonitor,id=monitor,mode=control");
    return all;
}

int qemu_spawn(const struct qemu_spawn_options *options, const struct qmp_callbacks *callbacks, void *owner,
               struct qemu_spawned *spawned, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_fd int listener = unix_listen(options->monitor_path, err);
    if (listener < 0)
        return -1;
    scoped_fd int monitor = unix_connect(options->monitor_path, err);
    struct argv *argv = with_monitor(arena, options->argv, listener);
    scoped_fd int log = -1;
    if (monitor < 0 ||
        (options->log_path && (log = qemu_log_open(options->log_path, argv, &spawned->log_start, err)) < 0))
        return -1;

    int *pass = arena_new_array(arena, options->pass_fd_count + 1, int);
    for (size_t i = 0; i < options->pass_fd_count; i++)
        pass[i] = options->pass_fds[i];
    pass[options->pass_fd_count] = listener;
    const struct process_options how = {
        .environment = options->environment,
        .stdin_fd = -1,
        .stdout_fd = log,
        .stderr_fd = log,
        .pass_fds = pass,
        .pass_fd_count = options->pass_fd_count + 1,
        .detach = !options->ours,
    };
    spawned->process = process_spawn(argv, &how, err);
    if (!spawned->process)
        return -1;
    spawned->qmp = qmp_new(steal_fd(&monitor), options->name, callbacks, owner);
    return 0;
}

int qemu_spawned_explain(struct qemu_spawned *spawned, const struct qemu_spawn_options *options, struct error *err)
{
    struct error ignored;
    if (!qmp_is_closed(spawned->qmp) || process_wait(spawned->process, deadline_ms(EXIT_MS), &ignored) < 0)
        return -1;
    return qemu_exit_error(options->log_path, spawned->log_start, process_status(spawned->process), err);
}

int qemu_handshake(struct qemu_spawned *spawned, const struct qemu_spawn_options *options, deadline until,
                   struct error *err)
{
    return qmp_handshake(spawned->qmp, until, err) == 0 ? 0 : qemu_spawned_explain(spawned, options, err);
}

struct qmp *qemu_attach(const char *name, const char *monitor_path, const struct qmp_callbacks *callbacks, void *owner,
                        struct error *err)
{
    int monitor = unix_connect(monitor_path, err);
    return monitor < 0 ? NULL : qmp_new(monitor, name, callbacks, owner);
}
