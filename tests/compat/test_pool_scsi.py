# SPDX-License-Identifier: LGPL-2.1-or-later
"""Storage pools of types scsi and mpath: adapters and disks of the kernel's scsi_debug, and multipath devices over them."""
import glob
import os
import subprocess
import time

import libvirt
import pytest

from helpers.kernel import DEVICE_MAPPER, has, needs
from helpers.volumes import download, upload

MIB = 1 << 20
scsi = needs("/sys/module/scsi_debug", "scsi_debug")


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def load(**options):
    """Loads scsi_debug anew; returns its adapters."""
    run("udevadm", "settle")
    run("modprobe", "-r", "scsi_debug")
    run("modprobe", "scsi_debug", *(f"{name}={value}" for name, value in options.items()))
    run("udevadm", "settle")
    return sorted(os.path.basename(os.path.dirname(path)) for path in glob.glob("/sys/class/scsi_host/host*/proc_name")
                  if open(path).read().strip() == "scsi_debug")


def xml(adapter, name="adapter"):
    return (f"<pool type='scsi'><name>{name}</name><source><adapter {adapter}/></source><target><path>/dev/disk/by-path</path>"
            "</target></pool>")


@scsi
@pytest.mark.parametrize("name", ["name='{}'", "type='scsi_host' name='scsi_{}'"])
def test_adapter(connection, name):
    adapter, = load(dev_size_mb=16, max_luns=2)
    pool = connection.storagePoolDefineXML(xml(name.format(adapter)))
    pool.create()
    assert pool.listVolumes() == ["unit:0:0:0", "unit:0:0:1"] and pool.info()[1:] == [32 * MIB, 32 * MIB, 0]
    volume = pool.storageVolLookupByName("unit:0:0:1")
    serial = run("/lib/udev/scsi_id", "--whitelisted", "--replace-whitespace", os.path.realpath(volume.path())).strip()
    assert volume.key() == serial != pool.storageVolLookupByName("unit:0:0:0").key()
    data = os.urandom(MIB)
    upload(connection, volume, data)
    assert download(connection, volume, length=MIB) == data
    pool.destroy()
    pool.undefine()


@scsi
@pytest.mark.godwit
def test_an_adapter_that_goes(connection):
    adapter, = load(dev_size_mb=16)
    pool = connection.storagePoolDefineXML(xml(f"name='{adapter}'"))
    with pytest.raises(libvirt.libvirtError, match="conflict with pool: 'adapter'"):
        connection.storagePoolDefineXML(xml(f"name='scsi_{adapter}'", "other"))
    pool.create()
    run("udevadm", "settle")
    run("modprobe", "-r", "scsi_debug")
    with pytest.raises(libvirt.libvirtError, match="the adapter of the pool is gone"):
        pool.refresh()
    pool.destroy()
    with pytest.raises(libvirt.libvirtError, match=f"this host has no adapter '{adapter}'"):
        pool.create()
    pool.undefine()


# -- Fibre Channel: over Ethernet, without a switch -------------------------------------------------------------------------

@pytest.fixture
def fc_host():
    if not has("/sys/module/fcoe", "fcoe") or not has("/sys/bus/fcoe", "libfcoe"):
        pytest.skip("needs the kernel module fcoe")
    run("ip", "link", "add", "fc0", "type", "veth", "peer", "name", "fc1")
    for name in ("fc0", "fc1"):
        run("ip", "link", "set", name, "up")
    with open("/sys/module/libfcoe/parameters/create", "w") as file:
        file.write("fc0")
    deadline = time.monotonic() + 60
    while not glob.glob("/sys/class/fc_host/host*"):
        assert time.monotonic() < deadline, "no fc_host"
        time.sleep(0.1)
    path = glob.glob("/sys/class/fc_host/host*")[0]
    yield (os.path.basename(path), *(open(f"{path}/{name}").read().strip().removeprefix("0x") for name in ("node_name", "port_name")))
    with open("/sys/module/libfcoe/parameters/destroy", "w") as file:
        file.write("fc0")
    run("ip", "link", "delete", "fc0")


def vports():
    return [path for path in glob.glob("/sys/class/fc_host/host*") if "/vport-" in os.path.realpath(path)]


@scsi
def test_fibre_channel(connection, fc_host):
    host, node, port = fc_host
    pool = connection.storagePoolCreateXML(xml(f"type='fc_host' wwnn='{node}' wwpn='{port}'"))
    assert pool.listVolumes() == [] and pool.info()[1] == 0
    pool.destroy()
    assert os.path.exists(f"/sys/class/fc_host/{host}"), "an adapter that was there stays"


