# SPDX-License-Identifier: LGPL-2.1-or-later
"""The network between the two hosts is cut without a word, at several moments at once: nobody is refused, packets are dropped. Each
end notices it by itself, and says what is known; whoever cannot know who has the guest lets it stand until it can."""
import os
import subprocess

import libvirt
import pytest

from helpers import guest
from helpers.cli import godwit
from helpers.journey import FLAGS, entries
from helpers.netns import Network, NetworkHost
from helpers.phases import Phases
from helpers.tools import virsh, wait_until
from helpers.traveller import PAUSED, RUNNING, Traveller

pytestmark = pytest.mark.godwit
NOTICED_S = 300     # generous: silence is noticed after 30 s


@pytest.fixture(scope="module")
def network():
    made = Network()
    yield made
    made.close()


@pytest.fixture(scope="module")
def far_hosts(network, make_host):
    return [make_host(name, kind=NetworkHost, network=network, which=which) for which, name in enumerate(("host-a", "host-b"))]


@pytest.fixture
def make_traveller(far_hosts, scratch):
    """make_traveller(name) boots a guest with something on its disk to copy."""
    made = []

    def make(name):
        line = guest.Line(f"{scratch}/{name}")
        line.xml = f"unix:{line.path}"
        traveller = Traveller(far_hosts, line, name=name, persistent=False, dirty=4, area=8)
        with open(traveller.disk, "r+b") as disk:
            disk.seek(4 << 20)
            disk.write(os.urandom(8 << 20))
        made.append(traveller)
        return traveller
    yield make
    for traveller in made:
        traveller.ends()
        traveller.line.close()


def start(traveller, network, *words, figure, within=()):
    """A slow migration, once that figure of its job shows that it has come so far."""
    mover = subprocess.Popen([*within, "virsh", "-c", traveller.source.uri, "migrate", "--live", "--bandwidth", "1", *words,
                              traveller.name, traveller.target.tcp_uri, "--migrateuri", f"tcp://{network.addresses[1]}",
                              "--unsafe"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def far_enough():
        assert mover.poll() is None, mover.communicate()
        connection = libvirt.open(traveller.source.uri)
        try:
            return connection.lookupByName(traveller.name).jobStats().get(figure)
        except libvirt.libvirtError:
            return None
        finally:
            connection.close()
    wait_until(far_enough, timeout=180, what=figure)
    return mover


def start_copy(traveller, network, folder):
    path = f"{folder}/copying.xml"
    with open(path, "w", encoding="utf-8") as out:
        out.write(virsh(traveller.source, "dumpxml", "--migratable", traveller.name).text.replace(
            traveller.disk, f"{folder}/copy.img"))
    return start(traveller, network, "--p2p", "--copy-storage-all", "--xml", path, figure="disk_total")


def stays(traveller):
    wait_until(lambda: traveller.states() == [RUNNING, None], timeout=NOTICED_S, step=0.2,
               what=f"{traveller.name} is on its source alone, cut off as they are")
    traveller.lives()


def test_cut_while_sending(far_hosts, network, make_traveller, folder):
    """Both ends clean up while they are still cut off: the guests never stopped."""
    source, target = far_hosts
    sending, copying = make_traveller("sending"), make_traveller("copying")
    movers = [start(sending, network, "--p2p", figure="memory_processed"), start_copy(copying, network, folder)]
    assert os.path.exists(f"{folder}/copy.img")
    network.cut()
    for mover in movers:
        _, errors = mover.communicate(timeout=NOTICED_S)
        assert mover.returncode != 0 and "does not answer any more, and the guest goes on" in errors, errors
    stays(sending)
    stays(copying)
    wait_until(lambda: not os.path.exists(f"{folder}/copy.img"), timeout=30, what="the half copied image is removed")
    assert not entries(source) and not entries(target)
    assert sorted(name for name, _ in guest.qemu_processes()) == sorted(set(name for name, _ in guest.qemu_processes()))
    network.mend()


@pytest.mark.full
def test_cut_from_a_client(far_hosts, network, make_traveller):
    """The client drives both; its own connection to the destination is cut, too, and the source finds out by itself."""
    sending = make_traveller("direct")
    mover = start(sending, network, figure="memory_processed", within=network.inside(0))
    network.cut()
    _, errors = mover.communicate(timeout=NOTICED_S)
    assert mover.returncode != 0, errors
    stays(sending)
    network.mend()


@pytest.mark.full
def test_cut_at_the_switch(far_hosts, network, make_traveller):
    """Before finish has come to the destination, and after: the source does not know which, and says so. When the network is
    mended, one of them goes on, whose the destination's journal says."""
    source, target = far_hosts
    lost, taken = make_traveller("lost"), make_traveller("taken")
    phases = {one.name: Phases(source, target, one.name, FLAGS, address=network.addresses[1]).up_to("perform")
              for one in (lost, taken)}
    phases["taken"].send("finish")
    wait_until(lambda: "destination" in [entry["owner"] for entry in entries(target)], timeout=90, step=0,
               what="the guest is taken")
    network.cut()
    phases["lost"].target.close()
    with pytest.raises(RuntimeError, match="--recover lost"):
        phases["lost"].confirm(cancelled=True)
    for one in phases.values():
        one.close()
    wait_until(lambda: lost.states() == [PAUSED, None] and taken.states() == [PAUSED, RUNNING], timeout=NOTICED_S, step=0.2,
               what="the destination has decided, and the source waits")
    listed = godwit("migrate", "--status", "--output", "json", uri=source.uri).json
    assert {(row["domain"], row["phase"], row["owner"]) for row in listed} == {
        ("lost", "handed over", "not known"), ("taken", "handed over", "not known")}
    for one in ("lost", "taken"):
        assert "not known" in virsh(source, "resume", one, ok=False).errors
    network.mend()
    wait_until(lambda: lost.states() == [RUNNING, None] and taken.states() == [None, RUNNING], timeout=NOTICED_S, step=0.2,
               what="each goes on where it belongs")
    lost.lives()
    taken.lives()
    assert not entries(source)
