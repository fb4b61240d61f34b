/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Our command line against the one that Debian's libvirtd made of the same XML (tests/golden/argv). */
#include "command_fixture.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/loop.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(libvirt_writes_the_same),
        cmocka_unit_test(qemu_starts_with_it),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
