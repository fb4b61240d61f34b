# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fixtures. GODWIT_BUILD names the build directory (default build/); GODWIT_TEST_PEER=1 runs the same tests against Debian's
libvirtd instead, which is how the tests themselves are checked."""
import itertools
import os
import shutil
import sys
import tempfile
import threading
import uuid as uuids

import pytest

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import libvirt  # noqa: E402
from helpers import guest  # noqa: E402
from helpers.daemon import free_port  # noqa: E402
from helpers.host import Host, kill_guests  # noqa: E402
from helpers.peer import Peer  # noqa: E402

ON_PEER = os.environ.get("GODWIT_TEST_PEER") == "1"
_ports = itertools.count(52000 + os.getpid() % 50 * 64, 64)
libvirt.registerErrorHandler(lambda *_: None, None)


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="also run the long variants")


def pytest_configure(config):
    config.addinivalue_line("markers", "full: long; runs only with --full")
    config.addinivalue_line("markers", "alone: runs with no other test beside it; all of tests/fault does")
    config.addinivalue_line("markers", "godwit: promises of Godwit that libvirtd does not make")


def pytest_collection_modifyitems(config, items):
    for item in items:
        if "/tests/fault/" in str(item.path):
            item.add_marker(pytest.mark.alone)
        if "full" in item.keywords and not config.getoption("--full"):
            item.add_marker(pytest.mark.skip(reason="long: runs with --full"))
        if "godwit" in item.keywords and ON_PEER:
            item.add_marker(pytest.mark.skip(reason="libvirtd does not promise this"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Puts the daemons' logs into the report of a test that failed."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for daemon in _running:
            if os.path.exists(daemon.stderr_path):
                with open(daemon.stderr_path, errors="replace") as file:
                    report.sections.append((f"log of {daemon.hostname}", file.read()[-3000:]))


_running = []


@pytest.fixture(scope="session", autouse=True)
def event_loop():
    """libvirt's own event loop in a thread, for callbacks, streams and keepalive."""
    libvirt.virEventRegisterDefaultImpl()

    def turn():
        while True:
            libvirt.virEventRunDefaultImpl()
    threading.Thread(target=turn, daemon=True).start()


@pytest.fixture(scope="module")
def scratch():
    """A short private directory: socket paths are limited to 107 characters."""
    path = tempfile.mkdtemp(prefix="gw", dir="/tmp")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def make_host(scratch):
    """make_host(name, tcp=False, **options) starts a daemon; all end with the module, and must end clean."""
    made = []

    def make(name="host-a", tcp=False, kind=Peer if ON_PEER else Host, **options):
        first = next(_ports)
        host = kind(f"{scratch}/{name}", hostname=name, tcp_port=free_port() if tcp else None,
                    migration_ports=(first, first + 63), **options)
        made.append(host)
        _running.append(host)
        return host.start()
    yield make
    try:
        for host in made:
            if not ON_PEER:
                kill_guests()
            host.stop()
    finally:
        for host in made:
            _running.remove(host)
            if host.pid:
                host.process.kill()
        kill_guests()


def clean(host):
    """Destroys and undefines whatever a test left on the host."""
    if not host.pid:
        return
    if host.process.poll() is not None:
        status = host.process.poll()
        host.start()
        clean(host)
        pytest.fail(f"the daemon of {host.hostname} died with status {status}", pytrace=False)
    connection = libvirt.open(host.uri)
    for domain in connection.listAllDomains():
        for step in (lambda: domain.isActive() and domain.destroy(),
                     lambda: domain.isPersistent() and domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)):
            try:
                step()
            except libvirt.libvirtError:
                pass
    connection.close()


@pytest.fixture(scope="module")
def module_host(make_host):
    return make_host("host-a")


def leave(*hosts):
    """After a test: no domain is left, and no QEMU without one."""
    for host in hosts:
        clean(host)
    left = kill_guests()
    assert not left, f"QEMU processes outlived their domains: {left}"


@pytest.fixture
def host(module_host):
    """One daemon, shared by the module's tests, without domains at the start of each."""
    yield module_host
    leave(module_host)


@pytest.fixture(scope="module")
def module_hosts(make_host):
    return make_host("host-a", tcp=True), make_host("host-b", tcp=True)


@pytest.fixture
def two_hosts(module_hosts):
    """Two daemons that can migrate to each other over TCP."""
    yield module_hosts
    leave(*module_hosts)


@pytest.fixture(scope="module")
def module_mixed_hosts(make_host):
    return make_host("host-a", tcp=True, kind=Peer), make_host("host-b", tcp=True)


@pytest.fixture
def mixed_hosts(module_mixed_hosts):
    """Debian's libvirtd and godwitd."""
    yield module_mixed_hosts
    leave(*module_mixed_hosts)


@pytest.fixture
def connection(host):
    opened = libvirt.open(host.uri)
    yield opened
    opened.close()


@pytest.fixture
def line(scratch):
    """Where a guest's serial line connects: domain_xml(serial=line.xml)."""
    path = f"{scratch}/line{next(_ports)}"
    opened = guest.Line(path)
    opened.xml = f"unix:{path}"
    yield opened
    opened.close()
    os.unlink(path)


@pytest.fixture
def folder(scratch):
    path = f"{scratch}/{uuids.uuid4().hex[:8]}"
    os.mkdir(path)
    return path


@pytest.fixture
def pool(host, connection, folder):
    made = connection.storagePoolCreateXML(
        f"<pool type='dir'><name>p{uuids.uuid4().hex[:6]}</name><target><path>{folder}</path></target></pool>")
    yield made
    assert not [name for name in os.listdir(folder) if name.startswith(".godwit")], "half-made volumes were left"
    again = libvirt.open(host.uri)      # a test may have restarted the daemon
    again.storagePoolLookupByName(made.name()).destroy()
    again.close()
