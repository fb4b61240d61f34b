# SPDX-License-Identifier: LGPL-2.1-or-later
"""Volumes that are uploaded and downloaded."""
import os
import subprocess

import libvirt
import pytest

from helpers import tools
from helpers.volumes import MIB, blocks, code_of, digest, download, fails, fill, target, upload, volume_xml


# -- streams -----------------------------------------------------------------------------------------------------------


def test_upload_and_download(connection, pool):
    data = os.urandom(9 * MIB + 12345)
    volume = pool.createXML(volume_xml("v", 10 * MIB))
    upload(connection, volume, data)
    assert download(connection, volume)[:len(data)] == data
    assert len(download(connection, volume)) == 10 * MIB
    assert download(connection, volume, 1000, 5000) == data[1000:6000]
    upload(connection, volume, b"patched", offset=500, length=7)
    assert download(connection, volume, 498, 11) == data[498:500] + b"patched" + data[507:509]
    assert download(connection, volume, 10 * MIB) == b""
    assert code_of(volume.download, connection.newStream(), 11 * MIB, 0) == libvirt.VIR_ERR_INVALID_ARG


def test_more_than_was_announced_is_refused(connection, pool):
    volume = pool.createXML(volume_xml("v", MIB))
    with pytest.raises(libvirt.libvirtError):
        upload(connection, volume, b"x" * 100000, length=10)
    assert volume.info()[1] == MIB


def test_what_was_uploaded_is_looked_at(connection, pool, folder):
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", f"{folder}/../image-{pool.name()}", "5G"], check=True)
    with open(f"{folder}/../image-{pool.name()}", "rb") as file:
        data = file.read()
    volume = pool.createXML(volume_xml("v", MIB, allocation=0))
    upload(connection, volume, data)
    tools.wait_until(lambda: volume.info()[1] == 5 << 30, what="the new capacity")
    assert target(volume).find("format").get("type") == "qcow2"


def test_sparse_streams(host, pool, folder):
    source = pool.createXML(volume_xml("source", 100 * MIB, allocation=0))
    content = fill(source.path(), (MIB, 50 * MIB))
    pool.refresh()
    out = f"{folder}/../out-{pool.name()}"
    tools.virsh(host, "vol-download", "source", out, "--pool", pool.name(), "--sparse")
    assert digest(out) == content and blocks(out) < 10 * MIB
    copy = pool.createXML(volume_xml("copy", 100 * MIB))
    tools.virsh(host, "vol-upload", "copy", out, "--pool", pool.name(), "--sparse")
    assert digest(copy.path()) == content
    assert blocks(copy.path()) < 10 * MIB, "what was allocated before is a hole now"


def test_a_volume_in_use_by_a_stream_is_not_deleted(connection, pool):
    volume = pool.createXML(volume_xml("v", 32 * MIB))
    stream = connection.newStream()
    volume.download(stream, 0, 0)
    stream.recv(1000)
    with pytest.raises(libvirt.libvirtError, match="busy.*download"):
        volume.delete()
    with pytest.raises(libvirt.libvirtError, match="are being made, copied or changed"):
        pool.destroy()
    stream.abort()
    tools.wait_until(lambda: not fails(volume.delete), what="the end of the download")


def test_virsh(host, pool, folder):
    def virsh(*words, ok=True):
        done = tools.virsh(host, *words, ok=ok)
        return done.text if ok else done.errors
    name = pool.name()
    virsh("vol-create-as", name, "a.raw", "10M", "--allocation", "0")
    virsh("vol-create-as", name, "b.qcow2", "10M", "--format", "qcow2", "--backing-vol", "a.raw", "--backing-vol-format", "raw")
    rows = {line.split()[0]: line.split()[1:] for line in virsh("vol-list", name, "--details").splitlines()[2:]}
    assert rows["a.raw"] == [f"{folder}/a.raw", "file", "10.00", "MiB", "0.00", "B"]
    assert rows["b.qcow2"][:4] == [f"{folder}/b.qcow2", "file", "10.00", "MiB"]
    assert virsh("vol-path", "a.raw", name).strip() == f"{folder}/a.raw"
    assert virsh("vol-pool", f"{folder}/a.raw").strip() == name
    assert virsh("vol-name", f"{folder}/a.raw").strip() == "a.raw"
    assert "Capacity:       10.00 MiB" in virsh("vol-info", f"{folder}/a.raw")
    virsh("vol-resize", "a.raw", "20M", "--pool", name)
    virsh("vol-clone", "a.raw", "c.raw", "--pool", name)
    virsh("vol-wipe", "c.raw", name)
    virsh("vol-delete", "c.raw", name)
    assert "no storage vol with matching path 'c.raw'" in virsh("vol-info", "c.raw", name, ok=False)
