# SPDX-License-Identifier: LGPL-2.1-or-later
"""Storage pools of type netfs, on the kernel's own NFS server."""
import os
import subprocess
import uuid as uuids
from xml.etree import ElementTree

import libvirt
import pytest

from helpers.kernel import needs
from helpers.tools import virsh, wait_until
from helpers.volumes import download, upload

MIB = 1 << 20
SERVER = "10.9.9.9"  # on the loopback interface, so that a test can take it away
nfs = needs("/proc/fs/nfsd", "nfsd", "rpc.nfsd", "exportfs", "mount.nfs")


def run(*words):
    subprocess.run(words, check=True, capture_output=True)


@pytest.fixture(scope="module")
def server():
    """The exported directory."""
    path = f"/srv/export {uuids.uuid4().hex[:6]}"
    os.makedirs(path)
    run("ip", "address", "add", f"{SERVER}/32", "dev", "lo")
    if not os.path.exists("/proc/fs/nfsd/threads"):
        run("mount", "-t", "nfsd", "nfsd", "/proc/fs/nfsd")
    run("rpcbind", "-w")
    run("exportfs", "-o", "rw,no_root_squash,insecure,fsid=7", f"*:{path}")
    run("rpc.mountd")
    run("rpc.statd")
    run("rpc.nfsd", "2")
    with open("/proc/fs/nfsd/v4_end_grace", "w") as file:  # else nobody may open anything for 90 s
        file.write("Y")
    yield path
    run("rpc.nfsd", "0")
    run("exportfs", "-u", f"*:{path}")
    run("ip", "address", "delete", f"{SERVER}/32", "dev", "lo")


@pytest.fixture
def target(scratch):
    return f"{scratch}/mounted {uuids.uuid4().hex[:6]}"


def xml(directory, target, kind="nfs", name="net", host=SERVER, more=""):
    return (f"<pool type='netfs'><name>{name}</name><source><host name='{host}'/><dir path='{directory}'/>"
            f"<format type='{kind}'/>{more}</source><target><path>{target}</path></target></pool>")


def mounted(target):
    """The kinds of what is mounted there."""
    with open("/proc/self/mounts") as file:
        rows = [line.split() for line in file]
    return [row[2] for row in rows if row[1].replace("\\040", " ") == target]


@pytest.fixture
def pool(connection, server, target):
    made = connection.storagePoolDefineXML(xml(server, target))
    made.build()
    made.create()
    yield made
    if made.isActive():
        made.destroy()
    made.undefine()


@nfs
@pytest.mark.parametrize("kind", ["nfs", "auto"])
def test_life(connection, server, target, kind):
    pool = connection.storagePoolDefineXML(xml(server, target, kind))
    with pytest.raises(libvirt.libvirtError, match="mount"):
        pool.create()
    pool.build()
    pool.create()
    assert mounted(target) == ["nfs4"]
    room = os.statvfs(target)
    assert pool.info()[1] == room.f_blocks * room.f_frsize
    pool.createXML("<volume><name>v</name><capacity unit='MiB'>8</capacity></volume>")
    assert os.path.getsize(f"{server}/v") == 8 * MIB and pool.listVolumes() == ["v"]
    pool.destroy()
    assert mounted(target) == [] and os.listdir(target) == []
    pool.delete()
    assert not os.path.exists(target) and os.path.exists(f"{server}/v"), "what the server has is not ours to delete"
    pool.undefine()
    os.unlink(f"{server}/v")


@nfs
def test_volumes(connection, pool, server):
    data = os.urandom(3 * MIB)
    volume = pool.createXML("<volume><name>v</name><capacity unit='MiB'>4</capacity><allocation>0</allocation></volume>")
    upload(connection, volume, data)
    with open(f"{server}/v", "rb") as file:
        assert file.read(len(data)) == data
    copy = pool.createXMLFrom("<volume><name>w</name><capacity>0</capacity></volume>", volume)
    assert download(connection, copy, length=len(data)) == data
    copy.resize(6 * MIB)
    pool.createXML("<volume><name>q</name><capacity unit='MiB'>4</capacity><target><format type='qcow2'/></target></volume>")
    assert sorted(pool.listVolumes()) == ["q", "v", "w"]
    for name in ("q", "v", "w"):
        pool.storageVolLookupByName(name).delete()
    assert os.listdir(server) == []


@nfs
def test_the_version_that_is_asked_for(connection, server, target):
    pool = connection.storagePoolDefineXML(xml(server, target, more="<protocol ver='3'/>"))
    pool.build()
    pool.create()
    assert mounted(target) == ["nfs"]
    pool.destroy()
    pool.undefine()


