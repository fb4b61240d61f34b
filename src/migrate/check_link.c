/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/check.h"

#include <string.h>

/* Rules about networks, displays, labels, and the way between the hosts. */

static const char *addresses_text(struct arena *arena, const json_t *list)
{
    scoped_text struct text words = {0};
    for (size_t i = 0; i < json_array_size(list); i++)
        text_printf(&words, "%s%s", i ? ", " : "", fact_item(list, i));
    return words.length ? arena_strdup(arena, words.data) : NULL;
}

/* -- the guest's networks ------------------------------------------------------------------------------------------ */

/* Called for each interface with what the destination found of it; found NULL = nothing. */
static void each_interface(struct check *check, void (*rule)(struct check *check, const json_t *here,
                                                             const json_t *there, const char *subject))
{
    const json_t *list = fact(check->question, "guest.interfaces"), *found = fact(check->answer, "interfaces");
    for (size_t i = 0; i < json_array_size(list) && check->answer; i++) {
        const json_t *here = json_array_get(list, i);
        const char *mac = fact_text(here, "mac");
        rule(check, here, fact_find(found, "mac", mac), arena_printf(check->arena, "interface %s", mac ?: "?"));
    }
}

static const char *source_of(struct check *check, const json_t *interface)
{
    const char *network = fact_text(interface, "network"), *bridge = fact_text(interface, "bridge");
    const char *dev = fact_text(interface, "dev"), *type = fact_text(interface, "type") ?: "";
    if (!strcmp(type, "network"))
        return arena_printf(check->arena, "network '%s'", network ?: "");
    if (!strcmp(type, "bridge"))
        return arena_printf(check->arena, "bridge '%s'", bridge ?: "");
    return dev ? arena_printf(check->arena, "device '%s'", dev) : NULL;
}

static void network(struct check *check, const json_t *here, const json_t *there, const char *subject)
{
    const char *source = source_of(check, here), *state = fact_text(there, "state");
    if (!source)
        return; /* user, ethernet, ...: nothing that the destination has to have */
    if (!state)
        check_unknown(check, subject, source, NULL);
    else if (!strcmp(state, "active"))
        check_good(check, subject, source, state);
    else
        check_bad(check, subject, source, state, strcmp(state, "not there")
                      ? "start it there (net-start, ip link set ... up)"
                      : "make it there, or name another with --xml");
}

void check_networks(struct check *check)
{
    each_interface(check, network);
}

/* Network part of "ADDRESS/PREFIX" of IPv4, and its length; 0 when it is none. */
static unsigned network_of(const char *text, uint32_t *address)
{
    unsigned byte[4], prefix;
    if (sscanf(text, "%u.%u.%u.%u/%u", &byte[0], &byte[1], &byte[2], &byte[3], &prefix) != 5 || prefix > 32 || !prefix)
        return 0;
    *address = 0;
    for (int i = 0; i < 4; i++)
        *address = *address << 8 | (byte[i] & 0xff);
    return prefix;
}

/* 1 when some network is on both sides, 0 when none is, -1 when a side has none. */
static int share_network(const json_t *here, const json_t *there)
{
    int result = -1;
    for (size_t i = 0; i < json_array_size(here); i++)
        for (size_t j = 0; j < json_array_size(there); j++) {
            uint32_t a = 0, b = 0;
            unsigned long_a = network_of(fact_item(here, i), &a), long_b = network_of(fact_item(there, j), &b);
            unsigned prefix = long_a < long_b ? long_a : long_b;
            if (!prefix)
                continue;
            uint32_t mask = UINT32_MAX << (32 - prefix);
            if ((a & mask) == (b & mask))
                return 1;
            result = 0;
        }
    return result;
}

static void segment(struct check *check, const json_t *here, const json_t *there, const char *subject)
{
    const json_t *ours = fact(here, "addresses"), *theirs = fact(there, "addresses");
    int shared = share_network(ours, theirs);
    const char *left = addresses_text(check->arena, ours), *right = addresses_text(check->arena, theirs);
    if (shared > 0)
        check_good(check, subject, left, right);
    else if (shared == 0)
        check_bad(check, subject, left, right, "bridge the same segment on both hosts, or map the guest to another "
                                               "bridge with --xml");
}

void check_segment(struct check *check)
{
    each_interface(check, segment);
}

void check_graphics(struct check *check)
{
    const json_t *list = fact(check->question, "guest.graphics"), *found = fact(check->answer, "graphics");
    for (size_t i = 0; i < json_array_size(list) && check->answer; i++) {
        const json_t *here = json_array_get(list, i), *there = json_array_get(found, i);
        const char *listen = fact_text(here, "listen"), *type = fact_text(here, "type"), *fault;
        int64_t port;
        if (!listen)
            continue;
        fact_number(here, "port", &port);
        const char *place = port ? arena_printf(check->arena, "%s port %lld", listen, (long long)port) : listen;
        if (!there)
            check_unknown(check, type, place, NULL);
        else if ((fault = fact_text(there, "error")))
            check_bad(check, type, place, fault, "listen on 0.0.0.0 with autoport='yes', or name another address with "
                      "--xml");
        else
            check_good(check, type, place, "free");
    }
}

void check_seclabel(struct check *check)
{
    const json_t *labels = fact(check->question, "guest.seclabels"), *models = fact(check->answer, "host.seclabels");
    for (size_t i = 0; i < json_array_size(labels) && check->answer; i++) {
        const char *model = fact_text(json_array_get(labels, i), "model");
        const char *there = addresses_text(check->arena, models);
        /* others are given anew by each host; owner and group (dac) are set as the destination is told */
        if (fact_flag(json_array_get(labels, i), "static") != 1 || !model || !strcmp(model, "dac"))
            continue;
        if (!models)
            check_unknown(check, NULL, model, NULL);
        else if (fact_list_has(models, model))
            check_good(check, NULL, model, there);
        else
            check_bad(check, NULL, model, there ?: "none", "enable the same security model there, or drop the label "
                                                           "with --xml");
    }
}

