/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/domain.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/text.h"

#define XML_FILE_MAX (16 << 20)

static int find_by_id(struct invocation *in, const char *word, struct wire_domain *dom, struct error *err)
{
    struct domain_lookup_by_id_args args;
    struct domain_lookup_by_id_ret ret;
    if (parse_i32(word, 10, &args.id) < 0 || args.id < 0)
        return -1;
    if (remote_domain_lookup_by_id(shell_client(in), &args, in->arena, &ret, err) < 0)
        return -1;
    *dom = ret.dom;
    return 0;
}

static int find_by_uuid(struct invocation *in, const char *word, struct wire_domain *dom, struct error *err)
{
    struct domain_lookup_by_uuid_args args;
    struct domain_lookup_by_uuid_ret ret;
    if (uuid_parse(word, args.uuid) < 0)
        return -1;
    if (remote_domain_lookup_by_uuid(shell_client(in), &args, in->arena, &ret, err) < 0)
        return -1;
    *dom = ret.dom;
    return 0;
}

static int find_by_name(struct invocation *in, const char *word, struct wire_domain *dom, struct error *err)
{
    struct domain_lookup_by_name_args args = {.name = word};
    struct domain_lookup_by_name_ret ret;
    if (remote_domain_lookup_by_name(shell_client(in), &args, in->arena, &ret, err) < 0)
        return -1;
    *dom = ret.dom;
    return 0;
}

int domain_find_word(struct invocation *in, const char *word, unsigned keys, struct wire_domain *dom,
                     struct error *err)
{
    static const struct {
        unsigned key;
        int (*find)(struct invocation *in, const char *word, struct wire_domain *dom, struct error *err);
    } ways[] = {{DOMAIN_BY_ID, find_by_id}, {DOMAIN_BY_UUID, find_by_uuid}, {DOMAIN_BY_NAME, find_by_name}};
    for (size_t i = 0; i < COUNT(ways); i++) {
        struct error found = {0};
        if (!(keys & ways[i].key))
            continue;
        if (ways[i].find(in, word, dom, &found) == 0)
            return 0;
        if (found.code && found.code != ERR_NO_DOMAIN) {
            *err = found; /* the question failed, which says nothing about the domain */
            return command_failed(err, "cannot look up the domain '%s'", word);
        }
    }
    return error_set(err, ERR_NO_DOMAIN, "there is no domain '%s' on '%s'; 'list --all' shows those that are", word,
                     in->shell->connection->uri);
}

int domain_find(struct invocation *in, const char *option, unsigned keys, struct wire_domain *dom, struct error *err)
{
    return domain_find_word(in, option_text(in, option), keys, dom, err);
}

int domain_get(struct invocation *in, struct wire_domain *dom, struct error *err)
{
    return domain_find(in, "domain", DOMAIN_BY_ANY, dom, err);
}

const char *domain_state_word(int state)
{
    static const char *const words[] = {
        [DOMAIN_NOSTATE] = "no state",      [DOMAIN_RUNNING] = "running",   [DOMAIN_BLOCKED] = "idle",
        [DOMAIN_PAUSED] = "paused",         [DOMAIN_SHUTDOWN] = "in shutdown", [DOMAIN_SHUTOFF] = "shut off",
        [DOMAIN_CRASHED] = "crashed",       [DOMAIN_PMSUSPENDED] = "pmsuspended",
    };
    return state >= 0 && (size_t)state < COUNT(words) ? words[state] : "no state";
}

const char *domain_reason_word(int state, int reason)
{
    static const char *const words[][16] = { /* in the order of the protocol's enums; [0] is "unknown" everywhere */
        [DOMAIN_NOSTATE] = {"unknown"},
        [DOMAIN_RUNNING] = {"unknown", "booted", "migrated", "restored", "from snapshot", "unpaused",
                            "migration canceled", "save canceled", "event wakeup", "crashed", "post-copy",
                            "post-copy failed"},
        [DOMAIN_BLOCKED] = {"unknown"},
        [DOMAIN_PAUSED] = {"unknown", "user", "migrating", "saving", "dumping", "I/O error", "watchdog",
                           "from snapshot", "shutting down", "creating snapshot", "crashed", "starting up", "post-copy",
                           "post-copy failed", "api error"},
        [DOMAIN_SHUTDOWN] = {"unknown", "user"},
        [DOMAIN_SHUTOFF] = {"unknown", "shutdown", "destroyed", "crashed", "migrated", "saved", "failed",
                            "from snapshot", "daemon"},
        [DOMAIN_CRASHED] = {"unknown", "panicked"},
        [DOMAIN_PMSUSPENDED] = {"unknown"},
    };
    bool known = state >= 0 && (size_t)state < COUNT(words) && reason >= 0 && reason < 16;
    return known && words[state][reason] ? words[state][reason] : "unknown";
}

