/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/domain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

#include "qemu/command.h"
#include "qemu/status.h"

/* What changes the definitions of a domain and leaves its guest alone. */

/* What of the model's words an emulator of QEMU can be told. */
static int check_kind(const struct domain_def *def, struct error *err)
{
    if (def->type != VIRT_TYPE_QEMU && def->type != VIRT_TYPE_KVM)
        return error_set(err, ERR_CONFIG_UNSUPPORTED,
                         "domain '%s': <domain type='%s'> cannot be run by the emulator '%s'; the types are: qemu, kvm",
                         def->name, virt_type_name(def->type), def->emulator);
    if (def->os.type != OS_TYPE_HVM)
        return error_set(err, ERR_CONFIG_UNSUPPORTED,
                         "domain '%s': <os><type>%s cannot be run by the emulator '%s'; the type is: hvm", def->name,
                         os_type_name(def->os.type), def->emulator);
    return 0;
}

int domain_check_machine(struct driver *driver, const struct domain_def *def, struct error *err)
{
    const struct qemu_caps *caps = qemu_caps_get(driver->caps, def->emulator, deadline_ms(30000), err);
    if (!caps)
        return error_wrap(err, "domain '%s': the emulator '%s' cannot be used", def->name, def->emulator);
    if (check_kind(def, err) < 0)
        return -1;
    if (qemu_caps_machine(caps, def->os.machine))
        return 0;
    return error_set(err, ERR_CONFIG_UNSUPPORTED,
                     "domain '%s': the emulator '%s' does not know machine type '%s'; 'virsh capabilities' lists those "
                     "it knows",
                     def->name, def->emulator, def->os.machine ? def->os.machine : "");
}

void domain_warn_of_unknown(const struct domain_def *def)
{
    scoped_text struct text paths = {0};
    domain_unknown(def, &paths);
    if (paths.length)
        log_warning("domain '%s': kept, but without effect: %s", def->name, text_string(&paths));
}

struct domain *domain_define(struct driver *driver, const char *xml, unsigned flags, const char *client,
                             struct error *err)
{
    unsigned parse = DOMAIN_PARSE_INACTIVE | (flags & DOMAIN_DEFINE_VALIDATE ? DOMAIN_PARSE_VALIDATE : 0);
    scoped_domain_def struct domain_def *def = driver_parse(driver, xml, parse, err);
    if (!def)
        return NULL;
    if (domain_check_machine(driver, def, err) < 0)
        return NULL;
    domain_warn_of_unknown(def);
    scoped_job struct job job = {0};
    job_asked_by(&job, client);
    struct object *object = job_claim(&job, &driver->domains, def->name, def->uuid, JOB_DEFINE, "define", err);
    if (!object)
        return NULL;
    scoped_domain struct domain *domain = domain_of(object);
    return object_store_def(object, steal(def), err) < 0 ? NULL : steal(domain);
}

/* Where the NVRAM of a stored definition lies; NULL when it has none. Also for firmware='efi', where the definition
 * does not say and the choice is made at each start. */
static char *nvram_path(struct domain *domain)
{
    const struct domain_def *config = object_config(&domain->object, NULL);
    if (!config)
        return NULL;
    scoped_domain_def struct domain_def *copy = domain_edit(config);
    qemu_firmware_select(copy, "/", domain->driver->nvram_dir, NULL);
    return copy->os.nvram ? xstrdup(copy->os.nvram) : NULL;
}

/* Undefining a domain that has NVRAM needs the caller's word on what becomes of the file (as libvirt's clients
 * expect). */
static int check_nvram(const struct domain *domain, const char *nvram, unsigned flags, struct error *err)
{
    const unsigned both = DOMAIN_UNDEFINE_NVRAM | DOMAIN_UNDEFINE_KEEP_NVRAM;
    if ((flags & both) == both)
        return error_set(err, ERR_INVALID_ARG, "cannot both keep and remove the NVRAM of domain '%s'",
                         domain_name(domain));
    if (!nvram || flags & both || access(nvram, F_OK) < 0)
        return 0;
    return error_set(err, ERR_OPERATION_INVALID,
                     "cannot undefine domain '%s': it has NVRAM in '%s'; say whether to remove (--nvram) or keep it "
                     "(--keep-nvram)",
                     domain_name(domain), nvram);
}

int domain_undefine(struct domain *domain, unsigned flags, const char *client, struct error *err)
{
    scoped_job struct job job = {0};
    job_asked_by(&job, client);
    if (job_begin(&job, &domain->object, JOB_DEFINE, "undefine", err) < 0)
        return -1;
    scoped_free char *nvram = nvram_path(domain);
    if (check_nvram(domain, nvram, flags, err) < 0 || object_undefine(&domain->object, err) < 0)
        return -1;
    if (nvram && flags & DOMAIN_UNDEFINE_NVRAM && !domain_active(domain))
        unlink(nvram);
    return 0;
}

int domain_rename(struct domain *domain, const char *name, const char *client, struct error *err)
{
    scoped_job struct job job = {0};
    job_asked_by(&job, client);
    if (job_begin(&job, &domain->object, JOB_DEFINE, "rename", err) < 0)
        return -1;
    scoped_free char *old = nvram_path(domain);
    if (object_rename(&domain->object, name, err) < 0)
        return -1;
    /* one that is named after the domain follows it: else the next of that name would inherit it */
    scoped_free char *new = nvram_path(domain);
    if (old && new && !string_equal(old, new) && access(new, F_OK) < 0 && rename(old, new) < 0 && errno != ENOENT)
        log_warning("domain '%s': its NVRAM stays at '%s': %s", name, old, strerror(errno));
    return 0;
}

int domain_set_autostart(struct domain *domain, bool autostart, const char *client, struct error *err)
{
    scoped_job struct job job = {0};
    job_asked_by(&job, client);
    if (job_begin(&job, &domain->object, JOB_DEFINE, "change autostart of", err) < 0)
        return -1;
    return object_set_autostart(&domain->object, autostart, err);
}

/* A changed copy of one definition. */
static struct domain_def *changed_copy(const struct domain_def *def, domain_change *change, void *context,
                                       struct error *err)
{
    scoped_domain_def struct domain_def *edited = def ? domain_edit(def) : NULL;
    if (!edited || change(edited, context, err) < 0)
        return NULL;
    return steal(edited);
}

int domain_edit_defs(struct domain *domain, unsigned flags, domain_change *change, void *context, const char *client,
                     struct error *err)
{
    scoped_job struct job job = {0};
    job_asked_by(&job, client);
    if (job_begin(&job, &domain->object, JOB_MODIFY, "change", err) < 0)
        return -1;
    bool live = flags & DOMAIN_AFFECT_LIVE, config = flags & DOMAIN_AFFECT_CONFIG;
    if (!live && !config) { /* "current" */
        live = domain_active(domain);
        config = !live;
    }
    if (live && domain_require_active(domain, err) < 0)
        return -1;
    if (config) {
        struct domain_def *edited = changed_copy(object_config(&domain->object, err), change, context, err);
        if (!edited || object_store_def(&domain->object, edited, err) < 0)
            return -1;
    }
    if (live && domain_active(domain)) { /* storing waited: the guest may have ended */
        struct domain_def *edited = changed_copy(domain->object.live, change, context, err);
        if (!edited)
            return -1;
        object_set_live(&domain->object, edited);
        status_save(domain);
    }
    return 0;
}
