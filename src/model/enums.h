/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* The words that may stand in an attribute, each list written once. NAME_WORDS(X, P) lists (constant, word) pairs;
 * MODEL_ENUMS makes of each `enum name { PREFIX_ABSENT = 0, PREFIX_..., }` (one byte), the table `name_words` and
 * `name_name(value)`. The value 0 always means that the attribute is not there. */

struct words {
    const char *const *word; /* word[0] is NULL */
    unsigned count;          /* with the absent one */
};

/* The word of a value, NULL when absent or out of range. */
const char *words_name(const struct words *words, unsigned value);
/* The value of a word, 0 when it is none of them. */
unsigned words_value(const struct words *words, const char *word);

#define YESNO_WORDS(X, P) X(P, YES, "yes") X(P, NO, "no")
#define ONOFF_WORDS(X, P) X(P, ON, "on") X(P, OFF, "off")

#define VIRT_TYPE_WORDS(X, P) X(P, QEMU, "qemu") X(P, KVM, "kvm") X(P, XEN, "xen") X(P, HVF, "hvf") X(P, TEST, "test")
#define OS_TYPE_WORDS(X, P) \
    X(P, HVM, "hvm") X(P, XEN, "xen") X(P, LINUX, "linux") X(P, XENPVH, "xenpvh") X(P, EXE, "exe") X(P, UML, "uml")
#define OS_FIRMWARE_WORDS(X, P) X(P, BIOS, "bios") X(P, EFI, "efi")
#define FIRMWARE_FEATURE_NAME_WORDS(X, P) X(P, ENROLLED_KEYS, "enrolled-keys") X(P, SECURE_BOOT, "secure-boot")
#define LOADER_TYPE_WORDS(X, P) X(P, ROM, "rom") X(P, PFLASH, "pflash")
#define BOOT_DEV_WORDS(X, P) X(P, FD, "fd") X(P, CDROM, "cdrom") X(P, HD, "hd") X(P, NETWORK, "network")
#define SMBIOS_MODE_WORDS(X, P) X(P, NONE, "none") X(P, EMULATE, "emulate") X(P, HOST, "host") X(P, SYSINFO, "sysinfo")
#define SYSINFO_TYPE_WORDS(X, P) X(P, SMBIOS, "smbios") X(P, FWCFG, "fwcfg")
#define VCPU_PLACEMENT_WORDS(X, P) X(P, STATIC, "static") X(P, AUTO, "auto")
#define LIFECYCLE_WORDS(X, P)                                                                                  \
    X(P, DESTROY, "destroy") X(P, RESTART, "restart") X(P, RENAME_RESTART, "rename-restart")                   \
    X(P, PRESERVE, "preserve") X(P, COREDUMP_DESTROY, "coredump-destroy") X(P, COREDUMP_RESTART, "coredump-restart")
#define LOCK_FAILURE_WORDS(X, P) \
    X(P, POWEROFF, "poweroff") X(P, RESTART, "restart") X(P, PAUSE, "pause") X(P, IGNORE, "ignore")

#define CLOCK_OFFSET_WORDS(X, P)                                                                        \
    X(P, UTC, "utc") X(P, LOCALTIME, "localtime") X(P, VARIABLE, "variable") X(P, TIMEZONE, "timezone") \
    X(P, ABSOLUTE, "absolute")
#define CLOCK_BASIS_WORDS(X, P) X(P, UTC, "utc") X(P, LOCALTIME, "localtime")
#define TIMER_NAME_WORDS(X, P)                                                                              \
    X(P, PLATFORM, "platform") X(P, PIT, "pit") X(P, RTC, "rtc") X(P, HPET, "hpet") X(P, TSC, "tsc")        \
    X(P, KVMCLOCK, "kvmclock") X(P, HYPERVCLOCK, "hypervclock") X(P, ARMVTIMER, "armvtimer")
#define TICKPOLICY_WORDS(X, P) \
    X(P, DELAY, "delay") X(P, CATCHUP, "catchup") X(P, MERGE, "merge") X(P, DISCARD, "discard")
#define TIMER_TRACK_WORDS(X, P) X(P, BOOT, "boot") X(P, GUEST, "guest") X(P, WALL, "wall")
#define TIMER_MODE_WORDS(X, P) \
    X(P, AUTO, "auto") X(P, NATIVE, "native") X(P, EMULATE, "emulate") X(P, PARAVIRT, "paravirt") \
    X(P, SMPSAFE, "smpsafe")

#define CPU_MODE_WORDS(X, P)                                                                         \
    X(P, CUSTOM, "custom") X(P, HOST_MODEL, "host-model") X(P, HOST_PASSTHROUGH, "host-passthrough") \
    X(P, MAXIMUM, "maximum")
#define CPU_MATCH_WORDS(X, P) X(P, MINIMUM, "minimum") X(P, EXACT, "exact") X(P, STRICT, "strict")
#define CPU_CHECK_WORDS(X, P) X(P, NONE, "none") X(P, PARTIAL, "partial") X(P, FULL, "full")
#define CPU_FALLBACK_WORDS(X, P) X(P, ALLOW, "allow") X(P, FORBID, "forbid")
#define CPU_POLICY_WORDS(X, P)                                                                     \
    X(P, FORCE, "force") X(P, REQUIRE, "require") X(P, OPTIONAL, "optional") X(P, DISABLE, "disable") \
    X(P, FORBID, "forbid")
