/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/files.h"
#include "base/loop.h"
#include "qemu/command.h"
#include "qemu/spawn.h"

#define QEMU "/usr/bin/qemu-system-x86_64"

/* Our command line against the one that Debian's libvirtd made of the same XML (tests/golden/argv). */

static char folder[] = "/tmp/godwit-command-XXXXXX";
static struct qemu_caps_cache *cache;
static const struct qemu_caps *caps;
static struct domain_defaults defaults;

static const char *default_emulator(void *owner, enum virt_type type, const char *arch)
{
    return QEMU;
}

static const char *default_machine(void *owner, const char *emulator, enum virt_type type, const char *machine)
{
    const struct qemu_machine *found = qemu_caps_machine(caps, machine);
    return found ? found->name : NULL;
}

/* Where we differ on purpose; substring of the option that only one of us has. */
static const struct {
    const char *guest, *option, *why;
} differences[] = {
    {"*", "masterKey0", "the master key serves encrypted disks only"},
    {"*", "charmonitor", "the monitor is added when the process is started"},
    {"*", "-netdev", "domxml-to-native writes every interface as a tap"},
    {"cpu-host-model", "-cpu", "the caller fills in the host's model"},
    {"memory-odd", "-m ", "libvirt rounds to MiB"},
    {"memory-odd", "pc.ram", "libvirt rounds to MiB"},
    {"live-plain", "-m ", "libvirt rounds to MiB"},
    {"live-plain", "pc.ram", "libvirt rounds to MiB"},
    {"live-pc", "-m ", "libvirt rounds to MiB"},
    {"live-pc", "pc.ram", "libvirt rounds to MiB"},
    {"live-q35", "-m ", "libvirt rounds to MiB"},
    {"live-q35", "pc.ram", "libvirt rounds to MiB"},
    {"seed-rhel6-guest", "-m ", "libvirt rounds to MiB"},
    {"seed-rhel6-guest", "pc.ram", "libvirt rounds to MiB"},
    {"seed-clock-variable", "-rtc", "the time goes on"},
    {"interfaces", "\"id\":\"net2\"", "domxml-to-native forgets queues and MTU"},
    {"interfaces-boot", "\"id\":\"net", "domxml-to-native forgets boot order and ROM"},
    {"own-addresses", "-nic\"", "domxml-to-native forgets alias and address"},
    {"own-addresses", "\"id\":\"net0\"", "domxml-to-native forgets alias and address"},
    {"graphics-vnc", "-vnc", "libvirt's client did not get to see the password"},
    {"filesystem-9p", "-fsdev", "readonly=on is the spelling that lasts"},
    {"vsock", "vhostfd", "a descriptor number"},
};

static bool is_expected(const char *guest, const char *option)
{
    for (size_t i = 0; i < COUNT(differences); i++)
        if ((string_equal(differences[i].guest, "*") || string_equal(differences[i].guest, guest)) &&
            strstr(option, differences[i].option))
            return true;
    return false;
}

/* --- one option a line, in a form that does not depend on order --- */

struct lines {
    char *item[512];
    size_t count;
};

static int compare_line(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *sorted_commas(struct arena *arena, char *value)
{
    char *parts[64];
    size_t count = 0;
    for (char *part = strtok(value, ","); part && count < COUNT(parts); part = strtok(NULL, ","))
        parts[count++] = part;
    qsort(parts, count, sizeof *parts, compare_line);
    char *joined = "";
    for (size_t i = 0; i < count; i++)
        joined = arena_printf(arena, "%s%s%s", joined, i ? "," : "", parts[i]);
    return joined;
}

static char *normal(struct arena *arena, const char *line)
{
    const char *blank = strchr(line, ' ');
    json_t *json = blank ? json_loads(blank + 1, 0, NULL) : NULL;
    char *result = arena_strdup(arena, line);
    if (json_is_object(json)) {
        scoped_free char *dump = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
        result = arena_printf(arena, "%.*s %s", (int)(blank - line), line, dump);
    } else if (string_starts(line, "-machine ") || string_starts(line, "-chardev ") || string_starts(line, "-boot ") ||
               string_starts(line, "-cpu ")) {
        result = arena_printf(arena, "%.*s %s", (int)(blank - line), line,
                              sorted_commas(arena, arena_strdup(arena, blank + 1)));
    }
    json_decref(json);
    return result;
}

static void lines_add(struct arena *arena, struct lines *lines, const char *line)
{
    assert_true(lines->count < COUNT(lines->item));
    lines->item[lines->count++] = normal(arena, line);
}

/* libvirt's -no-acpi and -no-hpet are properties of our -machine. */
static void lines_golden(struct arena *arena, struct lines *lines, char *text)
{
    const char *extra = strstr(text, "\n-no-acpi") ? ",acpi=off" : "";
    if (strstr(text, "\n-no-hpet"))
        extra = arena_printf(arena, "%s,hpet=off", extra);
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        if (string_starts(line, "-machine "))
            lines_add(arena, lines, arena_printf(arena, "%s%s", line, extra));
        else if (*line == '-' && !string_equal(line, "-no-acpi") && !string_equal(line, "-no-hpet"))
            lines_add(arena, lines, line);
    }
}

