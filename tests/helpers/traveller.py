# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that is migrated: it dirties memory, writes to its disk (the image is shared) and beats; what it says on its serial
line before and after must fit together without a hole."""
import time

import libvirt

from helpers import guest
from helpers.tools import virsh, wait_until

RUNNING, PAUSED, SHUTOFF = libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_SHUTOFF

# The image lies on a file system that both hosts really share but that is not known to be a network's: hence --unsafe.
ROUTE = ["--migrateuri", "tcp://127.0.0.1", "--unsafe"]


class Traveller:
    """A running guest that reports to a Line. hosts: where it runs and where it may go, two daemons of any kind. describe: what
    makes its XML."""

    def __init__(self, hosts, line, name="traveller", persistent=True, describe=guest.domain_xml, **options):
        self.source, self.target = hosts
        self.line, self.name = line, name
        self.disk = guest.disk_image(f"{line.path}.raw")
        options = {"dirty": 16, "area": 32, "disk_rate": 20, "hb": 20, "disk": self.disk, **options}
        xml = describe(name, serial=line.xml, **options)
        connection = libvirt.open(self.source.uri)
        if persistent:
            connection.defineXML(xml).create()
        else:
            connection.createXML(xml)
        connection.close()
        line.wait_for("DISK 5 ok", timeout=300)
        line.wait_for(r"MEM \d+ ok", timeout=120)

    def migrate(self, *words, ok=True, uri=None, timeout=120):
        return virsh(self.source, "migrate", *words, self.name, uri or self.target.tcp_uri, *ROUTE,
                     ok=ok, timeout=timeout)

    def migrate_back(self, *words, timeout=120):
        return virsh(self.target, "migrate", *words, self.name, self.source.tcp_uri, *ROUTE, timeout=timeout)

    def states(self, name=None):
        """Of the source and the target; None where it is not known."""
        found = []
        for host in (self.source, self.target):
            connection = libvirt.open(host.uri)
            try:
                found.append(connection.lookupByName(name or self.name).state()[0])
            except libvirt.libvirtError:
                found.append(None)
            connection.close()
        return found

    def lives(self):
        """The guest beats and writes after now, and nothing it had was lost."""
        now = time.monotonic()
        self.line.wait_for(r"DISK \d+ ok", timeout=120, since=now)
        beats = len(self.line.heartbeats())
        wait_until(lambda: len(self.line.heartbeats()) > beats + 5, timeout=60, what="heartbeats")
        self.line.wait_for(r"MEM \d+ ok", timeout=120, since=time.monotonic())
        self.line.check()

    def ends(self):
        """Destroys the guest wherever it is and checks its disk from outside."""
        for host in (self.source, self.target):
            virsh(host, "destroy", self.name, ok=None)
        assert guest.check_disk(self.disk) >= guest.acknowledged_block(self.line.texts())
