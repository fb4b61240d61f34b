/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <grp.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <time.h>
#include <fcntl.h>

#include "base/files.h"
#include "base/log.h"
#include "base/loop.h"
#include "daemon/daemon.h"
#include "host/identity.h"
#include "migrate/migrate.h"
#include "qemu/hooks.h"
#include "version.h"
#include "wire_tables.h"

/* The daemon's start and end; everything between is the loop's. */

enum { LOCK_TRIES = 200 }; /* 10 ms apart */

static const struct server_program programs[] = {
    {&program_remote, remote_handlers},
    {&program_qemu, qemu_handlers},
    {&program_godwit, godwit_handlers},
    {0},
};

static void set_log_level(const char *name)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    for (int i = 0; i < (int)COUNT(names); i++)
        if (strcmp(names[i], name) == 0)
            log_set_level((enum log_level)i);
}

/* Two daemons on one root would both own its guests. The lock goes with the process. */
static int lock_root(const char *directory, struct error *err)
{
    scoped_free char *path = xprintf("%s/godwitd.lock", directory);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_system(err, errno, "cannot open '%s'", path);
    /* A daemon that was killed while it forked leaves a child that holds the lock until it runs its program. */
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return 0; /* kept open on purpose */
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    close(fd);
    return error_set(err, ERR_OPERATION_INVALID, "another godwitd serves this root ('%s' is locked)", path);
}

/* Where other hosts find us: the address that we listen on, or, when that is every address, our name. */
static void announce(struct daemon *daemon)
{
    const struct driver_options *own = &daemon->driver->options;
    const char *listen = daemon->options->listen_tcp;
    int length = (int)(strrchr(listen, ':') - listen);
    unsigned port = server_tcp_port(daemon->server);
    if (length == 0 || strncmp(listen, "0.0.0.0:", 8) == 0 || strncmp(listen, "[::]:", 5) == 0)
        daemon->driver->connection_uri = xprintf(
            "qemu+tcp://%s:%u/system", own->migration_address ? own->migration_address : own->hostname, port);
    else
        daemon->driver->connection_uri = xprintf("qemu+tcp://%.*s:%u/system", length, listen, port);
}

static int listen_sockets(struct daemon *daemon, const char *directory, struct error *err)
{
    const struct options *options = daemon->options;
    static const struct {
        const char *name;
        bool readonly;
    } sockets[] = {{"libvirt-sock", false}, {"libvirt-sock-ro", true}};
    const struct group *group = options->unix_group ? getgrnam(options->unix_group) : NULL;
    if (options->unix_group && !group)
        return error_set(err, ERR_CONF_SYNTAX, "unix-group: there is no group '%s'", options->unix_group);
    for (size_t i = 0; i < COUNT(sockets); i++) {
        scoped_free char *path = xprintf("%s/%s", directory, sockets[i].name);
        mode_t mode = sockets[i].readonly ? options->unix_readonly_mode : options->unix_mode;
        if (server_listen_unix(daemon->server, path, mode, sockets[i].readonly, err) < 0)
            return -1;
        if (group && chown(path, (uid_t)-1, group->gr_gid) < 0)
            return error_system(err, errno, "cannot give '%s' to group '%s'", path, options->unix_group);
    }
    if (!options->listen_tcp)
        return 0;
    if (server_listen_tcp(daemon->server, options->listen_tcp, err) < 0)
        return -1;
    log_info("listening on TCP port %u, without authentication", server_tcp_port(daemon->server));
    announce(daemon);
    return 0;
}

