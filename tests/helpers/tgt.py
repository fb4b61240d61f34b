# SPDX-License-Identifier: LGPL-2.1-or-later
"""An iSCSI server: Debian's tgtd on the loopback interface."""
import os
import subprocess
import time

from helpers.daemon import free_port


class Tgt:
    """A tgtd with one target, whose disks are files of some MiB each: LUN 1, 2, ... close() ends it."""

    def __init__(self, directory, sizes, name="iqn.2010-05.com.example:disks", user=None):
        self.name = name
        self.port = free_port()
        self.environment = {**os.environ, "TGT_IPC_SOCKET": f"{directory}/tgt"}
        self.process = subprocess.Popen(["tgtd", "-f", "--iscsi", f"portal=127.0.0.1:{self.port}"], env=self.environment,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.files = []
        self.admin("--op", "new", "--mode", "target", "--tid", "1", "-T", name, patient=True)
        for mib in sizes:
            self.add(directory, mib)
        self.admin("--op", "bind", "--mode", "target", "--tid", "1", "-I", "ALL")
        if user:
            self.admin("--op", "new", "--mode", "account", "--user", user[0], "--password", user[1])
            self.admin("--op", "bind", "--mode", "account", "--tid", "1", "--user", user[0])

    def admin(self, *words, patient=False):
        deadline = time.monotonic() + 60
        while True:
            done = subprocess.run(["tgtadm", "--lld", "iscsi", *words], env=self.environment, capture_output=True, text=True)
            if done.returncode == 0 or not patient or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        assert done.returncode == 0, f"tgtadm {words}: {done.stderr}"

    def add(self, directory, mib, block_size=512):
        path = f"{directory}/lun{len(self.files) + 1}-{self.port}"
        with open(path, "wb") as file:
            file.truncate(mib << 20)
        self.files.append(path)
        self.admin("--op", "new", "--mode", "logicalunit", "--tid", "1", "--lun", str(len(self.files)), "-b", path,
                   "--blocksize", str(block_size))

    def close(self):
        self.process.kill()
        self.process.wait()
        for path in self.files:
            os.unlink(path)
