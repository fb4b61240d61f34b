# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a godwitd (helpers.host) and a libvirtd (helpers.peer) have in common: a daemon in a directory of its own."""
import os
import signal
import socket
import subprocess
import time
import uuid as uuids


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Daemon:
    """start() returns when it accepts connections; what stop() promises besides ending it, each kind says itself."""

    def __init__(self, root, hostname="host-a", uuid=None, tcp_port=None, migration_ports=(49152, 49215)):
        self.root = os.path.abspath(root)
        self.hostname = hostname
        self.uuid = uuid or str(uuids.uuid5(uuids.NAMESPACE_DNS, hostname))
        self.tcp_port = tcp_port
        self.migration_ports = migration_ports
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
        """The argument vector; what it needs on disk is made here."""
        raise NotImplementedError

    def start(self, timeout=30):
        os.makedirs(self.root, exist_ok=True)
        before = self.socket_identity()
        command = self.command()
        with open(self.stderr_path, "a") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait_ready(before, timeout)
        return self

    def socket_identity(self):
        try:
            found = os.stat(self.socket)
            return found.st_ino, found.st_ctime_ns
        except OSError:
            return None

    def wait_ready(self, before=None, timeout=30):
        """before: the socket of the daemon that was killed. It may still accept: a child that the daemon was just making holds
        it until it runs its program."""
        deadline = time.monotonic() + timeout
        while True:
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(self.socket)
                    if self.socket_identity() != before:
                        return
                except OSError:
                    pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the daemon of '{self.hostname}' did not come up (exit {self.process.poll()}):\n"
                                   f"{self.log()}")
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

    def terminate(self, timeout):
        """Asks it to end, insists when it does not, and returns its exit status, or None when it had to be killed."""
        if not self.process:
            return 0
        process, self.process = self.process, None
        process.terminate()
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return None
