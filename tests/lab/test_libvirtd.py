# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way in for people who run libvirt today, and the way back: a guest moves live between Debian's libvirtd and godwitd,
driven by stock virsh, by either daemon (--p2p), and by godwit."""
import re
import subprocess
import time

import libvirt
import pytest

from helpers import guest
from helpers.cli import godwit
from helpers.tools import table, virsh, wait_until
from helpers.traveller import PAUSED, ROUTE, RUNNING, SHUTOFF, Traveller

WAYS = pytest.mark.parametrize("way", [[], ["--p2p"]], ids=["direct", "p2p"])
SHORT_WAYS = pytest.mark.parametrize("way", [pytest.param([], marks=pytest.mark.full), ["--p2p"]], ids=["direct", "p2p"])
DIRECTIONS = pytest.mark.parametrize("hosts", ["from-libvirtd", "from-godwitd"], indirect=True)


@pytest.fixture
def hosts(mixed_hosts, request):
    """Source and target: libvirtd and godwitd, or the other way round."""
    return mixed_hosts[::-1] if getattr(request, "param", None) == "from-godwitd" else mixed_hosts


@pytest.fixture(scope="module")
def emulator(scratch):
    return guest.exact_emulator(f"{scratch}/qemu")


@pytest.fixture
def traveller(hosts, line, emulator):
    return Traveller(hosts, line, emulator=emulator, memory_kib=guest.ROUNDED_KIB)


def stays(traveller):
    """The source has the guest and goes on with it, the target has nothing; a second try succeeds."""
    wait_until(lambda: traveller.states() == [RUNNING, None], timeout=20, what="the source alone has the guest")
    assert len(guest.qemu_processes()) == 1, "more than one QEMU is left"
    assert virsh(traveller.target, "list", "--all", "--name").text == ""
    traveller.lives()
    traveller.migrate("--live")
    assert traveller.states() == [SHUTOFF, RUNNING]
    traveller.lives()
    traveller.ends()


@WAYS
def test_there_and_back(hosts, traveller, way):
    result = traveller.migrate("--live", "--verbose", *way)
    assert re.search(r"Migration: \[100 ?%\]", result.text + result.errors), result
    assert traveller.states() == [SHUTOFF, RUNNING]
    assert [virsh(host, "domstate", "--reason", "traveller").text for host in hosts] == ["shut off (migrated)",
                                                                                         "running (migrated)"]
    traveller.lives()
    traveller.migrate_back("--live", *way)
    assert traveller.states() == [RUNNING, None]
    traveller.lives()
    traveller.ends()


@SHORT_WAYS
def test_guest_that_godwitd_started(mixed_hosts, line, emulator, way):
    traveller = Traveller(mixed_hosts[::-1], line, machine="q35", persistent=False, emulator=emulator,
                          memory_kib=guest.ROUNDED_KIB)
    traveller.migrate("--live", *way)
    assert traveller.states() == [None, RUNNING]
    traveller.lives()
    traveller.migrate_back("--live", *way)
    assert traveller.states() == [RUNNING, None]
    traveller.lives()
    traveller.ends()


@SHORT_WAYS
def test_the_definition_goes_along(hosts, traveller, way):
    """With --persistent --undefinesource the same definition stands on the other side, and comes home unchanged."""
    def definition(host):
        return virsh(host, "dumpxml", "--inactive", "traveller").text
    before = definition(hosts[0])
    traveller.migrate("--live", "--persistent", "--undefinesource", *way)
    assert traveller.states() == [None, RUNNING]
    assert definition(hosts[1]) == before
    traveller.lives()
    traveller.migrate_back("--live", "--persistent", "--undefinesource", *way)
    assert traveller.states() == [RUNNING, None]
    assert definition(hosts[0]) == before
    traveller.lives()
    traveller.ends()
    assert traveller.states() == [SHUTOFF, None]


# What a server's definition usually has, on the controllers and buses where guests expect it.
DEVICES = """
<controller type='virtio-serial' index='0'/><controller type='usb' model='qemu-xhci'/>
<controller type='scsi' index='0' model='virtio-scsi'/>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<interface type='user'><mac address='52:54:00:12:34:56'/><model type='virtio'/></interface>
<input type='tablet' bus='usb'/><graphics type='vnc' port='-1' autoport='yes'/><video><model type='vga'/></video>
<disk type='file' device='cdrom'><target dev='sdb' bus='scsi'/><readonly/></disk>
<memballoon model='virtio'><stats period='5'/></memballoon><rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
<watchdog model='i6300esb' action='reset'/><sound model='ich6'/>"""


@pytest.mark.parametrize("hosts, machine", [
    ("from-libvirtd", "q35"), *(pytest.param(*words, marks=pytest.mark.full) for words in (
        ("from-libvirtd", "pc"), ("from-godwitd", "q35"), ("from-godwitd", "pc")))], indirect=["hosts"])
def test_guest_with_many_devices(hosts, line, emulator, machine):
    traveller = Traveller(hosts, line, machine=machine, vcpus=2, devices=DEVICES.replace("\n", ""), emulator=emulator,
                          memory_kib=guest.ROUNDED_KIB)
    traveller.migrate("--live")
    traveller.lives()
    traveller.migrate_back("--live")
    assert traveller.states() == [RUNNING, None]
    traveller.lives()
    traveller.ends()


def test_godwit_drives(hosts, traveller):
    """godwit knows both daemons' ways of the five phases."""
    godwit("migrate", "--live", "--persistent", "--undefinesource", "traveller", hosts[1].tcp_uri, *ROUTE, uri=hosts[0].uri)
    assert traveller.states() == [None, RUNNING]
    traveller.lives()
    godwit("migrate", "--live", "--p2p", "traveller", hosts[0].tcp_uri, *ROUTE, uri=hosts[1].uri)
    assert traveller.states() == [RUNNING, SHUTOFF]
    traveller.lives()
    traveller.ends()


