# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests start, pause, stop and die. Most have no kernel: their firmware finds nothing to boot, which is life enough."""
import os
import signal
import time

import libvirt
import pytest

from helpers.guest import bare_xml, domain_xml, qemu_pids
from helpers.tools import table, virsh, wait_until

RUNNING, PAUSED, SHUTOFF = libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_SHUTOFF


def fails(action):
    with pytest.raises(libvirt.libvirtError) as caught:
        action()
    return caught.value.get_error_code()


def test_start_states_and_reasons(connection, host):
    domain = connection.defineXML(bare_xml("states"))
    assert domain.state() == [SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_UNKNOWN]
    domain.create()
    assert domain.state() == [RUNNING, libvirt.VIR_DOMAIN_RUNNING_BOOTED]
    assert domain.ID() > 0 and domain.isActive() == 1
    domain.suspend()
    assert domain.state() == [PAUSED, libvirt.VIR_DOMAIN_PAUSED_USER]
    assert virsh(host, "domstate", "--reason", "states").text == "paused (user)"
    domain.resume()
    assert domain.state() == [RUNNING, libvirt.VIR_DOMAIN_RUNNING_UNPAUSED]
    domain.destroy()
    assert domain.state() == [SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED] and domain.ID() == -1
    assert not qemu_pids([domain.UUIDString()])


def test_wrong_state_is_refused(connection):
    domain = connection.defineXML(bare_xml("wrong"))
    invalid = libvirt.VIR_ERR_OPERATION_INVALID
    for call in (domain.destroy, domain.suspend, domain.resume, domain.shutdown, domain.reset, domain.reboot):
        assert fails(call) == invalid
    domain.create()
    assert fails(domain.create) == invalid
    assert fails(lambda: connection.createXML(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))) == \
        libvirt.VIR_ERR_OPERATION_INVALID
    domain.suspend()
    domain.suspend()    # asking for what is already so is no error
    domain.resume()
    assert fails(domain.resume) == invalid or domain.state()[0] == RUNNING


def test_virsh_start_paused_then_resume(host, connection):
    connection.defineXML(bare_xml("slow"))
    assert "started" in virsh(host, "start", "--paused", "slow").text
    assert virsh(host, "domstate", "slow").text == "paused"
    virsh(host, "resume", "slow")
    assert virsh(host, "domstate", "--reason", "slow").text == "running (unpaused)"
    assert virsh(host, "domid", "slow").text.isdigit()
    virsh(host, "reset", "slow")
    virsh(host, "suspend", "slow")
    virsh(host, "destroy", "--graceful", "slow")
    assert virsh(host, "domstate", "--reason", "slow").text == "shut off (destroyed)"


def test_transient_domain_vanishes(connection):
    domain = connection.createXML(bare_xml("fleeting"))
    assert domain.isPersistent() == 0 and domain.isActive() == 1
    assert fails(lambda: domain.setAutostart(1)) == libvirt.VIR_ERR_OPERATION_INVALID
    assert fails(domain.undefine) == libvirt.VIR_ERR_OPERATION_INVALID
    domain.destroy()
    assert fails(lambda: connection.lookupByName("fleeting")) == libvirt.VIR_ERR_NO_DOMAIN


def test_transient_becomes_persistent_and_back(connection):
    xml = bare_xml("settling")
    domain = connection.createXML(xml)
    connection.defineXML(xml)
    assert domain.isPersistent() == 1
    domain.undefine()
    assert domain.isPersistent() == 0 and domain.isActive() == 1
    domain.destroy()
    assert fails(lambda: connection.lookupByName("settling")) == libvirt.VIR_ERR_NO_DOMAIN


def test_redefining_a_running_domain_waits_for_its_next_start(connection):
    xml = bare_xml("two-faced")
    domain = connection.defineXML(xml)
    domain.create()
    connection.defineXML(xml.replace("65528", "131064"))
    assert "65528" in domain.XMLDesc() and "131064" in domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    domain.destroy()
    assert domain.maxMemory() == 131064


def test_autodestroy_ends_with_its_connection(host, connection):
    other = libvirt.open(host.uri)
    other.createXML(bare_xml("leashed"), libvirt.VIR_DOMAIN_START_AUTODESTROY)
    connection.defineXML(bare_xml("leashed-too"))
    other.lookupByName("leashed-too").createWithFlags(libvirt.VIR_DOMAIN_START_AUTODESTROY)
    assert connection.numOfDomains() == 2
    other.close()
    wait_until(lambda: connection.numOfDomains() == 0, what="autodestroy")
    assert [domain.name() for domain in connection.listAllDomains()] == ["leashed-too"]


