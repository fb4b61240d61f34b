/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/text.h"
#include "cli/domain.h"
#include "cli/terminal.h"

static const char *read_metadata(struct invocation *in, const struct wire_domain *dom, int type, const char *uri,
                                 unsigned flags, struct error *err)
{
    struct domain_get_metadata_args args = {.dom = *dom, .type = type, .uri = uri, .flags = flags};
    struct domain_get_metadata_ret ret;
    return remote_domain_get_metadata(shell_client(in), &args, in->arena, &ret, err) < 0 ? NULL : ret.metadata;
}

static int write_metadata(struct invocation *in, const struct wire_domain *dom, int type, const char *text,
                          const char *key, const char *uri, unsigned flags, struct error *err)
{
    struct domain_set_metadata_args args = {.dom = *dom, .type = type, .metadata = text, .key = key, .uri = uri,
                                            .flags = flags};
    return remote_domain_set_metadata(shell_client(in), &args, err);
}

static char *without_line_end(struct arena *arena, const char *text)
{
    size_t length = strlen(text);
    while (length && text[length - 1] == '\n')
        length--;
    return arena_strndup(arena, text, length);
}

static int run_desc(struct invocation *in, struct error *err)
{
    struct wire_domain dom;
    unsigned flags;
    bool title = option_given(in, "title");
    const char *what = title ? "title" : "description";
    int type = title ? DOMAIN_METADATA_TITLE : DOMAIN_METADATA_DESCRIPTION;
    if (domain_affect(in, &flags, err) < 0 || domain_get(in, &dom, err) < 0)
        return -1;
    const char *wanted = in->rest_count ? invocation_rest(in, 0) : NULL;
    if (!wanted || option_given(in, "edit")) {
        const char *now = wanted ? wanted : read_metadata(in, &dom, type, NULL, flags, err);
        if (!now && err->code != ERR_NO_DOMAIN_METADATA)
            return command_failed(err, "cannot read the %s of domain '%s'", what, dom.name);
        if (!option_given(in, "edit")) {
            if ((now && *now) || output_is_json(in))
                output_document(in, what, now ? now : "");
            else
                output_note(in, "No %s for domain: %s", what, dom.name);
            *err = (struct error){0};
            return 0;
        }
        bool unchanged;
        const char *edited = terminal_edit(in->arena, now ? now : "", ".txt", &unchanged, err);
        if (!edited)
            return -1;
        if (unchanged && !wanted) {
            output_note(in, "Domain %s not changed\n", what);
            return 0;
        }
        wanted = without_line_end(in->arena, edited);
    }
    if (write_metadata(in, &dom, type, wanted, NULL, NULL, flags, err) < 0)
        return command_failed(err, "cannot set the %s of domain '%s'", what, dom.name);
    output_note(in, "Domain %s updated successfully", what);
    return 0;
}

static int edit_metadata(struct invocation *in, const struct wire_domain *dom, const char *uri, const char *key,
                         unsigned flags, struct error *err)
{
    const char *now = read_metadata(in, dom, DOMAIN_METADATA_ELEMENT, uri, flags, err);
    if (!now && err->code != ERR_NO_DOMAIN_METADATA)
        return command_failed(err, "cannot read the metadata of domain '%s'", dom->name);
    bool unchanged;
    const char *edited = terminal_edit(in->arena, now ? now : "", ".xml", &unchanged, err);
    if (!edited)
        return -1;
    if (unchanged) {
        output_note(in, "Metadata not changed\n");
        return 0;
    }
    if (write_metadata(in, dom, DOMAIN_METADATA_ELEMENT, edited, key, uri, flags, err) < 0)
        return command_failed(err, "cannot set the metadata of domain '%s'", dom->name);
    output_note(in, "Metadata modified\n");
    return 0;
}

static int run_metadata(struct invocation *in, struct error *err)
{
    struct wire_domain dom;
    unsigned flags;
    const char *uri = option_text(in, "uri"), *key = option_text(in, "key"), *set = option_text(in, "set");
    if (option_exclusive(in, err, "edit", "set", "remove", NULL) < 0 || domain_affect(in, &flags, err) < 0)
        return -1;
    if ((set || option_given(in, "edit")) && !key)
        return error_set(err, ERR_INVALID_ARG, "to set metadata, --key names the prefix of its namespace");
    if (domain_get(in, &dom, err) < 0)
        return -1;
    if (option_given(in, "edit"))
        return edit_metadata(in, &dom, uri, key, flags, err);
    if (set || option_given(in, "remove")) {
        if (write_metadata(in, &dom, DOMAIN_METADATA_ELEMENT, set, set ? key : NULL, uri, flags, err) < 0)
            return command_failed(err, "cannot change the metadata of domain '%s'", dom.name);
        output_note(in, set ? "Metadata modified\n" : "Metadata removed\n");
        return 0;
    }
    const char *text = read_metadata(in, &dom, DOMAIN_METADATA_ELEMENT, uri, flags, err);
    if (!text)
        return command_failed(err, "cannot read the metadata '%s' of domain '%s'", uri, dom.name);
    output_string(in, "xml", text);
    return 0;
}

static const struct command_option desc_options[] = {
    DOMAIN_OPTION,
    {"live", OPTION_BOOL, 0, "of the running domain"},
    {"config", OPTION_BOOL, 0, "of the definition"},
    {"current", OPTION_BOOL, 0, "of the state that it is in"},
    {"title", OPTION_BOOL, 0, "the title instead of the description"},
    {"edit", OPTION_BOOL, 0, "change it in an editor"},
    {"new-desc", OPTION_REST, OPTION_EMPTY_OK, "the new text"},
    {0},
};

static const struct command_option metadata_options[] = {
    DOMAIN_OPTION,
    {"uri", OPTION_STRING, OPTION_REQUIRED, "URI of the metadata's namespace"},
    {"live", OPTION_BOOL, 0, "of the running domain"},
    {"config", OPTION_BOOL, 0, "of the definition"},
    {"current", OPTION_BOOL, 0, "of the state that it is in"},
    {"edit", OPTION_BOOL, 0, "change it in an editor"},
    {"key", OPTION_STRING, 0, "prefix for the namespace"},
    {"set", OPTION_STRING, 0, "the new element"},
    {"remove", OPTION_BOOL, 0, "remove the element"},
    {0},
};

const struct command text_commands[] = {
    {"desc", "domain", "show or set the description or title of a domain", "Without a text it shows, with one it "
     "sets; an empty text removes.", desc_options, run_desc},
    {"metadata", "domain", "show or set an element of a domain's metadata", NULL, metadata_options, run_metadata},
    {0},
};
