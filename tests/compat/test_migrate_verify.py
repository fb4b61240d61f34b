# SPDX-License-Identifier: LGPL-2.1-or-later
"""The destination proves that it has the guest before the source lets go of it; what it finds amiss is told, and the guest goes on
where it was. And the network is told where the guest is, when it runs there."""
import contextlib
import fcntl
import os
import re
import socket
import struct
import subprocess
import threading
import time

import libvirt
import pytest

from helpers import agent_guest, guest
from helpers.cli import godwit
from helpers.guest import bare_xml
from helpers.journey import journal
from helpers.phases import Phases
from helpers.tools import long, virsh, wait_until
from helpers.traveller import PAUSED, ROUTE, RUNNING, Traveller

pytestmark = pytest.mark.godwit
FLAGS = libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_UNSAFE
WRITES, FORBIDS = 101, 201  # bytes that QEMU locks in an image
CDROM = "<disk type='file' device='cdrom'><target dev='hda' bus='ide'/></disk>"

# A QEMU that, when it waits for a guest, is not what its arguments say: CHANGE edits one word.
CHANGED_EMULATOR = """#!/bin/bash
words=()
for word; do
    [[ " $* " == *" -incoming "* && -e MARKER ]] && { CHANGE; }
    words+=("$word")
done
exec EMULATOR "${words[@]}"
"""


def changed_emulator(folder, change):
    """Path of a program that is QEMU, and of the file without which it is QEMU as it should be."""
    path, marker = f"{folder}/emulator", f"{folder}/changed"
    with open(path, "w", encoding="utf-8") as file:
        file.write(CHANGED_EMULATOR.replace("MARKER", marker).replace("CHANGE", change).replace("EMULATOR", guest.EMULATOR))
    os.chmod(path, 0o755)
    with open(marker, "w", encoding="utf-8"):
        pass
    return path, marker


def create(host, xml):
    with contextlib.closing(libvirt.open(host.uri)) as connection:
        connection.createXML(xml)


def states(hosts, name="proven"):
    found = []
    for host in hosts:
        with contextlib.closing(libvirt.open(host.uri)) as connection:
            try:
                found.append(connection.lookupByName(name).state()[0])
            except libvirt.libvirtError:
                found.append(None)
    return found


def stays_whole(hosts, name="proven"):
    """The source alone has it, running, and nothing is left on the destination."""
    wait_until(lambda: states(hosts, name) == [RUNNING, None], timeout=30, what="the source alone has the guest")
    assert len(guest.qemu_processes()) == 1, "more than one QEMU is left"
    assert not os.listdir(f"{hosts[1].root}/run/godwit/domains")
    wait_until(lambda: not journal(hosts[0]) and not journal(hosts[1]), what="both journals are settled")


def moves(hosts, *words, name="proven"):
    return godwit("migrate", name, hosts[1].tcp_uri, "--live", *ROUTE, *words, uri=hosts[0].uri, timeout=120)


def until_performed(hosts, **options):
    phases = Phases(*hosts, "proven", FLAGS, **options)
    for step in ("begin", "prepare", "perform"):
        getattr(phases, step)()
    return phases


def fails_to_finish(phases, words):
    with pytest.raises(RuntimeError, match=words):
        phases.finish()


def give_back(phases):
    phases.cookie = b""
    phases.confirm(cancelled=True)
    phases.close()


@pytest.mark.parametrize("words", [[], long(["--p2p"])], ids=["direct", "p2p"])
def test_a_device_that_is_missing(two_hosts, folder, words):
    """An empty drive has no state of its own, so QEMU loads the guest without it and says nothing."""
    emulator, marker = changed_emulator(folder, """[[ $word == *'"id":"ide0-0-0"'* ]] && word=pvpanic""")
    create(two_hosts[0], bare_xml("proven", emulator=emulator, devices=CDROM))
    answer = virsh(two_hosts[0], "migrate", "--live", *words, "proven", two_hosts[1].tcp_uri, *ROUTE, ok=False)
    assert "'ide0-0-0' (ide-cd)" in answer.errors and "not let run here" in answer.errors, answer
    stays_whole(two_hosts)
    os.unlink(marker)
    virsh(two_hosts[0], "migrate", "--live", "proven", two_hosts[1].tcp_uri, *ROUTE)
    assert states(two_hosts) == [None, RUNNING]