static void lines_ours(struct arena *arena, struct lines *lines, const struct argv *argv)
{
    for (size_t i = 1; i < argv->count; i++) {
        bool value = i + 1 < argv->count && argv->items[i + 1][0] != '-';
        lines_add(arena, lines,
                  value ? arena_printf(arena, "%s %s", argv->items[i], argv->items[i + 1]) : argv->items[i]);
        i += value;
    }
}

static int report(const char *guest, const struct lines *golden, const struct lines *ours)
{
    int wrong = 0;
    size_t i = 0, j = 0;
    while (i < golden->count || j < ours->count) {
        int order = i == golden->count ? 1 : j == ours->count ? -1 : strcmp(golden->item[i], ours->item[j]);
        const char *line = order <= 0 ? golden->item[i] : ours->item[j];
        if (order != 0 && !is_expected(guest, line)) {
            print_error("%s %c %s\n", guest, order < 0 ? '-' : '+', line);
            wrong++;
        }
        i += order <= 0;
        j += order >= 0;
    }
    return wrong;
}

static struct domain_def *load(struct arena *arena, const char *guest, struct error *err)
{
    char *xml = file_read(arena, arena_printf(arena, GOLDEN "/define/%s.in.xml", guest), 1 << 20, NULL, err);
    return xml ? domain_parse(xml, -1, DOMAIN_PARSE_INACTIVE, &defaults, err) : NULL;
}

static int check_guest(const char *guest)
{
    scoped_arena struct arena *arena = arena_new();
    struct error err = {0};
    struct lines *golden = arena_struct(arena, struct lines), *ours = arena_struct(arena, struct lines);
    char *text = file_read(arena, arena_printf(arena, GOLDEN "/argv/%s.args", guest), 1 << 20, NULL, &err);
    scoped_domain_def struct domain_def *def = load(arena, guest, &err);
    const struct qemu_command_options options = {
        .caps = caps,
        .channel_dir = arena_printf(arena, "/var/lib/libvirt/qemu/channel/target/domain--1-%s", def ? def->name : ""),
        .nvram_dir = "/var/lib/libvirt/qemu/nvram",
        .dry = true,
    };
    scoped_qemu_command struct qemu_command command = {0};
    if (!text || !def || qemu_command_prepare(def, &options, &err) < 0 ||
        qemu_command_build(&command, def, &options, &err) < 0) {
        print_error("%s: %s\n", guest, err.message);
        return 1;
    }
    lines_golden(arena, golden, text);
    lines_ours(arena, ours, command.argv);
    qsort(golden->item, golden->count, sizeof *golden->item, compare_line);
    qsort(ours->item, ours->count, sizeof *ours->item, compare_line);
    return report(guest, golden, ours);
}

static void libvirt_writes_the_same(void **state)
{
    DIR *guests = opendir(GOLDEN "/argv");
    int wrong = 0, seen = 0;
    assert_non_null(guests);
    for (struct dirent *entry; (entry = readdir(guests));) {
        char *tail = strstr(entry->d_name, ".args");
        if (!tail)
            continue;
        *tail = '\0';
        wrong += check_guest(entry->d_name);
        seen++;
    }
    closedir(guests);
    assert_true(seen > 50);
    assert_int_equal(wrong, 0);
}

/* --- and QEMU itself takes it --- */

/* Guests that need what a test machine does not have. */
static const char *const not_startable[] = {
    "disk-nbd",       "kernel-boot", "seed-disk-block", "seed-disk-lun", "seed-rng-egd", "seed-rhel6-guest", "vsock",
    "cpu-host-model", "numatune",    "seed-disk-cdrom", "seed-native-args",
};

