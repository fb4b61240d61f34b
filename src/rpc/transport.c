/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define TCP_PORT_DEFAULT 16509
#define WORDS_MAX        4096
#define SYSTEM_SOCKETS   "/var/run/libvirt"

/* The unix socket of a local daemon, for unix and for the far end of ssh; NULL and err when there is none to name. */
static char *socket_path(struct arena *arena, const struct uri *uri, bool readonly, bool local, struct error *err)
{
    const char *given = uri_parameter(uri, "socket");
    if (given) {
        if (*given != '/')
            return error_null(err, ERR_INVALID_ARG, "URI parameter socket='%s' must be an absolute path", given);
        return arena_strdup(arena, given);
    }
    bool session = strcmp(uri->path, "/session") == 0;
    const char *folder = SYSTEM_SOCKETS, *suffix = readonly && !session ? "-ro" : "";
    if (session) {
        const char *runtime = getenv("XDG_RUNTIME_DIR");
        if (!local || !runtime || *runtime != '/')
            return error_null(err, ERR_INVALID_ARG, "where the session daemon of '%s://%s' listens is not known here; "
                              "say it with the URI parameter socket=PATH", uri->driver, uri->path);
        folder = arena_printf(arena, "%s/libvirt", runtime);
    }
    const char *mode = uri_parameter(uri, "mode");
    char *modular = arena_printf(arena, "%s/virt%sd-sock%s", folder, uri->driver, suffix);
    bool automatic = !mode || strcmp(mode, "auto") == 0;
    if ((mode && strcmp(mode, "direct") == 0) || (automatic && local && access(modular, F_OK) == 0))
        return modular;
    return arena_printf(arena, "%s/libvirt-sock%s", folder, suffix);
}

/* Finishes a connect() that was begun on a non-blocking socket. */
static int connect_wait(int fd, deadline limit, struct error *err)
{
    if (await_fd(fd, POLLOUT, limit, err) < 0)
        return -1;
    int failed = 0;
    socklen_t size = sizeof failed;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size);
    errno = failed;
    return failed ? 1 : 0;
}

static int open_unix(struct transport *transport, const struct uri *uri, bool readonly, deadline limit,
                     struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    const char *path = socket_path(arena, uri, readonly, true, err);
    if (!path)
        return -1;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return error_set(err, ERR_INVALID_ARG, "socket path '%s' is %zu bytes long, the system allows %zu", path,
                         strlen(path), sizeof address.sun_path - 1);
    strcpy(address.sun_path, path);
    scoped_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_system(err, errno, "cannot make a unix socket");
    while (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            int errnum = errno;
            const char *hint = errnum == ENOENT || errnum == ECONNREFUSED ? " (is the daemon running?)" : "";
            return error_system(err, errnum, "cannot connect to the socket '%s'%s", path, hint);
        }
        if (now_ns() > limit) /* EAGAIN: its queue of connections is full */
            return error_set(err, ERR_OPERATION_TIMEOUT, "the daemon on '%s' accepts no connections", path);
        if (await_sleep(deadline_ms(5), err) < 0)
            return -1;
    }
    transport->fd = steal_fd(&fd);
    return 0;
}

/* What the worker thread gets: everything by value, because it may outlive the fiber's wait. */
struct resolution {
    char host[NI_MAXHOST], port[8];
    struct addrinfo *found;
    int result;
};

static void resolve(void *argument)
{
    struct resolution *resolution = argument;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    resolution->result = getaddrinfo(resolution->host, resolution->port, &hints, &resolution->found);
    if (resolution->result == EAI_NONAME || resolution->result == EAI_ADDRFAMILY) {
        hints.ai_flags = 0; /* a host that has only a loopback interface still reaches itself */
        resolution->result = getaddrinfo(resolution->host, resolution->port, &hints, &resolution->found);
    }
}

static void resolution_free(void *argument)
{
    struct resolution *resolution = argument;
    if (resolution->found)
        freeaddrinfo(resolution->found);
    free(resolution);
}

/* Each address gets an equal share of the time that is left, so that a dead first one leaves some for the others.
 * Returns the socket or -1. */
