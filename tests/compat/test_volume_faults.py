# SPDX-License-Identifier: LGPL-2.1-or-later
"""What goes wrong while volumes are made, and volumes that domains use."""
import os
import signal
import subprocess
import threading
import uuid as uuids
from xml.etree import ElementTree

import libvirt
import pytest

from helpers import guest, tools
from helpers.host import Host
from helpers.volumes import MIB, code_of, fails, fill, image_info, upload, volume_xml


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(connection, scratch):
    """A pool on a file system of 16 MiB."""
    path = f"{scratch}/small{uuids.uuid4().hex[:6]}"
    os.mkdir(path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", path], check=True)
    pool = connection.storagePoolCreateXML(f"<pool type='dir'><name>small</name><target><path>{path}</path></target></pool>")
    yield pool, path
    pool.destroy()
    subprocess.run(["umount", path], check=True)


def test_a_full_disk(connection, pool, small):
    pool_small, path = small
    with pytest.raises(libvirt.libvirtError, match="No space left on device"):
        pool_small.createXML(volume_xml("v", 32 * MIB))
    with pytest.raises(libvirt.libvirtError, match="[Nn]o space"):
        pool_small.createXML(volume_xml("v", 32 * MIB, "qcow2", allocation=32 * MIB),
                             libvirt.VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA)
    source = pool.createXML(volume_xml("source", 32 * MIB))
    fill(source.path(), range(0, 32 * MIB, 65536))
    pool.refresh()
    with pytest.raises(libvirt.libvirtError, match="No space left on device"):
        pool_small.createXMLFrom(volume_xml("copy", 0, allocation=0), source)
    assert os.listdir(path) == [] and pool_small.listVolumes() == []
    volume = pool_small.createXML(volume_xml("v", MIB))
    with pytest.raises(libvirt.libvirtError, match="No space left on device"):
        volume.resize(64 * MIB, libvirt.VIR_STORAGE_VOL_RESIZE_ALLOCATE)
    assert volume.info()[1] == os.stat(volume.path()).st_size == MIB
    with pytest.raises(libvirt.libvirtError):
        upload(connection, volume, b"x" * 20 * MIB)
    volume.delete()
    assert os.listdir(path) == []


@pytest.mark.godwit
def test_a_client_that_goes_away_leaves_no_half_volume(host, pool, folder):
    source = pool.createXML(volume_xml("source", 1 << 30, allocation=0))
    fill(source.path(), (0, 512 * MIB))
    process = subprocess.Popen(["virsh", "-c", host.uri, "vol-create-from", pool.name(), "/dev/stdin", "source",
                                "--inputpool", pool.name()],
                               stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    process.stdin.write(volume_xml("slow", 1 << 30, "qcow2").encode())
    process.stdin.close()
    tools.wait_until(lambda: len(os.listdir(folder)) > 1, what="the beginning of the copy", step=0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    tools.wait_until(lambda: not [name for name in os.listdir(folder) if name.startswith(".godwit")], what="the end of it")
    assert "slow" not in pool.listVolumes() or image_info(f"{folder}/slow")["virtual-size"] == 1 << 30


@pytest.mark.godwit
def test_a_killed_daemon_leaves_no_half_volume(make_host, folder):
    host = make_host(f"host-{uuids.uuid4().hex[:6]}")
    for turn in range(6):
        connection = libvirt.open(host.uri)
        if turn == 0:
            pool = connection.storagePoolDefineXML(
                f"<pool type='dir'><name>p</name><target><path>{folder}</path></target></pool>")
            pool.create()
        pool = connection.storagePoolLookupByName("p")
        acknowledged = []

        def make():
            for number in range(50):
                try:
                    pool.createXML(volume_xml(f"v{turn}-{number}", 4 * MIB, "qcow2" if number % 2 else "raw"))
                except libvirt.libvirtError:
                    return
                acknowledged.append(f"v{turn}-{number}")
        worker = threading.Thread(target=make)
        worker.start()
        tools.wait_until(lambda: len(acknowledged) > turn, timeout=30, what="some volumes", step=0.001)
        host.kill()
        worker.join()
        connection.close()
        host.start()
        connection = libvirt.open(host.uri)
        pool = connection.storagePoolLookupByName("p")
        found = set(pool.listVolumes())
        assert set(acknowledged) <= found
        for name in found:
            info = image_info(f"{folder}/{name}")
            assert info["virtual-size"] == 4 * MIB, f"{name} is half made"
        assert not [name for name in os.listdir(folder) if name.startswith(".godwit")]
        connection.close()


@pytest.mark.godwit
def test_a_refresh_while_volumes_come_and_go(host, pool):
    """What is acknowledged is in the pool, and what is deleted is not, whatever a refresh sees meanwhile."""
    stop = threading.Event()
    other = libvirt.open(host.uri)

    def refresh():
        twin = other.storagePoolLookupByName(pool.name())
        while not stop.is_set():
            twin.refresh()
    worker = threading.Thread(target=refresh)
    worker.start()
    try:
        for number in range(30):
            volume = pool.createXML(volume_xml(f"v{number}", 4096))
            assert volume.info()[1] == 4096
            volume.delete()
            assert code_of(pool.storageVolLookupByName, f"v{number}") == libvirt.VIR_ERR_NO_STORAGE_VOL
    finally:
        stop.set()
        worker.join()
        other.close()


@pytest.mark.godwit
def test_deletion_of_a_disk_in_use_is_refused(host, connection, pool, folder):
    pool.createXML(volume_xml("base.qcow2", MIB, "qcow2"))
    top = pool.createXML(volume_xml("top.qcow2", MIB, "qcow2", extra=f"<backingStore><path>{folder}/base.qcow2</path>"
                                    "<format type='qcow2'/></backingStore>"))
    disk = (f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{top.path()}'/>"
            "<target dev='vda' bus='virtio'/></disk>")
    domain = connection.createXML(guest.domain_xml("user", boot=False, devices=disk), libvirt.VIR_DOMAIN_START_PAUSED)
    for name in ("top.qcow2", "base.qcow2"):
        volume = pool.storageVolLookupByName(name)
        for call in (volume.delete, lambda: volume.resize(2 * MIB), volume.wipe):  # noqa: B023
            with pytest.raises(libvirt.libvirtError, match="running domain 'user' uses it .disk 'vda'"):
                call()
    domain.destroy()
    for name in ("top.qcow2", "base.qcow2"):
        pool.storageVolLookupByName(name).delete()


# -- disks of domains --------------------------------------------------------------------------------------------------


def volume_disk(pool, name, kind="raw"):
    return (f"<disk type='volume' device='disk'><driver name='qemu' type='{kind}'/><source pool='{pool.name()}' volume='{name}'/>"
            "<target dev='vda' bus='virtio'/></disk>")


def test_a_domain_on_a_volume(host, connection, pool, folder, line):
    pool.createXML(volume_xml("disk", 16 * MIB, allocation=0))
    xml = guest.domain_xml("vol", serial=line.xml, disk_rate=20, devices=volume_disk(pool, "disk"))
    domain = connection.defineXML(xml)
    domain.create()
    line.wait_for("DISK 5 ok")
    source = ElementTree.fromstring(domain.XMLDesc()).find("devices/disk/source")
    assert (source.get("pool"), source.get("volume"), source.get("file")) == (pool.name(), "disk", None)
    assert domain.blockInfo("vda")[0] == 16 * MIB
    if isinstance(host, Host):
        host.kill()
        host.start()
        connection = libvirt.open(host.uri)
        domain = connection.lookupByName("vol")
        tools.wait_until(lambda: not fails(lambda: domain.blockInfo("vda")), what="the volume to be found again")
        with pytest.raises(libvirt.libvirtError, match="running domain 'vol' uses it"):
            connection.storageVolLookupByPath(f"{folder}/disk").delete()
    domain.destroy()
    assert guest.check_disk(f"{folder}/disk") >= 5


def test_a_volume_that_is_not_there(connection, pool):
    domain = connection.defineXML(guest.domain_xml("vol", boot=False, devices=volume_disk(pool, "absent")))
    with pytest.raises(libvirt.libvirtError, match="no storage vol with matching name 'absent'"):
        domain.create()
    pool.createXML(volume_xml("absent", MIB))
    other = domain.XMLDesc().replace(f"pool='{pool.name()}'", "pool='nowhere'")
    domain = connection.defineXML(other)
    with pytest.raises(libvirt.libvirtError, match="no storage pool with matching name 'nowhere'"):
        domain.create()


def test_a_pool_that_does_not_run(connection, pool, folder):
    resting = connection.storagePoolDefineXML(
        f"<pool type='dir'><name>resting</name><target><path>{folder}/x</path></target></pool>")
    domain = connection.defineXML(guest.domain_xml("vol", boot=False, devices=volume_disk(resting, "v")))
    with pytest.raises(libvirt.libvirtError, match="'resting'.*is not active"):
        domain.create()
    resting.undefine()
