/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rpc/uri.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"

/* Used up by the client, never sent; the list of libvirt 9.0's remote driver. */
static const char *const client_parameters[] = {
    "name",     "command",   "socket",       "auth",   "sshauth", "netcat",  "keyfile",     "pkipath", "known_hosts",
    "no_tty",   "no_verify", "known_hosts_verify", "no_sanity", "mode", "proxy", "tls_priority",
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The text between start and end with %XX resolved; whole is for the message only. */
static char *decode(struct arena *arena, const char *whole, const char *start, const char *end, struct error *err)
{
    char *decoded = arena_alloc(arena, end - start + 1), *out = decoded;
    for (const char *in = start; in < end; in++) {
        if (*in != '%') {
            *out++ = *in;
            continue;
        }
        int high = end - in > 2 ? hex_digit(in[1]) : -1;
        int low = high >= 0 ? hex_digit(in[2]) : -1;
        if (low < 0 || (high == 0 && low == 0))
            return error_null(err, ERR_INVALID_ARG, "URI '%s': at byte %zu '%%' must be followed by two hexadecimal "
                              "digits that are not 00", whole, (size_t)(in - whole));
        *out++ = (char)(high << 4 | low);
        in += 2;
    }
    if (!utf8_valid(decoded, out - decoded))
        return error_null(err, ERR_INVALID_ARG, "URI '%s': the text from byte %zu is not UTF-8", whole,
                          (size_t)(start - whole));
    return decoded;
}

static char *lower_case(struct arena *arena, const char *start, const char *end)
{
    char *copy = arena_strndup(arena, start, end - start);
    for (char *c = copy; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return copy;
}

static const char *parse_scheme(struct arena *arena, struct uri *uri, const char *text, struct error *err)
{
    const char *end = text + strcspn(text, ":/?#@");
    if (end == text || strncmp(end, "://", 3) != 0)
        return error_null(err, ERR_INVALID_ARG, "URI '%s' has no scheme; write it as DRIVER[+TRANSPORT]://[HOST]/PATH, "
                          "for example qemu:///system", text);
    const char *plus = memchr(text, '+', end - text);
    for (const char *c = text; c < end; c++)
        if (!isascii(*c) || !(isalnum((unsigned char)*c) || strchr("+-.", *c)) || (*c == '+' && c != plus))
            return error_null(err, ERR_INVALID_ARG, "URI '%s': '%c' at byte %zu cannot be in a scheme", text, *c,
                              (size_t)(c - text));
    if (plus == text || plus == end - 1)
        return error_null(err, ERR_INVALID_ARG, "URI '%s': the scheme needs a name on both sides of '+'", text);
    uri->driver = lower_case(arena, text, plus ? plus : end);
    if (plus)
        uri->transport = lower_case(arena, plus + 1, end);
    return end + 3;
}

static int parse_port(struct uri *uri, const char *text, const char *start, const char *end, struct error *err)
{
    uint32_t port = 0;
    for (const char *c = start; c < end; c++) {
        if (*c < '0' || *c > '9' || (port = port * 10 + (uint32_t)(*c - '0')) > UINT16_MAX)
            return error_set(err, ERR_INVALID_ARG, "URI '%s': the port '%.*s' at byte %zu is no number from 1 to 65535",
                             text, (int)(end - start), start, (size_t)(start - text));
    }
    if (start < end && port == 0)
        return error_set(err, ERR_INVALID_ARG, "URI '%s': port 0 at byte %zu; ports are 1 to 65535", text,
                         (size_t)(start - text));
    uri->port = (uint16_t)port;
    return 0;
}

static int parse_authority(struct arena *arena, struct uri *uri, const char *text, const char *start, const char *end,
                           struct error *err)
{
    const char *at = memrchr(start, '@', end - start);
    if (at) {
        uri->user = decode(arena, text, start, at, err);
        if (!uri->user)
            return -1;
        if (!*uri->user)
            return error_set(err, ERR_INVALID_ARG, "URI '%s': no user before the '@' at byte %zu", text,
                             (size_t)(at - text));
        start = at + 1;
    }
    const char *host_end;
    if (start < end && *start == '[') {
        host_end = memchr(start, ']', end - start);
        if (!host_end || (host_end + 1 < end && host_end[1] != ':'))
            return error_set(err, ERR_INVALID_ARG, "URI '%s': the '[' at byte %zu must be closed by ']' before the "
                             "port or the path", text, (size_t)(start - text));
        uri->host = decode(arena, text, start + 1, host_end, err);
        host_end++;
    } else {
        host_end = memchr(start, ':', end - start);
        if (host_end && memchr(host_end + 1, ':', end - host_end - 1))
            return error_set(err, ERR_INVALID_ARG, "URI '%s': the host at byte %zu has more than one ':'; an IPv6 "
                             "address is written in brackets, [::1]", text, (size_t)(start - text));
        host_end = host_end ? host_end : end;
        uri->host = decode(arena, text, start, host_end, err);
    }
    if (!uri->host)
        return -1;
    if (host_end < end && parse_port(uri, text, host_end + 1, end, err) < 0)
        return -1;
    if (!*uri->host && (uri->user || uri->port))
        return error_set(err, ERR_INVALID_ARG, "URI '%s': a user or a port without a host at byte %zu", text,
                         (size_t)(start - text));
    if (!*uri->host)
        uri->host = NULL;
    return 0;
}

static int parse_query(struct arena *arena, struct uri *uri, const char *text, const char *start, const char *end,
                       struct error *err)
{
    uri->parameters = arena_new_array(arena, URI_PARAMETER_MAX, struct uri_parameter);
    while (start < end) {
        const char *stop = start;
        while (stop < end && *stop != '&' && *stop != ';')
            stop++;
        if (stop > start) {
            if (uri->parameter_count == URI_PARAMETER_MAX)
                return error_set(err, ERR_INVALID_ARG, "URI '%s' has more than %d parameters", text, URI_PARAMETER_MAX);
            const char *equal = memchr(start, '=', stop - start);
            struct uri_parameter *parameter = &uri->parameters[uri->parameter_count++];
            parameter->name = decode(arena, text, start, equal ? equal : stop, err);
            if (!parameter->name)
                return -1;
            parameter->value = equal ? decode(arena, text, equal + 1, stop, err) : arena_strdup(arena, "");
            if (!parameter->value)
                return -1;
            if (!*parameter->name)
                return error_set(err, ERR_INVALID_ARG, "URI '%s': a parameter without a name at byte %zu", text,
                                 (size_t)(start - text));
        }
        start = stop + 1;
    }
    return 0;
}

struct uri *uri_parse(struct arena *arena, const char *text, struct error *err)
{
    if (strnlen(text, URI_LENGTH_MAX + 1) > URI_LENGTH_MAX)
        return error_null(err, ERR_INVALID_ARG, "URI '%.40s...' is longer than %d bytes", text, URI_LENGTH_MAX);
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            return error_null(err, ERR_INVALID_ARG, "URI '%s': byte %zu is a blank or control character; write it as "
                              "%%%02X", text, (size_t)(c - text), (unsigned char)*c);
    struct uri *uri = arena_struct(arena, struct uri);
    const char *authority = parse_scheme(arena, uri, text, err);
    if (!authority)
        return NULL;
    const char *path = authority + strcspn(authority, "/?#");
    const char *path_end = path + strcspn(path, "?#");
    if (parse_authority(arena, uri, text, authority, path, err) < 0)
        return NULL;
    uri->path = decode(arena, text, path, path_end, err);
    if (!uri->path)
        return NULL;
    if (*path_end == '?' &&
        parse_query(arena, uri, text, path_end + 1, path_end + strcspn(path_end, "#"), err) < 0)
        return NULL;
    return uri;
}

static void encode(struct text *out, const char *string, const char *also)
{
    for (; *string; string++) {
        unsigned char c = (unsigned char)*string;
        if ((isascii(c) && isalnum(c)) || strchr("-._~", c) || strchr(also, c))
            text_append_char(out, (char)c);
        else
            text_printf(out, "%%%02X", c);
    }
}

/* Path and parameters; with wire_only without those the client uses itself. */
static void format_rest(struct text *out, const struct uri *uri, bool wire_only)
{
    encode(out, uri->path, "/:@!$'()*+,;=");
    const char *separator = "?";
    for (size_t i = 0; i < uri->parameter_count; i++) {
        bool own = false;
        for (size_t k = 0; wire_only && k < COUNT(client_parameters); k++)
            own |= strcmp(uri->parameters[i].name, client_parameters[k]) == 0;
        if (own)
            continue;
        text_append(out, separator);
        encode(out, uri->parameters[i].name, "");
        text_append(out, "=");
        encode(out, uri->parameters[i].value, "/:@");
        separator = "&";
    }
}

char *uri_format(struct arena *arena, const struct uri *uri)
{
    scoped_text struct text out = {0};
    text_append(&out, uri->driver);
    if (uri->transport)
        text_printf(&out, "+%s", uri->transport);
    text_append(&out, "://");
    if (uri->user) {
        encode(&out, uri->user, "");
        text_append(&out, "@");
    }
    if (uri->host) {
        bool brackets = strchr(uri->host, ':') != NULL;
        text_append(&out, brackets ? "[" : "");
        encode(&out, uri->host, ":");
        text_append(&out, brackets ? "]" : "");
    }
    if (uri->port)
        text_printf(&out, ":%u", uri->port);
    format_rest(&out, uri, false);
    return arena_strdup(arena, text_string(&out));
}

const char *uri_parameter(const struct uri *uri, const char *name)
{
    const char *value = NULL;
    for (size_t i = 0; i < uri->parameter_count; i++)
        if (strcmp(uri->parameters[i].name, name) == 0)
            value = uri->parameters[i].value;
    return value;
}

static int check_choice(const struct uri *uri, const char *name, const char *const *allowed, struct error *err)
{
    const char *value = uri_parameter(uri, name);
    if (!value)
        return 0;
    for (size_t i = 0; allowed[i]; i++)
        if (strcmp(value, allowed[i]) == 0)
            return 0;
    return error_set(err, ERR_INVALID_ARG, "URI parameter %s='%s': the allowed values are %s, %s and %s", name, value,
                     allowed[0], allowed[1], allowed[2]);
}

int uri_connection_transport(const struct uri *uri, enum uri_transport *transport, struct error *err)
{
    static const char *const modes[] = {"auto", "legacy", "direct", NULL};
    static const char *const proxies[] = {"auto", "native", "netcat", NULL};
    static const char *const names[] = {[URI_TRANSPORT_UNIX] = "unix", [URI_TRANSPORT_TCP] = "tcp",
                                        [URI_TRANSPORT_SSH] = "ssh"};
    if (!uri->transport && uri->host)
        return error_set(err, ERR_NO_CONNECT, "a URI with a host ('%s') and no transport means TLS, which is not "
                         "served; use %s+ssh:// or %s+tcp://", uri->host, uri->driver, uri->driver);
    const char *asked = uri->transport ? uri->transport : "unix";
    size_t found = 0;
    while (found < COUNT(names) && strcmp(asked, names[found]) != 0)
        found++;
    if (found == COUNT(names))
        return error_set(err, ERR_INVALID_ARG, "transport '%s' in the URI is not known; the transports are unix, tcp "
                         "and ssh", asked);
    if (found == URI_TRANSPORT_UNIX && uri->host)
        return error_set(err, ERR_INVALID_ARG, "a unix socket is on this host, but the URI names the host '%s'; use "
                         "%s+ssh:// or %s+tcp://", uri->host, uri->driver, uri->driver);
    if (found != URI_TRANSPORT_UNIX && !uri->host)
        return error_set(err, ERR_INVALID_ARG, "transport '%s' needs a host: %s+%s://HOST/system", asked, uri->driver,
                         asked);
    if (string_equal(uri->driver, "qemu") && !uri_parameter(uri, "name") && strcmp(uri->path, "/system") != 0 &&
        strcmp(uri->path, "/session") != 0)
        return error_set(err, ERR_INVALID_ARG, "URI path '%s': qemu has /system and /session", uri->path);
    if (check_choice(uri, "mode", modes, err) < 0 || check_choice(uri, "proxy", proxies, err) < 0)
        return -1;
    *transport = (enum uri_transport)found;
    return 0;
}

char *uri_wire_name(struct arena *arena, const struct uri *uri)
{
    const char *name = uri_parameter(uri, "name");
    if (name)
        return arena_strdup(arena, name);
    scoped_text struct text out = {0};
    text_printf(&out, "%s://", uri->driver);
    format_rest(&out, uri, true);
    return arena_strdup(arena, text_string(&out));
}
