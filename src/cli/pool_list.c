/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "cli/pool.h"

/* Storage pools listed and described. */

static const struct {
    const char *option;
    unsigned flag;
} filters[] = {
    {"transient", CONNECT_LIST_STORAGE_POOLS_TRANSIENT},
    {"persistent", CONNECT_LIST_STORAGE_POOLS_PERSISTENT},
    {"autostart", CONNECT_LIST_STORAGE_POOLS_AUTOSTART},
    {"no-autostart", CONNECT_LIST_STORAGE_POOLS_NO_AUTOSTART},
};

static const struct {
    const char *word;
    unsigned flag;
} types[] = {
    {"dir", CONNECT_LIST_STORAGE_POOLS_DIR},
    {"fs", CONNECT_LIST_STORAGE_POOLS_FS},
    {"netfs", CONNECT_LIST_STORAGE_POOLS_NETFS},
    {"logical", CONNECT_LIST_STORAGE_POOLS_LOGICAL},
    {"disk", CONNECT_LIST_STORAGE_POOLS_DISK},
    {"iscsi", CONNECT_LIST_STORAGE_POOLS_ISCSI},
    {"iscsi-direct", CONNECT_LIST_STORAGE_POOLS_ISCSI_DIRECT},
    {"scsi", CONNECT_LIST_STORAGE_POOLS_SCSI},
    {"mpath", CONNECT_LIST_STORAGE_POOLS_MPATH},
    {"rbd", CONNECT_LIST_STORAGE_POOLS_RBD},
    {"sheepdog", CONNECT_LIST_STORAGE_POOLS_SHEEPDOG},
    {"gluster", CONNECT_LIST_STORAGE_POOLS_GLUSTER},
    {"zfs", CONNECT_LIST_STORAGE_POOLS_ZFS},
    {"vstorage", CONNECT_LIST_STORAGE_POOLS_VSTORAGE},
};

/* "dir,fs" as flags. */
static int type_flags(const struct invocation *in, unsigned *flags, struct error *err)
{
    char *words = arena_strdup(in->arena, option_text(in, "type")), *rest = NULL;
    for (char *word = words ? strtok_r(words, ",", &rest) : NULL; word; word = strtok_r(NULL, ",", &rest)) {
        size_t i = 0;
        while (i < COUNT(types) && strcmp(types[i].word, word) != 0)
            i++;
        if (i == COUNT(types))
            return error_set(err, ERR_INVALID_ARG, "there is no storage pool type '%s'; types are dir, fs, netfs, "
                             "logical, disk, iscsi, iscsi-direct, scsi, mpath, rbd, sheepdog, gluster, zfs, vstorage",
                             word);
        *flags |= types[i].flag;
    }
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcasecmp(((const struct wire_storage_pool *)a)->name, ((const struct wire_storage_pool *)b)->name);
}

struct pool_facts {
    struct storage_pool_get_info_ret info;
    bool autostart, persistent;
};

/* 1 when the pool is gone since the list was made. */
static int learn(struct invocation *in, const struct wire_storage_pool *pool, struct pool_facts *facts,
                 struct error *err)
{
    struct storage_pool_get_info_args info_args = {.pool = *pool};
    struct storage_pool_get_autostart_args autostart_args = {.pool = *pool};
    struct storage_pool_is_persistent_args persistent_args = {.pool = *pool};
    struct storage_pool_get_autostart_ret autostart;
    struct storage_pool_is_persistent_ret persistent;
    struct error local = {0};
    if (remote_storage_pool_get_info(shell_client(in), &info_args, in->arena, &facts->info, &local) < 0 ||
        remote_storage_pool_get_autostart(shell_client(in), &autostart_args, in->arena, &autostart, &local) < 0 ||
        remote_storage_pool_is_persistent(shell_client(in), &persistent_args, in->arena, &persistent, &local) < 0) {
        if (local.code == ERR_NO_STORAGE_POOL)
            return 1;
        *err = local;
        return command_failed(err, "cannot read what storage pool '%s' is", pool->name);
    }
    facts->autostart = autostart.autostart;
    facts->persistent = persistent.persistent;
    return 0;
}

static int print_table(struct invocation *in, const struct wire_storage_pool *pools, uint32_t count, struct error *err)
{
    bool details = option_given(in, "details");
    const struct column columns[] = {
        {"name", "Name"}, {"state", "State"}, {"autostart", "Autostart", CELL_YES_NO},
        {"persistent", details ? "Persistent" : NULL, CELL_YES_NO}, {NULL, details ? "Capacity" : NULL},
        {NULL, details ? "Allocation" : NULL}, {NULL, details ? "Available" : NULL}, {"uuid", NULL},
        {"capacity", NULL, CELL_NUMBER}, {"allocation", NULL, CELL_NUMBER}, {"available", NULL, CELL_NUMBER},
    };
    struct table *table = table_new(in->arena, columns, COUNT(columns));
    for (uint32_t i = 0; i < count; i++) {
        struct pool_facts facts;
        int rc = learn(in, &pools[i], &facts, err);
        if (rc < 0)
            return -1;
        if (rc > 0)
            continue;
        char uuid[UUID_STRING_SIZE];
        uuid_format(pools[i].uuid, uuid);
        bool active = facts.info.state != STORAGE_POOL_INACTIVE;
        const uint64_t sizes[] = {facts.info.capacity, facts.info.allocation, facts.info.available};
        const char *shown[3] = {0}, *bytes[3] = {0};
        for (size_t n = 0; n < COUNT(sizes) && active; n++) {
            shown[n] = size_text(in->arena, sizes[n]);
            bytes[n] = arena_printf(in->arena, "%llu", (unsigned long long)sizes[n]);
        }
        table_row(table, pools[i].name, details ? pool_state_word(facts.info.state) : active ? "active" : "inactive",
                  facts.autostart ? "yes" : "no", facts.persistent ? "yes" : "no", shown[0], shown[1], shown[2], uuid,
                  bytes[0], bytes[1], bytes[2]);
    }
    table_print(table, in);
    return 0;
}

