# SPDX-License-Identifier: LGPL-2.1-or-later
"""Storage pools as stock clients see them: python3-libvirt and virsh."""
import os
import threading
import time
import uuid as uuids
from xml.etree import ElementTree

import libvirt
import pytest

from helpers import tools


def pool_xml(name, path, uuid=None, kind="dir"):
    uuid = f"<uuid>{uuid}</uuid>" if uuid else ""
    return f"<pool type='{kind}'><name>{name}</name>{uuid}<target><path>{path}</path></target></pool>"


@pytest.fixture
def pools(connection):
    """The connection; pools that a test leaves are taken away."""
    before = {pool.name() for pool in connection.listAllStoragePools()}
    yield connection
    for pool in connection.listAllStoragePools():
        if pool.name() not in before:
            if pool.isActive():
                pool.destroy()
            if pool.name() in [one.name() for one in connection.listAllStoragePools()]:
                pool.undefine()


@pytest.fixture
def folder(scratch, request):
    path = f"{scratch}/{request.node.name[:40]}-{uuids.uuid4().hex[:6]}"
    os.mkdir(path)
    return path


def code_of(call, *arguments):
    with pytest.raises(libvirt.libvirtError) as caught:
        call(*arguments)
    return caught.value.get_error_code()


def test_life(pools, folder):
    pool = pools.storagePoolDefineXML(pool_xml("life", f"{folder}/images"))
    assert (pool.isActive(), pool.isPersistent(), pool.autostart()) == (0, 1, 0)
    assert pool.info() == [libvirt.VIR_STORAGE_POOL_INACTIVE, 0, 0, 0]
    with pytest.raises(libvirt.libvirtError, match="cannot open directory '.*images'"):
        pool.create()
    pool.build()
    assert os.stat(f"{folder}/images").st_mode & 0o777 == 0o711
    pool.create()
    state, capacity, allocation, available = pool.info()
    room = os.statvfs(folder)
    assert state == libvirt.VIR_STORAGE_POOL_RUNNING
    assert capacity == room.f_blocks * room.f_frsize
    assert 0 < available <= capacity and 0 < allocation <= capacity
    assert code_of(pool.create) == libvirt.VIR_ERR_OPERATION_INVALID
    assert code_of(pool.undefine) == libvirt.VIR_ERR_OPERATION_INVALID
    assert code_of(pool.delete) == libvirt.VIR_ERR_OPERATION_INVALID
    pool.destroy()
    assert code_of(pool.destroy) == libvirt.VIR_ERR_OPERATION_INVALID
    assert code_of(pool.listVolumes) == libvirt.VIR_ERR_OPERATION_INVALID
    pool.delete()
    assert not os.path.exists(f"{folder}/images")
    pool.undefine()
    assert code_of(pools.storagePoolLookupByName, "life") == libvirt.VIR_ERR_NO_STORAGE_POOL


def test_a_directory_that_holds_something_is_not_deleted(pools, folder):
    open(f"{folder}/precious", "w").close()
    pool = pools.storagePoolDefineXML(pool_xml("full", folder))
    with pytest.raises(libvirt.libvirtError, match="not empty"):
        pool.delete()
    assert os.path.exists(f"{folder}/precious")


def test_transient(pools, folder):
    pool = pools.storagePoolCreateXML(pool_xml("passing", f"{folder}/made"),
                                      libvirt.VIR_STORAGE_POOL_CREATE_WITH_BUILD)
    assert (pool.isActive(), pool.isPersistent()) == (1, 0)
    assert code_of(pool.setAutostart, 1) == libvirt.VIR_ERR_OPERATION_INVALID
    pool.destroy()
    assert code_of(pools.storagePoolLookupByName, "passing") == libvirt.VIR_ERR_NO_STORAGE_POOL


def test_a_failed_create_leaves_nothing(pools, folder):
    with pytest.raises(libvirt.libvirtError, match="cannot open directory"):
        pools.storagePoolCreateXML(pool_xml("nowhere", f"{folder}/absent"))
    assert code_of(pools.storagePoolLookupByName, "nowhere") == libvirt.VIR_ERR_NO_STORAGE_POOL


