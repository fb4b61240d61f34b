/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "base/text.h"
#include "cli/convert.h"
#include "cli/domain.h"
#include "convert/pool_path.h"
#include "rpc/uri.h"

#define DEFAULT_POOL "default"

/* -- how far the copy is ------------------------------------------------------------------------------------------- */

static void show_progress(void *owner, const struct job *job, size_t index, double percent)
{
    struct target *target = owner;
    const struct job_disk *disk = &job->disk[index];
    if (target->in->shell->quiet || !isatty(STDERR_FILENO))
        return;
    if (target->shown != index + 1) {
        target->shown = index + 1;
        target->begun_ns = now_ns();
    }
    double seconds = (double)(now_ns() - target->begun_ns) / 1e9;
    fprintf(stderr, "\rcopying disk %s (%zu of %zu): %5.1f %%", disk->target, index + 1, job->disk_count, percent);
    if (percent > 0 && seconds > 1)
        fprintf(stderr, ", %.0f s left ", seconds * (100 - percent) / percent);
    if (percent >= 100)
        fputs("              \n", stderr);
}

/* -- -o libvirt: a pool of a daemon on this host ------------------------------------------------------------------- */

static int pool_open(struct target *target, struct job *job, const char *name, struct error *err)
{
    struct arena *arena = target->in->arena;
    struct storage_pool_lookup_by_name_args args = {.name = name};
    struct storage_pool_lookup_by_name_ret found;
    if (remote_storage_pool_lookup_by_name(target->connection->client, &args, arena, &found, err) < 0)
        return command_failed(err, "cannot find the storage pool '%s' at '%s'", name, job->uri);
    struct storage_pool_is_active_args active_args = {.pool = found.pool};
    struct storage_pool_is_active_ret active;
    if (remote_storage_pool_is_active(target->connection->client, &active_args, arena, &active, err) < 0)
        return -1;
    if (!active.active)
        return error_set(err, ERR_OPERATION_INVALID, "the storage pool '%s' is not running; start it (pool-start)",
                         name);
    struct storage_pool_get_xml_desc_args ask = {.pool = found.pool};
    struct storage_pool_get_xml_desc_ret answer;
    if (remote_storage_pool_get_xml_desc(target->connection->client, &ask, arena, &answer, err) < 0)
        return command_failed(err, "cannot read the storage pool '%s'", name);
    job->directory = pool_directory(arena, answer.xml, err);
    job->pool = name;
    return job->directory ? 0 : error_wrap(err, "cannot convert into the storage pool '%s'", name);
}

/* Volumes that came and went without the daemon are found by looking; that they are not found yet harms nobody. */
static void pool_refresh(struct target *target, const struct job *job)
{
    struct error ignored = {0};
    struct storage_pool_lookup_by_name_args args = {.name = job->pool};
    struct storage_pool_lookup_by_name_ret found;
    if (remote_storage_pool_lookup_by_name(target->connection->client, &args, target->in->arena, &found, &ignored) < 0)
        return;
    struct storage_pool_refresh_args refresh = {.pool = found.pool};
    remote_storage_pool_refresh(target->connection->client, &refresh, &ignored);
}

/* The domain with that UUID: 1, 0 = there is none, -1 = that is not known. */
static int find_uuid(struct target *target, const unsigned char uuid[UUID_SIZE], struct wire_domain *domain,
                     struct error *err)
{
    struct error failed = {0};
    struct domain_lookup_by_uuid_args args;
    struct domain_lookup_by_uuid_ret found;
    memcpy(args.uuid, uuid, UUID_SIZE);
    if (remote_domain_lookup_by_uuid(target->connection->client, &args, target->in->arena, &found, &failed) == 0) {
        *domain = found.dom;
        return 1;
    }
    return failed.code == ERR_NO_DOMAIN ? 0 : error_set(err, failed.code, "%s", failed.message);
}

/* One that is there was defined before a crash, and its owner may have changed it since. */
static int domain_publish(void *owner, const struct job *job, struct error *err)
{
    struct target *target = owner;
    struct wire_domain domain;
    struct domain_define_xml_flags_args args = {.xml = job->xml};
    struct domain_define_xml_flags_ret ret;
    int found = find_uuid(target, job->uuid, &domain, err);
    if (found < 0 || (found > 0 && strcmp(domain.name, job->name) == 0))
        return found < 0 ? -1 : 0;
    if (remote_domain_define_xml_flags(target->connection->client, &args, target->in->arena, &ret, err) < 0)
        return command_failed(err, "cannot define domain '%s' at '%s'", job->name, job->uri);
    return 0;
}

static int domain_withdraw(void *owner, const struct job *job, struct error *err)
{
    struct target *target = owner;
    struct domain_is_active_args args;
    struct domain_is_active_ret ret;
    int found = find_uuid(target, job->uuid, &args.dom, err);
    if (found <= 0)
        return found;
    if (remote_domain_is_active(target->connection->client, &args, target->in->arena, &ret, err) < 0)
        return -1;
    if (ret.active)
        return error_set(err, ERR_OPERATION_INVALID, "domain '%s' runs from the disks that would be removed; its "
                         "conversion is complete: keep it by --resume, or end it (destroy) first", args.dom.name);
    struct domain_undefine_flags_args undefine = {.dom = args.dom, .flags = DOMAIN_UNDEFINE_NVRAM};
    return remote_domain_undefine_flags(target->connection->client, &undefine, err);
}

