# SPDX-License-Identifier: LGPL-2.1-or-later
"""Storage volumes as stock clients see them: python3-libvirt and virsh."""
import hashlib
import json
import os
import signal
import subprocess
import threading
import uuid as uuids
from xml.etree import ElementTree

import libvirt
import pytest

from helpers import guest, tools
from helpers.host import Host

MIB = 1 << 20


def volume_xml(name, capacity, kind=None, allocation=None, target="", extra=""):
    allocation = "" if allocation is None else f"<allocation>{allocation}</allocation>"
    kind = f"<format type='{kind}'/>" if kind else ""
    return (f"<volume><name>{name}</name><capacity>{capacity}</capacity>{allocation}<target>{kind}{target}</target>{extra}"
            "</volume>")


@pytest.fixture
def folder(scratch):
    path = f"{scratch}/{uuids.uuid4().hex[:8]}"
    os.mkdir(path)
    return path


@pytest.fixture
def pool(host, connection, folder):
    made = connection.storagePoolCreateXML(
        f"<pool type='dir'><name>p{uuids.uuid4().hex[:6]}</name><target><path>{folder}</path></target></pool>")
    yield made
    assert not [name for name in os.listdir(folder) if name.startswith(".godwit")], "half-made volumes were left"
    again = libvirt.open(host.uri)      # a test may have restarted the daemon
    again.storagePoolLookupByName(made.name()).destroy()
    again.close()


def image_info(path):
    return json.loads(subprocess.run(["qemu-img", "info", "-U", "--output=json", path], check=True, capture_output=True).stdout)


def code_of(call, *arguments):
    with pytest.raises(libvirt.libvirtError) as caught:
        call(*arguments)
    return caught.value.get_error_code()


def target(volume):
    return ElementTree.fromstring(volume.XMLDesc()).find("target")


def blocks(path):
    return os.stat(path).st_blocks * 512


# -- making ------------------------------------------------------------------------------------------------------------


def test_raw(pool, folder):
    sparse = pool.createXML(volume_xml("sparse", 64 * MIB, allocation=0))
    full = pool.createXML(volume_xml("full", 8 * MIB))
    part = pool.createXML(volume_xml("part", 8 * MIB, "raw", allocation=MIB))
    assert (os.stat(f"{folder}/sparse").st_size, blocks(f"{folder}/sparse")) == (64 * MIB, 0)
    assert blocks(f"{folder}/full") >= 8 * MIB
    assert MIB <= blocks(f"{folder}/part") < 8 * MIB
    assert sparse.info() == [libvirt.VIR_STORAGE_VOL_FILE, 64 * MIB, 0]
    assert full.info()[1] == 8 * MIB and full.info()[2] >= 8 * MIB
    assert sparse.infoFlags(libvirt.VIR_STORAGE_VOL_GET_PHYSICAL)[2] == 64 * MIB
    assert os.stat(f"{folder}/sparse").st_mode & 0o7777 == 0o600
    assert part.path() == part.key() == f"{folder}/part"
    assert sorted(pool.listVolumes()) == ["full", "part", "sparse"]


def test_qcow2(pool, folder):
    volume = pool.createXML(volume_xml(
        "new.qcow2", 1 << 30, "qcow2", target="<compat>1.1</compat><clusterSize unit='KiB'>128</clusterSize><features>"
        "<lazy_refcounts/></features><permissions><mode>0640</mode><owner>1</owner><group>2</group></permissions>"))
    info = image_info(volume.path())
    assert (info["format"], info["virtual-size"], info["cluster-size"]) == ("qcow2", 1 << 30, 128 << 10)
    assert info["format-specific"]["data"]["lazy-refcounts"]
    status = os.stat(volume.path())
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o640, 1, 2)
    assert volume.info()[1] == 1 << 30 and volume.info()[2] < MIB
    part = target(volume)
    assert part.find("format").get("type") == "qcow2"
    assert (part.findtext("compat"), part.findtext("clusterSize")) == ("1.1", str(128 << 10))
    assert part.find("features/lazy_refcounts") is not None
    assert part.findtext("permissions/mode") == "0640"


