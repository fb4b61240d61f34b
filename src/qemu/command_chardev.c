/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/command_parts.h"
#include "qemu/spawn.h"

/* --- the host's end --- */

static bool is_server(const struct chardev_source *source)
{
    return source->mode == CHARDEV_MODE_BIND || source->mode == CHARDEV_MODE_SERVER;
}

/* A socket that QEMU shall listen on is made here: its path may be longer than QEMU can take, and who connects early
 * does not fail. */
static int append_unix(struct build *build, struct text *out, const struct chardev_source *source, struct error *err)
{
    int fd = -1;
    if (!is_server(source) || build->options->dry || !source->path) {
        text_printf(out, ",path=%s", quoted(build, source->path ?: ""));
        return 0;
    }
    fd = unix_listen(source->path, err);
    if (fd >= 0)
        text_printf(out, ",fd=%s", pass_fd(build, fd));
    return fd < 0 ? -1 : 0;
}

static void append_socket(struct build *build, struct text *out, const struct chardev_source *source)
{
    if (source->type == CHARDEV_TYPE_TCP)
        text_printf(out, ",host=%s,port=%s", quoted(build, source->host ?: ""), quoted(build, source->service ?: ""));
    if (source->protocol == CHARDEV_PROTOCOL_TELNET)
        text_append(out, ",telnet=on");
    if (is_server(source))
        text_append(out, ",server=on,wait=off");
    else if (source->reconnect.enabled == YESNO_YES)
        text_printf(out, ",reconnect=%u", source->reconnect.timeout);
}

static void append_udp(struct build *build, struct text *out, const struct chardev_source *source)
{
    text_printf(out, ",host=%s,port=%s", quoted(build, source->host ?: ""), quoted(build, source->service ?: ""));
    if (source->bind_host || source->bind_service)
        text_printf(out, ",localaddr=%s,localport=%s", quoted(build, source->bind_host ?: ""),
                    quoted(build, source->bind_service ?: "0"));
}

static void append_agent(struct text *out, const struct chardev_source *source)
{
    text_append(out, ",name=vdagent");
    if (source->clipboard_copypaste)
        text_printf(out, ",clipboard=%s", source->clipboard_copypaste == YESNO_YES ? "on" : "off");
    if (source->mouse_mode)
        text_printf(out, ",mouse=%s", source->mouse_mode == SPICE_MOUSE_CLIENT ? "on" : "off");
}

/* QEMU's backends by our types; those that take a path, and nothing else, are done with their row. */
static const struct {
    const char *backend;
    bool path;
} backends[] = {
    [CHARDEV_TYPE_NULL] = {"null", false},      [CHARDEV_TYPE_VC] = {"vc", false},
    [CHARDEV_TYPE_PTY] = {"pty", false},        [CHARDEV_TYPE_DEV] = {"serial", true},
    [CHARDEV_TYPE_FILE] = {"file", true},       [CHARDEV_TYPE_PIPE] = {"pipe", true},
    [CHARDEV_TYPE_STDIO] = {"stdio", false},    [CHARDEV_TYPE_UDP] = {"udp", false},
    [CHARDEV_TYPE_TCP] = {"socket", false},     [CHARDEV_TYPE_UNIX] = {"socket", false},
    [CHARDEV_TYPE_SPICEVMC] = {"spicevmc", false}, [CHARDEV_TYPE_SPICEPORT] = {"spiceport", false},
    [CHARDEV_TYPE_QEMU_VDAGENT] = {"qemu-vdagent", false}, [CHARDEV_TYPE_DBUS] = {"dbus", false},
};

static int check(struct build *build, const struct chardev_source *source, struct error *err)
{
    const char *type = chardev_type_name(source->type) ?: "";
    if (source->type >= COUNT(backends) || !backends[source->type].backend)
        return unsupported(err, "character device type '%s' is not supported", type);
    if (source->tls == YESNO_YES)
        return unsupported(err, "character device type '%s': <source tls='yes'> is not supported", type);
    bool spice = source->type == CHARDEV_TYPE_SPICEVMC || source->type == CHARDEV_TYPE_SPICEPORT;
    if (spice && build->caps && !qemu_caps_has_type(build->caps, "chardev-spicevmc"))
        return unsupported(err, "character device type '%s' needs SPICE, which %s lacks: install package "
                                "qemu-system-modules-spice (or remove the device)", type, build->caps->binary);
    return 0;
}

int build_chardev_named(struct build *build, const struct chardev_source *source, const char *id, const char *name,
                        struct error *err)
{
    scoped_text struct text out = {0};
    if (check(build, source, err) < 0)
        return -1;
    text_printf(&out, "%s,id=%s", backends[source->type].backend, id);
    if (source->type == CHARDEV_TYPE_UNIX && append_unix(build, &out, source, err) < 0)
        return -1;
    if (backends[source->type].path)
        text_printf(&out, ",path=%s", quoted(build, source->path ?: ""));
    if (source->type == CHARDEV_TYPE_FILE && source->append)
        text_printf(&out, ",append=%s", onoff_name(source->append));
    else if (source->type == CHARDEV_TYPE_TCP || source->type == CHARDEV_TYPE_UNIX)
        append_socket(build, &out, source);
    else if (source->type == CHARDEV_TYPE_UDP)
        append_udp(build, &out, source);
    else if (source->type == CHARDEV_TYPE_SPICEVMC)
        text_printf(&out, ",name=%s", name);
    else if (source->type == CHARDEV_TYPE_SPICEPORT)
        text_printf(&out, ",name=%s", quoted(build, source->spice_channel ?: ""));
    else if (source->type == CHARDEV_TYPE_DBUS)
        text_printf(&out, ",name=%s", quoted(build, source->dbus_channel ?: ""));
    else if (source->type == CHARDEV_TYPE_QEMU_VDAGENT)
        append_agent(&out, source);
    if (source->log_file)
        text_printf(&out, ",logfile=%s,logappend=%s", quoted(build, source->log_file),
                    onoff_name(source->log_append ?: ONOFF_ON));
    add(build, "-chardev", text_string(&out));
    return 0;
}

