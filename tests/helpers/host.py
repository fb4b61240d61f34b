# SPDX-License-Identifier: LGPL-2.1-or-later
"""One godwitd in a directory of its own, with the same face as helpers.peer.Peer."""
import os
import re
import signal
import socket
import subprocess
import time
import uuid as uuids

from helpers import guest
from helpers.peer import reap_orphans

TOP = os.path.realpath(f"{os.path.dirname(os.path.realpath(__file__))}/../..")
BUILD = os.path.realpath(os.environ.get("GODWIT_BUILD", f"{TOP}/build"))
SANITIZER = re.compile(r"(AddressSanitizer|LeakSanitizer|runtime error:|UndefinedBehavior)")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Host:
    """start() returns when the daemon accepts connections; stop() ends it and asserts that it was clean."""

    def __init__(self, root, hostname="host-a", uuid=None, tcp_port=None, migration_ports=(49152, 49215), options=()):
        self.root = os.path.abspath(root)
        self.hostname = hostname
        self.uuid = uuid or str(uuids.uuid5(uuids.NAMESPACE_DNS, hostname))
        self.tcp_port = tcp_port
        self.migration_ports = migration_ports
        self.options = list(options)
        self.socket = f"{self.root}/run/libvirt/libvirt-sock"
        self.socket_ro = f"{self.root}/run/libvirt/libvirt-sock-ro"
        self.uri = f"qemu+unix:///system?socket={self.socket}"
        self.uri_ro = f"qemu+unix:///system?socket={self.socket_ro}"
        self.tcp_uri = f"qemu+tcp://127.0.0.1:{tcp_port}/system" if tcp_port else None
        self.stderr_path = f"{self.root}/stderr"
        self.process = None

    @property
    def pid(self):
        return self.process.pid if self.process else None

    def command(self):
        words = [f"{BUILD}/godwitd", "--root", self.root, "--hostname", self.hostname, "--host-uuid", self.uuid,
                 "--migration-ports", f"{self.migration_ports[0]}-{self.migration_ports[1]}",
                 "--migration-address", "127.0.0.1"]
        if self.tcp_port:
            words += ["--listen-tcp", f"127.0.0.1:{self.tcp_port}"]
        return words + self.options

    def start(self, timeout=30):
        reap_orphans()
        os.makedirs(self.root, exist_ok=True)
        with open(self.stderr_path, "a") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=30):
        deadline = time.monotonic() + timeout
        while True:
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(self.socket)
                    return
                except OSError:
                    pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"godwitd '{self.hostname}' did not come up (exit {self.process.poll()}):\n{self.log()}")
            time.sleep(0.002)

    def log(self, limit=4000):
        with open(self.stderr_path, errors="replace") as file:
            return file.read()[-limit:]

    def kill(self, sign=signal.SIGKILL):
        """Ends the daemon alone; guests go on."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(sign)
        if self.process:
            self.process.wait()
        self.process = None

    def stop(self):
        status = self.process.poll() if self.process else 0
        died = status is not None and self.process
        if self.process and status is None:
            self.process.terminate()
            try:
                status = self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                status = "none within 20 s of SIGTERM"
        self.process = None
        text = self.log(1 << 20)
        report = SANITIZER.search(text)
        assert not report, f"sanitizer report from '{self.hostname}':\n{text[max(0, report.start() - 300):][:6000]}"
        assert status == 0, f"godwitd '{self.hostname}' {'died' if died else 'ended'} with {status}:\n{text[-3000:]}"


def kill_guests(uuids_only=None):
    """Kills what is left of the guests that the tests made; returns their UUIDs."""
    left = guest.qemu_pids(uuids_only)
    for pid in left.values():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return sorted(left)