/* -- the way between the hosts ------------------------------------------------------------------------------------- */

void check_resolve_there(struct check *check)
{
    const char *host = fact_text(check->answer, "listener.host");
    const char *fault = fact_text(check->question, "link.unresolved");
    if (!host || !fact(check->question, "link"))
        return;
    const char *addresses = addresses_text(check->arena, fact(check->question, "link.addresses"));
    if (fault)
        check_bad(check, NULL, fault, host, "give the destination an address that others can use (--migration-address "
                  "of its daemon, or --migrateuri)");
    else
        check_good(check, NULL, addresses, host);
}

static bool all_loopback(const json_t *addresses)
{
    size_t count = json_array_size(addresses), loopback = 0;
    for (size_t i = 0; i < count; i++)
        loopback += string_starts(fact_item(addresses, i), "127.") || !strcmp(fact_item(addresses, i), "::1");
    return count && loopback == count;
}

void check_resolve_back(struct check *check)
{
    const char *name = fact_text(check->question, "host.hostname"), *fault = fact_text(check->answer, "back.error");
    const json_t *addresses = fact(check->answer, "back.addresses");
    static const char remedy[] = "enter it in DNS or in /etc/hosts there; until then the way back needs --migrateuri";
    if (!fact(check->answer, "back"))
        return;
    const char *there = addresses_text(check->arena, addresses);
    if (fault)
        check_bad(check, NULL, name, fault, remedy);
    else if (all_loopback(addresses))
        check_bad(check, NULL, name, arena_printf(check->arena, "%s, which is the destination itself", there), remedy);
    else
        check_good(check, NULL, name, there);
}

void check_port(struct check *check)
{
    const char *host = fact_text(check->answer, "listener.host"), *fault = fact_text(check->question, "link.error");
    const char *closed = fact_text(check->answer, "listener.error");
    int64_t port;
    static const char remedy[] = "open the migration ports (49152-49215) in the firewalls between the hosts, or name "
                                 "an address that is reachable with --migrateuri";
    if (closed) {
        check_bad(check, NULL, NULL, closed, "free a port of the destination's migration range");
        return;
    }
    if (!host && string_equal(fact_text(check->answer, "kind"), "libvirt"))
        check_unknown(check, NULL, NULL, NULL);
    if (!host || !fact_number(check->answer, "listener.port", &port) || fact_text(check->question, "link.unresolved"))
        return;
    const char *place = arena_printf(check->arena, "%s port %lld", host, (long long)port);
    if (fact_flag(check->question, "link.connected") == 1)
        check_good(check, NULL, "connected", place);
    else if (fault)
        check_bad(check, NULL, fault, place, remedy);
    else
        check_unknown(check, NULL, "not tried", place);
}

void check_clock(struct check *check)
{
    int64_t asked, received, answered, back;
    if (!fact_number(check->question, "asked_ms", &asked) || !fact_number(check->answer, "received_ms", &received) ||
        !fact_number(check->answer, "answered_ms", &answered) || !fact_number(check->question, "back_ms", &back))
        return;
    /* half of the time on the way is the most that the difference can be wrong by */
    int64_t skew = ((received - asked) + (answered - back)) / 2, doubt = ((back - asked) - (answered - received)) / 2;
    int64_t amount = skew < 0 ? -skew : skew;
    const char *there = arena_printf(check->arena, "%lld ms %s (+-%lld ms)", (long long)amount,
                                     skew < 0 ? "behind" : "ahead", (long long)doubt);
    if (amount - doubt > 1000)
        check_bad(check, NULL, NULL, there, "synchronize both clocks (chrony, systemd-timesyncd)");
    else
        check_good(check, NULL, NULL, there);
}

void check_clients(struct check *check)
{
    int64_t count, most;
    if (!fact_number(check->answer, "clients.count", &count) || !fact_number(check->answer, "clients.max", &most))
        return;
    const char *there = arena_printf(check->arena, "%lld of %lld", (long long)count, (long long)most);
    if (count + 2 > most)
        check_bad(check, NULL, NULL, there, "raise max-clients of the daemon there, or end idle clients");
    else
        check_good(check, NULL, NULL, there);
}

void check_ssh(struct check *check)
{
    int64_t starts;
    if (!fact_number(check->answer, "host.ssh_startups", &starts))
        return;
    const char *there = arena_printf(check->arena, "MaxStartups %lld", (long long)starts);
    if (starts < 10)
        check_bad(check, NULL, NULL, there, "raise it in sshd_config there before moving many guests at once");
    else
        check_good(check, NULL, NULL, there);
}

void check_converges(struct check *check)
{
    const json_t *prediction = fact(check->question, "prediction");
    int64_t dirty, bandwidth;
    if (!fact_number(prediction, "dirty_bps", &dirty) || !fact_number(prediction, "bandwidth_bps", &bandwidth))
        return;
    const char *here = arena_printf(check->arena, "dirties %lld MiB/s", (long long)dirty >> 20);
    const char *there = arena_printf(check->arena, "the link carries %lld MiB/s", (long long)bandwidth >> 20);
    if (fact_flag(prediction, "converges") == 1)
        check_good(check, NULL, here, there);
    else
        check_bad(check, NULL, here, there, "allow --auto-converge or --postcopy, or wait for a quieter hour");
}
