# SPDX-License-Identifier: LGPL-2.1-or-later
"""Live migration of the real guest between two hosts, driven by stock virsh and python3-libvirt."""
import re
import subprocess
import threading
import time
import xml.etree.ElementTree as ET

import libvirt
import pytest

from helpers import guest
from helpers.tools import long, table, virsh, wait_until
from helpers.traveller import PAUSED, ROUTE, RUNNING, SHUTOFF, Traveller

@pytest.fixture
def traveller(two_hosts, line):
    return Traveller(two_hosts, line)


def test_live_there_and_back(two_hosts, traveller):
    result = traveller.migrate("--live", "--verbose")
    assert re.search(r"Migration: \[100 ?%\]", result.text + result.errors), result
    assert traveller.states() == [SHUTOFF, RUNNING]
    assert virsh(two_hosts[0], "domstate", "--reason", "traveller").text == "shut off (migrated)"
    assert virsh(two_hosts[1], "domstate", "--reason", "traveller").text == "running (migrated)"
    traveller.lives()
    virsh(two_hosts[1], "migrate", "--live", "traveller", two_hosts[0].tcp_uri, *ROUTE)
    assert traveller.states() == [RUNNING, None]
    traveller.lives()
    traveller.ends()


def test_persistent_and_undefinesource(two_hosts, traveller):
    traveller.migrate("--live", "--persistent", "--undefinesource")
    assert traveller.states() == [None, RUNNING]
    target = libvirt.open(two_hosts[1].uri).lookupByName("traveller")
    assert target.isPersistent() == 1
    assert ET.fromstring(target.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)).findtext("name") == "traveller"
    traveller.lives()
    traveller.ends()
    assert traveller.states() == [None, SHUTOFF]


def test_suspend_and_new_name(two_hosts, traveller):
    traveller.migrate("--live", "--suspend", "--dname", "arrived")
    assert traveller.states("arrived") == [None, PAUSED]
    now = time.monotonic()
    time.sleep(0.5)
    assert not [beat for beat in traveller.line.heartbeats() if beat[0] > now], "the guest ran although --suspend was given"
    virsh(two_hosts[1], "resume", "arrived")
    traveller.lives()
    virsh(two_hosts[1], "destroy", "arrived")


def test_not_live(two_hosts, traveller):
    """Without --live the guest is paused for the whole transfer; it arrives running all the same."""
    traveller.migrate()
    assert traveller.states() == [SHUTOFF, RUNNING]
    traveller.lives()
    traveller.ends()


def test_paused_guest_arrives_paused(two_hosts, traveller):
    virsh(two_hosts[0], "suspend", "traveller")
    traveller.migrate("--live")
    assert traveller.states() == [SHUTOFF, PAUSED]
    virsh(two_hosts[1], "resume", "traveller")
    traveller.lives()
    traveller.ends()


def test_peer_to_peer(two_hosts, traveller):
    traveller.migrate("--live", "--p2p", "--persistent")
    assert traveller.states() == [SHUTOFF, RUNNING]
    traveller.lives()
    traveller.ends()


def test_changed_xml(two_hosts, traveller, scratch):
    """--xml may change what the guest cannot see; what it can see is refused and named."""
    xml = virsh(two_hosts[0], "dumpxml", "--migratable", "traveller").text
    path = f"{scratch}/changed.xml"
    with open(path, "w") as out:
        out.write(xml.replace("<vcpu placement='static'>1<", "<vcpu placement='static'>2<"))
    traveller.migrate("--live", "--xml", path, ok=False)
    assert traveller.states() == [RUNNING, None]
    with open(path, "w") as out:
        out.write(re.sub(r"<on_crash>\w+</on_crash>", "<on_crash>restart</on_crash>", xml))
    traveller.migrate("--live", "--xml", path)
    assert traveller.states() == [SHUTOFF, RUNNING]
    assert "<on_crash>restart</on_crash>" in virsh(two_hosts[1], "dumpxml", "traveller").text
    traveller.lives()
    traveller.ends()