#define CPU_CACHE_MODE_WORDS(X, P) X(P, EMULATE, "emulate") X(P, PASSTHROUGH, "passthrough") X(P, DISABLE, "disable")
#define MAXPHYSADDR_MODE_WORDS(X, P) X(P, EMULATE, "emulate") X(P, PASSTHROUGH, "passthrough")

#define IOAPIC_DRIVER_WORDS(X, P) X(P, QEMU, "qemu") X(P, KVM, "kvm")
#define HYPERV_MODE_WORDS(X, P) X(P, CUSTOM, "custom") X(P, PASSTHROUGH, "passthrough")
#define CAPABILITIES_POLICY_WORDS(X, P) X(P, DEFAULT, "default") X(P, ALLOW, "allow") X(P, DENY, "deny")
#define MEMORY_ACCESS_WORDS(X, P) X(P, SHARED, "shared") X(P, PRIVATE, "private")
#define MEMORY_SOURCE_WORDS(X, P) X(P, FILE, "file") X(P, ANONYMOUS, "anonymous") X(P, MEMFD, "memfd")
#define MEMORY_ALLOCATION_WORDS(X, P) X(P, IMMEDIATE, "immediate") X(P, ONDEMAND, "ondemand")
#define NUMATUNE_MODE_WORDS(X, P) \
    X(P, STRICT, "strict") X(P, PREFERRED, "preferred") X(P, INTERLEAVE, "interleave") X(P, RESTRICTIVE, "restrictive")
#define SCHEDULER_WORDS(X, P) \
    X(P, OTHER, "other") X(P, BATCH, "batch") X(P, IDLE, "idle") X(P, FIFO, "fifo") X(P, RR, "rr")

#define ADDRESS_TYPE_WORDS(X, P)                                                                              \
    X(P, PCI, "pci") X(P, DRIVE, "drive") X(P, VIRTIO_SERIAL, "virtio-serial") X(P, CCID, "ccid")             \
    X(P, USB, "usb") X(P, SPAPR_VIO, "spapr-vio") X(P, CCW, "ccw") X(P, VIRTIO_MMIO, "virtio-mmio")           \
    X(P, ISA, "isa") X(P, DIMM, "dimm") X(P, MDEV, "mdev") X(P, UNASSIGNED, "unassigned")
#define SOURCE_TYPE_WORDS(X, P)                                                                            \
    X(P, FILE, "file") X(P, BLOCK, "block") X(P, DIR, "dir") X(P, NETWORK, "network") X(P, VOLUME, "volume") \
    X(P, NVME, "nvme") X(P, VHOST_USER, "vhostuser") X(P, VHOST_VDPA, "vhostvdpa")
#define DISK_DEVICE_WORDS(X, P) X(P, DISK, "disk") X(P, CDROM, "cdrom") X(P, FLOPPY, "floppy") X(P, LUN, "lun")
#define DISK_BUS_WORDS(X, P)                                                                                  \
    X(P, IDE, "ide") X(P, FDC, "fdc") X(P, SCSI, "scsi") X(P, VIRTIO, "virtio") X(P, XEN, "xen") X(P, USB, "usb") \
    X(P, UML, "uml") X(P, SATA, "sata") X(P, SD, "sd")
#define VIRTIO_MODEL_WORDS(X, P)                                                      \
    X(P, VIRTIO, "virtio") X(P, TRANSITIONAL, "virtio-transitional")                  \
    X(P, NON_TRANSITIONAL, "virtio-non-transitional")
#define DISK_CACHE_WORDS(X, P)                                                                          \
    X(P, DEFAULT, "default") X(P, NONE, "none") X(P, WRITETHROUGH, "writethrough")                      \
    X(P, WRITEBACK, "writeback") X(P, DIRECTSYNC, "directsync") X(P, UNSAFE, "unsafe")
#define DISK_ERROR_POLICY_WORDS(X, P) \
    X(P, STOP, "stop") X(P, REPORT, "report") X(P, IGNORE, "ignore") X(P, ENOSPACE, "enospace")
#define DISK_IO_WORDS(X, P) X(P, NATIVE, "native") X(P, THREADS, "threads") X(P, IO_URING, "io_uring")
#define DISK_DISCARD_WORDS(X, P) X(P, UNMAP, "unmap") X(P, IGNORE, "ignore")
#define DISK_DETECT_ZEROES_WORDS(X, P) X(P, OFF, "off") X(P, ON, "on") X(P, UNMAP, "unmap")
#define DISK_SNAPSHOT_WORDS(X, P) \
    X(P, NO, "no") X(P, INTERNAL, "internal") X(P, EXTERNAL, "external") X(P, MANUAL, "manual")
