# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where a file system refuses locks, a file beside each image says which guest of which host writes to it."""
import contextlib
import json
import os
import subprocess
import sys
import threading

import libvirt
import pytest

from helpers import guest
from helpers.guest import bare_xml
from helpers.phases import Phases
from helpers.tools import virsh, wait_until
from helpers.traveller import ROUTE, RUNNING

pytestmark = pytest.mark.godwit
HELPERS = os.path.dirname(os.path.realpath(guest.__file__))


@pytest.fixture
def lockless(folder):
    """A directory without locks."""
    pytest.importorskip("fusepy")
    if not os.path.exists("/dev/fuse"):
        pytest.skip("no /dev/fuse")
    for name in ("below", "seen"):
        os.mkdir(f"{folder}/{name}")
    server = subprocess.Popen([sys.executable, f"{HELPERS}/lockless.py", f"{folder}/below", f"{folder}/seen"])
    wait_until(lambda: os.path.ismount(f"{folder}/seen") or server.poll() is not None, timeout=30, what="the mount")
    if server.poll() is not None:
        pytest.skip("cannot mount")
    yield f"{folder}/seen"
    subprocess.run(["umount", "-l", f"{folder}/seen"], check=True)
    server.terminate()
    server.wait(30)


@pytest.fixture
def disk(lockless):
    return guest.disk_image(f"{lockless}/disk.raw")


def xml(name, disk, uuid=None):
    return bare_xml(name, disk=disk, uuid=uuid).replace(" cache='none'", "")


def lease_of(disk):
    """What the lease says; {} when there is none."""
    try:
        with open(f"{os.path.dirname(disk)}/.{os.path.basename(disk)}.godwit-lease", encoding="utf-8") as file:
            return dict(line.rstrip("\n").split(" ", 1) for line in file)
    except FileNotFoundError:
        return {}


def holder(disk):
    lease = lease_of(disk)
    return (lease.get("host"), lease.get("domain"))


def start(host, text):
    with contextlib.closing(libvirt.open(host.uri)) as connection:
        connection.createXML(text)


def refused(host, text):
    with pytest.raises(libvirt.libvirtError) as caught:
        start(host, text)
    return str(caught.value)


def state(host, name="leased"):
    with contextlib.closing(libvirt.open(host.uri)) as connection:
        try:
            return connection.lookupByName(name).state()[0]
        except libvirt.libvirtError:
            return None


def test_two_hosts_one_image(disk, two_hosts):
    """Taken at the start, refused to others by name, gone with the guest; what a dead host left says how it goes."""
    here, there = two_hosts
    start(here, xml("leased", disk))
    assert holder(disk) == ("host-a", "leased") and lease_of(disk)["since"].endswith("Z")
    words = refused(there, xml("other", disk))
    assert "'leased' of host 'host-a'" in words and ".disk.raw.godwit-lease" in words and "remove that file" in words, words
    link = f"{os.path.dirname(os.path.dirname(disk))}/link.raw"
    os.symlink(disk, link)
    words = refused(there, xml("other", link))
    assert "'leased' of host 'host-a'" in words, words
    words = refused(here, xml("other", disk))
    assert "'leased' of host 'host-a'" in words or "already in use" in words, words
    assert holder(disk) == ("host-a", "leased"), "a refused start took the lease away"
    virsh(here, "destroy", "leased")
    wait_until(lambda: not lease_of(disk), what="the lease goes with its guest")
    start(there, xml("other", disk))
    assert holder(disk) == ("host-b", "other")


