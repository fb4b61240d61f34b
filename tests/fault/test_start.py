# SPDX-License-Identifier: LGPL-2.1-or-later
"""A start that cannot be says which file, address or network is missing, in words of the definition."""
import ctypes
import os
import re
import subprocess
import time

import libvirt
import pytest

from helpers.guest import EMULATOR, bare_xml, disk_image, domain_xml

pytestmark = pytest.mark.godwit


def refusal(connection, **options):
    domain = connection.defineXML(bare_xml("picky", **options))
    with pytest.raises(libvirt.libvirtError) as caught:
        domain.create()
    assert domain.isActive() == 0 and "cannot start domain 'picky'" in str(caught.value)
    return caught.value.get_error_code(), str(caught.value)


def test_missing_files_are_named(connection):
    code, message = refusal(connection, disk="/nope/x.img")
    assert code == libvirt.VIR_ERR_SYSTEM_ERROR
    assert "disk 'vda' is to be '/nope/x.img'" in message and "No such file or directory" in message
    xml = bare_xml("kernelless")
    with pytest.raises(libvirt.libvirtError, match="<kernel> is to be '/nope/vmlinuz'.*No such file"):
        connection.createXML(xml.replace("</os>", "<kernel>/nope/vmlinuz</kernel></os>"))
    with pytest.raises(libvirt.libvirtError, match="disk 'vda' is to be '/tmp'.*Is a directory"):
        connection.createXML(bare_xml("directory", disk="/tmp"))


@pytest.mark.parametrize("devices, extra, words", [
    ("<disk type='block'><source dev='/dev/nope'/><target dev='vda'/></disk>", "", "disk 'vda' is to be '/dev/nope'"),
    ("<disk type='block'><source dev='/etc/hostname'/><target dev='vda'/></disk>", "", "is no device; use <disk type='file'>"),
    ("<disk type='file'><source file='/dev/null'/><target dev='vda'/></disk>", "", "is a device; use <disk type='block'>"),
    ("<disk type='file'><driver type='qcow2'/><source file='/etc/hostname'/><backingStore type='file'><format type='raw'/>"
     "<source file='/nope/base'/></backingStore><target dev='vda'/></disk>", "", "a backing image of disk 'vda' is to be '/nope/base'"),
    ("<filesystem><source dir='/nope'/><target dir='share'/></filesystem>", "", "filesystem 'share' is to be '/nope'"),
    ("", "<os><type arch='x86_64' machine='pc'>hvm</type><loader type='rom'>/nope/bios</loader></os>", "<loader> is to be '/nope/bios'"),
    ("", "<memoryBacking><hugepages><page size='3' unit='MiB'/></hugepages></memoryBacking>", "huge pages of 3072 KiB"),
])
def test_what_else_a_start_lacks_is_named(connection, devices, extra, words):
    xml = domain_xml("picky", boot=False, serial=None, memory_kib=65528, devices=devices, extra=extra)
    with pytest.raises(libvirt.libvirtError) as caught:
        connection.createXML(re.sub("<os>.*?</os>", "", xml, count=1) if "<os>" in extra else xml)
    assert words in str(caught.value), caught.value


# QEMU, but the first two displays that it shall open find somebody else (itself: the socket is inherited) at their port.
ROBBED = f"""#!/usr/bin/python3
import os, re, socket, sys
port = re.search(r"(?<=127.0.0.1:)[0-9]+", sys.argv[sys.argv.index("-vnc") + 1]) if "-vnc" in sys.argv else None
if port and not os.path.exists(__file__ + ".2"):
    open(__file__ + (".2" if os.path.exists(__file__ + ".1") else ".1"), "x")
    taken = socket.create_server(("127.0.0.1", 5900 + int(port[0])))
    taken.set_inheritable(True)
os.execv("{EMULATOR}", ["{EMULATOR}", *sys.argv[1:]])
"""


def test_port_of_a_display_that_somebody_else_takes_meanwhile(connection, scratch):
    with open(f"{scratch}/robbed", "w") as out:
        out.write(ROBBED)
    os.chmod(f"{scratch}/robbed", 0o755)
    domain = connection.createXML(domain_xml("robbed", boot=False, serial=None, memory_kib=65528, emulator=f"{scratch}/robbed",
                                             devices="<graphics type='vnc' autoport='yes' listen='127.0.0.1'/>"))
    assert os.path.exists(f"{scratch}/robbed.2") and re.search("<graphics type='vnc' port='59[0-9]{2}'", domain.XMLDesc())
    domain.destroy()


