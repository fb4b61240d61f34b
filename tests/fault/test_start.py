# SPDX-License-Identifier: LGPL-2.1-or-later
"""A start that cannot be says which file, address or network is missing, in words of the definition."""
import ctypes
import os
import subprocess
import time

import libvirt
import pytest

from helpers.guest import bare_xml, disk_image, domain_xml

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
