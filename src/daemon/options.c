/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/options.h"

#include <string.h>

#include "base/files.h"
#include "version.h"

enum kind { TEXT, NUMBER, OCTAL, FLAG };

#define ROW(name, field) name, offsetof(struct options, field)
static const struct option_row {
    const char *name;
    size_t offset;
    enum kind kind;
    const char *preset; /* as text; NULL = unset */
    uint32_t low, high; /* of numbers */
    const char *argument, *help;
} rows[] = {
    {ROW("root", root), TEXT, "/", 0, 0, "DIR", "everything the daemon touches lies under this directory"},
    {ROW("config", config), TEXT, NULL, 0, 0, "FILE",
     "settings, one NAME = VALUE a line (default: etc/godwit/godwitd.conf below the root)"},
    {ROW("hostname", hostname), TEXT, NULL, 0, 0, "NAME", "what this host is called (default: the machine's name)"},
    {ROW("host-uuid", host_uuid), TEXT, NULL, 0, 0, "UUID", "what tells this host from others (default: the "
     "machine's)"},
    {ROW("listen-tcp", listen_tcp), TEXT, NULL, 0, 0, "ADDR:PORT",
     "also listen there, without any authentication: for trusted networks only"},
    {ROW("migration-address", migration_address), TEXT, NULL, 0, 0, "ADDR",
     "where other hosts reach this one for migrations (default: the host's name)"},
    {ROW("migration-ports", migration_ports), TEXT, "49152-49215", 0, 0, "FIRST-LAST",
     "ports for incoming migrations"},
    {ROW("unix-group", unix_group), TEXT, NULL, 0, 0, "GROUP", "group that owns the sockets"},
    {ROW("unix-mode", unix_mode), OCTAL, "0700", 0, 0777, "MODE", "access to the read-write socket"},
    {ROW("unix-readonly-mode", unix_readonly_mode), OCTAL, "0777", 0, 0777, "MODE", "access to the read-only socket"},
    {ROW("max-clients", max_clients), NUMBER, "5000", 1, 100000, "N",
     "clients served at once, more wait to be accepted; a tenth of them (20 at least) from one user but root, and none "
     "of the last tenth on the read-only socket"},
    {ROW("max-client-requests", max_client_requests), NUMBER, "5", 1, 1000, "N",
     "calls of one client worked on at once"},
    {ROW("keepalive-interval", keepalive_interval), NUMBER, "5", 0, 86400, "SECONDS",
     "ask silent clients whether they are there; 0 = never"},
    {ROW("keepalive-count", keepalive_count), NUMBER, "5", 0, 1000, "N",
     "drop a client after so many unanswered questions"},
    {ROW("hook-timeout", hook_timeout), NUMBER, "120", 1, 86400, "SECONDS",
     "a script below etc/libvirt/hooks that runs longer is killed"},
    {ROW("log-level", log_level), TEXT, "info", 0, 0, "LEVEL", "debug, info, warning or error"},
    {ROW("help", help), FLAG, NULL, 0, 0, NULL, "print this"},
    {ROW("man", man), FLAG, NULL, 0, 0, NULL, "print the manual page (for man -l -)"},
    {ROW("version", version), FLAG, NULL, 0, 0, NULL, "print the version"},
};

static const struct option_row *row_find(const char *name, size_t length)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        if (strlen(rows[i].name) == length && strncmp(rows[i].name, name, length) == 0)
            return &rows[i];
    return NULL;
}

static int set(struct options *options, const struct option_row *row, const char *value, const char *place,
               struct error *err)
{
    void *field = (char *)options + row->offset;
    uint32_t number;
    switch (row->kind) {
    case FLAG:
        *(bool *)field = true;
        return 0;
    case TEXT:
        *(const char **)field = arena_strdup(options->arena, value);
        return 0;
    default:
        if (parse_u32(value, row->kind == OCTAL ? 8 : 10, &number) < 0 || number < row->low || number > row->high)
            return error_set(err, ERR_CONF_SYNTAX,
                             row->kind == OCTAL ? "%s: %s: '%s' is not an octal mode from %o to %o"
                                                : "%s: %s: '%s' is not a number from %u to %u",
                             place, row->name, value, row->low, row->high);
        *(uint32_t *)field = number;
        return 0;
    }
}

/* Every option that the file names and the command line does not. */
static int read_line(struct options *options, char *line, const char *place, const bool *given, struct error *err)
{
    line += strspn(line, " \t");
    line[strcspn(line, "\r")] = '\0';
    if (!*line || *line == '#')
        return 0;
    char *equals = strchr(line, '=');
    if (!equals)
        return error_set(err, ERR_CONF_SYNTAX, "%s: '%s' is not NAME = VALUE", place, line);
    size_t length = (size_t)(equals - line);
    while (length && strchr(" \t", line[length - 1]))
        length--;
    const struct option_row *row = row_find(line, length);
    if (!row || row->kind == FLAG || row->offset == offsetof(struct options, root) ||
        row->offset == offsetof(struct options, config))
        return error_set(err, ERR_CONF_SYNTAX, "%s: there is no setting '%.*s'; godwitd --help lists them", place,
                         (int)length, line);
    char *value = equals + 1 + strspn(equals + 1, " \t");
    for (size_t end = strlen(value); end && strchr(" \t", value[end - 1]); end--)
        value[end - 1] = '\0';
    return given[row - rows] ? 0 : set(options, row, value, place, err);
}

