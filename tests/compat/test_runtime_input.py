# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys, pictures, the monitor, graphics and other small questions to a running guest."""
import json
import os
import socket

import libvirt
import libvirt_qemu
import pytest

from helpers.guest import bare_xml, domain_xml
from helpers.tools import virsh


@pytest.fixture
def seen(connection, scratch):
    devices = (f"<graphics type='vnc' socket='{scratch}/vnc.sock'/><video><model type='vga'/></video>"
               f"<channel type='unix'><source mode='bind' path='{scratch}/port.sock'/><target type='virtio' name='org.test.0'/></channel>")
    domain = connection.createXML(bare_xml("seen", devices=devices))
    yield domain


def test_screenshot(host, seen, scratch):
    assert "image/png" in virsh(host, "screenshot", "seen", f"{scratch}/picture").text
    with open(f"{scratch}/picture", "rb") as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"
    virsh(host, "screenshot", "seen", f"{scratch}/none", "--screen", "9", ok=False)
    folder = f"{host.root}/var/lib/godwit/domains/{seen.UUIDString()}"
    assert not os.path.isdir(folder) or not [name for name in os.listdir(folder) if name.startswith("picture")]


def test_keys_and_nmi(host, seen):
    virsh(host, "send-key", "seen", "KEY_LEFTCTRL", "KEY_LEFTALT", "KEY_DELETE")
    virsh(host, "send-key", "seen", "--codeset", "usb", "--holdtime", "20", "4")
    virsh(host, "send-key", "seen", "--codeset", "atset1", "0x1e")
    assert "999" in virsh(host, "send-key", "seen", "999", ok=False).errors
    virsh(host, "inject-nmi", "seen")


def test_monitor(seen):
    reply = json.loads(libvirt_qemu.qemuMonitorCommand(seen, '{"execute":"query-status"}', 0))
    assert reply["return"]["running"]
    assert "VM status: running" in libvirt_qemu.qemuMonitorCommand(
        seen, "info status", libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP)
    assert "error" in json.loads(libvirt_qemu.qemuMonitorCommand(seen, '{"execute":"no-such"}', 0))


def test_memory_peek(seen):
    assert len(seen.memoryPeek(0xf0000, 4096, libvirt.VIR_MEMORY_PHYSICAL)) == 4096
    with pytest.raises(libvirt.libvirtError):
        seen.memoryPeek(0, 16, 3)


def test_graphics(seen):
    fd = seen.openGraphicsFD(0, libvirt.VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH)
    with socket.socket(fileno=fd) as client:
        client.settimeout(10)
        assert client.recv(12).startswith(b"RFB ")
    ours, theirs = socket.socketpair()
    seen.openGraphics(0, theirs.fileno(), 0)
    theirs.close()
    ours.settimeout(10)
    assert ours.recv(12).startswith(b"RFB ")
    ours.close()
    with pytest.raises(libvirt.libvirtError):
        seen.openGraphicsFD(3)


def test_channel(connection, seen):
    stream = connection.newStream()
    seen.openChannel("org.test.0", stream, 0)
    with pytest.raises(libvirt.libvirtError) as caught:
        seen.openChannel("org.test.0", connection.newStream(), 0)
    assert caught.value.get_error_code() == libvirt.VIR_ERR_OPERATION_FAILED
    stream.finish()
    with pytest.raises(libvirt.libvirtError):
        seen.openChannel("org.none.0", connection.newStream(), 0)


def test_lifecycle_action_and_command_line(host, connection, seen):
    seen.setLifecycleAction(libvirt.VIR_DOMAIN_LIFECYCLE_CRASH, libvirt.VIR_DOMAIN_LIFECYCLE_ACTION_PRESERVE, 0)
    assert "<on_crash>preserve</on_crash>" in seen.XMLDesc()
    with pytest.raises(libvirt.libvirtError):
        seen.setLifecycleAction(7, 0, 0)
    text = connection.domainXMLToNative("qemu-argv", domain_xml("paper", boot=False))
    assert "qemu-system-x86_64" in text and "guest=paper" in text
    with pytest.raises(libvirt.libvirtError):
        connection.domainXMLToNative("xen-xm", domain_xml("paper", boot=False))
    virsh(host, "domlaunchsecinfo", "seen", ok=False)


@pytest.mark.godwit
def test_streams_of_one_client_are_bounded(host, connection, seen):
    greedy = libvirt.open(host.uri)
    domain, streams = greedy.lookupByName("seen"), []
    with pytest.raises(libvirt.libvirtError, match="64 streams open already"):
        for _ in range(70):
            streams.append(greedy.newStream())
            domain.screenshot(streams[-1], 0)
    assert len(streams) == 65
    connection.lookupByName("seen").screenshot(connection.newStream(), 0)
    streams[0].abort()
    domain.screenshot(greedy.newStream(), 0)
    greedy.close()
