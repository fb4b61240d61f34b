/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/domain.h"

/* Filter options and the flags they stand for; the daemon filters. */
static const struct {
    const char *option;
    unsigned flags;
} filters[] = {
    {"transient", CONNECT_LIST_DOMAINS_TRANSIENT},
    {"persistent", CONNECT_LIST_DOMAINS_PERSISTENT},
    {"with-snapshot", CONNECT_LIST_DOMAINS_HAS_SNAPSHOT},
    {"without-snapshot", CONNECT_LIST_DOMAINS_NO_SNAPSHOT},
    {"with-checkpoint", CONNECT_LIST_DOMAINS_HAS_CHECKPOINT},
    {"without-checkpoint", CONNECT_LIST_DOMAINS_NO_CHECKPOINT},
    {"state-running", CONNECT_LIST_DOMAINS_RUNNING},
    {"state-paused", CONNECT_LIST_DOMAINS_PAUSED},
    {"state-shutoff", CONNECT_LIST_DOMAINS_SHUTOFF},
    {"state-other", CONNECT_LIST_DOMAINS_OTHER},
    {"autostart", CONNECT_LIST_DOMAINS_AUTOSTART},
    {"no-autostart", CONNECT_LIST_DOMAINS_NO_AUTOSTART},
    {"with-managed-save", CONNECT_LIST_DOMAINS_MANAGEDSAVE},
    {"without-managed-save", CONNECT_LIST_DOMAINS_NO_MANAGEDSAVE},
};

/* Running ones first, by id; then the others, by name. */
static int compare_domains(const void *a, const void *b)
{
    const struct wire_domain *left = a, *right = b;
    if ((left->id < 0) != (right->id < 0))
        return left->id < 0 ? 1 : -1;
    if (left->id != right->id)
        return left->id < right->id ? -1 : 1;
    return strcasecmp(left->name, right->name);
}

static unsigned list_flags(const struct invocation *in)
{
    unsigned flags = 0;
    for (size_t i = 0; i < COUNT(filters); i++)
        if (option_given(in, filters[i].option))
            flags |= filters[i].flags;
    if (option_given(in, "inactive") || option_given(in, "state-shutoff"))
        flags |= CONNECT_LIST_DOMAINS_INACTIVE;
    if (option_given(in, "all"))
        return flags | CONNECT_LIST_DOMAINS_ACTIVE | CONNECT_LIST_DOMAINS_INACTIVE;
    return option_given(in, "inactive") ? flags : flags | CONNECT_LIST_DOMAINS_ACTIVE;
}

static const char *domain_title(struct invocation *in, const struct wire_domain *dom)
{
    struct domain_get_metadata_args args = {.dom = *dom, .type = DOMAIN_METADATA_TITLE};
    struct domain_get_metadata_ret ret;
    struct error ignored = {0};
    return remote_domain_get_metadata(shell_client(in), &args, in->arena, &ret, &ignored) == 0 ? ret.metadata : "";
}

static bool has_managed_save(struct invocation *in, const struct wire_domain *dom)
{
    struct domain_has_managed_save_image_args args = {.dom = *dom};
    struct domain_has_managed_save_image_ret ret;
    struct error ignored = {0};
    return remote_domain_has_managed_save_image(shell_client(in), &args, in->arena, &ret, &ignored) == 0 && ret.result;
}

/* --uuid, --name and --id: bare words, several of them side by side. */
static void print_words(struct invocation *in, const struct wire_domain *domains, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char uuid[UUID_STRING_SIZE];
        scoped_text struct text line = {0};
        uuid_format(domains[i].uuid, uuid);
        const char *id = domains[i].id < 0 ? "-" : arena_printf(in->arena, "%d", domains[i].id);
        bool id_alone = !option_given(in, "uuid") && !option_given(in, "name");
        if (id_alone && domains[i].id < 0)
            continue;
        if (option_given(in, "uuid"))
            text_append(&line, uuid);
        if (option_given(in, "id"))
            text_printf(&line, "%s%s", line.length ? " " : "", id);
        if (option_given(in, "name"))
            text_printf(&line, "%s%s", line.length ? " " : "", domains[i].name);
        puts(text_string(&line));
    }
}

