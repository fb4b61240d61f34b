# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real QEMU that hangs (SIGSTOP) hangs nobody but the jobs on its own domain."""
import os
import signal
import threading
import time

import libvirt
import pytest

from helpers.guest import bare_xml, disk_image, qemu_pids
from helpers.tools import change_status, wait_until

pytestmark = pytest.mark.godwit
LIMIT = 0.1


@pytest.fixture
def hung(host, connection, scratch):
    """Three running guests; the first one's QEMU is stopped. Yields the domains."""
    domains = [connection.defineXML(bare_xml(f"g{number}", nic=True,
                                               disk=disk_image(f"{scratch}/hung{number}.raw"))) for number in range(3)]
    for domain in domains:
        domain.create()
    connection.getAllDomainStats()
    pid = qemu_pids([domains[0].UUIDString()])[domains[0].UUIDString()]
    os.kill(pid, signal.SIGSTOP)
    yield domains
    for pid in qemu_pids([domains[0].UUIDString()]).values():
        os.kill(pid, signal.SIGCONT)


def slowest(action, count=10):
    """The slowest of `count` calls but one: the machine may hiccup once, a daemon that waits does so each time."""
    times = []
    for _ in range(count):
        started = time.monotonic()
        action()
        times.append(time.monotonic() - started)
    return sorted(times)[-2]


def test_queries_answer_from_memory(connection, hung):
    stuck, healthy, other = hung
    assert slowest(connection.listAllDomains) < LIMIT
    for domain in (healthy, other):
        assert slowest(domain.info) < LIMIT and slowest(domain.state) < LIMIT and slowest(domain.XMLDesc) < LIMIT
        assert slowest(lambda domain=domain: connection.domainListGetStats([domain])) < LIMIT
    assert slowest(stuck.info) < LIMIT and stuck.info()[0] == libvirt.VIR_DOMAIN_RUNNING
    assert slowest(stuck.XMLDesc) < LIMIT and slowest(stuck.state) < LIMIT
    assert slowest(connection.getAllDomainStats) < LIMIT
    names = {domain.name(): values for domain, values in connection.getAllDomainStats()}
    assert set(names) == {"g0", "g1", "g2"} and names["g0"]["state.state"] == libvirt.VIR_DOMAIN_RUNNING


def test_jobs_wait_their_time_and_name_the_holder(host, connection, hung):
    stuck, healthy, _ = hung
    errors = []

    def suspend():
        try:
            libvirt.open(host.uri).lookupByName("g0").suspend()
        except libvirt.libvirtError as error:
            errors.append(str(error))
    first = threading.Thread(target=suspend)
    first.start()
    time.sleep(0.3)
    healthy.suspend()
    healthy.resume()
    second = threading.Thread(target=suspend)
    second.start()
    assert slowest(stuck.info) < LIMIT
    for thread in (first, second):
        thread.join(90)
        assert not thread.is_alive(), "a job on a hung guest never came back"
    assert len(errors) == 2 and all("g0" in text for text in errors), errors
    assert stuck.state()[0] == libvirt.VIR_DOMAIN_RUNNING


def test_it_goes_on_after_the_hang(connection, hung):
    stuck = hung[0]
    os.kill(qemu_pids([stuck.UUIDString()])[stuck.UUIDString()], signal.SIGCONT)
    wait_until(lambda: connection.domainListGetStats([stuck])[0][1].get("balloon.current"), timeout=10)
    stuck.suspend()
    assert stuck.state()[0] == libvirt.VIR_DOMAIN_PAUSED
    stuck.resume()


def test_destroy_ends_a_hung_guest(hung):
    started = time.monotonic()
    hung[0].destroy()
    assert time.monotonic() - started < 20 and hung[0].isActive() == 0
    assert not qemu_pids([hung[0].UUIDString()])


def test_daemon_restarts_beside_a_hung_guest(host, hung):
    host.kill(signal.SIGKILL)
    with change_status(host, hung[0]) as status:
        status["state"] = libvirt.VIR_DOMAIN_PAUSED     # it was resumed later than the file knows
    started = time.monotonic()
    host.start()
    connection = libvirt.open(host.uri)
    assert connection.lookupByName("g1").info()[0] == libvirt.VIR_DOMAIN_RUNNING
    assert time.monotonic() - started < 10
    stuck = connection.lookupByName("g0")
    wait_until(lambda: "'g0' runs" in host.log() and "does not answer" in host.log())
    os.kill(qemu_pids([stuck.UUIDString()])[stuck.UUIDString()], signal.SIGCONT)
    wait_until(lambda: stuck.state()[0] == libvirt.VIR_DOMAIN_RUNNING, timeout=20)
    connection.close()


def test_the_next_daemon_finishes_a_destroy(host, hung):
    def destroy():
        try:
            libvirt.open(host.uri).lookupByName("g0").destroy()
        except libvirt.libvirtError:
            pass
    asker = threading.Thread(target=destroy)
    asker.start()
    time.sleep(0.3)             # QEMU was asked to end and does not
    host.kill(signal.SIGKILL)
    asker.join(10)
    host.start()
    connection = libvirt.open(host.uri)
    stuck = connection.lookupByName("g0")
    os.kill(qemu_pids([stuck.UUIDString()])[stuck.UUIDString()], signal.SIGCONT)
    wait_until(lambda: stuck.isActive() == 0, timeout=20)
    assert stuck.state() == [libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED]
    connection.close()
