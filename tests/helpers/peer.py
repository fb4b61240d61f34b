# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian's libvirtd beside us: the peer that tests validate themselves against and the bench compares with.

It runs in a mount and UTS namespace of its own whose /run, /etc/libvirt and /var/{lib,log,cache}/libvirt are folders below
one private directory, so any number of them run at once, nothing of the machine is touched, and its sockets are reachable
from outside as DIR/run/libvirt/libvirt-sock.
"""
import contextlib
import ctypes
import glob
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading

from helpers.daemon import Daemon

PACKAGES = ["libvirt-daemon", "libvirt-daemon-driver-qemu", "dmidecode"]
DAEMON = "/usr/sbin/libvirtd"
MOUNTS = {"run": "/run", "etc": "/etc/libvirt", "lib": "/var/lib/libvirt", "log": "/var/log/libvirt",
          "cache": "/var/cache/libvirt"}
HOSTS = ["peer", "peer-a", "peer-b", "host-a", "host-b"]


def install():
    """Installs the daemon's packages without starting any service."""
    if os.path.exists(DAEMON):
        return
    policy = "/usr/sbin/policy-rc.d"
    made = not os.path.exists(policy)
    if made:
        with open(policy, "w") as out:
            out.write("#!/bin/sh\nexit 101\n")
        os.chmod(policy, 0o755)
    try:
        env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *PACKAGES]):
            done = subprocess.run(["apt-get", *command], env=env, capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit(f"peer: apt-get {' '.join(command)} failed:\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
    finally:
        if made:
            os.unlink(policy)


_reaping = False
spared = set()      # QEMU processes that somebody here waits for by himself


def reap_orphans():
    """Takes over QEMUs whose parent is gone and reaps them the moment they end. libvirtd asks for a pid until it is gone, and
    the first process of a container may let the dead lie for a second, which would be counted against libvirtd."""
    global _reaping
    if _reaping or threading.current_thread() is not threading.main_thread():
        return
    _reaping = True
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)     # PR_SET_CHILD_SUBREAPER
    wake, woken = socket.socketpair()
    woken.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)

    def reap():
        while wake.recv(1024):
            for path in glob.glob("/proc/self/task/*/children"):
                with contextlib.suppress(OSError), open(path) as file:
                    for pid in map(int, file.read().split()):
                        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as stat:
                            name, state = stat.read().split("(", 1)[1].rsplit(") ", 1)
                            if name.startswith("qemu-system") and state[0] == "Z" and pid not in spared:
                                os.waitpid(pid, os.WNOHANG)
    reap.keep = woken
    threading.Thread(target=reap, daemon=True).start()


class Peer(Daemon):
    """One libvirtd. stop() ends the guests that it left running, too."""

    def _configure(self):
        for name in MOUNTS:
            os.makedirs(f"{self.root}/{name}", exist_ok=True)
        os.makedirs(f"{self.root}/run/lock", exist_ok=True)
        daemon = {"auth_unix_ro": "none", "auth_unix_rw": "none", "host_uuid": self.uuid, "log_outputs": "3:stderr",
                  "unix_sock_rw_perms": "0777", "max_client_requests": 20}
        if self.tcp_port:
            daemon.update(listen_tls=0, listen_tcp=1, auth_tcp="none", listen_addr="127.0.0.1",
                          tcp_port=str(self.tcp_port))
        driver = {"user": "root", "group": "root", "stdio_handler": "file", "security_driver": "none",
                  "remember_owner": 0, "migration_address": self.hostname,
                  "migration_port_min": self.migration_ports[0], "migration_port_max": self.migration_ports[1]}
        # It refuses 127.0.0.1 as migration_address, so each host resolves its name and the others to it instead.
        with open("/etc/hosts") as system, open(f"{self.root}/hosts", "w") as out:
            out.write(system.read() + "".join(f"127.0.0.1 {name}\n" for name in {self.hostname, *HOSTS}))
        for path, values in (("libvirtd.conf", daemon), ("qemu.conf", driver)):
            with open(f"{self.root}/etc/{path}", "w") as out:
                for key, value in values.items():
                    out.write(f'{key} = "{value}"\n' if isinstance(value, str) else f"{key} = {value}\n")

    def command(self):
        self._configure()
        script = ["set -e", f"hostname {shlex.quote(self.hostname)}"]
        for name, target in MOUNTS.items():
            os.makedirs(target, exist_ok=True)
            script.append(f"mount --bind {shlex.quote(f'{self.root}/{name}')} {target}")
        script.append(f"mount --bind {shlex.quote(self.root)}/hosts /etc/hosts")
        script.append(f"exec {DAEMON}" + (" --listen" if self.tcp_port else ""))
        return ["unshare", "--mount", "--uts", "--propagation", "private", "sh", "-c", "\n".join(script)]

    def start(self, timeout=30):
        install()
        reap_orphans()
        return super().start(timeout)

    def guest_pids(self):
        """Pids of the QEMU processes that this daemon started."""
        found = []
        folder = f"{self.root}/run/libvirt/qemu"
        for name in os.listdir(folder) if os.path.isdir(folder) else []:
            if name.endswith(".pid") and name != "driver.pid":
                try:
                    with open(f"{folder}/{name}") as file:
                        pid = int(file.read())
                    with open(f"/proc/{pid}/cmdline") as file:
                        if "qemu" in file.read():
                            found.append(pid)
                except (OSError, ValueError):
                    pass
        return found

    def stop(self):
        self.terminate(10)
        for pid in self.guest_pids():
            os.kill(pid, signal.SIGKILL)
