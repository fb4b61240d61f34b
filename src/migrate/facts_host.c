/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "base/files.h"
#include "host/memory.h"
#include "migrate/facts.h"
#include "migrate/preflight.h"

/* What a host says of itself. */

enum qemu_accel accel_of(const char *virt_type)
{
    return string_equal(virt_type, "kvm") ? QEMU_KVM : QEMU_TCG;
}

static bool have_program(const char *name)
{
    static const char *const folders[] = {"/usr/local/bin", "/usr/bin", "/bin"};
    for (size_t i = 0; i < COUNT(folders); i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s", folders[i], name);
        if (access(path, X_OK) == 0)
            return true;
    }
    return false;
}

/* The first number of MaxStartups; sshd's own default is 10. 0 when there is no sshd. */
static uint64_t ssh_startups(void)
{
    scoped_arena struct arena *arena = arena_new();
    char *text = file_read(arena, "/etc/ssh/sshd_config", 1 << 20, NULL, NULL), *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        const char *value = string_after(line + strspn(line, " \t"), "MaxStartups");
        unsigned long number = value ? strtoul(value + strspn(value, " \t="), NULL, 10) : 0;
        if (number)
            return number;
    }
    return text ? 10 : 0;
}

json_t *facts_of_host(const struct driver *driver, const struct qemu_caps *caps, enum qemu_accel accel)
{
    char uuid[UUID_STRING_SIZE];
    struct cpu_set online;
    json_t *host = json_object();
    uuid_format(driver->options.host_uuid, uuid);
    facts_put(host, "hostname", driver->options.hostname);
    facts_put(host, "uuid", uuid);
    if (sysfs_read_cpu_set(&online, "", "/sys/devices/system/cpu/online") == 0 && cpu_set_end(&online))
        facts_put_number(host, "last_cpu", cpu_set_end(&online) - 1);
    if (caps && caps->accel[accel].host_model_id)
        json_object_set_new(host, "cpu", json_sprintf("%s (family %u, model %u, stepping %u)",
                                                      caps->accel[accel].host_model_id, caps->accel[accel].host_family,
                                                      caps->accel[accel].host_model,
                                                      caps->accel[accel].host_stepping));
    json_object_set_new(host, "seclabels", json_pack("[s]", "none")); /* there is no other driver */
    json_object_set_new(host, "swtpm", json_boolean(have_program("swtpm")));
    facts_put_number(host, "ssh_startups", ssh_startups());
    return host;
}

/* -- memory -------------------------------------------------------------------------------------------------------- */

static uint64_t meminfo_kib(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static json_t *free_hugepages(void)
{
    scoped_arena struct arena *arena = arena_new();
    struct page_pools pools;
    json_t *list = json_array();
    page_pools_read(arena, &pools, topology_read(arena, ""), "", CELL_ALL);
    for (unsigned i = 1; i < pools.count; i++) /* the first is of normal pages */
        json_array_append_new(list, json_pack("{s:i, s:I}", "size_kib", (int)pools.pools[i].size_kib, "free",
                                              (json_int_t)pools.pools[i].free));
    return list;
}

json_t *facts_of_memory(const json_t *question)
{
    char text[4096];
    json_t *memory = json_object();
    if (sysfs_read(text, sizeof text, "", "/proc/meminfo") > 0) {
        facts_put_number(memory, "total_kib", meminfo_kib(text, "MemTotal:"));
        facts_put_number(memory, "available_kib", meminfo_kib(text, "MemAvailable:"));
        facts_put_number(memory, "swap_free_kib", meminfo_kib(text, "SwapFree:"));
    }
    if (fact_flag(question, "guest.hugepages") == 1)
        json_object_set_new(memory, "hugepages", free_hugepages());
    return memory;
}

/* -- network ------------------------------------------------------------------------------------------------------- */

const char *bridge_state(const char *bridge)
{
    char flags[16];
    if (strchr(bridge, '/') || sysfs_read(flags, sizeof flags, "", "/sys/class/net/%s/flags", bridge) < 0)
        return "not there";
    return strtoul(flags, NULL, 16) & IFF_UP ? "active" : "down";
}

json_t *facts_of_addresses(const char *interface)
{
    struct ifaddrs *all;
    json_t *list = json_array();
    if (getifaddrs(&all) < 0)
        return list;
    for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
        if (!one->ifa_addr || one->ifa_addr->sa_family != AF_INET || !one->ifa_netmask ||
            strcmp(one->ifa_name, interface) != 0)
            continue;
        char text[INET_ADDRSTRLEN];
        inet_ntop(AF_INET, &((struct sockaddr_in *)one->ifa_addr)->sin_addr, text, sizeof text);
        uint32_t mask = ((struct sockaddr_in *)one->ifa_netmask)->sin_addr.s_addr;
        json_array_append_new(list, json_sprintf("%s/%d", text, __builtin_popcount(mask)));
    }
    freeifaddrs(all);
    return list;
}
