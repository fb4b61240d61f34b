# SPDX-License-Identifier: LGPL-2.1-or-later
"""Storage volumes as stock clients see them: python3-libvirt and virsh."""
import json
import os
import subprocess
from xml.etree import ElementTree

import libvirt
import pytest

from helpers import tools
from helpers.volumes import MIB, blocks, code_of, digest, fill, image_info, target, volume_xml


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