#define DISK_TRAY_WORDS(X, P) X(P, CLOSED, "closed") X(P, OPEN, "open")
#define DISK_SGIO_WORDS(X, P) X(P, FILTERED, "filtered") X(P, UNFILTERED, "unfiltered")
#define DISK_TRANS_WORDS(X, P) X(P, NONE, "none") X(P, AUTO, "auto") X(P, LBA, "lba")
#define STARTUP_POLICY_WORDS(X, P) X(P, MANDATORY, "mandatory") X(P, REQUISITE, "requisite") X(P, OPTIONAL, "optional")
#define NETWORK_PROTOCOL_WORDS(X, P)                                                                             \
    X(P, NBD, "nbd") X(P, RBD, "rbd") X(P, SHEEPDOG, "sheepdog") X(P, GLUSTER, "gluster") X(P, ISCSI, "iscsi")   \
    X(P, HTTP, "http") X(P, HTTPS, "https") X(P, FTP, "ftp") X(P, FTPS, "ftps") X(P, TFTP, "tftp")               \
    X(P, SSH, "ssh") X(P, VXHS, "vxhs") X(P, NFS, "nfs")
#define HOST_TRANSPORT_WORDS(X, P) X(P, TCP, "tcp") X(P, UNIX, "unix") X(P, RDMA, "rdma")
#define MIRROR_JOB_WORDS(X, P) X(P, COPY, "copy") X(P, ACTIVE_COMMIT, "active-commit")
#define MIRROR_READY_WORDS(X, P) X(P, YES, "yes") X(P, ABORT, "abort") X(P, PIVOT, "pivot")

#define CONTROLLER_TYPE_WORDS(X, P)                                                                              \
    X(P, IDE, "ide") X(P, FDC, "fdc") X(P, SCSI, "scsi") X(P, SATA, "sata") X(P, VIRTIO_SERIAL, "virtio-serial") \
    X(P, CCID, "ccid") X(P, USB, "usb") X(P, PCI, "pci") X(P, XENBUS, "xenbus") X(P, ISA, "isa")
#define CONTROLLER_MODEL_WORDS(X, P)                                                                              \
    X(P, PCI_ROOT, "pci-root") X(P, PCIE_ROOT, "pcie-root") X(P, PCI_BRIDGE, "pci-bridge")                        \
    X(P, DMI_TO_PCI_BRIDGE, "dmi-to-pci-bridge") X(P, PCIE_TO_PCI_BRIDGE, "pcie-to-pci-bridge")                   \
    X(P, PCIE_ROOT_PORT, "pcie-root-port") X(P, PCIE_SWITCH_UPSTREAM_PORT, "pcie-switch-upstream-port")           \
    X(P, PCIE_SWITCH_DOWNSTREAM_PORT, "pcie-switch-downstream-port")                                              \
    X(P, PCI_EXPANDER_BUS, "pci-expander-bus") X(P, PCIE_EXPANDER_BUS, "pcie-expander-bus")                       \
    X(P, PIIX3_UHCI, "piix3-uhci") X(P, PIIX4_UHCI, "piix4-uhci") X(P, EHCI, "ehci")                              \
    X(P, ICH9_EHCI1, "ich9-ehci1") X(P, ICH9_UHCI1, "ich9-uhci1") X(P, ICH9_UHCI2, "ich9-uhci2")                  \
    X(P, ICH9_UHCI3, "ich9-uhci3") X(P, VT82C686B_UHCI, "vt82c686b-uhci") X(P, PCI_OHCI, "pci-ohci")              \
    X(P, NEC_XHCI, "nec-xhci") X(P, QEMU_XHCI, "qemu-xhci") X(P, QUSB1, "qusb1") X(P, QUSB2, "qusb2")             \
    X(P, NONE, "none") X(P, AUTO, "auto") X(P, BUSLOGIC, "buslogic") X(P, LSILOGIC, "lsilogic")                   \
    X(P, LSISAS1068, "lsisas1068") X(P, VMPVSCSI, "vmpvscsi") X(P, IBMVSCSI, "ibmvscsi")                          \
    X(P, VIRTIO_SCSI, "virtio-scsi") X(P, LSISAS1078, "lsisas1078") X(P, AM53C974, "am53c974") X(P, DC390, "dc390") \
    X(P, PIIX3, "piix3") X(P, PIIX4, "piix4") X(P, ICH6, "ich6")                                                  \
    X(P, VIRTIO, "virtio") X(P, VIRTIO_TRANSITIONAL, "virtio-transitional")                                       \
    X(P, VIRTIO_NON_TRANSITIONAL, "virtio-non-transitional")
#define PCI_CONTROLLER_NAME_WORDS(X, P)                                                                           \
    X(P, PCI_BRIDGE, "pci-bridge") X(P, I82801B11_BRIDGE, "i82801b11-bridge") X(P, IOH3420, "ioh3420")            \
    X(P, X3130_UPSTREAM, "x3130-upstream") X(P, XIO3130_DOWNSTREAM, "xio3130-downstream") X(P, PXB, "pxb")        \
    X(P, PXB_PCIE, "pxb-pcie") X(P, PCIE_ROOT_PORT, "pcie-root-port")                                             \
    X(P, SPAPR_PCI_HOST_BRIDGE, "spapr-pci-host-bridge") X(P, PCIE_PCI_BRIDGE, "pcie-pci-bridge")

#define INTERFACE_TYPE_WORDS(X, P)                                                                                \
    X(P, USER, "user") X(P, ETHERNET, "ethernet") X(P, VHOSTUSER, "vhostuser") X(P, SERVER, "server")             \
    X(P, CLIENT, "client") X(P, MCAST, "mcast") X(P, NETWORK, "network") X(P, BRIDGE, "bridge")                   \
    X(P, INTERNAL, "internal") X(P, DIRECT, "direct") X(P, HOSTDEV, "hostdev") X(P, UDP, "udp") X(P, VDPA, "vdpa") \
    X(P, NULL, "null") X(P, VDS, "vds")
