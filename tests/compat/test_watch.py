# SPDX-License-Identifier: LGPL-2.1-or-later
"""What can be watched: events as they happen, bulk statistics, virtual CPUs, the balloon."""
import os
import signal
import subprocess
import time

import libvirt
import pytest

from helpers.guest import bare_xml, disk_image, domain_xml, qemu_pids
from helpers.tools import table, virsh, wait_until


@pytest.fixture
def lifecycle(connection):
    """[(name, event, detail)] as the daemon sends them."""
    seen = []
    number = connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                               lambda _, domain, event, detail, __: seen.append((domain.name(), event, detail)),
                                               None)
    yield seen
    connection.domainEventDeregisterAny(number)


def expect(seen, *wanted):
    # QEMU may still get to say that it shuts down before it is gone.
    def told():
        return [one for one in seen if one[1] != libvirt.VIR_DOMAIN_EVENT_SHUTDOWN]
    wait_until(lambda: len(told()) >= len(wanted), what=f"events {wanted}, got {seen}")
    assert told() == list(wanted)
    seen.clear()


def test_lifecycle_events_in_order(connection, lifecycle):
    e = libvirt
    domain = connection.defineXML(bare_xml("seen"))
    expect(lifecycle, ("seen", e.VIR_DOMAIN_EVENT_DEFINED, e.VIR_DOMAIN_EVENT_DEFINED_ADDED))
    connection.defineXML(domain.XMLDesc().replace("65528", "131064"))
    expect(lifecycle, ("seen", e.VIR_DOMAIN_EVENT_DEFINED, e.VIR_DOMAIN_EVENT_DEFINED_UPDATED))
    domain.create()
    expect(lifecycle, ("seen", e.VIR_DOMAIN_EVENT_RESUMED, e.VIR_DOMAIN_EVENT_RESUMED_UNPAUSED),
           ("seen", e.VIR_DOMAIN_EVENT_STARTED, e.VIR_DOMAIN_EVENT_STARTED_BOOTED))
    domain.suspend()
    expect(lifecycle, ("seen", e.VIR_DOMAIN_EVENT_SUSPENDED, e.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED))
    domain.resume()
    expect(lifecycle, ("seen", e.VIR_DOMAIN_EVENT_RESUMED, e.VIR_DOMAIN_EVENT_RESUMED_UNPAUSED))
    domain.destroy()
    expect(lifecycle, ("seen", e.VIR_DOMAIN_EVENT_STOPPED, e.VIR_DOMAIN_EVENT_STOPPED_DESTROYED))
    domain.rename("seen2")
    wait_until(lambda: len(lifecycle) >= 2)
    assert [event for _, event, _ in lifecycle] == [e.VIR_DOMAIN_EVENT_UNDEFINED, e.VIR_DOMAIN_EVENT_DEFINED]
    lifecycle.clear()
    domain.undefine()
    expect(lifecycle, ("seen2", e.VIR_DOMAIN_EVENT_UNDEFINED, e.VIR_DOMAIN_EVENT_UNDEFINED_REMOVED))


def test_crash_event(connection, lifecycle):
    domain = connection.createXML(bare_xml("doomed"))
    wait_until(lambda: len(lifecycle) == 2)
    lifecycle.clear()
    os.kill(qemu_pids([domain.UUIDString()])[domain.UUIDString()], signal.SIGKILL)
    wait_until(lambda: lifecycle, timeout=10)
    assert lifecycle[0][:2] == ("doomed", libvirt.VIR_DOMAIN_EVENT_STOPPED)
    assert lifecycle[0][2] in (libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED, libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED)


def test_events_of_one_domain_only(connection):
    one, other = connection.defineXML(bare_xml("one")), connection.defineXML(bare_xml("other"))
    seen = []
    number = connection.domainEventRegisterAny(one, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                               lambda _, domain, *rest: seen.append(domain.name()), None)
    other.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    one.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    wait_until(lambda: seen)
    assert set(seen) == {"one"}
    connection.domainEventDeregisterAny(number)


def test_legacy_event_registration(connection):
    seen = []

    def callback(_, domain, event, detail, __):
        seen.append((domain.name(), event))
    connection.domainEventRegister(callback, None)
    connection.defineXML(bare_xml("legacy"))
    wait_until(lambda: seen)
    assert seen == [("legacy", libvirt.VIR_DOMAIN_EVENT_DEFINED)]
    connection.domainEventDeregister(callback)


def test_other_events(connection, line):
    """Reset raises the reboot event; metadata and balloon changes raise theirs."""
    seen = []
    numbers = [connection.domainEventRegisterAny(None, kind, lambda *rest, kind=kind: seen.append(kind), None) for kind in (
        libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE,
        libvirt.VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE)]
    domain = connection.createXML(domain_xml("eventful", serial=line.xml))
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "t", None, None, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    wait_until(lambda: libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE in seen)
    line.wait_for("HB 3 ", timeout=60)
    domain.setMemory(200 * 1024)
    wait_until(lambda: libvirt.VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE in seen, timeout=20)
    wait_until(lambda: domain.info()[2] < 230 * 1024, timeout=20, what="the balloon inflates")
    domain.reset()
    wait_until(lambda: libvirt.VIR_DOMAIN_EVENT_ID_REBOOT in seen)
    for number in numbers:
        connection.domainEventDeregisterAny(number)