@pytest.mark.parametrize("hosts, way", [
    ("from-libvirtd", []), ("from-godwitd", ["--p2p"]), *(pytest.param(*words, marks=pytest.mark.full) for words in (
        ("from-libvirtd", ["--p2p"]), ("from-godwitd", [])))], indirect=["hosts"])
def test_target_without_the_disk(hosts, traveller, scratch, way):
    xml = virsh(hosts[0], "dumpxml", "--migratable", "traveller").text
    assert traveller.disk in xml
    with open(f"{scratch}/gone.xml", "w") as out:
        out.write(xml.replace(traveller.disk, "/nonexistent/gone.raw"))
    result = traveller.migrate("--live", "--xml", f"{scratch}/gone.xml", *way, ok=False)
    assert "/nonexistent/gone.raw" in result.errors
    stays(traveller)


@pytest.mark.full
@DIRECTIONS
def test_target_that_has_the_name(hosts, traveller):
    connection = libvirt.open(hosts[1].uri)
    taken = connection.defineXML(guest.bare_xml("traveller"))
    result = traveller.migrate("--live", ok=False)
    assert "traveller" in result.errors
    taken.undefine()
    connection.close()
    stays(traveller)


def start_slowly(traveller, *words):
    """A migration that takes minutes, once it has begun to send."""
    mover = subprocess.Popen(["virsh", "-c", traveller.source.uri, "migrate", "--live", "--bandwidth", "1", *words,
                              traveller.name, traveller.target.tcp_uri, *ROUTE], stderr=subprocess.PIPE, text=True)
    wait_until(lambda: "Memory bandwidth" in virsh(traveller.source, "domjobinfo", traveller.name, ok=None).text,
               timeout=30, what="the transfer", step=0.1)
    return mover