#define MACVTAP_MODE_WORDS(X, P) \
    X(P, VEPA, "vepa") X(P, PRIVATE, "private") X(P, BRIDGE, "bridge") X(P, PASSTHROUGH, "passthrough")
#define LINK_STATE_WORDS(X, P) X(P, UP, "up") X(P, DOWN, "down")
#define INTERFACE_DRIVER_WORDS(X, P) X(P, VHOST, "vhost") X(P, QEMU, "qemu") X(P, VFIO, "vfio") X(P, KVM, "kvm")
#define INTERFACE_TXMODE_WORDS(X, P) X(P, IOTHREAD, "iothread") X(P, TIMER, "timer")
#define ADDRESS_FAMILY_WORDS(X, P) X(P, IPV4, "ipv4") X(P, IPV6, "ipv6")

#define CHARDEV_TYPE_WORDS(X, P)                                                                                  \
    X(P, NULL, "null") X(P, VC, "vc") X(P, PTY, "pty") X(P, DEV, "dev") X(P, FILE, "file") X(P, PIPE, "pipe")     \
    X(P, STDIO, "stdio") X(P, UDP, "udp") X(P, TCP, "tcp") X(P, UNIX, "unix") X(P, SPICEVMC, "spicevmc")          \
    X(P, SPICEPORT, "spiceport") X(P, NMDM, "nmdm") X(P, QEMU_VDAGENT, "qemu-vdagent") X(P, DBUS, "dbus")
#define CHARDEV_MODE_WORDS(X, P) X(P, CONNECT, "connect") X(P, BIND, "bind") X(P, SERVER, "server") \
    X(P, CLIENT, "client")
#define CHARDEV_PROTOCOL_WORDS(X, P) X(P, RAW, "raw") X(P, TELNET, "telnet") X(P, TELNETS, "telnets") X(P, TLS, "tls")
#define CHARDEV_TARGET_WORDS(X, P)                                                                                \
    X(P, ISA_SERIAL, "isa-serial") X(P, USB_SERIAL, "usb-serial") X(P, PCI_SERIAL, "pci-serial")                  \
    X(P, ISA_DEBUG, "isa-debug") X(P, SPAPR_VIO_SERIAL, "spapr-vio-serial") X(P, SYSTEM_SERIAL, "system-serial")  \
    X(P, SERIAL, "serial") X(P, XEN, "xen") X(P, UML, "uml") X(P, VIRTIO, "virtio") X(P, LXC, "lxc")              \
    X(P, SCLP, "sclp") X(P, SCLPLM, "sclplm") X(P, GUESTFWD, "guestfwd")
#define CHARDEV_MODEL_WORDS(X, P)                                                                               \
    X(P, ISA_SERIAL, "isa-serial") X(P, USB_SERIAL, "usb-serial") X(P, PCI_SERIAL, "pci-serial")                \
    X(P, SPAPR_VTY, "spapr-vty") X(P, PL011, "pl011") X(P, SCLPCONSOLE, "sclpconsole")                          \
    X(P, SCLPLMCONSOLE, "sclplmconsole") X(P, 16550A, "16550a") X(P, ISA_DEBUGCON, "isa-debugcon")
#define CHANNEL_STATE_WORDS(X, P) X(P, CONNECTED, "connected") X(P, DISCONNECTED, "disconnected")
#define SPICE_MOUSE_WORDS(X, P) X(P, SERVER, "server") X(P, CLIENT, "client")

#define INPUT_TYPE_WORDS(X, P) \
    X(P, MOUSE, "mouse") X(P, TABLET, "tablet") X(P, KEYBOARD, "keyboard") X(P, PASSTHROUGH, "passthrough") \
    X(P, EVDEV, "evdev")
#define INPUT_BUS_WORDS(X, P) X(P, PS2, "ps2") X(P, USB, "usb") X(P, XEN, "xen") X(P, VIRTIO, "virtio") \
    X(P, NONE, "none")
#define TPM_MODEL_WORDS(X, P) \
    X(P, TIS, "tpm-tis") X(P, CRB, "tpm-crb") X(P, SPAPR, "tpm-spapr") X(P, SPAPR_PROXY, "spapr-tpm-proxy")
#define TPM_BACKEND_WORDS(X, P) X(P, PASSTHROUGH, "passthrough") X(P, EMULATOR, "emulator") X(P, EXTERNAL, "external")
#define TPM_VERSION_WORDS(X, P) X(P, 1_2, "1.2") X(P, 2_0, "2.0")

#define GRAPHICS_TYPE_WORDS(X, P)                                                                            \
    X(P, SDL, "sdl") X(P, VNC, "vnc") X(P, RDP, "rdp") X(P, DESKTOP, "desktop") X(P, SPICE, "spice")         \
    X(P, EGL_HEADLESS, "egl-headless") X(P, DBUS, "dbus")
#define LISTEN_TYPE_WORDS(X, P) X(P, NONE, "none") X(P, ADDRESS, "address") X(P, NETWORK, "network") \
    X(P, SOCKET, "socket")
