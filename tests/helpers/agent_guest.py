# SPDX-License-Identifier: LGPL-2.1-or-later
"""The test guest with Debian's qemu-guest-agent in it: a second archive behind the initrd of tests/guest."""
import glob
import os
import shutil
import subprocess
import tempfile

from helpers import guest

CACHE = os.environ.get("GODWIT_CACHE", "/var/cache/godwit-tests")

# As tests/guest/init, with the agent started on its port before the guest's own program takes over.
INIT = """#!/bin/busybox sh
export PATH=/bin:/sbin
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
for module in $(/bin/busybox cat /modules/order); do
    /bin/busybox insmod "/modules/$module"
done
/bin/busybox ip link set lo up
/bin/busybox ip link set eth0 up 2>/dev/null
/bin/busybox hostname agent-guest
for name in /sys/class/virtio-ports/*/name; do
    if [ "$(/bin/busybox cat $name)" = org.qemu.guest_agent.0 ]; then
        port=$(/bin/busybox basename $(/bin/busybox dirname $name))
        /bin/qemu-ga -m virtio-serial -p /dev/$port -t /run -f /run/ga.pid -l /run/ga.log -d
    fi
done
exec /bin/agent
"""
SHUTDOWN = """#!/bin/busybox sh
case "$*" in *-r*) exec /bin/busybox reboot -f ;; *) exec /bin/busybox poweroff -f ;; esac
"""


def program():
    """Path of Debian's qemu-ga, unpacked from its package but not installed; None when apt cannot give it."""
    found = shutil.which("qemu-ga") or f"{CACHE}/qemu-guest-agent/usr/sbin/qemu-ga"
    if os.path.exists(found):
        return found
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        for command in (["apt-get", "download", "-q", "qemu-guest-agent"], ["apt-get", "update", "-q"],
                        ["apt-get", "download", "-q", "qemu-guest-agent"]):
            subprocess.run(command, cwd=folder, capture_output=True)
            packages = glob.glob(f"{folder}/*.deb")
            if packages:
                subprocess.run(["dpkg-deb", "-x", packages[0], f"{CACHE}/qemu-guest-agent"], check=True)
                return found
    return None


def initrd():
    """An initrd whose guest runs the agent; None when there is none to be had."""
    agent = program()
    made = f"{guest.build()}/initrd-agent"
    if not agent or os.path.exists(made):
        return agent and made
    with tempfile.TemporaryDirectory() as tree:
        os.chmod(tree, 0o755)
        for folder in ("bin", "sbin", "run", "lib64"):
            os.makedirs(f"{tree}/{folder}")
        libraries = [word for line in subprocess.run(["ldd", agent], capture_output=True, text=True).stdout.splitlines()
                     for word in line.split() if word.startswith("/")]
        for path in libraries:
            os.makedirs(f"{tree}/{os.path.dirname(path)}", exist_ok=True)
            shutil.copy(path, f"{tree}/{path}")
        shutil.copy(agent, f"{tree}/bin/qemu-ga")
        for name, text in (("init", INIT), ("sbin/shutdown", SHUTDOWN)):
            with open(f"{tree}/{name}", "w") as file:
                file.write(text)
            os.chmod(f"{tree}/{name}", 0o755)
        subprocess.run(f"(cat {guest.build()}/initrd; find . | cpio --quiet -o -H newc | gzip -1) > {made}.new && mv {made}.new {made}",
                       shell=True, cwd=tree, check=True)
    return made


CHANNEL = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"


def domain_xml(name, **options):
    """XML of the test guest with the agent in it."""
    options["devices"] = options.get("devices", "") + CHANNEL
    return guest.domain_xml(name, **options).replace(f"{guest.build()}/initrd<", f"{initrd()}<")
