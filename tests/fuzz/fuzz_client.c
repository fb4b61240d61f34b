/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as what a server says to a client that has a call (serial 0) and a stream (serial 1) under way. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/fiber.h"
#include "base/loop.h"
#include "client_stubs.h"
#include "rpc/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct client *client;
static unsigned running;

static void ask(void *argument)
{
    scoped_arena struct arena *arena = arena_new();
    struct connect_get_all_domain_stats_args args = {0};
    struct connect_get_all_domain_stats_ret ret;
    struct error err;
    remote_connect_get_all_domain_stats(client, &args, arena, &ret, &err);
    running--;
}

static void download(void *argument)
{
    struct storage_vol_download_args args = {.vol = {"a", "b", "c"}, .flags = 1};
    struct stream *stream = NULL;
    struct error err;
    char block[100];
    ssize_t got;
    int64_t hole;
    if (remote_storage_vol_download(client, &args, &stream, &err) == 0) {
        while ((got = stream_receive(stream, block, sizeof block, &hole, DEADLINE_NONE, &err)) > 0 || hole)
            continue;
        if (got == 0)
            stream_finish(stream, DEADLINE_NONE, &err);
        stream_free(stream);
    }
    running--;
}

static void event(void *owner, const struct wire_procedure *procedure, const void *body, struct arena *arena)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct client_events events = {.event = event};
    int pair[2];
    if (size > 65536 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        return 0;
    client = client_new(pair[0], &events, NULL);
    running = 2;
    fiber_start("ask", ask, NULL);
    fiber_start("download", download, NULL);
    ssize_t sent = send(pair[1], data, size, MSG_NOSIGNAL);
    for (int i = 0; i < 4 && sent >= 0; i++)
        uv_run(loop_get(), UV_RUN_NOWAIT);
    close(pair[1]);
    for (int i = 0; running; i++) {
        uv_run(loop_get(), UV_RUN_NOWAIT);
        if (i > 10000)
            abort(); /* a call that never ends */
    }
    client_free(client);
    uv_run(loop_get(), UV_RUN_NOWAIT);
    uv_run(loop_get(), UV_RUN_NOWAIT);
    return 0;
}
