# SPDX-License-Identifier: LGPL-2.1-or-later
"""QEMUs that die, lie, or answer late. Whatever one of them does, the daemon and all other guests go on as if nothing were."""
import os
import signal
import threading
import time

import libvirt
import pytest

from helpers.guest import bare_xml, qemu_pids
from helpers.tools import wait_until

pytestmark = pytest.mark.godwit
HERE = os.path.dirname(os.path.realpath(__file__))


@pytest.fixture
def fake(scratch):
    """fake(mode) makes an emulator that behaves so and returns its path; while PATH.on exists, it misbehaves."""
    made = []

    def make(mode):
        path = f"{scratch}/qemu-{mode}"
        with open(path, "w") as out:
            out.write(f"#!/bin/sh\nFAKE_SWITCH={path}.on exec /usr/bin/python3 {HERE}/fake_qemu.py {mode} \"$@\"\n")
        os.chmod(path, 0o755)
        made.append(path)
        return path
    yield make
    for path in made:
        for name in (path, f"{path}.on"):
            if os.path.exists(name):
                os.unlink(name)


def bare(name, emulator=None, **options):
    words = {"emulator": emulator} if emulator else {}
    return bare_xml(name, **words, **options)


@pytest.fixture
def bystander(connection):
    """A healthy guest that must not notice anything."""
    domain = connection.createXML(bare("bystander"))
    yield domain
    assert domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING
    domain.suspend()
    domain.resume()


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


# A QEMU that says nothing has a minute to speak (large memory that is preallocated takes its time): not in every check.
SLOW = [pytest.param(mode, marks=pytest.mark.full) for mode in ("silent", "mute")]


@pytest.mark.parametrize("mode", ["dies", "killed", "garbage", "flood", "yes", "strangers", *SLOW])
def test_start_fails_soon_and_leaves_nothing(host, connection, bystander, fake, mode):
    domain = connection.defineXML(bare("liar", fake(mode)))
    before = rss_kib(host.pid)
    started = time.monotonic()
    try:
        domain.create()
    except libvirt.libvirtError as error:
        assert "liar" in str(error), error
        if mode == "dies":
            assert "the disk of this machine has run away" in str(error), error
        if mode == "killed":
            assert "signal 9" in str(error) and "a hand reaches for the plug" in str(error), error
        assert domain.isActive() == 0
    else:
        assert mode == "yes", f"a QEMU that is {mode} was started"
        domain.XMLDesc()
        domain.info()
        connection.getAllDomainStats()
        domain.destroy()
    assert time.monotonic() - started < (100 if mode in ("silent", "mute") else 30)
    assert rss_kib(host.pid) - before < 200 * 1024, "the daemon kept what a hostile QEMU sent"
    assert connection.lookupByName("liar").state()[0] == libvirt.VIR_DOMAIN_SHUTOFF


def test_others_are_served_while_a_start_hangs(host, connection, bystander, fake):
    """A start that waits for a silent QEMU holds up nobody else."""
    domain = connection.defineXML(bare("stuck", fake("silent")))
    ended = []

    def start():
        try:
            domain.create()
        except libvirt.libvirtError as error:
            ended.append(str(error))
    starter = threading.Thread(target=start)
    starter.start()
    time.sleep(0.5)
    other = libvirt.open(host.uri)
    slowest = 0
    for _ in range(20):
        begin = time.monotonic()
        names = [one.name() for one in other.listAllDomains()]
        other.lookupByName("bystander").info()
        other.lookupByName("stuck").info()
        slowest = max(slowest, time.monotonic() - begin)
    assert set(names) == {"bystander", "stuck"} and slowest < 0.3, slowest
    os.kill(qemu_pids([domain.UUIDString()])[domain.UUIDString()], signal.SIGKILL)
    starter.join(10)
    assert ended and "stuck" in ended[0]


def starts(domain, failures):
    def start():
        try:
            domain.create()
        except libvirt.libvirtError as error:
            failures.append(error)
    thread = threading.Thread(target=start)
    thread.start()
    return thread


@pytest.mark.parametrize("mode", ["silent", "mute"])
def test_destroy_ends_a_start_that_hangs(host, connection, fake, mode):
    domain, failures = connection.defineXML(bare("stuck", fake(mode))), []
    starter = starts(domain, failures)
    wait_until(lambda: qemu_pids([domain.UUIDString()]), what="its QEMU runs")
    other = libvirt.open(host.uri)
    other.lookupByName("stuck").destroy()
    assert not qemu_pids([domain.UUIDString()])
    starter.join(5)
    assert failures and "cannot start domain 'stuck': it was destroyed while it started" in str(failures[0]), failures
    assert domain.isActive() == 0 and domain.state() == [libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_FAILED]
    other.close()


def test_late_answers_keep_their_order(connection, bystander, fake):
    path = fake("late")
    domain = connection.createXML(bare("late", path))
    open(f"{path}.on", "w").close()
    started = time.monotonic()
    assert connection.lookupByName("bystander").info()[0] == libvirt.VIR_DOMAIN_RUNNING
    assert domain.info()[0] == libvirt.VIR_DOMAIN_RUNNING
    assert time.monotonic() - started < 0.5
    try:
        domain.suspend()
    except libvirt.libvirtError:
        pass
    os.unlink(f"{path}.on")
    wait_until(lambda: domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED, timeout=30, what="the late stop counts all the same")
    domain.resume()
    assert domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING
    domain.destroy()


def test_event_storm_and_malformed_events(connection, bystander, fake):
    domain = connection.createXML(bare("stormy", fake("storm")))
    for _ in range(3):
        domain.suspend()
        domain.resume()
    connection.getAllDomainStats()
    assert domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING
    domain.destroy()


def test_answers_of_the_wrong_type(connection, bystander, fake):
    path = fake("nonsense")
    domain = connection.createXML(bare("absurd", path, nic=True, vcpus=2))
    open(f"{path}.on", "w").close()
    for call in (domain.info, domain.vcpus, domain.memoryStats, connection.getAllDomainStats, domain.suspend, domain.resume,
                 domain.controlInfo, domain.XMLDesc, domain.jobStats, lambda: domain.setMemory(60000)):
        try:
            call()
        except libvirt.libvirtError as error:
            assert error.get_error_code() not in (libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_ERR_RPC), error
    domain.destroy()


def test_monitor_that_closes(connection, bystander, fake):
    """A QEMU whose monitor is gone cannot be managed any more: the daemon says so or ends it, and destroy works."""
    path = fake("cut")
    domain = connection.defineXML(bare("cut", path))
    domain.create()
    open(f"{path}.on", "w").close()
    try:
        domain.suspend()
    except libvirt.libvirtError:
        pass
    try:
        domain.destroy()
    except libvirt.libvirtError:
        pass
    wait_until(lambda: domain.isActive() == 0, timeout=30)