#define PASSWORD_CONNECTED_WORDS(X, P) X(P, FAIL, "fail") X(P, DISCONNECT, "disconnect") X(P, KEEP, "keep")
#define SHARE_POLICY_WORDS(X, P) \
    X(P, ALLOW_EXCLUSIVE, "allow-exclusive") X(P, FORCE_SHARED, "force-shared") X(P, IGNORE, "ignore")
#define SPICE_CHANNEL_MODE_WORDS(X, P) X(P, ANY, "any") X(P, SECURE, "secure") X(P, INSECURE, "insecure")
#define SPICE_CHANNEL_NAME_WORDS(X, P)                                                                             \
    X(P, MAIN, "main") X(P, DISPLAY, "display") X(P, INPUTS, "inputs") X(P, CURSOR, "cursor")                      \
    X(P, PLAYBACK, "playback") X(P, RECORD, "record") X(P, SMARTCARD, "smartcard") X(P, USBREDIR, "usbredir")
#define SPICE_IMAGE_WORDS(X, P)                                                                               \
    X(P, AUTO_GLZ, "auto_glz") X(P, AUTO_LZ, "auto_lz") X(P, QUIC, "quic") X(P, GLZ, "glz") X(P, LZ, "lz")    \
    X(P, OFF, "off")
#define SPICE_WAN_WORDS(X, P) X(P, AUTO, "auto") X(P, NEVER, "never") X(P, ALWAYS, "always")
#define SPICE_STREAMING_WORDS(X, P) X(P, FILTER, "filter") X(P, ALL, "all") X(P, OFF, "off")

#define SOUND_MODEL_WORDS(X, P)                                                                      \
    X(P, SB16, "sb16") X(P, ES1370, "es1370") X(P, PCSPK, "pcspk") X(P, AC97, "ac97") X(P, ICH6, "ich6") \
    X(P, ICH9, "ich9") X(P, USB, "usb") X(P, ICH7, "ich7")
#define AUDIO_TYPE_WORDS(X, P)                                                                               \
    X(P, NONE, "none") X(P, ALSA, "alsa") X(P, COREAUDIO, "coreaudio") X(P, DBUS, "dbus") X(P, JACK, "jack") \
    X(P, OSS, "oss") X(P, PULSEAUDIO, "pulseaudio") X(P, SDL, "sdl") X(P, SPICE, "spice") X(P, FILE, "file")
#define VIDEO_MODEL_WORDS(X, P)                                                                                \
    X(P, VGA, "vga") X(P, CIRRUS, "cirrus") X(P, VMVGA, "vmvga") X(P, XEN, "xen") X(P, VBOX, "vbox")           \
    X(P, QXL, "qxl") X(P, PARALLELS, "parallels") X(P, VIRTIO, "virtio") X(P, GOP, "gop") X(P, NONE, "none")   \
    X(P, BOCHS, "bochs") X(P, RAMFB, "ramfb") X(P, DEFAULT, "default")
#define VIDEO_VGACONF_WORDS(X, P) X(P, IO, "io") X(P, ON, "on") X(P, OFF, "off")

#define HOSTDEV_MODE_WORDS(X, P) X(P, SUBSYSTEM, "subsystem") X(P, CAPABILITIES, "capabilities")
#define HOSTDEV_TYPE_WORDS(X, P)                                                                                   \
    X(P, USB, "usb") X(P, PCI, "pci") X(P, SCSI, "scsi") X(P, SCSI_HOST, "scsi_host") X(P, MDEV, "mdev")           \
    X(P, STORAGE, "storage") X(P, MISC, "misc") X(P, NET, "net")
#define HOSTDEV_DRIVER_WORDS(X, P) X(P, KVM, "kvm") X(P, VFIO, "vfio") X(P, XEN, "xen")
#define WATCHDOG_MODEL_WORDS(X, P) X(P, I6300ESB, "i6300esb") X(P, IB700, "ib700") X(P, DIAG288, "diag288") \
    X(P, ITCO, "itco")
#define WATCHDOG_ACTION_WORDS(X, P)                                                                              \
    X(P, RESET, "reset") X(P, SHUTDOWN, "shutdown") X(P, POWEROFF, "poweroff") X(P, PAUSE, "pause")              \
    X(P, DUMP, "dump") X(P, NONE, "none") X(P, INJECT_NMI, "inject-nmi")
#define MEMBALLOON_MODEL_WORDS(X, P)                                                      \
    X(P, VIRTIO, "virtio") X(P, XEN, "xen") X(P, NONE, "none")                            \
    X(P, TRANSITIONAL, "virtio-transitional") X(P, NON_TRANSITIONAL, "virtio-non-transitional")
#define RNG_BACKEND_WORDS(X, P) X(P, RANDOM, "random") X(P, EGD, "egd") X(P, BUILTIN, "builtin")
#define PANIC_MODEL_WORDS(X, P) X(P, ISA, "isa") X(P, PSERIES, "pseries") X(P, HYPERV, "hyperv") X(P, S390, "s390") \
    X(P, PVPANIC, "pvpanic")
#define MEMORY_MODEL_WORDS(X, P) \
    X(P, DIMM, "dimm") X(P, NVDIMM, "nvdimm") X(P, VIRTIO_PMEM, "virtio-pmem") X(P, VIRTIO_MEM, "virtio-mem") \
    X(P, SGX_EPC, "sgx-epc")