def test_memory_that_is_another(two_hosts, folder):
    """The destination's memory lies in a file, and somebody writes to it when it has been loaded."""
    memory = f"{folder}/memory"
    backend = f'"memory-backend-file","mem-path":"{memory}","share":true'
    emulator, _ = changed_emulator(folder, f"""word=${{word/'"memory-backend-ram"'/'{backend}'}}""")
    create(two_hosts[0], bare_xml("proven", emulator=emulator))
    phases = until_performed(two_hosts, begin_with={"godwit.verify": 1})
    with open(memory, "r+b") as file:
        file.seek(32 << 20)
        file.write(b"\xff" * (2 << 20))
    fails_to_finish(phases, r"memory is not what it was on the source: \d+ of 64 pieces of 65536 bytes differ")
    give_back(phases)
    stays_whole(two_hosts)
    for host in two_hosts:
        assert not [name for _, _, names in os.walk(f"{host.root}/var/lib/godwit/domains") for name in names
                    if name.startswith("memory-")], "pieces of memory are left"


def test_a_guest_that_runs_by_itself(two_hosts, folder):
    emulator, _ = changed_emulator(folder, "[[ $word == -S ]] && word=-nodefaults")
    create(two_hosts[0], bare_xml("proven", emulator=emulator))
    answer = virsh(two_hosts[0], "migrate", "--live", "proven", two_hosts[1].tcp_uri, *ROUTE, ok=False)
    assert "in state 'running', and should be 'paused'" in answer.errors, answer
    stays_whole(two_hosts)


@contextlib.contextmanager
def held(path, byte):
    """What another QEMU would do with the image."""
    with open(path, "rb") as file:
        fcntl.fcntl(file, getattr(fcntl, "F_OFD_SETLK", 37),
                    struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, byte, 1, 0))
        yield


@pytest.mark.parametrize("byte", [WRITES, long(FORBIDS)])
def test_a_disk_that_another_holds(two_hosts, folder, byte):
    disk = guest.disk_image(f"{folder}/disk.raw")
    create(two_hosts[0], bare_xml("proven", disk=disk))
    phases = until_performed(two_hosts)
    with held(disk, byte):
        fails_to_finish(phases, f"disk vda: '{disk}' is still held by another")
    give_back(phases)
    stays_whole(two_hosts)


def test_a_disk_that_cannot_be_written(two_hosts, folder):
    """The destination reaches it by another path, which becomes read-only while the guest is on its way."""
    os.mkdir(f"{folder}/here")
    os.mkdir(f"{folder}/there")
    disk = guest.disk_image(f"{folder}/here/disk.raw")
    mounted = subprocess.run(["mount", "--bind", f"{folder}/here", f"{folder}/there"], capture_output=True)
    if mounted.returncode:
        pytest.skip("cannot mount")
    try:
        create(two_hosts[0], bare_xml("proven", disk=disk))
        phases = Phases(*two_hosts, "proven", FLAGS)
        phases.begin()
        phases.xml = phases.xml.replace(disk, f"{folder}/there/disk.raw")
        phases.prepare()
        phases.perform()
        subprocess.run(["mount", "-o", "remount,bind,ro", f"{folder}/there"], check=True)
        fails_to_finish(phases, f"disk vda: '{folder}/there/disk.raw' cannot be opened for writing")
        give_back(phases)
        stays_whole(two_hosts)
    finally:
        subprocess.run(["umount", "-l", f"{folder}/there"], check=True)


def test_both_ends_are_asked(two_hosts, folder):
    disk = guest.disk_image(f"{folder}/disk.raw")
    create(two_hosts[0], bare_xml("proven", disk=disk, devices=CDROM))
    answer = moves(two_hosts)
    assert re.match(r"verified: 'proven' is running on 'host-b' and not there on 'host-a'; \d+ devices and 1 disk were found "
                    r"again", answer.out), answer
    found = moves(two_hosts[::-1], "--verify", "--p2p", "--output", "json").json
    assert found["verified"] and found["memory_bytes"] == 4 << 20 and found["disks"] == 1 and found["agent"] is None
    assert found["destination"] == {"host": "host-a", "state": "running"}
    assert found["source"] == {"host": "host-b", "state": "not there"}
    wrong = godwit("migrate", "proven", two_hosts[1].tcp_uri, "--live", "--postcopy", "--verify", *ROUTE, uri=two_hosts[0].uri,
                   ok=False)
    assert "--postcopy" in wrong.errors


