# SPDX-License-Identifier: LGPL-2.1-or-later
"""Storage pools of type logical: volumes of a real LVM group on loop devices."""
import os
import subprocess
import uuid as uuids
from xml.etree import ElementTree

import libvirt
import pytest

from helpers.kernel import DEVICE_MAPPER, needs
from helpers.loop import Loop
from helpers.tools import virsh
from helpers.volumes import download, upload

MIB = 1 << 20
pytestmark = needs(DEVICE_MAPPER, "dm_mod", "lvs")


@pytest.fixture
def devices(scratch):
    loops = [Loop(f"{scratch}/disk{uuids.uuid4().hex[:6]}", 64) for _ in range(2)]
    yield [loop.path for loop in loops]
    for loop in loops:
        name = lvm("pvs", "vg_name", loop.path)
        if name and name[0]:
            subprocess.run(["vgremove", "--yes", "--force", name[0]], check=True, capture_output=True)
        loop.close()


def lvm(program, field, *of):
    """The values of a field, as LVM itself tells them."""
    result = subprocess.run([program, "--noheadings", "--units", "b", "--nosuffix", "-o", field, *of], capture_output=True,
                            text=True)
    return [line.strip() for line in result.stdout.splitlines()]


def pool_xml(devices, name="group", target="/dev/elsewhere"):
    sources = "".join(f"<device path='{device}'/>" for device in devices)
    return (f"<pool type='logical'><name>{name}</name><source>{sources}<name>vg_{name}</name></source>"
            f"<target><path>{target}</path></target></pool>")


@pytest.fixture
def pool(connection, devices):
    made = connection.storagePoolDefineXML(pool_xml(devices))
    made.build()
    made.create()
    yield made
    if made.isActive():
        made.destroy()
    made.undefine()


def volume_xml(name, mib, more=""):
    return f"<volume><name>{name}</name><capacity unit='MiB'>{mib}</capacity>{more}</volume>"


def test_life(connection, devices):
    pool = connection.storagePoolDefineXML(pool_xml(devices))
    tree = ElementTree.fromstring(pool.XMLDesc())
    assert tree.findtext("target/path") == "/dev/vg_group", "LVM decides where volumes are shown"
    assert tree.find("source/format").get("type") == "lvm2"
    with pytest.raises(libvirt.libvirtError, match="vg_group.*build the pool"):
        pool.create()
    pool.build()
    assert lvm("pvs", "vg_name", *devices) == ["vg_group", "vg_group"]
    pool.create()
    size, rest = (int(lvm("vgs", field, "vg_group")[0]) for field in ("vg_size", "vg_free"))
    assert pool.info()[1:] == [size, size - rest, rest] and 110 * MIB < size < 128 * MIB
    volume = pool.createXML(volume_xml("one", 10))
    assert (volume.path(), volume.key()) == ("/dev/vg_group/one", lvm("lvs", "lv_uuid", "vg_group/one")[0])
    assert volume.info() == [libvirt.VIR_STORAGE_VOL_BLOCK, 12 * MIB, 12 * MIB], "LVM rounds up to 4 MiB extents"
    assert pool.info()[2] == 12 * MIB
    pool.destroy()
    assert not os.path.exists("/dev/vg_group/one")
    pool.create()
    assert os.path.exists("/dev/vg_group/one") and pool.listVolumes() == ["one"]
    pool.destroy()
    with pytest.raises(libvirt.libvirtError, match="has 1 logical volumes; delete them first"):
        pool.delete()
    pool.create()
    pool.storageVolLookupByName("one").delete()
    assert pool.info()[2] == 0
    pool.destroy()
    pool.delete()
    assert lvm("vgs", "vg_name") == [] and lvm("pvs", "pv_name") == []
    pool.undefine()


