/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "cli/domain.h"
#include "cli/pool.h"

/* Storage volumes found, listed and described. */

int volume_find(struct invocation *in, const char *word, const char *pool_option, struct wire_storage_vol *volume,
                struct error *err)
{
    const char *pool = pool_option ? option_text(in, pool_option) : NULL;
    struct storage_vol_lookup_by_name_args by_name = {.name = word};
    struct storage_vol_lookup_by_name_ret name_ret;
    struct storage_vol_lookup_by_key_args by_key = {.key = word};
    struct storage_vol_lookup_by_key_ret key_ret;
    struct storage_vol_lookup_by_path_args by_path = {.path = word};
    struct storage_vol_lookup_by_path_ret path_ret;
    if (pool && pool_find(in, pool, &by_name.pool, err) < 0)
        return -1;
    if (pool && remote_storage_vol_lookup_by_name(shell_client(in), &by_name, in->arena, &name_ret, err) == 0) {
        *volume = name_ret.vol;
    } else if (pool && err->code != ERR_NO_STORAGE_VOL) {
        return command_failed(err, "cannot look up the volume '%s'", word);
    } else if (remote_storage_vol_lookup_by_key(shell_client(in), &by_key, in->arena, &key_ret, err) == 0) {
        *volume = key_ret.vol;
    } else if (remote_storage_vol_lookup_by_path(shell_client(in), &by_path, in->arena, &path_ret, err) == 0) {
        *volume = path_ret.vol;
    } else {
        return err->code != ERR_NO_STORAGE_VOL
                   ? command_failed(err, "cannot look up the volume '%s'", word)
                   : error_set(err, ERR_NO_STORAGE_VOL, pool ? "there is no volume '%s' in storage pool '%s'"
                               : "there is no volume with the key or path '%s'%s", word,
                               pool ? pool : pool_option ? "; a name needs --pool, too" : "");
    }
    *err = (struct error){0};
    return 0;
}

int volume_get(struct invocation *in, struct wire_storage_vol *volume, struct error *err)
{
    return volume_find(in, option_text(in, "vol"), "pool", volume, err);
}

