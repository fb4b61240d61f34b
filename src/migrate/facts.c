/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/facts.h"

#include <string.h>

#include "migrate/copy.h"
#include "model/encryption.h"
#include "qemu/block.h"

/* -- reading ------------------------------------------------------------------------------------------------------- */

const json_t *fact(const json_t *document, const char *path)
{
    char key[64];
    for (size_t length; document && *path; path += length + (path[length] == '.')) {
        length = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)length, path);
        document = json_object_get(document, key);
    }
    return json_is_null(document) ? NULL : document;
}

const char *fact_text(const json_t *document, const char *path)
{
    return json_string_value(fact(document, path));
}

bool fact_number(const json_t *document, const char *path, int64_t *value)
{
    const json_t *found = fact(document, path);
    *value = json_integer_value(found);
    return json_is_integer(found);
}

int fact_flag(const json_t *document, const char *path)
{
    const json_t *found = fact(document, path);
    return json_is_boolean(found) ? json_is_true(found) : -1;
}

const json_t *fact_find(const json_t *list, const char *key, const char *text)
{
    size_t index;
    json_t *item;
    json_array_foreach((json_t *)list, index, item)
        if (text && string_equal(fact_text(item, key), text))
            return item;
    return NULL;
}

const char *fact_item(const json_t *list, size_t index)
{
    return json_string_value(json_array_get(list, index)) ?: "";
}

bool fact_list_has(const json_t *list, const char *text)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(fact_item(list, i), text) == 0)
            return true;
    return false;
}

/* -- writing ------------------------------------------------------------------------------------------------------- */

void facts_put(json_t *object, const char *key, const char *value)
{
    if (value)
        json_object_set_new(object, key, json_string(value));
}

void facts_put_number(json_t *object, const char *key, uint64_t value)
{
    if (value)
        json_object_set_new(object, key, json_integer((json_int_t)value));
}

static void put_flag(json_t *object, const char *key, bool value)
{
    if (value)
        json_object_set_new(object, key, json_true());
}

