# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stock virt-install and virt-clone with disks that the daemon's pools hold or shall make."""
import json
import os
import subprocess
import uuid as uuids
from xml.etree import ElementTree

import libvirt
import pytest

from helpers import guest
from helpers.tools import run, virsh


def install(host, name, disk, *more):
    uuid = str(uuids.uuid4())
    guest.made_uuids.add(uuid)
    result = run("virt-install", "--connect", host.uri, "--virt-type", "qemu", "--name", name, "--uuid", uuid, "--memory", "64",
                 "--osinfo", "generic", "--import", "--disk", disk, "--network", "none", "--graphics", "none",
                 "--noautoconsole", *more, timeout=120)
    assert result.status == 0, result


def disk_of(connection, name):
    disk = ElementTree.fromstring(connection.lookupByName(name).XMLDesc()).find("devices/disk")
    return disk.find("source").get("file"), disk.find("driver").get("type")


def image_info(path):
    return json.loads(subprocess.run(["qemu-img", "info", "-U", "--output=json", path], check=True, capture_output=True).stdout)


@pytest.fixture
def folder(scratch, connection):
    path = f"{scratch}/f{uuids.uuid4().hex[:8]}"
    os.mkdir(path)
    yield path
    for pool in connection.listAllStoragePools():   # virt-install makes one of a disk's folder
        if pool.name() != "default":
            pool.destroy()
            pool.undefine()


@pytest.mark.parametrize("kind", ["raw", "qcow2"])
def test_an_image_by_its_path(host, connection, folder, kind):
    path = f"{folder}/disk.img"
    subprocess.run(["qemu-img", "create", "-q", "-f", kind, path, "10M"], check=True)
    install(host, f"path-{kind}", path)
    assert disk_of(connection, f"path-{kind}") == (path, kind)


def test_an_image_that_is_to_be_made(host, connection, folder):
    install(host, "made", f"path={folder}/new.qcow2,size=0.5")
    assert disk_of(connection, "made") == (f"{folder}/new.qcow2", "qcow2")
    assert image_info(f"{folder}/new.qcow2")["virtual-size"] == 512 << 20


def test_a_volume_that_is_to_be_made_in_the_default_pool(host, connection):
    install(host, "pooled", "pool=default,size=1,sparse=yes,format=raw")
    path, kind = disk_of(connection, "pooled")
    assert kind == "raw" and path.startswith(f"{host.root}/var/lib/libvirt/images/pooled")
    assert os.stat(path).st_size == 1 << 30 and os.stat(path).st_blocks == 0
    connection.lookupByName("pooled").destroy()
    virsh(host, "undefine", "pooled", "--remove-all-storage")
    assert not os.path.exists(path)


def test_a_volume_that_is_there(host, connection):
    virsh(host, "vol-create-as", "default", "there", "20M", "--format", "qcow2")
    install(host, "vol", "vol=default/there")
    path, kind = disk_of(connection, "vol")
    assert (path, kind) == (f"{host.root}/var/lib/libvirt/images/there", "qcow2")
    refused = virsh(host, "vol-delete", "there", "default", ok=False)
    assert "running domain 'vol' uses it" in refused.errors
    connection.lookupByName("vol").destroy()
    virsh(host, "vol-delete", "there", "default")


def test_a_backing_store(host, connection, folder):
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", f"{folder}/base.qcow2", "10M"], check=True)
    install(host, "backed", f"path={folder}/top.qcow2,backing_store={folder}/base.qcow2,backing_format=qcow2,size=0.1")
    assert image_info(f"{folder}/top.qcow2")["backing-filename"] == f"{folder}/base.qcow2"


def test_virt_clone(host, connection, folder):
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", f"{folder}/one.qcow2", "10M"], check=True)
    install(host, "one", f"{folder}/one.qcow2")
    connection.lookupByName("one").destroy()
    result = run("virt-clone", "--connect", host.uri, "--original", "one", "--name", "two", "--file", f"{folder}/two.qcow2",
                 timeout=120)
    assert result.status == 0, result
    assert disk_of(connection, "two") == (f"{folder}/two.qcow2", "qcow2")
    assert image_info(f"{folder}/two.qcow2")["virtual-size"] == 10 << 20
    assert connection.lookupByName("two").state()[0] == libvirt.VIR_DOMAIN_SHUTOFF
