# SPDX-License-Identifier: LGPL-2.1-or-later
"""godwit convert with its disks: what is copied where, that the source stays as it is, and that nothing remains when it fails or is
cut off at any point."""
import hashlib
import json
import os
import signal
import subprocess
import time
from xml.etree import ElementTree

import libvirt
import pytest

from helpers import guest as guests
from helpers.cli import GODWIT, godwit
from helpers.tools import wait_until

MIB = 1 << 20


def image(path, form="raw", size="8M"):
    subprocess.run(["qemu-img", "create", "-q", "-f", form, path, size], check=True)
    subprocess.run(["qemu-io", "-f", form, "-c", "write -P 0x5a 1M 64k", path], check=True, stdout=subprocess.DEVNULL)
    return path


def same(one, form, other, other_form):
    return subprocess.run(["qemu-img", "compare", "-f", form, "-F", other_form, one, other], stdout=subprocess.DEVNULL).returncode == 0


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def info(path):
    return json.loads(subprocess.run(["qemu-img", "info", "--output=json", path], check=True, capture_output=True).stdout)


@pytest.fixture
def guest(tmp_path):
    """A paravirtual guest of three images in a file of xl, which is returned with the images."""
    images = [image(tmp_path / "a.img"), image(tmp_path / "b.qcow2", "qcow2"), image(tmp_path / "c.vhd", "vpc")]
    config = tmp_path / "guest.cfg"
    config.write_text(f"""name = 'guest'
memory = 64
bootloader = 'pygrub'
disk = [ '{images[0]},raw,xvda,w', '{images[1]},qcow2,xvdb,w', '{images[2]},vhd,xvdc,w', ',empty,hdd,cdrom' ]
vif = [ 'mac=00:16:3e:01:02:03,bridge=xenbr0' ]
""")
    before = [digest(path) for path in images]
    yield config, images
    assert [digest(path) for path in images] == before, "a source was changed"


@pytest.fixture
def pool(connection, tmp_path):
    os.mkdir(tmp_path / "pool")
    made = connection.storagePoolCreateXML(f"<pool type='dir'><name>kvm</name><target><path>{tmp_path}/pool</path></target></pool>")
    yield tmp_path / "pool"
    made.destroy()
    for domain in connection.listAllDomains():
        domain.undefine()


def convert(*words, **options):
    return godwit("convert", *words, "--virt-type", "qemu", **options)


def test_into_a_pool(host, connection, guest, pool):
    config, images = guest
    answer = convert("-i", "xl", config, "-os", "kvm", "-on", "guest_kvm", "-b", "br0", uri=host.uri)
    assert "Domain 'guest_kvm' converted into pool 'kvm'" in answer.out
    assert f"disk xvda: copy {images[0]}" not in answer.errors and f"disk vda: copy {images[0]} -> {pool}/guest_kvm-sda" in answer.errors
    assert sorted(os.listdir(pool)) == ["guest_kvm-sda", "guest_kvm-sdb", "guest_kvm-sdc"]
    assert [info(pool / name)["format"] for name in sorted(os.listdir(pool))] == ["raw", "qcow2", "raw"]
    assert same(images[0], "raw", pool / "guest_kvm-sda", "raw") and same(images[1], "qcow2", pool / "guest_kvm-sdb", "qcow2") and \
        same(images[2], "vpc", pool / "guest_kvm-sdc", "raw")
    assert os.stat(pool / "guest_kvm-sda").st_mode & 0o777 == 0o600
    tree = ElementTree.fromstring(connection.lookupByName("guest_kvm").XMLDesc())
    assert [(disk.find("driver").get("type"), disk.find("source").get("file"), disk.find("target").get("dev"))
            for disk in tree.iter("disk") if disk.get("device") == "disk"] == \
        [("raw", f"{pool}/guest_kvm-sda", "vda"), ("qcow2", f"{pool}/guest_kvm-sdb", "vdb"), ("raw", f"{pool}/guest_kvm-sdc", "vdc")]
    assert set(connection.storagePoolLookupByName("kvm").listVolumes()) == set(os.listdir(pool))
    again = convert("-i", "xl", config, "-os", "kvm", "-on", "guest_kvm", uri=host.uri, ok=False)
    assert "there is a domain 'guest_kvm'" in again.errors and len(os.listdir(pool)) == 3


