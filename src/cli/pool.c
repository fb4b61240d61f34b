/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/pool.h"

#include <inttypes.h>
#include "cli/domain.h"

/* The life of storage pools. */

int pool_find(struct invocation *in, const char *word, struct wire_storage_pool *pool, struct error *err)
{
    struct storage_pool_lookup_by_uuid_args by_uuid;
    struct storage_pool_lookup_by_uuid_ret uuid_ret;
    struct storage_pool_lookup_by_name_args by_name = {.name = word};
    struct storage_pool_lookup_by_name_ret name_ret;
    struct error ignored = {0};
    if (uuid_parse(word, by_uuid.uuid) == 0 &&
        remote_storage_pool_lookup_by_uuid(shell_client(in), &by_uuid, in->arena, &uuid_ret, &ignored) == 0) {
        *pool = uuid_ret.pool;
        return 0;
    }
    if (remote_storage_pool_lookup_by_name(shell_client(in), &by_name, in->arena, &name_ret, err) == 0) {
        *pool = name_ret.pool;
        return 0;
    }
    if (err->code != ERR_NO_STORAGE_POOL)
        return command_failed(err, "cannot look up the storage pool '%s'", word);
    return error_set(err, ERR_NO_STORAGE_POOL, "there is no storage pool '%s' on '%s'; 'pool-list --all' shows those "
                     "that are", word, in->shell->connection->uri);
}

int pool_get(struct invocation *in, struct wire_storage_pool *pool, struct error *err)
{
    return pool_find(in, option_text(in, "pool"), pool, err);
}

const char *pool_state_word(int state)
{
    static const char *const words[] = {"inactive", "building", "running", "degraded", "inaccessible"};
    return state >= 0 && (size_t)state < COUNT(words) ? words[state] : "unknown";
}

char *size_text(struct arena *arena, uint64_t bytes)
{
    const char *unit;
    double number = human_size(bytes, &unit);
    return arena_printf(arena, "%.2f %s", number, unit);
}

void record_size(struct record *record, const struct invocation *in, const char *key, const char *label, uint64_t bytes,
                 const char *unit)
{
    char *text = option_given(in, "bytes") ? arena_printf(in->arena, "%" PRIu64 "%s", bytes, unit)
                                           : size_text(in->arena, bytes);
    record_add(record, key, label, text, json_integer((json_int_t)bytes));
}

void xml_line(struct text *xml, unsigned indent, const char *tag, const char *attribute, const char *value)
{
    scoped_text struct text escaped = {0};
    if (!value)
        return;
    text_append_xml(&escaped, value);
    if (attribute)
        text_printf(xml, "%*s<%s %s='%s'/>\n", (int)indent, "", tag, attribute, text_string(&escaped));
    else
        text_printf(xml, "%*s<%s>%s</%s>\n", (int)indent, "", tag, text_string(&escaped), tag);
}

void complete_pools(struct completion *completion)
{
    struct connect_list_all_storage_pools_args args = {.need_results = 1};
    struct connect_list_all_storage_pools_ret ret;
    struct error ignored = {0};
    if (shell_connect(completion->shell, &ignored) < 0 ||
        remote_connect_list_all_storage_pools(completion->shell->connection->client, &args, completion->arena, &ret,
                                              &ignored) < 0)
        return;
    for (uint32_t i = 0; i < ret.pools_count; i++)
        completion->offer(completion, ret.pools[i].name);
}

/* -- commands that do one thing to one pool ------------------------------------------------------------------------ */