def test_qemu_killed_is_seen_at_once(connection):
    domain = connection.defineXML(bare_xml("victim"))
    domain.create()
    os.kill(qemu_pids([domain.UUIDString()])[domain.UUIDString()], signal.SIGKILL)
    wait_until(lambda: domain.isActive() == 0, timeout=5, step=0.005)
    assert domain.state() == [SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_FAILED] or \
        domain.state() == [SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_CRASHED]
    domain.create()


def test_failed_start_tells_qemus_reason_and_leaves_nothing(connection):
    domain = connection.defineXML(bare_xml("hopeless", disk="/nonexistent/disk.raw"))
    with pytest.raises(libvirt.libvirtError) as caught:
        domain.create()
    assert "/nonexistent/disk.raw" in str(caught.value)
    assert domain.isActive() == 0 and not qemu_pids([domain.UUIDString()])


def test_info_and_control(connection, host):
    domain = connection.defineXML(bare_xml("informed", vcpus=2))
    domain.create()
    state, maximum, memory, vcpus, cpu_time = domain.info()
    assert (state, maximum, vcpus) == (RUNNING, 65528 if maximum == 65528 else 65536, 2) and 0 < memory <= maximum
    wait_until(lambda: domain.info()[4] > cpu_time, timeout=10, what="CPU time grows")
    assert domain.controlInfo() == [libvirt.VIR_DOMAIN_CONTROL_OK, 0, 0]
    assert virsh(host, "domcontrol", "informed").text == "ok"
    assert domain.maxVcpus() == 2 and domain.OSType() == "hvm"
    info = table(virsh(host, "dominfo", "informed").text)
    assert info["State"] == "running" and info["CPU(s)"] == "2" and info["CPU time"].endswith("s")
    vcpu = virsh(host, "vcpuinfo", "informed").text
    assert vcpu.count("VCPU:") == 2 and "running" in vcpu
    assert "current" in virsh(host, "vcpucount", "informed").text


def test_real_guest_pauses_resets_and_reboots(host, line, connection):
    """A booted guest: silent while suspended, boots again on reset and on reboot, powers down on shutdown."""
    domain = connection.defineXML(domain_xml("real", serial=line.xml, hb=20))
    domain.create()
    line.wait_for("READY", timeout=60)
    line.wait_for("HB 20 ")
    domain.suspend()
    time.sleep(0.1)
    before = len(line.heartbeats())
    time.sleep(0.4)
    assert len(line.heartbeats()) == before, "the guest ran while it was suspended"
    domain.resume()
    wait_until(lambda: len(line.heartbeats()) > before + 3)

    now = time.monotonic()
    domain.reset()
    line.wait_for("READY", timeout=60, since=now)
    line.wait_for("HB 3 ", since=now)
    now = time.monotonic()
    virsh(host, "reboot", "--mode", "acpi", "real")
    line.wait_for("POWERDOWN", timeout=30, since=now)
    line.wait_for("READY", timeout=60, since=now)
    assert domain.isActive() == 1

    line.wait_for("HB 3 ", since=now)
    domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)
    wait_until(lambda: domain.isActive() == 0, timeout=30)
    assert domain.state() == [SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_SHUTDOWN]


def test_guest_reboots_by_itself_and_on_reboot_destroy_ends_it(line, connection):
    domain = connection.createXML(domain_xml("restless", serial=line.xml, extra="<on_reboot>destroy</on_reboot>"))
    line.wait_for("READY", timeout=60)
    line.send("reboot")
    wait_until(lambda: connection.numOfDomains() == 0, timeout=30)
    assert fails(domain.info) == libvirt.VIR_ERR_NO_DOMAIN


def test_guest_time(host, connection):
    domain = connection.createXML(bare_xml("clock"))
    result = virsh(host, "domtime", "clock", ok=False)
    assert "agent" in result.errors, result
    assert fails(domain.getTime) in (libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED, libvirt.VIR_ERR_AGENT_UNRESPONSIVE,
                                     libvirt.VIR_ERR_OPERATION_UNSUPPORTED, libvirt.VIR_ERR_CONFIG_UNSUPPORTED)
