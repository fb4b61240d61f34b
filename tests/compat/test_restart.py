# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon dies and comes back: definitions are there, running guests never noticed and are watched again."""
import re
import signal
import subprocess
import time

import libvirt
import pytest

from helpers.guest import bare_xml, disk_image, domain_xml, qemu_pids
from helpers.tools import change_status, virsh, wait_until


def content(path):
    with open(path) as file:
        return file.read()


def without_console(xml):
    # libvirtd itself numbers a second console differently after a restart.
    return re.sub(r"<console .*?</console>\s*", "", xml, flags=re.S)


def test_sigkill_and_reattach(host, line, scratch):
    disk = disk_image(f"{scratch}/kept.raw")
    connection = libvirt.open(host.uri)
    connection.defineXML(domain_xml("kept", serial=line.xml, disk=disk, disk_rate=20, dirty=16, area=16, hb=20,
                                    devices="<console type='pty'><target type='virtio'/></console>")).create()
    connection.createXML(bare_xml("fleeting"), libvirt.VIR_DOMAIN_START_PAUSED)
    connection.defineXML(bare_xml("off")).setAutostart(1)
    line.wait_for("DISK 5 ok", timeout=60)
    identity = connection.lookupByName("kept").ID()
    xml = connection.lookupByName("kept").XMLDesc()
    host.kill(signal.SIGKILL)
    time.sleep(0.5)
    before = len(line.heartbeats())
    time.sleep(0.5)
    assert len(line.heartbeats()) > before, "the guest stopped with the daemon"
    host.start()

    again = libvirt.open(host.uri)
    kept = again.lookupByName("kept")
    wait_until(lambda: kept.state()[0] == libvirt.VIR_DOMAIN_RUNNING)
    assert kept.ID() == identity and kept.isPersistent() == 1
    assert without_console(kept.XMLDesc()) == without_console(xml)
    assert again.lookupByName("fleeting").state()[0] == libvirt.VIR_DOMAIN_PAUSED
    assert again.lookupByName("fleeting").isPersistent() == 0
    assert again.lookupByName("off").autostart() == 1
    statistics = again.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_BLOCK | libvirt.VIR_DOMAIN_STATS_STATE)
    written = {domain.name(): values for domain, values in statistics}["kept"]["block.0.wr.reqs"]
    assert written >= 5

    events = []
    again.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                 lambda _, domain, event, detail, __: events.append((domain.name(), event)), None)
    kept.suspend()
    kept.resume()
    stream = again.newStream()
    kept.openConsole("console1", stream, 0)
    stream.abort()
    virsh(host, "shutdown", "kept")
    line.wait_for("POWERDOWN", timeout=20)
    wait_until(lambda: ("kept", libvirt.VIR_DOMAIN_EVENT_STOPPED) in events, timeout=20)
    line.check()
    again.lookupByName("fleeting").destroy()
    assert sorted(domain.name() for domain in again.listAllDomains()) == ["kept", "off"]


def test_guest_that_ended_while_the_daemon_was_away(host, line):
    connection = libvirt.open(host.uri)
    connection.defineXML(domain_xml("gone", serial=line.xml)).create()
    line.wait_for("HB 3 ", timeout=60)
    host.kill(signal.SIGKILL)
    line.send("poweroff")
    time.sleep(1)
    host.start()
    domain = libvirt.open(host.uri).lookupByName("gone")
    wait_until(lambda: domain.isActive() == 0, what="the end of the guest is noticed")
    domain.create()
    domain.destroy()


@pytest.mark.godwit
@pytest.mark.parametrize("ran", [False, True])
def test_start_without_an_answer(host, ran):
    """The daemon died when QEMU was there and its status file does not know that somebody was told. A guest that has not run is
    ended, and its domain can be started as ever; one that runs is a guest, whatever the file says."""
    connection = libvirt.open(host.uri)
    domain = connection.defineXML(bare_xml("unborn"))
    domain.createWithFlags(0 if ran else libvirt.VIR_DOMAIN_START_PAUSED)
    first = qemu_pids([domain.UUIDString()])
    host.kill(signal.SIGKILL)
    with change_status(host, domain) as status:
        status["state"], status["reason"] = libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP
    host.start()
    domain = libvirt.open(host.uri).lookupByName("unborn")
    if ran:
        domain.setAutostart(0)      # waits until the daemon has looked at it
        assert domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING and qemu_pids([domain.UUIDString()]) == first
    else:
        assert domain.isActive() == 0
        domain.create()             # waits until the first QEMU is gone
        second = qemu_pids([domain.UUIDString()])
        assert len(second) == 1 and second != first
    domain.destroy()


@pytest.mark.godwit
def test_guest_whose_status_file_cannot_be_used_is_left_alone(host):
    """It is not shown and not ended, and no second QEMU gets at its disks."""
    connection = libvirt.open(host.uri)
    domain = connection.defineXML(bare_xml("unknown"))
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    pids = qemu_pids([domain.UUIDString()])
    host.kill(signal.SIGKILL)
    with change_status(host, domain) as status:
        version, status["version"] = status["version"], 4711
    host.start()
    domain = libvirt.open(host.uri).lookupByName("unknown")
    with pytest.raises(libvirt.libvirtError, match="still runs this guest"):
        domain.create()
    assert domain.isActive() == 0 and qemu_pids([domain.UUIDString()]) == pids
    host.kill(signal.SIGKILL)
    with change_status(host, domain) as status:
        status["version"] = version
    host.start()
    domain = libvirt.open(host.uri).lookupByName("unknown")
    assert domain.isActive() == 1 and qemu_pids([domain.UUIDString()]) == pids
    domain.destroy()


@pytest.mark.godwit
def test_autostart_is_once_for_each_boot(host):
    connection = libvirt.open(host.uri)
    for number in range(5):
        connection.defineXML(bare_xml(f"auto{number}")).setAutostart(1)
    connection.defineXML(bare_xml("manual"))

    def after_restart(boot=None):
        host.kill(signal.SIGKILL)
        if boot:
            with open(f"{host.root}/run/godwit/autostarted", "w") as mark:
                mark.write(boot)
        return libvirt.open(host.start().uri)

    def running(connection):
        return sorted(domain.name() for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE))
    assert running(after_restart()) == [], "the host has not booted"
    connection = after_restart(boot="1b2c3d4e-0000-4000-8000-000000000000\n")
    wait_until(lambda: running(connection) == [f"auto{number}" for number in range(5)], timeout=30)
    wait_until(lambda: content(f"{host.root}/run/godwit/autostarted") == content("/proc/sys/kernel/random/boot_id"))
    connection.lookupByName("auto3").destroy()
    connection = after_restart()
    assert running(connection) == ["auto0", "auto1", "auto2", "auto4"]


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


def lives(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.godwit
def test_probes_end_with_the_daemon(make_host):
    """The QEMUs that are only asked what they can do are nobody's guests."""
    host = make_host("host-probe")
    client = subprocess.Popen(["virsh", "-c", host.uri, "capabilities"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    asked = wait_until(lambda: children(host.pid), what="a QEMU that is asked")
    host.kill(signal.SIGKILL)
    client.wait()
    wait_until(lambda: not any(lives(pid) for pid in asked), what="their end")
    host.start()
