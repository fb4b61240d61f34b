/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "qemu/command_parts.h"

static int build_rng(struct build *build, const struct rng *rng, struct error *err)
{
    static const char *const backends[] = {
        [RNG_BACKEND_RANDOM] = "rng-random", [RNG_BACKEND_EGD] = "rng-egd", [RNG_BACKEND_BUILTIN] = "rng-builtin"};
    const char *alias = rng->info.alias ?: "";
    json_t *object = json_object();
    put_string(object, "qom-type", backends[rng->backend ?: RNG_BACKEND_BUILTIN]);
    put_string(object, "id", arena_printf(build->arena, "obj%s", alias));
    if (rng->backend == RNG_BACKEND_RANDOM)
        put_string(object, "filename", rng->path ?: "/dev/urandom");
    if (rng->backend == RNG_BACKEND_EGD) {
        const char *id = arena_printf(build->arena, "char%s", alias);
        if (build_chardev(build, &rng->source, id, err) < 0) {
            json_decref(object);
            return -1;
        }
        put_string(object, "chardev", id);
    }
    add_json(build, "-object", object);
    json_t *device =
        device_new(build, virtio_driver(build, "virtio-rng", rng->model, &rng->info), &rng->info, "<rng>", err);
    if (!device)
        return -1;
    put_virtio_options(device, &rng->virtio);
    put_string(device, "rng", arena_printf(build->arena, "obj%s", alias));
    put_number(device, "max-bytes", rng->rate_bytes);
    if (rng->rate_bytes)
        put_number(device, "period", rng->rate_period ?: 1000);
    device_add(build, device);
    return 0;
}

static int build_balloon(struct build *build, const struct memballoon *balloon, struct error *err)
{
    static const struct property rows[] = {
        PROPERTY(memballoon, autodeflate, ONOFF_BOOL, "deflate-on-oom"),
        PROPERTY(memballoon, free_page_reporting, ONOFF_BOOL, "free-page-reporting"),
    };
    if (!balloon || balloon->model == MEMBALLOON_MODEL_NONE)
        return 0;
    if (balloon->model == MEMBALLOON_MODEL_XEN)
        return unsupported(err, "<memballoon model='xen'> is not supported: use virtio or none");
    enum virtio_model model = balloon->model == MEMBALLOON_MODEL_TRANSITIONAL       ? VIRTIO_MODEL_TRANSITIONAL
                              : balloon->model == MEMBALLOON_MODEL_NON_TRANSITIONAL ? VIRTIO_MODEL_NON_TRANSITIONAL
                                                                                    : VIRTIO_MODEL_VIRTIO;
    json_t *device = device_new(build, virtio_driver(build, "virtio-balloon", model, &balloon->info), &balloon->info,
                                "<memballoon>", err);
    if (!device)
        return -1;
    put_virtio_options(device, &balloon->virtio);
    PUT_TABLE(device, balloon, rows);
    device_add(build, device);
    return 0;
}

static int build_watchdog(struct build *build, const struct watchdog *watchdog, struct error *err)
{
    /* a dump is made by the daemon when the paused guest's event comes */
    const char *action = watchdog->action == WATCHDOG_ACTION_DUMP ? "pause"
                         : watchdog->action                       ? watchdog_action_name(watchdog->action)
                                                                  : "reset";
    if (watchdog->model == WATCHDOG_MODEL_ITCO) {
        add(build, "-global", "ICH9-LPC.noreboot=off"); /* part of the chipset */
    } else {
        json_t *device =
            device_new(build, watchdog_model_name(watchdog->model) ?: "i6300esb", &watchdog->info, "<watchdog>", err);
        if (!device)
            return -1;
        device_add(build, device);
    }
    add(build, "-watchdog-action", action);
    return 0;
}

static int build_panic(struct build *build, const struct panic *panic, struct error *err)
{
    struct device_info info = panic->info;
    const char *driver = panic->model == PANIC_MODEL_PVPANIC ? "pvpanic-pci" : "pvpanic";
    if (panic->model && panic->model != PANIC_MODEL_ISA && panic->model != PANIC_MODEL_PVPANIC)
        return 0; /* part of the processor or of the platform */
    json_t *device;
    if (panic->model != PANIC_MODEL_PVPANIC) {
        uint32_t port = address_is(&info, ADDRESS_TYPE_ISA) ? info.address.isa.iobase : 0;
        info = (struct device_info){0};
        device = device_new(build, driver, &info, "<panic>", err);
        put_number(device, "ioport", port);
    } else {
        device = device_new(build, driver, &info, "<panic>", err);
    }
    if (!device)
        return -1;
    device_add(build, device);
    return 0;
}

/* "2.1" as the BCD number 0x0210 of USB; NULL when any version is meant. */
static const char *redir_version(struct build *build, const char *version)
{
    unsigned major, minor = 0;
    int fraction = 0, end = 0;
    if (!version || sscanf(version, "%2x%n.%n%2x%n", &major, &end, &fraction, &minor, &end) < 1 || *version == '-')
        return NULL;
    bool one_digit = fraction && end - fraction == 1;
    return arena_printf(build->arena, "0x%02X%02X", major, one_digit ? minor << 4 : minor);
}