int domain_affect(const struct invocation *in, unsigned *flags, struct error *err)
{
    if (option_given(in, "current") && (option_given(in, "live") || option_given(in, "config")))
        return error_set(err, ERR_INVALID_ARG, "--current cannot be combined with --live or --config");
    *flags = (option_given(in, "live") ? DOMAIN_AFFECT_LIVE : 0) |
             (option_given(in, "config") ? DOMAIN_AFFECT_CONFIG : 0);
    return 0;
}

bool domain_affect_given(const struct invocation *in)
{
    return option_given(in, "config") || option_given(in, "live") || option_given(in, "current");
}

int host_cpu_count(struct invocation *in, uint32_t *count, struct error *err)
{
    struct node_get_info_ret node;
    if (remote_node_get_info(shell_client(in), in->arena, &node, err) < 0)
        return command_failed(err, "cannot read what the host is");
    int64_t cpus = (int64_t)node.nodes * node.sockets * node.cores * node.threads;
    *count = cpus > 0 && cpus < 65536 ? (uint32_t)cpus : 1;
    return 0;
}

const char *domain_xml(struct invocation *in, const struct wire_domain *dom, unsigned flags, struct error *err)
{
    struct domain_get_xml_desc_args args = {.dom = *dom, .flags = flags};
    struct domain_get_xml_desc_ret ret;
    if (remote_domain_get_xml_desc(shell_client(in), &args, in->arena, &ret, err) < 0)
        return command_failed_null(err, "cannot read the XML of domain '%s'", dom->name);
    return ret.xml;
}

struct document *domain_document(struct invocation *in, const struct wire_domain *dom, unsigned flags,
                                 struct error *err)
{
    const char *xml = domain_xml(in, dom, flags, err);
    return xml ? document_parse(xml, arena_printf(in->arena, "the XML of domain '%s'", dom->name), err) : NULL;
}

struct document *domain_get_document(struct invocation *in, struct wire_domain *dom, unsigned flags, struct error *err)
{
    return domain_get(in, dom, err) < 0 ? NULL : domain_document(in, dom, flags, err);
}

char *xml_file_read(struct invocation *in, const char *path, struct error *err)
{
    bool standard = strcmp(path, "-") == 0;
    scoped_fd int fd = standard ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_null_system(err, errno, "cannot open the file '%s'", path);
    scoped_text struct text content = {0};
    for (;;) {
        ssize_t got = read(fd, text_reserve(&content, 65536), 65536);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_null_system(err, errno, "cannot read the file '%s'", path);
        if (got == 0)
            break;
        content.length += got;
        if (content.length > XML_FILE_MAX)
            return error_null(err, ERR_INVALID_ARG, "the file '%s' is larger than %d MiB", path, XML_FILE_MAX >> 20);
    }
    size_t nul = nul_line(content.data, content.length);
    if (nul)
        return error_null(err, ERR_INVALID_ARG, "the file '%s' has a NUL byte in line %zu; it is to be text in UTF-8",
                          path, nul);
    return arena_strndup(in->arena, content.data ? content.data : "", content.length);
}

int word_index(const char *what, const char *word, const char *const *words, struct error *err)
{
    scoped_text struct text all = {0};
    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], word) == 0)
            return i;
        text_printf(&all, "%s%s", i ? ", " : "", words[i]);
    }
    return error_set(err, ERR_INVALID_ARG, "%s '%s' is not known; allowed are %s", what, word, text_string(&all));
}

static void offer_domains(struct completion *completion, unsigned flags)
{
    struct connect_list_all_domains_args args = {.need_results = 1, .flags = flags};
    struct connect_list_all_domains_ret ret;
    struct error ignored = {0};
    if (shell_connect(completion->shell, &ignored) < 0 ||
        remote_connect_list_all_domains(completion->shell->connection->client, &args, completion->arena, &ret,
                                        &ignored) < 0)
        return;
    for (uint32_t i = 0; i < ret.domains_count; i++)
        completion->offer(completion, ret.domains[i].name);
}

void complete_domains(struct completion *completion)
{
    offer_domains(completion, 0);
}

void complete_active(struct completion *completion)
{
    offer_domains(completion, CONNECT_LIST_DOMAINS_ACTIVE);
}

void complete_inactive(struct completion *completion)
{
    offer_domains(completion, CONNECT_LIST_DOMAINS_INACTIVE);
}

void complete_paused(struct completion *completion)
{
    offer_domains(completion, CONNECT_LIST_DOMAINS_PAUSED);
}
