/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "model/devices.h"
#include "model/disk.h"
#include "model/graphics.h"
#include "model/interface.h"
#include "model/platform.h"

/* A domain as its XML describes it. Immutable once it is published: a change makes a new definition (domain_edit())
 * and swaps it in. It owns its arena, in which everything it points at lies, and is counted by references. */
struct domain_def {
    struct extra *extra;
    struct arena *arena;
    unsigned references;

    enum virt_type type;
    struct optional_i32 id;          /* of a running domain */
    const char *name;
    unsigned char uuid[UUID_SIZE];
    bool uuid_set;
    const char *genid;               /* as written; "" = generate */
    const char *title, *description;
    const char *metadata;            /* the whole <metadata> element, verbatim; NULL = none */
    uint64_t max_memory;             /* <maxMemory>, KiB, 0 = no memory hotplug */
    uint32_t memory_slots;
    uint64_t memory, current_memory; /* KiB */
    enum onoff dump_core;
    struct memory_backing *memory_backing;
    enum vcpu_placement vcpu_placement;
    const char *vcpu_cpuset;
    uint32_t vcpus_current;          /* always set after parsing */
    uint32_t vcpus_max;
    LIST_OF(vcpu) vcpus;
    uint32_t iothreads;
    LIST_OF(iothread) iothread_ids;
    struct cputune *cputune;
    struct numatune *numatune;
    struct memtune *memtune;
    struct blkiotune *blkiotune;
    const char *resource_partition;
    const char *resource_fibre_channel_appid;
    LIST_OF(sysinfo) sysinfos;
    const char *bootloader, *bootloader_args;
    struct os os;
    const char *idmap;               /* the whole element, verbatim */
    struct features *features;
    struct cpu *cpu;
    struct clock clock;
    enum lifecycle on_poweroff, on_reboot, on_crash;
    enum lock_failure on_lockfailure;
    enum yesno suspend_to_mem, suspend_to_disk;
    LIST_OF(perf_event) perf_events;

    const char *emulator;
    LIST_OF(disk) disks;
    LIST_OF(controller) controllers;
    LIST_OF(lease) leases;
    LIST_OF(filesystem) filesystems;
    LIST_OF(interface) interfaces;
    LIST_OF(smartcard) smartcards;
    LIST_OF(chardev) serials, parallels, consoles, channels;
    LIST_OF(input) inputs;
    LIST_OF(tpm) tpms;
    LIST_OF(graphics) graphics;
    LIST_OF(sound) sounds;
    LIST_OF(audio) audios;
    LIST_OF(video) videos;
    LIST_OF(hostdev) hostdevs;
    LIST_OF(redirdev) redirdevs;
    struct redirfilter *redirfilter;
    LIST_OF(hub) hubs;
    LIST_OF(watchdog) watchdogs;
    struct memballoon *memballoon;
    LIST_OF(rng) rngs;
    struct nvram *nvram_device;
    LIST_OF(panic) panics;
    LIST_OF(shmem) shmems;
    LIST_OF(memory_device) memory_devices;
    struct iommu *iommu;
    struct vsock *vsock;
    LIST_OF(seclabel) seclabels;
    struct qemu_commandline *qemu_commandline;
};

/* What the model cannot know by itself. Any pointer may be NULL: then nothing is filled in. */
struct domain_defaults {
    const char *arch;                /* "x86_64" */
    const char *nvram_directory;     /* for the variables of UEFI guests with a loader of their own */
    void *owner;
    /* The emulator for a domain without <emulator>, NULL when there is none. */
    const char *(*emulator)(void *owner, enum virt_type type, const char *arch);
    /* The canonical name of a machine type ("pc" -> "pc-i440fx-7.2"); machine NULL asks for the default one. NULL when
     * the emulator does not know it. The answer is copied. */
    const char *(*machine)(void *owner, const char *emulator, enum virt_type type, const char *machine);
};

