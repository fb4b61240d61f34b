/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/domain.h"

#include <stdio.h>
#include <string.h>

#include "base/files.h"
#include "base/log.h"
#include "qemu/arch.h"
#include "qemu/command.h"
#include "qemu/status.h"

/* What changes the definitions of a domain and leaves its guest alone. */

/* What of the model's words an emulator of QEMU can be told. */
static int check_kind(const struct domain_def *def, const struct qemu_caps *caps, struct error *err)
{
    if (def->type != VIRT_TYPE_QEMU && def->type != VIRT_TYPE_KVM)
        return error_set(err, ERR_CONFIG_UNSUPPORTED,
                         "domain '%s': <domain type='%s'> cannot be run by the emulator '%s'; the types are: qemu, kvm",
                         def->name, virt_type_name(def->type), def->emulator);
    if (def->os.type != OS_TYPE_HVM)
        return error_set(err, ERR_CONFIG_UNSUPPORTED,
                         "domain '%s': <os><type>%s cannot be run by the emulator '%s'; the type is: hvm", def->name,
                         os_type_name(def->os.type), def->emulator);
    const char *arch = arch_from_qemu(caps->arch);
    if (!string_equal(arch, def->os.arch) && !(arch_is_x86(arch) && arch_is_x86(def->os.arch)))
        return error_set(err, ERR_CONFIG_UNSUPPORTED,
                         "domain '%s': the emulator '%s' is for architecture '%s', not '%s'", def->name, def->emulator,
                         arch, def->os.arch);
    return 0;
}

/* Guests run as the daemon does, and unconfined: whoever asks for more is told that, not left to believe it. */
static int check_labels(const struct domain_def *def, struct error *err)
{
    for (uint32_t i = 0; i < def->seclabels.count; i++) {
        const struct seclabel *label = def->seclabels.item[i];
        if (label->type == SECLABEL_TYPE_NONE)
            continue;
        if (label->model && !string_equal(label->model, "dac"))
            return error_set(err, ERR_CONFIG_UNSUPPORTED,
                             "domain '%s': <seclabel model='%s'> asks for a confinement that this daemon cannot give; "
                             "remove it, or use type='none'", def->name, label->model);
        if (label->type == SECLABEL_TYPE_STATIC && label->label)
            return error_set(err, ERR_CONFIG_UNSUPPORTED,
                             "domain '%s': <seclabel type='static'> asks to run as '%s', but guests run as the daemon "
                             "does; remove it", def->name, label->label);
    }
    return 0;
}

int domain_check_machine(struct driver *driver, const struct domain_def *def, struct error *err)
{
    const struct qemu_caps *caps = qemu_caps_get(driver->caps, def->emulator, deadline_ms(30000), err);
    if (!caps)
        return error_wrap(err, "domain '%s': the emulator '%s' cannot be used", def->name, def->emulator);
    if (check_kind(def, caps, err) < 0 || check_labels(def, err) < 0)
        return -1;
    const struct qemu_machine *machine = qemu_caps_machine(caps, def->os.machine);
    if (machine && machine->max_cpus && def->vcpus_max > machine->max_cpus)
        return error_set(err, ERR_CONFIG_UNSUPPORTED, "domain '%s': machine type '%s' takes %u vcpus, not %u",
                         def->name, def->os.machine, machine->max_cpus, def->vcpus_max);
    if (machine)
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
 * does not say and the choice is made at each start. name: as if it were called that; NULL = as it is called. */
static char *nvram_path(struct domain *domain, const char *name)
{
    const struct domain_def *config = object_config(&domain->object, NULL);
    if (!config)
        return NULL;
    scoped_domain_def struct domain_def *copy = domain_edit(config);
    if (name)
        copy->name = name;
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
    if (domain_begin_job(domain, &job, JOB_DEFINE, "undefine", client, err) < 0)
        return -1;
    scoped_free char *nvram = nvram_path(domain, NULL);
    if (check_nvram(domain, nvram, flags, err) < 0 || object_undefine(&domain->object, err) < 0)
        return -1;
    if (nvram && flags & DOMAIN_UNDEFINE_NVRAM && !domain_active(domain))
        unlink(nvram);
    return 0;
}

/* NVRAM that is named after the domain follows it: else the next of that name would inherit it. It has both names while
 * the definition changes, so that whatever ends the daemon, the domain finds it. */
int domain_rename(struct domain *domain, const char *name, const char *client, struct error *err)
{
    scoped_job struct job job = {0};
    if (domain_begin_job(domain, &job, JOB_DEFINE, "rename", client, err) < 0)
        return -1;
    scoped_free char *old = nvram_path(domain, NULL), *new = nvram_path(domain, name);
    bool moves = old && new && !string_equal(old, new) && access(old, F_OK) == 0;
    if (moves && file_link_durable(old, new, err) < 0)
        return error_wrap(err, "cannot rename domain '%s': its NVRAM", domain_name(domain));
    if (object_rename(&domain->object, name, err) < 0) {
        if (moves)
            unlink(new);
        return -1;
    }
    struct error problem = {0};
    if (moves && file_remove_durable(old, &problem) < 0)
        log_warning("domain '%s': %s", name, problem.message);
    return 0;
}

int domain_set_autostart(struct domain *domain, bool autostart, const char *client, struct error *err)
{
    scoped_job struct job job = {0};
    if (domain_begin_job(domain, &job, JOB_DEFINE, "change autostart of", client, err) < 0)
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

unsigned domain_affected(const struct domain *domain, unsigned flags)
{
    unsigned affected = flags & (DOMAIN_AFFECT_LIVE | DOMAIN_AFFECT_CONFIG);
    return affected ? affected : domain_active(domain) ? DOMAIN_AFFECT_LIVE : DOMAIN_AFFECT_CONFIG;
}

/* The definition in use follows QEMU without a wait in between, so that nobody and no restart sees one without the
 * other. */
static int change_live(struct domain *domain, domain_change *change, domain_apply *apply, void *context,
                       struct error *err)
{
    if (domain_require_active(domain, err) < 0)
        return -1;
    scoped_domain_def struct domain_def *edited = changed_copy(domain->object.live, change, context, err);
    if (!edited || status_check(domain->driver, edited, err) < 0 || (apply && apply(domain, context, err) < 0))
        return -1;
    if (apply && domain_active(domain)) { /* it waited: the guest may have opened a channel meanwhile, or ended */
        domain_def_free(edited);
        edited = changed_copy(domain->object.live, change, context, err);
    }
    if (!edited || domain_require_active(domain, err) < 0)
        return -1;
    object_set_live(&domain->object, steal(edited));
    status_save(domain);
    return 0;
}

int domain_change_both(struct domain *domain, unsigned flags, domain_change *change, domain_apply *apply, void *context,
                       const char *client, struct error *err)
{
    scoped_job struct job job = {0};
    if (domain_begin_job(domain, &job, JOB_MODIFY, "change", client, err) < 0)
        return -1;
    unsigned affected = domain_affected(domain, flags);
    scoped_domain_def struct domain_def *stored = NULL;
    if (affected & DOMAIN_AFFECT_CONFIG &&
        !(stored = changed_copy(object_config(&domain->object, err), change, context, err)))
        return -1;
    if (affected & DOMAIN_AFFECT_LIVE && change_live(domain, change, apply, context, err) < 0)
        return -1;
    return stored ? object_store_def(&domain->object, steal(stored), err) : 0;
}

int domain_edit_defs(struct domain *domain, unsigned flags, domain_change *change, void *context, const char *client,
                     struct error *err)
{
    return domain_change_both(domain, flags, change, NULL, context, client, err);
}