#define SHMEM_MODEL_WORDS(X, P) X(P, IVSHMEM, "ivshmem") X(P, IVSHMEM_PLAIN, "ivshmem-plain") \
    X(P, IVSHMEM_DOORBELL, "ivshmem-doorbell")
#define SHMEM_ROLE_WORDS(X, P) X(P, MASTER, "master") X(P, PEER, "peer")
#define IOMMU_MODEL_WORDS(X, P) X(P, INTEL, "intel") X(P, SMMUV3, "smmuv3") X(P, VIRTIO, "virtio")
#define HUB_TYPE_WORDS(X, P) X(P, USB, "usb")
#define REDIRDEV_BUS_WORDS(X, P) X(P, USB, "usb")
#define SMARTCARD_MODE_WORDS(X, P) \
    X(P, HOST, "host") X(P, HOST_CERTIFICATES, "host-certificates") X(P, PASSTHROUGH, "passthrough")
#define FILESYSTEM_TYPE_WORDS(X, P) \
    X(P, MOUNT, "mount") X(P, BLOCK, "block") X(P, FILE, "file") X(P, TEMPLATE, "template") X(P, RAM, "ram") \
    X(P, BIND, "bind") X(P, VOLUME, "volume")
#define FILESYSTEM_ACCESS_WORDS(X, P) X(P, PASSTHROUGH, "passthrough") X(P, MAPPED, "mapped") X(P, SQUASH, "squash")
#define FILESYSTEM_DRIVER_WORDS(X, P) \
    X(P, PATH, "path") X(P, HANDLE, "handle") X(P, LOOP, "loop") X(P, NBD, "nbd") X(P, PLOOP, "ploop") \
    X(P, VIRTIOFS, "virtiofs")
#define SECLABEL_TYPE_WORDS(X, P) X(P, STATIC, "static") X(P, DYNAMIC, "dynamic") X(P, NONE, "none")
#define POOL_TYPE_WORDS(X, P)                                                                                     \
    X(P, DIR, "dir") X(P, FS, "fs") X(P, NETFS, "netfs") X(P, LOGICAL, "logical") X(P, DISK, "disk")              \
    X(P, ISCSI, "iscsi") X(P, ISCSI_DIRECT, "iscsi-direct") X(P, SCSI, "scsi") X(P, MPATH, "mpath")               \
    X(P, RBD, "rbd") X(P, SHEEPDOG, "sheepdog") X(P, GLUSTER, "gluster") X(P, ZFS, "zfs") X(P, VSTORAGE, "vstorage")
#define POOL_ADAPTER_WORDS(X, P) X(P, SCSI_HOST, "scsi_host") X(P, FC_HOST, "fc_host")
#define VOLUME_TYPE_WORDS(X, P) \
    X(P, FILE, "file") X(P, BLOCK, "block") X(P, DIR, "dir") X(P, NETWORK, "network") X(P, NETDIR, "netdir") \
    X(P, PLOOP, "ploop")
#define VOLUME_ALLOCATION_WORDS(X, P) X(P, DEFAULT, "default") X(P, CAPACITY, "capacity")
/* in the order of SECRET_USAGE_TYPE_*, which begins with none at 0 */
#define SECRET_USAGE_WORDS(X, P)                                                                          \
    X(P, NONE, "none") X(P, VOLUME, "volume") X(P, CEPH, "ceph") X(P, ISCSI, "iscsi") X(P, TLS, "tls")    \
    X(P, VTPM, "vtpm")