def test_the_guides_commands(host, devices):
    for words in (["pool-define-as", "guest_images_lvm", "logical", "-", "-", devices[0], "libvirt_lvm", "/dev/libvirt_lvm"],
                  ["pool-build", "guest_images_lvm"], ["pool-start", "guest_images_lvm"],
                  ["pool-autostart", "guest_images_lvm"], ["vol-create-as", "guest_images_lvm", "volume1", "8M"],
                  ["vol-create-as", "guest_images_lvm", "volume2", "8M"],
                  ["vol-clone", "--pool", "guest_images_lvm", "volume2", "clone1"]):
        virsh(host, *words)
    listed = virsh(host, "vol-list", "guest_images_lvm").text
    assert all(f"/dev/libvirt_lvm/{name}" in listed for name in ("volume1", "volume2", "clone1"))
    assert sorted(lvm("lvs", "lv_name")) == ["clone1", "volume1", "volume2"]
    found = ElementTree.fromstring(virsh(host, "find-storage-pool-sources-as", "logical").text)
    assert found.findtext("source/name") == "libvirt_lvm" and found.find("source/device").get("path") == devices[0]
    for words in (["pool-destroy", "guest_images_lvm"], ["pool-undefine", "guest_images_lvm"]):
        virsh(host, *words)


@pytest.mark.godwit
def test_data_is_not_built_over_unasked(connection, devices):
    subprocess.run(["mkfs.ext4", "-q", "-L", "precious", devices[1]], check=True)
    pool = connection.storagePoolDefineXML(pool_xml(devices))
    for flags in (0, libvirt.VIR_STORAGE_POOL_BUILD_NO_OVERWRITE):
        with pytest.raises(libvirt.libvirtError, match="there is data on.*ext4.*--overwrite"):
            pool.build(flags)
    assert lvm("pvs", "pv_name") == [], "what was begun is taken back"
    label = subprocess.run(["blkid", "-p", "-o", "value", "-s", "LABEL", devices[1]], capture_output=True, text=True)
    assert label.stdout.strip() == "precious"
    pool.build(libvirt.VIR_STORAGE_POOL_BUILD_OVERWRITE)
    assert lvm("pvs", "vg_name", *devices) == ["vg_group", "vg_group"]
    other = connection.storagePoolDefineXML(pool_xml(devices, "other"))
    with pytest.raises(libvirt.libvirtError, match="LVM2_member"):
        other.build()
    with pytest.raises(libvirt.libvirtError, match="belongs to volume group 'vg_group'"):
        other.build(libvirt.VIR_STORAGE_POOL_BUILD_OVERWRITE)
    assert lvm("pvs", "vg_name", *devices) == ["vg_group", "vg_group"], "nothing active uses it, and still it is somebody's"
    other.undefine()
    pool.delete()
    pool.undefine()


def test_content_and_copies(connection, pool):
    data = os.urandom(3 * MIB)
    volume = pool.createXML(volume_xml("source", 8))
    upload(connection, volume, data)
    assert download(connection, volume, length=len(data)) == data
    copy = pool.createXMLFrom(volume_xml("copy", 8), volume)
    assert download(connection, copy, length=len(data)) == data
    assert sorted(lvm("lvs", "lv_name", "vg_group")) == ["copy", "source"], "no half-made volume is left"
    copy.wipe()
    assert not any(download(connection, copy))
    assert download(connection, volume, length=len(data)) == data


def test_sizes(pool):
    volume = pool.createXML(volume_xml("v", 8))
    volume.resize(16 * MIB)
    assert volume.info()[1] == 16 * MIB and lvm("lvs", "lv_size", "vg_group/v") == [str(16 * MIB)]
    volume.resize(4 * MIB, libvirt.VIR_STORAGE_VOL_RESIZE_DELTA)
    assert volume.info()[1] == 20 * MIB
    with pytest.raises(libvirt.libvirtError, match="shrink"):
        volume.resize(8 * MIB)
    volume.resize(8 * MIB, libvirt.VIR_STORAGE_VOL_RESIZE_SHRINK)
    assert volume.info()[1] == 8 * MIB and pool.info()[2] == 8 * MIB
    with pytest.raises(libvirt.libvirtError, match="(?i)insufficient free space"):
        volume.resize(1 << 30)
    with pytest.raises(libvirt.libvirtError, match="(?i)insufficient free space"):
        pool.createXML(volume_xml("w", 1024))
    assert pool.listVolumes() == ["v"]


