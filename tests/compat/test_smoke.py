# SPDX-License-Identifier: LGPL-2.1-or-later
"""The whole of it in one short story: a real guest is defined, boots, talks, writes to its disk, and powers down."""
import libvirt

from helpers.guest import acknowledged_block, check_disk, disk_image, domain_xml
from helpers.tools import virsh, wait_until


def test_guest_lives_and_powers_down(host, line, scratch):
    disk = disk_image(f"{scratch}/smoke.raw")
    xml = f"{scratch}/smoke.xml"
    with open(xml, "w") as file:
        file.write(domain_xml("smoke", disk=disk, serial=line.xml, dirty=16, area=16, disk_rate=20))
    assert "smoke" in virsh(host, "define", xml).text
    virsh(host, "start", "smoke")
    line.wait_for("READY", timeout=60)
    line.wait_for("DISK 10 ok")
    line.wait_for(r"MEM \d+ ok")
    line.send("hello there")
    line.wait_for("ECHO hello there")
    virsh(host, "shutdown", "smoke")
    line.wait_for("POWERDOWN")
    wait_until(lambda: virsh(host, "domstate", "smoke").text == "shut off", what="smoke is shut off")
    line.check()
    assert check_disk(disk) >= acknowledged_block(line.texts()) >= 10
    assert virsh(host, "domstate", "--reason", "smoke").text == "shut off (shutdown)"
    assert libvirt.open(host.uri).lookupByName("smoke").isActive() == 0