/* "CLASS:VENDOR:PRODUCT:VERSION:ALLOW|..."; -1 = any. */
static void put_redirfilter(struct build *build, json_t *device, const struct redirfilter *filter)
{
    scoped_text struct text rules = {0};
    for (uint32_t i = 0; filter && i < filter->usbdevs.count; i++) {
        const struct redirfilter_usbdev *rule = filter->usbdevs.item[i];
        text_printf(&rules, "%s%s:%s:%s:%s:%d", i ? "|" : "", rule->usb_class ?: "-1", rule->vendor ?: "-1",
                    rule->product ?: "-1", redir_version(build, rule->version) ?: "-1", rule->allow == YESNO_YES);
    }
    if (rules.length)
        put_string(device, "filter", text_string(&rules));
}

static int build_redirdev(struct build *build, const struct redirdev *redirdev, struct error *err)
{
    const char *id = arena_printf(build->arena, "char%s", redirdev->info.alias);
    if (build_chardev_named(build, &redirdev->source, id, "usbredir", err) < 0)
        return -1;
    json_t *device = device_new(build, "usb-redir", &redirdev->info, "<redirdev>", err);
    if (!device)
        return -1;
    put_string(device, "chardev", id);
    put_redirfilter(build, device, build->def->redirfilter);
    device_add(build, device);
    return 0;
}

static int build_smartcard(struct build *build, const struct smartcard *smartcard, struct error *err)
{
    bool passthrough = smartcard->mode == SMARTCARD_MODE_PASSTHROUGH;
    const char *id = arena_printf(build->arena, "char%s", smartcard->info.alias);
    if (smartcard->mode == SMARTCARD_MODE_HOST_CERTIFICATES)
        return unsupported(err, "<smartcard mode='host-certificates'> is not supported: use host or passthrough");
    if (passthrough && build_chardev_named(build, &smartcard->source, id, "smartcard", err) < 0)
        return -1;
    json_t *device = device_new(build, passthrough ? "ccid-card-passthru" : "ccid-card-emulated", &smartcard->info,
                                "<smartcard>", err);
    if (!device)
        return -1;
    if (passthrough)
        put_string(device, "chardev", id);
    else
        put_string(device, "backend", "nss-emulated");
    device_add(build, device);
    return 0;
}

static int build_filesystem(struct build *build, const struct filesystem *filesystem, struct error *err)
{
    static const char *const security[] = {
        [FILESYSTEM_ACCESS_ABSENT] = "passthrough", [FILESYSTEM_ACCESS_PASSTHROUGH] = "passthrough",
        [FILESYSTEM_ACCESS_MAPPED] = "mapped",      [FILESYSTEM_ACCESS_SQUASH] = "none"};
    if (filesystem->driver == FILESYSTEM_DRIVER_VIRTIOFS)
        return unsupported(err, "<filesystem><driver type='virtiofs'> is not supported: use type='path' (9p)");
    if ((filesystem->type && filesystem->type != FILESYSTEM_TYPE_MOUNT) || !filesystem->source_dir)
        return unsupported(err, "<filesystem type='%s'> is not supported: use type='mount' with <source dir=.../>",
                           filesystem_type_name(filesystem->type) ?: "");
    const char *id = arena_printf(build->arena, "fsdev-%s", filesystem->info.alias);
    addf(build, "-fsdev", "local,security_model=%s,id=%s,path=%s%s%s%s%s%s%s", security[filesystem->access], id,
         quoted(build, filesystem->source_dir), filesystem->readonly ? ",readonly=on" : "",
         filesystem->multidevs ? ",multidevs=" : "", filesystem->multidevs ?: "", filesystem->fmode ? ",fmode=" : "",
         filesystem->fmode ?: "", filesystem->dmode ? arena_printf(build->arena, ",dmode=%s", filesystem->dmode) : "");
    enum virtio_model model = words_value(&virtio_model_words, filesystem->model ?: "");
    json_t *device = device_new(build, virtio_driver(build, "virtio-9p", model, &filesystem->info), &filesystem->info,
                                "<filesystem>", err);
    if (!device)
        return -1;
    put_virtio_options(device, &filesystem->virtio);
    put_string(device, "fsdev", id);
    put_string(device, "mount_tag", filesystem->target_dir);
    device_add(build, device);
    return 0;
}