static int try_addresses(struct addrinfo *first, const char *host, unsigned port, deadline limit, struct error *err)
{
    size_t left = 0;
    for (struct addrinfo *address = first; address; address = address->ai_next)
        left++;
    for (struct addrinfo *address = first; address; address = address->ai_next, left--) {
        scoped_fd int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int result = fd < 0 ? 1 : connect(fd, address->ai_addr, address->ai_addrlen) < 0;
        if (result && fd >= 0 && errno == EINPROGRESS) {
            uint64_t now = now_ns();
            deadline share = limit == DEADLINE_NONE ? DEADLINE_NONE : now + (limit > now ? (limit - now) / left : 0);
            result = connect_wait(fd, share, err);
        }
        if (result == 0) {
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
            return steal_fd(&fd);
        }
        if (result > 0)
            error_system(err, errno, "cannot connect to %s port %u", host, port);
        else if (err->code != ERR_OPERATION_TIMEOUT)
            return -1;
    }
    if (err->code == ERR_OPERATION_TIMEOUT)
        error_set(err, ERR_OPERATION_TIMEOUT, "no answer from %s port %u in time", host, port);
    return -1;
}

int transport_tcp(const char *host, uint16_t port, deadline limit, struct error *err)
{
    struct resolution *resolution = xcalloc(1, sizeof *resolution);
    if (strlen(host) >= sizeof resolution->host) {
        free(resolution);
        return error_set(err, ERR_INVALID_ARG, "the host name '%.40s...' is too long", host);
    }
    strcpy(resolution->host, host);
    snprintf(resolution->port, sizeof resolution->port, "%u", port);
    if (await_work(resolve, resolution_free, resolution, limit, err) < 0)
        return error_wrap(err, "cannot look up the host '%s'", host);
    struct error local = {0};
    int fd = -1;
    if (resolution->result != 0)
        error_set(err, ERR_SYSTEM_ERROR, "cannot look up the host '%s': %s", host, gai_strerror(resolution->result));
    else if ((fd = try_addresses(resolution->found, host, port, limit, &local)) < 0)
        error_set(err, local.code, "%s", local.message);
    resolution_free(resolution);
    return fd;
}

/* The remote side's little program. nc of OpenBSD needs -q to end when we do; the one of nmap has no such option.
 * Debian installs none of them: then godwit does it. */
static int append_remote_script(struct text *script, const struct uri *uri, bool readonly, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    const char *proxy = uri_parameter(uri, "proxy"), *netcat = uri_parameter(uri, "netcat");
    bool automatic = !proxy || strcmp(proxy, "auto") == 0;
    bool native = proxy ? strcmp(proxy, "native") == 0 : false;
    bool try_helper = native || (automatic && !netcat && !uri_parameter(uri, "socket"));
    if (try_helper) {
        text_append(script, native ? "exec" : "if command -v virt-ssh-helper >/dev/null 2>&1; then exec");
        text_append(script, readonly ? " virt-ssh-helper -r " : " virt-ssh-helper ");
        text_append_quoted(script, uri_wire_name(arena, uri));
        text_append(script, native ? "" : "; fi; ");
    }
    if (native)
        return 0;
    const char *path = socket_path(arena, uri, readonly, false, err);
    if (!path)
        return -1;
    text_append(script, "socket=");
    text_append_quoted(script, path);
    text_append(script, "; nc=");
    text_append_quoted(script, netcat ? netcat : "nc");
    if (!netcat)
        text_append(script, "; if ! command -v nc >/dev/null 2>&1; then exec godwit relay \"$socket\"; fi");
    text_append(script, "; if \"$nc\" -q 2>&1 | grep 'requires an argument' >/dev/null; then set -- -q0; else set --; "
                        "fi; exec \"$nc\" \"$@\" -U \"$socket\"");
    return 0;
}

static bool is_on(const struct uri *uri, const char *name)
{
    const char *value = uri_parameter(uri, name);
    return value && *value && strcmp(value, "0") != 0;
}

struct argv *transport_ssh_argv(struct arena *arena, const struct uri *uri, bool readonly, struct error *err)
{
    const char *command = uri_parameter(uri, "command"), *keyfile = uri_parameter(uri, "keyfile");
    struct argv *argv = argv_new(arena);
    argv_add(argv, command ? command : "ssh");
    if (uri->port) {
        argv_add(argv, "-p");
        argv_addf(argv, "%u", uri->port);
    }
    if (uri->user) {
        argv_add(argv, "-l");
        argv_add(argv, uri->user);
    }
    if (keyfile) {
        argv_add(argv, "-i");
        argv_add(argv, keyfile);
    }
    argv_add(argv, "-T");
    argv_add(argv, "-e");
    argv_add(argv, "none");
    if (is_on(uri, "no_tty")) {
        argv_add(argv, "-o");
        argv_add(argv, "BatchMode=yes");
    }
    if (is_on(uri, "no_verify")) {
        argv_add(argv, "-o");
        argv_add(argv, "StrictHostKeyChecking=no");
    }
    argv_add(argv, "--"); /* a host that begins with a dash is no option */
    argv_add(argv, uri->host);