def test_a_paused_guest_holds_its_disk(two_hosts, folder):
    """It takes its disks when it is loaded, and what is taken is its own."""
    disk = guest.disk_image(f"{folder}/disk.raw")
    create(two_hosts[0], bare_xml("proven", disk=disk))
    virsh(two_hosts[0], "suspend", "proven")
    moves(two_hosts)
    assert states(two_hosts) == [None, PAUSED]


def test_a_busy_guest_with_an_agent(two_hosts, line):
    """Not one of the pieces differs by itself, there and back, and the agent is asked."""
    agent = agent_guest.initrd()
    traveller = Traveller(two_hosts, line, persistent=False, dirty=64,
                          describe=agent_guest.domain_xml if agent else guest.domain_xml)
    if agent:
        wait_until(lambda: virsh(two_hosts[0], "qemu-agent-command", "traveller", '{"execute":"guest-ping"}', ok=None)
                   .status == 0, timeout=60, step=0.5, what="the guest's agent")
    for hosts in (two_hosts, two_hosts[::-1]):
        answer = moves(hosts, "--verify", "--output", "json", name="traveller")
        found = answer.json
        assert found["memory_bytes"] == 4 << 20 and found["agent"] == ("answers" if agent else None), answer
    traveller.lives()


class Network:
    """A wire to which guests' QEMUs connect (<interface type='client'>); keeps the frames of each."""

    def __init__(self):
        self.frames = []            # (seconds, connection, frame)
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections += 1
                threading.Thread(target=self.read, args=(connection, self.connections), daemon=True).start()

    def read(self, connection, number):
        with contextlib.suppress(OSError), connection.makefile("rb") as stream:
            while header := stream.read(4):
                self.frames.append((time.monotonic(), number, stream.read(struct.unpack(">I", header)[0])))

    def announcements(self, connection):
        """Times of reverse-ARP broadcasts of the guest's card."""
        return [stamp for stamp, number, frame in list(self.frames) if number == connection and
                frame.startswith(b"\xff" * 6 + bytes.fromhex("525400112233") + b"\x80\x35")]


@pytest.fixture
def network():
    wire = Network()
    wire.interface = (f"<interface type='client'><mac address='52:54:00:11:22:33'/><source address='127.0.0.1' "
                      f"port='{wire.port}'/><model type='virtio'/></interface>")
    yield wire
    wire.listener.close()


def test_the_network_is_told(two_hosts, network):
    """When the guest runs there, and not before: a switch that learned it earlier would be wrong, were it taken back."""
    create(two_hosts[0], bare_xml("proven", devices=network.interface))
    phases = until_performed(two_hosts)
    time.sleep(0.5)
    assert not network.announcements(2), "the network was told before the guest was there"
    begin = time.monotonic()
    phases.finish()
    wait_until(lambda: len(network.announcements(2)) >= 5, timeout=30, what="five announcements")
    phases.confirm()
    phases.close()
    told = network.announcements(2)
    assert min(told) >= begin and told[4] - told[0] > 0.3, "all were sent in one burst"
    assert states(two_hosts) == [None, RUNNING]


def test_the_network_is_not_told_what_is_not_true(two_hosts, network):
    create(two_hosts[0], bare_xml("proven", devices=network.interface))
    phases = until_performed(two_hosts)
    phases.close()
    stays_whole(two_hosts)
    assert not network.announcements(2)


@pytest.mark.full
@pytest.mark.parametrize("words", [[], ["--p2p"]], ids=["direct", "p2p"])
def test_memory_needs_two_of_us(mixed_hosts, words):
    libvirtd, ours = mixed_hosts
    connection = libvirt.open(ours.uri)
    connection.createXML(bare_xml("proven"), libvirt.VIR_DOMAIN_START_PAUSED)
    connection.close()
    answer = godwit("migrate", "proven", libvirtd.tcp_uri, "--live", "--verify", *words, uri=ours.uri, ok=False)
    assert "is no godwitd: leave it out" in answer.errors, answer
    assert virsh(ours, "domstate", "proven").text == "paused"
