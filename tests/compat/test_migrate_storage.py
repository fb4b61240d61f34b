# SPDX-License-Identifier: LGPL-2.1-or-later
"""Migration of guests whose disks are not shared: the destination makes the images, the source copies what is in them while
the guest writes, and whatever fails leaves nothing behind."""
import json
import os
import re
import signal
import subprocess
import time

import pytest

from helpers import guest
from helpers.cli import godwit
from helpers.tools import long, run, table, virsh, wait_until
from helpers.traveller import ROUTE, RUNNING, SHUTOFF, Traveller

pytestmark = pytest.mark.godwit
ALL = ["--live", "--copy-storage-all"]


class Carrier(Traveller):
    """A traveller that takes its disk along. Both hosts see the same files, so the copy has another path."""

    def __init__(self, hosts, line, scratch, **options):
        self.folder = f"{scratch}/there{os.path.basename(line.path)}"
        os.mkdir(self.folder)
        self.copy = f"{self.folder}/copy.img"
        super().__init__(hosts, line, **options)

    def xml(self, host=None, copy=None):
        """For --xml: the guest with its disk where the destination has it."""
        text = virsh(host or self.source, "dumpxml", "--migratable", self.name).text
        path = f"{self.folder}/guest.xml"
        with open(path, "w") as out:
            out.write(re.sub(r"(<source file=)'[^']*\.(raw|img|qcow2)'", rf"\1'{copy or self.copy}'", text, count=1))
        return ["--xml", path]

    def ends(self, image=None):
        for host in (self.source, self.target):
            virsh(host, "destroy", self.name, ok=None)
        image = image or self.copy
        if json.loads(run("qemu-img", "info", "--output", "json", image).text)["format"] != "raw":
            run("qemu-img", "convert", "-O", "raw", image, f"{image}.plain")
            image += ".plain"
        assert guest.check_disk(image) >= guest.acknowledged_block(self.line.texts())

    def start_slowly(self, *words):
        """A migration whose copy takes long, once that has begun."""
        mover = subprocess.Popen(["virsh", "-c", self.source.uri, "migrate", *ALL, "--bandwidth", "1", *words, *self.xml(),
                                  self.name, self.target.tcp_uri, *ROUTE],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: table(virsh(self.source, "domjobinfo", self.name).text).get("File total"), timeout=20,
                   what="the copy", step=0.1)
        return mover

    def stays(self):
        """The source goes on alone; no image, job, node or file is left of the attempt."""
        wait_until(lambda: self.states() == [RUNNING, None], timeout=30, step=0.1, what="the source alone has the guest")
        wait_until(lambda: not os.path.exists(self.copy), what="the image that was made is gone again")
        wait_until(lambda: table(virsh(self.source, "domjobinfo", self.name).text)["Job type"] == "None",
                   timeout=30, what="the job's end")
        assert self.monitor("query-jobs") == []
        assert not [node for node in self.monitor("query-named-block-nodes") if node["drv"] == "nbd"]
        left = os.listdir(f"{self.target.root}/run/godwit/domains")
        assert not left, f"files are left on the destination: {left}"
        self.lives()

    def monitor(self, command):
        return json.loads(virsh(self.source, "qemu-monitor-command", self.name, json.dumps({"execute": command})).text)["return"]

    def moves_now(self):
        self.migrate(*ALL, *self.xml())
        assert self.states() == [SHUTOFF, RUNNING]
        self.lives()
        self.ends()


@pytest.fixture
def carrier(two_hosts, line, scratch):
    return Carrier(two_hosts, line, scratch)


