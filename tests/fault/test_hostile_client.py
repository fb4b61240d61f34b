# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients that ask for too much get an error; the daemon and its guests go on."""
import os
import socket
import struct

import libvirt
import libvirt_qemu
import pytest

from helpers.guest import bare_xml

pytestmark = pytest.mark.godwit


@pytest.fixture
def domain(connection):
    return connection.createXML(bare_xml("asked"))


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


def raw(path, uid=0):
    """A connection without a client behind it. The kernel tells the daemon the effective user of the moment."""
    peer = socket.socket(socket.AF_UNIX)
    os.seteuid(uid)
    try:
        peer.connect(path)
    finally:
        os.seteuid(0)
    return peer


def answers(peer, seconds=10):
    """True when the daemon answers a call on it, False when it has closed it, None when it is not accepted."""
    peer.settimeout(seconds)
    try:
        peer.sendall(struct.pack(">7I", 28, 0x20008086, 1, 1, 0, 1, 0))    # connect-open without its arguments: an error
        return len(peer.recv(28)) == 28
    except TimeoutError:
        return None
    except OSError:
        return False


@pytest.fixture
def small_host(make_host, scratch):
    os.chmod(scratch, 0o711)                                    # for other users
    return make_host("host-small", options=["--max-clients", "40"])


def test_one_user_does_not_take_the_places_of_all(small_host):
    peers = [raw(small_host.socket_ro, uid=65534) for _ in range(30)]
    assert [answers(peer) for peer in peers].count(True) == 20
    others = [raw(small_host.socket_ro) for _ in range(20)]
    assert [answers(peer) for peer in others[:16]] == [True] * 16
    assert answers(others[16], 1) is None                       # the last places are not for the read-only socket
    connection = libvirt.open(small_host.uri)
    assert connection.isAlive()
    connection.close()
    for peer in peers + others[:16]:
        peer.close()
    assert answers(others[19])                                  # and when places are free again, those who wait get them


def test_a_readonly_client_cannot_pile_up_much(host):
    size = 2 * 1024 * 1024 + 4
    for path, expected in ((host.socket, None), (host.socket_ro, False)):
        with raw(path) as peer:
            peer.sendall(struct.pack(">I", size))
            assert answers(peer, 1) is expected                 # None: it waits for the rest


def test_a_domain_that_is_named_often_is_asked_once(connection, domain):
    records = connection.domainListGetStats([domain] * 1000 + [connection.lookupByName("asked")])
    assert [record[0].name() for record in records] == ["asked"]
