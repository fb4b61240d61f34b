# SPDX-License-Identifier: LGPL-2.1-or-later
"""Post-copy: a guest that dirties memory faster than the link carries it goes on on the destination first, and its memory
follows; a connection that breaks meanwhile is mended, and the guest has lost nothing."""
import subprocess

import libvirt
import pytest

from helpers.cli import godwit
from helpers.tools import long, table, virsh, wait_until
from helpers.traveller import PAUSED, ROUTE, RUNNING, SHUTOFF, Traveller

pytestmark = pytest.mark.godwit
POSTCOPY = ["--live", "--postcopy"]


@pytest.fixture
def busy(two_hosts, line):
    """Never converges at 8 MiB/s."""
    return Traveller(two_hosts, line, dirty=32, area=48)


def arrived(traveller):
    assert traveller.states() == [SHUTOFF, RUNNING]
    assert virsh(traveller.target, "domstate", "--reason", "traveller").text == "running (migrated)"
    traveller.lives()
    traveller.ends()


@pytest.mark.parametrize("words", [["--postcopy-after-precopy"], long(["--timeout", "2", "--timeout-postcopy", "--p2p"])],
                         ids=["after-precopy", "timeout-p2p"])
def test_switch_by_virsh(two_hosts, busy, words):
    seen = []
    connection = libvirt.open(two_hosts[1].uri)
    connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                      lambda _, domain, event, detail, opaque: seen.append((event, detail)), None)
    busy.migrate(*POSTCOPY, "--bandwidth", "60" if "--p2p" not in words else "8", *words)
    wait_until(lambda: (libvirt.VIR_DOMAIN_EVENT_RESUMED, libvirt.VIR_DOMAIN_EVENT_RESUMED_POSTCOPY) in seen, what="the event")
    connection.close()
    info = table(virsh(two_hosts[1], "domjobinfo", "--completed", "traveller").text)
    assert info["Job type"] == "Completed", info
    arrived(busy)


def test_own_client(two_hosts, busy):
    godwit("migrate", "traveller", two_hosts[1].tcp_uri, *POSTCOPY, "--bandwidth", "8", "--timeout", "2", "--timeout-postcopy",
           *ROUTE, uri=two_hosts[0].uri, timeout=120)
    arrived(busy)


def start(traveller, *words):
    mover = subprocess.Popen(["virsh", "-c", traveller.source.uri, "migrate", *POSTCOPY, "--bandwidth", "8", *words,
                              traveller.name, traveller.target.tcp_uri, *ROUTE],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: table(virsh(traveller.source, "domjobinfo", traveller.name, ok=None).text)
               .get("Memory total", "0.000 B") != "0.000 B", timeout=20, what="the transfer", step=0.1)
    return mover


@pytest.mark.full
@pytest.mark.parametrize("words", [[], ["--p2p"]], ids=["direct", "p2p"])
def test_broken_and_resumed(two_hosts, busy, words):
    """Paused in the middle, both ends say so and neither lets go; resumed, the guest has all its memory."""
    here, there = two_hosts
    mover = start(busy, "--postcopy-bandwidth", "4", *words)
    assert "no post-copy" in virsh(here, "domjobabort", "--postcopy", "traveller", ok=False).errors
    virsh(here, "migrate-postcopy", "traveller")
    wait_until(lambda: virsh(here, "domstate", "--reason", "traveller").text == "paused (post-copy)", what="post-copy")
    wait_until(lambda: virsh(there, "domstate", "--reason", "traveller").text == "running (post-copy)", what="post-copy")
    assert "post-copy" in virsh(here, "domjobabort", "traveller", ok=False).errors
    assert "Iteration" in virsh(here, "domjobinfo", "traveller").text
    virsh(here, "domjobabort", "--postcopy", "traveller")
    _, errors = mover.communicate(timeout=30)
    assert mover.returncode != 0 and "post-copy" in errors, errors
    assert virsh(here, "domstate", "--reason", "traveller").text == "paused (post-copy failed)"
    assert virsh(there, "domstate", "--reason", "traveller").text == "running (post-copy failed)"
    assert "part of its memory" in virsh(here, "migrate", *POSTCOPY, "traveller", there.tcp_uri, *ROUTE, ok=False).errors
    virsh(here, "resume", "traveller", ok=False)
    assert busy.states() == [PAUSED, RUNNING]
    virsh(here, "migrate", *POSTCOPY, "--postcopy-resume", *words, "traveller", there.tcp_uri, *ROUTE, timeout=120)
    arrived(busy)


def test_client_and_daemon_die_in_post_copy(two_hosts, busy):
    """Memory goes on without anybody; then the source lets go by itself."""
    mover = start(busy, "--postcopy-bandwidth", "30")
    virsh(two_hosts[0], "migrate-postcopy", "traveller")
    wait_until(lambda: virsh(two_hosts[1], "domstate", "--reason", "traveller").text == "running (post-copy)", what="post-copy")
    mover.kill()
    mover.communicate()
    two_hosts[0].kill()
    two_hosts[0].start()
    wait_until(lambda: busy.states() == [SHUTOFF, RUNNING], timeout=60, what="the guest alone on the destination", step=0.2)
    arrived(busy)


def test_what_makes_no_sense(two_hosts, busy):
    here = two_hosts[0]
    assert "not being migrated" in virsh(here, "migrate-postcopy", "traveller", ok=False).errors
    assert "not broken" in busy.migrate(*POSTCOPY, "--postcopy-resume", ok=False).errors
    assert "--parallel" in busy.migrate(*POSTCOPY, "--parallel", ok=False).errors
    virsh(here, "migrate-setspeed", "--postcopy", "traveller", "12")
    assert virsh(here, "migrate-getspeed", "--postcopy", "traveller").text == "12"
    assert virsh(here, "migrate-getspeed", "traveller").text == "8796093022207"
    assert busy.states() == [RUNNING, None]