@pytest.mark.skipif(not os.path.exists("/sys/kernel/mm/hugepages/hugepages-2048kB"), reason="no huge pages in this kernel")
def test_huge_pages_that_are_not_free_are_counted(connection):
    backing = "<memoryBacking><hugepages><page size='2' unit='MiB'/></hugepages></memoryBacking>"
    with pytest.raises(libvirt.libvirtError, match="memory of 65528 KiB cannot be had in huge pages of 2048 KiB"):
        connection.createXML(domain_xml("odd", boot=False, serial=None, memory_kib=65528, extra=backing))
    with pytest.raises(libvirt.libvirtError, match="needs 16777216 huge pages of 2048 KiB, and this host has [0-9]+ free"):
        connection.createXML(domain_xml("large", boot=False, serial=None, memory_kib=32 << 30, extra=backing))


@pytest.mark.parametrize("policy, starts", [("mandatory", False), ("requisite", False), ("optional", True)])
def test_medium_that_may_be_missing(connection, policy, starts):
    cdrom = (f"<disk type='file' device='cdrom'><source file='/nope/x.iso' startupPolicy='{policy}'/>"
             "<target dev='hdc' bus='ide'/></disk>")
    domain = connection.defineXML(domain_xml("media", boot=False, serial=None, memory_kib=65528, devices=cdrom))
    if not starts:
        with pytest.raises(libvirt.libvirtError, match="disk 'hdc' is to be '/nope/x.iso'"):
            domain.create()
        return
    domain.create()
    assert "/nope/x.iso" not in domain.XMLDesc() and "<target dev='hdc'" in domain.XMLDesc()
    assert "/nope/x.iso" in domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)


@pytest.mark.parametrize("kind", ["vnc", "spice"])
def test_address_that_is_not_ours_is_named(connection, kind):
    _, message = refusal(connection, devices=f"<graphics type='{kind}' autoport='yes' listen='203.0.113.9'/>")
    assert f"graphics '{kind}': cannot listen on address '203.0.113.9'" in message and "assign" in message


def test_network_that_is_not_there_is_named(connection):
    code, message = refusal(connection, devices="<graphics type='vnc' port='-1'><listen type='network' network='default'/>"
                                                "</graphics>")
    assert code == libvirt.VIR_ERR_NO_NETWORK and "'default'" in message and "Network not found" in message


def test_images_on_a_server_that_hangs_hold_up_no_definition(host, connection, scratch):
    """A FUSE file system that never answers: looking at its images takes worker threads, writing definitions has others."""
    if not os.path.exists("/dev/fuse"):
        pytest.skip("no /dev/fuse")
    mountpoint = f"{scratch}/hung"
    os.mkdir(mountpoint)
    fuse = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"hung", mountpoint.encode(), b"fuse", 0, options.encode()) != 0:
        os.close(fuse)
        pytest.skip("FUSE cannot be mounted here")
    askers = []
    try:
        connection.defineXML(domain_xml("stuck", boot=False, serial=None, disk=f"{mountpoint}/image.raw"))
        for _ in range(8):
            askers.append(subprocess.Popen(["virsh", "-c", host.uri, "domblkinfo", "stuck", "vda"], stdout=subprocess.DEVNULL,
                                           stderr=subprocess.DEVNULL))
        time.sleep(1)
        for number in range(10):
            connection.defineXML(domain_xml(f"free{number}", boot=False, serial=None))
        healthy = connection.createXML(bare_xml("healthy",
                                                  disk=disk_image(f"{scratch}/healthy.raw")), libvirt.VIR_DOMAIN_START_PAUSED)
        assert healthy.isActive() == 1
        assert all(asker.poll() is None for asker in askers), "nothing hung: the test shows nothing"
    finally:
        os.close(fuse)              # aborts the connection: everybody gets an error
        libc.umount2(mountpoint.encode(), 2)
        for asker in askers:
            asker.wait(30)
