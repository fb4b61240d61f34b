# SPDX-License-Identifier: LGPL-2.1-or-later
"""--offline: a guest that does not run is moved as its definition, with what its firmware remembers."""
import os
import shutil
import socket
import subprocess

import libvirt
import pytest

from helpers import guest
from helpers.cli import GODWIT, godwit
from helpers.tools import long, run, table, virsh, wait_until
from helpers.traveller import ROUTE

pytestmark = pytest.mark.godwit
OFFLINE = ["--offline", "--persistent"]


@pytest.fixture
def settled(two_hosts, scratch):
    """A defined guest with NVRAM, and the same with another place for that on the destination."""
    here, there = f"{scratch}/here.fd", f"{scratch}/there.fd"
    for path in (here, there):
        if os.path.exists(path):
            os.unlink(path)
    with open(here, "wb") as out:
        out.write(bytes(range(256)) * 2064)     # 528 KiB
    connection = libvirt.open(two_hosts[0].uri)
    xml = guest.domain_xml("settled", boot=False, serial=None, machine="q35").replace(
        "hvm</type>", "hvm</type><loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>"
        f"<nvram>{here}</nvram>")
    connection.defineXML(xml)
    connection.close()
    changed = f"{scratch}/changed.xml"
    with open(changed, "w") as out:
        out.write(virsh(two_hosts[0], "dumpxml", "--inactive", "settled").text.replace(here, there))
    yield changed, here, there
    for host in two_hosts:
        virsh(host, "undefine", "--keep-nvram", "settled", ok=None)


def defined(host):
    return virsh(host, "list", "--all", "--name").text.split()


def same(one, other):
    with open(one, "rb") as a, open(other, "rb") as b:
        return a.read() == b.read()


@pytest.mark.parametrize("words", [[], ["--p2p"]], ids=["direct", "p2p"])
def test_definition_and_nvram(two_hosts, settled, words):
    changed, here, there = settled
    virsh(two_hosts[0], "migrate", *OFFLINE, "--undefinesource", *words, "--xml", changed, "settled",
          two_hosts[1].tcp_uri, *ROUTE)
    assert [defined(host) for host in two_hosts] == [[], ["settled"]]
    assert there in virsh(two_hosts[1], "dumpxml", "settled").text
    assert same(here, there)


def test_own_client(two_hosts, settled):
    changed, here, there = settled
    godwit("migrate", "settled", two_hosts[1].tcp_uri, *OFFLINE, "--xml", changed, *ROUTE, uri=two_hosts[0].uri)
    assert [defined(host) for host in two_hosts] == [["settled"], ["settled"]]
    assert same(here, there)


def test_what_does_not_fit(two_hosts, settled):
    source, target = two_hosts
    assert "--persistent" in virsh(source, "migrate", "--offline", "settled", target.tcp_uri, *ROUTE, ok=False).errors
    answer = virsh(source, "migrate", *OFFLINE, "--copy-storage-all", "settled", target.tcp_uri, *ROUTE, ok=False)
    assert "storage" in answer.errors, answer
    virsh(source, "start", "settled")
    assert "settled" in virsh(source, "migrate", *OFFLINE, "settled", target.tcp_uri, *ROUTE, ok=False).errors
    virsh(source, "destroy", "settled")
    assert [defined(host) for host in two_hosts] == [["settled"], []]


# -- with its disks ----------------------------------------------------------------------------------------------------

DISKS = [*OFFLINE, "--copy-storage-all"]


@pytest.fixture
def owner(two_hosts, scratch, folder):
    """A defined guest with a raw and a qcow2 disk of 64 MiB, little of which is written; --xml for the destination."""
    here, there = f"{folder}/here", f"{folder}/there"
    os.mkdir(here)
    os.mkdir(there)
    disks = ""
    for name, kind in (("vda", "raw"), ("vdb", "qcow2")):
        path = f"{here}/{name}.{kind}"
        run("qemu-img", "create", "-f", kind, path, "64M")
        run("qemu-io", "-f", kind, "-c", "write -P 0x5a 1M 512k", "-c", "write -P 0xa5 40M 64k", path)
        disks += (f"<disk type='file' device='disk'><driver name='qemu' type='{kind}'/><source file='{path}'/>"
                  f"<target dev='{name}' bus='virtio'/></disk>")
    connection = libvirt.open(two_hosts[0].uri)
    connection.defineXML(guest.bare_xml("settled", devices=disks))
    connection.close()
    changed = f"{folder}/changed.xml"
    with open(changed, "w") as out:
        out.write(virsh(two_hosts[0], "dumpxml", "--inactive", "settled").text.replace(here, there))
    yield here, there, ["--xml", changed, "--persistent-xml", changed]
    for host in two_hosts:
        virsh(host, "destroy", "settled", ok=None)
        virsh(host, "undefine", "settled", ok=None)


