# SPDX-License-Identifier: LGPL-2.1-or-later
"""One godwitd in a directory of its own, with the same face as helpers.peer.Peer."""
import os
import re
import signal

from helpers import guest
from helpers.daemon import Daemon
from helpers.peer import reap_orphans

TOP = os.path.realpath(f"{os.path.dirname(os.path.realpath(__file__))}/../..")
BUILD = os.path.realpath(os.environ.get("GODWIT_BUILD", f"{TOP}/build"))
SANITIZER = re.compile(r"(AddressSanitizer|LeakSanitizer|runtime error:|UndefinedBehavior)")


class Host(Daemon):
    """stop() asserts that the daemon was clean: it ran till then, it ended well, and no sanitizer complained."""

    def __init__(self, root, hostname="host-a", options=(), **common):
        super().__init__(root, hostname, **common)
        self.options = list(options)

    def command(self):
        words = [f"{BUILD}/godwitd", "--root", self.root, "--hostname", self.hostname, "--host-uuid", self.uuid,
                 "--migration-ports", f"{self.migration_ports[0]}-{self.migration_ports[1]}",
                 "--migration-address", "127.0.0.1"]
        if self.tcp_port:
            words += ["--listen-tcp", f"127.0.0.1:{self.tcp_port}"]
        return words + self.options

    def start(self, timeout=30):
        reap_orphans()
        return super().start(timeout)

    def stop(self):
        died = self.process and self.process.poll() is not None
        status = self.terminate(20)
        text = self.log(1 << 20)
        report = SANITIZER.search(text)
        assert not report, f"sanitizer report from '{self.hostname}':\n{text[max(0, report.start() - 300):][:6000]}"
        ended = "died" if died else "ended"
        result = "none within 20 s of SIGTERM" if status is None else status
        assert status == 0, f"godwitd '{self.hostname}' {ended} with {result}:\n{text[-3000:]}"


def kill_guests(uuids_only=None):
    """Kills what is left of the guests that the tests made; returns their UUIDs."""
    left = guest.qemu_processes(uuids_only)
    for _, pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return sorted(uuid for uuid, _ in left)
