# SPDX-License-Identifier: LGPL-2.1-or-later
"""Storage pools of type fs on a real block device (a loop device)."""
import os
import subprocess
import time
import uuid as uuids
from xml.etree import ElementTree

import libvirt
import pytest

from helpers.loop import Loop

MIB = 1 << 20


@pytest.fixture
def device(scratch):
    loop = Loop(f"{scratch}/disk{uuids.uuid4().hex[:6]}", 64)
    yield loop
    loop.close()


@pytest.fixture
def target(scratch):
    return f"{scratch}/mounted {uuids.uuid4().hex[:6]}"


def xml(device, target, kind="ext4", name="fs"):
    kind = f"<format type='{kind}'/>" if kind else ""
    return (f"<pool type='fs'><name>{name}</name><source><device path='{device}'/>{kind}</source><target><path>{target}</path>"
            "</target></pool>")


@pytest.fixture
def pool(connection, device, target):
    made = connection.storagePoolDefineXML(xml(device.path, target))
    yield made
    again = connection.storagePoolLookupByName("fs")
    if again.isActive():
        again.destroy()
    again.undefine()


def file_system(device):
    return subprocess.run(["blkid", "-p", "-o", "value", "-s", "TYPE", device.path], capture_output=True, text=True).stdout.strip()


def test_life(pool, device, target):
    pool.build()
    assert os.path.isdir(target) and file_system(device) == "", "nothing is formatted unasked"
    with pytest.raises(libvirt.libvirtError, match="mount"):
        pool.create()
    assert device.mounts() == [] and not pool.isActive()
    pool.build(libvirt.VIR_STORAGE_POOL_BUILD_NO_OVERWRITE)
    assert file_system(device) == "ext4"
    pool.create()
    assert device.mounts() == [target]
    room = os.statvfs(target)
    assert pool.info()[1] == room.f_blocks * room.f_frsize < 64 * MIB
    assert ElementTree.fromstring(pool.XMLDesc()).find("source/format").get("type") == "ext4"
    pool.createXML("<volume><name>v</name><capacity unit='MiB'>8</capacity></volume>")
    assert set(pool.listVolumes()) == {"v", "lost+found"}
    with pytest.raises(libvirt.libvirtError, match="No space left"):
        pool.createXML("<volume><name>w</name><capacity unit='MiB'>80</capacity></volume>")
    pool.destroy()
    assert device.mounts() == [] and os.listdir(target) == []
    pool.create()
    assert pool.storageVolLookupByName("v").info()[1] == 8 * MIB
    pool.destroy()
    pool.delete()
    assert not os.path.exists(target)


@pytest.mark.godwit
def test_data_is_not_formatted_over_unasked(pool, device, target):
    subprocess.run(["mkfs.ext4", "-q", "-L", "precious", device.path], check=True)
    with pytest.raises(libvirt.libvirtError, match="there is data on '/dev/loop.*ext4.*--overwrite"):
        pool.build(libvirt.VIR_STORAGE_POOL_BUILD_NO_OVERWRITE)
    pool.build()
    with pytest.raises(libvirt.libvirtError):
        pool.build(libvirt.VIR_STORAGE_POOL_BUILD_NO_OVERWRITE | libvirt.VIR_STORAGE_POOL_BUILD_OVERWRITE)
    label = ["blkid", "-p", "-o", "value", "-s", "LABEL", device.path]
    assert subprocess.run(label, capture_output=True, text=True).stdout.strip() == "precious"
    pool.build(libvirt.VIR_STORAGE_POOL_BUILD_OVERWRITE)
    assert subprocess.run(label, capture_output=True, text=True).stdout.strip() == ""
    assert file_system(device) == "ext4"


def test_the_format_may_be_found_out(connection, device, target):
    subprocess.run(["mkfs.ext4", "-q", device.path], check=True)
    pool = connection.storagePoolCreateXML(xml(device.path, target, kind=None), libvirt.VIR_STORAGE_POOL_CREATE_WITH_BUILD)
    assert device.mounts() == [target]
    pool.destroy()
    assert device.mounts() == []


@pytest.mark.godwit
@pytest.mark.parametrize("source, words", [
    ("<source/>", "missing storage pool source device name"),
    ("<source><device path='loop0'/></source>", "absolute path"),
    ("<source><device path='/dev/a'/><device path='/dev/b'/></source>", "one <device>"),
    ("<source><device path='/dev/a'/><format type='foo'/></source>", "unknown storage pool source format type 'foo'"),
])
def test_bad_definitions(connection, source, words):
    with pytest.raises(libvirt.libvirtError, match=words):
        connection.storagePoolDefineXML(f"<pool type='fs'><name>bad</name>{source}<target><path>/x</path></target></pool>")


@pytest.mark.godwit
def test_devices_that_are_none(connection, scratch, target):
    for device, words in ((f"{scratch}/absent", "cannot find the device"), ("/dev/null", "not a block device")):
        pool = connection.storagePoolDefineXML(xml(device, target))
        pool.build()
        for call in (pool.create, lambda: pool.build(libvirt.VIR_STORAGE_POOL_BUILD_OVERWRITE)):  # noqa: B023
            with pytest.raises(libvirt.libvirtError, match=words):
                call()
        pool.undefine()


def test_a_device_belongs_to_one_pool(connection, pool, device, target):
    with pytest.raises(libvirt.libvirtError, match="conflict with pool: 'fs'"):
        connection.storagePoolDefineXML(xml(device.path, f"{target}2", name="other"))


@pytest.mark.godwit
def test_a_target_that_is_taken(pool, device, target):
    pool.build(libvirt.VIR_STORAGE_POOL_BUILD_OVERWRITE)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", target], check=True)
    try:
        with pytest.raises(libvirt.libvirtError, match="something else is mounted"):
            pool.create()
    finally:
        subprocess.run(["umount", target], check=True)


@pytest.mark.godwit
def test_busy(pool, device, target):
    """A file that is open keeps the pool running, with its volumes."""
    pool.build(libvirt.VIR_STORAGE_POOL_BUILD_OVERWRITE)
    pool.create()
    pool.createXML("<volume><name>v</name><capacity>0</capacity></volume>")
    with open(f"{target}/v"):
        with pytest.raises(libvirt.libvirtError, match="busy"):
            pool.destroy()
        assert pool.isActive() and "v" in pool.listVolumes()
    pool.destroy()


@pytest.mark.godwit
def test_restart(make_host, device, target):
    host = make_host(f"host-{uuids.uuid4().hex[:6]}")
    connection = libvirt.open(host.uri)
    pool = connection.storagePoolDefineXML(xml(device.path, target))
    pool.build(libvirt.VIR_STORAGE_POOL_BUILD_OVERWRITE)
    pool.create()
    pool.createXML("<volume><name>v</name><capacity>1000</capacity></volume>")
    connection.close()
    host.kill()
    host.start()
    connection = libvirt.open(host.uri)
    pool = connection.storagePoolLookupByName("fs")
    assert pool.isActive() and "v" in pool.listVolumes() and device.mounts() == [target]
    connection.close()
    host.kill()
    subprocess.run(["umount", target], check=True)
    host.start()
    connection = libvirt.open(host.uri)
    pool = connection.storagePoolLookupByName("fs")
    deadline = time.monotonic() + 10
    while pool.isActive() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not pool.isActive(), "what is no longer mounted does not count as running"
    pool.undefine()
    connection.close()