def test_by_its_old_name_with_the_guides_words(host, connection, guest, pool, tmp_path):
    config, _ = guest
    (tmp_path / "guest.xml").write_text(godwit("convert", "-i", "xl", config, "--print-source").out)
    (tmp_path / "virt-v2v").symlink_to(GODWIT)
    words = [tmp_path / "guest.xml", "-i", "libvirtxml", "-os", "kvm", "--network", "eth0", "-of", "qcow2", "-oa", "sparse", "-on",
             "old_name", "--virt-type", "qemu"]
    done = subprocess.run([tmp_path / "virt-v2v", *words], capture_output=True, text=True,
                          env=dict(os.environ, LIBVIRT_DEFAULT_URI=host.uri))
    assert done.returncode == 0, done.stderr
    tree = ElementTree.fromstring(connection.lookupByName("old_name").XMLDesc())
    assert tree.find(".//interface/source").get("network") == "eth0" and info(pool / "old_name-sda")["format"] == "qcow2"


def test_formats_and_allocation_into_a_directory(guest, tmp_path):
    config, images = guest
    out = tmp_path / "out"
    out.mkdir()
    answer = convert(config, "-i", "xl", "-o", "local", "-os", out, "-of", "qcow2", "-oa", "sparse", "--output", "json").json
    assert [disk["format"] for disk in answer["disks"]] == ["qcow2"] * 3 and answer["disks"][2]["path"] == f"{out}/guest-sdc"
    assert sorted(os.listdir(out)) == ["guest-sda", "guest-sdb", "guest-sdc", "guest.xml"]
    assert (out / "guest.xml").read_text() == answer["xml"]
    assert same(images[2], "vpc", out / "guest-sdc", "qcow2") and info(out / "guest-sda")["actual-size"] < 4 * MIB
    convert(config, "-i", "xl", "-os", out, "-on", "full", "-of", "raw", "-oa", "preallocated")
    assert os.stat(out / "full-sda").st_blocks * 512 >= 8 * MIB and same(images[1], "qcow2", out / "full-sdb", "raw")


def test_of_an_image_alone(host, connection, guest, pool):
    _, images = guest
    convert("-i", "disk", images[1], "-os", "kvm", "-on", "alone", uri=host.uri)
    tree = ElementTree.fromstring(connection.lookupByName("alone").XMLDesc())
    assert tree.findtext("memory") == str(2 << 20) and tree.find(".//interface/source").get("network") == "default"
    assert [disk.find("target").get("dev") for disk in tree.iter("disk")] == ["vda"]
    assert info(pool / "alone-sda")["format"] == "qcow2" and same(images[1], "qcow2", pool / "alone-sda", "qcow2")
    assert "<name>c</name>" in convert("-i", "disk", images[2], "-if", "vpc", "--xml-only").out


def test_plan_changes_nothing(host, connection, guest, pool, tmp_path):
    config, images = guest
    answer = convert("-i", "xl", config, "-os", "kvm", "--plan", uri=host.uri, ok=False)   # pygrub: something is left
    assert f"disk vda: copy {images[0]} -> {pool}/guest-sda" in answer.errors and f"<source file='{pool}/guest-sda'/>" in answer.out
    config.write_text(config.read_text().replace("bootloader = 'pygrub'", "type = 'hvm'"))
    plan = convert("-i", "xl", config, "-os", "kvm", "--plan", "--output", "json", uri=host.uri).json
    assert [disk["path"] for disk in plan["disks"]] == [f"{pool}/guest-sd{letter}" for letter in "abc"] and plan["left"] == []
    assert os.listdir(pool) == [] and not connection.listAllDomains()
    (pool / "guest-sdb").write_bytes(b"")
    assert "is there already" in convert("-i", "xl", config, "-os", "kvm", "--plan", uri=host.uri, ok=False).errors


def test_too_little_room_is_said_beforehand(host, connection, guest, pool, tmp_path):
    config, images = guest
    huge = image(tmp_path / "huge.qcow2", "qcow2", "200T")
    config.write_text(config.read_text().replace(str(images[1]), str(huge)))
    words = ["-i", "xl", config, "-os", "kvm", "-of", "qcow2"]
    assert "has room for" in convert(*words, "-oa", "preallocated", uri=host.uri, ok=False).errors
    assert os.listdir(pool) == []


