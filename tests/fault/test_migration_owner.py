# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may let a guest run whose migration was cut off, and what clients that are wrong about it are told. The matrix of what may
fail, and when, is test_migration_matrix.py."""
import contextlib
import os
import signal

import pytest

from helpers import guest
from helpers.cli import godwit
from helpers.journey import FLAGS, Journey, journal, status_pid
from helpers.phases import Phases, Wire, number, opaque, strings
from helpers.tools import virsh, wait_until
from helpers.traveller import PAUSED, RUNNING, SHUTOFF

pytestmark = pytest.mark.godwit


@pytest.fixture(scope="module")
def journey(make_host, scratch):
    shared = Journey((make_host("host-a", tcp=True), make_host("host-b", tcp=True)), scratch)
    yield shared
    shared.close()


@pytest.fixture
def strangers(make_host, folder):
    """Two daemons that cannot reach each other: only the client could tell the one about the other."""
    apart = Journey((make_host("host-c"), make_host("host-d")), folder)
    yield apart
    apart.close()


def test_unsettled_guest_is_let_run_by_nobody(journey):
    """The source's daemon dies after the destination has the guest, and the destination's with it: until it is back, the
    source's guest is neither resumed nor, when it was destroyed, started."""
    phases = journey.migrate_up_to("finish")
    source, target = journey.hosts
    source.kill()
    target.kill()
    phases.close()
    source.start()
    assert journey.state(source) == PAUSED
    refused = virsh(source, "resume", "traveller", ok=False)
    assert "not known" in refused.errors and "--recover" in refused.errors
    (entry,) = godwit("migrate", "--status", "--output", "json", uri=source.uri).json
    assert (entry["domain"], entry["phase"], entry["owner"], entry["peer"]) == ("traveller", "handed over", "not known",
                                                                                target.hostname)
    unreachable = godwit("migrate", "--recover", "traveller", uri=source.uri, ok=False)
    assert "--owner source" in unreachable.errors
    target.start()
    godwit("migrate", "--recover", "traveller", uri=source.uri, ok=None)  # the daemon may have been quicker
    wait_until(lambda: (journey.state(source), journey.state(target)) == (None, RUNNING), timeout=60, step=0.1,
               what="the destination alone has the guest")
    journey.traveller.lives()


def prepare_in_vain(host, xml):
    """A migration to the host that fails when its QEMU is there: nobody can listen at that address."""
    wire = Wire(host)
    try:
        wire.call("domain-migrate-prepare3-params",
                  strings(migrate_uri="tcp:192.0.2.1:49999", listen_address="192.0.2.1", destination_xml=xml) + opaque(b"") +
                  number(FLAGS))
    finally:
        wire.close()


def test_host_that_lost_its_guest(journey, scratch):
    """The whole source host goes down when the destination has the guest: a domain that is still defined there, and may be
    marked autostart, is not started before the destination was asked."""
    source, target = journey.ready()
    with open(f"{scratch}/traveller.xml", "w", encoding="utf-8") as file:
        file.write(virsh(source, "dumpxml", "--security-info", "traveller").text)
    virsh(source, "define", file.name)
    phases = journey.migrate_up_to("finish")
    pid = status_pid(source)
    source.kill()
    target.kill()
    os.kill(pid, signal.SIGKILL)
    phases.close()
    source.start()
    wait_until(lambda: journey.state(source) == SHUTOFF, what="the guest's end here")
    assert "not known" in virsh(source, "start", "traveller", ok=False).errors
    arrival = virsh(source, "dumpxml", "traveller").text.replace("type='qemu'", "type='qemu' id='1'")
    with pytest.raises(RuntimeError):
        prepare_in_vain(source, arrival)
    assert "not known" in virsh(source, "start", "traveller", ok=False).errors, "a failed arrival settles nothing"
    target.start()
    wait_until(lambda: not journal(source), timeout=60, what="the source's journal is settled")
    assert (journey.state(source), journey.state(target)) == (SHUTOFF, RUNNING)
    virsh(source, "undefine", "traveller")
    journey.traveller.lives()


def test_client_that_is_mistaken(journey):
    """It lost the answer of finish, and tells the source, as libvirt's clients do, that the migration was cancelled."""
    phases = journey.migrate_up_to("finish")
    source, target = journey.hosts
    phases.confirm(cancelled=True)
    assert (journey.state(source), journey.state(target)) == (None, RUNNING)
    phases.close()
    journey.traveller.lives()


def test_resume_after_the_switch_is_refused(journey):
    """Also when a user had suspended the guest on its way: the destination may run it by then."""
    phases = journey.migrate_up_to("prepare")
    source, target = journey.hosts
    virsh(source, "suspend", "traveller")
    phases.perform()
    assert "migrated away" in virsh(source, "resume", "traveller", ok=False).errors
    phases.finish()
    phases.confirm()
    phases.close()
    assert (journey.state(source), journey.state(target)) == (None, RUNNING)
    journey.traveller.lives()


def test_suspended_guest_that_came_back_says_what_it_needs(journey):
    """QEMU does not send it a second time before it has run."""
    source, target = journey.hosts
    virsh(source, "create", "--paused", "/dev/stdin", stdin=guest.bare_xml("still"))
    phases = Phases(source, target, "still", FLAGS).up_to("perform")
    with contextlib.suppress(RuntimeError):     # it answers that the guest is not there
        phases.finish(cancelled=True)
    phases.confirm(cancelled=True)
    phases.close()
    refused = virsh(source, "migrate", "still", target.uri, ok=False)
    assert "sent once while it was suspended" in refused.errors and "resume it" in refused.errors
    virsh(source, "resume", "still")
    virsh(source, "suspend", "still")
    virsh(source, "migrate", "still", target.uri)
    assert virsh(target, "domstate", "still").text == "paused"
    virsh(target, "destroy", "still")


def test_definition_cannot_change_on_the_way(journey):
    """What was acknowledged here would be missing there."""
    phases = journey.migrate_up_to("perform")
    source, target = journey.hosts
    refused = virsh(source, "desc", "traveller", "--live", "new words", ok=False)
    assert "being migrated" in refused.errors
    phases.finish()
    phases.confirm()
    phases.close()
    assert journey.state(target) == RUNNING
    journey.traveller.lives()
    journey.traveller.ends()


def test_finish_of_a_client_that_hung_up(strangers):
    """The destination's daemon freezes; the client gives it up and tells the source so. When the daemon goes on it finds a
    finish that nobody waits for any more."""
    phases = strangers.migrate_up_to("perform")
    source, target = strangers.hosts
    os.kill(target.pid, signal.SIGSTOP)
    phases.send("finish")
    phases.target.close()
    phases.confirm(cancelled=True)
    os.kill(target.pid, signal.SIGCONT)
    phases.source.close()
    wait_until(lambda: (strangers.state(source), strangers.state(target)) == (RUNNING, None), timeout=30, step=0.1,
               what="the source alone has the guest")
    assert not journal(source) and not os.listdir(f"{target.root}/var/lib/godwit/migrations")
    assert len(guest.qemu_processes()) == 1
    strangers.traveller.lives()
    strangers.traveller.ends()
