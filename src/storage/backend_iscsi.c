/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/files.h"
#include "model/xml.h"
#include "storage/block.h"
#include "storage/iscsi.h"
#include "storage/pool.h"
#include "storage/scsi.h"
#include "storage/tool.h"

/* The disks of an iSCSI target that the kernel is logged in to, by iscsiadm. */

#define SESSIONS    "/sys/class/iscsi_session"
#define CONNECTIONS "/sys/class/iscsi_connection"

static int check(struct pool_def *def, struct error *err)
{
    if (iscsi_check_source(&def->source, "iscsi", err) < 0)
        return -1;
    if (def->source.auth)
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "<auth>: logging in with a secret is not served for pools of "
                         "type 'iscsi' yet; put the credentials into the record of the target (iscsiadm --mode node "
                         "--op update)");
    if (!def->target.path)
        return error_set(err, ERR_XML_ERROR, "missing storage pool target path; the usual one is /dev/disk/by-path");
    return 0;
}

/* -- sessions ------------------------------------------------------------------------------------------------------ */

/* The record of the initiator's name: iscsiadm calls it an interface. */
static const char *interface_of(struct arena *arena, const struct pool_def *def)
{
    uint32_t hash = 2166136261; /* FNV-1a, so that every daemon finds the same one */
    if (!def->source.initiator)
        return "default";
    for (const char *c = def->source.initiator; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619;
    return arena_printf(arena, "godwit-%08" PRIx32, hash);
}

static const char *sys_value(struct arena *arena, const char *folder, const char *entry, const char *what)
{
    scoped_free char *path = xprintf("%s/%s/%s", folder, entry, what);
    char *value = file_read(arena, path, 4096, NULL, NULL);
    if (value)
        value[strcspn(value, "\n")] = '\0';
    return value;
}

static bool session_says(struct arena *arena, const char *session, const char *what, const char *word)
{
    return string_equal(sys_value(arena, SESSIONS, session, what), word);
}

/* Of a host's name nobody knows here which addresses it has: it is different from none. */
static bool different_addresses(const char *a, const char *b)
{
    unsigned char one[sizeof(struct in6_addr)], other[sizeof one];
    for (size_t i = 0; i < 2; i++) {
        int family = i ? AF_INET6 : AF_INET;
        if (inet_pton(family, a, one) == 1)
            return inet_pton(family, b, other) == 1 &&
                   memcmp(one, other, i ? sizeof(struct in6_addr) : sizeof(struct in_addr)) != 0;
    }
    return false;
}

/* Two servers may have targets of one name: restored ones, copies. "session3" has the connection "connection3:0". */
static bool is_with_server(struct arena *arena, const char *session, const struct pool_source *source)
{
    const char *number = string_after(session, "session");
    const char *connection = arena_printf(arena, "connection%s:0", number ? number : "");
    const char *port = sys_value(arena, CONNECTIONS, connection, "persistent_port");
    const char *address = sys_value(arena, CONNECTIONS, connection, "persistent_address");
    uint32_t known;
    return !(port && parse_u32(port, 10, &known) == 0 && known != iscsi_port(source)) &&
           !(address && different_addresses(address, source->hosts.item[0]->name));
}

/* "/sys/devices/platform/host3/session1/iscsi_session/session1" */
static bool host_of_session(const char *session, unsigned *host)
{
    scoped_free char *link = xprintf(SESSIONS "/%s", session);
    scoped_free char *real = realpath(link, NULL);
    const char *part = real ? strstr(real, "/host") : NULL;
    return part && sscanf(part, "/host%u/", host) == 1;
}

/* The number of the SCSI host of the session with the target; false when there is none. Reads /sys alone. */
static bool session_host(const struct pool_def *def, unsigned *host)
{
    scoped_arena struct arena *arena = arena_new();
    const char *interface = interface_of(arena, def);
    DIR *directory = opendir(SESSIONS);
    bool found = false;
    for (struct dirent *entry; !found && directory && (entry = readdir(directory));)
        found = entry->d_name[0] != '.' &&
                session_says(arena, entry->d_name, "targetname", iscsi_target(&def->source)) &&
                is_with_server(arena, entry->d_name, &def->source) &&
                (!def->source.initiator || session_says(arena, entry->d_name, "ifacename", interface)) &&
                host_of_session(entry->d_name, host);
    if (directory)
        closedir(directory);
    return found;
}

static bool running(const struct pool_def *def)
{
    unsigned host;
    return session_host(def, &host);
}

/* -- logging in and out -------------------------------------------------------------------------------------------- */

static int node(const struct pool_def *def, struct error *err, const char *first, const char *second, const char *name,
                const char *value)
{
    scoped_arena struct arena *arena = arena_new();
    struct argv *argv = argv_new(arena);
    const char *const words[] = {"iscsiadm", "--mode", "node", "--targetname", iscsi_target(&def->source), "--portal",
                                 iscsi_portal(arena, &def->source), "--interface", interface_of(arena, def), first};
    for (size_t i = 0; i < COUNT(words); i++)
        argv_add(argv, words[i]);
    if (second)
        argv_add(argv, second);
    if (name) {
        argv_add(argv, "--name");
        argv_add(argv, name);
        argv_add(argv, "--value");
        argv_add(argv, value);
    }
    return tool_run_argv(NULL, argv, err);
}

static int make_interface(const struct pool_def *def, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    const char *name = interface_of(arena, def);
    if (!def->source.initiator)
        return 0;
    scoped_free char *record = xprintf("/etc/iscsi/ifaces/%s", name);
    if (access(record, F_OK) < 0 &&
        tool_run(NULL, err, "iscsiadm", "--mode", "iface", "--interface", name, "--op", "new", NULL) < 0)
        return -1;
    return tool_run(NULL, err, "iscsiadm", "--mode", "iface", "--interface", name, "--op", "update", "--name",
                    "iface.initiatorname", "--value", def->source.initiator, NULL);
}

/* The record of the target is made without asking the server what it has: it may have targets that are none of our
 * business. The host's own start does not log in to it: the pool's does. */
static int start(struct pool *pool, struct pool_def *def, struct error *err)
{
    if (running(def))
        return 0;
    if (block_require_module("/sys/class/iscsi_transport/tcp", "iscsi_tcp", err) < 0 || make_interface(def, err) < 0 ||
        node(def, err, "--op", "new", NULL, NULL) < 0 ||
        node(def, err, "--op", "update", "node.startup", "manual") < 0)
        return -1;
    if (node(def, err, "--login", NULL, NULL, NULL) == 0)
        return 0;
    bool before = fiber_shield(true);
    if (running(def)) /* it was cut off when it was logged in */
        node(def, NULL, "--logout", NULL, NULL, NULL);
    fiber_shield(before);
    return -1;
}

static int stop(struct pool *pool, const struct pool_def *def, struct error *err)
{
    return running(def) ? node(def, err, "--logout", NULL, NULL, NULL) : 0;
}

static int list(struct pool *pool, const struct pool_def *def, struct listing *listing, struct error *err)
{
    unsigned host;
    if (!session_host(def, &host))
        return error_set(err, ERR_OPERATION_FAILED, "the host is not logged in to target '%s'",
                         iscsi_target(&def->source));
    return scsi_list(def, host, listing, err);
}

/* -- what a server has --------------------------------------------------------------------------------------------- */

/* "10.0.0.5:3260,1 iqn.2010-05.com.example:disks" */
static int find(const struct pool_source *spec, struct text *out, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    scoped_text struct text answer = {0};
    if (iscsi_check_host(spec, "iscsi", err) < 0 ||
        tool_run(&answer, err, "iscsiadm", "--mode", "discovery", "--type", "sendtargets", "--op", "nonpersistent",
                 "--portal", iscsi_portal(arena, spec), NULL) < 0)
        return -1;
    for (char *rest = answer.data, *line; (line = strsep(&rest, "\n"));) {
        const char *target = strrchr(line, ' ');
        if (target)
            iscsi_tell_target(arena, spec, target + 1, out);
    }
    return 0;
}

const struct backend iscsi_backend = {
    .type = POOL_TYPE_ISCSI,
    .program = "iscsiadm",
    .package = "open-iscsi",
    .check = check,
    .same = iscsi_same,
    .running = running,
    .start = start,
    .stop = stop,
    .list = list,
    .find = find,
};
