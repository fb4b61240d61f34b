/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include "migrate/migrate.h"
#include "rpc/stream.h"

/* The phases of a migration, in the form with typed parameters and in the older one; both come down to struct
 * migrate_options. */

static struct migrate_caller caller_of(struct call *call)
{
    return (struct migrate_caller){.client = call->client, .name = call_client(call)};
}

/* The older form: what it cannot say stays unset. */
static int old_options(struct migrate_options *options, uint64_t flags, const char *dname, uint64_t resource,
                       struct error *err)
{
    *options = (struct migrate_options){.flags = (uint32_t)flags, .dname = dname, .bandwidth_mib = resource};
    return migrate_options_check(options, flags, err);
}

/* -- begin --------------------------------------------------------------------------------------------------------- */

static char *begin(struct call *call, const struct wire_domain *handle, const struct migrate_options *options,
                   struct migrate_blob *cookie, struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, handle, err);
    const struct migrate_caller caller = caller_of(call);
    return domain ? migration_begin(domain, options, &caller, cookie, call->arena, err) : NULL;
}

int handle_domain_migrate_begin3(struct call *call, const struct domain_migrate_begin3_args *args,
                                 struct domain_migrate_begin3_ret *ret, struct error *err)
{
    struct migrate_options options;
    struct migrate_blob cookie = {0};
    if (old_options(&options, args->flags, args->dname, args->resource, err) < 0)
        return -1;
    options.xml = args->xmlin;
    ret->xml = begin(call, &args->dom, &options, &cookie, err);
    ret->cookie_out = cookie.data;
    ret->cookie_out_length = cookie.length;
    return ret->xml ? 0 : -1;
}

int handle_domain_migrate_begin3_params(struct call *call, const struct domain_migrate_begin3_params_args *args,
                                        struct domain_migrate_begin3_params_ret *ret, struct error *err)
{
    struct migrate_options options;
    struct migrate_blob cookie = {0};
    if (migrate_options_read(&options, args->params, args->params_count, args->flags, call->arena, err) < 0)
        return -1;
    ret->xml = begin(call, &args->dom, &options, &cookie, err);
    ret->cookie_out = cookie.data;
    ret->cookie_out_length = cookie.length;
    return ret->xml ? 0 : -1;
}

/* -- prepare ------------------------------------------------------------------------------------------------------- */

int handle_domain_migrate_prepare3(struct call *call, const struct domain_migrate_prepare3_args *args,
                                   struct domain_migrate_prepare3_ret *ret, struct error *err)
{
    struct migrate_options options;
    struct migrate_blob in = {args->cookie_in, args->cookie_in_length}, out = {0};
    const struct migrate_caller caller = caller_of(call);
    if (old_options(&options, args->flags, args->dname, args->resource, err) < 0)
        return -1;
    options.uri = args->uri_in;
    options.xml = args->dom_xml;
    if (migration_prepare(call_driver(call), &options, &caller, &in, &out, &ret->uri_out, call->arena, err) < 0)
        return -1;
    ret->cookie_out = out.data;
    ret->cookie_out_length = out.length;
    return 0;
}

int handle_domain_migrate_prepare3_params(struct call *call, const struct domain_migrate_prepare3_params_args *args,
                                          struct domain_migrate_prepare3_params_ret *ret, struct error *err)
{
    struct migrate_options options;
    struct migrate_blob in = {args->cookie_in, args->cookie_in_length}, out = {0};
    const struct migrate_caller caller = caller_of(call);
    if (migrate_options_read(&options, args->params, args->params_count, args->flags, call->arena, err) < 0 ||
        migration_prepare(call_driver(call), &options, &caller, &in, &out, &ret->uri_out, call->arena, err) < 0)
        return -1;
    ret->cookie_out = out.data;
    ret->cookie_out_length = out.length;
    return 0;
}

int handle_domain_migrate_prepare_tunnel3_params(struct call *call,
                                                 const struct domain_migrate_prepare_tunnel3_params_args *args,
                                                 struct domain_migrate_prepare_tunnel3_params_ret *ret,
                                                 struct error *err)
{
    struct migrate_options options;
    struct migrate_blob in = {args->cookie_in, args->cookie_in_length}, out = {0};
    struct migrate_caller caller = caller_of(call);
    const char *uri;
    if (migrate_options_read(&options, args->params, args->params_count, args->flags, call->arena, err) < 0)
        return -1;
    if (!(options.flags & MIGRATE_TUNNELLED))
        return error_set(err, ERR_INVALID_ARG, "a migration comes through a tunnel without saying so (--tunnelled)");
    struct stream *stream = call_open_stream(call, err);
    if (!stream)
        return -1;
    caller.stream = &stream;
    int rc = migration_prepare(call_driver(call), &options, &caller, &in, &out, &uri, call->arena, err);
    stream_free(stream); /* what nobody took */
    if (rc < 0)
        return -1;
    ret->cookie_out = out.data;
    ret->cookie_out_length = out.length;
    return 0;
}

