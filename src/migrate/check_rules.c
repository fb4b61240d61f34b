/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migrate/check.h"

/* The table. A new requirement is a row here and a function in one of the check_*.c files. */

#define ALWAYS      CHECK_ERROR, 0
#define ERROR       CHECK_ERROR, CHECK_LIVE
#define UNSAFE      CHECK_ERROR, CHECK_LIVE | CHECK_UNSAFE
#define WARNING     CHECK_WARNING, 0
#define INFORMATION CHECK_INFORMATION, 0

const struct check_rule check_rules[] = {
    /* the guest */
    {"state", ALWAYS, ERR_OPERATION_INVALID, "the guest runs", check_state,
     "A guest that does not run, or is about to end, has no memory to move; `--offline` moves its definition."},
    {"same-host", ALWAYS, ERR_OPERATION_INVALID, "the destination is another host", check_same_host,
     "Hosts are told apart by their host UUID."},
    {"name-free", ALWAYS, ERR_OPERATION_FAILED, "name and UUID are free there", check_name_free,
     "The destination must not have another domain of that name, nor run this one."},
    {"blockers", ERROR, ERR_OPERATION_INVALID, "QEMU can migrate every device", check_blockers,
     "QEMU itself is asked what keeps it from migrating (`blocked-reasons`)."},
    {"host-devices", ERROR, ERR_OPERATION_INVALID, "no device of the host is used", check_hostdevs,
     "A passed-through device stays where it is."},
    {"host-bound", ERROR, ERR_OPERATION_INVALID, "nothing else lies on this host alone", check_bound,
     "Directories, shared memory, processes of this host and its TPM: what QEMU would let pass and the guest would "
     "miss."},
    {"vectors", WARNING, ERR_OPERATION_INVALID, "virtio devices have at most 32 vectors", check_vectors,
     "The guides ask for it: older QEMUs cannot load more."},
    {"tcg-dirty", WARNING, ERR_OPERATION_INVALID, "no write to memory is missed", check_tcg_dirty,
     "QEMU before 9.0 without KVM misses writes to blocks of memory whose size is a multiple of 256 KiB: the guest is "
     "silently damaged."},
    /* QEMU and the machine */
    {"emulator", ERROR, ERR_CONFIG_UNSUPPORTED, "the emulator is there", check_emulator,
     "The definition's `<emulator>`, or one for the same architecture with libvirtd."},
    {"machine", ERROR, ERR_CONFIG_UNSUPPORTED, "the machine type is known", check_machine,
     "The guest keeps the machine type it was started with."},
    {"qemu-older", WARNING, ERR_CONFIG_UNSUPPORTED, "QEMU there is not older", check_qemu_older,
     "Backwards, QEMU promises less than forwards."},
    {"qemu-newer", INFORMATION, ERR_CONFIG_UNSUPPORTED, "the way back is the same version", check_qemu_newer,
     "Towards a newer QEMU is safe; the way back is the backward case."},
    {"capabilities", ERROR, ERR_OPERATION_UNSUPPORTED, "both QEMUs can do what is asked for", check_capabilities,
     "Options like `--parallel` need a migration capability of QEMU, most of them on both sides."},
    {"virt-type", ERROR, ERR_CONFIG_UNSUPPORTED, "the accelerator is there", check_virt_type,
     "A guest of type kvm needs a usable /dev/kvm."},
    {"cpu", ERROR, ERR_CPU_INCOMPATIBLE, "the CPU has every feature that the guest sees", check_cpu,
     "What the running guest was shown is compared, feature by feature, not what its definition allows. The remedy "
     "names a model that fits both hosts."},
    {"cpu-passthrough", WARNING, ERR_CPU_INCOMPATIBLE, "a passed-through CPU is the same", check_cpu_passthrough,
     "`host-passthrough` and `maximum` are safe only between equal processors and QEMUs."},
    {"vcpus", ERROR, ERR_CONFIG_UNSUPPORTED, "the machine takes that many CPUs", check_vcpus, "QEMU's own limit."},
    {"pinning", ERROR, ERR_CONFIG_UNSUPPORTED, "CPUs that the guest is pinned to exist", check_pinning,
     "Pinning to a CPU that is not there fails."},
    /* memory */
    {"memory", ERROR, ERR_OPERATION_FAILED, "memory and swap are enough", check_memory,
     "Memory that the destination could give at once, swap included, against the guest's."},
    {"memory-room", WARNING, ERR_OPERATION_FAILED, "memory is enough without swapping", check_memory_room,
     "With a twentieth of the host's memory left over."},
    {"hugepages", ERROR, ERR_OPERATION_FAILED, "huge pages are free", check_hugepages,
     "Pages of the guest's size, in the destination's pool."},
    /* disks */
    {"disk-present", ERROR, ERR_OPERATION_FAILED, "images are there and can be opened", check_disk_present,
     "At the path that the destination's XML names; writable unless the disk is read-only."},
    {"disk-same", UNSAFE, ERR_MIGRATE_UNSAFE, "images are the same on both hosts", check_disk_same,
     "Proven, not guessed: the source writes a random text into a file beside the image (never into it), and the "
     "destination reads it there."},
    {"disk-room", ALWAYS, ERR_OPERATION_FAILED, "copied disks have room", check_disk_room,
     "With `--copy-storage-*`: the directory is there and has room for what is not there yet."},
    {"disk-chain", ERROR, ERR_OPERATION_FAILED, "backing files are there", check_disk_chain,
     "Every layer below an overlay that is not copied whole."},
    {"disk-network", ERROR, ERR_OPERATION_FAILED, "storage servers are reachable", check_disk_network,
     "Disks on the network are the same on both hosts by their nature; one of their servers must answer there."},
    {"disk-format", ERROR, ERR_OPERATION_FAILED, "images have the format that the definition says", check_disk_format,
     "Where qcow2 is expected, the file there begins like one."},
    {"disk-cache", WARNING, ERR_MIGRATE_UNSAFE, "disks bypass the host's cache", check_disk_cache,
     "`cache='none'` or `directsync`, as the guides ask. QEMU since 3.0 drops its cache at the switch, so other "
     "modes only cost time."},
    {"disk-flush", UNSAFE, ERR_MIGRATE_UNSAFE, "disks obey the guest's flushes", check_disk_flush,
     "With `cache='unsafe'`, what the source's kernel still holds back is missing on the destination."},
    {"files", ERROR, ERR_OPERATION_FAILED, "firmware and boot files are there", check_files,
     "QEMU reads them when it starts, on the destination too."},
    {"secrets", ERROR, ERR_NO_SECRET, "secrets are known there", check_secrets,
     "Passwords of network disks and keys of encrypted ones."},
    {"tpm", ERROR, ERR_CONFIG_UNSUPPORTED, "the TPM can be emulated there", check_tpm,
     "Its model is one that QEMU has, and swtpm is installed."},
    /* network */
    {"networks", ERROR, ERR_NO_NETWORK, "networks and bridges are there", check_networks,
     "By name, and active."},
    {"segment", WARNING, ERR_NO_NETWORK, "bridges are of the same segment", check_segment,
     "Bridges with addresses in different networks are of different segments: the guest would keep its address and "
     "reach nobody."},
    {"graphics", ERROR, ERR_CONFIG_UNSUPPORTED, "displays can listen there", check_graphics,
     "A listen address is one of the destination's, a fixed port is free."},
    {"seclabel", ERROR, ERR_CONFIG_UNSUPPORTED, "the security model is there", check_seclabel,
     "A label of SELinux or AppArmor needs the same model on both sides."},
    /* the way between them */
    {"resolve-there", ERROR, ERR_OPERATION_FAILED, "the migration address resolves here", check_resolve_there,
     "The source's QEMU connects to the name or address that the destination gives."},
    {"resolve-back", WARNING, ERR_OPERATION_FAILED, "the source's name resolves there", check_resolve_back,
     "Needed for the way back; a name that means the host itself (127.0.1.1) is no use to another."},
    {"port", ERROR, ERR_OPERATION_FAILED, "the migration port is reachable", check_port,
     "The destination listens on a port of its migration range, and the source connects to it: firewalls show."},
    {"clock", WARNING, ERR_OPERATION_FAILED, "the clocks agree", check_clock,
     "Within a second, less the time that the question took."},
    {"clients", WARNING, ERR_OPERATION_FAILED, "the daemon takes more clients", check_clients,
     "Each migration needs one or two connections of `max_clients`."},
    {"ssh-startups", INFORMATION, ERR_OPERATION_FAILED, "sshd lets many in at once", check_ssh,
     "`MaxStartups` of sshd bounds how many migrations over ssh can begin together."},
    {"converges", WARNING, ERR_OPERATION_FAILED, "memory is sent faster than it changes", check_converges,
     "Measured (with `--check`): the guest's dirty rate against the link's bandwidth."},
    {0},
};