static int run_pool_start(struct invocation *in, struct error *err)
{
    struct storage_pool_create_args args = {0};
    if (option_exclusive(in, err, "overwrite", "no-overwrite", NULL) < 0 || pool_get(in, &args.pool, err) < 0)
        return -1;
    args.flags = (option_given(in, "build") ? STORAGE_POOL_CREATE_WITH_BUILD : 0) |
                 (option_given(in, "overwrite") ? STORAGE_POOL_CREATE_WITH_BUILD_OVERWRITE : 0) |
                 (option_given(in, "no-overwrite") ? STORAGE_POOL_CREATE_WITH_BUILD_NO_OVERWRITE : 0);
    if (remote_storage_pool_create(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot start storage pool '%s'", args.pool.name);
    output_note(in, "Pool %s started\n", args.pool.name);
    return 0;
}

static int run_pool_build(struct invocation *in, struct error *err)
{
    struct storage_pool_build_args args = {0};
    if (option_exclusive(in, err, "overwrite", "no-overwrite", NULL) < 0 || pool_get(in, &args.pool, err) < 0)
        return -1;
    args.flags = (option_given(in, "overwrite") ? STORAGE_POOL_BUILD_OVERWRITE : 0) |
                 (option_given(in, "no-overwrite") ? STORAGE_POOL_BUILD_NO_OVERWRITE : 0);
    if (remote_storage_pool_build(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot build storage pool '%s'", args.pool.name);
    output_note(in, "Pool %s built\n", args.pool.name);
    return 0;
}

static int run_pool_destroy(struct invocation *in, struct error *err)
{
    struct storage_pool_destroy_args args = {0};
    if (pool_get(in, &args.pool, err) < 0)
        return -1;
    if (remote_storage_pool_destroy(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot destroy storage pool '%s'", args.pool.name);
    output_note(in, "Pool %s destroyed\n", args.pool.name);
    return 0;
}

static int run_pool_delete(struct invocation *in, struct error *err)
{
    struct storage_pool_delete_args args = {0};
    if (pool_get(in, &args.pool, err) < 0)
        return -1;
    if (remote_storage_pool_delete(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot delete storage pool '%s'", args.pool.name);
    output_note(in, "Pool %s deleted\n", args.pool.name);
    return 0;
}

static int run_pool_undefine(struct invocation *in, struct error *err)
{
    struct storage_pool_undefine_args args = {0};
    if (pool_get(in, &args.pool, err) < 0)
        return -1;
    if (remote_storage_pool_undefine(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot undefine storage pool '%s'", args.pool.name);
    output_note(in, "Pool %s has been undefined\n", args.pool.name);
    return 0;
}

static int run_pool_refresh(struct invocation *in, struct error *err)
{
    struct storage_pool_refresh_args args = {0};
    if (pool_get(in, &args.pool, err) < 0)
        return -1;
    if (remote_storage_pool_refresh(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot refresh storage pool '%s'", args.pool.name);
    output_note(in, "Pool %s refreshed\n", args.pool.name);
    return 0;
}

static int run_pool_autostart(struct invocation *in, struct error *err)
{
    struct storage_pool_set_autostart_args args = {.autostart = !option_given(in, "disable")};
    if (pool_get(in, &args.pool, err) < 0)
        return -1;
    if (remote_storage_pool_set_autostart(shell_client(in), &args, err) < 0)
        return command_failed(err, "cannot change the autostart of storage pool '%s'", args.pool.name);
    output_note(in, args.autostart ? "Pool %s marked as autostarted\n" : "Pool %s unmarked as autostarted\n",
                args.pool.name);
    return 0;
}

static int run_pool_name(struct invocation *in, struct error *err)
{
    struct wire_storage_pool pool;
    if (pool_get(in, &pool, err) < 0)
        return -1;
    output_string(in, "name", pool.name);
    return 0;
}

static int run_pool_uuid(struct invocation *in, struct error *err)
{
    struct wire_storage_pool pool;
    char uuid[UUID_STRING_SIZE];
    if (pool_get(in, &pool, err) < 0)
        return -1;
    uuid_format(pool.uuid, uuid);
    output_string(in, "uuid", uuid);
    return 0;
}

static int run_pool_dumpxml(struct invocation *in, struct error *err)
{
    struct storage_pool_get_xml_desc_args args = {.flags = option_given(in, "inactive") ? STORAGE_XML_INACTIVE : 0};
    struct storage_pool_get_xml_desc_ret ret;
    if (pool_get(in, &args.pool, err) < 0)
        return -1;
    if (remote_storage_pool_get_xml_desc(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the XML of storage pool '%s'", args.pool.name);
    return xml_print(in, ret.xml, err);
}

static int run_pool_capabilities(struct invocation *in, struct error *err)
{
    struct connect_get_storage_pool_capabilities_args args = {0};
    struct connect_get_storage_pool_capabilities_ret ret;
    if (remote_connect_get_storage_pool_capabilities(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot read the storage pool capabilities");
    output_document(in, "xml", ret.capabilities);
    return 0;
}

static const struct command_option pool_options[] = {POOL_OPTION, {0}};

static const struct command_option start_options[] = {
    POOL_OPTION,
    {"build", OPTION_BOOL, 0, "build it first"},
    {"no-overwrite", OPTION_BOOL, 0, "build it unless there is data already"},
    {"overwrite", OPTION_BOOL, 0, "build it, whatever is there now"},
    {0},
};

static const struct command_option build_options[] = {
    POOL_OPTION,
    {"no-overwrite", OPTION_BOOL, 0, "do not touch data that is there"},
    {"overwrite", OPTION_BOOL, 0, "whatever is there now"},
    {0},
};

static const struct command_option autostart_options[] = {
    POOL_OPTION,
    {"disable", OPTION_BOOL, 0, "do not start it with the host any more"},
    {0},
};

static const struct command_option dumpxml_options[] = {
    POOL_OPTION,
    {"inactive", OPTION_BOOL, 0, "the definition, also of an active pool"},
    {"xpath", OPTION_STRING, OPTION_NAMED, "print only what this XPath expression finds"},
    {"wrap", OPTION_BOOL, 0, "put what --xpath finds into one element"},
    {0},
};

const struct command pool_commands[] = {
    {"pool-autostart", "pool", "start a storage pool with the host", NULL, autostart_options, run_pool_autostart},
    {"pool-build", "pool", "make what a storage pool needs: a directory, a file system, ...", NULL, build_options,
     run_pool_build},
    {"pool-capabilities", "pool", "print what kinds of storage pools the host serves", NULL, NULL,
     run_pool_capabilities},
    {"pool-delete", "pool", "remove what a storage pool was built of", "The definition stays.", pool_options,
     run_pool_delete},
    {"pool-destroy", "pool", "stop a storage pool", "Its volumes stay.", pool_options, run_pool_destroy},
    {"pool-dumpxml", "pool", "print the XML of a storage pool", NULL, dumpxml_options, run_pool_dumpxml},
    {"pool-name", "pool", "print the name of a storage pool", NULL, pool_options, run_pool_name},
    {"pool-refresh", "pool", "look anew at what a storage pool holds", NULL, pool_options, run_pool_refresh},
    {"pool-start", "pool", "start a storage pool", NULL, start_options, run_pool_start},
    {"pool-undefine", "pool", "remove the definition of a storage pool", NULL, pool_options, run_pool_undefine},
    {"pool-uuid", "pool", "print the UUID of a storage pool", NULL, pool_options, run_pool_uuid},
    {0},
};
