# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who dies while a guest is on its way: afterwards exactly one guest runs, and nothing is left where it does not."""
import json
import os
import signal
import subprocess
import time

import libvirt
import pytest

from helpers import guest
from helpers.tools import long, table, virsh, wait_until
from helpers.traveller import ROUTE, RUNNING, SHUTOFF, Traveller

pytestmark = pytest.mark.godwit


@pytest.fixture
def traveller(two_hosts, line):
    return Traveller(two_hosts, line, dirty=4, area=8)


def start_slowly(traveller, *words):
    """A migration that takes minutes, once it has begun to send."""
    mover = subprocess.Popen(["virsh", "-c", traveller.source.uri, "migrate", "--live", "--bandwidth", "1", *words,
                              traveller.name, traveller.target.tcp_uri, *ROUTE],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: table(virsh(traveller.source, "domjobinfo", traveller.name, ok=None).text)
               .get("Memory total", "0.000 B") != "0.000 B", timeout=20, what="the transfer", step=0.1)
    time.sleep(0.5)
    return mover


def stays_here(traveller, timeout=20):
    """The source has the guest and goes on with it; the destination has nothing of it."""
    wait_until(lambda: traveller.states() == [RUNNING, None], timeout=timeout, step=0.1,
               what="the source alone has the guest")
    assert len(guest.qemu_processes()) == 1, "more than one QEMU is left"
    wait_until(lambda: table(virsh(traveller.source, "domjobinfo", traveller.name).text)["Job type"] == "None",
               what="the job's end")
    left = os.listdir(f"{traveller.target.root}/run/godwit/domains")
    assert not left, f"files are left on the destination: {left}"
    traveller.lives()


def moves_now(traveller):
    traveller.migrate("--live")
    assert traveller.states() == [SHUTOFF, RUNNING]
    traveller.lives()
    traveller.ends()


@pytest.mark.full       # as for the daemons below
def test_client_killed(two_hosts, traveller):
    mover = start_slowly(traveller)
    mover.kill()
    mover.wait()
    stays_here(traveller)
    moves_now(traveller)


def test_client_of_peer_to_peer_killed(two_hosts, traveller):
    """The daemons go on by themselves, as libvirt's do; the user may still abort."""
    mover = start_slowly(traveller, "--p2p")
    mover.kill()
    mover.wait()
    time.sleep(1)
    assert table(virsh(two_hosts[0], "domjobinfo", "traveller").text)["Job type"] == "Unbounded"
    virsh(two_hosts[0], "domjobabort", "traveller")
    stays_here(traveller)
    moves_now(traveller)


@pytest.mark.full       # tests/fault/test_migration_matrix.py has them by default, with a client of its own
@pytest.mark.parametrize("words", [[], ["--p2p"]], ids=["direct", "p2p"])
def test_source_daemon_killed(two_hosts, traveller, words):
    mover = start_slowly(traveller, *words)
    two_hosts[0].kill()
    mover.communicate(timeout=30)
    assert mover.returncode != 0
    two_hosts[0].start()
    stays_here(traveller)
    moves_now(traveller)


@pytest.mark.full
@pytest.mark.parametrize("words", [[], ["--p2p"]], ids=["direct", "p2p"])
def test_destination_daemon_killed(two_hosts, traveller, words):
    mover = start_slowly(traveller, *words)
    two_hosts[1].kill()
    if not words:
        virsh(two_hosts[0], "domjobabort", "traveller")
    mover.communicate(timeout=30)
    assert mover.returncode != 0
    two_hosts[1].start()
    stays_here(traveller)
    moves_now(traveller)


def test_destination_qemu_hangs(two_hosts, traveller):
    mover = start_slowly(traveller)
    uuid = virsh(two_hosts[0], "domuuid", "traveller").text
    status = f"{two_hosts[1].root}/run/godwit/domains/{uuid}.json"
    with open(status) as file:
        pid = json.load(file)["pid"]
    os.kill(pid, signal.SIGSTOP)
    time.sleep(1)
    virsh(two_hosts[0], "domjobabort", "traveller")
    os.kill(pid, signal.SIGCONT)
    mover.communicate(timeout=30)
    assert mover.returncode != 0
    stays_here(traveller)
    moves_now(traveller)


def test_guest_destroyed_on_its_way(two_hosts, traveller):
    mover = start_slowly(traveller)
    virsh(two_hosts[0], "destroy", "traveller")
    _, errors = mover.communicate(timeout=30)
    assert mover.returncode != 0 and "ended" in errors, errors
    wait_until(lambda: traveller.states() == [SHUTOFF, None], what="both ends are clean")
    assert not guest.qemu_pids()


def test_incoming_guest_destroyed(two_hosts, traveller):
    mover = start_slowly(traveller)
    assert virsh(two_hosts[1], "domstate", "traveller").text == "paused"
    assert "has not ended" in virsh(two_hosts[1], "resume", "traveller", ok=False).errors
    assert "incoming" in virsh(two_hosts[1], "domjobabort", "traveller", ok=False).errors
    virsh(two_hosts[1], "destroy", "traveller")
    mover.communicate(timeout=30)
    assert mover.returncode != 0
    stays_here(traveller)
    moves_now(traveller)