def test_xml(pools, folder):
    pool = pools.storagePoolDefineXML(
        f"<pool type='dir'><name>x &amp; y</name><target><path>{folder}//</path><permissions><mode>755</mode>"
        "<owner>-1</owner></permissions></target></pool>")
    tree = ElementTree.fromstring(pool.XMLDesc())
    assert (tree.get("type"), tree.findtext("name"), tree.findtext("uuid")) == ("dir", "x & y", pool.UUIDString())
    assert tree.findtext("target/path") == folder
    assert (tree.findtext("target/permissions/mode"), tree.findtext("target/permissions/owner")) == ("0755", "-1")
    assert [child.tag for child in tree] == ["name", "uuid", "capacity", "allocation", "available", "source", "target"]
    pool.create()
    tree = ElementTree.fromstring(pool.XMLDesc())
    assert int(tree.findtext("capacity")) == pool.info()[1] > 0
    assert tree.findtext("target/permissions/owner") == "0"
    inactive = ElementTree.fromstring(pool.XMLDesc(libvirt.VIR_STORAGE_XML_INACTIVE))
    assert inactive.findtext("target/permissions/mode") == "0755"


@pytest.mark.parametrize("xml, words", [
    ("<pool type='dir'><name>u</name></pool>", "missing storage pool target path"),
    ("<pool type='dir'><name>u</name><target><path>relative</path></target></pool>", "not absolute"),
    ("<pool type='dir'><target><path>/x</path></target></pool>", "no <name>"),
    ("<pool type='dir'><name>a/b</name><target><path>/x</path></target></pool>", "without '/'"),
    ("<pool type='dir'><name>a&#10;b</name><target><path>/x</path></target></pool>", "control character"),
    ("<pool type='dir'><name> </name><target><path>/x</path></target></pool>", "cannot be a pool's name"),
    ("<pool type='floppy'><name>u</name></pool>", "floppy.*is not one of"),
    ("<pool type='zfs'><name>u</name><source><name>tank</name></source></pool>", "zfs"),
    ("<pool type='dir'><name>u</name><target><path>/x</path><permissions><mode>999</mode></permissions></target></pool>",
     "octal"),
    ("<pool", "not well-formed"),
])
@pytest.mark.godwit
def test_bad_definitions_are_refused(pools, xml, words):
    with pytest.raises(libvirt.libvirtError, match=words):
        pools.storagePoolDefineXML(xml)
    assert [pool.name() for pool in pools.listAllStoragePools()] == ["default"]


def test_conflicts(pools, folder):
    first = pools.storagePoolDefineXML(pool_xml("first", folder))
    with pytest.raises(libvirt.libvirtError, match="conflict with pool: 'first'"):
        pools.storagePoolDefineXML(pool_xml("second", folder))
    with pytest.raises(libvirt.libvirtError, match="already exists with uuid"):
        pools.storagePoolDefineXML(pool_xml("first", f"{folder}/other"))
    # the same name and UUID is a new definition of the same pool
    pools.storagePoolDefineXML(pool_xml("first", f"{folder}/other", first.UUIDString()))
    assert f"{folder}/other" in first.XMLDesc()


def test_lookups(pools, folder):
    pool = pools.storagePoolDefineXML(pool_xml("found", folder))
    assert pools.storagePoolLookupByUUIDString(pool.UUIDString()).name() == "found"
    assert code_of(pools.storagePoolLookupByTargetPath, folder) == libvirt.VIR_ERR_NO_STORAGE_POOL
    pool.create()
    assert pools.storagePoolLookupByTargetPath(folder + "/").name() == "found"
    volume = pool.createXML("<volume><name>v</name><capacity>0</capacity></volume>")
    assert volume.storagePoolLookupByVolume().UUIDString() == pool.UUIDString()


def test_list_filters(pools, folder):
    for name in ("active", "resting", "auto"):
        os.mkdir(f"{folder}/{name}")
        pools.storagePoolDefineXML(pool_xml(name, f"{folder}/{name}"))
    os.mkdir(f"{folder}/passing")
    pools.storagePoolCreateXML(pool_xml("passing", f"{folder}/passing"))
    pools.storagePoolLookupByName("active").create()
    pools.storagePoolLookupByName("auto").setAutostart(1)

    def names(*flags):
        total = 0
        for flag in flags:
            total |= getattr(libvirt, f"VIR_CONNECT_LIST_STORAGE_POOLS_{flag}")
        return {pool.name() for pool in pools.listAllStoragePools(total)} - {"default"}
    assert names() == {"active", "resting", "auto", "passing"}
    assert names("ACTIVE") == {"active", "passing"}
    assert names("INACTIVE") == {"resting", "auto"}
    assert names("ACTIVE", "INACTIVE", "TRANSIENT") == {"passing"}
    assert names("PERSISTENT", "ACTIVE") == {"active"}
    assert names("AUTOSTART") == {"auto"}
    assert names("DIR") == {"active", "resting", "auto", "passing"}
    assert names("DIR", "FS", "NO_AUTOSTART", "INACTIVE") == {"resting"}
    assert names("LOGICAL") == set()
    assert set(pools.listStoragePools()) - {"default"} == {"active", "passing"}
    assert set(pools.listDefinedStoragePools()) - {"default"} == {"resting", "auto"}
    assert pools.numOfDefinedStoragePools() == len(pools.listDefinedStoragePools())