def test_job_info_and_abort(two_hosts, line):
    """A slow migration can be watched in every field, and aborted; the guest goes on as if nothing had been."""
    traveller = Traveller(two_hosts, line)
    source = two_hosts[0]
    mover = subprocess.Popen(["virsh", "-c", source.uri, "migrate", "--live", "--bandwidth", "4", "traveller",
                              two_hosts[1].tcp_uri, *ROUTE], stderr=subprocess.PIPE, text=True)

    def sent_something():
        info = table(virsh(source, "domjobinfo", "traveller").text)
        return info if "Memory bandwidth" in info else None
    info = wait_until(sent_something, timeout=20, what="job info", step=0.1)
    assert info["Job type"] == "Unbounded" and info["Operation"] == "Outgoing migration"
    for field in ("Time elapsed", "Data processed", "Data remaining", "Data total", "Memory processed", "Memory remaining",
                  "Memory total", "Memory bandwidth", "Dirty rate", "Page size", "Iteration", "Constant pages", "Normal pages",
                  "Normal data", "Expected downtime", "Setup time"):
        assert field in info, f"domjobinfo has no '{field}': {info}"
    job = libvirt.open(source.uri).lookupByName("traveller").jobStats()
    assert job["type"] == libvirt.VIR_DOMAIN_JOB_UNBOUNDED and job["memory_total"] > 200 << 20
    assert job["operation"] == libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT
    started = time.monotonic()
    virsh(source, "domjobabort", "traveller")
    _, errors = mover.communicate(timeout=20)
    assert mover.returncode != 0 and re.search("abort|cancel", errors), errors
    assert time.monotonic() - started < 10
    wait_until(lambda: traveller.states() == [RUNNING, None], what="the source alone has the guest")
    assert table(virsh(source, "domjobinfo", "traveller").text)["Job type"] == "None"
    traveller.lives()

    traveller.migrate("--live")
    done = table(virsh(two_hosts[1], "domjobinfo", "--completed", "traveller").text)
    assert done["Job type"] == "Completed" and done["Operation"] == "Incoming migration"
    assert "Total downtime" in done and "Time elapsed" in done
    traveller.lives()
    traveller.ends()


def test_timeout_suspends_a_guest_that_does_not_converge(two_hosts, line):
    traveller = Traveller(two_hosts, line, dirty=48, area=96)
    traveller.migrate("--live", "--bandwidth", "30", "--timeout", "3", "--timeout-suspend", "--verbose", timeout=180)
    assert traveller.states() == [SHUTOFF, RUNNING]
    traveller.lives()
    traveller.ends()


def test_events_of_both_ends(two_hosts, traveller):
    seen = {host.hostname: [] for host in two_hosts}
    opened = []
    for host in two_hosts:
        connection = libvirt.open(host.uri)
        connection.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
            lambda _, domain, event, detail, host: seen[host.hostname].append((event, detail)), host)
        opened.append(connection)
    traveller.migrate("--live")
    a, b = two_hosts
    wait_until(lambda: (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_MIGRATED) in seen[a.hostname])
    wait_until(lambda: (libvirt.VIR_DOMAIN_EVENT_RESUMED, libvirt.VIR_DOMAIN_EVENT_RESUMED_MIGRATED) in seen[b.hostname])
    assert (libvirt.VIR_DOMAIN_EVENT_STARTED, libvirt.VIR_DOMAIN_EVENT_STARTED_MIGRATED) in seen[b.hostname]
    assert (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED) in seen[a.hostname]
    for connection in opened:
        connection.close()


@pytest.mark.parametrize("why", ["wrong-uri", long("name-taken"), long("disk-missing"), long("qemu-dies")])
def test_failure_leaves_the_guest_on_the_source(two_hosts, traveller, scratch, why):
    source, target = two_hosts
    words, uri = ["--live"], None
    if why == "name-taken":
        libvirt.open(target.uri).defineXML(guest.bare_xml("traveller"))
    elif why == "disk-missing":
        xml = virsh(source, "dumpxml", "--migratable", "traveller").text.replace(traveller.disk, "/nonexistent/gone.raw")
        with open(f"{scratch}/gone.xml", "w") as out:
            out.write(xml)
        words += ["--xml", f"{scratch}/gone.xml"]
    elif why == "wrong-uri":
        uri = "qemu+tcp://127.0.0.1:1/system"
    elif why == "qemu-dies":
        words += ["--bandwidth", "8"]

        def strike():
            uuid = virsh(source, "domuuid", "traveller").text

            for pid in wait_until(lambda: incoming_pids(uuid), timeout=20, what="the destination's QEMU"):
                time.sleep(1)
                subprocess.run(["kill", "-9", str(pid)], check=False)
        threading.Thread(target=strike, daemon=True).start()
    result = traveller.migrate(*words, ok=False, uri=uri)
    assert result.errors.startswith("error:"), result
    assert traveller.states()[0] == RUNNING
    assert traveller.states()[1] == (SHUTOFF if why == "name-taken" else None)
    if why != "name-taken":
        assert virsh(target, "list", "--all", "--name").text == "", "the destination kept something"
    traveller.lives()
    virsh(target, "undefine", "traveller", ok=None)
    traveller.migrate("--live")
    traveller.lives()
    traveller.ends()


