/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Command lines that no golden guest has. */
#include "command_fixture.h"

#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "base/loop.h"

/* --- devices --- */

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

static int started_wrong;

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
           "<disk type='network' device='disk'><source protocol='gluster' name='p/i'><host name='h'/></source>"
           "<target dev='vda'/></disk>"),
     "protocol='gluster'"},
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_devices_start_too),
        cmocka_unit_test(what_cannot_be_had_is_refused_by_name),
        cmocka_unit_test(ports_differ_and_paths_may_be_long),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