static int print_table(struct invocation *in, const struct wire_domain *domains, uint32_t count, struct error *err)
{
    bool title = option_given(in, "title");
    const struct column columns[] = {
        {"id", "Id", CELL_NUMBER}, {"name", "Name"}, {"state", "State"}, {"title", title ? "Title" : NULL},
        {"uuid", NULL}, {"reason", NULL},
    };
    struct table *table = table_new(in->arena, columns, COUNT(columns));
    for (uint32_t i = 0; i < count; i++) {
        struct domain_get_state_args args = {.dom = domains[i]};
        struct domain_get_state_ret ret;
        struct error local = {0};
        if (remote_domain_get_state(shell_client(in), &args, in->arena, &ret, &local) < 0) {
            if (local.code == ERR_NO_DOMAIN)
                continue; /* gone since the list was made */
            *err = local;
            return command_failed(err, "cannot read the state of domain '%s'", domains[i].name);
        }
        bool saved = ret.state == DOMAIN_SHUTOFF && option_given(in, "managed-save") &&
                     has_managed_save(in, &domains[i]);
        char uuid[UUID_STRING_SIZE];
        uuid_format(domains[i].uuid, uuid);
        table_row(table, domains[i].id < 0 ? NULL : arena_printf(in->arena, "%d", domains[i].id), domains[i].name,
                  saved ? "saved" : domain_state_word(ret.state), title ? domain_title(in, &domains[i]) : NULL,
                  uuid, domain_reason_word(ret.state, ret.reason));
    }
    table_print(table, in);
    return 0;
}

static int run_list(struct invocation *in, struct error *err)
{
    bool words = option_given(in, "uuid") || option_given(in, "name") || option_given(in, "id");
    if (words && option_given(in, "table"))
        return error_set(err, ERR_INVALID_ARG, "--table excludes --uuid, --name and --id");
    struct connect_list_all_domains_args args = {.need_results = 1, .flags = list_flags(in)};
    struct connect_list_all_domains_ret ret;
    if (remote_connect_list_all_domains(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed(err, "cannot list the domains");
    if (ret.domains_count)
        qsort(ret.domains, ret.domains_count, sizeof *ret.domains, compare_domains);
    if (!words || output_is_json(in))
        return print_table(in, ret.domains, ret.domains_count, err);
    print_words(in, ret.domains, ret.domains_count);
    return 0;
}

static const struct command_option list_options[] = {
    {"inactive", OPTION_BOOL, 0, "domains that do not run"},
    {"all", OPTION_BOOL, 0, "running and not running domains"},
    {"transient", OPTION_BOOL, 0, "domains without a definition"},
    {"persistent", OPTION_BOOL, 0, "defined domains"},
    {"with-snapshot", OPTION_BOOL, 0, "domains that have snapshots"},
    {"without-snapshot", OPTION_BOOL, 0, "domains without snapshots"},
    {"with-checkpoint", OPTION_BOOL, 0, "domains that have checkpoints"},
    {"without-checkpoint", OPTION_BOOL, 0, "domains without checkpoints"},
    {"state-running", OPTION_BOOL, 0, "domains whose processors run"},
    {"state-paused", OPTION_BOOL, 0, "paused domains"},
    {"state-shutoff", OPTION_BOOL, 0, "domains that are shut off"},
    {"state-other", OPTION_BOOL, 0, "domains in other states"},
    {"autostart", OPTION_BOOL, 0, "domains that start with the host"},
    {"no-autostart", OPTION_BOOL, 0, "domains that do not start with the host"},
    {"with-managed-save", OPTION_BOOL, 0, "domains with a managed saved state"},
    {"without-managed-save", OPTION_BOOL, 0, "domains without a managed saved state"},
    {"uuid", OPTION_BOOL, 0, "print UUIDs only"},
    {"name", OPTION_BOOL, 0, "print names only"},
    {"id", OPTION_BOOL, 0, "print ids only"},
    {"table", OPTION_BOOL, 0, "print a table, as without any of these"},
    {"managed-save", OPTION_BOOL, 0, "call domains with a managed saved state 'saved'"},
    {"title", OPTION_BOOL, 0, "show the titles"},
    {0},
};

const struct command list_commands[] = {
    {"list", "monitor", "list domains", "Lists the running domains, or those that the filters name. Several filters of "
     "different kinds must all fit.", list_options, run_list},
    {0},
};