def test_qcow2_of_the_old_version_and_with_extended_l2(pool):
    old = pool.createXML(volume_xml("old", MIB, "qcow2", target="<compat>0.10</compat>"))
    assert image_info(old.path())["format-specific"]["data"]["compat"] == "0.10"
    wide = pool.createXML(volume_xml("wide", MIB, "qcow2",
                                     target="<compat>1.1</compat><clusterSize>131072</clusterSize><features><extended_l2/></features>"))
    assert image_info(wide.path())["format-specific"]["data"]["extended-l2"]
    assert target(wide).find("features/extended_l2") is not None


@pytest.mark.parametrize("allocation, least", [(0, 256 << 10), (16 * MIB, 16 * MIB)])
def test_preallocation(pool, allocation, least):
    volume = pool.createXML(volume_xml("pre", 16 * MIB, "qcow2", allocation=allocation),
                            libvirt.VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA)
    assert blocks(volume.path()) >= least
    ranges = json.loads(subprocess.run(["qemu-img", "map", "--output=json", volume.path()], check=True,
                                       capture_output=True).stdout)
    assert all(part.get("offset") is not None for part in ranges), "every cluster has its place"


def test_backing_store(pool, folder):
    pool.createXML(volume_xml("base", 4 * MIB, "qcow2"))
    top = pool.createXML(volume_xml("top", 8 * MIB, "qcow2", extra=f"<backingStore><path>{folder}/base</path>"
                                    "<format type='qcow2'/></backingStore>"))
    info = image_info(top.path())
    assert (info["backing-filename"], info["backing-filename-format"]) == (f"{folder}/base", "qcow2")
    tree = ElementTree.fromstring(top.XMLDesc())
    assert tree.findtext("backingStore/path") == f"{folder}/base"
    assert tree.find("backingStore/format").get("type") == "qcow2"
    raw = pool.createXML(volume_xml("unsaid", MIB, "qcow2", extra=f"<backingStore><path>{folder}/base</path></backingStore>"))
    assert image_info(raw.path())["backing-filename-format"] == "raw", "what is not said is never probed"
    with pytest.raises(libvirt.libvirtError, match="inaccessible backing store"):
        pool.createXML(volume_xml("no", MIB, "qcow2", extra=f"<backingStore><path>{folder}/absent</path></backingStore>"))


@pytest.mark.parametrize("kind", ["vmdk", "vdi", "vpc", "qed", "qcow"])
def test_other_formats(pool, kind):
    volume = pool.createXML(volume_xml(f"x.{kind}", 8 * MIB, kind))
    assert image_info(volume.path())["format"] == kind
    pool.refresh()
    assert target(volume).find("format").get("type") == kind
    assert volume.info()[1] == image_info(volume.path())["virtual-size"]


def test_a_directory(pool, folder):
    volume = pool.createXML(volume_xml("sub", 0, "dir", target="<permissions><mode>0750</mode></permissions>"))
    assert os.stat(f"{folder}/sub").st_mode & 0o777 == 0o750
    assert volume.info()[0] == libvirt.VIR_STORAGE_VOL_DIR
    open(f"{folder}/sub/file", "w").close()
    with pytest.raises(libvirt.libvirtError, match="not empty"):
        volume.delete()
    os.unlink(f"{folder}/sub/file")
    volume.delete()