/* -- perform ------------------------------------------------------------------------------------------------------- */

static int perform(struct call *call, const struct wire_domain *handle, const struct migrate_options *options,
                   const char *destination, const struct migrate_blob *in, struct migrate_blob *out, struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, handle, err);
    const struct migrate_caller caller = caller_of(call);
    return domain ? migration_perform(domain, options, destination, &caller, in, out, call->arena, err) : -1;
}

int handle_domain_migrate_perform3(struct call *call, const struct domain_migrate_perform3_args *args,
                                   struct domain_migrate_perform3_ret *ret, struct error *err)
{
    struct migrate_options options;
    struct migrate_blob in = {args->cookie_in, args->cookie_in_length}, out = {0};
    if (old_options(&options, args->flags, args->dname, args->resource, err) < 0)
        return -1;
    options.uri = args->uri;
    options.xml = args->xmlin;
    if (perform(call, &args->dom, &options, args->dconnuri, &in, &out, err) < 0)
        return -1;
    ret->cookie_out = out.data;
    ret->cookie_out_length = out.length;
    return 0;
}

int handle_domain_migrate_perform3_params(struct call *call, const struct domain_migrate_perform3_params_args *args,
                                          struct domain_migrate_perform3_params_ret *ret, struct error *err)
{
    struct migrate_options options;
    struct migrate_blob in = {args->cookie_in, args->cookie_in_length}, out = {0};
    if (migrate_options_read(&options, args->params, args->params_count, args->flags, call->arena, err) < 0 ||
        perform(call, &args->dom, &options, args->dconnuri, &in, &out, err) < 0)
        return -1;
    ret->cookie_out = out.data;
    ret->cookie_out_length = out.length;
    return 0;
}

/* -- finish -------------------------------------------------------------------------------------------------------- */

static int finish(struct call *call, const struct migrate_options *options, bool cancelled,
                  const struct migrate_blob *in, struct migrate_blob *out, struct wire_domain *handle,
                  struct error *err)
{
    const struct migrate_caller caller = caller_of(call);
    scoped_domain struct domain *domain =
        migration_finish(call_driver(call), options, cancelled, &caller, in, out, call->arena, err);
    if (!domain)
        return -1;
    *handle = wire_domain_of(call, domain);
    return 0;
}

int handle_domain_migrate_finish3(struct call *call, const struct domain_migrate_finish3_args *args,
                                  struct domain_migrate_finish3_ret *ret, struct error *err)
{
    struct migrate_options options;
    struct migrate_blob in = {args->cookie_in, args->cookie_in_length}, out = {0};
    if (old_options(&options, args->flags, args->dname, 0, err) < 0 ||
        finish(call, &options, args->cancelled, &in, &out, &ret->dom, err) < 0)
        return -1;
    ret->cookie_out = out.data;
    ret->cookie_out_length = out.length;
    return 0;
}

int handle_domain_migrate_finish3_params(struct call *call, const struct domain_migrate_finish3_params_args *args,
                                         struct domain_migrate_finish3_params_ret *ret, struct error *err)
{
    struct migrate_options options;
    struct migrate_blob in = {args->cookie_in, args->cookie_in_length}, out = {0};
    if (migrate_options_read(&options, args->params, args->params_count, args->flags, call->arena, err) < 0 ||
        finish(call, &options, args->cancelled, &in, &out, &ret->dom, err) < 0)
        return -1;
    ret->cookie_out = out.data;
    ret->cookie_out_length = out.length;
    return 0;
}

/* -- confirm ------------------------------------------------------------------------------------------------------- */

static int confirm(struct call *call, const struct wire_domain *handle, const struct migrate_options *options,
                   bool cancelled, const struct migrate_blob *in, struct error *err)
{
    scoped_domain struct domain *domain = call_domain(call, handle, err);
    const struct migrate_caller caller = caller_of(call);
    return domain ? migration_confirm(domain, options, cancelled, &caller, in, err) : -1;
}

int handle_domain_migrate_confirm3(struct call *call, const struct domain_migrate_confirm3_args *args,
                                   struct error *err)
{
    struct migrate_options options;
    struct migrate_blob in = {args->cookie_in, args->cookie_in_length};
    if (old_options(&options, args->flags, NULL, 0, err) < 0)
        return -1;
    return confirm(call, &args->dom, &options, args->cancelled, &in, err);
}

int handle_domain_migrate_confirm3_params(struct call *call, const struct domain_migrate_confirm3_params_args *args,
                                          struct error *err)
{
    struct migrate_options options;
    struct migrate_blob in = {args->cookie_in, args->cookie_in_length};
    if (migrate_options_read(&options, args->params, args->params_count, args->flags, call->arena, err) < 0)
        return -1;
    return confirm(call, &args->dom, &options, args->cancelled, &in, err);
}