const char *volume_path(struct invocation *in, const struct wire_storage_vol *volume, struct error *err)
{
    struct storage_vol_get_path_args args = {.vol = *volume};
    struct storage_vol_get_path_ret ret;
    if (remote_storage_vol_get_path(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed_null(err, "cannot find where volume '%s' lies", volume->name);
    return ret.name;
}

static const char *type_word(int type)
{
    static const char *const words[] = {"file", "block", "dir", "network", "netdir", "ploop"};
    return type >= 0 && (size_t)type < COUNT(words) ? words[type] : "unknown";
}

static int by_name(const void *a, const void *b)
{
    return strcasecmp(((const struct wire_storage_vol *)a)->name, ((const struct wire_storage_vol *)b)->name);
}

static int run_vol_list(struct invocation *in, struct error *err)
{
    bool details = option_given(in, "details"), sizes = details || output_is_json(in);
    const struct column columns[] = {
        {"name", "Name"}, {"path", "Path"}, {"type", details ? "Type" : NULL}, {NULL, details ? "Capacity" : NULL},
        {NULL, details ? "Allocation" : NULL}, {"capacity", NULL, CELL_NUMBER}, {"allocation", NULL, CELL_NUMBER},
    };
    struct storage_pool_list_all_volumes_args args = {.need_results = 1};
    struct storage_pool_list_all_volumes_ret ret;
    if (pool_get(in, &args.pool, err) < 0)
        return -1;
    if (remote_storage_pool_list_all_volumes(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot list the volumes of storage pool '%s'", args.pool.name);
    if (ret.vols_count)
        qsort(ret.vols, ret.vols_count, sizeof *ret.vols, by_name);
    struct table *table = table_new(in->arena, columns, COUNT(columns));
    for (uint32_t i = 0; i < ret.vols_count; i++) {
        struct storage_vol_get_info_args info_args = {.vol = ret.vols[i]};
        struct storage_vol_get_info_ret info = {0};
        struct error local = {0};
        const char *path = volume_path(in, &ret.vols[i], &local);
        if (!path ||
            (sizes && remote_storage_vol_get_info(shell_client(in), &info_args, in->arena, &info, &local) < 0)) {
            if (local.code == ERR_NO_STORAGE_VOL)
                continue; /* gone since the list was made */
            *err = local;
            return command_failed(err, "cannot read what volume '%s' is", ret.vols[i].name);
        }
        table_row(table, ret.vols[i].name, path, type_word(info.type), size_text(in->arena, info.capacity),
                  size_text(in->arena, info.allocation),
                  arena_printf(in->arena, "%llu", (unsigned long long)info.capacity),
                  arena_printf(in->arena, "%llu", (unsigned long long)info.allocation));
    }
    table_print(table, in);
    return 0;
}

static int run_vol_info(struct invocation *in, struct error *err)
{
    bool physical = option_given(in, "physical");
    struct storage_vol_get_info_flags_args args = {.flags = physical ? STORAGE_VOL_GET_PHYSICAL : 0};
    struct storage_vol_get_info_flags_ret ret;
    if (volume_get(in, &args.vol, err) < 0)
        return -1;
    if (remote_storage_vol_get_info_flags(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read what volume '%s' is", args.vol.name);
    struct record *record = record_new(in->arena);
    record_text(record, "name", "Name", args.vol.name);
    record_text(record, "type", "Type", type_word(ret.type));
    record_size(record, in, "capacity", "Capacity", ret.capacity, " bytes");
    record_size(record, in, physical ? "physical" : "allocation", physical ? "Physical" : "Allocation", ret.allocation,
                " bytes");
    record_print(record, in, 16);
    return 0;
}

static int run_vol_dumpxml(struct invocation *in, struct error *err)
{
    struct storage_vol_get_xml_desc_args args = {0};
    struct storage_vol_get_xml_desc_ret ret;
    if (volume_get(in, &args.vol, err) < 0)
        return -1;
    if (remote_storage_vol_get_xml_desc(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the XML of volume '%s'", args.vol.name);
    return xml_print(in, ret.xml, err);
}

static int run_vol_key(struct invocation *in, struct error *err)
{
    struct wire_storage_vol volume;
    if (volume_get(in, &volume, err) < 0)
        return -1;
    output_string(in, "key", volume.key);
    return 0;
}

static int run_vol_path(struct invocation *in, struct error *err)
{
    struct wire_storage_vol volume;
    const char *path = volume_get(in, &volume, err) < 0 ? NULL : volume_path(in, &volume, err);
    if (!path)
        return -1;
    output_string(in, "path", path);
    return 0;
}

static int run_vol_name(struct invocation *in, struct error *err)
{
    struct wire_storage_vol volume;
    if (volume_find(in, option_text(in, "vol"), NULL, &volume, err) < 0)
        return -1;
    output_string(in, "name", volume.name);
    return 0;
}

static int run_vol_pool(struct invocation *in, struct error *err)
{
    struct storage_pool_lookup_by_volume_args args;
    struct storage_pool_lookup_by_volume_ret ret;
    char uuid[UUID_STRING_SIZE];
    if (volume_find(in, option_text(in, "vol"), NULL, &args.vol, err) < 0)
        return -1;
    if (remote_storage_pool_lookup_by_volume(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot look up the storage pool of volume '%s'", args.vol.name);
    uuid_format(ret.pool.uuid, uuid);
    output_string(in, option_given(in, "uuid") ? "uuid" : "name", option_given(in, "uuid") ? uuid : ret.pool.name);
    return 0;
}

static const struct command_option list_options[] = {
    POOL_OPTION,
    {"details", OPTION_BOOL, 0, "with their kinds and sizes"},
    {0},
};

static const struct command_option info_options[] = {
    VOLUME_OPTION,
    VOLUME_POOL_OPTION,
    {"bytes", OPTION_BOOL, 0, "sizes in bytes"},
    {"physical", OPTION_BOOL, 0, "the size of the file instead of what it occupies"},
    {0},
};

static const struct command_option dumpxml_options[] = {
    VOLUME_OPTION,
    VOLUME_POOL_OPTION,
    {"xpath", OPTION_STRING, OPTION_NAMED, "print only what this XPath expression finds"},
    {"wrap", OPTION_BOOL, 0, "put what --xpath finds into one element"},
    {0},
};

static const struct command_option volume_options[] = {VOLUME_OPTION, VOLUME_POOL_OPTION, {0}};

static const struct command_option name_options[] = {
    {"vol", OPTION_STRING, OPTION_REQUIRED, "volume by key or path"},
    {0},
};

static const struct command_option pool_options[] = {
    {"vol", OPTION_STRING, OPTION_REQUIRED, "volume by key or path"},
    {"uuid", OPTION_BOOL, 0, "print the UUID instead of the name"},
    {0},
};

const struct command volume_commands[] = {
    {"vol-dumpxml", "volume", "print the XML of a volume", NULL, dumpxml_options, run_vol_dumpxml},
    {"vol-info", "volume", "print what a volume is and how large", NULL, info_options, run_vol_info},
    {"vol-key", "volume", "print the key of a volume", NULL, volume_options, run_vol_key},
    {"vol-list", "volume", "list the volumes of a storage pool", NULL, list_options, run_vol_list},
    {"vol-name", "volume", "print the name of a volume", NULL, name_options, run_vol_name},
    {"vol-path", "volume", "print where a volume lies", NULL, volume_options, run_vol_path},
    {"vol-pool", "volume", "print the storage pool that a volume is in", NULL, pool_options, run_vol_pool},
    {0},
};
