/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qemu/domain.h"
#include "rpc/stream.h"

/* A client's stream joined with a character device of a guest. One client a device; who comes with FORCE takes it over.
 * Nothing here depends on who started the guest: a restarted daemon opens the same pty. */
struct console;

/* Opens the host's end of a device: by alias, or the first console or serial port (device NULL). flags:
 * DOMAIN_CONSOLE_*. ERR_OPERATION_FAILED when another client has it. */
struct console *console_open(struct domain *domain, const char *device, unsigned flags, struct error *err);
/* The same for a channel by its target name or alias, or the first one. flags: DOMAIN_CHANNEL_FORCE. */
struct console *channel_open(struct domain *domain, const char *name, unsigned flags, struct error *err);
/* One that was never joined. */
void console_free(struct console *console);
DEFINE_SCOPED(console_scope, struct console *, console_free)
#define scoped_console scope_cleanup(console_scope)

/* Passes bytes both ways until one side ends; takes over both. Does not wait. */
void console_join(struct console *console, struct stream *stream);
/* The guest is gone: its clients see the end of their streams. Does not wait. */
void consoles_close(struct domain *domain);