enum domain_parse_flags {
    DOMAIN_PARSE_INACTIVE = 1, /* what only a running domain has (id, aliases, ptys, ...) is dropped */
    DOMAIN_PARSE_VALIDATE = 2, /* elements and attributes that the tables do not know are errors */
    DOMAIN_PARSE_BARE = 4,     /* neither defaults nor addresses are added, nothing is checked */
};

/* The definition in the XML text (length bytes, or -1 for up to the NUL), complete: defaults, implied devices and
 * addresses are filled in as libvirt does. Errors: ERR_XML_DETAIL (not well-formed), ERR_XML_ERROR (a value, with its
 * path and the allowed words), ERR_CONFIG_UNSUPPORTED, ... defaults may be NULL. */
struct domain_def *domain_parse(const char *xml, long length, unsigned flags, const struct domain_defaults *defaults,
                                struct error *err);

/* Whether a domain may be called that: its name becomes part of file names (NAME.log). ERR_XML_ERROR. */
int domain_name_check(const char *name, struct error *err);

/* One reference more; the last domain_def_free() frees. NULL is accepted by both. */
struct domain_def *domain_def_ref(struct domain_def *def);
void domain_def_free(struct domain_def *def);
DEFINE_SCOPED(domain_def_scope, struct domain_def *, domain_def_free)
#define scoped_domain_def scope_cleanup(domain_def_scope)

/* Bits beside VIR_DOMAIN_XML_* (DOMAIN_XML_SECURE, _INACTIVE, _UPDATE_CPU, _MIGRATABLE) that only we use. */
#define DOMAIN_FORMAT_STATUS 0x10000u /* everything, to be parsed again by us: the status file of a running domain */

/* The XML text in libvirt's layout; to be freed. flags are DOMAIN_XML_*. A definition with an id is formatted as
 * running unless DOMAIN_XML_INACTIVE is among them. DOMAIN_XML_MIGRATABLE leaves out what every reader adds by itself,
 * as older readers know it only so, and includes secrets. */
char *domain_format(const struct domain_def *def, unsigned flags);

/* A private copy with one reference, running state included, which its holder may change until it publishes it:
 * strings go into edit->arena. */
struct domain_def *domain_edit(const struct domain_def *def);

/* Name and UUID of a definition that we wrote ourselves (domain_format()), without parsing the rest. Returns 0, or -1
 * when the text does not look like that: then parse it. name_size counts the NUL; longer names fail. */
int domain_peek(const char *xml, size_t length, char *name, size_t name_size, unsigned char uuid[UUID_SIZE]);

/* Gives every device of a domain that is about to run its alias ("virtio-disk0", "net0", ...); ua- aliases stay. */
void domain_assign_aliases(struct domain_def *def);

/* The first consoles are the serial ports under another name: copies alias, address and the host's end (pty path, ...)
 * of the serial ports to them and sets @tty. To be called when a running domain's serial ports got theirs. */
void domain_mirror_consoles(struct domain_def *def);

/* Fills in missing controllers and addresses; addresses that are there stay. domain_parse() has done it; needed after
 * a device was added by domain_edit(). */
int domain_assign_addresses(struct domain_def *def, struct error *err);

/* Fails with ERR_CONFIG_UNSUPPORTED naming the first thing that the guest would see differently in dst. */
int domain_abi_check(const struct domain_def *src, const struct domain_def *dst, struct error *err);

/* Paths of the elements and attributes that no table knows ("/domain/devices/disk[1]/@foo"), one a line; empty when
 * all are known. They are kept and formatted again. */
void domain_unknown(const struct domain_def *def, struct text *paths);

/* Whether there is an address of that kind. */
static inline bool address_is(const struct device_info *info, enum address_type type)
{
    return info->address.type == type;
}

/* PCI addresses of all zeros mean "not assigned". */
static inline bool pci_address_present(const struct pci_address *pci)
{
    return pci->domain || pci->bus || pci->slot || pci->function;
}