def test_refresh(pools, folder):
    pool = pools.storagePoolCreateXML(pool_xml("watched", folder))
    assert pool.listVolumes() == []
    for name in ("b.img", "a.img", "ü.img", "with space"):
        with open(f"{folder}/{name}", "wb") as file:
            file.truncate(1 << 20)
    os.mkdir(f"{folder}/sub")
    os.symlink("nowhere", f"{folder}/broken")
    os.mkfifo(f"{folder}/fifo")
    open(os.fsencode(folder) + b"/line\nbreak", "w").close()
    assert pool.listVolumes() == []
    pool.refresh()
    assert sorted(pool.listVolumes()) == ["a.img", "b.img", "sub", "with space", "ü.img"]
    assert pool.numOfVolumes() == 5
    assert pool.storageVolLookupByName("sub").info()[0] == libvirt.VIR_STORAGE_VOL_DIR
    os.unlink(f"{folder}/a.img")
    os.truncate(f"{folder}/b.img", 3 << 20)
    pool.refresh()
    assert sorted(pool.listVolumes()) == ["b.img", "sub", "with space", "ü.img"]
    assert pool.storageVolLookupByName("b.img").info()[1] == 3 << 20


def test_a_directory_that_vanishes(pools, folder):
    pool = pools.storagePoolCreateXML(pool_xml("vanishing", f"{folder}/here"),
                                      libvirt.VIR_STORAGE_POOL_CREATE_WITH_BUILD)
    os.rmdir(f"{folder}/here")
    with pytest.raises(libvirt.libvirtError, match="cannot open directory"):
        pool.refresh()
    with pytest.raises(libvirt.libvirtError, match="No such file or directory"):
        pool.createXML("<volume><name>v</name><capacity>0</capacity></volume>")
    pool.destroy()


def test_events(pools, folder):
    heard = []
    changed = threading.Condition()

    def note(kind):
        def heard_of(_, pool, *details):
            with changed:
                heard.append((kind, pool.name(), *details[:1]) if kind == "lifecycle" else (kind, pool.name()))
                changed.notify()
        return heard_of
    ids = [pools.storagePoolEventRegisterAny(None, libvirt.VIR_STORAGE_POOL_EVENT_ID_LIFECYCLE, note("lifecycle"), None),
           pools.storagePoolEventRegisterAny(None, libvirt.VIR_STORAGE_POOL_EVENT_ID_REFRESH, note("refresh"), None)]
    pool = pools.storagePoolDefineXML(pool_xml("told", f"{folder}/x"))
    only = pools.storagePoolEventRegisterAny(pools.storagePoolLookupByName("default"),
                                             libvirt.VIR_STORAGE_POOL_EVENT_ID_LIFECYCLE, note("wrong"), None)
    pool.build()
    pool.create()
    pool.refresh()
    pool.destroy()
    pool.delete()
    pool.undefine()
    expected = [("lifecycle", "told", libvirt.VIR_STORAGE_POOL_EVENT_DEFINED),
                ("lifecycle", "told", libvirt.VIR_STORAGE_POOL_EVENT_CREATED),
                ("lifecycle", "told", libvirt.VIR_STORAGE_POOL_EVENT_STARTED),
                ("refresh", "told"),
                ("lifecycle", "told", libvirt.VIR_STORAGE_POOL_EVENT_STOPPED),
                ("lifecycle", "told", libvirt.VIR_STORAGE_POOL_EVENT_DELETED),
                ("lifecycle", "told", libvirt.VIR_STORAGE_POOL_EVENT_UNDEFINED)]
    with changed:
        changed.wait_for(lambda: len(heard) >= len(expected), 10)
    assert heard == expected
    for number in (*ids, only):
        pools.storagePoolEventDeregisterAny(number)


def test_capabilities(pools):
    tree = ElementTree.fromstring(pools.getStoragePoolCapabilities())
    kinds = {pool.get("type"): pool.get("supported") for pool in tree}
    assert kinds["dir"] == "yes" and kinds["zfs"] == "no" and len(kinds) == 14
    formats = [value.text for value in tree.findall("pool[@type='dir']/volOptions/enum/value")]
    assert {"raw", "qcow2", "vmdk"} <= set(formats)


@pytest.mark.godwit
def test_types_that_are_not_served_say_so(pools):
    for kind in ("gluster", "rbd", "zfs", "sheepdog"):
        with pytest.raises(libvirt.libvirtError, match=f"{kind}.*does not serve"):
            pools.storagePoolDefineXML(f"<pool type='{kind}'><name>x</name><target><path>/x</path></target></pool>")
        with pytest.raises(libvirt.libvirtError, match=kind):
            pools.findStoragePoolSources(kind, None)