static int read_file(struct options *options, const bool *given, struct error *err)
{
    const char *path = options->config;
    if (!path) {
        path = arena_printf(options->arena, "%s/etc/godwit/godwitd.conf", options->root);
        if (access(path, F_OK) < 0)
            return 0;
    }
    char *text = file_read(options->arena, path, 1024 * 1024, NULL, err), *rest = text;
    if (!text)
        return -1;
    unsigned number = 0;
    for (char *line; (line = strsep(&rest, "\n"));)
        if (read_line(options, line, arena_printf(options->arena, "%s:%u", path, ++number), given, err) < 0)
            return -1;
    return 0;
}

static int read_arguments(struct options *options, int argc, char **argv, bool *given, struct error *err)
{
    for (int i = 1; i < argc; i++) {
        const char *word = string_after(argv[i], "--");
        size_t length = word ? strcspn(word, "=") : 0;
        const struct option_row *row = length ? row_find(word, length) : NULL;
        if (!row)
            return error_set(err, ERR_INVALID_ARG, "there is no option '%s'; godwitd --help lists them", argv[i]);
        const char *value = word[length] == '=' ? word + length + 1 : NULL;
        if (row->kind == FLAG && value)
            return error_set(err, ERR_INVALID_ARG, "--%s takes no value", row->name);
        if (row->kind != FLAG && !value && !(value = argv[++i]))
            return error_set(err, ERR_INVALID_ARG, "--%s needs a value: %s", row->name, row->argument);
        if (set(options, row, value, "command line", err) < 0)
            return -1;
        given[row - rows] = true;
    }
    return 0;
}

static int check(struct options *options, struct error *err)
{
    unsigned first, last;
    char end;
    if (sscanf(options->migration_ports, "%u-%u%c", &first, &last, &end) != 2 || first < 1 || last > 65535 ||
        first > last)
        return error_set(err, ERR_CONF_SYNTAX,
                         "--migration-ports: '%s' is not FIRST-LAST with 1 <= FIRST <= LAST <= 65535",
                         options->migration_ports);
    options->migration_port_first = (uint16_t)first;
    options->migration_port_last = (uint16_t)last;
    unsigned char uuid[UUID_SIZE];
    if (options->host_uuid && uuid_parse(options->host_uuid, uuid) < 0)
        return error_set(err, ERR_CONF_SYNTAX, "--host-uuid: '%s' is not a UUID", options->host_uuid);
    static const char *const levels[] = {"debug", "info", "warning", "error"};
    for (size_t i = 0; i < COUNT(levels); i++)
        if (strcmp(levels[i], options->log_level) == 0)
            return 0;
    return error_set(err, ERR_CONF_SYNTAX, "--log-level: '%s' is not one of debug, info, warning, error",
                     options->log_level);
}

struct options *options_read(int argc, char **argv, struct error *err)
{
    struct arena *arena = arena_new();
    scoped_options struct options *options = arena_struct(arena, struct options);
    options->arena = arena;
    bool given[COUNT(rows)] = {0};
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].preset && set(options, &rows[i], rows[i].preset, "default", err) < 0)
            return NULL;
    if (read_arguments(options, argc, argv, given, err) < 0)
        return NULL;
    if (options->help || options->man || options->version)
        return steal(options);
    if (read_file(options, given, err) < 0 || check(options, err) < 0)
        return NULL;
    return steal(options);
}

void options_free(struct options *options)
{
    if (options)
        arena_free(options->arena);
}

void options_help(FILE *out)
{
    fprintf(out, "Usage: godwitd [OPTION...]\nRuns the Godwit virtualization daemon in the foreground.\n\n");
    for (size_t i = 0; i < COUNT(rows); i++) {
        scoped_free char *left = rows[i].argument ? xprintf("--%s %s", rows[i].name, rows[i].argument)
                                                  : xprintf("--%s", rows[i].name);
        fprintf(out, "  %-34s %s%s%s%s\n", left, rows[i].help, rows[i].preset ? " (default: " : "",
                rows[i].preset ? rows[i].preset : "", rows[i].preset ? ")" : "");
    }
}

void options_man(FILE *out)
{
    fprintf(out, ".TH GODWITD 8 \"\" \"godwit %s\"\n.SH NAME\ngodwitd \\- virtualization daemon for QEMU/KVM\n"
                 ".SH SYNOPSIS\n.B godwitd\n[\\fIOPTION\\fR...]\n.SH DESCRIPTION\n"
                 "Runs in the foreground and serves libvirt's clients (virsh, virt-manager, virt-install, the "
                 "language\nbindings) and\n.BR godwit (1)\nover libvirt's own protocol. Its guests are processes of "
                 "their own: they run on when the daemon\nends, and are found again by the next one.\n.SH OPTIONS\n"
                 "Each can also stand in the configuration file as NAME = VALUE.\n", GODWIT_VERSION);
    for (size_t i = 0; i < COUNT(rows); i++)
        fprintf(out, ".TP\n.B \\-\\-%s%s%s\n%s%s%s.\n", rows[i].name, rows[i].argument ? "\\fR \\fI" : "",
                rows[i].argument ? rows[i].argument : "", rows[i].help, rows[i].preset ? "; default: " : "",
                rows[i].preset ? rows[i].preset : "");
    fprintf(out, ".SH FILES\nAll below the root:\n.TP\n.I run/libvirt/libvirt-sock, libvirt-sock-ro\n"
                 "where clients connect, for everything and for looking only\n.TP\n.I etc/godwit/godwitd.conf\nsettings"
                 "\n.TP\n.I etc/godwit/domains\ndefinitions, one file a domain\n.TP\n.I run/godwit/domains\n"
                 "running guests\n.TP\n.I var/log/godwit\nwhat QEMU says, one file a domain\n"
                 ".SH SIGNALS\nSIGTERM and SIGINT end the daemon and leave the guests running. SIGKILL does no more "
                 "harm.\n.SH SEE ALSO\n.BR godwit (1),\n.BR virsh (1)\n");
}