def test_copy_all_and_back(two_hosts, carrier):
    """The image is made, stays sparse, has every block; then back, peer to peer."""
    with open(carrier.disk, "r+b") as disk:
        disk.truncate(16 << 20)
    carrier.migrate(*ALL, "--verbose", *carrier.xml())
    assert carrier.states() == [SHUTOFF, RUNNING]
    assert carrier.copy in virsh(two_hosts[1], "domblklist", "traveller").text
    assert os.stat(carrier.copy).st_size == 16 << 20
    assert os.stat(carrier.copy).st_blocks * 512 < 4 << 20, "the copy has lost its holes"
    done = table(virsh(two_hosts[1], "domjobinfo", "--completed", "traveller").text)
    assert "File total" in done and "Memory total" in done
    carrier.lives()
    back = f"{carrier.folder}/back.img"
    virsh(two_hosts[1], "migrate", *ALL, "--p2p", *carrier.xml(two_hosts[1], back), "traveller", two_hosts[0].tcp_uri, *ROUTE)
    carrier.lives()
    carrier.ends(back)


@pytest.mark.parametrize("words", [["--copy-storage-synchronous-writes"], long(["--disks-port", "{port}"]),
                                   long(["--disks-uri", "tcp://127.0.0.1:{port}"]),
                                   long(["--disks-uri", "unix://{folder}/nbd"]), ["--migrate-disks", "vda"]],
                         ids=["synchronous", "port", "tcp", "unix", "disks"])
def test_ways_to_copy(two_hosts, carrier, words):
    words = [word.format(port=two_hosts[1].migration_ports[1] - 1, folder=carrier.folder) for word in words]
    carrier.migrate(*ALL, *words, *carrier.xml())
    assert carrier.states() == [SHUTOFF, RUNNING]
    carrier.lives()
    carrier.ends()


@pytest.mark.parametrize("words", [[], long(["--p2p"])], ids=["direct", "p2p"])
def test_own_client(two_hosts, carrier, words):
    answer = godwit("migrate", "traveller", two_hosts[1].tcp_uri, *ALL, "--verbose", *words, *carrier.xml(), *ROUTE,
                    uri=two_hosts[0].uri, timeout=120)
    assert "100 %" in answer.errors
    assert carrier.states() == [SHUTOFF, RUNNING]
    carrier.lives()
    carrier.ends()


def qcow2_disk(folder, name, *words):
    path = f"{folder}/{name}.qcow2"
    done = run("qemu-img", "create", "-q", "-f", "qcow2", *words, path, "16M")
    assert done.status == 0, done
    return path


def with_disk(path, extra=""):
    return {"devices": "<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/>"
            f"<source file='{path}'/><target dev='vda' bus='virtio'/></disk>{extra}", "disk": False}


def test_qcow2_and_a_disk_that_stays(two_hosts, line, scratch):
    """One disk is copied, as qcow2; the other is shared and is not touched."""
    shared = guest.disk_image(f"{line.path}.shared")
    second = (f"<disk type='file' device='disk'><driver name='qemu' type='raw' cache='none'/><source file='{shared}'/>"
              "<target dev='vdb' bus='virtio'/></disk>")
    carrier = Carrier(two_hosts, line, scratch, **with_disk(qcow2_disk(scratch, "own"), second))
    carrier.migrate(*ALL, "--migrate-disks", "vda", *carrier.xml())
    assert carrier.states() == [SHUTOFF, RUNNING]
    carrier.lives()
    assert shared in virsh(two_hosts[1], "domblklist", "traveller").text
    assert "file format: qcow2" in run("qemu-img", "info", "-U", carrier.copy).text
    carrier.ends()


def test_incremental(two_hosts, line, scratch):
    """Only the top layer is copied; the new image lies over the backing image that both hosts have."""
    base = guest.disk_image(f"{line.path}.base")
    with open(base, "r+b") as out:
        out.seek(8 << 20)
        out.write(b"x" * (4 << 20))
    top = qcow2_disk(scratch, "top", "-b", base, "-F", "raw")
    carrier = Carrier(two_hosts, line, scratch, **with_disk(top))
    carrier.migrate("--live", "--copy-storage-inc", *carrier.xml())
    assert carrier.states() == [SHUTOFF, RUNNING]
    carrier.lives()
    info = json.loads(run("qemu-img", "info", "-U", "--output", "json", carrier.copy).text)
    assert info["full-backing-filename"] == base
    assert os.stat(carrier.copy).st_blocks * 512 < 4 << 20, "the base was copied, too"
    carrier.ends()


