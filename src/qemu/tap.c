/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/sockios.h>

#include "qemu/command_parts.h"

static void request_init(struct ifreq *request, const char *name)
{
    memset(request, 0, sizeof *request);
    snprintf(request->ifr_name, sizeof request->ifr_name, "%s", name);
}

static int tap_queue(char name[TAP_NAME_SIZE], short flags, struct error *err)
{
    struct ifreq request;
    scoped_fd int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return error_system(err, errno, "cannot open /dev/net/tun (is the tun module loaded?)");
    request_init(&request, *name ? name : "vnet%d");
    request.ifr_flags = flags;
    if (ioctl(fd, TUNSETIFF, &request) < 0)
        return error_system(err, errno, "cannot make the tap interface '%s'", *name ? name : "vnet*");
    snprintf(name, TAP_NAME_SIZE, "%s", request.ifr_name);
    return steal_fd(&fd);
}

static int join_bridge(int control, const char *name, const char *bridge, struct error *err)
{
    struct ifreq request;
    request_init(&request, bridge);
    request.ifr_ifindex = (int)if_nametoindex(name);
    if (ioctl(control, SIOCBRADDIF, &request) < 0)
        return error_system(err, errno, "cannot add interface '%s' to bridge '%s'", name, bridge);
    return 0;
}

/* What the bridge's other ports can take; a bigger guest MTU would lose packets. */
static uint32_t bridge_mtu(int control, const char *bridge)
{
    struct ifreq request;
    request_init(&request, bridge);
    return bridge && ioctl(control, SIOCGIFMTU, &request) == 0 ? (uint32_t)request.ifr_mtu : 0;
}

static int configure(const char *name, const char *bridge, const unsigned char *mac, uint32_t mtu, struct error *err)
{
    struct ifreq request;
    scoped_fd int control = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (bridge && if_nametoindex(bridge) == 0)
        return error_set(err, ERR_NO_NETWORK, "there is no bridge '%s' on this host", bridge);
    if (mac) {
        request_init(&request, name);
        request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
        memcpy(request.ifr_hwaddr.sa_data, mac, MAC_SIZE);
        request.ifr_hwaddr.sa_data[0] =
            (char)0xfe; /* highest, so that the bridge does not take it for its own address */
        if (ioctl(control, SIOCSIFHWADDR, &request) < 0)
            return error_system(err, errno, "cannot set the address of interface '%s'", name);
    }
    if (!mtu)
        mtu = bridge_mtu(control, bridge);
    request_init(&request, name);
    request.ifr_mtu = (int)mtu;
    if (mtu && ioctl(control, SIOCSIFMTU, &request) < 0)
        return error_system(err, errno, "cannot set the MTU of interface '%s' to %u", name, mtu);
    if (bridge && join_bridge(control, name, bridge, err) < 0)
        return -1;
    request_init(&request, name);
    if (ioctl(control, SIOCGIFFLAGS, &request) < 0)
        return error_system(err, errno, "cannot look at interface '%s'", name);
    request.ifr_flags |= IFF_UP;
    if (ioctl(control, SIOCSIFFLAGS, &request) < 0)
        return error_system(err, errno, "cannot bring interface '%s' up", name);
    return 0;
}

int tap_open(char name[TAP_NAME_SIZE], const struct tap_wish *wish, int *fds, unsigned queues, struct error *err)
{
    short flags = IFF_TAP | IFF_NO_PI | (wish->vnet_hdr ? IFF_VNET_HDR : 0) | (queues > 1 ? IFF_MULTI_QUEUE : 0);
    unsigned opened = 0;
    for (; opened < queues; opened++) {
        fds[opened] = tap_queue(name, flags, err);
        if (fds[opened] < 0)
            break;
    }
    if (opened == queues && (!wish->configure || configure(name, wish->bridge, wish->mac, wish->mtu, err) == 0))
        return 0;
    while (opened > 0)
        close(fds[--opened]);
    return -1;
}