/* Those that are also moved here from a QEMU that libvirt's arguments started: together they have every device. */
static const char *const moved[] = {
    "debian12-q35-bios", "debian12-q35-loader", "disk-buses", "disk-buses-q35", "usb-xhci",   "serials",
    "channels",          "consoles",            "inputs",     "pcie-topology",  "watchdog",   "seed-usb-companions",
    "fedora37-scsi",     "win10-sata-e1000e",   "iothreads",  "cpu-topology",   "cpu-numa",   "graphics-spice",
};

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

static struct argv *tame_all(struct arena *arena, const struct argv *argv)
{
    struct argv *tamed = argv_new(arena);
    for (size_t i = 0; i < argv->count; i++) {
        argv_add(tamed, i ? tame(arena, argv->items[i - 1], argv->items[i]) : argv->items[0]);
        if (i && string_equal(argv->items[i - 1], "-blockdev"))
            make_image(tamed->items[i]);
    }
    return tamed;
}

static int start(struct qemu_spawned *vm, struct arena *arena, const char *guest, const struct argv *argv,
                 const char *name, struct error *err)
{
    const struct qemu_spawn_options how = {.name = guest,
                                           .argv = argv,
                                           .monitor_path = arena_printf(arena, "%s/%s", folder, name),
                                           .log_path = arena_printf(arena, "%s/%s.log", folder, guest)};
    return qemu_spawn(&how, NULL, NULL, vm, err) < 0 ? -1 : qemu_handshake(vm, &how, deadline_ms(30000), err);
}