#define MODEL_ENUMS(E)                                                                                            \
    E(yesno, YESNO, YESNO_WORDS)                                                                                  \
    E(onoff, ONOFF, ONOFF_WORDS)                                                                                  \
    E(virt_type, VIRT_TYPE, VIRT_TYPE_WORDS)                                                                      \
    E(os_type, OS_TYPE, OS_TYPE_WORDS)                                                                            \
    E(os_firmware, OS_FIRMWARE, OS_FIRMWARE_WORDS)                                                                \
    E(firmware_feature_name, FIRMWARE_FEATURE_NAME, FIRMWARE_FEATURE_NAME_WORDS)                                \
    E(loader_type, LOADER_TYPE, LOADER_TYPE_WORDS)                                                                \
    E(boot_dev, BOOT_DEV, BOOT_DEV_WORDS)                                                                         \
    E(smbios_mode, SMBIOS_MODE, SMBIOS_MODE_WORDS)                                                                \
    E(sysinfo_type, SYSINFO_TYPE, SYSINFO_TYPE_WORDS)                                                             \
    E(vcpu_placement, VCPU_PLACEMENT, VCPU_PLACEMENT_WORDS)                                                       \
    E(lifecycle, LIFECYCLE, LIFECYCLE_WORDS)                                                                      \
    E(lock_failure, LOCK_FAILURE, LOCK_FAILURE_WORDS)                                                             \
    E(clock_offset, CLOCK_OFFSET, CLOCK_OFFSET_WORDS)                                                             \
    E(clock_basis, CLOCK_BASIS, CLOCK_BASIS_WORDS)                                                                \
    E(timer_name, TIMER_NAME, TIMER_NAME_WORDS)                                                                   \
    E(tickpolicy, TICKPOLICY, TICKPOLICY_WORDS)                                                                   \
    E(timer_track, TIMER_TRACK, TIMER_TRACK_WORDS)                                                                \
    E(timer_mode, TIMER_MODE, TIMER_MODE_WORDS)                                                                   \
    E(cpu_mode, CPU_MODE, CPU_MODE_WORDS)                                                                         \
    E(cpu_match, CPU_MATCH, CPU_MATCH_WORDS)                                                                      \
    E(cpu_check, CPU_CHECK, CPU_CHECK_WORDS)                                                                      \
    E(cpu_fallback, CPU_FALLBACK, CPU_FALLBACK_WORDS)                                                             \
    E(cpu_policy, CPU_POLICY, CPU_POLICY_WORDS)                                                                   \
    E(cpu_cache_mode, CPU_CACHE_MODE, CPU_CACHE_MODE_WORDS)                                                       \
    E(maxphysaddr_mode, MAXPHYSADDR_MODE, MAXPHYSADDR_MODE_WORDS)                                                 \
    E(ioapic_driver, IOAPIC_DRIVER, IOAPIC_DRIVER_WORDS)                                                          \
    E(hyperv_mode, HYPERV_MODE, HYPERV_MODE_WORDS)                                                                \
    E(capabilities_policy, CAPABILITIES_POLICY, CAPABILITIES_POLICY_WORDS)                                        \
    E(memory_access, MEMORY_ACCESS, MEMORY_ACCESS_WORDS)                                                          \
    E(memory_source, MEMORY_SOURCE, MEMORY_SOURCE_WORDS)                                                          \
    E(memory_allocation, MEMORY_ALLOCATION, MEMORY_ALLOCATION_WORDS)                                              \
    E(numatune_mode, NUMATUNE_MODE, NUMATUNE_MODE_WORDS)                                                          \
    E(scheduler, SCHEDULER, SCHEDULER_WORDS)                                                                      \
    E(address_type, ADDRESS_TYPE, ADDRESS_TYPE_WORDS)                                                             \
    E(source_type, SOURCE_TYPE, SOURCE_TYPE_WORDS)                                                                \
    E(disk_device, DISK_DEVICE, DISK_DEVICE_WORDS)                                                                \
    E(disk_bus, DISK_BUS, DISK_BUS_WORDS)                                                                         \
    E(virtio_model, VIRTIO_MODEL, VIRTIO_MODEL_WORDS)                                                             \
    E(disk_cache, DISK_CACHE, DISK_CACHE_WORDS)                                                                   \
    E(disk_error_policy, DISK_ERROR_POLICY, DISK_ERROR_POLICY_WORDS)                                              \
    E(disk_io, DISK_IO, DISK_IO_WORDS)                                                                            \
    E(disk_discard, DISK_DISCARD, DISK_DISCARD_WORDS)                                                             \
    E(disk_detect_zeroes, DISK_DETECT_ZEROES, DISK_DETECT_ZEROES_WORDS)                                           \
    E(disk_snapshot, DISK_SNAPSHOT, DISK_SNAPSHOT_WORDS)                                                          \
    E(disk_tray, DISK_TRAY, DISK_TRAY_WORDS)                                                                      \
    E(disk_sgio, DISK_SGIO, DISK_SGIO_WORDS)                                                                      \
    E(disk_trans, DISK_TRANS, DISK_TRANS_WORDS)                                                                   \
    E(startup_policy, STARTUP_POLICY, STARTUP_POLICY_WORDS)                                                       \
    E(network_protocol, NETWORK_PROTOCOL, NETWORK_PROTOCOL_WORDS)                                                 \
    E(host_transport, HOST_TRANSPORT, HOST_TRANSPORT_WORDS)                                                       \
    E(mirror_job, MIRROR_JOB, MIRROR_JOB_WORDS)                                                                   \
    E(mirror_ready, MIRROR_READY, MIRROR_READY_WORDS)                                                             \
    E(controller_type, CONTROLLER_TYPE, CONTROLLER_TYPE_WORDS)                                                    \
    E(controller_model, CONTROLLER_MODEL, CONTROLLER_MODEL_WORDS)                                                 \
    E(pci_controller_name, PCI_CONTROLLER_NAME, PCI_CONTROLLER_NAME_WORDS)                                        \
    E(interface_type, INTERFACE_TYPE, INTERFACE_TYPE_WORDS)                                                       \
    E(macvtap_mode, MACVTAP_MODE, MACVTAP_MODE_WORDS)                                                             \
    E(link_state, LINK_STATE, LINK_STATE_WORDS)                                                                   \
    E(interface_driver, INTERFACE_DRIVER, INTERFACE_DRIVER_WORDS)                                                 \
    E(interface_txmode, INTERFACE_TXMODE, INTERFACE_TXMODE_WORDS)                                                 \
    E(address_family, ADDRESS_FAMILY, ADDRESS_FAMILY_WORDS)                                                       \
    E(chardev_type, CHARDEV_TYPE, CHARDEV_TYPE_WORDS)                                                             \
    E(chardev_mode, CHARDEV_MODE, CHARDEV_MODE_WORDS)                                                             \
    E(chardev_protocol, CHARDEV_PROTOCOL, CHARDEV_PROTOCOL_WORDS)                                                 \
    E(chardev_target, CHARDEV_TARGET, CHARDEV_TARGET_WORDS)                                                       \
    E(chardev_model, CHARDEV_MODEL, CHARDEV_MODEL_WORDS)                                                          \
    E(channel_state, CHANNEL_STATE, CHANNEL_STATE_WORDS)                                                          \
    E(spice_mouse, SPICE_MOUSE, SPICE_MOUSE_WORDS)                                                                \
    E(input_type, INPUT_TYPE, INPUT_TYPE_WORDS)                                                                   \
    E(input_bus, INPUT_BUS, INPUT_BUS_WORDS)                                                                      \
    E(tpm_model, TPM_MODEL, TPM_MODEL_WORDS)                                                                      \
    E(tpm_backend, TPM_BACKEND, TPM_BACKEND_WORDS)                                                                \
    E(tpm_version, TPM_VERSION, TPM_VERSION_WORDS)                                                                \
    E(graphics_type, GRAPHICS_TYPE, GRAPHICS_TYPE_WORDS)                                                          \
    E(listen_type, LISTEN_TYPE, LISTEN_TYPE_WORDS)                                                                \
    E(password_connected, PASSWORD_CONNECTED, PASSWORD_CONNECTED_WORDS)                                           \
    E(share_policy, SHARE_POLICY, SHARE_POLICY_WORDS)                                                             \
    E(spice_channel_mode, SPICE_CHANNEL_MODE, SPICE_CHANNEL_MODE_WORDS)                                           \
    E(spice_channel_name, SPICE_CHANNEL_NAME, SPICE_CHANNEL_NAME_WORDS)                                          \
    E(spice_image, SPICE_IMAGE, SPICE_IMAGE_WORDS)                                                                \
    E(spice_wan, SPICE_WAN, SPICE_WAN_WORDS)                                                                      \
    E(spice_streaming, SPICE_STREAMING, SPICE_STREAMING_WORDS)                                                    \
    E(sound_model, SOUND_MODEL, SOUND_MODEL_WORDS)                                                                \
    E(audio_type, AUDIO_TYPE, AUDIO_TYPE_WORDS)                                                                   \
    E(video_model, VIDEO_MODEL, VIDEO_MODEL_WORDS)                                                                \
    E(video_vgaconf, VIDEO_VGACONF, VIDEO_VGACONF_WORDS)                                                          \
    E(hostdev_mode, HOSTDEV_MODE, HOSTDEV_MODE_WORDS)                                                             \
    E(hostdev_type, HOSTDEV_TYPE, HOSTDEV_TYPE_WORDS)                                                             \
    E(hostdev_driver, HOSTDEV_DRIVER, HOSTDEV_DRIVER_WORDS)                                                       \
    E(watchdog_model, WATCHDOG_MODEL, WATCHDOG_MODEL_WORDS)                                                       \
    E(watchdog_action, WATCHDOG_ACTION, WATCHDOG_ACTION_WORDS)                                                    \
    E(memballoon_model, MEMBALLOON_MODEL, MEMBALLOON_MODEL_WORDS)                                                 \
    E(rng_backend, RNG_BACKEND, RNG_BACKEND_WORDS)                                                                \
    E(panic_model, PANIC_MODEL, PANIC_MODEL_WORDS)                                                                \
    E(memory_model, MEMORY_MODEL, MEMORY_MODEL_WORDS)                                                             \
    E(shmem_model, SHMEM_MODEL, SHMEM_MODEL_WORDS)                                                                \
    E(shmem_role, SHMEM_ROLE, SHMEM_ROLE_WORDS)                                                                   \
    E(iommu_model, IOMMU_MODEL, IOMMU_MODEL_WORDS)                                                                \
    E(hub_type, HUB_TYPE, HUB_TYPE_WORDS)                                                                         \
    E(redirdev_bus, REDIRDEV_BUS, REDIRDEV_BUS_WORDS)                                                             \
    E(smartcard_mode, SMARTCARD_MODE, SMARTCARD_MODE_WORDS)                                                       \
    E(filesystem_type, FILESYSTEM_TYPE, FILESYSTEM_TYPE_WORDS)                                                    \
    E(filesystem_access, FILESYSTEM_ACCESS, FILESYSTEM_ACCESS_WORDS)                                              \
    E(filesystem_driver, FILESYSTEM_DRIVER, FILESYSTEM_DRIVER_WORDS)                                              \
    E(seclabel_type, SECLABEL_TYPE, SECLABEL_TYPE_WORDS)                                                          \
    E(pool_type, POOL_TYPE, POOL_TYPE_WORDS)                                                                      \
    E(pool_adapter, POOL_ADAPTER, POOL_ADAPTER_WORDS)                                                             \
    E(volume_type, VOLUME_TYPE, VOLUME_TYPE_WORDS)                                                                \
    E(volume_allocation, VOLUME_ALLOCATION, VOLUME_ALLOCATION_WORDS)                                              \
    E(secret_usage, SECRET_USAGE, SECRET_USAGE_WORDS)

#define ENUM_MEMBER(prefix, name, word) prefix##_##name,
#define DECLARE_ENUM(type, PREFIX, WORDS)                                                   \
    enum __attribute__((packed)) type { PREFIX##_ABSENT, WORDS(ENUM_MEMBER, PREFIX) };      \
    extern const struct words type##_words;                                                 \
    static inline const char *type##_name(enum type value)                                  \
    {                                                                                       \
        return words_name(&type##_words, value);                                            \
    }
MODEL_ENUMS(DECLARE_ENUM)