@pytest.mark.godwit
@pytest.mark.parametrize("xml, words", [
    (volume_xml("a/b", 1), "cannot contain '/'"),
    (volume_xml("..", 1), "cannot be called"),
    (volume_xml("", 1), "cannot be called"),
    (volume_xml("x" * 256, 1), "256 bytes"),
    (volume_xml("a&#10;b", 1), "control character"),
    (volume_xml(".godwit-x", 1), "names that begin with"),
    (volume_xml("big", 1 << 63), "can be that large"),
    (volume_xml("neg", -5), "not a number"),
    (volume_xml("v", 1, "foo"), "unknown volume format type 'foo'"),
    (volume_xml("v", 1, "iso"), "can be read but not made"),
    (volume_xml("v", MIB, "qcow2", target="<compat>2.0</compat>"), "0.10 and 1.1"),
    (volume_xml("v", MIB, "vdi", target="<compat>1.1</compat>"), "option of qcow2"),
    (volume_xml("v", MIB, "qcow2", target="<clusterSize>1000</clusterSize>"), "[Cc]luster size"),
    ("<volume><name>v</name></volume>", "<capacity> is missing"),
    ("<volume><capacity>1</capacity></volume>", "name.*missing"),
    (volume_xml("v", MIB, extra="<backingStore><path>relative</path></backingStore>"), "absolute path"),
])
def test_bad_volumes_are_refused(pool, folder, xml, words):
    with pytest.raises(libvirt.libvirtError, match=words):
        pool.createXML(xml)
    assert os.listdir(folder) == [] and pool.listVolumes() == []


def test_names(pool, folder):
    for name in ("with space", "ünïcode", "x" * 255, "-leading", "quote'\"&amp;", "a,b=c", "a:b"):
        for kind in ("raw", "qcow2"):
            plain = name.replace("&amp;", "&")
            volume = pool.createXML(volume_xml(name, MIB, kind))
            assert volume.name() == plain and os.path.exists(f"{folder}/{plain}")
            volume.delete()
    assert os.listdir(folder) == []


def test_a_name_that_is_taken(pool, folder):
    pool.createXML(volume_xml("twice", MIB))
    assert code_of(pool.createXML, volume_xml("twice", MIB)) == libvirt.VIR_ERR_STORAGE_VOL_EXIST
    with open(f"{folder}/behind", "w") as file:
        file.write("precious")
    assert code_of(pool.createXML, volume_xml("behind", MIB)) == libvirt.VIR_ERR_STORAGE_VOL_EXIST
    with open(f"{folder}/behind") as file:
        assert file.read() == "precious"


# -- finding -----------------------------------------------------------------------------------------------------------


def test_lookups(connection, pool, folder):
    volume = pool.createXML(volume_xml("v", MIB))
    assert pool.storageVolLookupByName("v").key() == volume.key()
    assert connection.storageVolLookupByPath(f"{folder}/v").name() == "v"
    assert connection.storageVolLookupByPath(f"{folder}//v").name() == "v"
    assert connection.storageVolLookupByKey(volume.key()).name() == "v"
    for call, word in ((pool.storageVolLookupByName, "w"), (connection.storageVolLookupByPath, f"{folder}/w"),
                       (connection.storageVolLookupByKey, "w")):
        assert code_of(call, word) == libvirt.VIR_ERR_NO_STORAGE_VOL


def test_formats_are_found_by_their_headers(pool, folder):
    for kind in ("qcow2", "vmdk", "vdi", "vpc", "raw"):
        subprocess.run(["qemu-img", "create", "-q", "-f", kind, f"{folder}/img.{kind}", "3M"], check=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "luks", "--object", "secret,id=s,data=x", "-o", "key-secret=s,iter-time=10",
                    f"{folder}/img.luks", "3M"], check=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", "img.raw", "-F", "raw", f"{folder}/relative"], check=True)
    pool.refresh()
    for kind in ("qcow2", "vmdk", "vdi", "vpc", "raw"):
        volume = pool.storageVolLookupByName(f"img.{kind}")
        assert target(volume).find("format").get("type") == kind
        assert volume.info()[1] == image_info(volume.path())["virtual-size"]
    luks = target(pool.storageVolLookupByName("img.luks"))
    assert (luks.find("format").get("type"), luks.find("encryption").get("format")) == ("raw", "luks")
    relative = ElementTree.fromstring(pool.storageVolLookupByName("relative").XMLDesc())
    assert relative.findtext("backingStore/path") == f"{folder}/img.raw"


