# SPDX-License-Identifier: LGPL-2.1-or-later
"""Storage pools of type iscsi-direct: a real tgtd on the loopback interface, and nothing of the kernel."""
import os
import socket
from xml.etree import ElementTree

import libvirt
import pytest

from helpers import guest
from helpers.tgt import Tgt

MIB = 1 << 20
INITIATOR = "<initiator><iqn name='iqn.2010-05.com.example:host'/></initiator>"


@pytest.fixture
def server(scratch):
    made = Tgt(scratch, [8, 12])
    yield made
    made.close()


def xml(port, target="iqn.2010-05.com.example:disks", name="direct", more=INITIATOR):
    return (f"<pool type='iscsi-direct'><name>{name}</name><source><host name='127.0.0.1' port='{port}'/>"
            f"<device path='{target}'/>{more}</source></pool>")


def test_life(connection, server, scratch):
    pool = connection.storagePoolDefineXML(xml(server.port))
    assert pool.isActive() == 0
    pool.create()
    assert pool.listVolumes() == ["unit:0:0:1", "unit:0:0:2"] and pool.info()[1:] == [20 * MIB, 20 * MIB, 0]
    volume = pool.storageVolLookupByName("unit:0:0:2")
    assert volume.info() == [libvirt.VIR_STORAGE_VOL_NETWORK, 12 * MIB, 12 * MIB]
    assert volume.path() == volume.key() == f"ip-127.0.0.1:{server.port}-iscsi-{server.name}-lun-2"
    assert ElementTree.fromstring(volume.XMLDesc()).get("type") == "network"
    server.add(scratch, 4)
    pool.refresh()
    assert pool.listVolumes() == ["unit:0:0:1", "unit:0:0:2", "unit:0:0:3"]
    for call in (volume.delete, lambda: volume.resize(64 * MIB),
                 lambda: pool.createXML("<volume><name>x</name><capacity>1</capacity></volume>"),
                 lambda: volume.upload(connection.newStream(), 0, 0), lambda: volume.download(connection.newStream(), 0, 0)):
        with pytest.raises(libvirt.libvirtError, match="support|cannot be resized|lies on a server"):
            call()
    pool.destroy()
    pool.undefine()


def test_wipe(connection, server):
    with open(server.files[0], "r+b") as file:
        file.write(b"secret" * 1000)
    pool = connection.storagePoolCreateXML(xml(server.port))
    pool.storageVolLookupByName("unit:0:0:1").wipe()
    with open(server.files[0], "rb") as file:
        assert not any(file.read())
    pool.destroy()


def test_sources(connection, server):
    spec = f"<source><host name='127.0.0.1' port='{server.port}'/>{INITIATOR}</source>"
    found = ElementTree.fromstring(connection.findStoragePoolSources("iscsi-direct", spec))
    assert [one.find("device").get("path") for one in found] == [server.name]


@pytest.mark.godwit
def test_the_library_is_loaded_when_it_is_needed(make_host, server, folder, monkeypatch):
    with open(f"{folder}/libiscsi.so.7", "w"):
        pass                                # found before the system's, and useless
    monkeypatch.setenv("LD_LIBRARY_PATH", folder)
    host = make_host("library")
    connection = libvirt.open(host.uri)

    def loaded():
        with open(f"/proc/{host.pid}/maps") as file:
            return "libiscsi" in file.read()
    with pytest.raises(libvirt.libvirtError, match="install Debian's package libiscsi7"):
        connection.storagePoolCreateXML(xml(server.port))
    assert not loaded(), "an idle daemon has no use for it"
    os.unlink(f"{folder}/libiscsi.so.7")
    connection.storagePoolCreateXML(xml(server.port)).destroy()
    assert loaded()
    connection.close()


@pytest.mark.godwit
def test_errors(connection, server):
    with pytest.raises(libvirt.libvirtError, match="cannot log in to 'iqn.2010-05.com.example:absent'"):
        connection.storagePoolCreateXML(xml(server.port, "iqn.2010-05.com.example:absent"))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(libvirt.libvirtError, match="cannot log in to"):
            connection.storagePoolCreateXML(xml(closed.getsockname()[1]))
    with pytest.raises(libvirt.libvirtError, match="missing storage pool initiator"):
        connection.storagePoolDefineXML(xml(server.port, more=""))
    with pytest.raises(libvirt.libvirtError, match="missing storage pool source host name"):
        connection.findStoragePoolSources("iscsi-direct", "<source/>")
    assert [pool.name() for pool in connection.listAllStoragePools()] == ["default"]


@pytest.mark.godwit
def test_nonsense_of_a_server_is_no_disk(connection, server, scratch):
    """Buffers for a wipe are as large as its blocks say."""
    for size in (4096, MIB):
        server.add(scratch, 4, size)
    pool = connection.storagePoolCreateXML(xml(server.port))
    assert pool.listVolumes() == ["unit:0:0:1", "unit:0:0:2", "unit:0:0:3"]
    pool.storageVolLookupByName("unit:0:0:3").wipe()
    pool.destroy()


@pytest.mark.godwit
def test_a_server_that_is_gone(connection, server):
    pool = connection.storagePoolCreateXML(xml(server.port))
    server.process.kill()
    server.process.wait()
    with pytest.raises(libvirt.libvirtError, match="cannot log in to"):
        pool.refresh()
    assert pool.isActive() and pool.listVolumes() == ["unit:0:0:1", "unit:0:0:2"]
    pool.destroy()


# Debian's QEMU has its iSCSI driver in another package, with Ceph's and Gluster's: a guest here has the disk by name alone.
EMULATOR = f"""#!/usr/bin/python3
import json, os, sys
def told(word):
    if not word.startswith("{{") or '"iscsi"' not in word:
        return word
    node = json.loads(word)
    return json.dumps({{"driver": "null-co", "size": 1 << 20, "node-name": node["node-name"]}})
os.execv("{guest.EMULATOR}", sys.argv[:1] + [told(word) for word in sys.argv[1:]])
"""


@pytest.mark.godwit
def test_a_disk_that_is_used_is_not_wiped(host, connection, server, folder):
    with open(server.files[1], "r+b") as file:
        file.write(b"secret")
    emulator = f"{folder}/qemu-system-x86_64"
    with open(emulator, "w") as file:
        file.write(EMULATOR)
    os.chmod(emulator, 0o755)
    disk = (f"<disk type='network' device='disk'><source protocol='iscsi' name='{server.name}/2'>"
            f"<host name='localhost' port='{server.port}'/></source><target dev='vda' bus='virtio'/></disk>")
    domain = connection.createXML(guest.bare_xml("busy", devices=disk, emulator=emulator), libvirt.VIR_DOMAIN_START_PAUSED)
    pool = connection.storagePoolCreateXML(xml(server.port))
    with pytest.raises(libvirt.libvirtError, match=r"the running domain 'busy' uses it \(disk 'vda'\)"):
        pool.storageVolLookupByName("unit:0:0:2").wipe()
    pool.storageVolLookupByName("unit:0:0:1").wipe()
    domain.destroy()
    with open(server.files[1], "rb") as file:
        assert file.read(6) == b"secret"
    pool.destroy()
