/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

/* What can be set, on the command line (--listen-tcp ADDR:PORT) or in ROOT/etc/godwit/godwitd.conf (listen-tcp =
 * ADDR:PORT), by one table. The command line wins. */
struct options {
    struct arena *arena;
    const char *root;
    const char *config;
    const char *hostname;   /* default: the machine's */
    const char *host_uuid;  /* default: the machine's, or one made and kept */
    const char *listen_tcp; /* NULL = no TCP */
    const char *migration_address;
    const char *migration_ports; /* "49152-49215" */
    uint16_t migration_port_first, migration_port_last;
    const char *unix_group;
    uint32_t unix_mode, unix_readonly_mode; /* octal in text */
    uint32_t max_clients, max_client_requests;
    uint32_t keepalive_interval, keepalive_count;
    uint32_t hook_timeout;
    const char *log_level;
    bool help, man, version;
};

/* Reads both; err names the place (argument, or file and line) and what is allowed there. The caller frees. */
struct options *options_read(int argc, char **argv, struct error *err);
void options_free(struct options *options);
DEFINE_SCOPED(options_scope, struct options *, options_free)
#define scoped_options scope_cleanup(options_scope)
/* The table as text, for --help, and as the manual page godwitd(8). */
void options_help(FILE *out);
void options_man(FILE *out);