def test_virsh_event_loop(host, connection):
    connection.defineXML(bare_xml("evented"))
    watcher = subprocess.Popen(["virsh", "-c", host.uri, "event", "--all", "--loop", "--timeout", "10"],
                               stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    virsh(host, "start", "evented", "--paused")
    virsh(host, "resume", "evented")
    virsh(host, "destroy", "evented")
    text = ""
    while "Stopped" not in text:
        piece = watcher.stdout.readline()
        assert piece, f"virsh event ended early: {text}"
        text += piece
    watcher.terminate()
    watcher.wait()
    for words in ("Started Booted", "Suspended Paused", "Resumed Unpaused", "Stopped Destroyed"):
        assert words in text, text
    once = subprocess.Popen(["virsh", "-c", host.uri, "event", "evented", "lifecycle"], stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    virsh(host, "start", "evented")
    out, _ = once.communicate(timeout=10)
    assert "evented" in out and once.returncode == 0


def test_close_callback_and_keepalive(host):
    opened = libvirt.open(host.uri)
    opened.setKeepAlive(1, 3)
    time.sleep(2.5)
    assert opened.isAlive() == 1
    opened.close()


def test_bulk_statistics(host, connection, scratch):
    running = connection.defineXML(bare_xml("busy", vcpus=2, nic=True, disk=disk_image(f"{scratch}/stat.raw")))
    running.create()
    connection.defineXML(bare_xml("idle"))
    groups = (libvirt.VIR_DOMAIN_STATS_STATE | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL | libvirt.VIR_DOMAIN_STATS_BALLOON |
              libvirt.VIR_DOMAIN_STATS_VCPU | libvirt.VIR_DOMAIN_STATS_INTERFACE | libvirt.VIR_DOMAIN_STATS_BLOCK)
    stats = {domain.name(): values for domain, values in connection.getAllDomainStats(groups)}
    busy, idle = stats["busy"], stats["idle"]
    assert busy["state.state"] == libvirt.VIR_DOMAIN_RUNNING and busy["state.reason"] == libvirt.VIR_DOMAIN_RUNNING_BOOTED
    assert busy["cpu.time"] > 0 and busy["cpu.user"] >= 0 and busy["cpu.system"] >= 0
    assert busy["vcpu.current"] == 2 and busy["vcpu.maximum"] == 2 and busy["vcpu.0.state"] == libvirt.VIR_VCPU_RUNNING
    assert busy["balloon.current"] == busy["balloon.maximum"] and busy["balloon.current"] >= 65528
    assert busy["net.count"] == 1
    assert busy["block.count"] == 1 and busy["block.0.name"] == "vda" and busy["block.0.path"] == f"{scratch}/stat.raw"
    assert busy["block.0.capacity"] == busy["block.0.physical"] == 16 << 20
    for key in ("rd.reqs", "rd.bytes", "rd.times", "wr.reqs", "wr.bytes", "wr.times", "fl.reqs", "fl.times", "allocation"):
        assert busy[f"block.0.{key}"] >= 0
    assert idle["state.state"] == libvirt.VIR_DOMAIN_SHUTOFF and idle["vcpu.maximum"] == 1
    only = connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE, libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE)
    assert [domain.name() for domain, _ in only] == ["busy"] and set(only[0][1]) == {"state.state", "state.reason"}
    listed = connection.domainListGetStats([connection.lookupByName("idle")], libvirt.VIR_DOMAIN_STATS_STATE)
    assert [domain.name() for domain, _ in listed] == ["idle"]
    text = virsh(host, "domstats", "--state", "--block", "busy").text
    assert "Domain: 'busy'" in text and "state.state=1" in text and "block.0.name=vda" in text
    assert "busy" in virsh(host, "domstats", "--list-active", "--enforce", "--state").text


def test_balloon_by_virsh(host, line, connection):
    connection.defineXML(domain_xml("balloon", serial=line.xml))
    virsh(host, "start", "balloon")
    line.wait_for("HB 3 ", timeout=60)
    virsh(host, "setmem", "balloon", "180M", "--live")
    domain = connection.lookupByName("balloon")
    wait_until(lambda: domain.info()[2] <= 190 * 1024, timeout=20, what="the balloon inflates")
    virsh(host, "setmem", "balloon", "200M", "--config")
    assert "204800" in virsh(host, "dumpxml", "--inactive", "--xpath", "//currentMemory", "balloon").text
    statistics = domain.memoryStats()
    assert statistics["actual"] <= 190 * 1024 and statistics["rss"] > 0
    virsh(host, "setmem", "balloon", "900G", ok=False)
    assert "actual" in virsh(host, "dommemstat", "balloon").text
    line.check()


def test_cpu_and_block_and_interface_counters(host, connection, line, scratch):
    domain = connection.createXML(domain_xml("counters", serial=line.xml, disk=disk_image(f"{scratch}/count.raw"), disk_rate=50,
                                             nic=True))
    line.wait_for("DISK 20 ok", timeout=60)
    requests, size, *_ = domain.blockStats("vda")[2:]
    assert requests >= 20 and size >= 20 * 4096
    assert table(virsh(host, "domblklist", "counters").text) is not None
    assert f"{scratch}/count.raw" in virsh(host, "domblklist", "counters").text
    assert "wr_req" in virsh(host, "domblkstat", "counters", "vda").text
    assert "Capacity:       16777216" in virsh(host, "domblkinfo", "counters", "vda").text
    assert "user" in virsh(host, "domiflist", "counters").text
    first = domain.info()[4]
    wait_until(lambda: domain.info()[4] > first, timeout=10)
    assert domain.vcpus()[0][0][0] == 0