def test_what_lies_in_the_pool_is_not_copied(host, connection, tmp_path, pool):
    path = image(pool / "mine.qcow2", "qcow2")
    config = tmp_path / "g.cfg"
    config.write_text(f"name = 'g'\nmemory = 64\ndisk = [ '{path},qcow2,xvda,w' ]\n")
    assert "used where it is" in convert("-i", "xl", config, "-os", "kvm", uri=host.uri).errors
    assert os.listdir(pool) == ["mine.qcow2"]
    assert ElementTree.fromstring(connection.lookupByName("g").XMLDesc()).find(".//disk/source").get("file") == str(path)


def test_from_a_daemon(host, connection, guest, pool):
    config, images = guest
    xml = godwit("convert", "-i", "xl", config, "--xml-only", "--virt-type", "qemu").out
    source = connection.defineXML(xml)
    words = ("guest", "-i", "libvirt", "-ic", host.uri, "-os", "kvm")
    assert "choose another name (-on)" in convert(*words, uri=host.uri, ok=False).errors
    convert(*words, "-on", "copy", "--network", "default", uri=host.uri)
    copy = connection.lookupByName("copy")
    assert copy.UUIDString() != source.UUIDString()
    assert ElementTree.fromstring(copy.XMLDesc()).find(".//interface/source").get("network") == "default"


TAKEN = "4f1c0a3c-3b39-4fd4-8b70-5d0e3b3d3d3d"


@pytest.mark.parametrize("fault, message", [
    ("missing", "cannot read"), ("damaged", "'qemu-img convert' failed"), ("refused", "cannot define domain 'guest'"),
    ("taken", "is there already"), ("uuid", "a domain with the UUID of 'guest'")])
def test_a_failure_leaves_nothing(host, connection, guest, pool, tmp_path, fault, message):
    config, images = guest
    other = tmp_path / "other"
    text = config.read_text()
    if fault == "damaged":
        other.write_bytes(b"QFI\xfb" + bytes(4096))
    if fault in ("damaged", "missing"):
        config.write_text(text.replace(str(images[1]), str(other)))
    elif fault == "taken":
        (pool / "guest-sdb").write_bytes(b"somebody's")
    elif fault == "uuid":
        connection.defineXML(f"<domain type='qemu'><name>other</name><uuid>{TAKEN}</uuid><memory>65536</memory>"
                             "<os><type>hvm</type></os></domain>")
        config.write_text(f"{text}uuid = '{TAKEN}'\n")
    xml = godwit("convert", "-i", "xl", config, "--print-source").out
    if fault == "refused": # by the daemon at the end: this host has no emulator for it
        xml = xml.replace("x86_64", "sparc64")
    before = sorted(os.listdir(pool))
    answer = convert("-i", "libvirtxml", "-", "-os", "kvm", uri=host.uri, ok=False, stdin=xml)
    assert message in answer.errors
    assert sorted(os.listdir(pool)) == before
    assert "guest" not in [domain.name() for domain in connection.listAllDomains()]