static int build_shmem(struct build *build, const struct shmem *shmem, struct error *err)
{
    const char *alias = shmem->info.alias ?: "";
    bool doorbell = shmem->model == SHMEM_MODEL_IVSHMEM_DOORBELL;
    const char *memory = arena_printf(build->arena, "shmmem-%s", alias),
               *chardev = arena_printf(build->arena, "char%s", alias);
    if (doorbell) {
        addf(build, "-chardev", "socket,id=%s,path=%s", chardev, quoted(build, shmem->server_path ?: ""));
    } else {
        const char *path = arena_printf(build->arena, "/dev/shm/%s", shmem->name);
        add_json(build, "-object",
                 json_pack("{s:s,s:s,s:s,s:I,s:b}", "qom-type", "memory-backend-file", "id", memory, "mem-path", path,
                           "size", (json_int_t)(shmem->size ?: 4) << 20, "share", 1));
    }
    json_t *device = device_new(build, doorbell ? "ivshmem-doorbell" : "ivshmem-plain", &shmem->info, "<shmem>", err);
    if (!device)
        return -1;
    put_string(device, doorbell ? "chardev" : "memdev", doorbell ? chardev : memory);
    if (doorbell) {
        put_number(device, "vectors", shmem->msi_vectors);
        put_onoff_bool(device, "ioeventfd", shmem->msi_ioeventfd);
    }
    if (shmem->role)
        put_string(device, "master", shmem->role == SHMEM_ROLE_MASTER ? "on" : "off");
    device_add(build, device);
    return 0;
}

static int build_iommu(struct build *build, const struct iommu *iommu, struct error *err)
{
    static const struct property rows[] = {
        PROPERTY(iommu, intremap, ONOFF_WORD, "intremap"),
        PROPERTY(iommu, caching_mode, ONOFF_BOOL, "caching-mode"),
        PROPERTY(iommu, eim, ONOFF_WORD, "eim"),
        PROPERTY(iommu, iotlb, ONOFF_BOOL, "device-iotlb"),
        PROPERTY(iommu, aw_bits, U32, "aw-bits"),
    };
    if (!iommu)
        return 0;
    if (iommu->model == IOMMU_MODEL_SMMUV3) {
        add(build, "-machine", "iommu=smmuv3");
        return 0;
    }
    bool virtio = iommu->model == IOMMU_MODEL_VIRTIO;
    struct device_info info = iommu->info;
    if (!virtio)
        info = (struct device_info){0}; /* part of the root complex */
    json_t *device = device_new(build, virtio ? "virtio-iommu" : "intel-iommu", &info, "<iommu>", err);
    if (!device)
        return -1;
    if (!virtio)
        PUT_TABLE(device, iommu, rows);
    device_add(build, device);
    return 0;
}

static int build_dimm(struct build *build, const struct memory_device *memory, struct error *err)
{
    if (memory->model != MEMORY_MODEL_DIMM)
        return unsupported(err, "<memory model='%s'> is not supported: use dimm",
                           memory_model_name(memory->model) ?: "");
    const char *backend = arena_printf(build->arena, "mem%s", memory->info.alias);
    json_t *object = json_object();
    put_string(object, "qom-type", "memory-backend-ram");
    put_string(object, "id", backend);
    if (memory->access)
        put_bool(object, "share", memory->access == MEMORY_ACCESS_SHARED);
    put_number(object, "size", memory->size * 1024);
    add_json(build, "-object", object);
    json_t *device = device_new(build, "pc-dimm", &memory->info, "<memory model='dimm'>", err);
    if (!device)
        return -1;
    if (memory->node.set)
        json_object_set_new(device, "node", json_integer(memory->node.value));
    put_string(device, "memdev", backend);
    if (address_is(&memory->info, ADDRESS_TYPE_DIMM)) {
        json_object_set_new(device, "slot", json_integer(memory->info.address.dimm.slot));
        put_number(device, "addr", memory->info.address.dimm.base);
    }
    device_add(build, device);
    return 0;
}

/* Each kind of device once; those of which a guest has at most one come after. */
int build_misc(struct build *build, struct error *err)
{
    const struct domain_def *def = build->def;
    int status = 0;
#define BUILD_EACH(list, function)                                  \
    for (uint32_t i = 0; status == 0 && i < def->list.count; i++) \
        status = function(build, def->list.item[i], err)
    BUILD_EACH(tpms, build_tpm);
    BUILD_EACH(smartcards, build_smartcard);
    BUILD_EACH(watchdogs, build_watchdog);
    BUILD_EACH(redirdevs, build_redirdev);
    BUILD_EACH(hostdevs, build_hostdev);
    BUILD_EACH(filesystems, build_filesystem);
    BUILD_EACH(shmems, build_shmem);
    BUILD_EACH(memory_devices, build_dimm);
    if (status == 0)
        status = build_balloon(build, def->memballoon, err);
    BUILD_EACH(rngs, build_rng);
    BUILD_EACH(panics, build_panic);
#undef BUILD_EACH
    if (status == 0)
        status = build_iommu(build, def->iommu, err);
    if (status == 0)
        status = build_vsock(build, def->vsock, err);
    if (status == 0 && def->leases.count)
        status = unsupported(err, "<lease> is not supported: there is no lock manager");
    if (status == 0 && def->nvram_device)
        status = unsupported(err, "<nvram> devices are not supported");
    return status;
}
