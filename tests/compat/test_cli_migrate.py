# SPDX-License-Identifier: LGPL-2.1-or-later
"""Migration that godwit drives itself: five phases between two daemons, which it alone connects."""
import re
import socket
import struct
import subprocess
import threading
import time

import libvirt
import pytest

from helpers.cli import GODWIT, Terminal, godwit
from helpers.guest import bare_xml, domain_xml
from helpers.tools import wait_until

ROUTE = ["--migrateuri", "tcp://127.0.0.1"]


def state(host, name="mover"):
    connection = libvirt.open(host.uri)
    try:
        return connection.lookupByName(name).state()[0]
    except libvirt.libvirtError:
        return None
    finally:
        connection.close()


@pytest.fixture
def mover(two_hosts):
    connection = libvirt.open(two_hosts[0].uri)
    connection.defineXML(bare_xml("mover")).create()
    connection.close()
    return two_hosts


def migrate(hosts, *words, ok=True, name="mover", uri=None):
    return godwit("migrate", name, uri or hosts[1].tcp_uri, *words, *ROUTE, uri=hosts[0].uri, ok=ok, timeout=120)


def test_there_and_back(mover):
    answer = migrate(mover, "--live", "--verbose", "--persistent", "--undefinesource")
    assert "Migration: [100 %]" in answer.errors
    assert [state(host) for host in mover] == [None, libvirt.VIR_DOMAIN_RUNNING]
    info = godwit("domjobinfo mover --completed --keep-completed --output json", uri=mover[1].uri).json
    assert info["type"] == "Completed" and info["memory_total"] >= 65528 * 1024
    godwit("migrate", "mover", mover[0].tcp_uri, "--live", *ROUTE, uri=mover[1].tcp_uri)
    assert state(mover[0]) == libvirt.VIR_DOMAIN_RUNNING
    assert state(mover[1]) == libvirt.VIR_DOMAIN_SHUTOFF         # still defined there


def test_peer_to_peer(mover):
    migrate(mover, "--live", "--p2p")
    assert [state(host) for host in mover] == [libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_RUNNING]


def test_another_name_and_suspended(mover):
    migrate(mover, "--live", "--dname", "moved", "--suspend", "--bandwidth", "500")
    assert state(mover[1], "moved") == libvirt.VIR_DOMAIN_PAUSED
    assert state(mover[1]) is None


def test_a_paused_guest_stays_paused(mover):
    godwit("suspend mover", uri=mover[0].uri)
    migrate(mover)
    assert state(mover[1]) == libvirt.VIR_DOMAIN_PAUSED


@pytest.mark.parametrize("words, message", [
    (["--tunnelled"], "only with --p2p"),
    (["--live", "--offline"], "exclude each other"),
    (["--timeout", "5"], "only with --live"),
    (["--timeout-postcopy", "--live", "--timeout", "5"], "only with --postcopy"),
    (["--live", "--timeout", "0"], "from 1"),
    (["--bandwidth", "much"], "--bandwidth takes a number"),
    (["--xml", "/nonexistent.xml"], "/nonexistent.xml"),
    (["--parallel-connections", "2"], "only with --parallel"),
])
def test_options_that_do_not_fit(mover, words, message):
    assert message in migrate(mover, *words, ok=False).errors
    assert [state(host) for host in mover] == [libvirt.VIR_DOMAIN_RUNNING, None]


def test_destination_that_cannot_take_it(mover):
    """Prepare fails: the source was told, so that it can be migrated again."""
    other = libvirt.open(mover[1].uri)
    other.defineXML(bare_xml("mover"))           # the same name, another UUID
    answer = migrate(mover, "--live", ok=False)
    assert "domain 'mover' was not migrated: the destination cannot take" in answer.errors
    assert state(mover[0]) == libvirt.VIR_DOMAIN_RUNNING
    other.lookupByName("mover").undefine()
    other.close()
    migrate(mover, "--live")
    assert state(mover[1]) == libvirt.VIR_DOMAIN_RUNNING


def test_destination_out_of_reach(mover):
    answer = migrate(mover, "--live", ok=False, uri="qemu+tcp://127.0.0.1:1/system")
    assert "cannot connect to the destination" in answer.errors
    assert state(mover[0]) == libvirt.VIR_DOMAIN_RUNNING


def test_perform_that_fails_is_taken_back(mover):
    """The state is sent to an address (of RFC 5737) that nobody has."""
    answer = godwit("migrate", "mover", mover[1].tcp_uri, "--live", "--migrateuri", "tcp://192.0.2.1:49999",
                    uri=mover[0].uri, ok=False)
    assert "was not migrated" in answer.errors
    wait_until(lambda: state(mover[0]) == libvirt.VIR_DOMAIN_RUNNING, what="the guest on the source")
    wait_until(lambda: state(mover[1]) is None, what="nothing on the destination")


