# SPDX-License-Identifier: LGPL-2.1-or-later
"""The serial console: through a stream in Python, and through virsh on a terminal of its own."""
import subprocess
import time

import libvirt
import pytest

from helpers.guest import bare_xml, domain_xml
from helpers.terminal import Terminal


class Console(Terminal):
    """virsh console; closing leaves it as a person does."""

    def __init__(self, host, *words):
        super().__init__("virsh", "-c", host.uri, "console", *words)

    def close(self):
        if self.process.poll() is None:
            self.type("\x1d")
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                pass
        super().close()


@pytest.fixture
def talker(host, connection):
    domain = connection.defineXML(domain_xml("talker", serial="pty", hb=500))
    domain.create()
    return domain


def test_virsh_console_echo_busy_and_force(host, talker):
    first = Console(host, "talker")
    first.wait_for("Connected to domain")
    first.wait_for("HB ", timeout=60)
    first.type("good evening\r")
    first.wait_for("ECHO good evening")
    second = Console(host, "talker", "--safe")
    second.wait_for("error:")
    assert second.process.wait(10) != 0
    third = Console(host, "talker", "--force")
    third.wait_for("HB ")       # by then it has made its terminal raw, which drops what was typed before
    third.type("taken over\r")
    third.wait_for("ECHO taken over")
    first.process.wait(10)      # its stream was taken away
    third.type("\x1d")          # ^] leaves
    assert third.process.wait(10) == 0
    again = Console(host, "talker", "--devname", "serial0", "--safe")
    again.wait_for("HB ")
    for terminal in (first, second, third, again):
        terminal.close()


def test_console_by_stream(connection, talker):
    stream = connection.newStream()
    talker.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_SAFE)
    other = connection.newStream()
    with pytest.raises(libvirt.libvirtError) as caught:
        talker.openConsole(None, other, libvirt.VIR_DOMAIN_CONSOLE_SAFE)
    assert caught.value.get_error_code() == libvirt.VIR_ERR_OPERATION_FAILED
    text = b""
    deadline = time.monotonic() + 60
    while b"HB 2 " not in text and time.monotonic() < deadline:
        text += stream.recv(1024)
    stream.send(b"streamed\n")
    while b"ECHO streamed" not in text and time.monotonic() < deadline:
        text += stream.recv(1024)
    assert b"ECHO streamed" in text
    stream.finish()


def test_no_console_and_wrong_device(connection, talker):
    with pytest.raises(libvirt.libvirtError):
        talker.openConsole("no-such", connection.newStream(), 0)
    bare = connection.createXML(bare_xml("mute"))
    with pytest.raises(libvirt.libvirtError) as caught:
        bare.openConsole(None, connection.newStream(), 0)
    assert caught.value.get_error_code() in (libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_ERR_OPERATION_INVALID,
                                             libvirt.VIR_ERR_INVALID_ARG)


def test_end_of_guest_ends_the_console(host, talker):
    terminal = Console(host, "talker")
    terminal.wait_for("Connected to domain")
    talker.destroy()
    terminal.process.wait(10)
    terminal.close()


@pytest.mark.godwit
def test_console_that_nobody_reads_holds_up_no_other_call(connection):
    domain = connection.createXML(domain_xml("deaf", boot=False, serial="pty", memory_kib=65528),
                                  libvirt.VIR_DOMAIN_START_PAUSED)
    stream = connection.newStream()
    domain.openConsole(None, stream, 0)
    with pytest.raises(libvirt.libvirtError) as caught:
        for _ in range(200):
            stream.send(b"x" * 60000)
            assert domain.info()[0] == libvirt.VIR_DOMAIN_PAUSED
    assert "domain-open-console" in str(caught.value) and "wait to be read" in str(caught.value), caught.value
    domain.destroy()