def cut_off(words, uri, wrapper, number=signal.SIGKILL):
    """Runs a conversion with a qemu-img of our own that stops in the second copy, and ends it there with a signal."""
    env = dict(os.environ, PATH=f"{wrapper}:{os.environ['PATH']}")
    process = subprocess.Popen([GODWIT, "-c", uri, "convert", *words, "--virt-type", "qemu"], env=env, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not os.path.exists(f"{wrapper}/stopped"):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(60) != 0


def stopping_until(tmp_path):
    """A directory with a qemu-img that makes the second copy wait until there is a file "go" in it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "qemu-img"
    script.write_text(f"#!/bin/sh\ncase \"$*\" in *sdb.part)\n  touch {folder}/stopped\n  until [ -e {folder}/go ]; do sleep 0.1; done;;\n"
                      "esac\nexec /usr/bin/qemu-img \"$@\"\n")
    script.chmod(0o755)
    return folder


@pytest.fixture
def stopping(tmp_path):
    """A directory with a qemu-img that makes the second copy wait."""
    return stopping_until(tmp_path)


def test_killed_then_resumed(host, connection, guest, pool, stopping):
    config, images = guest
    words = ["-i", "xl", str(config), "-os", "kvm", "-on", "r"]
    cut_off(words, host.uri, stopping)
    assert ".r-sda.part" in os.listdir(pool) and ".r.convert" in os.listdir(pool)
    assert "--resume or take it back by --abort" in convert(*words, uri=host.uri, ok=False).errors
    first = os.stat(pool / ".r-sda.part").st_ino
    godwit("convert", "r", "-os", "kvm", "--resume", uri=host.uri)
    assert sorted(os.listdir(pool)) == ["r-sda", "r-sdb", "r-sdc"]
    assert os.stat(pool / "r-sda").st_ino == first, "what was copied is not copied again"
    assert same(images[1], "qcow2", pool / "r-sdb", "qcow2")
    connection.lookupByName("r")
    assert "there is no unfinished conversion to 'r'" in godwit("convert", "r", "-os", "kvm", "--resume", uri=host.uri, ok=False).errors


def change(path):
    """Writes to an image, as a guest that runs once more; what it was is kept beside it."""
    subprocess.run(["cp", path, f"{path}.before"], check=True)
    subprocess.run(["qemu-io", "-f", "raw", "-c", "write -P 0xa5 2M 64k", path], check=True, stdout=subprocess.DEVNULL)


def restore(path):
    os.rename(f"{path}.before", path)


def kept(pool):
    """What is there but the lock, which a process that was killed leaves."""
    return sorted(name for name in os.listdir(pool) if not name.endswith(".lock"))


def test_resumed_after_a_source_has_changed(host, connection, guest, pool, stopping):
    """Disks of yesterday beside disks of today are no guest: what was copied from a source that changed since is copied again."""
    config, images = guest
    cut_off(["-i", "xl", str(config), "-os", "kvm", "-on", "r"], host.uri, stopping)
    change(images[0])
    answer = godwit("convert", "r", "-os", "kvm", "--resume", uri=host.uri)
    assert same(images[0], "raw", pool / "r-sda", "raw") and not same(f"{images[0]}.before", "raw", pool / "r-sda", "raw")
    assert "disk vda" in answer.errors and str(images[0]) in answer.errors and "copied anew" in answer.errors
    assert sorted(os.listdir(pool)) == ["r-sda", "r-sdb", "r-sdc"]
    restore(images[0])


def test_resumed_when_a_source_is_gone(host, connection, guest, pool, stopping):
    """The copy is the only one there is: it is refused, and nothing is removed."""
    config, images = guest
    cut_off(["-i", "xl", str(config), "-os", "kvm", "-on", "r"], host.uri, stopping)
    os.rename(images[0], f"{images[0]}.before")
    before = kept(pool)
    answer = godwit("convert", "r", "-os", "kvm", "--resume", uri=host.uri, ok=False)
    restore(images[0])
    assert f"'{images[0]}'" in answer.errors and "'vda'" in answer.errors and "--abort" in answer.errors
    assert kept(pool) == before
    journal = json.loads((pool / ".r.convert").read_text())
    del journal["disks"][0]["mark"]   # as a device has none
    (pool / ".r.convert").write_text(json.dumps(journal))
    assert "copied anew, because nothing tells" in godwit("convert", "r", "-os", "kvm", "--resume", uri=host.uri).errors
    assert same(images[0], "raw", pool / "r-sda", "raw")


def test_a_source_that_changes_while_it_is_copied(host, guest, pool, tmp_path):
    """Somebody started the guest meanwhile: what was copied is of two times."""
    config, images = guest
    folder = stopping_until(tmp_path)
    process = subprocess.Popen([GODWIT, "-c", host.uri, "convert", "-i", "xl", config, "-os", "kvm", "--virt-type", "qemu"],
                               env=dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}"), stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    wait_until(lambda: (folder / "stopped").exists(), timeout=60, what="the second copy")
    change(images[0])
    (folder / "go").touch()
    errors = process.communicate(timeout=60)[1]
    restore(images[0])
    assert process.returncode != 0 and f"'{images[0]}'" in errors and "shut down" in errors, errors
    assert os.listdir(pool) == []


def test_changed_sources_when_all_was_copied(host, connection, guest, pool, stopping):
    """Its copies are of one time, but not of this: nobody loses what a guest wrote since without a word."""
    config, images = guest
    cut_off(["-i", "xl", str(config), "-os", "kvm", "-on", "r"], host.uri, stopping)
    journal = move_on(pool, "placing")
    before = kept(pool)
    change(images[0])
    errors = godwit("convert", "r", "-os", "kvm", "--resume", uri=host.uri, ok=False).errors
    assert f"'{images[0]}'" in errors and "--abort" in errors and kept(pool) == before
    for disk in journal["disks"][1:]:
        os.rename(disk["part"], disk["path"])
    journal["phase"] = "publishing"
    (pool / ".r.convert").write_text(json.dumps(journal))
    errors = godwit("convert", "r", "-os", "kvm", "--resume", uri=host.uri).errors
    restore(images[0])
    assert "left to do" in errors and str(images[0]) in errors
    assert same(images[0], "raw", pool / "r-sda", "raw")


def test_a_damaged_journal_names_itself_and_the_remedy(host, guest, pool, stopping):
    config, _ = guest
    words = ["-i", "xl", str(config), "-os", "kvm", "-on", "r"]
    cut_off(words, host.uri, stopping)
    for text in ["rubbish", "", "{}", "[1]"]:
        (pool / ".r.convert").write_text(text)
        for way in ["--resume", "--abort"]:
            errors = godwit("convert", "r", "-os", "kvm", way, uri=host.uri, ok=False).errors
            assert f"{pool}/.r.convert" in errors and "damaged" in errors and f"{pool}/.r-sd" in errors and "remove" in errors, errors
    for name in os.listdir(pool):   # what it says
        os.unlink(pool / name)
    convert(*words, uri=host.uri)
    assert sorted(os.listdir(pool)) == ["r-sda", "r-sdb", "r-sdc"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_takes_everything_back(host, connection, guest, pool, stopping, number):
    config, _ = guest
    cut_off(["-i", "xl", str(config), "-os", "kvm", "-on", "r"], host.uri, stopping, number)
    assert os.listdir(pool) == []


def test_interrupted_while_it_publishes_it_finishes(host, connection, guest, pool, tmp_path):
    """The daemon stands still with the request; what it will make of it cannot be taken back."""
    config, _ = guest
    daemon = host.pid
    process = subprocess.Popen([GODWIT, "-c", host.uri, "convert", "-i", "xl", config, "-os", "kvm", "-on", "r", "--virt-type", "qemu"],
                               env=dict(os.environ, PATH=f"{stopping_until(tmp_path)}:{os.environ['PATH']}"),
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: (tmp_path / "bin" / "stopped").exists(), timeout=60, what="the second copy")
    os.kill(daemon, signal.SIGSTOP)
    try:
        (tmp_path / "bin" / "go").touch()
        wait_until(lambda: json.loads((pool / ".r.convert").read_text())["phase"] == "publishing", timeout=20, what="publishing")
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
    finally:
        os.kill(daemon, signal.SIGCONT)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 0, errors
    assert sorted(os.listdir(pool)) == ["r-sda", "r-sdb", "r-sdc"]
    connection.lookupByName("r")


def test_killed_then_aborted(host, connection, guest, pool, stopping):
    config, _ = guest
    cut_off(["-i", "xl", str(config), "-os", "kvm", "-on", "r"], host.uri, stopping)
    godwit("convert", "r", "-os", "kvm", "--abort", uri=host.uri)
    assert os.listdir(pool) == []


def move_on(pool, phase):
    """Copies what is left and gives the disks their names, so far that the journal, which is returned, is of that phase."""
    journal = json.loads((pool / ".r.convert").read_text())
    journal["phase"] = phase
    for number, disk in enumerate(journal["disks"]):
        subprocess.run(["qemu-img", "convert", "-f", disk["source-format"], "-O", disk["format"], disk["source"], disk["part"]], check=True)
        disk["done"] = True
        if phase == "publishing" or number == 0:
            os.rename(disk["part"], disk["path"])
    (pool / ".r.convert").write_text(json.dumps(journal))
    return journal


@pytest.mark.parametrize("phase", ["placing", "publishing"])
@pytest.mark.parametrize("way", ["--resume", "--abort"])
def test_cut_off_later(host, connection, guest, pool, stopping, phase, way):
    """The journal of a later phase, as a crash there leaves it: some disks have their names, the domain may be defined."""
    config, images = guest
    cut_off(["-i", "xl", str(config), "-os", "kvm", "-on", "r"], host.uri, stopping)
    journal = move_on(pool, phase)
    if phase == "publishing":
        connection.defineXML(journal["xml"])
    godwit("convert", "r", "-os", "kvm", way, uri=host.uri)
    if way == "--abort":
        assert os.listdir(pool) == []
        assert "r" not in [domain.name() for domain in connection.listAllDomains()]
    else:
        assert sorted(os.listdir(pool)) == ["r-sda", "r-sdb", "r-sdc"] and same(images[2], "vpc", pool / "r-sdc", "raw")
        assert connection.lookupByName("r").UUIDString() == journal["uuid"]


def test_a_guest_that_was_started_keeps_its_disks(host, connection, guest, pool, stopping):
    """The crash left nothing to do but to remove the journal; its owner changed the domain and started it."""
    config, _ = guest
    config.write_text("".join(line for line in config.read_text().splitlines(True) if not line.startswith("vif")))
    cut_off(["-i", "xl", str(config), "-os", "kvm", "-on", "r"], host.uri, stopping)
    domain = connection.defineXML(move_on(pool, "publishing")["xml"])
    guests.made_uuids.add(domain.UUIDString())
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "mine", None, None)
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    try:
        errors = godwit("convert", "r", "-os", "kvm", "--abort", uri=host.uri, ok=False).errors
        again = convert("-i", "xl", config, "-os", "kvm", "-on", "r", uri=host.uri, ok=False)
        assert "is converted and defined already" in again.errors, "the guest may have been used: --abort is no equal choice"
        assert "domain 'r' runs" in errors and "--resume" in errors
        assert sorted(os.listdir(pool)) == [".r.convert", "r-sda", "r-sdb", "r-sdc"] and domain.isActive() and domain.isPersistent()
        godwit("convert", "r", "-os", "kvm", "--resume", uri=host.uri)
        assert sorted(os.listdir(pool)) == ["r-sda", "r-sdb", "r-sdc"] and domain.isActive()
        title = domain.metadata(libvirt.VIR_DOMAIN_METADATA_TITLE, None, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
        assert title == "mine", "a domain that is there is not defined again"
    finally:
        domain.destroy()


@pytest.mark.parametrize("words, message", [
    (["-os", "nopool"], "cannot find the storage pool 'nopool'"), (["-os", "h.example.com:/export"], "a directory of another host"),
    (["-o", "rhv"], "-o is libvirt"), (["-of", "vmdk", "-os", "kvm"], "-of is raw or qcow2"),
    (["-oa", "thick", "-os", "kvm"], "-oa is sparse or preallocated"), (["-os", "/nonexistent"], "/nonexistent"), (["-o", "local"], "-os DIR"),
    (["-oc", "qemu+tcp://h/system", "-os", "kvm"], "run the conversion there")])
def test_errors(host, guest, pool, words, message):
    assert message in convert("-i", "xl", guest[0], *words, uri=host.uri, ok=False).errors
    assert os.listdir(pool) == []


def test_a_converted_guest_starts_with_a_console(host, connection, pool, tmp_path):
    """A paravirtual guest with a kernel of its own that has virtio: it finds its disk under the new name and speaks on ttyS0."""
    folder = guests.build()
    disk = guests.disk_image(tmp_path / "d.img")
    config = tmp_path / "pv.cfg"
    config.write_text(f"name = 'pv'\nmemory = 128\nkernel = '{folder}/kernel'\nramdisk = '{folder}/initrd'\n"
                      f"extra = 'root=/dev/xvda1 console=hvc0 nowatchdog quiet hb=50 disk=20'\ndisk = [ '{disk},raw,xvda,w' ]\n")
    convert("-i", "xl", config, "-os", "kvm", uri=host.uri)
    domain = connection.lookupByName("pv")
    guests.made_uuids.add(domain.UUIDString())
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    try:
        stream = connection.newStream(libvirt.VIR_STREAM_NONBLOCK)
        domain.openConsole(None, stream, 0)
        domain.resume()
        seen = bytearray()

        def spoke():
            got = stream.recv(4096)
            if isinstance(got, bytes):
                seen.extend(got)
            return seen.count(b"\n") > 3
        wait_until(spoke, timeout=120, what="lines of the guest on its serial console", step=0.1)
        stream.abort()
        wait_until(lambda: any((pool / "pv-sda").read_bytes()), timeout=60, what="what the guest writes to /dev/vda", step=0.2)
        assert not any((tmp_path / "d.img").read_bytes())
    finally:
        domain.destroy()