/* libvirt's own arguments, without what only libvirt's directories have. */
static struct argv *golden_argv(struct arena *arena, const char *guest, struct error *err)
{
    struct argv *argv = argv_new(arena);
    char *text = file_read(arena, arena_printf(arena, GOLDEN "/argv/%s.args", guest), 1 << 20, NULL, err);
    for (char *line = text, *end; line && (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        if (strstr(line, "masterKey0") || strstr(line, "charmonitor"))
            continue;
        char *blank = strchr(line, ' ');
        if (blank)
            *blank = '\0';
        argv_add(argv, line);
        if (blank)
            argv_add(argv, blank + 1);
    }
    return argv;
}

/* A guest that libvirt started moves to ours: every device must find its state. */
static int move(struct arena *arena, const char *guest, struct qemu_spawned *ours, struct error *err)
{
    scoped_qemu_spawned struct qemu_spawned theirs = {0};
    struct argv *argv = golden_argv(arena, guest, err);
    const char *uri = arena_printf(arena, "unix:%s/migration", folder), *status = "";
    if (start(&theirs, arena, guest, tame_all(arena, argv), "theirs", err) < 0 ||
        qmp_execute(ours->qmp, "migrate-incoming", json_pack("{s:s}", "uri", uri), deadline_ms(30000), err) < 0 ||
        qmp_execute(theirs.qmp, "migrate", json_pack("{s:s}", "uri", uri), deadline_ms(30000), err) < 0)
        return -1;
    for (int i = 0; i < 1000; i++) {
        json_t *reply = qmp_command(ours->qmp, "query-migrate", NULL, deadline_ms(30000), err);
        if (!reply)
            return error_wrap(err, "the guest does not fit: %s",
                              qemu_log_tail(arena, arena_printf(arena, "%s/%s.log", folder, guest), 0));
        status = arena_strdup(arena, json_string_value(json_object_get(reply, "status")));
        json_decref(reply);
        if (string_equal(status, "completed"))
            return 0;
        await_sleep(deadline_ms(5), err);
    }
    return error_set(err, ERR_INTERNAL_ERROR, "the migration is %s", status);
}

static bool is_moved(const char *guest)
{
    for (size_t i = 0; i < COUNT(moved); i++)
        if (string_equal(guest, moved[i]))
            return true;
    return getenv("MOVE_ALL") != NULL;
}

static int start_guest(const char *guest)
{
    scoped_arena struct arena *arena = arena_new();
    struct error err = {0};
    scoped_domain_def struct domain_def *def = load(arena, guest, &err);
    struct qemu_command_options options = {
        .caps = caps, .channel_dir = folder, .nvram_dir = "/var/lib/libvirt/qemu/nvram", .dry = true};
    options.incoming = is_moved(guest) ? "defer" : NULL;
    scoped_qemu_command struct qemu_command command = {0};
    if (!def || qemu_command_prepare(def, &options, &err) < 0 || qemu_command_build(&command, def, &options, &err) < 0)
        return print_error("%s: %s\n", guest, err.message), 1;
    scoped_qemu_spawned struct qemu_spawned vm = {0};
    if (start(&vm, arena, guest, tame_all(arena, command.argv), "ours", &err) < 0 ||
        qemu_setup(vm.qmp, def, options.incoming, deadline_ms(30000), &err) < 0 ||
        (options.incoming && move(arena, guest, &vm, &err) < 0))
        return print_error("%s: %s\n", guest, err.message), 1;
    return 0;
}

static int started_wrong;

static void start_all(void *argument)
{
    DIR *guests = opendir(GOLDEN "/argv");
    for (struct dirent *entry; (entry = readdir(guests));) {
        char *tail = strstr(entry->d_name, ".args");
        bool skip = !tail;
        if (tail)
            *tail = '\0';
        for (size_t i = 0; i < COUNT(not_startable); i++)
            skip = skip || string_equal(entry->d_name, not_startable[i]);
        if (!skip)
            started_wrong += start_guest(entry->d_name);
    }
    closedir(guests);
    loop_stop();
}

static void qemu_starts_with_it(void **state)
{
    scoped_free char *command =
        xprintf("cd '%s' && mkdir -p srv/share var/log/libvirt tmp && truncate -s 1474560 template.raw && "
                "qemu-img create -q -f qcow2 template.qcow2 10M",
                folder);
    assert_int_equal(system(command), 0);
    if (fiber_start("start", start_all, NULL))
        loop_run();
    assert_int_equal(started_wrong, 0);
}

/* --- devices that no golden guest has --- */

#define GUEST(machine, before, devices)                                                                        \
    "<domain type='qemu'><name>t</name><memory unit='KiB'>262136</memory>" before                               \
    "<os><type arch='x86_64' machine='" machine "'>hvm</type></os><devices>" devices "</devices></domain>"

static const struct {
    const char *xml, *part; /* an argument must contain it */
} more[] = {
    {GUEST("pc", "", ""), "size=262136k"},
    {GUEST("pc", "", ""), "\"size\":268427264"},
    {GUEST("pc", "", "<sound model='pcspk'/>"), "pcspk-audiodev=audio1"},
    {GUEST("pc", "", "<sound model='sb16'/><sound model='es1370'/>"), "ES1370"},
    {GUEST("pc", "", "<sound model='ac97'/><sound model='usb'/>"), "usb-audio"},
    {GUEST("q35", "", "<iommu model='intel'/>"), "intel-iommu"},
    {GUEST("q35", "", "<panic model='isa'><address type='isa' iobase='0x505'/></panic>"), "pvpanic"},
    {GUEST("q35", "", "<panic model='pvpanic'/>"), "pvpanic-pci"},
    {GUEST("pc", "", "<watchdog model='ib700' action='poweroff'/>"), "ib700"},
    {GUEST("q35", "", "<watchdog model='itco' action='reset'/>"), "ICH9-LPC.noreboot=off"},
    {GUEST("q35", "", "<shmem name='godwit-test'><model type='ivshmem-plain'/><size unit='M'>1</size></shmem>"),
     "ivshmem-plain"},
    {GUEST("q35",
           "<features><acpi/></features><maxMemory slots='4' unit='MiB'>1024</maxMemory><vcpu>2</vcpu>"
           "<cpu><numa><cell id='0' cpus='0-1' memory='131072' unit='KiB'/></numa></cpu>",
           "<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target></memory>"),
     "pc-dimm"},
    {GUEST("q35", "", "<video><model type='virtio'><resolution x='800' y='600'/></model></video>"), "\"xres\":800"},
    {GUEST("q35", "", "<video><model type='qxl'/></video><video><model type='qxl'/></video><graphics type='vnc'/>"),
     "\"qxl\""},
    {GUEST("q35", "", "<video><model type='ramfb'/></video>"), "ramfb"},
    {GUEST("q35", "",
           "<controller type='scsi' model='lsisas1068'/><controller type='scsi' index='1' model='vmpvscsi'/>"),
     "pvscsi"},
    {GUEST("q35", "<iothreads>1</iothreads>",
           "<controller type='scsi' model='virtio-scsi'><driver queues='2' iothread='1'/></controller>"),
     "num_queues"},
    {GUEST("q35", "<iothreads>2</iothreads>", ""), "iothread2"},
    {GUEST("q35", "<vcpu cpuset='0-1'>2</vcpu><iothreads>1</iothreads><cputune><vcpupin vcpu='1' cpuset='0'/>"
                  "<emulatorpin cpuset='0'/><iothreadpin iothread='1' cpuset='0'/></cputune>", ""), "-smp"},
    {GUEST("q35", "", "<controller type='usb' model='nec-xhci'/><smartcard mode='passthrough' type='null'/>"),
     "ccid-card-passthru"},
    {GUEST("q35", "<clock offset='timezone' timezone='Asia/Tokyo'/>", ""), "base=localtime"},
    {GUEST("q35", "<clock offset='absolute' start='86400'/>", ""), "base=1970-01-02T00:00:00"},
    {GUEST("q35", "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>", ""),
     "memory-backend-memfd"},
    {GUEST("q35", "<memoryBacking><allocation mode='immediate' threads='2'/></memoryBacking>", ""), "prealloc-threads"},
    {GUEST("q35",
           "<cpu mode='custom' match='exact'><model>Nehalem</model><feature policy='disable' name='lahf_lm'/></cpu>",
           ""),
     "Nehalem,lahf-lm=off"},
    {GUEST("q35", "",
           "<serial type='udp'><source mode='bind' host='127.0.0.1' service='0'/>"
           "<source mode='connect' host='127.0.0.1' service='9'/></serial>"),
     "localaddr=127.0.0.1"},
    {GUEST("q35", "",
           "<interface type='server'><mac address='52:54:00:00:00:01'/>"
           "<source address='127.0.0.1' port='5558'/><model type='virtio'/></interface>"),
     "\"listen\""},
    {GUEST("q35", "", "<interface type='user'><mac address='52:54:00:00:00:01'/><model type='vmxnet3'/></interface>"),
     "vmxnet3"},
    {GUEST("q35", "", "<input type='tablet' bus='virtio'/><input type='keyboard' bus='virtio'/>"), "virtio-tablet-pci"},
};

static void build_more(void *argument)
{
    for (size_t i = 0; i < COUNT(more); i++) {
        scoped_arena struct arena *arena = arena_new();
        struct error err = {0};
        scoped_domain_def struct domain_def *def =
            domain_parse(more[i].xml, -1, DOMAIN_PARSE_INACTIVE, &defaults, &err);
        const struct qemu_command_options options = {
            .caps = caps, .channel_dir = folder, .nvram_dir = folder, .dry = true};
        scoped_qemu_command struct qemu_command command = {0};
        scoped_qemu_spawned struct qemu_spawned vm = {0};
        bool found = more[i].part == NULL;
        if (!def || qemu_command_prepare(def, &options, &err) < 0 ||
            qemu_command_build(&command, def, &options, &err) < 0 ||
            start(&vm, arena, "more", tame_all(arena, command.argv), "ours", &err) < 0 ||
            qemu_setup(vm.qmp, def, false, deadline_ms(30000), &err) < 0) {
            print_error("%s\n  %s\n", more[i].xml, err.message);
            started_wrong++;
            continue;
        }
        for (size_t j = 0; !found && j < command.argv->count; j++)
            found = strstr(command.argv->items[j], more[i].part) != NULL;
        if (!found)
            print_error("%s\n  has no '%s'\n", more[i].xml, more[i].part);
        started_wrong += !found;
    }
    loop_stop();
}

static void other_devices_start_too(void **state)
{
    started_wrong = 0;
    if (fiber_start("more", build_more, NULL))
        loop_run();
    assert_int_equal(started_wrong, 0);
}

/* --- what cannot be had is refused by name --- */

static const struct {
    const char *xml, *message;
} refused[] = {
    {GUEST("q35", "", "<interface type='network'><source network='default'/></interface>"),
     "no virtual network 'default'"},
    {GUEST("q35", "", "<interface type='user'><model type='ne3000'/></interface>"), "ne3000"},
    {GUEST("q35", "", "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"), "package swtpm"},
    {GUEST("q35", "",
           "<filesystem type='mount'><driver type='virtiofs'/><source dir='/srv'/><target dir='x'/></filesystem>"),
     "virtiofs"},
    {GUEST("q35", "",
           "<disk type='network' device='disk'><source protocol='rbd' name='p/i'><host name='h'/></source>"
           "<target dev='vda'/></disk>"),
     "protocol='rbd'"},
    {GUEST("q35", "",
           "<hostdev mode='subsystem' type='pci'><source><address domain='0xffff' bus='0' slot='1' function='0'/>"
           "</source></hostdev>"),
     "vfio-pci"},
    {GUEST("q35", "<cpu mode='host-passthrough'/>", ""), "host-passthrough"},
    {GUEST("q35", "<cpu mode='custom'><model>Pentium9</model></cpu>", ""), "no CPU model 'Pentium9'"},
    {GUEST("q35", "", "<disk type='file' device='disk'><source file='/x'/><target dev='vda'/><transient/></disk>"),
     "<transient/>"},
    {GUEST("q35", "", "<graphics type='sdl'/>"), "type='sdl'"},
    {GUEST("q35", "", "<graphics type='vnc' port='80' autoport='no'/>"), "at least 5900"},
};

static void what_cannot_be_had_is_refused_by_name(void **state)
{
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct error err = {0};
        scoped_domain_def struct domain_def *def =
            domain_parse(refused[i].xml, -1, DOMAIN_PARSE_INACTIVE, &defaults, &err);
        const struct qemu_command_options options = {.caps = caps, .channel_dir = folder, .nvram_dir = folder};
        scoped_qemu_command struct qemu_command command = {0};
        if (!def || qemu_command_prepare(def, &options, &err) < 0)
            fail_msg("%s: %s", refused[i].xml, err.message);
        assert_int_equal(qemu_command_build(&command, def, &options, &err), -1);
        if (err.code != ERR_CONFIG_UNSUPPORTED || !strstr(err.message, refused[i].message))
            fail_msg("%s: %d %s", refused[i].xml, err.code, err.message);
    }
}