int build_chardev(struct build *build, const struct chardev_source *source, const char *id, struct error *err)
{
    return build_chardev_named(build, source, id, "vdagent", err);
}

/* --- the guest's end --- */

static const char *chardev_id(struct build *build, const struct chardev *chardev)
{
    return arena_printf(build->arena, "char%s", chardev->info.alias);
}

static int add_device(struct build *build, const struct chardev *chardev, const char *driver, const char *what,
                      struct error *err)
{
    json_t *device = device_new(build, driver, &chardev->info, what, err);
    if (!device)
        return -1;
    put_string(device, "chardev", chardev_id(build, chardev));
    bool isa = string_equal(driver, "isa-serial") || string_equal(driver, "isa-parallel");
    if (string_equal(driver, "isa-serial") || (isa && chardev->target_port.value > 0))
        json_object_set_new(device, "index", json_integer(chardev->target_port.value));
    device_add(build, device);
    return 0;
}

static int build_serial(struct build *build, const struct chardev *serial, struct error *err)
{
    static const char *const targets[] = {
        [CHARDEV_TARGET_USB_SERIAL] = "usb-serial",
        [CHARDEV_TARGET_PCI_SERIAL] = "pci-serial",
        [CHARDEV_TARGET_ISA_DEBUG] = "isa-debugcon",
        [CHARDEV_TARGET_SPAPR_VIO_SERIAL] = "spapr-vty",
        [CHARDEV_TARGET_SCLP] = "sclpconsole",
        [CHARDEV_TARGET_SCLPLM] = "sclplmconsole",
    };
    if (build_chardev(build, &serial->source, chardev_id(build, serial), err) < 0)
        return -1;
    enum chardev_target target = serial->target_type;
    if (target == CHARDEV_TARGET_SYSTEM_SERIAL || (!target && !build->x86)) { /* soldered to the board */
        addf(build, "-serial", "chardev:%s", chardev_id(build, serial));
        return 0;
    }
    const char *driver = target < COUNT(targets) ? targets[target] : NULL;
    return add_device(build, serial, driver ?: "isa-serial", "<serial>", err);
}

static int build_console(struct build *build, const struct chardev *console, struct error *err)
{
    if (!console->target_type || console->target_type == CHARDEV_TARGET_SERIAL)
        return 0; /* the first <serial> once more */
    const char *driver = console->target_type == CHARDEV_TARGET_VIRTIO   ? "virtconsole"
                         : console->target_type == CHARDEV_TARGET_SCLP   ? "sclpconsole"
                         : console->target_type == CHARDEV_TARGET_SCLPLM ? "sclplmconsole"
                                                                        : NULL;
    if (!driver)
        return unsupported(err, "<console><target type='%s'> is not supported: use serial or virtio",
                           chardev_target_name(console->target_type));
    if (build_chardev(build, &console->source, chardev_id(build, console), err) < 0)
        return -1;
    return add_device(build, console, driver, "<console>", err);
}

static int build_channel(struct build *build, const struct chardev *channel, struct error *err)
{
    if (channel->target_type != CHARDEV_TARGET_VIRTIO)
        return unsupported(err, "<channel><target type='%s'> is not supported: use type='virtio'",
                           chardev_target_name(channel->target_type) ?: "");
    if (build_chardev(build, &channel->source, chardev_id(build, channel), err) < 0)
        return -1;
    json_t *device = device_new(build, "virtserialport", &channel->info, "<channel>", err);
    if (!device)
        return -1;
    bool spice = channel->source.type == CHARDEV_TYPE_SPICEVMC || channel->source.type == CHARDEV_TYPE_QEMU_VDAGENT;
    put_string(device, "chardev", chardev_id(build, channel));
    put_string(device, "name", channel->target_name ?: spice ? "com.redhat.spice.0" : NULL);
    device_add(build, device);
    return 0;
}

static int build_parallel(struct build *build, const struct chardev *parallel, struct error *err)
{
    if (build_chardev(build, &parallel->source, chardev_id(build, parallel), err) < 0)
        return -1;
    return add_device(build, parallel, "isa-parallel", "<parallel>", err);
}

int build_chardevs(struct build *build, struct error *err)
{
    const struct domain_def *def = build->def;
    int status = 0;
    for (uint32_t i = 0; status == 0 && i < def->serials.count; i++)
        status = build_serial(build, def->serials.item[i], err);
    for (uint32_t i = 0; status == 0 && i < def->parallels.count; i++)
        status = build_parallel(build, def->parallels.item[i], err);
    for (uint32_t i = 0; status == 0 && i < def->channels.count; i++)
        status = build_channel(build, def->channels.item[i], err);
    for (uint32_t i = 0; status == 0 && i < def->consoles.count; i++)
        status = build_console(build, def->consoles.item[i], err);
    return status;
}