    /* ssh hands its words, joined by blanks, to the login shell there, which need not be a POSIX one: hence sh -c. */
    scoped_text struct text script = {0}, remote = {0};
    if (append_remote_script(&script, uri, readonly, err) < 0)
        return NULL;
    text_append(&remote, "sh -c ");
    text_append_quoted(&remote, text_string(&script));
    argv_add(argv, text_string(&remote));
    return argv;
}

static int open_ssh(struct transport *transport, const struct uri *uri, bool readonly, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    struct argv *argv = transport_ssh_argv(arena, uri, readonly, err);
    if (!argv)
        return -1;
    int pair[2], words[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return error_system(err, errno, "cannot make a socket pair for ssh");
    scoped_fd int ours = pair[0], theirs = pair[1];
    if (pipe2(words, O_CLOEXEC) < 0)
        return error_system(err, errno, "cannot make a pipe for ssh");
    scoped_fd int heard = words[0], said = words[1];
    fcntl(ours, F_SETFL, O_NONBLOCK); /* only our ends: ssh expects blocking ones */
    fcntl(heard, F_SETFL, O_NONBLOCK);
    struct process_options options = {.stdin_fd = theirs, .stdout_fd = theirs, .stderr_fd = said};
    transport->process = process_spawn(argv, &options, err);
    if (!transport->process)
        return error_wrap(err, "cannot reach '%s' by ssh", uri->host);
    transport->fd = steal_fd(&ours);
    transport->stderr_fd = steal_fd(&heard);
    return 0;
}

int transport_open(struct transport *transport, const struct uri *uri, bool readonly, deadline limit,
                   struct error *err)
{
    *transport = (struct transport)TRANSPORT_NONE;
    enum uri_transport kind;
    if (uri_connection_transport(uri, &kind, err) < 0)
        return -1;
    switch (kind) {
    case URI_TRANSPORT_TCP:
        transport->fd = transport_tcp(uri->host, uri->port ? uri->port : TCP_PORT_DEFAULT, limit, err);
        return transport->fd < 0 ? -1 : 0;
    case URI_TRANSPORT_SSH: return open_ssh(transport, uri, readonly, err);
    default: return open_unix(transport, uri, readonly, limit, err);
    }
}

/* Takes what the pipe holds now; true at its end. */
static bool hear_words(struct transport *transport)
{
    char buffer[512];
    for (;;) {
        ssize_t got = read(transport->stderr_fd, buffer, sizeof buffer);
        if (got <= 0)
            return got == 0 || (errno != EAGAIN && errno != EINTR);
        size_t room = WORDS_MAX - transport->words.length;
        text_append_bytes(&transport->words, buffer, (size_t)got < room ? (size_t)got : room);
    }
}

int transport_explain(struct transport *transport, struct error *err)
{
    if (transport->stderr_fd < 0)
        return -1;
    deadline patience = deadline_ms(500); /* an ssh that fails ends at once; one that lives has said what it will */
    while (!hear_words(transport) && await_fd(transport->stderr_fd, POLLIN, patience, NULL) >= 0)
        continue;
    if (!transport->words.length)
        return -1;
    char *line = transport->words.data;
    for (char *c = line; *c; c++) /* one sentence, without what a terminal would act on */
        if ((unsigned char)*c < ' ')
            *c = *c == '\n' && c[1] ? ';' : ' ';
    size_t length = strlen(line);
    while (length && (line[length - 1] == ' ' || line[length - 1] == ';'))
        line[--length] = '\0';
    struct error cause = *err;
    error_set(err, cause.code, "%s: ssh says: %s", cause.message, line);
    return -1;
}

void transport_finish(struct transport *transport)
{
    if (transport->process)
        process_kill(transport->process, SIGTERM);
    process_free(steal(transport->process));
    if (transport->fd >= 0)
        close(steal_fd(&transport->fd));
    if (transport->stderr_fd >= 0)
        close(steal_fd(&transport->stderr_fd));
    text_finish(&transport->words);
}
