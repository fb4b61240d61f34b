/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <time.h>

#include "qemu/command_parts.h"

/* What has to be said over the monitor before the guest's processors run. */

enum { AT_ONCE = 128 }; /* fewer than a monitor takes */

struct setup {
    struct qmp_request *requests; /* room for two a device, and a few */
    size_t count;
};

static void ask(struct setup *setup, const char *command, json_t *arguments)
{
    setup->requests[setup->count++] = (struct qmp_request){.command = command, .arguments = arguments};
}

static void ask_passwords(struct setup *setup, const struct graphics *graphics)
{
    const char *protocol = graphics->type == GRAPHICS_TYPE_SPICE ? "spice" : "vnc";
    bool known = graphics->type == GRAPHICS_TYPE_SPICE || graphics->type == GRAPHICS_TYPE_VNC;
    if (!known || !graphics->passwd)
        return;
    json_t *arguments = json_pack("{s:s,s:s}", "protocol", protocol, "password", graphics->passwd);
    if (graphics->connected)
        json_object_set_new(arguments, "connected", json_string(password_connected_name(graphics->connected)));
    ask(setup, "set_password", arguments);
    if (graphics->passwd_valid_to) {
        scoped_arena struct arena *arena = arena_new();
        char *when = arena_strdup(arena, graphics->passwd_valid_to);
        struct tm time = {0}; /* "2026-11-22T03:04:05", UTC */
        bool parsed = sscanf(when, "%d-%d-%dT%d:%d:%d", &time.tm_year, &time.tm_mon, &time.tm_mday, &time.tm_hour,
                             &time.tm_min, &time.tm_sec) == 6;
        time.tm_year -= 1900;
        time.tm_mon -= 1;
        ask(setup, "expire_password",
            json_pack("{s:s,s:o}", "protocol", protocol, "time",
                      json_sprintf("%lld", parsed ? (long long)timegm(&time) : 0)));
    }
}

/* Limits of <iotune> in block_set_io_throttle's words. */
static const struct {
    const char *key;
    size_t offset;
} limits[] = {
    {"bps", offsetof(struct iotune, total_bytes_sec)},
    {"bps_rd", offsetof(struct iotune, read_bytes_sec)},
    {"bps_wr", offsetof(struct iotune, write_bytes_sec)},
    {"iops", offsetof(struct iotune, total_iops_sec)},
    {"iops_rd", offsetof(struct iotune, read_iops_sec)},
    {"iops_wr", offsetof(struct iotune, write_iops_sec)},
    {"bps_max", offsetof(struct iotune, total_bytes_sec_max)},
    {"bps_rd_max", offsetof(struct iotune, read_bytes_sec_max)},
    {"bps_wr_max", offsetof(struct iotune, write_bytes_sec_max)},
    {"iops_max", offsetof(struct iotune, total_iops_sec_max)},
    {"iops_rd_max", offsetof(struct iotune, read_iops_sec_max)},
    {"iops_wr_max", offsetof(struct iotune, write_iops_sec_max)},
    {"iops_size", offsetof(struct iotune, size_iops_sec)},
    {"bps_max_length", offsetof(struct iotune, total_bytes_sec_max_length)},
    {"bps_rd_max_length", offsetof(struct iotune, read_bytes_sec_max_length)},
    {"bps_wr_max_length", offsetof(struct iotune, write_bytes_sec_max_length)},
    {"iops_max_length", offsetof(struct iotune, total_iops_sec_max_length)},
    {"iops_rd_max_length", offsetof(struct iotune, read_iops_sec_max_length)},
    {"iops_wr_max_length", offsetof(struct iotune, write_iops_sec_max_length)},
};
#define LIMITS_NEEDED 6 /* QEMU wants the first six even when they are 0 */

/* What QEMU calls the device that has the disk's backend, in query-block's "qdev", in events and as "id" of commands.
 */
static char *qemu_disk_qdev(struct arena *arena, const struct disk *disk)
{
    const char *alias = disk->info.alias ?: "";
    switch (disk->bus) {
    case DISK_BUS_VIRTIO:
        return arena_printf(arena, "/machine/peripheral/%s/virtio-backend", alias);
    case DISK_BUS_USB:
        return arena_printf(arena, "/machine/peripheral/%s/%s.0/legacy[0]", alias, alias);
    default:
        return arena_strdup(arena, alias);
    }
}

json_t *qemu_throttle_arguments(const struct disk *disk, const struct iotune *tune)
{
    scoped_arena struct arena *arena = arena_new();
    json_t *arguments = json_pack("{s:s}", "id", qemu_disk_qdev(arena, disk));
    for (size_t i = 0; i < COUNT(limits); i++) {
        uint64_t value = *(const uint64_t *)((const char *)tune + limits[i].offset);
        if (value || i < LIMITS_NEEDED)
            json_object_set_new(arguments, limits[i].key, json_integer((json_int_t)value));
    }
    if (tune->group_name)
        json_object_set_new(arguments, "group", json_string(tune->group_name));
    return arguments;
}

static void ask_balloon(struct setup *setup, const struct domain_def *def)
{
    const struct memballoon *balloon = def->memballoon;
    if (!balloon || balloon->model == MEMBALLOON_MODEL_NONE)
        return;
    if (balloon->stats_period) {
        json_t *arguments = json_object();
        json_object_set_new(arguments, "path", json_sprintf("/machine/peripheral/%s", balloon->info.alias));
        json_object_set_new(arguments, "property", json_string("guest-stats-polling-interval"));
        json_object_set_new(arguments, "value", json_integer(balloon->stats_period));
        ask(setup, "qom-set", arguments);
    }
    if (def->current_memory && def->current_memory < def->memory)
        ask(setup, "balloon", json_pack("{s:I}", "value", (json_int_t)def->current_memory * 1024));
}

int qemu_setup(struct qmp *qmp, const struct domain_def *def, bool incoming, deadline until, struct error *err)
{
    scoped_arena struct arena *arena = arena_new();
    size_t most = 2u * def->graphics.count + def->disks.count + def->interfaces.count + 3u;
    struct setup setup = {.requests = arena_new_array(arena, most, struct qmp_request)};
    for (uint32_t i = 0; i < def->graphics.count; i++)
        ask_passwords(&setup, def->graphics.item[i]);
    for (uint32_t i = 0; i < def->disks.count; i++)
        if (def->disks.item[i]->iotune)
            ask(&setup, "block_set_io_throttle",
                qemu_throttle_arguments(def->disks.item[i], def->disks.item[i]->iotune));
    for (uint32_t i = 0; i < def->interfaces.count; i++)
        if (def->interfaces.item[i]->link == LINK_STATE_DOWN)
            ask(&setup, "set_link", json_pack("{s:s,s:b}", "name", def->interfaces.item[i]->info.alias, "up", 0));
    if (def->on_reboot == LIFECYCLE_DESTROY)
        ask(&setup, "set-action", json_pack("{s:s}", "reboot", "shutdown"));
    if (!incoming)
        ask_balloon(&setup, def);
    int status = 0;
    for (size_t done = 0; status == 0 && done < setup.count; done += AT_ONCE)
        status = qmp_batch(qmp, setup.requests + done, setup.count - done < AT_ONCE ? setup.count - done : AT_ONCE,
                           until, err);
    qmp_requests_finish(setup.requests, setup.count);
    return status < 0 ? -1 : pin_threads(qmp, def, until, err);
}
