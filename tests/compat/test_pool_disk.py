# SPDX-License-Identifier: LGPL-2.1-or-later
"""Storage pools of type disk: partitions of a real block device (a loop device), made by parted."""
import os
import subprocess
import uuid as uuids
from xml.etree import ElementTree

import libvirt
import pytest

from helpers import guest
from helpers.loop import Loop

MIB = 1 << 20


@pytest.fixture
def device(scratch):
    loop = Loop(f"{scratch}/disk{uuids.uuid4().hex[:6]}", 64, partitions=True)
    loop.name = os.path.basename(loop.path)
    yield loop
    subprocess.run(["partx", "--delete", loop.path], capture_output=True)
    loop.close()


def pool_xml(device, kind, name="disk"):
    return (f"<pool type='disk'><name>{name}</name><source><device path='{device}'/><format type='{kind}'/></source>"
            "<target><path>/dev</path></target></pool>")


def volume_xml(name, mib, kind=None):
    kind = f"<target><format type='{kind}'/></target>" if kind else ""
    return f"<volume><name>{name}</name><capacity unit='MiB'>{mib}</capacity>{kind}</volume>"


@pytest.fixture(params=["gpt", "dos"])
def pool(connection, device, request):
    made = connection.storagePoolDefineXML(pool_xml(device.path, request.param))
    made.kind = request.param
    made.build()
    made.create()
    yield made
    if made.isActive():
        made.destroy()
    made.undefine()


def table(device):
    """[(number, start, bytes)] as another program reads it."""
    rows = subprocess.run(["partx", "--noheadings", "--raw", "--bytes", "--output", "NR,START,SIZE", device.path],
                          capture_output=True, text=True).stdout.split("\n")
    return [tuple(map(int, row.split())) for row in rows if row]


def test_partitions(pool, device):
    assert pool.listVolumes() == [] and pool.info()[1] == 64 * MIB
    first = pool.createXML(volume_xml(f"{device.name}p1", 10))
    second = pool.createXML(volume_xml(f"{device.name}p2", 20))
    assert table(device) == [(1, 2048, 10 * MIB), (2, 2048 + 20480, 20 * MIB)]
    assert first.path() == f"{device.path}p1" and os.path.exists(first.path())
    assert first.info() == [libvirt.VIR_STORAGE_VOL_BLOCK, 10 * MIB, 10 * MIB]
    assert pool.info()[2] == 30 * MIB and pool.info()[3] < 34 * MIB
    extent = ElementTree.fromstring(second.XMLDesc()).find("source/device/extent")
    assert (extent.get("start"), extent.get("end")) == (str(11 * MIB), str(31 * MIB))
    first.delete()
    assert table(device) == [(2, 2048 + 20480, 20 * MIB)]
    assert pool.listVolumes() == [f"{device.name}p2"]
    again = pool.createXML(volume_xml(f"{device.name}p1", 5))
    assert table(device)[0] == (1, 2048, 5 * MIB)
    for volume in (again, second):
        volume.delete()
    assert table(device) == [] and not os.path.exists(f"{device.path}p1")


@pytest.mark.godwit
def test_what_cannot_be(pool, device):
    with pytest.raises(libvirt.libvirtError, match=f"invalid partition name 'mine', expected '{device.name}p1'"):
        pool.createXML(volume_xml("mine", 10))
    with pytest.raises(libvirt.libvirtError, match="no free part of the disk"):
        pool.createXML(volume_xml(f"{device.name}p1", 100))
    with pytest.raises(libvirt.libvirtError, match="0 bytes"):
        pool.createXML(volume_xml(f"{device.name}p1", 0))
    with pytest.raises(libvirt.libvirtError, match="unknown volume format type 'qcow2'"):
        pool.createXML(volume_xml(f"{device.name}p1", 10, "qcow2"))
    assert table(device) == [] and pool.listVolumes() == []


def test_kinds_of_partitions(pool, device):
    lvm = pool.createXML(volume_xml(f"{device.name}p1", 8, "linux-lvm"))
    pool.createXML(volume_xml(f"{device.name}p2", 8, "fat32"))
    pool.refresh()
    assert ElementTree.fromstring(lvm.XMLDesc()).find("target/format").get("type") == "linux-lvm"