@nfs
def test_sources(host, server):
    found = ElementTree.fromstring(virsh(host, "find-storage-pool-sources-as", "netfs", SERVER).text)
    assert [(one.find("host").get("name"), one.find("dir").get("path"), one.find("format").get("type")) for one in found] == \
        [(SERVER, server, "nfs")]


@nfs
def test_errors_of_the_server(connection, server, target):
    pool = connection.storagePoolDefineXML(xml("/not/exported", target))
    pool.build()
    with pytest.raises(libvirt.libvirtError, match="No such file|access denied"):
        pool.create()
    pool.undefine()
    assert mounted(target) == []


@nfs
@pytest.mark.godwit
def test_restart(make_host, server, target):
    host = make_host(f"host-{uuids.uuid4().hex[:6]}")
    connection = libvirt.open(host.uri)
    pool = connection.storagePoolDefineXML(xml(server, target))
    pool.build()
    pool.create()
    pool.createXML("<volume><name>v</name><capacity>1000</capacity></volume>")
    connection.close()
    host.kill()
    host.start()
    connection = libvirt.open(host.uri)
    pool = connection.storagePoolLookupByName("net")
    assert pool.isActive() and pool.listVolumes() == ["v"] and mounted(target) == ["nfs4"]
    pool.storageVolLookupByName("v").delete()
    pool.destroy()
    assert mounted(target) == []
    pool.undefine()
    connection.close()


@nfs
@pytest.mark.godwit
@pytest.mark.full
def test_a_server_that_is_gone_holds_up_nobody_else(connection, pool, server, target):
    """The calls that need it fail after their minute, and it is whole when the server is back."""
    pool.createXML("<volume><name>v</name><capacity>1000</capacity></volume>")
    run("ip", "address", "delete", f"{SERVER}/32", "dev", "lo")
    try:
        with pytest.raises(libvirt.libvirtError):
            pool.refresh()
        assert connection.storagePoolLookupByName("default").isActive() in (0, 1)
        assert pool.isActive() and pool.listVolumes() == ["v"] and mounted(target) == ["nfs4"]
    finally:
        run("ip", "address", "add", f"{SERVER}/32", "dev", "lo")

    def reads():
        try:
            return pool.refresh() == 0
        except libvirt.libvirtError:
            return False
    wait_until(reads, timeout=600, what="the server is found again")
    pool.storageVolLookupByName("v").delete()


# -- what needs no server -----------------------------------------------------------------------------------------------------

@pytest.mark.godwit
@pytest.mark.parametrize("source, words", [
    ("<dir path='/x'/>", "missing storage pool source host name"),
    ("<host name='a'/>", "missing storage pool source path"),
    ("<host name='a'/><host name='b'/><dir path='/x'/>", "one <host>, not 2"),
    ("<host name='a'/><dir path='x'/>", "must begin with /"),
    ("<host name='-o'/><dir path='/x'/>", "no host's name"),
    ("<host name='a'/><dir path='/x'/><format type='foo'/>", "unknown storage pool source format type 'foo'"),
    ("<host name='a'/><dir path='/x'/><format type='nfs'/><protocol ver='4,exec'/>", "no version of NFS"),
    ("<host name='a'/><dir path='/x'/><format type='cifs'/><protocol ver='3'/>", "format 'nfs'"),
])
def test_bad_definitions(connection, source, words):
    with pytest.raises(libvirt.libvirtError, match=words):
        connection.storagePoolDefineXML(f"<pool type='netfs'><name>bad</name><source>{source}</source><target><path>/x</path></target>"
                                        "</pool>")


@pytest.mark.godwit
def test_one_export_belongs_to_one_pool(connection, target):
    pool = connection.storagePoolDefineXML(xml("/x", target))
    with pytest.raises(libvirt.libvirtError, match="conflict with pool: 'net'"):
        connection.storagePoolDefineXML(xml("/x", f"{target}2", name="other"))
    with pytest.raises(libvirt.libvirtError, match="neither --overwrite"):
        pool.build(libvirt.VIR_STORAGE_POOL_BUILD_OVERWRITE)
    pool.undefine()


@pytest.mark.godwit
def test_a_tool_that_is_missing_is_named(connection, target):
    if os.path.exists("/sbin/mount.cifs"):
        pytest.skip("cifs-utils is installed")
    pool = connection.storagePoolDefineXML(xml("/x", target, "cifs"))
    pool.build()
    with pytest.raises(libvirt.libvirtError, match="'mount.cifs'; install the package cifs-utils"):
        pool.create()
    pool.undefine()


@pytest.mark.godwit
def test_sources_need_a_host(connection):
    for spec in (None, "<source/>"):
        with pytest.raises(libvirt.libvirtError, match="<host"):
            connection.findStoragePoolSources("netfs", spec)