def test_busy_domain_says_who_holds_it(two_hosts, traveller):
    """A short operation runs inside the migration; a second migration does not."""
    mover = start_slowly(traveller)
    virsh(two_hosts[0], "suspend", "traveller")
    virsh(two_hosts[0], "resume", "traveller")
    again = virsh(two_hosts[0], "migrate", "--live", "traveller", two_hosts[1].tcp_uri, *ROUTE, ok=False)
    assert "already being migrated" in again.errors
    assert traveller.states()[0] == RUNNING
    virsh(two_hosts[0], "domjobabort", "traveller")
    mover.communicate(timeout=30)
    stays_here(traveller)


def test_unsupported_options_are_named(two_hosts, traveller):
    for named, option in (("--rdma-pin-all", []),):
        words = option if named in option else [*option, named]
        result = virsh(two_hosts[0], "migrate", "--live", *words, "traveller", two_hosts[1].tcp_uri, *ROUTE, ok=False)
        assert named in result.errors, result
        assert traveller.states() == [RUNNING, None]


@pytest.mark.parametrize("words", [long(["--parallel", "--parallel-connections", "3"]), ["--auto-converge"],
                                   long(["--compressed", "--comp-methods", "xbzrle", "--comp-xbzrle-cache", "33554432"])],
                         ids=["parallel", "auto-converge", "xbzrle"])
def test_options_that_qemu_does(two_hosts, traveller, words):
    traveller.migrate("--live", *words)
    assert traveller.states() == [SHUTOFF, RUNNING]
    done = table(virsh(two_hosts[1], "domjobinfo", "--completed", "--keep-completed", "traveller").text)
    assert ("Compression cache" in done) == ("--compressed" in words), done
    traveller.lives()
    virsh(two_hosts[1], "migrate", "--live", "--p2p", *words, "traveller", two_hosts[0].tcp_uri, *ROUTE)
    traveller.lives()
    traveller.ends()


def test_a_guest_that_is_refused_leaves_nothing_of_its_name(two_hosts, scratch):
    source, target = two_hosts
    disk = guest.disk_image(f"{scratch}/refused.raw")
    here, there = libvirt.open(source.uri), libvirt.open(target.uri)
    here.createXML(guest.domain_xml("refused", boot=False, serial=None, memory_kib=65528, disk=disk))
    os.rename(disk, f"{disk}.elsewhere")                        # the guest has it open, and the destination looks for it
    refused = virsh(source, "migrate", "--live", "refused", target.tcp_uri, *ROUTE, ok=False)
    assert disk in refused.errors, refused
    there.defineXML(guest.domain_xml("refused", boot=False))    # another guest of that name
    here.close()
    there.close()


def test_knobs(two_hosts, traveller):
    here = two_hosts[0]
    assert virsh(here, "migrate-getmaxdowntime", "traveller").text == "300"
    virsh(here, "migrate-setmaxdowntime", "traveller", "150")
    assert virsh(here, "migrate-getmaxdowntime", "traveller").text == "150"
    assert "2000000" in virsh(here, "migrate-setmaxdowntime", "traveller", "99999999999", ok=False).errors
    assert virsh(here, "migrate-getspeed", "traveller").text == "8796093022207"
    virsh(here, "migrate-setspeed", "traveller", "12")
    assert virsh(here, "migrate-getspeed", "traveller").text == "12"
    virsh(here, "migrate-compcache", "traveller", "--size", "33554432")
    assert "32.000 MiB" in virsh(here, "migrate-compcache", "traveller").text
    assert "no job" in virsh(here, "domjobabort", "traveller", ok=False).errors


def settled(source, target):
    """{host: state} when one guest runs and no other is left."""
    found = {}
    for host in (source, target):
        connection = libvirt.open(host.uri)
        found.update({host: domain.state()[0] for domain in connection.listAllDomains() if domain.isActive()})
        connection.close()
    return found if list(found.values()) == [RUNNING] else None


@pytest.mark.full
@pytest.mark.parametrize("victim", ["source", "destination"])
def test_exactly_one_guest_whenever_a_daemon_dies(two_hosts, traveller, victim):
    """Peer to peer, killed at moments all over the migration: then exactly one guest runs, and it lost nothing."""
    hosts = list(two_hosts)
    for turn in range(20):
        source, target = hosts
        mover = subprocess.Popen(["virsh", "-c", source.uri, "migrate", "--live", "--p2p", "traveller", target.tcp_uri,
                                  *ROUTE], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(0.05 * turn)
        died = source if victim == "source" else target
        died.kill()
        died.start()
        mover.communicate(timeout=90)
        states = wait_until(lambda: settled(source, target), timeout=90, what=f"turn {turn}: one guest", step=0.2)
        (owner,) = states
        traveller.lives()
        if owner is target:
            hosts.reverse()
    traveller.ends()
