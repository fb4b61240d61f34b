/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

/* Connection URIs: DRIVER[+TRANSPORT]://[USER@][HOST][:PORT]/PATH[?NAME=VALUE&...]. Everything is percent-decoded once
 * when parsed and encoded again when formatted. Migration URIs (tcp://HOST:PORT) have the same shape. */

struct uri_parameter {
    char *name;
    char *value; /* "" when the URI has no '=' */
};

struct uri {
    char *driver;    /* "qemu", "tcp", ... in lower case, without the transport */
    char *transport; /* after the '+', in lower case; NULL = none */
    char *user;      /* NULL = none */
    char *host;      /* without the brackets of an IPv6 address; NULL = none */
    uint16_t port;   /* 0 = none */
    char *path;      /* "/system"; "" when empty */
    struct uri_parameter *parameters;
    size_t parameter_count;
};

/* At most this many bytes are looked at; longer is an error. */
#define URI_LENGTH_MAX    8192
#define URI_PARAMETER_MAX 64

/* Parses any URI of that shape. NULL and ERR_INVALID_ARG with the place (byte offset) of the fault. */
struct uri *uri_parse(struct arena *arena, const char *text, struct error *err);
/* The URI as text; uri_parse() of it gives the same again. */
char *uri_format(struct arena *arena, const struct uri *uri);
/* The value of a parameter, the last one when it is repeated; NULL when it is not there. */
const char *uri_parameter(const struct uri *uri, const char *name);

/* How a client reaches the daemon. */
enum uri_transport { URI_TRANSPORT_UNIX, URI_TRANSPORT_TCP, URI_TRANSPORT_SSH };

/* Checks what only a connection URI must fulfil: transport unix, tcp or ssh, a host where one is needed, a path that
 * qemu knows (/system or /session), values of mode= and proxy=. Without a transport it is unix when there is no host;
 * with a host it would be TLS, which is refused with the way out. 0 or -1. */
int uri_connection_transport(const struct uri *uri, enum uri_transport *transport, struct error *err);

/* What connect-open is told (framing.md "Opening"): the URI less transport, user, host, port and the parameters that
 * the client itself uses; name= replaces the whole. */
char *uri_wire_name(struct arena *arena, const struct uri *uri);