class Cutter:
    """A relay in front of a daemon that breaks the connection when migration is about to finish: before the daemon hears of
    it, or after it answered. With deaf, nobody is let in afterwards."""
    FINISH = (217, 306)         # remote_protocol: DOMAIN_MIGRATE_FINISH3, ..._PARAMS

    def __init__(self, port, before=False, deaf=False):
        self.port, self.before, self.deaf, self.cut = port, before, deaf, False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"qemu+tcp://127.0.0.1:{self.listener.getsockname()[1]}/system"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        try:
            while True:
                client = self.listener.accept()[0]
                daemon = socket.create_connection(("127.0.0.1", self.port))
                for pair in ((client, daemon), (daemon, client)):
                    threading.Thread(target=self.relay, args=pair, daemon=True).start()
        except OSError:
            pass                # closed

    def relay(self, source, sink):
        with source.makefile("rb") as stream:
            while len(size := stream.read(4)) == 4:
                packet = stream.read(struct.unpack(">I", size)[0] - 4)
                finish = not self.cut and struct.unpack(">I", packet[8:12])[0] in self.FINISH
                reply = struct.unpack(">I", packet[12:16])[0] == 1
                if finish and (self.before or reply):
                    self.cut = True
                    if self.deaf:
                        self.listener.shutdown(socket.SHUT_RDWR)
                    break
                sink.sendall(size + packet)
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass            # the other relay did it


def test_lost_destination_that_has_the_guest(mover):
    """The answer to finish is lost; the destination, asked anew, says that the guest runs there."""
    migrate(mover, "--live", uri=Cutter(mover[1].tcp_port).uri)
    assert [state(host) for host in mover] == [libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_RUNNING]


def test_lost_destination_that_never_got_it(mover):
    answer = migrate(mover, "--live", uri=Cutter(mover[1].tcp_port, before=True).uri, ok=False)
    assert "domain 'mover' was not migrated" in answer.errors
    assert [state(host) for host in mover] == [libvirt.VIR_DOMAIN_RUNNING, None]


@pytest.mark.full       # waits half a minute for a destination that is not there
def test_lost_destination_that_stays_lost(mover):
    """Never two running guests: the client leaves the source's paused and says what to do, and the source's daemon, which
    reaches the destination by itself, settles it."""
    cutter = Cutter(mover[1].tcp_port, deaf=True)
    answer = migrate(mover, "--live", uri=cutter.uri, ok=False)
    assert answer.status == 1 and "whether domain 'mover' was migrated is not known" in answer.errors
    assert "'migrate --recover mover'" in answer.errors
    assert state(mover[1]) == libvirt.VIR_DOMAIN_RUNNING
    wait_until(lambda: state(mover[0]) != libvirt.VIR_DOMAIN_PAUSED, timeout=30, what="the source's decision")
    assert state(mover[0]) in (None, libvirt.VIR_DOMAIN_SHUTOFF)


@pytest.fixture
def busy(two_hosts, line):
    """A guest that dirties memory faster than a narrow migration carries it."""
    connection = libvirt.open(two_hosts[0].uri)
    domain = connection.createXML(domain_xml("mover", serial=line.xml, hb=20, dirty=32, area=64))
    line.wait_for(r"MEM \d+ ok", timeout=90)
    yield two_hosts
    connection.close()
    del domain


def job_runs(host):
    connection = libvirt.open(host.uri)
    try:
        info = connection.lookupByName("mover").jobInfo()
        return info[0] == libvirt.VIR_DOMAIN_JOB_UNBOUNDED and info[4] > 0
    finally:
        connection.close()


def test_ctrl_c_aborts(busy, line):
    terminal = Terminal("migrate", "--live", "--verbose", "--bandwidth", "4", "mover", busy[1].tcp_uri, *ROUTE,
                        uri=busy[0].uri)
    wait_until(lambda: job_runs(busy[0]), timeout=30, what="the migration")
    terminal.wait_for("Migration: [")
    terminal.process.send_signal(2)
    assert terminal.process.wait(20) == 1
    terminal.wait_for("was not migrated")
    terminal.close()
    assert [state(host) for host in busy] == [libvirt.VIR_DOMAIN_RUNNING, None]
    line.wait_for("HB ", timeout=10, since=time.monotonic())


def test_domjobabort_by_somebody_else(busy):
    mover = subprocess.Popen([GODWIT, "-c", busy[0].uri, "migrate", "--live", "--bandwidth", "4", "mover",
                              busy[1].tcp_uri, *ROUTE], stderr=subprocess.PIPE, text=True)
    wait_until(lambda: job_runs(busy[0]), timeout=30, what="the migration")
    info = godwit("domjobinfo mover", uri=busy[0].uri).out
    assert re.search(r"^Job type: +Unbounded", info) and re.search(r"^Operation: +Outgoing migration", info, re.M)
    godwit("domjobabort mover", uri=busy[0].uri)
    assert "was not migrated" in mover.communicate(timeout=20)[1]
    assert mover.returncode == 1 and state(busy[0]) == libvirt.VIR_DOMAIN_RUNNING


def test_timeout_forces_the_end(busy):
    """After the limit the guest is suspended, so that what is left can be sent; on arrival it runs."""
    mover = subprocess.Popen([GODWIT, "-c", busy[0].uri, "migrate", "--live", "--bandwidth", "8", "--timeout", "3", "mover",
                              busy[1].tcp_uri, *ROUTE], stderr=subprocess.PIPE, text=True)
    wait_until(lambda: state(busy[0]) == libvirt.VIR_DOMAIN_PAUSED, timeout=30, what="the suspension")
    godwit("migrate-setspeed mover 1000", uri=busy[0].uri)
    errors = mover.communicate(timeout=60)[1]
    assert mover.returncode == 0, errors
    assert state(busy[1]) == libvirt.VIR_DOMAIN_RUNNING


def test_the_guest_that_arrives_is_whole(busy, line):
    migrate(busy, "--live")
    line.wait_for(r"MEM \d+ ok", timeout=30, since=time.monotonic())
    line.check()