def take(hosts, words, *more, **options):
    return godwit("migrate", "settled", hosts[1].tcp_uri, *DISKS, *words, *more, *ROUTE, uri=hosts[0].uri, timeout=120,
                  **options)


def states(hosts):
    return [virsh(host, "domstate", "settled", ok=None).text for host in hosts]


def test_disks_travel(two_hosts, owner):
    here, there, words = owner
    answer = take(two_hosts, words, "--verbose", "--undefinesource")
    assert "100 %" in answer.errors
    assert states(two_hosts) == ["", "shut off"]
    assert there in virsh(two_hosts[1], "dumpxml", "settled").text
    for name in ("vda.raw", "vdb.qcow2"):
        assert run("qemu-img", "compare", f"{here}/{name}", f"{there}/{name}").status == 0
        assert os.stat(f"{there}/{name}").st_blocks * 512 < 8 << 20, f"{name} is not sparse any more"
    virsh(two_hosts[1], "start", "--paused", "settled")


def test_chosen_disks_and_refusals(two_hosts, owner):
    here, there, words = owner
    assert "--p2p" in take(two_hosts, words, "--p2p", ok=False).errors
    with socket.create_server(("127.0.0.1", 0)) as taken:       # it fails on the destination, after the images were made
        take(two_hosts, words, "--disks-port", taken.getsockname()[1], ok=False)
    assert states(two_hosts) == ["shut off", ""] and os.listdir(there) == []
    shutil.copy(f"{here}/vdb.qcow2", there)
    take(two_hosts, words, "--migrate-disks", "vda")
    assert states(two_hosts) == ["shut off", "shut off"]
    assert sorted(os.listdir(there)) == ["vda.raw", "vdb.qcow2"]


def test_resumed_meanwhile(two_hosts, owner):
    """It is off, and nobody can let it run while it is copied."""
    here, there, words = owner
    mover = subprocess.Popen([GODWIT, "-c", two_hosts[0].uri, "migrate", "settled", two_hosts[1].tcp_uri, *DISKS, *words, *ROUTE,
                              "--bandwidth", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: table(virsh(two_hosts[0], "domjobinfo", "settled", ok=None).text).get("File total"), timeout=60, step=0.1,
               what="the copy")
    for word in ("resume", "reset"):
        assert "only its disks are being moved (--offline)" in virsh(two_hosts[0], word, "settled", ok=False).errors
    assert states(two_hosts)[0] == "paused"
    virsh(two_hosts[0], "migrate-setspeed", "settled", "1000")
    out, errors = mover.communicate(timeout=120)
    assert mover.returncode == 0 and "warning" not in errors, errors
    assert "'settled' is shut off on" in out, out
    assert states(two_hosts) == ["shut off", "shut off"]
    virsh(two_hosts[0], "start", "--paused", "settled")
    virsh(two_hosts[0], "resume", "settled")        # what held it was of that move alone


@pytest.mark.parametrize("cut", ["abort", long("client"), long("source"), long("destination")])
def test_cut_off(two_hosts, owner, cut):
    """Aborted, or one of the three killed: the source has it, at rest, and the destination nothing."""
    here, there, words = owner
    mover = subprocess.Popen([GODWIT, "-c", two_hosts[0].uri, "migrate", "settled", two_hosts[1].tcp_uri, *DISKS, *words, *ROUTE,
                              "--bandwidth", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: table(virsh(two_hosts[0], "domjobinfo", "settled", ok=None).text).get("File total"), timeout=60, step=0.1,
               what="the copy")
    assert "already active" in virsh(two_hosts[0], "start", "settled", ok=False).errors
    if cut == "abort":
        virsh(two_hosts[0], "domjobabort", "settled")
    elif cut == "client":
        mover.kill()
    else:
        host = two_hosts[cut == "destination"]
        host.kill()
        host.start()
    mover.communicate(timeout=120)
    assert mover.returncode != 0
    wait_until(lambda: states(two_hosts) == ["shut off", ""], timeout=60, step=0.2, what="the guest at rest on the source")
    wait_until(lambda: os.listdir(there) == [], timeout=60, what="the end of what had arrived")