@pytest.mark.godwit
def test_logical_partitions(pool, device):
    for number in (1, 2, 3):
        pool.createXML(volume_xml(f"{device.name}p{number}", 4))
    if pool.kind == "gpt":
        with pytest.raises(libvirt.libvirtError, match="no extended partitions"):
            pool.createXML(volume_xml(f"{device.name}p4", 30, "extended"))
        return
    pool.createXML(volume_xml(f"{device.name}p4", 30, "extended"))
    for number in (5, 6):
        pool.createXML(volume_xml(f"{device.name}p{number}", 4))
    assert [row[0] for row in table(device)] == [1, 2, 3, 4, 5, 6]
    assert pool.info()[2] == 20 * MIB, "what is in the container is counted once"
    with pytest.raises(libvirt.libvirtError, match="no entry left|no free part"):
        pool.createXML(volume_xml(f"{device.name}p7", 20))


def test_content(connection, pool, device):
    volume = pool.createXML(volume_xml(f"{device.name}p1", 4))
    data = os.urandom(3 * MIB)
    stream = connection.newStream()
    volume.upload(stream, 0, 0)
    pieces = [data]
    stream.sendAll(lambda _, count, __: pieces.pop() if pieces else b"", None)
    stream.finish()
    stream = connection.newStream()
    volume.download(stream, 0, 3 * MIB)
    got = []
    stream.recvAll(lambda _, piece, __: got.append(piece), None)
    stream.finish()
    assert b"".join(got) == data
    volume.wipe()
    with open(volume.path(), "rb") as file:
        assert not any(file.read())
    assert volume.info()[1] == 4 * MIB


@pytest.mark.godwit
def test_a_partition_in_use_is_not_removed(connection, pool, device, scratch):
    volume = pool.createXML(volume_xml(f"{device.name}p1", 16))
    subprocess.run(["mkfs.ext4", "-q", volume.path()], check=True)
    os.makedirs(f"{scratch}/mnt", exist_ok=True)
    subprocess.run(["mount", volume.path(), f"{scratch}/mnt"], check=True)
    try:
        with pytest.raises(libvirt.libvirtError, match="is in use on this host: mounted"):
            volume.delete()
    finally:
        subprocess.run(["umount", f"{scratch}/mnt"], check=True)
    disk = (f"<disk type='volume' device='disk'><driver name='qemu' type='raw'/><source pool='disk' volume='{volume.name()}'/>"
            "<target dev='vda' bus='virtio'/></disk>")
    domain = connection.createXML(guest.domain_xml("user", boot=False, devices=disk), libvirt.VIR_DOMAIN_START_PAUSED)
    assert domain.blockInfo("vda")[0] == 16 * MIB
    with pytest.raises(libvirt.libvirtError, match="running domain 'user' uses it"):
        volume.delete()
    domain.destroy()
    volume.delete()
    assert table(device) == []


@pytest.mark.godwit
def test_data_is_not_built_over_unasked(connection, device):
    subprocess.run(["mkfs.ext4", "-q", device.path], check=True)
    pool = connection.storagePoolDefineXML(pool_xml(device.path, "gpt"))
    for flags in (0, libvirt.VIR_STORAGE_POOL_BUILD_NO_OVERWRITE):
        with pytest.raises(libvirt.libvirtError, match="there is data on.*ext4"):
            pool.build(flags)
    with pytest.raises(libvirt.libvirtError, match="loop"):
        pool.create()
    pool.build(libvirt.VIR_STORAGE_POOL_BUILD_OVERWRITE)
    pool.create()
    pool.destroy()
    pool.undefine()


@pytest.mark.godwit
def test_a_disk_without_a_table_or_with_another(connection, device):
    pool = connection.storagePoolDefineXML(pool_xml(device.path, "gpt"))
    with pytest.raises(libvirt.libvirtError, match="no partition table.*build the pool first"):
        pool.create()
    subprocess.run(["parted", "-s", device.path, "mklabel", "msdos"], check=True, capture_output=True)
    with pytest.raises(libvirt.libvirtError, match="of type 'msdos', not 'gpt'"):
        pool.create()
    pool.undefine()


@pytest.mark.godwit
def test_restart(make_host, device):
    host = make_host(f"host-{uuids.uuid4().hex[:6]}")
    connection = libvirt.open(host.uri)
    pool = connection.storagePoolDefineXML(pool_xml(device.path, "gpt"))
    pool.build()
    pool.create()
    pool.createXML(volume_xml(f"{device.name}p1", 10))
    connection.close()
    host.kill()
    host.start()
    connection = libvirt.open(host.uri)
    pool = connection.storagePoolLookupByName("disk")
    assert pool.isActive() and pool.listVolumes() == [f"{device.name}p1"]
    pool.storageVolLookupByName(f"{device.name}p1").delete()
    connection.close()