def test_two_starts_of_one_image(disk, two_hosts):
    """A guest has its lease before it is there; so has one of two that find what a crash left."""
    host = two_hosts[0]
    script = f"{host.root}/etc/libvirt/hooks/qemu"
    os.makedirs(os.path.dirname(script), exist_ok=True)
    with open(script, "w", encoding="utf-8") as file:
        file.write("#!/bin/bash\n[[ $1 == leased && $2 == start ]] && while [[ -x $0 ]]; do sleep 0.1; done\nexit 0\n")
    os.chmod(script, 0o755)
    first = threading.Thread(target=start, args=(host, xml("leased", disk)))
    first.start()
    try:
        wait_until(lambda: lease_of(disk), what="the lease of a guest that starts")
        words = refused(host, xml("other", disk))
        assert "'leased' of host 'host-a'" in words, words
    finally:
        os.unlink(script)
        first.join(60)
    assert state(host) == RUNNING and holder(disk) == ("host-a", "leased")


def test_a_lease_that_this_host_left(disk, two_hosts):
    """The host went down with its guest: nobody else can have it."""
    host = two_hosts[0]
    start(host, xml("leased", disk))
    path = f"{os.path.dirname(disk)}/.disk.raw.godwit-lease"
    with open(path, encoding="utf-8") as file:
        left = file.read()
    virsh(host, "destroy", "leased")
    wait_until(lambda: not lease_of(disk), what="the lease goes with its guest")
    with open(path, "w", encoding="utf-8") as file:
        file.write(left.replace("\nid ", "\nid 9"))
    start(host, xml("leased", disk))
    assert not lease_of(disk)["id"].startswith("9")
    host.kill()
    host.start()
    wait_until(lambda: state(host) == RUNNING, what="the guest is found again")
    virsh(host, "destroy", "leased")
    wait_until(lambda: not lease_of(disk), what="the lease of a guest that was found again goes with it")


def test_it_moves_with_the_guest(disk, two_hosts):
    here, there = two_hosts
    start(here, xml("leased", disk))
    phases = Phases(here, there, "leased", libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_UNSAFE)
    for step, owner in (("begin", "host-a"), ("prepare", "host-a"), ("perform", "host-a"), ("finish", "host-b"),
                        ("confirm", "host-b")):
        getattr(phases, step)()
        assert holder(disk) == (owner, "leased"), step
    phases.close()
    virsh(there, "migrate", "--live", "leased", here.tcp_uri, *ROUTE)
    assert holder(disk) == ("host-a", "leased")
    phases = Phases(here, there, "leased", libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_UNSAFE)
    for step in ("begin", "prepare", "perform"):
        getattr(phases, step)()
    phases.close()
    wait_until(lambda: (state(here), state(there)) == (RUNNING, None), timeout=60, what="the source has it again")
    assert holder(disk) == ("host-a", "leased")


def test_it_arrived_but_has_no_lease_yet(disk, two_hosts):
    """The daemon ended just before it let the guest run, and the next one cannot write the lease: it is not left at that."""
    here, there = two_hosts
    start(here, xml("leased", disk))
    phases = Phases(here, there, "leased", libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_UNSAFE)
    phases.up_to("confirm")
    phases.close()
    there.kill()
    folder = f"{there.root}/run/godwit/domains"
    status, = [f"{folder}/{name}" for name in os.listdir(folder) if name.endswith(".json")]
    with open(status, encoding="utf-8") as file:
        saved = json.load(file)
    assert saved["lockless"]
    with open(status, "w", encoding="utf-8") as file:
        json.dump({**saved, "incoming": True}, file)
    obstacle = f"{os.path.dirname(disk)}/.disk.raw.godwit-lease.new"
    os.mkdir(obstacle)
    there.start()
    wait_until(lambda: "cannot be let run" in there.log(), timeout=60, what="the first try")
    os.rmdir(obstacle.replace("/seen/", "/below/"))
    wait_until(lambda: "is let run at last" in there.log(), timeout=60, what="another try")
    assert state(there) == RUNNING and holder(disk) == ("host-b", "leased")


def test_no_lease_where_locks_work(folder, two_hosts):
    disk = guest.disk_image(f"{folder}/disk.raw")
    start(two_hosts[0], xml("leased", disk))
    assert os.listdir(folder) == ["disk.raw"]