def test_progress_and_abort(two_hosts, carrier):
    with open(carrier.disk, "r+b") as disk:      # content to copy
        disk.seek(4 << 20)
        disk.write(os.urandom(12 << 20))
    mover = carrier.start_slowly("--verbose")
    info = table(virsh(two_hosts[0], "domjobinfo", "traveller").text)
    assert info["Job type"] == "Unbounded" and info["Operation"] == "Outgoing migration"
    assert float(info["File total"].split()[0]) >= 12 and "File remaining" in info and "Memory total" in info
    assert os.path.exists(carrier.copy)
    virsh(two_hosts[0], "domjobabort", "traveller")
    _, errors = mover.communicate(timeout=30)
    assert mover.returncode != 0 and "aborted" in errors, errors
    carrier.stays()
    mover = carrier.start_slowly()
    virsh(two_hosts[0], "migrate-setspeed", "traveller", "2000")
    assert mover.wait(60) == 0, mover.stderr.read()
    assert carrier.states() == [SHUTOFF, RUNNING]
    carrier.lives()
    carrier.ends()


@pytest.mark.parametrize("victim", [long("source"), long("qemu"), long("destination"), long("client")])
def test_death_while_copying(two_hosts, carrier, victim):
    with open(carrier.disk, "r+b") as disk:
        disk.seek(4 << 20)
        disk.write(os.urandom(12 << 20))
    mover = carrier.start_slowly()
    if victim == "qemu":
        uuid = virsh(two_hosts[0], "domuuid", "traveller").text
        with open(f"{two_hosts[1].root}/run/godwit/domains/{uuid}.json") as file:
            os.kill(json.load(file)["pid"], signal.SIGKILL)
    elif victim == "client":
        mover.kill()
    else:
        host = two_hosts[victim == "destination"]
        host.kill()
        if victim == "destination":
            virsh(two_hosts[0], "domjobabort", "traveller")
        host.start()
    mover.communicate(timeout=60)
    assert mover.returncode != 0
    carrier.stays()
    carrier.moves_now()


@pytest.mark.full       # tests/fault/test_migration_matrix.py has it by default, with a client of its own
def test_disk_full_on_the_destination(two_hosts, carrier):
    run("mount", "-t", "tmpfs", "-o", "size=2m", "none", carrier.folder)
    with open(carrier.disk, "r+b") as disk:
        disk.seek(4 << 20)
        disk.write(os.urandom(8 << 20))
    try:
        answer = carrier.migrate(*ALL, *carrier.xml(), ok=False)
        assert "disk vda" in answer.errors and "No space left" in answer.errors, answer
        carrier.stays()
    finally:
        run("umount", "-l", carrier.folder)
    carrier.moves_now()


def test_what_cannot_be_copied_is_named(two_hosts, carrier):
    source = two_hosts[0]
    for words, said in ((["--migrate-disks", "vdz"], "no disk vdz"),
                        (["--disks-uri", "ftp://x"], "must be tcp://"),
                        (["--disks-port", "70000"], "at most 65535")):
        answer = carrier.migrate(*ALL, *words, *carrier.xml(), ok=False)
        assert said in answer.errors, answer
    assert "--copy-storage" in carrier.migrate("--live", "--migrate-disks", "vda", ok=False).errors
    guest.disk_image(carrier.copy, mib=8)
    answer = carrier.migrate(*ALL, *carrier.xml(), ok=False)
    assert "16777216" in answer.errors and "8388608" in answer.errors, answer
    assert os.path.exists(carrier.copy), "an image that was there before was removed"
    os.unlink(carrier.copy)
    answer = carrier.migrate(*ALL, *carrier.xml(copy=f"{carrier.folder}/none/x.img"), ok=False)
    assert "none/x.img" in answer.errors, answer
    answer = carrier.migrate(*ALL, ok=False)        # onto itself
    assert "cannot be written to" in answer.errors and "lock" in answer.errors, answer
    assert virsh(source, "domstate", "traveller").text == "running"
    carrier.stays()