def test_a_backing_chain_that_loops(pool, folder):
    """Nothing follows it without end."""
    for a, b in (("one", "two"), ("two", "one")):
        subprocess.run(["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", f"{folder}/{b}", "-F", "qcow2",
                        f"{folder}/{a}", "1M"], check=True)
    pool.refresh()
    assert sorted(pool.listVolumes()) == ["one", "two"]
    pool.storageVolLookupByName("one").delete()


# -- copying -----------------------------------------------------------------------------------------------------------


def fill(path, pieces):
    """Writes 64 KiB of noise at each offset; returns the file's digest."""
    with open(path, "r+b") as file:
        for offset in pieces:
            file.seek(offset)
            file.write(os.urandom(65536))
    return digest(path)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else \
            hashlib.sha256(file.read()).hexdigest()


def test_clone_of_a_sparse_volume(pool, folder):
    source = pool.createXML(volume_xml("source", 200 * MIB, allocation=0))
    content = fill(source.path(), (0, 100 * MIB, 200 * MIB - 65536))
    pool.refresh()
    copy = pool.createXMLFrom(volume_xml("copy", 0), source)
    assert digest(copy.path()) == content
    assert copy.info()[1] == 200 * MIB and blocks(copy.path()) < 2 * MIB
    larger = pool.createXMLFrom(volume_xml("larger", 300 * MIB), source)
    assert larger.info()[1] == os.stat(larger.path()).st_size == 300 * MIB


def test_clone_between_formats(pool, folder):
    source = pool.createXML(volume_xml("source", 10 * MIB, allocation=0))
    content = fill(source.path(), (0, 5 * MIB))
    image = pool.createXMLFrom(volume_xml("image", 10 * MIB, "qcow2"), source)
    assert image_info(image.path())["format"] == "qcow2"
    back = pool.createXMLFrom(volume_xml("back", 10 * MIB, "raw"), image)
    assert digest(back.path()) == content and blocks(back.path()) < 5 * MIB
    larger = pool.createXMLFrom(volume_xml("larger", 20 * MIB, "qcow2"), image)
    assert image_info(larger.path())["virtual-size"] == 20 * MIB


def test_clone_keeps_the_backing_store(host, pool, folder):
    pool.createXML(volume_xml("base", 4 * MIB))
    fill(f"{folder}/base", (0, MIB))
    pool.createXML(volume_xml("top", 4 * MIB, "qcow2", extra=f"<backingStore><path>{folder}/base</path><format type='raw'/>"
                              "</backingStore>"))
    tools.virsh(host, "vol-clone", "top", "copy", "--pool", pool.name())
    assert image_info(f"{folder}/copy")["backing-filename"] == f"{folder}/base"
    subprocess.run(["qemu-img", "compare", "-q", f"{folder}/top", f"{folder}/copy"], check=True)


def test_reflink_is_shared_or_refused(pool):
    source = pool.createXML(volume_xml("source", 8 * MIB))
    content = fill(source.path(), (MIB,))
    try:
        copy = pool.createXMLFrom(volume_xml("copy", 0), source, libvirt.VIR_STORAGE_VOL_CREATE_REFLINK)
    except libvirt.libvirtError as error:
        assert "share blocks" in str(error) or "eflink" in str(error) or "clone" in str(error)
    else:
        assert digest(copy.path()) == content