static void print_words(struct invocation *in, const struct wire_storage_pool *pools, uint32_t count)
{
    bool by_uuid = option_given(in, "uuid");
    scoped_listing struct listing listing;
    listing_init(&listing, in);
    for (uint32_t i = 0; i < count; i++) {
        char uuid[UUID_STRING_SIZE];
        uuid_format(pools[i].uuid, uuid);
        listing_word(&listing, by_uuid ? "uuid" : "name", by_uuid ? uuid : pools[i].name);
    }
    listing_end(&listing);
}

static int run_pool_list(struct invocation *in, struct error *err)
{
    struct connect_list_all_storage_pools_args args = {.need_results = 1};
    struct connect_list_all_storage_pools_ret ret;
    if (option_exclusive(in, err, "details", "uuid", NULL) < 0 ||
        option_exclusive(in, err, "details", "name", NULL) < 0 || type_flags(in, &args.flags, err) < 0)
        return -1;
    for (size_t i = 0; i < COUNT(filters); i++)
        args.flags |= option_given(in, filters[i].option) ? filters[i].flag : 0;
    if (option_given(in, "all") || option_given(in, "inactive"))
        args.flags |= CONNECT_LIST_STORAGE_POOLS_INACTIVE;
    if (option_given(in, "all") || !option_given(in, "inactive"))
        args.flags |= CONNECT_LIST_STORAGE_POOLS_ACTIVE;
    if (remote_connect_list_all_storage_pools(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot list the storage pools");
    if (ret.pools_count)
        qsort(ret.pools, ret.pools_count, sizeof *ret.pools, by_name);
    if (!option_given(in, "uuid") && !option_given(in, "name"))
        return print_table(in, ret.pools, ret.pools_count, err);
    print_words(in, ret.pools, ret.pools_count);
    return 0;
}

static int run_pool_info(struct invocation *in, struct error *err)
{
    struct wire_storage_pool pool;
    struct pool_facts facts;
    char uuid[UUID_STRING_SIZE];
    if (pool_get(in, &pool, err) < 0)
        return -1;
    int rc = learn(in, &pool, &facts, err);
    if (rc != 0)
        return rc < 0 ? -1 : error_set(err, ERR_NO_STORAGE_POOL, "storage pool '%s' is gone", pool.name);
    struct record *record = record_new(in->arena);
    uuid_format(pool.uuid, uuid);
    record_text(record, "name", "Name", pool.name);
    record_text(record, "uuid", "UUID", uuid);
    record_text(record, "state", "State", pool_state_word(facts.info.state));
    record_add(record, "persistent", "Persistent", facts.persistent ? "yes" : "no", json_boolean(facts.persistent));
    record_add(record, "autostart", "Autostart", facts.autostart ? "yes" : "no", json_boolean(facts.autostart));
    if (facts.info.state == STORAGE_POOL_RUNNING || facts.info.state == STORAGE_POOL_DEGRADED) {
        record_size(record, in, "capacity", "Capacity", facts.info.capacity, "");
        record_size(record, in, "allocation", "Allocation", facts.info.allocation, "");
        record_size(record, in, "available", "Available", facts.info.available, "");
    }
    record_print(record, in, 16);
    return 0;
}

static const struct command_option list_options[] = {
    {"inactive", OPTION_BOOL, 0, "inactive pools"},
    {"all", OPTION_BOOL, 0, "active and inactive pools"},
    {"transient", OPTION_BOOL, 0, "transient pools"},
    {"persistent", OPTION_BOOL, 0, "persistent pools"},
    {"autostart", OPTION_BOOL, 0, "pools that start with the host"},
    {"no-autostart", OPTION_BOOL, 0, "pools that do not start with the host"},
    {"type", OPTION_STRING, 0, "pools of these kinds, with commas between them"},
    {"details", OPTION_BOOL, 0, "with their sizes"},
    {"uuid", OPTION_BOOL, 0, "print UUIDs only"},
    {"name", OPTION_BOOL, 0, "print names only"},
    {0},
};

static const struct command_option info_options[] = {
    POOL_OPTION,
    {"bytes", OPTION_BOOL, 0, "sizes in bytes"},
    {0},
};

const struct command pool_list_commands[] = {
    {"pool-info", "pool", "print what a storage pool is and how full", NULL, info_options, run_pool_info},
    {"pool-list", "pool", "list storage pools", "Lists the active ones, or those that the filters name.", list_options,
     run_pool_list},
    {0},
};