@scsi
def test_a_virtual_port(connection, fc_host):
    host, node, _ = fc_host
    if not os.path.exists(f"/sys/class/fc_host/{host}/vport_create"):
        pytest.skip("this fc_host makes no virtual ports")
    names = "wwnn='5001a4a93526d0a1' wwpn='5001a4ace3ee047d'"
    pool = connection.storagePoolCreateXML(xml(f"type='fc_host' {names} parent='scsi_{host}'"))
    assert len(vports()) == 1
    assert "managed='yes'" in pool.XMLDesc()
    pool.destroy()
    assert vports() == []


@pytest.mark.godwit
def test_no_adapter_of_that_name(connection):
    pool = connection.storagePoolDefineXML(xml("type='fc_host' wwnn='5001a4a93526d0a1' wwpn='5001a4ace3ee047d'"))
    if not glob.glob("/sys/class/fc_host/*/vport_create"):
        with pytest.raises(libvirt.libvirtError, match="none that makes virtual ports"):
            pool.create()
    pool.undefine()
    pool = connection.storagePoolDefineXML(xml("name='host4095'"))
    with pytest.raises(libvirt.libvirtError, match="no adapter 'host4095'"):
        pool.create()
    pool.undefine()


@pytest.mark.godwit
@pytest.mark.parametrize("source, words", [
    ("", "missing storage pool source adapter"),
    ("<adapter/>", "missing storage pool source adapter name"),
    ("<adapter name='../x'/>", "is no adapter"),
    ("<adapter name='host-1'/>", "is no adapter"),
    ("<adapter type='fc_host' wwnn='1' wwpn='2'/>", "'wwnn' of 16 hexadecimal digits"),
    ("<adapter type='fc_host' wwnn='5001a4a93526d0a1'/>", "'wwpn' of 16 hexadecimal digits"),
])
def test_bad_definitions(connection, source, words):
    with pytest.raises(libvirt.libvirtError, match=words):
        connection.storagePoolDefineXML(f"<pool type='scsi'><name>bad</name><source>{source}</source><target><path>/dev/disk/by-path"
                                        "</path></target></pool>")


# -- multipath --------------------------------------------------------------------------------------------------------------

@pytest.fixture
def multipath():
    """A disk with two ways to it; returns the name of its device."""
    load(dev_size_mb=16, add_host=2, vpd_use_hostno=0)
    run("modprobe", "dm_multipath")
    with open("/etc/multipath.conf", "w") as file:
        file.write("defaults {\n find_multipaths no\n user_friendly_names yes\n}\n")
    subprocess.run(["multipath", "-v2"], capture_output=True)  # its status says that no multipathd runs
    run("udevadm", "settle")
    yield run("dmsetup", "ls", "--target", "multipath").split()[0]
    subprocess.run(["multipath", "-F"], capture_output=True)
    run("udevadm", "settle")
    run("modprobe", "-r", "scsi_debug")  # works when nothing is left


@scsi
@needs(DEVICE_MAPPER, "dm_mod", "multipath")
def test_multipath(connection, multipath):
    pool = connection.storagePoolDefineXML("<pool type='mpath'><name>ways</name><target><path>/dev/mapper</path></target></pool>")
    with pytest.raises(libvirt.libvirtError, match="conflict with pool: 'ways'"):
        connection.storagePoolDefineXML("<pool type='mpath'><name>b</name></pool>")
    pool.create()
    node = os.path.basename(os.path.realpath(f"/dev/mapper/{multipath}"))
    assert pool.listVolumes() == [node] and pool.info()[1:] == [16 * MIB, 16 * MIB, 0]
    volume = pool.storageVolLookupByName(node)
    assert volume.path() == f"/dev/mapper/{multipath}"
    assert volume.key() == run("dmsetup", "info", "-c", "--noheadings", "-o", "uuid", multipath).strip().removeprefix("mpath-")
    data = os.urandom(MIB)
    upload(connection, volume, data)
    assert download(connection, volume, length=MIB) == data
    pool.destroy()
    pool.undefine()


@pytest.mark.godwit
def test_a_kernel_without_the_device_mapper(connection):
    if has(DEVICE_MAPPER, "dm_mod"):
        pytest.skip("the kernel has it")
    pool = connection.storagePoolDefineXML("<pool type='mpath'><name>ways</name></pool>")
    with pytest.raises(libvirt.libvirtError, match="needs the kernel module 'dm_mod'"):
        pool.create()
    pool.undefine()