# -- changing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["raw", "qcow2"])
def test_resize(pool, kind):
    volume = pool.createXML(volume_xml("v", 4 * MIB, kind, allocation=0))
    volume.resize(8 * MIB)
    assert image_info(volume.path())["virtual-size"] == volume.info()[1] == 8 * MIB
    volume.resize(MIB, libvirt.VIR_STORAGE_VOL_RESIZE_DELTA)
    assert volume.info()[1] == 9 * MIB
    assert code_of(volume.resize, 2 * MIB) == libvirt.VIR_ERR_INVALID_ARG
    volume.resize(2 * MIB, libvirt.VIR_STORAGE_VOL_RESIZE_SHRINK)
    assert image_info(volume.path())["virtual-size"] == volume.info()[1] == 2 * MIB
    volume.resize(MIB, libvirt.VIR_STORAGE_VOL_RESIZE_SHRINK | libvirt.VIR_STORAGE_VOL_RESIZE_DELTA)
    assert volume.info()[1] == MIB


def test_resize_allocates(pool):
    volume = pool.createXML(volume_xml("v", MIB))
    volume.resize(4 * MIB, libvirt.VIR_STORAGE_VOL_RESIZE_ALLOCATE)
    assert blocks(volume.path()) >= 4 * MIB


def test_wipe(pool):
    for name, allocation in (("sparse", 0), ("full", 4 * MIB)):
        volume = pool.createXML(volume_xml(name, 4 * MIB, allocation=allocation))
        fill(volume.path(), (0, 2 * MIB))
        pool.refresh()
        volume.wipe()
        with open(volume.path(), "rb") as file:
            assert not any(file.read()) and os.stat(volume.path()).st_size == 4 * MIB
    image = pool.createXML(volume_xml("image", MIB, "qcow2"))
    image.wipe()
    assert target(image).find("format").get("type") == "raw"


@pytest.mark.godwit
def test_wiping_with_a_pattern_names_the_tool(pool):
    volume = pool.createXML(volume_xml("v", MIB))
    if os.path.exists("/usr/bin/scrub"):
        volume.wipePattern(libvirt.VIR_STORAGE_VOL_WIPE_ALG_NNSA)
    else:
        with pytest.raises(libvirt.libvirtError, match="install the package scrub"):
            volume.wipePattern(libvirt.VIR_STORAGE_VOL_WIPE_ALG_NNSA)
    with pytest.raises(libvirt.libvirtError, match="99"):
        volume.wipePattern(99)


def test_delete(pool, folder):
    volume = pool.createXML(volume_xml("v", MIB))
    volume.delete()
    assert os.listdir(folder) == []
    assert code_of(volume.info) == libvirt.VIR_ERR_NO_STORAGE_VOL
    gone = pool.createXML(volume_xml("gone", MIB))
    os.unlink(gone.path())
    gone.delete()       # what was asked is so


# -- streams -----------------------------------------------------------------------------------------------------------


def upload(connection, volume, data, offset=0, length=0):
    stream = connection.newStream()
    volume.upload(stream, offset, length)
    position = 0

    def more(_, count, __):
        nonlocal position
        piece = data[position:position + count]
        position += len(piece)
        return piece
    stream.sendAll(more, None)
    stream.finish()


def download(connection, volume, offset=0, length=0):
    stream = connection.newStream()
    volume.download(stream, offset, length)
    parts = []
    stream.recvAll(lambda _, data, __: parts.append(data), None)
    stream.finish()
    return b"".join(parts)


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
    tools.wait_until(lambda: not _fails(volume.delete), what="the end of the download")


