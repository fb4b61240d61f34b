/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "base/cpu_set.h"
#include "qemu/command.h"

/* What the command*.c files share: the command being built, JSON options, addresses. */

struct build {
    struct qemu_command *command;
    struct arena *arena;     /* the command's */
    struct argv *argv;
    struct domain_def *def;
    const struct qemu_command_options *options;
    const struct qemu_caps *caps;
    const char *bus_root;    /* "pci.0" or "pcie.0" */
    bool kvm, x86, q35;
    int dry_fd;              /* the next made-up descriptor number */
};

/* -- options ------------------------------------------------------------------------------------------------------- */

void add(struct build *build, const char *option, const char *value);
void addf(struct build *build, const char *option, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Steals the object. */
void add_json(struct build *build, const char *option, json_t *object);
/* A value inside a comma-separated option: commas are doubled. */
const char *quoted(struct build *build, const char *value);

/* -- properties ---------------------------------------------------------------------------------------------------- */

/* None of these sets anything for what is absent in the XML (NULL, 0, ..._ABSENT). */
void put_string(json_t *object, const char *key, const char *value);
void put_number(json_t *object, const char *key, uint64_t value);
void put_bool(json_t *object, const char *key, bool value);
void put_onoff_bool(json_t *object, const char *key, enum onoff value);  /* true, false */
void put_onoff_word(json_t *object, const char *key, enum onoff value);  /* "on", "off" */

/* A row of a device's table: an attribute that is passed on as it is. */
enum property_kind { PROPERTY_STRING, PROPERTY_U32, PROPERTY_U64, PROPERTY_OPTIONAL_U32, PROPERTY_ONOFF_BOOL,
                     PROPERTY_ONOFF_WORD, PROPERTY_YESNO_BOOL };
struct property {
    const char *name;
    enum property_kind kind;
    size_t offset;
};
#define PROPERTY(type, member, kind, name) {name, PROPERTY_##kind, offsetof(struct type, member)}
void put_properties(json_t *object, const void *part, const struct property *rows, size_t count);
#define PUT_TABLE(object, part, table) put_properties(object, part, table, COUNT(table))

/* -- devices ------------------------------------------------------------------------------------------------------- */

/* {"driver":..., "id":..., address, "bootindex", ROM, "acpi-index"}. Fails when the binary has no such device or an
 * address names a controller that is not there. what is the element, for the message. */
json_t *device_new(struct build *build, const char *driver, const struct device_info *info, const char *what,
                   struct error *err);
/* Adds it as -device. */
void device_add(struct build *build, json_t *device);
/* The name of a virtio device: "virtio-blk" with the suffix of its bus and model. */
const char *virtio_driver(struct build *build, const char *base, enum virtio_model model,
                          const struct device_info *info);
void put_virtio_options(json_t *device, const struct virtio_options *options);
/* Controllers by kind and index; NULL when there is none. */
const struct controller *bus_controller(const struct domain_def *def, enum controller_type type, uint32_t index);
int unsupported(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Hands a descriptor over to the command (its number in decimal); in a dry build fd is -1 and a number is made up. */
const char *pass_fd(struct build *build, int fd);

/* -- disks --------------------------------------------------------------------------------------------------------- */

/* What one layer of a disk says, or for the top one the disk in the older place; NULL = nothing. */
const char *disk_encryption(const struct disk *disk, const struct disk_source *source);
const struct source_auth *disk_auth(const struct disk *disk, const struct disk_source *source);
/* Ids of the secret objects of a layer: its key, and the password that its server asks for. */
char *secret_of_format(struct arena *arena, const struct disk_source *source);
char *secret_of_storage(struct arena *arena, const struct disk_source *source);
/* Adds the secret objects of all layers, and how many descriptors those of all disks can take at most. */
int build_disk_secrets(struct build *build, const struct disk *disk, struct error *err);
size_t disk_secrets_max(const struct domain_def *def);
/* command_network_disk.c: the protocol's node. */
json_t *network_storage(struct arena *arena, const struct disk *disk, const struct disk_source *source,
                        struct error *err);

/* -- parts, in the order of the command line ----------------------------------------------------------------------- */

int build_machine(struct build *build, struct error *err);      /* command_machine.c: -machine, -accel, pflash */
int build_cpu(struct build *build, struct error *err);          /* command_cpu.c: -cpu, -smp */
int build_memory(struct build *build, struct error *err);       /* command_memory.c: -m, backends, -numa */
int build_platform(struct build *build, struct error *err);     /* command_platform.c: -smbios, -rtc, -boot, -kernel */
int build_controllers(struct build *build, struct error *err);  /* command_controller.c */
int build_disks(struct build *build, struct error *err);        /* command_disk.c */
int build_interfaces(struct build *build, struct error *err);   /* command_interface.c */
int build_chardevs(struct build *build, struct error *err);     /* command_chardev.c */
int build_display(struct build *build, struct error *err);      /* command_display.c: graphics, video, sound, input */
int build_misc(struct build *build, struct error *err);         /* command_misc.c: all other devices */

/* command_host.c */
int build_hostdev(struct build *build, const struct hostdev *hostdev, struct error *err);
int build_tpm(struct build *build, const struct tpm *tpm, struct error *err);
int build_vsock(struct build *build, struct vsock *vsock, struct error *err);

int build_chardev(struct build *build, const struct chardev_source *source, const char *id, struct error *err);
/* "-chardev" for a source with that id ("charserial0"); name is what a SPICE channel carries ("vdagent"). */
int build_chardev_named(struct build *build, const struct chardev_source *source, const char *id, const char *name,
                        struct error *err);

/* -- processors of the host (pin.c) -------------------------------------------------------------------------------- */

/* Lets a thread run on these only; one that has ended is no error. */
int thread_pin(pid_t thread, const struct cpu_set *set, struct error *err);
/* Gives the threads of a guest the affinity that <vcpu cpuset=> and <cputune> ask for. Waits. */
int pin_threads(struct qmp *qmp, const struct domain_def *def, deadline until, struct error *err);

/* -- taps (tap.c) -------------------------------------------------------------------------- */

/* How a tap shall be. */
struct tap_wish {
    const char *bridge;       /* NULL = none */
    const unsigned char *mac; /* the guest's; NULL = any */
    uint32_t mtu;             /* 0 = the bridge's */
    bool vnet_hdr;            /* for virtio */
    bool configure;           /* false: the interface is the user's own and set up already */
};
#define TAP_NAME_SIZE  16
#define TAP_QUEUES_MAX 256 /* the kernel's limit for one tap */
/* Opens a tap with `queues` descriptors, joins it to the bridge and brings it up. name holds the wish ("" or a %d
 * pattern = any) and gets the real one. The interface goes when the last descriptor is closed. */
int tap_open(char name[TAP_NAME_SIZE], const struct tap_wish *wish, int *fds, unsigned queues, struct error *err);