static int daemon_start(struct daemon *daemon, struct error *err)
{
    const struct options *options = daemon->options;
    scoped_free char *run = xprintf("%s/run/libvirt", string_equal(options->root, "/") ? "" : options->root);
    scoped_free char *state = xprintf("%s/var/lib/godwit", string_equal(options->root, "/") ? "" : options->root);
    if (directory_make(run, 0755, err) < 0 || directory_make(state, 0711, err) < 0 || lock_root(run, err) < 0)
        return -1;
    struct driver_options driver_options = {
        .root = options->root,
        .migration_address = options->migration_address,
        .migration_port_first = options->migration_port_first,
        .migration_port_last = options->migration_port_last,
        .hook_timeout_s = options->hook_timeout,
    };
    scoped_free char *hostname = options->hostname ? xstrdup(options->hostname) : host_hostname();
    driver_options.hostname = hostname;
    if (options->host_uuid)
        uuid_parse(options->host_uuid, driver_options.host_uuid);
    else if (host_uuid_get(state, driver_options.host_uuid, err) < 0)
        return -1;
    daemon->driver = driver_new(&driver_options, err);
    if (!daemon->driver)
        return -1;
    daemon->driver->notify_owner = daemon;
    daemon->driver->notify = events_notify;
    daemon->driver->monitor_event = events_monitor;
    daemon->secrets = secrets_new(options->root ? options->root : "/", err);
    if (!daemon->secrets)
        return -1;
    secrets_wire(daemon);
    daemon->driver->secrets = daemon->secrets;
    struct storage_options storage_options = {.root = options->root, .secrets = daemon->secrets};
    memcpy(storage_options.host_uuid, driver_options.host_uuid, UUID_SIZE);
    daemon->storage = storage_new(&storage_options, err);
    if (!daemon->storage)
        return -1;
    storage_wire(daemon);
    daemon->driver->attached = migration_attached;
    daemon->driver->ended = migration_ended;
    migration_recover(daemon->driver);
    daemon->server = server_new(&(struct server_options){
        .programs = programs,
        .owner = daemon,
        .max_clients = options->max_clients,
        .max_client_requests = options->max_client_requests,
        .keepalive_interval_s = options->keepalive_interval,
        .keepalive_count = options->keepalive_count,
        .client_opened = client_opened,
        .client_closed = client_closed,
        .admit = call_admit,
    });
    return listen_sockets(daemon, run, err);
}

/* Pools first: domains may have their disks in them. */
static void autostart(void *owner)
{
    struct daemon *daemon = owner;
    hooks_tell_daemon(daemon->driver, "start", "-", "start");
    storage_autostart(daemon->storage);
    driver_autostart(daemon->driver);
}

/* Two descriptors for each guest: the usual soft limit of 1024 is for programs that use select(). */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void end(void *owner)
{
    const struct daemon *daemon = owner;
    hooks_tell_daemon(daemon->driver, "shutdown", "-", "shutdown");
    loop_stop();
}

/* A second signal does not wait for a script. */
static void terminate(uv_signal_t *handle, int number)
{
    struct daemon *daemon = handle->data;
    log_info("signal %d: the daemon ends, its guests run on", number);
    if (daemon->ending || !daemon->driver)
        loop_stop();
    else
        fiber_start("end", end, daemon);
    daemon->ending = true;
}

static void reload(void *owner)
{
    const struct daemon *daemon = owner;
    hooks_tell_daemon(daemon->driver, "reload", "begin", "SIGHUP");
}

/* There is nothing that is read at start alone and may change; scripts are told all the same. */
static void hang_up(uv_signal_t *handle, int number)
{
    struct daemon *daemon = handle->data;
    if (daemon->driver)
        fiber_start("reload", reload, daemon);
}

static void watch_signal(uv_signal_t *handle, int number, uv_signal_cb caught, struct daemon *daemon)
{
    uv_signal_init(loop_get(), handle);
    handle->data = daemon;
    uv_signal_start(handle, caught, number);
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "C.UTF-8"); /* names are UTF-8 whatever the administrator's shell says */
    struct error err = {0};
    scoped_options struct options *options = options_read(argc, argv, &err);
    if (!options) {
        fprintf(stderr, "godwitd: %s\n", err.message);
        return 2;
    }
    if (options->help || options->man || options->version) {
        if (options->help)
            options_help(stdout);
        else if (options->man)
            options_man(stdout);
        else
            printf("godwitd %s\n", GODWIT_VERSION);
        return 0;
    }
    set_log_level(options->log_level);
    raise_descriptor_limit();
    signal(SIGPIPE, SIG_IGN);
    /* before libuv's first use of them: threads that a server's disk holds must not keep the others from theirs */
    setenv("UV_THREADPOOL_SIZE", "7", false);
    static struct daemon daemon; /* still in reach when leak checkers look, after main() */
    uv_signal_t term, interrupt, hangup;
    watch_signal(&term, SIGTERM, terminate, &daemon);
    watch_signal(&interrupt, SIGINT, terminate, &daemon);
    watch_signal(&hangup, SIGHUP, hang_up, &daemon);
    daemon.options = options;
    events_init();
    list_init(&daemon.image_works);
    if (daemon_start(&daemon, &err) < 0) {
        fprintf(stderr, "godwitd: cannot start: %s\n", err.message);
        return 1;
    }
    fiber_start("autostart", autostart, &daemon);
    loop_run();
    /* No orderly unwinding: everything acknowledged is on disk, guests are processes of their own, and what fibers
     * still wait for would only delay the end. SIGKILL must be as good as this. */
    return 0;
}
