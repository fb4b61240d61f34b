# SPDX-License-Identifier: LGPL-2.1-or-later
"""Storage pools of type iscsi: the kernel's initiator logs in to a real tgtd."""
import glob
import os
import subprocess
import uuid as uuids
from xml.etree import ElementTree

import libvirt
import pytest

from helpers.kernel import needs
from helpers.tgt import Tgt
from helpers.tools import virsh
from helpers.volumes import download, upload

MIB = 1 << 20
kernel = needs("/sys/class/iscsi_transport/tcp", "iscsi_tcp", "iscsiadm", "iscsid", "tgtd")


@pytest.fixture(scope="module")
def initiator():
    with open("/etc/iscsi/initiatorname.iscsi", "w") as file:
        file.write("InitiatorName=iqn.2010-05.com.example:testhost\n")
    process = subprocess.Popen(["iscsid", "-f"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield
    process.kill()
    process.wait()


@pytest.fixture
def server(initiator, scratch):
    made = Tgt(scratch, [16, 24], name=f"iqn.2010-05.com.example:{uuids.uuid4().hex[:6]}")
    yield made
    assert sessions(made.name) == 0, "a login was left behind"
    made.close()


def sessions(target):
    listed = subprocess.run(["iscsiadm", "-m", "session"], capture_output=True, text=True).stdout
    return sum(target in line for line in listed.splitlines())


def xml(server, name="remote", more=""):
    return (f"<pool type='iscsi'><name>{name}</name><source><host name='127.0.0.1' port='{server.port}'/>"
            f"<device path='{server.name}'/>{more}</source><target><path>/dev/disk/by-path</path></target></pool>")


@pytest.fixture
def pool(connection, server):
    made = connection.storagePoolDefineXML(xml(server))
    made.create()
    yield made
    if made.isActive():
        made.destroy()
    made.undefine()


@kernel
def test_life(connection, server):
    pool = connection.storagePoolDefineXML(xml(server))
    assert sessions(server.name) == 0
    pool.create()
    assert sessions(server.name) == 1
    assert pool.listVolumes() == ["unit:0:0:1", "unit:0:0:2"]
    assert pool.info()[1:] == [40 * MIB, 40 * MIB, 0]
    volume = pool.storageVolLookupByName("unit:0:0:1")
    assert volume.path().startswith("/dev/disk/by-path/ip-127.0.0.1:") and volume.path().endswith(f"{server.name}-lun-1")
    assert os.path.realpath(volume.path()).startswith("/dev/sd")
    assert volume.info() == [libvirt.VIR_STORAGE_VOL_BLOCK, 16 * MIB, 16 * MIB]
    serial = subprocess.run(["/lib/udev/scsi_id", "--whitelisted", "--replace-whitespace", volume.path()], capture_output=True,
                            text=True)
    assert volume.key() == serial.stdout.strip()
    pool.destroy()
    assert sessions(server.name) == 0
    pool.undefine()


@kernel
@pytest.mark.godwit
def test_two_servers_with_a_target_of_one_name(connection, pool, server, folder):
    other = Tgt(folder, [32], name=server.name)
    try:
        copy = connection.storagePoolCreateXML(xml(other, "copy"))
        assert [volume.info()[1] for volume in copy.listAllVolumes()] == [32 * MIB]
        assert len(pool.listVolumes()) == 2 and sessions(server.name) == 2
        copy.destroy()
        assert sessions(server.name) == 1 and pool.isActive()
        pool.refresh()
        assert len(pool.listVolumes()) == 2
    finally:
        other.close()


@kernel
def test_content(connection, pool, server):
    data = os.urandom(MIB)
    volume = pool.storageVolLookupByName("unit:0:0:2")
    upload(connection, volume, data, offset=MIB)
    assert download(connection, volume, offset=MIB, length=MIB) == data
    with open(server.files[1], "rb") as file:
        file.seek(MIB)
        assert file.read(MIB) == data
    for call in (volume.delete, lambda: volume.resize(64 * MIB),
                 lambda: pool.createXML("<volume><name>x</name><capacity>1</capacity></volume>")):
        with pytest.raises(libvirt.libvirtError, match="support|cannot be resized"):
            call()


@kernel
def test_a_new_disk_is_found_by_a_refresh(pool, server, scratch):
    server.add(scratch, 8)
    pool.refresh()
    assert pool.listVolumes() == ["unit:0:0:1", "unit:0:0:2", "unit:0:0:3"]
    assert pool.info()[1] == 48 * MIB


@kernel
def test_sources(host, server):
    found = ElementTree.fromstring(virsh(host, "find-storage-pool-sources-as", "iscsi", "127.0.0.1", str(server.port)).text)
    assert [one.find("device").get("path") for one in found] == [server.name]


@kernel
def test_an_initiator_name_of_its_own(connection, server):
    name = "iqn.2010-05.com.example:mine"
    pool = connection.storagePoolCreateXML(xml(server, more=f"<initiator><iqn name='{name}'/></initiator>"))
    names = [open(path).read().strip() for path in glob.glob("/sys/class/iscsi_session/*/initiatorname")]
    pool.destroy()
    assert names == [name]


@kernel
@pytest.mark.godwit
def test_errors(connection, server):
    with pytest.raises(libvirt.libvirtError, match="iscsiadm"):
        connection.storagePoolCreateXML(xml(server).replace(server.name, "iqn.2010-05.com.example:absent"))
    pool = connection.storagePoolDefineXML(xml(server))
    with pytest.raises(libvirt.libvirtError, match="conflict with pool: 'remote'"):
        connection.storagePoolDefineXML(xml(server, "other"))
    pool.undefine()


@kernel
@pytest.mark.godwit
def test_restart(make_host, server):
    host = make_host(f"host-{uuids.uuid4().hex[:6]}")
    connection = libvirt.open(host.uri)
    connection.storagePoolCreateXML(xml(server))
    connection.close()
    host.kill()
    host.start()
    connection = libvirt.open(host.uri)
    pool = connection.storagePoolLookupByName("remote")
    assert pool.isActive() and pool.listVolumes() == ["unit:0:0:1", "unit:0:0:2"]
    pool.destroy()
    assert sessions(server.name) == 0
    connection.close()


@pytest.mark.godwit
@pytest.mark.parametrize("source, words", [
    ("<device path='iqn.a'/>", "missing storage pool source host name"),
    ("<host name='a'/>", "missing storage pool source device name"),
    ("<host name='a'/><device path='--logout'/>", "no name of a target"),
    ("<host name='-x'/><device path='iqn.a'/>", "no host's name"),
    ("<host name='a'/><device path='../../etc'/>", "no name of a target"),
    ("<host name='a'/><device path='iqn.a'/><initiator><iqn name='a/b'/></initiator>", "no name of an initiator"),
])
def test_bad_definitions(connection, source, words):
    with pytest.raises(libvirt.libvirtError, match=words):
        connection.storagePoolDefineXML(f"<pool type='iscsi'><name>bad</name><source>{source}</source><target><path>/dev/disk/by-path"
                                        "</path></target></pool>")
