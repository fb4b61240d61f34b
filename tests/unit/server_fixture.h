/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fiber.h"
#include "client_stubs.h"
#include "rpc/client.h"
#include "rpc/connection.h"
#include "rpc/server.h"

/* Server and client of src/rpc on one loop, over a socket pair. Here are the handlers of connect-get-hostname
 * ("test-host"), domain-lookup-by-name (knows "guest") and domain-suspend (sleeps until `awake` or cancelled); a test
 * defines those that only it calls. */

#define WAIT deadline_ms(10000)

extern struct server *server;
extern struct client *client;
extern struct server_client *last_client; /* who connected last */
extern unsigned sleeping, most_sleeping, cancelled; /* of domain-suspend */
extern unsigned released;                           /* clients whose data was given back */
extern struct condition awake;
extern unsigned events_seen;
extern char last_event[64];
extern bool client_lost;

extern const struct server_program programs[];
/* A client_opened callback: fills last_client. */
void opened(struct server_client *which);

void start_server(const struct server_options *options);
/* The other end of a socket pair of which the server has one. */
int adopt_client(bool readonly);
/* Sets `client`, whose events go to last_event. */
void connect_client(bool readonly);
void nap(uint64_t milliseconds);
/* Waits until every client has gone, and ends server and loop. */
void stop(void);

struct scenario {
    void (*run)(void);
    bool readonly;
};
/* Runs it in a fiber, with a server and a client connected to it. */
void run(struct scenario scenario);