@pytest.mark.godwit
def test_snapshots_and_sparse_volumes(connection, pool):
    origin = pool.createXML(volume_xml("origin", 8))
    data = os.urandom(MIB)
    upload(connection, origin, data)
    snapshot = pool.createXML(volume_xml("snap", 8, "<allocation unit='MiB'>4</allocation><backingStore><path>/dev/vg_group/origin"
                                                    "</path></backingStore>"))
    upload(connection, origin, bytes(MIB))
    assert download(connection, snapshot, length=MIB) == data
    assert snapshot.info()[1:] == [8 * MIB, 4 * MIB]
    with pytest.raises(libvirt.libvirtError, match="'snap' is a snapshot of it and would be lost"):
        origin.delete()
    sparse = pool.createXML(volume_xml("sparse", 1024, "<allocation unit='MiB'>8</allocation>"))
    assert sparse.info()[1:] == [1024 * MIB, 8 * MIB]
    for volume in (snapshot, origin, sparse):
        volume.delete()
    assert pool.info()[2] == 0 and pool.listVolumes() == []


@pytest.mark.godwit
def test_what_cannot_be(connection, pool, devices):
    for name, words in (("a b", "LVM allows"), ("-x", "LVM allows"), ("x" * 128, "LVM allows")):
        with pytest.raises(libvirt.libvirtError, match=words):
            pool.createXML(volume_xml(name, 4))
    with pytest.raises(libvirt.libvirtError, match="0 bytes"):
        pool.createXML(volume_xml("x", 0))
    with pytest.raises(libvirt.libvirtError, match="is a snapshot of a volume of the same group"):
        pool.createXML(volume_xml("x", 4, "<backingStore><path>/dev/sda</path></backingStore>"))
    with pytest.raises(libvirt.libvirtError, match="conflict with pool: 'group'"):
        connection.storagePoolDefineXML(pool_xml(devices).replace("<name>group</name>", "<name>again</name>"))
    with pytest.raises(libvirt.libvirtError, match="volume group: LVM allows"):
        connection.storagePoolDefineXML(pool_xml(devices).replace("vg_group", "--force"))
    volume = pool.createXML(volume_xml("busy", 4))
    with open(volume.path(), "rb"):
        with pytest.raises(libvirt.libvirtError, match="(?i)open"):
            pool.destroy()
        with pytest.raises(libvirt.libvirtError, match="in use"):
            volume.delete()
    assert pool.isActive() and pool.listVolumes() == ["busy"]


@pytest.mark.godwit
def test_restart(make_host, devices):
    host = make_host(f"host-{uuids.uuid4().hex[:6]}")
    connection = libvirt.open(host.uri)
    pool = connection.storagePoolDefineXML(pool_xml(devices))
    pool.build()
    pool.create()
    pool.createXML(volume_xml("v", 4))
    connection.close()
    host.kill()
    # a copy that was being made when the daemon died
    dead = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, text=True).stdout.strip()
    subprocess.run(["lvcreate", "-L4M", "-n", f".godwit-{host.uuid}.{dead}.0", "vg_group"], check=True, capture_output=True)
    host.start()
    connection = libvirt.open(host.uri)
    pool = connection.storagePoolLookupByName("group")
    assert pool.isActive() and pool.listVolumes() == ["v"]
    assert lvm("lvs", "lv_name", "vg_group") == ["v"]
    pool.destroy()
    connection.close()
