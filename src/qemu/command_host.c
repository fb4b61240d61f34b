/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <string.h>
#include <sys/ioctl.h>

#include "qemu/command_parts.h"

/* Devices of the host that a guest gets or shares. */

#define CID_FIRST 3 /* 0 to 2 are the hypervisor's, the local one and the host's */
#define CID_LAST  65535

/* --- PCI and USB devices --- */

static int put_pci_host(struct build *build, json_t *device, const struct hostdev *hostdev, struct error *err)
{
    const struct pci_address *pci = &hostdev->pci;
    const char *name = arena_printf(build->arena, "%04x:%02x:%02x.%x", pci->domain, pci->bus, pci->slot, pci->function);
    char link[256];
    ssize_t length =
        readlink(arena_printf(build->arena, "/sys/bus/pci/devices/%s/driver", name), link, sizeof link - 1);
    link[length < 0 ? 0 : length] = '\0';
    if (!build->options->dry && !string_ends(link, "/vfio-pci"))
        return unsupported(err, "PCI device %s is not bound to vfio-pci: bind it on the host first (driverctl "
                                "set-override %s vfio-pci)", name, name);
    put_string(device, "host", name);
    put_onoff_word(device, "display", hostdev->display);
    put_onoff_bool(device, "ramfb", hostdev->ramfb);
    return 0;
}

static void put_usb_host(json_t *device, const struct hostdev *hostdev)
{
    if (hostdev->usb_address_set) {
        put_number(device, "hostbus", hostdev->usb_bus);
        put_number(device, "hostaddr", hostdev->usb_device);
    }
    if (hostdev->vendor.set)
        put_number(device, "vendorid", hostdev->vendor.value);
    if (hostdev->product.set)
        put_number(device, "productid", hostdev->product.value);
}

int build_hostdev(struct build *build, const struct hostdev *hostdev, struct error *err)
{
    bool pci = hostdev->type == HOSTDEV_TYPE_PCI, usb = hostdev->type == HOSTDEV_TYPE_USB;
    bool mdev = hostdev->type == HOSTDEV_TYPE_MDEV;
    if (!pci && !usb && !mdev)
        return unsupported(err, "<hostdev type='%s'> is not supported: use pci, usb or mdev",
                           hostdev_type_name(hostdev->type) ?: "");
    json_t *device = device_new(build, usb ? "usb-host" : "vfio-pci", &hostdev->info, "<hostdev>", err);
    if (!device)
        return -1;
    int status = pci ? put_pci_host(build, device, hostdev, err) : 0;
    if (usb)
        put_usb_host(device, hostdev);
    if (mdev)
        put_string(device, "sysfsdev", arena_printf(build->arena, "/sys/bus/mdev/devices/%s", hostdev->mdev_uuid));
    if (status == 0)
        device_add(build, device);
    else
        json_decref(device);
    return status;
}

/* --- TPM --- */

int build_tpm(struct build *build, const struct tpm *tpm, struct error *err)
{
    const char *alias = tpm->info.alias ?: "tpm0", *id = arena_printf(build->arena, "tpm-%s", alias);
    const char *path = tpm->device_path ?: "/dev/tpm0", *name = strrchr(path, '/');
    switch (tpm->backend) {
    case TPM_BACKEND_PASSTHROUGH:
        addf(build, "-tpmdev", "passthrough,id=%s,path=%s,cancel-path=/sys/class/tpm/%s/device/cancel", id,
             quoted(build, path), name ? name + 1 : path);
        break;
    case TPM_BACKEND_EXTERNAL:
        if (build_chardev(build, &tpm->source, "chrtpm", err) < 0)
            return -1;
        addf(build, "-tpmdev", "emulator,id=%s,chardev=chrtpm", id);
        break;
    default:
        return unsupported(err,
                           "<tpm><backend type='emulator'> is not supported: run swtpm (package swtpm) yourself and "
                           "use <backend type='external'> with its socket, or remove the TPM");
    }
    json_t *device = device_new(build, tpm_model_name(tpm->model) ?: "tpm-tis", &tpm->info, "<tpm>", err);
    if (!device)
        return -1;
    put_string(device, "tpmdev", id);
    device_add(build, device);
    return 0;
}

/* --- vsock --- */

static int open_vsock(struct vsock *vsock, struct error *err)
{
    scoped_fd int fd = open("/dev/vhost-vsock", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return error_system(err, errno, "cannot open /dev/vhost-vsock (is the vhost_vsock module loaded?)");
    uint64_t cid = vsock->cid_address;
    if (vsock->cid_auto != YESNO_YES) {
        if (ioctl(fd, VHOST_VSOCK_SET_GUEST_CID, &cid) < 0)
            return error_system(err, errno, "cannot take the vsock address %u", vsock->cid_address);
        return steal_fd(&fd);
    }
    for (cid = CID_FIRST; cid <= CID_LAST; cid++) {
        if (ioctl(fd, VHOST_VSOCK_SET_GUEST_CID, &cid) == 0) {
            vsock->cid_address = (uint32_t)cid;
            return steal_fd(&fd);
        }
        if (errno != EADDRINUSE)
            break;
    }
    return error_system(err, errno, "cannot find a free vsock address");
}

int build_vsock(struct build *build, struct vsock *vsock, struct error *err)
{
    if (!vsock)
        return 0;
    int fd = build->options->dry ? -1 : open_vsock(vsock, err);
    if (fd < 0 && !build->options->dry)
        return -1;
    const char *number = pass_fd(build, fd); /* first of all: from here the command owns it */
    json_t *device = device_new(build, virtio_driver(build, "vhost-vsock", vsock->model, &vsock->info), &vsock->info,
                                "<vsock>", err);
    if (!device)
        return -1;
    put_virtio_options(device, &vsock->virtio);
    put_number(device, "guest-cid", vsock->cid_address ?: CID_FIRST);
    put_string(device, "vhostfd", number);
    device_add(build, device);
    return 0;
}