static void ports_differ_and_paths_may_be_long(void **state)
{
    scoped_arena struct arena *arena = arena_new();
    struct qemu_ports ports = {0};
    struct error err = {0};
    int32_t last = 0;
    char *deep = arena_printf(arena, "%s/%0120d", folder, 1);
    assert_int_equal(directory_make(deep, 0700, &err), 0);
    for (int i = 0; i < 3; i++) {
        scoped_domain_def struct domain_def *def = domain_parse(
            GUEST("q35", "", "<graphics type='vnc' autoport='yes' websocket='-1'/>"
                             "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"),
            -1, DOMAIN_PARSE_INACTIVE, &defaults, &err);
        const struct qemu_command_options options = {.caps = caps, .ports = &ports, .channel_dir = deep};
        scoped_qemu_command struct qemu_command command = {0};
        assert_int_equal(qemu_command_prepare(def, &options, &err), 0);
        assert_true(def->graphics.item[0]->port >= 5900 && def->graphics.item[0]->port != last);
        assert_true(def->graphics.item[0]->websocket >= 5700);
        last = def->graphics.item[0]->port;
        assert_int_equal(qemu_command_build(&command, def, &options, &err), 0);
        assert_int_equal(command.fd_count, 1);
        assert_int_equal(access(def->channels.item[0]->source.path, F_OK), 0);
    }
}

static void probe(void *argument)
{
    struct error err = {0};
    caps = qemu_caps_get(cache, QEMU, deadline_ms(30000), &err);
    if (!caps)
        print_error("%s\n", err.message);
    loop_stop();
}

static int setup(void **state)
{
    cache = mkdtemp(folder) ? qemu_caps_cache_new(folder) : NULL;
    defaults = (struct domain_defaults){.arch = "x86_64", .emulator = default_emulator, .machine = default_machine};
    if (fiber_start("probe", probe, NULL))
        loop_run();
    return caps ? 0 : -1;
}

static int teardown(void **state)
{
    scoped_free char *command = xprintf("rm -rf '%s' /dev/shm/godwit-test", folder);
    qemu_caps_cache_free(cache);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(libvirt_writes_the_same),
        cmocka_unit_test(qemu_starts_with_it),
        cmocka_unit_test(other_devices_start_too),
        cmocka_unit_test(what_cannot_be_had_is_refused_by_name),
        cmocka_unit_test(ports_differ_and_paths_may_be_long),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
