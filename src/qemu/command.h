/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/process.h"
#include "model/domain.h"
#include "qemu/capabilities.h"
#include "qemu/qmp.h"

/* A definition as QEMU's arguments. Device ids, node names and option spelling are libvirt's, so that a guest can be
 * migrated between the two. */

/* Ports that were handed to a guest that may not have bound them yet. Zeroed = empty; one for all guests of a host. */
struct qemu_ports {
    struct {
        uint16_t port;
        uint64_t until_ns;
    } recent[32];
    unsigned next;
};

struct secrets;
struct qemu_command_options {
    const struct qemu_caps *caps;
    struct qemu_ports *ports;
    const char *channel_dir;  /* of this guest, exists: unix channels without a path get DIR/TARGET-NAME */
    const char *nvram_dir;    /* where a guest's NVRAM without a path lies */
    const char *firmware_root; /* see qemu_firmware_select(); NULL = "/" */
    struct secrets *secrets;  /* where keys and passwords of disks come from */
    const char *incoming;     /* "defer" or a URI: QEMU waits for a migration; NULL = an ordinary start */
    /* Nothing on the host is touched: descriptors get made-up numbers, automatic ports stay unset (domxml-to-native).
     */
    bool dry;
};

/* Completes a private copy of a definition for its run: aliases, firmware and NVRAM path, node indexes of the disks,
 * VNC and SPICE ports, paths of unix channels, the CPU model when it was left to us. Call before qemu_command_build().
 * Does not make the NVRAM file: qemu_nvram_create() does. */
int qemu_command_prepare(struct domain_def *def, const struct qemu_command_options *options, struct error *err);

struct qemu_command {
    struct arena *arena; /* everything here lies in it */
    struct argv *argv;   /* without the monitor, which qemu_spawn() adds */
    char **environment;
    int *fds;            /* to be passed; open until qemu_command_finish() */
    size_t fd_count;
};
void qemu_command_finish(struct qemu_command *command);
#define scoped_qemu_command scope_cleanup(qemu_command_finish)

/* Opens what QEMU gets as descriptors (taps, which are added to their bridges; their names go into def) and makes the
 * arguments. ERR_CONFIG_UNSUPPORTED names the element that cannot be had and what to do about it. */
int qemu_command_build(struct qemu_command *command, struct domain_def *def,
                       const struct qemu_command_options *options, struct error *err);

/* What has to be told over the monitor before the guest's CPUs run: passwords, balloon statistics and target, links
 * that are down, limits of disks, what a reboot does; and the threads get their affinity. One batch or two; waits. An
 * incoming guest keeps the balloon it comes with. */
int qemu_setup(struct qmp *qmp, const struct domain_def *def, bool incoming, deadline until, struct error *err);

/* The size of huge page that the memory of a NUMA cell gets (cell NULL: of a guest without cells); 0 = none. */
uint64_t qemu_hugepage_kib(const struct memory_backing *backing, const struct optional_u32 *cell);

/* -- one device at a time, for hot-plug ---------------------------------------------------------------------------- */
/* The arguments of block_set_io_throttle (a new reference). */
json_t *qemu_throttle_arguments(const struct disk *disk, const struct iotune *tune);
/* Whether a disk has a medium. */
bool qemu_source_present(const struct disk_source *source);
/* The arguments of blockdev-add for a disk's whole chain, lower layers first (a new reference; empty without a medium),
 * and the name of the node that its device uses. */
json_t *qemu_disk_nodes(struct arena *arena, const struct disk *disk, struct error *err);
const char *qemu_disk_top_node(struct arena *arena, const struct disk *disk);
/* "libvirt-INDEX-format" and "libvirt-INDEX-storage"; arena memory. */
char *qemu_node_format(struct arena *arena, const struct disk_source *source);
char *qemu_node_storage(struct arena *arena, const struct disk_source *source);

/* -- firmware (firmware.c) ----------------------------------------------------------------------------------------- */

/* Fills os.loader, os.nvram_template, os.nvram ... of a definition that asks for firmware='efi' or has a known loader
 * without a template, from the descriptor files below ROOT (/etc/qemu/firmware, /usr/share/qemu/firmware; the first
 * match by name order wins, as QEMU's docs/interop/firmware.json says). nvram_dir NULL leaves os.nvram alone.
 * ERR_CONFIG_UNSUPPORTED when no descriptor fits (names the package to install). */
int qemu_firmware_select(struct domain_def *def, const char *root, const char *nvram_dir, struct error *err);
/* The loaders of all descriptors for an architecture and machine ("pc-q35-7.2"): for domain capabilities. */
struct qemu_firmware {
    const char *loader, *nvram_template;
    bool secure_boot, enrolled_keys, requires_smm;
};
size_t qemu_firmware_list(struct arena *arena, const char *root, const char *arch, const char *machine,
                          struct qemu_firmware **found);
/* Copies the template to the NVRAM path of the definition if that file is missing (or reset is set). Nothing for guests
 * without NVRAM. Waits: the copy is on disk afterwards. */
int qemu_nvram_create(const struct domain_def *def, bool reset, struct error *err);
