/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "command_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/loop.h"

#define QEMU "/usr/bin/qemu-system-x86_64"

char folder[] = "/tmp/godwit-command-XXXXXX";
const struct qemu_caps *caps;
struct domain_defaults defaults;

static struct qemu_caps_cache *cache;

static const char *default_emulator(void *owner, enum virt_type type, const char *arch)
{
    return QEMU;
}

static const char *default_machine(void *owner, const char *emulator, enum virt_type type, const char *machine)
{
    const struct qemu_machine *found = qemu_caps_machine(caps, machine);
    return found ? found->name : NULL;
}

static const char *const places[] = {"/var/lib/libvirt/", "/var/log/libvirt/", "/srv/", "/home/",
                                     "/tmp/vnc",          "/tmp/serial"};

/* The same argument with every path in our own folder, no ports, and no taps. */
static char *tame(struct arena *arena, const char *option, const char *value)
{
    if (string_equal(option, "-vnc"))
        return arena_printf(arena, "unix:%s/vnc%s", folder, strstr(value, "password=on") ? ",password=on" : "");
    if (string_equal(option, "-accel"))
        return "tcg"; /* what KVM can do differs between test machines */
    if (string_equal(option, "-cpu"))
        return string_starts(value, "host") ? "max" : arena_strdup(arena, value);
    if (string_equal(option, "-spice"))
        return arena_printf(arena, "unix=on,addr=%s/spice,disable-ticketing=on", folder);
    if (string_equal(option, "-netdev")) {
        const char *id = strstr(value, "\"id\"");
        return arena_printf(arena, "{\"type\":\"user\",%s", id);
    }
    if (string_equal(option, "-chardev") && strstr(value, "port="))
        return arena_printf(arena, "null,%.*s", (int)strcspn(strstr(value, "id="), ","), strstr(value, "id="));
    const char *path = string_equal(option, "-chardev") ? strstr(value, "path=/") : NULL;
    if (path) { /* short, because QEMU's sockets must be */
        size_t length = strcspn(path, ",");
        const char *name = memrchr(path, '/', length);
        return arena_printf(arena, "%.*spath=%s/%s", (int)(path - value), value, folder, name + 1);
    }
    for (size_t i = 0; i < COUNT(places); i++) {
        const char *at = strstr(value, places[i]);
        if (at)
            return arena_printf(arena, "%.*s%s/%s", (int)(at - value), value, folder, at + 1);
    }
    return arena_strdup(arena, value);
}

static void make_image(const char *node)
{
    json_t *json = json_loads(node, 0, NULL);
    const char *path = json_string_value(json_object_get(json, "filename"));
    if (path && string_starts(path, folder) && access(path, F_OK) < 0) {
        scoped_free char *command =
            string_ends(path, "_VARS.fd") ? xprintf("install -D /usr/share/OVMF/OVMF_VARS_4M.fd '%s'", path)
                                          : xprintf("install -D '%s/template.%s' '%s'", folder,
                                                    string_ends(path, "qcow2") ? "qcow2" : "raw", path);
        assert_int_equal(system(command), 0);
    }
    json_decref(json);
}

struct argv *tame_all(struct arena *arena, const struct argv *argv)
{
    struct argv *tamed = argv_new(arena);
    for (size_t i = 0; i < argv->count; i++) {
        argv_add(tamed, i ? tame(arena, argv->items[i - 1], argv->items[i]) : argv->items[0]);
        if (i && string_equal(argv->items[i - 1], "-blockdev"))
            make_image(tamed->items[i]);
    }
    return tamed;
}

int start(struct qemu_spawned *vm, struct arena *arena, const char *guest, const struct argv *argv, const char *name,
          struct error *err)
{
    const struct qemu_spawn_options how = {.name = guest,
                                           .argv = argv,
                                           .monitor_path = arena_printf(arena, "%s/%s", folder, name),
                                           .log_path = arena_printf(arena, "%s/%s.log", folder, guest)};
    return qemu_spawn(&how, NULL, NULL, vm, err) < 0 ? -1 : qemu_handshake(vm, &how, deadline_ms(30000), err);
}

static void probe(void *argument)
{
    struct error err = {0};
    caps = qemu_caps_get(cache, QEMU, deadline_ms(30000), &err);
    if (!caps)
        print_error("%s\n", err.message);
    loop_stop();
}

int setup(void **state)
{
    cache = mkdtemp(folder) ? qemu_caps_cache_new(folder) : NULL;
    defaults = (struct domain_defaults){.arch = "x86_64", .emulator = default_emulator, .machine = default_machine};
    if (fiber_start("probe", probe, NULL))
        loop_run();
    return caps ? 0 : -1;
}

int teardown(void **state)
{
    scoped_free char *command = xprintf("rm -rf '%s' /dev/shm/godwit-test", folder);
    qemu_caps_cache_free(cache);
    return system(command);
}
