# SPDX-License-Identifier: LGPL-2.1-or-later
"""One guest that many cases of a migration share, since booting takes longer than moving; and what must hold after each."""
import contextlib
import glob
import itertools
import json
import os
import re

import libvirt
import libvirt_qemu

from helpers import guest
from helpers.phases import Phases
from helpers.tools import wait_until
from helpers.traveller import RUNNING, Traveller

FLAGS = libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_UNSAFE
COPY = libvirt.VIR_MIGRATE_NON_SHARED_DISK


def status_pid(host):
    """Of the QEMU of the only guest there."""
    (path,) = glob.glob(f"{host.root}/run/godwit/domains/*.json")
    with open(path, encoding="utf-8") as file:
        return json.load(file)["pid"]


def entries(host):
    """The journal."""
    found = []
    for path in glob.glob(f"{host.root}/var/lib/godwit/migrations/*.json"):
        with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
            found.append({**json.load(file), "id": os.path.basename(path)})
    return found


def journal(host):
    """What the journal holds that is not settled."""
    return [entry for entry in entries(host) if (entry["role"], entry["owner"]) != ("destination", "destination")]


def _sockets(pid="self"):
    """[(local port, listens, inode)] of all TCP sockets of that process's network."""
    found = []
    for name in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{name}", encoding="ascii") as file:
            rows = [line.split() for line in file][1:]
        found += [(int(row[1].rsplit(":", 1)[1], 16), row[3] == "0A", row[9]) for row in rows]
    return found


def _in_range(host, port):
    return host.migration_ports[0] <= port <= host.migration_ports[1]


def ports(host):
    """Ports of the host's migration range that somebody listens at."""
    return sorted({port for port, listens, _ in _sockets() if listens and _in_range(host, port)})


def receives(host):
    """Whether its QEMU still has a connection by which a guest or its disks come."""
    mine, pid = set(), status_pid(host)
    for path in glob.glob(f"/proc/{pid}/fd/*"):
        with contextlib.suppress(FileNotFoundError):
            mine.add(os.readlink(path))
    return any(f"socket:[{inode}]" in mine for port, listens, inode in _sockets(pid) if not listens and _in_range(host, port))


class Journey:
    """hosts[0] has the guest, hosts[1] has not; ready() sees to that."""

    def __init__(self, hosts, folder, **options):
        self.hosts, self.folder, self.line, self.traveller = list(hosts), folder, None, None
        self.options = {"dirty": 4, "area": 8, "persistent": False, **options}
        self.numbers = itertools.count()

    def boot(self):
        self.close()
        self.line = guest.Line(f"{self.folder}/line{next(self.numbers)}")
        self.line.xml = f"unix:{self.line.path}"
        self.traveller = Traveller(self.hosts, self.line, **self.options)
        with open(self.traveller.disk, "r+b") as disk:      # something to copy, where the guest does not look
            disk.seek(4 << 20)
            disk.write(os.urandom(8 << 20))

    def close(self):
        if self.line:
            self.line.close()

    def ready(self):
        if self.traveller is None:
            self.boot()
        running = [self.state(host) == RUNNING for host in self.hosts]
        assert sum(running) == 1, "an earlier case has lost the guest"
        if running[1]:
            self.hosts.reverse()
        return self.hosts

    def state(self, host):
        with contextlib.closing(libvirt.open(host.uri)) as connection:
            try:
                return connection.lookupByName("traveller").state()[0]
            except libvirt.libvirtError:
                return None

    def alone(self):
        """The host that has the guest and the other knows nothing of it; None while that is not so."""
        states = {host: self.state(host) for host in self.hosts}
        (first, one), (second, other) = states.items()
        return {(RUNNING, None): first, (None, RUNNING): second}.get((one, other))

    def migrate_up_to(self, last):
        return Phases(*self.ready(), "traveller", FLAGS).up_to(last)

    def job(self):
        """Statistics of the source's job; {} when nothing is known."""
        with contextlib.closing(libvirt.open(self.hosts[0].uri)) as connection:
            try:
                return connection.lookupByName("traveller").jobStats()
            except libvirt.libvirtError:
                return {}

    # -- afterwards

    def disk_of(self, host):
        """The image that the guest has there, and what is left of a copy beside it."""
        with contextlib.closing(libvirt.open(host.uri)) as connection:
            domain = connection.lookupByName("traveller")
            xml = domain.XMLDesc()
            left = [json.loads(libvirt_qemu.qemuMonitorCommand(domain, json.dumps({"execute": command}), 0))["return"]
                    for command in ("query-jobs", "query-named-block-nodes")]
        return re.search("<source file='([^']*)'", xml)[1], left[0] + [node for node in left[1] if node["drv"] == "nbd"]

    def wrong(self, owner, images=()):
        """What is not as it must be when that host alone has the guest (None: nobody has it). images: those that a copy made."""
        found = []
        for host in self.hosts:
            state = self.state(host)
            if state != (RUNNING if host is owner else None):
                found.append(f"state on {host.hostname}: {state}")
            found += [f"journal of {host.hostname}: {entry}" for entry in journal(host)]
            if ports(host):
                found.append(f"ports of {host.hostname}: {ports(host)}")
            folder = f"{host.root}/run/godwit/domains"
            left = [name for name in os.listdir(folder)
                    if host is not owner or not re.search(r"\.(json|monitor)$", name)]
            left += [name for name in os.listdir(f"{host.root}/var/lib/godwit/domains") if host is not owner]
            if left:
                found.append(f"files of {host.hostname}: {left}")
        count = len(guest.qemu_processes())
        if count != (1 if owner else 0):
            found.append(f"{count} QEMUs run")
        if owner and not found:
            disk, jobs = self.disk_of(owner)
            found += [f"image left: {image}" for image in images if image != disk and os.path.exists(image)]
            found += [f"block jobs or nodes: {jobs}"] if jobs else []
            with contextlib.closing(libvirt.open(owner.uri)) as connection:
                kind = connection.lookupByName("traveller").jobInfo()[0]
            found += [f"a job of type {kind} is left"] if kind else []
        elif not owner:
            found += [f"image left: {image}" for image in images if os.path.exists(image)]
        return found

    def settles(self, owner, images=(), timeout=90):
        """Waits until exactly that host has the guest, and nothing is left elsewhere; then the guest has lost nothing."""
        state = {}

        def fine():
            state["wrong"] = self.wrong(owner, images)
            return not state["wrong"]
        try:
            wait_until(fine, timeout=timeout, step=0.1)
        except AssertionError:
            raise AssertionError("\n".join(state["wrong"])) from None
        if owner:
            self.settled(owner)
        else:
            self.traveller = None

    def settled(self, owner):
        self.traveller.lives()
        self.traveller.disk, _ = self.disk_of(owner)
        with contextlib.closing(libvirt.open(owner.uri)) as connection:
            domain = connection.lookupByName("traveller")
            if domain.isPersistent():
                domain.undefine()
