# SPDX-License-Identifier: LGPL-2.1-or-later
"""The failure matrix (matrix.py): at each moment of a migration, between phases and inside them, something dies or somebody gives
up. Afterwards one host has the guest, alone, it lost nothing, nothing is left on the other, and both journals are settled."""
import contextlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess

import libvirt
import pytest

from helpers import guest
from helpers.journey import COPY, FLAGS, Journey, entries, receives, status_pid
from helpers.phases import Phases
from helpers.tools import run, virsh, wait_until
from helpers.traveller import ROUTE, RUNNING
from matrix import REFUSALS, cells

pytestmark = pytest.mark.godwit
MOVED = libvirt.VIR_MIGRATE_PERSIST_DEST | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE

# QEMU, which stops itself before it begins when it is to receive a guest and HOLD is there, and leaves its pid in it.
EMULATOR = f"""#!/bin/sh
case " $* " in *" -incoming "*) [ -e "$0.hold" ] && echo $$ > "$0.hold" && kill -STOP $$ ;; esac
exec {guest.EMULATOR} "$@"
"""


class Trip:
    """A migration that was brought to one moment and is held there."""

    def __init__(self, journey, moment, way):
        self.journey, self.moment = journey, moment
        self.source, self.target = journey.ready()
        self.stopped, self.phases, self.mover, self.images, self.late = [], None, None, [], False
        self.copies = moment in ("copying", "arriving")
        self.slow = moment in ("copying", "sending")
        self.old = {entry["id"] for entry in entries(self.target)}
        getattr(self, way)()

    # -- the two ways

    def direct(self):
        flags = FLAGS | (COPY | MOVED if self.copies else 0)
        self.phases = Phases(self.source, self.target, "traveller", flags, self.other_disk if self.copies else None,
                             bandwidth=1 if self.slow else None)
        before = {"begun": "begin", "preparing": "begin", "prepared": "prepare", "copying": "prepare", "sending": "prepare",
                  "performed": "perform", "arriving": "perform", "taking": "perform", "finished": "finish",
                  "confirming": "finish"}[self.moment]
        self.phases.up_to(before)
        getattr(self, f"direct_{self.moment}", lambda: None)()

    def direct_preparing(self):
        with self.starting_held():
            self.phases.send("prepare")

    def direct_copying(self):
        self.phases.send("perform")
        self.wait_job("disk_total")

    def direct_sending(self):
        self.phases.send("perform")
        self.wait_job("memory_processed")

    def direct_arriving(self):
        """The destination's QEMU does not answer when it is told to let go of the disks."""
        self.stop_loaded()
        self.phases.send("finish")
        self.phases.target.call("connect-get-hostname", b"")    # answered after finish has begun

    def direct_taking(self):
        """It does not answer when it is told to run the guest, after it has proven that it has arrived."""
        self.phases.send("finish")
        self.stop_taken()

    def direct_confirming(self):
        descriptor = os.pidfd_open(status_pid(self.source))
        self.phases.send("confirm")
        assert select.select([descriptor], [], [], 60)[0], "the source's QEMU is not ended"
        os.close(descriptor)

    def p2p(self):
        words = ["--p2p", "--live"] + (["--copy-storage-all", "--persistent", "--undefinesource"] if self.copies else [])
        if self.moment != "preparing":
            words += ["--bandwidth", "1"]
        if self.copies:
            path = f"{self.journey.line.path}.xml"
            with open(path, "w", encoding="utf-8") as out:
                out.write(self.other_disk(virsh(self.source, "dumpxml", "--migratable", "traveller").text))
            words += ["--xml", path]

        def start():
            self.mover = subprocess.Popen(["virsh", "-c", self.source.uri, "migrate", *words, "traveller",
                                           self.target.tcp_uri, *ROUTE], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                          text=True)
        if self.moment == "preparing":
            with self.starting_held():
                start()
            return
        start()
        self.wait_job("disk_total" if self.copies else "memory_processed")
        if self.moment in ("arriving", "taking"):
            self.p2p_finish()

    def p2p_finish(self):
        """While all is sent the destination's daemon stands still, so that its QEMU can be stopped before finish."""
        os.kill(self.target.pid, signal.SIGSTOP)
        virsh(self.source, "migrate-setspeed", "traveller", "2000")
        wait_until(lambda: [entry["owner"] for entry in entries(self.source) if entry["role"] == "source"] == ["unknown"],
                   timeout=90, what="all is sent")
        if self.moment == "taking":
            os.kill(self.target.pid, signal.SIGCONT)
            self.stop_taken()
        else:
            self.stop_loaded()
            os.kill(self.target.pid, signal.SIGCONT)
            self.journey.state(self.target)     # it has read what came before

    # -- waiting for the moment

    def other_disk(self, xml):
        """The same definition with the disk at another place: both hosts see the same files."""
        self.images = [f"{self.journey.line.path}.copy{next(self.journey.numbers)}"]
        return re.sub("(<source file=)'[^']*'", rf"\1'{self.images[0]}'", xml, count=1)

    def wait_job(self, figure):
        wait_until(lambda: self.journey.job().get(figure), timeout=60, what=f"{figure} of the job")

    def stop_taken(self):
        """As soon as the journal says that the guest is the destination's; on a busy machine it may run by then (self.late)."""
        pid = status_pid(self.target)
        wait_until(lambda: ("destination", "destination") in
                   [(entry["role"], entry["owner"]) for entry in entries(self.target) if entry["id"] not in self.old],
                   timeout=90, step=0, what="the destination's journal says that the guest is its own")
        os.kill(pid, signal.SIGSTOP)
        self.stopped.append(pid)
        self.late = self.journey.state(self.target) == RUNNING

    @contextlib.contextmanager
    def starting_held(self):
        hold = f"{self.journey.options['emulator']}.hold"
        with open(hold, "w", encoding="ascii"):
            pass
        yield
        pid = wait_until(lambda: os.path.getsize(hold) and int(open(hold, encoding="ascii").read()), timeout=60,
                         what="the destination's QEMU is being started")
        self.stopped.append(pid)
        wait_until(lambda: open(f"/proc/{pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()[0] == "T",
                   what="it stands still")
        os.unlink(hold)

    def stop_loaded(self):
        """The destination's QEMU, when it has loaded the guest: then it closes the connection."""
        wait_until(lambda: not receives(self.target), timeout=90, what="the guest is loaded")
        pid = status_pid(self.target)
        os.kill(pid, signal.SIGSTOP)
        self.stopped.append(pid)

    def release(self):
        for pid in self.stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.stopped = []

    # -- what happens

    def target_qemu(self):
        return self.stopped[0] if self.stopped else status_pid(self.target)

    def fail(self, fault):
        killed = {"source": [self.source], "destination": [self.target], "both": [self.source, self.target]}.get(fault, [])
        for host in killed:
            host.kill()
        if fault == "source-qemu":
            os.kill(status_pid(self.source), signal.SIGKILL)
        if fault == "destination-qemu":
            os.kill(self.target_qemu(), signal.SIGKILL)
        if fault == "abort":
            virsh(self.source, "domjobabort", "traveller", ok=None)
        self.release()
        if self.phases:
            return self.client_of_phases(fault, killed)
        return self.client_of_peers(fault, killed)

    def client_of_phases(self, fault, killed):
        failures = [] if killed or fault == "client" else self.phases.carry_on()
        self.phases.close()
        for host in killed:
            host.start()
        return failures

    def client_of_peers(self, fault, killed):
        if fault == "client":
            self.mover.kill()
            virsh(self.source, "migrate-setspeed", "traveller", "2000", ok=None)
        for host in killed:
            host.start()
        _, errors = self.mover.communicate(timeout=180)
        return [] if fault == "client" or self.mover.returncode == 0 else [errors]


@pytest.fixture(scope="module")
def journey(make_host, scratch):
    hosts = make_host("host-a", tcp=True), make_host("host-b", tcp=True)
    emulator = f"{scratch}/qemu"
    with open(emulator, "w", encoding="ascii") as file:
        file.write(EMULATOR)
    os.chmod(emulator, 0o755)
    shared = Journey(hosts, scratch, emulator=emulator)
    yield shared
    shared.close()


@pytest.mark.parametrize("way,moment,fault,owner", [
    pytest.param(*cell, marks=[] if default else pytest.mark.full, id="-".join(cell[:3])) for *cell, default in cells()])
def test_one_owner(journey, way, moment, fault, owner):
    trip = Trip(journey, moment, way)
    if trip.late and fault == "destination-qemu":   # then it dies as any running guest: another case than this one
        fault, owner = "client", "d"
    failures = trip.fail(fault)
    owners = {"s": trip.source, "d": trip.target, "-": None}
    if owner == "e":
        owners["e"] = wait_until(lambda: journey.alone(), timeout=90, step=0.1, what="one host alone has the guest")
    journey.settles(owners[owner], trip.images)
    if fault == "abort":
        assert bool(failures) == (owner == "s"), failures


def test_host_that_goes_down_with_a_half_copied_image(journey):
    """The destination, with all that does not survive a boot. When it is back it removes what it had made."""
    trip = Trip(journey, "copying", "direct")
    assert os.path.exists(trip.images[0])
    pid = status_pid(trip.target)
    trip.target.kill()
    os.kill(pid, signal.SIGKILL)
    for name in os.listdir(f"{trip.target.root}/run/godwit/domains"):
        os.unlink(f"{trip.target.root}/run/godwit/domains/{name}")
    shutil.rmtree(f"{trip.target.root}/var/lib/godwit/domains")
    assert trip.phases.carry_on()
    trip.phases.close()
    trip.target.start()
    journey.settles(trip.source, trip.images)


# -- what the destination refuses or cannot do


class Attempt:
    """A migration that fails: said is in its error."""

    def __init__(self, journey, folder):
        self.journey, self.folder = journey, folder
        self.source, self.target = journey.ready()
        self.disk = journey.traveller.disk

    def fails(self, *words, said, disk=None, uri="tcp://127.0.0.1"):
        xml = []
        if disk:
            path = f"{self.folder}/there.xml"
            with open(path, "w", encoding="utf-8") as out:
                out.write(virsh(self.source, "dumpxml", "--migratable", "traveller").text.replace(self.disk, disk))
            xml = ["--xml", path]
        answer = virsh(self.source, "migrate", "--live", *words, *xml, "traveller", self.target.tcp_uri, "--migrateuri", uri,
                       "--unsafe", ok=False, timeout=180)
        assert said in answer.errors, answer

    def name(self):
        with contextlib.closing(libvirt.open(self.target.uri)) as connection:
            taken = connection.defineXML(guest.bare_xml("traveller"))
            self.fails(said="traveller")
            taken.undefine()

    def running(self):
        uuid = virsh(self.source, "domuuid", "traveller").text
        with contextlib.closing(libvirt.open(self.target.uri)) as connection:
            twin = connection.createXML(guest.bare_xml("twin", uuid=uuid))
            self.fails(said="twin")
            twin.destroy()

    def port(self):
        with self.busy_port() as port:
            self.fails(uri=f"tcp://127.0.0.1:{port}", said="in use")

    def disks_port(self):
        with self.busy_port() as port:
            self.fails("--copy-storage-all", "--disks-port", port, disk=f"{self.folder}/copy.img", said="in use")
        assert not os.path.exists(f"{self.folder}/copy.img")

    @contextlib.contextmanager
    def busy_port(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            yield taken.getsockname()[1]

    def missing(self):
        self.fails(disk="/nonexistent/gone.raw", said="/nonexistent/gone.raw")

    @contextlib.contextmanager
    def mounted(self, *words):
        there = f"{self.folder}/there"
        os.mkdir(there)
        assert run("mount", *words, there).status == 0
        try:
            yield there
        finally:
            run("umount", "-l", there)

    def read_only(self):
        with self.mounted("--bind", os.path.dirname(self.disk)) as there:
            assert run("mount", "-o", "remount,ro,bind", there).status == 0
            self.fails(disk=f"{there}/{os.path.basename(self.disk)}", said="written")

    def full(self):
        with self.mounted("-t", "tmpfs", "-o", "size=2m", "none") as there:
            self.fails("--copy-storage-all", disk=f"{there}/copy.img", said="No space left")
            wait_until(lambda: not os.listdir(there), what="the half copied image is removed")


@pytest.mark.parametrize("what", REFUSALS)
def test_refused(journey, folder, what):
    attempt = Attempt(journey, folder)
    getattr(attempt, what.replace("-", "_"))()
    journey.settles(attempt.source)


def test_the_page_tells_the_same():
    top = os.path.realpath(f"{os.path.dirname(os.path.realpath(__file__))}/../..")
    done = run("/usr/bin/python3", f"{top}/scripts/failures-doc", "--check")
    assert done.status == 0, done
