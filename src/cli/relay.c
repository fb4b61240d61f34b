/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "cli/shell.h"

/* The far end of qemu+ssh:// on hosts without nc: joins stdin and stdout with the daemon's socket. It has nothing else
 * to do, so it may block. */

static int write_all(int fd, const char *data, size_t length, struct error *err)
{
    while (length) {
        ssize_t wrote = write(fd, data, length);
        if (wrote < 0 && errno == EAGAIN)
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        else if (wrote < 0 && errno != EINTR)
            return error_system(err, errno, "cannot pass data on");
        data += wrote > 0 ? wrote : 0;
        length -= wrote > 0 ? (size_t)wrote : 0;
    }
    return 0;
}

/* Moves what is there. 1, 0 at the end, or -1. */
static int pass_on(int from, int to, struct error *err)
{
    char buffer[65536];
    ssize_t got = read(from, buffer, sizeof buffer);
    if (got < 0)
        return errno == EINTR || errno == EAGAIN ? 1 : error_system(err, errno, "cannot receive data");
    if (got > 0 && write_all(to, buffer, (size_t)got, err) < 0)
        return -1;
    return got > 0;
}

static int run_relay(struct invocation *in, struct error *err)
{
    const char *path = option_text(in, "socket");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return error_set(err, ERR_INVALID_ARG, "the socket path '%s' is too long", path);
    strcpy(address.sun_path, path);
    scoped_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return error_system(err, errno, "cannot connect to the socket '%s'", path);
    struct pollfd ways[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    for (;;) {
        if (poll(ways, COUNT(ways), -1) < 0 && errno != EINTR)
            return error_system(err, errno, "cannot wait for data");
        int result = ways[0].revents ? pass_on(STDIN_FILENO, fd, err) : 1;
        if (result > 0 && ways[1].revents)
            result = pass_on(fd, STDOUT_FILENO, err);
        if (result <= 0)
            return result;
    }
}

static const struct command_option relay_options[] = {
    {"socket", OPTION_STRING, OPTION_REQUIRED, "path of the daemon's socket"},
    {0},
};

const struct command relay_commands[] = {
    {"relay", "virsh", "join standard input and output with a socket", NULL, relay_options, run_relay,
     COMMAND_NO_CONNECTION | COMMAND_HIDDEN},
    {0},
};