@pytest.mark.full
@DIRECTIONS
@WAYS
def test_abort(hosts, traveller, way):
    mover = start_slowly(traveller, *way)
    info = table(virsh(hosts[0], "domjobinfo", "traveller").text)
    assert info["Job type"] == "Unbounded" and info["Operation"] == "Outgoing migration"
    virsh(hosts[0], "domjobabort", "traveller")
    mover.communicate(timeout=30)
    assert mover.returncode != 0
    stays(traveller)


@pytest.mark.full
@DIRECTIONS
@WAYS
def test_target_daemon_killed(hosts, traveller, way):
    mover = start_slowly(traveller, *way)
    hosts[1].kill()
    if not way:
        virsh(hosts[0], "domjobabort", "traveller")
    mover.communicate(timeout=60)
    assert mover.returncode != 0
    hosts[1].start()
    stays(traveller)


@pytest.mark.full
@DIRECTIONS
def test_client_killed(hosts, traveller):
    mover = start_slowly(traveller)
    mover.kill()
    mover.communicate()
    stays(traveller)


@pytest.mark.full
@DIRECTIONS
@pytest.mark.parametrize("words", [["--parallel", "--parallel-connections", "3"], ["--auto-converge"],
                                   ["--compressed", "--comp-methods", "xbzrle", "--comp-xbzrle-cache", "33554432"],
                                   ["--timeout", "60", "--timeout-suspend", "--bandwidth", "200"]],
                         ids=["parallel", "auto-converge", "xbzrle", "timeout"])
def test_options(hosts, traveller, words):
    traveller.migrate("--live", *words)
    assert traveller.states() == [SHUTOFF, RUNNING]
    traveller.lives()
    traveller.migrate_back("--live", "--p2p", *words)
    assert traveller.states() == [RUNNING, None]
    traveller.lives()
    traveller.ends()


@pytest.mark.full
@DIRECTIONS
def test_new_name_and_suspended(hosts, traveller):
    traveller.migrate("--live", "--suspend", "--dname", "arrived")
    assert traveller.states("arrived") == [None, PAUSED]
    now = time.monotonic()
    time.sleep(0.5)
    assert not [beat for beat in traveller.line.heartbeats() if beat[0] > now], "the guest ran although --suspend was given"
    virsh(hosts[1], "resume", "arrived")
    traveller.lives()
    virsh(hosts[1], "destroy", "arrived")


@pytest.mark.full
@DIRECTIONS
def test_paused_guest_arrives_paused(hosts, traveller):
    virsh(hosts[0], "suspend", "traveller")
    traveller.migrate("--live")
    assert traveller.states() == [SHUTOFF, PAUSED]
    virsh(hosts[1], "resume", "traveller")
    traveller.lives()
    traveller.ends()


@pytest.mark.full
@DIRECTIONS
@WAYS
def test_disk_that_is_not_shared(hosts, traveller, scratch, way):
    """Copied over NBD while the guest writes to it."""
    there = guest.disk_image(f"{scratch}/there{len(way)}.raw")
    xml = virsh(hosts[0], "dumpxml", "--migratable", "traveller").text
    with open(f"{scratch}/there.xml", "w") as out:
        out.write(xml.replace(traveller.disk, there))
    traveller.migrate("--live", "--copy-storage-all", "--xml", f"{scratch}/there.xml", *way)
    assert traveller.states() == [SHUTOFF, RUNNING]
    traveller.lives()
    virsh(hosts[1], "destroy", "traveller")
    assert guest.check_disk(there) >= guest.acknowledged_block(traveller.line.texts())


@pytest.mark.full
def test_many_moves_of_a_busy_guest(hosts, line, emulator):
    traveller = Traveller(hosts, line, dirty=64, area=96, emulator=emulator, memory_kib=guest.ROUNDED_KIB)
    for turn in range(10):
        way = ["--p2p"] if turn % 2 else []
        traveller.migrate("--live", *way)
        traveller.lives()
        traveller.migrate_back("--live", *way)
        traveller.lives()
    traveller.ends()
