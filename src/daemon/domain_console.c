/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include "qemu/console.h"
#include "rpc/stream.h"

/* A guest's consoles and channels as streams. */

static int join(struct call *call, struct console *console, struct error *err)
{
    scoped_console struct console *owned = console;
    struct stream *stream = owned ? call_open_stream(call, err) : NULL;
    if (!stream)
        return -1;
    console_join(steal(owned), stream);
    return 0;
}

int handle_domain_open_console(struct call *call, const struct domain_open_console_args *args, struct error *err)
{
    if (call_flags(call, args->flags, DOMAIN_CONSOLE_FORCE | DOMAIN_CONSOLE_SAFE, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    return domain ? join(call, console_open(domain, args->dev_name, args->flags, err), err) : -1;
}

int handle_domain_open_channel(struct call *call, const struct domain_open_channel_args *args, struct error *err)
{
    if (call_flags(call, args->flags, DOMAIN_CHANNEL_FORCE, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    return domain ? join(call, channel_open(domain, args->name, args->flags, err), err) : -1;
}