def _fails(call):
    try:
        call()
    except libvirt.libvirtError:
        return True
    return False


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


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(connection, scratch):
    """A pool on a file system of 16 MiB."""
    path = f"{scratch}/small{uuids.uuid4().hex[:6]}"
    os.mkdir(path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", path], check=True)
    pool = connection.storagePoolCreateXML(f"<pool type='dir'><name>small</name><target><path>{path}</path></target></pool>")
    yield pool, path
    pool.destroy()
    subprocess.run(["umount", path], check=True)


def test_a_full_disk(connection, pool, small):
    pool_small, path = small
    with pytest.raises(libvirt.libvirtError, match="No space left on device"):
        pool_small.createXML(volume_xml("v", 32 * MIB))
    with pytest.raises(libvirt.libvirtError, match="[Nn]o space"):
        pool_small.createXML(volume_xml("v", 32 * MIB, "qcow2", allocation=32 * MIB),
                             libvirt.VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA)
    source = pool.createXML(volume_xml("source", 32 * MIB))
    fill(source.path(), range(0, 32 * MIB, 65536))
    pool.refresh()
    with pytest.raises(libvirt.libvirtError, match="No space left on device"):
        pool_small.createXMLFrom(volume_xml("copy", 0, allocation=0), source)
    assert os.listdir(path) == [] and pool_small.listVolumes() == []
    volume = pool_small.createXML(volume_xml("v", MIB))
    with pytest.raises(libvirt.libvirtError, match="No space left on device"):
        volume.resize(64 * MIB, libvirt.VIR_STORAGE_VOL_RESIZE_ALLOCATE)
    assert volume.info()[1] == os.stat(volume.path()).st_size == MIB
    with pytest.raises(libvirt.libvirtError):
        upload(connection, volume, b"x" * 20 * MIB)
    volume.delete()
    assert os.listdir(path) == []


@pytest.mark.godwit
def test_a_client_that_goes_away_leaves_no_half_volume(host, pool, folder):
    source = pool.createXML(volume_xml("source", 1 << 30, allocation=0))
    fill(source.path(), (0, 512 * MIB))
    process = subprocess.Popen(["virsh", "-c", host.uri, "vol-create-from", pool.name(), "/dev/stdin", "source",
                                "--inputpool", pool.name()],
                               stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    process.stdin.write(volume_xml("slow", 1 << 30, "qcow2").encode())
    process.stdin.close()
    tools.wait_until(lambda: len(os.listdir(folder)) > 1, what="the beginning of the copy", step=0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    tools.wait_until(lambda: not [name for name in os.listdir(folder) if name.startswith(".godwit")], what="the end of it")
    assert "slow" not in pool.listVolumes() or image_info(f"{folder}/slow")["virtual-size"] == 1 << 30


@pytest.mark.godwit
def test_a_killed_daemon_leaves_no_half_volume(make_host, folder):
    host = make_host(f"host-{uuids.uuid4().hex[:6]}")
    for turn in range(6):
        connection = libvirt.open(host.uri)
        if turn == 0:
            pool = connection.storagePoolDefineXML(
                f"<pool type='dir'><name>p</name><target><path>{folder}</path></target></pool>")
            pool.create()
        pool = connection.storagePoolLookupByName("p")
        acknowledged = []

        def make():
            for number in range(50):
                try:
                    pool.createXML(volume_xml(f"v{turn}-{number}", 4 * MIB, "qcow2" if number % 2 else "raw"))
                except libvirt.libvirtError:
                    return
                acknowledged.append(f"v{turn}-{number}")
        worker = threading.Thread(target=make)
        worker.start()
        tools.wait_until(lambda: len(acknowledged) > turn, timeout=30, what="some volumes", step=0.001)
        host.kill()
        worker.join()
        connection.close()
        host.start()
        connection = libvirt.open(host.uri)
        pool = connection.storagePoolLookupByName("p")
        found = set(pool.listVolumes())
        assert set(acknowledged) <= found
        for name in found:
            info = image_info(f"{folder}/{name}")
            assert info["virtual-size"] == 4 * MIB, f"{name} is half made"
        assert not [name for name in os.listdir(folder) if name.startswith(".godwit")]
        connection.close()


@pytest.mark.godwit
def test_a_refresh_while_volumes_come_and_go(host, pool):
    """What is acknowledged is in the pool, and what is deleted is not, whatever a refresh sees meanwhile."""
    stop = threading.Event()
    other = libvirt.open(host.uri)

    def refresh():
        twin = other.storagePoolLookupByName(pool.name())
        while not stop.is_set():
            twin.refresh()
    worker = threading.Thread(target=refresh)
    worker.start()
    try:
        for number in range(30):
            volume = pool.createXML(volume_xml(f"v{number}", 4096))
            assert volume.info()[1] == 4096
            volume.delete()
            assert code_of(pool.storageVolLookupByName, f"v{number}") == libvirt.VIR_ERR_NO_STORAGE_VOL
    finally:
        stop.set()
        worker.join()
        other.close()


@pytest.mark.godwit
def test_deletion_of_a_disk_in_use_is_refused(host, connection, pool, folder):
    pool.createXML(volume_xml("base.qcow2", MIB, "qcow2"))
    top = pool.createXML(volume_xml("top.qcow2", MIB, "qcow2", extra=f"<backingStore><path>{folder}/base.qcow2</path>"
                                    "<format type='qcow2'/></backingStore>"))
    disk = (f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{top.path()}'/>"
            "<target dev='vda' bus='virtio'/></disk>")
    domain = connection.createXML(guest.domain_xml("user", boot=False, devices=disk), libvirt.VIR_DOMAIN_START_PAUSED)
    for name in ("top.qcow2", "base.qcow2"):
        volume = pool.storageVolLookupByName(name)
        for call in (volume.delete, lambda: volume.resize(2 * MIB), volume.wipe):  # noqa: B023
            with pytest.raises(libvirt.libvirtError, match="running domain 'user' uses it .disk 'vda'"):
                call()
    domain.destroy()
    for name in ("top.qcow2", "base.qcow2"):
        pool.storageVolLookupByName(name).delete()


# -- disks of domains --------------------------------------------------------------------------------------------------


def volume_disk(pool, name, kind="raw"):
    return (f"<disk type='volume' device='disk'><driver name='qemu' type='{kind}'/><source pool='{pool.name()}' volume='{name}'/>"
            "<target dev='vda' bus='virtio'/></disk>")


def test_a_domain_on_a_volume(host, connection, pool, folder, line):
    pool.createXML(volume_xml("disk", 16 * MIB, allocation=0))
    xml = guest.domain_xml("vol", serial=line.xml, disk_rate=20, devices=volume_disk(pool, "disk"))
    domain = connection.defineXML(xml)
    domain.create()
    line.wait_for("DISK 5 ok")
    source = ElementTree.fromstring(domain.XMLDesc()).find("devices/disk/source")
    assert (source.get("pool"), source.get("volume"), source.get("file")) == (pool.name(), "disk", None)
    assert domain.blockInfo("vda")[0] == 16 * MIB
    if isinstance(host, Host):
        host.kill()
        host.start()
        connection = libvirt.open(host.uri)
        domain = connection.lookupByName("vol")
        tools.wait_until(lambda: not _fails(lambda: domain.blockInfo("vda")), what="the volume to be found again")
        with pytest.raises(libvirt.libvirtError, match="running domain 'vol' uses it"):
            connection.storageVolLookupByPath(f"{folder}/disk").delete()
    domain.destroy()
    assert guest.check_disk(f"{folder}/disk") >= 5


def test_a_volume_that_is_not_there(connection, pool):
    domain = connection.defineXML(guest.domain_xml("vol", boot=False, devices=volume_disk(pool, "absent")))
    with pytest.raises(libvirt.libvirtError, match="no storage vol with matching name 'absent'"):
        domain.create()
    pool.createXML(volume_xml("absent", MIB))
    other = domain.XMLDesc().replace(f"pool='{pool.name()}'", "pool='nowhere'")
    domain = connection.defineXML(other)
    with pytest.raises(libvirt.libvirtError, match="no storage pool with matching name 'nowhere'"):
        domain.create()


def test_a_pool_that_does_not_run(connection, pool, folder):
    resting = connection.storagePoolDefineXML(
        f"<pool type='dir'><name>resting</name><target><path>{folder}/x</path></target></pool>")
    domain = connection.defineXML(guest.domain_xml("vol", boot=False, devices=volume_disk(resting, "v")))
    with pytest.raises(libvirt.libvirtError, match="'resting'.*is not active"):
        domain.create()
    resting.undefine()