def test_read_only_connections_look_but_do_not_touch(host, pools, folder):
    pools.storagePoolCreateXML(pool_xml("public", folder))
    reader = libvirt.openReadOnly(host.uri_ro)
    pool = reader.storagePoolLookupByName("public")
    assert pool.isActive() and pool.listVolumes() == []
    for call in (pool.refresh, pool.destroy, lambda: reader.storagePoolDefineXML(pool_xml("no", "/x"))):
        assert code_of(call) == libvirt.VIR_ERR_OPERATION_DENIED
    reader.close()


def test_virsh(host, pools, folder):
    def virsh(*words, ok=True):
        done = tools.virsh(host, *words, ok=ok)
        return done.text if ok else done.errors
    virsh("pool-define-as", "v", "dir", "--target", f"{folder}/v")
    virsh("pool-build", "v")
    virsh("pool-start", "v")
    virsh("pool-autostart", "v")
    row = next(line.split() for line in virsh("pool-list", "--details").splitlines() if line.split()[:1] == ["v"])
    assert row[1:4] == ["running", "yes", "yes"]
    assert "State:          running" in virsh("pool-info", "v")
    assert virsh("pool-uuid", "v").strip() == pools.storagePoolLookupByName("v").UUIDString()
    assert virsh("pool-list", "--type", "dir,fs", "--name").split() == ["default", "v"]
    virsh("pool-refresh", "v")
    virsh("pool-destroy", "v")
    virsh("pool-delete", "v")
    virsh("pool-undefine", "v")
    assert "no storage pool with matching name 'v'" in virsh("pool-info", "v", ok=False)
    assert "<pool type='dir' supported='yes'>" in virsh("pool-capabilities")


# -- what a restart finds ----------------------------------------------------------------------------------------------


@pytest.fixture
def own_host(make_host):
    return make_host(f"host-{uuids.uuid4().hex[:6]}")


@pytest.mark.godwit
@pytest.mark.parametrize("how", ["kill", "stop"])
def test_restart(own_host, folder, how):
    os.mkdir(f"{folder}/kept")
    os.mkdir(f"{folder}/resting")
    os.mkdir(f"{folder}/passing")
    connection = libvirt.open(own_host.uri)
    kept = connection.storagePoolDefineXML(pool_xml("kept", f"{folder}/kept"))
    connection.storagePoolDefineXML(pool_xml("resting", f"{folder}/resting"))
    connection.storagePoolCreateXML(pool_xml("passing", f"{folder}/passing"))
    kept.create()
    kept.setAutostart(1)
    kept.createXML("<volume><name>v</name><capacity>1000</capacity></volume>")
    uuid = kept.UUIDString()
    connection.close()
    getattr(own_host, how)()
    own_host.start()
    connection = libvirt.open(own_host.uri)
    found = {pool.name(): (pool.isActive(), pool.isPersistent(), pool.autostart())
             for pool in connection.listAllStoragePools()}
    assert found == {"default": (1, 1, 1), "kept": (1, 1, 1), "resting": (0, 1, 0), "passing": (1, 0, 0)}
    kept = connection.storagePoolLookupByUUIDString(uuid)
    assert kept.listVolumes() == ["v"] and kept.info()[1] > 0
    connection.close()


@pytest.mark.godwit
def test_a_pool_whose_directory_went_while_no_daemon_ran(own_host, folder):
    connection = libvirt.open(own_host.uri)
    os.mkdir(f"{folder}/gone")
    connection.storagePoolDefineXML(pool_xml("gone", f"{folder}/gone")).create()
    connection.close()
    own_host.kill()
    os.rmdir(f"{folder}/gone")
    own_host.start()
    connection = libvirt.open(own_host.uri)
    pool = connection.storagePoolLookupByName("gone")
    deadline = time.monotonic() + 10
    while pool.isActive() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not pool.isActive()
    connection.close()


@pytest.mark.godwit
def test_the_default_pool_is_made_once(own_host):
    connection = libvirt.open(own_host.uri)
    pool = connection.storagePoolLookupByName("default")
    assert (pool.isActive(), pool.isPersistent(), pool.autostart()) == (1, 1, 1)
    assert ElementTree.fromstring(pool.XMLDesc()).findtext("target/path") == f"{own_host.root}/var/lib/libvirt/images"
    pool.destroy()
    pool.undefine()
    connection.close()
    own_host.stop()
    own_host.start()
    connection = libvirt.open(own_host.uri)
    assert connection.listAllStoragePools() == []
    connection.close()