def incoming_pids(uuid):
    """Pids of QEMUs that wait for this guest to come in."""
    found = subprocess.run(["pgrep", "-f", f"uuid {uuid}.*-incoming"], capture_output=True, text=True).stdout.split()
    return [int(pid) for pid in found]


def test_same_host_is_refused(two_hosts, traveller):
    result = virsh(two_hosts[0], "migrate", "--live", "traveller", two_hosts[0].tcp_uri, ok=False)
    assert "error:" in result.errors
    assert traveller.states() == [RUNNING, None]
    traveller.ends()


def test_transient_guest_and_python_client(two_hosts, line):
    """python3-libvirt's migrateToURI3 (peer to peer) and migrate3 (the client drives), with typed parameters."""
    traveller = Traveller(two_hosts, line, persistent=False)
    source, target = (libvirt.open(host.uri) for host in two_hosts)
    over = libvirt.open(two_hosts[1].tcp_uri)
    moved = source.lookupByName("traveller").migrate3(over, {libvirt.VIR_MIGRATE_PARAM_URI: "tcp://127.0.0.1"},
                                                       libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_UNSAFE)
    assert moved.name() == "traveller" and moved.state()[0] == RUNNING
    assert traveller.states() == [None, RUNNING]
    traveller.lives()
    target.lookupByName("traveller").migrateToURI3(
        two_hosts[0].tcp_uri, {libvirt.VIR_MIGRATE_PARAM_URI: "tcp://127.0.0.1"},
        libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_UNSAFE | libvirt.VIR_MIGRATE_PEER2PEER)
    assert traveller.states() == [RUNNING, None]
    traveller.lives()
    traveller.ends()


def test_older_form_without_parameters(two_hosts, traveller):
    """virDomainMigrate2 uses the protocol's v3 calls without typed parameters when only plain options are given."""
    source, target = libvirt.open(two_hosts[0].uri), libvirt.open(two_hosts[1].tcp_uri)
    source.lookupByName("traveller").migrate2(target, None, libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_UNSAFE, None,
                                              "tcp://127.0.0.1", 0)
    assert traveller.states() == [SHUTOFF, RUNNING]
    traveller.lives()
    traveller.ends()


@pytest.mark.full
def test_many_moves_of_a_busy_guest(two_hosts, line):
    traveller = Traveller(two_hosts, line, dirty=64, area=96)
    for turn in range(20):
        source, target = two_hosts if turn % 2 == 0 else two_hosts[::-1]
        virsh(source, "migrate", "--live", "traveller", target.tcp_uri, *ROUTE, timeout=120)
        traveller.lives()
    traveller.ends()


def test_parallel_arrival_goes_on(two_hosts, line):
    """What one migration turned on in QEMU must not break the next."""
    traveller = Traveller(two_hosts, line, dirty=4, area=8)
    traveller.migrate("--live", "--parallel")
    traveller.migrate_back("--live")
    traveller.migrate("--live", "--parallel")
    traveller.migrate_back("--live", "--parallel")
    traveller.lives()
    traveller.ends()


def test_paused_arrival_goes_on(two_hosts, line):
    """A guest that arrived paused and never ran here can be migrated on (QEMU 7.2 used to die of it)."""
    traveller = Traveller(two_hosts, line, dirty=4, area=8)
    virsh(two_hosts[0], "suspend", "traveller")
    traveller.migrate("--live")
    assert traveller.states() == [SHUTOFF, PAUSED]
    traveller.migrate_back("--live")
    assert traveller.states()[0] == PAUSED
    virsh(two_hosts[0], "resume", "traveller")
    traveller.lives()
    traveller.ends()
