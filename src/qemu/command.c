/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/command.h"

#include <string.h>

#include "qemu/command_parts.h"


void qemu_command_finish(struct qemu_command *command)
{
    for (size_t i = 0; i < command->fd_count; i++)
        close(command->fds[i]);
    arena_free(command->arena);
    *command = (struct qemu_command){0};
}

/* QEMU's environment: ours would carry what the daemon's caller happened to have set. */
static char **environment(struct arena *arena, const struct domain_def *def)
{
    static const char *const ours[] = {"LC_ALL=C", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
    const struct qemu_commandline *extra = def->qemu_commandline;
    uint32_t count = extra ? extra->envs.count : 0, used = 0;
    char **variables = arena_new_array(arena, COUNT(ours) + count + 2, char *);
    for (size_t i = 0; i < COUNT(ours); i++)
        variables[used++] = arena_strdup(arena, ours[i]);
    if (def->clock.offset == CLOCK_OFFSET_TIMEZONE && def->clock.timezone)
        variables[used++] = arena_printf(arena, "TZ=%s", def->clock.timezone); /* for -rtc base=localtime */
    for (uint32_t i = 0; i < count; i++)
        variables[used++] = arena_printf(arena, "%s=%s", extra->envs.item[i]->name, extra->envs.item[i]->value ?: "");
    return variables;
}

static int build_name(struct build *build, struct error *err)
{
    char uuid[UUID_STRING_SIZE];
    uuid_format(build->def->uuid, uuid);
    addf(build, "-name", "guest=%s,debug-threads=on", quoted(build, build->def->name));
    add(build, "-S", NULL);
    add(build, "-uuid", uuid);
    add(build, "-no-user-config", NULL);
    add(build, "-nodefaults", NULL);
    return 0;
}

static int build_end(struct build *build, struct error *err)
{
    const struct qemu_commandline *extra = build->def->qemu_commandline;
    add(build, "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    add(build, "-msg", "timestamp=on");
    if (build->options->incoming)
        add(build, "-incoming", build->options->incoming);
    for (uint32_t i = 0; extra && i < extra->args.count; i++)
        argv_add(build->argv, extra->args.item[i]->value ?: "");
    return 0;
}

/* The command line's sections, in the order in which QEMU has to see them. */
static int (*const parts[])(struct build *build, struct error *err) = {
    build_name,        build_machine, build_cpu,        build_memory,   build_platform, build_controllers,
    build_disks,       build_interfaces, build_chardevs, build_display, build_misc,     build_end,
};

static int check_type(const struct build *build, struct error *err)
{
    const struct domain_def *def = build->def;
    if (def->os.type && def->os.type != OS_TYPE_HVM)
        return unsupported(err, "<os><type>%s</type> cannot run under QEMU: only hvm can", os_type_name(def->os.type));
    if (def->type != VIRT_TYPE_QEMU && def->type != VIRT_TYPE_KVM)
        return unsupported(err, "<domain type='%s'> cannot run here: use kvm or qemu", virt_type_name(def->type));
    if (build->kvm && build->caps && !build->caps->accel[QEMU_KVM].usable && !build->options->dry)
        return unsupported(err, "<domain type='kvm'> needs KVM, which %s cannot use here: load the kernel module and "
                                "check /dev/kvm, or use <domain type='qemu'>", build->caps->binary);
    return 0;
}

/* Queues of taps, each with its vhost; sockets of character devices; vsock. */
static size_t fds_max(const struct domain_def *def)
{
    return 1 + 2 * TAP_QUEUES_MAX * (size_t)def->interfaces.count + def->serials.count + def->parallels.count +
           def->consoles.count + def->channels.count + def->redirdevs.count + def->smartcards.count + def->rngs.count +
           def->tpms.count + disk_secrets_max(def);
}

int qemu_command_build(struct qemu_command *command, struct domain_def *def,
                       const struct qemu_command_options *options, struct error *err)
{
    struct arena *arena = arena_new();
    const char *arch = def->os.arch ?: "x86_64", *machine = def->os.machine ?: "";
    *command = (struct qemu_command){.arena = arena, .argv = argv_new(arena)};
    command->environment = environment(arena, def);
    command->fds = arena_new_array(arena, fds_max(def), int);
    struct build build = {
        .command = command,
        .arena = arena,
        .argv = command->argv,
        .def = def,
        .options = options,
        .caps = options->caps,
        .kvm = def->type == VIRT_TYPE_KVM,
        .x86 = string_equal(arch, "x86_64") || string_equal(arch, "i686"),
        .q35 = string_starts(machine, "pc-q35") || string_equal(machine, "q35"),
        .dry_fd = 3,
    };
    build.bus_root = build.x86 && !build.q35 ? "pci.0" : "pcie.0";
    argv_add(build.argv, def->emulator ?: options->caps->binary);
    int status = check_type(&build, err);
    for (size_t i = 0; status == 0 && i < COUNT(parts); i++)
        status = parts[i](&build, err);
    if (status < 0)
        qemu_command_finish(command);
    return status;
}
