# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients that ask for too much get an error; the daemon and its guests go on."""
import libvirt
import libvirt_qemu
import pytest

from helpers.guest import domain_xml

pytestmark = pytest.mark.godwit


@pytest.fixture
def domain(connection):
    return connection.createXML(domain_xml("asked", boot=False, serial=None, memory_kib=65528))


@pytest.mark.parametrize("levels", [257, 2000, 100000])
@pytest.mark.parametrize("command", ['{"execute":"query-status","arguments":%s}', "%s"])
def test_deeply_nested_json(host, connection, domain, command, levels):
    pid = host.pid
    for text in (command % ("[" * levels + "]" * levels), command % ('{"a":' * levels + "1" + "}" * levels)):
        for ask in (libvirt_qemu.qemuMonitorCommand, lambda *words: libvirt_qemu.qemuAgentCommand(*words[:2], 5, 0)):
            with pytest.raises(libvirt.libvirtError, match="256 levels") as caught:
                ask(domain, text, 0)
            assert caught.value.get_error_code() == libvirt.VIR_ERR_INVALID_ARG
    assert '"running"' in libvirt_qemu.qemuMonitorCommand(domain, '{"execute":"query-status"}', 0)
    assert host.pid == pid and connection.isAlive()


def test_registrations_are_bounded(connection, domain):
    # a name of its own for each, or the client library registers but once
    numbers = [libvirt_qemu.qemuMonitorEventRegister(connection, None, f"EVENT_{number}", print, None)
               for number in range(1000)]
    with pytest.raises(libvirt.libvirtError, match="1000") as caught:
        connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, print, None)
    assert caught.value.get_error_code() == libvirt.VIR_ERR_OPERATION_FAILED
    libvirt_qemu.qemuMonitorEventDeregister(connection, numbers[0])
    number = connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, print, None)
    connection.domainEventDeregisterAny(number)
    for number in numbers[1:]:
        libvirt_qemu.qemuMonitorEventDeregister(connection, number)
