/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/iotune.h"

#include "qemu/command.h"

static const struct {
    const char *name;
    size_t offset;
} rows[] = {
    {"total_bytes_sec", offsetof(struct iotune, total_bytes_sec)},
    {"read_bytes_sec", offsetof(struct iotune, read_bytes_sec)},
    {"write_bytes_sec", offsetof(struct iotune, write_bytes_sec)},
    {"total_iops_sec", offsetof(struct iotune, total_iops_sec)},
    {"read_iops_sec", offsetof(struct iotune, read_iops_sec)},
    {"write_iops_sec", offsetof(struct iotune, write_iops_sec)},
    {"total_bytes_sec_max", offsetof(struct iotune, total_bytes_sec_max)},
    {"read_bytes_sec_max", offsetof(struct iotune, read_bytes_sec_max)},
    {"write_bytes_sec_max", offsetof(struct iotune, write_bytes_sec_max)},
    {"total_iops_sec_max", offsetof(struct iotune, total_iops_sec_max)},
    {"read_iops_sec_max", offsetof(struct iotune, read_iops_sec_max)},
    {"write_iops_sec_max", offsetof(struct iotune, write_iops_sec_max)},
    {"size_iops_sec", offsetof(struct iotune, size_iops_sec)},
    {"group_name", offsetof(struct iotune, group_name)},
    {"total_bytes_sec_max_length", offsetof(struct iotune, total_bytes_sec_max_length)},
    {"read_bytes_sec_max_length", offsetof(struct iotune, read_bytes_sec_max_length)},
    {"write_bytes_sec_max_length", offsetof(struct iotune, write_bytes_sec_max_length)},
    {"total_iops_sec_max_length", offsetof(struct iotune, total_iops_sec_max_length)},
    {"read_iops_sec_max_length", offsetof(struct iotune, read_iops_sec_max_length)},
    {"write_iops_sec_max_length", offsetof(struct iotune, write_iops_sec_max_length)},
};

static bool is_group(size_t row)
{
    return rows[row].offset == offsetof(struct iotune, group_name);
}

void iotune_params(const struct disk *disk, struct params *params)
{
    static const struct iotune none = {0};
    const char *tune = (const char *)(disk->iotune ? disk->iotune : &none);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *group = is_group(i) ? *(const char *const *)(tune + rows[i].offset) : NULL;
        if (is_group(i))
            params_add_string(params, rows[i].name, arena_strdup(params->arena, group ? group : ""));
        else
            params_add_u64(params, rows[i].name, *(const uint64_t *)(tune + rows[i].offset));
    }
}

struct change {
    const char *path;
    const struct wire_typed_param *items;
    uint32_t count;
};

/* A total and its parts exclude each other: the kind that the call names takes the place of the other one. */
#define KIND(unit)                                                                               \
    {"total_" #unit, {"read_" #unit, "write_" #unit}, offsetof(struct iotune, total_##unit),     \
     {offsetof(struct iotune, read_##unit), offsetof(struct iotune, write_##unit)}}
static const struct {
    const char *total, *parts[2];
    size_t total_offset, part_offsets[2];
} kinds[] = {KIND(bytes_sec), KIND(iops_sec), KIND(bytes_sec_max), KIND(iops_sec_max)};

static void give_way(struct iotune *tune, const struct change *change)
{
    char *base = (char *)tune;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        bool total = params_find(change->items, change->count, kinds[i].total);
        bool part = params_find(change->items, change->count, kinds[i].parts[0]) ||
                    params_find(change->items, change->count, kinds[i].parts[1]);
        if (part && !total)
            *(uint64_t *)(base + kinds[i].total_offset) = 0;
        if (total && !part)
            *(uint64_t *)(base + kinds[i].part_offsets[0]) = *(uint64_t *)(base + kinds[i].part_offsets[1]) = 0;
    }
}

static int fill(struct iotune *tune, struct arena *arena, const struct change *change, struct error *err)
{
    give_way(tune, change);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *group = NULL;
        int rc = is_group(i) ? params_get_string(change->items, change->count, rows[i].name, &group, err)
                             : params_get_u64(change->items, change->count, rows[i].name,
                                              (uint64_t *)((char *)tune + rows[i].offset), err);
        if (rc < 0)
            return -1;
        if (is_group(i) && rc > 0)
            tune->group_name = group && *group ? arena_strdup(arena, group) : NULL;
    }
    if ((tune->total_bytes_sec && (tune->read_bytes_sec || tune->write_bytes_sec)) ||
        (tune->total_iops_sec && (tune->read_iops_sec || tune->write_iops_sec)))
        return error_set(err, ERR_INVALID_ARG,
                         "a total limit and one for reads or writes cannot be set at the same time for disk '%s'",
                         change->path);
    return 0;
}

static int change_def(struct domain_def *def, void *context, struct error *err)
{
    const struct change *change = context;
    struct disk *disk = (struct disk *)disk_find(def, change->path, err);
    if (!disk)
        return -1;
    if (!disk->iotune)
        disk->iotune = arena_struct(def->arena, struct iotune);
    return fill(disk->iotune, def->arena, change, err);
}

static int apply(struct domain *domain, void *context, struct error *err)
{
    const struct change *change = context;
    const struct disk *disk = disk_find(domain->object.live, change->path, err);
    struct iotune tune = disk && disk->iotune ? *disk->iotune : (struct iotune){0};
    scoped_arena struct arena *arena = arena_new();
    if (!disk || fill(&tune, arena, change, err) < 0)
        return -1;
    return qmp_execute(domain->qmp, "block_set_io_throttle", qemu_throttle_arguments(disk, &tune), monitor_deadline(),
                       err);
}

int iotune_set(struct domain *domain, const char *path, const struct wire_typed_param *items, uint32_t count,
               unsigned flags, const char *client, struct error *err)
{
    struct param_rule rules[COUNT(rows) + 1] = {0};
    for (size_t i = 0; i < COUNT(rows); i++)
        rules[i] = (struct param_rule){.name = rows[i].name,
                                       .type = is_group(i) ? TYPED_PARAM_STRING : TYPED_PARAM_ULLONG};
    if (params_check(items, count, rules, err) < 0)
        return -1;
    struct change change = {path, items, count};
    if (domain_change_both(domain, flags, change_def, apply, &change, client, err) < 0)
        return error_wrap(err, "cannot limit disk '%s' of domain '%s'", path, domain_name(domain));
    return 0;
}
