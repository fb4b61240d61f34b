/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include <string.h>

#include "model/metadata.h"
#include "model/xml.h"

/* Definitions: define, undefine, rename, title, description, metadata, autostart. */

static int define(struct call *call, const char *xml, unsigned flags, struct wire_domain *handle, struct error *err)
{
    if (call_flags(call, flags, DOMAIN_DEFINE_VALIDATE, err) < 0)
        return -1;
    scoped_domain struct domain *domain = domain_define(call_driver(call), xml, flags, call_client(call), err);
    if (!domain)
        return -1;
    *handle = wire_domain_of(call, domain);
    return 0;
}

int handle_domain_define_xml(struct call *call, const struct domain_define_xml_args *args,
                             struct domain_define_xml_ret *ret, struct error *err)
{
    return define(call, args->xml, 0, &ret->dom, err);
}

int handle_domain_define_xml_flags(struct call *call, const struct domain_define_xml_flags_args *args,
                                   struct domain_define_xml_flags_ret *ret, struct error *err)
{
    return define(call, args->xml, args->flags, &ret->dom, err);
}

static int undefine(struct call *call, const struct wire_domain *handle, unsigned flags, struct error *err)
{
    const unsigned known = DOMAIN_UNDEFINE_MANAGED_SAVE | DOMAIN_UNDEFINE_SNAPSHOTS_METADATA | DOMAIN_UNDEFINE_NVRAM |
                           DOMAIN_UNDEFINE_KEEP_NVRAM | DOMAIN_UNDEFINE_CHECKPOINTS_METADATA |
                           DOMAIN_UNDEFINE_TPM | DOMAIN_UNDEFINE_KEEP_TPM;
    if (call_flags(call, flags, known, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, handle, err);
    return domain ? domain_undefine(domain, flags, call_client(call), err) : -1;
}

int handle_domain_undefine(struct call *call, const struct domain_undefine_args *args, struct error *err)
{
    return undefine(call, &args->dom, 0, err);
}

int handle_domain_undefine_flags(struct call *call, const struct domain_undefine_flags_args *args, struct error *err)
{
    return undefine(call, &args->dom, args->flags, err);
}

int handle_domain_rename(struct call *call, const struct domain_rename_args *args, struct domain_rename_ret *ret,
                         struct error *err)
{
    if (call_flags(call, args->flags, 0, err) < 0)
        return -1;
    if (domain_name_check(args->new_name, err) < 0)
        return error_set(err, ERR_INVALID_ARG, "domain '%s' cannot be renamed: %s", args->dom.name, err->message);
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    return domain ? domain_rename(domain, args->new_name, call_client(call), err) : -1;
}

int handle_domain_get_autostart(struct call *call, const struct domain_get_autostart_args *args,
                                struct domain_get_autostart_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    if (!domain)
        return -1;
    ret->autostart = domain->object.autostart;
    return 0;
}

int handle_domain_set_autostart(struct call *call, const struct domain_set_autostart_args *args, struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    return domain ? domain_set_autostart(domain, args->autostart, call_client(call), err) : -1;
}

/* -- title, description, metadata ---------------------------------------------------------------------------------- */

static int change_metadata(struct domain_def *def, void *context, struct error *err)
{
    const struct domain_set_metadata_args *args = context;
    const char *text = args->metadata && *args->metadata ? args->metadata : NULL;
    switch (args->type) {
    case DOMAIN_METADATA_TITLE:
        if (text && strchr(text, '\n'))
            return error_set(err, ERR_INVALID_ARG, "a title is one line; put the rest into the description");
        if (xml_check_text("the title", text, err) < 0)
            return -1;
        def->title = arena_strdup(def->arena, text);
        return 0;
    case DOMAIN_METADATA_DESCRIPTION:
        if (xml_check_text("the description", text, err) < 0)
            return -1;
        def->description = arena_strdup(def->arena, text);
        return 0;
    default:
        return domain_metadata_set(def, args->uri, args->key, text, err);
    }
}

static int check_metadata(const struct domain_set_metadata_args *args, struct error *err)
{
    if (args->type < DOMAIN_METADATA_DESCRIPTION || args->type > DOMAIN_METADATA_ELEMENT)
        return error_set(err, ERR_INVALID_ARG, "metadata type %d is none of 0 (description), 1 (title), 2 (element)",
                         args->type);
    if (args->type == DOMAIN_METADATA_ELEMENT && (!args->uri || (args->metadata && !args->key)))
        return error_set(err, ERR_INVALID_ARG,
                         "a metadata element needs a namespace URI, and to set it a prefix (key)");
    return 0;
}

int handle_domain_set_metadata(struct call *call, const struct domain_set_metadata_args *args, struct error *err)
{
    if (call_flags(call, args->flags, AFFECT, err) < 0 ||
        check_metadata(args, err) < 0)
        return -1;
    scoped_domain struct domain *domain = call_domain(call, &args->dom, err);
    if (!domain ||
        domain_edit_defs(domain, args->flags, change_metadata, (void *)args, call_client(call), err) < 0)
        return -1;
    struct domain_event_callback_metadata_change_event event = {.type = args->type, .nsuri = args->uri};
    domain_notify(domain, DOMAIN_EVENT_ID_METADATA_CHANGE, &event);
    return 0;
}

int handle_domain_get_metadata(struct call *call, const struct domain_get_metadata_args *args,
                               struct domain_get_metadata_ret *ret, struct error *err)
{
    scoped_domain struct domain *domain = NULL;
    const struct domain_def *def = call_def(call, &args->dom, args->flags, 0, &domain, err);
    if (!def)
        return -1;
    const char *text = args->type == DOMAIN_METADATA_TITLE ? def->title
                       : args->type == DOMAIN_METADATA_DESCRIPTION ? def->description
                       : args->uri ? call_keep(call, domain_metadata_get(def, args->uri))
                                   : NULL;
    if (!text)
        return error_set(err, ERR_NO_DOMAIN_METADATA, "domain '%s' has no metadata of that kind%s%s",
                         domain_name(domain), args->uri ? " for " : "", args->uri ? args->uri : "");
    ret->metadata = arena_strdup(call->arena, text);
    return 0;
}