static int libvirt_open(struct target *target, struct job *job, const char *pool, struct error *err)
{
    struct invocation *in = target->in;
    job->uri = option_text(in, "oc") ? option_text(in, "oc") : in->shell->uri;
    struct uri *uri = uri_parse(in->arena, job->uri, err);
    if (!uri)
        return -1;
    if (uri->host)
        return error_set(err, ERR_INVALID_ARG, "the target '%s' is another host; run the conversion there, and name "
                         "the source by -ic or by its definition", job->uri);
    target->connection = connection_open(job->uri, false, in->shell->keepalive, err);
    if (!target->connection)
        return command_failed(err, "cannot connect to the target '%s'", job->uri);
    return pool_open(target, job, pool ? pool : DEFAULT_POOL, err);
}

/* -- -o local: a directory ----------------------------------------------------------------------------------------- */

static const char *local_xml_path(struct target *target, const struct job *job)
{
    return arena_printf(target->in->arena, "%s/%s.xml", job->directory, job->name);
}

static int file_publish(void *owner, const struct job *job, struct error *err)
{
    return file_write_durable(local_xml_path(owner, job), job->xml, strlen(job->xml), 0600, err);
}

static int file_withdraw(void *owner, const struct job *job, struct error *err)
{
    return file_remove_durable(local_xml_path(owner, job), err);
}

static int local_open(struct target *target, struct job *job, const char *directory, struct error *err)
{
    if (!directory)
        return error_set(err, ERR_INVALID_ARG, "-o local needs a directory: -os DIR");
    scoped_free char *real = realpath(directory, NULL);
    if (!real)
        return error_system(err, errno, "cannot convert into the directory '%s'", directory);
    job->directory = arena_strdup(target->in->arena, real);
    return 0;
}

/* -- both ---------------------------------------------------------------------------------------------------------- */

int target_open(struct invocation *in, struct target *target, struct job *job, struct job_target *calls,
                struct error *err)
{
    const char *storage = option_text(in, "os"), *output = option_text(in, "o");
    if (storage && *storage != '/' && strstr(storage, ":/"))
        return error_set(err, ERR_INVALID_ARG, "-os '%s' is a directory of another host; make a pool of it "
                         "(pool-define-as NAME netfs --source-host HOST --source-path DIR --target MOUNT) and name "
                         "that", storage);
    job->output = output ? output : storage && *storage == '/' ? "local" : "libvirt";
    bool libvirt = strcmp(job->output, "libvirt") == 0;
    if (!libvirt && strcmp(job->output, "local") != 0)
        return error_set(err, ERR_INVALID_ARG, "-o is libvirt (a domain in a pool) or local (files in a directory), "
                         "not '%s'", job->output);
    target->in = in;
    *calls = (struct job_target){.owner = target, .publish = libvirt ? domain_publish : file_publish,
                                 .withdraw = libvirt ? domain_withdraw : file_withdraw, .progress = show_progress};
    return libvirt ? libvirt_open(target, job, storage, err) : local_open(target, job, storage, err);
}

void target_finish(struct target *target, struct job *job)
{
    job_unlock(job);
    if (target->connection)
        pool_refresh(target, job);
}

static bool uuid_is_taken(struct target *target, const unsigned char uuid[UUID_SIZE])
{
    struct error ignored = {0};
    struct wire_domain domain;
    return find_uuid(target, uuid, &domain, &ignored) > 0;
}

bool target_has(struct target *target, const struct job *job)
{
    return target->connection && uuid_is_taken(target, job->uuid);
}

void target_close(struct target *target)
{
    connection_close(steal(target->connection));
}

static bool name_is_taken(struct target *target, const char *name)
{
    struct error ignored = {0};
    const struct domain_lookup_by_name_args args = {.name = name};
    struct domain_lookup_by_name_ret ret;
    return remote_domain_lookup_by_name(target->connection->client, &args, target->in->arena, &ret, &ignored) == 0;
}

int target_check(struct target *target, const struct job *job, struct domain_def *def, struct report *report,
                 struct error *err)
{
    if (!target->connection)
        return access(local_xml_path(target, job), F_OK) < 0
                   ? 0
                   : error_set(err, ERR_OPERATION_INVALID, "'%s' is there already; choose another name (-on) or "
                               "remove it", local_xml_path(target, job));
    if (name_is_taken(target, job->name))
        return error_set(err, ERR_DOM_EXIST, "there is a domain '%s' at '%s' already; choose another name (-on)",
                         job->name, job->uri);
    if (!def->uuid_set || !uuid_is_taken(target, def->uuid))
        return 0;
    if (!option_given(target->in, "on"))
        return error_set(err, ERR_DOM_EXIST, "there is a domain with the UUID of '%s' at '%s' already; with another "
                         "name (-on) the new one gets a UUID of its own", job->name, job->uri);
    char before[UUID_STRING_SIZE], after[UUID_STRING_SIZE];
    uuid_format(def->uuid, before);
    uuid_random(def->uuid);
    uuid_format(def->uuid, after);
    report_change(report, "domain/uuid", "domain", before, after, "the source's domain is there, too");
    return 0;
}