static void add_words(json_t *list, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add_words(json_t *list, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    json_array_append_new(list, json_vsprintf(format, args));
    va_end(args);
}

/* A list that nobody put anything into says "none", which is not the same as not known. */
static json_t *put_list(json_t *object, const char *key)
{
    json_t *list = json_array();
    json_object_set_new(object, key, list);
    return list;
}

/* -- disks --------------------------------------------------------------------------------------------------------- */

static bool is_removable(const struct disk *disk)
{
    return disk->device == DISK_DEVICE_CDROM || disk->device == DISK_DEVICE_FLOPPY;
}

static const char *secret_of(const struct disk_source *source, const struct source_auth *older)
{
    const struct source_auth *auth = source->auth ? source->auth : older;
    return auth ? auth->secret_uuid ? auth->secret_uuid : auth->secret_usage : NULL;
}

static void put_key(json_t *secrets, const struct disk *disk)
{
    const char *xml = disk->source.encryption ? disk->source.encryption : disk->encryption;
    scoped_arena struct arena *arena = arena_new();
    const struct encryption *encryption = xml ? encryption_parse(arena, xml, NULL) : NULL;
    const struct encryption_secret *secret =
        encryption && encryption->secrets.count ? encryption->secrets.item[0] : NULL;
    if (secret)
        add_words(secrets, "%s", secret->uuid ? secret->uuid : secret->usage ? secret->usage : "");
    else if (xml)
        add_words(secrets, "of the encryption of disk %s", disk->target);
}

static json_t *chain_facts(const struct disk_source *top)
{
    json_t *chain = json_array();
    for (const struct disk_source *layer = top->backing; layer; layer = layer->backing)
        if (layer->file || layer->dev) {
            json_t *one = json_object();
            facts_put(one, "path", disk_source_path(layer));
            facts_put(one, "format", layer->format);
            json_array_append_new(chain, one);
        }
    return chain;
}

/* Servers of a disk on the network that can be connected to. */
static json_t *server_facts(const struct disk_source *source)
{
    static const struct {
        enum network_protocol protocol;
        const char *port;
    } usual[] = {
        {NETWORK_PROTOCOL_NBD, "10809"}, {NETWORK_PROTOCOL_RBD, "6789"},    {NETWORK_PROTOCOL_ISCSI, "3260"},
        {NETWORK_PROTOCOL_HTTP, "80"},   {NETWORK_PROTOCOL_HTTPS, "443"},   {NETWORK_PROTOCOL_SSH, "22"},
        {NETWORK_PROTOCOL_NFS, "2049"},  {NETWORK_PROTOCOL_GLUSTER, "24007"},
    };
    json_t *list = json_array();
    for (uint32_t i = 0; i < source->hosts.count; i++) {
        const struct source_host *host = source->hosts.item[i];
        const char *port = host->port;
        for (size_t j = 0; !port && j < COUNT(usual); j++)
            port = usual[j].protocol == source->protocol ? usual[j].port : NULL;
        if (host->name && port && host->transport != HOST_TRANSPORT_UNIX && host->transport != HOST_TRANSPORT_RDMA)
            json_array_append_new(list, json_pack("{s:s, s:s}", "host", host->name, "port", port));
    }
    return list;
}

static json_t *disk_facts(const struct disk *disk, const struct disk *there, const struct migrate_options *options)
{
    json_t *facts = json_object();
    facts_put(facts, "target", disk->target);
    facts_put(facts, "type", source_type_name(disk->source.type));
    facts_put(facts, "path", disk_source_path(&disk->source));
    if (there->source.type == SOURCE_TYPE_VOLUME) { /* where it lies there, only the pool of that name knows */
        facts_put(facts, "pool", there->source.pool);
        facts_put(facts, "volume", there->source.volume);
    } else {
        facts_put(facts, "there", disk_source_path(&there->source));
    }
    facts_put(facts, "format", there->source.format);
    facts_put(facts, "cache", disk_cache_name(disk->cache));
    facts_put(facts, "protocol", network_protocol_name(disk->source.protocol));
    put_flag(facts, "readonly", disk->readonly || disk->device == DISK_DEVICE_CDROM);
    put_flag(facts, "shareable", disk->shareable);
    put_flag(facts, "removable", is_removable(disk));
    put_flag(facts, "optional", there->source.startup_policy == STARTUP_POLICY_OPTIONAL);
    put_flag(facts, "copied", disk_is_copied(disk, options));
    json_object_set_new(facts, "chain", chain_facts(&there->source));
    if (there->source.type == SOURCE_TYPE_NETWORK)
        json_object_set_new(facts, "servers", server_facts(&there->source));
    return facts;
}

static const struct disk *disk_like(const struct domain_def *def, const struct disk *disk)
{
    for (uint32_t i = 0; i < def->disks.count; i++)
        if (string_equal(def->disks.item[i]->target, disk->target))
            return def->disks.item[i];
    return disk;
}

static void put_disks(json_t *guest, const struct domain_def *here, const struct domain_def *there,
                      const struct migrate_options *options)
{
    json_t *disks = put_list(guest, "disks"), *secrets = put_list(guest, "secrets");
    for (uint32_t i = 0; i < here->disks.count; i++) {
        const struct disk *disk = here->disks.item[i], *other = disk_like(there, disk);
        const char *secret = secret_of(&other->source, other->auth);
        json_array_append_new(disks, disk_facts(disk, other, options));
        if (secret)
            add_words(secrets, "%s", secret);
        put_key(secrets, other);
    }
}

/* -- what is bound to this host ------------------------------------------------------------------------------------ */

static void put_hostdevs(json_t *guest, const struct domain_def *def)
{
    json_t *list = put_list(guest, "hostdevs");
    for (uint32_t i = 0; i < def->hostdevs.count; i++) {
        const struct hostdev *dev = def->hostdevs.item[i];
        const struct pci_address *pci = &dev->pci;
        if (dev->type == HOSTDEV_TYPE_PCI)
            add_words(list, "pci %04x:%02x:%02x.%x", pci->domain, pci->bus, pci->slot, pci->function);
        else if (dev->type == HOSTDEV_TYPE_USB && dev->vendor.set)
            add_words(list, "usb %04x:%04x", dev->vendor.value, dev->product.value);
        else
            add_words(list, "%s %s", hostdev_type_name(dev->type) ?: "device",
                      dev->mdev_uuid ?: dev->adapter_name ?: dev->name ?: dev->info.alias ?: "");
    }
    for (uint32_t i = 0; i < def->interfaces.count; i++)
        if (def->interfaces.item[i]->type == INTERFACE_TYPE_HOSTDEV)
            add_words(list, "network function of interface %s", def->interfaces.item[i]->info.alias ?: "");
}

/* What QEMU itself would let pass although the other host has nothing of the kind. */
static void put_bound(json_t *guest, const struct domain_def *def)
{
    json_t *list = put_list(guest, "bound");
    for (uint32_t i = 0; i < def->disks.count; i++) {
        const struct disk *disk = def->disks.item[i];
        if (disk->source.type == SOURCE_TYPE_DIR || disk->source.type == SOURCE_TYPE_VHOST_USER ||
            disk->source.type == SOURCE_TYPE_NVME || disk->source.type == SOURCE_TYPE_VHOST_VDPA)
            add_words(list, "disk %s (%s)", disk->target, source_type_name(disk->source.type));
    }
    for (uint32_t i = 0; i < def->filesystems.count; i++)
        add_words(list, "file system '%s' of directory '%s'", def->filesystems.item[i]->target_dir ?: "",
                  def->filesystems.item[i]->source_dir ?: "");
    for (uint32_t i = 0; i < def->shmems.count; i++)
        if (def->shmems.item[i]->role != SHMEM_ROLE_MASTER)
            add_words(list, "shared memory '%s'", def->shmems.item[i]->name ?: "");
    for (uint32_t i = 0; i < def->tpms.count; i++)
        if (def->tpms.item[i]->backend == TPM_BACKEND_PASSTHROUGH)
            add_words(list, "TPM '%s' of the host", def->tpms.item[i]->device_path ?: "/dev/tpm0");
    for (uint32_t i = 0; i < def->interfaces.count; i++)
        if (def->interfaces.item[i]->type == INTERFACE_TYPE_VDPA)
            add_words(list, "vDPA device '%s'", def->interfaces.item[i]->dev ?: "");
}

/* -- the rest ------------------------------------------------------------------------------------------------------ */

static void put_interfaces(json_t *guest, const struct domain_def *def)
{
    scoped_arena struct arena *arena = arena_new();
    json_t *list = put_list(guest, "interfaces");
    for (uint32_t i = 0; i < def->interfaces.count; i++) {
        const struct interface *interface = def->interfaces.item[i];
        json_t *facts = json_object();
        facts_put(facts, "type", interface_type_name(interface->type));
        facts_put(facts, "mac", mac_text(arena, &interface->mac));
        facts_put(facts, "network", interface->network);
        facts_put(facts, "bridge", interface->bridge);
        facts_put(facts, "dev", interface->dev);
        json_array_append_new(list, facts);
    }
}

static void add_vectors(json_t *list, const char *alias, const char *kind, uint32_t index, uint32_t vectors)
{
    if (!vectors)
        return;
    json_t *name = alias ? json_string(alias) : json_sprintf("%s%u", kind, index);
    json_array_append_new(list, json_pack("{s:o, s:i}", "device", name, "vectors", (int)vectors));
}

/* One vector a queue; a network device has queues for both directions. */
static void put_vectors(json_t *guest, const struct domain_def *def)
{
    json_t *list = put_list(guest, "virtio");
    for (uint32_t i = 0; i < def->disks.count; i++)
        if (def->disks.item[i]->bus == DISK_BUS_VIRTIO && def->disks.item[i]->queues)
            add_vectors(list, def->disks.item[i]->info.alias, "virtio-disk", i, def->disks.item[i]->queues + 1);
    for (uint32_t i = 0; i < def->interfaces.count; i++)
        if (def->interfaces.item[i]->queues > 1)
            add_vectors(list, def->interfaces.item[i]->info.alias, "net", i, 2 * def->interfaces.item[i]->queues + 2);
    for (uint32_t i = 0; i < def->controllers.count; i++) {
        const struct controller *controller = def->controllers.item[i];
        add_vectors(list, controller->info.alias, controller_type_name(controller->type), controller->index,
                    controller->vectors.set ? controller->vectors.value
                    : controller->queues    ? controller->queues + 3
                                            : 0);
    }
}

static void add_file(json_t *list, const char *role, const char *path)
{
    if (path)
        json_array_append_new(list, json_pack("{s:s, s:s}", "role", role, "path", path));
}

/* Files that QEMU reads when it starts, on the destination too. */
static void put_files(json_t *guest, const struct domain_def *def)
{
    json_t *list = put_list(guest, "files");
    add_file(list, "firmware", def->os.loader);
    add_file(list, "kernel", def->os.kernel);
    add_file(list, "initrd", def->os.initrd);
    add_file(list, "device tree", def->os.dtb);
    add_file(list, "ACPI table", def->os.acpi_table);
    for (uint32_t i = 0; i < def->interfaces.count; i++)
        add_file(list, "option ROM", def->interfaces.item[i]->info.rom_file);
    facts_put(guest, "nvram", def->os.nvram);
}

static void put_graphics(json_t *guest, const struct domain_def *def)
{
    json_t *list = put_list(guest, "graphics");
    for (uint32_t i = 0; i < def->graphics.count; i++) {
        const struct graphics *graphics = def->graphics.item[i];
        bool socket = graphics->socket || (!graphics->listen && !graphics->port);
        json_t *facts = json_object();
        facts_put(facts, "type", graphics_type_name(graphics->type));
        if (!socket) {
            facts_put(facts, "listen", graphics->listen ?: "127.0.0.1");
            facts_put_number(facts, "port",
                             graphics->autoport != YESNO_YES && graphics->port > 0 ? (uint64_t)graphics->port : 0);
        }
        json_array_append_new(list, facts);
    }
}

static uint64_t page_kib(const struct memory_backing *backing)
{
    return backing->pages.count && backing->pages.item[0]->size ? backing->pages.item[0]->size : 0;
}

static void put_memory(json_t *guest, const struct domain_def *def)
{
    uint64_t memory = def->memory, dimms = 0;
    for (uint32_t i = 0; i < def->memory_devices.count; i++)
        dimms += def->memory_devices.item[i]->size;
    facts_put_number(guest, "memory_kib", memory);
    const struct memory_backing *backing = def->memory_backing;
    put_flag(guest, "memory_at_once",
             backing && (backing->locked || backing->allocation == MEMORY_ALLOCATION_IMMEDIATE));
    if (def->memory_backing && def->memory_backing->hugepages) {
        put_flag(guest, "hugepages", true);
        facts_put_number(guest, "hugepage_kib", page_kib(def->memory_backing)); /* absent: the host's usual size */
    }
    /* the blocks that QEMU sends: the machine's own, or one for each NUMA cell, and one for each DIMM */
    json_t *blocks = put_list(guest, "ram_blocks_kib");
    uint32_t cells = def->cpu ? def->cpu->cells.count : 0;
    for (uint32_t i = 0; i < cells; i++)
        json_array_append_new(blocks, json_integer((json_int_t)def->cpu->cells.item[i]->memory));
    if (!cells)
        json_array_append_new(blocks, json_integer((json_int_t)(memory - (dimms < memory ? dimms : 0))));
    for (uint32_t i = 0; i < def->memory_devices.count; i++)
        json_array_append_new(blocks, json_integer((json_int_t)def->memory_devices.item[i]->size));
}

static void put_labels(json_t *guest, const struct domain_def *def)
{
    json_t *list = put_list(guest, "seclabels"), *tpms = put_list(guest, "tpms");
    for (uint32_t i = 0; i < def->seclabels.count; i++) {
        const struct seclabel *label = def->seclabels.item[i];
        if (label->model && label->type != SECLABEL_TYPE_NONE)
            json_array_append_new(list, json_pack("{s:s, s:b}", "model", label->model, "static",
                                                  label->type == SECLABEL_TYPE_STATIC));
    }
    for (uint32_t i = 0; i < def->tpms.count; i++) {
        json_t *facts = json_object();
        facts_put(facts, "model", tpm_model_name(def->tpms.item[i]->model));
        facts_put(facts, "backend", tpm_backend_name(def->tpms.item[i]->backend));
        json_array_append_new(tpms, facts);
    }
}

/* Highest host CPU that something of the guest is pinned to; only what QEMU's start would fail for. */
static void put_pinning(json_t *guest, const struct domain_def *def)
{
    json_t *list = put_list(guest, "pinned");
    const struct cputune *tune = def->cputune;
    for (uint32_t i = 0; tune && i < tune->vcpupins.count; i++)
        add_words(list, "%s", tune->vcpupins.item[i]->cpuset ?: "");
    for (uint32_t i = 0; tune && i < tune->iothreadpins.count; i++)
        add_words(list, "%s", tune->iothreadpins.item[i]->cpuset ?: "");
    if (tune && tune->emulatorpin)
        add_words(list, "%s", tune->emulatorpin);
}

/* The guest's <cpu> element as text, to free(); NULL when it has none. */
static char *cpu_xml(const struct domain_def *def)
{
    scoped_free char *whole = def->cpu ? domain_format(def, DOMAIN_XML_INACTIVE | DOMAIN_XML_MIGRATABLE) : NULL;
    const char *start = whole ? strstr(whole, "\n  <cpu ") : NULL, *end = start ? strstr(start, "\n  </cpu>") : NULL;
    const char *alone = start ? strchr(start, '>') : NULL;
    if (!alone)
        return NULL;
    if (alone[-1] == '/')
        return strndup(start + 3, (size_t)(alone + 1 - start - 3));
    return end ? strndup(start + 3, (size_t)(end - start - 3) + strlen("\n  </cpu>")) : NULL;
}

static void put_cpu(json_t *guest, const struct domain_def *def)
{
    json_t *facts = json_object();
    scoped_free char *xml = cpu_xml(def);
    if (def->cpu) {
        facts_put(facts, "mode", cpu_mode_name(def->cpu->mode));
        facts_put(facts, "model", def->cpu->model);
    }
    facts_put(facts, "xml", xml);
    json_object_set_new(guest, "cpu", facts);
    facts_put_number(guest, "vcpus", def->vcpus_max);
}

json_t *facts_of_guest(const struct domain_def *here, const struct domain_def *there,
                       const struct migrate_options *options)
{
    char uuid[UUID_STRING_SIZE];
    json_t *guest = json_object();
    uuid_format(here->uuid, uuid);
    facts_put(guest, "name", here->name);
    facts_put(guest, "name_there", options->dname ? options->dname : here->name);
    facts_put(guest, "uuid", uuid);
    facts_put(guest, "type", virt_type_name(here->type));
    facts_put(guest, "arch", here->os.arch);
    facts_put(guest, "machine", here->os.machine);
    facts_put(guest, "emulator", there->emulator);
    put_memory(guest, here);
    put_cpu(guest, here);
    put_disks(guest, here, there, options);
    put_interfaces(guest, there);
    put_hostdevs(guest, there);
    put_bound(guest, there);
    put_vectors(guest, here);
    put_files(guest, there);
    put_graphics(guest, there);
    put_labels(guest, there);
    put_pinning(guest, there);
    return guest;
}
