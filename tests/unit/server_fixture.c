/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server_fixture.h"

#include <string.h>
#include <sys/socket.h>

#include "base/loop.h"
#include "handlers.h"
#include "wire_tables.h"

struct server *server;
struct client *client;
struct server_client *last_client;
unsigned sleeping, most_sleeping, cancelled, released, events_seen;
struct condition awake;
char last_event[64];
bool client_lost;

int handle_connect_get_hostname(struct call *call, struct connect_get_hostname_ret *ret, struct error *err)
{
    ret->hostname = arena_strdup(call->arena, "test-host");
    return 0;
}

int handle_domain_lookup_by_name(struct call *call, const struct domain_lookup_by_name_args *args,
                                 struct domain_lookup_by_name_ret *ret, struct error *err)
{
    if (strcmp(args->name, "guest") != 0)
        return error_set(err, ERR_NO_DOMAIN, "no domain with the name '%s'", args->name);
    ret->dom = (struct wire_domain){.name = args->name, .id = 7};
    return 0;
}

/* Sleeps until it is woken or cancelled. */
int handle_domain_suspend(struct call *call, const struct domain_suspend_args *args, struct error *err)
{
    if (++sleeping > most_sleeping)
        most_sleeping = sleeping;
    int rc = condition_wait(&awake, WAIT, err);
    sleeping--;
    if (rc < 0)
        cancelled++;
    return rc;
}

void opened(struct server_client *which)
{
    last_client = which;
    server_client_set_data(which, &released, NULL);
}

static void count_release(void *data)
{
    (*(unsigned *)data)++;
}

static void event_came(void *owner, const struct wire_procedure *procedure, const void *event, struct arena *arena)
{
    const struct domain_event_callback_reboot_event *reboot = event;
    events_seen++;
    snprintf(last_event, sizeof last_event, "%s %d %s", procedure->name, reboot->callback_id, reboot->dom.name);
}

static void lost(void *owner, const struct error *reason)
{
    client_lost = true;
}

const struct server_program programs[] = {
    {&program_remote, remote_handlers}, {&program_qemu, qemu_handlers}, {0}};

void start_server(const struct server_options *options)
{
    condition_init(&awake);
    sleeping = most_sleeping = cancelled = released = events_seen = 0;
    client_lost = false;
    server = server_new(options);
}

int adopt_client(bool readonly)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    server_client_set_data(server_adopt(server, pair[0], readonly), &released, count_release);
    return pair[1];
}

void connect_client(bool readonly)
{
    static const struct client_events events = {event_came, lost};
    client = client_new(adopt_client(readonly), &events, NULL);
}

void nap(uint64_t milliseconds)
{
    assert_int_equal(await_sleep(deadline_ms(milliseconds), NULL), 0);
}

void stop(void)
{
    server_stop_listening(server);
    for (int i = 0; i < 200 && server_client_count(server); i++)
        nap(5);
    assert_int_equal(server_client_count(server), 0);
    server_free(server);
    loop_stop();
}

static void scenario_fiber(void *argument)
{
    const struct scenario *scenario = argument;
    start_server(&(struct server_options){.programs = programs, .client_opened = opened, .keepalive_interval_s = 5,
                                          .keepalive_count = 5});
    connect_client(scenario->readonly);
    scenario->run();
    client_free(steal(client));
    stop();
}

void run(struct scenario scenario)
{
    fiber_start("test", scenario_fiber, &scenario);
    loop_run();
    assert_int_equal(released, 1);
}
